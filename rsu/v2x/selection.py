"""Who finds a place in a message that cannot hold all: urgent first, then near, then in turn.

Rule, for `slots` places and more road users than that:
1. *Urgent* are vulnerable road users and whoever an active road event names (conflict candidates).
2. A fifth of the places (at least one, where there is more than one) is kept for taking turns.
3. The others go to the urgent, the nearest to the unit first, then to the rest, the nearest first.
4. Those without a place take turns in the places kept: who was longest unsaid goes first, of equals
   the urgent, then the nearest. So everybody who stays is said at least once in
   ceil(left over / places kept) + 1 cycles.
The chosen come in the order urgent, near, id, so that the first of several messages holds those who
matter most. Ties are broken by track id: the same input, the same choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet

from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.tracks import Track
from rsu.schema.units import NS_PER_S, Instant

TURN_SHARE = 5
"""One place in this many is for taking turns: at 60 road users for 15 places everybody is said
within two seconds at 10 Hz, and four fifths of the places still go where they matter most."""

EVENT_WORD_NS = 5 * NS_PER_S
"""How long an event that is not repeated keeps its tracks urgent, as in EventMessageOptions."""
EVENTS_MAX = 256


class Selection:
    """Remembers who was said when (in cycles) and whom active events name."""

    def __init__(self) -> None:
        self._cycle = 0
        self._said: dict[int, int] = {}  # track → cycle
        self._events: dict[int, tuple[int, tuple[int, ...]]] = {}  # id → (heard mono ns, tracks)

    def hear(self, event: RoadEvent, now: Instant) -> None:
        """Take a road event: its tracks are urgent until it ends or is not repeated."""
        self._events.pop(event.id, None)
        if event.phase is not EventPhase.END and event.tracks:
            self._events[event.id] = (now.mono_ns, event.tracks)
            if len(self._events) > EVENTS_MAX:
                del self._events[next(iter(self._events))]

    def keep_only(self, tracks: AbstractSet[int]) -> None:
        """Forget everybody else."""
        self._said = {track: cycle for track, cycle in self._said.items() if track in tracks}

    def choose(self, tracks: Iterable[Track], slots: int, now: Instant) -> list[Track]:
        """At most `slots` of the tracks, in the order in which they are to be said."""
        named = self._named(now)

        def rank(track: Track) -> tuple[bool, float, int]:
            urgent = track.object_class.is_vru or track.id in named
            return not urgent, math.hypot(track.position.x, track.position.y), track.id

        ranked = sorted(tracks, key=rank)
        if len(ranked) <= slots:
            return ranked
        kept = max(slots // TURN_SHARE, 1) if slots > 1 else 0
        sure, waiting = ranked[: slots - kept], ranked[slots - kept :]
        # sorted() is stable: of equally long unsaid ones the rank decides.
        waiting = sorted(waiting, key=lambda track: self._said.get(track.id, -1))[:kept]
        return sorted([*sure, *waiting], key=rank)

    def said(self, tracks: Sequence[int]) -> None:
        """These were said in this cycle."""
        self._cycle += 1
        for track in tracks:
            self._said[track] = self._cycle

    def _named(self, now: Instant) -> frozenset[int]:
        live = {
            number: entry
            for number, entry in self._events.items()
            if now.mono_ns - entry[0] <= EVENT_WORD_NS
        }
        self._events = live
        return frozenset(track for _, tracks in live.values() for track in tracks)
