"""Previews of one camera: frames and what was seen in them in, small masked JPEGs out.

The only way by which pixels leave a camera's process. A picture shows the very frame that the
detector has just looked at; without a detector that tells people and vehicles it is coarse all
over. It is made in the stage's tick, after the frame's detections are on their way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from rsu.config.cameras import CameraOptions, Region
from rsu.config.privacy import PrivacyOptions
from rsu.perception.detector import Detector, Image
from rsu.perception.privacy import (
    DOUBT_SMALL,
    NEEDED,
    DetailLimit,
    Sightings,
    coarse,
    cover,
    doubt,
    masked,
    unseen,
)
from rsu.schema.frame import CameraFrame
from rsu.schema.message import Message
from rsu.schema.preview import CameraPreview, Masking
from rsu.schema.sensing import ImageDetection, ObjectClass
from rsu.schema.topics import CAMERA_PREVIEW
from rsu.schema.units import NS_PER_S, Instant


@runtime_checkable
class DoubtingDetector(Detector, Protocol):
    """A detector that also tells what it is not sure of.

    `threshold` is the score from which it reports; `names` the classes it can tell.
    `detect_down_to` gives what `detect` gives, followed by boxes that score from `least` up to it.
    """

    threshold: float
    names: frozenset[ObjectClass]

    def detect_down_to(
        self, image: Image, regions: Sequence[Region], least: float
    ) -> tuple[ImageDetection, ...]: ...


class Previews:
    """Makes the previews of one camera, at most `rate_hz` a second."""

    def __init__(self, camera: CameraOptions, privacy: PrivacyOptions, detector: Detector) -> None:
        """Raises CalibrationError for a camera without a usable calibration."""
        options = camera.preview
        self._sensor = camera.id
        self._detector = detector
        self._regions = camera.regions
        self._reference = (camera.calibration.image_width, camera.calibration.image_height)
        self._options, self._mask = options, privacy.mask
        self._knows = isinstance(detector, DoubtingDetector) and detector.names >= NEEDED
        self._sightings = Sightings()
        self._camera = camera
        self._limit: DetailLimit | None = None
        self._limit_size = (0, 0)
        self._size_for((self._reference[1], self._reference[0]))  # raises here, not while it runs
        self.period_ns = round(NS_PER_S / options.rate_hz)
        self._due_ns: int | None = None
        self._kept: tuple[CameraFrame, tuple[ImageDetection, ...]] | None = None

    def look(self, frame: CameraFrame, now: Instant) -> tuple[ImageDetection, ...]:
        """What the detector reports of a frame; what else it sees is remembered for masking."""
        if isinstance(self._detector, DoubtingDetector) and self._mask and self._knows:
            threshold = self._detector.threshold
            least = DOUBT_SMALL * threshold
            seen = self._detector.detect_down_to(frame.image, self._regions, least)
            sure = tuple(one for one in seen if one.score >= threshold)
            height, width = frame.image.shape[:2]
            scale = width / self._size_for((height, width))[0]
            doubtful = [
                one
                for one in seen[len(sure) :]
                if one.score >= doubt(one.box.height / scale) * threshold
            ]
            self._sightings.see(frame.capture_ns, sure, doubtful)
        else:
            sure = self._detector.detect(frame.image, self._regions)
        if self._due_ns is None or now.mono_ns >= self._due_ns - self.period_ns // 2:
            self._kept = frame, sure
        return sure

    def take(self, now: Instant) -> Iterator[Message]:
        """The picture of the newest frame, where one is due."""
        if self._kept is None:
            return
        due_ns = now.mono_ns if self._due_ns is None else self._due_ns
        # A tick that comes a little early is meant; on average the rate is kept.
        if now.mono_ns < due_ns - self.period_ns // 20:
            return
        self._due_ns = max(due_ns + self.period_ns, now.mono_ns + self.period_ns * 9 // 10)
        frame, boxes = self._kept
        self._kept = None
        picture, masking = self.picture(frame.image)
        good, jpeg = cv2.imencode(
            ".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self._options.quality]
        )
        if not good:
            return
        height, width = picture.shape[:2]
        preview = CameraPreview(
            sensor=self._sensor,
            frame=frame.frame,
            capture_ns=frame.capture_ns,
            width=width,
            height=height,
            scale=frame.image.shape[1] / width,
            jpeg=jpeg.tobytes(),
            masked=masking is not Masking.NONE,
            masking=masking,
            boxes=boxes,
        )
        yield Message.draft(CAMERA_PREVIEW, self._sensor, frame.capture_ns, preview)

    def picture(self, image: Image) -> tuple[Image, Masking]:
        """The picture of the image that was looked at last, and how it is masked."""
        size = self._size_for((image.shape[0], image.shape[1]))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        if not self._mask:
            return small, Masking.NONE
        blocks = self.blocks(image)
        if blocks is None:
            return coarse(small), Masking.WHOLE
        assert self._limit is not None
        return masked(self._limit.applied(small), blocks), Masking.REGIONS

    def blocks(self, image: Image) -> Image | None:
        """The size of blocks (px) at every pixel of that picture; None: nothing tells where."""
        patches = self._sightings.patches() if self._knows else None
        if patches is None:
            return None
        height, width = image.shape[:2]
        wide, high = self._size_for((height, width))
        patches += unseen(self._regions, self._reference, width, height)
        return cover(patches, width / wide, wide, high)

    def _size_for(self, shape: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of the picture of an image; the limit of detail follows it."""
        height, width = shape
        wide = min(self._options.width, width)
        size = wide, max(1, round(height * wide / width))
        if self._limit is None or self._limit_size != size:
            self._limit, self._limit_size = DetailLimit(self._camera, *size), size
        return size
