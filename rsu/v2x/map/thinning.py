"""Fewest points of a line within a stated chord error (Douglas and Peucker, 1973).

The chord error is the largest distance of a dropped vertex from the line that remains, m (facts:
peers.md, MAP point thinning). Thinning what was thinned changes nothing, so that a map that went
over the air and came back states the same points.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class TooManyPointsError(ValueError):
    """The stated error needs more points than allowed; `fitting` (m) is one that does not."""

    def __init__(self, needed: int, allowed: int, chord_error: float, fitting: float) -> None:
        self.fitting = fitting
        super().__init__(
            f"a chord error of {chord_error:g} m needs {needed} points, at most {allowed} are "
            f"allowed; {fitting:.2f} m fits"
        )


def thin(points: Floats, chord_error: float, most: int) -> list[int]:
    """Indices of the vertices of an N × 2 line (m, N ≥ 2) to keep, both ends among them.

    Raises TooManyPointsError where more than `most` vertices are needed.
    """
    kept = _kept(points, chord_error)
    if len(kept) > most:
        raise TooManyPointsError(
            len(kept), most, chord_error, _fitting(points, chord_error, most)
        )  # fmt: skip
    return kept


def chord_error(points: Floats, kept: list[int]) -> float:
    """Largest distance (m) of the vertices of an N × 2 line from the line through `kept`."""
    worst = 0.0
    for first, last in pairwise(kept):
        if last - first > 1:
            worst = max(worst, float(_distances(points, first, last).max()))
    return worst


def _kept(points: Floats, chord_error: float) -> list[int]:
    kept = {0, len(points) - 1}
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distances(points, first, last)
        farthest = int(np.argmax(distances))
        if distances[farthest] > chord_error:
            middle = first + 1 + farthest
            kept.add(middle)
            spans += [(first, middle), (middle, last)]
    return sorted(kept)


def _distances(points: Floats, first: int, last: int) -> Floats:
    """Of the vertices between two from the segment that joins these, m."""
    start, along = points[first], points[last] - points[first]
    offset = points[first + 1 : last] - start
    length2 = float(along @ along)
    if length2 == 0.0:
        nothing: Floats = np.hypot(offset[:, 0], offset[:, 1])
        return nothing
    share = np.clip(offset @ along / length2, 0.0, 1.0)
    gap = offset - share[:, None] * along
    distances: Floats = np.hypot(gap[:, 0], gap[:, 1])
    return distances


def _fitting(points: Floats, low: float, most: int) -> float:
    """A chord error, to the next cm, that needs no more than `most` points."""
    few, high = int(np.ceil(low * 100)), 1
    while len(_kept(points, (few + high) / 100)) > most:
        high *= 2
    low_cm, high_cm = few, few + high
    while high_cm - low_cm > 1:
        middle = (low_cm + high_cm) // 2
        if len(_kept(points, middle / 100)) > most:
            low_cm = middle
        else:
            high_cm = middle
    return high_cm / 100
