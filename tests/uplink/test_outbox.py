"""The outbox keeps its promises: order, quota, time to live, exact books, no crash on a bad disk.

Rounds of the writer are driven by hand (`work`) with a virtual clock wherever that suffices.
"""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rsu.schema.reports import Priority, UplinkReport
from rsu.schema.units import NS_PER_S, Instant
from rsu.uplink import outbox as outbox_module
from rsu.uplink.ballast import Ballast
from rsu.uplink.lanes import MAX_BODY_BYTES
from rsu.uplink.outbox import Outbox
from rsu.uplink.store import ROW_OVERHEAD, DropReason, OutboxStats

EVENT, STATE, TELEMETRY = Priority.EVENT, Priority.STATE, Priority.TELEMETRY


class Clock:
    """Virtual clocks; monotonic time goes on over restarts, which no outbox may rely on."""

    def __init__(self) -> None:
        self.utc_ns = 1_750_000_000 * NS_PER_S
        self.mono_ns = 5 * NS_PER_S

    def __call__(self) -> Instant:
        return Instant(self.utc_ns, self.mono_ns)

    def advance(self, seconds: float) -> None:
        self.utc_ns += int(seconds * NS_PER_S)
        self.mono_ns += int(seconds * NS_PER_S)


def report(
    name: str, priority: Priority = TELEMETRY, *, ttl_s: float = 3600.0, size: int = 100
) -> UplinkReport:
    body = (b'{"id":"%s"}' % name.encode()).ljust(size)
    return UplinkReport(id=name, subject="test", priority=priority, ttl_s=ttl_s, body=body)


def make(path: Path, clock: Clock, *, max_bytes: int = 1_000_000) -> Outbox:
    return Outbox(path, max_bytes=max_bytes, commit_s=0.1, clock=clock)


def balances(stats: OutboxStats) -> bool:
    return stats.produced == stats.delivered + stats.queued + sum(stats.dropped.values())


def drain(outbox: Outbox) -> list[str]:
    """Take and acknowledge everything; ids in the order they came."""
    names = []
    outbox.work()
    while taken := outbox.take(20, 1_000_000):
        for entry in taken:
            names.append(entry.id)
            outbox.ack(entry.seq)
        outbox.work()
    return names


def test_events_go_first_and_the_oldest_first(tmp_path: Path) -> None:
    outbox = make(tmp_path / "o.db", Clock())
    order = [("t1", TELEMETRY), ("s1", STATE), ("e1", EVENT), ("t2", TELEMETRY), ("e2", EVENT)]
    for name, priority in order:
        outbox.offer(report(name, priority))
    assert drain(outbox) == ["e1", "e2", "s1", "t1", "t2"]
    assert outbox.stats().delivered == 5
    assert outbox.close(1.0)


def test_an_event_overtakes_telemetry_that_was_read_ahead(tmp_path: Path) -> None:
    outbox = make(tmp_path / "o.db", Clock())
    for i in range(100):
        outbox.offer(report(f"t{i}"))
    outbox.work()
    outbox.offer(report("e", EVENT))
    outbox.work()
    assert outbox.take(1, 1_000_000)[0].id == "e"
    outbox.close(1.0)


def test_unacknowledged_entries_come_back_at_their_old_place_with_the_same_body(
    tmp_path: Path,
) -> None:
    outbox = make(tmp_path / "o.db", Clock())
    for name in ("a", "b", "c"):
        outbox.offer(report(name))
    outbox.work()
    first = outbox.take(2, 1_000_000)
    outbox.work()
    assert [e.id for e in outbox.take(9, 1_000_000)] == ["c"]
    outbox.release([e.seq for e in first])
    outbox.work()
    again = outbox.take(2, 1_000_000)
    assert again == first
    outbox.close(1.0)


def test_what_is_queued_survives_a_restart_and_so_do_the_totals(tmp_path: Path) -> None:
    clock = Clock()
    outbox = make(tmp_path / "o.db", clock)
    for i in range(10):
        outbox.offer(report(f"r{i}"))
    outbox.offer(report("huge", size=MAX_BODY_BYTES + 1))
    outbox.work()
    for entry in outbox.take(3, 1_000_000):
        outbox.ack(entry.seq)
    before = outbox.stats()
    assert outbox.close(1.0)

    again = make(tmp_path / "o.db", clock)
    again.work()
    after = again.stats()
    assert (after.produced, after.delivered, after.queued) == (11, 3, 7)
    assert after.dropped == before.dropped == {"oversize": 1}
    assert drain(again) == [f"r{i}" for i in range(3, 10)]
    again.close(1.0)


def test_a_refused_report_waits_and_does_not_hold_up_the_others(tmp_path: Path) -> None:
    clock = Clock()
    outbox = make(tmp_path / "o.db", clock)
    outbox.offer(report("no", EVENT))
    outbox.offer(report("yes"))
    outbox.work()
    outbox.refuse(outbox.take(1, 1)[0].seq)
    outbox.work()
    assert drain(outbox) == ["yes"]
    stats = outbox.stats()
    assert (stats.refused, stats.queued) == (1, 1)
    clock.advance(outbox_module.REFUSED_WAIT_S)
    assert drain(outbox) == ["no"]
    outbox.close(1.0)


def test_time_to_live_ends_in_the_queue_and_just_before_sending(tmp_path: Path) -> None:
    clock = Clock()
    outbox = make(tmp_path / "o.db", clock)
    outbox.offer(report("short", ttl_s=5))
    outbox.offer(report("long", ttl_s=50))
    outbox.work()
    clock.advance(5.0)
    assert [e.id for e in outbox.take(9, 1_000_000)] == ["long"]  # `short` was read ahead
    outbox.offer(report("short2", ttl_s=5))
    outbox.work()
    clock.advance(60.0)
    outbox.work()
    stats = outbox.stats()
    assert stats.dropped == {"expired": 2}
    assert stats.queued == stats.in_flight == 1  # `long` is out: its acknowledgement may come
    outbox.close(1.0)


@pytest.mark.parametrize("step_s", [-10 * 365 * 86_400, 10 * 365 * 86_400, -3600])
def test_a_stepping_wall_clock_expires_nothing(tmp_path: Path, step_s: int) -> None:
    clock = Clock()
    outbox = make(tmp_path / "o.db", clock)
    outbox.offer(report("a", ttl_s=60))
    outbox.work()
    clock.utc_ns += step_s * NS_PER_S
    outbox.offer(report("b", ttl_s=60))
    outbox.work()
    outbox.close(1.0)
    again = make(tmp_path / "o.db", clock)
    assert drain(again) == ["a", "b"]
    again.close(1.0)


def test_downtime_counts_towards_the_time_to_live(tmp_path: Path) -> None:
    clock = Clock()
    outbox = make(tmp_path / "o.db", clock)
    outbox.offer(report("a", ttl_s=60))
    outbox.offer(report("b", ttl_s=600))
    outbox.close(1.0)
    clock.utc_ns += 100 * NS_PER_S
    clock.mono_ns = 1  # a reboot
    again = make(tmp_path / "o.db", clock)
    assert drain(again) == ["b"]
    clock.advance(0.1)
    again.work()
    assert again.stats().dropped == {"expired": 1}
    again.close(1.0)


def test_the_quota_evicts_the_oldest_of_the_lowest_priority_and_counts_it(tmp_path: Path) -> None:
    one = len(report("x00").body) + 3 + 4 + ROW_OVERHEAD
    outbox = make(tmp_path / "o.db", Clock(), max_bytes=10 * one)
    for i in range(8):
        outbox.offer(report(f"t{i:02}"))
    for i in range(6):
        outbox.offer(report(f"e{i:02}", EVENT))
    outbox.work()
    stats = outbox.stats()
    assert (stats.dropped, stats.queued, stats.size) == ({"quota": 4}, 10, 10 * one)
    for i in range(6, 11):
        outbox.offer(report(f"e{i:02}", EVENT))
    outbox.work()
    assert drain(outbox) == [f"e{i:02}" for i in range(1, 11)]  # only events left: the oldest goes
    outbox.close(1.0)


def test_why_reports_were_dropped_survives_a_kill(tmp_path: Path) -> None:
    clock = Clock()
    outbox = make(tmp_path / "o.db", clock, max_bytes=1000)
    for i in range(20):
        outbox.offer(report(f"t{i:02}"))
    outbox.offer(report("e", EVENT, ttl_s=1))
    outbox.work()
    clock.advance(2.0)
    outbox.work()
    before = outbox.stats()
    assert before.dropped["quota"] > 0
    assert before.dropped["expired"] == 1
    outbox._store.close()  # as a kill leaves it
    again = make(tmp_path / "o.db", clock, max_bytes=1000)
    again.work()
    assert again.stats() == before
    again.close(1.0)


def test_the_file_stays_near_its_quota(tmp_path: Path) -> None:
    quota = 1_000_000
    path = tmp_path / "o.db"
    outbox = make(path, Clock(), max_bytes=quota)
    for round_ in range(20):
        for i in range(400):
            outbox.offer(report(f"{round_}-{i}", size=300 + 37 * (i % 20)))
        outbox.work()
    assert outbox.stats().size <= quota
    assert outbox.stats().dropped["quota"] > 0
    outbox.close(1.0)
    assert path.stat().st_size <= 1.5 * quota


def test_a_stalled_disk_costs_telemetry_before_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "HANDOVER_REPORTS", 10)
    outbox = make(tmp_path / "o.db", Clock())
    for i in range(8):
        outbox.offer(report(f"e{i}", EVENT))
    for i in range(8):
        outbox.offer(report(f"t{i}"))
    for i in range(8, 11):
        outbox.offer(report(f"e{i}", EVENT))
    assert outbox.stats().dropped == {"overflow": 9}  # all telemetry, and the oldest event
    assert drain(outbox) == [f"e{i}" for i in range(1, 11)]
    outbox.close(1.0)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (report("x", size=MAX_BODY_BYTES + 1), "oversize"),
        (UplinkReport(id="x", subject="a/#", priority=EVENT, ttl_s=1, body=b"{}"), "invalid"),
        (UplinkReport(id="x", subject="", priority=EVENT, ttl_s=1, body=b"{}"), "invalid"),
        (UplinkReport(id="x", subject="\ud800", priority=EVENT, ttl_s=1, body=b"{}"), "invalid"),
        (UplinkReport(id="x", subject="a", priority=EVENT, ttl_s=0, body=b"{}"), "invalid"),
        (UplinkReport(id="x", subject="a", priority=EVENT, ttl_s=math.nan, body=b""), "invalid"),
    ],
)  # fmt: skip
def test_a_report_that_cannot_be_sent_is_refused_at_the_door(
    tmp_path: Path, bad: UplinkReport, reason: str
) -> None:
    outbox = make(tmp_path / "o.db", Clock())
    outbox.offer(bad)
    outbox.work()
    stats = outbox.stats()
    assert (stats.dropped, stats.queued, stats.produced) == ({reason: 1}, 0, 1)
    outbox.close(1.0)
    outbox.offer(report("late"))
    assert outbox.stats().dropped == {reason: 1, "closed": 1}


# Damaged files


def filled(path: Path, count: int, clock: Clock) -> None:
    outbox = make(path, clock)
    for i in range(count):
        outbox.offer(report(f"r{i}", EVENT, size=2000))
    outbox.work()
    outbox.close(1.0)


@pytest.mark.parametrize("damage", ["header", "noise", "truncated", "foreign", "text"])
def test_a_corrupt_file_is_set_aside_and_a_fresh_one_opened(tmp_path: Path, damage: str) -> None:
    path, clock = tmp_path / "o.db", Clock()
    filled(path, 50, clock)
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[:16] = b"not a database!!"
    elif damage == "noise":
        for at in range(4096, len(data), 97):
            data[at] ^= 0xFF
    elif damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "text":
        data = bytearray(b"hello\n" * 1000)
    path.write_bytes(data)
    if damage == "foreign":
        path.unlink()
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE other(x)")
        connection.close()

    outbox = make(path, clock)
    outbox.offer(report("new", EVENT))
    outbox.work()
    stats = outbox.stats()
    assert stats.quarantined == (str(path) + ".corrupt-1",)
    assert Path(stats.quarantined[0]).exists()
    assert stats.degraded is None
    assert balances(stats)
    assert drain(outbox) == ["new"]
    outbox.close(1.0)
    again = make(path, clock)
    again.work()
    assert again.stats().quarantined == ()
    assert again.stats().delivered == stats.delivered + 1
    again.close(1.0)


def test_only_a_few_corrupt_files_are_kept(tmp_path: Path) -> None:
    path, clock = tmp_path / "o.db", Clock()
    for _ in range(7):
        path.write_bytes(b"rubbish" * 1000)
        outbox = make(path, clock)
        outbox.work()
        assert outbox.stats().degraded is None
        outbox.close(1.0)
    names = sorted(p.name for p in tmp_path.glob("*.corrupt-*"))
    assert names == [f"o.db.corrupt-{n}" for n in (4, 5, 6, 7)]


def test_a_flipped_byte_in_one_report_costs_that_report_only(tmp_path: Path) -> None:
    path, clock = tmp_path / "o.db", Clock()
    filled(path, 5, clock)
    data = path.read_bytes()
    assert data.count(b'{"id":"r2"}') == 1
    path.write_bytes(data.replace(b'{"id":"r2"}', b'{"id":"rX"}'))
    outbox = make(path, clock)
    assert drain(outbox) == ["r0", "r1", "r3", "r4"]
    outbox.work()
    stats = outbox.stats()
    assert (stats.dropped, stats.queued) == ({"corrupt": 1}, 0)
    assert balances(stats)
    outbox.close(1.0)


def test_a_file_that_turns_corrupt_while_open_loses_no_report_that_is_out(tmp_path: Path) -> None:
    path, clock = tmp_path / "o.db", Clock()
    outbox = make(path, clock, max_bytes=10_000_000)
    for i in range(1500):  # 6 MB: more than SQLite keeps in its cache
        outbox.offer(report(f"r{i}", EVENT, size=4000))
        if i % 500 == 499:
            outbox.work()
    outbox.close(1.0)
    outbox = make(path, clock, max_bytes=10_000_000)
    outbox.work()
    out = outbox.take(5, 1_000_000)
    outbox.ack(out[0].seq)
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    outbox.offer(report("new", EVENT))
    outbox.work()
    outbox.work()
    clock.advance(10.0)
    outbox.work()
    stats = outbox.stats()
    assert stats.quarantined
    assert stats.degraded is None
    assert balances(stats)
    assert stats.dropped["corrupt"] > 0
    outbox.release([entry.seq for entry in out[1:]])
    rest = drain(outbox)
    assert rest[:4] == ["r1", "r2", "r3", "r4"]
    assert rest[-1] == "new"
    assert balances(outbox.stats())
    assert outbox.stats().queued == 0
    outbox.close(1.0)


# Disks that refuse


def test_without_a_usable_folder_it_works_in_memory_and_moves_to_disk_later(tmp_path: Path) -> None:
    clock = Clock()
    folder = tmp_path / "var"
    path = folder / "o.db"
    filled(path, 3, clock)
    folder.rename(tmp_path / "away")
    folder.write_text("a file where the folder should be")
    outbox = make(path, clock)
    outbox.offer(report("m0", EVENT))
    outbox.offer(report("m1", EVENT))
    outbox.work()
    stats = outbox.stats()
    assert stats.degraded is not None
    assert str(folder) in stats.degraded
    assert stats.queued == 2
    (out,) = outbox.take(1, 1)
    folder.unlink()
    (tmp_path / "away").rename(folder)
    clock.advance(6.0)
    outbox.ack(out.seq)
    outbox.work()
    stats = outbox.stats()
    assert stats.degraded is None
    assert (stats.produced, stats.queued, stats.delivered) == (5, 4, 1)
    assert drain(outbox) == ["r0", "r1", "r2", "m1"]
    outbox.close(1.0)


def test_what_only_memory_held_at_the_stop_is_counted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outbox = make(tmp_path / "file" / "o.db", Clock())
    for i in range(3):
        outbox.offer(report(f"r{i}"))
    assert outbox.close(1.0)
    stats = outbox.stats()
    assert (stats.dropped, stats.queued, stats.produced) == ({"unsaved": 3}, 0, 3)


def test_a_second_owner_of_the_file_is_refused_until_the_first_leaves(tmp_path: Path) -> None:
    clock = Clock()
    first, second = make(tmp_path / "o.db", clock), make(tmp_path / "o.db", clock)
    first.offer(report("a"))
    first.work()
    second.offer(report("b"))
    second.work()
    assert "another process" in str(second.stats().degraded)
    first.close(1.0)
    clock.advance(6.0)
    assert drain(second) == ["a", "b"]
    second.close(1.0)


DISK_FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_outbox import Clock, report, make, drain, balances, EVENT
clock = Clock()
path = Path({path!r})
outbox = make(path, clock)
for i in range(50):
    outbox.offer(report(f"a{{i:03}}", EVENT, size=2000))
outbox.work()
outbox.take(3, 10**6)
limit = path.stat().st_size + (path.parent / (path.name + "-wal")).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
for i in range(50):
    outbox.offer(report(f"b{{i:03}}", EVENT, size=2000))
outbox.work()
stats = outbox.stats()
assert stats.degraded, stats
assert stats.queued == 100 and balances(stats), stats
assert stats.dropped == {{}}, stats
sent = [e.id for e in outbox.take(10, 10**6)]
assert sent == [f"a{{i:03}}" for i in range(3, 13)], sent
for seq in list(outbox._in_flight)[3:]:
    outbox.ack(seq)
clock.advance(6.0)
outbox.work()
assert outbox.stats().degraded, "still full"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
clock.advance(6.0)
outbox.work()
stats = outbox.stats()
assert stats.degraded is None and stats.queued == 90 and stats.delivered == 10, stats
outbox.close(1.0)
again = make(path, clock)
rest = drain(again)
assert rest == ["a000", "a001", "a002"] + [f"a{{i:03}}" for i in range(13, 50)] + [
    f"b{{i:03}}" for i in range(50)], rest
assert balances(again.stats()) and again.stats().delivered == 100
again.close(1.0)
print("recovered")
"""


def test_a_full_disk_is_survived_without_loss_and_without_a_restart(
    tmp_path: Path, root: Path
) -> None:
    script = DISK_FULL.format(folder=str(Path(__file__).parent), path=str(tmp_path / "o.db"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=root, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "recovered" in done.stdout


# With its thread


def test_the_writer_thread_commits_and_tells_when_there_is_something_to_send(
    tmp_path: Path,
) -> None:
    ready = threading.Event()
    outbox = Outbox(tmp_path / "o.db", max_bytes=1_000_000, commit_s=0.02)
    outbox.start(ready.set)
    for i in range(500):
        outbox.offer(report(f"r{i}"))
    names: list[str] = []
    while len(names) < 500:
        assert ready.wait(10.0), outbox.stats()
        ready.clear()
        while taken := outbox.take(20, 1_000_000):
            for entry in taken:
                names.append(entry.id)
                outbox.ack(entry.seq)
    assert names == [f"r{i}" for i in range(500)]
    assert outbox.close(10.0)
    stats = outbox.stats()
    assert (stats.delivered, stats.queued, stats.dropped) == (500, 0, {})


# The books, under anything


class Books(RuleBasedStateMachine):
    """Whatever happens, produced = delivered + queued + dropped, and each report has one fate."""

    @initialize(quota=st.sampled_from([3_000, 1_000_000]))
    def begin(self, quota: int) -> None:
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "o.db"
        self.clock = Clock()
        self.quota = quota
        self.outbox = make(self.path, self.clock, max_bytes=quota)
        self.out: list[tuple[int, str]] = []
        self.count = 0
        self.queued: set[str] = set()  # model: may still be delivered
        self.committed: set[str] = set()
        self.saved: OutboxStats | None = None

    @rule(
        priority=st.sampled_from(Priority),
        ttl_s=st.sampled_from([1.0, 30.0, 10_000.0]),
        size=st.sampled_from([20, 400, MAX_BODY_BYTES + 1]),
    )
    def offer(self, priority: Priority, ttl_s: float, size: int) -> None:
        name = f"r{self.count}"
        self.count += 1
        self.outbox.offer(report(name, priority, ttl_s=ttl_s, size=size))
        if size <= MAX_BODY_BYTES:
            self.queued.add(name)

    @rule(count=st.integers(1, 5))
    def take(self, count: int) -> None:
        for entry in self.outbox.take(count, 10_000):
            assert entry.id in self.queued, "came twice or after its end"
            assert entry.body.startswith(b'{"id":"%s"}' % entry.id.encode())
            self.queued.discard(entry.id)
            self.out.append((entry.seq, entry.id))

    @precondition(lambda self: self.out)
    @rule()
    def ack(self) -> None:
        self.outbox.ack(self.out.pop(0)[0])

    @precondition(lambda self: self.out)
    @rule()
    def discard(self) -> None:
        self.outbox.discard(self.out.pop()[0], DropReason.OVERSIZE)

    @precondition(lambda self: self.out)
    @rule()
    def release(self) -> None:
        self.outbox.release([seq for seq, _ in self.out])
        self.queued.update(name for _, name in self.out)
        self.out.clear()

    @precondition(lambda self: self.out)
    @rule()
    def refuse(self) -> None:
        seq, name = self.out.pop()
        self.outbox.refuse(seq)
        self.queued.add(name)

    @rule(seconds=st.sampled_from([0.1, 2.0, 40.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def commit(self) -> None:
        self.outbox.work()
        self.committed = {*self.queued, *(name for _, name in self.out)}
        self.saved = self.outbox.stats()

    def reopen(self) -> None:
        """A new process on the same file: its books are those that were saved."""
        self.outbox = make(self.path, self.clock, max_bytes=self.quota)
        self.outbox.work()
        self.out.clear()
        if self.saved is not None:
            now, then = self.outbox.stats(), self.saved
            assert (now.produced, now.delivered) == (then.produced, then.delivered)
            assert now.dropped.get("oversize") == then.dropped.get("oversize")
            for reason in ("expired", "quota"):  # the first round may have added some
                assert now.dropped.get(reason, 0) >= then.dropped.get(reason, 0)
            assert "corrupt" not in now.dropped  # nothing had to be made up to balance

    @rule()
    def restart(self) -> None:
        self.queued.update(name for _, name in self.out)
        self.outbox.close(1.0)
        self.saved = self.outbox.stats()
        self.committed = set(self.queued)
        self.reopen()

    @rule()
    def kill(self) -> None:
        """The process dies: nothing after the last commit has happened for the file."""
        self.outbox._store.close()
        # What was acknowledged since may come again: at least once.
        self.queued |= self.committed
        self.reopen()

    @precondition(lambda self: not self.out)
    @rule()
    def drain(self) -> None:
        self.clock.advance(outbox_module.REFUSED_WAIT_S + 1.0)
        names = drain(self.outbox)
        assert len(names) == len(set(names))
        assert set(names) <= self.queued
        self.queued.clear()
        assert self.outbox.stats().queued == 0
        self.commit()

    @invariant()
    def books_balance(self) -> None:
        if hasattr(self, "outbox"):
            stats = self.outbox.stats()
            assert balances(stats), stats
            assert stats.queued >= 0
            assert stats.in_flight == len(self.out)

    def teardown(self) -> None:
        if hasattr(self, "outbox"):
            self.outbox.close(1.0)
            assert balances(self.outbox.stats())
            self.outbox._store.close()
            self.folder.cleanup()


Books.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestBooks = Books.TestCase


# Present and past


def test_a_backlog_neither_delays_the_present_nor_goes_faster_than_asked(tmp_path: Path) -> None:
    clock = Clock()
    outbox = make(tmp_path / "o.db", clock)
    for i in range(100):
        outbox.offer(report(f"old-{'tse'[i % 3]}{i}", (TELEMETRY, STATE, EVENT)[i % 3]))
    outbox.work()
    clock.advance(60.0)
    outbox.offer(report("now-t"))
    outbox.offer(report("now-s", STATE))
    outbox.offer(report("now-e", EVENT))
    outbox.work()
    taken = [e.id for e in outbox.take(20, 1_000_000, backlog=2)]
    assert taken == ["now-e", "old-e2", "old-e5", "now-s", "now-t"]
    assert outbox.backlog_waits()
    assert [e.id for e in outbox.take(20, 1_000_000, backlog=0)] == []
    # What was the present a minute ago has joined the backlog at its place.
    outbox.offer(report("later-e", EVENT))
    clock.advance(60.0)
    outbox.offer(report("last-t"))
    outbox.work()
    taken = [e.id for e in outbox.take(200, 1_000_000, backlog=200)]
    events = [name for name in taken if "-e" in name]
    assert events == [f"old-e{i}" for i in range(8, 100, 3)] + ["later-e"]
    assert taken[len(events)] == "last-t"
    # The rest of what was read ahead.
    rest = [name[:5] for name in taken[len(events) + 1 :]]
    assert rest == ["old-s"] * 33 + ["old-t"] * (outbox_module.READY_ENTRIES - 33)
    outbox.close(1.0)


def test_what_an_earlier_run_left_is_backlog(tmp_path: Path) -> None:
    clock = Clock()
    outbox = make(tmp_path / "o.db", clock)
    outbox.offer(report("earlier", EVENT))
    outbox.work()
    outbox.close(1.0)
    again = make(tmp_path / "o.db", clock)
    again.offer(report("now"))
    again.work()
    assert [e.id for e in again.take(9, 1_000_000, backlog=0)] == ["now"]
    assert [e.id for e in again.take(9, 1_000_000, backlog=1)] == ["earlier"]
    again.close(1.0)


# Space kept back


def test_the_ballast_is_held_given_away_and_made_again(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "b", 100_000)
    assert not ballast.held
    assert not ballast.release()
    ballast.hold()
    assert ballast.held
    assert (tmp_path / "b").stat().st_blocks * 512 >= 100_000  # real blocks, not a hole
    assert ballast.release()
    assert not (tmp_path / "b").exists()
    huge = Ballast(tmp_path / "huge", 10**15)
    huge.hold()  # no room: no file, no error
    assert not huge.held
    assert not (tmp_path / "huge").exists()
    Ballast(tmp_path / "missing" / "b", 1000).hold()
    none = Ballast(tmp_path / "none", 0)
    none.hold()
    assert not (tmp_path / "none").exists()


FULL_TMPFS = """
import os, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_outbox import Clock, report, drain, balances, EVENT
from rsu.uplink.outbox import Outbox
clock = Clock()
disk = Path({disk!r})
outbox = Outbox(disk / "o.db", max_bytes=10**8, commit_s=0.1, clock=clock, ballast_bytes=1_000_000)
outbox.offer(report("first", EVENT))
outbox.work()
assert outbox._ballast.held
with (disk / "filler").open("wb", buffering=0) as filler:  # others fill the disk
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
for i in range(100):
    outbox.offer(report(f"e{{i:03}}", EVENT, size=2000))
outbox.work()
stats = outbox.stats()
assert stats.degraded is None and stats.queued == 101 and balances(stats), stats
assert not outbox._ballast.held
os.unlink(disk / "filler")
clock.advance(61.0)
outbox.work()
assert outbox._ballast.held
assert outbox.close(1.0)
again = Outbox(disk / "o.db", max_bytes=10**8, commit_s=0.1, clock=clock)
assert drain(again) == ["first"] + [f"e{{i:03}}" for i in range(100)]
again.close(1.0)
print("kept")
"""


def test_events_go_on_disk_when_others_have_filled_it(tmp_path: Path, root: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / "script.py").write_text(
        FULL_TMPFS.format(folder=str(Path(__file__).parent), disk=str(disk))
    )
    command = f"mount -t tmpfs -o size=4m tmpfs {disk} && exec {sys.executable} -W error "
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
         command + str(tmp_path / "script.py")],
        cwd=root, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no name space with a disk of its own here: {done.stderr.strip()[:200]}")
    assert done.returncode == 0, done.stderr
    assert "kept" in done.stdout
