"""MAP read from elsewhere → lanes of a site: records in, a GeoJSON document and notes out.

Readers of every form fill a `SourceMap`; `lane_features` turns it into the features of
docs/site-map.md. What the source does not say stays out, what it says beyond a site map is listed
in the notes, and both name the place.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rsu.site.features import LaneKind, LaneRole, Maneuver
from rsu.site.geojson import metres
from rsu.v2x.map.findings import MapImportError
from rsu.v2x.map.links import Position


@dataclass(frozen=True, slots=True)
class SourceTurn:
    """A connection of a lane: node reached, its lane, what it allows, its phase; None: not said."""

    node: int | None
    lane: int | None = None
    maneuvers: tuple[Maneuver, ...] = ()
    group: int | None = None


@dataclass(frozen=True, slots=True)
class SourceLane:
    """One lane of the link `upstream` → `downstream`, or of an intersection without links.

    Points run in driving direction; widths are m, speeds m/s. `role` is for sources without links.
    """

    upstream: int | None
    downstream: int | None
    number: int
    kind: LaneKind
    points: tuple[Position, ...] = ()
    width: float | None = None
    speed_limit: float | None = None
    turns: tuple[SourceTurn, ...] = ()
    role: LaneRole | None = None

    @property
    def title(self) -> str:
        if self.upstream is None:
            return f"lane {self.number}"
        return f"link {self.upstream} to {self.downstream}, lane {self.number}"


@dataclass(frozen=True, slots=True)
class SourceNode:
    """A node and where it is (longitude and latitude in 1e-7 degree; elevation in m)."""

    number: int
    position: Position
    elevation: float | None = None
    name: str = ""


@dataclass(slots=True)
class SourceMap:
    """Everything a source says of one region; `notes` lists what a site map cannot hold."""

    region: int | None
    nodes: list[SourceNode] = field(default_factory=list)
    lanes: list[SourceLane] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Lanes:
    """A GeoJSON document of lanes, the node taken as the site's intersection, and the notes."""

    document: dict[str, Any]
    node: SourceNode
    notes: tuple[str, ...]


def lane_features(
    source: SourceMap, *, node: int | None = None, lane_width: float | None = None
) -> Lanes:
    """The lanes of a source as seen from one intersection.

    `node` chooses the intersection (default: the one with the most turns); `lane_width` (m) is for
    lanes the source gives no width. Raises MapImportError where no lane is left.
    """
    return _Lanes(source, _intersection(source, node), lane_width).result()


def _intersection(source: SourceMap, wanted: int | None) -> SourceNode:
    nodes = {node.number: node for node in source.nodes}
    if wanted is not None:
        if wanted not in nodes:
            known = ", ".join(map(str, sorted(nodes)))
            raise MapImportError(f"the source has no node {wanted}, only {known}")
        return nodes[wanted]
    turns = Counter(dict.fromkeys(nodes, 0))
    for lane in source.lanes:
        if lane.downstream is not None:
            turns[lane.downstream] += len(lane.turns)
    if not turns:
        raise MapImportError("the source has no nodes")
    return nodes[max(turns, key=lambda number: turns[number])]


class _Lanes:
    def __init__(self, source: SourceMap, node: SourceNode, lane_width: float | None) -> None:
        self.source, self.node, self.lane_width = source, node, lane_width
        self.notes = list(source.notes)
        self.features: list[dict[str, Any]] = []
        self.kept: dict[tuple[int | None, int | None], dict[int, SourceLane]] = {}
        self.widths: dict[str, float] = {}
        self.taken: Counter[str] = Counter()

    def result(self) -> Lanes:
        for lane in self.source.lanes:
            if self._usable(lane):
                self.kept.setdefault((lane.upstream, lane.downstream), {})[lane.number] = lane
        connections: list[dict[str, Any]] = []
        for lanes in self.kept.values():
            for lane in lanes.values():
                self._add(lane, connections)
        if not self.features:
            raise MapImportError("\n".join(["no lane can be used", *self.notes]))
        if connections:
            self.notes.append(
                f"{len(connections)} connections: the source says where they lead but not how they "
                "run; each is drawn straight from lane to lane and as wide as the lane it leaves"
            )
        features = self.features + connections
        document = {"type": "FeatureCollection", "features": features}
        return Lanes(document, self.node, tuple(self.notes))

    def _usable(self, lane: SourceLane) -> bool:
        problem = ""
        if not 1 <= lane.number <= 254:
            problem = "lane numbers are 1..254"
        elif lane.number in self.kept.get((lane.upstream, lane.downstream), {}):
            problem = "the number is taken within the link"
        elif len(set(lane.points)) < 2:
            problem = "it has no points"
        elif (lane.width or self.lane_width) is None:
            problem = "it has no width (state one for such lanes)"
        if problem:
            self.notes.append(f"{lane.title}: left out, {problem}")
        return not problem

    def _add(self, lane: SourceLane, connections: list[dict[str, Any]]) -> None:
        name, here = _name(lane), self.node.number
        role = {lane.downstream: LaneRole.ENTRY, lane.upstream: LaneRole.EXIT}.get(here, lane.role)
        properties: dict[str, Any] = {"id": name, "kind": lane.kind.value}
        width = lane.width or self.lane_width
        assert width is not None
        if not lane.kind.on_foot and role is not None:
            properties["role"] = role.value
        properties["width"] = width
        if lane.speed_limit is not None:
            properties["speed_limit"] = lane.speed_limit
        if lane.upstream is not None:
            properties |= {"upstream_node": lane.upstream, "downstream_node": lane.downstream}
        properties["lane_id"] = lane.number
        if lane.kind.on_foot:
            groups = sorted({turn.group for turn in lane.turns if turn.group})
            if groups:
                properties["signal_group"] = groups[0]
            if len(groups) > 1:
                self.notes.append(f"{lane.title}: signal groups {groups[1:]} left out")
        else:
            successors = [
                successor
                for turn in lane.turns
                for successor in self._turn(lane, turn, width, connections)
            ]
            if successors:
                properties["successors"] = list(dict.fromkeys(successors))
            if role is LaneRole.ENTRY:
                # The last point of a lane is the centre of its stop line (facts: peers.md).
                properties["stop_line"] = _length_up(lane.points)
        self.features.append(_feature(properties, lane.points))

    def _turn(
        self,
        lane: SourceLane,
        turn: SourceTurn,
        width: float,
        connections: list[dict[str, Any]],
    ) -> list[str]:
        goal = f"lane {turn.lane}" if turn.node is None else f"node {turn.node}"
        where = f"{lane.title}: turn to {goal}"
        target = self.kept.get((lane.downstream, turn.node), {}).get(turn.lane or 0)
        if turn.lane is None or target is None:
            missing = "names no lane" if turn.lane is None else f"has no usable lane {turn.lane}"
            self.notes.append(f"{where}: left out, the source {missing}")
            return []
        if not turn.maneuvers:
            if turn.group is not None:
                self.notes.append(f"{where}: signal group {turn.group} left out, no maneuver said")
            return [_name(target)]
        if len(turn.maneuvers) > 1:
            self.notes.append(
                f"{where}: drawn once for each of its {len(turn.maneuvers)} maneuvers"
            )
        names = []
        for maneuver in turn.maneuvers:
            name = f"c{_name(lane).removeprefix('lane')}"
            name += f"-{turn.lane}" if turn.node is None else f"-{turn.node}-{turn.lane}"
            self.taken[name] += 1
            if self.taken[name] > 1:
                name += f"-{self.taken[name]}"
            properties: dict[str, Any] = {
                "id": name,
                "kind": lane.kind.value,
                "role": LaneRole.CONNECTION.value,
                "maneuver": maneuver.value,
                "width": width,
            }
            if turn.group is not None:
                properties["signal_group"] = turn.group
            properties["successors"] = [_name(target)]
            ends = (lane.points[-1], target.points[0])
            if ends[0] == ends[1]:
                self.notes.append(f"{where}: its lane starts where this one ends, no connection")
                return [_name(target)]
            connections.append(_feature(properties, ends))
            names.append(name)
        return names


def _name(lane: SourceLane) -> str:
    if lane.upstream is None:
        return f"lane-{lane.number}"
    return f"lane-{lane.upstream}-{lane.downstream}-{lane.number}"


def _feature(properties: dict[str, Any], points: tuple[Position, ...]) -> dict[str, Any]:
    coordinates = [[longitude / 1e7, latitude / 1e7] for longitude, latitude in points]
    geometry = {"type": "LineString", "coordinates": coordinates}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _length_up(points: tuple[Position, ...]) -> float:
    """Length of a line, m, to the next dm up (reading the map cuts it back to the line's end)."""
    origin = (points[0][1] / 1e7, points[0][0] / 1e7)
    line = [metres((longitude / 1e7, latitude / 1e7), origin) for longitude, latitude in points]
    length = sum(math.dist(a, b) for a, b in pairwise(line))
    return math.ceil(length * 1.001 * 10) / 10
