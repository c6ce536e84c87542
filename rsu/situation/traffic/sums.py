"""What traffic is measured in: sums over time and vehicles per lane, which add up to any period.

In: rates (per second) and single happenings. Out: `Sums` of a stretch of time. All figures that are
told are quotients of sums, so that seconds add up to periods and cycles without loss.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, auto

import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ObjectClass

Floats = npt.NDArray[np.float64]
CLASSES = tuple(ObjectClass)


class Row(IntEnum):
    """Rows of the table of sums; its columns are the lanes of the map."""

    # Over time.
    WATCHED = 0  # s during which track lists followed each other
    COVERED = auto()  # s … and a sensor that sees this lane was live
    PRESENT = auto()  # vehicles × s on the lane: Edie's time spent
    DISTANCE = auto()  # m covered by them: Edie's distance travelled
    MEASURED = auto()  # vehicles × s of them that some sensor measures
    HIDDEN = auto()  # vehicles × s that are concluded to wait unseen
    OCCUPIED = auto()  # s during which a vehicle covers the line
    QUEUE = auto()  # vehicles × s in queues
    QUEUE_LENGTH = auto()  # m × s
    SPILLED = auto()  # s during which the queue reached the beginning
    LIT = auto()  # s during which the lights that govern it were known
    GREEN = auto()  # s … and one was green
    # Of happenings.
    COUNT = auto()
    SPEED = auto()  # m/s at the line, summed over them
    HEADWAYS = auto()
    HEADWAY = auto()  # s, summed
    GAP = auto()  # s, summed over the same
    STOPS = auto()
    TURNS = auto()  # vehicles whose way through this connection is known
    UNASSIGNED = auto()  # vehicles that left by this exit, with no known beginning
    FIRST_CLASS = auto()


ROWS = Row.FIRST_CLASS + len(CLASSES)


@dataclass(slots=True)
class Sums:
    """The table (ROWS × lanes) over [start_ns, end_ns), and per lane the most vehicles in its queue
    and the longest (m), 2 × lanes. `covered_s`: any sensor was live, on whatever lane."""

    start_ns: int
    end_ns: int
    table: Floats
    peaks: Floats
    covered_s: float

    @property
    def seconds(self) -> float:
        """Its length, watched or not, s."""
        return (self.end_ns - self.start_ns) / 1e9


def added(parts: Iterable[Sums], start_ns: int, end_ns: int, lanes: int) -> Sums:
    """What was measured in [start_ns, end_ns), of parts that lie in it; missing ones were not
    watched."""
    out = Sums(start_ns, end_ns, np.zeros((ROWS, lanes)), np.zeros((2, lanes)), 0.0)
    for part in parts:
        out.table += part.table
        np.maximum(out.peaks, part.peaks, out=out.peaks)
        out.covered_s += part.covered_s
    return out
