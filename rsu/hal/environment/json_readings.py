"""Any vendor's JSON → readings of weather and road, as the mapping in the site file says. Pure.

A document is refused whole where it is not dated or is another device's; a quantity alone where it
is missing, marked as not known, or cannot be.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from rsu.config.environment import (
    RAINS,
    TEMPERATURES,
    AnyReading,
    MqttEnvironmentOptions,
    RainReading,
    SurfaceReading,
    TemperatureReading,
)
from rsu.hal.json_fields import (
    Refused,
    looked_up,
    measured_ns,
    optional_value,
    parsed,
    value_at,
)
from rsu.hal.stamps import StampGuard
from rsu.schema.devices import EnvironmentKind, EnvironmentReading, RoadSurface
from rsu.schema.units import Instant, Vec2

PLAUSIBLE: dict[EnvironmentKind, tuple[float, float]] = {
    EnvironmentKind.VISIBILITY: (0.0, 100_000.0),  # instruments end at 20 to 75 km
    EnvironmentKind.WATER_DEPTH: (0.0, 10.0),  # a flooded underpass to its ceiling
    EnvironmentKind.ICE_DEPTH: (0.0, 0.5),
    EnvironmentKind.RAIN: (0.0, 2000.0),  # record: 38 mm in one minute, 2280 mm/h (WMO)
    EnvironmentKind.AIR_TEMPERATURE: (-90.0, 60.0),  # records: -89.2, 56.7 °C (WMO)
    EnvironmentKind.ROAD_TEMPERATURE: (-90.0, 90.0),  # asphalt in the sun passes 70 °C
    EnvironmentKind.FRICTION: (0.0, 1.0),
}
"""What can be, in the unit of the kind; all else is a fault of sensor or mapping."""


class EnvironmentReadings:
    """Reads documents of one station; `dropped` counts what was thrown away, by reason."""

    def __init__(self, options: MqttEnvironmentOptions, dropped: Counter[str]) -> None:
        self._options = options
        self._mapping = options.mapping
        self._dropped = dropped
        self._guard = StampGuard(options.max_age_s, options.max_ahead_s)

    def document(
        self, octets: bytes, now: Instant, *, retained: bool = False
    ) -> list[EnvironmentReading]:
        """The readings of one message that arrived `now`; what is refused is counted.

        A `retained` message is as old as its own time says, and refused where it states none.
        """
        try:
            if retained and self._mapping.time.format == "arrival":
                raise Refused("retained")
            document = parsed(octets)
            self._is_ours(document)
            capture_ns = measured_ns(document, self._mapping.time, self._options.latency_s, now)
        except Refused as reason:
            self._dropped[str(reason)] += 1
            return []
        found = []
        for one in self._mapping.quantities:
            try:
                found.append(self._reading(document, one, capture_ns))
            except Refused as reason:
                self._dropped[str(reason)] += 1
        if found:
            # Only what could be read uses up its time.
            refusal = self._guard.refusal(self._options.id, capture_ns, now)
            if refusal is not None and self._mapping.time.format != "arrival":
                self._dropped[refusal] += len(found)
                return []
        return found

    def _is_ours(self, document: Any) -> None:
        device = self._mapping.device
        if device is not None and str(value_at(document, device.path)) != str(device.equals):
            raise Refused("other_device")

    def _reading(self, document: Any, one: AnyReading, capture_ns: int) -> EnvironmentReading:
        kind = EnvironmentKind(one.kind)
        surface: RoadSurface | None = None
        value: float | None = None
        if isinstance(one, SurfaceReading):
            if value_at(document, one.value.path) is None:
                raise Refused("no_reading")
            surface = looked_up(document, one.value, RoadSurface.UNKNOWN)
        else:
            value = optional_value(document, one.value)
            if value is None:
                raise Refused("no_reading")
            if isinstance(one, RainReading):
                value *= RAINS[one.value.unit]
            elif isinstance(one, TemperatureReading):
                factor, offset = TEMPERATURES[one.value.unit]
                value = value * factor + offset
            low, high = PLAUSIBLE[kind]
            if not low <= value <= high:
                raise Refused("implausible_value")
        return EnvironmentReading(
            sensor=self._options.id,
            kind=kind,
            capture_ns=capture_ns,
            value=value,
            surface=surface,
            std=one.std,
            position=None if one.x is None or one.y is None else Vec2(one.x, one.y),
            lane=one.lane,
        )
