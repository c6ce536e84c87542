"""The simulated site as a stream of messages, just as real devices would have published them.

A site configuration goes in, and a scenario where one is played; draft messages come out in the
order of their arrival: what every simulated device publishes, its health, and the truth for
scoring. Devices (`devices`, `wired`, `field`) look at the world at their own times; a scenario may
let them fail. One thing goes the other way: what the unit commands its signal controller.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from rsu.config.cameras import CameraOptions, ModelledDetectorOptions, SimSourceOptions
from rsu.config.environment import MqttEnvironmentOptions
from rsu.config.gnss import NmeaOptions
from rsu.config.model import SiteConfig
from rsu.config.parking import BayMqttOptions
from rsu.config.radars import Ars408Options
from rsu.config.signals import TscbmOptions
from rsu.config.simulation import SimulationOptions, played
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.priority import SignalCommand
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import CAMERA_PREVIEW, SENSOR_HEALTH, SIGNAL_COMMAND
from rsu.schema.units import NS_PER_S
from rsu.sim.devices import (
    SIGNAL_LATENCY_NS,
    Arrival,
    CameraDevice,
    Device,
    Eye,
    ModelledEye,
    SignalDevice,
    TruthDevice,
)
from rsu.sim.disturbances import Disturbances, arrived, places_of, stamped
from rsu.sim.errors import SimulationError
from rsu.sim.field import BayDevice, GnssDevice, ObuDevice, StationDevice
from rsu.sim.outages import Outages
from rsu.sim.scenario.model import Scenario
from rsu.sim.site_map import simulated_map
from rsu.sim.wired import ControllerDevice, RadarDevice
from rsu.sim.world.engine import traffic_engine
from rsu.sim.world.scene import CLEAR_DAY, Weather
from rsu.sim.world.world import World

__all__ = [
    "Arrival", "Cameras", "Commands", "open_eyes", "overheard", "simulated_map",
    "simulated_messages",
]  # fmt: skip

Commands = deque[SignalCommand]
"""What the unit has commanded and the simulated controllers have not taken yet. Whoever runs the
unit appends; the source takes before its next look. It is drawn lazily, so that in lock-step a
command always finds the world at the same moment."""

Cameras = Literal["configured", "modelled", "rendered"]
"""As the site file says, or all simulated cameras alike."""

WARM_UP_NS = 180 * NS_PER_S
"""How long the world runs before anyone looks: about as full as it stays (vehicles need a minute,
walkers about three for their 250 m)."""
HEALTH_PERIOD_NS = NS_PER_S
STAMPED_HERE = frozenset(
    {SensorKind.CAMERA, SensorKind.RADAR, SensorKind.SIGNAL, SensorKind.V2X, SensorKind.GNSS}
)
"""Devices whose messages are dated by the unit's own clock as they arrive."""


def simulated_messages(
    config: SiteConfig,
    base: Path,
    seed: int,
    start_ns: int,
    duration_ns: int | None,
    *,
    scenario: Scenario | None = None,
    cameras: Cameras = "configured",
    eyes: Mapping[str, Eye] | None = None,
    commands: Commands | None = None,
) -> Generator[Arrival]:
    """(arrival ns UTC, draft) in non-decreasing order of arrival, the same for the same arguments.

    Everything captured in [start_ns, start_ns + duration_ns) is delivered, what was still on its
    way at the end included; None never ends. Close it to let the devices' wires go. Map paths are
    relative to `base`. `eyes` by camera id are those of `open_eyes` (default: opened here); cameras
    without one are left out. `commands` are for the simulated signal controllers. Raises
    SimulationError at once for a site or a map from which no world can be made.
    """
    site_map = simulated_map(config, base)
    options = _options(config, scenario)
    if seed < 0:
        raise SimulationError(f"seed {seed} is negative")
    script = () if scenario is None else scenario.script
    world = World(
        site_map, options, seed, start_ns - WARM_UP_NS,
        script=script, script_ns=start_ns, weather=_weather(scenario),
        make_traffic=traffic_engine(options, base),
    )  # fmt: skip
    if eyes is None:
        eyes = open_eyes(config, base, seed, cameras)
    devices = [
        *_devices(config, base, world, options, seed, eyes),
        *_field_devices(config, world, options, seed, start_ns),
    ]
    signals = [device.id for device in devices if device.kind is SensorKind.SIGNAL]
    outages = Outages(script, start_ns, signals)
    end_ns = None if duration_ns is None else start_ns + duration_ns
    disturbances = Disturbances(script, start_ns, places_of(config) if script else {})
    run = _Run(
        world, devices, outages, disturbances, start_ns, end_ns,
        deque() if commands is None else commands,
    )  # fmt: skip
    return run.arrivals()


def overheard(sink: Callable[[Message], None], commands: Commands) -> Callable[[Message], None]:
    """A sink that also lets the simulated signal controllers hear what the unit commands."""

    def take(message: Message) -> None:
        if message.topic == SIGNAL_COMMAND:
            commands.append(message.payload)
        sink(message)

    return take


def open_eyes(
    config: SiteConfig,
    base: Path,
    seed: int,
    cameras: Cameras,
    *,
    render: bool = True,
    previews: bool = False,
) -> dict[str, Eye]:
    """How each simulated camera sees, by its id; rendered ones are ready to look at once.

    Without `render` cameras that need pixels are left out: somebody else looks through them. With
    `previews` those with pixels also give masked pictures.
    """
    if seed < 0:
        raise SimulationError(f"seed {seed} is negative")
    options = config.simulation or SimulationOptions()
    eyes: dict[str, Eye] = {}
    for camera in config.cameras:
        eye = _eye(config, camera, cameras, options, seed, base, render=render, previews=previews)
        if eye is not None:
            eyes[camera.id] = eye
    for eye in eyes.values():
        eye.ready()
    return eyes


def _devices(
    config: SiteConfig,
    base: Path,
    world: World,
    options: SimulationOptions,
    seed: int,
    eyes: Mapping[str, Eye],
) -> list[Device]:
    """Everything that looks at the world, in an order that only the site file decides."""
    devices: list[Device] = [TruthDevice()]
    if world.plan.groups:
        wired = [one for one in config.signals if isinstance(one, TscbmOptions)]
        if not config.signals:
            devices.append(SignalDevice(config.site.intersection))
        devices += [ControllerDevice(one, config.site) for one in wired]
    devices += [
        CameraDevice(camera, options, seed, eyes[camera.id])
        for camera in config.cameras
        if camera.id in eyes
    ]
    devices += [
        RadarDevice(radar, base, config.site, seed)
        for radar in config.radars
        if isinstance(radar, Ars408Options) and played(radar)
    ]
    return devices


def _field_devices(
    config: SiteConfig, world: World, options: SimulationOptions, seed: int, start_ns: int
) -> list[Device]:
    """Those that do not look at the road, and on-board units, in the order of the site file."""
    site_map = world.site_map
    devices: list[Device] = []
    if options.obus is not None:
        devices.append(ObuDevice(options.obus, config.site, site_map, seed))
    devices += [
        BayDevice(one, site_map, seed)
        for one in config.bay_sensors
        if isinstance(one, BayMqttOptions) and played(one)
    ]
    devices += [
        GnssDevice(one, site_map, seed, start_ns)
        for one in config.gnss
        if isinstance(one, NmeaOptions) and played(one)
    ]
    devices += [
        StationDevice(one, options.road_temperature, seed)
        for one in config.environment
        if isinstance(one, MqttEnvironmentOptions) and played(one)
    ]
    return devices


def _options(config: SiteConfig, scenario: Scenario | None) -> SimulationOptions:
    options = config.simulation or SimulationOptions()
    if scenario is None:
        return options
    demand = {
        name: value
        for name in ("vehicles_per_hour", "pedestrians_per_hour")
        if (value := getattr(scenario, name)) is not None
    }
    return options.model_copy(update=demand)


def _weather(scenario: Scenario | None) -> Weather:
    if scenario is None:
        return CLEAR_DAY
    said = scenario.weather
    return Weather(said.light, said.rain, said.visibility)


def _eye(
    config: SiteConfig,
    camera: CameraOptions,
    wanted: Cameras,
    options: SimulationOptions,
    seed: int,
    base: Path,
    *,
    render: bool,
    previews: bool,
) -> Eye | None:
    """How a camera sees; None for one that is not simulated, or not here."""
    modelled = isinstance(camera.detector, ModelledDetectorOptions)
    if not (modelled or isinstance(camera.source, SimSourceOptions)):
        return None
    if wanted == "modelled" or (wanted == "configured" and modelled):
        return ModelledEye(camera, options, seed)
    if not render:
        return None
    from rsu.sim.ahead import RenderedEye

    return RenderedEye(config, base, camera.id, seed, previews=previews)


class _Run:
    """Two queues: who looks next, and what is still on its way. Device index and a running number
    break ties, so that order never depends on anything but the configuration."""

    def __init__(
        self,
        world: World,
        devices: Sequence[Device],
        outages: Outages,
        disturbances: Disturbances,
        start_ns: int,
        end_ns: int | None,
        commands: Commands,
    ) -> None:
        self._commands = commands
        self._given_ns = start_ns  # arrival of the last message that was handed out
        self._world, self._devices, self._outages = world, devices, outages
        self._disturbances = disturbances
        self._start_ns, self._end_ns = start_ns, end_ns
        self._looks = [(start_ns + device.phase_ns, i) for i, device in enumerate(devices)]
        # Health comes as from the last device, once a second.
        self._looks.append((start_ns, len(devices)))
        heapq.heapify(self._looks)
        self._under_way: list[tuple[int, int, Message]] = []
        self._number = 0
        self._received = dict.fromkeys((device.id for device in devices), 0)

    def arrivals(self) -> Generator[Arrival]:
        try:
            yield from self._until_the_end()
        finally:
            for device in self._devices:
                device.close()
            self._world.close()

    def _until_the_end(self) -> Iterator[Arrival]:
        while self._looks:
            time_ns, index = self._looks[0]
            if self._end_ns is not None and time_ns >= self._end_ns:
                heapq.heappop(self._looks)
                continue
            yield from self._arrived(time_ns)
            if index == len(self._devices):
                self._tell_health(time_ns)
                period_ns = HEALTH_PERIOD_NS
            else:
                self._look(self._devices[index], time_ns)
                period_ns = self._devices[index].period_ns
            heapq.heapreplace(self._looks, (time_ns + period_ns, index))
        yield from self._arrived(None)

    def _arrived(self, until_ns: int | None) -> Iterator[Arrival]:
        while self._under_way and (until_ns is None or self._under_way[0][0] <= until_ns):
            arrival, _, message = heapq.heappop(self._under_way)
            self._given_ns = max(self._given_ns, arrival)
            yield arrival, arrived(message)
            picture = message.payload.preview() if hasattr(message.payload, "preview") else None
            if picture is not None:
                yield (
                    arrival,
                    Message.draft(CAMERA_PREVIEW, picture.sensor, picture.capture_ns, picture),
                )

    def _take_commands(self) -> None:
        """Hand on what the unit has commanded since it got its last message."""
        heard_ns = self._given_ns + SIGNAL_LATENCY_NS
        while self._commands:
            command = self._commands.popleft()
            if self._outages.state(command.controller, heard_ns)[0] is None:
                self._world.command(command, heard_ns)

    def _look(self, device: Device, time_ns: int) -> None:
        self._take_commands()
        self._world.advance(time_ns)
        offset_ns = self._outages.clock_offset_ns(time_ns) if device.kind in STAMPED_HERE else 0
        for arrival, exact in device.look(self._world, time_ns):
            # Outages begin and end in true time, whatever the unit's clock shows.
            kept = self._outages.passed(device.id, arrival, exact)
            if kept is not None:
                self._received[device.id] += 1
                told = self._disturbances.disturbed(device.id, time_ns, exact)
                self._send(kept[0], stamped(told, offset_ns) if offset_ns else told)

    def _send(self, arrival: int, message: Message) -> None:
        self._number += 1
        heapq.heappush(self._under_way, (arrival, self._number, message))

    def _tell_health(self, time_ns: int) -> None:
        """States of all devices, as their drivers would report them."""
        told_ns = time_ns + self._outages.clock_offset_ns(time_ns)
        for device in self._devices:
            if device.kind in (None, SensorKind.V2X):
                continue
            state, since_ns = self._outages.state(device.id, time_ns)
            health = SensorHealth(
                sensor=device.id,
                kind=device.kind,
                state=state or SensorState.LIVE,
                since_ns=since_ns if state else self._start_ns,
                time_ns=told_ns,
                received=self._received[device.id],
            )
            self._send(time_ns, Message.draft(SENSOR_HEALTH, device.id, told_ns, health))
