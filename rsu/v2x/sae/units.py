"""SI values → data elements of SAE J2735 and J3224.

Rounding, ranges and confidence classes: `rsu.v2x.steps`. Units from facts: j2735-2024-fields.md
(those of SDSM are checked there against a public implementation, the others are general knowledge
of J2735). Only the axes of an error ellipse have a value that means "this much or more"; nothing
else saturates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sized
from datetime import UTC, datetime, timedelta

from rsu.schema.units import NS_PER_MS, Cov2
from rsu.v2x import time
from rsu.v2x.steps import OutOfRangeError, steps

HEADING_UNAVAILABLE = 28_800
PERCENT_UNAVAILABLE = 101
AXIS_MAX, AXIS_UNAVAILABLE = 254, 255
ORIENTATION_UNAVAILABLE = 65_535
UNKNOWN_ACCURACY = {
    "semiMajor": AXIS_UNAVAILABLE,
    "semiMinor": AXIS_UNAVAILABLE,
    "orientation": ORIENTATION_UNAVAILABLE,
}
"""PositionalAccuracy of a position whose error nobody states."""

TEXT = range(0x20, 0x7F)
"""Printing characters of IA5."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def latitude(degrees: float) -> int:
    """Latitude, 1e-7 degree."""
    return steps("latitude", degrees * 1e7, -900_000_000, 900_000_000)


def longitude(degrees: float) -> int:
    """Longitude, 1e-7 degree; -180 is stated as 180, the range begins after it."""
    value = steps("longitude", degrees * 1e7, -1_800_000_000, 1_800_000_000)
    return 1_800_000_000 if value == -1_800_000_000 else value


def elevation(metres: float) -> int:
    """Elevation, 0.1 m above the ellipsoid (-4096 would say unknown)."""
    return steps("elevation", metres * 10, -4095, 61_439)


def position(degrees: tuple[float, float], metres: float | None = None) -> dict[str, int]:
    """Position3D from (longitude, latitude) in degrees and, where known, the altitude in m."""
    place = {"lat": latitude(degrees[1]), "long": longitude(degrees[0])}
    if metres is not None:
        place["elevation"] = elevation(metres)
    return place


def object_distance(metres: float) -> int:
    """ObjectDistance of an SDSM, 0.1 m."""
    return steps("object distance", metres * 10, -32_767, 32_767)


def speed(metres_per_second: float) -> int:
    """Speed and Velocity, 0.02 m/s, not negative (8191 would say unavailable)."""
    return steps("speed", metres_per_second * 50, 0, 8190)


def heading(degrees: float) -> int:
    """Heading, 0.0125°, of a compass heading in [0, 360]; a full turn is 0."""
    return steps("heading", degrees * 80, 0, 28_800) % 28_800


def vehicle_width(metres: float) -> int:
    """VehicleWidth, cm (0 would say unavailable)."""
    return steps("width", metres * 100, 1, 1023)


def vehicle_length(metres: float) -> int:
    """VehicleLength, cm (0 would say unavailable)."""
    return steps("length", metres * 100, 1, 4095)


def vehicle_height(metres: float) -> int:
    """VehicleHeight, 5 cm (0 would say unavailable)."""
    return steps("height", metres * 20, 1, 127)


def size_value(metres: float) -> int:
    """SizeValue of an obstacle, 0.1 m."""
    return steps("size", metres * 10, 0, 1023)


def lane_width(metres: float) -> int:
    """LaneWidth, cm."""
    return steps("lane width", metres * 100, 0, 32_767)


def percent(probability: float) -> int:
    """ClassificationConfidence, 1 %, of a probability 0..1."""
    return steps("probability", probability * 100, 0, 100)


def milliseconds(seconds: float) -> int:
    """A duration as DSecond, ms (65535 would say unavailable)."""
    return steps("duration", seconds * 1000, 0, 65_534)


def accuracy(cov: Cov2) -> dict[str, int]:
    """PositionalAccuracy: the one-sigma ellipse of a covariance, m².

    Axes in 0.05 m, rounded up so that no error gets smaller; 254 says 12.7 m or more. The
    orientation of the longer one is clockwise from north in [0, 180), 360/65535 degree.
    """
    mean = (cov.xx + cov.yy) / 2
    spread = math.hypot((cov.xx - cov.yy) / 2, cov.xy)
    from_east = math.atan2(2 * cov.xy, cov.xx - cov.yy) / 2
    from_north = (90.0 - math.degrees(from_east)) % 180.0
    return {
        "semiMajor": _axis(mean + spread),
        "semiMinor": _axis(mean - spread),
        "orientation": steps("orientation", from_north * 65_535 / 360, 0, 65_534),
    }


def date_time(utc_ns: int) -> dict[str, int]:
    """DDateTime in UTC: `second` is ms within the minute. Cut off, as `rsu.v2x.time`."""
    moment = _EPOCH + timedelta(milliseconds=utc_ns // NS_PER_MS)
    return {
        "year": moment.year,
        "month": moment.month,
        "day": moment.day,
        "hour": moment.hour,
        "minute": moment.minute,
        "second": time.dsecond(utc_ns),
    }


def year(utc_ns: int) -> int:
    """DYear of a moment, UTC."""
    return (_EPOCH + timedelta(milliseconds=utc_ns // NS_PER_MS)).year


def number(name: str, value: int, low: int, high: int) -> int:
    """`value` where it lies in low..high; `name` is for the error."""
    if not low <= value <= high:
        raise OutOfRangeError(f"{name} {value} is outside {low}..{high}")
    return value


def at_most(name: str, items: Sized, most: int) -> None:
    """Raise OutOfRangeError for a list that is longer than the message's."""
    if len(items) > most:
        raise OutOfRangeError(f"{len(items)} {name}, at most {most} are allowed")


def intersection(region: int, identity: int) -> dict[str, int]:
    """IntersectionReferenceID, the same in MAP, SPAT and SSM."""
    return {
        "region": number("region", region, 0, 65_535),
        "id": number("intersection", identity, 0, 65_535),
    }


def bits(size: int, chosen: Iterable[int]) -> dict[str, str]:
    """BIT STRING of `size` bits with the chosen ones set."""
    ones = set(chosen)
    return {"bits": "".join("1" if index in ones else "0" for index in range(size))}


def text(words: str, most: int) -> str | None:
    """IA5String of at most `most` characters; None for words that are none: nothing is cut."""
    said = words.strip()
    fits = 0 < len(said) <= most and all(ord(letter) in TEXT for letter in said)
    return said if fits else None


def _axis(variance: float) -> int:
    if not math.isfinite(variance):
        raise OutOfRangeError("the variance is not a finite number")
    return min(math.ceil(math.sqrt(max(variance, 0.0)) * 20 - 1e-9), AXIS_MAX)
