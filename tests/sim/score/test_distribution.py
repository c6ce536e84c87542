"""Means are exact, quantiles right to half a percent, whatever the values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.sim.score.distribution import Distribution

VALUES = st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=200)


@settings(deadline=None, max_examples=60)
@given(VALUES, st.floats(0.0, 1.0))
def test_quantiles_are_nearest_ranks_to_half_a_percent(values: list[float], share: float) -> None:
    found = Distribution(values)
    rank = max(int(np.ceil(share * len(values) - 1e-9)), 1)
    assert found.quantile(share) == pytest.approx(sorted(values)[rank - 1], rel=0.006, abs=1e-4)
    assert found.mean == pytest.approx(sum(values) / len(values), rel=1e-9, abs=1e-9)


def test_equal_values_come_back_exactly() -> None:
    assert Distribution([45.0] * 9).quantile(0.95) == 45.0


def test_nothing_has_no_mean() -> None:
    assert Distribution().mean is None
    assert Distribution().quantile(0.5) is None
    assert Distribution().histogram([0.0, 1.0, 2.0]) == [0, 0]


def test_outer_bins_of_a_histogram_take_what_lies_beyond() -> None:
    assert Distribution([-5.0, 0.5, 1.5, 9.0]).histogram([0.0, 1.0, 2.0, 3.0]) == [2, 1, 1]


def test_memory_does_not_grow_with_values() -> None:
    many = Distribution(np.random.default_rng(1).lognormal(0.0, 3.0, 20_000).tolist())
    assert len(many._bins) < 2500
