"""The life of road events: what is seen at single moments becomes onset, updates and end.

In: sightings, all that a detector sees at one moment. Out: `RoadEvent` messages. An event begins
once it has been seen for its rule's `onset_s`, ends when it has not been seen for `clear_s`, and
keeps one id all its life. Between, an update goes out when what would be said has changed, and at
least every `UPDATE_NS` so that receivers know that it still holds: silence is no statement.

Not seen is not over where nobody can look: while its evidence is out of reach an event is told
with falling confidence and its old time, and ends as `unobserved` after its rule's `unseen_s`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from rsu.schema.events import EventEnding, EventPhase, RoadEvent
from rsu.schema.message import Message
from rsu.schema.topics import ROAD_EVENT
from rsu.schema.units import NS_PER_S, Instant, Vec2

UPDATE_NS = NS_PER_S  # voices withhold events whose evidence is older than their limit (some s)
MAX_OPEN = 256
"""Bound on events open at a time; the uplink remembers as many (`rsu.uplink.reports`)."""
MOVED = 2.0  # m: a shift of place worth an update at once, about a car's width
CHANGED = 0.1  # of confidence
SEEN, OUT_OF_SIGHT = -1, -2  # no time


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of event begins and ends, and what it is called on the air.

    `onset_s`: seen this long (with gaps below `clear_s`) before it is told; `clear_s`: unseen this
    long before it has ended; `unseen_s`: as long where nobody could look. `code` GB/T 29100-2012,
    `itis` SAE J2540, None where there is none.
    """

    onset_s: float
    clear_s: float
    code: int | None = None
    itis: int | None = None
    severity: int = 0
    unseen_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Sighting:
    """One event as one moment shows it; `key` tells events of a kind apart (a track, a lane).

    `sources` are the sensors behind it; `since_ns` when it began where that is known better than
    by when it was first seen.
    """

    kind: str
    key: Hashable
    position: Vec2
    confidence: float
    radius: float = 5.0
    lanes: tuple[str, ...] = ()
    tracks: tuple[int, ...] = ()
    description: str = ""
    sources: tuple[str, ...] = ()
    since_ns: int | None = None


Observed = Callable[[Sighting], bool]
"""Whether what a sighting showed could be seen now, were it still there."""


def always(_sighting: Sighting) -> bool:
    """Somebody always looks."""
    return True


@dataclass(slots=True)
class _Open:
    """An event that is seen; `id` 0 until it has been told. `absent_ns` is since when somebody
    looked and did not see it, `SEEN` or `OUT_OF_SIGHT` while that is not so."""

    first_ns: int
    seen_ns: int
    sighting: Sighting
    id: int = 0
    told: RoadEvent | None = None
    absent_ns: int = SEEN

    @property
    def start_ns(self) -> int:
        """When it began, as far as is known."""
        since_ns = self.sighting.since_ns
        return self.first_ns if since_ns is None else min(since_ns, self.first_ns)


class EventIds:
    """Ids of one unit's events: never reused within a boot, different from the last boot's."""

    def __init__(self, boot: Instant) -> None:
        # As for tracks (rsu.fusion): a million a boot, told apart by the second of it.
        self._next = boot.utc_ns // NS_PER_S % 1_000_000 * 1_000_000 + 1

    def take(self) -> int:
        """The next id."""
        self._next += 1
        return self._next - 1


class EventBook:
    """Open events of some kinds. All sightings of these kinds at a moment are given together."""

    def __init__(self, rules: Mapping[str, Rule], ids: EventIds, source: str) -> None:
        self._rules = rules
        self._ids = ids
        self._source = source
        self._open: dict[tuple[str, Hashable], _Open] = {}
        self.turned_away = 0
        """Sightings beyond `MAX_OPEN`."""

    def see(
        self, sightings: Iterable[Sighting], time_ns: int, observed: Observed = always
    ) -> list[Message]:
        """What is seen at `time_ns` (UTC ns of the evidence), in order of time."""
        out: list[Message] = []
        for sighting in sightings:
            out += self._take(sighting, time_ns)
        return out + list(self._unseen(time_ns, observed))

    def open_events(self) -> Iterator[RoadEvent]:
        """Events that have been told and have not ended, as last told."""
        return (one.told for one in self._open.values() if one.told is not None)

    def end_all(self) -> list[Message]:
        """End everything: nothing from before can be followed any more."""
        ended = [
            self._end(one, EventEnding.UNOBSERVED)
            for one in self._open.values()
            if one.told is not None
        ]
        self._open.clear()
        return ended

    def _take(self, sighting: Sighting, time_ns: int) -> list[Message]:
        name = (sighting.kind, sighting.key)
        one = self._open.get(name)
        if one is None:
            if len(self._open) >= MAX_OPEN:
                self.turned_away += 1
                return []
            one = self._open[name] = _Open(time_ns, time_ns, sighting)
        one.seen_ns, one.sighting, one.absent_ns = time_ns, sighting, SEEN
        rule = self._rules[sighting.kind]
        if one.told is None:
            if time_ns - one.first_ns < rule.onset_s * NS_PER_S:
                return []
            one.id = self._ids.take()
            return [self._tell(one, EventPhase.ONSET, time_ns)]
        if time_ns - one.told.time_ns >= UPDATE_NS or _differs(one.told, sighting):
            return [self._tell(one, EventPhase.UPDATE, time_ns)]
        return []

    def _unseen(self, time_ns: int, observed: Observed) -> Iterator[Message]:
        for name, one in list(self._open.items()):
            if one.seen_ns == time_ns:
                continue
            rule = self._rules[one.sighting.kind]
            if not observed(one.sighting):
                one.absent_ns = OUT_OF_SIGHT
                if time_ns - one.seen_ns >= rule.unseen_s * NS_PER_S:
                    yield from self._close(name, EventEnding.UNOBSERVED)
                elif one.told is not None:
                    yield from self._fade(one, rule, time_ns)
                continue
            if one.absent_ns < 0:
                one.absent_ns = one.seen_ns if one.absent_ns == SEEN else time_ns
            if time_ns - one.absent_ns >= rule.clear_s * NS_PER_S:
                yield from self._close(name, EventEnding.CLEARED)

    def _fade(self, one: _Open, rule: Rule, time_ns: int) -> Iterator[Message]:
        """Say so when what was seen has become less sure; its time stays that of the evidence."""
        assert one.told is not None
        left = max(1.0 - (time_ns - one.seen_ns) / (rule.unseen_s * NS_PER_S), 0.0)
        confidence = one.sighting.confidence * left
        if one.told.confidence - confidence > CHANGED:
            one.told = msgspec.structs.replace(
                one.told, phase=EventPhase.UPDATE, confidence=confidence, time_ns=one.seen_ns
            )
            yield Message.draft(ROAD_EVENT, self._source, one.seen_ns, one.told)

    def _close(self, name: tuple[str, Hashable], why: EventEnding) -> Iterator[Message]:
        one = self._open.pop(name)
        if one.told is not None:
            yield self._end(one, why)

    def _tell(self, one: _Open, phase: EventPhase, time_ns: int) -> Message:
        seen = one.sighting
        rule = self._rules[seen.kind]
        event = RoadEvent(
            id=one.id, kind=seen.kind, phase=phase, code=rule.code, itis=rule.itis,
            severity=rule.severity, position=seen.position, radius=seen.radius,
            confidence=min(max(seen.confidence, 0.0), 1.0), start_ns=one.start_ns, time_ns=time_ns,
            lanes=seen.lanes, tracks=seen.tracks, description=seen.description,
        )  # fmt: skip
        one.told = event
        return Message.draft(ROAD_EVENT, self._source, time_ns, event)

    def _end(self, one: _Open, why: EventEnding) -> Message:
        assert one.told is not None
        # It was last known to hold when it was last seen, not when its absence was noticed.
        event = msgspec.structs.replace(
            one.told, phase=EventPhase.END, time_ns=one.seen_ns, ending=why
        )
        return Message.draft(ROAD_EVENT, self._source, one.seen_ns, event)


def _differs(told: RoadEvent, seen: Sighting) -> bool:
    """Whether an update is due before its time."""
    moved = abs(told.position.x - seen.position.x) + abs(told.position.y - seen.position.y)
    return (
        moved > MOVED
        or abs(told.confidence - seen.confidence) > CHANGED
        or told.lanes != seen.lanes
    )
