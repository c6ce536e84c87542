"""Who is hidden: behind which nearer road users a camera cannot see, and whom it seldom finds.

In: the tracks and where a camera hangs; out: for some of the tracks whether something nearer covers
them, and the chance of being found where the camera looks along the road. A hidden object is not
missed, it waits: a car behind a bus that passes keeps its track. Nothing is known here of walls and
trees; what they hide coasts as before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rsu.fusion.classes import MOTOR
from rsu.fusion.table import FRESH_NS, Rows, believed_position

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]

SURE_HEADING = 0.5  # rad: below it an object's width is known from every side
HALF = 0.5  # share of an object's height in the shadow from which it is not expected to be found

STEEP, FLAT = 0.12, 0.07
"""Height of a camera over the distance: from `STEEP` on (8 m up: nearer than 67 m) looks find what
they do elsewhere, at `FLAT` (114 m) only `SELDOM`. There a car is 6 px high, and a row of cars
covers all but their roofs; of those that wait, modelled cameras find 0.5 at 65 m, 0.3 at 75 m, 0.25
at 85 m, 0.13 at 95 m a look."""
SELDOM = 0.1


class Viewpoint(NamedTuple):
    """Where a camera hangs: site frame, m; `height` above the road."""

    x: float
    y: float
    height: float


def hidden(view: Viewpoint, rows: Rows, which: Indices, time_ns: int) -> Bools:
    """Which of the tracks `which` something nearer to the camera covers at `time_ns`.

    Covered is whose middle lies between the edges of a fresh, confirmed track, as seen from above,
    and whose lower half lies in its shadow from a lamp where the camera hangs.
    """
    fresh = rows.confirmed & (rows.updated_ns >= time_ns - FRESH_NS)
    cover = fresh.nonzero()[0]
    if not len(which) or not len(cover):
        return np.zeros(len(which), dtype=np.bool_)
    away = believed_position(rows) - (view.x, view.y)
    distance = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-3)
    sight = away / distance[:, None]
    breadth = _half_breadth(rows, cover, sight)
    # Offset of each middle from the line of sight through the nearer one, where that one stands.
    along = sight[cover] @ sight[which].T
    across = np.abs(
        np.outer(sight[cover, 0], sight[which, 1]) - np.outer(sight[cover, 1], sight[which, 0])
    )
    between = (along > 0.0) & (across * distance[cover, None] <= breadth[:, None])
    nearer = distance[cover, None] + breadth[:, None] < distance[None, which]
    drop = (view.height - rows.size[cover, 2])[:, None]
    shadow = view.height - drop * distance[None, which] / distance[cover, None]
    covered = between & nearer & (shadow >= HALF * rows.size[which, 2])
    return np.asarray(covered.any(axis=0))


def chance(view: Viewpoint, rows: Rows, which: Indices, usual: float) -> Floats:
    """Chance that one look of a camera finds the tracks `which`: `usual` where it looks down on
    them, and of who stands in no row of vehicles."""
    away = believed_position(rows).take(which, 0) - (view.x, view.y)
    slope = view.height / np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-3)
    least = min(SELDOM, usual)
    share = np.clip((slope - FLAT) / (STEEP - FLAT), 0.0, 1.0)
    share[~MOTOR[rows.class_index[which]]] = 1.0
    return np.asarray(least + (usual - least) * share)


def _half_breadth(rows: Rows, index: Indices, sight: Floats) -> Floats:
    """Half of how wide objects look along lines of sight, m; of unknown heading: their narrow
    side."""
    length, width = rows.size[index, 0], rows.size[index, 1]
    known = rows.heading_var[index] < SURE_HEADING**2
    heading = rows.heading[index]
    cos, sin = np.cos(heading), np.sin(heading)
    turned = np.abs(sight[index, 0] * sin - sight[index, 1] * cos)  # sine of the angle between
    wide = length * turned + width * np.sqrt(np.maximum(1.0 - turned * turned, 0.0))
    return np.asarray(0.5 * np.where(known, wide, np.minimum(length, width)))
