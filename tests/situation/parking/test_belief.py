"""Log-odds that evidence moves and time wears down: known answers, and what always holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.parking import BayStatus
from rsu.schema.units import NS_PER_S
from rsu.situation.parking.belief import Belief, worn

NEVER = np.zeros(1, dtype=np.bool_)
ALWAYS = np.ones(1, dtype=np.bool_)
shares = st.floats(0.0, 1.0)


def belief(unknown_after_s: float = 120.0, sensor_max_age_s: float = 1800.0) -> Belief:
    return Belief(1, unknown_after_s, sensor_max_age_s)


def test_one_look_by_bayes_rule() -> None:
    """A car in plain view (0.8) against a ghost (0.05), at half weight: 4 to 1."""
    one = belief()
    one.step(0.5, np.array([1.0]), np.array([0.8]), ALWAYS)
    assert one.view[0] == pytest.approx(0.5 * math.log(0.8 / 0.05), rel=1e-3)
    one = belief()
    one.step(0.5, np.array([0.0]), np.array([0.8]), ALWAYS)
    assert one.view[0] == pytest.approx(0.5 * math.log(0.2 / 0.95), rel=1e-3)


def test_seeing_nothing_where_nothing_can_be_seen_says_nothing() -> None:
    one = belief()
    for _ in range(1000):
        one.step(0.5, np.array([0.0]), np.array([0.0]), ALWAYS)
    assert one.view[0] == 0.0


def test_forgetting_is_a_relaxation_towards_one_half() -> None:
    tau = np.array([10.0])
    after = worn(np.array([math.log(9.0)]), 10.0, tau)  # 0.9 → 0.5 + 0.4/e
    assert 1.0 / (1.0 + math.exp(-after[0])) == pytest.approx(0.5 + 0.4 / math.e)
    assert worn(np.array([2.0]), 0.0, tau)[0] == pytest.approx(2.0)
    twice = worn(worn(np.array([2.0]), 3.0, tau), 4.0, tau)
    assert twice[0] == pytest.approx(worn(np.array([2.0]), 7.0, tau)[0])


@pytest.mark.parametrize("seconds", [10.0, 300.0])
def test_the_surest_bay_is_unknown_when_its_time_is_over(seconds: float) -> None:
    one = belief(unknown_after_s=seconds)
    one.add(np.array([99.0]))
    assert one.statuses() == [BayStatus.OCCUPIED]
    one.wear(0.8 * seconds, NEVER)
    assert one.statuses() == [BayStatus.OCCUPIED]
    one.wear(0.2 * seconds, NEVER)
    assert one.statuses() == [BayStatus.UNKNOWN]


def test_two_words_and_a_look_add_up() -> None:
    one = belief()
    one.say("x", 0, 0.9, 0)
    one.say("y", 0, 0.2, 0)
    one.add(np.array([0.7]))
    expected = math.log(9.0) - math.log(4.0) + 0.7
    assert one.probability[0] == pytest.approx(1.0 / (1.0 + math.exp(-expected)))
    one.say("y", 0, None, 0)
    assert one.sources(0) == ("x",)


def test_who_left_may_have_been_this_one() -> None:
    one = belief()
    one.add(np.array([math.log(9.0)]))
    one.left(0, 0.5)
    assert one.probability[0] == pytest.approx(0.45)
    one.left(0, 1.0)
    assert one.probability[0] < 0.01


evidence = st.one_of(
    st.tuples(st.just("step"), st.floats(0.0, 60.0), shares, shares),
    st.tuples(st.just("word"), st.floats(0.0, 1.0), shares, shares),
    st.tuples(st.just("left"), shares, shares, shares),
    st.tuples(st.just("wait"), st.floats(0.0, 1e6), shares, shares),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(evidence, max_size=30))
def test_whatever_comes_probabilities_are_probabilities(
    course: list[tuple[str, float, float, float]],
) -> None:
    one = belief()
    mono_ns = 0
    for what, value, stands, found in course:
        if what == "step":
            one.step(value, np.array([stands]), np.array([found]), ALWAYS)
        elif what == "word":
            one.say("x", 0, value, mono_ns)
        elif what == "left":
            one.left(0, value)
        else:
            mono_ns += round(value * NS_PER_S)
            one.wear(value, NEVER)
            one.wear_words(mono_ns, frozenset())
        (probability,) = one.probability.tolist()
        assert 0.0 < probability < 1.0
        (status,) = one.statuses()
        assert status is not BayStatus.OCCUPIED or probability >= 0.6
        assert status is not BayStatus.FREE or probability <= 0.4


@settings(deadline=None, max_examples=60)
@given(st.floats(-5.0, 5.0), st.floats(0.0, 1e7), st.floats(0.1, 1e5))
def test_time_alone_never_makes_surer(start: float, seconds: float, tau: float) -> None:
    after = worn(np.array([start]), seconds, np.array([tau]))[0]
    assert abs(after) <= abs(start) + 1e-9
    assert after * start >= 0.0
