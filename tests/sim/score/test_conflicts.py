"""Conflicts in the truth, against warnings: known answers."""

from __future__ import annotations

import math

import pytest

from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.reports import Truth, TruthEvent, TruthObject
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Size, Vec2
from rsu.sim.score.conflicts import Conflicts
from rsu.sim.score.happenings import Happenings


def _thing(number: int, kind: ObjectClass, x: float, speed: float, size: Size) -> TruthObject:
    return TruthObject(
        id=number, object_class=kind, position=Vec2(x, 0.0), heading=0.0, speed=speed, size=size
    )


def _warning(number: int, x: float) -> RoadEvent:
    return RoadEvent(
        id=number, kind="vru-warning", phase=EventPhase.ONSET, code=None, position=Vec2(x, 0.0),
        radius=5.0, confidence=0.9, start_ns=0, time_ns=0,
    )  # fmt: skip


def _scored(person_x: float) -> Conflicts:
    """A car drives on at 10 m/s for 10 s; somebody stands at `person_x`."""
    found = Conflicts()
    for step in range(51):
        tau = step * 0.2
        car = _thing(1, ObjectClass.CAR, 10.0 * tau, 10.0, Size(4.6, 1.8, 1.5))
        person = _thing(2, ObjectClass.PEDESTRIAN, person_x, 0.0, Size(0.6, 0.6, 1.7))
        found.truth(Truth(time_ns=round(tau * NS_PER_S), objects=(car, person)))
    return found


def test_a_car_that_does_not_brake_and_a_warning_two_seconds_before() -> None:
    # Its front (2.3 m) touches the person (0.3 m) at x = 37.4 m, after 3.74 s: step 3.8 s.
    found = _scored(40.0)
    found.report(_warning(1, 37.0), round(1.8 * NS_PER_S))
    found.report(_warning(2, 90.0), round(1.8 * NS_PER_S))
    numbers = found.numbers()
    assert numbers["conflicts.count"] == 1
    assert numbers["conflicts.in_time"] == 1.0
    assert numbers["conflicts.lead_s"] == pytest.approx(2.0, abs=0.01)
    assert numbers["conflicts.false"] == 1
    assert numbers["conflicts.false_per_hour"] == pytest.approx(360.0)  # one in 10 s


def test_somebody_whom_nobody_reaches_is_in_no_conflict() -> None:
    assert _scored(-20.0).numbers()["conflicts.count"] == 0


@pytest.mark.parametrize(("steps_out_s", "foreseeable"), [(1.4, True), (2.6, False)])
def test_nobody_foresees_a_step_before_it_is_made(steps_out_s: float, foreseeable: bool) -> None:
    # The car is there after 3.8 s. Somebody steps into its way at 1.5 m/s from 1.7 m, or runs at
    # 3 m/s from 3 m beside it: 2.4 and 1.2 s before.
    speed, beside = (1.5, 1.7) if foreseeable else (3.0, 3.0)
    found = Conflicts()
    for step in range(51):
        tau = step * 0.2
        walks = tau >= steps_out_s - 1e-9
        y = beside - (speed * (tau - steps_out_s) if walks else 0.0)
        car = _thing(1, ObjectClass.CAR, 10.0 * tau, 10.0, Size(4.6, 1.8, 1.5))
        person = TruthObject(
            id=2, object_class=ObjectClass.PEDESTRIAN, position=Vec2(40.0, y),
            heading=-math.pi / 2, speed=speed if walks else 0.0, size=Size(0.6, 0.6, 1.7),
        )  # fmt: skip
        found.truth(Truth(time_ns=round(tau * NS_PER_S), objects=(car, person)))
    (one,) = found.encounters()
    assert one.foreseen_ns == pytest.approx(steps_out_s * NS_PER_S, abs=0.21 * NS_PER_S)
    assert one.foreseeable is foreseeable
    numbers = found.numbers()
    assert numbers["conflicts.count"] == 1
    assert numbers["conflicts.foreseeable"] == int(foreseeable)
    assert numbers["conflicts.foreseeable_in_time"] == (0.0 if foreseeable else None)


def test_a_staged_conflict_is_not_an_event_that_was_missed() -> None:
    happenings = Happenings()
    staged = TruthEvent(id=1, kind="conflict", start_ns=0, position=Vec2(0.0, 0.0))
    happenings.truth(Truth(time_ns=0, objects=(), events=(staged,)))
    assert happenings.numbers()["events.count"] == 0
