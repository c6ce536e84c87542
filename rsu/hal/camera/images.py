"""Driver `images`: a folder of pictures with their times.

Times come, in this order, from `timestamps.csv`, from the digits of the file names, or from
`rate_hz`. Absolute times are kept in lock-step; live, the first image is now and the rest keep
their distances. Images that cannot be read are counted and skipped.
"""

from __future__ import annotations

from pathlib import Path

import cv2

from rsu.config.cameras import ImagesSourceOptions
from rsu.hal.camera.base import DEFAULT_START_UTC, Image, LivePace, RawFrame, as_bgr, utc_ns
from rsu.hal.camera.image_times import SUFFIXES, TimedImage, timed_images
from rsu.hal.errors import DeviceError, EndOfSource
from rsu.schema.units import NS_PER_S


class ImagesSource:
    """One folder; see `FrameSource`."""

    recorded = True

    def __init__(self, options: ImagesSourceOptions, base: Path, pace: LivePace | None) -> None:
        self.dropped: dict[str, int] = {}
        self.remark = ""
        self._folder = base / options.path
        self._rate_hz = options.rate_hz
        self._start_utc = options.start_utc or DEFAULT_START_UTC
        self._pace = pace
        self._images: tuple[TimedImage, ...] | None = None
        self._next = 0
        self._last_ns: int | None = None
        self._opened_utc_ns = self._opened_ns = 0

    def open(self) -> None:
        if self._images is not None:
            return
        if not self._folder.is_dir():
            raise DeviceError(
                f"image folder {self._folder} does not exist", "correct `path` of this camera"
            )
        try:
            images = timed_images(self._folder, utc_ns(self._start_utc), self._rate_hz)
        except OSError as error:
            raise DeviceError(
                f"image folder {self._folder} cannot be read: {error.strerror}",
                "check its permissions",
            ) from error
        if not images:
            raise DeviceError(
                f"image folder {self._folder} holds no images",
                f"put files there that end in {', '.join(sorted(SUFFIXES))}",
            )
        if self._pace is not None:
            now = self._pace.clock()
            self._opened_utc_ns, self._opened_ns = now.utc_ns, now.mono_ns
        self._next, self._last_ns = 0, None
        self._images = images

    def read(self, timeout_s: float) -> RawFrame | None:
        images = self._images
        if images is None:
            raise DeviceError(f"image folder {self._folder.name} is not open", "open it first")
        while self._next < len(images):
            timed = images[self._next]
            if not self._wait_until(timed.time_ns - images[0].time_ns, timeout_s):
                return None
            self._next += 1
            if self._last_ns is not None and timed.time_ns <= self._last_ns:
                self._drop("duplicate_timestamp")
                continue
            image = _load(timed.path)
            if image is None:
                self._drop("unreadable")
                continue
            self._last_ns = timed.time_ns
            if self._pace is None:
                return RawFrame(image, timed.time_ns)
            return RawFrame(image, self._opened_utc_ns + timed.time_ns - images[0].time_ns)
        raise EndOfSource(f"{self._folder.name} ended after {len(images)} images")

    def close(self) -> None:
        self._images = None

    def _wait_until(self, stream_ns: int, timeout_s: float) -> bool:
        """Wait for the image's moment, at most `timeout_s`; False when it has not come."""
        if self._pace is None:
            return True
        early_s = (stream_ns - self._pace.clock().mono_ns + self._opened_ns) / NS_PER_S
        if early_s > timeout_s:
            self._pace.wait(timeout_s)
            return False
        return early_s <= 0.0 or not self._pace.wait(early_s)

    def _drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


def _load(path: Path) -> Image | None:
    """The picture as BGR, None when it is missing, damaged or absurdly large."""
    if not path.is_file():  # also keeps OpenCV from waiting on a named pipe
        return None
    try:
        return as_bgr(cv2.imread(str(path), cv2.IMREAD_COLOR))
    except cv2.error:
        return None
