"""Roadway geometry (XML `J2735.GID.blob`, an early draft that tools still write) → `SourceMap`.

One intersection: lanes of approaches and egresses, each a chain of steps in cm or dm that begins at
the reference point, leads away from the intersection and starts at the stop line; widths are cm.
Lanes of approaches are turned round into driving direction. Maneuvers of connections have the bits
of AllowedManeuvers as values (1 straight, 2 left, 4 right, …), which the samples confirm by their
geometry. What is not read stands in the notes.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from rsu.site.features import LaneKind, LaneRole
from rsu.site.geodesy import LocalFrame
from rsu.v2x.map.csae import MANEUVER_BITS
from rsu.v2x.map.findings import MapImportError
from rsu.v2x.map.imported import SourceLane, SourceMap, SourceNode, SourceTurn
from rsu.v2x.map.links import Position

ROOT = "J2735.GID.blob"

_KINDS = {"vehicle": LaneKind.VEHICLE, "pedestrian": LaneKind.CROSSWALK}
_STEPS = {"centimeter": 0.01, "decimeter": 0.1}
_REACH_M = 10_000.0
"""No lane of an intersection is longer; steps in a wrong unit are."""
_PARTS = {"Approach": LaneRole.ENTRY, "Egress": LaneRole.EXIT}


def roadway(text: str, *, node: int | None = None) -> SourceMap:
    """The intersection of a document. Raises MapImportError."""
    if "<!DOCTYPE" in text:
        raise MapImportError("a document type has no place in a map")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  (no entities: see above)
    except ElementTree.ParseError as error:
        raise MapImportError(f"not XML: {error}") from error
    if root.tag != ROOT:
        raise MapImportError(f"not <{ROOT}> but <{root.tag}>")
    number = int(_number(root, "IntersectionID", 0, 65_535))
    if node not in (None, number):
        raise MapImportError(f"the source has no intersection {node}, only {number}")
    unit = (root.findtext("Resolution") or "centimeter").strip().lower()
    if unit not in _STEPS:
        raise MapImportError(f"Resolution: {unit!r} is none of {', '.join(_STEPS)}")
    geometries = root.findall("Geometry")
    if not geometries:
        raise MapImportError("the source has no Geometry")
    return _Reader(geometries[0], number, _STEPS[unit], len(geometries) - 1).read()


class _Reader:
    def __init__(self, geometry: Element, number: int, step: float, others: int) -> None:
        self.geometry, self.step = geometry, step
        place = geometry.find("ReferencePoint")
        if place is None:
            raise MapImportError("Geometry: the reference point is missing")
        latitude = _number(place, "Latitude", -90, 90)
        longitude = _number(place, "Longitude", -180, 180)
        self.frame = LocalFrame(latitude, longitude, 0.0)
        position = (round(longitude * 1e7), round(latitude * 1e7))
        self.source = SourceMap(None, [SourceNode(number, position)])
        if others:
            self.source.notes.append(f"{others} further Geometry left out")

    def read(self) -> SourceMap:
        for part in self.geometry:
            if part.tag in _PARTS:
                for lane in part.findall("Lane"):
                    self._lane(lane, _PARTS[part.tag])
            elif part.tag != "ReferencePoint":
                self.source.notes.append(f"{part.tag} left out")
        if not self.source.lanes:
            raise MapImportError("the source has no lane of use")
        return self.source

    def _lane(self, lane: Element, role: LaneRole) -> None:
        title = f"lane {lane.get('Number')}"
        if not (lane.get("Number") or "").isdecimal():
            raise MapImportError(f"{title}: the number is no number")
        kind = _KINDS.get((lane.findtext("Type") or "").strip().lower())
        if kind is None:
            self.source.notes.append(f"{title}: left out, {lane.findtext('Type')!r} is not read")
            return
        points = self._points(lane, title)
        inward = role is LaneRole.ENTRY and not kind.on_foot
        width = lane.find("Width")
        turns = [self._turn(one, title) for one in lane.findall("Connections/Connection")]
        self.source.lanes.append(
            SourceLane(
                upstream=None,
                downstream=None,
                number=int(lane.get("Number") or 0),
                kind=kind,
                points=tuple(reversed(points)) if inward else points,
                width=None if width is None else _number(lane, "Width", 0, 3000) / 100,
                turns=tuple(turns),
                role=None if kind.on_foot else role,
            )
        )

    def _turn(self, connection: Element, title: str) -> SourceTurn:
        target = int(_number(connection, "LaneNumber", 0, 255))
        bits = int(_number(connection, "Maneuver", 0, 4095))
        turns = tuple(name for name, bit in MANEUVER_BITS.items() if bits >> bit & 1)
        if bits >> len(MANEUVER_BITS):
            self.source.notes.append(f"{title}: maneuver flags {bits} to lane {target} left out")
        group: Any = None
        if connection.find("SignalGroup") is not None:
            group = int(_number(connection, "SignalGroup", 0, 255)) or None
        return SourceTurn(None, target, turns, group)

    def _points(self, lane: Element, title: str) -> tuple[Position, ...]:
        east = north = 0.0
        line: list[Position] = []
        for node in lane.findall("Nodes/Node"):
            try:
                east += _number(node, "Eastern", -32_768, 32_767) * self.step
                north += _number(node, "Northern", -32_768, 32_767) * self.step
            except MapImportError as error:
                raise MapImportError(f"{title}, node {node.get('Number')}: {error}") from error
            if max(abs(east), abs(north)) > _REACH_M:
                raise MapImportError(f"{title}: leads more than {_REACH_M / 1000:g} km away")
            latitude, longitude, _ = self.frame.to_geodetic(east, north)
            line.append((longitude * 1e7, latitude * 1e7))
        return tuple(line)


def _number(element: Element, name: str, low: float, high: float) -> float:
    text = (element.findtext(name) or "").strip()
    try:
        value = float(text)
    except ValueError:
        raise MapImportError(f"{name}: a number is wanted, not {text[:40]!r}") from None
    if not low <= value <= high:
        raise MapImportError(f"{name}: {text[:40]} is outside {low:g}..{high:g}")
    return value
