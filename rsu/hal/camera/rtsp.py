"""Driver `rtsp`: a network camera's H.264/H.265/MJPEG stream through OpenCV's FFmpeg.

OpenCV passes on no sender report, so capture time is found from when frames arrive and from the
stream's own timestamps (`ArrivalTime`): network jitter is taken out, the camera's constant encoding
and transport delay stays unknown to us. Frames that queued up while the stream was being opened are
dropped. Credentials are read from a file when the stream is opened, live only in the address handed
to FFmpeg, and appear in no message.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import cv2

from rsu.config.cameras import RtspSourceOptions
from rsu.hal.camera.arrival_time import ArrivalTime
from rsu.hal.camera.base import LivePace, RawFrame
from rsu.hal.camera.capture import Capture
from rsu.hal.errors import DeviceError

MIN_READ_TIMEOUT_S = 2.0
"""Silence after which the stream is given up and opened anew: with the first back-off of 0.5 s the
camera is back within 5 s of its return (operations row 19)."""
MAX_CREDENTIALS = 512
"""Octets of `user:password`; a longer file is a wrong file."""
FFMPEG_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
"""OpenCV takes options of FFmpeg's RTSP client from this environment variable only."""

_opening = threading.Lock()  # the environment belongs to the whole process


class RtspSource:
    """One stream; see `FrameSource`. `read` blocks up to the stream's read timeout."""

    recorded = False

    def __init__(self, options: RtspSourceOptions, base: Path, pace: LivePace | None) -> None:
        if pace is None:
            raise DeviceError("an RTSP camera has no lock-step", "replay a recording instead")
        self.dropped: dict[str, int] = {}
        self.remark = ""
        self._options = options
        self._base = base
        self._clock = pace.clock
        self._capture: Capture | None = None
        self._time = ArrivalTime()

    def open(self) -> None:
        if self._capture is not None:
            return
        options = self._options
        read_timeout_s = max(MIN_READ_TIMEOUT_S, 2 * options.late_s)
        address = self._address()
        parameters = (
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, round(options.open_timeout_s * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, round(read_timeout_s * 1000),
            # Frame-parallel decoding would hold back as many frames as it has threads.
            cv2.CAP_PROP_N_THREADS, 1,
        )  # fmt: skip
        try:
            with _opening, _ffmpeg_options(f"rtsp_transport;{options.transport}"):
                self._capture = Capture(address, cv2.CAP_FFMPEG, parameters)
        except (cv2.error, ConnectionError):
            # `from None`: OpenCV's own text may hold the address with the password.
            raise DeviceError(
                f"no stream from {options.url} within {options.open_timeout_s:g} s",
                "check address, port, credentials and that the camera streams",
            ) from None
        self._time = ArrivalTime()

    def read(self, timeout_s: float) -> RawFrame | None:  # noqa: ARG002  FFmpeg has its own
        capture = self._capture
        if capture is None:
            raise DeviceError(f"stream {self._options.url} is not open", "open it first")
        if not capture.grab():
            state = "was closed" if capture.closed else "broke off"
            raise DeviceError(f"stream {self._options.url} {state}", "open it again")
        capture_ns = self._time.capture_ns(self._clock(), capture.position_ms)
        if capture_ns is None:
            return self._drop("backlog")
        image = capture.retrieve()
        return self._drop("unreadable") if image is None else RawFrame(image, capture_ns)

    def close(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.close()

    def _drop(self, reason: str) -> RawFrame | None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        return None

    def _address(self) -> str:
        """The URL with credentials, for FFmpeg only."""
        scheme, _, rest = self._options.url.partition("://")
        return f"{scheme}://{self._credentials()}{rest}"

    def _credentials(self) -> str:
        """`user:password@` with both parts percent-encoded, or nothing."""
        if self._options.credentials_file is None:
            return ""
        path = self._base / self._options.credentials_file
        try:
            with path.open("rb") as file:
                line = file.read(MAX_CREDENTIALS).decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
            raise DeviceError(
                f"credentials file {path} cannot be read: {reason}",
                "give the daemon's user a readable file with `user:password`",
            ) from None
        name, colon, password = line.partition(":")
        if not colon or not name or "\n" in line:
            raise DeviceError(
                f"credentials file {path} is not one line `user:password`", "write it so"
            )
        return f"{quote(name, safe='')}:{quote(password, safe='')}@"


@contextmanager
def _ffmpeg_options(options: str) -> Iterator[None]:
    before = os.environ.get(FFMPEG_OPTIONS)
    os.environ[FFMPEG_OPTIONS] = options
    try:
        yield
    finally:
        if before is None:
            del os.environ[FFMPEG_OPTIONS]
        else:
            os.environ[FFMPEG_OPTIONS] = before
