"""Scripts come to pass: the truth says so, nobody is driven through, nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from rsu.config.simulation import SimulationOptions
from rsu.schema.reports import Truth, TruthEvent
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S
from rsu.sim.errors import SimulationError
from rsu.sim.scenario import model as script
from rsu.sim.world.scene import Light, Scene
from rsu.sim.world.world import World
from rsu.site.lanes import SiteMap

BEGIN_NS = 1_767_225_600_000_000_000
WARM_UP_NS = 180 * NS_PER_S


@pytest.fixture
def play(junction_map: SiteMap) -> Callable[..., Iterator[tuple[float, World, Truth]]]:
    """Every half second of a scripted junction: (s after the start, world, truth)."""

    def run(
        *actions: script.AnyAction, seconds: float = 120.0, seed: int = 1, **options: Any
    ) -> Iterator[tuple[float, World, Truth]]:
        world = World(
            junction_map, SimulationOptions(**options), seed, BEGIN_NS - WARM_UP_NS,
            script=actions, script_ns=BEGIN_NS,
        )  # fmt: skip
        for half in range(round(2 * seconds)):
            time_ns = BEGIN_NS + half * NS_PER_S // 2
            world.advance(time_ns)
            yield half / 2, world, world.truth(time_ns)

    return run


Play = Callable[..., Iterator[tuple[float, World, Truth]]]

SCRIPTS: list[tuple[script.AnyAction, str, str]] = [
    (
        script.StopVehicle(
            do="stop-vehicle", at_s=10, lane="in-n-2", station=80, duration_s=30
        ), "stopped-vehicle", "in-n-2",
    ),
    (script.WrongWay(do="wrong-way", at_s=10, lane="out-e-1"), "wrong-way", "out-e-1"),
    (
        script.WalkOnCarriageway(
            do="walk-on-carriageway", at_s=10, lane="in-s-2", from_station=40, to_station=70
        ), "pedestrian-on-carriageway", "in-s-2",
    ),
    (script.StepOut(do="step-out", at_s=10, lane="in-s-2", station=60), "conflict", "in-s-2"),
    (script.RunRedLight(do="run-red-light", at_s=10, lane="in-w-2"), "red-light-running", "in-w-2"),
    (
        script.DropDebris(do="drop-debris", at_s=10, lane="in-w-2", station=60, duration_s=30),
        "obstacle", "in-w-2",
    ),
    (
        script.ParkIllegally(
            do="park-illegally", at_s=10, lane="in-w-2", station=80, duration_s=20
        ), "stopped-vehicle", "in-w-2",
    ),
    (
        script.Flood(do="flood", at_s=10, lane="in-w-2", station=60, duration_s=30),
        "water-on-road", "in-w-2",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("action", "kind", "lane"), SCRIPTS, ids=[one[1] for one in SCRIPTS])
def test_what_is_scripted_happens_and_nobody_is_driven_through(
    play: Play,
    collisions: Callable[[Scene], list[tuple[int, int]]],
    action: script.AnyAction,
    kind: str,
    lane: str,
) -> None:
    held: list[tuple[float, TruthEvent]] = []
    for second, world, truth in play(action):
        held += [(second, event) for event in truth.events]
        assert collisions(world.scene(truth.time_ns)) == []
    # Whoever steps out in front of a vehicle is on the carriageway, too.
    beside = {"pedestrian-on-carriageway"} if kind == "conflict" else set()
    assert {event.kind for _, event in held} == {kind} | beside
    held = [(second, event) for second, event in held if event.kind == kind]
    assert {event.lanes for _, event in held} == {(lane,)}
    assert len({(event.id, event.start_ns) for _, event in held}) == 1
    assert held[0][0] >= action.at_s
    assert (held[0][1].start_ns - BEGIN_NS) / NS_PER_S <= held[0][0]


def test_a_stopped_vehicle_stands_where_it_was_told_as_long_as_it_was_told(play: Play) -> None:
    action = script.StopVehicle(
        do="stop-vehicle", at_s=10, lane="in-n-2", station=80, duration_s=30
    )
    standing = []
    for second, world, truth in play(action):
        for event in truth.events:
            (number,) = event.objects
            one = next(vehicle for vehicle in world.traffic.vehicles if vehicle.id == number)
            assert one.speed < 0.1
            assert 76.0 < one.s - one.route.starts[one.lane] < 80.5
            standing.append(second)
    assert standing[-1] - standing[0] == pytest.approx(30, abs=0.6)


def test_traffic_waits_behind_debris_and_goes_on_when_it_is_gone(play: Play) -> None:
    action = script.DropDebris(do="drop-debris", at_s=10, lane="in-w-2", station=60, duration_s=60)
    passed = {True: 0, False: 0}
    before: dict[int, float] = {}
    for _, world, truth in play(action, seconds=150, vehicles_per_hour=1500):
        there = any(event.kind == "obstacle" for event in truth.events)
        for vehicle in world.traffic.vehicles:
            if vehicle.route.lanes[vehicle.lane] != "in-w-2":
                continue
            at = vehicle.s - vehicle.route.starts[vehicle.lane]
            passed[there] += before.get(vehicle.id, at) < 60.0 <= at
            before[vehicle.id] = at
    assert passed[True] == 0
    assert passed[False] > 3


def test_who_runs_a_red_light_crosses_the_line_at_red(play: Play) -> None:
    seen = []
    for _, world, truth in play(
        script.RunRedLight(do="run-red-light", at_s=5, lane="in-w-2"), seed=2
    ):
        for event in truth.events:
            (number,) = event.objects
            group = next(v for v in world.traffic.vehicles if v.id == number).route.group
            assert group is not None
            if not seen:
                assert {one.group: one.light for one in truth.lights}[group] == "red"
            seen.append(number)
    assert len(set(seen)) == 1


@pytest.mark.long  # the scenario `spill-back` is played by then, too
def test_a_blocked_exit_spills_back_into_the_entries(play: Play) -> None:
    action = script.BlockExit(do="block-exit", at_s=10, lane="out-w-1", duration_s=200)
    counts = []
    for _, world, truth in play(action, seconds=180, vehicles_per_hour=1500):
        assert {event.kind for event in truth.events} <= {"congestion"}
        counts.append(len(world.traffic.vehicles))
    assert counts[-1] > 1.5 * counts[0]


def test_demand_and_weather_change_when_told(play: Play) -> None:
    actions = (
        script.ChangeDemand(do="change-demand", at_s=20, vehicles_per_hour=0),
        script.ChangeWeather(do="change-weather", at_s=30, light=Light.NIGHT, rain=0.5),
    )
    lights, entered = {}, []
    for second, world, truth in play(*actions, seconds=120):
        assert truth.weather is not None
        lights[second] = truth.weather.light
        entered.append(world.traffic.entered)
    assert (lights[29.5], lights[30.0]) == ("day", "night")
    assert entered[-1] == entered[80]


def test_special_vehicles_come_with_their_roles(play: Play) -> None:
    actions = (
        script.SendVehicle(
            do="send-vehicle", at_s=5, kind="emergency", lane="in-e-2", to_lane="out-w-2",
            requests="srm",
        ),
        script.SendVehicle(
            do="send-vehicle", at_s=5, kind="bus", lane="in-w-2", to_lane="out-e-2",
            stop_station=70, dwell_s=12,
        ),
    )  # fmt: skip
    roles: dict[str, ObjectClass] = {}
    stood = 0
    for _, world, truth in play(*actions):
        roles |= {one.role: one.object_class for one in truth.objects if one.role}
        for vehicle in world.traffic.vehicles:
            at = vehicle.s - vehicle.route.starts[vehicle.lane]
            stood += vehicle.role == "bus-line" and vehicle.speed < 0.1 and 66 < at < 71
    assert roles == {"emergency": ObjectClass.VAN, "bus-line": ObjectClass.BUS}
    assert 10 <= stood / 2 <= 16
    with pytest.raises(SimulationError, match="no way leads"):
        list(
            play(
                script.SendVehicle(
                    do="send-vehicle", at_s=0, kind="bus", lane="in-e-2", to_lane="out-e-2"
                ),
                seconds=2,
            )
        )


def test_a_script_changes_nothing_before_it_begins(play: Play) -> None:
    def places(*actions: script.AnyAction) -> Sequence[Truth]:
        return [truth for _, _, truth in play(*actions, seconds=20)]

    debris = script.DropDebris(do="drop-debris", at_s=19, lane="in-w-2", station=60, duration_s=9)
    with_it, without = places(debris), places()
    assert with_it[:38] == without[:38]
    assert places(debris) == with_it


def test_somebody_may_be_sent_onto_an_empty_road(play: Play) -> None:
    action = script.SendVehicle(
        do="send-vehicle", at_s=1, kind="bus", lane="in-w-2", to_lane="out-e-2"
    )
    seen = [
        one.role
        for _, _, truth in play(action, seconds=20, vehicles_per_hour=0, pedestrians_per_hour=0)
        for one in truth.objects
        if one.object_class is ObjectClass.BUS
    ]
    assert set(seen) == {"bus-line"}
