"""lanelet2 (OSM XML) → GeoJSON lanes: centrelines between the two bounds, widths, successors.

A lanelet names a left and a right bound; its centreline is their mean at equal shares of length.
One lanelet follows another where both bounds end in the points where the other's begin. lanelet2
knows no links, lane numbers, roles or signal groups: those are drawn afterwards.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np

from rsu.site.features import LaneKind, Maneuver
from rsu.site.geodesy import LocalFrame
from rsu.v2x.map.findings import MapImportError
from rsu.v2x.map.imported import Lanes, SourceNode
from rsu.v2x.map.thinning import Floats

KINDS = {
    "road": LaneKind.VEHICLE,
    "highway": LaneKind.VEHICLE,
    "play_street": LaneKind.VEHICLE,
    "bicycle_lane": LaneKind.BIKE,
    "crosswalk": LaneKind.CROSSWALK,
    "walkway": LaneKind.SIDEWALK,
}
"""Subtype of a lanelet → kind of lane; others carry none of our road users."""
TURNS = {"left": Maneuver.LEFT, "right": Maneuver.RIGHT, "straight": Maneuver.STRAIGHT}
SPEED = re.compile(r"(\d+(?:\.\d+)?)\s*(km/?h|kmh|mph|m/s)?")
SPEED_UNITS = {"m/s": 1.0, "mph": 0.44704}
"""m/s of one unit; everything else is km/h, lanelet2's own unit."""


def lanelets(text: str) -> Lanes:
    """Lanes of a lanelet2 file, with the middle of its points as origin.

    Raises MapImportError for what is not OSM XML or has no lanelet of use.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise MapImportError("a document with entities is not read")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (entities are refused above)
    except ElementTree.ParseError as error:
        raise MapImportError(f"not XML: {error}") from error
    if root.tag != "osm":
        raise MapImportError(f"not OSM XML but <{root.tag}>")
    try:
        return _Reader(root).lanes()
    except (KeyError, ValueError) as error:
        raise MapImportError(f"not a lanelet2 map: {error!r}") from error


class _Reader:
    def __init__(self, root: ElementTree.Element) -> None:
        places = {
            node.attrib["id"]: (float(node.attrib["lon"]), float(node.attrib["lat"]))
            for node in root.iter("node")
        }
        if not places:
            raise MapImportError("the file has no points")
        self.ways = {
            way.attrib["id"]: [places[step.attrib["ref"]] for step in way.iter("nd")]
            for way in root.iter("way")
        }
        self.relations = root.iter("relation")
        longitude, latitude = np.mean(list(places.values()), axis=0).tolist()
        self.frame = LocalFrame(latitude, longitude)
        self.origin = SourceNode(0, (longitude * 1e7, latitude * 1e7))
        self.notes: list[str] = []
        self.starts: dict[tuple[Any, Any], list[str]] = {}
        self.ends: dict[str, tuple[Any, Any]] = {}

    def lanes(self) -> Lanes:
        features = {}
        for relation in self.relations:
            tags = {tag.attrib["k"]: tag.attrib["v"] for tag in relation.iter("tag")}
            if tags.get("type") == "lanelet":
                name = f"lanelet-{relation.attrib['id'].removeprefix('-')}"
                if (feature := self._feature(relation, tags, name)) is not None:
                    features[name] = feature
        if not features:
            raise MapImportError("\n".join(["no lanelet can be used", *self.notes]))
        for name, end in self.ends.items():
            following = [other for other in self.starts.get(end, ()) if other != name]
            if following:
                features[name]["properties"]["successors"] = following
        self.notes.append(
            "links, lane numbers, roles, stop lines and signal groups: lanelet2 has none, none read"
        )
        document = {"type": "FeatureCollection", "features": list(features.values())}
        return Lanes(document, self.origin, tuple(self.notes))

    def _feature(
        self, relation: ElementTree.Element, tags: dict[str, str], name: str
    ) -> dict[str, Any] | None:
        kind = KINDS.get(tags.get("subtype", ""))
        bounds = {one.attrib["role"]: one.attrib["ref"] for one in relation.iter("member")}
        left, right = (self.ways.get(bounds.get(side, ""), []) for side in ("left", "right"))
        if kind is None or len(left) < 2 or len(right) < 2:
            why = f"subtype {tags.get('subtype')}" if kind is None else "a bound is missing"
            self.notes.append(f"{name}: left out, {why}")
            return None
        left, right = self._aligned(left, right)
        self.starts.setdefault((left[0], right[0]), []).append(name)
        self.ends[name] = (left[-1], right[-1])
        count = max(len(left), len(right))
        bound, other = (_spread(self._placed(side), count) for side in (left, right))
        centre = (bound + other) / 2
        width = float(np.mean(np.hypot(*(bound - other).T)))
        latitude, longitude, _ = self.frame.to_geodetic(centre[:, 0], centre[:, 1])
        properties: dict[str, Any] = {"id": name, "kind": kind.value, "width": round(width, 2)}
        if tags.get("turn_direction") in TURNS:
            properties["maneuver"] = TURNS[tags["turn_direction"]].value
        if found := SPEED.fullmatch(tags.get("speed_limit", "")):
            factor = SPEED_UNITS.get(found[2] or "", 1 / 3.6)
            properties["speed_limit"] = round(float(found[1]) * factor, 3)
        coordinates = np.stack((longitude, latitude), axis=1).round(9).tolist()
        geometry = {"type": "LineString", "coordinates": coordinates}
        return {"type": "Feature", "properties": properties, "geometry": geometry}

    def _aligned(self, left: list[Any], right: list[Any]) -> tuple[list[Any], list[Any]]:
        """Both bounds in driving direction: side by side, and the left one on the left."""
        a, b = self._placed(left), self._placed(right)
        along = np.hypot(*(a[0] - b[0])) + np.hypot(*(a[-1] - b[-1]))
        across = np.hypot(*(a[0] - b[-1])) + np.hypot(*(a[-1] - b[0]))
        if across < along:
            right, b = right[::-1], b[::-1]
        ahead, aside = (a[-1] + b[-1] - a[0] - b[0]), a.mean(axis=0) - b.mean(axis=0)
        if ahead[0] * aside[1] - ahead[1] * aside[0] < 0:
            return left[::-1], right[::-1]
        return left, right

    def _placed(self, line: list[Any]) -> Floats:
        lonlat = np.array(line, dtype=np.float64)
        x, y, _ = self.frame.to_enu(lonlat[:, 1], lonlat[:, 0])
        return np.stack((x, y), axis=1)


def _spread(line: Floats, count: int) -> Floats:
    """`count` points at equal shares of a line's length."""
    stations = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))))
    at = np.linspace(0.0, stations[-1], count)
    return np.stack([np.interp(at, stations, line[:, axis]) for axis in (0, 1)], axis=1)
