"""Numbers on the air: track ids in, numbers from 1 on out, stable for a track's life.

In an RSM a roadside unit numbers what it sees 1..255 (0 is the unit itself; T/CSAE 159-2020 clause
7.2); other messages have room for 65535. A number that has become free rests before it is given to
another track, so that no receiver glues two road users together. Numbers are handed out in turn,
the longest unused first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Set as AbstractSet

from rsu.schema.units import NS_PER_S

FIRST_ID, LAST_ID = 1, 255
"""ptcId of road users in an RSM."""

REST_NS = 10 * NS_PER_S
"""How long a number rests. Receivers keep a participant they no longer hear of for a few seconds at
most (a vehicle is 100 ms to 1 s between messages); 255 numbers at 10 s carry 25 new road users a
second, which no junction has."""


class Numbers:
    """The numbers 1..`last` of one unit's message. All times are monotonic ns."""

    def __init__(self, last: int = LAST_ID) -> None:
        self._held: dict[int, int] = {}
        self._resting: dict[int, tuple[int, int]] = {}  # track → (number, free from)
        self._free = deque(range(FIRST_ID, last + 1))

    def keep_only(self, tracks: AbstractSet[int], now_ns: int) -> None:
        """Let go of the numbers of all tracks that are not among `tracks`."""
        for track in [track for track in self._held if track not in tracks]:
            self._resting[track] = (self._held.pop(track), now_ns + REST_NS)
        # In the order they began to rest, so the first that still rests ends the search.
        while self._resting:
            track, (number, free_from) = next(iter(self._resting.items()))
            if free_from > now_ns:
                break
            del self._resting[track]
            self._free.append(number)

    def number(self, track: int) -> int | None:
        """The number of a track; None when all are held or rest.

        A track that comes back while its number rests gets the same one again.
        """
        if track not in self._held:
            if track in self._resting:
                self._held[track] = self._resting.pop(track)[0]
            elif self._free:
                self._held[track] = self._free.popleft()
            else:
                return None
        return self._held[track]
