"""Pictures of the dashboard for the documentation, out of a real Chromium, of simulated sites.

Plays a scenario at the example junction, the parking lot, and a live unit with rendered cameras and
a recording; opens the page of each and writes PNG files. Needs Debian's `chromium` and
`chromium-driver`, and selenium.

    .venv/bin/python tools/dashboard_screenshots.py --out docs/images
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from rsu.config.load import load_site
from rsu.config.web import WebOptions
from rsu.runtime import graph
from rsu.runtime.audit import AuditLog
from rsu.runtime.clock import system_now
from rsu.runtime.lockstep import LockStepHost, virtual_boot
from rsu.sim.scenario.load import load_scenario
from rsu.sim.source import open_eyes, simulated_messages
from rsu.web.beside import DashboardBeside
from rsu.web.desk import Desk
from rsu.web.server import DashboardServer
from rsu.web.site_file import SiteFile

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
LEAD_NS = 2_000_000_000
DESKTOP, PHONE = (1280, 800), (390, 844)
MOST_BYTES = 190_000
TOKEN = "only-for-these-pictures"


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    parser.add_argument("--only", choices=["junction", "parking", "unit", "editor"])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with browser() as page:
        camera = Photographer(page, arguments.out)
        if arguments.only in (None, "junction"):
            junction(camera)
        if arguments.only in (None, "parking"):
            parking(camera)
        if arguments.only in (None, "unit"):
            unit(camera)
        if arguments.only in (None, "editor"):
            editor(camera)


class Photographer:
    """One browser and the folder for its pictures."""

    def __init__(self, page: webdriver.Chrome, out: Path) -> None:
        self.page = page
        self._out = out

    def open(self, address: str, size: tuple[int, int] = DESKTOP) -> None:
        """Show a dashboard and wait until it lives."""
        self.size(size)
        self.page.get(address)
        self.until("globalThis.rsuPage && rsuPage.live")

    def size(self, size: tuple[int, int]) -> None:
        width, height = size
        ratio = 2 if width < 600 else 1
        command = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": False}
        self.page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", command)

    def until(self, condition: str, timeout_s: float = 90.0) -> None:
        """Wait for an expression of the page to hold."""
        end = time.monotonic() + timeout_s
        while not self.page.execute_script(f"return !!({condition})"):
            if time.monotonic() > end:
                raise SystemExit(f"waited in vain for {condition}")
            time.sleep(0.1)

    def turn_to(self, tab: str) -> None:
        self.page.execute_script(f"rsuPage.turnTo('{tab}')")
        time.sleep(1.5)  # charts load and draw

    def take(self, name: str, part: str | None = None) -> None:
        """Write a picture of the page, or of one element of it."""
        shot = self.page if part is None else self.page.find_element("id", part)
        data = shot.get_screenshot_as_png() if part is None else shot.screenshot_as_png
        path = self._out / f"dashboard-{name}.png"
        path.write_bytes(data)
        if len(data) > MOST_BYTES:  # pictures of cameras
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            path.unlink()
            path = path.with_suffix(".jpg")
            cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 88])
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")


def junction(camera: Photographer) -> None:
    """A vehicle stops on a lane: map, details, event, messages, traffic, a phone."""
    with played("junction.yaml", "stopped-vehicle.yaml", 100) as address:
        camera.open(address)
        camera.until("rsuPage.live.events.some((e) => !e.ended && e.kind === 'stopped-vehicle')")
        camera.page.execute_script(
            "const one = rsuPage.live.tracks.list.filter((t) => t.speed > 3 "
            "&& Math.hypot(t.x, t.y) < 40)[0]; if (one) rsuPage.choose(one.id);"
        )
        time.sleep(1.0)
        camera.take("map")
        camera.page.execute_script(
            "rsuPage.choose(null); document.querySelector('.alert').click(); rsuPage.map.scale = 7"
        )
        time.sleep(2.0)
        camera.take("events")
        camera.turn_to("messages")
        camera.page.execute_script("rsuPage.open('RSM')")
        time.sleep(2.0)
        camera.take("messages")
        camera.turn_to("traffic")
        camera.take("traffic")
        camera.open(address, PHONE)
        camera.turn_to("events")
        camera.take("phone")


def parking(camera: Photographer) -> None:
    """The example lot, bay by bay."""
    with played("parking-lot.yaml", "parking-lot.yaml", 150) as address:
        camera.open(address)
        camera.until("rsuPage.live.parking.some((lot) => lot.counts.occupied >= 2)", 120)
        camera.turn_to("parking")
        camera.take("parking")


def unit(camera: Photographer) -> None:
    """A live unit: camera pictures, health, the past."""
    with live_unit() as address:
        camera.size(DESKTOP)
        camera.page.get(f"{address}login")
        camera.page.find_element("id", "token").send_keys(TOKEN)
        camera.page.find_element("css selector", "button").click()
        camera.until("location.pathname === '/'")
        camera.open(address)
        camera.until("rsuPage.live.cameras.some((c) => c.frame !== null)")
        camera.turn_to("cameras")
        time.sleep(3.0)
        camera.take("cameras", "side")  # pictures of cameras make large files
        camera.turn_to("health")
        camera.take("health")
        time.sleep(25.0)
        camera.turn_to("objects")
        camera.until("rsuPage.timeLine.range")
        camera.page.execute_script(
            "const s = document.getElementById('scrub'); s.value = 600; "
            "s.dispatchEvent(new Event('input'))"
        )
        camera.until("rsuPage.past")
        time.sleep(1.0)
        camera.take("past")


def editor(camera: Photographer) -> None:
    """The site file, with a mistake that the check finds."""
    with tempfile.TemporaryDirectory(prefix="rsu-pictures-") as folder:
        configs = Path(folder) / "configs"
        shutil.copytree(CONFIGS, configs)
        path = configs / "junction.yaml"
        path.write_text(path.read_text("utf-8").replace("tilt: 20", "tlit: 20", 1), "utf-8")
        audit = AuditLog(Path(folder) / "audit.jsonl")
        site_file = SiteFile(path, lambda: audit, may_change=True)
        server = DashboardServer(WebOptions(), configs, Desk({}, {}), site_file=site_file)
        server.port = 0
        server.start()
        try:
            camera.size(DESKTOP)
            camera.page.get(f"{server.address}config")
            camera.until("document.querySelector('.cm-content')")
            time.sleep(1.0)
            camera.page.find_element("id", "check").click()
            camera.until("document.querySelector('#told').textContent", 60)
            camera.take("config")
        finally:
            server.stop()


@contextmanager
def played(site: str, scenario_name: str | None, seconds: float) -> Iterator[str]:
    """A simulated site in lock-step with the clock, its dashboard beside it."""
    path = CONFIGS / site
    config = load_site(path).model_copy(update={"web": WebOptions(port=free_port())})
    scenario = None
    if scenario_name is not None:
        scenario = load_scenario(CONFIGS / "scenarios" / scenario_name).scenario
    build = graph.core_builder(config, path.parent)
    build(virtual_boot(0))
    eyes = open_eyes(config, path.parent, 1, "modelled")
    over = threading.Event()
    with DashboardBeside(config, path.parent) as page:

        def run() -> None:
            now = system_now()
            boot = virtual_boot(now.utc_ns + LEAD_NS)
            host = LockStepHost(
                [build(boot)], page.take, boot, sensors=graph.sensors_of(config)
            )  # fmt: skip
            source = simulated_messages(
                config, path.parent, 1, boot.utc_ns, int(seconds * 1e9), eyes=eyes,
                scenario=scenario,
            )  # fmt: skip
            host.run(source, rate=1.0, began_mono_ns=now.mono_ns + LEAD_NS, stop=over.is_set)
            source.close()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            wait_for(config.web.port if config.web else 0)
            yield page.address
        finally:
            over.set()
            thread.join()


@contextmanager
def live_unit() -> Iterator[str]:
    """`rsu run` on a copy of the example junction, with a recording and a login."""
    with tempfile.TemporaryDirectory(prefix="rsu-pictures-") as folder:
        configs = Path(folder) / "configs"
        shutil.copytree(CONFIGS, configs)
        (Path(folder) / "var").mkdir()
        token = configs / "token"
        token.write_text(TOKEN, encoding="utf-8")
        token.chmod(0o600)
        port = free_port()
        with (configs / "junction.yaml").open("a", encoding="utf-8") as site:
            site.write(
                f"\nrecording: {{}}\nweb: {{port: {port}, token_file: token}}\n"
                f"runtime: {{socket_folder: {folder}/run}}\n"
            )
        command = [sys.executable, "-m", "rsu.cli", "run", str(configs / "junction.yaml")]
        with subprocess.Popen([*command, "--log-level", "error"]) as process:
            try:
                wait_for(port)
                yield f"http://127.0.0.1:{port}/"
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(30)


@contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Chromium without a window."""
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or "chromium"
    service = Service(shutil.which("chromedriver") or "chromedriver")
    page = webdriver.Chrome(options=options, service=service)
    try:
        yield page
    finally:
        page.quit()


def wait_for(port: int, timeout_s: float = 90.0) -> None:
    """Return when somebody listens."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise SystemExit("the unit did not start")


def free_port() -> int:
    """A loopback port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
