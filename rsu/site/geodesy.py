"""Where we stand: WGS-84 in, local east-north-up metres out, and back.

The site frame is the tangent plane at the site's surveyed origin (x east, y north, z up), and
everything inside the runtime is in it; only map files, V2X messages and reports speak WGS-84.
pymap3d does the geodesy and is imported at the first conversion, so that checking a site file
stays fast. Heading functions translate between the runtime's radians counter-clockwise from east
and the compass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

WGS84_A = 6_378_137.0
"""Semi-major axis of WGS-84, m (NGA.STND.0036)."""
WGS84_F = 1.0 / 298.257223563
"""Flattening of WGS-84 (NGA.STND.0036)."""


@dataclass(frozen=True, slots=True)
class LocalFrame:
    """East-north-up frame at a WGS-84 origin (degrees, degrees, ellipsoidal height in m).

    Raises ValueError for an origin that is not on the globe.
    """

    latitude: float
    longitude: float
    altitude: float = 0.0

    def __post_init__(self) -> None:
        if not -90.0 <= self.latitude <= 90.0:
            raise ValueError(f"latitude {self.latitude} is outside -90..90")
        if not -180.0 <= self.longitude <= 180.0:
            raise ValueError(f"longitude {self.longitude} is outside -180..180")
        if not math.isfinite(self.altitude):
            raise ValueError(f"altitude {self.altitude} is not finite")

    @overload
    def to_enu(
        self, lat: float, lon: float, alt: float | None = None
    ) -> tuple[float, float, float]: ...
    @overload
    def to_enu(
        self, lat: Floats, lon: Floats, alt: Floats | float | None = None
    ) -> tuple[Floats, Floats, Floats]: ...
    def to_enu(
        self, lat: Floats | float, lon: Floats | float, alt: Floats | float | None = None
    ) -> tuple[Floats | float, Floats | float, Floats | float]:
        """WGS-84 degrees and height (default: the origin's) → x, y, z in m.

        Scalars give floats; arrays of one shape give float64 arrays of that shape.
        """
        from pymap3d import geodetic2enu

        height = self.altitude if alt is None else alt
        enu = geodetic2enu(lat, lon, height, self.latitude, self.longitude, self.altitude)
        return _same_kind(enu, lat)

    @overload
    def to_geodetic(self, x: float, y: float, z: float = 0.0) -> tuple[float, float, float]: ...
    @overload
    def to_geodetic(
        self, x: Floats, y: Floats, z: Floats | float = 0.0
    ) -> tuple[Floats, Floats, Floats]: ...
    def to_geodetic(
        self, x: Floats | float, y: Floats | float, z: Floats | float = 0.0
    ) -> tuple[Floats | float, Floats | float, Floats | float]:
        """x, y, z in m → WGS-84 latitude, longitude (degrees) and ellipsoidal height (m).

        Scalars give floats; arrays of one shape give float64 arrays of that shape.
        """
        from pymap3d import enu2geodetic

        geodetic = enu2geodetic(x, y, z, self.latitude, self.longitude, self.altitude)
        return _same_kind(geodetic, x)


def _same_kind(
    values: tuple[Floats | float, ...], like: Floats | float
) -> tuple[Floats | float, Floats | float, Floats | float]:
    # pymap3d answers numpy scalars for float input; the rest of the runtime wants plain floats.
    a, b, c = values
    if getattr(like, "shape", None) is None:
        return float(a), float(b), float(c)
    return a, b, c


def compass_degrees(heading: float) -> float:
    """Heading in rad counter-clockwise from east → degrees clockwise from north, in [0, 360)."""
    degrees = math.fmod(90.0 - math.degrees(heading), 360.0)
    if degrees < 0.0:
        degrees += 360.0
    return 0.0 if degrees >= 360.0 else degrees  # -1e-17 + 360 rounds to 360


def enu_heading(degrees: float) -> float:
    """Degrees clockwise from north → rad counter-clockwise from east, in [-π, π)."""
    return wrap_angle(math.radians(90.0 - math.fmod(degrees, 360.0)))


def wrap_angle(angle: float) -> float:
    """The same direction in [-π, π), rad."""
    wrapped = math.fmod(angle + math.pi, math.tau)
    if wrapped < 0.0:
        wrapped += math.tau
    return -math.pi if wrapped >= math.tau else wrapped - math.pi
