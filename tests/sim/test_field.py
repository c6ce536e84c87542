"""Field devices in lock-step: what a unit understands of them is the truth, as wires tell it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rsu.config.environment import MqttEnvironmentOptions
from rsu.config.gnss import NmeaOptions
from rsu.config.load import load_site
from rsu.config.model import SiteConfig
from rsu.config.parking import BayMqttOptions
from rsu.config.simulation import ObuOptions, played
from rsu.runtime.graph import process_plans
from rsu.schema.devices import EnvironmentKind, FixQuality, RoadSurface
from rsu.schema.message import Message
from rsu.schema.topics import BAY_READING, ENVIRONMENT, GNSS_FIX, V2X_RX, V2X_TX
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.schema.wire import pack
from rsu.sim.field import GATEWAY_NS, BayDevice, GnssDevice, ObuDevice, StationDevice
from rsu.sim.scenario.model import Flood, ParkingDemand, Scenario, StepClock
from rsu.sim.source import simulated_map, simulated_messages
from rsu.sim.world.world import World
from rsu.v2x.network.unwrap import unwrap

START_NS = 1_767_225_600_250_000_000
SEED = 4
QUIET = {"vehicles_per_hour": 0.0, "pedestrians_per_hour": 0.0}


def looks(
    device: Any, world: World, seconds: float, start_ns: int = START_NS
) -> list[tuple[int, int, Message]]:
    """(looked at, arrived, message) of every look."""
    found = []
    time_ns = start_ns + device.phase_ns
    while time_ns < start_ns + seconds * NS_PER_S:
        world.advance(time_ns)
        found += [(time_ns, *one) for one in device.look(world, time_ns)]
        time_ns += device.period_ns
    device.close()
    return found


def quiet(config: SiteConfig, base: Path, *script: Any) -> World:
    assert config.simulation is not None
    options = config.simulation.model_copy(update=QUIET)
    return World(simulated_map(config, base), options, SEED, START_NS, script=script)


@pytest.fixture(scope="module")
def lot(root: Path) -> SiteConfig:
    return load_site(root / "configs" / "parking-lot.yaml")


def test_bays_are_read_by_the_site_files_mapping(lot: SiteConfig, root: Path) -> None:
    (options,) = lot.bay_sensors
    assert isinstance(options, BayMqttOptions)
    half = ParkingDemand(at_s=0, do="parking-demand", lot="lot", arrivals_per_hour=0, initially=0.5)
    site_map = simulated_map(lot, root / "configs")
    half = half.model_copy(update={"lot": site_map.bays[0].lot})
    world = quiet(lot, root / "configs", half)
    device = BayDevice(options, site_map, SEED)
    heard = looks(device, world, 20.0)
    taken = {bay.bay for bay in world.incidents.bays() if bay.object is not None}
    told = {message.payload.bay: message.payload for _, _, message in heard}
    assert set(told) == {bay.id for bay in site_map.bays}
    assert 8 <= len(taken) <= 16
    right = sum(reading.occupied is (bay in taken) for bay, reading in told.items())
    assert right >= len(told) - 1  # one in fifty sensors misses what stands on it
    assert not device.dropped
    for _, arrival_ns, message in heard:
        assert message.topic is BAY_READING
        assert arrival_ns - message.payload.capture_ns >= GATEWAY_NS
        assert 0.0 < message.payload.battery <= 1.0


def test_only_bays_that_the_site_file_names_have_a_sensor(lot: SiteConfig, root: Path) -> None:
    (options,) = lot.bay_sensors
    site_map = simulated_map(lot, root / "configs")
    two = {f"s{n}": site_map.bays[n].id for n in range(2)}
    named = options.model_copy(update={"bays": two})
    heard = looks(BayDevice(named, site_map, SEED), quiet(lot, root / "configs"), 5.0)
    assert {message.payload.bay for _, _, message in heard} == set(two.values())


def test_a_gauge_tells_the_water_and_the_mast_the_weather(junction: SiteConfig, root: Path) -> None:
    (options,) = junction.environment
    assert isinstance(options, MqttEnvironmentOptions)
    flood = Flood(at_s=5, do="flood", lane="in-w-2", station=70, depth=0.4, duration_s=120)
    world = quiet(junction, root / "configs", flood)
    device = StationDevice(options, 15.0, SEED)
    heard = [message.payload for _, _, message in looks(device, world, 70.0)]
    assert not device.dropped
    depth = [one for one in heard if one.kind is EnvironmentKind.WATER_DEPTH]
    assert {one.lane for one in depth} == {"in-w-2"}
    assert [one.value for one in depth[:5]] == [0.0] * 5  # a dry road reads exactly that
    assert depth[-1].value == pytest.approx(0.4, abs=0.02)
    assert depth[-1].std == 0.005
    surfaces = [one.surface for one in heard if one.kind is EnvironmentKind.ROAD_SURFACE]
    assert (surfaces[0], surfaces[-1]) == (RoadSurface.DRY, RoadSurface.FLOODED)
    seen = [one.value for one in heard if one.kind is EnvironmentKind.VISIBILITY]
    assert sum(seen) / len(seen) == pytest.approx(20_000.0, rel=0.03)  # 70 draws of 5 %


def test_water_that_freezes_is_ice(junction: SiteConfig, root: Path) -> None:
    (options,) = junction.environment
    flood = Flood(at_s=0, do="flood", lane="in-w-2", station=70, depth=0.1, duration_s=60)
    device = StationDevice(options, -4.0, SEED)
    heard = looks(device, quiet(junction, root / "configs", flood), 5.0)
    surfaces = [m.payload.surface for _, _, m in heard if m.payload.surface is not None]
    assert surfaces[-1] is RoadSurface.ICE


def test_the_receiver_tells_every_whole_second(junction: SiteConfig, root: Path) -> None:
    (options,) = junction.gnss
    assert isinstance(options, NmeaOptions)
    site_map = simulated_map(junction, root / "configs")
    device = GnssDevice(options, site_map, SEED, START_NS)
    heard = looks(device, quiet(junction, root / "configs"), 5.0)
    assert len(heard) == 5
    assert not device.dropped
    for time_ns, arrival_ns, message in heard:
        fix = message.payload
        assert message.topic is GNSS_FIX
        assert (fix.utc_ns, fix.utc_ns % NS_PER_S) == (time_ns, 0)
        assert fix.quality is FixQuality.RTK_FIXED
        assert fix.clock_offset_ns == 0
        assert arrival_ns - time_ns == round(options.latency_s * NS_PER_S)
        east, north, _ = site_map.frame.to_enu(fix.latitude, fix.longitude, fix.altitude)
        assert abs(east) < 0.1
        assert abs(north) < 0.1


def test_a_clock_that_jumps_shows_against_the_receivers(junction: SiteConfig, root: Path) -> None:
    assert junction.simulation is not None
    config = junction.model_copy(
        update={
            "cameras": (), "radars": (), "signals": (),
            "simulation": junction.simulation.model_copy(update=QUIET),
        }
    )  # fmt: skip
    scenario = Scenario(
        title="Jump", site=Path("junction.yaml"), duration_s=6,
        script=(StepClock(at_s=3, do="step-clock", by_s=2.5),),
        expect=({"expect": "score", "name": "x", "at_least": 0},),
    )  # fmt: skip
    run = simulated_messages(config, root / "configs", 1, START_NS, 6 * NS_PER_S, scenario=scenario)
    offsets = [m.payload.clock_offset_ns for _, m in run if m.topic is GNSS_FIX]
    assert offsets == [0] * 3 + [2_500 * NS_PER_MS] * 3


def test_on_board_units_are_heard_as_datagrams_some_of_which_are_lost(
    junction: SiteConfig, make_world: Callable[..., World], root: Path
) -> None:
    def datagrams(loss: float) -> list[tuple[int, int, Message]]:
        options = ObuOptions(share=1.0, worlds=("csae", "sae"), loss=loss, latency_s=0.02)
        site_map = simulated_map(junction, root / "configs")
        device = ObuDevice(options, junction.site, site_map, SEED)
        return looks(device, make_world(vehicles_per_hour=2400.0), 20.0, 1_767_225_600 * NS_PER_S)

    every, most = datagrams(0.0), datagrams(0.2)
    assert len(every) > 300
    assert 0.75 < len(most) / len(every) < 0.85
    assert {pack(m)[2] for _, _, m in most} <= {pack(m)[2] for _, _, m in every}
    for time_ns, arrival_ns, message in every:
        assert message.topic is V2X_RX
        assert arrival_ns - time_ns == 20 * NS_PER_MS == message.header.capture_ns - time_ns
        assert len(unwrap(message.payload.payload).payloads) == 1


def test_whose_vehicles_speak_changes_no_traffic(junction: SiteConfig, root: Path) -> None:
    assert junction.simulation is not None
    silent = junction.simulation.model_copy(update={"obus": None})
    both = (junction, junction.model_copy(update={"simulation": silent}))
    with_units, without = (
        [
            pack(m) for _, m in simulated_messages(one, root / "configs", 1, START_NS, 2 * NS_PER_S)
            if m.topic is not V2X_RX
        ]
        for one in both
    )  # fmt: skip
    assert with_units == without


def test_the_site_file_says_which_devices_are_played(
    junction: SiteConfig, lot: SiteConfig, root: Path
) -> None:
    assert all(map(played, (*junction.gnss, *junction.environment, *lot.bay_sensors)))
    (gauge,) = junction.environment
    real = gauge.model_copy(update={"host": "127.0.0.1"})
    assert not played(real)
    mixed = junction.model_copy(update={"environment": (real,)})
    assert {plan.name for plan in process_plans(mixed) if plan.role == "device"} == {
        "environment:west-mast"
    }
    run = simulated_messages(mixed, root / "configs", 1, START_NS, NS_PER_S)
    topics = {m.topic for _, m in run}
    assert ENVIRONMENT not in topics
    assert V2X_TX not in topics
