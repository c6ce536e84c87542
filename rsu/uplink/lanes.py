"""In which order reports leave the outbox, how fresh they are, and which are not taken at all."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from rsu.schema.reports import Priority, UplinkReport
from rsu.schema.units import NS_PER_S
from rsu.uplink.store import DropReason

MAX_BODY_BYTES = 131_072
"""Largest JSON document: 512 tracks of 200 bytes fit, and on the slowest planned link (64 kbit/s,
fault row 12) one takes 16 s, within two keepalives."""
FRESH_NS = 3 * NS_PER_S
"""Younger reports are the present. A summary a second, a commit of 0.1 s and a retransmission fit;
what is older has met an outage or a link that is too slow, and goes with the backlog."""
MARK_NS = NS_PER_S // 4  # how finely the age of what is queued is known


@dataclass(frozen=True, slots=True)
class Lane:
    """Reports that are sent after one another: which priorities, and whether of the backlog."""

    backlog: bool
    priorities: tuple[Priority, ...]


_OTHERS = tuple(p for p in Priority if p is not Priority.EVENT)
LANES = (
    Lane(False, (Priority.EVENT,)), Lane(True, (Priority.EVENT,)),
    Lane(False, _OTHERS), Lane(True, _OTHERS),
)  # fmt: skip
"""In sending order: what happens now, what happened, how things are now, how they were."""


class Freshness:
    """Which reports were offered within the last FRESH_NS; what earlier runs left never is."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, int]] = deque()  # (mono ns, first seq offered from then on)

    def note(self, mono_ns: int, seq: int) -> None:
        """A report of this seq is offered now."""
        if not self._marks or mono_ns >= self._marks[-1][0] + MARK_NS:
            self._marks.append((mono_ns, seq))

    def first(self, mono_ns: int, next_seq: int) -> int:
        """The first seq that is fresh, `next_seq` (the one to come) for none."""
        while self._marks and self._marks[0][0] <= mono_ns - FRESH_NS:
            self._marks.popleft()
        return self._marks[0][1] if self._marks else next_seq


def refusal_of(report: UplinkReport) -> DropReason | None:
    """Why a report cannot be queued at all."""
    if len(report.body) > MAX_BODY_BYTES or len(report.id) + len(report.subject) > 1024:
        return DropReason.OVERSIZE
    subject = report.subject.removeprefix("/")
    try:
        _ = report.id.encode(), subject.encode()
    except UnicodeEncodeError:
        return DropReason.INVALID
    if not subject or subject.startswith("/") or any(c in subject for c in "+#\0"):
        return DropReason.INVALID
    if not 0 < report.ttl_s < 1e9:  # also refuses NaN
        return DropReason.INVALID
    return None
