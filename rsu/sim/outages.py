"""Devices that fail as a scenario tells them to: what of their messages still arrives, and when.

Actions `fail-sensor`, `silence-controller` and `step-clock` go in. `passed` takes each message of a
device and gives it back, late or not at all; `state` is what the device's driver would say of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsu.schema.health import SensorState
from rsu.schema.message import Message
from rsu.schema.units import NS_PER_S
from rsu.sim.devices import SIGNALS, Arrival
from rsu.sim.scenario.model import AnyAction, FailSensor, SilenceController, StepClock

LATE_NS = 1_500_000_000
"""How late a late device's messages are: longer than the 1 s after which drivers call it late."""
_STATES = {
    "gone": SensorState.GONE,
    "frozen": SensorState.FROZEN,
    "black": SensorState.BLIND,
    "late": SensorState.LATE,
}
NOTICED_NS = NS_PER_S
"""How soon a driver notices; the camera monitor's late_s."""


@dataclass(frozen=True, slots=True)
class _Outage:
    sensor: str
    how: str
    begins_ns: int
    ends_ns: int


def clock_steps(script: Sequence[AnyAction], start_ns: int) -> list[tuple[int, int]]:
    """(true time, jump), ns, of every `step-clock`."""
    return [
        (start_ns + round(action.at_s * NS_PER_S), round(action.by_s * NS_PER_S))
        for action in script
        if isinstance(action, StepClock)
    ]


class Outages:
    """All outages of a script; times count from `start_ns`, `controllers` are the signals' ids."""

    def __init__(
        self, script: Sequence[AnyAction], start_ns: int, controllers: Sequence[str] = (SIGNALS,)
    ) -> None:
        self._outages: list[_Outage] = []
        self._arrived_ns: dict[str, int] = {}
        self.clock_steps = clock_steps(script, start_ns)
        for action in script:
            sensors: tuple[str, ...]
            if isinstance(action, FailSensor):
                sensors, how = (action.sensor,), action.how
            elif isinstance(action, SilenceController):
                sensors, how = tuple(controllers), "gone"
            else:
                continue
            begins_ns = start_ns + round(action.at_s * NS_PER_S)
            ends_ns = begins_ns + round(action.duration_s * NS_PER_S)
            self._outages += [_Outage(sensor, how, begins_ns, ends_ns) for sensor in sensors]

    def passed(self, sensor: str, arrival_ns: int, message: Message) -> Arrival | None:
        """What becomes of a device's message that would arrive then; None: nothing."""
        outage = self._at(sensor, message.header.capture_ns)
        if outage is None:
            # A link keeps its order: nothing overtakes what is still late on its way.
            return max(arrival_ns, self._arrived_ns.get(sensor, 0)), message
        # A frozen or black picture is no look at the road: drivers withhold it (docs/hal.md).
        if outage.how != "late":
            return None
        self._arrived_ns[sensor] = arrival_ns + LATE_NS
        return arrival_ns + LATE_NS, message

    def clock_offset_ns(self, time_ns: int) -> int:
        """How far the unit's wall clock is off: what it stamps is off by as much."""
        return sum(by_ns for at_ns, by_ns in self.clock_steps if at_ns <= time_ns)

    def state(self, sensor: str, time_ns: int) -> tuple[SensorState | None, int]:
        """The state that a failing device is in, and since when; None for one that works."""
        outage = self._at(sensor, time_ns - NOTICED_NS)
        if outage is None:
            return None, 0
        return _STATES[outage.how], outage.begins_ns + NOTICED_NS

    def _at(self, sensor: str, time_ns: int) -> _Outage | None:
        for outage in self._outages:
            if outage.sensor == sensor and outage.begins_ns <= time_ns < outage.ends_ns:
                return outage
        return None
