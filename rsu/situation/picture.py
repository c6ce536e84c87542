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


@dataclass(slots=True)
class _Rest:
    """Where and since when a track stands (`since_ns` -1: it moves)."""

    x: float
    y: float
    since_ns: int
    told_ns: int


class Viewer:
    """Makes pictures of track lists; remembers who stands."""

    def __init__(self, site: SiteMap) -> None:
        self._site = site
        self._rests: dict[int, _Rest] = {}
        self._last_ns: int | None = None

    def look(self, tracks: TrackList) -> Picture:
        """The picture of a list; lists come in order of time (`SituationStage` sees to it)."""
        everyone = tracks.tracks
        position = np.array([(t.position.x, t.position.y) for t in everyone]).reshape(-1, 2)
        heading = np.array(
            [t.heading if t.heading_std < SURE_HEADING else np.nan for t in everyone]
        )
        gap_ns = 0 if self._last_ns is None else tracks.time_ns - self._last_ns
        self._last_ns = tracks.time_ns
        return Picture(
            time_ns=tracks.time_ns,
            gap_ns=gap_ns,
            tracks=everyone,
            position=position,
            heading=heading,
            speed=np.array([t.speed for t in everyone]),
            vehicle=np.array([is_vehicle(t) for t in everyone], dtype=np.bool_),
            road=self._site.match(position, headings=heading, kinds=ROAD_KINDS),
            standing_since_ns=self._standing(tracks),
            site=self._site,
        )

    def forget(self) -> None:
        """Begin anew: after a jump of the clock nothing from before can be joined on."""
        self._rests.clear()
        self._last_ns = None

    def _standing(self, tracks: TrackList) -> npt.NDArray[np.int64]:
        time_ns = tracks.time_ns
        since = np.array([self._since(track, time_ns) for track in tracks.tracks], dtype=np.int64)
        oldest = time_ns - MEMORY_NS
        if any(rest.told_ns < oldest for rest in self._rests.values()):
            self._rests = {id_: one for id_, one in self._rests.items() if one.told_ns >= oldest}
        return since

    def _since(self, track: Track, time_ns: int) -> int:
        x, y = track.position.x, track.position.y
        rest = self._rests.get(track.id)
        if rest is None:
            rest = self._rests[track.id] = _Rest(x, y, -1, time_ns)
        rest.told_ns = time_ns
        away = (x - rest.x) ** 2 + (y - rest.y) ** 2 > STAYS_WITHIN**2
        if track.speed > MOVES_ABOVE or (rest.since_ns >= 0 and away):
            rest.since_ns = -1
        if rest.since_ns < 0 and track.speed < STANDS_BELOW:
            rest.x, rest.y, rest.since_ns = x, y, time_ns
        return rest.since_ns
