"""Periodic work: how often, and never together."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.situation import queues
from rsu.situation.cadence import SLOTS, Cadence
from rsu.situation.events import congestion, slow, standing
from rsu.situation.traffic import watch

START_NS = 1_735_689_600 * NS_PER_S
TURNS = (congestion.TURN, slow.TURN, standing.TURN, queues.TURN, watch.TURN)


def dues(cadence: Cadence, step_ns: int, seconds: int) -> list[int]:
    times = range(START_NS, START_NS + seconds * NS_PER_S, step_ns)
    return [time for time in times if cadence.due(time)]


@settings(deadline=None)
@given(
    slots=st.sampled_from([1, 2, 3, 4, 6, 12]),
    slot=st.integers(0, SLOTS - 1),
    step_ms=st.integers(7, 100),
)
def test_every_turn_comes_once(slots: int, slot: int, step_ms: int) -> None:
    cadence = Cadence(slots, slot)
    times = dues(cadence, step_ms * NS_PER_MS, 20)
    turn_ns = slots * NS_PER_S // SLOTS
    assert times[0] == START_NS  # nobody waits for a first look
    if step_ms * NS_PER_MS <= turn_ns:
        assert all(
            abs(later - earlier - turn_ns) <= step_ms * NS_PER_MS
            for earlier, later in pairwise(times[1:])
        )


def test_who_costs_most_never_shares_a_slot() -> None:
    taken = [(slot + k) % SLOTS for slots, slot in TURNS for k in range(0, SLOTS, slots)]
    assert len(taken) == len(set(taken))
    assert 0 not in taken  # seconds of lanes end there


def test_no_picture_pays_for_two_while_they_come_once_a_slot() -> None:
    cadences = [Cadence(*turn) for turn in TURNS]
    times = range(START_NS, START_NS + 10 * NS_PER_S, 80 * NS_PER_MS)
    busy = [sum(one.due(time) for one in cadences) for time in times]
    assert max(busy[1:]) == 1


def test_after_the_clock_was_set_back_the_next_picture_counts() -> None:
    cadence = Cadence(12, 0)
    assert cadence.due(START_NS)
    assert not cadence.due(START_NS + 1)
    cadence.forget()
    assert cadence.due(START_NS + 2)
