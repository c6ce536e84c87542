"""Slow vehicles: who has covered too little way on a free road.

In: pictures. Out: sightings. Twice a second every vehicle's place is kept. Slow is who, with 90 %
probability, was slower than allowed over the last `slow_after_s`, went straight on at a speed that
is steady as far as can be told, and has nobody in front: not in a queue, not at a stop line,
neither setting off nor coming to rest. It stays so until it is faster, or stands; after that it is
slow again once it has moved for as long. Far away tracks end and begin anew; a new one that is
where a lost one may have come to, and nobody else, carries on its way.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from rsu.config.situation import EventOptions
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import LaneKind, LaneRole, Maneuver, SiteMap
from rsu.situation.cadence import Cadence
from rsu.situation.events import kinds
from rsu.situation.events.book import Sighting
from rsu.situation.events.surroundings import link_by_lane, normal_share, std_along
from rsu.situation.picture import CITY_LIMIT, Picture

TURN = (6, 3)  # twice a second (`Cadence`): a way is one of seconds
ALIGNED = math.radians(30.0)  # to the lane: a turning or crossing vehicle is not on it
CERTAIN = 1.28  # standard deviations: 90 % below the bound; steadiness and free road come on top
FREE_AHEAD = 40.0  # m to the next one ahead on a free road: 3 s at 50 km/h
STANDING_AHEAD = 25.0
"""m to one that stands: who brakes for it from the bound, 5.6 m/s at 1.5 m/s², is within 12 m, and
far away places are some metres wrong."""
CORRIDOR = 1.9  # m to either side of its middle: half a lane and a little
HINDERED_SHARE = 0.6  # of the limit: those ahead on its link who are slower hold others up
STOP_NEAR = 20.0
"""m before a stop line within which one may roll towards a red light: 5.6 m/s (0.4 × 50 km/h) at
the gentlest braking in use, 0.8 m/s²."""
EDGE = 60.0  # m from where the map ends: others may stand there whom nobody sees
STEADY = 1.6  # most that the way of one half of the time may be times that of the other
STEADY_SETTING_OFF = 1.35  # … where it began within `SETTING_OFF` of a turn or a stop line
STEADY_SLOWING = 1.35  # … of who slows down: rather to rest than to a low speed
SETTING_OFF = 15.0  # m
STRAIGHT = math.radians(20.0)  # between both halves: one that turns is slow by that
KEEPS_ON = 0.7  # of its mean speed: slower, it is coming to rest
CREEPS = 1.5  # m/s: slower is standing and creeping
STOOD_S = 3.0  # at rest for so long it has stood: far away new tracks seem to for a moment
RESTS_S = 1.5  # the same for one that was told as slow: its track is no new one
SETS_OFF_NS = 10 * NS_PER_S
"""ns from rest: 6 s to 0.4 × 50 km/h at 1 m/s², and some for a slow beginning."""
AFTERWARDS_NS = 6 * NS_PER_S
"""until who was held up is faster than slow again (3 s, at 1 to 2 m/s²), and most of the way that
is judged, 5 s, is its own doing."""
FOLLOWS_NS = 15 * NS_PER_S  # ns that those behind one who is slow are held up by it
UNTOLD_NS = 3 * NS_PER_S // 2
"""ns that a track may have been measured before it was first told, and counts as slow or not: as
long as fusion takes where one look in three finds it."""
LOST_NS = 4 * NS_PER_S  # a way waits so long for a track to carry it on
BEHIND = 10.0  # m that a lost track may have been taken too far ahead (2 σ at 90 m)
ASIDE = 2.5  # m beside where it was: less than a lane


@dataclass(slots=True)
class _Point:
    at_ns: int
    x: float
    y: float


_AT = attrgetter("at_ns")


@dataclass(slots=True)
class _Way:
    """Where one vehicle was, twice a second; `key` stays when another track carries it on, and
    `since_ns`, when it was first measured. `known`: it was told before, for as
    long as it takes to tell, so nobody expects that it sets off faster than it goes."""

    key: int
    heading: float
    first_std: float
    since_ns: int
    told: bool = False
    told_ns: int = 0
    known: bool = False
    stood_ns: int = -SETS_OFF_NS
    hindered_ns: int = -SETS_OFF_NS
    points: list[_Point] = field(default_factory=list)


class SlowDetector:
    """Watches how far everybody on a lane gets."""

    kinds: tuple[str, ...] = (kinds.SLOW,)

    def __init__(
        self, site: SiteMap, options: EventOptions, unclear: Callable[[int], bool]
    ) -> None:
        self._share = options.slow_share
        self._after_ns = round(options.slow_after_s * NS_PER_S)
        self._unclear = unclear
        lanes = site.lanes
        self._names = [lane.id for lane in lanes]
        self._limit = np.array([lane.speed_limit or CITY_LIMIT for lane in lanes])
        self._open = np.array(
            [
                lane.kind is LaneKind.VEHICLE
                and (lane.role is not LaneRole.CONNECTION or lane.maneuver is Maneuver.STRAIGHT)
                for lane in lanes
            ],
            np.bool_,
        )
        self._inside_junction = np.array([x.role is LaneRole.CONNECTION for x in lanes], np.bool_)
        self._stop = np.array([math.inf if x.stop_line is None else x.stop_line for x in lanes])
        self._known = np.array(
            [math.inf if lane.successors else lane.length - EDGE for lane in lanes]
        )
        self._link = link_by_lane(site)
        self._ways: dict[int, _Way] = {}
        self._leaders: dict[int, tuple[int, int]] = {}
        self._cadence = Cadence(*TURN)
        self._seen: list[Sighting] = []

    def look(self, picture: Picture) -> list[Sighting]:
        """Who is too slow now."""
        if not self._cadence.due(picture.time_ns):
            return self._seen
        self._remember(picture)
        self._seen = list(self._slow(picture))
        return self._seen

    def forget(self) -> None:
        """The clock was set back."""
        self._ways.clear()
        self._leaders.clear()
        self._cadence.forget()
        self._seen = []

    def _slow(self, picture: Picture) -> Iterator[Sighting]:
        road = picture.road
        turn = np.abs((picture.heading - road.heading + math.pi) % math.tau - math.pi)
        # Slow ones far away have no sure heading; their way will show.
        there = picture.vehicle & road.inside & self._open[road.lane] & ~(turn >= ALIGNED)
        limit = self._limit[road.lane]
        rows = np.flatnonzero(there & (picture.speed < limit))
        hindered = np.zeros(len(picture.tracks), np.bool_)
        below = rows[picture.speed[rows] < self._share * limit[rows]]
        hindered[below] = self._hindered(picture, below)
        lanes, bounds = road.lane.tolist(), (self._share * limit).tolist()
        for i in rows.tolist():
            track, lane, bound = picture.tracks[i], lanes[i], bounds[i]
            way = self._ways.get(track.id)
            if way is None or picture.time_ns - way.since_ns < self._after_ns:
                continue
            if hindered[i]:
                way.hindered_ns = picture.time_ns
            speed, std = self._mean_speed(picture, i, way)
            if way.told:
                way.told = speed < bound and picture.standing_s(i) < RESTS_S
            elif way.known:  # who is faster already has set off
                way.told = max(speed, track.speed) < bound and self._sets_off_again(picture, i, way)
            else:
                way.told = (
                    CREEPS <= speed < bound - CERTAIN * std
                    and track.speed >= KEEPS_ON * speed
                    and self._steady(picture, i, way)
                    and self._by_itself(picture, i, way)
                )
            if not way.told:
                way.told_ns = 0
                continue
            way.told_ns = way.told_ns or picture.time_ns
            way.known |= picture.time_ns - way.told_ns >= self._after_ns
            self._leaders[int(self._link[lane])] = (way.key, picture.time_ns)
            sure = normal_share((bound - speed) / max(std, 0.1))
            yield Sighting(
                kinds.SLOW, way.key, Vec2(track.position.x, track.position.y),
                track.existence * sure, lanes=(self._names[lane],), tracks=(track.id,),
                sources=track.sources,
            )  # fmt: skip

    def _mean_speed(self, picture: Picture, index: int, way: _Way) -> tuple[float, float]:
        """Over its way, m/s, and 1 σ of it: places at both ends are as sure as the tracks were."""
        first, last = way.points[0], way.points[-1]
        passed_s = (last.at_ns - first.at_ns) / NS_PER_S
        last_std = std_along(picture.tracks[index], float(picture.road.heading[index]))
        along = math.hypot(last.x - first.x, last.y - first.y)
        return along / passed_s, math.hypot(way.first_std, last_std) / passed_s

    def _steady(self, picture: Picture, index: int, way: _Way) -> bool:
        """Straight on, at one speed, and faster than creeping, as far as places are sure."""
        first, last = way.points[0], way.points[-1]
        middle_ns = (first.at_ns + last.at_ns) // 2
        after = bisect_left(way.points, middle_ns, key=_AT)
        middle = min(
            way.points[max(after - 1, 0) : after + 1], key=lambda one: abs(one.at_ns - middle_ns)
        )
        if not first.at_ns < middle.at_ns < last.at_ns:
            return False
        halves = []
        for a, b in ((first, middle), (middle, last)):
            passed_s = (b.at_ns - a.at_ns) / NS_PER_S
            halves.append(((b.x - a.x) / passed_s, (b.y - a.y) / passed_s))
        one, other = (math.hypot(*half) for half in halves)
        bend = math.atan2(halves[1][1], halves[1][0]) - math.atan2(halves[0][1], halves[0][0])
        if abs((bend + math.pi) % math.tau - math.pi) > STRAIGHT:
            return False
        lane = int(picture.road.lane[index])
        begun = float(picture.road.station[index]) - math.hypot(last.x - first.x, last.y - first.y)
        if self._inside_junction[lane] or begun < SETTING_OFF:
            most, doubt = STEADY_SETTING_OFF, 0.0
        else:
            # The first places of a track are its worst. Who slows down gets no such leave: the end
            # of its way is known best, and shows somebody who comes to rest.
            last_std = std_along(picture.tracks[index], float(picture.road.heading[index]))
            half_s = (last.at_ns - first.at_ns) / 2 / NS_PER_S
            most, doubt = STEADY, math.hypot(way.first_std, last_std) / half_s
        if other <= one:
            return other >= CREEPS and one <= STEADY_SLOWING * other
        return one >= CREEPS - doubt and other <= most * one + doubt

    def _sets_off_again(self, picture: Picture, index: int, way: _Way) -> bool:
        """Whether one that was told as slow goes on like that: it has moved for long enough with
        nobody in front. Nobody expects that it accelerates, in the junction as little as elsewhere.
        """
        if picture.time_ns - max(way.stood_ns, way.hindered_ns) < self._after_ns:
            return False
        lane = int(picture.road.lane[index])
        return bool(picture.road.station[index] <= self._known[lane]) and not self._unclear(lane)

    def _by_itself(self, picture: Picture, index: int, way: _Way) -> bool:
        """Whether nothing else explains that it is slow."""
        if picture.time_ns - way.stood_ns < SETS_OFF_NS:
            return False
        if picture.time_ns - way.hindered_ns < AFTERWARDS_NS:
            return False
        link = int(self._link[picture.road.lane[index]])
        leader, at_ns = self._leaders.get(link, (way.key, 0))
        if leader != way.key and picture.time_ns - at_ns < FOLLOWS_NS:
            return False
        return self._on_open_road(picture, index)

    def _on_open_road(self, picture: Picture, index: int) -> bool:
        """On none of the places where many are slow."""
        road = picture.road
        lane = int(road.lane[index])
        station = float(road.station[index])
        # In a junction there are many reasons; who goes on like that is slow beyond it too.
        if self._inside_junction[lane] or self._unclear(lane):
            return False
        before_line = bool(self._stop[lane] - station < STOP_NEAR)
        return not (before_line or station > self._known[lane])

    def _hindered(self, picture: Picture, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        """Of each of `rows`: whether somebody is in front of it, or slow ahead on its link."""
        road = picture.road
        heading = road.heading[rows]
        cos, sin = np.cos(heading), np.sin(heading)
        x, y = (axis - axis[rows, None] for axis in picture.position.T)
        ahead = x * cos[:, None] + y * sin[:, None]
        reach = np.where(picture.speed < CREEPS, STANDING_AHEAD, FREE_AHEAD)
        # Pair by pair from here: most are not in front of each other, or far.
        mine, other = ((ahead > 1.0) & (ahead < reach)).nonzero()
        aside = np.abs(y[mine, other] * cos[mine] - x[mine, other] * sin[mine])
        there = road.inside & picture.vehicle
        link = self._link[road.lane]
        same = there[other] & (link[other] == link[rows[mine]])
        slow = picture.speed[other] < HINDERED_SHARE * self._limit[road.lane[rows[mine]]]
        hindered = np.zeros(len(rows), np.bool_)
        hindered[mine[(aside < CORRIDOR) | (same & slow)]] = True
        return hindered

    def _remember(self, picture: Picture) -> None:
        """Where everybody is; ways of tracks that are gone wait for a while."""
        now_ns = picture.time_ns
        here = {track.id for track in picture.tracks}
        self._ways = {
            number: way
            for number, way in self._ways.items()
            if number in here or now_ns - way.points[-1].at_ns <= LOST_NS
        }
        oldest_ns = now_ns - self._after_ns
        lost = [number for number in self._ways if number not in here]
        for i in np.flatnonzero(picture.vehicle).tolist():
            track = picture.tracks[i]
            way = self._ways.get(track.id)
            if way is None:
                way = self._carried_on(picture, i, lost)
                if way is None:
                    way = _Way(
                        track.id, float(picture.road.heading[i]), 0.0,
                        max(track.born_ns, now_ns - UNTOLD_NS),
                    )  # fmt: skip
                self._ways[track.id] = way
            if picture.standing_s(i) >= (RESTS_S if way.known else STOOD_S):
                way.stood_ns = now_ns
            if not way.points:
                way.first_std = std_along(track, way.heading)
            way.points.append(_Point(now_ns, track.position.x, track.position.y))
            past = 0
            while past + 1 < len(way.points) and way.points[past + 1].at_ns <= oldest_ns:
                past += 1
            if past:
                del way.points[:past]
                way.first_std = std_along(track, way.heading)

    def _carried_on(self, picture: Picture, index: int, lost: list[int]) -> _Way | None:
        """The one lost way that a new track may carry on; None where there is none, or several."""
        fitting = []
        x, y = picture.position[index].tolist()
        limit = float(self._limit[picture.road.lane[index]])
        for number in lost:
            way = self._ways.get(number)
            if way is None:
                continue
            last = way.points[-1]
            cos, sin = math.cos(way.heading), math.sin(way.heading)
            ahead = (x - last.x) * cos + (y - last.y) * sin
            aside = abs((y - last.y) * cos - (x - last.x) * sin)
            gone_s = (picture.time_ns - last.at_ns) / NS_PER_S
            if aside < ASIDE and -BEHIND < ahead < BEHIND + limit * gone_s:
                fitting.append(number)
        if len(fitting) != 1:
            return None
        return self._ways.pop(fitting[0])
