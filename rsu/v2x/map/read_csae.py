"""MAP of the Chinese sets, in JSON form or as OpenV2X writes it → `SourceMap`.

`source_map` takes MapData in the codec's JSON form (checked by encoding it, so that a wrong value
is named with its path). `from_openv2x` turns OpenV2X's rendering of XML as JSON (all text, lists
wrapped in their element's name, enumerations as keys) into that form.
"""

from __future__ import annotations

from typing import Any

from rsu.site.features import LaneKind
from rsu.v2x.codec import codec_for
from rsu.v2x.csae.units import LATITUDE_UNAVAILABLE, LONGITUDE_UNAVAILABLE, SPEED_UNAVAILABLE
from rsu.v2x.errors import CodecError
from rsu.v2x.map.csae import MANEUVER_BITS
from rsu.v2x.map.findings import MapImportError
from rsu.v2x.map.imported import SourceLane, SourceMap, SourceNode, SourceTurn
from rsu.v2x.map.links import Position, Rounded

KINDS = {
    "vehicle": LaneKind.VEHICLE,
    "crosswalk": LaneKind.CROSSWALK,
    "bikeLane": LaneKind.BIKE,
    "sidewalk": LaneKind.SIDEWALK,
    "trackedVehicle": LaneKind.TRACKED,
}
"""Alternatives of LaneTypeAttributes that carry road users on the move."""
ELEVATION_UNKNOWN = -4096
MAX_SPEED_TYPE = "vehicleMaxSpeed"


def source_map(value: Any, profile: str = "csae53_2020") -> SourceMap:
    """MapData in JSON form → records. Raises MapImportError for what is not of the profile."""
    try:
        codec_for(profile).encode({"mapFrame": value})
    except CodecError as error:
        raise MapImportError(f"not a MAP of {profile}: {error}") from error
    return _Reader(value).read()


class _Reader:
    def __init__(self, value: dict[str, Any]) -> None:
        self.nodes: list[dict[str, Any]] = value["nodes"]
        self.region: int | None = self.nodes[0]["id"].get("region")
        self.source = SourceMap(self.region)
        self.notes = self.source.notes

    def read(self) -> SourceMap:
        for node in self.nodes:
            number = self._number(node["id"])
            if number is None:
                continue
            place = node["refPos"]
            position = (place["long"], place["lat"])
            elevation = place.get("elevation", ELEVATION_UNKNOWN)
            height = None if elevation == ELEVATION_UNKNOWN else elevation / 10
            if position[0] == LONGITUDE_UNAVAILABLE or position[1] == LATITUDE_UNAVAILABLE:
                self.notes.append(f"node {number}: left out, its position is unavailable")
                continue
            self.source.nodes.append(SourceNode(number, position, height, node.get("name", "")))
            for link in node.get("inLinks", ()):
                self._link(link, number, position)
        return self.source

    def _number(self, name: dict[str, int]) -> int | None:
        if name.get("region") != self.region:
            self.notes.append(f"node {name}: left out, a site has one region ({self.region})")
            return None
        return name["id"]

    def _link(self, link: dict[str, Any], node: int, reference: Rounded) -> None:
        upstream = self._number(link["upstreamNodeId"])
        if upstream is None:
            return
        title = f"link {upstream} to {node}"
        speed = maximum_speed(link.get("speedLimits", ()), title, self.notes)
        if "points" in link:
            self.notes.append(f"{title}: its own points left out, a site map has lanes only")
        lanes = [
            lane
            for item in link["lanes"]
            if (lane := self._lane(item, upstream, node, reference, speed)) is not None
        ]
        self.source.lanes += lanes
        widths = [lane.width for lane in lanes if not lane.kind.on_foot and lane.width]
        stated = link["linkWidth"] / 100
        if abs(sum(widths) - stated) > 0.005:
            self.notes.append(
                f"{title}: linkWidth {stated:g} m left out, its lanes have {sum(widths):g} m"
            )
        said = {(turn.node, turn.group) for lane in lanes for turn in lane.turns}
        for movement in link.get("movements", ()):
            target = self._number(movement["remoteIntersection"])
            group = movement.get("phaseId") or None
            if target is not None and (target, group) not in said:
                self.notes.append(
                    f"{title}: movement to node {target}, phase {group}, left out: no lane has it"
                )

    def _lane(
        self, lane: dict[str, Any], upstream: int, node: int, reference: Rounded,
        link_speed: float | None,
    ) -> SourceLane | None:  # fmt: skip
        title = f"link {upstream} to {node}, lane {lane['laneID']}"
        attributes = lane.get("laneAttributes")
        kind = LaneKind.VEHICLE
        if attributes is None:
            self.notes.append(f"{title}: no type said, read as a vehicle lane")
        else:
            ((name, flags),) = attributes["laneType"].items()
            if name not in KINDS:
                self.notes.append(f"{title}: left out, a {name} carries no traffic")
                return None
            kind = KINDS[name]
            if "1" in flags["bits"]:
                self.notes.append(f"{title}: {name} attributes {flags['bits']} left out")
            if "1" in attributes.get("shareWith", {"bits": ""})["bits"]:
                shared = attributes["shareWith"]["bits"]
                self.notes.append(f"{title}: shareWith {shared} left out")
        if "1" in lane.get("maneuvers", {"bits": ""})["bits"][len(MANEUVER_BITS) :]:
            self.notes.append(f"{title}: maneuver flags beyond turns left out")
        width = lane.get("laneWidth")
        speed = maximum_speed(lane.get("speedLimits", ()), title, self.notes)
        return SourceLane(
            upstream=upstream,
            downstream=node,
            number=lane["laneID"],
            kind=kind,
            points=self._points(lane.get("points", ()), reference, title),
            width=width / 100 if width else None,
            speed_limit=link_speed if speed is None else speed,
            turns=tuple(
                turn for item in lane.get("connectsTo", ()) if (turn := self._turn(item, title))
            ),
        )

    def _turn(self, connection: dict[str, Any], title: str) -> SourceTurn | None:
        node = self._number(connection["remoteIntersection"])
        if node is None:
            return None
        target = connection.get("connectingLane", {})
        allowed = target.get("maneuver", {"bits": ""})["bits"]
        turns = tuple(name for name, bit in MANEUVER_BITS.items() if allowed[bit : bit + 1] == "1")
        if "1" in allowed[len(MANEUVER_BITS) :]:
            self.notes.append(f"{title}: maneuver flags {allowed} to node {node} left out")
        return SourceTurn(node, target.get("lane"), turns, connection.get("phaseId") or None)

    def _points(self, points: Any, reference: Rounded, title: str) -> tuple[Position, ...]:
        line: list[Position] = []
        for point in points:
            ((alternative, offset),) = point["posOffset"]["offsetLL"].items()
            position = (offset["lon"], offset["lat"])
            if alternative != "position-LatLon":
                position = (reference[0] + position[0], reference[1] + position[1])
            elif position[0] == LONGITUDE_UNAVAILABLE or position[1] == LATITUDE_UNAVAILABLE:
                self.notes.append(f"{title}: a point without a position left out")
                continue
            if not line or line[-1] != position:
                line.append(position)
        if any("offsetV" in point["posOffset"] for point in points):
            self.notes.append(f"{title}: heights left out, the runtime works on the road plane")
        return tuple(line)


def maximum_speed(limits: Any, title: str, notes: list[str]) -> float | None:
    """The general speed limit (m/s) among RegulatorySpeedLimits; the others go into the notes."""
    speed = None
    for limit in limits:
        if limit["type"] == MAX_SPEED_TYPE and limit["speed"] != SPEED_UNAVAILABLE:
            speed = limit["speed"] / 50
        else:
            notes.append(f"{title}: speed limit {limit['type']} left out")
    return speed


# --- OpenV2X --------------------------------------------------------------------------------------

_LISTS = {
    "nodes": "Node",
    "inLinks": "Link",
    "lanes": "Lane",
    "points": "RoadPoint",
    "connectsTo": "Connection",
    "movements": "Movement",
    "speedLimits": "RegulatorySpeedLimit",
}
_BIT_STRINGS = {"shareWith", "maneuvers", "maneuver"}
_TEXTS = {"name"}


def from_openv2x(document: Any) -> Any:
    """OpenV2X's JSON of a MAP → the codec's JSON form. Raises MapImportError."""
    return _plain(document, "", 0)


def _plain(value: Any, key: str, depth: int) -> Any:
    if depth > 20:  # the deepest member of MapData lies 16 levels down
        raise MapImportError("nested too deeply for a MAP")
    if key in _LISTS:
        return [_plain(item, "", depth + 1) for item in _unwrapped(value, key)]
    if key in _BIT_STRINGS:
        return {"bits": value}
    if isinstance(value, dict):
        if key == "laneType":
            return {name: {"bits": inner} for name, inner in value.items()}
        if key == "type" and len(value) == 1:
            return next(iter(value))
        return {name: _plain(inner, name, depth + 1) for name, inner in value.items()}
    return _whole(value, key) if isinstance(value, str) and key not in _TEXTS else value


def _unwrapped(value: Any, key: str) -> list[Any]:
    if not isinstance(value, dict) or list(value) != [_LISTS[key]]:
        raise MapImportError(f"{key}: expected an object with the one key {_LISTS[key]}")
    items = value[_LISTS[key]]
    # XML turned into JSON cannot tell a list of one from its element.
    return items if isinstance(items, list) else [items]


def _whole(text: str, key: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise MapImportError(f"{key}: expected a whole number, not {text[:40]!r}") from None
