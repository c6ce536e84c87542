"""Average precision of a detector on pictures with known boxes, by class, group, height and light.

AP50 as COCO computes it (101 recall levels, IoU ≥ 0.5, best score first), with COCO's rule for
what is not asked for: an object outside a slice is neither a miss nor, when found, a mistake, and
a false alarm lower than the slice's least height is not counted in it. Strict AP wants the exact
class; a group's pooled AP takes all its classes for one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ImageDetection, ObjectClass
from tools.detector.dataset import Labels
from tools.detector.scenes import CLASSES

Floats = npt.NDArray[np.float64]

VEHICLES = (ObjectClass.CAR, ObjectClass.VAN, ObjectClass.TRUCK, ObjectClass.BUS)
VULNERABLE = (ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE)
"""The groups of the requirement; motorcycles are vulnerable, as everywhere in the runtime."""

LEAST_HEIGHT, LEAST_VISIBLE = 16.0, 0.6
"""Objects that the requirement asks for: px, share."""

RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, slots=True)
class Slice:
    """Which objects are asked for: box height `low` ≤ h < `high` px, visible share likewise."""

    low: float = LEAST_HEIGHT
    high: float = 1e9
    least_visible: float = LEAST_VISIBLE
    most_visible: float = 1.01


@dataclass(frozen=True, eq=False)
class Looked:
    """What a detector said of one picture, and what was there; `tag` names its condition."""

    boxes: Floats
    scores: Floats
    kinds: npt.NDArray[np.int64]
    truth: Labels
    tag: str


def looked(found: Sequence[ImageDetection], truth: Labels, tag: str) -> Looked:
    """Detections of one picture beside its truth; classes the network lacks become −1."""
    rows = [[d.box.left, d.box.top, d.box.left + d.box.width, d.box.top + d.box.height]
            for d in found]  # fmt: skip
    kinds = [CLASSES.index(d.object_class) if d.object_class in CLASSES else -1 for d in found]
    return Looked(
        np.array(rows, dtype=np.float64).reshape(-1, 4),
        np.array([d.score for d in found], dtype=np.float64),
        np.array(kinds, dtype=np.int64),
        truth,
        tag,
    )


def average_precision(
    pictures: Collection[Looked],
    kinds: Collection[ObjectClass],
    part: Slice = Slice(),
) -> tuple[float, int]:
    """AP50 of all `kinds` taken for one, and how many objects were asked for; NaN for none."""
    wanted = [CLASSES.index(kind) for kind in kinds]
    scores, hits = [], []
    asked = 0
    for picture in pictures:
        here = np.isin(picture.truth.labels, wanted)
        boxes, visible = picture.truth.boxes[here], picture.truth.visible[here]
        height = boxes[:, 3] - boxes[:, 1]
        counted = (
            (height >= part.low) & (height < part.high)
            & (visible >= part.least_visible) & (visible < part.most_visible)
        )  # fmt: skip
        asked += int(counted.sum())
        said = np.isin(picture.kinds, wanted)
        order = np.argsort(-picture.scores[said], kind="stable")
        drawn, score = picture.boxes[said][order], picture.scores[said][order]
        hit = _matched(drawn, boxes, counted)
        tall = drawn[:, 3] - drawn[:, 1]
        outside = (hit == 0) & ((tall < part.low) | (tall >= part.high))
        scores.append(score[(hit >= 0) & ~outside])
        hits.append(hit[(hit >= 0) & ~outside] == 1)
    if asked == 0:
        return math.nan, 0
    order = np.argsort(-np.concatenate(scores), kind="stable")
    right = np.cumsum(np.concatenate(hits)[order])
    precision = right / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1] if len(right) else precision
    place = np.searchsorted(right / asked, RECALLS, side="left")
    at = np.array([best[i] if i < len(best) else 0.0 for i in place])
    return float(at.mean()), asked


def strict_mean(pictures: Collection[Looked], kinds: Collection[ObjectClass]) -> float:
    """Mean of the classes' own AP50, of those that occur."""
    each = [average_precision(pictures, [kind])[0] for kind in kinds]
    there = [precision for precision in each if not math.isnan(precision)]
    return sum(there) / len(there) if there else math.nan


def report(pictures: Sequence[Looked]) -> list[tuple[str, float, int]]:
    """Rows (what, AP50, objects asked for), the requirement's two lines first."""
    rows: list[tuple[str, float, int]] = []
    groups = (("vehicles", VEHICLES), ("vulnerable", VULNERABLE))
    for name, kinds in groups:
        pooled, count = average_precision(pictures, kinds)
        rows.append((f"{name}, pooled", pooled, count))
        rows.append((f"{name}, mean of strict classes", strict_mean(pictures, kinds), count))
    rows.extend((kind.value, *average_precision(pictures, [kind])) for kind in CLASSES)
    for low, high in ((8, 16), (16, 32), (32, 64), (64, 1000)):
        for name, kinds in groups:
            found = average_precision(pictures, kinds, Slice(low, high))
            rows.append((f"{name}, {low}–{high} px high", *found))
    for name, kinds in groups:
        found = average_precision(
            pictures, kinds, Slice(least_visible=0.25, most_visible=LEAST_VISIBLE)
        )
        rows.append((f"{name}, 25–60 % visible", *found))
    for tag in sorted({picture.tag for picture in pictures}):
        there = [picture for picture in pictures if picture.tag == tag]
        for name, kinds in groups:
            rows.append((f"{name}, {tag}", *average_precision(there, kinds)))
    return rows


def recall_at(
    pictures: Collection[Looked], kinds: Collection[ObjectClass], threshold: float
) -> tuple[float, float]:
    """(recall, precision) of a pooled group at one score threshold, as the card ships it."""
    wanted = [CLASSES.index(kind) for kind in kinds]
    right = asked = wrong = 0
    for picture in pictures:
        here = np.isin(picture.truth.labels, wanted)
        boxes = picture.truth.boxes[here]
        counted = (boxes[:, 3] - boxes[:, 1] >= LEAST_HEIGHT) & (
            picture.truth.visible[here] >= LEAST_VISIBLE
        )
        said = np.isin(picture.kinds, wanted) & (picture.scores >= threshold)
        order = np.argsort(-picture.scores[said], kind="stable")
        drawn = picture.boxes[said][order]
        hit = _matched(drawn, boxes, counted)
        right += int((hit == 1).sum())
        wrong += int(((hit == 0) & (drawn[:, 3] - drawn[:, 1] >= LEAST_HEIGHT)).sum())
        asked += int(counted.sum())
    return right / max(asked, 1), right / max(right + wrong, 1)


def _matched(drawn: Floats, boxes: Floats, counted: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Per detection, best first: 1 a hit, 0 a false alarm, −1 found something not asked for."""
    result = np.zeros(len(drawn), dtype=np.int64)
    if not len(boxes) or not len(drawn):
        return result
    overlap = overlaps(drawn, boxes)
    free = np.ones(len(boxes), dtype=np.bool_)
    for row in range(len(drawn)):
        fits = (overlap[row] >= 0.5) & free
        for pool, verdict in ((fits & counted, 1), (fits & ~counted, -1)):
            if pool.any():
                chosen = int(np.argmax(np.where(pool, overlap[row], -1.0)))
                result[row] = verdict
                # Something not asked for may be found as often as one likes, as with COCO's crowds.
                free[chosen] = verdict < 0
                break
    return result


def overlaps(a: Floats, b: Floats) -> Floats:
    """IoU (N, M) of boxes (N, 4) and (M, 4)."""
    low = np.maximum(a[:, np.newaxis, :2], b[:, :2])
    high = np.minimum(a[:, np.newaxis, 2:], b[:, 2:])
    inter = np.clip(high - low, 0.0, None).prod(axis=-1)
    area = (a[:, 2:] - a[:, :2]).prod(axis=1)[:, np.newaxis] + (b[:, 2:] - b[:, :2]).prod(axis=1)
    iou: Floats = inter / np.maximum(area - inter, 1e-9)
    return iou
