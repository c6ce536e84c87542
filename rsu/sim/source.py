"""The simulated site as a stream of messages, just as real devices would have published them.

A site configuration goes in; draft messages come out in the order of their arrival: detections of
every modelled camera, signal states, sensor health, and the truth for scoring. Each device is a
`Device`: it looks at the world at its own times and says what arrives when, so that another kind
(a radar, a renderer, an emulator) is one more class here and changes nothing else.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from rsu.config.cameras import CameraOptions, ModelledDetectorOptions, SimSourceOptions
from rsu.config.model import SiteConfig
from rsu.config.simulation import SimulationOptions
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import CAMERA_DETECTIONS, SENSOR_HEALTH, SIGNAL_STATE, TRUTH
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.sim.errors import SimulationError
from rsu.sim.sensors.camera import ModelledCamera
from rsu.sim.world.scene import stream
from rsu.sim.world.world import World
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap, SiteMapError, load_site_map

Arrival = tuple[int, Message]

WARM_UP_NS = 180 * NS_PER_S
"""How long the world runs before anyone looks: about as full as it stays (vehicles need a minute,
walkers about three for their 250 m)."""
DEFAULT_CAMERA_HZ = 10.0
"""For modelled cameras whose source names no rate: the topic's usual one for fixed cameras."""
SIGNAL_PERIOD_NS = 100 * NS_PER_MS
SIGNAL_LATENCY_NS = 5 * NS_PER_MS
"""A datagram on the cabinet's own network, with the controller's own cycle of work."""
TRUTH_PERIOD_NS = 100 * NS_PER_MS
HEALTH_PERIOD_NS = NS_PER_S
LEAST_LATENCY_NS = NS_PER_MS
"""Nothing arrives before it was captured, however the jitter falls."""
SIGNALS = "signals"
TRUTH_SOURCE = "sim"


class Device(Protocol):
    """Something that looks at the world every `period_ns`, first `phase_ns` after the start."""

    period_ns: int
    phase_ns: int

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]: ...


class CameraDevice:
    """A modelled camera: frames at its own phase, detections after latency and jitter, in order."""

    def __init__(self, camera: CameraOptions, options: SimulationOptions, seed: int) -> None:
        rng = stream(seed, f"camera/{camera.id}")
        source = camera.source
        rate = source.rate_hz if isinstance(source, SimSourceOptions) else DEFAULT_CAMERA_HZ
        self.id = camera.id
        self.kind = SensorKind.CAMERA
        self.received = 0
        self.period_ns = round(NS_PER_S / rate)
        # Cameras are not synchronised with each other.
        self.phase_ns = int(rng.integers(self.period_ns))
        self._options = options
        self._delay = stream(seed, f"latency/{camera.id}")
        self._camera = ModelledCamera(camera, options, rng)
        self._last_ns = 0

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:
        seen = self._camera.look(world.scene(time_ns), self.received)
        self.received += 1
        delay = self._options.latency_s + self._options.jitter_s * self._delay.standard_normal()
        arrival = time_ns + max(round(float(delay) * NS_PER_S), LEAST_LATENCY_NS)
        self._last_ns = max(self._last_ns, arrival)  # a camera delivers its frames in order
        yield self._last_ns, Message.draft(CAMERA_DETECTIONS, self.id, time_ns, seen)


class SignalDevice:
    """The signal controller."""

    period_ns = SIGNAL_PERIOD_NS
    phase_ns = 0
    id = SIGNALS
    kind = SensorKind.SIGNAL

    def __init__(self, intersection: int) -> None:
        self.received = 0
        self._intersection = intersection

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:
        self.received += 1
        state = world.signal_state(time_ns, self.id, self._intersection)
        yield time_ns + SIGNAL_LATENCY_NS, Message.draft(SIGNAL_STATE, self.id, time_ns, state)


class HealthDevice:
    """States of all devices, as their drivers would report them."""

    period_ns = HEALTH_PERIOD_NS
    phase_ns = 0

    def __init__(self, devices: tuple[CameraDevice | SignalDevice, ...], start_ns: int) -> None:
        self._devices = devices
        self._start_ns = start_ns

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:  # noqa: ARG002
        for device in self._devices:
            health = SensorHealth(
                sensor=device.id,
                kind=device.kind,
                state=SensorState.LIVE,
                since_ns=self._start_ns,
                time_ns=time_ns,
                received=device.received,
            )
            yield time_ns, Message.draft(SENSOR_HEALTH, device.id, time_ns, health)


class TruthDevice:
    """What is so."""

    period_ns = TRUTH_PERIOD_NS
    phase_ns = 0

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:
        yield time_ns, Message.draft(TRUTH, TRUTH_SOURCE, time_ns, world.truth(time_ns))


def simulated_messages(
    config: SiteConfig, base: Path, seed: int, start_ns: int, duration_ns: int | None
) -> Iterator[Arrival]:
    """(arrival ns UTC, draft) in non-decreasing order of arrival, the same for the same arguments.

    Everything captured in [start_ns, start_ns + duration_ns) is delivered, what was still on its
    way at the end included; None never ends. Map paths are relative to `base`. Raises
    SimulationError at once for a site or a map from which no world can be made.
    """
    site_map = simulated_map(config, base)
    options = config.simulation or SimulationOptions()
    if seed < 0:
        raise SimulationError(f"seed {seed} is negative")
    cameras = tuple(
        CameraDevice(camera, options, seed)
        for camera in config.cameras
        if isinstance(camera.detector, ModelledDetectorOptions)
    )
    signals = SignalDevice(config.site.intersection)
    world = World(site_map, options, seed, start_ns - WARM_UP_NS)
    signalised = (signals,) if world.plan.groups else ()
    devices: tuple[Device, ...] = (
        TruthDevice(),
        *signalised,
        *cameras,
        HealthDevice((*cameras, *signalised), start_ns),
    )
    end_ns = None if duration_ns is None else start_ns + duration_ns
    return _run(world, devices, start_ns, end_ns)


def simulated_map(config: SiteConfig, base: Path) -> SiteMap:
    """The site's map; SimulationError with every problem where there is none to drive on."""
    if config.site.lanes is None:
        raise SimulationError("site.lanes is missing: the simulated world drives on a map's lanes")
    origin = config.site.origin
    zones = None if config.site.zones is None else base / config.site.zones
    frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
    try:
        return load_site_map(frame, base / config.site.lanes, zones)
    except (SiteMapError, OSError) as error:
        raise SimulationError(str(error)) from error


def _run(
    world: World, devices: tuple[Device, ...], start_ns: int, end_ns: int | None
) -> Iterator[Arrival]:
    # Two queues: who looks next, and what is still on its way. Device index and a running number
    # break ties, so that order never depends on anything but the configuration.
    looks = [(start_ns + device.phase_ns, index) for index, device in enumerate(devices)]
    heapq.heapify(looks)
    under_way: list[tuple[int, int, Message]] = []
    number = 0
    while looks:
        time_ns, index = looks[0]
        if end_ns is not None and time_ns >= end_ns:
            heapq.heappop(looks)
            continue
        while under_way and under_way[0][0] <= time_ns:
            arrival, _, message = heapq.heappop(under_way)
            yield arrival, message
        device = devices[index]
        world.advance(time_ns)
        for arrival, message in device.look(world, time_ns):
            number += 1
            heapq.heappush(under_way, (arrival, number, message))
        heapq.heapreplace(looks, (time_ns + device.period_ns, index))
    while under_way:
        arrival, _, message = heapq.heappop(under_way)
        yield arrival, message
