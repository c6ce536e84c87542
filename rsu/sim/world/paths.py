"""A polyline that something travels along: arc length in, position and direction out.

Lane centrelines (N×2, m, site frame) go in; roads join them to routes, vehicles and walkers ask
where they are. Lookups are plain floats: a world asks for thousands of single points per second,
where an array call costs more than the answer.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

JOIN = 1e-3
"""Points closer than this, m, are one point: GeoJSON's 8 decimals are 1 mm on the ground."""


class Path:
    """A polyline with arc length; beyond its ends it goes straight on."""

    __slots__ = ("_heading", "_s", "_ux", "_uy", "_x", "_y", "length", "points")

    def __init__(self, points: Floats) -> None:
        """`points`: N×2, m. Raises ValueError when fewer than two differ."""
        steps = np.hypot(*np.diff(points, axis=0).T)
        kept = points[np.concatenate(([True], steps > JOIN))]
        if len(kept) < 2:
            raise ValueError("a path needs two points that differ")
        delta = np.diff(kept, axis=0)
        steps = np.hypot(delta[:, 0], delta[:, 1])
        unit = delta / steps[:, None]
        self.points: Floats = kept
        self.length = float(steps.sum())
        self._s: list[float] = [0.0, *np.cumsum(steps).tolist()]
        self._x: list[float] = kept[:, 0].tolist()
        self._y: list[float] = kept[:, 1].tolist()
        self._ux: list[float] = unit[:, 0].tolist()
        self._uy: list[float] = unit[:, 1].tolist()
        self._heading = [math.atan2(y, x) for x, y in unit.tolist()]

    def at(self, s: float) -> tuple[float, float]:
        """The point at arc length `s`, m."""
        i = bisect_right(self._s, s, 1, len(self._ux)) - 1
        along = s - self._s[i]
        return self._x[i] + self._ux[i] * along, self._y[i] + self._uy[i] * along

    def pose(self, s: float) -> tuple[float, float, float]:
        """`at` and `heading` at once."""
        i = bisect_right(self._s, s, 1, len(self._ux)) - 1
        along = s - self._s[i]
        return (
            self._x[i] + self._ux[i] * along, self._y[i] + self._uy[i] * along, self._heading[i]
        )  # fmt: skip

    def chord(self, rear: float, front: float) -> tuple[float, float, float]:
        """Middle point and direction of the straight line between two arc lengths, m."""
        knots, last = self._s, len(self._ux)
        i = bisect_right(knots, rear, 1, last) - 1
        along = rear - knots[i]
        x0, y0 = self._x[i] + self._ux[i] * along, self._y[i] + self._uy[i] * along
        while i + 1 < last and knots[i + 1] <= front:
            i += 1
        along = front - knots[i]
        x1, y1 = self._x[i] + self._ux[i] * along, self._y[i] + self._uy[i] * along
        return (x0 + x1) / 2, (y0 + y1) / 2, math.atan2(y1 - y0, x1 - x0)

    def heading(self, s: float) -> float:
        """Direction of the piece that holds `s`, rad counter-clockwise from east."""
        i = bisect_right(self._s, s, 1, len(self._ux)) - 1
        return self._heading[i]

    def station(self, vertex: int) -> float:
        """Arc length of a vertex, m."""
        return self._s[vertex]

    def sampled(self, step: float) -> tuple[Floats, Floats]:
        """Arc lengths (K) and points (K×2) about every `step` m, both ends included."""
        s = np.linspace(0.0, self.length, max(2, math.ceil(self.length / step) + 1))
        knots = np.asarray(self._s)
        x, y = (np.interp(s, knots, self.points[:, axis]) for axis in (0, 1))
        return s, np.stack((x, y), axis=1)

    def offset(self, distance: float) -> Path:
        """The same way, `distance` m to the right, corners mitred."""
        normal = np.stack((np.asarray(self._uy), -np.asarray(self._ux)), axis=1)
        before = np.concatenate((normal[:1], normal))
        after = np.concatenate((normal, normal[-1:]))
        # A mitre is 1/cos(half the turn) long; 2 (a turn of 120°) is where spikes would begin.
        stretch = np.maximum(1.0 + np.sum(before * after, axis=1), 0.5)
        return Path(self.points + distance * (before + after) / stretch[:, None])


def joined(lines: Sequence[Floats]) -> Path:
    """One path along several lines, end to start."""
    return Path(np.concatenate(lines))
