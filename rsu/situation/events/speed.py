"""Speeding: how fast one drives for the road it is on.

In: pictures. Out: sightings. Speeding is a speed that is, with 95 % probability, more than the
tolerance above the limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rsu.config.situation import EventOptions
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import LaneKind, Maneuver, SiteMap
from rsu.situation.events import kinds
from rsu.situation.events.book import Sighting
from rsu.situation.events.surroundings import SURE, Identity, normal_share
from rsu.situation.picture import CITY_LIMIT, Picture

ALIGNED = math.radians(30.0)  # to the lane: a turning or crossing vehicle is not on it
BORN_NS = NS_PER_S  # a new track's speed is a guess


class SpeedingDetector:
    """Watches the speed of everybody on a lane."""

    kinds: tuple[str, ...] = (kinds.SPEEDING,)

    def __init__(self, site: SiteMap, options: EventOptions, dense: Callable[[int], bool]) -> None:
        self._dense = dense
        lanes = site.lanes
        self._names = [lane.id for lane in lanes]
        limit = np.array([lane.speed_limit or CITY_LIMIT for lane in lanes])
        self._allowed = options.speeding_share * limit
        straight = (None, Maneuver.STRAIGHT)
        self._fast = np.array(
            [lane.kind is LaneKind.VEHICLE and lane.maneuver in straight for lane in lanes],
            np.bool_,
        )
        self._identity = Identity(8.0, 2.0)

    def look(self, picture: Picture) -> list[Sighting]:
        """Who is too fast now."""
        road = picture.road
        turn = np.abs((picture.heading - road.heading + math.pi) % math.tau - math.pi)
        there = picture.vehicle & road.inside & (turn < ALIGNED) & self._fast[road.lane]
        rows = np.flatnonzero(there & (picture.speed > self._allowed[road.lane]))
        told = []
        for i in rows.tolist():
            track = picture.tracks[i]
            over = track.speed - float(self._allowed[road.lane[i]])
            over /= max(track.speed_std, 0.1)
            young = picture.time_ns - track.born_ns < BORN_NS
            # Where many stand, a track that leaps goes over from one to another.
            if over > SURE and not young and not self._dense(int(road.lane[i])):
                told.append((i, over))
        keys = self._identity.keys((picture.tracks[i] for i, _ in told), picture.time_ns)
        return [
            self._said(picture, i, key, normal_share(over))
            for key, (i, over) in zip(keys, told, strict=True)
        ]

    def forget(self) -> None:
        """The clock was set back."""
        self._identity.forget()

    def _said(self, picture: Picture, index: int, key: int, sure: float) -> Sighting:
        track = picture.tracks[index]
        return Sighting(
            kinds.SPEEDING, key, Vec2(track.position.x, track.position.y), track.existence * sure,
            lanes=(self._names[int(picture.road.lane[index])],), tracks=(track.id,),
            sources=track.sources,
        )  # fmt: skip
