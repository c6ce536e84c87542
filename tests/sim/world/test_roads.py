"""Roads from a map: ways, conflicts, crosswalks — and which maps make no world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rsu.config.simulation import SimulationOptions
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S
from rsu.sim.errors import SimulationError
from rsu.sim.world.roads import build_roads
from rsu.sim.world.world import World
from rsu.site.lanes import Direction, Lane, LaneKind, LaneRole, Maneuver, SiteMap

MakeWorld = Callable[..., World]


def lane(name: str, *points: tuple[float, float], **more: object) -> Lane:
    kind = more.pop("kind", LaneKind.VEHICLE)
    return Lane(id=name, kind=kind, centreline=np.array(points, float), width=3.5, **more)  # type: ignore[arg-type]


def site(junction_map: SiteMap, *lanes: Lane) -> SiteMap:
    return SiteMap(junction_map.frame, lanes)


def test_the_example_junction_has_twelve_ways(junction_map: SiteMap) -> None:
    roads = build_roads(junction_map)
    assert len(roads.routes) == 12
    for route in roads.routes:
        # A way crosses the crosswalk of the leg it comes from and of the one it leaves by.
        assert len(route.crossings) == 2
        assert route.crossings[0].enter < route.crossings[0].leave < route.crossings[1].enter
        assert route.stop == pytest.approx(120.0, abs=0.05)
        assert route.stop <= route.crossings[0].enter + 0.1
        assert route.path.length == pytest.approx(
            sum(roads.lanes[name].length for name in route.lanes), abs=0.05
        )


def test_conflicts_are_those_one_would_draw(junction_map: SiteMap) -> None:
    conflicts = build_roads(junction_map).conflicts
    assert not conflicts["n-through", "w-through"].diverging
    assert conflicts["n-through", "n-right"].diverging
    assert ("n-through", "s-through") not in conflicts  # opposite directions, side by side
    assert ("n-left", "s-left") not in conflicts  # opposed left turns pass each other
    for (mine, other), conflict in conflicts.items():
        mirrored = conflicts[other, mine]
        if not conflict.diverging:
            assert conflict.mine == mirrored.other
    # (-5.25, …) southbound meets (…, -5.25) eastbound at 22.75 m of 35 m.
    low, high = conflicts["n-through", "w-through"].mine
    assert low < 17.5 + 5.25 < high


def test_vehicles_also_drive_where_there_is_no_junction(junction_map: SiteMap) -> None:
    street = site(junction_map, lane("street", (0.0, 0.0), (200.0, 0.0)))
    world = World(street, SimulationOptions(vehicles_per_hour=600.0), 1, 0)
    world.advance(300 * NS_PER_S)
    assert world.traffic.entered > 20
    assert world.plan.groups == {}
    assert world.signal_state(0).groups == ()


def test_cyclists_ride_on_bike_lanes_where_there_are_some(junction_map: SiteMap) -> None:
    path = lane("path", (0.0, 9.0), (200.0, 9.0), kind=LaneKind.BIKE)
    street = site(junction_map, lane("street", (0.0, 0.0), (200.0, 0.0)), path)
    world = World(street, SimulationOptions(vehicles_per_hour=0.0), 1, 0)
    riders = []
    for second in range(0, 1200, 10):
        world.advance(second * NS_PER_S)
        riders += world.truth(second * NS_PER_S).objects
    assert len(riders) > 30
    assert {rider.object_class for rider in riders} == {ObjectClass.BICYCLE}
    assert all(abs(rider.position.y - 9.0) < 1e-6 for rider in riders)


def test_walkers_use_a_lone_crosswalk_and_vehicles_let_them_over(junction_map: SiteMap) -> None:
    zebra = replace(
        lane("zebra", (100.0, -6.0), (100.0, 6.0), kind=LaneKind.CROSSWALK),
        direction=Direction.BOTH,
    )
    street = site(junction_map, lane("street", (0.0, 0.0), (200.0, 0.0)), zebra)
    options = SimulationOptions(vehicles_per_hour=600.0, pedestrians_per_hour=600.0)
    world = World(street, options, 2, 0)
    yielded = crossed = 0
    for tenth in range(1, 3000):
        world.advance(tenth * NS_PER_S // 10)
        walkers = world.pedestrians.walkers
        crossed += sum(abs(w.path.at(w.s)[1]) < 1.5 for w in walkers)
        for vehicle in world.traffic.vehicles:
            yielded += vehicle.speed < 0.1 and 85.0 < vehicle.s < 98.0
            if vehicle.s > 98.0 - 0.5 and vehicle.rear < 102.0:
                inside = [w for w in walkers if abs(w.path.at(w.s)[1]) < vehicle.size.width / 2]
                assert not inside or vehicle.s < 99.0 or vehicle.rear > 101.0
    assert crossed > 100
    assert yielded > 10


def test_maps_without_a_way_through_are_refused(junction_map: SiteMap) -> None:
    def refused(match: str, *lanes: Lane) -> None:
        with pytest.raises(SimulationError, match=match):
            World(site(junction_map, *lanes), SimulationOptions(), 1, 0)

    a, b = ((0.0, 0.0), (50.0, 0.0)), ((50.0, 0.0), (99.0, 0.0))
    turn = {"role": LaneRole.CONNECTION, "maneuver": Maneuver.STRAIGHT}
    refused("no lane of kind vehicle or bike")
    refused("no lane of kind vehicle or bike", lane("w", *a, kind=LaneKind.SIDEWALK))
    refused("every lane follows another", lane("a", *a, successors=("a",)))
    refused(
        "'b' leads back to itself",
        lane("a", *a, successors=("b",)),
        lane("b", *b, successors=("b",)),
    )
    refused("no lane leads to the connection 'b'", lane("b", *b, **turn))
    refused("entry 'a' leads nowhere", lane("a", *a, role=LaneRole.ENTRY))
    refused(
        "crosses two junctions \\(b, c\\)",
        lane("a", *a, successors=("b",)),
        lane("b", *b, successors=("c",), **turn),
        lane("c", (99.0, 0.0), (150.0, 0.0), successors=("d",), **turn),
        lane("d", (150.0, 0.0), (200.0, 0.0)),
    )
    refused(
        "group 3 governs both",
        lane("a", *a, successors=("b",)),
        lane("b", *b, successors=("c",), signal_group=3, **turn),
        lane("c", (99.0, 0.0), (150.0, 0.0)),
        lane("z", (60.0, -5.0), (60.0, 5.0), kind=LaneKind.CROSSWALK, signal_group=3),
    )
