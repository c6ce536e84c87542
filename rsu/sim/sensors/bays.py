"""Modelled bay sensors: one in the ground of every bay, which tells late, sometimes wrongly, and
now and then twice.

A `Scene` goes in, `BayReading`s come out: those that leave their sensors at that moment. A sensor
looks every few seconds, waits until it sees the same for a while, and speaks on change and as a
heartbeat. No wire: `rsu.sim.emulators.bays_mqtt` puts the readings on one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rsu.schema.devices import BayReading
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S
from rsu.sim.world.scene import Scene
from rsu.site.lanes import Zone

_PARKS = frozenset({ObjectClass.CAR, ObjectClass.VAN, ObjectClass.TRUCK, ObjectClass.BUS})
STANDS = 0.3
"""m/s; what drives over a bay is not seen by sensors that look every few seconds and then check."""


@dataclass(frozen=True, slots=True)
class BayErrors:
    """How sensors of the magnetic kind are. Reporting delays and accuracies are those that
    suppliers state (some seconds; 95 to 99 %), the rest is assumed."""

    delay_s: float = 4.0
    """Mean of the time from a change to the word of it: looking, checking, the radio's turn."""
    delay_spread_s: float = 2.0
    miss: float = 0.02
    """Share of parked vehicles that a sensor does not see for as long as they stand."""
    phantom: float = 0.005
    """Share of emptied bays that stay occupied to it (a vehicle beside it, a magnetised lid)."""
    chatter: float = 0.02
    """Share of changes that are taken back and said again within seconds (slow manoeuvres)."""
    heartbeat_s: float = 600.0
    """Longest silence."""


@dataclass(slots=True)
class _Sensor:
    bay: Zone
    battery: float
    stands: int | None = None  # who is really there
    told: bool | None = None
    next_ns: int = 0  # of the heartbeat


class ModelledBays:
    """All sensors of a lot; `sensor` is the id of their gateway."""

    def __init__(
        self,
        sensor: str,
        bays: Iterable[Zone],
        rng: np.random.Generator,
        errors: BayErrors = BayErrors(),
    ) -> None:
        self._id, self._errors, self._rng = sensor, errors, rng
        self._sensors = [
            _Sensor(bay, battery)
            for bay, battery in ((bay, float(rng.uniform(0.4, 1.0))) for bay in bays)
        ]
        self._due: list[tuple[int, int, bool]] = []  # when, which sensor, what it will say
        self._started = False

    def look(self, scene: Scene) -> list[BayReading]:
        """What the sensors say at the scene's time, in order."""
        now_ns = scene.time_ns
        for index, sensor in enumerate(self._sensors):
            stands = self._standing(scene, sensor.bay)
            if stands == sensor.stands and self._started:
                continue
            sensor.stands = stands
            self._change(index, stands is not None, now_ns)
        self._started = True
        return [*self._changes(now_ns), *self._heartbeats(now_ns)]

    def _standing(self, scene: Scene, bay: Zone) -> int | None:
        if not len(scene.ids):
            return None
        inside = np.flatnonzero((scene.speed < STANDS) & bay.contains(scene.position))
        return next((scene.ids[i] for i in inside if scene.classes[i] in _PARKS), None)

    def _change(self, index: int, occupied: bool, now_ns: int) -> None:
        errors, rng = self._errors, self._rng
        wrong = rng.random() < (errors.miss if occupied else errors.phantom)
        chatters = rng.random() < errors.chatter
        delay_s = max(0.5, errors.delay_s + errors.delay_spread_s * float(rng.standard_normal()))
        # What it had still to say is overtaken by the change.
        self._due = [due for due in self._due if due[1] != index]
        first = not self._started
        if wrong and not first:
            return  # it goes on saying what it said
        when_ns = now_ns if first else now_ns + round(delay_s * NS_PER_S)
        self._due.append((when_ns, index, occupied != wrong))
        if chatters and not first:
            for after_s in (2.0, 5.0):
                occupied = not occupied
                self._due.append((when_ns + round(after_s * NS_PER_S), index, occupied))

    def _changes(self, now_ns: int) -> list[BayReading]:
        said = sorted(due for due in self._due if due[0] <= now_ns)
        self._due = [due for due in self._due if due[0] > now_ns]
        return [
            self._say(index, occupied, when_ns)
            for when_ns, index, occupied in said
            if self._sensors[index].told is not occupied
        ]

    def _heartbeats(self, now_ns: int) -> list[BayReading]:
        return [
            self._say(index, sensor.told, now_ns)
            for index, sensor in enumerate(self._sensors)
            if sensor.told is not None and sensor.next_ns <= now_ns
        ]

    def _say(self, index: int, occupied: bool, time_ns: int) -> BayReading:
        sensor = self._sensors[index]
        sensor.told = occupied
        sensor.next_ns = time_ns + round(self._errors.heartbeat_s * NS_PER_S)
        hit, alarm = 1.0 - self._errors.miss, self._errors.phantom
        probability = hit / (hit + alarm) if occupied else (1.0 - hit) / (2.0 - hit - alarm)
        return BayReading(
            sensor=self._id,
            bay=sensor.bay.id,
            capture_ns=time_ns,
            occupied=occupied,
            probability=probability,
            battery=round(sensor.battery, 2),
        )
