"""What the unit can still perceive, derived from the health of its sensors.

In: the newest `SensorHealth` of every configured sensor, and the alarms of fusion (`Alarms`). Out:
one `Capability`, which the V2X policy and the uplink report honestly instead of pretending.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rsu.schema.health import Capability, SensorAlarm, SensorHealth, SensorState
from rsu.schema.sensing import SensorKind

USABLE = frozenset({SensorState.LIVE})
STALE_NS = 3_000_000_000
"""A sensor that reports its health once a second and missed three reports is gone."""

ALARM_STALE_NS = 600_000_000_000
"""Ten minutes: fusion may have begun anew and know nothing of an alarm that was never ended."""


class Alarms:
    """The alarms of fusion that stand. They are told again every ten seconds in which there is
    something to compare."""

    def __init__(self) -> None:
        self._standing: dict[tuple[str, str, str], SensorAlarm] = {}

    def take(self, alarm: SensorAlarm) -> None:
        """Take one alarm, or the end of one."""
        key = alarm.sensor, alarm.against, alarm.kind
        self._standing.pop(key, None)
        if alarm.active:
            self._standing[key] = alarm

    def standing(self, now_ns: int) -> tuple[SensorAlarm, ...]:
        """Those told of late, in order of the sensors' names and the kind."""
        return tuple(
            alarm
            for _, alarm in sorted(self._standing.items())
            if now_ns - alarm.time_ns < ALARM_STALE_NS
        )


def state_of(
    health: SensorHealth | None, now_ns: int, alarms: Iterable[SensorAlarm] = ()
) -> SensorState:
    """The sensor's state now; a report that is too old counts as gone.

    A sensor that works is `shifted` while it is the suspect of an alarm. Where either of two may
    be wrong neither is called so: what both see is believed less, which is fusion's matter.
    """
    if health is None:
        return SensorState.STARTING
    if health.state is not SensorState.ENDED and now_ns - health.time_ns > STALE_NS:
        return SensorState.GONE
    if health.state is SensorState.LIVE and any(a.suspect == health.sensor for a in alarms):
        return SensorState.SHIFTED
    return health.state


def capability_of(
    sensors: Mapping[str, SensorKind],
    reports: Mapping[str, SensorHealth],
    now_ns: int,
    alarms: Sequence[SensorAlarm] = (),
) -> Capability:
    """Capability of a unit with these configured sensors, given their newest reports.

    Full means that every kind of perceiving sensor the site has is usable with at least one
    instance.
    """
    configured = set(sensors.values())
    usable = {
        kind
        for name, kind in sensors.items()
        if state_of(reports.get(name), now_ns, alarms) in USABLE
    }
    perceiving = {SensorKind.CAMERA, SensorKind.RADAR, SensorKind.LIDAR}
    if not usable & perceiving:
        return Capability.SIGNALS_ONLY if SensorKind.SIGNAL in usable else Capability.BLIND
    if configured & perceiving <= usable:
        return Capability.FULL
    if SensorKind.CAMERA in usable:
        return Capability.CAMERA_ONLY
    return Capability.RADAR_ONLY
