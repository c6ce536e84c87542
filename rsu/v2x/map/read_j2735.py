"""MAP of J2735, in the codec's JSON form or with hex bit strings → `SourceMap` of one intersection.

Lanes of an intersection have numbers but no links or nodes; nodes of a lane are steps in cm from
the reference point. Lanes towards the intersection are turned round into driving direction.
`from_hex_bits` takes the JSON that other tools write (BIT STRINGs as left-aligned hex).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rsu.site.features import LaneRole
from rsu.site.geodesy import LocalFrame
from rsu.v2x.codec import codec_for
from rsu.v2x.csae.units import LATITUDE_UNAVAILABLE, LONGITUDE_UNAVAILABLE
from rsu.v2x.errors import CodecError
from rsu.v2x.map.csae import MANEUVER_BITS
from rsu.v2x.map.findings import MapImportError
from rsu.v2x.map.imported import SourceLane, SourceMap, SourceNode, SourceTurn
from rsu.v2x.map.links import Position
from rsu.v2x.map.read_csae import ELEVATION_UNKNOWN, KINDS, maximum_speed
from rsu.v2x.map.sae import MESSAGE_ID


def source_map(
    value: Any, profile: str = "j2735_2024", *, intersection: int | None = None
) -> SourceMap:
    """MapData in JSON form → lanes of one intersection (default: the first).

    Raises MapImportError for what is not of the profile or has no such intersection.
    """
    try:
        codec_for(profile).encode({"messageId": MESSAGE_ID, "value": {"MapData": value}})
    except CodecError as error:
        raise MapImportError(f"not a MAP of {profile}: {error}") from error
    found = {one["id"]["id"]: one for one in reversed(value.get("intersections", ()))}
    if not found:
        raise MapImportError("the message describes no intersection")
    number = value["intersections"][0]["id"]["id"] if intersection is None else intersection
    if number not in found:
        known = ", ".join(map(str, sorted(found)))
        raise MapImportError(f"the source has no intersection {number}, only {known}")
    source = _Reader(found[number]).read()
    source.notes += [f"intersection {other} left out" for other in sorted(set(found) - {number})]
    if "roadSegments" in value:
        source.notes.append("road segments left out")
    return source


class _Reader:
    def __init__(self, intersection: dict[str, Any]) -> None:
        self.intersection = intersection
        place = intersection["refPoint"]
        if place["lat"] == LATITUDE_UNAVAILABLE or place["long"] == LONGITUDE_UNAVAILABLE:
            raise MapImportError("the reference point is unavailable")
        elevation = place.get("elevation", ELEVATION_UNKNOWN)
        self.node = SourceNode(
            intersection["id"]["id"],
            (place["long"], place["lat"]),
            None if elevation == ELEVATION_UNKNOWN else elevation / 10,
            intersection.get("name", ""),
        )
        self.frame = LocalFrame(place["lat"] / 1e7, place["long"] / 1e7, self.node.elevation or 0.0)
        self.source = SourceMap(intersection["id"].get("region"), [self.node])
        self.notes = self.source.notes

    def read(self) -> SourceMap:
        for name in ("regional", "preemptPriorityData", "roadAuthorityID"):
            if name in self.intersection:
                self.notes.append(f"{name} left out")
        common = maximum_speed(self.intersection.get("speedLimits", ()), "intersection", self.notes)
        for lane in self.intersection["laneSet"]:
            if (read := self._lane(lane, common)) is not None:
                self.source.lanes.append(read)
        return self.source

    def _lane(self, lane: dict[str, Any], common: float | None) -> SourceLane | None:
        title = f"lane {lane['laneID']}"
        ((name, flags),) = lane["laneAttributes"]["laneType"].items()
        if name not in KINDS:
            self.notes.append(f"{title}: left out, a {name} carries no traffic")
            return None
        kind = KINDS[name]
        if "1" in flags["bits"]:
            self.notes.append(f"{title}: {name} attributes {flags['bits']} left out")
        if "1" in (shared := lane["laneAttributes"]["sharedWith"]["bits"]):
            self.notes.append(f"{title}: sharedWith {shared} left out")
        inward, outward = (bit == "1" for bit in lane["laneAttributes"]["directionalUse"]["bits"])
        if inward == outward and not kind.on_foot:
            which = "both directions" if inward else "no direction"
            self.notes.append(f"{title}: left out, a {kind} lane for {which} has no role")
            return None
        nodes = lane["nodeList"].get("nodes")
        if nodes is None:
            self.notes.append(f"{title}: left out, it is computed from another lane")
            return None
        attributes = nodes[0].get("attributes", {})
        for index, node in enumerate(nodes):
            known = {"dWidth", "data"} if index == 0 else set()
            if more := sorted(set(node.get("attributes", {})) - known):
                self.notes.append(f"{title}: {', '.join(more)} of node {index} left out")
        points = self._points(nodes)
        if kind.on_foot:
            inward = False
        width = self.intersection.get("laneWidth")
        speed = common
        for item in attributes.get("data", ()):
            speed = maximum_speed(item.get("speedLimits", ()), title, self.notes) or speed
        turns = (self._turn(item, title) for item in lane.get("connectsTo", ()))
        return SourceLane(
            upstream=None,
            downstream=None,
            number=lane["laneID"],
            kind=kind,
            points=tuple(reversed(points)) if inward else points,
            width=(width + attributes.get("dWidth", 0)) / 100 if width else None,
            speed_limit=speed,
            turns=tuple(turn for turn in turns if turn is not None),
            role=None if kind.on_foot else LaneRole.ENTRY if inward else LaneRole.EXIT,
        )

    def _turn(self, connection: dict[str, Any], title: str) -> SourceTurn | None:
        target = connection["connectingLane"]
        if "remoteIntersection" in connection:
            self.notes.append(f"{title}: connection into another intersection left out")
            return None
        allowed = target.get("maneuver", {"bits": ""})["bits"]
        turns = tuple(name for name, bit in MANEUVER_BITS.items() if allowed[bit : bit + 1] == "1")
        if "1" in allowed[len(MANEUVER_BITS) :]:
            self.notes.append(
                f"{title}: maneuver flags {allowed} to lane {target['lane']} left out"
            )
        for name in ("userClass", "connectionID"):
            if name in connection:
                self.notes.append(f"{title}: {name} to lane {target['lane']} left out")
        return SourceTurn(None, target["lane"], turns, connection.get("signalGroup") or None)

    def _points(self, nodes: list[dict[str, Any]]) -> tuple[Position, ...]:
        """Longitude and latitude in 1e-7 degree, not rounded: a cm is finer than that."""
        x = y = 0.0
        line: list[tuple[float, float]] = []
        for node in nodes:
            ((name, step),) = node["delta"].items()
            if name == "node-LatLon":
                x, y, _ = self.frame.to_enu(step["lat"] / 1e7, step["lon"] / 1e7)
            elif name == "regional":
                self.notes.append("a node in a regional form left out")
                continue
            else:
                x, y = x + step["x"] / 100, y + step["y"] / 100
            line.append((x, y))
        if not line:
            return ()
        xy = np.array(line)
        latitude, longitude, _ = self.frame.to_geodetic(xy[:, 0], xy[:, 1])
        return tuple(zip((longitude * 1e7).tolist(), (latitude * 1e7).tolist(), strict=True))


# --- JSON of other tools --------------------------------------------------------------------------

_BITS = {
    "directionalUse": 2,
    "sharedWith": 10,
    "maneuvers": 12,
    "maneuver": 12,
    "vehicle": 8,
    "crosswalk": 16,
    "bikeLane": 16,
    "sidewalk": 16,
    "median": 16,
    "striping": 16,
    "trackedVehicle": 16,
    "parking": 16,
}
"""BIT STRINGs of a lane and their sizes (facts: j2735-2024-fields.md, MAP)."""


def from_hex_bits(value: Any, key: str = "", depth: int = 0) -> Any:
    """JSON with BIT STRINGs as left-aligned hex → the codec's form. Raises MapImportError."""
    if depth > 24:  # the deepest member of MapData lies 18 levels down
        raise MapImportError("nested too deeply for a MAP")
    if key in _BITS and isinstance(value, str):
        try:
            bits = "".join(f"{octet:08b}" for octet in bytes.fromhex(value))
        except ValueError:
            raise MapImportError(f"{key}: expected bits in hex, not {value[:40]!r}") from None
        return {"bits": bits[: _BITS[key]]}
    if isinstance(value, dict):
        return {name: from_hex_bits(inner, name, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        return [from_hex_bits(item, "", depth + 1) for item in value]
    return value
