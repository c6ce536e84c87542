"""Modelled GNSS: where a receiver believes to be, and how sure it says it is.

The error of a position is white noise plus a drift that lasts for minutes (ephemerides, atmosphere,
multipath): a first-order Gauss-Markov process, so that averaging does not remove it. What is stated
as 1 σ is that of both together: honest. Used for the unit's own receiver (`ModelledGnss`) and for
those in vehicles (`PositionError`, by `rsu.sim.emulators.obu`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rsu.schema.devices import FixQuality, GnssFix
from rsu.schema.units import NS_PER_S
from rsu.site.geodesy import LocalFrame


@dataclass(frozen=True, slots=True)
class GnssErrors:
    """1 σ per axis, m; `drift_s` is the time after which the drift has forgotten 63 % of itself."""

    white: float
    drift: float
    drift_s: float
    up: float = 2.0
    """Vertical over horizontal: satellites are only above (VDOP/HDOP of open sky, 1.5 to 2)."""

    @property
    def std(self) -> float:
        """Of both together, per horizontal axis."""
        return math.hypot(self.white, self.drift)


VEHICLE = GnssErrors(white=0.2, drift=0.9, drift_s=100.0)
"""A vehicle's single-frequency receiver in the open. SAE J2945/1 wants 1.5 m for 68 % in the plane,
which is 1.0 m per axis; time constants of such errors are of the order of minutes (assumed)."""
SURVEYED = GnssErrors(white=0.01, drift=0.015, drift_s=100.0)
"""A roadside unit's receiver with RTK fixed: 8 mm + 1 ppm is usual in data sheets; with multipath
some 2 cm."""


class PositionError:
    """East, north and up error of one receiver over time, m."""

    def __init__(self, errors: GnssErrors, rng: np.random.Generator) -> None:
        self.errors = errors
        self._rng = rng
        self._drift = rng.standard_normal(3) * errors.drift
        self._last_ns: int | None = None

    def at(self, time_ns: int) -> tuple[float, float, float]:
        """The error at a time that is not before the last one asked for."""
        errors = self.errors
        if self._last_ns is not None:
            keep = math.exp(-(time_ns - self._last_ns) / NS_PER_S / errors.drift_s)
            fresh = errors.drift * math.sqrt(1.0 - keep * keep)
            self._drift = self._drift * keep + self._rng.standard_normal(3) * fresh
        self._last_ns = time_ns
        east, north, up = (self._drift + self._rng.standard_normal(3) * errors.white).tolist()
        return east, north, up * errors.up


class ModelledGnss:
    """The unit's own receiver at a point of the site frame (m).

    `clock_error_ns` is how far our clock is ahead of true time, `lost` may be set: no fix then.
    """

    def __init__(
        self,
        sensor: str,
        frame: LocalFrame,
        at: tuple[float, float, float],
        rng: np.random.Generator,
        errors: GnssErrors = SURVEYED,
    ) -> None:
        self._sensor, self._frame, self._at = sensor, frame, at
        self._error = PositionError(errors, rng)
        self._rng = rng
        self.clock_error_ns = 0
        self.lost = False

    def look(self, time_ns: int) -> GnssFix:
        """The fix of true time `time_ns`."""
        errors = self._error.errors
        east, north, up = self._error.at(time_ns)
        capture_ns = time_ns + self.clock_error_ns
        if self.lost:
            return GnssFix(sensor=self._sensor, capture_ns=capture_ns, quality=FixQuality.NONE)
        x, y, z = self._at
        latitude, longitude, altitude = self._frame.to_geodetic(x + east, y + north, z + up)
        return GnssFix(
            sensor=self._sensor,
            capture_ns=capture_ns,
            quality=FixQuality.RTK_FIXED if errors.std < 0.1 else FixQuality.AUTONOMOUS,
            utc_ns=time_ns,
            clock_offset_ns=self.clock_error_ns,
            latitude=float(latitude),
            longitude=float(longitude),
            altitude=float(altitude),
            satellites=int(self._rng.integers(14, 22)),
            hdop=0.8,
            east_std=errors.std,
            north_std=errors.std,
            up_std=errors.std * errors.up,
        )
