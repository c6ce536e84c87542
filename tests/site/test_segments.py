"""The grid of segments: nothing near is left out, whatever the map looks like."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.site.segments import FEW, MOST_CELLS, Segments

COORDINATE = st.floats(-300.0, 300.0)


def segments(start: list[tuple[float, float]], turn: list[float], length: list[float]) -> Segments:
    count = len(start)
    heading = np.array(turn)
    return Segments(
        lane=np.zeros(count, dtype=np.intp),
        start=np.array(start, dtype=np.float64).reshape(count, 2),
        along=np.stack((np.cos(heading), np.sin(heading)), axis=1),
        length=np.array(length),
        station=np.zeros(count),
        heading=heading,
        both=np.zeros(count, dtype=np.bool_),
    )


def many(count: int, seed: int = 1, extent: float = 300.0) -> Segments:
    rng = np.random.default_rng(seed)
    return segments(
        [(x, y) for x, y in rng.uniform(-extent, extent, (count, 2)).tolist()],
        rng.uniform(-math.pi, math.pi, count).tolist(),
        rng.uniform(0.5, 40.0, count).tolist(),
    )


def distances(lanes: Segments, xy: np.ndarray) -> np.ndarray:
    """All of them, one by one."""
    out = np.empty((len(xy), len(lanes.lane)))
    for i, point in enumerate(xy):
        for j, start in enumerate(lanes.start):
            onward = float(np.clip((point - start) @ lanes.along[j], 0.0, lanes.length[j]))
            out[i, j] = np.linalg.norm(point - start - onward * lanes.along[j])
    return out


@settings(deadline=None, max_examples=40)
@given(
    points=st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=5),
    distance=st.sampled_from([1.75, 10.0, 50.0]),
    seed=st.integers(0, 5),
)
def test_nothing_within_reach_is_left_out(
    points: list[tuple[float, float]], distance: float, seed: int
) -> None:
    lanes, xy = many(FEW + 20, seed), np.array(points)
    row, segment = lanes.near(xy, distance)
    pairs = list(zip(row.tolist(), segment.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    away = distances(lanes, xy)
    assert set(zip(*np.nonzero(away <= distance), strict=True)) <= set(pairs)
    # Nothing is farther away than the reach and a cell's diagonal.
    cell = max(4.0, distance / 2.5)
    assert all(away[i, j] <= distance + math.sqrt(2.0) * cell + 0.01 for i, j in pairs)


@pytest.mark.parametrize("distance", [10.0, math.inf])
@pytest.mark.parametrize("count", [0, 1, FEW])
def test_of_few_all_are_measured(count: int, distance: float) -> None:
    row, segment = many(count).near(np.zeros((3, 2)), distance)
    assert len(row) == 3 * count
    assert segment.tolist() == list(range(count)) * 3


def test_who_is_nowhere_is_near_nothing() -> None:
    nowhere = np.array([[math.nan, 0.0], [math.inf, 0.0], [0.0, -math.inf], [1e9, 1e9]])
    row, _ = many(FEW + 1).near(nowhere, 10.0)
    assert not len(row)
    row, _ = many(FEW + 1).near(np.empty((0, 2)), 10.0)
    assert not len(row)


def test_a_wide_map_gets_coarser_cells_not_more() -> None:
    lanes = many(FEW + 1, extent=20_000.0)
    xy = lanes.start + 0.5 * lanes.length[:, None] * lanes.along
    row, segment = lanes.near(xy, 10.0)
    assert {(i, i) for i in range(FEW + 1)} <= set(zip(row.tolist(), segment.tolist(), strict=True))
    (grid,) = lanes._grids.values()
    assert len(grid.begin) < 1.2 * MOST_CELLS
