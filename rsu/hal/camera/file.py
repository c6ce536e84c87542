"""Driver `file`: any video file that OpenCV's FFmpeg reads, timed by its own timestamps.

In lock-step a frame's capture time is `start_utc` plus its stream time and every frame comes. Live,
it is the moment of opening plus stream time; frames come when they are due, and those that are
overdue by more than `BEHIND_NS` are skipped and counted, as a camera's would be lost.
"""

from __future__ import annotations

import threading
from pathlib import Path

import cv2

from rsu.config.cameras import FileSourceOptions
from rsu.hal.camera.base import DEFAULT_START_UTC, LivePace, RawFrame, utc_ns
from rsu.hal.camera.capture import Capture
from rsu.hal.camera.stream_time import StreamTime
from rsu.hal.errors import DeviceError, EndOfSource
from rsu.schema.units import NS_PER_S

BEHIND_NS = 100_000_000
"""Lateness at which a live frame is skipped: the whole budget from capture to the air is 100 ms."""


class FileSource:
    """One video file; see `FrameSource`."""

    recorded = True

    def __init__(self, options: FileSourceOptions, base: Path, pace: LivePace | None) -> None:
        self.dropped: dict[str, int] = {}
        self.remark = ""
        self._path = base / options.path
        self._start_utc = options.start_utc or DEFAULT_START_UTC
        self._loop = options.loop and pace is not None
        self._pace = pace
        self._capture: Capture | None = None
        self._closing = threading.Lock()  # a pass of a loop begins while another thread closes
        self._ended: str | None = None
        self._time = StreamTime(0.0)
        self._promised = 0  # frames, as the container says
        self._start_ns = 0  # UTC of stream time 0
        self._opened_ns = 0  # monotonic time of stream time 0, live only
        self._pass_start_ns = 0  # stream time at which this pass of a loop began
        self._pass_frames = 0
        self._pending_ns: int | None = None  # stream time of a grabbed frame that is not yet due
        self._estimated = 0  # frames of earlier passes without a usable timestamp

    def open(self) -> None:
        if self._capture is not None:
            return
        start_ns = utc_ns(self._start_utc)
        capture = self._open_capture()
        self._time = StreamTime(capture.get(cv2.CAP_PROP_FPS))
        self._promised = round(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        if self._pace is None:
            self._start_ns = start_ns
        else:
            now = self._pace.clock()
            self._start_ns, self._opened_ns = now.utc_ns, now.mono_ns
        self._ended = self._pending_ns = None
        self._pass_start_ns = self._pass_frames = self._estimated = 0
        self._capture = capture

    def read(self, timeout_s: float) -> RawFrame | None:
        capture = self._capture
        if self._ended is not None:
            raise EndOfSource(self._ended)
        if capture is None:
            raise DeviceError(f"video {self._path.name} is not open", "open it first")
        deadline_ns = self._elapsed_ns() + round(timeout_s * NS_PER_S)
        while True:
            if self._pending_ns is None and not self._grab(capture):
                capture = self._next_pass(capture)
                continue
            stream_ns = self._pending_ns
            if stream_ns is None or not self._wait_until(stream_ns, deadline_ns):
                return None
            self._pending_ns = None
            if self._pace is not None and self._elapsed_ns() - stream_ns > BEHIND_NS:
                self._drop("behind")
                if self._elapsed_ns() > deadline_ns:
                    return None
                continue
            image = capture.retrieve()
            if capture.closed:
                raise DeviceError(f"video {self._path.name} was closed", "open it again")
            if image is not None:
                return RawFrame(image, self._start_ns + stream_ns)
            self._drop("unreadable")

    def close(self) -> None:
        with self._closing:
            capture, self._capture = self._capture, None
        if capture is not None:
            capture.close()

    def _open_capture(self) -> Capture:
        if not self._path.is_file():
            what = "is not a regular file" if self._path.exists() else "does not exist"
            raise DeviceError(f"video {self._path} {what}", "correct `path` of this camera")
        # Live, one decoder thread: a camera has one core's share. Replay may use what there is.
        threads = [] if self._pace is None else [cv2.CAP_PROP_N_THREADS, 1]
        try:
            return Capture(str(self._path), cv2.CAP_FFMPEG, threads)
        except (cv2.error, ConnectionError) as error:
            raise DeviceError(
                f"video {self._path} cannot be read: it is damaged, incomplete or no video",
                "check it with another player or copy it again",
            ) from error

    def _grab(self, capture: Capture) -> bool:
        if not capture.grab():
            return False
        self._pending_ns = self._pass_start_ns + self._time.next(capture.position_ms)
        self._pass_frames += 1
        if self._time.estimated:
            total = self._estimated + self._time.estimated
            self.remark = f"{total} frames without a usable timestamp: timed by the frame rate"
        return True

    def _next_pass(self, capture: Capture) -> Capture:
        """Start a loop's next pass, or raise EndOfSource with what was read."""
        if capture.closed:
            raise DeviceError(f"video {self._path.name} was closed", "open it again")
        if not self._loop or self._pass_frames == 0:
            self._ended = self._summary()
            raise EndOfSource(self._ended)
        again = self._open_capture()
        with self._closing:
            if self._capture is None:
                again.close()
                raise DeviceError(f"video {self._path.name} was closed", "open it again")
            self._capture = again
        capture.close()
        self._pass_start_ns += self._time.length_ns
        self._estimated += self._time.estimated
        self._time = StreamTime(NS_PER_S / self._time.period_ns)
        self._pass_frames = 0
        return again

    def _summary(self) -> str:
        summary = f"{self._path.name} ended after {self._pass_frames} frames"
        missing = self._promised - self._pass_frames
        # Containers without an index estimate their frame count from duration × rate, so a few
        # frames (2 %) fewer are no damage.
        if missing > max(2, self._pass_frames // 50):
            summary += f" of {self._promised}: {missing} are missing, the file is cut short"
            self.remark = summary
        return summary

    def _wait_until(self, stream_ns: int, deadline_ns: int) -> bool:
        """Wait for the frame's moment, but not past the deadline; False when it has not come."""
        if self._pace is None:
            return True
        now_ns = self._elapsed_ns()
        until_ns = min(stream_ns, deadline_ns)
        if until_ns > now_ns and self._pace.wait((until_ns - now_ns) / NS_PER_S):
            return False
        return stream_ns <= deadline_ns or stream_ns <= now_ns

    def _elapsed_ns(self) -> int:
        """Time since the opening, ns; 0 in lock-step, where nothing waits."""
        return 0 if self._pace is None else self._pace.clock().mono_ns - self._opened_ns

    def _drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
