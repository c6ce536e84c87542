"""SI values → data elements of T/CSAE 53-2020.

Every function rounds to the nearest step (halves upwards). None of these elements defines a
saturating value, so a value beyond the range is never clamped: it raises OutOfRangeError and the
caller withholds the statement. "Unavailable" values are constants here, chosen by the caller.
How sure a value is: `rsu.v2x.steps`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sized

from rsu.v2x.steps import (
    OutOfRangeError,
    heading_confidence,
    heading_known,
    position_confidence,
    speed_confidence,
    steps,
)

# What both worlds share is here under its own name as well.
__all__ = [
    "OutOfRangeError",
    "heading_confidence",
    "heading_known",
    "position_confidence",
    "speed_confidence",
]

LATITUDE_UNAVAILABLE = 900_000_001
LONGITUDE_UNAVAILABLE = 1_800_000_001
SPEED_UNAVAILABLE = 8191
HEADING_UNAVAILABLE = 28_800
SIZE_UNAVAILABLE = 0


def latitude(degrees: float) -> int:
    """DE_Latitude, 1e-7 degree."""
    return steps("latitude", degrees * 1e7, -900_000_000, 900_000_000)


def longitude(degrees: float) -> int:
    """DE_Longitude, 1e-7 degree; -180 is stated as 180, the range begins after it."""
    value = steps("longitude", degrees * 1e7, -1_800_000_000, 1_800_000_000)
    return 1_800_000_000 if value == -1_800_000_000 else value


def elevation(metres: float) -> int:
    """DE_Elevation, 0.1 m (-4096 would say unknown)."""
    return steps("elevation", metres * 10, -4095, 61_439)


def speed(metres_per_second: float) -> int:
    """DE_Speed, 0.02 m/s, of a speed that is not negative."""
    return steps("speed", metres_per_second * 50, 0, SPEED_UNAVAILABLE - 1)


def heading(degrees: float) -> int:
    """DE_Heading, 0.0125°, of a compass heading in [0, 360]; a full turn is 0."""
    return steps("heading", degrees * 80, 0, 28_800) % 28_800


def width(metres: float) -> int:
    """DE_VehicleWidth, cm."""
    return steps("width", metres * 100, 0, 1023)


def length(metres: float) -> int:
    """DE_VehicleLength, cm."""
    return steps("length", metres * 100, 0, 4095)


def height(metres: float) -> int:
    """DE_VehicleHeight, 5 cm."""
    return steps("height", metres * 20, 0, 127)


def size_value(metres: float) -> int:
    """SizeValue of T/CSAE 157-2020, 0.1 m."""
    return steps("size", metres * 10, 0, 1023)


def lane_width(metres: float) -> int:
    """DE_LaneWidth, cm."""
    return steps("lane width", metres * 100, 0, 32_767)


def radius(metres: float) -> int:
    """DE_Radius, 0.1 m."""
    return steps("radius", metres * 10, 0, 65_535)


def confidence(probability: float) -> int:
    """DE_Confidence, 0.5 %, of a probability 0..1."""
    return steps("confidence", probability * 200, 0, 200)


def number(name: str, value: int, low: int, high: int) -> int:
    """`value` where it lies in low..high; `name` is for the error."""
    if not low <= value <= high:
        raise OutOfRangeError(f"{name} {value} is outside {low}..{high}")
    return value


def at_most(name: str, items: Sized, most: int) -> None:
    """Raise OutOfRangeError for a list that is longer than the message's."""
    if len(items) > most:
        raise OutOfRangeError(f"{len(items)} {name}, at most {most} are allowed")


def vehicle_id(octets: bytes) -> str:
    """The id of a vehicle on the air, 8 octets, as hex."""
    if len(octets) != 8:
        raise OutOfRangeError(f"vehicle id of {len(octets)} octets, it has 8")
    return octets.hex()


def bits(size: int, chosen: Iterable[int]) -> dict[str, str]:
    """BIT STRING of `size` bits with the chosen ones set."""
    ones = set(chosen)
    return {"bits": "".join("1" if index in ones else "0" for index in range(size))}


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
    value = steps("vertical offset", metres * 10, -2048, 2047)
    for name, bits in _VERTICAL_BITS:
        if -(1 << bits - 1) <= value < 1 << bits - 1:
            return {name: value}
    raise AssertionError("the widest alternative holds the whole range")


_OFFSET_BITS = (
    ("position-LL1", 12), ("position-LL2", 14), ("position-LL3", 16),
    ("position-LL4", 18), ("position-LL5", 22), ("position-LL6", 24),
)  # fmt: skip
_VERTICAL_BITS = tuple((f"offset{index}", 6 + index) for index in range(1, 7))
