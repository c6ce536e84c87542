"""What the unit can still perceive, derived from the health of its sensors.

In: the newest `SensorHealth` of every configured sensor. Out: one `Capability`, which the V2X
policy and the uplink report honestly instead of pretending.
"""

from __future__ import annotations

from collections.abc import Mapping

from rsu.schema.health import Capability, SensorHealth, SensorState
from rsu.schema.sensing import SensorKind

USABLE = frozenset({SensorState.LIVE})
STALE_NS = 3_000_000_000
"""A sensor that reports its health once a second and missed three reports is gone."""


def state_of(health: SensorHealth | None, now_ns: int) -> SensorState:
    """The sensor's state now; a report that is too old counts as gone."""
    if health is None:
        return SensorState.STARTING
    if health.state is not SensorState.ENDED and now_ns - health.time_ns > STALE_NS:
        return SensorState.GONE
    return health.state


def capability_of(
    sensors: Mapping[str, SensorKind], reports: Mapping[str, SensorHealth], now_ns: int
) -> Capability:
    """Capability of a unit with these configured sensors, given their newest reports.

    Full means that every kind of perceiving sensor the site has is usable with at least one
    instance.
    """
    configured = set(sensors.values())
    usable = {
        kind for name, kind in sensors.items() if state_of(reports.get(name), now_ns) in USABLE
    }
    perceiving = {SensorKind.CAMERA, SensorKind.RADAR, SensorKind.LIDAR}
    if not usable & perceiving:
        return Capability.SIGNALS_ONLY if SensorKind.SIGNAL in usable else Capability.BLIND
    if configured & perceiving <= usable:
        return Capability.FULL
    if SensorKind.CAMERA in usable:
        return Capability.CAMERA_ONLY
    return Capability.RADAR_ONLY
