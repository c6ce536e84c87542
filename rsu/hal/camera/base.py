"""What a camera driver is: something that is opened, gives timed images, and is closed.

`FrameSource` is the protocol every driver fulfils and `tests/conformance` checks. A driver knows
one device and nothing else: reconnecting, monitoring and dropping are done once for all of them, in
`rsu.hal.camera.live` and `rsu.hal.camera.recorded`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rsu.config import base as options
from rsu.hal.errors import DeviceError
from rsu.schema.units import Instant

Image = npt.NDArray[np.uint8]
"""height × width × 3, BGR."""

DEFAULT_START_UTC = "2025-01-01T00:00:00Z"
"""Where replay places the first frame of a recording that does not know its own time: any fixed
moment does, as long as every run uses the same."""


@dataclass(frozen=True, slots=True)
class RawFrame:
    """One image as a driver hands it over; `capture_ns` is UTC ns, strictly increasing."""

    image: Image
    capture_ns: int


@dataclass(frozen=True, slots=True)
class LivePace:
    """What a driver needs to run in real time; both are replaced by fakes in tests.

    `clock` reads UTC and monotonic time together. `wait(seconds)` sleeps up to that long and
    returns True when the camera is being stopped, in which case the driver returns at once.
    """

    clock: Callable[[], Instant]
    wait: Callable[[float], bool]


class FrameSource(Protocol):
    """One opened or closed device. Made as `Driver(options, base, pace)`.

    `base` is the folder that relative paths in the options start from; `pace` is None in lock-step,
    where frames come as fast as they are asked for and times do not depend on any clock.

    Attributes: `recorded`, whether the source has an end; `dropped`, frames lost inside the driver
    by reason since it was made; `remark`, what a person should know ("" when nothing).
    """

    recorded: bool
    dropped: Mapping[str, int]
    remark: str

    def open(self) -> None:
        """Open the device; does nothing when it is open. Raises DeviceError."""

    def read(self, timeout_s: float) -> RawFrame | None:
        """The next frame, or None when none arrived in time.

        Raises EndOfSource at the end of a recorded source, again on every further call, and
        DeviceError when the device is lost or was never opened.
        """

    def close(self) -> None:
        """Let the device go; does nothing when it is closed. Any thread may call it, even while
        another one is inside `read`, which then ends soon."""


class FrameSourceClass(Protocol):
    """The constructor that every driver's class has."""

    recorded: bool

    def __call__(self, options: Any, base: Path, pace: LivePace | None) -> FrameSource: ...


def as_bgr(image: npt.NDArray[Any] | None) -> Image | None:
    """The image as height × width × 3 uint8, or None when it is not one."""
    if image is None or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        return None
    return image if image.size else None


def utc_ns(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 UTC time with up to nine decimals.

    Raises DeviceError where the text has the form but is no date.
    """
    try:
        return options.utc_ns(text)
    except ValueError as error:
        raise DeviceError(f"start_utc {text!r} is no time: {error}", "correct it") from error
