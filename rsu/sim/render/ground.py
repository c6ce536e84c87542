"""The ground from above: one square atlas of reflectances painted from the site map.

Asphalt under lanes and junctions, footways with slabs, kerbs, grass (or paving, or earth) around;
zebra stripes, lane lines, stop lines, arrows and bays from the map's own geometry. Widths of
markings follow GB 5768.3-2009 (lines 0.15 m, stop lines 0.3 m, zebra bars 0.4 m at 1.0 m).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rsu.sim.render.style import Style, Surround
from rsu.site.lanes import Direction, Lane, LaneKind, LaneRole, Maneuver, SiteMap, ZoneKind

Floats = npt.NDArray[np.float64]
Picture32 = npt.NDArray[np.float32]

CELL = 0.1
"""m per texel: a third of the narrowest marking would be finer than a pixel anywhere but below the
mast."""
REACH = 130.0
"""m around the map's middle that the atlas covers at most; beyond, the surround goes on."""
MARGIN = 15.0
LEVELS = 5
"""Halvings of the atlas, so that a pixel far away averages what it covers."""
_SHIFT = 4

_WHITE = np.array([0.74, 0.76, 0.76])
_YELLOW = np.array([0.16, 0.58, 0.70])
_LINE, _STOP, _BAR, _GAP = 0.15, 0.30, 0.4, 0.6
_DASH, _PAUSE = 2.0, 4.0


@dataclass(frozen=True, eq=False)
class Ground:
    """`levels`: the atlas (n×n×3 float32 reflectance, row 0 in the south) and its halvings, over
    the square from `corner` (west, south), m; `paved` where vehicles or walkers go (n×n, 0/255);
    `outside` the mean of the surround."""

    levels: tuple[Picture32, ...]
    road: npt.NDArray[np.uint8]
    corner: Floats
    outside: Floats

    def sample(self, points: Floats, footprint: Floats) -> Picture32:
        """Reflectance (N, 3) at ground points (N, 2), averaged over `footprint` (N,) m."""
        n = len(self.levels[0])
        level = np.clip(np.round(np.log2(np.maximum(footprint / CELL, 1.0))), 0, LEVELS - 1)
        result = np.empty((len(points), 3), dtype=np.float32)
        inside = (np.abs(points - self.corner - n * CELL / 2) < n * CELL / 2).all(axis=1)
        result[~inside] = self.outside
        for index, picture in enumerate(self.levels):
            chosen = np.flatnonzero(inside & (level == index))
            if not len(chosen):
                continue
            cells = ((points[chosen] - self.corner) / (CELL * 2**index)).astype(np.intp)
            cells = np.minimum(cells, len(picture) - 1)
            result[chosen] = picture[cells[:, 1], cells[:, 0]]
        return result


def paint_ground(site_map: SiteMap, style: Style, rng: np.random.Generator) -> Ground:
    """The atlas of a map; the same generator state gives the same atlas."""
    points = [lane.centreline for lane in site_map.lanes] + [zone.ring for zone in site_map.zones]
    every = np.concatenate(points) if points else np.zeros((1, 2))
    middle = (every.min(axis=0) + every.max(axis=0)) / 2
    reach = min(float(np.abs(every - middle).max()) + MARGIN, REACH)
    cells = 2 ** (LEVELS - 1) * int(np.ceil(2 * reach / CELL / 2 ** (LEVELS - 1)))
    corner = middle - cells * CELL / 2
    canvas = _Canvas(cells, corner)
    colours = _surround(style)
    canvas.image[:] = colours
    _grain(canvas.image, rng, style, 0.16 if style.surround is Surround.GRASS else 0.08)
    _lanes_and_ways(canvas, site_map, style, rng)
    road = canvas.road
    _markings(canvas, site_map, style, rng)
    np.clip(canvas.image, 0.01, 0.95, out=canvas.image)
    levels = [canvas.image]
    while len(levels) < LEVELS:
        half = len(levels[-1]) // 2
        levels.append(cv2.resize(levels[-1], (half, half), interpolation=cv2.INTER_AREA))  # type: ignore[arg-type]
    return Ground(tuple(levels), road, corner, colours)


class _Canvas:
    """A square picture with polygons in site coordinates."""

    def __init__(self, cells: int, corner: Floats) -> None:
        self.image: Picture32 = np.zeros((cells, cells, 3), dtype=np.float32)
        self.road = np.zeros((cells, cells), dtype=np.uint8)
        self.corner = corner

    def texels(self, points: Floats) -> npt.NDArray[np.int32]:
        scaled = ((points - self.corner) / CELL - 0.5) * 2**_SHIFT
        texels: npt.NDArray[np.int32] = np.round(scaled).astype(np.int32)
        return texels

    def mask(self, polygons: Iterable[Floats]) -> npt.NDArray[np.uint8]:
        mask = np.zeros(self.image.shape[:2], dtype=np.uint8)
        for polygon in polygons:
            cv2.fillPoly(mask, [self.texels(polygon)], 255, cv2.LINE_AA, _SHIFT)
        return mask

    def blend(self, mask: npt.NDArray[np.uint8], colour: Floats | Picture32) -> None:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            return
        box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        share = (mask[box].astype(np.float32) / np.float32(255))[..., np.newaxis]
        paint = colour[box] if colour.ndim == 3 else colour.astype(np.float32)
        self.image[box] += (paint - self.image[box]) * share


def _surround(style: Style) -> Floats:
    return {
        Surround.GRASS: np.array([0.075, 0.17, 0.125]),
        Surround.PAVED: np.array([0.30, 0.32, 0.33]),
        Surround.EARTH: np.array([0.13, 0.19, 0.25]),
    }[style.surround]


def _grain(image: Picture32, rng: np.random.Generator, style: Style, strength: float) -> None:
    """Multiply noise of several sizes onto a picture."""
    cells = len(image)
    total = np.zeros((cells, cells), dtype=np.float32)
    # 0.2 m, 1 m, 6 m and 30 m patches, in shares of the strength.
    for size, share in ((0.2, 0.6), (1.0, 0.5), (6.0, 0.5), (30.0, 0.5)):
        count = max(2, int(cells * CELL / size / style.texture_scale))
        small = rng.standard_normal((min(count, cells), min(count, cells)), dtype=np.float32)
        total += np.float32(share) * cv2.resize(
            small, (cells, cells), interpolation=cv2.INTER_LINEAR
        )
    image *= (1.0 + strength * style.texture * total)[..., np.newaxis]


def _band(line: Floats, half: float, extend: float = 0.0) -> Floats:
    """The polygon around a polyline, `half` m to either side."""
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
    band = _band(line, abs(by))
    half = len(line)
    return band[:half] if by > 0 else band[half:][::-1]


_WHEELED = (LaneKind.VEHICLE, LaneKind.BIKE, LaneKind.PARKING_AISLE, LaneKind.TRACKED)


def _lanes_and_ways(
    canvas: _Canvas, site_map: SiteMap, style: Style, rng: np.random.Generator
) -> None:
    drives = [lane for lane in site_map.lanes if lane.kind in _WHEELED]
    walks = [lane for lane in site_map.lanes if lane.kind is LaneKind.SIDEWALK]
    areas = [zone.ring for zone in site_map.zones if zone.kind in (ZoneKind.JUNCTION, ZoneKind.BAY)]
    slabs = np.full_like(canvas.image, 1.0)
    slabs *= np.array([0.34, 0.36, 0.37], dtype=np.float32) * np.float32(rng.uniform(0.75, 1.15))
    _grain(slabs, rng, style, 0.05)
    # Joints of 0.5 m slabs.
    joint = max(2, round(0.5 / CELL))
    slabs[::joint] *= 0.86
    slabs[:, ::joint] *= 0.86
    canvas.blend(canvas.mask(_band(lane.centreline, lane.width / 2, 0.5) for lane in walks), slabs)
    inner = canvas.mask([_band(lane.centreline, lane.width / 2, 0.3) for lane in drives] + areas)
    # The carriageway is closed over small gaps between lanes and a little wider than they are.
    closed = cv2.morphologyEx(inner, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    kerb = cv2.dilate(closed, np.ones((9, 9), np.uint8))
    canvas.blend(np.asarray(kerb, np.uint8), np.array([0.42, 0.43, 0.43]))
    asphalt = np.full_like(canvas.image, style.asphalt)
    asphalt *= np.array([1.02, 1.0, 0.98], dtype=np.float32)
    _grain(asphalt, rng, style, 0.07)
    road = np.asarray(cv2.dilate(closed, np.ones((5, 5), np.uint8)), np.uint8)
    # Oil and rubber darken the middle of lanes, tyres polish to its sides.
    for lane in drives:
        mask = canvas.mask([_band(lane.centreline, 0.45)])
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.3 / CELL), np.uint8)
        asphalt *= 1.0 - 0.10 * (mask.astype(np.float32) / 255.0)[..., np.newaxis]
    for _ in range(int(14 * style.texture)):  # patches of newer asphalt
        if not drives:
            break
        lane = drives[int(rng.integers(len(drives)))]
        x, y, heading = lane.at(float(rng.uniform(0.0, lane.length)))
        ahead = np.array([np.cos(heading), np.sin(heading)])
        long, wide = rng.uniform(0.5, 4.0), rng.uniform(0.4, 1.5)
        patch = _band(np.array([(x, y), (x, y) + ahead * long]), wide)
        mask = (canvas.mask([patch]) * 0.6).astype(np.uint8)
        shade = np.full(3, style.asphalt * float(rng.uniform(0.6, 1.35)), dtype=np.float64)
        held, canvas.image = canvas.image, asphalt
        canvas.blend(mask, shade)
        canvas.image = held
    canvas.blend(road, asphalt)
    canvas.road = road


def _markings(canvas: _Canvas, site_map: SiteMap, style: Style, rng: np.random.Generator) -> None:
    white: list[Floats] = []
    yellow: list[Floats] = []
    approaches = [
        lane
        for lane in site_map.lanes
        if lane.kind is LaneKind.VEHICLE and lane.role is not LaneRole.CONNECTION
    ]
    for lane in approaches:
        _edges(lane, approaches, white, yellow)
        if lane.stop_line is not None:
            x, y, heading = lane.at(max(lane.stop_line - _STOP, 0.0))
            ahead = np.array([np.cos(heading), np.sin(heading)])
            white.append(_band(np.array([(x, y), (x, y) + ahead * _STOP]), lane.width / 2))
        if lane.role is LaneRole.ENTRY and lane.length > 30.0:
            white.extend(_arrows(lane, site_map))
    for lane in site_map.lanes:
        if lane.kind is LaneKind.CROSSWALK:
            white.extend(_zebra(lane))
        elif lane.kind is LaneKind.BIKE:
            white.extend(_band(_offset(lane.centreline, s * lane.width / 2), _LINE / 2)
                         for s in (-1, 1))  # fmt: skip
    for zone in site_map.bays:
        ring = np.concatenate((zone.ring, zone.ring[:1]))
        white.extend(_band(ring[i : i + 2], 0.05) for i in range(len(ring) - 1))
    worn = np.clip(
        1.15 - style.wear - 0.5 * style.wear * _speckle(len(canvas.image), rng), 0.0, 1.0
    )
    for polygons, colour in ((white, _WHITE), (yellow, _YELLOW)):
        mask = canvas.mask(polygons).astype(np.float32) * worn
        mask[canvas.road == 0] = 0
        canvas.blend(mask.astype(np.uint8), colour)


def _speckle(cells: int, rng: np.random.Generator) -> Picture32:
    small = rng.standard_normal((cells // 4, cells // 4), dtype=np.float32)
    return np.asarray(cv2.resize(small, (cells, cells)), np.float32)


def _edges(lane: Lane, lanes: list[Lane], white: list[Floats], yellow: list[Floats]) -> None:
    """Lines on either side: dashed to a parallel lane, yellow to oncoming traffic, else solid."""
    x, y, heading = lane.at(lane.length / 2)
    left = np.array([-np.sin(heading), np.cos(heading)])
    for side in (1, -1):
        beside = np.array([x, y]) + left * side * lane.width
        other = _nearest(beside, lane, lanes)
        edge = _offset(lane.centreline, side * (lane.width / 2 - (0 if other else 0.1)))
        if other is None:
            white.append(_band(edge, _LINE / 2))
            continue
        _, _, there = other
        if np.cos(there - heading) < 0:
            yellow.append(
                _band(_offset(lane.centreline, side * (lane.width / 2 - 0.12)), _LINE / 2)
            )
        elif side == 1:
            white.extend(_dashes(edge, lane.stop_line))


def _nearest(point: Floats, lane: Lane, lanes: list[Lane]) -> tuple[float, float, float] | None:
    """Where a neighbouring lane passes within half a lane of a point."""
    for other in lanes:
        if other is lane:
            continue
        # Every 2 m is dense enough to meet a line within half a lane.
        for station in np.arange(0.0, other.length, 2.0):
            x, y, heading = other.at(float(station))
            if np.hypot(x - point[0], y - point[1]) < 1.6:
                return x, y, heading
    return None


def _dashes(line: Floats, stop: float | None) -> list[Floats]:
    lane = Lane("", LaneKind.VEHICLE, line, 1.0)
    result = []
    station = 0.0
    # No changing lanes in the last 30 m before a stop line: solid there.
    solid = lane.length if stop is None else max(0.0, lane.length - 30.0)
    while station < solid:
        end = min(station + _DASH, lane.length)
        result.append(_band(np.array([lane.at(station)[:2], lane.at(end)[:2]]), _LINE / 2))
        station += _DASH + _PAUSE
    if solid < lane.length:
        result.append(_band(np.array([lane.at(solid)[:2], lane.at(lane.length)[:2]]), _LINE / 2))
    return result


def _zebra(lane: Lane) -> list[Floats]:
    bars = []
    station = _GAP / 2
    while station + _BAR < lane.length:
        start, end = lane.at(station)[:2], lane.at(station + _BAR)[:2]
        bars.append(_band(np.array([start, end]), lane.width / 2))
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
