"""Heads and number plates made unrecognisable before a picture leaves the camera's process.

In: a small picture, and what the detector saw lately. Out: the same picture with coarse blocks
where heads or plates may be. No model of faces or plates is at work: boxes of road users say where
they may be, with margins, and what is doubtful counts. Independent of any detector, `DetailLimit`
keeps cells of 4 cm at least: wherever somebody stands, a face is no more than four cells wide
(docs/privacy.md has reasons and measurements).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from rsu.config.cameras import CameraOptions, Region
from rsu.perception.camera_model import camera_model
from rsu.perception.regions import crops
from rsu.schema.sensing import ImageDetection, ObjectClass
from rsu.schema.units import NS_PER_S, Box

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

NEEDED = frozenset({ObjectClass.PEDESTRIAN, ObjectClass.CAR})
"""A detector that cannot name these tells nothing about heads and plates."""
DOUBT_SMALL, DOUBT_LARGE = 0.25, 0.8
DOUBT_FROM_PX, DOUBT_TO_PX = 16.0, 60.0
"""Boxes count from a share of the score at which the detector reports: recall is wanted. The share
rises with the logarithm of the box's height in the picture: what is large is seldom doubted when it
is there, and takes most of the picture when it is not (docs/privacy.md)."""
MEMORY_NS = NS_PER_S // 2
"""Boxes this old still count: a head missed in some frames stays covered."""
FOLLOWED = 0.5
"""Overlap (IoU) of the masks of two boxes in looks one after the other from which the later one
stands for both: what moved on leaves no trail. The newest two looks count whole."""
LEAST_LOOKS = 3
"""Looks remembered whatever their age, and needed before anything but coarse blocks is shown."""
GAP_NS = 2 * NS_PER_S
"""A longer time without a look: what was remembered means nothing any more."""

BLOCK = 8
"""px, smallest block of a mask."""
BLOCK_OF_BOX = 0.15
"""Block by height of the box: 0.25 m at a person of 1.7 m (a head is one block), 0.22 m at a car of
1.5 m (a plate of 440 mm is two)."""
WHOLE_BLOCKS = 40
"""Blocks across a picture in which nothing is known."""
HEAD_SHARE, HEAD_ABOVE, HEAD_ASIDE = 0.30, 0.15, 0.20
"""Of a person's box: from its top down; above it; of its width to either side."""
RIDER_ABOVE = 0.80
"""Of the box of a two-wheeler: detectors differ in whether it holds the rider, whose head is 0.7
heights of the bare bicycle above it (1.05 m; 1.75 m)."""
PLATE_SHARE = 0.45
"""Of a vehicle's box, from its bottom up: plates hang below the middle, at the front and rear."""
MARGIN = 0.10
"""Of box width and height, on every side: what boxes are off by."""
REACH = {ObjectClass.PEDESTRIAN: 1.5, ObjectClass.BICYCLE: 4.7, ObjectClass.MOTORCYCLE: 9.0}
"""Box heights a second that somebody who is no longer seen may have moved: 2.5 m/s on foot, 8 m/s
on a bicycle, 15 m/s by motor. Others: 9."""
MOST_REACH = 0.5
"""Box heights, bound of the same: more covered no head more, only road (docs/privacy.md)."""

CELL_M = 0.04
"""Least size of what a picture shows, m. A face is 0.14 m wide: 3.5 cells, while familiar faces are
told apart from 7×10 px up (Sinha et al., "Face Recognition by Humans", 2006, result 1). A
character of a plate is 45 mm wide (GA 36): one cell, while the smallest legible font has three."""
HEAD_TOP = 2.5
"""m above the road: no head is higher but in a double-decker."""
LOW_CAMERA_DISTANCE = 3.0
"""m: how near heads are assumed to a camera that hangs lower than HEAD_TOP + 0.5 m."""
HOMOGRAPHY_NEARER = 1.7
"""A homography knows no heights: a camera 6 m up is 1.7 times as near to a head of 2.5 m."""
LEVELS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
"""px, sizes of cells and blocks that are made; the next larger one is taken."""
_STEP = 8  # px between the pixels at which cells are worked out


class Patch(NamedTuple):
    """A part to be masked, px, and the size of its blocks."""

    left: float
    top: float
    right: float
    bottom: float
    block: float


def patch_of(seen: ImageDetection) -> Patch:
    """Where heads or plates may be in a box."""
    box, block = seen.box, BLOCK_OF_BOX * seen.box.height
    aside, above = MARGIN * box.width, MARGIN * box.height
    left, right, bottom = box.left - aside, box.right + aside, box.bottom + above
    kind = seen.object_class
    if kind is ObjectClass.PEDESTRIAN:
        wide = HEAD_ASIDE * box.width
        top = box.top - HEAD_ABOVE * box.height
        low = box.top + (HEAD_SHARE + MARGIN) * box.height
        return Patch(box.left - wide, top, box.right + wide, low, block)
    if kind in {ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE}:
        return Patch(left, box.top - RIDER_ABOVE * box.height, right, bottom, block)
    if kind.is_motor:
        return Patch(left, box.bottom - (PLATE_SHARE + MARGIN) * box.height, right, bottom, block)
    return Patch(left, box.top - above, right, bottom, block)


def doubt(height_px: float) -> float:
    """The share of the detector's own score from which a box of that height in the picture
    counts."""
    span = math.log(DOUBT_TO_PX / DOUBT_FROM_PX)
    large = math.log(max(height_px, 1.0) / DOUBT_FROM_PX) / span
    return DOUBT_SMALL + (DOUBT_LARGE - DOUBT_SMALL) * min(max(large, 0.0), 1.0)


@dataclass(slots=True)
class _Look:
    """Boxes and masks of one look. `sure`: reported, or the same as one that was; `followed`: the
    next look has it, too."""

    time_ns: int
    boxes: tuple[ImageDetection, ...]
    patches: list[Patch]
    sure: npt.NDArray[np.bool_]
    followed: npt.NDArray[np.bool_]


class Sightings:
    """What the detector saw within the last half second."""

    def __init__(self) -> None:
        self._looks: deque[_Look] = deque()

    def see(
        self, time_ns: int, sure: Sequence[ImageDetection], doubtful: Iterable[ImageDetection]
    ) -> None:
        """Take one look: what the detector reports, and what it would not."""
        if self._looks and not 0 <= time_ns - self._looks[-1].time_ns <= GAP_NS:
            self._looks.clear()
        boxes = (*sure, *doubtful)
        patches = [patch_of(one) for one in boxes]
        known = np.asarray(np.arange(len(boxes)) < len(sure), dtype=bool)
        if self._looks:
            last = self._looks[-1]
            same = np.asarray(_overlaps(last.patches, patches) > FOLLOWED, dtype=bool)
            last.followed = np.asarray(same.any(axis=1), dtype=bool)
            known[:] |= (same & last.sure[:, np.newaxis]).any(axis=0)
        nobody = np.zeros(len(boxes), dtype=bool)
        self._looks.append(_Look(time_ns, boxes, patches, known, nobody))
        while len(self._looks) > LEAST_LOOKS and time_ns - self._looks[0].time_ns > MEMORY_NS:
            self._looks.popleft()

    def patches(self) -> list[Patch] | None:
        """Everything to be masked in the picture of the last look; None: nothing is known yet."""
        if len(self._looks) < LEAST_LOOKS:
            return None
        *earlier, now = self._looks
        found = list(now.patches)
        for look in earlier:
            age_s = (now.time_ns - look.time_ns) / NS_PER_S
            for index, (one, patch) in enumerate(zip(look.boxes, look.patches, strict=True)):
                if look.followed[index] and look is not earlier[-1]:
                    continue
                gone = look.sure[index] and not any(_overlap(one.box, new.box) for new in now.boxes)
                found.append(_grown(patch, one, age_s) if gone else patch)
        return found


class DetailLimit:
    """No cell of a picture shows less than `CELL_M`, by the camera's calibration alone."""

    def __init__(self, camera: CameraOptions, width: int, height: int) -> None:
        """For pictures of `width` × `height` px. A camera whose calibration cannot be used raises
        CalibrationError."""
        cells = _cells(camera, width, height)
        levels = np.array(LEVELS, dtype=np.float64)
        chosen = levels[np.minimum(np.searchsorted(levels, cells), len(levels) - 1)]
        self._parts = [
            (int(level), np.asarray(chosen == level, dtype=np.uint8))
            for level in np.unique(chosen).tolist()
            if level > 1
        ]

    def applied(self, picture: Image) -> Image:
        """A picture with its cells."""
        out = picture.copy()
        for level, where in self._parts:
            cv2.copyTo(_blocks(picture, level), where, out)
        return out


def cover(patches: Iterable[Patch], scale: float, width: int, height: int) -> Image:
    """Which blocks (px, 0: none) a picture of `width` × `height` gets where. Patches are in px of
    the camera's image, `scale` of which are one of the picture's; the larger block counts."""
    out = np.zeros((height, width), dtype=np.uint8)
    for patch in sorted(patches, key=lambda one: one.block):
        left, top = int(patch.left // scale) - 1, int(patch.top // scale) - 1
        right, bottom = int(patch.right // scale) + 2, int(patch.bottom // scale) + 2
        if right > 0 and bottom > 0:
            block = _level(max(BLOCK, patch.block / scale))
            out[max(top, 0) : bottom, max(left, 0) : right] = block
    return out


def masked(picture: Image, blocks: Image) -> Image:
    """A picture with blurred blocks where `cover` says so."""
    out = picture.copy()
    for size in LEVELS[1:]:
        where = cv2.inRange(blocks, size, size)
        if cv2.hasNonZero(where):
            cv2.copyTo(_blocks(picture, size), where, out)
    return out


def coarse(picture: Image) -> Image:
    """A picture in blocks all over: nothing is known about who is in it."""
    return _blocks(picture, _level(max(BLOCK, picture.shape[1] / WHOLE_BLOCKS)))


def unseen(
    regions: Sequence[Region], reference: tuple[int, int], width: int, height: int
) -> list[Patch]:
    """What a detector that is given `regions` never looks at, in px of a `width` × `height` image:
    bands around the smallest rectangle that holds all of them."""
    if not regions:
        return []
    windows = np.array(crops(regions, reference, width, height))
    left, top = windows[:, :2].min(axis=0).tolist()
    right, bottom = windows[:, 2:].max(axis=0).tolist()
    block = float(max(width, height)) / WHOLE_BLOCKS
    return [
        Patch(0, 0, width, top, block),
        Patch(0, bottom, width, height, block),
        Patch(0, 0, left, height, block),
        Patch(right, 0, width, height, block),
    ]


def _cells(camera: CameraOptions, width: int, height: int) -> Floats:
    """Size in px of CELL_M at every pixel (height, width), for the nearest head it may show."""
    model = camera_model(camera.calibration)
    scale = model.width / width, model.height / height
    u, v = np.meshgrid(np.arange(0, width, _STEP), np.arange(0, height, _STEP))
    middle = _STEP / 2
    pixels = np.column_stack(((u.ravel() + middle) * scale[0], (v.ravel() + middle) * scale[1]))
    ideal, covered = model.ideal(pixels)
    if model.lens is None:
        # No heights, but the scale on the road; a head above it is nearer by HOMOGRAPHY_NEARER.
        ground, seen = model.ground(ideal)
        across = np.linalg.norm(model.ground_jacobian(_on_road(ground)), ord=2, axis=(1, 2))
        per_m = np.where(seen, HOMOGRAPHY_NEARER * across, 0.0)
    else:
        focal = float(model.lens.matrix[[0, 1], [0, 1]].max())
        if float(model.position[2]) < HEAD_TOP + 0.5:
            per_m = np.full(len(ideal), focal / LOW_CAMERA_DISTANCE)
        else:
            plane = np.column_stack(
                (
                    model.projection[:, :2],
                    HEAD_TOP * model.projection[:, 2] + model.projection[:, 3],
                )
            )
            row = np.linalg.inv(plane)[2]
            # 1 / depth of that plane; above its horizon nobody has a head.
            per_m = focal * np.maximum(ideal @ row[:2] + row[2], 0.0)
    per_m[~covered] = per_m[covered].max(initial=0.0)
    cells = (per_m / scale[0] * CELL_M).reshape(u.shape)
    whole = np.kron(cells, np.ones((_STEP, _STEP)))[:height, :width]
    return np.asarray(whole, dtype=np.float64)


def _blocks(picture: Image, size: int) -> Image:
    """The means of squares of `size` px from the top left corner, blended linearly: no sharp grid,
    and no more told than by the means."""
    height, width = picture.shape[:2]
    rows, columns = -(-height // size), -(-width // size)
    spare = rows * size - height, columns * size - width
    whole = cv2.copyMakeBorder(picture, 0, spare[0], 0, spare[1], cv2.BORDER_REPLICATE)
    small = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
    large = cv2.resize(small, (columns * size, rows * size), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large[:height, :width], dtype=np.uint8)


def _level(size: float) -> int:
    return next((level for level in LEVELS if level >= size), LEVELS[-1])


def _grown(patch: Patch, one: ImageDetection, age_s: float) -> Patch:
    """A patch over where somebody who is no longer seen may be by now."""
    height = one.box.height
    reach = min(REACH.get(one.object_class, 9.0) * age_s, MOST_REACH) * height
    return Patch(
        patch.left - reach,
        patch.top - reach / 2,  # roads are seen at a slant: less up and down than sideways
        patch.right + reach,
        patch.bottom + reach / 2,
        patch.block,
    )


def _overlaps(some: Sequence[Patch], others: Sequence[Patch]) -> Floats:
    """The overlap (IoU) of each of some masks with each of others."""
    a, b = (np.array(part, dtype=np.float64).reshape(-1, 5) for part in (some, others))
    low = np.maximum(a[:, np.newaxis, :2], b[np.newaxis, :, :2])
    high = np.minimum(a[:, np.newaxis, 2:4], b[np.newaxis, :, 2:4])
    both = np.maximum(high - low, 0.0).prod(axis=2)
    sizes = [(part[:, 2:4] - part[:, :2]).prod(axis=1) for part in (a, b)]
    return np.asarray(both / (sizes[0][:, np.newaxis] + sizes[1] - both), dtype=np.float64)


def _overlap(one: Box, other: Box) -> bool:
    """Whether two boxes of different frames may be of one road user: overlap of 0.3 (IoU)."""
    wide = min(one.right, other.right) - max(one.left, other.left)
    high = min(one.bottom, other.bottom) - max(one.top, other.top)
    if wide <= 0 or high <= 0:
        return False
    both = one.width * one.height + other.width * other.height - wide * high
    return wide * high > 0.3 * both


def _on_road(ground: Floats) -> Floats:
    return np.column_stack((ground, np.zeros(len(ground))))
