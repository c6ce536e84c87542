"""Which bays cameras look at, and how much of a car in each of them they would see now.

In: the cameras' projections (`CameraView`), which of them looked lately, and the bodies around.
Out: per bay the chance that a car in it would be found, and whether its mouth is watched. An empty
bay is known to be empty only where a car would be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.situation.parking.bays import BayGrid

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

CAR = (4.5, 1.8, 1.45)
"""m: length, width and height of the car that is looked for (between segments B and C)."""
GRID = 8  # points per side at which a box is tested; a share is known to 1/64
HIDDEN, PLAIN = 0.4, 0.75
"""Visible share of its box up to which a car is not expected to be found, and from which it is.
Annotators call 35 % hidden `partly occluded`, and detectors lose cars beyond 70 %; the rest is for
the unknown size and place of what hides it."""
FOUND = 0.8  # chance that a plain car has a fresh track: fusion loses one now and then
SMALL, LARGE = 8.0, 16.0  # px of a box's height; the same for size (cells of a detector's stride)


@dataclass(frozen=True, eq=False)
class CameraView:
    """What is needed of a camera: `projection` (3, 4) of the site frame to pixels of a
    `width` × `height` image, lens distortion left out; the place of the camera (3,), m."""

    sensor: str
    projection: Floats
    width: float
    height: float
    position: Floats
    max_range: float


class _View:
    """One camera's standing view of a lot: the boxes of a car in each bay."""

    def __init__(self, camera: CameraView, grid: BayGrid) -> None:
        self.camera = camera
        heading = np.arctan2(grid.along[:, 1], grid.along[:, 0])
        size = np.tile(CAR, (len(grid), 1))
        size[:, 0] = np.minimum(size[:, 0], grid.length)
        size[:, 1] = np.minimum(size[:, 1], grid.width)
        self.boxes, in_front = self.project(grid.centre, heading, size)
        self.distance = self.away(grid.centre)
        share = _inside(self.boxes, camera) * in_front * (self.distance <= camera.max_range)
        height = self.boxes[:, 3] - self.boxes[:, 1]
        self.chance: Floats = FOUND * _slope(share, HIDDEN, PLAIN) * _slope(height, SMALL, LARGE)
        mouth, front = self._pixels(np.column_stack((grid.mouth, np.full(len(grid), 0.5))))
        self.watched: Flags = (
            front
            & (mouth >= 0.0).all(axis=1)
            & (mouth <= (camera.width, camera.height)).all(axis=1)
            & (self.away(grid.mouth) <= camera.max_range)
        )

    def away(self, position: Floats) -> Floats:
        """Distances of N points from the camera, m."""
        return np.asarray(np.hypot(*(position - self.camera.position[:2]).T))

    def project(self, position: Floats, heading: Floats, size: Floats) -> tuple[Floats, Flags]:
        """Boxes (N, 4) px of blocks on the road, and which lie wholly in front."""
        signs = np.array([(a, b, c) for a in (-0.5, 0.5) for b in (-0.5, 0.5) for c in (0.0, 1.0)])
        body = signs[None] * size[:, None, :]
        cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
        x = body[..., 0] * cos - body[..., 1] * sin + position[:, :1]
        y = body[..., 0] * sin + body[..., 1] * cos + position[:, 1:]
        pixels, front = self._pixels(np.stack((x, y, body[..., 2]), axis=-1).reshape(-1, 3))
        pixels = pixels.reshape(-1, len(signs), 2)
        boxes = np.concatenate((pixels.min(axis=1), pixels.max(axis=1)), axis=1)
        whole: Flags = np.asarray(front.reshape(-1, len(signs)).all(axis=1))
        return boxes, whole

    def _pixels(self, points: Floats) -> tuple[Floats, Flags]:
        image = points @ self.camera.projection[:, :3].T + self.camera.projection[:, 3]
        weight = image[:, 2]
        front = weight > 1e-6
        return image[:, :2] / np.where(front, weight, 1.0)[:, None], front

    def visible(self, bodies: Floats, far: Floats, itself: Flags) -> Floats:
        """Share (B,) of each bay's box that no nearer body covers; `bodies` (M, 4) px at `far`
        (M,) m; `itself` (B, M) marks bodies that stand in the bay themselves."""
        steps = (np.arange(GRID) + 0.5) / GRID
        left, top, right, bottom = (self.boxes[:, k, None] for k in range(4))
        x, y = left + (right - left) * steps, top + (bottom - top) * steps
        hides = (far[None, :] < self.distance[:, None]) & ~itself
        in_x = (x[:, :, None] > bodies[None, None, :, 0]) & (
            x[:, :, None] < bodies[None, None, :, 2]
        )
        in_y = (y[:, :, None] > bodies[None, None, :, 1]) & (
            y[:, :, None] < bodies[None, None, :, 3]
        )
        # Sets of columns times sets of rows, summed over bodies: how many cover each point.
        covers = (in_x & hides[:, None, :]).astype(np.float32) @ in_y.astype(np.float32).transpose(
            0, 2, 1
        )
        return np.asarray((covers < 0.5).mean(axis=(1, 2)), dtype=np.float64)


class Views:
    """All cameras that see anything of a lot."""

    def __init__(self, cameras: Iterable[CameraView], grid: BayGrid) -> None:
        self._count = len(grid)
        views = (_View(camera, grid) for camera in cameras)
        self._views = [view for view in views if view.chance.any() or view.watched.any()]

    @property
    def sensors(self) -> tuple[str, ...]:
        """Who looks at the lot, when all is well."""
        return tuple(view.camera.sensor for view in self._views)

    def watched(self, live: Sequence[str]) -> Flags:
        """Bays (B,) whose mouths a live camera has in its image."""
        watched = np.zeros(self._count, dtype=np.bool_)
        for view in self._views:
            if view.camera.sensor in live:
                watched |= view.watched
        return watched

    def found(
        self, live: Sequence[str], position: Floats, heading: Floats, size: Floats, bay: Floats
    ) -> Floats:
        """Chance (B,) that a car in a bay would be found now by the cameras that look.

        The M bodies around are blocks on the road (`size` (M, 3) m); `bay` (M,) is the row of the
        bay that one stands in, -1 for none.
        """
        missed = np.ones(self._count)
        itself = np.arange(self._count)[:, None] == bay[None, :]
        for view in self._views:
            if view.camera.sensor not in live:
                continue
            chance = view.chance
            if len(position):
                boxes, front = view.project(position, heading, size)
                share = view.visible(boxes[front], view.away(position[front]), itself[:, front])
                chance = chance * _slope(share, HIDDEN, PLAIN)
            missed *= 1.0 - chance
        return np.asarray(1.0 - missed)


def _inside(boxes: Floats, camera: CameraView) -> Floats:
    """Share (N,) of boxes inside the image."""
    limits = np.array([camera.width, camera.height, camera.width, camera.height])
    cut = np.clip(boxes, 0.0, limits)
    area = np.prod(cut[:, 2:] - cut[:, :2], axis=1)
    whole = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return np.asarray(area / np.maximum(whole, 1e-9))


def _slope(value: Floats, low: float, high: float) -> Floats:
    return np.asarray(np.clip((value - low) / (high - low), 0.0, 1.0))
