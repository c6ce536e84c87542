"""Traffic per lane: crossings counted once, honest means, honest coverage, aligned periods."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.situation import TrafficOptions
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.topics import SENSOR_HEALTH, TRACKS, TRAFFIC
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.traffic import TrafficState
from rsu.schema.units import NS_PER_S, Instant, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Direction, Lane, LaneKind, SiteMap
from rsu.situation.stage import SituationStage
from rsu.situation.traffic.part import Traffic

START_NS = 1_735_689_600 * NS_PER_S  # 2025-01-01T00:00:00Z, on a period's edge
STEP_S = 0.1
PERIOD_NS = 10 * NS_PER_S


def lane(name: str, y: float, **more: Any) -> Lane:
    """100 m eastwards at `y`, 3.5 m wide."""
    options = {"kind": LaneKind.VEHICLE, "width": 3.5, **more}
    line = np.array([[0.0, y], [40.0, y], [100.0, y]])
    return Lane(id=name, centreline=line, **options)


MAP = SiteMap(
    LocalFrame(31.0, 121.0),
    (
        lane("walk", -6.0, kind=LaneKind.SIDEWALK, width=2.0),
        lane("slow", 0.0, stop_line=90.0),
        lane("fast", 3.5),
        lane("aisle", 20.0, kind=LaneKind.PARKING_AISLE, direction=Direction.BOTH, width=6.0),
    ),
)


def instant(seconds: float) -> Instant:
    ns = round(seconds * NS_PER_S)
    return Instant(START_NS + ns, ns)


def track(
    number: int, x: float, y: float, seconds: float, *, speed: float = 10.0, heading: float = 0.0,
    heading_std: float = 0.05, kind: ObjectClass = ObjectClass.CAR, updated_s: float | None = None,
) -> Track:  # fmt: skip
    cov = np.diag([0.1, 0.1, heading_std**2, 0.1, 0.01])
    updated = instant(seconds if updated_s is None else updated_s).utc_ns
    return Track(
        id=number, object_class=kind, class_probability=0.9, position=Vec2(x, y), heading=heading,
        speed=speed, turn_rate=0.0, covariance=tuple(cov[np.triu_indices(5)].tolist()),
        size=Size(4.5, 1.8, 1.5), existence=0.99, status=TrackStatus.CONFIRMED,
        sources=("north",), born_ns=START_NS, updated_ns=updated,
    )  # fmt: skip


class Run:
    """A stage fed the way a host does it: lists every 100 ms, ticks every second."""

    def __init__(self, site_map: SiteMap = MAP, boot_s: float = 0.0) -> None:
        self.part = Traffic(TrafficOptions(), site_map, instant(boot_s))
        self.stage = SituationStage([self.part], site_map)
        self.states: list[TrafficState] = []
        self.messages: list[Message] = []

    def keep(self, out: Any) -> None:
        for message in out:
            if message.topic == TRAFFIC:
                self.messages.append(message)
                self.states.append(message.payload)

    def tell(self, seconds: float, *tracks: Track) -> None:
        told = TrackList(time_ns=instant(seconds).utc_ns, tracks=tracks)
        draft = Message.draft(TRACKS, "fusion", told.time_ns, told)
        self.keep(self.stage.handle(draft, instant(seconds + 0.05)))

    def tick(self, seconds: float) -> None:
        self.keep(self.stage.tick(instant(seconds)))

    def health(
        self, seconds: float, state: SensorState, sensor: str = "north",
        kind: SensorKind = SensorKind.CAMERA,
    ) -> None:  # fmt: skip
        payload = SensorHealth(
            sensor=sensor, kind=kind, state=state, since_ns=0, time_ns=instant(seconds).utc_ns
        )
        draft = Message.draft(SENSOR_HEALTH, sensor, payload.time_ns, payload)
        self.keep(self.stage.handle(draft, instant(seconds)))

    def lane(self, name: str, period: int = 0) -> Any:
        return next(one for one in self.states[period].lanes if one.lane == name)


def drive(run: Run, begin: float, end: float, *paths: Any) -> None:
    """Lists every 100 ms from begin to end; a path is seconds → Track or None."""
    for step in range(round(begin / STEP_S), round(end / STEP_S)):
        seconds = step * STEP_S
        run.tell(seconds, *(t for path in paths if (t := path(seconds)) is not None))
        if step % 10 == 9:
            run.tick(seconds + 0.06)


def eastwards(number: int, y: float, speed: float, **more: Any) -> Any:
    return lambda s: track(number, speed * s, y, s, speed=speed, **more)


def test_vehicles_are_counted_where_they_cross_with_their_speed() -> None:
    run = Run()
    drive(
        run, 0.0, 12.0,
        eastwards(1, 0.0, 10.0),  # passes the stop line (90 m) at 9 s
        eastwards(2, 0.4, 12.0, kind=ObjectClass.TRUCK),  # at 7.5 s
        eastwards(3, 3.5, 20.0),  # passes half the other lane (50 m) at 2.5 s
        eastwards(4, -6.0, 1.0, kind=ObjectClass.PEDESTRIAN),
    )  # fmt: skip
    slow, fast = run.lane("slow"), run.lane("fast")
    assert (slow.count, slow.counts_by_class) == (2, {"car": 1, "truck": 1})
    assert slow.mean_speed == pytest.approx(11.0)
    assert (fast.count, fast.mean_speed) == (1, 20.0)
    assert run.lane("aisle").count == 0
    assert run.lane("aisle").mean_speed is None
    assert [one.lane for one in run.states[0].lanes] == ["slow", "fast", "aisle"]


def test_a_speed_is_that_of_the_way_around_the_line_where_it_is_known() -> None:
    def lagging(s: float) -> Any:  # told 2 m/s too slow, as of one who accelerates
        return track(1, 10.0 * s, 0.0, s, speed=8.0)

    run = Run()
    drive(run, 0.0, 12.0, lagging)  # the stop line (90 m) at 9 s
    assert run.lane("slow").mean_speed == pytest.approx(10.0)
    young = Run()
    drive(young, 0.0, 12.0, lambda s: lagging(s) if s >= 8.85 else None)
    assert young.lane("slow").mean_speed == pytest.approx(8.0)


def test_a_speed_known_late_is_entered_where_its_vehicle_was_counted() -> None:
    def lagging(s: float) -> Any:  # over the stop line at 9.7 s, told 2 m/s too slow
        return track(1, 10.0 * s - 7.0, 0.0, s, speed=8.0)

    run = Run()
    drive(run, 0.0, 22.0, lagging, lambda s: track(2, 10.0 * s - 100.0, 0.0, s, speed=10.0))
    first, second = run.lane("slow"), run.lane("slow", 1)
    assert (first.count, first.mean_speed) == (1, pytest.approx(10.0))
    assert (second.count, second.mean_speed) == (1, pytest.approx(10.0))


def test_space_mean_speed_is_of_the_way_covered_whatever_speed_is_told() -> None:
    run = Run()
    drive(run, 0.0, 12.0, lambda s: track(1, 1.0 + 0.9 * s * s, 0.0, s, speed=1.5 * s))
    assert run.lane("slow").space_mean_speed == pytest.approx(9.0, rel=0.02)
    still = Run()  # the aisle is two-way: there it is the speed that is told
    drive(still, 0.0, 12.0, lambda s: track(1, 90.0 - 5.0 * s, 20.0, s, speed=5.0, heading=math.pi))
    assert still.lane("aisle").space_mean_speed == pytest.approx(5.0, rel=0.01)


def test_who_wavers_where_it_stands_does_not_go_backwards() -> None:
    run = Run()
    drive(run, 0.0, 12.0, lambda s: track(1, 50.0 - 0.01 * s, 0.0, s, speed=0.0))
    assert run.lane("slow").space_mean_speed == 0.0


def test_presence_and_density_are_means_over_the_time_watched() -> None:
    run = Run()
    # On the lane from 0 m at 0 s to 100 m at 5 s: half of the period. Another stands throughout.
    drive(run, 0.0, 12.0, eastwards(1, 0.0, 20.0), lambda s: track(2, 30.0, 0.0, s, speed=0.0))
    slow = run.lane("slow")
    assert slow.present == pytest.approx(1.5, abs=0.03)
    assert slow.density == pytest.approx(slow.present / 100.0)


def test_periods_are_ten_seconds_of_utc_and_follow_each_other() -> None:
    run = Run(boot_s=3.0)
    drive(run, 3.0, 45.0, eastwards(1, 0.0, 2.0))
    assert [state.start_ns for state in run.states] == [START_NS + n * PERIOD_NS for n in range(4)]
    assert all(state.end_ns - state.start_ns == PERIOD_NS for state in run.states)
    assert [m.header.capture_ns for m in run.messages] == [s.start_ns for s in run.states]
    # Seven of the first ten seconds were seen (but for the time to the second list).
    assert run.states[0].coverage == pytest.approx(0.7, abs=0.011)
    assert run.states[1].coverage == pytest.approx(1.0)
    assert sum(run.lane("slow", n).count for n in range(4)) == 0
    drive(run, 45.0, 62.0, eastwards(1, 0.0, 2.0))  # passes 90 m at 45 s
    assert run.lane("slow", 4).count == 1


def test_a_vehicle_wavering_on_the_line_counts_once() -> None:
    run = Run()

    def waver(s: float) -> Any:
        return track(1, 90.0 + math.sin(7 * s) + max(s - 12.0, 0.0), 0.0, s, speed=0.5)

    drive(run, 0.0, 22.0, waver)
    assert [run.lane("slow", n).count for n in (0, 1)] == [0, 1]


def test_only_the_way_of_the_lane_counts() -> None:
    run = Run()
    drive(
        run, 0.0, 12.0,
        lambda s: track(1, 95.0 - 3.0 * s, 0.0, s, heading=math.pi),  # against it
        lambda s: track(2, 90.0 + 0.2 * s, -8.0 + 2.0 * s, s, heading=math.pi / 2),  # across it
    )  # fmt: skip
    assert run.lane("slow").count == 0


def test_a_two_way_aisle_counts_both_ways() -> None:
    run = Run()
    drive(
        run, 0.0, 22.0,
        lambda s: track(1, 30.0 + 3.0 * s, 20.5, s, speed=3.0),
        lambda s: track(2, 70.0 - 3.0 * s, 19.0, s, speed=3.0, heading=math.pi),
    )  # fmt: skip
    assert run.lane("aisle").count == 2


def test_beside_the_lane_is_not_on_it() -> None:
    run = Run()
    drive(run, 0.0, 12.0, eastwards(1, -1.8, 10.0), eastwards(2, -1.7, 10.0))
    assert run.lane("slow").count == 1


def test_creeping_over_the_line_with_noisy_steps_is_counted() -> None:
    """Steps of 2 cm under 20 cm of noise: the filtered heading says where it goes."""
    rng = np.random.default_rng(2)
    run = Run()
    drive(
        run, 0.0, 22.0,
        lambda s: track(
            1, 88.0 + 0.2 * s + 0.2 * rng.standard_normal(), 0.2 * rng.standard_normal(), s,
            speed=0.2,
        ),
    )  # fmt: skip
    assert run.lane("slow", 0).count + run.lane("slow", 1).count == 1


def test_without_a_sure_heading_the_step_decides() -> None:
    run = Run()
    drive(run, 0.0, 12.0, eastwards(1, 0.0, 10.0, heading_std=1.8))
    drive(run, 12.0, 22.0)
    assert run.lane("slow").count == 1


def test_extrapolated_positions_do_not_cross() -> None:
    """Last measured before the line, then only coasting over it: nobody saw it cross."""
    run = Run()
    drive(run, 0.0, 12.0, lambda s: track(1, 10.0 * s, 0.0, s, updated_s=min(s, 8.5)))
    assert run.lane("slow").count == 0
    # Measured again within 2 s, it did cross.
    again = Run()
    drive(
        again, 0.0, 12.0,
        lambda s: track(1, 10.0 * s, 0.0, s, updated_s=8.5 if 8.5 < s < 9.8 else s),
    )  # fmt: skip
    assert again.lane("slow").count == 1


def test_a_silent_fusion_lowers_coverage() -> None:
    run = Run()
    drive(run, 0.0, 4.0)
    drive(run, 7.0, 12.0)
    assert run.states[0].coverage == pytest.approx(0.7, abs=0.02)


def test_silence_is_told_as_such() -> None:
    run = Run()
    for second in range(35):
        run.tick(second + 0.5)
    assert [state.coverage for state in run.states] == [0.0, 0.0, 0.0]
    assert all(one.count == 0 and one.present == 0.0 for s in run.states for one in s.lanes)


@pytest.mark.parametrize("state", [SensorState.BLIND, SensorState.FROZEN, SensorState.SHIFTED])
def test_a_blind_sensor_covers_nothing_though_lists_go_on(state: SensorState) -> None:
    run = Run()
    for second in range(12):
        run.health(second - 0.01, SensorState.LIVE if second < 6 else state)
        drive(run, float(second), second + 1.0)
    assert run.states[0].coverage == pytest.approx(0.6, abs=0.02)


def test_one_live_sensor_is_enough_but_not_a_signal_controller() -> None:
    run = Run()
    for second in range(12):
        run.health(second - 0.01, SensorState.GONE)
        run.health(second - 0.01, SensorState.LIVE, "lights", SensorKind.SIGNAL)
        if second >= 5:
            run.health(second - 0.01, SensorState.LIVE, "radar", SensorKind.RADAR)
        drive(run, float(second), second + 1.0)
    assert run.states[0].coverage == pytest.approx(0.5, abs=0.02)


def test_health_that_stops_coming_stops_counting() -> None:
    run = Run()
    run.health(0.0, SensorState.LIVE)
    drive(run, 0.0, 12.0)
    assert run.states[0].coverage == pytest.approx(0.5, abs=0.02)


def test_late_evidence_still_counts_in_its_period() -> None:
    run = Run()
    drive(run, 0.0, 9.9)
    run.stage.tick(instant(10.4))
    told = TrackList(time_ns=instant(9.9).utc_ns, tracks=(track(1, 89.0, 0.0, 9.9),))
    run.keep(run.stage.handle(Message.draft(TRACKS, "fusion", 0, told), instant(10.3)))
    told = TrackList(time_ns=instant(9.99).utc_ns, tracks=(track(1, 91.0, 0.0, 9.99),))
    run.keep(run.stage.handle(Message.draft(TRACKS, "fusion", 0, told), instant(10.5)))
    assert run.states == []
    run.tick(11.0)
    assert run.lane("slow").count == 1


def test_a_clock_set_back_begins_anew() -> None:
    run = Run()
    drive(run, 100.0, 125.0, lambda s: track(1, 20.0 * (s - 118.0), 0.0, s))
    before = len(run.states)
    drive(run, 0.0, 12.0, eastwards(2, 0.0, 10.0))
    after = run.states[before:]
    assert [state.start_ns for state in after] == [START_NS + 120 * NS_PER_S, START_NS]
    counts = {lane.lane: lane.count for lane in after[0].lanes}
    assert counts["slow"] == 1
    assert {lane.lane: lane.count for lane in after[1].lanes}["slow"] == 1


def test_a_clock_set_forward_skips_what_nobody_lived_through() -> None:
    run = Run()
    drive(run, 0.0, 5.0, eastwards(1, 0.0, 10.0))
    drive(run, 3600.0, 3612.0)
    assert [(s.start_ns - START_NS) // NS_PER_S for s in run.states] == [0, 3580, 3590, 3600]


def test_a_map_without_lanes_says_nothing() -> None:
    run = Run(SiteMap(LocalFrame(31.0, 121.0)))
    run.health(0.0, SensorState.LIVE)
    drive(run, 0.0, 30.0, eastwards(1, 0.0, 10.0))
    assert run.states == []


def test_the_memory_of_tracks_is_bounded() -> None:
    run = Run()
    for step in range(400):
        run.tell(step * 0.1, track(step, 5.0, 0.0, step * 0.1))
    assert run.part._ledger._counter.remembered <= 102


@given(
    speed=st.floats(4.0, 40.0), lateral=st.floats(-1.6, 1.6), begin=st.floats(0.0, 9.0),
    step=st.floats(0.05, 0.4),
)  # fmt: skip
@settings(deadline=None, max_examples=15)
def test_every_vehicle_that_drives_through_is_counted_exactly_once(
    speed: float, lateral: float, begin: float, step: float
) -> None:
    run = Run()
    seconds = begin
    while speed * (seconds - begin) < 110.0:
        run.tell(seconds, track(1, speed * (seconds - begin) - 5.0, lateral, seconds, speed=speed))
        seconds += step
    run.tick(seconds + 20.0)
    counts = [one.count for state in run.states for one in state.lanes]
    assert sum(counts) == 1
    speeds = [one.mean_speed for s in run.states for one in s.lanes if one.mean_speed is not None]
    assert speeds == [pytest.approx(speed)]
    assert all(0.0 <= state.coverage <= 1.0 for state in run.states)


def test_junction_lanes_of_the_example_site_have_lines(root: Any) -> None:
    from rsu.site.lanes import load_site_map

    frame = LocalFrame(31.0, 121.0, 10.0)
    site = load_site_map(frame, root / "configs" / "junction-lanes.geojson", None)
    stage = SituationStage([Traffic(TrafficOptions(), site, instant(0.0))], site)
    entry = next(one for one in site.lanes if one.stop_line is not None)
    x, y, heading = entry.at(entry.stop_line or 0.0)
    ahead = SimpleNamespace(x=math.cos(heading), y=math.sin(heading))
    states: list[TrafficState] = []
    for index, offset in enumerate((-3.0, -1.0, 1.0, 3.0)):
        at = track(7, x + offset * ahead.x, y + offset * ahead.y, index * 0.1, heading=heading)
        told = TrackList(time_ns=at.updated_ns, tracks=(at,))
        list(stage.handle(Message.draft(TRACKS, "fusion", 0, told), instant(index * 0.1)))
    states += [m.payload for m in stage.tick(instant(11.5)) if m.topic == TRAFFIC]
    counted = {one.lane: one.count for one in states[0].lanes if one.count}
    assert counted == {entry.id: 1}
