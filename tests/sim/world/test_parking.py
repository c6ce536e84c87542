"""The parking lot: cars stand in their bays, nobody touches anybody, it fills and empties."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest

from rsu.config.simulation import SimulationOptions
from rsu.schema.reports import Truth
from rsu.schema.units import NS_PER_S
from rsu.sim.scenario import model as script
from rsu.sim.scenario.load import LoadedScenario, find_scenario, load_scenario
from rsu.sim.world.scene import Scene
from rsu.sim.world.world import World

BEGIN_NS = 1_767_225_600_000_000_000


@pytest.fixture(scope="module")
def lot() -> LoadedScenario:
    return load_scenario(find_scenario("parking-lot"))


def play(
    lot: LoadedScenario, seconds: int, seed: int = 1, **demand: float
) -> Iterator[tuple[World, Truth]]:
    values = {"arrivals_per_hour": 150.0, "dwell_s": 120.0, "initially": 0.4, **demand}
    action = script.ParkingDemand(at_s=0, do="parking-demand", lot="west", **values)
    world = World(
        lot.site_map, SimulationOptions(vehicles_per_hour=0, pedestrians_per_hour=0), seed,
        BEGIN_NS, script=(action,),
    )  # fmt: skip
    for second in range(seconds):
        world.advance(BEGIN_NS + second * NS_PER_S)
        yield world, world.truth(BEGIN_NS + second * NS_PER_S)


def test_nobody_touches_anybody_while_cars_come_and_go(
    lot: LoadedScenario, collisions: Callable[[Scene], list[tuple[int, int]]]
) -> None:
    parked: set[int] = set()
    for world, truth in play(lot, 400):
        assert collisions(world.scene(truth.time_ns)) == []
        parked |= {bay.object for bay in truth.bays if bay.object is not None}
    assert len(parked) > 12, "hardly anybody came"


def test_who_stands_in_a_bay_rests_inside_it(lot: LoadedScenario) -> None:
    zones = {zone.id: zone for zone in lot.site_map.bays}
    seen = 0
    for _, truth in play(lot, 200, seed=2):
        assert {bay.bay for bay in truth.bays} == set(zones)
        cars = {one.id: one for one in truth.objects}
        for bay in truth.bays:
            if bay.object is None:
                continue
            seen += 1
            car = cars[bay.object]
            assert car.speed == 0.0
            assert zones[bay.bay].contains([(car.position.x, car.position.y)])[0]
    assert seen > 500


@pytest.mark.long
def test_the_lot_fills_with_demand_and_empties_without(lot: LoadedScenario) -> None:
    def taken(truth: Truth) -> int:
        return sum(bay.object is not None for bay in truth.bays)

    *_, (_, full) = play(lot, 900, dwell_s=5000.0, initially=0.5)
    assert taken(full) >= 20
    *_, (_, empty) = play(lot, 900, arrivals_per_hour=0.0, dwell_s=60.0, initially=0.5)
    assert taken(empty) == 0
    assert empty.objects == ()


def test_the_same_seed_is_the_same_lot(lot: LoadedScenario) -> None:
    runs = [[truth for _, truth in play(lot, 60, seed=seed)] for seed in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_some_back_in_and_drive_out_forwards(lot: LoadedScenario) -> None:
    outwards: dict[bool, set[int]] = {True: set(), False: set()}
    zones = {zone.id: zone for zone in lot.site_map.bays}
    for _, truth in play(lot, 120, seed=5):
        cars = {one.id: one for one in truth.objects}
        for bay in truth.bays:
            if bay.object is not None:
                # The aisle is y = 0: does the car look towards it?
                towards = -zones[bay.bay].centre[1] * math.sin(cars[bay.object].heading)
                outwards[towards > 0.0].add(bay.object)
    assert len(outwards[True]) >= 3
    assert len(outwards[False]) >= 3
    assert not outwards[True] & outwards[False]


def test_bays_to_which_nobody_comes_are_free(lot: LoadedScenario) -> None:
    options = SimulationOptions(vehicles_per_hour=0, pedestrians_per_hour=0)
    truth = World(lot.site_map, options, 1, BEGIN_NS).truth(BEGIN_NS)
    assert {bay.bay for bay in truth.bays} == {zone.id for zone in lot.site_map.bays}
    assert all(bay.object is None for bay in truth.bays)
