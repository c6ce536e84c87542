"""Traffic told against traffic that was, on scenes whose numbers are plain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec import structs

from rsu.config.model import SiteConfig
from rsu.schema.reports import Truth, TruthObject
from rsu.schema.sensing import ObjectClass
from rsu.schema.traffic import (
    LaneQueue,
    LaneState,
    LaneStates,
    LaneTraffic,
    MovementTraffic,
    TrafficState,
)
from rsu.schema.units import NS_PER_S, Size, Vec2
from rsu.sim.score.coverage import Coverage
from rsu.sim.score.flows import Flows
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, LaneRole, SiteMap

START_NS = 1_735_689_600 * NS_PER_S


def straight(name: str, x0: float, x1: float, **more: Any) -> Lane:
    return Lane(name, LaneKind.VEHICLE, np.array([[x0, 0.0], [x1, 0.0]]), 3.5, **more)


SITE = SiteMap(
    LocalFrame(31.0, 121.0),
    (
        straight("in", -60.0, 0.0, role=LaneRole.ENTRY, stop_line=60.0, successors=("way",)),
        straight("way", 0.0, 10.0, role=LaneRole.CONNECTION, successors=("out",)),
        straight("out", 10.0, 70.0, role=LaneRole.EXIT),
    ),
)


def car(number: int, x: float, speed: float) -> TruthObject:
    return TruthObject(
        id=number, object_class=ObjectClass.CAR, position=Vec2(x, 0.0), heading=0.0, speed=speed,
        size=Size(4.0, 1.8, 1.5),
    )  # fmt: skip


def ten_seconds() -> Flows:
    """One drives through at 10 m/s, two wait 8 m one behind the other."""
    flows = Flows(SITE, Coverage(None))
    for step in range(100):
        s = step / 10
        objects = (car(1, -50.0 + 10.0 * s, 10.0), car(2, -30.0, 0.0), car(3, -38.0, 0.0))
        flows.take(Truth(time_ns=START_NS + round(s * NS_PER_S), objects=objects))
    return flows


def said(*, count: int, speed: float, turned: int, coverage: float = 1.0) -> TrafficState:
    def lane(name: str, count: int) -> LaneTraffic:
        return LaneTraffic(
            lane=name, count=count, counts_by_class={}, mean_speed=speed if count else None,
            present=0.0, density=0.0,
        )  # fmt: skip

    return TrafficState(
        start_ns=START_NS, end_ns=START_NS + 10 * NS_PER_S, coverage=coverage,
        lanes=(lane("in", count), lane("way", 1), lane("out", 1)),
        movements=(
            MovementTraffic(
                connection="way", entry="in", exit="out", maneuver="straight", count=turned,
                space_mean_speed=None,
            ),
        ),
    )  # fmt: skip


def queue(vehicles: int) -> LaneStates:
    waits = LaneQueue(
        vehicles=vehicles, seen=1, length=10.0, back=Vec2(-40.0, 0.0), since_ns=START_NS,
        spill_back=False, open_end=False,
    )  # fmt: skip
    state = LaneState(
        lane="in", count=0, present=2.0, density=0.03, space_mean_speed=0.0, occupancy=0.0,
        coverage=1.0, queue=waits if vehicles else None,
    )  # fmt: skip
    return LaneStates(time_ns=START_NS + 3 * NS_PER_S, lanes=(state,))


def test_what_was_told_rightly_has_no_error() -> None:
    flows = ten_seconds()
    flows.take(said(count=1, speed=10.0, turned=1))
    flows.take(queue(2))
    numbers = flows.numbers()
    assert numbers["traffic.vehicles"] == 3  # one over three lines
    for name in ("flow_error", "speed_error", "turning_error", "queue_error"):
        assert numbers[f"traffic.{name}"] == pytest.approx(0.0), name
    assert numbers["traffic.queue_length_error_m"] == pytest.approx(2.0)  # 12 m from end to end


def test_wrong_counts_speeds_and_queues_are_found_out() -> None:
    flows = ten_seconds()
    flows.take(said(count=3, speed=9.0, turned=0))
    flows.take(queue(5))
    numbers = flows.numbers()
    assert numbers["traffic.flow_error"] == pytest.approx(2 / 3)
    assert numbers["traffic.speed_error"] == pytest.approx(0.1)
    assert numbers["traffic.turning_error"] == pytest.approx(1.0)
    assert (numbers["traffic.queue_error"], numbers["traffic.queue_bias"]) == (3.0, 3.0)


def test_a_missed_queue_counts_and_a_period_that_admits_gaps_does_not() -> None:
    flows = ten_seconds()
    flows.take(said(count=0, speed=9.0, turned=0, coverage=0.5))
    flows.take(queue(0))
    numbers = flows.numbers()
    assert numbers["traffic.flow_error"] is None
    assert numbers["traffic.queue_error"] == 2.0


def test_a_queue_reaches_as_far_as_a_sensor_sees(junction: SiteConfig) -> None:
    """The radar of the west leg looks on beyond 120 m, and so does the queue that is told."""
    line = np.array([[-137.5, -5.2], [-17.5, -5.2]])
    leg = Lane("leg", LaneKind.VEHICLE, line, 3.5, role=LaneRole.ENTRY, stop_line=120.0)
    flows = Flows(SiteMap(LocalFrame(31.0, 121.0), (leg,)), Coverage(junction))
    places = enumerate((-104.0, -112.0, -120.5, -129.0))
    cars = tuple(structs.replace(car(n, x, 0.0), position=Vec2(x, -5.2)) for n, x in places)
    flows.take(Truth(time_ns=START_NS + 3 * NS_PER_S, objects=cars))
    told = queue(4)
    flows.take(structs.replace(told, lanes=(structs.replace(told.lanes[0], lane="leg"),)))
    assert flows.numbers()["traffic.queue_error"] == 0.0
