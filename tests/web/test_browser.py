"""The page in a real Chromium: what an operator sees moves, answers, greys and comes back.

One browser for all tests. The server is fed from a thread as a live unit would feed it; nothing of
the page is stubbed.
"""

import json
import math
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

import pytest

from rsu.config.web import WebOptions
from rsu.recording.writer import McapFile
from rsu.runtime.audit import AuditLog
from rsu.schema.events import EventEnding, EventPhase
from rsu.schema.sensing import ObjectClass
from rsu.web.past import Past
from rsu.web.server import DashboardServer
from rsu.web.site_file import SiteFile
from tests.runtime.test_process_host import CAMERA, make_clip
from tests.web.chromium import (
    DESKTOP,
    PHONE,
    needs_chromium,
    open_page,
    script,
    show,
    size,
    text,
    until,
)
from tests.web.conftest import SENSORS, Serve, Teller, track

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = needs_chromium


class Feeder:
    """A car that drives back and forth, a walker, and whatever a test adds, five times a second."""

    def __init__(self, server: DashboardServer, tell: Teller) -> None:
        self.server = server
        self.extra: list = []
        self.silent = False
        self._tell = tell
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            if self.silent:
                continue
            now = time.time_ns()
            x = 20 * math.sin(now / 1e9 / 3)
            walker = track(12, 5.0, 8.0, object_class=ObjectClass.PEDESTRIAN, speed=1.2)
            self.server.desk.take(
                [
                    self._tell.tracks(now, track(7, x, updated_ns=now, born_ns=now), walker),
                    self._tell.signals(now),
                    *self._tell.well(now),
                    *(make(now) for make in self.extra),
                ]
            )
            self.extra = []
            self.server.fan.offer(self.server.desk.snapshot())


@pytest.fixture
def unit(serve: Serve, tell: Teller) -> Iterator[Feeder]:
    feeder = Feeder(serve(WebOptions()), tell)
    yield feeder
    feeder.stop()


def test_tracks_move_on_the_map(browser: Chrome, unit: Feeder) -> None:
    show(browser, unit.server.address)
    pixels = "document.getElementById('map').toDataURL()"
    where = "rsuPage.map.screenOf(7)"
    before, picture = script(browser, where), script(browser, pixels)
    until(lambda: math.dist(script(browser, where), before) > 10)
    until(lambda: script(browser, pixels) != picture)
    assert text(browser, "#verdict") == "All well"
    assert script(browser, "document.body.className") == ""


def test_a_clicked_track_shows_its_details(browser: Chrome, unit: Feeder) -> None:
    show(browser, unit.server.address)
    x, y = script(browser, "rsuPage.map.screenOf(12)")  # the walker stays where it is
    canvas = browser.find_element(By.ID, "map")
    half = canvas.size["width"] / 2, canvas.size["height"] / 2
    ActionChains(browser).move_to_element_with_offset(
        canvas, round(x - half[0]), round(y - half[1])
    ).click().perform()
    until(lambda: browser.find_elements(By.CSS_SELECTOR, "#details[data-track='12']"))
    details = text(browser, "#details")
    assert "pedestrian 12" in details
    assert "4 ± 3.5 km/h" in details  # 1.2 m/s; 1.96 · 0.5 m/s
    assert "5.0 m E, 8.0 m N" in details
    assert "4.90 × 2.45 m" in details
    assert "north" in details


def test_an_event_appears_and_ends(browser: Chrome, unit: Feeder, tell: Teller) -> None:
    show(browser, unit.server.address)
    assert browser.find_elements(By.CSS_SELECTOR, ".alert") == []
    unit.extra.append(tell.event)
    until(lambda: browser.find_elements(By.CSS_SELECTOR, ".alert"))
    browser.execute_script("rsuPage.turnTo('events')")
    until(lambda: "stopped vehicle" in text(browser, "#panel"))
    unit.extra.append(lambda now: tell.event(now, phase=EventPhase.END, ending=EventEnding.CLEARED))
    until(lambda: "cleared" in text(browser, "#panel"))
    until(lambda: not browser.find_elements(By.CSS_SELECTOR, ".alert"))


def test_what_is_said_by_others_is_never_markup(
    browser: Chrome, unit: Feeder, tell: Teller
) -> None:
    show(browser, unit.server.address)
    evil = "<img src=x onerror='globalThis.hacked=1'>"
    unit.extra.append(lambda now: tell.event(now, lanes=(evil,), kind=evil))
    browser.execute_script("rsuPage.turnTo('events')")
    until(lambda: evil in text(browser, "#panel"))
    assert script(browser, "globalThis.hacked") is None
    assert browser.find_elements(By.CSS_SELECTOR, "#panel img, #alerts img") == []


def test_everything_greys_without_news(browser: Chrome, unit: Feeder) -> None:
    show(browser, unit.server.address)
    unit.silent = True
    until(lambda: "stale" in script(browser, "document.body.className"))
    assert "what you see is old" in text(browser, "#stale")
    assert text(browser, "#verdict") == "No data"
    unit.silent = False
    until(lambda: "stale" not in script(browser, "document.body.className"))


def test_the_page_survives_a_restart_of_the_unit(
    browser: Chrome, unit: Feeder, serve: Serve
) -> None:
    show(browser, unit.server.address)
    browser.execute_script("globalThis.sameLoad = true")
    first = unit.server
    first.stop()
    until(lambda: "stale" in script(browser, "document.body.className"))
    unit.server = serve(WebOptions(), port=first.port)
    until(lambda: "stale" not in script(browser, "document.body.className"), 40)
    assert script(browser, "globalThis.sameLoad")  # by itself, without loading the page again
    assert text(browser, "#verdict") == "All well"


def test_a_dead_connection_is_replaced(browser: Chrome, unit: Feeder) -> None:
    show(browser, unit.server.address)
    # A peer that is gone without a word: the connection stays open and nothing comes.
    browser.execute_script("globalThis.dead = rsuPage.socket; rsuPage.socket.onmessage = null")
    until(lambda: "stale" in script(browser, "document.body.className"))
    browser.execute_script("rsuPage.heardAt -= 5000; rsuPage.openedAt -= 5000")  # 6 s are waited
    until(lambda: script(browser, "document.body.className") == "", 40)
    assert script(browser, "rsuPage.socket !== dead")
    until(lambda: unit.server.fan.clients == 1)


def test_a_replay_is_never_taken_for_the_present(
    browser: Chrome, serve: Serve, tell: Teller, tmp_path: Path
) -> None:
    start = time.time_ns() // 1_000_000_000 * 1_000_000_000
    with McapFile(tmp_path / "run.mcap", {"site": "corner"}) as file:
        for step in range(600):
            now = start + step * 100_000_000
            file.write(tell.tracks(now, track(7, step * 0.2, updated_ns=now)))
            for message in tell.well(now):
                file.write(message)
    past = Past(tmp_path / "run.mcap", SENSORS, ring_ns=None)
    server = serve(past=past, replay="run.mcap")
    open_page(browser, server.address)
    until(lambda: script(browser, "!!globalThis.rsuPage?.past"), 60)
    where = "rsuPage.past.tracks.list[0].x"
    first = script(browser, where)
    until(lambda: script(browser, where) > first)  # it plays by itself
    assert text(browser, "#mode") == "REPLAY"
    assert script(browser, "document.title") == "REPLAY · Test corner"
    assert "run.mcap" in text(browser, "#clock")
    assert "LIVE" not in text(browser, "body")
    assert not browser.find_element(By.ID, "save").is_displayed()
    browser.find_element(By.ID, "pace").click()
    assert text(browser, "#pace") == "2×"
    browser.find_element(By.ID, "play").click()
    until(lambda: script(browser, "rsuPage.timeLine.fetching") is not True)
    held = script(browser, where)
    browser.execute_async_script("setTimeout(arguments[0], 600)")
    assert script(browser, where) == held
    server.stop()
    until(lambda: "stale" in script(browser, "document.body.className"))
    assert "Connection lost" in text(browser, "#stale")


def test_the_page_speaks_chinese(browser: Chrome, unit: Feeder) -> None:
    show(browser, unit.server.address)
    browser.find_element(By.ID, "language").click()
    until(lambda: text(browser, "#verdict") == "运行正常")
    assert script(browser, "document.documentElement.lang") == "zh-CN"
    assert "交通参与者" in text(browser, "#facts")
    browser.refresh()
    until(lambda: text(browser, "#verdict") == "运行正常", 40)  # it remembers
    browser.find_element(By.ID, "language").click()
    until(lambda: text(browser, "#verdict") == "All well")


def test_it_fits_a_phone(browser: Chrome, unit: Feeder) -> None:
    show(browser, unit.server.address, PHONE)
    for tab in ("objects", "events", "cameras", "messages", "traffic", "health"):
        browser.execute_script(f"rsuPage.turnTo('{tab}')")
        wide = script(browser, "[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1] == PHONE[0], tab
    assert script(browser, "document.getElementById('map').clientHeight") > 300
    size(browser, *DESKTOP)
    until(lambda: script(browser, "innerWidth") == DESKTOP[0])
    assert script(browser, "document.documentElement.scrollHeight <= innerHeight")


def test_no_request_leaves_the_host(browser: Chrome, unit: Feeder) -> None:
    browser.get_log("performance")
    show(browser, unit.server.address)
    for tab in ("traffic", "messages", "cameras", "health"):
        browser.execute_script(f"rsuPage.turnTo('{tab}')")
    time_of = unit.server.address
    browser.execute_async_script(
        "const done = arguments[0]; import('/vendor/echarts/index.js').then(() => done())"
    )
    urls = set()
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            urls.add(message["params"]["request"]["url"])
        elif message["method"] == "Network.webSocketCreated":
            urls.add(message["params"]["url"])
    own = (time_of, time_of.replace("http", "ws"), "blob:", "data:")
    assert any(url.startswith("ws://127.0.0.1") for url in urls)
    assert any("echarts" in url for url in urls)
    assert [url for url in urls if not url.startswith(own)] == []


def test_the_page_breaks_none_of_its_own_rules(browser: Chrome, unit: Feeder) -> None:
    browser.get_log("browser")
    show(browser, unit.server.address)
    for tab in ("objects", "events", "cameras", "messages", "traffic", "health"):
        browser.execute_script(f"rsuPage.turnTo('{tab}')")
    wrong = [e for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]
    assert wrong == []


def test_the_site_file_is_checked_and_saved_in_the_browser(
    browser: Chrome, serve: Serve, tmp_path: Path
) -> None:
    # NiceGUI is one per process: this is the only test that opens its page.
    path = tmp_path / "site.yaml"
    path.write_text("site: {id: here, origin: {latitude: 31, longitude: 121}}\n", "utf-8")
    audit = AuditLog(tmp_path / "audit.jsonl")
    server = serve(WebOptions(), site_file=SiteFile(path, lambda: audit, may_change=True))
    open_page(browser, server.address + "config")
    until(lambda: browser.find_elements(By.CSS_SELECTOR, ".cm-content"), 60)

    def add(line: str) -> None:
        browser.find_element(By.CSS_SELECTOR, ".cm-content").click()
        keys = ActionChains(browser).key_down(Keys.CONTROL).send_keys(Keys.END)
        keys.key_up(Keys.CONTROL).send_keys(line).perform()

    def press(button: str) -> None:
        browser.find_element(By.ID, button).click()

    add("runtime: ")
    add("{stpo_s: 3}")
    press("save")
    until(lambda: "stop_s" in text(browser, "#told"), 40)
    assert "nothing was saved" in text(browser, "#told")
    assert "runtime" not in path.read_text("utf-8")
    for _ in "{stpo_s: 3}":
        add(Keys.BACKSPACE)
    add("{stop_s: 3}")
    press("save")
    until(lambda: "Saved" in text(browser, "#told"), 40)
    assert path.read_text("utf-8").endswith("runtime: {stop_s: 3}\n") or path.read_text(
        "utf-8"
    ).endswith("runtime: {stop_s: 3}")
    assert [line.action for line in audit.lines()] == ["site_file_saved"]


# --- a whole unit ---------------------------------------------------------------------------------

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


@pytest.mark.long  # 20 s of processor time: two starts of a unit
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
            until(lambda style=style: "grayscale(1)" in script(browser, style))  # it fades
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
