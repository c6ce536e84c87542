"""Road markings as polygons, from the lanes of a site map.

Zebra stripes, lane and edge lines, stop lines, arrows and parking bays, all in site coordinates.
Widths follow GB 5768.3-2009: lines 0.15 m, stop lines 0.3 m, zebra bars 0.4 m with gaps of 0.6 m,
dashes of 2 m with gaps of 4 m.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsu.site.lanes import Direction, Lane, LaneKind, LaneRole, Maneuver, SiteMap

Floats = npt.NDArray[np.float64]

_LINE, _STOP, _BAR, _GAP = 0.15, 0.30, 0.4, 0.6
_DASH, _PAUSE = 2.0, 4.0
_NO_CHANGE = 30.0
"""m before a stop line where lanes may not be changed: a solid line."""


def marking_polygons(site_map: SiteMap) -> tuple[list[Floats], list[Floats]]:
    """The white and the yellow markings of a map, polygons K×2 in m."""
    white: list[Floats] = []
    yellow: list[Floats] = []
    approaches = [
        lane
        for lane in site_map.lanes
        if lane.kind is LaneKind.VEHICLE and lane.role is not LaneRole.CONNECTION
    ]
    places = [(lane, _places(lane)) for lane in approaches]
    for lane in approaches:
        _edges(lane, places, white, yellow)
        if lane.stop_line is not None:
            x, y, heading = lane.at(max(lane.stop_line - _STOP, 0.0))
            ahead = np.array([np.cos(heading), np.sin(heading)])
            white.append(band(np.array([(x, y), (x, y) + ahead * _STOP]), lane.width / 2))
        if lane.role is LaneRole.ENTRY and lane.length > 30.0:
            white.extend(_arrows(lane, site_map))
    for lane in site_map.lanes:
        if lane.kind is LaneKind.CROSSWALK:
            white.extend(_zebra(lane))
        elif lane.kind is LaneKind.BIKE:
            white.extend(band(_offset(lane.centreline, s * lane.width / 2), _LINE / 2)
                         for s in (-1, 1))  # fmt: skip
    for zone in site_map.bays:
        ring = np.concatenate((zone.ring, zone.ring[:1]))
        white.extend(band(ring[i : i + 2], 0.05) for i in range(len(ring) - 1))
    return white, yellow


def band(line: Floats, half: float, extend: float = 0.0) -> Floats:
    """The polygon around a polyline: `half` m to either side, `extend` m longer at both ends."""
    step = np.diff(line, axis=0)
    unit = step / np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, np.newaxis]
    tangent = np.concatenate((unit[:1], unit[:-1] + unit[1:], unit[-1:]))
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, np.newaxis]
    normal = np.stack((-tangent[:, 1], tangent[:, 0]), axis=1)
    ends = line.copy()
    ends[0] -= unit[0] * extend
    ends[-1] += unit[-1] * extend
    return np.concatenate((ends + normal * half, (ends - normal * half)[::-1]))


def _offset(line: Floats, by: float) -> Floats:
    """The polyline shifted to its left."""
    around = band(line, abs(by))
    half = len(line)
    return around[:half] if by > 0 else around[half:][::-1]


def _edges(
    lane: Lane, lanes: list[tuple[Lane, Floats]], white: list[Floats], yellow: list[Floats]
) -> None:
    """Lines on either side: dashed to a parallel lane, yellow to oncoming traffic, else solid."""
    x, y, heading = lane.at(lane.length / 2)
    left = np.array([-np.sin(heading), np.cos(heading)])
    for side in (1, -1):
        beside = np.array([x, y]) + left * side * lane.width
        other = _nearest(beside, lane, lanes)
        edge = _offset(lane.centreline, side * (lane.width / 2 - (0 if other else 0.1)))
        if other is None:
            white.append(band(edge, _LINE / 2))
            continue
        _, _, there = other
        if np.cos(there - heading) < 0:
            yellow.append(band(_offset(lane.centreline, side * (lane.width / 2 - 0.12)), _LINE / 2))
        elif side == 1:
            white.extend(_dashes(edge, lane.stop_line))


def _nearest(
    point: Floats, lane: Lane, lanes: list[tuple[Lane, Floats]]
) -> tuple[float, float, float] | None:
    """Where a neighbouring lane passes within half a lane of a point."""
    for other, places in lanes:
        if other is lane:
            continue
        near = np.flatnonzero(np.hypot(places[:, 0] - point[0], places[:, 1] - point[1]) < 1.6)
        if len(near):
            x, y, heading = places[near[0]].tolist()
            return x, y, heading
    return None


def _places(lane: Lane) -> Floats:
    """Position and heading every 2 m along, which is dense enough to meet a line within half a
    lane."""
    return np.array([lane.at(float(at)) for at in np.arange(0.0, lane.length, 2.0)]).reshape(-1, 3)


def _dashes(line: Floats, stop: float | None) -> list[Floats]:
    lane = Lane("", LaneKind.VEHICLE, line, 1.0)
    result = []
    station = 0.0
    solid = lane.length if stop is None else max(0.0, lane.length - _NO_CHANGE)
    while station < solid:
        end = min(station + _DASH, lane.length)
        result.append(band(np.array([lane.at(station)[:2], lane.at(end)[:2]]), _LINE / 2))
        station += _DASH + _PAUSE
    if solid < lane.length:
        result.append(band(np.array([lane.at(solid)[:2], lane.at(lane.length)[:2]]), _LINE / 2))
    return result


def _zebra(lane: Lane) -> list[Floats]:
    bars = []
    station = _GAP / 2
    while station + _BAR < lane.length:
        start, end = lane.at(station)[:2], lane.at(station + _BAR)[:2]
        bars.append(band(np.array([start, end]), lane.width / 2))
        station += _BAR + _GAP
    return bars


def _arrows(lane: Lane, site_map: SiteMap) -> list[Floats]:
    """One arrow some 12 m before the lane's end, with a head for each manoeuvre."""
    turns = {site_map.lane(name).maneuver for name in lane.successors} - {None}
    if not turns or lane.direction is Direction.BOTH:
        return []
    x, y, heading = lane.at(lane.length - 14.0)
    ahead = np.array([np.cos(heading), np.sin(heading)])
    left = np.array([-ahead[1], ahead[0]])

    def place(points: list[tuple[float, float]]) -> Floats:
        return np.array([(x, y) + ahead * along + left * across for along, across in points])

    shapes = [place([(0, -0.1), (0, 0.1), (3.2, 0.1), (3.2, -0.1)])]
    if Maneuver.STRAIGHT in turns:
        shapes.append(place([(3.0, -0.1), (3.0, 0.1), (4.0, 0.1), (4.0, -0.1)]))
        shapes.append(place([(4.0, -0.4), (4.0, 0.4), (5.6, 0.0)]))
    for turn, side in ((Maneuver.LEFT, 1), (Maneuver.RIGHT, -1)):
        if turn in turns:
            shapes.append(place([(2.8, 0), (3.2, 0), (4.0, side * 0.7), (3.6, side * 0.7)]))
            shapes.append(place([(3.0, side * 0.6), (4.6, side * 0.6), (3.9, side * 1.2)]))
    return shapes
