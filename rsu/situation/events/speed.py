"""Speeding and slow vehicles: how fast one drives for the road it is on.

In: pictures. Out: sightings. Speeding is a speed that is, with 95 % probability, more than the
tolerance above the limit. Slow is who has covered too little way in `slow_after_s` on a free road:
not in a queue, not near a stop line, neither setting off nor coming to rest.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rsu.config.situation import EventOptions
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import LaneKind, LaneRole, Maneuver, SiteMap
from rsu.situation.events import kinds
from rsu.situation.events.book import Sighting
from rsu.situation.events.surroundings import SURE, Identity, normal_share
from rsu.situation.picture import CITY_LIMIT, Picture

ALIGNED = math.radians(30.0)  # to the lane: a turning or crossing vehicle is not on it
BORN_NS = NS_PER_S  # a new track's speed is a guess
SAMPLE_NS = NS_PER_S
FREE_AHEAD = 40.0  # m to the next one ahead on a free road: 3 s at 50 km/h
STOP_NEAR = 35.0
"""m before a stop line within which drivers brake: 13.9 m/s at 2.8 m/s² (AASHTO: up to 3.4)."""
STEADY = 1.6  # most that the way of one half of the time may be times that of the other
EDGE = 60.0  # m from where the map ends
SETTING_OFF = 15.0  # m beyond a lane's beginning where who turned or stood is at speed again
KEEPS_ON = 0.7  # of its mean speed: slower, it is coming to rest
CREEPS = 1.5  # m/s: slower is standing and creeping


class SpeedDetector:
    """Watches the speed of everybody on a lane."""

    kinds: tuple[str, ...] = (kinds.SPEEDING, kinds.SLOW)

    def __init__(self, site: SiteMap, options: EventOptions, dense: Callable[[int], bool]) -> None:
        self._options = options
        self._dense = dense
        lanes = site.lanes
        self._names = [lane.id for lane in lanes]
        self._limit = np.array([lane.speed_limit or CITY_LIMIT for lane in lanes])
        straight = (None, Maneuver.STRAIGHT)
        self._fast = np.array(
            [lane.kind is LaneKind.VEHICLE and lane.maneuver in straight for lane in lanes],
            np.bool_,
        )
        self._open = np.array(
            [x.kind is LaneKind.VEHICLE and x.role is not LaneRole.CONNECTION for x in lanes],
            np.bool_,
        )
        self._stop = np.array([math.inf if x.stop_line is None else x.stop_line for x in lanes])
        # Near the map's end others may stand in front of it whom nobody sees.
        self._known = np.array(
            [math.inf if lane.successors else lane.length - EDGE for lane in lanes]
        )
        self._ways: dict[int, deque[tuple[int, float, float]]] = {}
        self._slow: set[int] = set()
        self._fast_ids, self._slow_ids = Identity(8.0, 2.0), Identity(8.0, 3.0)

    def look(self, picture: Picture) -> list[Sighting]:
        """Who is too fast or too slow now."""
        road = picture.road
        turn = np.abs((picture.heading - road.heading + math.pi) % math.tau - math.pi)
        on_lane = picture.vehicle & road.inside
        self._remember(picture)
        # Slow ones far away have no sure heading; their way will show.
        return [
            *self._speeding(picture, on_lane & (turn < ALIGNED)),
            *self._slowly(picture, on_lane & ~(turn >= ALIGNED)),
        ]

    def forget(self) -> None:
        """The clock was set back."""
        self._ways.clear()
        self._slow.clear()
        self._fast_ids.forget()
        self._slow_ids.forget()

    def _speeding(self, picture: Picture, on_lane: npt.NDArray[np.bool_]) -> list[Sighting]:
        lane = picture.road.lane
        allowed = self._options.speeding_share * self._limit[lane]
        rows = np.flatnonzero(on_lane & self._fast[lane] & (picture.speed > allowed))
        told = []
        for i in rows.tolist():
            track = picture.tracks[i]
            over = (track.speed - float(allowed[i])) / max(track.speed_std, 0.1)
            if over > SURE and picture.time_ns - track.born_ns >= BORN_NS:
                told.append((i, over))
        keys = self._fast_ids.keys((picture.tracks[i] for i, _ in told), picture.time_ns)
        return [
            self._said(picture, i, kinds.SPEEDING, key, normal_share(over))
            for key, (i, over) in zip(keys, told, strict=True)
        ]

    def _slowly(self, picture: Picture, on_lane: npt.NDArray[np.bool_]) -> list[Sighting]:
        lane = picture.road.lane
        rows = np.flatnonzero(on_lane & self._open[lane] & (picture.speed < self._limit[lane]))
        told = []
        for i in rows.tolist():
            track = picture.tracks[i]
            speed = self._mean_speed(track.id, float(self._limit[lane[i]]))
            halting = track.speed < KEEPS_ON * (speed or 0.0)
            if (
                speed is None
                or halting
                or not (track.id in self._slow or self._on_free_road(picture, i))
            ):
                self._slow.discard(track.id)
                continue
            self._slow.add(track.id)
            told.append((i, speed))
        self._slow &= self._ways.keys()
        keys = self._slow_ids.keys((picture.tracks[i] for i, _ in told), picture.time_ns)
        found = []
        for key, (i, speed) in zip(keys, told, strict=True):
            limit = float(self._limit[lane[i]])
            std = max(picture.tracks[i].speed_std, 0.3) / math.sqrt(self._options.slow_after_s)
            sure = normal_share((self._options.slow_share * limit - speed) / std)
            found.append(self._said(picture, i, kinds.SLOW, key, sure))
        return found

    def _mean_speed(self, number: int, limit: float) -> float | None:
        """Of the last seconds, m/s; None unless slow throughout and steady."""
        way = self._ways.get(number)
        needed = round(self._options.slow_after_s)
        if way is None or len(way) <= needed:
            return None
        points = list(way)[-needed - 1 :]
        steps = [
            math.hypot(x1 - x0, y1 - y0) * NS_PER_S / (t1 - t0)
            for (t0, x0, y0), (t1, x1, y1) in pairwise(points)
        ]
        half = len(steps) // 2
        first, second = sum(steps[:half]) / half, sum(steps[-half:]) / half
        mean = sum(steps) / len(steps)
        steady = max(first, second) <= STEADY * min(first, second)
        slow = min(first, second) >= CREEPS and mean < self._options.slow_share * limit
        return mean if steady and slow else None

    def _on_free_road(self, picture: Picture, index: int) -> bool:
        road = picture.road
        lane = int(road.lane[index])
        station = float(road.station[index])
        if self._stop[lane] - station < STOP_NEAR or station < self._set_off(picture, index):
            return False
        if station > self._known[lane] or self._dense(lane):
            return False
        ahead = (road.lane == lane) & road.inside & (road.station > station + 1.0)
        ahead &= road.station < station + FREE_AHEAD
        return not bool(ahead.any())

    def _set_off(self, picture: Picture, index: int) -> float:
        """Station before which its way of the last seconds began at a turn or a stop line."""
        way = self._ways[picture.tracks[index].id]
        _, x, y = way[-round(self._options.slow_after_s) - 1]
        here = picture.tracks[index].position
        return math.hypot(here.x - x, here.y - y) + SETTING_OFF

    def _remember(self, picture: Picture) -> None:
        """One place per second of every vehicle."""
        now_ns = picture.time_ns
        most = round(self._options.slow_after_s) + 2
        for i in np.flatnonzero(picture.vehicle).tolist():
            track = picture.tracks[i]
            way = self._ways.get(track.id)
            if way is None:
                way = self._ways[track.id] = deque(maxlen=most)
            if not way or now_ns - way[-1][0] >= SAMPLE_NS:
                way.append((now_ns, track.position.x, track.position.y))
        if len(self._ways) > 2 * len(picture.tracks) + 32:
            here = {track.id for track in picture.tracks}
            self._ways = {number: way for number, way in self._ways.items() if number in here}

    def _said(self, picture: Picture, index: int, kind: str, key: int, sure: float) -> Sighting:
        track = picture.tracks[index]
        return Sighting(
            kind, key, Vec2(track.position.x, track.position.y), track.existence * sure,
            lanes=(self._names[int(picture.road.lane[index])],), tracks=(track.id,),
            sources=track.sources,
        )  # fmt: skip
