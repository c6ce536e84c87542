"""Does a calibration map the image to the road? Plain-Python geometry for `rsu.config.check`.

A calibration that puts the road into the sky, mirrors it, or misses its own surveyed points makes
every position wrong and every covariance a lie, so it is looked at before anything starts. In and
out: option models in, findings (where, message, warning) out. Lens distortion is left out of the
horizon test: it moves a pixel by far less than the test's grid. The runtime's own projection, with
covariance, is `rsu.perception`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rsu.config.cameras import (
    Calibration,
    GroundPair,
    HomographyCalibration,
    LensOptions,
    PoseCalibration,
    RotationCalibration,
)
from rsu.config.problems import Location

GRID = 12
"""Rays a side with which an image is sampled."""
LITTLE_GROUND = 0.1
"""Share of the image that should show road in range; below it a camera looks past its site."""
WARN_RATIO = 2.0
REFUSE_RATIO = 3.0
"""Residual against declared noise, √(χ² / degrees of freedom): 1 is expected. With 8 points (8
degrees of freedom) chance exceeds 2 once in 10 000 surveys and 3 never; with 5 points, 2 once in 50
and 3 once in 8000."""

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]
Plane = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a calibration; `at` leads from the calibration to the culprit."""

    at: Location
    message: str
    warning: bool = False


def findings(calibration: Calibration, max_range: float) -> list[Finding]:
    """Everything that is wrong with a calibration; `max_range` is the camera's, m."""
    try:
        return list(_findings(calibration, max_range))
    except (OverflowError, ZeroDivisionError):
        return [Finding((), "its numbers are too large or too small to compute with")]


def _findings(calibration: Calibration, max_range: float) -> Iterator[Finding]:
    if isinstance(calibration, HomographyCalibration):
        yield from _homography(calibration)
        return
    yield from _lens(calibration.lens, calibration)
    if isinstance(calibration, PoseCalibration):
        pose = calibration.pose
        axes = axes_of(pose.heading, pose.tilt, pose.roll)
        yield from _view(calibration, axes, (pose.x, pose.y, pose.z), max_range, "pose")
    else:
        yield from _matrix(calibration, max_range)


# --- pose and matrix ------------------------------------------------------------------------------


def axes_of(heading: float, tilt: float, roll: float) -> Matrix:
    """Camera axes (right, down, forward) as rows in the site frame, angles in degrees.

    Heading clockwise from north, tilt below the horizon, roll clockwise as the camera looks.
    """
    h, t, r = (math.radians(angle) for angle in (heading, tilt, roll))
    forward = (math.sin(h) * math.cos(t), math.cos(h) * math.cos(t), -math.sin(t))
    right = (math.cos(h), -math.sin(h), 0.0)
    down = (-math.sin(h) * math.sin(t), -math.cos(h) * math.sin(t), -math.cos(t))
    # Turning the camera clockwise turns its right-hand axis towards down.
    return (
        _blend(right, down, math.cos(r), math.sin(r)),
        _blend(right, down, -math.sin(r), math.cos(r)),
        forward,
    )


def _blend(a: Vector, b: Vector, p: float, q: float) -> Vector:
    return (p * a[0] + q * b[0], p * a[1] + q * b[1], p * a[2] + q * b[2])


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def _matrix(calibration: RotationCalibration, max_range: float) -> Iterator[Finding]:
    rows = calibration.extrinsic
    axes: Matrix = (rows[0][:3], rows[1][:3], rows[2][:3])
    shift = [row[3] for row in rows]
    for i in range(3):
        for j in range(i, 3):
            # 1e-3: matrices are printed with four digits or more.
            if abs(_dot(axes[i], axes[j]) - (i == j)) > 1e-3:
                yield Finding(("extrinsic",), f"is no rotation: rows {i} and {j} are not "
                              f"{'of length 1' if i == j else 'at right angles'}")  # fmt: skip
                return
    (a, b, c), (d, e, f), (g, h, i_) = axes
    if a * (e * i_ - f * h) - b * (d * i_ - f * g) + c * (d * h - e * g) < 0:
        yield Finding(("extrinsic",), "mirrors the world: its determinant is -1")
        return
    centre: Vector = (
        -_dot((a, d, g), shift), -_dot((b, e, h), shift), -_dot((c, f, i_), shift)
    )  # fmt: skip
    if centre[2] <= 0:
        yield Finding(
            ("extrinsic",),
            f"puts the camera {-centre[2]:.2f} m below the road (is it camera → site?)",
        )
        return
    yield from _view(calibration, axes, centre, max_range, "extrinsic")


def _view(
    calibration: PoseCalibration | RotationCalibration,
    axes: Matrix,
    centre: Vector,
    max_range: float,
    where: str,
) -> Iterator[Finding]:
    """How much of the image shows ground within range."""
    lens = calibration.lens
    below = near = 0
    for row in range(GRID + 1):
        for column in range(GRID + 1):
            x = (column / GRID * calibration.image_width - lens.cx) / lens.fx
            y = (row / GRID * calibration.image_height - lens.cy) / lens.fy
            ray = [_dot((x, y, 1.0), axis) for axis in zip(*axes, strict=True)]
            if ray[2] < -1e-9:
                below += 1
                near += math.hypot(ray[0], ray[1]) * centre[2] / -ray[2] <= max_range
    if not below:
        yield Finding((where,), "maps the road to the sky: the whole image is above the horizon")
    elif not near:
        yield Finding((where,), f"no pixel shows ground within max_range ({max_range:g} m)")
    elif near < LITTLE_GROUND * (GRID + 1) ** 2:
        share = 100 * near / (GRID + 1) ** 2
        message = f"only {share:.0f} % of the image show ground within max_range ({max_range:g} m)"
        yield Finding((where,), message, warning=True)


def _lens(
    lens: LensOptions, calibration: PoseCalibration | RotationCalibration
) -> Iterator[Finding]:
    if len(lens.distortion) not in (0, 4, 5, 8):
        count = len(lens.distortion)
        yield Finding(
            ("lens", "distortion"), f"OpenCV's model has 4, 5 or 8 coefficients, not {count}"
        )
    sides = (
        ("cx", lens.cx, calibration.image_width), ("cy", lens.cy, calibration.image_height)
    )  # fmt: skip
    for name, centre, side in sides:
        if not 0 <= centre <= side:
            message = f"the optical axis at {centre:g} px lies outside the image (0..{side} px)"
            yield Finding(("lens", name), message, warning=True)
    ratio = lens.fx / lens.fy
    if not 0.8 < ratio < 1.25:  # sensor pixels are square; scaled streams rarely exceed 1.2
        message = f"fx / fy is {ratio:.2f}: pixels are nearly always square"
        yield Finding(("lens", "fy"), message, warning=True)


# --- homography -----------------------------------------------------------------------------------


def _homography(calibration: HomographyCalibration) -> Iterator[Finding]:
    pairs = calibration.points
    outside = [
        index
        for index, pair in enumerate(pairs)
        if not (
            0 <= pair.image[0] <= calibration.image_width
            and 0 <= pair.image[1] <= calibration.image_height
        )
    ]
    for index in outside:
        yield Finding(("points", index, "image"), "lies outside the image")
    if outside:
        return
    for side in ("image", "ground"):
        if _spread([getattr(pair, side) for pair in pairs]) < 0.01:
            yield Finding(("points",), f"the {side} points lie on one line")
            return
    matrix = fit_homography([pair.image for pair in pairs], [pair.ground for pair in pairs])
    if matrix is None:
        yield Finding(("points",), "do not determine a mapping (three of four on one line?)")
        return
    yield from _facing(matrix, calibration)
    yield from _residuals(matrix, pairs, calibration)


def _facing(matrix: Matrix, calibration: HomographyCalibration) -> Iterator[Finding]:
    """The road must lie before the camera, and be seen from above."""
    scales = [_dot(matrix[2], (*pair.image, 1.0)) for pair in calibration.points]
    if min(scales) < 0 < max(scales):
        index = next(i for i, scale in enumerate(scales) if scale * scales[0] < 0)
        message = "maps the road to the sky: the horizon runs between the surveyed points"
        yield Finding(("points", index), message)
        return
    # Seen from above, clockwise stays clockwise: with y down in the image and north up on the
    # ground the determinant is negative.
    mean = _mean([pair.image for pair in calibration.points])
    (a, b), (c, d) = _jacobian(matrix, mean)
    if a * d - b * c > 0:
        message = (
            "maps the road to the sky: it is seen from below (are x and y, or east and north, "
            "exchanged?)"
        )
        yield Finding(("points",), message)


def _residuals(
    matrix: Matrix, pairs: Sequence[GroundPair], calibration: HomographyCalibration
) -> Iterator[Finding]:
    """Distance of the points from where the mapping puts them, against the declared noise."""
    inverse = fit_homography([pair.ground for pair in pairs], [pair.image for pair in pairs])
    freedom = 2 * len(pairs) - 8
    if freedom == 0 or inverse is None:
        return  # four points always fit
    noise = calibration.noise
    metres, pixels, weighted = [], [], []
    for pair in pairs:
        gap = math.dist(project(matrix, pair.image), pair.ground)
        (a, b), (c, d) = _jacobian(matrix, pair.image)
        variance = noise.ground**2 + noise.pixel**2 * (a * a + b * b + c * c + d * d) / 2
        metres.append(gap)
        pixels.append(math.dist(project(inverse, pair.ground), pair.image))
        weighted.append(gap * gap / variance if variance > 0 else math.inf if gap > 0 else 0.0)
    ratio = math.sqrt(sum(weighted) / freedom)
    if not ratio <= WARN_RATIO:  # also for NaN
        worst = max(range(len(pairs)), key=weighted.__getitem__)
        message = (
            f"re-project with {_rms(pixels):.1f} px ({_rms(metres):.2f} m) RMS, {ratio:.1f} times "
            f"the declared noise; worst is points[{worst}] with {pixels[worst]:.1f} px "
            f"({metres[worst]:.2f} m)"
        )
        yield Finding(("points",), message, warning=ratio <= REFUSE_RATIO)


def fit_homography(source: Sequence[Plane], target: Sequence[Plane]) -> Matrix | None:
    """Least-squares plane-to-plane mapping of ≥ 4 points; None where they are degenerate.

    Normalised direct linear transform (Hartley & Zisserman, algorithm 4.2) with the last element
    of the normalised matrix fixed to 1, which fails only when the centroid maps to infinity: no
    camera sees its own horizon amid the surveyed points.
    """
    (p, ps), (q, qs) = _normalising(source), _normalising(target)
    if not ps or not qs:
        return None
    normal = [[0.0] * 9 for _ in range(8)]
    for (x0, y0), (u0, v0) in zip(source, target, strict=True):
        x, y = (x0 - p[0]) * ps, (y0 - p[1]) * ps
        u, v = (u0 - q[0]) * qs, (v0 - q[1]) * qs
        for row in (
            (x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u),
            (0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v),
        ):
            for i in range(8):
                for j in range(9):
                    normal[i][j] += row[i] * row[j]
    h = _solve(normal)
    if h is None:
        return None
    # Undo the normalisation: T_target⁻¹ · H · T_source.
    rows = []
    for i in range(3):
        a, b, c = (*h, 1.0)[3 * i : 3 * i + 3]
        rows.append((a * ps, b * ps, c - ps * (a * p[0] + b * p[1])))
    last = rows[2]
    return (
        _blend(rows[0], last, 1 / qs, q[0]),
        _blend(rows[1], last, 1 / qs, q[1]),
        last,
    )


def project(matrix: Matrix, point: Plane) -> Plane:
    """Where a homography takes a point."""
    u, v, w = (_dot(row, (*point, 1.0)) for row in matrix)
    return (u / w, v / w) if w else (math.inf, math.inf)


def _jacobian(matrix: Matrix, point: Plane) -> tuple[Plane, Plane]:
    u, v, w = (_dot(row, (*point, 1.0)) for row in matrix)
    if not w:
        return (math.inf, 0.0), (0.0, math.inf)
    (a, b, _), (c, d, _), (g, h, _) = matrix
    return (
        ((a - g * u / w) / w, (b - h * u / w) / w),
        ((c - g * v / w) / w, (d - h * v / w) / w),
    )


def _solve(system: list[list[float]]) -> list[float] | None:
    """Gauss-Jordan with partial pivoting on n × (n + 1); None when singular."""
    size = len(system)
    scale = max(abs(value) for row in system for value in row) or 1.0
    for column in range(size):
        pivot = max(range(column, size), key=lambda row: abs(system[row][column]))
        if abs(system[pivot][column]) < 1e-12 * scale:
            return None
        system[column], system[pivot] = system[pivot], system[column]
        for row in range(size):
            if row != column:
                factor = system[row][column] / system[column][column]
                for k in range(column, size + 1):
                    system[row][k] -= factor * system[column][k]
    return [system[i][size] / system[i][i] for i in range(size)]


def _normalising(points: Sequence[Plane]) -> tuple[Plane, float]:
    """Centroid, and the scale that brings points to a mean distance of √2 from it."""
    centre = _mean(points)
    mean = sum(math.dist(point, centre) for point in points) / len(points)
    return centre, math.sqrt(2) / mean if mean > 0 else 0.0


def _mean(points: Sequence[Plane]) -> Plane:
    return (
        sum(point[0] for point in points) / len(points),
        sum(point[1] for point in points) / len(points),
    )


def _spread(points: Sequence[Plane]) -> float:
    """Shortest over longest half axis of the points' scatter: 0 on a line, 1 in a circle."""
    cx, cy = _mean(points)
    xx = sum((x - cx) ** 2 for x, _ in points)
    yy = sum((y - cy) ** 2 for _, y in points)
    xy = sum((x - cx) * (y - cy) for x, y in points)
    middle, swing = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    if middle + swing <= 0:
        return 0.0
    return math.sqrt(max(middle - swing, 0.0) / (middle + swing))


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values))
