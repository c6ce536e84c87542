"""Bay sensors, GNSS and weather stations as modelled: their errors are those they are given."""

from __future__ import annotations

import numpy as np
import pytest

from rsu.schema.devices import EnvironmentKind, FixQuality, RoadSurface
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S
from rsu.sim.sensors.bays import BayErrors, ModelledBays
from rsu.sim.sensors.environment import ModelledEnvironment
from rsu.sim.sensors.gnss import VEHICLE, ModelledGnss, PositionError
from rsu.sim.world.scene import Scene, Weather, stream
from rsu.site.features import ZoneKind
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Zone

START_NS = 1_767_225_600_000_000_000
RING = np.array([(0.0, 0.0), (2.5, 0.0), (2.5, 5.0), (0.0, 5.0)])
BAYS = [Zone(f"b{n}", ZoneKind.BAY, RING + np.array([3.0 * n, 0.0])) for n in range(400)]


def scene(
    second: float, parked: int = 0, speed: float = 0.0, weather: Weather | None = None,
    water: dict[str, float] | None = None,
) -> Scene:  # fmt: skip
    """Cars in the first `parked` bays."""
    return Scene(
        time_ns=START_NS + round(second * NS_PER_S),
        ids=tuple(range(parked)),
        classes=(ObjectClass.CAR,) * parked,
        position=np.array([(3.0 * n + 1.25, 2.5) for n in range(parked)]).reshape(-1, 2),
        heading=np.zeros(parked),
        speed=np.full(parked, speed),
        size=np.full((parked, 3), (4.4, 1.8, 1.5)),
        weather=weather or Weather(),
        water=water or {},
    )


def told_after(errors: BayErrors, parked_first: int, parked_then: int) -> dict[str, bool | None]:
    model = ModelledBays("bays", BAYS, stream(3, "bays"), errors)
    state: dict[str, bool | None] = {}
    for second in range(40):
        now = scene(second, parked_first if second < 2 else parked_then)
        state.update({one.bay: one.occupied for one in model.look(now)})
    return state


def test_parked_cars_are_missed_and_emptied_bays_stay_taken_as_often_as_stated() -> None:
    arrived = told_after(BayErrors(miss=0.1, phantom=0.0, chatter=0.0), 0, 400)
    assert 20 < sum(not there for there in arrived.values()) < 65  # 40 ± 4 σ of 6
    left = told_after(BayErrors(miss=0.0, phantom=0.1, chatter=0.0), 400, 0)
    assert 20 < sum(bool(there) for there in left.values()) < 65


def test_words_come_late_by_the_stated_delay() -> None:
    model = ModelledBays(
        "bays", BAYS, stream(3, "bays"), BayErrors(miss=0, phantom=0, chatter=0, delay_s=4.0)
    )
    assert len(model.look(scene(0))) == 400  # at the start all say how things stand
    delays = []
    for step in range(1, 200):
        for one in model.look(scene(1 + step / 10, 400)):
            assert one.occupied
            delays.append((one.capture_ns - START_NS) / NS_PER_S - 1.1)
    assert len(delays) == 400
    assert np.mean(delays) == pytest.approx(4.0, abs=0.3)
    assert min(delays) >= 0.4


def test_chatter_ends_with_the_truth_and_heartbeats_repeat_it() -> None:
    model = ModelledBays(
        "bays", BAYS[:1], stream(3, "bays"),
        BayErrors(miss=0, phantom=0, chatter=1.0, heartbeat_s=60.0),
    )  # fmt: skip
    words = []
    for second in range(100):
        words += model.look(scene(second, 0 if second < 5 else 1))
    said = [one.occupied for one in words]
    assert said == [False, True, False, True, True]
    assert (words[-1].capture_ns - words[-2].capture_ns) / NS_PER_S == pytest.approx(60.0, abs=1.0)


def test_what_drives_through_a_bay_does_not_stand_in_it() -> None:
    model = ModelledBays("bays", BAYS[:3], stream(3, "bays"))
    model.look(scene(0))
    for second in range(1, 30):
        assert model.look(scene(second, 3, speed=2.0)) == []


def test_a_receivers_error_is_as_large_as_stated_and_lasts_as_long() -> None:
    steps, receivers = 30, 400
    found = np.empty((receivers, steps))
    for index in range(receivers):
        error = PositionError(VEHICLE, stream(index, "gnss"))
        found[index] = [error.at(START_NS + s * 10 * NS_PER_S)[0] for s in range(steps)]
    assert np.std(found) == pytest.approx(VEHICLE.std, rel=0.06)
    assert abs(np.mean(found)) < 0.1
    # Covariance over 100 s, the drift's own time: drift² / e.
    lagged = float(np.mean(found[:, :-10] * found[:, 10:]))
    assert lagged == pytest.approx(VEHICLE.drift**2 / np.e, rel=0.25)


def test_a_receiver_says_when_it_has_no_fix() -> None:
    model = ModelledGnss("g", LocalFrame(31.0, 121.0, 10.0), (0, 0, 5), stream(1, "g"), VEHICLE)
    assert model.look(START_NS).quality is FixQuality.AUTONOMOUS
    model.lost = True
    lost = model.look(START_NS + NS_PER_S)
    assert (lost.quality, lost.latitude, lost.clock_offset_ns) == (FixQuality.NONE, None, None)


def test_weather_is_measured_with_the_stated_noise() -> None:
    model = ModelledEnvironment("mast", stream(1, "mast"), ["in"])
    weather = Weather(rain=0.5, visibility=600.0)
    readings = [
        one for n in range(300) for one in model.look(scene(n, weather=weather, water={"in": 0.2}))
    ]
    for kind, mean, std in (
        (EnvironmentKind.VISIBILITY, 600.0, 30.0),
        (EnvironmentKind.RAIN, 8.0, 0.8),
        (EnvironmentKind.WATER_DEPTH, 0.2, 0.005),
        (EnvironmentKind.ROAD_TEMPERATURE, 15.0, 0.3),
    ):
        values = [one.value for one in readings if one.kind is kind]
        assert np.mean(values) == pytest.approx(mean, abs=5 * std / np.sqrt(len(values)))
        assert np.std(values) == pytest.approx(std, rel=0.2)
        assert all(one.std == pytest.approx(std) for one in readings if one.kind is kind)


@pytest.mark.parametrize(
    ("rain", "water", "temperature", "surface"),
    [
        (0.0, 0.0, 15.0, RoadSurface.DRY),
        (0.01, 0.0, 15.0, RoadSurface.DAMP),
        (0.5, 0.0, 15.0, RoadSurface.WET),
        (0.0, 0.002, 15.0, RoadSurface.WET),
        (0.0, 0.3, 15.0, RoadSurface.FLOODED),
        (0.5, 0.0, -3.0, RoadSurface.ICE),
        (0.0, 0.0, -3.0, RoadSurface.DRY),
    ],
)
def test_the_surface_follows_from_rain_water_and_frost(
    rain: float, water: float, temperature: float, surface: RoadSurface
) -> None:
    model = ModelledEnvironment("mast", stream(1, "mast"), ["in"], road_temperature=temperature)
    readings = model.look(scene(0, weather=Weather(rain=rain), water={"in": water}))
    (said,) = [one for one in readings if one.kind is EnvironmentKind.ROAD_SURFACE]
    assert (said.surface, said.lane) == (surface, "in")
