"""Driver `v4l2`: a local video device (USB, CSI, capture card) through OpenCV's V4L2 backend.

The kernel stamps each buffer when its exposure was transferred, on the monotonic clock; capture
time is that moment brought to UTC, or the moment of reading where a device gives no usable stamp.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from pathlib import Path

import cv2

from rsu.config.cameras import V4l2SourceOptions
from rsu.hal.camera.base import LivePace, RawFrame
from rsu.hal.camera.capture import Capture
from rsu.hal.errors import DeviceError
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant

# linux/videodev2.h: struct v4l2_capability is driver[16], card[32], bus_info[32], then the words
# version, capabilities, device_caps and three reserved ones; VIDIOC_QUERYCAP is _IOR('V', 0, it).
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_VIDIOC_QUERYCAP = 0x80000000 | _CAPABILITY.size << 16 | ord("V") << 8
_CAP_DEVICE_CAPS = 0x80000000
_CAP_VIDEO_CAPTURE = 0x00000001 | 0x00001000  # single- or multi-planar

MAX_STAMP_AGE_NS = NS_PER_S
"""An older (or future) kernel stamp is on another clock than ours and is not used."""


class V4l2Source:
    """One device; see `FrameSource`. `read` blocks up to the backend's own timeout."""

    recorded = False

    def __init__(self, options: V4l2SourceOptions, base: Path, pace: LivePace | None) -> None:  # noqa: ARG002  as every driver
        if pace is None:
            raise DeviceError("a video device has no lock-step", "replay a recording instead")
        self.dropped: dict[str, int] = {}
        self.remark = ""
        self._options = options
        device = options.device
        self._device = f"/dev/video{device}" if device.isdecimal() else device
        self._clock = pace.clock
        self._capture: Capture | None = None

    def open(self) -> None:
        if self._capture is not None:
            return
        check_device(self._device)
        try:
            capture = Capture(self._device, cv2.CAP_V4L2)
        except (cv2.error, ConnectionError) as error:
            raise DeviceError(
                f"video device {self._device} does not start",
                "see with `fuser` whether another process holds it, or plug it in again",
            ) from error
        options = self._options
        wanted = (
            (cv2.CAP_PROP_FOURCC, options.fourcc and cv2.VideoWriter.fourcc(*options.fourcc)),
            (cv2.CAP_PROP_FRAME_WIDTH, options.width),
            (cv2.CAP_PROP_FRAME_HEIGHT, options.height),
            (cv2.CAP_PROP_FPS, options.rate_hz),
        )
        for code, value in wanted:
            if value:
                capture.set(code, float(value))
        given = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        asked = options.width or given[0], options.height or given[1]
        if asked != given:
            self.remark = f"asked for {asked[0]:g}×{asked[1]:g} px, got {given[0]:g}×{given[1]:g}"
        self._capture = capture

    def read(self, timeout_s: float) -> RawFrame | None:  # noqa: ARG002  the backend has its own
        capture = self._capture
        if capture is None:
            raise DeviceError(f"video device {self._device} is not open", "open it first")
        if not capture.grab():
            state = "was closed" if capture.closed else "gave no frame"
            raise DeviceError(
                f"video device {self._device} {state}",
                "check its cable and whether another process holds it",
            )
        capture_ns = capture_time(self._clock(), capture.position_ms)
        image = capture.retrieve()
        if image is None:
            self.dropped["unreadable"] = self.dropped.get("unreadable", 0) + 1
            return None
        return RawFrame(image, capture_ns)

    def close(self) -> None:
        capture, self._capture = self._capture, None
        if capture is not None:
            capture.close()


def capture_time(now: Instant, stamp_ms: float) -> int:
    """UTC ns of a buffer that the kernel stamped at `stamp_ms` of the monotonic clock."""
    age_ns = now.mono_ns - round(stamp_ms * NS_PER_MS)
    return now.utc_ns - age_ns if 0 <= age_ns <= MAX_STAMP_AGE_NS else now.utc_ns


def check_device(device: str) -> None:
    """Raise DeviceError with the reason unless `device` is a camera we may use."""
    try:
        if not stat.S_ISCHR(Path(device).stat().st_mode):
            raise DeviceError(f"{device} is no device", "name one of `ls /dev/video*`")
        handle = os.open(device, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise DeviceError(*_reason(device, error)) from error
    try:
        answer = fcntl.ioctl(handle, _VIDIOC_QUERYCAP, bytes(_CAPABILITY.size))
    except OSError as error:
        raise DeviceError(f"{device} is no video device", "name one of `ls /dev/video*`") from error
    finally:
        os.close(handle)
    *_, whole, own = _CAPABILITY.unpack(answer)
    # A USB camera has several nodes; `device_caps` tells the image node from the metadata node.
    if not (own if whole & _CAP_DEVICE_CAPS else whole) & _CAP_VIDEO_CAPTURE:
        raise DeviceError(f"{device} delivers no images", "name the camera's other /dev/video node")


def _reason(device: str, error: OSError) -> tuple[str, str]:
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return f"video device {device} is missing", "plug it in or name one of `ls /dev/video*`"
    if error.errno == errno.EBUSY:
        return f"video device {device} is busy", "end the other process (`fuser` names it)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"video device {device} may not be opened", "add the daemon's user to group video"
    return f"video device {device}: {error.strerror}", "check the device"
