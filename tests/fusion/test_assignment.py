"""The assignment of least cost, against scipy's dense solver and against trying everything."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from rsu.fusion.assignment import cheapest

Pairs = dict[tuple[int, int], float]


def price(pairs: Pairs, chosen: list[int], rows: int, none: float) -> float:
    """Total cost of an assignment, which must use nothing twice."""
    some = [list(pairs.items())[index] for index in chosen]
    assert len({r for (r, _), _ in some}) == len({c for (_, c), _ in some}) == len(some)
    return sum(cost for _, cost in some) + none * (rows - len(some))


def assign(pairs: Pairs, none: float) -> list[int]:
    return cheapest([r for r, _ in pairs], [c for _, c in pairs], list(pairs.values()), none)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(0, 3)), st.integers(-9, 9), min_size=1
    ),
    st.integers(-3, 12),
)
def test_nothing_is_cheaper(pairs: Pairs, none: int) -> None:
    """Ties and costs above and below that of staying alone included."""
    rows = sorted({r for r, _ in pairs})
    every = [
        sum(none if c is None else pairs[r, c] for r, c in zip(rows, choice, strict=True))
        for choice in product(*([None, *(c for q, c in pairs if q == r)] for r in rows))
        if len(taken := [c for c in choice if c is not None]) == len(set(taken))
    ]
    assert price(pairs, assign(pairs, none), len(rows), none) == min(every)


@pytest.mark.parametrize(("count", "share"), [(10, 0.3), (60, 0.05), (60, 0.5)])
def test_a_crowd_is_assigned_as_by_the_dense_solver(count: int, share: float) -> None:
    rng = np.random.default_rng(count)
    possible = rng.random((count, count + 5)) < share
    rows, columns = possible.nonzero()
    costs = rng.normal(0.0, 5.0, len(rows))
    none = float(costs.max()) + 1.0
    table = np.full(possible.shape, none)
    table[rows, columns] = costs
    best = table[linear_sum_assignment(table)].sum()
    pairs = {(int(r), int(c)): float(w) for r, c, w in zip(rows, columns, costs, strict=True)}
    chosen = assign(pairs, none)
    assert chosen == sorted(chosen)
    assert price(pairs, chosen, count, none) == pytest.approx(best)


def test_one_steps_aside_for_two_good_pairs() -> None:
    """Each row's nearest is column 5; the one that loses less takes the other."""
    pairs = {(1, 5): 1.0, (1, 6): 2.0, (2, 5): 1.5, (2, 6): 9.0, (3, 5): 1.2}
    assert assign(pairs, none=10.0) == [1, 4]  # 2 + 1.2 + 10 beats 2 + 1.5 + 10
    assert assign({}, none=1.0) == []
