"""A camera from surveyed points alone: the homography, its covariance, and what it implies above
the road.

Four points or more on the road plane fix how the plane appears, so positions on it are exact up to
the survey's noise. Heights are not surveyed: they follow by assuming square pixels and a principal
point at the image centre, which gives the focal length and so the pose (Zhang, "A flexible new
technique for camera calibration", 2000, §3.1). Where the view is too steep for that, heights are
taken as zero, which only affects how a box's size is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.config.cameras import HomographyCalibration
from rsu.perception.errors import CalibrationError

Floats = npt.NDArray[np.float64]

# Focal lengths in image widths that real roadside lenses have (0.3: 120°, 20: 3°); outside, the
# points do not determine it.
_FOCAL_RANGE = (0.3, 20.0)

# Points more than this many expected deviations off the common plane were mistyped. With at most
# 64 points, pure noise gets there less than once in a thousand calibrations.
_RESIDUAL_LIMIT = 5.0

# Smallest over largest singular value at which the equations still determine the homography; the
# points lie on one line below it.
_RANK_LIMIT = 1e-6


@dataclass(frozen=True)
class HomographyFit:
    """`to_ground` (3×3) image → ground; `entries` its covariance (9×9, row by row); `projection`
    (3×4) site → image; `position` of the camera (x, y, z)."""

    to_ground: Floats
    entries: Floats
    projection: Floats
    position: Floats


def homography_camera(calibration: HomographyCalibration) -> HomographyFit:
    """Fit and check; raises CalibrationError naming the points that are wrong."""
    image = np.array([pair.image for pair in calibration.points], dtype=np.float64)
    ground = np.array([pair.ground for pair in calibration.points], dtype=np.float64)
    to_ground = _fit(image, ground)
    weights = np.column_stack((image, np.ones(len(image)))) @ to_ground[2]
    # Points seen by one camera lie on one side of its horizon.
    if not (np.all(weights > 0) or np.all(weights < 0)):
        raise CalibrationError(
            "calibration.points: the horizon runs between the points, which maps the road to the "
            "sky; check for swapped points"
        )
    to_ground = to_ground * np.sign(weights[0])
    # Seen from above, x right and y down is a left-handed pair on the ground.
    if np.linalg.det(to_ground) > 0:
        raise CalibrationError(
            "calibration.points: the road appears mirrored, as seen from below; check the order "
            "east, north and for swapped points"
        )
    entries = _entries_covariance(calibration, image, ground, to_ground)
    _check_residuals(calibration, image, ground, to_ground)
    size = (calibration.image_width, calibration.image_height)
    projection, position = _lift(to_ground, size, ground.mean(axis=0))
    return HomographyFit(to_ground, entries, projection, position)


def _fit(image: Floats, ground: Floats) -> Floats:
    """Normalised direct linear transform (Hartley & Zisserman, alg. 4.2), unit Frobenius norm."""
    from_image, from_ground = _normaliser(image), _normaliser(ground)
    p = np.column_stack((image, np.ones(len(image)))) @ from_image.T
    q = np.column_stack((ground, np.ones(len(ground)))) @ from_ground.T
    zero = np.zeros_like(p)
    rows = np.concatenate(
        (
            np.concatenate((p, zero, -q[:, :1] * p), axis=1),
            np.concatenate((zero, p, -q[:, 1:2] * p), axis=1),
        )
    )
    _, singular, basis = np.linalg.svd(rows)
    if singular[7] < _RANK_LIMIT * singular[0]:
        raise CalibrationError(
            "calibration.points: they do not fix the plane; at least four are needed of which no "
            "three lie on one line"
        )
    matrix = np.linalg.inv(from_ground) @ basis[-1].reshape(3, 3) @ from_image
    fitted: Floats = matrix / np.linalg.norm(matrix)
    return fitted


def _normaliser(points: Floats) -> Floats:
    """Similarity that moves the centroid to 0 and the mean distance to √2."""
    centre = points.mean(axis=0)
    spread = float(np.linalg.norm(points - centre, axis=1).mean())
    if spread == 0.0:
        raise CalibrationError("calibration.points: all points are the same")
    scale = np.sqrt(2.0) / spread
    return np.array([[scale, 0, -scale * centre[0]], [0, scale, -scale * centre[1]], [0, 0, 1.0]])


def _entries_covariance(
    calibration: HomographyCalibration, image: Floats, ground: Floats, fitted: Floats
) -> Floats:
    """Σ over every coordinate of (∂H/∂c)(∂H/∂c)ᵀ σ_c², by central differences of the fit."""
    noise = calibration.noise
    out = np.zeros((9, 9))
    for values, sigma in ((image, noise.pixel), (ground, noise.ground)):
        if sigma == 0.0:
            continue
        # Small against the noise, so that it is the derivative, not the curvature, that is seen.
        step = 0.01 * sigma
        for index in np.ndindex(values.shape):
            ends = []
            for sign in (1.0, -1.0):
                moved = values.copy()
                moved[index] += sign * step
                pair = (moved, ground) if values is image else (image, moved)
                matrix = _fit(*pair)
                ends.append(matrix * np.sign(np.sum(matrix * fitted)))  # the fit's sign is free
            slope = ((ends[0] - ends[1]) / (2 * step)).reshape(9)
            out += sigma**2 * np.outer(slope, slope)
    return out


def _check_residuals(
    calibration: HomographyCalibration, image: Floats, ground: Floats, to_ground: Floats
) -> None:
    rows = np.column_stack((image, np.ones(len(image)))) @ to_ground.T
    found = rows[:, :2] / rows[:, 2:]
    for index, (have, want) in enumerate(zip(found, ground, strict=True)):
        pixel = np.append(image[index], 1.0)
        jacobian = (to_ground[:2, :2] - np.outer(have, to_ground[2, :2])) / (pixel @ to_ground[2])
        noise = calibration.noise
        covariance = noise.pixel**2 * jacobian @ jacobian.T + noise.ground**2 * np.eye(2)
        # A calibration that claims no noise at all still comes with rounded numbers (1 mm).
        covariance += 1e-6 * np.eye(2)
        residual = have - want
        if residual @ np.linalg.solve(covariance, residual) > _RESIDUAL_LIMIT**2:
            raise CalibrationError(
                f"calibration.points[{index}]: lies {np.linalg.norm(residual):.2f} m from where "
                "the other points put it; check this point, or state its noise"
            )


def _lift(to_ground: Floats, size: tuple[int, int], middle: Floats) -> tuple[Floats, Floats]:
    """P (3×4) and the camera's position from the plane's homography.

    `middle` (x, y) of the surveyed points stands for the camera's foot where the view is so steep
    that perspective does not tell it; heights then do not show either.
    """
    width, height = size
    plane = np.linalg.inv(to_ground)
    centre = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1.0]])
    east, north, origin = (centre @ plane).T
    flat = np.column_stack((plane[:, 0], plane[:, 1], np.zeros(3), plane[:, 2]))
    focal = _focal(east, north)
    low, high = (limit * width for limit in _FOCAL_RANGE)
    if focal is None or not low <= focal <= high:
        return flat, np.append(middle, 0.0)
    intrinsic = np.diag([focal, focal, 1.0])
    x, y, t = np.linalg.solve(intrinsic, np.column_stack((east, north, origin))).T
    scale = 2.0 / (np.linalg.norm(x) + np.linalg.norm(y))
    # The nearest rotation to the two measured axes and their normal.
    u, _, v = np.linalg.svd(np.column_stack((x * scale, y * scale, np.cross(x, y) * scale**2)))
    rotation = u @ np.diag([1.0, 1.0, np.linalg.det(u @ v)]) @ v
    position: Floats = -rotation.T @ (t * scale)
    if position[2] <= 0:
        return flat, np.append(middle, 0.0)
    up = np.linalg.solve(centre, intrinsic @ rotation[:, 2]) / scale
    return np.column_stack((plane[:, 0], plane[:, 1], up, plane[:, 2])), position


def _focal(east: Floats, north: Floats) -> float | None:
    """Focal length, px, for which both axes are orthogonal and equally long; least squares."""
    a = np.array(
        [
            east[0] * north[0] + east[1] * north[1],
            east[0] ** 2 + east[1] ** 2 - north[0] ** 2 - north[1] ** 2,
        ]
    )
    b = np.array([east[2] * north[2], east[2] ** 2 - north[2] ** 2])
    if not a.any():
        return None
    inverse_square = -float(a @ b) / float(a @ a)
    return None if inverse_square <= 0 else float(1.0 / np.sqrt(inverse_square))
