"""Site map → MAP of T/CSAE 53-2020: `map_data` gives the content of `mapFrame`.

Nodes are the intersection and every node a link names. A node lists the links that end there; a
link its movements and lanes; a lane of the intersection its turns with phase, target node and
lane. Field by field in docs/map.md; ranges from facts: csae53-2020-fields.md, modules Map*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rsu.site.features import LaneKind, Maneuver
from rsu.site.lanes import Lane, SiteMap
from rsu.v2x import time
from rsu.v2x.csae import units
from rsu.v2x.csae.place import CHORD_ERRORS
from rsu.v2x.map.findings import Finding, MapExportError
from rsu.v2x.map.links import Link, LinkLane, Rounded, links_of, node_positions, thinned
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

POINTS = 31
"""PointList, SIZE (2..31)."""
LANES = LINKS = NODES = MOVEMENTS = 32
"""LaneList, LinkList, NodeList, MovementList, SIZE (1..32)."""
CONNECTIONS = 8
"""ConnectsToList, SIZE (1..8)."""
NAME_LETTERS = 63
"""DescriptiveName, IA5String (SIZE (1..63))."""
CHORD_ERROR = 0.1
"""m, default: a tenth of what separates a vehicle from the edge of a 3.5 m lane."""

MANEUVER_BITS = {
    Maneuver.STRAIGHT: 0,
    Maneuver.LEFT: 1,
    Maneuver.RIGHT: 2,
    Maneuver.U_TURN: 3,
}
"""AllowedManeuvers, 12 bits."""
LANE_TYPES = {
    LaneKind.VEHICLE: ("vehicle", 8, None),
    LaneKind.CROSSWALK: ("crosswalk", 16, None),
    LaneKind.BIKE: ("bikeLane", 16, None),
    LaneKind.SIDEWALK: ("sidewalk", 16, None),
    LaneKind.TRACKED: ("trackedVehicle", 16, None),
    LaneKind.PARKING_AISLE: ("vehicle", 8, 5),
}
"""Kind → alternative of LaneTypeAttributes, its bits, and the bit set (5: not for the public)."""


bits = units.bits


@dataclass(frozen=True, slots=True)
class MapPlace:
    """What a MAP says of the site beside its lanes; altitude None leaves the elevation out."""

    name: str
    region: int
    intersection: int
    altitude: float | None = None


def map_data(
    site: SiteMap, place: MapPlace, *, chord_error: float = CHORD_ERROR, count: int = 0
) -> tuple[dict[str, Any], list[Finding]]:
    """MapData in JSON form, without a time stamp, and warnings on what it leaves out.

    The map's reference is the site's origin. Raises MapExportError with everything missing.
    """
    return _Export(site, place, chord_error).map_data(count)


class MapWriter:
    """What one unit writes; a `rsu.v2x.writers.StandingWriter`.

    The map is made once, at the smallest chord error (0.1, 0.2, 0.5, 1 m) whose message `fits`:
    whether the whole content can be encoded and framed. Raises MapExportError with what the site
    map lacks, or where no message fits.
    """

    def __init__(self, unit: Unit, fits: Callable[[Content], bool]) -> None:
        altitude = unit.origin[2]
        name = unit.name if unit.name.isascii() and unit.name.isprintable() else ""
        place = MapPlace(name[:NAME_LETTERS], unit.region, unit.intersection, altitude)
        failed: MapExportError | None = None
        for chord_error in CHORD_ERRORS:
            try:
                value, findings = map_data(unit.site, place, chord_error=chord_error)
            except MapExportError as error:  # fewer points may do
                failed = error
                continue
            if fits({**value, "timeStamp": time.MINUTE_OF_YEAR_UNAVAILABLE}):
                self._data, self.findings, self.chord_error = value, findings, chord_error
                return
            failed = None
        raise failed or MapExportError(
            [Finding("", "", f"too large for a message, even {CHORD_ERRORS[-1]:g} m off the lanes")]
        )

    def content(self, count: int, time_ns: int | None) -> Content:
        """MapData; with `time_ns` its minute as time stamp."""
        stamp = {} if time_ns is None else {"timeStamp": time.minute_of_year(time_ns)}
        return {"msgCnt": count, **stamp, "nodes": self._data["nodes"]}


class _Export:
    def __init__(self, site: SiteMap, place: MapPlace, chord_error: float) -> None:
        self.site, self.place, self.chord_error = site, place, chord_error
        found = links_of(site, place.intersection)
        self.links, self.findings = found.links, found.findings
        frame = site.frame
        self.positions: dict[int, Rounded] = {
            **node_positions(site, self.links),
            place.intersection: (units.longitude(frame.longitude), units.latitude(frame.latitude)),
        }

    def map_data(self, count: int) -> tuple[dict[str, Any], list[Finding]]:
        """As the function of that name."""
        here = self.place.intersection
        if not any(link.downstream == here for link in self.links):
            self.findings.append(Finding("", "", f"no lane of a link leads to node {here}"))
        others = sorted(set(self.positions) - {here})
        nodes = [self._node(number) for number in (here, *others)]
        self._at_most("", "nodes", nodes, NODES)
        if errors := [finding for finding in self.findings if not finding.warning]:
            raise MapExportError(errors)
        return {"msgCnt": count % 128, "nodes": nodes}, self.findings

    def _node(self, number: int) -> dict[str, Any]:
        longitude, latitude = self.positions[number]
        position: dict[str, Any] = {"lat": latitude, "long": longitude}
        node: dict[str, Any] = {"id": self._id(number), "refPos": position}
        if number == self.place.intersection:
            if self.place.name:
                node["name"] = self.place.name
            if self.place.altitude is not None:
                position["elevation"] = units.elevation(self.place.altitude)
        links = [self._link(link) for link in self.links if link.downstream == number]
        if links:
            node["inLinks"] = links
            self._at_most("", f"links into node {number}", links, LINKS)
        return node

    def _link(self, link: Link) -> dict[str, Any]:
        name = f"link {link.upstream} to {link.downstream}"
        lanes = [self._lane(one, link) for one in link.lanes]
        roads = [one.lane for one in link.lanes if not one.lane.kind.on_foot]
        width = sum(_centimetres(lane.width) for lane in roads or [link.lanes[0].lane])
        out: dict[str, Any] = {"upstreamNodeId": self._id(link.upstream), "linkWidth": width}
        movements = sorted({pair for one in link.lanes for pair in self._movements(one, link)})
        if movements:
            out["movements"] = [
                {"remoteIntersection": self._id(node), **({"phaseId": phase} if phase else {})}
                for node, phase in movements
            ]
            self._at_most("", f"{name}: movements", movements, MOVEMENTS)
        self._at_most("", f"{name}: lanes", lanes, LANES)
        return {**out, "lanes": lanes}

    def _movements(self, one: LinkLane, link: Link) -> list[tuple[int, int]]:
        if one.lane.kind.on_foot:
            return [(link.downstream, one.lane.signal_group)] if one.lane.signal_group else []
        return [(turn.target.downstream_node or 0, turn.group or 0) for turn in one.turns]

    def _lane(self, one: LinkLane, link: Link) -> dict[str, Any]:
        lane = one.lane
        kind, size, flag = LANE_TYPES[lane.kind]
        out: dict[str, Any] = {
            "laneID": one.number,
            "laneWidth": _centimetres(lane.width),
            "laneAttributes": {
                "laneType": {kind: bits(size, () if flag is None else (flag,))}
            },
        }  # fmt: skip
        allowed = {MANEUVER_BITS[turn.maneuver] for turn in one.turns if turn.maneuver}
        if allowed:
            out["maneuvers"] = bits(12, allowed)
        connections = self._connections(one, link)
        if connections:
            out["connectsTo"] = connections
            self._at_most(lane.id, "successors", connections, CONNECTIONS)
        if lane.speed_limit is not None:
            limit = {"type": "vehicleMaxSpeed", "speed": units.speed(lane.speed_limit)}
            out["speedLimits"] = [limit]
        out["points"] = self._points(lane, link.downstream)
        return out

    def _connections(self, one: LinkLane, link: Link) -> list[dict[str, Any]]:
        if one.lane.kind.on_foot:
            # Walkers stay at the node; no target lane. The only place of a lane's own phase.
            group = one.lane.signal_group
            here = self._id(link.downstream)
            return [{"remoteIntersection": here, "phaseId": group}] if group else []
        out = []
        for turn in one.turns:
            assert turn.target.downstream_node is not None
            target: dict[str, Any] = {"lane": turn.target.lane_id}
            if turn.maneuver is not None:
                target["maneuver"] = bits(12, (MANEUVER_BITS[turn.maneuver],))
            connection: dict[str, Any] = {
                "remoteIntersection": self._id(turn.target.downstream_node),
                "connectingLane": target,
            }
            if turn.group is not None:
                connection["phaseId"] = turn.group
            out.append(connection)
        return out

    def _points(self, lane: Lane, node: int) -> list[dict[str, Any]]:
        reference = self.positions[node]
        line = thinned(self.site, lane, self.chord_error, POINTS, self.findings)
        return [
            {"posOffset": {"offsetLL": units.position_offset(*position, *reference)}}
            for position in line
        ]

    def _id(self, node: int) -> dict[str, int]:
        return {"region": self.place.region, "id": node}

    def _at_most(self, lane: str, what: str, items: list[Any], most: int) -> None:
        if len(items) > most:
            self.findings.append(Finding(lane, what, f"{len(items)}, at most {most} are allowed"))


def _centimetres(metres: float) -> int:
    return round(metres * 100)
