"""Sensor messages as measurement arrays: the one place where fusion knows sensor formats.

In: `CameraDetections` or `RadarObjects`; out: one `Scan` with arrays of M measurements in the site
frame, and a count of what was refused by reason (`readings` checks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.fusion.classes import CLASS_INDEX
from rsu.fusion.motion import clip
from rsu.fusion.readings import (
    LEAST_SCORE,
    LEAST_STD,
    LONGEST,
    MOST_SCORE,
    NO_COV,
    Readings,
    constant_part,
    dimensions,
    floored,
    numbers,
    of_cov,
    of_size,
    unsuspecting,
    usable,
)
from rsu.schema.sensing import CameraDetections, ObjectClass, RadarObjects

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

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
    hearsay: bool = False
    """What another unit says of others: it may rest on what we said before."""
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


@unsuspecting
def scan_from_camera(message: CameraDetections) -> tuple[Scan, dict[str, int]]:
    """A camera frame's detections as a scan, and refused detections by reason."""
    seen = message.detections
    position, position_cov, constant_cov, score, size, boxes = numbers(
        [
            (
                place.x, place.y, cov.xx, cov.xy, cov.yy, *of_cov(one.constant_cov), one.score,
                size.length, size.width, size.height,
                box.left, box.top, box.left + box.width, box.top + box.height,
            )
            for one in seen
            for place, cov, size, box in (
                (one.position, one.position_cov, one.size, one.box),
            )
        ],
        2, 3, 3, 1, 3, 4,
    )  # fmt: skip
    readings = Readings(position, position_cov, constant_cov, score[:, 0], size)
    doubt = _doubt(readings.size, _covered(boxes), readings.score)
    kept, refused = usable(readings)
    return checked_scan(
        (message.sensor, message.capture_ns, message.frame),
        readings, kept, [one.object_class for one in seen], doubt,
    ), refused  # fmt: skip


@unsuspecting
def scan_from_radar(message: RadarObjects) -> tuple[Scan, dict[str, int]]:
    """A radar cycle's objects as a scan, and refused objects by reason.

    The radar's own probability of existence serves as score; 0.5 where it states none.
    """
    seen = message.objects
    position, position_cov, constant_cov, score, size, velocity, velocity_cov = numbers(
        [
            (
                one.position.x, one.position.y, *of_cov(one.position_cov), *NO_COV,
                0.5 if one.existence is None else one.existence, *of_size(one.size),
                one.velocity.x, one.velocity.y, *of_cov(one.velocity_cov),
            )
            for one in seen
        ],
        2, 3, 3, 1, 3, 2, 3,
    )  # fmt: skip
    readings = Readings(
        position, position_cov, constant_cov, score[:, 0], size, velocity, velocity_cov
    )
    kept, refused = usable(readings)
    return checked_scan(
        (message.sensor, message.capture_ns, message.cycle),
        readings, kept, [one.object_class for one in seen],
    ), refused  # fmt: skip


def checked_scan(
    look: tuple[str, int, int],
    readings: Readings,
    kept: npt.NDArray[np.bool_],
    classes: Sequence[ObjectClass],
    doubt: Floats | None = None,
) -> Scan:
    """The rows `kept` as a scan of the look (sensor, capture time, number).

    `doubt` M (m²) comes on top of both variances of a position, and `LASTING` of it stays.
    """
    more = np.zeros((len(readings), 1)) if doubt is None else doubt[:, None]
    class_index = np.array([CLASS_INDEX[one] for one in classes], dtype=np.intp)
    if np.count_nonzero(kept) < len(kept):
        readings, more, class_index = readings.take(kept), more[kept], class_index[kept]
    cov = readings.position_cov
    velocity, velocity_cov = readings.velocity, readings.velocity_cov
    sensor, capture_ns, number = look
    return Scan(
        sensor=sensor,
        capture_ns=capture_ns,
        number=number,
        position=readings.position,
        position_cov=floored(cov, LEAST_STD**2 + more),
        constant_cov=constant_part(readings.constant_cov, cov, LASTING * more),
        velocity=velocity,
        velocity_cov=None if velocity_cov is None else floored(velocity_cov, LEAST_STD**2),
        class_index=class_index,
        score=clip(readings.score, LEAST_SCORE, MOST_SCORE),
        size=dimensions(readings.size),
    )


def _covered(boxes: Floats) -> Floats:
    """Share of each box M×4 (left, top, right, bottom) that one box with a lower edge, hence a
    nearer object, covers at most."""
    left, top, right, bottom = boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3]
    # Few boxes overlap, so only those that do are measured.
    behind = bottom[:, None] < bottom
    if not np.count_nonzero(behind) or not np.isfinite(boxes).all():
        return np.zeros(len(boxes))
    behind &= left[:, None] < right
    behind &= right[:, None] > left
    behind &= bottom[:, None] > top
    far, near = behind.nonzero()
    wide = np.maximum(np.minimum(right[far], right[near]) - np.maximum(left[far], left[near]), 0.0)
    high = bottom[far] - np.maximum(top[far], top[near])
    most = np.zeros(len(boxes))
    np.maximum.at(most, far, wide * high)
    own = np.maximum((right - left) * (bottom - top), 1.0)
    return np.asarray(most / own)


def _doubt(size: Floats, covered: Floats, score: Floats) -> Floats:
    """Variance M (m²) that a loosely placed box adds in each direction."""
    lack = np.maximum(SURE_SCORE - score, 0.0)
    if not np.count_nonzero(lack) and not np.count_nonzero(covered):
        return lack
    measure = np.sqrt(np.maximum(size[:, 0] * size[:, 1], 0.0))
    # Written so that NaN counts as no size.
    scale = np.where(measure <= LONGEST, np.maximum(measure, LEAST_EXTENT), LEAST_EXTENT)
    hidden = (scale * np.minimum(COVERED * covered, COVERED_MOST)) ** 2
    lack = np.minimum(lack, SURE_SCORE)
    return np.asarray(hidden + (scale * SCORE_DOUBT * lack) ** 2)
