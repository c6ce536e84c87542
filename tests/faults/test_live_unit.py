"""Faults put into one running unit of several processes; after each it is whole again.

One unit serves the whole file, so every test leaves it as it found it: all processes running, the
broker up. Kill times are reported by `tools/measure_live.py --kill` and the long tests.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from rsu.recording.reader import read_messages
from rsu.schema.topics import RADIO_REPORT

pytestmark = [pytest.mark.component, pytest.mark.timeout(180)]

NS_PER_S = 1_000_000_000


def test_row_09_without_a_broker_at_start_the_unit_is_ready(live: Any, parts: Any) -> None:
    unit, broker, _ = live  # the fixture has started it without a broker
    first = next(line for line in unit.log() if line["event"] == "unit ready")
    came = [line for line in unit.log() if line["event"] == "uplink connected"]
    broker.kill()
    parts.wait_until(lambda: unit.metric("uplink", "uplink_connected") == 0, 60.0)
    assert all(line["timestamp"] > first["timestamp"] for line in came), "there was a broker"
    queued = unit.metric("uplink", "uplink_queued")
    parts.wait_until(lambda: unit.metric("uplink", "uplink_queued") >= queued + 3, 60.0)
    unit.speaks_on()
    broker.start()
    parts.wait_until(lambda: unit.metric("uplink", "uplink_queued") <= 2, 60.0, unit.status)
    assert parts.all_running(unit.status())


def test_row_03_a_full_disk_costs_nothing_on_the_air_and_is_over_by_itself(
    live: Any, parts: Any
) -> None:
    unit, _, subscriber = live
    writers = [unit.pid(name) for name in ("uplink", "recorder")]
    before = [parts.limit(pid, resource.RLIMIT_FSIZE, 0) for pid in writers]
    try:
        parts.wait_until(lambda: any("works in memory" in x["event"] for x in unit.log()), 30.0)
        unit.speaks_on(20)
        told = len(subscriber.bodies())
        parts.wait_until(lambda: len(subscriber.bodies()) >= told + 5, 30.0, "reports go on")
        assert parts.all_running(unit.status())
    finally:
        for pid, was in zip(writers, before, strict=True):
            parts.limit(pid, resource.RLIMIT_FSIZE, was[0])
    opened = sum("uplink outbox open" in line["event"] for line in unit.log())
    parts.wait_until(
        lambda: sum("uplink outbox open" in line["event"] for line in unit.log()) > opened, 30.0
    )
    kept = unit.metric("recorder", "recorded_messages_total")
    parts.wait_until(
        lambda: unit.metric("recorder", "recorded_messages_total") > kept + 20, 30.0, "recording"
    )
    assert [unit.pid(name) for name in ("uplink", "recorder")] == writers, "one was restarted"


def test_row_06_what_goes_on_the_air_does_not_wait_for_a_stuck_disk(live: Any, parts: Any) -> None:
    unit, _, _ = live
    stuck = [unit.pid(name) for name in ("uplink", "recorder")]
    lost = unit.metric("core", "bus_dropped_total")
    for pid in stuck:  # as a process waits in the kernel for its disk
        os.kill(pid, signal.SIGSTOP)
    try:
        unit.speaks_on(10)
    finally:
        for pid in stuck:
            with contextlib.suppress(ProcessLookupError):  # stuck for so long that it was replaced
                os.kill(pid, signal.SIGCONT)
    unit.wait_for(parts.all_running, "all running")
    assert unit.metric("core", "bus_dropped_total") == lost


def test_row_26_a_crashed_camera_comes_back_alone(live: Any, parts: Any) -> None:
    unit, _, _ = live
    before = parts.processes(unit.status())
    os.kill(before["camera:cam0"]["pid"], signal.SIGSEGV)
    after = parts.processes(
        unit.wait_for(
            lambda status: (
                parts.all_running(status)
                and parts.processes(status)["camera:cam0"]["pid"] != before["camera:cam0"]["pid"]
            ),
            "the camera back",
        )
    )
    assert {n for n in before if before[n]["pid"] != after[n]["pid"]} == {"camera:cam0"}
    died = [line for line in unit.log() if line["event"] == "died"][-1]
    assert (died["child"], died["how"]) == ("camera:cam0", "killed by SIGSEGV")


def test_row_27_a_hanging_core_starves_the_watchdog_and_is_replaced(live: Any, parts: Any) -> None:
    unit, _, _ = live
    old = unit.pid("core")
    unit.notifications()
    parts.wait_until(lambda: "WATCHDOG=1" in unit.notifications(), 30.0, "a fed watchdog")
    os.kill(old, signal.SIGSTOP)
    unit.wait_for(
        lambda status: parts.processes(status)["core"]["pid"] not in (None, old), "another core"
    )
    unit.notifications()
    unit.wait_for(parts.all_running, "all running")
    parts.wait_until(lambda: "WATCHDOG=1" in unit.notifications(), 30.0, "a watchdog fed again")
    died = [line for line in unit.log() if line["event"] == "died"][-1]
    assert died["child"] == "core"
    assert died["how"].startswith("no heartbeat for 3 s")
    unit.speaks_on()


def test_row_28_what_waited_too_long_for_its_turn_is_not_said(live: Any, parts: Any) -> None:
    unit, _, _ = live
    radio = unit.pid("radio:air")
    stale = unit.metric("radio:air", "radio_dropped_total", reason="stale_at_radio")
    os.kill(radio, signal.SIGSTOP)  # no CPU for it
    try:
        unit.speaks_on(15)
    finally:
        os.kill(radio, signal.SIGCONT)
    parts.wait_until(
        lambda: (
            unit.metric("radio:air", "radio_dropped_total", reason="stale_at_radio") >= stale + 5
        ),
        30.0,
    )
    unit.speaks_on()
    assert unit.pid("radio:air") == radio
    unit.wait_for(parts.all_running, "all running")


def test_row_35_without_its_radio_everything_else_goes_on(live: Any, parts: Any) -> None:
    unit, _, subscriber = live

    def failed() -> float:
        return sum(
            unit.metric("radio:air", "radio_dropped_total", reason=reason)
            for reason in ("radio_error", "radio_closed")
        )

    lost, told = failed(), len(subscriber.bodies())
    unit.close_ear()  # nobody listens: the datagram is refused
    try:
        parts.wait_until(lambda: failed() > lost + 3, 30.0, unit.status)
        parts.wait_until(lambda: len(subscriber.bodies()) > told + 5, 30.0, "reports go on")
        assert parts.all_running(unit.status())
        assert any(line["event"] == "radio" and line["problem"] for line in unit.log())
    finally:
        unit.open_ear()
    heard = len(unit.heard)
    unit.wait_for(lambda _: len(unit.heard) > heard + 5, "heard again")


def test_row_01_a_killed_daemon_starts_again_and_uses_no_id_twice(live: Any, parts: Any) -> None:
    unit, _, subscriber = live
    children = [process["pid"] for process in parts.processes(unit.status()).values()]
    known = set(subscriber.bodies())
    assert len(known) > 20
    unit.process.kill()
    unit.process.wait()
    parts.wait_until(
        lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), 30.0, "orphans"
    )
    with contextlib.closing(sqlite3.connect(unit.folder / "outbox.db")) as outbox:
        assert outbox.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    unit.notifications()
    killed_ns = time.time_ns()
    took = unit.start()
    print(f"ready again after {took:.1f} s")
    before = len(subscriber.bodies())
    parts.wait_until(lambda: len(subscriber.bodies()) > before + 10, 60.0, "reports")
    for name, bodies in subscriber.bodies().items():
        assert len(set(bodies)) == 1, f"{name} names two reports"
    boots = {name.split("-")[1] for name in subscriber.bodies()}
    assert any(int(boot) > killed_ns for boot in boots)
    reports = read_messages(unit.folder / "recordings", [RADIO_REPORT], allow_unfinished=True)
    said = [report.payload for report in reports]
    assert said
    # Row 28 over the whole life of this unit: nothing old ever went on the air.
    assert max(one.age_ns for one in said if one.error is None) <= 0.5 * NS_PER_S
    names = [(one.frame_source, one.frame_boot_ns, one.frame_seq) for one in said]
    assert len(names) == len(set(names)), "a frame was said twice"
