"""Non-maximum suppression: of boxes that mean one object, the best-scored stays.

Two boxes compete when they could be the same thing: all motor vehicles among themselves (a
detector that wavers between car and van sees one vehicle, not two), every other class only with
itself (a rider is not the bicycle), and an unknown object with everything. Boxes from different
crops of the image also compete when one lies mostly inside the other: a crop's edge halves objects.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ObjectClass

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

CLASS_ORDER: tuple[ObjectClass, ...] = tuple(ObjectClass)
"""Our classes by index, as the detectors' arrays carry them."""

UNKNOWN_INDEX = CLASS_ORDER.index(ObjectClass.UNKNOWN)

# Competition groups by class index; cars, vans, trucks and buses share one.
_MOTOR_GROUP = 100
_GROUP: Ints = np.array(
    [
        _MOTOR_GROUP if c.is_motor and c is not ObjectClass.MOTORCYCLE else i
        for i, c in enumerate(CLASS_ORDER)
    ],
    dtype=np.int64,
)

# Share of the smaller box that lies in the other, from which two crops show one object. Above one
# half, so that two cars of equal size side by side never merge.
_CROP_CONTAINMENT = 0.6

MAX_CANDIDATES = 512
"""Boxes that enter suppression per frame, best first: bounds the quadratic overlap matrix. Ten
times more than objects that fit a roadside image."""


def suppress(boxes: Floats, scores: Floats, classes: Ints, crops: Ints, threshold: float) -> Ints:
    """Indices of the boxes that stay, best first.

    `boxes` (N, 4) left, top, right, bottom; `scores` (N,); `classes` (N,) indices into CLASS_ORDER;
    `crops` (N,) number of the crop a box came from; `threshold` intersection over union from which
    two competing boxes are one. Equal scores keep their order, so results do not depend on chance.
    """
    order = np.argsort(-scores, kind="stable")[:MAX_CANDIDATES]
    if order.size <= 1:
        return order
    box, group, crop = boxes[order], _GROUP[classes[order]], crops[order]
    unknown = classes[order] == UNKNOWN_INDEX
    compete = (group[:, None] == group[None, :]) | unknown[:, None] | unknown[None, :]
    area = np.clip(box[:, 2] - box[:, 0], 0, None) * np.clip(box[:, 3] - box[:, 1], 0, None)
    width = np.minimum(box[:, None, 2], box[None, :, 2]) - np.maximum(
        box[:, None, 0], box[None, :, 0]
    )
    height = np.minimum(box[:, None, 3], box[None, :, 3]) - np.maximum(
        box[:, None, 1], box[None, :, 1]
    )
    inter = np.clip(width, 0, None) * np.clip(height, 0, None)
    union = area[:, None] + area[None, :] - inter
    smaller = np.minimum(area[:, None], area[None, :])
    # A box without area overlaps nothing; the divisors' floor only avoids 0/0.
    same = inter / np.maximum(union, 1e-9) > threshold
    contained = inter / np.maximum(smaller, 1e-9) > _CROP_CONTAINMENT
    beaten_by = compete & (same | (contained & (crop[:, None] != crop[None, :])))
    alive = np.ones(order.size, dtype=bool)
    for index in range(order.size):
        if alive[index]:
            alive[index + 1 :] &= ~beaten_by[index, index + 1 :]
    return order[alive]
