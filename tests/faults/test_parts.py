"""Faults of single parts: files cut or written by others, limits of the process, the bus, GNSS."""

from __future__ import annotations

import contextlib
import hashlib
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rsu.config.load import load_site
from rsu.runtime import graph
from rsu.runtime.bus import BusClient, BusHub
from rsu.runtime.lockstep import LockStepHost, TimedMessage, virtual_boot
from rsu.schema.message import Message
from rsu.schema.reports import Priority, UplinkReport
from rsu.schema.topics import GNSS_FIX, UPLINK_REPORT, V2X_TX
from rsu.schema.units import NS_PER_S, Instant
from rsu.sim.source import simulated_messages
from rsu.uplink.outbox import Outbox


def report(name: str, size: int = 200) -> UplinkReport:
    return UplinkReport(
        id=name, subject="test", priority=Priority.EVENT, ttl_s=3600.0, body=b" " * size
    )


def clock() -> Instant:
    return Instant(1_750_000_000 * NS_PER_S, 5 * NS_PER_S)


def outbox(path: Path) -> Outbox:
    return Outbox(path, max_bytes=1_000_000, commit_s=0.1, clock=clock)


def queued(box: Outbox) -> list[str]:
    """Ids of everything that a freshly opened outbox holds."""
    names: list[str] = []
    box.work()
    while taken := box.take(64, 1_000_000):
        names += [entry.id for entry in taken]
        for entry in taken:
            box.ack(entry.seq)
        box.work()
    return names


def test_row_02_an_outbox_whose_log_was_cut_anywhere_keeps_what_was_committed(
    tmp_path: Path,
) -> None:
    """A power cut leaves the database and a prefix of its write-ahead log, at least as far as it
    was made durable; here every prefix is tried in steps."""
    path, log = tmp_path / "o.db", tmp_path / "o.db-wal"
    box = outbox(path)
    box.work()
    durable: list[tuple[int, int]] = []
    for number in range(30):
        box.offer(report(f"e{number:02}"))
        box.work()
        durable.append((log.stat().st_size, number + 1))
    copy = tmp_path / "copy"
    copy.mkdir()
    whole, database = log.read_bytes(), path.read_bytes()
    assert box.close(1.0)
    seen = set()
    for cut in range(0, len(whole) + 1, len(whole) // 25 - 3):
        (copy / "o.db").write_bytes(database)
        (copy / "o.db-wal").write_bytes(whole[:cut])
        again = outbox(copy / "o.db")
        names = queued(again)
        assert again.stats().quarantined == ()
        assert names == [f"e{number:02}" for number in range(len(names))]
        assert len(names) >= max((count for size, count in durable if size <= cut), default=0)
        seen.add(len(names))
        assert again.close(1.0)
        shutil.rmtree(copy)
        copy.mkdir()
    assert len(seen) > 10, "the cuts hit hardly anything"


def test_row_38_an_older_version_sets_a_newer_outbox_aside_and_starts(tmp_path: Path) -> None:
    path = tmp_path / "o.db"
    box = outbox(path)
    box.offer(report("kept"))
    assert box.close(1.0)
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    again = outbox(path)
    again.work()
    again.offer(report("new"))
    assert queued(again) == ["new"]
    (aside,) = again.stats().quarantined
    with contextlib.closing(sqlite3.connect(aside)) as kept:  # whole, for the newer version
        assert kept.execute("SELECT id FROM reports").fetchall() == [(b"kept",)]
    assert again.close(1.0)


@pytest.mark.component
@pytest.mark.parametrize("damage", ["cut", "calibration"])
def test_row_08_a_damaged_site_file_is_refused_with_its_place(
    root: Path, tmp_path: Path, damage: str
) -> None:
    site = tmp_path / "site.yaml"
    text = (root / "configs" / "parking-aisle.yaml").read_text(encoding="utf-8")
    if damage == "cut":
        site.write_bytes(text.encode()[: text.index("calibration:") + 20])
    else:  # a sign too many: the camera looks at the sky
        assert "tilt: 41.2" in text
        site.write_text(text.replace("tilt: 41.2", "tilt: -41.2"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "rsu.cli", "run", str(site)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"{site}:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.component
@pytest.mark.timeout(180)
def test_row_05_without_any_writable_folder_the_unit_speaks_and_does_not_crash(
    make_unit: Any, parts: Any
) -> None:
    """/proc takes no folder from anybody, not even from root."""
    unit = make_unit(parts.free_tcp_port(), outbox="/proc/rsu/o.db", recordings="/proc/rsu/kept")
    unit.start()
    unit.speaks_on(20)
    status = unit.status()
    assert parts.all_running(status)
    assert {one["restarts"] for one in parts.processes(status).values()} == {0}
    assert any("works in memory" in line["event"] for line in unit.log())
    parts.wait_until(lambda: unit.metric("uplink", "uplink_queued") >= 3, 30.0)
    assert unit.metric("recorder", "recording_dropped_total") > 0
    assert unit.end() == 0


@pytest.mark.component
def test_row_30_too_few_file_descriptors_are_a_clear_refusal(make_unit: Any, parts: Any) -> None:
    unit = make_unit(parts.free_tcp_port())
    done = subprocess.run(
        ["prlimit", "--nofile=64", sys.executable, "-m", "rsu.cli", "run", str(unit.site)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "only 64 file descriptors are allowed" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


# The bus

BODY_BYTES = 8_000
"""A track list of some 30 road users: what the bound of the queue is chosen for."""

SLEEPER = """
import sys
from pathlib import Path
from rsu.runtime.bus import BusClient
from rsu.schema.topics import UPLINK_REPORT
bus = BusClient(Path(sys.argv[1]), (UPLINK_REPORT,))
bus.open(20.0)
print("asleep", flush=True)
sys.stdin.readline()
newest = -1
while newest < int(sys.argv[2]):
    for message in bus.receive(1.0):
        newest = message.header.seq
print(newest, bus.lost, flush=True)
bus.close()
"""


def message_of(number: int) -> Message:
    draft = Message.draft(UPLINK_REPORT, "test", 0, report(f"r{number}", BODY_BYTES))
    return draft.stamped(1, number, 0)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@pytest.mark.component
def test_row_31_a_sleeping_subscriber_costs_bounded_memory_and_gets_the_newest(
    parts: Any, short_folder: Path
) -> None:
    hub = BusHub(short_folder)
    hub.start()
    publisher = BusClient(short_folder)
    publisher.open()
    count = 3000
    for number in range(500):  # to nobody: buffers that are there anyway grow to their size
        publisher.publish(message_of(number))
    parts.wait_until(lambda: hub.forwarded == 500, 10.0)
    earlier = hub.forwarded
    command = [sys.executable, "-c", SLEEPER, str(short_folder), str(count)]
    try:
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as sleeper:
            assert sleeper.stdin is not None
            assert sleeper.stdout is not None
            try:
                assert sleeper.stdout.readline().strip() == "asleep"

                def publish(number: int) -> None:
                    publisher.publish(message_of(number))
                    if number % 100 == 0:  # at the pace of the hub: only the sleeper is slow
                        parts.wait_until(lambda: hub.forwarded > earlier + number, 10.0)

                before = resident_bytes()
                largest = 0
                for number in range(count):
                    publish(number)
                    largest = max(largest, resident_bytes() - before)
                sleeper.stdin.write("\n")
                sleeper.stdin.flush()
                number = count
                while sleeper.poll() is None and not _says(sleeper, 0.02):
                    publish(number)
                    number += 1
                newest, lost = map(int, sleeper.stdout.readline().split())
            finally:
                sleeper.kill()
    finally:
        publisher.close()
        hub.stop()
    print(f"grew by {largest / 2**20:.1f} MiB; {lost} of {count} lost and counted")
    assert largest <= 10 * 2**20
    assert publisher.dropped == 0
    assert newest >= count
    assert lost > 0, "the queue was not even full"


def _says(process: subprocess.Popen[str], wait_s: float) -> bool:
    import select

    return bool(select.select([process.stdout], [], [], wait_s)[0])


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Socket paths are limited to 107 octets."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="rsu-f") as folder:
        yield Path(folder)


# GNSS


def played(root: Path, change: Callable[[TimedMessage], TimedMessage | None]) -> str:
    """Digest of everything said in some seconds of the junction."""
    config, base = load_site(root / "configs" / "junction.yaml"), root / "configs"
    start_ns = 1_767_225_600 * NS_PER_S
    boot = virtual_boot(start_ns)
    said = hashlib.sha256()

    def sink(message: Message) -> None:
        if message.topic == V2X_TX:
            said.update(message.payload.payload)

    def changed(source: Iterable[TimedMessage]) -> Iterator[TimedMessage]:
        for timed in source:
            after = change(timed)
            if after is not None:
                yield after

    host = LockStepHost(
        [graph.core_builder(config, base)(boot)], sink, boot, sensors=graph.sensors_of(config)
    )
    host.run(
        changed(simulated_messages(config, base, 1, start_ns, 3 * NS_PER_S, cameras="modelled"))
    )
    return said.hexdigest()


def test_row_25_a_receiver_that_jumps_by_a_kilometre_moves_nothing_on_the_air(root: Path) -> None:
    """The position of the site file holds: a fixed unit does not follow its receiver."""
    fixes = 0

    def jumped(timed: TimedMessage) -> TimedMessage:
        nonlocal fixes
        arrival, message = timed
        if message.topic != GNSS_FIX:
            return timed
        fixes += 1
        moved = msgspec.structs.replace(message.payload, latitude=message.payload.latitude + 0.009)
        return arrival, Message(message.topic, message.header, moved)

    without = played(root, lambda timed: None if timed[1].topic == GNSS_FIX else timed)
    assert played(root, jumped) == without
    assert fixes > 0
