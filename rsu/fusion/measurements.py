"""Sensor messages as measurement arrays: the one place where fusion knows sensor formats.

In: `CameraDetections` or `RadarObjects`; out: one `Scan` with arrays of M measurements in the site
frame, and a count of what was refused by reason. Whatever passes here is finite, bounded and has
positive definite covariances, so the filter behind it never has to ask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.fusion.classes import CLASS_INDEX
from rsu.schema.sensing import CameraDetections, RadarObjects
from rsu.schema.units import Box, Cov2, Size, Vec2

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

MAX_MEASUREMENTS = 512  # per scan: an ARS408 cycle has at most 100 objects, a frame fewer
FARTHEST = 20_000.0  # m from the site's origin; nothing roadside sees farther
FASTEST = 150.0  # m/s
LEAST_STD = 0.05  # m and m/s: no roadside sensor is better, and it keeps the filter well posed
LARGEST_STD = 50.0  # m: a position less certain than this says nothing
LONGEST = 60.0  # m: longer than any road train

# Boxes behind other boxes, and those of low score, are placed worse than their edges' noise says.
# Measured with the shipped detector on rendered streets (2 × 30 s, vehicles within 60 m): the error
# across the view is 0.3 m for free boxes and 0.8–1.1 m where a nearer box covers more than a third;
# NEES of single looks 1.8 against 12–20. By score, along the view: 0.4 m from 0.8 on, 0.9 m at 0.7,
# 1.5 m at 0.5, 1.9 m at 0.35. In shares of the object's extent, √(length · width).
COVERED, COVERED_MOST = 0.7, 0.35
SURE_SCORE, SCORE_DOUBT = 0.75, 1.05
LEAST_EXTENT = 1.0  # m: two people who walk together share boxes about as wide as that
LASTING = 0.3  # such an error of one look is found again in the look 0.5 s later: correlation 0.34


@dataclass(frozen=True, slots=True)
class Scan:
    """One look of one sensor: M measurements taken together.

    `position` M×2 (m), `position_cov` M×2×2, of which `constant_cov` M×2×2 is the sensor's standing
    error (calibration), the same in every look; `velocity` M×2 (m/s) and `velocity_cov` M×2×2 are
    None for sensors that measure none. `class_index` M into `CLASSES`; `score` M in 0.01..0.99;
    `size` M×3 (m), NaN where none was measured. `number` counts the sensor's looks.
    """

    sensor: str
    capture_ns: int
    number: int
    position: Floats
    position_cov: Floats
    constant_cov: Floats
    velocity: Floats | None
    velocity_cov: Floats | None
    class_index: npt.NDArray[np.intp]
    score: Floats
    size: Floats
    surveys: bool = True
    """Whether silence about a track speaks against it; what is heard says nothing of others."""
    label: Integers | None = None
    """M: which road user speaks of itself (`rsu.fusion.heard`), 0: none; None: nobody does."""
    evidence_ns: Integers | None = None
    """M: when each was measured, not after `capture_ns`; None: all at `capture_ns`."""

    @property
    def key(self) -> tuple[int, str, int]:
        """Place of this scan in capture order; ties go by sensor name, so order is total."""
        return (self.capture_ns, self.sensor, self.number)

    def __len__(self) -> int:
        return len(self.score)


def scan_from_camera(message: CameraDetections) -> tuple[Scan, dict[str, int]]:
    """A camera frame's detections as a scan, and refused detections by reason."""
    rows = Rows()
    for detection, covered in zip(
        message.detections, _covered([one.box for one in message.detections]), strict=True
    ):
        rows.add(
            detection.position, detection.position_cov, None, None,
            CLASS_INDEX[detection.object_class], detection.score, detection.size,
            detection.constant_cov, _doubt(detection.size, covered, detection.score),
        )  # fmt: skip
    return rows.scan(message.sensor, message.capture_ns, message.frame, moving=False)


def scan_from_radar(message: RadarObjects) -> tuple[Scan, dict[str, int]]:
    """A radar cycle's objects as a scan, and refused objects by reason.

    The radar's own probability of existence serves as score; 0.5 where it states none.
    """
    rows = Rows()
    for item in message.objects:
        rows.add(
            item.position, item.position_cov, item.velocity, item.velocity_cov,
            CLASS_INDEX[item.object_class],
            0.5 if item.existence is None else item.existence, item.size,
        )  # fmt: skip
    return rows.scan(message.sensor, message.capture_ns, message.cycle, moving=True)


def _covered(boxes: Sequence[Box]) -> list[float]:
    """Share of each box that one box with a lower edge, hence a nearer object, covers at most."""
    if len(boxes) < 2:
        return [0.0] * len(boxes)
    edges = _array([(b.left, b.top, b.left + b.width, b.top + b.height) for b in boxes], (4,))
    if not np.isfinite(edges.sum()):
        return [0.0] * len(boxes)
    low, high = edges[:, :2], edges[:, 2:]
    common = np.minimum(high[:, None], high) - np.maximum(low[:, None], low)
    np.maximum(common, 0.0, out=common)
    area = np.where(edges[None, :, 3] > edges[:, None, 3], common[..., 0] * common[..., 1], 0.0)
    own = np.maximum((high - low).prod(axis=1), 1.0)
    share: list[float] = (area.max(axis=1) / own).tolist()
    return share


def _doubt(size: Size, covered: float, score: float) -> float:
    """Variance (m²) that a loosely placed box adds in each direction."""
    measure = math.sqrt(max(size.length * size.width, 0.0))
    scale = max(measure, LEAST_EXTENT) if measure <= LONGEST else LEAST_EXTENT
    hidden = (scale * min(COVERED * covered, COVERED_MOST)) ** 2
    loose = (scale * SCORE_DOUBT * min(max(SURE_SCORE - score, 0.0), SURE_SCORE)) ** 2
    return hidden + loose


class Rows:
    """Collects checked measurements row by row."""

    def __init__(self) -> None:
        self.position: list[tuple[float, float]] = []
        self.position_cov: list[list[list[float]]] = []
        self.constant_cov: list[list[list[float]]] = []
        self.velocity: list[tuple[float, float]] = []
        self.velocity_cov: list[list[list[float]]] = []
        self.class_index: list[int] = []
        self.score: list[float] = []
        self.size: list[tuple[float, float, float]] = []
        self.refused: dict[str, int] = {}

    def add(
        self,
        position: Vec2,
        position_cov: Cov2,
        velocity: Vec2 | None,
        velocity_cov: Cov2 | None,
        class_index: int,
        score: float,
        size: Size | None,
        constant_cov: Cov2 | None = None,
        doubt: float = 0.0,
    ) -> None:
        """`doubt` (m²) comes on top of both variances of a position."""
        reason = _fault(position, position_cov, velocity, velocity_cov, score)
        if reason is None and len(self.score) >= MAX_MEASUREMENTS:
            reason = "too_many_measurements"
        if reason is not None:
            self.refused[reason] = self.refused.get(reason, 0) + 1
            return
        self.position.append((position.x, position.y))
        self.position_cov.append(_matrix(position_cov, LEAST_STD**2 + doubt))
        self.constant_cov.append(_constant_part(constant_cov, position_cov, LASTING * doubt))
        if velocity is not None and velocity_cov is not None:
            self.velocity.append((velocity.x, velocity.y))
            self.velocity_cov.append(_matrix(velocity_cov, LEAST_STD**2))
        self.class_index.append(class_index)
        self.score.append(min(max(score, 0.01), 0.99))
        self.size.append(_dimensions(size))

    def scan(
        self, sensor: str, capture_ns: int, number: int, *, moving: bool
    ) -> tuple[Scan, dict[str, int]]:
        scan = Scan(
            sensor=sensor,
            capture_ns=capture_ns,
            number=number,
            position=_array(self.position, (2,)),
            position_cov=_array(self.position_cov, (2, 2)),
            constant_cov=_array(self.constant_cov, (2, 2)),
            velocity=_array(self.velocity, (2,)) if moving else None,
            velocity_cov=_array(self.velocity_cov, (2, 2)) if moving else None,
            class_index=np.array(self.class_index, dtype=np.intp),
            score=_array(self.score, ()),
            size=_array(self.size, (3,)),
        )
        return scan, self.refused


def _fault(
    position: Vec2,
    position_cov: Cov2,
    velocity: Vec2 | None,
    velocity_cov: Cov2 | None,
    score: float,
) -> str | None:
    """Reason code to refuse a measurement, None when it is usable."""
    numbers: tuple[float, ...] = (
        position.x,
        position.y,
        position_cov.xx,
        position_cov.xy,
        position_cov.yy,
        score,
    )
    if velocity is not None and velocity_cov is not None:
        numbers += (velocity.x, velocity.y, velocity_cov.xx, velocity_cov.xy, velocity_cov.yy)
    # A finite sum has finite terms; only an odd one is worth looking at term by term.
    if not math.isfinite(sum(numbers)) and not all(map(math.isfinite, numbers)):
        return "not_finite"
    if max(abs(position.x), abs(position.y)) > FARTHEST:
        return "position_out_of_range"
    if velocity is not None and max(abs(velocity.x), abs(velocity.y)) > FASTEST:
        return "velocity_out_of_range"
    for cov in (position_cov, velocity_cov):
        if cov is not None:
            if not _is_covariance(cov):
                return "covariance_not_positive"
            if max(cov.xx, cov.yy) > LARGEST_STD**2:
                return "covariance_too_large"
    return None


def _is_covariance(cov: Cov2) -> bool:
    # Rounding in a projection may leave a rank-1 matrix a hair below zero; that is no fault.
    return (
        cov.xx >= 0.0
        and cov.yy >= 0.0
        and cov.xy * cov.xy <= cov.xx * cov.yy * (1.0 + 1e-6) + 1e-12
    )


def _matrix(cov: Cov2, floor: float) -> list[list[float]]:
    # Adding the floor, rather than taking a maximum, keeps any semi-definite matrix definite.
    return [[cov.xx + floor, cov.xy], [cov.xy, cov.yy + floor]]


def _constant_part(part: Cov2 | None, whole: Cov2, doubt: float) -> list[list[float]]:
    """The constant part of a covariance; none where it is not a part of the whole."""
    if part is not None and all(map(math.isfinite, (part.xx, part.xy, part.yy))):
        rest = Cov2(whole.xx - part.xx, whole.xy - part.xy, whole.yy - part.yy)
        if _is_covariance(part) and _is_covariance(rest):
            return _matrix(part, doubt)
    return [[0.0, 0.0], [0.0, 0.0]]


def _dimensions(size: Size | None) -> tuple[float, float, float]:
    if size is None:
        return (math.nan, math.nan, math.nan)
    values = (size.length, size.width, size.height)
    # Written so that NaN fails the comparison.
    if min(values) > 0.0 and max(values) <= LONGEST and sum(values) > 0.0:
        return values
    return (math.nan, math.nan, math.nan)


def _array(rows: Sequence[object], shape: tuple[int, ...]) -> Floats:
    return np.array(rows, dtype=np.float64).reshape((len(rows), *shape))
