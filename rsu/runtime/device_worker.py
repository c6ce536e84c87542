"""The child process of one self-sending device: radar, signal controller, bay sensors, GNSS, …

In: the site file's section and id of the device, and commands to it. Out: its facts on their
topics, its health once a second and at every change. Everything that is particular to a kind of
device is in its driver (`rsu.hal`); which section holds which kind is in `rsu.runtime.graph`.
"""

from __future__ import annotations

from collections.abc import Iterable

from rsu.runtime import graph
from rsu.runtime.worker import Surroundings
from rsu.schema.health import SensorState
from rsu.schema.message import Message
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import FACT_TOPICS, SENSOR_HEALTH, SIGNAL_COMMAND, Topic
from rsu.schema.units import NS_PER_S, Instant


class DeviceWorker:
    """Takes what a device says and publishes it."""

    def __init__(self, around: Surroundings, device_id: str) -> None:
        from rsu.hal.live_device import live_device

        config = around.config
        kind, options = graph.devices_of(config)[device_id]
        self._around = around
        self._id = device_id
        commanded = kind is SensorKind.SIGNAL
        self.topics: frozenset[Topic] = frozenset((SIGNAL_COMMAND,) if commanded else ())
        self._device = live_device(kind, options, around.base, around.clock, config.site)
        self._health_due = 0
        self._state: SensorState | None = None

    def start(self) -> None:
        """Nothing: the device is opened by the first turn and again whenever it is lost."""

    def turn(self, timeout_s: float) -> Iterable[Message]:
        if self.topics:
            self._obey()
        for fact in self._device.take(timeout_s):
            topic = FACT_TOPICS[type(fact)]
            capture_ns: int = fact.capture_ns  # type: ignore[attr-defined]  # every fact has one
            self._around.meter.count("facts_total", device=self._id)
            yield Message.draft(topic, self._id, capture_ns, fact)
        yield from self._health(self._around.clock())

    def _obey(self) -> None:
        """Hand on what the unit commands this device, and count what became of it."""
        for message in self._around.bus.receive(0.0):
            if message.payload.controller == self._id:
                outcome = self._device.command(message.payload)
                self._around.meter.count("commands_total", device=self._id, outcome=outcome)

    def stop(self) -> None:
        self._device.close()

    def _health(self, now: Instant) -> Iterable[Message]:
        health = self._device.health(now)
        if now.mono_ns < self._health_due and health.state is self._state:
            return
        self._health_due = now.mono_ns + NS_PER_S
        self._state = health.state
        yield Message.draft(SENSOR_HEALTH, self._id, now.utc_ns, health)
