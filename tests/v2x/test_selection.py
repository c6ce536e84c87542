"""Who finds a place: the urgent, the near, and everybody in turn."""

from __future__ import annotations

import math
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track
from rsu.schema.units import NS_PER_S, Instant, Vec2
from rsu.v2x.selection import EVENT_WORD_NS, EVENTS_MAX, TURN_SHARE, Selection

NOW = Instant(1_750_000_000 * NS_PER_S, NS_PER_S)


def later(seconds: float) -> Instant:
    ns = round(seconds * NS_PER_S)
    return Instant(NOW.utc_ns + ns, NOW.mono_ns + ns)


def event(number: int, *tracks: int, phase: EventPhase = EventPhase.ONSET) -> RoadEvent:
    return RoadEvent(
        id=number, kind="conflict", phase=phase, code=None, position=Vec2(0.0, 0.0), radius=5.0,
        confidence=0.9, start_ns=NOW.utc_ns, time_ns=NOW.utc_ns, tracks=tracks,
    )  # fmt: skip


def row(track: Callable[..., Track], count: int, **changes: object) -> list[Track]:
    """Cars 1..count, the higher the number the farther away."""
    return [track(i, position=Vec2(10.0 * i, 0.0), **changes) for i in range(1, count + 1)]


def test_all_are_said_where_there_is_room(track: Callable[..., Track]) -> None:
    chosen = Selection().choose(row(track, 5), 5, NOW)
    assert [one.id for one in chosen] == [1, 2, 3, 4, 5]


def test_the_vulnerable_and_the_endangered_go_before_the_near(track: Callable[..., Track]) -> None:
    selection = Selection()
    selection.hear(event(1, 19), NOW)
    cars = row(track, 20)
    walker = track(99, position=Vec2(400.0, 0.0), object_class=ObjectClass.PEDESTRIAN)
    chosen = [one.id for one in selection.choose([*cars, walker], 10, NOW)]
    # Two of ten places are for taking turns: nobody has been said, so the nearest left over.
    assert chosen == [19, 99, 1, 2, 3, 4, 5, 6, 7, 8]


def test_an_event_counts_until_it_ends_or_is_not_repeated(track: Callable[..., Track]) -> None:
    selection = Selection()
    cars = row(track, 20)

    def first(now: Instant) -> int:
        return selection.choose(cars, 5, now)[0].id

    selection.hear(event(1, 19), NOW)
    assert first(NOW) == 19
    assert first(later(EVENT_WORD_NS / NS_PER_S)) == 19
    assert first(later(EVENT_WORD_NS / NS_PER_S + 0.001)) == 1
    selection.hear(event(2, 18), later(10))
    assert first(later(10)) == 18
    selection.hear(event(2, 18, phase=EventPhase.END), later(11))
    assert first(later(11)) == 1


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(count=st.integers(2, 120), slots=st.integers(2, 60), walkers=st.integers(0, 20))
def test_everybody_who_stays_is_said_within_the_stated_time(
    track: Callable[..., Track], count: int, slots: int, walkers: int
) -> None:
    people = [
        track(1000 + i, position=Vec2(5.0 * i, 50.0), object_class=ObjectClass.BICYCLE)
        for i in range(walkers)
    ]
    tracks = [*row(track, count), *people]
    selection = Selection()
    kept = max(slots // TURN_SHARE, 1)
    left_over = max(len(tracks) - (slots - kept), 0)
    limit = math.ceil(left_over / kept) + 1
    silent_for = dict.fromkeys((one.id for one in tracks), 0)
    for _ in range(3 * limit):
        chosen = [one.id for one in selection.choose(tracks, slots, NOW)]
        assert len(chosen) == len(set(chosen)) == min(slots, len(tracks))
        selection.said(chosen)
        for name in silent_for:
            silent_for[name] = 0 if name in chosen else silent_for[name] + 1
        assert max(silent_for.values()) <= limit


def test_the_same_input_is_the_same_choice_whatever_its_order(track: Callable[..., Track]) -> None:
    tracks = row(track, 30)
    one, other = Selection(), Selection()
    for _ in range(12):
        a = [t.id for t in one.choose(tracks, 7, NOW)]
        b = [t.id for t in other.choose(tracks[::-1], 7, NOW)]
        assert a == b
        one.said(a)
        other.said(b)


def test_one_place_is_for_the_most_urgent_and_none_for_nobody(track: Callable[..., Track]) -> None:
    tracks = row(track, 3)
    assert [one.id for one in Selection().choose(tracks, 1, NOW)] == [1]
    assert Selection().choose(tracks, 0, NOW) == []


def test_who_has_left_is_forgotten(track: Callable[..., Track]) -> None:
    selection = Selection()
    tracks = row(track, 6)
    selection.said([1, 2, 3, 4, 5, 6])
    selection.keep_only({1, 2, 3, 4, 5})
    # 6 is new again, so it goes before the others when turns are taken.
    assert 6 in [one.id for one in selection.choose(tracks, 3, NOW)]


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    places=st.lists(
        st.tuples(st.integers(-200, 200), st.integers(-200, 200), st.booleans()),
        min_size=1, max_size=60,
    ),
    slots=st.integers(1, 40),
    named=st.sets(st.integers(0, 59), max_size=5),
)  # fmt: skip
def test_the_most_urgent_and_near_are_said_in_every_cycle(
    track: Callable[..., Track],
    places: list[tuple[int, int, bool]],
    slots: int,
    named: set[int],
) -> None:
    selection = Selection()
    if named:
        selection.hear(event(1, *named), NOW)
    tracks = [
        track(
            i, position=Vec2(float(x), float(y)),
            object_class=ObjectClass.PEDESTRIAN if person else ObjectClass.CAR,
        )
        for i, (x, y, person) in enumerate(places)
    ]  # fmt: skip
    # The rule as it is written, worked out here once more.
    order = sorted(
        range(len(places)),
        key=lambda i: (not (places[i][2] or i in named), math.hypot(*places[i][:2]), i),
    )
    kept = 0 if slots == 1 else max(slots // 5, 1)
    for _ in range(8):
        chosen = [one.id for one in selection.choose(tracks, slots, NOW)]
        assert chosen == [i for i in order if i in chosen], "in the order of the rule"
        assert len(chosen) == min(slots, len(tracks))
        assert set(order[: slots - kept]) <= set(chosen)
        selection.said(chosen)


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(
    stays=st.integers(1, 40), slots=st.integers(2, 30), passing=st.integers(0, 2),
    wander=st.integers(0, 5),
)  # fmt: skip
def test_who_stays_gets_his_turn_though_others_come_and_go(
    track: Callable[..., Track], stays: int, slots: int, passing: int, wander: int
) -> None:
    # The passing are new in every cycle, so they stand first in the queue for turns: as long as
    # they are fewer than the places kept, the others advance.
    kept = max(slots // TURN_SHARE, 1)
    passing = min(passing, kept - 1)
    selection = Selection()
    silent_for = dict.fromkeys(range(1, stays + 1), 0)
    limit = math.ceil(stays / (kept - passing)) + 1
    for cycle in range(3 * limit):
        tracks = [
            track(i, position=Vec2(10.0 * ((i + wander * cycle) % stays), 0.0))
            for i in range(1, stays + 1)
        ] + [track(10_000 + 10 * cycle + i, position=Vec2(900.0, 0.0)) for i in range(passing)]
        selection.keep_only({one.id for one in tracks})
        chosen = [one.id for one in selection.choose(tracks, slots, NOW)]
        selection.said(chosen)
        for name in silent_for:
            silent_for[name] = 0 if name in chosen else silent_for[name] + 1
        assert max(silent_for.values()) <= limit


def test_an_update_of_an_event_names_its_road_users_anew(track: Callable[..., Track]) -> None:
    selection = Selection()
    cars = row(track, 20)
    selection.hear(event(1, 19, 18), NOW)
    assert [one.id for one in selection.choose(cars, 5, NOW)][:2] == [18, 19]
    selection.hear(event(1, 17, phase=EventPhase.UPDATE), later(1))
    assert [one.id for one in selection.choose(cars, 5, later(1))][:2] == [17, 1]
    # It names nobody any more; the other event still holds.
    selection.hear(event(2, 16), later(2))
    selection.hear(event(1, phase=EventPhase.UPDATE), later(2))
    assert [one.id for one in selection.choose(cars, 5, later(2))][:2] == [16, 1]


def test_more_events_than_are_remembered_forget_the_one_unheard_of_longest(
    track: Callable[..., Track],
) -> None:
    selection = Selection()
    selection.hear(event(0, 19), NOW)
    selection.hear(event(1, 18), NOW)
    selection.hear(event(0, 19, phase=EventPhase.UPDATE), NOW)  # heard again: now 1 is the oldest
    for number in range(2, EVENTS_MAX + 1):
        selection.hear(event(number, 1), NOW)
    assert [one.id for one in selection.choose(row(track, 20), 5, NOW)][:3] == [1, 19, 2]
