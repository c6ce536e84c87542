"""The page in a real Chromium before a whole unit whose processes are all killed: what it shows
meanwhile is grey and says so, and when the unit is back it goes on by itself."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.runtime.test_process_host import CAMERA, make_clip
from tests.web.chromium import needs_chromium, open_page, script, text
from tests.web.conftest import until

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = needs_chromium

SITE = """
site:
  id: corner
  origin: {{latitude: 31.2, longitude: 121.5}}
cameras:
{camera}
v2x: {{rsu_id: "00000000000000a1", trust_clock: true}}
radios:
  - {{id: air, driver: file, path: air.jsonl}}
web: {{port: {port}}}
runtime: {{socket_folder: {sockets}}}
"""
FRESH = "!!(globalThis.rsuPage && rsuPage.live) && document.body.className === ''"
SEES = "rsuPage.live.tracks.list.length > 0 && rsuPage.live.cameras[0].frame !== null"
PATIENCE_S = 100.0
WHERE = "rsuPage.live.tracks.list.map((track) => [track.id, track.x])"


@contextmanager
def running(site: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "rsu.cli", "run", str(site), "--log-level", "error"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as unit:
        try:
            yield unit
        finally:
            unit.terminate()
            unit.wait(30)


def test_the_page_goes_on_after_the_whole_unit_was_killed(browser: Chrome, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.avi", 10)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    camera = CAMERA.format(name="cam", clip="clip.avi", loop="true", east=0, east_end=30)
    site = tmp_path / "site.yaml"
    with tempfile.TemporaryDirectory(prefix="rsu-w") as sockets:  # their paths must be short
        text_of = SITE.format(camera=camera, port=port, sockets=sockets)
        site.write_text(text_of, encoding="utf-8")
        with running(site) as unit:
            until(lambda: answers(port), PATIENCE_S)
            open_page(browser, address)
            until(lambda: script(browser, FRESH), PATIENCE_S)
            until(lambda: script(browser, SEES), PATIENCE_S)
            browser.execute_script("rsuPage.turnTo('cameras'); globalThis.sameLoad = true")
            until(lambda: "masked" in text(browser, ".camera .state"))
            before = script(browser, "rsuPage.live.cameras[0].frame")
            unit.send_signal(signal.SIGKILL)
            unit.wait(10)
        # Nobody is told: the page finds out, at the latest a second after the last snapshot.
        until(lambda: "stale" in script(browser, "document.body.className"))
        assert "Connection lost" in text(browser, "#stale")
        assert text(browser, "#verdict") == "No data"
        for grey in ("#map", "#panel"):
            style = f"getComputedStyle(document.querySelector('{grey}')).filter"
            assert "grayscale(1)" in script(browser, style)
        until(lambda: "old" in script(browser, "document.querySelector('.camera').className"))
        last = script(browser, WHERE)
        with running(site):
            until(lambda: script(browser, FRESH), PATIENCE_S)
            until(lambda: script(browser, SEES), PATIENCE_S)
            assert script(browser, "rsuPage.live.cameras[0].frame") != before
            where = script(browser, WHERE)
            assert where != last
            until(lambda: script(browser, WHERE) != where)  # and they move
            until(
                lambda: "old" not in script(browser, "document.querySelector('.camera').className")
            )
            assert script(browser, "globalThis.sameLoad")  # without loading the page again
            assert text(browser, "#verdict") != "No data"
            browser.get("about:blank")


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
