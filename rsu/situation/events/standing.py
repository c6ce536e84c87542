"""What stands where it should not: stopped and parked vehicles, a blocked fire lane, debris.

In: pictures. Out: sightings. Most vehicles that stand have a reason: a queue, a stop line, a
crosswalk, someone to give way to, the end of what is seen. Only who stands without one for
`free_s` is a stopped vehicle, and an illegally parked one from `parked_after_s` on; from outside
nothing else tells the two apart. Things are known by their place: an id that changes changes
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rsu.config.situation import EventOptions
from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import LaneKind, LaneRole, SiteMap, Zone, ZoneKind
from rsu.situation.cadence import Cadence
from rsu.situation.events import kinds
from rsu.situation.events.book import Sighting
from rsu.situation.events.reasons import Reasons
from rsu.situation.events.surroundings import GHOST_NS, Identity, chance_between_edges, std_along
from rsu.situation.picture import MOVES_ABOVE, Picture

LEAST = 0.75
"""Probability of being there, on its lane, from which something unnamed in a queue is told: the
same as for who drives against the lane."""
SAME_PLACE = 4.0  # m within which something that stands is the same as before: less than a car's
ROLLED_ON = 1.0
"""m that one track goes on, seen to move in between, if it had not yet come to rest: half of what
counts as staying (`rsu.situation.picture.STAYS_WITHIN`)."""
PLACE_MEMORY_S = 10.0
LEFT = 3.0  # m from its place and moving: it has driven off; less may be noise far away
AT_LINE = 20.0  # m from a stop line: signals and whoever crosses are reasons
WELL_PLACED = 1.5
"""m: with less doubt than this a vehicle is seen at once to have come to rest; with more it takes
seconds as the square of it, as averaging does."""
WELL_PLACED_ARRIVED = 2.5
"""m: the same for one that was seen to brake on a free road. Hardly anybody does that to creep on:
at ten to one beforehand 1.3 σ tell it where two and more are needed without."""
LONGEST_WAIT_S = 180.0
"""Nobody waits longer at a signal: usual cycles are up to 180 s (HCM 2010)."""
BUS_DWELL_S = 60.0  # at a stop, usual up to 60 s (TCQSM 2013, ch. 6); the map knows no bus stops
WAITS_S = 3.0
"""At rest with a reason for so long it waits; less may be one who drives on ahead. Behind one who
hardly moved (`MOVES_ABOVE`) it waits at once: it crept up to that one."""
SETS_OFF_S = 5.0
"""After its reason has driven off: three hidden in between set off one after another, at some 1.2 s
each (start wave: 7 m at 5 to 6 m/s), and it reacts."""
FIRST_SEEN_S = 3.0
"""More for who was not seen to come to rest: the speed of a new track begins as a guess, and one
that sets off at 1 m/s² has gone as far as cameras tell from 80 m."""
TURN = (3, 2)  # four times a second (`Cadence`): what stands, stands
LOOK_S = 0.3  # longest between two looks
NEVER_MOVED_NS = NS_PER_S  # within which a track that always stood is known to stand
NAMED_S = 1.0
"""s within which two of three vehicles in view of a camera are named: the longer something stays
unnamed, the less likely it is one of them."""
UNNAMED_NS = 3 * NS_PER_S
"""ns after which what never moved and no sensor could name is no car of a queue: those are named
within 1.5 s (all that stood so in the scenarios)."""
THING_PLACE = 3.0  # m
THING_NS = 60 * NS_PER_S
"""Where a thing lay within this time nothing begins to be a stopped vehicle: the track of the one
behind it jumps to it, or what it is goes to and fro."""
THINGS = frozenset({ObjectClass.OBSTACLE})


@dataclass(slots=True)
class _Place:
    """Something that stands at (x, y) and came to rest at `rest`. `free_ns`: since when no reason
    for it is seen, -1: there is one; `waited`: there was one; `thing`: it is none of traffic;
    `known`: surely; `crowded`: its road was dense when it came to rest; `arrived`: it was seen to
    come to rest."""

    since_ns: int
    seen_ns: int
    rest: tuple[float, float]
    x: float = 0.0
    y: float = 0.0
    arrived: bool = False
    waited: bool = False
    free_ns: int = -1
    told: bool = False
    thing: bool = False
    known: bool = False
    crowded: bool = False


class StandingDetector:
    """Watches everybody who stands."""

    kinds: tuple[str, ...] = (kinds.STOPPED, kinds.PARKED, kinds.FIRE_LANE, kinds.OBSTACLE)

    def __init__(
        self, site: SiteMap, options: EventOptions, dense: Callable[[int], bool],
        unclear: Callable[[int], bool],
    ) -> None:  # fmt: skip
        self._site = site
        self._dense = dense
        self._unclear = unclear
        self._options = options
        self._identity = Identity(SAME_PLACE, PLACE_MEMORY_S)
        self._places: dict[int, _Place] = {}
        lanes = site.lanes
        self._stop = np.array([np.inf if x.stop_line is None else x.stop_line for x in lanes])
        self._inside_junction = np.array([x.role is LaneRole.CONNECTION for x in lanes], np.bool_)
        self._vehicles_only = np.array([x.kind is LaneKind.VEHICLE for x in lanes], np.bool_)
        self._fire = [zone for zone in site.zones if zone.kind is ZoneKind.FIRE_LANE]
        self._keep_clear = [zone for zone in site.zones if zone.kind is ZoneKind.NO_STOPPING]
        self._lay: dict[int, tuple[float, float, int]] = {}
        self._reasons = Reasons(site)
        self._cadence = Cadence(*TURN)
        self._seen: list[Sighting] = []

    def look(self, picture: Picture) -> list[Sighting]:
        """Who and what stands where it should not now."""
        if self._cadence.due(picture.time_ns):
            self._seen = self._look(picture)
        return self._seen

    def _look(self, picture: Picture) -> list[Sighting]:
        self._reasons.remember(picture)
        things = np.array([_is_thing(picture, i) for i in range(len(picture.tracks))], np.bool_)
        standing = np.flatnonzero((picture.standing_since_ns >= 0) & (picture.vehicle | things))
        rows = standing.tolist()
        self._drop_who_left(picture)
        keys = self._identity.keys((picture.tracks[i] for i in rows), picture.time_ns)
        lost = [
            (place.x, place.y)
            for place in self._places.values()
            if picture.time_ns - place.seen_ns <= GHOST_NS
        ]
        free = self._reasons.none_for(picture, standing, lost)
        found = []
        for key, i, is_free in zip(keys, rows, free.tolist(), strict=True):
            place = self._places.get(key)
            if place is None:
                since_ns = int(picture.standing_since_ns[i])
                place = self._places[key] = _Place(
                    since_ns, picture.time_ns, tuple(picture.position[i].tolist()),
                    thing=_is_thing(picture, i),
                    crowded=self._dense(int(picture.road.lane[i])),
                    waited=self._reasons.crept_up(picture, i),
                    arrived=since_ns >= picture.tracks[i].born_ns + NEVER_MOVED_NS,
                )  # fmt: skip
            place.seen_ns = picture.time_ns
            place.x, place.y = picture.position[i].tolist()
            if not place.told:
                self._begin_anew(picture, i, place)
            sighting = self._sighting(picture, i, key, place, free=is_free)
            if sighting is not None:
                found.append(sighting)
        return found

    @staticmethod
    def _begin_anew(picture: Picture, index: int, place: _Place) -> None:
        """It did not stand from then on where it has gone on since: it was coming to rest, or it
        creeps, or its track goes over to somebody."""
        gone = math.dist(place.rest, (place.x, place.y))
        rests_ns = int(picture.standing_since_ns[index])
        same_track = picture.tracks[index].born_ns < place.since_ns
        if gone > SAME_PLACE:
            rests_ns = picture.time_ns
        elif not (same_track and rests_ns > place.since_ns and gone > ROLLED_ON):
            return
        place.rest, place.since_ns, place.free_ns = (place.x, place.y), rests_ns, -1

    def forget(self) -> None:
        """The clock was set back."""
        self._identity.forget()
        self._places.clear()
        self._lay.clear()
        self._reasons.forget()
        self._cadence.forget()
        self._seen = []

    def _sighting(
        self, picture: Picture, index: int, key: int, place: _Place, *, free: bool
    ) -> Sighting | None:
        track = picture.tracks[index]
        inside = bool(picture.road.inside[index])
        on_lane = inside and bool(self._vehicles_only[picture.road.lane[index]])
        at = (track.position.x, track.position.y)
        kind: str | None = None
        # In a dense queue far ones hide behind near ones, and gaps are not what they seem. That
        # others come to stand behind it is no such queue.
        place.crowded = place.crowded and self._dense(int(picture.road.lane[index]))
        free = free and not place.crowded
        if place.thing or _is_thing(picture, index):
            # What no sensor could name may be a car in a queue.
            place.known = (
                place.known
                or track.object_class in THINGS
                or (
                    track.object_class is ObjectClass.UNKNOWN
                    and self._there(picture, index) >= LEAST
                    and picture.time_ns - place.since_ns >= UNNAMED_NS
                )
            )
            known = track.object_class in THINGS or (place.known and not place.crowded)
            kind = kinds.OBSTACLE if on_lane and (known or free) else None
            if kind is not None:
                self._lay[key] = (*at, picture.time_ns)
        elif _in_any(self._fire, at):
            kind = self._after_a_while(picture, place, kinds.FIRE_LANE)
        elif on_lane:
            free = free and not self._unclear(int(picture.road.lane[index]))
            kind = self._on_lane(picture, index, place, free=free)
        elif not inside and _in_any(self._keep_clear, at):
            kind = self._after_a_while(picture, place, kinds.PARKED)
        if kind is None:
            return None
        since_ns = place.since_ns
        if kind == kinds.PARKED and on_lane:
            since_ns += round(self._options.parked_after_s * NS_PER_S)
        return self._said(picture, index, key, kind, since_ns)

    def _after_a_while(self, picture: Picture, place: _Place, kind: str) -> str | None:
        """The kind, where not even a short stop is allowed."""
        stood_s = (picture.time_ns - place.since_ns) / NS_PER_S
        return kind if stood_s >= self._options.fire_lane_after_s else None

    def _on_lane(self, picture: Picture, index: int, place: _Place, *, free: bool) -> str | None:
        now_ns = picture.time_ns
        stood_s = (now_ns - place.since_ns) / NS_PER_S
        if not place.told:
            if not free:
                place.free_ns = -1
                place.waited = place.waited or stood_s >= WAITS_S
                return None
            if place.free_ns < 0:  # at the first look at it: since it came to rest
                place.free_ns = place.since_ns if stood_s < LOOK_S else now_ns
            free_s = (now_ns - place.free_ns) / NS_PER_S
            enough_s = self._options.free_s
            patience_s = self._patience_s(picture, index, arrived=place.arrived)
            if place.waited:  # it is about to set off, which far away is seen late
                enough_s += SETS_OFF_S + min(patience_s, SETS_OFF_S)
            elif not place.arrived:
                patience_s += FIRST_SEEN_S
            # What comes to stand around it later is no reason any more.
            place.told = (
                free_s >= enough_s
                and stood_s >= patience_s
                and not self._thing_lay_at(place.x, place.y, now_ns)
            )
        if not place.told:
            return None
        return kinds.PARKED if stood_s >= self._options.parked_after_s else kinds.STOPPED

    def _thing_lay_at(self, x: float, y: float, now_ns: int) -> bool:
        self._lay = {key: one for key, one in self._lay.items() if now_ns - one[2] <= THING_NS}
        return any(math.hypot(x - a, y - b) <= THING_PLACE for a, b, _ in self._lay.values())

    def _said(self, picture: Picture, index: int, key: int, kind: str, since_ns: int) -> Sighting:
        track = picture.tracks[index]
        lane = int(picture.road.lane[index])
        confidence = self._there(picture, index)
        names = (self._site.lanes[lane].id,) if picture.road.inside[index] else ()
        if kind == kinds.OBSTACLE:
            confidence *= _chance_of_thing(track, (picture.time_ns - since_ns) / NS_PER_S)
        return Sighting(
            kind, key, Vec2(track.position.x, track.position.y), confidence,
            radius=max(0.5 * math.hypot(track.size.length, track.size.width), 1.0),
            lanes=names, tracks=(track.id,), sources=track.sources, since_ns=since_ns,
        )  # fmt: skip

    def _there(self, picture: Picture, index: int) -> float:
        """Probability that a track is something, and on the lane that it is seen on if it is."""
        track, road = picture.tracks[index], picture.road
        if not road.inside[index]:
            return track.existence
        lane = self._site.lanes[int(road.lane[index])]
        lateral, heading = float(road.lateral[index]), float(road.heading[index])
        return track.existence * chance_between_edges(track, lane, lateral, heading)

    def _patience_s(self, picture: Picture, index: int, *, arrived: bool) -> float:
        """How long it may stand although nothing is in front of it."""
        lane = int(picture.road.lane[index])
        track: Track = picture.tracks[index]
        std = std_along(track, float(picture.road.heading[index]))
        # Far away, who creeps on looks for a while as though standing.
        enough = WELL_PLACED_ARRIVED if arrived else WELL_PLACED
        certain_s = (std / enough) ** 2 if std > enough else 0.0
        front = float(picture.road.station[index]) + track.size.length / 2
        at_line = float(self._stop[lane]) - front < AT_LINE
        if self._inside_junction[lane] or at_line:
            return LONGEST_WAIT_S
        if track.object_class is ObjectClass.BUS:
            return BUS_DWELL_S
        return certain_s

    def _drop_who_left(self, picture: Picture) -> None:
        """Places whose vehicle was seen to drive off, or that nobody has seen for long."""
        moving = np.flatnonzero(picture.speed > MOVES_ABOVE).tolist()
        self._identity.drop_who_left((picture.tracks[i] for i in moving), LEFT, picture.time_ns)
        oldest = picture.time_ns - round(PLACE_MEMORY_S * NS_PER_S)
        known = self._identity.all_keys()
        self._places = {
            key: place
            for key, place in self._places.items()
            if place.seen_ns >= oldest and key in known
        }


def _is_thing(picture: Picture, index: int) -> bool:
    """Lies on the road: an obstacle, or something unnamed that has never been seen to move."""
    track = picture.tracks[index]
    if track.object_class is not ObjectClass.UNKNOWN:
        return track.object_class in THINGS
    since_ns = int(picture.standing_since_ns[index])
    return 0 <= since_ns < track.born_ns + NEVER_MOVED_NS


def _chance_of_thing(track: Track, lain_s: float) -> float:
    """Probability that what never moved is none of traffic."""
    if track.object_class in THINGS:
        return track.class_probability
    if track.object_class is ObjectClass.UNKNOWN:
        return 1.0 - math.exp(-lain_s / NAMED_S)
    return 1.0 - track.class_probability


def _in_any(zones: list[Zone], at: tuple[float, float]) -> bool:
    return any(bool(zone.contains([at])[0]) for zone in zones)
