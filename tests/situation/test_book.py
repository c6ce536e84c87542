"""Events begin late, end late, keep their id, and say when they were last seen."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.message import Message
from rsu.schema.units import NS_PER_S, Instant, Vec2
from rsu.situation.events.book import MAX_OPEN, EventBook, EventIds, Rule, Sighting

START_NS = 1_767_225_600 * NS_PER_S
RULES = {"slow": Rule(onset_s=2.0, clear_s=3.0, code=7, itis=9, severity=4)}


def book() -> EventBook:
    return EventBook(RULES, EventIds(Instant(START_NS, 0)), "situation")


def seen(key: int = 1, x: float = 0.0, confidence: float = 0.9) -> Sighting:
    return Sighting("slow", key, Vec2(x, 0.0), confidence, tracks=(key,))


def run(course: dict[float, list[Sighting]]) -> list[tuple[float, RoadEvent]]:
    told: list[tuple[float, RoadEvent]] = []
    one = book()
    for second, sightings in course.items():
        told += [(second, message.payload) for message in one.see(sightings, ns(second))]
    return told


def ns(second: float) -> int:
    return START_NS + round(second * NS_PER_S)


def test_life_of_an_event() -> None:
    told = run(
        {0.0: [seen()], 1.0: [], 2.0: [seen()], 2.5: [seen()], 3.0: [seen()], 5.9: [], 6.0: []}
    )
    assert [(second, event.phase) for second, event in told] == [
        (2.0, EventPhase.ONSET), (3.0, EventPhase.UPDATE), (6.0, EventPhase.END),
    ]  # fmt: skip
    assert len({event.id for _, event in told}) == 1
    end = told[-1][1]
    assert (end.start_ns, end.time_ns) == (ns(0.0), ns(3.0))
    assert (end.code, end.itis, end.severity, end.tracks) == (7, 9, 4, (1,))


def test_what_was_seen_too_briefly_is_never_told() -> None:
    assert run({0.0: [seen()], 1.9: [seen()], 5.0: [], 5.1: [seen()], 6.0: [seen()]}) == []


def test_a_change_is_told_at_once() -> None:
    told = run(
        {0.0: [seen()], 2.0: [seen()], 2.1: [seen(x=2.5)], 2.2: [seen(x=2.5, confidence=0.5)]}
    )
    assert [second for second, _ in told] == [2.0, 2.1, 2.2]
    assert told[1][1].position.x == 2.5


def test_an_event_that_comes_again_is_another() -> None:
    told = run({0.0: [seen()], 2.0: [seen()], 5.0: [], 6.0: [seen()], 8.0: [seen()]})
    assert [event.phase for _, event in told] == [
        EventPhase.ONSET, EventPhase.END, EventPhase.ONSET,
    ]  # fmt: skip
    assert told[0][1].id != told[2][1].id


def test_ending_all_tells_only_what_was_told() -> None:
    one = book()
    one.see([seen(1)], ns(0.0))
    one.see([seen(1), seen(2)], ns(2.0))
    assert len(list(one.open_events())) == 1
    ended = [message.payload for message in one.end_all()]
    assert [(event.phase, event.tracks) for event in ended] == [(EventPhase.END, (1,))]
    assert one.see([], ns(9.0)) == []


def test_open_events_are_bounded() -> None:
    one = book()
    one.see([seen(key) for key in range(MAX_OPEN + 3)], ns(0.0))
    assert one.turned_away == 3
    assert len(one.see([seen(key) for key in range(MAX_OPEN)], ns(2.0))) == MAX_OPEN


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(0.01, 4.0), st.sets(st.integers(0, 3))), max_size=40))
def test_every_life_is_onset_updates_end(course: list[tuple[float, set[int]]]) -> None:
    one, second = book(), 0.0
    lives: dict[int, list[EventPhase]] = {}
    last: dict[int, int] = {}
    messages: list[Message] = []
    for step, keys in course:
        second += step
        messages += one.see([seen(key) for key in sorted(keys)], ns(second))
    messages += one.end_all()
    for message in messages:
        event: RoadEvent = message.payload
        lives.setdefault(event.id, []).append(event.phase)
        assert event.time_ns >= last.get(event.id, event.start_ns)
        last[event.id] = event.time_ns
    for phases in lives.values():
        assert phases[0] is EventPhase.ONSET
        assert phases[-1] is EventPhase.END
        assert set(phases[1:-1]) <= {EventPhase.UPDATE}
