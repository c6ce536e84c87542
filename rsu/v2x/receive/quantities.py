"""Data elements that both worlds share, read: integers and class names in, SI values out.

The way back from the units of the writers. An "unavailable" is None and never a number. Confidence
classes are 95 % bounds and error ellipses one standard deviation (facts: csae53-2020-fields.md,
j2735-2024-fields.md), so a class becomes a standard deviation by its quantile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rsu.schema.sensing import ObjectClass, V2xObject
from rsu.schema.units import Cov2, Size, Vec2
from rsu.site.geodesy import LocalFrame, enu_heading

Content = dict[str, Any]

NORMAL_95 = 1.959963984540054
"""Half width of the central 95 % of a standard normal."""
RADIUS_95 = math.sqrt(5.991464547107979)
"""Radius of the 95 % circle of a planar normal with deviation 1: √(−2 ln 0.05) = 2.4477."""

LATITUDE_MAX, LONGITUDE_MAX = 900_000_000, 1_800_000_000
SPEED_UNAVAILABLE, HEADING_UNAVAILABLE = 8191, 28_800
AXIS_OR_MORE, ORIENTATION_UNAVAILABLE = 254, 65_535
"""An axis of 254 is "12.7 m or more", which is no upper bound; 255 is unavailable."""
AXIS_STEP = 0.05
"""m; stated axes are rounded to it."""

_POSITION_BOUND = {
    "a500m": 500.0, "a200m": 200.0, "a100m": 100.0, "a50m": 50.0, "a20m": 20.0, "a10m": 10.0,
    "a5m": 5.0, "a2m": 2.0, "a1m": 1.0, "a50cm": 0.5, "a20cm": 0.2, "a10cm": 0.1, "a5cm": 0.05,
    "a2cm": 0.02, "a1cm": 0.01,
}  # fmt: skip
_SPEED_BOUND = {
    "prec100ms": 100.0, "prec10ms": 10.0, "prec5ms": 5.0, "prec1ms": 1.0, "prec0-1ms": 0.1,
    "prec0-05ms": 0.05, "prec0-01ms": 0.01,
}  # fmt: skip
_HEADING_BOUND = {
    "prec10deg": 10.0, "prec05deg": 5.0, "prec01deg": 1.0, "prec0-1deg": 0.1, "prec0-05deg": 0.05,
    "prec0-01deg": 0.01, "prec0-0125deg": 0.0125,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Receiver:
    """What reading a message needs beside it: the site's frame, and when it was heard (UTC ns)."""

    frame: LocalFrame
    heard_ns: int
    unstated: Cov2 | None = None
    """Covariance taken for a position whose accuracy is not stated (m²); None: it is refused."""


@dataclass(frozen=True, slots=True)
class RoadUsers:
    """The road users of one message, by `sender` (hex); `refused` counts the others by reason."""

    sender: str
    objects: tuple[V2xObject, ...]
    refused: dict[str, int]


def place(longitude: int, latitude: int, frame: LocalFrame) -> Vec2 | None:
    """A position in 1e-7 degree as a point of the site frame (m); None where unavailable."""
    if abs(latitude) > LATITUDE_MAX or abs(longitude) > LONGITUDE_MAX:
        return None
    x, y, _ = frame.to_enu(latitude / 1e7, longitude / 1e7)
    return Vec2(x, y)


def speed(steps: int) -> float | None:
    """0.02 m/s → m/s."""
    return None if steps >= SPEED_UNAVAILABLE else steps * 0.02


def heading(steps: int) -> float | None:
    """0.0125° clockwise from north → rad counter-clockwise from east, in [-π, π)."""
    return None if steps >= HEADING_UNAVAILABLE else enu_heading(steps * 0.0125)


def position_class(name: str | None) -> Cov2 | None:
    """Class of the 95 % bound of a position → covariance, m²."""
    bound = _POSITION_BOUND.get(name or "")
    return None if bound is None else circle(bound / RADIUS_95)


def speed_class(name: str | None) -> float | None:
    """Class of the 95 % bound of a speed → standard deviation, m/s."""
    bound = _SPEED_BOUND.get(name or "")
    return None if bound is None else bound / NORMAL_95


def heading_class(name: str | None) -> float | None:
    """Class of the 95 % bound of a heading → standard deviation, rad."""
    bound = _HEADING_BOUND.get(name or "")
    return None if bound is None else math.radians(bound) / NORMAL_95


def ellipse(accuracy: Content | None) -> Cov2 | None:
    """PositionalAccuracy (one standard deviation) → covariance, m².

    None where an axis is unavailable or only bounded from below. Half a step is added to each
    axis, as values are rounded. Without an orientation the major axis holds all round.
    """
    if accuracy is None:
        return None
    axes = accuracy["semiMajor"], accuracy["semiMinor"]
    if max(axes) >= AXIS_OR_MORE:
        return None
    major, minor = (axis * AXIS_STEP + AXIS_STEP / 2 for axis in axes)
    if accuracy["orientation"] == ORIENTATION_UNAVAILABLE or minor >= major:
        return circle(max(major, minor))
    angle = enu_heading(accuracy["orientation"] * 360.0 / 65_535)
    cos, sin = math.cos(angle), math.sin(angle)
    along, across = major * major, minor * minor
    return Cov2(
        along * cos * cos + across * sin * sin,
        (along - across) * cos * sin,
        along * sin * sin + across * cos * cos,
    )


def circle(std: float) -> Cov2:
    """Covariance of a deviation that is the same in all directions."""
    return Cov2(std * std, 0.0, std * std)


def total(one: Cov2, other: Cov2) -> Cov2:
    """Covariance of the sum of two independent errors."""
    return Cov2(one.xx + other.xx, one.xy + other.xy, one.yy + other.yy)


def vehicle_size(stated: Content, height: int | None = None) -> Size | None:
    """Width and length in cm, height in 5 cm (0: unavailable) → m; None unless width and length
    are stated. An unstated height is 1.5 m, a car's."""
    if stated["width"] <= 0 or stated["length"] <= 0:
        return None
    return Size(stated["length"] / 100, stated["width"] / 100, height * 0.05 if height else 1.5)


def vehicle_class(number: int, size: Size | None) -> ObjectClass:
    """BasicVehicleClass (both sets share its numbers) → class of a motor vehicle.

    Where it is unknown or says more of the service than of the body (60 emergency), the size
    decides: narrower than 1.2 m a motorcycle, up to 5.6 m a car, up to 6.5 m a van, else a truck.
    """
    for low, high, found in _VEHICLE_CLASSES:
        if low <= number < high:
            return found
    if size is None:
        return ObjectClass.CAR
    if size.width < 1.2:
        return ObjectClass.MOTORCYCLE
    if size.length <= 5.6:
        return ObjectClass.CAR
    return ObjectClass.VAN if size.length <= 6.5 else ObjectClass.TRUCK


_VEHICLE_CLASSES = (
    (10, 20, ObjectClass.CAR),
    (20, 25, ObjectClass.VAN),
    (25, 40, ObjectClass.TRUCK),
    (40, 50, ObjectClass.MOTORCYCLE),
    (50, 60, ObjectClass.BUS),
)


def person_class(basic_type: str | None, propulsion: Content | None = None) -> ObjectClass:
    """PersonalDeviceUserType and what moves the person → class."""
    if basic_type == "aPEDALCYCLIST":
        return ObjectClass.BICYCLE
    if basic_type == "anANIMAL":
        return ObjectClass.ANIMAL
    if propulsion is not None and propulsion.get("motor") in ("bicycle", "scooter"):
        return ObjectClass.BICYCLE
    return ObjectClass.UNKNOWN if basic_type in (None, "unavailable") else ObjectClass.PEDESTRIAN


def missing(position: Vec2 | None, moment: int | None, cov: Cov2 | None) -> str:
    """Reason code for what a road user's state lacks ("" where it is whole)."""
    if position is None:
        return "position_unstated"
    if moment is None:
        return "time_unstated"
    return "accuracy_unstated" if cov is None else ""
