"""SI values → data elements of T/CSAE 53-2020, and the class that states how sure a value is.

Every function rounds to the nearest step (halves upwards). None of these elements defines a
saturating value, so a value beyond the range is never clamped: it raises OutOfRangeError and the
caller withholds the statement. "Unavailable" values are constants here, chosen by the caller.

Confidence classes state a bound that holds with 95 % probability (facts: csae53-2020-fields.md,
units: DefPosition, DefMotion). The class chosen is the tightest whose bound is not below the 95 %
error from the filter's covariance; where even the widest is too tight, `unavailable`.
"""

from __future__ import annotations

import math

from rsu.schema.units import Cov2
from rsu.v2x.errors import V2xError

LATITUDE_UNAVAILABLE = 900_000_001
LONGITUDE_UNAVAILABLE = 1_800_000_001
SPEED_UNAVAILABLE = 8191
HEADING_UNAVAILABLE = 28_800
SIZE_UNAVAILABLE = 0

_CHI2_95_2D = 5.991464547107979
"""95 % quantile of χ² with 2 degrees of freedom, -2 ln 0.05."""
_NORMAL_95 = 1.959963984540054
"""Half width of the central 95 % of a standard normal."""
_HEADING_KNOWN = math.pi / 2
"""With a 95 % error beyond a quarter turn a heading cannot tell forth from back."""

_POSITION_CLASSES = (
    ("a1cm", 0.01), ("a2cm", 0.02), ("a5cm", 0.05), ("a10cm", 0.1), ("a20cm", 0.2),
    ("a50cm", 0.5), ("a1m", 1.0), ("a2m", 2.0), ("a5m", 5.0), ("a10m", 10.0), ("a20m", 20.0),
    ("a50m", 50.0), ("a100m", 100.0), ("a200m", 200.0), ("a500m", 500.0),
)  # fmt: skip
_SPEED_CLASSES = (
    ("prec0-01ms", 0.01), ("prec0-05ms", 0.05), ("prec0-1ms", 0.1), ("prec1ms", 1.0),
    ("prec5ms", 5.0), ("prec10ms", 10.0), ("prec100ms", 100.0),
)  # fmt: skip
# prec0-01deg is left out: a heading rounded to steps of 0.0125° cannot be surer than that.
_HEADING_CLASSES = (
    ("prec0-0125deg", 0.0125), ("prec0-05deg", 0.05), ("prec0-1deg", 0.1), ("prec01deg", 1.0),
    ("prec05deg", 5.0), ("prec10deg", 10.0),
)  # fmt: skip


class OutOfRangeError(V2xError):
    """A value that the data element cannot carry; the text names the element."""


def latitude(degrees: float) -> int:
    """DE_Latitude, 1e-7 degree."""
    return _steps("latitude", degrees * 1e7, -900_000_000, 900_000_000)


def longitude(degrees: float) -> int:
    """DE_Longitude, 1e-7 degree; -180 is stated as 180, the range begins after it."""
    value = _steps("longitude", degrees * 1e7, -1_800_000_000, 1_800_000_000)
    return 1_800_000_000 if value == -1_800_000_000 else value


def elevation(metres: float) -> int:
    """DE_Elevation, 0.1 m (-4096 would say unknown)."""
    return _steps("elevation", metres * 10, -4095, 61_439)


def speed(metres_per_second: float) -> int:
    """DE_Speed, 0.02 m/s, of a speed that is not negative."""
    return _steps("speed", metres_per_second * 50, 0, SPEED_UNAVAILABLE - 1)


def heading(degrees: float) -> int:
    """DE_Heading, 0.0125°, of a compass heading in [0, 360]; a full turn is 0."""
    return _steps("heading", degrees * 80, 0, 28_800) % 28_800


def width(metres: float) -> int:
    """DE_VehicleWidth, cm."""
    return _steps("width", metres * 100, 0, 1023)


def length(metres: float) -> int:
    """DE_VehicleLength, cm."""
    return _steps("length", metres * 100, 0, 4095)


def height(metres: float) -> int:
    """DE_VehicleHeight, 5 cm."""
    return _steps("height", metres * 20, 0, 127)


def position_offset(east: int, north: int, ref_east: int, ref_north: int) -> dict[str, object]:
    """DF_PositionOffsetLL in the smallest alternative that fits, from positions in 1e-7 degree.

    Arguments are longitude and latitude of the object and of the reference position, as stated in
    the message, so that adding the offset gives back exactly the rounded position.
    """
    lon, lat = east - ref_east, north - ref_north
    if abs(lon) > 1_800_000_000:  # across the 180th meridian
        lon -= 3_600_000_000 if lon > 0 else -3_600_000_000
    for name, bits in _OFFSET_BITS:
        if -(1 << bits - 1) <= min(lon, lat) and max(lon, lat) < 1 << bits - 1:
            return {name: {"lon": lon, "lat": lat}}
    return {"position-LatLon": {"lon": east, "lat": north}}


def vertical_offset(metres: float) -> dict[str, object]:
    """DF_VerticalOffset, 0.1 m, in the smallest alternative that fits (to ±204.7 m)."""
    value = _steps("vertical offset", metres * 10, -2048, 2047)
    for name, bits in _VERTICAL_BITS:
        if -(1 << bits - 1) <= value < 1 << bits - 1:
            return {name: value}
    raise AssertionError("the widest alternative holds the whole range")


def position_confidence(cov: Cov2) -> str:
    """DE_PositionConfidence from the semi-major axis of the 95 % ellipse of a covariance, m²."""
    mean = (cov.xx + cov.yy) / 2
    largest = mean + math.hypot((cov.xx - cov.yy) / 2, cov.xy)
    return _class_of(_POSITION_CLASSES, math.sqrt(max(largest, 0.0) * _CHI2_95_2D))


def speed_confidence(std: float) -> str:
    """DE_SpeedConfidence from a standard deviation, m/s."""
    return _class_of(_SPEED_CLASSES, std * _NORMAL_95)


def heading_confidence(std: float) -> str:
    """DE_HeadingConfidence from a standard deviation, rad."""
    return _class_of(_HEADING_CLASSES, math.degrees(std * _NORMAL_95))


def heading_known(std: float) -> bool:
    """Whether a heading of this standard deviation (rad) says anything at all."""
    return std * _NORMAL_95 <= _HEADING_KNOWN


_OFFSET_BITS = (
    ("position-LL1", 12), ("position-LL2", 14), ("position-LL3", 16),
    ("position-LL4", 18), ("position-LL5", 22), ("position-LL6", 24),
)  # fmt: skip
_VERTICAL_BITS = tuple((f"offset{index}", 6 + index) for index in range(1, 7))


def _class_of(classes: tuple[tuple[str, float], ...], error: float) -> str:
    for name, bound in classes:
        if error <= bound:
            return name
    return "unavailable"


def _steps(name: str, value: float, low: int, high: int) -> int:
    if not math.isfinite(value):
        raise OutOfRangeError(f"{name} is not a finite number")
    rounded = math.floor(value + 0.5)
    if not low <= rounded <= high:
        raise OutOfRangeError(f"{name} {rounded} is outside {low}..{high}")
    return rounded
