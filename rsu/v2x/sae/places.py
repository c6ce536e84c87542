"""Parts of the road as J2735 states them: paths along lanes, circles, ranges of headings.

A path is told from an anchor in centimetres east and north, as in MAP; the anchor is the lane's
first vertex and the first offset is nothing, so that it means the same line whether or not a
receiver takes the anchor for a point of it. Heights are not stated: nothing measures them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

from rsu.schema.units import Vec2
from rsu.site.features import Direction
from rsu.site.geodesy import compass_degrees
from rsu.site.lanes import Lane
from rsu.v2x.map.thinning import TooManyPointsError, thin
from rsu.v2x.sae import units
from rsu.v2x.steps import OutOfRangeError
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

NODES = 63
"""NodeSetXY, SIZE (2..63)."""
PATHS = 16
"""Regions of a TravelerDataFrame, SIZE (1..16)."""
STEP_MAX = 32_000
"""cm of one offset: 16 bits with sign hold 32767."""
CHORD_ERRORS = (0.1, 0.2, 0.5, 1.0)
"""m, tried in turn until a line has few enough points: from a tenth of what separates a vehicle
from the edge of a 3.5 m lane to all of it."""
SLICES = 16
"""Ranges of 22.5° in a HeadingSlice."""
ALL_HEADINGS = {"bits": "1" * SLICES}

_OFFSETS = (
    ("node-XY1", 10), ("node-XY2", 11), ("node-XY3", 12),
    ("node-XY4", 13), ("node-XY5", 14), ("node-XY6", 16),
)  # fmt: skip
_RADIUS_UNITS = (("decimeter", 10.0), ("meter", 1.0))
_RADIUS_MAX = 4095


class Places:
    """Places of one unit's messages; raises OutOfRangeError for those they cannot carry."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._path_of = cache(self._path)

    def position(self, point: Vec2) -> Content:
        """Position3D of a point of the site frame."""
        return units.position(self._unit.degrees([point])[0])

    def circle(self, centre: Vec2, radius: float) -> Content:
        """Circle of a radius in m, rounded up, so that nothing falls out of it."""
        for name, factor in _RADIUS_UNITS:
            size = math.ceil(radius * factor - 1e-9) if math.isfinite(radius * factor) else -1
            if 0 <= size <= _RADIUS_MAX:
                return {"center": self.position(centre), "radius": size, "units": name}
        raise OutOfRangeError(f"radius {radius:g} m is outside 0..{_RADIUS_MAX}")

    def lanes(self, names: Iterable[str]) -> list[Lane]:
        """The lanes among `names` that the unit's map has."""
        known = self._unit.site.lane_index
        return [self._unit.site.lane(name) for name in names if name in known]

    def paths(self, lanes: list[Lane]) -> list[Content] | None:
        """GeographicalPath of each lane; None where one, or their number, does not fit: some of
        the lanes would say that the others are free."""
        if not 0 < len(lanes) <= PATHS:
            return None
        found = [self._path_of(lane) for lane in lanes]
        return None if None in found else [path for path in found if path is not None]

    def _path(self, lane: Lane) -> Content | None:
        cells = _cells(lane)
        if cells is None:
            return None
        start = Vec2(*(cells[0] / 100.0).tolist())
        offsets = np.diff(np.vstack((cells[:1], cells)), axis=0).tolist()
        both = lane.direction is Direction.BOTH
        return {
            "anchor": self.position(start),
            "laneWidth": units.lane_width(lane.width),
            "directionality": "both" if both else "forward",
            "closedPath": False,
            "direction": heading_slices([lane]),
            "description": {
                "path": {"offset": {"xy": {"nodes": [{"delta": _delta(x, y)} for x, y in offsets]}}}
            },
        }


def heading_slices(lanes: list[Lane]) -> dict[str, str]:
    """HeadingSlice of those who drive along the lanes; every heading where there are none."""
    chosen: set[int] = set()
    for lane in lanes:
        for x, y in np.diff(lane.centreline, axis=0).tolist():
            degrees = compass_degrees(math.atan2(y, x))
            chosen.add(int(degrees // 22.5))
            if lane.direction is Direction.BOTH:
                chosen.add(int((degrees + 180.0) % 360.0 // 22.5))
    return units.bits(SLICES, chosen) if chosen else dict(ALL_HEADINGS)


def _cells(lane: Lane) -> Any:
    """Vertices of a lane in whole centimetres, none more than 320 m apart; None: too many."""
    for error in CHORD_ERRORS:
        try:
            kept = lane.centreline[thin(lane.centreline, error, NODES)]
        except TooManyPointsError:
            continue
        points = [kept[0]]
        for first, last in itertools.pairwise(kept):
            parts = math.ceil(float(np.max(np.abs(last - first))) * 100 / STEP_MAX) or 1
            points += [first + (last - first) * (part / parts) for part in range(1, parts + 1)]
        if len(points) < NODES:  # the anchor is stated as the first of them
            return np.floor(np.array(points) * 100 + 0.5).astype(np.int64)
    return None


def _delta(x: int, y: int) -> Content:
    for name, size in _OFFSETS:
        if -(1 << size - 1) <= min(x, y) and max(x, y) < 1 << size - 1:
            return {name: {"x": x, "y": y}}
    raise OutOfRangeError(f"an offset of {x}, {y} cm")
