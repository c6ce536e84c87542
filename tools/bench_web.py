"""Do many slow pages change how soon messages are on the air? Capture-to-wire p99 before, during.

Starts the unit of SITE with a dashboard on a free port, in a folder of its own, and reads the ages
that its radio measures. Then CLIENTS pages are opened that each take a few kB a second, a hundredth
of what is sent, and the ages are read again. Prints both and their ratio, and the dashboard's own
memory and CPU.

    .venv/bin/python tools/bench_web.py configs/junction.yaml --modelled --seconds 30
"""

from __future__ import annotations

import argparse
import base64
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from rsu.config.cameras import ModelledDetectorOptions
from rsu.config.load import load_site
from rsu.config.model import SiteConfig
from rsu.config.web import WebOptions
from rsu.runtime.bus import BusClient
from rsu.runtime.metrics import quantile_of
from rsu.runtime.process_host import ProcessHost
from rsu.runtime.status import Request, ask_unit
from rsu.schema.topics import RADIO_REPORT
from rsu.schema.units import NS_PER_MS

BITE = 512
"""Octets a page takes at a time, four times a second: 2 kB/s, a modem's."""


def main() -> None:
    """Run, measure, load, measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30.0, help="Length of each measurement.")
    parser.add_argument("--rounds", type=int, default=2, help="Of without and with pages.")
    parser.add_argument("--modelled", action="store_true", help="Cameras without pixels.")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        text = arguments.serve.read_text(encoding="utf-8")
        ProcessHost(SiteConfig.model_validate_json(text), arguments.site.parent).run()
        return
    with tempfile.TemporaryDirectory(prefix="rsu-bench-web-") as name:
        folder = Path(name)
        config = prepared(load_site(arguments.site), folder, modelled=arguments.modelled)
        ready = folder / "config.json"
        ready.write_text(config.model_dump_json(exclude_unset=True), encoding="utf-8")
        # In a process of its own: the bus must not share an interpreter with the pages.
        command = [sys.executable, __file__, str(arguments.site), "--serve", str(ready)]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as unit:
            try:
                measure(folder / "run", config, arguments)
            finally:
                unit.send_signal(signal.SIGTERM)
                unit.wait(30)


def prepared(config: SiteConfig, folder: Path, *, modelled: bool) -> SiteConfig:
    """The site with a dashboard, and everything it writes in a folder of its own."""
    radios = tuple(
        radio.model_copy(update={"path": folder / f"{radio.id}.jsonl"})
        if hasattr(radio, "path")
        else radio
        for radio in config.radios
    )
    cameras = config.cameras
    if modelled:
        detector = ModelledDetectorOptions(driver="modelled")
        cameras = tuple(one.model_copy(update={"detector": detector}) for one in cameras)
    runtime = config.runtime.model_copy(update={"socket_folder": folder / "run"})
    web = WebOptions(port=free_port())
    changes: dict[str, Any] = {
        "radios": radios, "cameras": cameras, "runtime": runtime, "web": web
    }  # fmt: skip
    return config.model_copy(update=changes)


def measure(folder: Path, config: SiteConfig, arguments: argparse.Namespace) -> None:
    """Ages without and with pages, in turns, so that a busy machine hits both alike."""
    assert config.web is not None
    wait_until_running(folder)
    time.sleep(10.0)  # the world fills, caches warm
    without: list[float] = []
    during: list[float] = []
    for _ in range(arguments.rounds):
        without += ages_ms(folder, arguments.seconds)
        with SlowPages(config.web.port, arguments.clients) as pages:
            pages.wait_until_open()
            before_s = cpu_s(folder)
            during += ages_ms(folder, arguments.seconds)
            spent = cpu_s(folder) - before_s
            overview = ask_unit(folder, Request("status"), timeout_s=5)
            taken = pages.taken
    report("without pages", without)
    report(f"{arguments.clients} slow pages", during)
    before, after = quantile_of(without, 0.99), quantile_of(during, 0.99)
    print(f"p99 ratio                  {after / before:8.3f}")
    print(f"p50 ratio                  {quantile_of(during, 0.5) / quantile_of(without, 0.5):8.3f}")
    samples = {s["name"]: s["value"] for s in overview["metrics"].get("web", [])}
    print(f"pages open                 {samples.get('web_clients', 0):8.0f}")
    print(f"snapshots sent, skipped    {samples.get('web_snapshots_sent_total', 0):8.0f} "
          f"{samples.get('web_snapshots_skipped_total', 0):8.0f}")  # fmt: skip
    print(f"CPU of the dashboard       {100 * spent / arguments.seconds:8.1f} % of a core")
    print(f"taken by one page          {taken / arguments.clients / 1000:8.1f} kB")
    print(f"memory of the dashboard    {samples.get('resident_bytes', 0) / 1e6:8.1f} MB")


def ages_ms(folder: Path, seconds: float) -> list[float]:
    """Ages of road users' messages at the hand-over to the radio, ms."""
    bus = BusClient(folder, (RADIO_REPORT,))
    bus.open()
    try:
        end = time.monotonic() + seconds
        ages = []
        while (left := end - time.monotonic()) > 0:
            for message in bus.receive(min(left, 0.2)):
                told = message.payload
                if told.error is None and told.message in ("RSM", "SDSM", "PSM"):
                    ages.append(told.age_ns / NS_PER_MS)
        return ages
    finally:
        bus.close()


def cpu_s(folder: Path) -> float:
    """CPU time of the dashboard's process so far, s."""
    status = ask_unit(folder, Request("status"), timeout_s=5)
    (pid,) = [one["pid"] for one in status["unit"]["processes"] if one["name"] == "web"]
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(name: str, ages: list[float]) -> None:
    """One line."""
    p50, p99 = quantile_of(ages, 0.5), quantile_of(ages, 0.99)
    print(f"{name:<26} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   of {len(ages)}")


class SlowPages:
    """Open WebSockets that are read a bite at a time, in one thread."""

    def __init__(self, port: int, count: int) -> None:
        self.taken = 0
        self._port = port
        self._count = count
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._sockets: list[socket.socket] = []
        self._open = threading.Event()

    def __enter__(self) -> SlowPages:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        for one in self._sockets:
            one.close()

    def wait_until_open(self) -> None:
        """Return when every page has its first octets."""
        if not self._open.wait(60):
            raise SystemExit("the pages did not open")

    def _run(self) -> None:
        for _ in range(self._count):
            one = socket.socket()
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.connect(("127.0.0.1", self._port))
            key = base64.b64encode(os.urandom(16)).decode()
            one.sendall(
                f"GET /live HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            self._sockets.append(one)
        for one in self._sockets:
            one.settimeout(20)
            if b" 101 " not in one.recv(64):
                raise SystemExit("a page was refused")
            one.setblocking(False)
        self._open.set()
        with selectors.DefaultSelector() as ready:
            for one in self._sockets:
                ready.register(one, selectors.EVENT_READ)
            while not self._stop.wait(0.25):
                for key_, _ in ready.select(0):
                    try:
                        self.taken += len(key_.fileobj.recv(BITE))  # type: ignore[union-attr]
                    except OSError:
                        continue


def wait_until_running(folder: Path) -> None:
    """Return when every process of the unit runs."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            unit = ask_unit(folder, Request("status"), timeout_s=1)["unit"]
        except ConnectionError:
            continue
        if unit and all(one["state"] == "running" for one in unit["processes"]):
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
