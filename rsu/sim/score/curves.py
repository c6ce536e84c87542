"""What the report draws beside the numbers: paths from above, and metrics over time.

Moments go in; thinned paths and one point per second come out, so that an hour is no more than a
page can hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rsu.schema.units import NS_PER_S
from rsu.sim.score.moments import Moment
from rsu.sim.score.tracking import Pairs

STEP_M = 1.0
"""A path's next point is at least this far on."""
PATHS = 400
"""Paths kept of truth, and of tracks: more only blacken the picture."""
Point = tuple[float, float]


@dataclass(eq=False)
class Second:
    """Sums over the moments of one second: GOSPA and its parts (m), and counts."""

    moments: int = 0
    gospa: list[float] = field(default_factory=lambda: [0.0] * 4)
    objects: int = 0
    found: int = 0


@dataclass(eq=False)
class Curves:
    """Paths by id (m, site frame), `missed` where counted objects had no track (cells of STEP_M),
    seconds by number from `first_ns`."""

    first_ns: int | None = None
    truth_paths: dict[int, list[Point]] = field(default_factory=dict)
    track_paths: dict[int, list[Point]] = field(default_factory=dict)
    missed: dict[tuple[int, int], int] = field(default_factory=dict)
    seconds: dict[int, Second] = field(default_factory=dict)

    def take(self, moment: Moment, pairs: Pairs, gospa: tuple[float, float, float, float]) -> None:
        """One moment, its matches, and its GOSPA with parts."""
        if self.first_ns is None:
            self.first_ns = moment.time_ns
        for paths, ids, places in (
            (self.truth_paths, moment.truth_ids, moment.truth_xy),
            (self.track_paths, moment.track_ids, moment.track_xy),
        ):
            for number, (x, y) in zip(ids.tolist(), places.tolist(), strict=True):
                _extend(paths, number, (x, y))
        second = self.seconds.setdefault((moment.time_ns - self.first_ns) // NS_PER_S, Second())
        second.moments += 1
        second.gospa = [a + b for a, b in zip(second.gospa, gospa, strict=True)]
        matched = {i for i, _ in pairs}
        for i in moment.counts.nonzero()[0].tolist():
            second.objects += 1
            if i in matched:
                second.found += 1
            else:
                x, y = moment.truth_xy[i].tolist()
                cell = (round(x / STEP_M), round(y / STEP_M))
                self.missed[cell] = self.missed.get(cell, 0) + 1


def _extend(paths: dict[int, list[Point]], number: int, point: Point) -> None:
    path = paths.get(number)
    if path is None:
        if len(paths) < PATHS:
            paths[number] = [point]
    elif math.dist(path[-1], point) >= STEP_M:
        path.append(point)
