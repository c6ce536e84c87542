"""The world: nobody collides, nobody runs a red light, everybody leaves, demand is met."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import shapely

from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState
from rsu.schema.units import NS_PER_S
from rsu.sim.world.scene import Scene
from rsu.sim.world.traffic import STEP_NS
from rsu.sim.world.world import World

MakeWorld = Callable[..., World]
VEHICLES = frozenset(
    {
        ObjectClass.CAR,
        ObjectClass.VAN,
        ObjectClass.TRUCK,
        ObjectClass.BUS,
        ObjectClass.MOTORCYCLE,
    }
)


def outlines(scene: Scene) -> np.ndarray:
    """Footprints as polygons, worked out here from the published numbers."""
    corners = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)]) / 2
    local = corners[None] * scene.size[:, None, :2]
    cos, sin = np.cos(scene.heading)[:, None], np.sin(scene.heading)[:, None]
    x = scene.position[:, :1] + local[..., 0] * cos - local[..., 1] * sin
    y = scene.position[:, 1:] + local[..., 0] * sin + local[..., 1] * cos
    return shapely.polygons(np.stack((x, y), axis=-1))


def collisions(scene: Scene) -> list[tuple[int, int]]:
    """Pairs of ids that overlap and of which at least one is a vehicle."""
    shapes = outlines(scene)
    driven = np.array([c in VEHICLES for c in scene.classes], dtype=bool)
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    return [
        (scene.ids[i], scene.ids[j])
        for i, j in zip(one.tolist(), other.tolist(), strict=True)
        if i < j and (driven[i] or driven[j])
    ]


@pytest.mark.parametrize(
    ("seed", "vehicles", "pedestrians"),
    [
        pytest.param(1, 900, 240, id="usual"),
        pytest.param(2, 1800, 600, id="busy", marks=pytest.mark.long),
        pytest.param(3, 3000, 1200, id="saturated"),
    ],
)
def test_no_vehicle_overlaps_anyone(
    make_world: MakeWorld, seed: int, vehicles: float, pedestrians: float
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


def test_the_overlap_check_finds_overlaps(make_world: MakeWorld) -> None:
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


@pytest.mark.parametrize("seed", [1, pytest.param(7, marks=pytest.mark.long)])
def test_stop_lines_are_crossed_at_green_or_yellow_only(make_world: MakeWorld, seed: int) -> None:
    world = make_world(seed, vehicles_per_hour=1500, pedestrians_per_hour=600)
    time, fronts, crossed = world.now_ns, {}, []
    for _ in range(420 * NS_PER_S // STEP_NS):
        light_before = {g: world.plan.light(g, time) for g in world.plan.groups}
        time += STEP_NS
        world.advance(time)
        for vehicle in world.traffic.vehicles:
            before = fronts.get(vehicle.id, 0.0)
            if before < vehicle.route.stop <= vehicle.s:
                crossed.append(light_before[vehicle.route.group])
            fronts[vehicle.id] = vehicle.s
    assert len(crossed) > 100
    assert set(crossed) <= {
        LightState.PERMISSIVE_GREEN,
        LightState.PROTECTED_GREEN,
        LightState.YELLOW,
    }


def test_walkers_start_to_cross_at_walk_only_and_are_over_before_others_go(
    make_world: MakeWorld,
) -> None:
    world = make_world(3, vehicles_per_hour=900, pedestrians_per_hour=900)
    time, crossing = world.now_ns, set()
    starts, on_red = 0, 0
    for _ in range(400 * NS_PER_S // STEP_NS):
        time += STEP_NS
        world.advance(time)
        now = set()
        for walker in world.pedestrians.walkers:
            if not walker.crossing:
                continue
            now.add(walker.id)
            way = walker.crossed[walker.next]
            light = world.plan.light(way.group, time)
            if walker.id not in crossing:
                starts += 1
                assert light is LightState.PROTECTED_GREEN
            if way.enter < walker.s < way.leave and light is LightState.RED:
                on_red += 1
        crossing = now
    assert starts > 50
    # Only those whom a turning vehicle held up are late, and only for a moment.
    assert on_red * STEP_NS / NS_PER_S < 0.05 * starts


def test_everyone_moves_continuously_and_leaves(make_world: MakeWorld) -> None:
    world = make_world(5)
    time, last, born = world.now_ns, {}, {}
    for _ in range(600 * 8):
        time += NS_PER_S // 8
        world.advance(time)
        scene = world.scene(time)
        places = dict(zip(scene.ids, scene.position.tolist(), strict=True))
        for identity, place in places.items():
            born.setdefault(identity, time)
            if identity in last:
                # 15 m/s over 0.1 s, and half a metre for a walker's corner
                assert math.dist(place, last[identity]) < 2.0
        last = places
    assert len(born) > 100
    # The slowest walker needs 430 s for the longest way of 300 m, and waits twice.
    assert all(time - born[identity] < 550 * NS_PER_S for identity in last)
    driven = {vehicle.id for vehicle in world.traffic.vehicles}
    assert all(time - born[identity] < 150 * NS_PER_S for identity in driven)


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


def test_every_class_and_every_way_occurs(make_world: MakeWorld) -> None:
    world = make_world(4, vehicles_per_hour=1200, pedestrians_per_hour=600)
    classes, ways = set(), set()
    time = world.now_ns
    for _ in range(500):
        time += NS_PER_S
        world.advance(time)
        classes |= set(world.scene(time).classes)
        ways |= {vehicle.route.connection for vehicle in world.traffic.vehicles}
    assert classes == VEHICLES | {ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE}
    assert len(ways) == 12


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
