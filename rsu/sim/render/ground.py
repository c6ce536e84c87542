"""The ground from above: an atlas of how bright it shows, painted from the site map.

Asphalt under lanes and junctions, footways with slabs, kerbs, grass (or paving, or earth) around;
zebra stripes, lane lines, stop lines, arrows and bays from the map's own geometry
(`rsu.sim.render.markings`). A coarser atlas around it lets the roads go on beyond the map.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rsu.sim.render.light import GAMMA
from rsu.sim.render.markings import band, marking_polygons
from rsu.sim.render.scenery import CONTINUED
from rsu.sim.render.style import Style, Surround
from rsu.site.lanes import Lane, LaneKind, LaneRole, SiteMap, ZoneKind

Floats = npt.NDArray[np.float64]
Picture32 = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

CELL = 0.1
"""m per texel: finer than a pixel sees anywhere but right below the mast."""
REACH = 130.0
"""m around the map's middle that the fine atlas covers at most."""
FAR_CELL, FAR_CELLS = 0.8, 1024
"""The coarse atlas: 820 m across."""
MARGIN = 15.0
LEVELS = 5
"""The atlas and its halvings, so that a pixel far away averages what it covers."""
_SHIFT = 4
_WHEELED = (LaneKind.VEHICLE, LaneKind.BIKE, LaneKind.PARKING_AISLE, LaneKind.TRACKED)
_WHITE = (0.74, 0.76, 0.76)
_YELLOW = (0.16, 0.58, 0.70)
_KERB = (0.42, 0.43, 0.43)


@dataclass(frozen=True, eq=False)
class Ground:
    """Pictures from above (n×n×3 uint8, display value under white light, row 0 in the south):
    `levels` the fine atlas from `corner` (west, south; m) and its halvings, `far` the coarse one
    from `far_corner`; `outside` the value beyond both. Seen from near, markings have sharp edges:
    `plain` is the fine atlas without them, `marks` how much of a texel is white and yellow, and
    how much of that paint is left (n×n×3 uint8)."""

    levels: tuple[Image, ...]
    plain: Image
    marks: Image
    corner: Floats
    far: Image
    far_corner: Floats
    outside: Floats

    def sample(self, points: Floats, footprint: Floats) -> Picture32:
        """Display values (N, 3; 1 is white) at ground points (N, 2), averaged over `footprint`
        (N,) m."""
        result = np.empty((len(points), 3), dtype=np.float32)
        result[:] = self.outside
        size = len(self.far) * FAR_CELL
        local = points - self.far_corner
        wide = np.flatnonzero((np.abs(local - size / 2) < size / 2 - FAR_CELL).all(axis=1))
        _pick(result, wide, self.far, local[wide] / FAR_CELL)
        size = len(self.levels[0]) * CELL
        local = points - self.corner
        inside = (np.abs(local - size / 2) < size / 2 - CELL * 16).all(axis=1)
        level = np.clip(np.round(np.log2(np.maximum(footprint / CELL, 1.0))), 0, LEVELS - 1)
        for index, picture in enumerate(self.levels):
            chosen = np.flatnonzero(inside & (level == index))
            if index == 0:
                result[chosen] = self._close(local[chosen] / CELL, footprint[chosen])
            else:
                _pick(result, chosen, picture, local[chosen] / (CELL * 2**index))
        return result

    def _close(self, cells: Floats, footprint: Floats) -> Picture32:
        """Values where a pixel is smaller than a texel: the edge of paint runs where it covers
        half of a texel, and is as wide as the pixel."""
        rows = np.arange(len(cells))
        result = np.empty((len(cells), 3), dtype=np.float32)
        marks = np.empty_like(result)
        _pick(result, rows, self.plain, cells)
        _pick(marks, rows, self.marks, cells)
        slope = np.clip(CELL / np.maximum(footprint, 1e-3), 1.0, 8.0).astype(np.float32)
        for channel, colour in enumerate((_WHITE, _YELLOW)):
            covered = np.clip((marks[:, channel] - 0.5) * slope + 0.5, 0.0, 1.0) * marks[:, 2]
            paint = np.array(_display(colour), dtype=np.float32) / np.float32(255.0)
            result += (paint - result) * covered[:, np.newaxis]
        return result


def _pick(result: Picture32, rows: npt.NDArray[np.intp], picture: Image, cells: Floats) -> None:
    """Bilinear values of a picture into rows of the result."""
    if not len(rows):
        return
    # A remap takes at most 2^15 rows at once.
    places = (cells - 0.5).astype(np.float32)
    for start in range(0, len(rows), 1 << 14):
        part = places[start : start + (1 << 14), np.newaxis]
        seen = cv2.remap(
            picture, part[..., 0], part[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        result[rows[start : start + (1 << 14)]] = seen[:, 0].astype(np.float32) / 255.0


def paint_ground(site_map: SiteMap, style: Style, rng: np.random.Generator) -> Ground:
    """The atlas of a map; the same generator state gives the same atlas."""
    points = [lane.centreline for lane in site_map.lanes] + [zone.ring for zone in site_map.zones]
    every = np.concatenate(points) if points else np.zeros((1, 2))
    middle = (every.min(axis=0) + every.max(axis=0)) / 2
    reach = min(float(np.abs(every - middle).max()) + MARGIN, REACH)
    cells = 2 ** (LEVELS - 1) * int(np.ceil(2 * reach / CELL / 2 ** (LEVELS - 1)))
    palette = _Palette(style, rng)
    near = _Canvas(cells, CELL, middle - cells * CELL / 2, palette.surround)
    _surfaces(near, site_map, palette, rng)
    marks = _markings(near, site_map, style, rng)
    far = _Canvas(FAR_CELLS, FAR_CELL, middle - FAR_CELLS * FAR_CELL / 2, palette.surround)
    _surfaces(far, site_map, palette, rng, continued=True)
    plain = near.textured(style, rng)
    levels = [_marked(plain, marks)]
    while len(levels) < LEVELS:
        half = len(levels[-1]) // 2
        smaller = cv2.resize(levels[-1], (half, half), interpolation=cv2.INTER_AREA)
        levels.append(np.asarray(smaller, np.uint8))
    return Ground(
        tuple(levels), plain, marks, near.corner, far.textured(style, rng), far.corner,
        np.array(palette.surround) ** GAMMA,
    )  # fmt: skip


class _Palette:
    """Reflectances (BGR) of the surfaces in one style."""

    def __init__(self, style: Style, rng: np.random.Generator) -> None:
        tone = rng.uniform(0.85, 1.15)
        green, grey, brown = (0.075, 0.17, 0.125), (0.30, 0.32, 0.33), (0.13, 0.19, 0.25)
        kinds = {Surround.GRASS: green, Surround.PAVED: grey, Surround.EARTH: brown}
        self.surround = tuple(float(v * tone) for v in kinds[style.surround])
        slab = float(rng.uniform(0.22, 0.42))
        self.slabs = (slab * 0.94, slab * 0.99, slab)
        self.asphalt = (style.asphalt * 1.02, style.asphalt, style.asphalt * 0.98)
        self.rough = 0.15 if style.surround is Surround.GRASS else 0.08


class _Canvas:
    """A square picture with polygons in site coordinates; `gain` carries what only brightens or
    darkens (128 is 1), `rough` how much grain a surface has (255 is a relative 1 σ of 0.25)."""

    def __init__(self, cells: int, cell: float, corner: Floats, colour: tuple[float, ...]) -> None:
        self.image: Image = np.empty((cells, cells, 3), dtype=np.uint8)
        self.image[:] = _display(colour)
        self.gain = np.full((cells, cells), 128, dtype=np.uint8)
        self.rough = np.zeros((cells, cells), dtype=np.uint8)
        self.cell = cell
        self.corner = corner

    def texels(self, points: Floats) -> npt.NDArray[np.int32]:
        scaled = ((points - self.corner) / self.cell - 0.5) * 2**_SHIFT
        texels: npt.NDArray[np.int32] = np.round(scaled).astype(np.int32)
        return texels

    def fill(
        self, layer: Image, polygons: Iterable[Floats], value: tuple[float, ...] | int
    ) -> None:
        for polygon in polygons:
            colour = value if isinstance(value, tuple) else (float(value),)
            cv2.fillPoly(layer, [self.texels(polygon)], colour, cv2.LINE_AA, _SHIFT)

    def textured(self, style: Style, rng: np.random.Generator) -> Image:
        """The picture with its grain."""
        cells = len(self.image)
        grain = np.zeros((cells, cells), dtype=np.float32)
        # Patches of 0.2, 1, 6 and 30 m with shares of the whole.
        for size, share in ((0.2, 0.6), (1.0, 0.5), (6.0, 0.5), (30.0, 0.5)):
            count = int(np.clip(cells * self.cell / size / style.texture_scale, 2, cells))
            small = rng.standard_normal((count, count), dtype=np.float32) * np.float32(share)
            grain += cv2.resize(small, (cells, cells), interpolation=cv2.INTER_LINEAR)
        result = np.empty_like(self.image)
        scale = np.float32(0.25 / 255.0 * style.texture)
        for start in range(0, cells, 128):  # bands that fit into the cache
            rows = slice(start, start + 128)
            factor = 1.0 + grain[rows] * (self.rough[rows].astype(np.float32) * scale)
            factor *= self.gain[rows].astype(np.float32) / np.float32(128.0)
            np.clip(factor, 0.2, 1.8, out=factor)
            result[rows] = cv2.multiply(
                self.image[rows], cv2.merge((factor, factor, factor)), dtype=cv2.CV_8U
            )
        return result


def _display(colour: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(255.0 * float(value) ** GAMMA for value in colour)


def _lines(lanes: list[Lane], site_map: SiteMap, *, continued: bool) -> list[tuple[Floats, float]]:
    """Centre lines and half widths, drawn on straight where a road leaves the map."""
    result = []
    for lane in lanes:
        line = lane.centreline
        if continued and lane.role is not LaneRole.CONNECTION and lane.length > 20.0:
            before = np.array([lane.at(-CONTINUED)[:2]])
            behind = np.array([lane.at(lane.length + CONTINUED)[:2]])
            open_start = not site_map.predecessors[lane.id] and lane.role is not LaneRole.EXIT
            open_end = not lane.successors
            if lane.kind is LaneKind.SIDEWALK:
                # Two-way: the end farther from the map's middle is the open one.
                open_end = np.hypot(*line[-1]) > np.hypot(*line[0])
                open_start = not open_end
            line = np.concatenate(
                [part for part, wanted in ((before, open_start), (line, True), (behind, open_end))
                 if wanted]
            )  # fmt: skip
        result.append((line, lane.width / 2))
    return result


def _surfaces(
    canvas: _Canvas, site_map: SiteMap, palette: _Palette, rng: np.random.Generator,
    *, continued: bool = False,
) -> None:  # fmt: skip
    canvas.rough[:] = round(palette.rough * 4 * 255)
    drives = [lane for lane in site_map.lanes if lane.kind in _WHEELED]
    walks = [lane for lane in site_map.lanes if lane.kind is LaneKind.SIDEWALK]
    areas = [zone.ring for zone in site_map.zones if zone.kind in (ZoneKind.JUNCTION, ZoneKind.BAY)]
    ways = [band(line, half, 0.5) for line, half in _lines(walks, site_map, continued=continued)]
    roads = _lines(drives, site_map, continued=continued)
    slabs = np.zeros(canvas.gain.shape, dtype=np.uint8)
    canvas.fill(slabs, ways, 255)
    canvas.fill(canvas.image, ways, _display(palette.slabs))
    canvas.fill(canvas.rough, ways, round(0.05 * 4 * 255))
    joint = max(2, round(0.5 / CELL))  # 0.5 m slabs
    if not continued:
        for rows in (np.s_[::joint], np.s_[:, ::joint]):
            canvas.gain[rows][slabs[rows] > 0] = 108
    # The carriageway closes small gaps between lanes and is a little wider than they are.
    inner = np.zeros(canvas.gain.shape, dtype=np.uint8)
    canvas.fill(inner, [band(line, half, 0.3) for line, half in roads] + areas, 255)
    if continued:
        road, kerb = inner, inner
    else:
        closed = cv2.morphologyEx(inner, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
        road = np.asarray(cv2.dilate(closed, np.ones((5, 5), np.uint8)), np.uint8)
        kerb = np.asarray(cv2.dilate(road, np.ones((5, 5), np.uint8)), np.uint8)
    for mask, colour, rough in ((kerb, _KERB, 0.04), (road, palette.asphalt, 0.07)):
        chosen = mask > 127
        canvas.image[chosen] = _display(colour)
        canvas.rough[chosen] = round(rough * 4 * 255)
        canvas.gain[chosen] = 128
    if continued:
        return
    _wear(canvas, drives, rng)


def _wear(canvas: _Canvas, drives: list[Lane], rng: np.random.Generator) -> None:
    """Oil along the middle of lanes, patches of other asphalt, manholes."""
    track = np.full(canvas.gain.shape, 0, dtype=np.uint8)
    canvas.fill(track, [band(lane.centreline, 0.5) for lane in drives], 13)
    canvas.gain = np.asarray(cv2.subtract(canvas.gain, cv2.blur(track, (7, 7))), np.uint8)
    for index in range(36 if drives else 0):
        lane = drives[int(rng.integers(len(drives)))]
        x, y, heading = lane.at(float(rng.uniform(0.0, lane.length)))
        ahead = np.array([np.cos(heading), np.sin(heading)])
        if index % 2:
            long, half = float(rng.uniform(0.5, 5.0)), float(rng.uniform(0.3, 1.4))
            shape = band(np.array([(x, y), (x, y) + ahead * long]), half)
            canvas.fill(canvas.gain, [shape], int(rng.integers(98, 150)))
        else:
            angles = np.arange(12) * np.pi / 6
            ring = np.array([x, y]) + 0.35 * np.stack((np.cos(angles), np.sin(angles)), axis=1)
            canvas.fill(canvas.gain, [ring], 88)


def _markings(canvas: _Canvas, site_map: SiteMap, style: Style, rng: np.random.Generator) -> Image:
    """White, yellow and what wear has left, n×n×3."""
    cells = len(canvas.image)
    small = rng.standard_normal((cells // 4, cells // 4), dtype=np.float32)
    left = np.clip(1.0 - style.wear * (0.75 + 0.5 * small), 0.0, 1.0)
    layers = []
    for polygons in marking_polygons(site_map):
        layer = np.zeros((cells, cells), dtype=np.uint8)
        canvas.fill(layer, polygons, 255)
        layers.append(layer)
    layers.append(np.asarray(cv2.resize((left * 255).astype(np.uint8), (cells, cells)), np.uint8))
    return np.asarray(cv2.merge(layers), np.uint8)


def _marked(plain: Image, marks: Image) -> Image:
    """The atlas with its markings on."""
    result = plain.copy()
    for channel, colour in enumerate((_WHITE, _YELLOW)):
        rows, columns = np.nonzero(marks[..., channel])
        drawn = marks[rows, columns].astype(np.float32) / np.float32(255.0)
        share = (drawn[:, channel] * drawn[:, 2])[:, np.newaxis]
        there = result[rows, columns].astype(np.float32)
        paint = np.array(_display(colour), dtype=np.float32)
        result[rows, columns] = (there + (paint - there) * share).astype(np.uint8)
    return result
