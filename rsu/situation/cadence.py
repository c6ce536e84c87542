"""When periodic work falls due, so that no picture pays for all of it at once.

What changes slowly is looked at a few times a second. Each such look has its own moment: the second
is cut into twelve slots, and what costs most never shares one. In: the times of pictures, in order.
Out: whether this is the picture to look at.
"""

from __future__ import annotations

from rsu.schema.units import NS_PER_S

SLOTS = 12
"""Of a second. Pictures come every 70 to 100 ms (`stage.LOOK_NS`, cameras of 10 Hz): mostly one a
slot, at times one for two. Slot 0 is the traffic part's, whose seconds end with UTC's."""


class Cadence:
    """Due with the first picture of all, and then with the first one of every turn.

    `slots` is the time between two turns, a divisor of `SLOTS`; `slot` the one that a turn begins
    with.
    """

    def __init__(self, slots: int, slot: int) -> None:
        self._slots = slots
        self._slot = slot
        self._turn: int | None = None

    def due(self, time_ns: int) -> bool:
        """Whether a turn has begun since the last time this was asked."""
        turn = (time_ns * SLOTS // NS_PER_S - self._slot) // self._slots
        if turn == self._turn:
            return False
        self._turn = turn
        return True

    def forget(self) -> None:
        """The clock was set back: the next picture is the first."""
        self._turn = None
