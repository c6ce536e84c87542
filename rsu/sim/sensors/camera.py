"""Modelled camera detections: what a detector would have reported, without any pixels.

A `Scene` goes in, `CameraDetections` come out. Every road user is projected as a body through
the camera as it *really* hangs (its calibration plus one draw of the calibration's own noise),
may be hidden by nearer ones, small, missed or misnamed, and its box is jittered. The boxes then
take the way of real ones: `rsu.perception` places them with the calibration it believes in, so
that stated covariances can be held against the truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.config.cameras import (
    CalibrationNoise,
    CameraOptions,
    HomographyCalibration,
    PoseCalibration,
    RotationCalibration,
    SimSourceOptions,
)
from rsu.config.simulation import SimulationOptions
from rsu.perception.camera_model import camera_model
from rsu.perception.errors import CalibrationError
from rsu.perception.projection import GroundProjector
from rsu.schema.sensing import CameraDetections, ImageDetection, ObjectClass
from rsu.schema.units import Box
from rsu.sim.errors import SimulationError
from rsu.sim.world.road_users import VEHICLES
from rsu.sim.world.scene import Light, Scene

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

HALF_SEEN_PX, HALF_SEEN_SPREAD_PX = 8.0, 1.5
"""Box height at which half of all objects are found, and the width of that slope (logistic): one
cell of the finest stride of the usual detectors (8 px)."""
VISIBLE_NEVER, VISIBLE_ALWAYS = 0.25, 0.6
"""Visible share of a box below which an object is never found, and above which occlusion costs
nothing; linear between (assumed; annotators call 0.6 `partly occluded`)."""
OCCLUSION_GRID = 8
"""Points per side at which a box is tested: a share is then known to 1/64."""
_ROWS = np.array(
    [sum(1 << OCCLUSION_GRID * k for k in range(OCCLUSION_GRID) if rows >> k & 1)
     for rows in range(1 << OCCLUSION_GRID)],
    dtype=np.uint64,
)  # fmt: skip
"""For a set of rows (its bits) the first column of the grid there, a bit per point, row by row;
times a set of columns: their crossings. The grid's 64 points fill one 64-bit number."""
EDGE_MARGIN = 0.5
"""Share of the image around it within which the lens is asked; beyond, its polynomial folds."""
CONTRAST_NEVER, CONTRAST_ALWAYS = 0.1, 0.4
"""Contrast through fog below which nothing is found, and from which it costs nothing (assumed)."""
RAIN_MISS = 0.15
"""Share that the heaviest rain hides (assumed)."""
DARK_MISS = {Light.DUSK: (0.02, 0.10), Light.NIGHT: (0.05, 0.30)}
"""Share missed in the dark: vehicles with lamps, people and cyclists under street lamps (assumed,
of the order of night and day differences of public pedestrian detectors)."""
CONFUSION = 0.05
"""Share of found road users that get a neighbouring class (assumed)."""
SCORE_FLOOR, SCORE_SPAN, SCORE_SPREAD = 0.35, 0.55, 0.07
"""Scores grow from just above a usual threshold (0.3) with the chance of being found."""
CLUTTER_SCORE = (0.3, 0.6)
CLUTTER_TRIES = 10

NEIGHBOURS = {
    ObjectClass.PEDESTRIAN: (ObjectClass.BICYCLE,),
    ObjectClass.BICYCLE: (ObjectClass.MOTORCYCLE, ObjectClass.PEDESTRIAN),
    ObjectClass.MOTORCYCLE: (ObjectClass.BICYCLE,),
    ObjectClass.CAR: (ObjectClass.VAN,),
    ObjectClass.VAN: (ObjectClass.CAR, ObjectClass.TRUCK),
    ObjectClass.TRUCK: (ObjectClass.BUS, ObjectClass.VAN),
    ObjectClass.BUS: (ObjectClass.TRUCK,),
}
"""What a detector takes a class for when it errs: the next in shape."""

_SIDES = [(x, y) for x in (-0.5, 0.5) for y in (-0.5, 0.5)]
_OUTLINE = np.array(
    [(x, y, 0.0) for x, y in _SIDES] * 2
    + [(x, y, 1.0) for x, y in _SIDES]
    + [(x / 2, y * 0.85, 1.0) for x, y in _SIDES]
)
"""Wheels, ends below and above, and roof over length, width and height: a cabin is about half as
long as the car and a little narrower than it."""
_WHEEL, _CHIN, _END = (np.arange(16) // 4 == part for part in range(3))
SHAPES = {
    ObjectClass.CAR: (0.6, 0.20, 0.22), ObjectClass.VAN: (1.0, 0.19, 0.28),
    ObjectClass.TRUCK: (1.0, 0.16, 0.40), ObjectClass.BUS: (1.0, 0.24, 0.30),
}  # fmt: skip
"""Height of bonnet and boot over the roof's (0.9 m of 1.5 m), share of the length that stands out
beyond the wheels, its height above the road (m): as the rendered vehicles are built
(`rsu.sim.render.vehicles`). Other classes are blocks."""
_BLOCK = (1.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Boxes:
    """The view of one scene, rows as in the scene. `full` N×4 (left, top, right, bottom) px of the
    whole object, `clipped` inside the image; `visible` is the share of the clipped box that no
    nearer one covers; `seen`: in front of the camera, within range and inside the image."""

    full: Floats
    clipped: Floats
    visible: Floats
    seen: Bools


class ModelledCamera:
    """One camera with its modelled detector; holds only its true pose and its random stream."""

    def __init__(
        self, camera: CameraOptions, options: SimulationOptions, rng: np.random.Generator
    ) -> None:
        """Raises SimulationError where the calibration places nothing on the road."""
        self.id = camera.id
        self._options = options
        self._rng = rng
        self._max_range = camera.max_range
        try:
            self._projector = GroundProjector(camera)
            self._true = camera_model(_as_it_hangs(camera.calibration, rng))
        except CalibrationError as error:
            raise SimulationError(f"camera {camera.id!r}: {error}") from error
        source, believed = camera.source, self._projector.camera
        drawn = isinstance(source, SimSourceOptions)
        self.width = source.width if isinstance(source, SimSourceOptions) else believed.width
        self.height = source.height if isinstance(source, SimSourceOptions) else believed.height
        self._scale = np.array([self.width / believed.width, self.height / believed.height])
        if drawn and abs(self._scale[0] / self._scale[1] - 1.0) > 0.01:
            raise SimulationError(
                f"camera {camera.id!r}: {self.width}×{self.height} px has another shape than the "
                f"calibration's {believed.width}×{believed.height} px"
            )
        self._sigma = believed.pixel_sigma * float(self._scale.max())

    def look(self, scene: Scene, frame: int) -> CameraDetections:
        """What this camera reports of a scene."""
        found = [*self._found(scene), *self._clutter()]
        placed = self._projector.place(found, self.width, self.height)
        return CameraDetections(
            sensor=self.id,
            frame=frame,
            capture_ns=scene.time_ns,
            image_width=self.width,
            image_height=self.height,
            detections=placed.detections,
            rejected=placed.rejected,
        )

    @property
    def position(self) -> Floats:
        """Where it hangs, x and y in m."""
        place: Floats = self._true.position[:2]
        return place

    def view(self, scene: Scene) -> Boxes:
        """Every object's box and how much of it is visible, before the detector errs."""
        full, front = self._project(scene.position, scene.heading, scene.size, scene.classes)
        clipped = self._inside(full)
        distance = np.hypot(*(scene.position - self._true.position[:2]).T)
        inside = (clipped[:, 2] - clipped[:, 0] >= 1.0) & (clipped[:, 3] - clipped[:, 1] >= 1.0)
        seen = front & inside & (distance <= self._max_range)
        return Boxes(full, clipped, _visible(full, clipped, distance, seen), seen)

    def chance(self, scene: Scene) -> Floats:
        """Of each object being found by one look, but for misses without a cause, shape (N,)."""
        return self._chance(scene, self.view(scene)) if scene.ids else np.zeros(0)

    def _chance(self, scene: Scene, boxes: Boxes) -> Floats:
        distance = np.hypot(*(scene.position - self._true.position[:2]).T)
        chance: Floats = boxes.seen * _findable(boxes) * _in_weather(scene, distance)
        return chance

    def _found(self, scene: Scene) -> list[ImageDetection]:
        """The detector's boxes of real objects, in the order of the scene."""
        count = len(scene.ids)
        if not count:
            return []
        boxes = self.view(scene)
        chance = self._chance(scene, boxes)
        # One row of numbers per object, found or not: who comes into view changes nobody else's.
        uniform = self._rng.random((count, 3))
        normal = self._rng.standard_normal((count, 5))
        hit = uniform[:, 0] < chance * (1.0 - self._options.miss_probability)
        score = SCORE_FLOOR + SCORE_SPAN * chance + SCORE_SPREAD * normal[:, 4]
        scores = np.clip(score, 0.3, 0.99).tolist()
        edges = self._inside(self._jittered(boxes.full, normal)).tolist()
        detections = []
        for i in np.flatnonzero(hit).tolist():
            label = _label(scene.classes[i], uniform[i, 1], uniform[i, 2])
            box = _box(*edges[i])
            if box is not None:
                detections.append(ImageDetection(object_class=label, score=scores[i], box=box))
        return detections

    def _jittered(self, full: Floats, normal: Floats) -> Floats:
        """Boxes with noise: the foot point by σ, width and height by two independent edges'."""
        size = full[:, 2:] - full[:, :2]
        middle = (full[:, 0] + full[:, 2]) / 2.0 + self._sigma * normal[:, 0]
        bottom = full[:, 3] + self._sigma * normal[:, 1]
        size = np.maximum(size + math.sqrt(2.0) * self._sigma * normal[:, 2:4], 0.5 * size)
        return np.stack(
            (middle - size[:, 0] / 2, bottom - size[:, 1], middle + size[:, 0] / 2, bottom), axis=1
        )

    def _inside(self, edges: Floats) -> Floats:
        """The part of boxes (N, 4) inside the image."""
        clipped: Floats = np.clip(edges, 0.0, (self.width, self.height, self.width, self.height))
        return clipped

    def _clutter(self) -> list[ImageDetection]:
        """False detections: objects that are not there, anywhere on the visible road."""
        rng = self._rng
        detections = []
        for _ in range(int(rng.poisson(self._options.clutter_per_frame))):
            for _ in range(CLUTTER_TRIES):
                pixel = rng.random((1, 2)) * (self._true.width, self._true.height)
                heading, pick, score = rng.random(3)
                ground, on_road = self._true.ground(self._true.ideal(pixel)[0])
                distance = math.dist(ground[0], self._true.position[:2])
                if not on_road[0] or distance > self._max_range:
                    continue
                kind = VEHICLES[int(pick * len(VEHICLES))]
                edges, front = self._project(
                    ground,
                    np.array([heading * math.tau]),
                    np.array([kind.size]),
                    (kind.object_class,),
                )
                box = _box(*self._inside(edges)[0].tolist()) if front[0] else None
                if box is not None:
                    low, high = CLUTTER_SCORE
                    detections.append(
                        ImageDetection(
                            object_class=kind.object_class,
                            score=low + (high - low) * float(score),
                            box=box,
                        )
                    )
                    break
        return detections

    def _project(
        self, position: Floats, heading: Floats, size: Floats, classes: Sequence[ObjectClass]
    ) -> tuple[Floats, Bools]:
        """Boxes (N, 4) px of bodies in this camera's image, and which can be seen at all."""
        shapes = [SHAPES.get(kind, _BLOCK) for kind in classes]
        ends, overhang, clearance = np.array(shapes).reshape(-1, 3).T
        # The outline's points come first: reductions over the first axis are ten times faster.
        x, y, z = (_OUTLINE[:, axis, None] * size[:, axis] for axis in range(3))
        x = np.where(_WHEEL[:, None], x * (1.0 - 2.0 * overhang), x)
        z = np.where(_END[:, None], z * ends, z + np.where(_CHIN[:, None], clearance, 0.0))
        cos, sin = np.cos(heading), np.sin(heading)
        points = np.stack(
            (x * cos - y * sin + position[:, 0], x * sin + y * cos + position[:, 1], z), axis=-1
        )
        pixels, weight = self._true.project(points)
        front = np.asarray((weight > 0.0).all(axis=0))
        lens = self._true.lens
        if lens is not None and lens.distortion.size:
            edge = np.array([self._true.width, self._true.height], dtype=np.float64)
            near = (pixels > -EDGE_MARGIN * edge) & (pixels < (1.0 + EDGE_MARGIN) * edge)
            front &= near.all(axis=(0, 2))
            bent = pixels[:, front]
            pixels[:, front] = lens.measured(bent.reshape(-1, 2)).reshape(bent.shape)
        pixels = pixels * self._scale
        return np.concatenate((pixels.min(axis=0), pixels.max(axis=0)), axis=1), front


def _box(left: float, top: float, right: float, bottom: float) -> Box | None:
    """None where there is not a whole pixel."""
    if right - left < 1.0 or bottom - top < 1.0:
        return None
    return Box(left, top, right - left, bottom - top)


def _in_weather(scene: Scene, distance: Floats) -> Floats:
    """How much of the chance of being found fog, rain and darkness leave, shape (N,)."""
    weather = scene.weather
    # Koschmieder: contrast falls to 5 % at the meteorological optical range.
    contrast = np.exp(math.log(0.05) * distance / weather.visibility)
    left = np.clip((contrast - CONTRAST_NEVER) / (CONTRAST_ALWAYS - CONTRAST_NEVER), 0.0, 1.0)
    left = left * (1.0 - RAIN_MISS * weather.rain)
    if weather.light is not Light.DAY:
        lit = np.array([not (one.is_vru and one is not ObjectClass.MOTORCYCLE)
                        for one in scene.classes])  # fmt: skip
        missed = DARK_MISS[weather.light]
        left = left * np.where(lit, 1.0 - missed[0], 1.0 - missed[1])
    return left


def _findable(boxes: Boxes) -> Floats:
    """Chance of being found by size and visibility, before misses without a cause."""
    height = boxes.clipped[:, 3] - boxes.clipped[:, 1]
    by_size = 1.0 / (1.0 + np.exp(-(height - HALF_SEEN_PX) / HALF_SEEN_SPREAD_PX))
    by_view = np.clip((boxes.visible - VISIBLE_NEVER) / (VISIBLE_ALWAYS - VISIBLE_NEVER), 0.0, 1.0)
    chance: Floats = by_size * by_view
    return chance


def _visible(full: Floats, clipped: Floats, distance: Floats, seen: Bools) -> Floats:
    """Share of each clipped box (N,) that no nearer object's box covers."""
    visible = np.ones(len(full))
    rows = np.flatnonzero(seen)
    if len(rows) < 2:
        return visible
    box, near = clipped[rows], distance[rows]
    steps = (np.arange(OCCLUSION_GRID) + 0.5) / OCCLUSION_GRID
    x = box[:, :1] + (box[:, 2:3] - box[:, :1]) * steps
    y = box[:, 1:2] + (box[:, 3:4] - box[:, 1:2]) * steps
    # One bit per column and row of the grid: bit k of in_x[i, j] says that the k-th column of box i
    # lies within box j. A point is covered by j when both its column and its row are.
    in_x = _bits((x[:, None, :] > full[rows, 0][None, :, None])
                 & (x[:, None, :] < full[rows, 2][None, :, None]))  # fmt: skip
    in_y = _bits((y[:, None, :] > full[rows, 1][None, :, None])
                 & (y[:, None, :] < full[rows, 3][None, :, None]))  # fmt: skip
    covered = np.where(near[None, :] < near[:, None], in_x * _ROWS[in_y], 0)
    hidden = np.bitwise_count(np.bitwise_or.reduce(covered, axis=1))
    visible[rows] = 1.0 - hidden / OCCLUSION_GRID**2
    return visible


def _bits(flags: Bools) -> npt.NDArray[np.uint64]:
    """(N, M, 8) flags as the bits of whole numbers (N, M)."""
    return np.packbits(flags, axis=2, bitorder="little")[:, :, 0].astype(np.uint64)


def _label(true: ObjectClass, chance: float, pick: float) -> ObjectClass:
    neighbours = NEIGHBOURS.get(true, ())
    if chance >= CONFUSION or not neighbours:
        return true
    return neighbours[int(pick * len(neighbours))]


def _as_it_hangs(
    calibration: PoseCalibration | HomographyCalibration | RotationCalibration,
    rng: np.random.Generator,
) -> PoseCalibration | HomographyCalibration | RotationCalibration:
    """The true calibration: the believed one off by one draw of its own stated noise."""
    noise = calibration.noise
    if isinstance(calibration, PoseCalibration):
        turn, shift = _pose_error(noise, rng)
        pose = calibration.pose
        hangs = pose.model_copy(
            update={
                "x": pose.x + shift[0],
                "y": pose.y + shift[1],
                "z": max(pose.z + shift[2], 0.1),
                "heading": (pose.heading + math.degrees(turn[0])) % 360.0,
                "tilt": pose.tilt + math.degrees(turn[1]),
                "roll": pose.roll + math.degrees(turn[2]),
            }
        )
        return calibration.model_copy(update={"pose": hangs})
    if isinstance(calibration, RotationCalibration):
        turn, shift = _pose_error(noise, rng)
        extrinsic = np.array(calibration.extrinsic)
        turned = _rotation(turn) @ extrinsic[:, :3]
        position = -extrinsic[:, :3].T @ extrinsic[:, 3] + shift
        matrix = np.column_stack((turned, -turned @ position))
        rows = tuple(tuple(row) for row in matrix.tolist())
        return calibration.model_copy(update={"extrinsic": rows})
    points = tuple(
        pair.model_copy(
            update={
                "image": _moved(pair.image, noise.pixel, rng),
                "ground": _moved(pair.ground, noise.ground, rng),
            }
        )
        for pair in calibration.points
    )
    return calibration.model_copy(update={"points": points})


def _pose_error(noise: CalibrationNoise, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Three angles, rad, and a shift, m; the road's own height counts as the camera's."""
    turn = math.radians(noise.angle) * rng.standard_normal(3)
    sigma = np.array([noise.position, noise.position, math.hypot(noise.position, noise.ground)])
    return turn, sigma * rng.standard_normal(3)


def _rotation(turn: Floats) -> Floats:
    """Rotation matrix of small angles about the camera's x, y and z axes (Rodrigues)."""
    angle = float(np.linalg.norm(turn))
    if angle == 0.0:
        return np.eye(3)
    x, y, z = turn / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    rotation: Floats = np.eye(3) + math.sin(angle) * cross + (1.0 - math.cos(angle)) * cross @ cross
    return rotation


def _moved(
    point: tuple[float, float], sigma: float, rng: np.random.Generator
) -> tuple[float, float]:
    dx, dy = (sigma * rng.standard_normal(2)).tolist()
    return point[0] + dx, point[1] + dy
