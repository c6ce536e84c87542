"""Paints bodies: meshes → projected, shaded, sorted polygons in a picture and in an id mask.

All vertices of all bodies are projected at once; faces that turn away, are behind the camera or too
fine for the object's size are left out. Bodies are painted from far to near, in an order that
respects which footprint lies before which (`depth_order`), and what a nearer static occluder hides
is put back from the background. An object's box is the extent of exactly the polygons painted.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rsu.sim.render.light import GAMMA, Lighting
from rsu.sim.render.mesh import CORNERS, Mesh, Paint
from rsu.sim.render.view import NEAR, View

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Image = npt.NDArray[np.uint8]

SHIFT = 4
"""Fractional bits of polygon corners: a sixteenth of a pixel."""
_FAR_PX = 1 << 14
"""Corners are kept within this many px, so that fixed point never overflows."""


@dataclass(frozen=True, eq=False)
class Body:
    """One object to paint: `mesh` and `palette` (slots × BGR), where, and how it is lit.

    `position` 3 (m), `heading` rad, `size` 3 m, `light` BGR on top of the scene's ambient light,
    `sunny` the share of the sun's light that arrives.
    """

    mesh: Mesh
    palette: Floats
    position: Floats
    heading: float
    size: Floats
    light: Floats
    sunny: float = 1.0


@dataclass(frozen=True, eq=False)
class Polygons:
    """Projected faces in the order of painting; `body` F rows of the bodies, `corners` F×8×2 px,
    `counts` F, `colours` F×3 (0..255). `first` B+1 delimits the faces of the n-th painted body,
    `order` B which body that is. `boxes` B×4 px (by body, unclipped; NaN where nothing is seen)."""

    corners: Floats
    counts: Ints
    colours: Floats
    first: Ints
    order: Ints
    boxes: Floats


def project_bodies(
    view: View, bodies: Sequence[Body], light: Lighting, order: Ints, sway: Floats
) -> Polygons:
    """The polygons of bodies that are painted in the given order (far to near); `sway` (2, px)
    moves the whole image."""
    faces = _Faces(bodies)
    rows = view.homogeneous(faces.world)
    depth = rows[:, 2]
    distance = np.array([float(np.linalg.norm(b.position - view.position)) for b in bodies])
    tall = view.focal * np.array([max(b.size[2], b.size[0] / 2) for b in bodies]) / distance

    # What turns its back, and what is finer than the object deserves, is not painted.
    a, b, c = (faces.world[faces.corners[:, index]] for index in range(3))
    normal = np.cross(b - a, c - a)
    facing = np.einsum("ij,ij->i", normal, view.position - a) > 0.0
    in_front = depth[faces.corners] > NEAR
    keep = facing & (faces.detail <= tall[faces.body]) & in_front.any(axis=1)
    rank = np.empty(len(bodies), dtype=np.int64)
    rank[order] = np.arange(len(bodies))
    chosen = _painting_order(faces, np.flatnonzero(keep), rank, view.position)
    normal = normal[chosen]
    normal /= np.maximum(np.linalg.norm(normal, axis=1), 1e-12)[:, np.newaxis]

    safe = rows.copy()
    safe[:, 2] = np.maximum(depth, NEAR)
    pixels = view.pixels(safe)
    corners = pixels[faces.corners[chosen]]
    counts = faces.counts[chosen]
    for row in np.flatnonzero(~in_front[chosen].all(axis=1)):
        clipped = _clip_near(rows[faces.corners[chosen[row], : counts[row]]])
        drawn = view.pixels(clipped)[:CORNERS]
        counts[row] = len(drawn)
        corners[row] = drawn[-1]
        corners[row, : len(drawn)] = drawn
    corners = np.clip(corners + sway, -_FAR_PX, _FAR_PX)

    body = faces.body[chosen]
    colours = _shade(bodies, body, faces.paint[chosen], normal, light, distance)
    boxes = np.full((len(bodies), 4), np.nan)
    first = np.searchsorted(rank[body], np.arange(len(bodies) + 1))
    filled = np.flatnonzero(first[1:] > first[:-1])
    if len(filled):
        low = np.minimum.reduceat(corners.min(axis=1), first[filled], axis=0)
        high = np.maximum.reduceat(corners.max(axis=1), first[filled], axis=0)
        boxes[order[filled]] = np.concatenate((low, high), axis=1)
    return Polygons(corners, counts, colours, first, order, boxes)


def paint(
    picture: Image, mask: Image, polygons: Polygons, background: Image,
    static_distance: npt.NDArray[np.float32], distance: Floats,
) -> tuple[Ints, Ints]:  # fmt: skip
    """Paint onto `picture`, and body numbers + 1 onto `mask`; how many pixels of the image each
    body's silhouette covers, and how many of them are seen at last (B each)."""
    height, width = mask.shape
    # Down, so that a corner on a pixel's edge does not fill the next pixel.
    fixed = np.floor((polygons.corners - 0.5) * 2**SHIFT).astype(np.int32)
    colours = polygons.colours.tolist()
    counts = polygons.counts.tolist()
    own = np.zeros(len(polygons.order), dtype=np.int64)
    first = polygons.first.tolist()
    for place, body in enumerate(polygons.order.tolist()):
        begin, end = first[place], first[place + 1]
        if begin == end:
            continue
        number = body + 1
        for index in range(begin, end):
            corners = fixed[index, : counts[index]]
            cv2.fillConvexPoly(picture, corners, colours[index], cv2.LINE_AA, SHIFT)
            cv2.fillConvexPoly(mask, corners, number, cv2.LINE_8, SHIFT)
        box = polygons.boxes[body]
        x0, y0 = max(int(box[0]) - 2, 0), max(int(box[1]) - 2, 0)
        x1, y1 = min(int(box[2]) + 3, width), min(int(box[3]) + 3, height)
        if x0 >= x1 or y0 >= y1:
            continue
        window = np.s_[y0:y1, x0:x1]
        own[body] = np.count_nonzero(mask[window] == number)
        nearer = static_distance[window] < distance[body]
        if nearer.any():
            picture[window][nearer] = background[window][nearer]
            mask[window][nearer] = 0
    seen = np.bincount(mask.ravel(), minlength=len(own) + 1)[1 : len(own) + 1]
    return own, np.asarray(seen, dtype=np.int64)


def depth_order(view: View, bodies: Sequence[Body], boxes: Floats) -> Ints:
    """Bodies from far to near. Where two may overlap in the image, the one on the camera's side of
    a line between their footprints is the nearer; else distance decides."""
    count = len(bodies)
    if count == 0:
        return np.empty(0, dtype=np.int64)
    eye = view.position[:2]
    centre = np.array([body.position[:2] for body in bodies])
    distance = np.hypot(*(centre - eye).T)
    heading = np.array([body.heading for body in bodies])
    half = np.array([body.size[:2] for body in bodies]) / 2
    ahead = np.stack((np.cos(heading), np.sin(heading)), axis=1)
    left = np.stack((-ahead[:, 1], ahead[:, 0]), axis=1)
    axes = np.stack((ahead, -ahead, left, -left), axis=1)  # B×4×2, outward
    reach = np.stack((half[:, 0], half[:, 0], half[:, 1], half[:, 1]), axis=1)
    along, across = ahead * half[:, :1], left * half[:, 1:]
    outline = np.stack(
        [centre + s * along + t * across for s in (-1, 1) for t in (-1, 1)], axis=1
    )  # B×4×2
    # side[i, k, j]: how far the nearest corner of j lies beyond edge k of i.
    beyond = np.einsum("ikd,ijcd->ikjc", axes, outline[np.newaxis] - centre[:, None, None, :])
    apart = beyond.min(axis=3) - reach[:, :, np.newaxis]  # B×4×B
    eye_beyond = np.einsum("ikd,id->ik", axes, eye - centre) - reach  # B×4
    split = apart >= -0.05
    nearer = (split & (eye_beyond > 0.0)[:, :, np.newaxis]).any(axis=1)  # [i, j]: j before i
    farther = (split & (eye_beyond <= 0.0)[:, :, np.newaxis]).any(axis=1)
    meet = (
        (boxes[:, None, 0] < boxes[None, :, 2]) & (boxes[None, :, 0] < boxes[:, None, 2])
        & (boxes[:, None, 1] < boxes[None, :, 3]) & (boxes[None, :, 1] < boxes[:, None, 3])
    )  # fmt: skip
    closer = distance[np.newaxis, :] < distance[:, np.newaxis]
    front = (nearer | farther.T) & ~(farther | nearer.T)
    front = np.where((nearer | farther.T) == (farther | nearer.T), closer, front)
    after = front & meet  # [i, j]: j is painted after i
    np.fill_diagonal(after, False)
    return _sorted(after, distance)


def _sorted(after: npt.NDArray[np.bool_], distance: Floats) -> Ints:
    """Topological order, the farthest of those that are free first; a cycle is cut there too."""
    waiting = after.sum(axis=0).tolist()
    followers = [np.flatnonzero(row).tolist() for row in after]
    heap = [(-float(distance[i]), i) for i, count in enumerate(waiting) if count == 0]
    heapq.heapify(heap)
    left = set(range(len(waiting)))
    result: list[int] = []
    while left:
        if heap:
            _, chosen = heapq.heappop(heap)
            if chosen not in left:
                continue
        else:
            chosen = max(left, key=lambda i: (float(distance[i]), i))
        left.discard(chosen)
        result.append(chosen)
        for follower in followers[chosen]:
            waiting[follower] -= 1
            if waiting[follower] == 0 and follower in left:
                heapq.heappush(heap, (-float(distance[follower]), follower))
    return np.array(result, dtype=np.int64)


class _Faces:
    """The meshes of all bodies as flat arrays in site coordinates: `world` V×3 vertices, `corners`
    F×8 their indices, `counts`, `body`, `part`, `paint`, `layer`, `level`, `detail` F, and
    `centres` P×3 of the parts."""

    def __init__(self, bodies: Sequence[Body]) -> None:
        meshes = [body.mesh for body in bodies]
        numbers = np.arange(len(bodies))
        vertex_counts = [len(mesh.vertices) for mesh in meshes]
        part_counts = [len(mesh.centres) for mesh in meshes]
        self._size = np.array([body.size for body in bodies])
        self._position = np.array([body.position for body in bodies])
        heading = np.array([body.heading for body in bodies])
        self._cos, self._sin = np.cos(heading), np.sin(heading)
        vertices = np.concatenate([mesh.vertices for mesh in meshes])
        self.world = self._placed(vertices, np.repeat(numbers, vertex_counts))
        centres = np.concatenate([mesh.centres for mesh in meshes])
        self.centres = self._placed(centres, np.repeat(numbers, part_counts))
        self.body = np.repeat(numbers, [len(mesh.faces) for mesh in meshes])
        first_vertex = np.concatenate(([0], np.cumsum(vertex_counts)))
        first_part = np.concatenate(([0], np.cumsum(part_counts)))
        local = np.concatenate([mesh.faces for mesh in meshes])
        self.corners: Ints = local + first_vertex[self.body][:, np.newaxis]
        self.part: Ints = np.concatenate([mesh.part for mesh in meshes]) + first_part[self.body]
        self.counts: Ints = np.concatenate([mesh.corners for mesh in meshes])
        self.paint: Ints = np.concatenate([mesh.paint for mesh in meshes])
        self.layer: Ints = np.concatenate([mesh.layer for mesh in meshes])
        self.level: Ints = np.concatenate([mesh.level for mesh in meshes])[self.part]
        self.detail: Floats = np.concatenate([mesh.detail for mesh in meshes])

    def _placed(self, shares: Floats, owner: Ints) -> Floats:
        local = shares * self._size[owner]
        cos, sin = self._cos[owner], self._sin[owner]
        world: Floats = np.empty_like(local)
        world[:, 0] = local[:, 0] * cos - local[:, 1] * sin
        world[:, 1] = local[:, 0] * sin + local[:, 1] * cos
        world[:, 2] = local[:, 2]
        world += self._position[owner]
        return world


def _painting_order(faces: _Faces, chosen: Ints, rank: Ints, eye: Floats) -> Ints:
    """Faces body by body; within one by level, then part by part from far to near, decals last."""
    away = np.linalg.norm(faces.centres - eye, axis=1)
    part = faces.part[chosen]
    keys = (faces.layer[chosen], part, -away[part], faces.level[chosen], rank[faces.body[chosen]])
    return chosen[np.lexsort(keys)]


def _shade(
    bodies: Sequence[Body], body: Ints, paint: Ints, normal: Floats, light: Lighting,
    distance: Floats,
) -> Floats:  # fmt: skip
    """Display colours F×3 (0..255): flat shading under sky and sun, lamps, then the air's veil."""
    palette = np.stack([one.palette for one in bodies])
    local = np.stack([one.light for one in bodies])
    albedo = palette[body, paint] ** GAMMA
    # Sky light comes from above: undersides get half of it.
    sky = (0.75 + 0.25 * normal[:, 2])[:, np.newaxis] * (light.ambient + local[body])
    sunny = np.array([one.sunny for one in bodies])[body]
    sun = (np.maximum(normal @ light.direction, 0.0) * sunny)[:, np.newaxis] * light.sun
    colour = albedo * (sky + sun)
    # Glass mirrors the sky where it leans back.
    glass = paint == Paint.GLASS
    colour[glass] += (0.10 + 0.25 * np.maximum(normal[glass, 2:], 0.0)) * light.sky_top * 0.8
    if light.lamps:
        colour[paint == Paint.HEADLAMP] = (0.92, 0.97, 1.0)
        colour[paint == Paint.TAILLAMP] = (0.12, 0.10, 0.75)
    passed = light.transmission(distance)[body, np.newaxis]
    shown: Floats = colour * passed + light.haze * (1.0 - passed)
    return np.clip(shown * 255.0, 0.0, 255.0)


def _clip_near(rows: Floats) -> Floats:
    """The part of a polygon (N×3: ideal pixel times depth, depth) in front of the camera."""
    result = []
    for index in range(len(rows)):
        here, there = rows[index], rows[(index + 1) % len(rows)]
        if here[2] > NEAR:
            result.append(here)
        if (here[2] > NEAR) != (there[2] > NEAR):
            share = (NEAR - here[2]) / (there[2] - here[2])
            cut = here + share * (there - here)
            cut[2] = NEAR
            result.append(cut)
    return np.array(result)
