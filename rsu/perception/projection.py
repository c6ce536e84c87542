"""Boxes in the image → objects on the road, each with its covariance, or a reason why not.

Every number that can be wrong widens the covariance: the box's edges (pixel noise through the
Jacobian), the calibration (its own noise), the object's unknown size and heading (`footprint`), and
the bodywork, whose lower edge hovers above the road. All but the first repeat from frame to frame
and are stated apart as well. What cannot be placed honestly is rejected with a reason code; the
codes are listed in docs/perception.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rsu.config.cameras import CameraOptions
from rsu.perception.camera_model import CameraModel, camera_model
from rsu.perception.errors import CalibrationError
from rsu.perception.footprint import CLASSES, FootprintFinder, Observed
from rsu.perception.regions import crops
from rsu.perception.sizes import TYPICAL
from rsu.schema.sensing import CameraDetection, ImageDetection, ObjectClass
from rsu.schema.units import Cov2, Size, Vec2

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

# 1 σ of 10 m: the 95 % ellipse reaches ±25 m, farther than the gap to the next car in a stream, so
# it cannot even be said which vehicle was seen.
MAX_SIGMA = 10.0

_HOPELESS = np.eye(2) * 4.0 * MAX_SIGMA**2

# A box edge this near the border, as a share of the longer side, may be the border's: one cell of
# the finest stride of the usual detectors (8 of 416 px). Measured on the parking-aisle clip: boxes
# of cars that reach beyond the border end up to 15 of 768 px short of it.
BORDER = 8 / 416

# Turns left, top, right, bottom into coordinates that grow outwards.
_OUTWARD: Floats = np.array([-1.0, -1.0, 1.0, 1.0])

# Noise of a box whose lower edge or one side is hidden, relative to that of a whole one: the
# remaining edge (a roof line, one flank) is found less well. Variance × 4.
_PARTLY_SEEN = 2.0

# Bumpers hang 0.15–0.25 m above the road and wheels stand behind them: the lower edge of a vehicle
# is off along the line of sight by about this much, m (1 σ).
_BODY_EDGE = 0.15

# Width to height of the image may differ from the calibration's by rounding only.
_ASPECT_TOLERANCE = 0.01

# Load check: grid over the image, and the share of it that must see the road within range. A camera
# that sees less road than this is not looking at one.
_GRID = 17
_LEAST_ROAD = 0.1


class Placed(NamedTuple):
    """What became of one frame's boxes."""

    detections: tuple[CameraDetection, ...]
    rejected: dict[str, int]


class GroundProjector:
    """One camera's way from boxes to the ground; stateless after loading."""

    def __init__(self, camera: CameraOptions) -> None:
        """Raises CalibrationError when the calibration cannot place anything on the road."""
        self.camera = camera_model(camera.calibration)
        self._max_range = camera.max_range
        self._crops = _crop_windows(camera, self.camera)
        self._wanted = _wanted_classes(camera)
        self._finder = FootprintFinder(self.camera, np.array([c in self._wanted for c in CLASSES]))
        _check_sees_road(camera.id, self.camera, camera)

    def place(self, boxes: Sequence[ImageDetection], width: int, height: int) -> Placed:
        """Place the detections of one `width` × `height` px frame.

        Detections come out in the order they came in. Rejections count boxes by reason code.
        """
        if not boxes:
            return Placed((), {})
        across, down = self.camera.width / width, self.camera.height / height
        if abs(across / down - 1.0) > _ASPECT_TOLERANCE:
            return Placed((), {"image_size": len(boxes)})
        edges = np.array(
            [(d.box.left, d.box.top, d.box.right, d.box.bottom) for d in boxes], dtype=np.float64
        )
        edges *= (across, down, across, down)
        cut = self._cut_edges(edges)
        sigma = self.camera.pixel_sigma * max(across, down)
        return self._place(boxes, edges, cut, sigma)

    def _place(
        self, boxes: Sequence[ImageDetection], edges: Floats, cut: Bools, sigma: float
    ) -> Placed:
        reasons = _Reasons(len(boxes))
        both_cut = (cut[:, 0] & cut[:, 2]) | (cut[:, 1] & cut[:, 3])
        reasons.give(both_cut, "cut_by_border")
        ideal, covered = self._ideal_edges(edges)
        reasons.give(~covered, "outside_lens_model")
        foot = ideal[:, 2:].copy()
        foot[:, 0] = (ideal[:, 0] + ideal[:, 2]) / 2.0
        start, on_road = self.camera.ground(foot)
        reasons.give(~on_road, "above_horizon")
        reasons.give(self._distance(start) > self._max_range, "beyond_range")
        usable = reasons.open()
        if not usable.size:
            return Placed((), reasons.counted())

        labels = [boxes[i].object_class for i in usable.tolist()]
        seen = Observed(self.camera, ideal[usable], cut[usable], sigma, start[usable])
        indices = np.array([_label(c) for c in labels], dtype=np.int64)
        found = self._finder.find(seen, indices)
        covariance, constant = self._covariance(seen, edges[usable], found.centre, found.spread)
        classes = [
            _final_class(label, index)
            for label, index in zip(labels, found.class_index.tolist(), strict=True)
        ]
        largest = _largest_variance(covariance)
        unwanted = np.array([c not in self._wanted for c in classes], dtype=bool)
        reasons.give(~found.valid, "behind_camera", usable)
        reasons.give(self._distance(found.centre) > self._max_range, "beyond_range", usable)
        reasons.give(largest > MAX_SIGMA**2, "position_uncertain", usable)
        reasons.give(unwanted, "class_not_wanted", usable)
        kept = set(reasons.open().tolist())
        detections = tuple(
            _detection(boxes[i], object_class, position, cov, part, _size(object_class, breadth))
            for i, object_class, position, cov, part, breadth in zip(
                usable.tolist(),
                classes,
                found.centre.tolist(),
                covariance.tolist(),
                constant.tolist(),
                found.breadth.tolist(),
                strict=True,
            )
            if i in kept
        )
        return Placed(detections, reasons.counted())

    def _covariance(
        self, seen: Observed, measured: Floats, centre: Floats, spread: Floats
    ) -> tuple[Floats, Floats]:
        """Covariances (D, 2, 2), m², of footprint centres, hopeless ones beyond MAX_SIGMA; and the
        part of each that is the same in every frame: all but the noise of the box's edges."""
        camera = self.camera
        to_ground = camera.road_jacobian(centre)
        lower_cut = seen.cut[:, 3]
        if camera.distorts:
            anchor = np.where(lower_cut[:, np.newaxis], measured[:, :2], measured[:, 2:])
            anchor[:, 0] = (measured[:, 0] + measured[:, 2]) / 2.0
            to_ground = to_ground @ camera.lens_jacobian(anchor)
        noise = np.full((len(centre), 1, 2), seen.sigma)
        noise[seen.hidden[0], 0, 0] *= _PARTLY_SEEN
        noise[lower_cut, 0, 1] *= _PARTLY_SEEN
        noisy = to_ground * noise
        pixel: Floats = noisy @ np.swapaxes(noisy, 1, 2)
        calibration = camera.calibration_cov(centre)
        tail, share = self._tail(centre, pixel + calibration, calibration)
        body = _BODY_EDGE * seen.away
        constant = calibration + share * tail + spread
        constant += body[:, :, np.newaxis] * body[:, np.newaxis]
        covariance = constant + pixel + (1.0 - share) * tail
        if not np.isfinite(covariance.sum()):
            bad = ~np.isfinite(covariance).all(axis=(1, 2))
            covariance[bad] = constant[bad] = _HOPELESS
        return covariance, constant

    def _tail(self, centre: Floats, linear: Floats, calibration: Floats) -> tuple[Floats, Floats]:
        """What the linear covariance (D, 2, 2) leaves out, and the calibration's share of it.

        Range goes with one over the distance from the horizon, so a foot point a little too low
        puts an object short, and the covariance stated there is too small. Along the view, moving
        the foot point by d of the linear model moves the object by exactly d / (1 − g·d), g being
        the relative change of depth per metre. The second moment of that over the points ±√3 σ of
        an unscented transform (Julier & Uhlmann 1997, n + κ = 3) replaces the linear variance.
        """
        projection = self.camera.projection
        depth = centre @ projection[2, :2] + projection[2, 3]
        change = projection[2, :2] / np.maximum(depth, 1e-9)[:, np.newaxis]
        along = (linear @ change[:, :, np.newaxis])[..., 0]
        variance = np.maximum((along * change).sum(axis=1), 1e-12)
        # From 1 on the points pass the horizon; 0.99 is hopeless already.
        reach = np.minimum(3.0 * variance, 0.99)
        growth = (1.0 + reach) / (1.0 - reach) ** 2 - 1.0
        scaled = along * (growth / variance)[:, np.newaxis]
        tail = scaled[:, :, np.newaxis] * along[:, np.newaxis]
        fixed = np.einsum("di,dij,dj->d", change, calibration, change)
        return tail, (fixed / variance)[:, np.newaxis, np.newaxis]

    def _cut_edges(self, edges: Floats) -> Bools:
        """Which edges (D, 4) may be the image's or a crop's border instead of the object's.

        A box belongs to every crop that holds it; an edge is the object's own if any of them shows
        it free.
        """
        cut = np.ones(edges.shape, dtype=bool)
        for own, reach in self._crops:
            near = edges * _OUTWARD >= own
            held: Bools = np.asarray((edges * _OUTWARD <= reach).all(axis=1))
            cut &= near | ~held[:, np.newaxis]
        return cut

    def _ideal_edges(self, edges: Floats) -> tuple[Floats, Bools]:
        """Edges (D, 4) in ideal pixels, each taken at the middle of its side."""
        if not self.camera.distorts:
            return edges, np.ones(len(edges), dtype=bool)
        middle_x = (edges[:, 0] + edges[:, 2]) / 2.0
        middle_y = (edges[:, 1] + edges[:, 3]) / 2.0
        sides = (
            np.column_stack((edges[:, 0], middle_y)),
            np.column_stack((middle_x, edges[:, 1])),
            np.column_stack((edges[:, 2], middle_y)),
            np.column_stack((middle_x, edges[:, 3])),
        )
        ideal, covered = self.camera.ideal(np.concatenate(sides))
        parts = ideal.reshape(4, -1, 2)
        out = np.column_stack((parts[0, :, 0], parts[1, :, 1], parts[2, :, 0], parts[3, :, 1]))
        return out, np.asarray(covered.reshape(4, -1).all(axis=0))

    def _distance(self, ground: Floats) -> Floats:
        away = ground - self.camera.position[:2]
        distance: Floats = np.hypot(away[:, 0], away[:, 1])
        return distance


class _Reasons:
    """Why boxes are not placed; the first reason counts."""

    def __init__(self, count: int) -> None:
        self._codes = [""] * count

    def give(self, where: Bools, code: str, rows: npt.NDArray[np.int64] | None = None) -> None:
        """`where` runs over all boxes, or over `rows` of them."""
        for row in where.nonzero()[0].tolist():
            index = row if rows is None else rows[row]
            self._codes[index] = self._codes[index] or code

    def open(self) -> npt.NDArray[np.int64]:
        """Boxes that nothing speaks against so far."""
        return np.array([i for i, code in enumerate(self._codes) if not code], dtype=np.int64)

    def counted(self) -> dict[str, int]:
        return dict(sorted(Counter(code for code in self._codes if code).items()))


def _detection(
    box: ImageDetection,
    object_class: ObjectClass,
    position: list[float],
    covariance: list[list[float]],
    constant: list[list[float]],
    size: Size,
) -> CameraDetection:
    return CameraDetection(
        object_class=object_class,
        score=box.score,
        box=box.box,
        position=Vec2(*position),
        position_cov=_cov2(covariance),
        size=size,
        constant_cov=_cov2(constant),
    )


def _cov2(matrix: list[list[float]]) -> Cov2:
    (xx, xy), (yx, yy) = matrix
    return Cov2(xx, (xy + yx) / 2.0, yy)


def _largest_variance(covariance: Floats) -> Floats:
    """Larger eigenvalue (D,) of symmetric matrices (D, 2, 2)."""
    a, b, d = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
    largest: Floats = (a + d) / 2.0 + np.hypot((a - d) / 2.0, b)
    return largest


def _size(object_class: ObjectClass, breadth: float) -> Size:
    typical = TYPICAL.get(object_class)
    return typical.size if typical is not None else Size(breadth, breadth, breadth)


def _label(object_class: ObjectClass) -> int:
    return CLASSES.index(object_class) if object_class in TYPICAL else -1


def _final_class(label: ObjectClass, found: int) -> ObjectClass:
    """An obstacle stays one: it has no typical size that could speak against it."""
    if label is ObjectClass.OBSTACLE or found < 0:
        return label
    return CLASSES[found]


def _wanted_classes(camera: CameraOptions) -> frozenset[ObjectClass]:
    known = {c.value for c in ObjectClass}
    foreign = [name for name in camera.classes if name not in known]
    if foreign:
        raise CalibrationError(
            f"camera {camera.id!r}: classes: {', '.join(foreign)} unknown; "
            f"choose from {', '.join(sorted(known))}"
        )
    return frozenset(ObjectClass(name) for name in camera.classes) or frozenset(ObjectClass)


def _crop_windows(camera: CameraOptions, model: CameraModel) -> list[tuple[Floats, Floats]]:
    """Per crop, in outward coordinates: from where on an edge may be the border's, and up to where
    a box can have come from this crop."""
    size = (model.width, model.height)
    windows = []
    for left, top, right, bottom in crops(camera.regions, size, *size):
        outward = np.array([left, top, right, bottom]) * _OUTWARD
        # Beyond the crop by more than a pixel of rounding: the box came from another one.
        windows.append((outward - BORDER * max(right - left, bottom - top), outward + 1.0))
    return windows


def _check_sees_road(name: str, model: CameraModel, camera: CameraOptions) -> None:
    """The image's lower edge and a fair part of every region must show road within range."""
    width, height = model.width, model.height

    def share(left: float, top: float, right: float, bottom: float) -> float:
        x, y = np.meshgrid(np.linspace(left, right, _GRID), np.linspace(top, bottom, _GRID))
        ideal, covered = model.ideal(np.column_stack((x.ravel(), y.ravel())))
        ground, seen = model.ground(ideal)
        near = np.linalg.norm(ground - model.position[:2], axis=1) <= camera.max_range
        return float((covered & seen & near).mean())

    if share(0, height - 1, width - 1, height - 1) == 0.0:
        raise CalibrationError(
            f"camera {name!r}: the calibration maps the road to the sky: nowhere along the image's "
            f"lower edge is there road within max_range {camera.max_range:g} m; check the sign of "
            "tilt (positive looks down) and the order of image and ground coordinates"
        )
    if share(0, 0, width - 1, height - 1) < _LEAST_ROAD:
        raise CalibrationError(
            f"camera {name!r}: less than {_LEAST_ROAD:.0%} of the image shows road within "
            f"max_range {camera.max_range:g} m; check the calibration or raise max_range"
        )
    for index, (left, top, right, bottom) in enumerate(
        crops(camera.regions, (width, height), width, height)
    ):
        if share(left, top, right - 1, bottom - 1) == 0.0:
            raise CalibrationError(
                f"camera {name!r}: regions[{index}] shows no road within max_range "
                f"{camera.max_range:g} m; move the region or check the calibration"
            )
