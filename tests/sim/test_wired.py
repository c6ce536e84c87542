"""Radar and controller over their wires: what arrives is the truth to the wire's last digit."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import can
import pytest

from rsu.config.model import SiteConfig
from rsu.config.radars import Ars408Options
from rsu.config.signals import TscbmOptions
from rsu.schema.message import Message
from rsu.schema.sensing import RadarObjects
from rsu.schema.signals import LightState, SignalState
from rsu.schema.topics import RADAR_OBJECTS, SIGNAL_STATE
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.schema.wire import pack
from rsu.sim.sensors.radar import ModelledRadar, RadarReading
from rsu.sim.source import simulated_messages
from rsu.sim.wired import RADAR_PERIOD_NS, ControllerDevice, RadarDevice
from rsu.sim.worker import SimulationWorker
from rsu.sim.world.scene import stream
from rsu.sim.world.world import World

START_NS = 1_767_225_600_000_000_000
SEED = 5
CYCLES = 200
WARM_UP_NS = 60 * NS_PER_S
BUSY = {"vehicles_per_hour": 2400.0}
GREENS = (LightState.PROTECTED_GREEN, LightState.PERMISSIVE_GREEN)

# Half the wire's steps (ARS408 object list: distances 0.2 m, speeds 0.25 m/s), and a little for
# arithmetic.
HALF_DISTANCE, HALF_SPEED = 0.1 + 1e-6, 0.125 + 1e-6


@pytest.fixture
def radar(junction: SiteConfig) -> Ars408Options:
    (options,) = junction.radars
    assert isinstance(options, Ars408Options)
    return options


@pytest.fixture
def controller(junction: SiteConfig) -> TscbmOptions:
    (options,) = junction.signals
    assert isinstance(options, TscbmOptions)
    return options


def times(period_ns: int, count: int) -> list[int]:
    return [START_NS + WARM_UP_NS + i * period_ns for i in range(count)]


def radar_cycles(
    options: Ars408Options, junction: SiteConfig, root: Path, world: World, count: int
) -> list[tuple[int, int, Message]]:
    """(looked at, arrived, message) of every cycle."""
    device = RadarDevice(options, root / "configs", junction.site, SEED)
    arrived = []
    try:
        for time_ns in times(RADAR_PERIOD_NS, count):
            world.advance(time_ns)
            arrived += [(time_ns, *one) for one in device.look(world, time_ns)]
    finally:
        device.close()
    return arrived


def test_radar_objects_are_those_of_the_radar_to_the_wires_steps(
    radar: Ars408Options, junction: SiteConfig, root: Path, make_world: Callable[..., World]
) -> None:
    cycles = radar_cycles(radar, junction, root, make_world(**BUSY), CYCLES)
    assert len(cycles) == CYCLES  # not one list is lost
    world = make_world(**BUSY)
    model = ModelledRadar(radar, stream(SEED, f"radar/{radar.id}"))
    compared = 0
    for time_ns, arrival_ns, message in cycles:
        world.advance(time_ns)
        wanted = {one.number: one for one in model.look(world.scene(time_ns)).objects}
        fact: RadarObjects = message.payload
        assert message.topic is RADAR_OBJECTS
        assert message.header.capture_ns == fact.capture_ns == time_ns
        assert arrival_ns - time_ns == round(radar.latency_s * NS_PER_S)
        assert {one.object_id for one in fact.objects} <= set(wanted)
        for one in fact.objects:
            forward, left, speed_forward, speed_left = from_the_west(one, radar)
            reading: RadarReading = wanted[one.object_id]
            assert forward == pytest.approx(reading.forward, abs=HALF_DISTANCE)
            assert left == pytest.approx(reading.left, abs=HALF_DISTANCE)
            assert speed_forward == pytest.approx(reading.speed_forward, abs=HALF_SPEED)
            assert speed_left == pytest.approx(reading.speed_left, abs=HALF_SPEED)
            compared += 1
    assert compared > 2 * CYCLES


def from_the_west(one: Any, radar: Ars408Options) -> tuple[float, float, float, float]:
    """Forward and left of the west radar, which looks due west (270°): its left is south."""
    assert radar.mount.heading == 270
    return (
        radar.mount.x - one.position.x, radar.mount.y - one.position.y,
        -one.velocity.x, -one.velocity.y,
    )  # fmt: skip


def test_radar_cycles_are_the_same_again_in_the_same_process(
    radar: Ars408Options, junction: SiteConfig, root: Path, make_world: Callable[..., World]
) -> None:
    first, second = (
        [(arrival, pack(m)) for _, arrival, m in radar_cycles(
            radar, junction, root, make_world(**BUSY), 40
        )]
        for _ in range(2)
    )  # fmt: skip
    assert first == second


def test_a_closed_radar_leaves_nobody_on_the_bus(
    radar: Ars408Options, junction: SiteConfig, root: Path, make_world: Callable[..., World]
) -> None:
    device = RadarDevice(radar, root / "configs", junction.site, SEED)
    world = make_world()
    listener = can.Bus(interface="virtual", channel=radar.bus.channel)
    try:
        assert len(list(device.look(world, START_NS))) == 1
        assert listener.recv(0) is not None
        device.close()
        device.close()  # again is as good
        sender = can.Bus(interface="virtual", channel=radar.bus.channel)
        try:
            while listener.recv(0) is not None:
                pass
            sender.send(can.Message(arbitration_id=0x7FF, is_extended_id=False))
            assert listener.recv(0) is not None
            assert sender.recv(0) is None  # nobody answers, nobody else speaks
        finally:
            sender.shutdown()
    finally:
        listener.shutdown()


def states(
    options: TscbmOptions, junction: SiteConfig, world: World, count: int
) -> list[tuple[int, int, Message]]:
    device = ControllerDevice(options, junction.site)
    heard = []
    try:
        for time_ns in times(device.period_ns, count):
            world.advance(time_ns)
            heard += [(time_ns, *one) for one in device.look(world, time_ns)]
    finally:
        device.close()
    return heard


def test_signal_states_are_the_lights_and_their_times_to_a_tenth(
    controller: TscbmOptions, junction: SiteConfig, make_world: Callable[..., World]
) -> None:
    heard = states(controller, junction, make_world(), 700)  # more than one cycle of 60 s
    assert len(heard) == 700
    protected = {one.group: one.protected for one in controller.groups}
    assert set(protected.values()) == {True, False}
    world, seen, timed = make_world(), set(), 0
    for time_ns, arrival_ns, message in heard:
        world.advance(time_ns)
        truth = world.signal_state(time_ns, controller.id, junction.site.intersection)
        fact: SignalState = message.payload
        assert message.topic is SIGNAL_STATE
        assert (fact.controller, fact.intersection) == (truth.controller, truth.intersection)
        assert time_ns <= fact.capture_ns <= arrival_ns
        told = {group.group: group for group in fact.groups}
        assert set(told) == {group.group for group in truth.groups}
        for group in truth.groups:
            seen.add(group.light)
            light = told[group.group].light
            # No datagram says whether a green is protected: the site file does.
            if group.light in GREENS:
                assert light is (GREENS[0] if protected[group.group] else GREENS[1])
            else:
                assert light is group.light
            for ends in ("min_end_ns", "max_end_ns"):
                wanted, got = getattr(group, ends), getattr(told[group.group], ends)
                if got is None:
                    # Two zeros are an unknown end on this wire: the last tenth has none.
                    assert wanted is None or wanted - time_ns < 100 * NS_PER_MS
                else:
                    # Tenths of a second on the wire, counted from when the datagram was made.
                    assert abs(got - wanted) <= 100 * NS_PER_MS
                    timed += 1
    assert timed > 0.95 * 700 * 8 * 2
    assert {LightState.RED, LightState.YELLOW} <= seen


def test_signal_states_are_the_same_again(
    controller: TscbmOptions, junction: SiteConfig, make_world: Callable[..., World]
) -> None:
    first, second = (
        [(arrival, pack(m)) for _, arrival, m in states(controller, junction, make_world(), 30)]
        for _ in range(2)
    )
    assert first == second


def test_a_run_that_is_never_begun_or_left_early_holds_nothing(
    junction: SiteConfig, root: Path
) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        for taken in (0, 30):
            run = simulated_messages(junction, root / "configs", 1, START_NS, NS_PER_S)
            for _ in range(taken):
                next(run)
            run.close()
            del run
            gc.collect()
    assert [str(one.message) for one in told] == []


def test_a_stopped_simulation_holds_nothing(junction: SiteConfig, root: Path) -> None:
    @dataclass
    class Around:
        config: SiteConfig
        base: Path
        boot: Instant
        clock: Callable[[], Instant]
        bus: Any

    class Silence:
        def receive(self, _timeout_s: float) -> list[Message]:
            return []

    start = Instant(START_NS, NS_PER_S)
    later = Instant(START_NS + NS_PER_S, 2 * NS_PER_S)
    now = [start]
    worker = SimulationWorker(Around(junction, root / "configs", start, lambda: now[0], Silence()))
    worker.stop()  # not started yet
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ResourceWarning)
        worker.start()
        now[0] = later
        said = {message.topic for message in worker.turn(0.0)}
        worker.stop()
        assert {RADAR_OBJECTS, SIGNAL_STATE} <= said
        now[0] = Instant(START_NS + 2 * NS_PER_S, 3 * NS_PER_S)
        assert list(worker.turn(0.0)) == []
        del worker
        gc.collect()
    assert [str(one.message) for one in told] == []
