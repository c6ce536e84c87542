"""Scans in the order they were taken, whatever order they arrive in.

In: scans as they come; out: the table as if they had come in capture order. Scans in order are
applied at once, without waiting. A late one goes back to the table before it and applies again
what followed, so the result is that of in-order arrival, bit for bit, as long as no scan is more
than the buffer later than the newest. Later ones are refused.
"""

from __future__ import annotations

from dataclasses import dataclass

from rsu.fusion.measurements import Scan
from rsu.fusion.table import NEVER, Table, empty_table
from rsu.fusion.tracker import Outcome, Tracker

LONGEST_HISTORY = 1000  # scans: 2 s of buffer × 16 cameras × 30 Hz; beyond it the oldest settle


@dataclass(slots=True)
class _Step:
    scan: Scan
    before: Table


class History:
    """The tracker's table with enough past to reopen the last `buffer_ns`."""

    def __init__(self, tracker: Tracker, first_id: int, buffer_ns: int) -> None:
        self._tracker = tracker
        self._buffer_ns = buffer_ns
        self._steps: list[_Step] = []
        self._closed_ns = NEVER  # scans at or before this are refused whatever the buffer says
        self.table = empty_table(first_id)

    @property
    def settled_ns(self) -> int:
        """Births before this time cannot change any more: no scan will get in front of them."""
        if self.table.time_ns == NEVER:
            return NEVER
        # Without a buffer even scans of one moment apply as they arrive.
        return max(self._oldest_ns if self._buffer_ns else self.table.time_ns + 1, self._closed_ns)

    @property
    def _oldest_ns(self) -> int:
        """Scans before this time are refused."""
        return self.table.time_ns - self._buffer_ns

    def offer(self, scan: Scan) -> tuple[str | None, Outcome]:
        """Apply a scan in its place. Returns (None or the reason of refusal, what it led to).

        The outcome lists every id that ended in the steps taken (again); `unborn` is the scan's.
        """
        if scan.capture_ns <= self._closed_ns or scan.capture_ns < self._oldest_ns:
            return "too_late", Outcome()
        if any(step.scan.key == scan.key for step in self._steps):
            return "duplicate", Outcome()
        at = len(self._steps)
        while self._buffer_ns and at > 0 and self._steps[at - 1].scan.key > scan.key:
            at -= 1
        later = [step.scan for step in self._steps[at:]]
        if later:
            self.table = self._steps[at].before
            del self._steps[at:]
        own = self._apply(scan)
        for again in later:
            own.ended += self._apply(again).ended
        self._forget()
        return None, own

    def expire(self, silence_ns: int) -> Outcome:
        """Drop what has not been measured for the coasting time, every sensor being silent.

        `silence_ns` is how long ago the newest scan arrived. Dropping closes the past, so that a
        straggler does not bring a dropped track back.
        """
        outcome = Outcome()
        expired = self._tracker.expire(self.table, self.table.time_ns + silence_ns, outcome)
        if outcome.ended:
            self.table = expired
            self._steps.clear()
            self._closed_ns = self.table.time_ns
        return outcome

    def restart(self) -> Outcome:
        """Forget every track and all of the past, because the clock was set back; ids go on."""
        outcome = Outcome(ended=[(int(i), "clock_set_back") for i in self.table.rows.id])
        self.table = empty_table(self.table.next_id)
        self._steps.clear()
        self._closed_ns = NEVER
        return outcome

    def _apply(self, scan: Scan) -> Outcome:
        self._steps.append(_Step(scan, self.table))
        self.table, outcome = self._tracker.step(self.table, scan)
        return outcome

    def _forget(self) -> None:
        horizon = self._oldest_ns
        old = 0
        while old < len(self._steps) and self._steps[old].scan.capture_ns < horizon:
            old += 1
        surplus = len(self._steps) - LONGEST_HISTORY
        if surplus > old:
            old = surplus
            self._closed_ns = self._steps[old - 1].scan.capture_ns
        del self._steps[:old]
