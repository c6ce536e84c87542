"""Simulated devices whose messages take the real wire: emulator, octets, and the unit's own driver.

A radar's cycle goes over python-can's in-process bus, a controller's state through a UDP socket on
the loopback; the drivers of `rsu.hal` read them there under virtual time. What arrives is thus what
a unit would have understood, rounding, quality tables and dropped lists included.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from rsu.config.place import PlaceOptions
from rsu.config.radars import Ars408Options
from rsu.config.signals import TscbmOptions
from rsu.hal.device import Device as HalDevice
from rsu.hal.device import make_device
from rsu.hal.signal.tscbm_decoder import TscbmDecoder
from rsu.schema.message import Message
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import RADAR_OBJECTS, SIGNAL_STATE
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.sim.devices import SIGNAL_LATENCY_NS, SIGNAL_PERIOD_NS, Arrival
from rsu.sim.emulators.can_radar import CanRadarEmulator
from rsu.sim.emulators.tscbm import write_tscbm
from rsu.sim.errors import SimulationError
from rsu.sim.sensors.radar import ModelledRadar
from rsu.sim.world.scene import stream
from rsu.sim.world.world import World

RADAR_PERIOD_NS = 72 * NS_PER_MS
"""Cycle of the ARS408 family (public data sheet: 72 ms)."""
PATIENCE_S = 2.0
"""Both wires deliver at once; what is not there by then is lost."""


class RadarDevice:
    """A radar on the in-process CAN bus that its options name."""

    kind: SensorKind | None = SensorKind.RADAR
    period_ns = RADAR_PERIOD_NS

    def __init__(self, options: Ars408Options, base: Path, place: PlaceOptions, seed: int) -> None:
        self.id = options.id
        self.phase_ns = int(stream(seed, f"phase/{options.id}").integers(self.period_ns))
        # Virtual time knows no waiting in a queue: the arrival is the clock's.
        arrival = options.model_copy(update={"stamps": "arrival"})
        self._latency_ns = round(options.latency_s * NS_PER_S)
        self._radar = ModelledRadar(options, stream(seed, f"radar/{options.id}"))
        self._emulator = CanRadarEmulator(arrival)
        self._reader = _Reader(SensorKind.RADAR, arrival, base, place)

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:
        self._emulator.open()
        self._reader.open()
        self._emulator.send(self._radar.look(world.scene(time_ns)))
        arrival_ns = time_ns + self._latency_ns
        for fact in self._reader.read(arrival_ns, PATIENCE_S):
            yield arrival_ns, Message.draft(RADAR_OBJECTS, self.id, fact.capture_ns, fact)

    def close(self) -> None:
        """Leave the bus."""
        self._emulator.close()
        self._reader.close()


class ControllerDevice:
    """A controller that sends TSCBM datagrams over the loopback.

    The driver's decoder reads them. Its socket is left out: it dates datagrams by the kernel's
    clock, and virtual time has none. Any free port will do, so that runs may go on at once.
    """

    kind: SensorKind | None = SensorKind.SIGNAL
    period_ns = SIGNAL_PERIOD_NS
    phase_ns = 0

    def __init__(self, options: TscbmOptions, place: PlaceOptions) -> None:
        self.id = options.id
        self._groups = options.groups
        self._intersection = (
            place.intersection if options.intersection is None else options.intersection
        )
        self._decoder = TscbmDecoder(options, place.intersection)
        self._sequence = 0
        self._socket: socket.socket | None = None

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:
        state = world.signal_state(time_ns, self.id, self._intersection)
        self._sequence += 1
        octets = write_tscbm(state, self._sequence, self._groups)
        wire = self._open()
        wire.sendto(octets, wire.getsockname())
        arrival_ns = time_ns + SIGNAL_LATENCY_NS
        heard = wire.recv(len(octets) + 1)
        fact = self._decoder.state(heard, Instant(arrival_ns, arrival_ns))
        yield arrival_ns, Message.draft(SIGNAL_STATE, self.id, fact.capture_ns, fact)

    def close(self) -> None:
        """Let the socket go."""
        wire, self._socket = self._socket, None
        if wire is not None:
            wire.close()

    def _open(self) -> socket.socket:
        """The socket, from the first look on: a run that never begins holds none. Raises
        SimulationError where the loopback is not there."""
        if self._socket is None:
            wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                wire.bind(("127.0.0.1", 0))
            except OSError as error:
                wire.close()
                message = f"no loopback port for the signal controller: {error}"
                raise SimulationError(message) from error
            wire.settimeout(PATIENCE_S)
            self._socket = wire
        return self._socket


class _Reader:
    """The unit's driver, which believes that it is `arrival_ns` when it reads."""

    def __init__(self, kind: SensorKind, options: Any, base: Path, place: PlaceOptions) -> None:
        self._now_ns = 0
        clock: Callable[[], Instant] = lambda: Instant(self._now_ns, self._now_ns)  # noqa: E731
        self._device: HalDevice = make_device(kind, options, base, clock, place)
        self._opened = False

    def open(self) -> None:
        if not self._opened:
            self._device.open()
            self._opened = True

    def read(self, arrival_ns: int, timeout_s: float) -> Iterable[Any]:
        self._now_ns = arrival_ns
        facts: Iterable[msgspec.Struct] = self._device.receive(timeout_s)
        return facts

    def close(self) -> None:
        self._opened = False
        self._device.close()
