"""One OpenCV video capture that may be closed from another thread while a read is under way.

`cv2.VideoCapture` crashes when it is released during a grab. Here closing only asks for it, and
whoever holds the capture last releases it. Shared by the `file`, `rtsp` and `v4l2` drivers.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

import cv2

from rsu.hal.camera.base import Image, as_bgr

# FFmpeg writes to standard error on its own (AV_LOG_QUIET is -8). What is wrong with a stream is
# counted and said by the drivers, in the log's own form. Read by OpenCV at the first opening.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class Capture:
    """An opened capture. `position_ms` is the stream's own time of the frame grabbed last."""

    def __init__(self, name: str, backend: int, parameters: Sequence[int] = ()) -> None:
        """Open it, or raise `cv2.error` or ConnectionError; `parameters` are OpenCV's pairs."""
        self._busy = threading.Lock()
        self._closing = False
        self._video: cv2.VideoCapture | None = cv2.VideoCapture(name, backend, list(parameters))
        if not self._video.isOpened():
            self._video.release()
            raise ConnectionError("OpenCV cannot open it")

    def grab(self) -> bool:
        """Fetch and decode the next frame; False at the end, on loss, or after `close`."""
        with self._busy:
            taken = not self._closing and self._video is not None and bool(self._video.grab())
        self._release_when_asked()
        return taken

    def retrieve(self) -> Image | None:
        """The frame grabbed last as BGR; None when it is damaged or the capture is closing."""
        with self._busy:
            if self._closing or self._video is None:
                image = None
            else:
                try:
                    image = as_bgr(self._video.retrieve()[1])
                except cv2.error:
                    image = None
        self._release_when_asked()
        return image

    def get(self, code: int) -> float:
        """An OpenCV property; 0.0 when closed."""
        with self._busy:
            value = 0.0 if self._video is None else float(self._video.get(code))
        self._release_when_asked()
        return value

    def set(self, code: int, value: float) -> bool:
        """Set an OpenCV property; False when the device refuses it."""
        with self._busy:
            return self._video is not None and bool(self._video.set(code, value))

    @property
    def position_ms(self) -> float:
        return self.get(cv2.CAP_PROP_POS_MSEC)

    @property
    def closed(self) -> bool:
        return self._closing

    def close(self) -> None:
        """Ask for release and do it now unless a read is under way, which then does it."""
        self._closing = True
        self._release_when_asked()

    def _release_when_asked(self) -> None:
        # Not blocking: the thread inside `grab` comes here itself as soon as it is out.
        if self._closing and self._busy.acquire(blocking=False):
            try:
                if self._video is not None:
                    self._video.release()
                    self._video = None
            finally:
                self._busy.release()
