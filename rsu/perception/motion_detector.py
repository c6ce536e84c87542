"""A detector without a model: what moves before a learnt background (MOG2), for fixed cameras.

It finds blobs, not classes: every box is an unknown object with a size, which the ground plane may
name later. It forgets an object that stands still for about `history` frames, and it says nothing
while the light changes all over the image. State: the background; so frames must come in order.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from rsu.config.cameras import MotionDetectorOptions, Region
from rsu.perception.regions import crops
from rsu.schema.sensing import ImageDetection, ObjectClass
from rsu.schema.units import Box

# The longer side that blobs are sought at: finer only costs time, a person at 640 px is ≥ 15 px.
_WORKING_SIDE = 640

# MOG2 marks shadows with 127 and foreground with 255 (OpenCV reference, detectShadows).
_FOREGROUND = 200

# A blob is seen or not; its score is the share of its box that moves, which for a convex object is
# 0.6..0.9. Below this share it is a rim or scattered noise.
_LEAST_FILL = 0.3


class MotionDetector:
    """Background subtraction with the warm-up and cover limits of its options."""

    stateless = False

    def __init__(self, options: MotionDetectorOptions, reference: tuple[int, int]) -> None:
        self._options = options
        self._reference = reference
        self._shape: tuple[int, int] | None = None
        self._reset()

    def detect(
        self, image: npt.NDArray[np.uint8], regions: Sequence[Region]
    ) -> tuple[ImageDetection, ...]:
        """Moving blobs of a BGR image (H, W, 3), largest first; those centred in a region."""
        height, width = image.shape[:2]
        if self._shape != (height, width):
            self._shape = (height, width)
            self._reset()
        scale = min(1.0, _WORKING_SIDE / max(height, width))
        small = image
        if scale < 1.0:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            small = _bytes(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
        mask = np.asarray(self._background.apply(small))
        self._seen += 1
        if self._seen <= self._options.warm_up:
            return ()
        moving = (mask >= _FOREGROUND).astype(np.uint8)
        if float(moving.mean()) > self._options.max_cover:
            return ()  # clouds, headlights, a shaken mast: everything moves, so nothing is known
        moving = _bytes(cv2.morphologyEx(moving, cv2.MORPH_OPEN, self._grain))
        moving = _bytes(cv2.morphologyEx(moving, cv2.MORPH_CLOSE, self._gap))
        _, _, stats, _ = cv2.connectedComponentsWithStats(moving)
        windows = crops(regions, self._reference, width, height)
        to_image = (width / small.shape[1], height / small.shape[0])
        return tuple(self._blobs(np.asarray(stats, dtype=np.int32)[1:], to_image, windows))

    def _blobs(
        self,
        stats: npt.NDArray[np.int32],
        to_image: tuple[float, float],
        windows: Sequence[tuple[int, int, int, int]],
    ) -> list[ImageDetection]:
        found = []
        for left, top, width, height, area in stats[np.argsort(-stats[:, 4], kind="stable")]:
            box = Box(
                float(left * to_image[0]),
                float(top * to_image[1]),
                float(width * to_image[0]),
                float(height * to_image[1]),
            )
            fill = float(area) / float(width * height)
            centre = (box.left + box.width / 2, box.top + box.height / 2)
            inside = any(w[0] <= centre[0] < w[2] and w[1] <= centre[1] < w[3] for w in windows)
            big = area * to_image[0] * to_image[1] >= self._options.min_area
            if inside and big and fill >= _LEAST_FILL:
                found.append(ImageDetection(object_class=ObjectClass.UNKNOWN, score=fill, box=box))
        return found

    def _reset(self) -> None:
        self._background = cv2.createBackgroundSubtractorMOG2(
            self._options.history, self._options.variance_threshold, detectShadows=True
        )
        self._seen = 0
        # Opening removes single-pixel noise; closing joins a car that its windows cut in two.
        self._grain = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
        self._gap = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))


def _bytes(image: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """OpenCV's result as what it is here: 8-bit."""
    return np.asarray(image, dtype=np.uint8)
