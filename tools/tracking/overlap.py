"""How much upright boxes overlap: intersection over union in space, for all pairs at once.

Boxes are rows (x, y, z, length, width, height, yaw): x, y on the ground, z the bottom's height, yaw
from x; metres and radians.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely

Floats = npt.NDArray[np.float64]

_CORNERS = np.array([(0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (0.5, -0.5)])


def iou_3d(first: Floats, second: Floats) -> Floats:
    """IoU of N × 7 with M × 7 boxes, shape (N, M)."""
    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)))
    out = np.zeros((len(first), len(second)))
    reach = np.hypot(first[:, 3], first[:, 4])[:, None] + np.hypot(second[:, 3], second[:, 4])
    apart = np.hypot(first[:, 0][:, None] - second[:, 0], first[:, 1][:, None] - second[:, 1])
    low = np.maximum(first[:, 2][:, None], second[:, 2])
    high = np.minimum((first[:, 2] + first[:, 5])[:, None], second[:, 2] + second[:, 5])
    rows, columns = np.nonzero((2.0 * apart < reach) & (high > low))
    if not len(rows):
        return out
    ground = shapely.area(
        shapely.intersection(_footprints(first)[rows], _footprints(second)[columns])
    )
    shared = ground * (high - low)[rows, columns]
    volume = np.prod(first[:, 3:6], axis=1)[rows] + np.prod(second[:, 3:6], axis=1)[columns]
    out[rows, columns] = shared / (volume - shared)
    return out


def giou_3d(first: Floats, second: Floats) -> Floats:
    """Generalised IoU (Rezatofighi et al. 2019) of N × 7 with M × 7 boxes, shape (N, M), −1..1:
    IoU minus the share of the smallest upright hull that neither box fills."""
    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)))
    rows, columns = (index.ravel() for index in np.indices((len(first), len(second))))
    one, other = _footprints(first)[rows], _footprints(second)[columns]
    a, b = first[rows], second[columns]
    top = np.minimum(a[:, 2] + a[:, 5], b[:, 2] + b[:, 5])
    common = np.maximum(top - np.maximum(a[:, 2], b[:, 2]), 0.0)
    shared = shapely.area(shapely.intersection(one, other)) * common
    together = np.prod(a[:, 3:6], axis=1) + np.prod(b[:, 3:6], axis=1) - shared
    tall = np.maximum(a[:, 2] + a[:, 5], b[:, 2] + b[:, 5]) - np.minimum(a[:, 2], b[:, 2])
    hull = shapely.area(shapely.convex_hull(shapely.union(one, other))) * tall
    giou: Floats = (shared / together - (hull - together) / hull).reshape(len(first), -1)
    return giou


def _footprints(boxes: Floats) -> npt.NDArray[np.object_]:
    """The boxes' outlines on the ground, N polygons."""
    cos, sin = np.cos(boxes[:, 6])[:, None], np.sin(boxes[:, 6])[:, None]
    along, across = boxes[:, 3:4] * _CORNERS[:, 0], boxes[:, 4:5] * _CORNERS[:, 1]
    x = boxes[:, 0:1] + cos * along - sin * across
    y = boxes[:, 1:2] + sin * along + cos * across
    outlines: npt.NDArray[np.object_] = shapely.polygons(np.stack((x, y), axis=2))
    return outlines
