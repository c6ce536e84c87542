"""Thinned lines stay within their chord error, keep their ends, and thin to themselves."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsu.v2x.map.thinning import TooManyPointsError, chord_error, thin

coordinates = st.floats(-200, 200, allow_nan=False)
lines = st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=40).map(np.array)


def distance_to_line(point: np.ndarray, line: np.ndarray) -> float:
    """From a point to the nearest place of a line: sampled geometry, no formula shared."""
    best = math.inf
    for (ax, ay), (bx, by) in pairwise(line):
        length = math.hypot(bx - ax, by - ay)
        along = (bx - ax, by - ay)
        share = 0.0
        if length > 0:
            share = ((point[0] - ax) * along[0] + (point[1] - ay) * along[1]) / length / length
        share = min(max(share, 0.0), 1.0)
        best = min(best, math.hypot(point[0] - ax - share * along[0],
                                    point[1] - ay - share * along[1]))  # fmt: skip
    return best


@given(line=lines, error=st.floats(0.01, 20))
def test_dropped_vertices_lie_within_the_chord_error(line: np.ndarray, error: float) -> None:
    kept = thin(line, error, 1000)
    assert kept[0] == 0
    assert kept[-1] == len(line) - 1
    assert max(distance_to_line(point, line[kept]) for point in line) <= error + 1e-9
    assert chord_error(line, kept) <= error


@given(line=lines, error=st.floats(0.01, 20))
def test_thinning_a_thinned_line_keeps_all_of_it(line: np.ndarray, error: float) -> None:
    once = line[thin(line, error, 1000)]
    assert thin(once, error, 1000) == list(range(len(once)))


def test_a_quarter_circle_needs_the_number_of_chords_its_sagitta_says() -> None:
    radius, error = 20.0, 0.1
    angles = np.linspace(0, np.pi / 2, 500)
    circle = radius * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    # A chord over the angle 2a leaves a sagitta r(1 - cos a): at most 2·acos(1 - 0.1/20) each.
    least = math.ceil(math.pi / 2 / (2 * math.acos(1 - error / radius)))
    count = len(thin(circle, error, 1000)) - 1
    assert least <= count <= 2 * least  # halving never needs more than twice the least


def test_a_straight_line_is_its_two_ends() -> None:
    line = np.stack((np.linspace(0, 100, 50), np.zeros(50)), axis=1)
    assert thin(line, 0.01, 31) == [0, 49]


def test_a_bound_that_cannot_be_met_says_what_would_fit() -> None:
    zigzag = np.array([(float(i), 1.0 if i % 2 else -1.0) for i in range(60)])
    with pytest.raises(TooManyPointsError, match="needs 60 points, at most 31") as caught:
        thin(zigzag, 0.1, 31)
    assert len(thin(zigzag, caught.value.fitting, 31)) <= 31
