"""What takes minutes: kills again and again under load, and every trouble with the broker in turn.

The times that are printed (`-s`) are those of docs/faults.md.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rsu.recording.reader import read_messages
from rsu.schema.reports import Priority
from rsu.schema.topics import RADIO_REPORT, UPLINK_REPORT

pytestmark = [pytest.mark.long, pytest.mark.component, pytest.mark.timeout(1800)]

KILLS = int(os.environ.get("RSU_FAULT_KILLS", "25"))
PROCESSES = ("recorder", "radio:air", "uplink", "core", "camera:cam0", "camera:cam1")


def told(times: list[float]) -> str:
    return f"median {statistics.median(times):.2f} s, longest {max(times):.2f} s of {len(times)}"


def assert_no_id_twice(unit: Any, subscriber: Any) -> None:
    for name, bodies in subscriber.bodies().items():
        assert len(set(bodies)) == 1, f"{name} names two reports"
    reports = read_messages(unit.folder / "recordings", [RADIO_REPORT], allow_unfinished=True)
    names = Counter(
        (one.payload.frame_source, one.payload.frame_boot_ns, one.payload.frame_seq)
        for one in reports
    )
    assert names
    assert max(names.values()) == 1, "a frame was said twice"


def test_row_01_every_child_is_killed_again_and_again(live: Any, parts: Any) -> None:
    unit, _, subscriber = live
    for name in PROCESSES:
        times = []
        for _ in range(KILLS):
            status = unit.wait_for(parts.all_running, "all running")
            old = parts.processes(status)
            began = time.monotonic()
            os.kill(old[name]["pid"], signal.SIGKILL)
            new = parts.processes(
                unit.wait_for(
                    lambda status, old=old, name=name: (
                        parts.all_running(status)
                        and parts.processes(status)[name]["pid"] != old[name]["pid"]
                    ),
                    f"{name} back",
                )
            )
            times.append(time.monotonic() - began)
            assert {n for n in old if old[n]["pid"] != new[n]["pid"]} == {name}
            time.sleep(0.1)
        print(f"kill -9 {name:<12} {told(times)}, pause of 0.1 to 0.5 s included")
    unit.speaks_on()
    parts.wait_until(lambda: unit.metric("uplink", "uplink_queued") <= 2, 60.0)
    assert_no_id_twice(unit, subscriber)


def test_row_01_the_daemon_is_killed_again_and_again(live: Any, parts: Any) -> None:
    unit, _, subscriber = live
    times = []
    for _ in range(KILLS):
        unit.speaks_on(5)
        children = [process["pid"] for process in parts.processes(unit.status()).values()]
        unit.process.kill()
        unit.process.wait()
        parts.wait_until(
            lambda children=children: not any(Path(f"/proc/{p}").exists() for p in children), 30.0
        )
        with contextlib.closing(sqlite3.connect(unit.folder / "outbox.db")) as outbox:
            assert outbox.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        unit.notifications()
        times.append(unit.start())
    print(f"kill -9 daemon       {told(times)}, cold start to READY")
    unit.wait_for(parts.all_running, "all running")
    parts.wait_until(lambda: unit.metric("uplink", "uplink_queued") <= 2, 60.0)
    assert_no_id_twice(unit, subscriber)
    # A run may end before its first report.
    assert len({name.split("-")[1] for name in subscriber.bodies()}) > KILLS // 2


def test_row_11_every_trouble_with_the_broker_in_turn(
    make_unit: Any, make_broker: Any, subscribe: Any, parts: Any
) -> None:
    """Row 9 to 12 on one whole unit: what it reported arrives, its memory stays, and what it says
    on the air does not notice."""
    broker = make_broker()
    line = parts.SlowLine(broker.port, rate=8000.0, delay_s=0.5, cut_after=60_000)
    unit = make_unit(line.port)
    pause = threading.Event()

    def seen(what: str) -> tuple[float, float]:
        age = unit.metric("radio:air", "age_seconds", quantile="0.99", message="RSM")
        memory = sum(unit.metric(name, "resident_bytes") for name in PROCESSES) / 1e6
        queued = unit.metric("uplink", "uplink_queued")
        delivered = unit.metric("uplink", "uplink_delivered_total")
        print(f"{what:<34} p99 {age * 1e3:5.0f} ms, {memory:5.0f} MB, {queued:.0f} queued, "
              f"{delivered:.0f} delivered, {line.cuts} cuts", flush=True)  # fmt: skip
        return age, memory

    try:
        unit.start()
        pause.wait(20.0)
        seen("no broker at start")
        broker.start()
        subscriber = subscribe(broker.port)
        parts.wait_until(broker.saved_subscription)
        # It tries again within a minute.
        parts.wait_until(lambda: unit.metric("uplink", "uplink_delivered_total") > 0, 120.0)
        pause.wait(20.0)
        before = seen("slow line, 64 kbit/s, 1 s, cut")
        for _ in range(6):
            broker.kill()
            pause.wait(3.0)
            broker.start()
            pause.wait(7.0)
        seen("broker killed six times")
        broker.signal(signal.SIGSTOP)
        pause.wait(20.0)
        seen("half open for 20 s")
        broker.signal(signal.SIGCONT)
        settled_ns = time.time_ns()
        # What is queued need not take its time: a line of 8 kB/s carries hardly more than is made.
        line.rate, line.delay_s, line.cut_after = 1_000_000.0, 0.0, 1 << 40
        parts.wait_until(lambda: unit.metric("uplink", "uplink_queued") <= 10, 300.0, unit.status)
        after = seen("drained")
        assert unit.end() == 0
    finally:
        line.close()
    wanted = {
        message.payload.id
        for message in read_messages(unit.folder / "recordings", [UPLINK_REPORT])
        if message.header.publish_ns < settled_ns
        and message.payload.priority is not Priority.TELEMETRY
    }
    assert len(wanted) > 50
    assert wanted <= set(subscriber.bodies()), "reports were lost"
    assert after[1] < before[1] + 30.0, "memory grew"


def test_row_40_a_short_soak_meets_every_criterion(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tools/soak.py", "--minutes", "3"],
        cwd=root, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
