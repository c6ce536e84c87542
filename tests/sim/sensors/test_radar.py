"""The modelled radar: by itself, and through CAN frames and the real driver against the truth."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import numpy as np
import pytest

from rsu.config.devices import DeviceOptions
from rsu.config.place import OriginOptions, PlaceOptions
from rsu.config.radars import Ars408Options
from rsu.hal.device import make_device
from rsu.schema.sensing import DynamicProperty, ObjectClass, RadarObjects, SensorKind
from rsu.schema.units import Instant
from rsu.sim.emulators.can_radar import CanRadarEmulator
from rsu.sim.sensors.radar import FOUND, FOUND_SLOW, ModelledRadar
from rsu.sim.world.scene import Scene, stream
from rsu.sim.world.world import World

START_NS = 1_767_225_600_000_000_000
PLACE = PlaceOptions(id="p", origin=OriginOptions(latitude=31.0, longitude=121.0))
Row = tuple[int, ObjectClass, float, float, float, float, tuple[float, float, float]]
CAR = (4.6, 1.8, 1.5)


def options(**more: object) -> Ars408Options:
    base = {"id": "r", "driver": "ars408", "mount": {"x": 0, "y": 0, "heading": 90}}
    return Ars408Options.model_validate({**base, **more})


def scene(*rows: Row) -> Scene:
    return Scene(
        START_NS,
        tuple(row[0] for row in rows),
        tuple(row[1] for row in rows),
        np.array([row[2:4] for row in rows]).reshape(-1, 2),
        np.array([row[4] for row in rows]),
        np.array([row[5] for row in rows]),
        np.array([row[6] for row in rows]).reshape(-1, 3),
    )


def car(number: int, x: float, y: float, heading: float = 0.0, speed: float = 10.0) -> Row:
    return number, ObjectClass.CAR, x, y, heading, speed, CAR


def share(radar: ModelledRadar, seen: Scene, key: int, cycles: int = 600) -> float:
    return sum(key in radar.look(seen).truth.values() for _ in range(cycles)) / cycles


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (car(1, 60.0, 0.0), FOUND),
        (car(1, 40.0, 40.0), FOUND),  # 45°, near cone
        (car(1, 200.0, 10.0), FOUND),  # 3°, far cone
        (car(1, 100.0, 60.0), 0.0),  # 31° at 117 m: in neither
        (car(1, -20.0, 0.0), 0.0),  # behind
        (car(1, 60.0, 0.0, speed=0.0), FOUND_SLOW),
        (car(1, 60.0, 0.0, heading=np.pi / 2), FOUND_SLOW),  # crosses: no radial speed
    ],
)
def test_what_is_found_depends_on_cone_and_radial_speed(row: Row, expected: float) -> None:
    radar = ModelledRadar(options(), stream(1, "radar/r"))
    # 600 cycles: the share's own σ is at most 0.02.
    assert share(radar, scene(row), 1) == pytest.approx(expected, abs=0.07)


def test_what_stands_behind_a_truck_is_mostly_missed() -> None:
    truck = (2, ObjectClass.TRUCK, 20.0, 0.0, np.pi / 2, 0.0, (10.0, 2.5, 3.5))
    radar = ModelledRadar(options(), stream(1, "radar/r"))
    assert share(radar, scene(truck, car(1, 40.0, 0.0)), 1) < 0.3


def test_numbers_are_kept_and_existence_grows() -> None:
    radar = ModelledRadar(options(), stream(2, "radar/r"))
    numbers, existence = set(), []
    for _ in range(30):
        for reading in radar.look(scene(car(7, 50.0, 2.0))).objects:
            numbers.add(reading.number)
            existence.append(reading.existence)
    assert len(numbers) == 1
    assert existence == sorted(existence)
    assert (existence[0], existence[-1]) == (2, 7)


def test_large_vehicles_make_ghosts_that_are_nobody() -> None:
    truck = (2, ObjectClass.TRUCK, 25.0, 0.0, 0.0, 8.0, (10.0, 2.5, 3.5))
    radar = ModelledRadar(options(), stream(3, "radar/r"))
    ghosts = 0
    for _ in range(500):
        cycle = radar.look(scene(truck))
        for reading in cycle.objects:
            if reading.number not in cycle.truth:
                ghosts += 1
                assert reading.forward == pytest.approx(50.0, abs=3.0)
    assert ghosts > 0
    small = ModelledRadar(options(), stream(3, "radar/r"))
    assert all(len(small.look(scene(car(1, 25.0, 0.0))).objects) <= 1 for _ in range(500))


def test_the_same_seed_gives_the_same_cycles(make_world: Callable[..., World]) -> None:
    runs = []
    for _ in range(2):
        world, radar = make_world(seed=5), ModelledRadar(options(), stream(5, "radar/r"))
        run = []
        for cycle in range(1, 21):
            time_ns = START_NS + cycle * 70_000_000
            world.advance(time_ns)
            run.append(radar.look(world.scene(time_ns)))
        runs.append(run)
    assert runs[0] == runs[1]


def test_through_the_wire_and_the_real_driver_the_stated_covariance_holds() -> None:
    """NEES of position over many radars (each with its own mounting error) and cars."""
    nees, speed_nees, count = [], [], 0
    for seed in range(40):
        channel = uuid.uuid4().hex
        made = options(
            bus={"interface": "virtual", "channel": channel}, stamps="arrival", latency_s=0.0,
            reference_std=0.0,
        )  # fmt: skip
        assert isinstance(made, DeviceOptions)
        driver = make_device(
            SensorKind.RADAR,
            made,
            None,
            lambda: Instant(START_NS, 0),
            PLACE,  # type: ignore[arg-type]
        )
        emulator = CanRadarEmulator(made)
        driver.open()
        emulator.open()
        rng = np.random.default_rng(seed)
        rows = [
            car(k, float(rng.uniform(15, 65)), float(rng.uniform(-15, 15)),
                float(rng.uniform(-3, 3)), float(rng.uniform(3, 15)))
            for k in range(8)
        ]  # fmt: skip
        radar = ModelledRadar(made, stream(seed, "radar/r"))
        cycle = radar.look(scene(*rows))
        emulator.send(cycle)
        (found,) = driver.receive(5.0)
        assert isinstance(found, RadarObjects)
        assert len(found.objects) == len(cycle.objects)
        for item in found.objects:
            row = rows[cycle.truth[item.object_id]]
            error = np.array([item.position.x - row[2], item.position.y - row[3]])
            c = item.position_cov
            nees.append(error @ np.linalg.solve([[c.xx, c.xy], [c.xy, c.yy]], error))
            v = item.velocity_cov
            speed = row[5] * np.array([np.cos(row[4]), np.sin(row[4])])
            slip = np.array([item.velocity.x, item.velocity.y]) - speed
            speed_nees.append(slip @ np.linalg.solve([[v.xx, v.xy], [v.xy, v.yy]], slip))
            assert item.dynamic is not DynamicProperty.UNKNOWN
            count += 1
        assert not any(driver.dropped.values())
        emulator.close()
        driver.close()
    assert count > 200
    # χ² with 2 degrees of freedom has mean 2; quality comes in steps of 29 % and is rounded up, so
    # a third of the variance may be missing, none may be in excess (5 σ of the mean of 200).
    assert 1.0 < np.mean(nees) < 2.0 + 5 * 2 / np.sqrt(count)
    assert 1.0 < np.mean(speed_nees) < 2.0 + 5 * 2 / np.sqrt(count)
    print(f"NEES position {np.mean(nees):.2f}, velocity {np.mean(speed_nees):.2f}, n {count}")
