"""Figures of lanes, approaches, movements and cycles, against values worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rsu.config.situation import TrafficOptions
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.topics import (
    LANES,
    SENSOR_HEALTH,
    SIGNAL_STATE,
    TRACKS,
    TRAFFIC,
    TRAFFIC_CYCLE,
    TRAFFIC_SUMMARY,
    Topic,
)
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.traffic import ServiceLevel
from rsu.schema.units import NS_PER_S, Instant, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, LaneRole, Maneuver, SiteMap
from rsu.situation.stage import SituationStage
from rsu.situation.traffic import service
from rsu.situation.traffic.part import Traffic

START_NS = 1_735_689_600 * NS_PER_S  # 2025-01-01T00:00:00Z: on the edge of every period
Path = Callable[[float], Track | None]


def straight(name: str, x0: float, x1: float, **more: Any) -> Lane:
    return Lane(name, LaneKind.VEHICLE, np.array([[x0, 0.0], [x1, 0.0]]), 3.5, **more)


SITE = SiteMap(
    LocalFrame(31.0, 121.0),
    (
        straight(
            "in", 0.0, 100.0, role=LaneRole.ENTRY, stop_line=100.0, successors=("ahead",),
            speed_limit=10.0, upstream_node=1, downstream_node=2, lane_id=1,
        ),
        straight(
            "ahead", 100.0, 120.0, role=LaneRole.CONNECTION, maneuver=Maneuver.STRAIGHT,
            successors=("out",), signal_group=4, speed_limit=10.0,
        ),
        straight(
            "out", 120.0, 220.0, role=LaneRole.EXIT, upstream_node=2, downstream_node=3,
            speed_limit=10.0, lane_id=1,
        ),
    ),
)  # fmt: skip


def at(seconds: float) -> Instant:
    ns = round(seconds * NS_PER_S)
    return Instant(START_NS + ns, ns)


def track(
    number: int, x: float, speed: float, seconds: float, *, length: float = 4.0,
    updated_s: float | None = None,
) -> Track:  # fmt: skip
    cov = np.diag([0.1, 0.1, 0.05**2, 0.1, 0.01])
    return Track(
        id=number, object_class=ObjectClass.CAR, class_probability=0.9, position=Vec2(x, 0.0),
        heading=0.0, speed=speed, turn_rate=0.0,
        covariance=tuple(cov[np.triu_indices(5)].tolist()), size=Size(length, 1.8, 1.5),
        existence=0.99, status=TrackStatus.CONFIRMED, sources=("north",), born_ns=START_NS,
        updated_ns=at(seconds if updated_s is None else updated_s).utc_ns,
    )  # fmt: skip


class Run:
    """The stage fed ten lists a second."""

    def __init__(self, **options: Any) -> None:
        part = Traffic(TrafficOptions(**options), SITE, at(0.0))
        self.stage = SituationStage([part], SITE)
        self.told: dict[Topic, list[Any]] = {}

    def keep(self, messages: Any) -> None:
        for message in messages:
            self.told.setdefault(message.topic, []).append(message.payload)

    def drive(self, begin: float, end: float, *paths: Path) -> None:
        for step in range(round(begin * 10), round(end * 10)):
            s = step / 10
            tracks = tuple(one for path in paths if (one := path(s)) is not None)
            payload = TrackList(time_ns=at(s).utc_ns, tracks=tracks)
            draft = Message.draft(TRACKS, "fusion", payload.time_ns, payload)
            self.keep(self.stage.handle(draft, at(s + 0.02)))
            self.keep(self.stage.tick(at(s + 0.05)))

    def light(self, seconds: float, light: LightState) -> None:
        payload = SignalState(
            controller="c", intersection=1, capture_ns=at(seconds).utc_ns,
            groups=(SignalGroup(group=4, light=light),),
        )  # fmt: skip
        draft = Message.draft(SIGNAL_STATE, "c", payload.capture_ns, payload)
        self.keep(self.stage.handle(draft, at(seconds)))

    def health(self, seconds: float, **states: SensorState) -> None:
        for name, state in states.items():
            payload = SensorHealth(
                sensor=name, kind=SensorKind.CAMERA, state=state, since_ns=0,
                time_ns=at(seconds).utc_ns,
            )  # fmt: skip
            draft = Message.draft(SENSOR_HEALTH, name, payload.time_ns, payload)
            self.keep(self.stage.handle(draft, at(seconds)))

    def lane(self, name: str, period: int = 0, topic: Topic = TRAFFIC) -> Any:
        return next(one for one in self.told[topic][period].lanes if one.lane == name)


def passing(number: int, begin: float, speed: float) -> Path:
    return lambda s: track(number, speed * (s - begin), speed, s) if s >= begin else None


def waiting(number: int, x: float) -> Path:
    return lambda s: track(number, x, 0.0, s)


def test_headway_gap_and_occupancy_at_the_line() -> None:
    """Cars of 4 m at 8 m/s, 2 s apart: gap 2 − 4/8 s, each covers the line for 4/8 s of ten."""
    run = Run()
    run.drive(0.0, 42.0, *(passing(n, 5.0 + 2 * n, 8.0) for n in range(12)))
    # At the line from 17.5 s on, every 2 s: five in the third period, four of them after another.
    lane = run.lane("in", 2)
    assert lane.count == 5
    assert lane.headway == pytest.approx(2.0, abs=0.02)
    assert lane.gap == pytest.approx(1.5, abs=0.03)
    assert lane.occupancy == pytest.approx(5 * 0.5 / 10, abs=0.06)
    assert lane.mean_speed == pytest.approx(8.0)
    assert lane.space_mean_speed == pytest.approx(8.0)
    assert lane.coverage == pytest.approx(1.0)
    assert lane.queue.most_vehicles == 0


def test_who_was_hidden_and_is_told_late_follows_nobody() -> None:
    """Of four, 2 s apart, the second is found again when the third has crossed: 4 s, then 2 s."""

    def hidden(seconds: float) -> Track | None:
        one = passing(2, 2.0, 8.0)(seconds)
        return None if one is None or 90.0 < one.position.x < 122.0 else one

    run = Run()
    run.drive(
        0.0, 32.0, passing(1, 0.0, 8.0), hidden, passing(3, 4.0, 8.0), passing(4, 6.0, 8.0)
    )  # fmt: skip
    lane = run.lane("in", 1)
    assert lane.count == 4
    assert lane.headway == pytest.approx(3.0, abs=0.05)


def test_delay_is_time_beyond_that_at_the_limit() -> None:
    """One stands for 20 s, else it drives at the limit."""
    run = Run(period_s=60, summaries_s=())

    def stops(s: float) -> Track | None:
        if s < 9.5:
            return track(1, 10.0 * s, 10.0, s)
        return track(1, 95.0, 0.0, s) if s < 29.5 else track(1, 95.0 + 10 * (s - 29.5), 10.0, s)

    run.drive(0.0, 62.0, stops)
    lane = run.lane("in")
    assert lane.count == 1
    assert lane.stops == 1
    assert lane.delay == pytest.approx(20.0, abs=0.3)
    assert lane.service is ServiceLevel.B or lane.service is ServiceLevel.C
    approach = run.told[TRAFFIC][0].approaches[0]
    assert (approach.lanes, approach.upstream_node, approach.count) == (("in",), 1, 1)
    assert approach.delay == lane.delay
    # It waited for a third of the minute.
    assert lane.queue.vehicles == pytest.approx(20 / 60, abs=0.02)


def test_turns_are_told_from_entry_to_exit() -> None:
    run = Run()
    late: Path = lambda s: track(9, 102.0 + 8.0 * s, 8.0, s)  # noqa: E731 - seen from beyond the line
    never: Path = lambda s: track(8, 121.0 + 8.0 * s, 8.0, s)  # noqa: E731 - seen from the exit on
    run.drive(0.0, 25.0, passing(1, 0.0, 8.0), late, never)
    states = run.told[TRAFFIC]
    assert sum(state.movements[0].count for state in states) == 2
    assert sum(state.unassigned for state in states) == 1
    one = states[0].movements[0]
    assert (one.connection, one.entry, one.exit, one.maneuver) == ("ahead", "in", "out", "straight")


def test_cycles_reach_from_green_to_green() -> None:
    run = Run()
    for step in range(70):
        s = float(step)
        shown = LightState.PERMISSIVE_GREEN if step % 30 in range(10, 22) else LightState.RED
        run.light(s, shown)
        run.drive(s, s + 1, *(passing(n, 6.0 * n, 8.0) for n in range(12)))
    (cycle,) = run.told[TRAFFIC_CYCLE]
    assert (cycle.group, cycle.start_ns, cycle.end_ns) == (4, at(10.0).utc_ns, at(40.0).utc_ns)
    assert cycle.green_s == pytest.approx(12.0)
    (lane,) = cycle.lanes
    assert lane.lane == "in"
    assert lane.count == 5  # at the line every 6 s from 12.5 s on
    # v/c: 5 in 12 s of green, in which 1900 an hour would make 6.33.
    assert lane.saturation == pytest.approx(5 / (1900 / 3600 * 12), rel=0.02)


def test_a_silent_controller_ends_its_cycles_untold() -> None:
    run = Run()
    for step in range(70):
        s = float(step)
        if not 15 <= step < 25:
            run.light(s, LightState.RED if step % 30 < 10 else LightState.PERMISSIVE_GREEN)
        run.drive(s, s + 1)
    assert TRAFFIC_CYCLE not in run.told
    assert run.lane("in", 1).saturation is None


def test_summaries_add_up_what_periods_tell() -> None:
    run = Run(summaries_s=(30, 60))
    run.drive(0.0, 62.0, *(passing(n, 4.0 * n, 8.0) for n in range(14)))
    periods, summaries = run.told[TRAFFIC], run.told[TRAFFIC_SUMMARY]
    assert [(s.end_ns - s.start_ns) // NS_PER_S for s in summaries] == [30, 30, 60]
    minute = summaries[2].lanes[0]
    assert minute.count == sum(state.lanes[0].count for state in periods) == 12
    assert minute.present == pytest.approx(sum(state.lanes[0].present for state in periods) / 6)
    assert summaries[2].coverage == pytest.approx(sum(state.coverage for state in periods) / 6)


def test_every_second_tells_who_is_on_the_lane_and_who_waits() -> None:
    run = Run()
    run.drive(0.0, 6.0, waiting(1, 97.0), waiting(2, 90.5), passing(3, -1.0, 9.0))
    seconds = run.told[LANES]
    assert [state.time_ns for state in seconds] == [at(n).utc_ns for n in range(1, 6)]
    lane = run.lane("in", 3, LANES)
    assert lane.present == pytest.approx(3.0)
    assert lane.density == pytest.approx(0.03)
    assert (lane.queue.vehicles, lane.queue.seen) == (2, 2)
    assert lane.queue.length == pytest.approx(99.0 - 88.5)
    assert lane.queue.back.x == pytest.approx(88.5)
    assert not lane.queue.spill_back


def test_silence_tells_no_seconds() -> None:
    run = Run()
    for step in range(300):
        run.keep(run.stage.tick(at(step / 10)))
    assert LANES not in run.told
    assert [state.coverage for state in run.told[TRAFFIC]] == [0.0, 0.0]
    assert all(one.coverage == 0.0 for one in run.told[TRAFFIC][0].lanes)


def test_who_is_carried_on_unmeasured_lowers_the_coverage_of_the_lane() -> None:
    run = Run()
    hidden: Path = lambda s: track(2, 50.0, 0.0, s, updated_s=0.0)  # noqa: E731
    run.drive(0.0, 12.0, waiting(1, 97.0), hidden)
    # Two for ten seconds, of whom the second was measured for half a second; besides, whoever
    # waits unseen between them.
    lane = run.lane("in")
    there = 20.0 + 10.0 * (lane.queue.vehicles - 2)
    assert lane.coverage == pytest.approx(10.5 / there, abs=0.03)
    assert run.lane("out").coverage == pytest.approx(1.0, abs=0.02)


def test_a_lost_sensor_uncovers_the_lanes_that_it_alone_measures() -> None:
    run = Run()
    for step in range(22):
        s = float(step)
        state = SensorState.LIVE if step < 10 else SensorState.GONE
        run.health(s - 0.01, north=state, south=SensorState.LIVE)
        run.drive(s, s + 1, waiting(1, 97.0))
    first, second = run.lane("in", 0), run.lane("in", 1)
    assert first.coverage == pytest.approx(1.0, abs=0.03)
    assert second.coverage == pytest.approx(0.0, abs=0.03)
    assert run.lane("out", 1).coverage == pytest.approx(1.0)  # nobody is known to look there alone
    assert run.told[TRAFFIC][1].coverage == pytest.approx(1.0)


def test_levels_of_service_change_at_the_tables_bounds() -> None:
    assert service.by_delay(10.0, 0.5, signals=True) is ServiceLevel.A
    assert service.by_delay(10.1, 0.5, signals=True) is ServiceLevel.B
    assert service.by_delay(80.1, None, signals=True) is ServiceLevel.F
    assert service.by_delay(50.1, None, signals=False) is ServiceLevel.F
    assert service.by_delay(5.0, 1.01, signals=True) is ServiceLevel.F
    assert service.by_density(11.0 / 1609.344) is ServiceLevel.A
    assert service.by_density(46.0 / 1609.344) is ServiceLevel.F


def test_summaries_must_be_multiples_of_the_period() -> None:
    with pytest.raises(ValueError, match="no multiple"):
        TrafficOptions(period_s=7)


def test_no_figure_is_ever_infinite_or_not_a_number() -> None:
    run = Run()
    run.drive(0.0, 25.0, waiting(1, 97.0), passing(2, 3.0, 0.01))
    for state in run.told[TRAFFIC]:
        for one in (*state.lanes, *state.approaches):
            for name in one.__struct_fields__:
                value = getattr(one, name)
                assert not isinstance(value, float) or math.isfinite(value), name
