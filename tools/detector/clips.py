"""What detectors see in two real clips, held against boxes drawn or checked by hand.

The clips are not ours to ship (Intel IoT DevKit sample videos, CC BY 4.0): `car-detection.mp4`, a
parking aisle from above, and `person-bicycle-car-detection.gif`, a car, a cyclist and a walker in
a parking lot. Boxes of the second were drawn by hand in every fourth frame; those of the first, in
every eighth frame while a car crosses, are proposals of a public detector that were checked by
eye. A box counts as found when one of any class overlaps it by half (IoU): what a detector calls a
thing is counted apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ImageDetection, ObjectClass
from tools.detector.evaluation import overlaps

Image = npt.NDArray[np.uint8]
Look = Callable[[Image], Sequence[ImageDetection]]
Corners = tuple[float, float, float, float]

_CAR, _BICYCLE, _PERSON = ObjectClass.CAR, ObjectClass.BICYCLE, ObjectClass.PEDESTRIAN

# Frame → (class, left, top, right, bottom), px.
LOT: dict[int, tuple[tuple[ObjectClass, Corners], ...]] = {
    0: ((_CAR, (51, 153, 173, 270)), (_BICYCLE, (316, 0, 333, 18)), (_PERSON, (161, 0, 178, 38))),
    4: ((_CAR, (60, 133, 178, 270)), (_BICYCLE, (318, 0, 338, 24)), (_PERSON, (169, 0, 183, 28))),
    8: ((_CAR, (75, 114, 180, 256)), (_BICYCLE, (322, 0, 343, 29)), (_PERSON, (175, 0, 188, 20))),
    12: ((_CAR, (84, 96, 178, 220)), (_BICYCLE, (325, 0, 349, 36)), (_PERSON, (184, 0, 192, 18))),
    16: ((_CAR, (91, 77, 172, 193)), (_BICYCLE, (329, 0, 358, 43))),
    20: ((_CAR, (92, 63, 169, 170)), (_BICYCLE, (336, 0, 370, 48))),
    24: ((_CAR, (74, 48, 161, 145)), (_BICYCLE, (346, 2, 386, 55))),
    28: ((_CAR, (52, 38, 153, 126)), (_BICYCLE, (358, 6, 402, 59))),
    32: ((_CAR, (24, 33, 134, 114)), (_BICYCLE, (372, 9, 420, 62))),
    36: ((_CAR, (0, 31, 114, 106)), (_BICYCLE, (388, 12, 437, 63))),
    40: ((_CAR, (0, 31, 91, 98)), (_BICYCLE, (404, 15, 452, 66))),
}
AISLE: dict[int, tuple[tuple[ObjectClass, Corners], ...]] = {
    58: ((_CAR, (290, 365, 467, 432)),),
    66: ((_CAR, (275, 251, 481, 428)),),
    74: ((_CAR, (269, 141, 465, 428)),),
    82: ((_CAR, (272, 49, 430, 302)),),
    90: ((_CAR, (276, 1, 412, 191)),),
    98: ((_CAR, (275, 1, 401, 99)),),
    104: ((_CAR, (283, 0, 400, 39)),),
    184: ((_CAR, (159, 0, 268, 45)),),
    192: (
        (_CAR, (327, 341, 491, 431)),
        (_CAR, (135, 1, 272, 138)),
    ),
    200: (
        (_CAR, (107, 0, 260, 260)),
        (_CAR, (316, 214, 498, 432)),
    ),
    208: (
        (_CAR, (78, 82, 255, 408)),
        (_CAR, (313, 115, 482, 412)),
    ),
    216: (
        (_CAR, (308, 31, 464, 272)),
        (_CAR, (60, 204, 243, 430)),
    ),
    224: (
        (_CAR, (307, 0, 444, 172)),
        (_CAR, (67, 341, 232, 431)),
    ),
    230: ((_CAR, (307, 1, 431, 99)),),
    318: ((_CAR, (198, 0, 311, 48)),),
    326: ((_CAR, (151, 0, 322, 219)),),
    334: ((_CAR, (115, 88, 312, 430)),),
    342: ((_CAR, (111, 267, 301, 428)),),
}


CLIPS = {"car-detection.mp4": AISLE, "person-bicycle-car-detection.gif": LOT}


@dataclass(frozen=True, slots=True)
class Count:
    """Over the labelled frames: objects, found ones, found ones with the right class, and boxes
    on nothing that was labelled."""

    objects: int
    found: int
    named: int
    elsewhere: int


def watch(
    path: Path, truth: dict[int, tuple[tuple[ObjectClass, Corners], ...]], look: Look
) -> dict[ObjectClass, Count]:
    """Show a clip to a detector from its first frame on; counts by class of the labels, with all
    boxes elsewhere under UNKNOWN. Raises OSError for a clip that cannot be read."""
    clip = cv2.VideoCapture(str(path))
    totals = {kind: [0, 0, 0, 0] for kind in (_CAR, _BICYCLE, _PERSON, ObjectClass.UNKNOWN)}
    number = 0
    while True:
        more, image = clip.read()
        if not more:
            break
        found = look(np.asarray(image, dtype=np.uint8))
        if number in truth:
            _compare(found, truth[number], totals)
        number += 1
    clip.release()
    if not number:
        raise OSError(f"{path}: no clip that can be read")
    return {kind: Count(*total) for kind, total in totals.items()}


def _compare(
    found: Sequence[ImageDetection],
    truth: Sequence[tuple[ObjectClass, Corners]],
    totals: dict[ObjectClass, list[int]],
) -> None:
    boxes = np.array(
        [(d.box.left, d.box.top, d.box.left + d.box.width, d.box.top + d.box.height)
         for d in found], dtype=np.float64,
    ).reshape(-1, 4)  # fmt: skip
    overlap = overlaps(boxes, np.array([corners for _, corners in truth], dtype=np.float64))
    for column, (kind, _) in enumerate(truth):
        hits = np.flatnonzero(overlap[:, column] >= 0.5)
        totals[kind][0] += 1
        totals[kind][1] += bool(len(hits))
        totals[kind][2] += any(found[row].object_class is kind for row in hits)
    # A box that covers a part of something real is inexact, not on nothing.
    totals[ObjectClass.UNKNOWN][3] += int((overlap.max(axis=1, initial=0.0) < 0.1).sum())


def told(counts: dict[ObjectClass, Count]) -> str:
    """The counts in words."""
    parts = [
        f"{count.found} of {count.objects} {kind.value}s found, {count.named} named so"
        for kind, count in counts.items()
        if count.objects
    ]
    return "; ".join([*parts, f"{counts[ObjectClass.UNKNOWN].elsewhere} boxes on nothing"])
