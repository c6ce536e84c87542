"""The world: nobody collides, nobody runs a red light, everybody leaves, demand is met."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from rsu.config.simulation import SimulationOptions
from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState
from rsu.schema.units import NS_PER_S
from rsu.sim.world.scene import Scene
from rsu.sim.world.traffic import STEP_NS
from rsu.sim.world.world import World
from rsu.site.lanes import SiteMap

MakeWorld = Callable[..., World]
START_NS = 1_767_225_600_000_000_000
VEHICLES = {
    ObjectClass.CAR,
    ObjectClass.VAN,
    ObjectClass.TRUCK,
    ObjectClass.BUS,
    ObjectClass.MOTORCYCLE,
}
Collisions = Callable[[Scene], list[tuple[int, int]]]
RECORDED_S = 600


@dataclass
class Moment:
    """What there is at one step: lights before it, fronts of vehicles, who crosses."""

    lights: dict[int, LightState]
    fronts: dict[int, tuple[float, float, int | None, str | None]]
    """By id: along the route, its stop line (m), its group, its way through the junction."""
    crossing: dict[int, tuple[LightState, bool]]
    """By walker: their light, and whether they are between the kerbs."""
    scene: Scene | None
    """Every other step, half a step on."""


@pytest.fixture(scope="module", params=[4, pytest.param(7, marks=pytest.mark.long)])
def recorded(junction_map: SiteMap, request: pytest.FixtureRequest) -> list[Moment]:
    """Ten busy minutes from an empty road, step by step; looked at by several tests."""
    options = SimulationOptions(vehicles_per_hour=900, pedestrians_per_hour=600)
    world = World(junction_map, options, request.param, START_NS)
    time, moments = world.now_ns, []
    for step in range(RECORDED_S * NS_PER_S // STEP_NS):
        lights = {group: world.plan.light(group, time) for group in world.plan.groups}
        time += STEP_NS
        world.advance(time)
        fronts = {
            one.id: (one.s, one.route.stop, one.route.group, one.route.connection)
            for one in world.traffic.vehicles
        }
        crossing = {}
        for walker in world.pedestrians.walkers:
            if walker.crossing:
                way = walker.crossed[walker.next]
                light = world.plan.light(way.group, time)
                crossing[walker.id] = light, way.enter < walker.s < way.leave
        scene = world.scene(time + STEP_NS // 2) if step % 2 else None
        moments.append(Moment(lights, fronts, crossing, scene))
    return moments


@pytest.mark.parametrize(
    ("seed", "vehicles", "pedestrians"),
    [
        pytest.param(1, 900, 240, id="usual"),
        pytest.param(2, 1800, 600, id="busy", marks=pytest.mark.long),
        pytest.param(3, 3000, 1200, id="saturated", marks=pytest.mark.long),
    ],
)
def test_no_vehicle_overlaps_anyone(
    make_world: MakeWorld, collisions: Collisions, seed: int, vehicles: float, pedestrians: float
) -> None:
    world = make_world(seed, vehicles_per_hour=vehicles, pedestrians_per_hour=pedestrians)
    time = world.now_ns
    seen = 0
    for _ in range(240 * 2):
        time += NS_PER_S // 2
        world.advance(time)
        scene = world.scene(time)
        seen += len(scene.ids)
        assert collisions(scene) == [], f"at {(time - world.plan.origin_ns) / NS_PER_S:.2f} s"
    assert seen > 4_000  # the road was not empty


def test_the_overlap_check_finds_overlaps(make_world: MakeWorld, collisions: Collisions) -> None:
    world = make_world()
    world.advance(world.now_ns + 60 * NS_PER_S)
    scene = world.scene(world.now_ns)
    on_top = Scene(
        scene.time_ns,
        scene.ids,
        scene.classes,
        np.tile(scene.position[:1], (len(scene.ids), 1)),
        scene.heading,
        scene.speed,
        scene.size,
    )
    assert len(collisions(on_top)) > 0


def test_stop_lines_are_crossed_at_green_or_yellow_only(recorded: list[Moment]) -> None:
    crossed = []
    for before, now in pairwise(recorded):
        for identity, (s, stop, group, _) in now.fronts.items():
            was, *_ = before.fronts.get(identity, (0.0,))
            if was < stop <= s:
                crossed.append(now.lights[group])
    assert len(crossed) > 100
    assert set(crossed) <= {
        LightState.PERMISSIVE_GREEN,
        LightState.PROTECTED_GREEN,
        LightState.YELLOW,
    }


def test_walkers_start_to_cross_at_walk_only_and_are_over_before_others_go(
    recorded: list[Moment],
) -> None:
    starts, on_red = 0, 0
    for before, now in pairwise(recorded):
        for identity, (light, between_kerbs) in now.crossing.items():
            if identity not in before.crossing:
                starts += 1
                assert light is LightState.PROTECTED_GREEN
            on_red += between_kerbs and light is LightState.RED
    assert starts > 50
    # Only those whom a turning vehicle held up are late, and only for a moment.
    assert on_red * STEP_NS / NS_PER_S < 0.05 * starts


def test_everyone_moves_continuously_and_leaves(recorded: list[Moment]) -> None:
    last: dict[int, list[float]] = {}
    born: dict[int, int] = {}
    for scene in (moment.scene for moment in recorded if moment.scene is not None):
        places = dict(zip(scene.ids, scene.position.tolist(), strict=True))
        for identity, place in places.items():
            born.setdefault(identity, scene.time_ns)
            if identity in last:
                # 15 m/s over 0.1 s, and half a metre for a walker's corner
                assert math.dist(place, last[identity]) < 2.0
        last, time = places, scene.time_ns
    assert len(born) > 200
    # The slowest walker needs 430 s for the longest way of 300 m, and waits twice.
    assert all(time - born[identity] < 550 * NS_PER_S for identity in last)
    assert all(time - born[identity] < 150 * NS_PER_S for identity in recorded[-1].fronts)


def test_every_class_and_every_way_occurs(recorded: list[Moment]) -> None:
    classes = {one for moment in recorded if moment.scene for one in moment.scene.classes}
    ways = {way for moment in recorded for *_, way in moment.fronts.values()}
    assert classes == VEHICLES | {ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE}
    assert len(ways) == 12


def test_between_steps_motion_is_exact(make_world: MakeWorld) -> None:
    world = make_world(2)
    world.advance(world.now_ns + 40 * NS_PER_S)
    before = world.now_ns
    end = world.scene(before + STEP_NS)
    world.advance(before + STEP_NS)
    after = world.scene(world.now_ns)
    common = [i for i, identity in enumerate(end.ids) if identity in after.ids]
    rows = [after.ids.index(end.ids[i]) for i in common]
    assert len(common) > 3
    np.testing.assert_allclose(end.position[common], after.position[rows], atol=1e-9)
    with pytest.raises(ValueError, match="the world stands at"):
        world.scene(before)


@pytest.mark.parametrize("demand", [pytest.param(300.0, marks=pytest.mark.long), 600.0])
def test_flow_meets_the_demand_in_free_flow(make_world: MakeWorld, demand: float) -> None:
    world = make_world(11, vehicles_per_hour=demand, pedestrians_per_hour=0)
    world.advance(world.now_ns + 1800 * NS_PER_S)
    # Poisson: 3 σ of the count.
    assert abs(world.traffic.entered - demand / 2) < 3.0 * math.sqrt(demand / 2)
    assert world.traffic.held_back <= 2


def test_no_demand_no_traffic(make_world: MakeWorld) -> None:
    world = make_world(vehicles_per_hour=0, pedestrians_per_hour=0)
    world.advance(world.now_ns + 120 * NS_PER_S)
    assert world.truth(world.now_ns).objects == ()


def test_vehicles_keep_to_the_limit_and_slow_down_for_turns(make_world: MakeWorld) -> None:
    world = make_world(6, vehicles_per_hour=400, pedestrians_per_hour=0)
    time, turning = world.now_ns, []
    for _ in range(600 * 4):
        time += NS_PER_S // 4
        world.advance(time)
        for vehicle in world.traffic.vehicles:
            assert vehicle.speed <= 13.889 * 1.1 + 0.5
            name = vehicle.route.connection or ""
            middle = (vehicle.route.connection_start + vehicle.route.connection_end) / 2
            if name.endswith("right") and abs(vehicle.s - middle) < 3.0:
                turning.append(vehicle.speed)
    assert len(turning) > 20
    assert max(turning) < 7.0  # the connection's limit is 5.556 m/s


def test_truth_says_what_the_scene_holds(make_world: MakeWorld) -> None:
    world = make_world()
    world.advance(world.now_ns + 90 * NS_PER_S)
    time = world.now_ns + 17_000_000
    truth, scene = world.truth(time), world.scene(time)
    assert truth.time_ns == time
    assert [o.id for o in truth.objects] == list(scene.ids)
    assert [o.position.x for o in truth.objects] == scene.position[:, 0].tolist()
    assert len({o.id for o in truth.objects}) == len(truth.objects)
