"""How far from the real world a decoded value is: evidence that it was read by the wrong set.

A frame read by a wrong message set is a valid value of that set all the same, but its numbers are
noise: positions in the ocean, speeds nobody drives, a map node without roads. Each rule here names
one such oddity with a weight, the natural logarithm of how many times likelier it is in noise than
in traffic (roughly; the bounds are wide so that odd but true statements pass).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rsu.v2x.inspector.nodes import Node, path_text, walk
from rsu.v2x.inspector.units import element_of

NEAR_M = 10_000.0
"""Farthest that something a roadside unit sends or hears can be: ten times the reach of PC5."""
SPEED_MAX = 70.0
"""m/s, 252 km/h."""
ELEVATIONS = (-450.0, 6000.0)
"""m between which there are roads."""
ACCELERATION_MAX = 15.0
"""m/s2: beyond any tyre, short of a crash."""
SIZE_MAX = {"VehicleLength": 30.0, "VehicleWidth": 4.5, "LaneWidth": 20.0}
"""m: road trains and loads that need an escort, an undivided carriageway."""
ROAD_WIDTH_MAX = 60.0
"""m: a link of sixteen lanes."""
DSECOND_MAX = 60_999
"""The last in a leap second; of what is above only 65535 is used (csae53-2020-fields.md)."""
LEAP_SECOND = 60_000
EARTH_M = 6_371_000.0
"""Mean radius."""
CHINA = (18.0, 54.0, 73.0, 136.0)
"""Degrees south, north, west, east of the land where the CSAE sets are used."""
UNKNOWN_MESSAGE = 6.0
"""Weight of a message id without a name: hundreds of times as many ids are free as are used."""

Position = tuple[float, float]
"""Latitude, longitude in degrees."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """One thing that noise explains better than traffic does."""

    weight: float
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}" if self.path else self.text


def oddities(profile: str, value: Any, near: Position | None = None) -> list[Oddity]:
    """Everything implausible in a decoded frame; `near`: where its sender must be."""
    found: list[Oddity] = []
    for node in walk(profile, value):
        if node.kind == "SEQUENCE" and "lat" in node.value:
            found += _position(profile, node, near)
        elif node.leaf:
            found += _leaf(profile, node)
        else:
            found += _structure(node)
    # Twenty lanes with the same oddity are no twenty witnesses.
    alike = {(each.text.split(" ", 1)[-1], each.weight): each for each in reversed(found)}
    return [*alike.values()]


def distance_m(one: Position, other: Position) -> float:
    """Great-circle distance."""
    (lat1, lon1), (lat2, lon2) = ((math.radians(a), math.radians(b)) for a, b in (one, other))
    half = (
        math.sin((lat2 - lat1) / 2) ** 2
        + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    )
    return 2 * EARTH_M * math.asin(math.sqrt(min(1.0, half)))


def position_of(value: Any) -> Position | None:
    """Degrees of a SEQUENCE with absolute `lat` and `long` or `lon`, None where unavailable."""
    lat, lon = value.get("lat"), value.get("long", value.get("lon"))
    if not isinstance(lat, int) or not isinstance(lon, int):
        return None
    if abs(lat) > 900_000_000 or abs(lon) > 1_800_000_000:
        return None
    return lat / 1e7, lon / 1e7


def _position(profile: str, node: Node, near: Position | None) -> Iterator[Oddity]:
    types = {member["name"]: member["type"] for member in node.descriptor["members"] if member}
    where = path_text(node.path)
    if types.get("lat") != "Latitude":  # an offset
        return
    place = position_of(node.value)
    if place is None:
        yield Oddity(0.5, where, "no position is stated")
    elif near is not None:
        away = distance_m(place, near)
        if away > NEAR_M:
            yield Oddity(5.0, where, f"{away / 1000:.0f} km from where it should be")
    else:
        south, north, west, east = CHINA
        if abs(place[0]) == 90 or abs(place[1]) >= 179.9999999:
            yield Oddity(3.0, where, "a pole or the date line")
        elif profile != "j2735_2024" and not (
            south <= place[0] <= north and west <= place[1] <= east
        ):
            yield Oddity(2.0, where, f"{place[0]:.4f}, {place[1]:.4f} is far from China")


def _leaf(profile: str, node: Node) -> Iterator[Oddity]:
    where = path_text(node.path)
    if node.kind == "IA5String" and not str(node.value).isprintable():
        yield Oddity(4.0, where, "text with control characters")
    element = element_of(profile, node)
    if element is None:
        return
    raw = node.value
    if node.type_name == "DSecond" and DSECOND_MAX < raw < 65_535:
        yield Oddity(4.0, where, f"{raw} is no time within a minute")
    quantity = element.si(raw)
    if quantity is None:
        return
    low, high = ELEVATIONS
    match node.type_name:
        case "Speed" | "Velocity" if quantity > SPEED_MAX:
            yield Oddity(2.5, where, f"{quantity:g} m/s is faster than traffic")
        case "Elevation" if not low <= quantity <= high:
            yield Oddity(2.0, where, f"{quantity:g} m is no height of a road")
        case "Acceleration" if abs(quantity) > ACCELERATION_MAX:
            yield Oddity(1.0, where, f"{quantity:g} m/s2 is more than a tyre gives")
        case "LaneWidth" if node.name == "linkWidth":
            if quantity > ROAD_WIDTH_MAX:
                yield Oddity(2.5, where, f"{quantity:g} m is wider than roads are")
        case "VehicleLength" | "VehicleWidth" | "LaneWidth" if quantity > SIZE_MAX[node.type_name]:
            yield Oddity(1.5, where, f"{quantity:g} m is larger than on roads")


def _structure(node: Node) -> Iterator[Oddity]:
    where = path_text(node.path)
    match node.type_name:
        case "Node" if "inLinks" not in node.value and not node.value.get("inLinks-ex"):
            yield Oddity(2.0, where, "a node without a road to it")
        case "RoadSideInformation" if not {"rtes", "rtss"} & node.value.keys():
            yield Oddity(3.0, where, "states neither events nor signs")
        case "ParticipantData" if node.value["ptcId"] > 255:
            yield Oddity(2.5, where, f"{node.value['ptcId']} is beyond the ids 0..255")
        case "MessageFrame" | "MessageFrameExt" if isinstance(node.value.get("value"), str):
            yield Oddity(UNKNOWN_MESSAGE, where, f"message id {node.value['messageId']} is unknown")
