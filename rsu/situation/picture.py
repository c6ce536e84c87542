"""The road at one moment, prepared once for all who interpret it.

In: track lists. Out: a `Picture` per list: every track with its place on the lanes and since when
it stands. Traffic, parking, events and warnings read the same picture, so that two of them never
disagree on where somebody is, and lanes are searched once per list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_S
from rsu.site.lanes import LaneKind, LaneMatch, SiteMap

Floats = npt.NDArray[np.float64]

ROAD_KINDS = frozenset({LaneKind.VEHICLE, LaneKind.BIKE, LaneKind.PARKING_AISLE})
WALK_KINDS = frozenset({LaneKind.CROSSWALK, LaneKind.SIDEWALK})
# Walkers, animals and things are no vehicles; what no sensor named moves on a lane, so it is one.
NO_VEHICLES = frozenset({ObjectClass.PEDESTRIAN, ObjectClass.ANIMAL, ObjectClass.OBSTACLE})
SURE_HEADING = 0.5  # rad, 1 σ: a heading less certain than this does not speak for a lane
CITY_LIMIT = 13.89
"""m/s, 50 km/h: where the map states no limit (Regulations on the Road Traffic Safety Law of China,
article 45: a city road with one lane per direction is 30 or, without a line, 50 km/h)."""
STANDS_BELOW = 0.5
"""m/s: slower than this it stands. Fusion reports a resting track with 0 ± 0.3 m/s."""
MOVES_ABOVE = 1.5
"""m/s: faster than this it has left; between the two it keeps what it was doing (3 σ apart)."""
STAYS_WITHIN = 2.0
"""m around where it came to rest: a queue that creeps on by less still stands (half a gap)."""
MEMORY_NS = 10 * NS_PER_S  # after which a track that is not told any more is forgotten


def is_vehicle(track: Track) -> bool:
    """Counts as traffic on a lane."""
    return track.object_class not in NO_VEHICLES


@dataclass(frozen=True, eq=False)
class Picture:
    """All N tracks of one list; arrays have shape (N,) or (N, 2) in its order.

    `heading` is rad, NaN where the track's own is less certain than `SURE_HEADING`; `road` its
    place on lanes for vehicles; `standing_since_ns` when it came to rest, -1 while it moves.
    `gap_ns` is the time since the list before it, 0 for the first one or after a jump of time.
    """

    time_ns: int
    gap_ns: int
    tracks: tuple[Track, ...]
    position: Floats
    heading: Floats
    speed: Floats
    vehicle: npt.NDArray[np.bool_]
    road: LaneMatch
    standing_since_ns: npt.NDArray[np.int64]
    site: SiteMap

    @cached_property
    def walk(self) -> LaneMatch:
        """Its place on crossings and footways."""
        return self.site.match(self.position, kinds=WALK_KINDS)

    def standing_s(self, index: int) -> float:
        """How long a track has been at rest, s; 0 while it moves."""
        since = int(self.standing_since_ns[index])
        return 0.0 if since < 0 else (self.time_ns - since) / NS_PER_S

    def on_lane(self, lane: int) -> Iterator[int]:
        """Tracks between the edges of `site.lanes[lane]`, along it from its beginning."""
        there = np.flatnonzero((self.road.lane == lane) & self.road.inside)
        yield from there[np.argsort(self.road.station[there], kind="stable")].tolist()


class Viewer:
    """Makes pictures of track lists; remembers who stands."""

    def __init__(self, site: SiteMap) -> None:
        self._site = site
        self._last_ns: int | None = None
        self._rests = _Rests()

    def look(self, tracks: TrackList) -> Picture:
        """The picture of a list; lists come in order of time (`SituationStage` sees to it)."""
        everyone = tracks.tracks
        told = np.array(
            [(t.position.x, t.position.y, t.heading, t.covariance[9], t.speed) for t in everyone]
        ).reshape(-1, 5)
        position, speed = told[:, :2], told[:, 4]
        heading = np.where(told[:, 3] < SURE_HEADING**2, told[:, 2], np.nan)
        gap_ns = 0 if self._last_ns is None else tracks.time_ns - self._last_ns
        self._last_ns = tracks.time_ns
        return Picture(
            time_ns=tracks.time_ns,
            gap_ns=gap_ns,
            tracks=everyone,
            position=position,
            heading=heading,
            speed=speed,
            vehicle=np.array([is_vehicle(t) for t in everyone], dtype=np.bool_),
            road=self._site.match(position, headings=heading, kinds=ROAD_KINDS),
            standing_since_ns=self._rests.see(
                [t.id for t in everyone], position, speed, tracks.time_ns
            ),
            site=self._site,
        )

    def forget(self) -> None:
        """Begin anew: after a jump of the clock nothing from before can be joined on."""
        self._rests = _Rests()
        self._last_ns = None


class _Rests:
    """Where and since when tracks stand: a row for each that was told lately, and at the end one
    for all who never were."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._place = np.zeros((1, 2))
        self._since_ns = np.full(1, -1, dtype=np.int64)
        self._told_ns = np.zeros(1, dtype=np.int64)

    def see(
        self, ids: list[int], position: Floats, speed: Floats, time_ns: int
    ) -> npt.NDArray[np.int64]:
        """When each came to rest, UTC ns, -1 while it moves; shape (N,)."""
        row = np.array([self._rows.get(number, -1) for number in ids], dtype=np.intp)
        place, since_ns = self._place[row], self._since_ns[row]
        away = ((position - place) ** 2).sum(axis=1) > STAYS_WITHIN**2
        since_ns[(speed > MOVES_ABOVE) | ((since_ns >= 0) & away)] = -1
        rests = (since_ns < 0) & (speed < STANDS_BELOW)
        place[rests] = position[rests]
        since_ns[rests] = time_ns
        self._remember(ids, place, since_ns, time_ns)
        return since_ns

    def _remember(
        self, ids: list[int], place: Floats, since_ns: npt.NDArray[np.int64], time_ns: int
    ) -> None:
        here, told_ns = set(ids), self._told_ns.tolist()
        gone = {
            number: row
            for number, row in self._rows.items()
            if number not in here and told_ns[row] >= time_ns - MEMORY_NS
        }
        old = np.array([*gone.values(), -1], dtype=np.intp)
        self._place = np.concatenate((place, self._place[old]))
        self._since_ns = np.concatenate((since_ns, self._since_ns[old]))
        self._told_ns = np.concatenate((np.full(len(ids), time_ns), self._told_ns[old]))
        self._rows = {number: row for row, number in enumerate([*ids, *gone])}
