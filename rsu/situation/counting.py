"""Counting lines: which track crossed which lane's line, once each.

In: track lists; out: crossings. A lane's counting line lies across it at its stop line, else at
half its length, from edge to edge. A vehicle crosses when the straight way between two positions
of its reference point passes the line and it heads within 45° of the lane's direction. A position
counts only with a new measurement behind it; what fusion extrapolates is no crossing. This is the
virtual loop detector that flow and time-mean speed are defined on (Treiber & Kesting, "Traffic
Flow Dynamics", 2013, ch. 3: cross-sectional data).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_S
from rsu.site.lanes import Direction, Lane, LaneKind, SiteMap

COUNTED_KINDS = frozenset({LaneKind.VEHICLE, LaneKind.BIKE, LaneKind.PARKING_AISLE})
# Walkers, animals and things are no vehicles; what no sensor named moves on a lane, so it is one.
NO_VEHICLES = frozenset({ObjectClass.PEDESTRIAN, ObjectClass.ANIMAL, ObjectClass.OBSTACLE})
LEAST_COSINE = 0.7071  # 45°: crossing traffic passes the line too, but not along the lane
SURE_HEADING = 0.5  # rad, 1 σ: a heading less certain than this does not speak for a lane
LONGEST_STEP_NS = 2 * NS_PER_S  # ns between two positions of a track for a straight line to mean it
MEMORY_NS = 10 * NS_PER_S  # ns after which an unseen track is forgotten; its id never comes back


@dataclass(frozen=True, slots=True)
class Crossing:
    """One vehicle over one line; `lane` indexes the counter's lanes, `speed` is m/s."""

    lane: int
    track: int
    object_class: ObjectClass
    speed: float
    time_ns: int


def is_vehicle(track: Track) -> bool:
    """Counts as traffic on a lane."""
    return track.object_class not in NO_VEHICLES


def counted_lanes(site_map: SiteMap) -> tuple[Lane, ...]:
    """Lanes that vehicles use, in file order."""
    return tuple(lane for lane in site_map.lanes if lane.kind in COUNTED_KINDS)


@dataclass(slots=True)
class _Seen:
    """A track where it was last measured, and the lanes it has been counted on."""

    x: float
    y: float
    time_ns: int
    updated_ns: int
    counted: set[int]


class LineCounter:
    """Follows tracks over the counting lines of some lanes; each track counts once per lane."""

    def __init__(self, lanes: Iterable[Lane]) -> None:
        lines = [_line(lane) for lane in lanes]
        self._centre: npt.NDArray[np.float64] = np.array([line[0] for line in lines]).reshape(-1, 2)
        self._along: npt.NDArray[np.float64] = np.array([line[1] for line in lines]).reshape(-1, 2)
        self._half_width = np.array([line[2] for line in lines])
        self._both = np.array([line[3] for line in lines], dtype=np.bool_)
        self._seen: dict[int, _Seen] = {}

    def follow(self, tracks: TrackList) -> list[Crossing]:
        """Crossings since the last list, in order of the list."""
        crossings = []
        for track in tracks.tracks:
            if is_vehicle(track):
                crossing = self._step(track, tracks.time_ns)
                if crossing is not None:
                    crossings.append(crossing)
        oldest = tracks.time_ns - MEMORY_NS
        self._seen = {id_: seen for id_, seen in self._seen.items() if seen.time_ns >= oldest}
        return crossings

    def forget(self) -> None:
        """Begin anew: no way leads from before to after a jump of the clock."""
        self._seen.clear()

    def _step(self, track: Track, time_ns: int) -> Crossing | None:
        before = self._seen.get(track.id)
        if before is not None and track.updated_ns <= before.updated_ns:
            return None
        counted = set() if before is None else before.counted
        place = track.position
        self._seen[track.id] = _Seen(place.x, place.y, time_ns, track.updated_ns, counted)
        if before is None or time_ns - before.time_ns > LONGEST_STEP_NS:
            return None
        lane = self._crossed(before, track)
        if lane is None or lane in counted:
            return None
        counted.add(lane)
        return Crossing(lane, track.id, track.object_class, track.speed, time_ns)

    def _crossed(self, seen: _Seen, track: Track) -> int | None:
        """The lane whose line the way to the track passes; of several the most central.

        Lines of neighbouring lanes may overlap where the drawing does; one step is one crossing.
        """
        begin, end = np.array((seen.x, seen.y)), np.array((track.position.x, track.position.y))
        before = ((begin - self._centre) * self._along).sum(axis=1)
        after = ((end - self._centre) * self._along).sum(axis=1)
        if np.array_equal(before < 0.0, after < 0.0):
            return None  # on the same side of every line as before
        way = end - begin
        length = float(np.hypot(way[0], way[1]))
        # Slow vehicles take steps shorter than their noise: the step says that the line was
        # passed, the filtered heading says which way the vehicle goes.
        course = way / length
        if track.heading_std < SURE_HEADING:
            course = np.array((math.cos(track.heading), math.sin(track.heading)))
        step = after - before
        cosine = (course * self._along).sum(axis=1)
        forward = (before < 0.0) & (after >= 0.0) & (cosine >= LEAST_COSINE)
        backward = self._both & (before >= 0.0) & (after < 0.0) & (cosine <= -LEAST_COSINE)
        lanes = np.flatnonzero(forward | backward)
        if len(lanes) == 0:
            return None
        share = -before[lanes] / step[lanes]
        point = begin + share[:, None] * way
        off = point - self._centre[lanes]
        along = self._along[lanes]
        lateral = np.abs(along[:, 0] * off[:, 1] - along[:, 1] * off[:, 0])
        lateral = np.where(lateral <= self._half_width[lanes], lateral, np.inf)
        best = int(np.argmin(lateral))
        return int(lanes[best]) if np.isfinite(lateral[best]) else None


def _line(lane: Lane) -> tuple[tuple[float, float], tuple[float, float], float, bool]:
    """(centre, unit direction of travel, half width, both ways) of a lane's counting line."""
    station = 0.5 * lane.length if lane.stop_line is None else lane.stop_line
    x, y, heading = lane.at(station)
    direction = (float(np.cos(heading)), float(np.sin(heading)))
    return (x, y), direction, 0.5 * lane.width, lane.direction is Direction.BOTH
