"""Durable store-and-forward: reports go in, wait on disk in order, and leave when acknowledged.

`offer` hands a report over in memory and never waits. One writer thread owns the store: every
`commit_s` it adds what was handed over, removes what was acknowledged, drops what outlived its
`ttl_s`, and evicts beyond the quota (oldest of the lowest priority first). `take` gives the session
entries in sending order (events first; of a kind the oldest first); each must come back by `ack`,
`release`, `refuse` or `discard`. At least once: an entry leaves the disk only after its
acknowledgement.

The books always balance: produced = delivered + queued + dropped{reason}. Totals are saved in the
same transaction as the rows they describe, so they balance after a kill as well; what was handed
over but not yet committed at a kill is neither stored nor counted (at most `commit_s` of reports).

Where the disk refuses (full, read-only, unwritable) everything goes on in memory, `degraded` says
why, and every `retry_s` the outbox tries to move back. A corrupt file is renamed and a new one
started; `quarantined` names it.

What was offered within the last seconds is *fresh*, the rest is *backlog*. `take` gives fresh
entries whatever waits behind them, and of the backlog only what the session asks for: so a long
outage is caught up with without delaying the present.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from rsu.schema.reports import Priority, UplinkReport
from rsu.schema.units import NS_PER_S, Instant
from rsu.uplink.ballast import Ballast
from rsu.uplink.lanes import LANES, Freshness, Lane, refusal_of
from rsu.uplink.store import (
    DropReason,
    Entry,
    Ledger,
    OutboxStats,
    Store,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    quarantine,
)

HANDOVER_REPORTS = 4096
HANDOVER_BYTES = 4_000_000
"""Bounds of what waits in memory for the disk: at 100 reports/s, 40 s of a stalled disk."""
READY_ENTRIES = 64
"""Entries read ahead for the session: three in-flight windows."""
BALLAST_NS = 60 * NS_PER_S  # how often there may be a new ballast
BATCH_CHANGES = 512
"""A commit does not wait for `commit_s` once this many changes are due."""
SWEEP_NS = NS_PER_S  # how often time to live and deferrals are looked at: ttl are seconds
REFUSED_WAIT_S = 30.0
"""A report the broker refused is offered again after this long, until its time to live ends."""

_log = structlog.get_logger()


def read_clocks() -> Instant:
    """Both clocks now."""
    return Instant(time.time_ns(), time.monotonic_ns())


@dataclass(slots=True)
class _Batch:
    """Changes on their way to the store; kept until a transaction with them succeeds."""

    inserts: list[Entry] = field(default_factory=list)
    removals: list[int] = field(default_factory=list)
    deferrals: dict[int, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.inserts or self.removals or self.deferrals)


class Outbox:
    """The queue. All public methods but `work` may be called from any thread."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        commit_s: float,
        retry_s: float = 5.0,  # fault row 3: recovers by itself, alarm within 10 s
        ballast_bytes: int = 0,
        clock: Callable[[], Instant] = read_clocks,
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._commit_ns = int(commit_s * NS_PER_S)
        self._retry_ns = int(retry_s * NS_PER_S)
        self._ballast = Ballast(path.with_name(path.name + ".ballast"), ballast_bytes)
        self._ballast_at_ns = 0
        self._clock = clock
        start = clock()
        # The outbox clock: UTC at the start, monotonic from there, so that a stepping wall clock
        # expires nothing (fault row 17).
        self._offset_ns = start.utc_ns - start.mono_ns
        self._changed = threading.Condition()
        # Guarded by _changed:
        self._handover: dict[Priority, deque[Entry]] = {p: deque() for p in Priority}
        self._handover_reports = self._handover_bytes = 0
        self._first_change_ns: int | None = None
        self._done: list[int] = []
        self._deferred: dict[int, int] = {}
        self._in_flight: dict[int, Entry] = {}
        self._ready: dict[Lane, deque[Entry]] = {lane: deque() for lane in LANES}
        self._fresh = Freshness()
        self._more: set[Lane] = set()
        self._want_refill = False
        self._ledger = Ledger()
        self._stored = self._stored_bytes = 0
        self._first_seq = self._next_seq = start.utc_ns  # after all earlier runs
        self._refused = 0
        self._degraded: str | None = "not opened yet"
        self._quarantined: list[str] = []
        self._closing = self._closed = False
        self._on_ready: Callable[[], None] = _nothing
        # The writer's own:
        self._store = Store.in_memory()
        self._batch = _Batch()
        self._saved: Ledger | None = Ledger()  # totals of exactly the rows in `_store`
        self._on_disk = self._adopted = False
        self._retry_at_ns = self._sweep_at_ns = start.mono_ns
        self._thread: threading.Thread | None = None

    # For everybody

    def start(self, on_ready: Callable[[], None] | None = None) -> None:
        """Start the writer thread; `on_ready` is called from it when `take` will find something."""
        if on_ready is not None:
            self._on_ready = on_ready
        self._thread = threading.Thread(target=self._run, name="uplink-outbox", daemon=True)
        self._thread.start()

    def offer(self, report: UplinkReport) -> None:
        """Queue a report. Never waits and never raises; what cannot be queued is counted."""
        now = self._clock()
        refusal = refusal_of(report)
        with self._changed:
            self._ledger.produced += 1
            if refusal is None and self._closed:
                refusal = DropReason.CLOSED
            if refusal is not None:
                self._ledger.drop(refusal)
                return
            entry = Entry(
                self._next_seq, report.priority,
                now.mono_ns + self._offset_ns + int(report.ttl_s * NS_PER_S),
                report.id, report.subject, report.body, content_type=report.content_type,
            )  # fmt: skip
            self._fresh.note(now.mono_ns, entry.seq)
            self._next_seq += 1
            self._handover[entry.priority].append(entry)
            self._handover_reports += 1
            self._handover_bytes += entry.size
            while (
                self._handover_reports > HANDOVER_REPORTS or self._handover_bytes > HANDOVER_BYTES
            ):
                lowest = max(p for p, waiting in self._handover.items() if waiting)
                victim = self._handover[lowest].popleft()
                self._handover_reports -= 1
                self._handover_bytes -= victim.size
                self._ledger.drop(DropReason.OVERFLOW)
            self._note_change(now)

    def stats(self) -> OutboxStats:
        """The books now; they balance exactly."""
        with self._changed:
            # Rows taken out but not yet deleted are still in `_stored`; rows not yet inserted
            # are not.
            gone = len(self._done) + len(self._batch.removals)
            queued = self._handover_reports + len(self._batch.inserts) + self._stored - gone
            waiting = self._handover_bytes + sum(e.size for e in self._batch.inserts)
            return OutboxStats(
                produced=self._ledger.produced, delivered=self._ledger.delivered, queued=queued,
                in_flight=len(self._in_flight), dropped=dict(self._ledger.dropped),
                size=self._stored_bytes + waiting, degraded=self._degraded,
                quarantined=tuple(self._quarantined), refused=self._refused,
            )  # fmt: skip

    def close(self, timeout_s: float) -> bool:
        """Commit what is there and close the file; False when the disk did not let us in time."""
        with self._changed:
            self._closing = self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        self._finish()
        return True

    # For the session

    def take(self, count: int, size: int, backlog: int | None = None) -> list[Entry]:
        """Up to `count` entries to send now, in order, until they make up `size` bytes; of the
        backlog at most `backlog` (None: any number).

        Order: fresh events, events of the backlog, other fresh reports, the rest of the backlog; in
        each of these by priority, then the oldest first.
        """
        now = self._clock()
        taken: list[Entry] = []
        left = count if backlog is None else backlog
        with self._changed:
            for lane in LANES:
                waiting = self._ready[lane]
                while waiting and len(taken) < count and size > 0:
                    if lane.backlog and left <= 0:
                        break
                    entry = waiting.popleft()
                    if entry.expires_ns <= now.mono_ns + self._offset_ns:
                        self._finish_entry(entry.seq, DropReason.EXPIRED, now)
                        continue
                    self._in_flight[entry.seq] = entry
                    taken.append(entry)
                    size -= entry.size
                    left -= lane.backlog
            if any(len(self._ready[lane]) < READY_ENTRIES // 2 for lane in self._more):
                self._want_refill = True
                self._changed.notify_all()
        return taken

    def backlog_waits(self) -> bool:
        """Whether `take` would find something of the backlog."""
        with self._changed:
            return any(waiting for lane, waiting in self._ready.items() if lane.backlog)

    def is_fresh(self, entry: Entry) -> bool:
        """Whether it was offered within the last FRESH_NS."""
        with self._changed:
            return entry.seq >= self._fresh.first(self._clock().mono_ns, self._next_seq)

    def remaining_s(self, entry: Entry) -> float:
        """Seconds until the entry's time to live ends."""
        return (entry.expires_ns - self._clock().mono_ns - self._offset_ns) / NS_PER_S

    def ack(self, seq: int) -> None:
        """The broker has it: delivered."""
        self._settle(seq, None)

    def discard(self, seq: int, reason: DropReason) -> None:
        """It can never be delivered: drop it with a reason."""
        self._settle(seq, reason)

    def release(self, seqs: list[int]) -> None:
        """Not acknowledged (the connection went): back to the queue at its old place."""
        with self._changed:
            for seq in seqs:
                self._in_flight.pop(seq, None)
            self._want_refill = True
            self._changed.notify_all()

    def refuse(self, seq: int) -> None:
        """The broker refused it for now: back to the queue, not to be sent for a while."""
        now = self._clock()
        with self._changed:
            if self._in_flight.pop(seq, None) is not None:
                self._refused += 1
                until = now.mono_ns + self._offset_ns + int(REFUSED_WAIT_S * NS_PER_S)
                self._deferred[seq] = until
                self._note_change(now)

    def _settle(self, seq: int, reason: DropReason | None) -> None:
        now = self._clock()
        with self._changed:
            if self._in_flight.pop(seq, None) is not None:
                self._finish_entry(seq, reason, now)

    def _finish_entry(self, seq: int, reason: DropReason | None, now: Instant) -> None:
        if reason is None:
            self._ledger.delivered += 1
        else:
            self._ledger.drop(reason)
        self._done.append(seq)
        self._note_change(now)

    def _note_change(self, now: Instant) -> None:
        if self._first_change_ns is None:
            self._first_change_ns = now.mono_ns
            self._changed.notify_all()
        elif self._handover_reports + len(self._done) == BATCH_CHANGES:
            self._changed.notify_all()

    # The writer

    def _run(self) -> None:
        while True:
            with self._changed:
                while (wait := self._wait_s()) > 0:
                    self._changed.wait(wait)
                if self._closing:
                    break
                refill_only = self._want_refill and not self._commit_due()
            if refill_only:
                self._refill()
            else:
                self.work()
        self._finish()

    def _commit_due(self) -> bool:
        mono = self._clock().mono_ns
        return mono >= self._sweep_at_ns or (
            self._first_change_ns is not None
            and (
                mono >= self._first_change_ns + self._commit_ns
                or self._handover_reports + len(self._done) >= BATCH_CHANGES
            )
        )

    def _wait_s(self) -> float:
        """Seconds until the writer has something to do."""
        if self._closing or self._want_refill or self._commit_due():
            return 0.0
        due = self._sweep_at_ns
        if self._first_change_ns is not None:
            due = min(due, self._first_change_ns + self._commit_ns)
        return max(due - self._clock().mono_ns, 1) / NS_PER_S

    def work(self) -> None:
        """One round of the writer: move to disk if due, commit the changes, read ahead.

        Called by the writer thread; tests that never call `start` call it themselves.
        """
        now = self._clock()
        self._sweep_at_ns = now.mono_ns + SWEEP_NS
        if not self._on_disk and now.mono_ns >= self._retry_at_ns:
            self._move_to_disk(now)
        try:
            self._commit_with_ballast(now)
        except StoreError as error:
            self._leave_disk(error, now)
            self._commit(now)  # in memory now
        self._refill()
        if self._on_disk and now.mono_ns >= self._ballast_at_ns:
            self._ballast_at_ns = now.mono_ns + BALLAST_NS
            self._ballast.hold()

    def _commit_with_ballast(self, now: Instant) -> None:
        """Commit; on a full disk once more, in the space that was kept back for that."""
        try:
            self._commit(now)
        except StoreUnavailableError as error:
            if not (error.full and self._ballast.release()):
                raise
            # Not made again before the disk had time to be cleared by whoever looks after it.
            self._ballast_at_ns = now.mono_ns + BALLAST_NS
            _log.error("uplink outbox: the disk is full, the space kept back is used now")
            self._commit(now)

    def _commit(self, now: Instant) -> None:
        """Bring the store up to what happened since the last commit; raises StoreError."""
        with self._changed:
            batch = self._batch
            for waiting in self._handover.values():
                batch.inserts.extend(waiting)
                waiting.clear()
            self._handover_reports = self._handover_bytes = 0
            batch.removals.extend(self._done)
            self._done.clear()
            batch.deferrals.update(self._deferred)
            self._deferred.clear()
            self._first_change_ns = None
            self._unread()  # nothing is taken while rows may expire or be evicted
            keep = frozenset(self._in_flight)
            ledger = self._ledger.copy()
        time_ns = now.mono_ns + self._offset_ns
        store = self._store
        if not (
            batch
            or ledger != self._saved
            or store.bytes > self._max_bytes
            or store.any_expired(time_ns)
        ):
            return
        drops = Ledger()
        with store.transaction(durable=any(e.priority < Priority.TELEMETRY for e in batch.inserts)):
            store.insert(batch.inserts)
            store.remove(batch.removals)
            store.defer(batch.deferrals)
            drops.drop(DropReason.EXPIRED, store.expire(time_ns, keep))
            drops.drop(DropReason.QUOTA, store.evict(self._max_bytes, keep))
            ledger.add(drops)
            store.save_ledger(ledger, time_ns, now.utc_ns)
        with self._changed:
            self._batch = _Batch()
            self._ledger.add(drops)
            self._stored, self._stored_bytes = store.rows, store.bytes
        self._saved = ledger

    def _refill(self) -> None:
        """Read the next entries ahead, without those that are out already."""
        now = self._clock()
        with self._changed:
            self._want_refill = False
            self._unread()
            out = {*self._in_flight, *self._done, *self._batch.removals, *self._deferred}
            fresh_from = self._fresh.first(now.mono_ns, self._next_seq)
        found: dict[Lane, list[Entry]] = {}
        damaged: list[int] = []
        try:
            for lane in LANES:
                found[lane], bad = self._store.next_entries(
                    READY_ENTRIES, now.mono_ns + self._offset_ns, out,
                    priorities=lane.priorities,
                    seqs=(0, fresh_from) if lane.backlog else (fresh_from, 2**63 - 1),
                )  # fmt: skip
                damaged += bad
        except StoreError as error:
            self._leave_disk(error, now)
            return
        with self._changed:
            for seq in damaged:
                self._finish_entry(seq, DropReason.CORRUPT, now)
            for lane, entries in found.items():
                self._ready[lane].extend(entries)
            self._more = {lane for lane, some in found.items() if len(some) == READY_ENTRIES}
        if damaged:
            _log.warning("uplink outbox: damaged reports dropped", count=len(damaged))
        if any(found.values()):
            self._on_ready()

    def _unread(self) -> None:
        for waiting in self._ready.values():
            waiting.clear()

    def _move_to_disk(self, now: Instant) -> None:
        """Open the file and put what is in memory into it; stay in memory where that fails."""
        self._retry_at_ns = now.mono_ns + self._retry_ns
        try:
            try:
                self._adopt(now)
            except StoreCorruptError as error:
                self._set_aside(error)
                self._adopt(now)
        except StoreError as error:
            self._set_degraded(str(error))

    def _adopt(self, now: Instant) -> None:
        """Make the file the store, with its rows and books and those of the memory."""
        assert self._saved is not None  # a commit in memory follows every `_leave_disk`
        time_ns = now.mono_ns + self._offset_ns
        memory, disk = self._store, Store.open(self._path)
        try:
            earlier = Ledger() if self._adopted else disk.load_ledger()
            ledger = self._saved.copy()
            ledger.add(earlier)
            with disk.transaction(durable=True):
                if self._adopted:
                    disk.clear()  # what it held was read into memory when the disk refused
                else:
                    disk.rebase(self._first_seq, time_ns, now.utc_ns)
                disk.insert(memory.read_all()[0])
                disk.save_ledger(ledger, time_ns, now.utc_ns)
        except BaseException:
            disk.close()
            raise
        memory.close()
        with self._changed:
            self._ledger.add(earlier)
            self._stored, self._stored_bytes = disk.rows, disk.bytes
            self._degraded = None
        self._store, self._saved = disk, ledger
        self._on_disk = self._adopted = True
        _log.info("uplink outbox open", path=str(self._path), queued=disk.rows)

    def _set_aside(self, error: StoreCorruptError) -> None:
        """Rename the corrupt file and continue its books where they could be read."""
        aside = quarantine(self._path)
        _log.error("uplink outbox corrupt, set aside", reason=str(error), kept_as=str(aside))
        with self._changed:
            self._quarantined.append(str(aside))
            if not self._adopted and error.ledger is not None:
                earlier = error.ledger
                earlier.drop(DropReason.CORRUPT, max(earlier.queued, 0))
                self._ledger.add(earlier)
                if self._saved is not None:
                    self._saved.add(earlier)
        self._adopted = True  # from here on this run's books are the only ones

    def _leave_disk(self, error: StoreError, now: Instant) -> None:
        """Go on in memory with every report that can still be read."""
        old, memory = self._store, Store.in_memory()
        with self._changed:
            self._unread()
            out = dict(self._in_flight)  # their content is in memory whatever the disk says
        try:
            entries = {entry.seq: entry for entry in old.read_all()[0]}
        except StoreError:
            entries = {}
        kept = out | entries
        with memory.transaction(durable=False):
            memory.insert(kept[seq] for seq in sorted(kept))
        with self._changed:
            # What was delivered but not yet deleted is no loss, even where it cannot be read.
            gone = {*self._done, *self._batch.removals}
            lost = self._stored - len(gone.union(kept))
            self._ledger.drop(DropReason.CORRUPT, max(lost, 0))
            self._done = [seq for seq in self._done if seq in kept]
            self._batch.removals = [seq for seq in self._batch.removals if seq in kept]
            self._stored, self._stored_bytes = memory.rows, memory.bytes
        old.close()
        self._store, self._saved, self._on_disk = memory, None, False
        self._retry_at_ns = now.mono_ns + self._retry_ns
        self._set_degraded(str(error))
        if isinstance(error, StoreCorruptError):
            try:
                self._set_aside(error)
                self._retry_at_ns = now.mono_ns
            except StoreUnavailableError as second:
                self._set_degraded(str(second))

    def _set_degraded(self, reason: str) -> None:
        with self._changed:
            changed, self._degraded = self._degraded != reason, reason
        if changed:
            _log.warning("uplink outbox works in memory", reason=reason)

    def _finish(self) -> None:
        """Last round: commit, close; what only memory holds is counted as lost."""
        with self._changed:
            self._in_flight.clear()
        self._retry_at_ns = self._clock().mono_ns  # a last chance for a disk that refused
        self.work()
        with self._changed:
            self._unread()
            if not self._on_disk:
                gone = len(self._done) + len(self._batch.removals)
                self._ledger.drop(DropReason.UNSAVED, self._stored - gone)
                self._stored = self._stored_bytes = 0
                self._done.clear()
                self._batch = _Batch()
        self._store.close()


def _nothing() -> None:
    """Default of `on_ready`."""
