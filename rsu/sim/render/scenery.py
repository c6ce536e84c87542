"""What stands around the junction: houses, trees, lamp and signal posts, from the seed.

A map and a generator go in, `Scenery` comes out: coloured polygons in site coordinates with what
they belong to, and where the street lamps hang. Nothing stands on a lane of the map or on its
straight continuation. `unblocked` then drops, for one camera, what would hide the junction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from rsu.sim.render.style import Style
from rsu.sim.render.view import NEAR, View
from rsu.site.lanes import LaneKind, LaneRole, SiteMap, ZoneKind

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

CELL = 16.0
"""m; most questions about free ground are asked a few metres beside a lane."""
CONTINUED = 250.0
"""m by which roads go on beyond the map, for the eye only."""
KEEP_CLEAR = 45.0
"""m around the junction's middle within which no static thing may hide a lane from the camera."""
LAMP_HEIGHT, LAMP_SPACING = 8.0, 28.0
"""m; usual for urban roads of four lanes (CJJ 45-2015: spacing up to 3.5 mounting heights)."""
_STOREY, _BAY = 3.2, 3.6


@dataclass(frozen=True, eq=False)
class Item:
    """One static thing: quadrilaterals Q×4×3 (m), `colour` Q×3 reflectance, `glow` Q (1 where a
    window or lamp may shine), `foot` the outline on the ground (K×2) and `height` m for its
    shadow; `leafy` where the quadrilaterals lie criss-cross, not as built."""

    quads: Floats
    colour: Floats
    glow: Floats
    foot: Floats
    height: float
    leafy: bool = False


@dataclass(frozen=True, eq=False)
class Scenery:
    """Everything static; `lamps` L×3, m: the street lamps' lights."""

    items: tuple[Item, ...]
    lamps: Floats
    clear: Floats
    """Points (K×2) on lanes near the junction that must stay in view."""


def furnish(site_map: SiteMap, style: Style, rng: np.random.Generator) -> Scenery:
    """Scenery of a map; the same generator state gives the same."""
    plot = _Plot(site_map)
    items: list[Item] = []
    lamps = _posts(plot, site_map, items, rng)
    for _ in range(int(90 * style.building_density)):
        near = rng.random() < 0.5
        _house(plot, items, rng, far=not near)
    for index in range(int(110 * style.tree_density)):
        _tree(plot, items, rng, far=index % 3 == 0)
    around = np.hypot(*(plot.points - plot.middle).T) < KEEP_CLEAR
    return Scenery(tuple(items), lamps, plot.points[around])


def unblocked(scenery: Scenery, view: View) -> tuple[Item, ...]:
    """The items that hide no lane near the junction from this camera, nor stand at its mast."""
    targets = np.concatenate(
        [np.column_stack((scenery.clear, np.full(len(scenery.clear), z))) for z in (0.1, 1.6)]
    )
    pixels, depth = view.project(targets)
    inside = (
        (depth > NEAR)
        & (pixels >= 0.0).all(axis=1)
        & (pixels[:, 0] < view.width)
        & (pixels[:, 1] < view.height)
    )
    columns = pixels[inside].astype(np.intp)
    ranges = np.linalg.norm(targets[inside] - view.position, axis=1)
    kept = []
    for item in scenery.items:
        away = float(np.hypot(*(item.foot - view.position[:2]).T).min())
        if away < 6.0:  # the camera's own mast stands free
            continue
        if away < ranges.max(initial=0.0):
            mask = np.zeros((view.height, view.width), dtype=np.uint8)
            corners, ahead = view.project(item.quads.reshape(-1, 3))
            shape = np.round(np.clip(corners, -8000, 8000)).astype(np.int32).reshape(-1, 4, 2)
            for quad in shape[(ahead.reshape(-1, 4) > NEAR).all(axis=1)]:
                cv2.fillConvexPoly(mask, quad, 255)
            hidden = (mask[columns[:, 1], columns[:, 0]] > 0) & (ranges > away)
            if hidden.any():
                continue
        kept.append(item)
    return tuple(kept)


class _Plot:
    """The lanes as dense points with half widths, and what ground is taken."""

    def __init__(self, site_map: SiteMap) -> None:
        points, halves, headings = [], [], []
        for lane in site_map.lanes:
            start, end = 0.0, lane.length
            names = site_map.predecessors
            if lane.role is not LaneRole.CONNECTION and lane.kind is not LaneKind.CROSSWALK:
                start = start if names[lane.id] else -CONTINUED
                end = end if lane.successors else end + CONTINUED
            if lane.kind is LaneKind.SIDEWALK:
                start, end = -CONTINUED, lane.length + CONTINUED
                if lane.length < 20.0:  # a corner
                    start, end = 0.0, lane.length
            for station in np.arange(start, end + 2.5, 2.5):
                x, y, heading = lane.at(float(station))
                points.append((x, y))
                halves.append(lane.width / 2)
                headings.append(heading)
        self.points = np.array(points, dtype=np.float64).reshape(-1, 2)
        self.halves = np.array(halves)
        self.headings = np.array(headings)
        centres = [zone.centre for zone in site_map.zones if zone.kind is ZoneKind.JUNCTION]
        crossing = [
            lane.centreline.mean(axis=0)
            for lane in site_map.lanes
            if lane.role is LaneRole.CONNECTION
        ]
        chosen = centres or crossing or [lane.centreline.mean(axis=0) for lane in site_map.lanes]
        self.middle = np.array(chosen, dtype=np.float64).mean(axis=0)
        self.areas = [zone.ring for zone in site_map.zones if zone.kind is ZoneKind.BAY]
        self._taken: list[tuple[Floats, float]] = []
        self._widest = float(self.halves.max(initial=0.0))
        self._cells: dict[tuple[int, int], Rows] = {}

    def clearance(self, point: Floats) -> float:
        """m from a point to the edge of the nearest lane or taken ground; negative inside."""
        free = self._gap(point, self._near(point))
        if free > CELL - self._widest:  # somebody in a cell further on may be nearer
            free = self._gap(point, slice(None))
        for centre, radius in self._taken:
            free = min(free, float(np.hypot(*(centre - point))) - radius)
        for ring in self.areas:
            free = min(free, float(np.hypot(*(ring - point).T).min()) - 3.0)
        return free

    def _gap(self, point: Floats, rows: slice | Rows) -> float:
        gaps = np.hypot(*(self.points[rows] - point).T) - self.halves[rows]
        return float(gaps.min(initial=np.inf))

    def _near(self, point: Floats) -> Rows:
        """Rows of the lanes' points in the cell of a point and those around it."""
        x, y = (int(cell) for cell in np.floor(point / CELL))
        known = self._cells.get((x, y))
        if known is None:
            low, high = np.array([x - 1, y - 1]) * CELL, np.array([x + 2, y + 2]) * CELL
            inside = ((self.points >= low) & (self.points < high)).all(axis=1)
            known = self._cells[x, y] = np.flatnonzero(inside)
        return known

    def heading(self, point: Floats) -> float:
        """Direction of the nearest lane, rad."""
        return float(self.headings[int(np.argmin(np.hypot(*(self.points - point).T)))])

    def take(self, point: Floats, radius: float) -> None:
        self._taken.append((point, radius))


@dataclass
class _Quads:
    """Collects quadrilaterals."""

    quads: list[list[Floats]] = field(default_factory=list)
    colour: list[Floats] = field(default_factory=list)
    glow: list[float] = field(default_factory=list)

    def add(self, corners: list[Floats], colour: Floats, glow: float = 0.0) -> None:
        self.quads.append(corners)
        self.colour.append(colour)
        self.glow.append(glow)

    def box(self, place: Callable[[float, float, float], Floats], low: tuple[float, ...],
            high: tuple[float, ...], colour: Floats) -> None:  # fmt: skip
        (x0, y0, z0), (x1, y1, z1) = low, high
        ring = ((x0, y0), (x1, y0), (x1, y1), (x0, y1))
        for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True):
            self.add([place(ax, ay, z0), place(bx, by, z0), place(bx, by, z1), place(ax, ay, z1)],
                     colour)  # fmt: skip
        self.add([place(x, y, z1) for x, y in ring], colour)

    def item(self, foot: Floats, height: float, *, leafy: bool = False) -> Item:
        return Item(
            np.array(self.quads), np.array(self.colour), np.array(self.glow), foot, height, leafy
        )


def _placing(point: Floats, heading: float) -> Callable[[float, float, float], Floats]:
    cos, sin = float(np.cos(heading)), float(np.sin(heading))

    def place(x: float, y: float, z: float) -> Floats:
        return np.array([point[0] + x * cos - y * sin, point[1] + x * sin + y * cos, z])

    return place


def _house(plot: _Plot, items: list[Item], rng: np.random.Generator, *, far: bool) -> None:
    bearing = rng.uniform(-np.pi, np.pi)
    away = rng.uniform(110.0, 330.0) if far else rng.uniform(25.0, 120.0)
    point = plot.middle + away * np.array([np.cos(bearing), np.sin(bearing)])
    half = np.array([rng.uniform(6.0, 16.0), rng.uniform(5.0, 11.0)])
    storeys = int(rng.integers(2, 6)) if rng.random() < 0.65 else int(rng.integers(6, 14))
    wall = np.array([0.42, 0.46, 0.50]) * rng.uniform(0.45, 1.35) * rng.uniform(0.85, 1.1, 3)
    shine = rng.random(4000)
    radius = float(np.hypot(*half))
    if plot.clearance(point) < radius + 2.0:
        return
    plot.take(point, radius)
    place = _placing(point, plot.heading(point))
    quads = _Quads()
    glass = np.array([0.11, 0.10, 0.09])
    height = storeys * _STOREY
    x, y = half.tolist()
    ring = ((-x, -y), (x, -y), (x, y), (-x, y))
    count = 0
    for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True):
        bays = max(1, round(float(np.hypot(bx - ax, by - ay)) / (_BAY * (3.0 if far else 1.0))))
        floors = max(1, storeys // (3 if far else 1))
        for bay in range(bays):
            for floor in range(floors):

                def corner(u: float, v: float, bay: int = bay, floor: int = floor,
                           a: tuple[float, float] = (ax, ay), b: tuple[float, float] = (bx, by),
                           across: int = bays, up: int = floors) -> Floats:  # fmt: skip
                    share = (bay + u) / across
                    return place(a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share,
                                 height * (floor + v) / up)  # fmt: skip

                quads.add([corner(0, 0), corner(1, 0), corner(1, 1), corner(0, 1)], wall)
                count += 1
                glow = float(shine[count % len(shine)] < 0.3)
                inset = ((0.2, 0.3), (0.8, 0.3), (0.8, 0.85), (0.2, 0.85))
                quads.add([corner(u, v) for u, v in inset], glass, glow)
    roof = [place(px, py, height) for px, py in ring]
    quads.add(roof, wall * 0.6)
    items.append(quads.item(np.array(roof)[:, :2], height))


# A ball of 4 × 6 cells, unit radius.
_BALL = np.array([
    [
        (np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat))
        for lat, lon in ((a, b), (a, b + np.pi / 3), (a + np.pi / 4, b + np.pi / 3),
                         (a + np.pi / 4, b))
    ]
    for a in np.arange(-np.pi / 2, np.pi / 2 - 0.01, np.pi / 4)
    for b in np.arange(0.0, 2 * np.pi - 0.01, np.pi / 3)
])  # fmt: skip


def _tree(plot: _Plot, items: list[Item], rng: np.random.Generator, *, far: bool) -> None:
    bearing = rng.uniform(-np.pi, np.pi)
    away = rng.uniform(90.0, 300.0) if far else rng.uniform(18.0, 110.0)
    point = plot.middle + away * np.array([np.cos(bearing), np.sin(bearing)])
    height = float(rng.uniform(5.0, 11.0))
    blobs = rng.standard_normal((4 if far else 7, 3))
    tint = np.array([0.05, 0.15, 0.09]) * rng.uniform(0.6, 1.5) * rng.uniform(0.8, 1.2, 3)
    leaves = rng.uniform(0.65, 1.3, (len(blobs), len(_BALL)))
    if plot.clearance(point) < 1.2:
        return
    plot.take(point, 1.5)
    crown = height * 0.24
    quads = _Quads()
    quads.box(_placing(point, 0.0), (-0.14, -0.14, 0.0), (0.14, 0.14, height * 0.55),
              np.array([0.06, 0.08, 0.11]))  # fmt: skip
    for blob, shades in zip(blobs, leaves, strict=True):
        centre = np.array([*point, height - crown * 1.5]) + blob * crown * (0.5, 0.5, 0.35)
        cells = centre + _BALL * crown * (1.0, 1.0, 0.85)
        for corners, shade in zip(cells, shades, strict=True):
            quads.add(list(corners), tint * shade)
    angles = np.arange(8) * np.pi / 4
    foot = point + crown * 1.3 * np.stack((np.cos(angles), np.sin(angles)), axis=1)
    items.append(quads.item(foot, height * 0.8, leafy=True))


def _posts(plot: _Plot, site_map: SiteMap, items: list[Item], rng: np.random.Generator) -> Floats:
    """Street lamps along the approaches, and signal posts at stop lines."""
    lamps: list[Floats] = []
    steel = np.array([0.28, 0.28, 0.27])
    for lane in site_map.lanes:
        if lane.kind is not LaneKind.VEHICLE or lane.role not in (LaneRole.ENTRY, LaneRole.EXIT):
            continue
        for station in np.arange(float(rng.uniform(4.0, 12.0)), lane.length + 60.0, LAMP_SPACING):
            found = _beside(plot, lane.at(float(station)), lane.width)
            if found is None:
                continue
            point, towards = found
            plot.take(point, 6.0)
            place = _placing(point, towards)
            quads = _Quads()
            quads.box(place, (-0.09, -0.09, 0.0), (0.09, 0.09, LAMP_HEIGHT), steel)
            quads.box(place, (0.0, -0.05, LAMP_HEIGHT), (2.4, 0.05, LAMP_HEIGHT + 0.12), steel)
            head = [place(1.6, -0.15, 7.98), place(2.4, -0.15, 7.98), place(2.4, 0.15, 7.98),
                    place(1.6, 0.15, 7.98)]  # fmt: skip
            quads.add(head, np.array([0.8, 0.8, 0.8]), 1.0)
            foot = np.array(
                [
                    place(x, y, 0)[:2]
                    for x, y in ((-0.1, -0.1), (0.1, -0.1), (0.1, 0.1), (-0.1, 0.1))
                ]
            )
            items.append(quads.item(foot, LAMP_HEIGHT))
            lamps.append(place(2.0, 0.0, LAMP_HEIGHT))
    for lane in site_map.lanes:
        if lane.stop_line is None or lane.role is not LaneRole.ENTRY:
            continue
        found = _beside(plot, lane.at(lane.stop_line - 0.5), lane.width)
        if found is None:
            continue
        point, towards = found
        plot.take(point, 2.0)
        place = _placing(point, towards)
        quads = _Quads()
        quads.box(place, (-0.08, -0.08, 0.0), (0.08, 0.08, 3.4), steel)
        quads.box(place, (-0.17, -0.16, 2.5), (0.17, 0.16, 3.6), np.array([0.03, 0.03, 0.03]))
        foot = np.array(
            [place(x, y, 0)[:2] for x, y in ((-0.1, -0.1), (0.1, -0.1), (0.1, 0.1), (-0.1, 0.1))]
        )
        items.append(quads.item(foot, 3.6))
    return np.array(lamps, dtype=np.float64).reshape(-1, 3)


def _beside(
    plot: _Plot, at: tuple[float, float, float], width: float
) -> tuple[Floats, float] | None:
    """A free spot within 8 m to the right of a lane, and the direction back to the road."""
    x, y, heading = at
    right = np.array([np.sin(heading), -np.cos(heading)])
    for gap in np.arange(width / 2 + 0.4, width / 2 + 8.0, 0.4):
        point = np.array([x, y]) + right * gap
        if plot.clearance(point) > 0.35:
            return point, heading + np.pi / 2
    return None
