"""Site map → MAP of J2735 (2024): `map_data` gives the content of the frame with messageId 18.

One intersection; lanes in and out with nodes in cm from the reference point, the first at the stop
line (or where an exit lane begins) and the others away from it. Field by field in docs/map.md;
names and ranges from facts: j2735-2024-fields.md, MAP. `MapWriter` says it on the air, at the
smallest chord error whose message fits a packet.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from rsu.site.features import Direction, LaneKind, LaneRole
from rsu.site.lanes import Lane, SiteMap
from rsu.v2x import time
from rsu.v2x.csae import units
from rsu.v2x.map.csae import CHORD_ERROR, LANE_TYPES, MANEUVER_BITS, MapPlace, bits
from rsu.v2x.map.findings import Finding, MapExportError
from rsu.v2x.map.thinning import TooManyPointsError, thin
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

MESSAGE_ID = 18
"""DSRCmsgID of MAP."""
NODES = 63
"""NodeSetXY, SIZE (2..63)."""
CONNECTIONS = 16
"""ConnectsToList, SIZE (1..16)."""
LANES = 254
"""LaneID without 0 and 255."""
OFFSETS = (
    ("node-XY1", 10), ("node-XY2", 11), ("node-XY3", 12),
    ("node-XY4", 13), ("node-XY5", 14), ("node-XY6", 16),
)  # fmt: skip
"""Alternatives of NodeOffsetPointXY in cm and their bits, the smallest first."""
D_WIDTH = (-512, 511)
"""Offset-B10, cm."""
CHORD_ERRORS = (0.1, 0.2, 0.5, 1.0)
"""m, tried in turn: from a tenth of what separates a vehicle from the edge of a 3.5 m lane to all
of it."""
REVISIONS = 128
"""MsgCount, 0..127."""
NAME = 63
"""DescriptiveName, SIZE (1..63)."""


def map_data(
    site: SiteMap, place: MapPlace, *, chord_error: float = CHORD_ERROR, count: int = 0
) -> tuple[dict[str, Any], list[Finding]]:
    """MapData in JSON form, without a time stamp, and warnings on what it leaves out.

    Raises MapExportError with everything missing. Links and nodes are not needed: lanes are
    numbered within the intersection, by their own numbers where these differ, else in file order.
    """
    return _Export(site, place, chord_error).map_data(count)


def lanes_said(site: SiteMap) -> list[Lane]:
    """Lanes that an intersection's MAP describes: entries, exits and crosswalks, in file order."""
    return [
        lane
        for lane in site.lanes
        if lane.role in (LaneRole.ENTRY, LaneRole.EXIT) or lane.kind is LaneKind.CROSSWALK
    ]


def lane_numbers(lanes: list[Lane]) -> dict[str, int]:
    """Lane id → LaneID, unique within the intersection."""
    own = [lane.lane_id for lane in lanes]
    if None not in own and len(set(own)) == len(own):
        return {lane.id: lane.lane_id or 0 for lane in lanes}
    return {lane.id: index for index, lane in enumerate(lanes, start=1)}


class MapWriter:
    """The standing MAP of one unit; a `rsu.v2x.writers.StandingWriter`.

    msgIssueRevision and the intersection's revision count changes of the map, not messages, and are
    the same (as in the public samples of deployed units). The unit has no memory of the maps it
    said before, so the revision is a check sum of the content: the same map keeps it through a
    restart, another one has another in 127 of 128 cases.

    `fits` says whether a content fits a packet. Raises MapExportError with what is missing, or when
    the message does not fit even with a chord error of 1 m.
    """

    def __init__(self, unit: Unit, fits: Callable[[Content], bool]) -> None:
        name = unit.name if unit.name.isascii() and unit.name.isprintable() else ""
        place = MapPlace(name[:NAME], unit.region, unit.intersection, unit.origin[2])
        self.chord_error, self.findings, self._map = _smallest(unit.site, place, fits)

    def content(self, count: int, time_ns: int | None) -> Content:  # noqa: ARG002  see above
        """MapData; timeStamp, the minute of the year, only where the time is known."""
        if time_ns is None:
            return dict(self._map)
        return {"timeStamp": time.minute_of_year(time_ns), **self._map}


def _smallest(
    site: SiteMap, place: MapPlace, fits: Callable[[Content], bool]
) -> tuple[float, list[Finding], Content]:
    missing: MapExportError | None = None
    for chord_error in CHORD_ERRORS:
        try:
            value, findings = map_data(site, place, chord_error=chord_error)
        except MapExportError as error:
            missing = error  # fewer points may help
            continue
        revision = zlib.crc32(repr(value).encode()) % REVISIONS
        value["msgIssueRevision"] = revision
        for intersection in value["intersections"]:
            intersection["revision"] = revision
        if fits({"timeStamp": time.MINUTE_OF_YEAR_UNAVAILABLE, **value}):
            return chord_error, findings, value
        missing = None
    raise missing or MapExportError(
        [Finding("", "lanes", f"one message does not hold them, even to {CHORD_ERRORS[-1]:g} m")]
    )


class _Export:
    def __init__(self, site: SiteMap, place: MapPlace, chord_error: float) -> None:
        self.site, self.place, self.chord_error = site, place, chord_error
        self.lanes = lanes_said(site)
        self.numbers = lane_numbers(self.lanes)
        self.findings: list[Finding] = []
        widths = Counter(round(lane.width * 100) for lane in self.lanes)
        # Of equally frequent widths the largest, so that the message does not depend on order.
        self.width = max(widths, key=lambda width: (widths[width], width), default=0)

    def map_data(self, count: int) -> tuple[dict[str, Any], list[Finding]]:
        """As the function of that name."""
        if not any(lane.role is LaneRole.ENTRY for lane in self.lanes):
            self.findings.append(Finding("", "", "no lane has the role entry"))
        if len(self.lanes) > LANES:
            self.findings.append(Finding("", "lanes", f"{len(self.lanes)}, at most {LANES}"))
        for lane in self.site.lanes:
            if lane.role is None and lane.kind is not LaneKind.CROSSWALK:
                self.findings.append(
                    Finding(lane.id, "role", f"a {lane.kind} lane without a role is left out", True)
                )
        frame = self.site.frame
        reference = {
            "lat": units.latitude(frame.latitude),
            "long": units.longitude(frame.longitude),
        }
        if self.place.altitude is not None:
            reference["elevation"] = units.elevation(self.place.altitude)
        intersection: dict[str, Any] = {
            "id": {"region": self.place.region, "id": self.place.intersection},
            "revision": count % 128,
            "refPoint": reference,
            "laneWidth": self.width,
            "laneSet": [
                self._lane(lane)
                for lane in sorted(self.lanes, key=lambda one: self.numbers[one.id])
            ],
        }
        if self.place.name:
            intersection["name"] = self.place.name
        if errors := [finding for finding in self.findings if not finding.warning]:
            raise MapExportError(errors)
        value = {
            "msgIssueRevision": count % 128,
            "layerType": "intersectionData",
            "intersections": [intersection],
        }
        return value, self.findings

    def _lane(self, lane: Lane) -> dict[str, Any]:
        kind, size, flag = LANE_TYPES[lane.kind]
        inward = lane.role is LaneRole.ENTRY
        both = lane.direction is Direction.BOTH
        connections, allowed = self._connections(lane)
        out: dict[str, Any] = {
            "laneID": self.numbers[lane.id],
            "laneAttributes": {
                # Bit 0: towards the intersection; bit 1: away from it.
                "directionalUse": {"bits": "11" if both else "10" if inward else "01"},
                "sharedWith": bits(10, ()),
                "laneType": {kind: bits(size, () if flag is None else (flag,))},
            },
            "nodeList": {"nodes": self._nodes(lane)},
        }
        if allowed:
            out["maneuvers"] = bits(12, allowed)
        if connections:
            out["connectsTo"] = connections
            if len(connections) > CONNECTIONS:
                self.findings.append(
                    Finding(lane.id, "successors", f"{len(connections)}, at most {CONNECTIONS}")
                )
        return out

    def _connections(self, lane: Lane) -> tuple[list[dict[str, Any]], set[int]]:
        if lane.kind.on_foot:
            # A connection must name a lane; one who walks stays on the crosswalk.
            if lane.signal_group is None:
                return [], set()
            own = {"lane": self.numbers[lane.id]}
            return [{"connectingLane": own, "signalGroup": lane.signal_group}], set()
        out: list[dict[str, Any]] = []
        allowed: set[int] = set()
        if lane.role is not LaneRole.ENTRY:
            return out, allowed
        for name in lane.successors:
            path = self.site.lane(name)
            ends = path.successors if path.role is LaneRole.CONNECTION else (name,)
            for end in ends:
                if end not in self.numbers:
                    self.findings.append(
                        Finding(path.id, "successors", f"leads to {end}, which is no exit lane")
                    )
                    continue
                target: dict[str, Any] = {"lane": self.numbers[end]}
                if path.maneuver is not None:
                    bit = MANEUVER_BITS[path.maneuver]
                    allowed.add(bit)
                    target["maneuver"] = bits(12, (bit,))
                connection: dict[str, Any] = {"connectingLane": target}
                if path.signal_group is not None:
                    connection["signalGroup"] = path.signal_group
                out.append(connection)
        out.sort(key=lambda one: (one["connectingLane"]["lane"], str(one)))
        return out, allowed

    def _nodes(self, lane: Lane) -> list[dict[str, Any]]:
        line = lane.centreline
        if lane.role is LaneRole.ENTRY:
            if lane.stop_line is None:
                self.findings.append(
                    Finding(lane.id, "stop_line", "missing: an entry lane ends at its stop line")
                )
            elif lane.stop_line < lane.length - 0.005:
                x, y, _ = lane.at(lane.stop_line)
                line = np.vstack((line[lane.stations < lane.stop_line], (x, y)))
            line = line[::-1]
        cells = np.floor(line * 100 + 0.5).astype(np.int64)
        changes = np.any(np.diff(cells, axis=0) != 0, axis=1)
        cells = cells[np.concatenate(([True], changes))]
        if len(cells) < 2:
            self.findings.append(Finding(lane.id, "geometry", "shorter than the rounding (1 cm)"))
            return []
        try:
            kept = thin(cells / 100.0, self.chord_error, NODES)
        except TooManyPointsError as error:
            self.findings.append(Finding(lane.id, "geometry", str(error)))
            return []
        steps = np.diff(np.vstack(([0, 0], cells[kept])), axis=0).tolist()
        nodes = [{"delta": self._delta(lane, x, y)} for x, y in steps]
        if attributes := self._attributes(lane):
            nodes[0]["attributes"] = attributes
        return nodes

    def _delta(self, lane: Lane, x: int, y: int) -> dict[str, Any]:
        for name, size in OFFSETS:
            if -(1 << size - 1) <= min(x, y) and max(x, y) < 1 << size - 1:
                return {name: {"x": x, "y": y}}
        self.findings.append(
            Finding(lane.id, "geometry", "a step of more than 327 m between two vertices")
        )
        return {}

    def _attributes(self, lane: Lane) -> dict[str, Any]:
        out: dict[str, Any] = {}
        if lane.speed_limit is not None:
            limit = {"type": "vehicleMaxSpeed", "speed": units.speed(lane.speed_limit)}
            out["data"] = [{"speedLimits": [limit]}]
        wider = round(lane.width * 100) - self.width
        if wider:
            low, high = D_WIDTH
            if not low <= wider <= high:
                self.findings.append(
                    Finding(lane.id, "width", f"differs by {wider} cm from the intersection's")
                )
            out["dWidth"] = wider
        return out
