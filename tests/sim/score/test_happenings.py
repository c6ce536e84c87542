"""Which report means which event."""

from __future__ import annotations

import pytest

from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.reports import Truth, TruthEvent, TruthObject
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Size, Vec2
from rsu.sim.score.happenings import Happenings


def true(number: int, start_s: float, *, lane: str = "a", x: float = 0.0) -> TruthEvent:
    return TruthEvent(
        id=number, kind="debris", start_ns=round(start_s * NS_PER_S), position=Vec2(x, 0.0),
        lanes=(lane,),
    )  # fmt: skip


def report(
    number: int, *, kind: str = "debris", x: float = 0.0, lane: str = "",
    phase: EventPhase = EventPhase.ONSET,
) -> RoadEvent:  # fmt: skip
    return RoadEvent(
        id=number, kind=kind, phase=phase, code=None, position=Vec2(x, 0.0), radius=1.0,
        confidence=0.9, start_ns=0, time_ns=0, lanes=(lane,) if lane else (),
    )  # fmt: skip


def held(*events: TruthEvent, until_s: float = 10.0) -> Happenings:
    found = Happenings()
    for second in range(round(until_s) + 1):
        now = [one for one in events if one.start_ns <= second * NS_PER_S]
        found.truth(Truth(time_ns=second * NS_PER_S, objects=(), events=tuple(now)))
    return found


def test_the_second_report_of_one_event_is_false() -> None:
    happenings = held(true(1, 2.0))
    happenings.report(report(10), 5 * NS_PER_S)
    happenings.report(report(11), 6 * NS_PER_S)
    happenings.report(report(11, phase=EventPhase.UPDATE), 7 * NS_PER_S)
    numbers = happenings.numbers()
    assert numbers["event.debris.recall"] == numbers["events.recall"] == 1.0
    assert numbers["event.debris.precision"] == 0.5
    assert numbers["event.debris.delay_s"] == pytest.approx(3.0)


def test_two_events_in_one_place_need_two_reports() -> None:
    happenings = held(true(1, 1.0), true(2, 4.0))
    happenings.report(report(10), 5 * NS_PER_S)
    assert happenings.numbers()["events.recall"] == 0.5
    happenings.report(report(11), 6 * NS_PER_S)
    # The earlier report is of the earlier event: delays 4 s and 2 s.
    assert happenings.numbers()["events.recall"] == 1.0
    assert happenings.numbers()["events.delay_s"] == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("told", "at_s", "means_it"),
    [
        (report(1, x=39.0), 5.0, True),
        (report(1, x=41.0), 5.0, False),
        (report(1, x=300.0, lane="a"), 5.0, True),  # a queue is long, but it is this lane's
        (report(1, x=300.0, lane="b"), 5.0, False),
        (report(1), 0.5, False),  # before it began
        (report(1), 1.5, True),  # the grain of a script
        (report(1), 39.0, True),  # late, yet of this one
        (report(1), 41.0, False),
        (report(1, kind="wrong-way"), 5.0, False),
        (report(1, phase=EventPhase.END), 5.0, False),
    ],
)
def test_a_report_means_an_event_of_its_kind_time_and_place(
    told: RoadEvent, at_s: float, means_it: bool
) -> None:
    happenings = held(true(1, 2.0))
    happenings.report(told, round(at_s * NS_PER_S))
    assert happenings.numbers()["events.recall"] == (1.0 if means_it else 0.0)


def test_nothing_happened_and_nothing_was_told() -> None:
    assert held().numbers() == {
        "events.count": 0, "events.recall": None, "events.precision": None, "events.delay_s": None,
    }  # fmt: skip


@pytest.mark.parametrize(("kind", "at_s", "means_it"), [
    ("congestion", 12, True), ("congestion", 8, False), ("obstacle", 39, True),
    ("obstacle", 38, False),
])  # fmt: skip
def test_congestion_may_be_found_as_early_as_late(kind: str, at_s: int, means_it: bool) -> None:
    event = TruthEvent(
        id=1, kind=kind, start_ns=40 * NS_PER_S, position=Vec2(0.0, 0.0), lanes=("a",)
    )
    happenings = held(event, until_s=60.0)
    happenings.report(report(10, kind=kind), at_s * NS_PER_S)
    assert happenings.numbers()["events.recall"] == (1.0 if means_it else 0.0)


@pytest.mark.parametrize(("lane", "x", "speed", "false"), [
    ("a", -10.0, 0.0, 0),  # it stands, and something lies ahead on its lane
    ("a", -10.0, 5.0, 1),  # it drives
    ("b", -10.0, 0.0, 1),  # it stands elsewhere
    ("a", -30.0, 0.0, 1),  # nobody stands where it is said
])  # fmt: skip
def test_who_truly_stands_because_of_an_event_is_no_false_alarm(
    lane: str, x: float, speed: float, false: int
) -> None:
    debris = TruthEvent(id=1, kind="obstacle", start_ns=0, position=Vec2(0.0, 0.0), lanes=("a",))
    car = TruthObject(
        id=7, object_class=ObjectClass.CAR, position=Vec2(-10.0, 0.0), heading=0.0, speed=speed,
        size=Size(4.5, 1.8, 1.5),
    )  # fmt: skip
    happenings = Happenings()
    happenings.truth(Truth(time_ns=NS_PER_S, objects=(car,), events=(debris,)))
    happenings.report(report(10, kind="stopped-vehicle", x=x, lane=lane), 2 * NS_PER_S)
    outcomes, wrong = happenings.outcomes()
    assert [one.told_ns for one in outcomes] == [None]  # and no hit
    assert len(wrong) == false
