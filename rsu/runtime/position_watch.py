"""Whether GNSS receivers confirm that the unit stands where its site file says.

In: fixes from the bus. Out: alarms of kind `position` when a receiver puts itself farther from the
configured origin than `FAR_M` beyond its own uncertainty, and their end. The configured position
wins in any case: nothing moves, the receiver is the suspect (fault row 25).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from rsu.config.place import PlaceOptions
from rsu.schema.devices import FixQuality, GnssFix
from rsu.schema.health import SensorAlarm, SensorAlarmKind
from rsu.schema.units import NS_PER_S, Instant, Vec2
from rsu.site.geodesy import LocalFrame

FAR_M = 50.0
"""A receiver on the mast is some metres from the origin of its site; one that is farther away than
the junction is wide has moved, is being deceived, or the site file is another site's."""
AGREES = 0.8
"""The alarm ends below this share of the limit."""
LASTS = 3
"""Fixes in a row, in either direction: one wild fix is the receiver's noise."""
AGAIN_NS = 60 * NS_PER_S
SITE = "site"
_MEASURED = frozenset(FixQuality) - {
    FixQuality.NONE, FixQuality.ESTIMATED, FixQuality.MANUAL,
}  # fmt: skip


class PositionWatch:
    """Compares every fix with the configured origin."""

    def __init__(self, place: PlaceOptions) -> None:
        origin = place.origin
        self._frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
        self._row: dict[str, int] = {}  # fixes in a row that speak against the present verdict
        self._since: dict[str, int] = {}  # receivers under alarm, since when (UTC, ns)
        self._told: dict[str, int] = {}

    def take(self, fix: GnssFix, now: Instant) -> Iterable[SensorAlarm]:
        """Alarms that begin, stand or end with this fix."""
        if fix.quality not in _MEASURED or fix.latitude is None or fix.longitude is None:
            return
        x, y, _ = self._frame.to_enu(fix.latitude, fix.longitude)
        std = math.hypot(fix.east_std or 0.0, fix.north_std or 0.0)
        away, name = math.hypot(x, y), fix.sensor
        stands = name in self._since
        limit = FAR_M + 3.0 * std
        against = away <= AGREES * limit if stands else away > limit
        self._row[name] = self._row.get(name, 0) + 1 if against else 0
        if self._row[name] >= LASTS:
            self._row[name] = 0
            if stands:
                since = self._since.pop(name)
                yield self._alarm(name, Vec2(x, y), std, since, now, active=False)
                return
            self._since[name], self._told[name] = now.utc_ns, now.mono_ns - AGAIN_NS
        if name in self._since and now.mono_ns - self._told[name] >= AGAIN_NS:
            self._told[name] = now.mono_ns
            yield self._alarm(name, Vec2(x, y), std, self._since[name], now, active=True)

    def _alarm(
        self, name: str, shift: Vec2, std: float, since_ns: int, now: Instant, *, active: bool
    ) -> SensorAlarm:
        return SensorAlarm(
            kind=SensorAlarmKind.POSITION, sensor=name, against=SITE, active=active,
            since_ns=since_ns, time_ns=now.utc_ns, shift=shift, shift_std=std, offset=0.0,
            offset_std=0.0, suspect=name,
        )  # fmt: skip
