"""Where a pixel meets the road: the geometry of one camera, from any of the three calibrations.

Everything works in *ideal* pixels: the lens distortion is removed first (OpenCV's model), after
that the camera is a 3×4 projection matrix P of the site frame (x east, y north, z up, m). The road
is the plane z = 0. A pose gives P directly; a homography gives P's columns for the plane, and the
vertical column when the points allow to derive it (Hartley & Zisserman, "Multiple View Geometry",
2nd ed., §8.1: P's columns are the images of the axes). Flows out: pixels ↔ ground, and the
covariance that the calibration's own noise puts on a ground point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from rsu.config.cameras import (
    CalibrationNoise,
    HomographyCalibration,
    LensOptions,
    PoseCalibration,
    PoseOptions,
    RotationCalibration,
)
from rsu.perception.errors import CalibrationError
from rsu.perception.homography import homography_camera

Floats = npt.NDArray[np.float64]

# Undistorting iterates; a pixel that does not come back within this many px lies outside the range
# the lens model was fitted in, where its polynomial folds back.
_LENS_TOLERANCE = 1.0

# How far from orthonormal a rotation may be: calibrations are printed with ≥ 4 decimals.
_ROTATION_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Lens:
    """Intrinsics with OpenCV's distortion; `matrix` is K (3×3)."""

    matrix: Floats
    distortion: Floats

    def ideal(self, pixels: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Ideal pixels (N, 2) of measured ones (N, 2), and which of them the lens model covers."""
        if self.distortion.size == 0 or len(pixels) == 0:
            return pixels, np.ones(len(pixels), dtype=bool)
        points = np.asarray(
            cv2.undistortPoints(pixels[:, np.newaxis], self.matrix, self.distortion, P=self.matrix),
            dtype=np.float64,
        ).reshape(-1, 2)
        back = self.measured(points)
        covered = np.linalg.norm(back - pixels, axis=1) <= _LENS_TOLERANCE
        return points, covered

    def measured(self, ideal: Floats) -> Floats:
        """Measured pixels (N, 2) of ideal ones: where the real lens puts them."""
        if self.distortion.size == 0 or len(ideal) == 0:
            return ideal
        rays = np.column_stack((ideal, np.ones(len(ideal)))) @ np.linalg.inv(self.matrix).T
        zero = np.zeros(3)
        pixels, _ = cv2.projectPoints(rays, zero, zero, self.matrix, self.distortion)
        return np.asarray(pixels, dtype=np.float64).reshape(-1, 2)


@dataclass(frozen=True)
class CameraModel:
    """One calibrated camera.

    `projection` P (3×4) maps site coordinates to ideal pixels, its third row scaled so that points
    in front of the camera come out positive. `position` is the camera's foot (x, y) and height z.
    `ground_noise` says how to turn the calibration's noise into a covariance on the ground.
    """

    width: int
    height: int
    lens: Lens | None
    projection: Floats
    position: Floats
    ground_noise: PoseNoise | PlaneNoise
    pixel_sigma: float

    @property
    def distorts(self) -> bool:
        """Whether measured pixels differ from ideal ones."""
        return self.lens is not None and self.lens.distortion.size > 0

    def ideal(self, pixels: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """See `Lens.ideal`; without a lens every pixel already is ideal."""
        if self.lens is None:
            return pixels, np.ones(len(pixels), dtype=bool)
        return self.lens.ideal(pixels)

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Ideal pixels (..., 2) of site points (..., 3), and their depth weight (...).

        A weight ≤ 0 means behind the camera; the pixel is then meaningless (but finite).
        """
        # One flat product: numpy would otherwise multiply matrix by matrix.
        flat = points.reshape(-1, 3) @ self.projection[:, :3].T + self.projection[:, 3]
        image = flat.reshape(points.shape)
        weight = image[..., 2]
        safe = np.where(np.abs(weight) < 1e-9, 1e-9, weight)
        return image[..., :2] / safe[..., np.newaxis], weight

    def ground(self, ideal: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Ground points (N, 2) under ideal pixels (N, 2), and which of them see the road at all.

        A pixel on or above the horizon sees none; its row is 0.
        """
        inverse = self._plane_inverse
        rows = ideal @ inverse[:, :2].T + inverse[:, 2]
        # The third coordinate is 1/weight up to a positive factor: positive in front, 0 at the
        # horizon. 1e-9 of the row's own size is the horizon within rounding.
        seen: npt.NDArray[np.bool_] = rows[:, 2] > 1e-9 * np.abs(rows).max(axis=1)
        weight = np.where(seen, rows[:, 2], np.inf)
        return rows[:, :2] / weight[:, np.newaxis], seen

    def ground_jacobian(self, points: Floats) -> Floats:
        """∂(ideal pixel)/∂(x, y) at site points (..., 3): (..., 2, 2), px/m."""
        pixel, weight = self.project(points)
        rows = self.projection[:, :2]
        safe = np.where(np.abs(weight) < 1e-9, 1e-9, weight)
        jacobian: Floats = (rows[:2] - pixel[..., :, np.newaxis] * rows[2][np.newaxis, :]) / safe[
            ..., np.newaxis, np.newaxis
        ]
        return jacobian

    def road_jacobian(self, ground: Floats) -> Floats:
        """∂(x, y)/∂(ideal pixel) at ground points (N, 2): (N, 2, 2), m/px; inverse of
        `ground_jacobian` on the road."""
        inverse = self._plane_inverse[:, :2]
        weight = ground @ self.projection[2, :2] + self.projection[2, 3]
        slide = inverse[:2] - ground[:, :, np.newaxis] * inverse[2]
        jacobian: Floats = slide * weight[:, np.newaxis, np.newaxis]
        return jacobian

    def calibration_cov(self, ground: Floats) -> Floats:
        """Covariance (N, 2, 2), m², of ground points (N, 2) from the calibration's noise alone."""
        return self.ground_noise.covariance(ground, self)

    def ground_cov(self, pixels: Floats, sigma: float) -> tuple[Floats, Floats]:
        """Ground points (N, 2) and covariances (N, 2, 2) of measured pixels (N, 2) on the road.

        `sigma` is the pixels' own noise (1 σ, px). The pixels must see the road (`ground`).
        """
        ideal, _ = self.ideal(pixels)
        ground, _ = self.ground(ideal)
        jacobian = self.road_jacobian(ground) @ self.lens_jacobian(pixels)
        covariance: Floats = sigma**2 * jacobian @ _t(jacobian) + self.calibration_cov(ground)
        return ground, covariance

    def lens_jacobian(self, pixels: Floats) -> Floats:
        """∂(ideal pixel)/∂(measured pixel) at measured pixels (N, 2): (N, 2, 2), by differences."""
        if self.lens is None or not self.distorts:
            return np.broadcast_to(np.eye(2), (len(pixels), 2, 2))
        steps = np.concatenate((np.eye(2), -np.eye(2)))
        around = (pixels + steps[:, np.newaxis]).reshape(-1, 2)
        right, below, left, above = self.lens.ideal(around)[0].reshape(4, -1, 2)
        return np.stack(((right - left) / 2.0, (below - above) / 2.0), axis=-1)

    @cached_property
    def _plane_inverse(self) -> Floats:
        return np.linalg.inv(np.asarray(self.projection[:, [0, 1, 3]], dtype=np.float64))


@dataclass(frozen=True)
class PoseNoise:
    """Noise of a pose: each angle, each coordinate and the road's height on their own."""

    axes: Floats  # (3, 3): site-frame axes of heading, tilt and roll
    angle: float  # rad
    position: float  # m
    ground: float  # m

    def covariance(self, ground: Floats, camera: CameraModel) -> Floats:
        """J Σ Jᵀ with the analytic Jacobian of ray-meets-plane (G = C + s·d, z fixed)."""
        ray = np.empty((len(ground), 3))
        ray[:, :2] = ground - camera.position[:2]
        ray[:, 2] = -camera.position[2]
        flat = ray[:, :2] / ray[:, 2:]
        # Tilting the camera moves d by axis × d; sliding along d keeps the point on the plane.
        move = ray @ self._turns
        shift = move[..., :2] - flat * move[..., 2:]
        out: Floats = self.angle**2 * np.einsum("ani,anj->nij", shift, shift)
        # The camera's height and the road's have the same effect, with opposite signs.
        out += (self.position**2 + self.ground**2) * _outer(flat)
        out += self.position**2 * np.eye(2)
        return out

    @cached_property
    def _turns(self) -> Floats:
        """(3, 3, 3): per axis the matrix T with d @ T = axis × d."""
        return np.stack([np.cross(axis, np.eye(3)) for axis in self.axes])


@dataclass(frozen=True)
class PlaneNoise:
    """Noise of a homography: covariance (9, 9) of its entries, image → ground, row by row."""

    matrix: Floats  # (3, 3)
    entries: Floats  # (9, 9)
    ground: float  # m: unevenness of the road between the surveyed points

    def covariance(self, ground: Floats, camera: CameraModel) -> Floats:
        pixels, _ = camera.project(_on_road(ground))
        homogeneous = np.column_stack((pixels, np.ones(len(pixels))))
        weight = homogeneous @ self.matrix[2]
        jacobian = np.zeros((len(ground), 2, 9))
        for row in range(2):
            jacobian[:, row, 3 * row : 3 * row + 3] = homogeneous
            jacobian[:, row, 6:9] = -homogeneous * ground[:, row : row + 1]
        jacobian /= weight[:, np.newaxis, np.newaxis]
        floor = self.ground**2 * np.eye(2)
        result: Floats = jacobian @ self.entries @ _t(jacobian) + floor
        return result


def camera_model(
    calibration: PoseCalibration | HomographyCalibration | RotationCalibration,
) -> CameraModel:
    """The camera of a calibration; raises CalibrationError when it contradicts itself."""
    if isinstance(calibration, HomographyCalibration):
        fitted = homography_camera(calibration)
        return CameraModel(
            width=calibration.image_width,
            height=calibration.image_height,
            lens=None,
            projection=fitted.projection,
            position=fitted.position,
            ground_noise=PlaneNoise(fitted.to_ground, fitted.entries, calibration.noise.ground),
            pixel_sigma=calibration.noise.pixel,
        )
    lens = _lens(calibration.lens)
    if isinstance(calibration, PoseCalibration):
        rotation = rotation_of(calibration.pose)
        pose = calibration.pose
        position = np.array([pose.x, pose.y, pose.z])
    else:
        rotation, position = _from_matrix(calibration)
    projection = lens.matrix @ np.column_stack((rotation, -rotation @ position))
    return CameraModel(
        width=calibration.image_width,
        height=calibration.image_height,
        lens=lens,
        projection=projection,
        position=position,
        ground_noise=_pose_noise(rotation, calibration.noise),
        pixel_sigma=calibration.noise.pixel,
    )


def rotation_of(pose: PoseOptions) -> Floats:
    """Site frame → camera frame (x right, y down, z forward), 3×3, from heading, tilt and roll.

    Roll is clockwise as seen from behind the camera: the horizon then rises to the right.
    """
    heading, tilt, roll = (math.radians(a) for a in (pose.heading, pose.tilt, pose.roll))
    level_forward = np.array([math.sin(heading), math.cos(heading), 0.0])
    right = np.array([math.cos(heading), -math.sin(heading), 0.0])
    up = np.array([0.0, 0.0, 1.0])
    forward = math.cos(tilt) * level_forward - math.sin(tilt) * up
    down = -math.sin(tilt) * level_forward - math.cos(tilt) * up
    rolled_right = math.cos(roll) * right + math.sin(roll) * down
    rolled_down = -math.sin(roll) * right + math.cos(roll) * down
    return np.stack((rolled_right, rolled_down, forward))


def _lens(options: LensOptions) -> Lens:
    matrix = np.array(
        [[options.fx, 0.0, options.cx], [0.0, options.fy, options.cy], [0.0, 0.0, 1.0]]
    )
    distortion = np.array(options.distortion, dtype=np.float64)
    if not distortion.any():
        return Lens(matrix, np.zeros(0))
    # OpenCV takes 4, 5 or 8 coefficients; absent ones are 0.
    length = next(size for size in (4, 5, 8) if distortion.size <= size)
    return Lens(matrix, np.pad(distortion, (0, length - distortion.size)))


def _from_matrix(calibration: RotationCalibration) -> tuple[Floats, Floats]:
    extrinsic = np.array(calibration.extrinsic)
    rotation = extrinsic[:, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
        raise CalibrationError(
            "calibration.extrinsic: its left 3×3 part is no rotation (rows must be orthonormal "
            f"and right-handed; off by {error:.2g})"
        )
    position: Floats = -rotation.T @ extrinsic[:, 3]
    if position[2] <= 0:
        raise CalibrationError(
            f"calibration.extrinsic: puts the camera {-position[2]:.2f} m below the road; "
            "it must map site → camera, not camera → site"
        )
    return rotation, position


def _pose_noise(rotation: Floats, noise: CalibrationNoise) -> PoseNoise:
    # Heading turns about the vertical, tilt about the level line across the view, roll about the
    # optical axis. Straight down there is no such level line; the image's own is as good as any.
    up, forward = np.array([0.0, 0.0, 1.0]), rotation[2]
    level = np.cross(forward, up)
    length = float(np.linalg.norm(level))
    level = level / length if length > 1e-6 else rotation[0]
    axes = np.stack((up, level, forward))
    return PoseNoise(axes, math.radians(noise.angle), noise.position, noise.ground)


def _on_road(ground: Floats) -> Floats:
    """(..., 2) → (..., 3) with z = 0."""
    return np.concatenate((ground, np.zeros((*ground.shape[:-1], 1))), axis=-1)


def _outer(vectors: Floats) -> Floats:
    return vectors[:, :, np.newaxis] * vectors[:, np.newaxis, :]


def _t(matrices: Floats) -> Floats:
    return np.swapaxes(matrices, -1, -2)
