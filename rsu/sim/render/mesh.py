"""Meshes of convex parts: what a body is built of before it is painted.

`Builder` collects convex parts in metres (x forward, y left, z up, the footprint's centre on the
ground below the origin); `finish` gives a `Mesh` in shares of the nominal size, so that one mesh
serves bodies of every size. Parts are painted by level (low first) and within a level from far to
near; decals lie on a face of their part and are painted after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CORNERS = 8
"""Most corners of a face; faces with fewer repeat their last one."""


_SIDES = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 3, 7, 4), (1, 2, 6, 5), (0, 1, 5, 4), (3, 2, 6, 7))
"""Sides of a block as `block` numbers its corners: bottom, top, rear, front, right, left."""


class Paint(IntEnum):
    """Slots of an object's palette."""

    BODY = 0
    SECOND = 1
    GLASS = 2
    TYRE = 3
    TRIM = 4
    HEADLAMP = 5
    TAILLAMP = 6
    PLATE = 7
    SKIN = 8
    HAIR = 9
    TOP = 10
    LEGS = 11
    SHOES = 12
    METAL = 13


@dataclass(frozen=True, eq=False)
class Mesh:
    """V vertices in shares of (length, width, height), F faces, P parts.

    `faces` F×8 vertex indices, `corners` F how many of them count, `paint` F, `part` F, `layer` F
    (0 a side, 1 a decal on it), `detail` F: least height of the object in px at which the face is
    worth painting. `centres` P×3 and `level` P order the parts. Faces turn counter-clockwise as
    seen from outside.
    """

    vertices: Floats
    faces: Ints
    corners: Ints
    paint: Ints
    part: Ints
    layer: Ints
    detail: Floats
    centres: Floats
    level: Ints


@dataclass
class Builder:
    """Collects parts in metres; each method adds one convex part and gives its number."""

    points: list[Floats] = field(default_factory=list)
    count: int = 0
    faces: list[list[int]] = field(default_factory=list)
    rows: list[tuple[int, int, int, float]] = field(default_factory=list)
    centres: list[Floats] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)

    def hull(
        self, points: Floats, faces: Sequence[Sequence[int]], paint: int, level: int = 0,
        detail: float = 0.0,
    ) -> int:  # fmt: skip
        """A convex part of `points` (N×3, m); `faces` may turn either way."""
        part = len(self.centres)
        self.centres.append(points.mean(axis=0))
        self.levels.append(level)
        self._add(points, faces, part, (paint, part, 0, detail))
        return part

    def block(
        self, low: tuple[float, float, float, float, float],
        high: tuple[float, float, float, float, float], paint: int, level: int = 0,
        detail: float = 0.0, front: float | None = None,
    ) -> int:  # fmt: skip
        """A frustum between two level rectangles (x0, x1, y0, y1, z), m; `front` is the upper
        face's height at x1 where it slopes. Faces: bottom, top, rear, front, right, left."""
        x0, x1, y0, y1, z = low
        u0, u1, v0, v1, w = high
        tip = w if front is None else front
        points = np.array(
            [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z),
             (u0, v0, w), (u1, v0, tip), (u1, v1, tip), (u0, v1, w)]
        )  # fmt: skip
        return self.hull(points, _SIDES, paint, level, detail)

    def decal(
        self, part: int, side: int, across: tuple[float, float], up: tuple[float, float],
        paint: int, detail: float,
    ) -> None:  # fmt: skip
        """A quadrilateral on one side of a block: shares of its width (from its first lower corner
        to its second) and of its height. `side` as in `block`."""
        first = next(index for index, row in enumerate(self.rows) if row[1] == part)
        base = min(min(face) for face in self.faces[first : first + 6])
        vertices = np.concatenate(self.points)
        a, b, c, d = (vertices[base + index] for index in _SIDES[side])
        points = np.array(
            [
                (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * d + u * c)
                for u, v in ((across[0], up[0]), (across[1], up[0]),
                             (across[1], up[1]), (across[0], up[1]))
            ]
        )  # fmt: skip
        self._add(points, [(0, 1, 2, 3)], part, (paint, part, 1, detail))

    def limb(
        self, start: Sequence[float], end: Sequence[float], thick: tuple[float, float], paint: int,
        level: int = 0, detail: float = 0.0,
    ) -> int:  # fmt: skip
        """A square prism from `start` to `end`, m, `thick` metres across at either end."""
        a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
        axis = (b - a) / max(float(np.linalg.norm(b - a)), 1e-9)
        helper = np.array([0.0, 1.0, 0.0]) if abs(axis[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
        side = np.cross(axis, helper)
        side /= np.linalg.norm(side)
        other = np.cross(axis, side)
        ring = np.array([side + other, -side + other, -side - other, side - other]) / 2
        points = np.concatenate((a + ring * thick[0], b + ring * thick[1]))
        faces = ((0, 1, 2, 3), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))
        return self.hull(points, faces, paint, level, detail)

    def disc(
        self, centre: Sequence[float], radius: float, width: float, paint: int, level: int = 0,
        hub: int | None = None, tread: float = 0.0,
    ) -> int:  # fmt: skip
        """A wheel: an octagonal prism with its axis along y; its tread is painted from `tread` px
        on, its hub from 24 px on."""
        angles = np.arange(8) * np.pi / 4 + np.pi / 8
        # Circumscribed, so that it touches the ground.
        reach = radius / np.cos(np.pi / 8)
        ring = np.stack((np.cos(angles) * reach, np.zeros(8), np.sin(angles) * reach), axis=1)
        shift = np.array([0.0, width / 2, 0.0])
        middle = np.asarray(centre, np.float64)
        points = np.concatenate((middle + ring - shift, middle + ring + shift))
        ends = (tuple(range(8)), tuple(range(8, 16)))
        part = self.hull(points, ends, paint, level)
        self._add(points, [(i, (i + 1) % 8, (i + 1) % 8 + 8, i + 8) for i in range(8)], part,
                  (paint, part, 0, tread))  # fmt: skip
        if hub is not None:
            inner = np.concatenate((middle + ring * 0.55 - shift, middle + ring * 0.55 + shift))
            self._add(inner, ends, part, (hub, part, 1, 24.0))
        return part

    def rim(
        self, centre: Sequence[float], radius: float, width: float, paint: int, level: int = 0
    ) -> int:  # fmt: skip
        """A bicycle's wheel: a flat ring of eight pieces, open in the middle, axis along y."""
        angles = np.arange(9) * np.pi / 4 + np.pi / 8
        outer = radius / np.cos(np.pi / 8)
        middle = np.asarray(centre, np.float64)
        part = len(self.centres)
        self.centres.append(middle)
        self.levels.append(level)
        for a, b in pairwise(angles.tolist()):
            for y in (-0.01, 0.01):
                points = middle + np.array(
                    [(r * np.cos(t), y, r * np.sin(t))
                     for r, t in ((outer, a), (outer, b), (outer - width, b), (outer - width, a))]
                )  # fmt: skip
                self._add(points, [(0, 1, 2, 3)], part, (paint, part, 0, 0.0))
        return part

    def _add(
        self, points: Floats, faces: Sequence[Sequence[int]], part: int,
        row: tuple[int, int, int, float],
    ) -> None:  # fmt: skip
        """Faces of a part, turned so that they look away from its centre."""
        for face in faces:
            corners = points[list(face)]
            normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
            outward = float(normal @ (corners.mean(axis=0) - self.centres[part])) >= 0.0
            ordered = list(face) if outward else list(face)[::-1]
            self.faces.append([self.count + index for index in ordered])
            self.rows.append(row)
        self.points.append(points)
        self.count += len(points)

    def finish(self, size: tuple[float, float, float]) -> Mesh:
        """The mesh in shares of its own extent, so that it fills a `size` exactly; m."""
        vertices = np.concatenate(self.points)
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        scale = np.maximum(high - low, 1e-6)
        centre = (low + high) / 2
        # Figures may be narrower than their footprint (a stride): never wider.
        share = np.minimum(scale / np.asarray(size), 1.0)
        share[2] = 1.0

        def place(points: Floats) -> Floats:
            moved = (points - np.array([centre[0], centre[1], low[2]])) / scale * share
            return np.asarray(moved, dtype=np.float64)

        rows = self.rows
        return Mesh(
            vertices=place(vertices),
            faces=np.array([face + [face[-1]] * (CORNERS - len(face)) for face in self.faces]),
            corners=np.array([len(face) for face in self.faces]),
            paint=np.array([row[0] for row in rows]),
            part=np.array([row[1] for row in rows]),
            layer=np.array([row[2] for row in rows]),
            detail=np.array([row[3] for row in rows]),
            centres=place(np.array(self.centres)),
            level=np.array(self.levels),
        )
