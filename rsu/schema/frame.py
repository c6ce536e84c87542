"""A camera frame on its way from driver to detector; it never leaves the camera's process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

from rsu.schema.sensing import ImageDetection


@dataclass(frozen=True, slots=True)
class CameraFrame:
    """One exposed image.

    `image` is height × width × 3, uint8, BGR. `frame` counts this camera's frames from 0,
    including those that were dropped on the way. `detected` is filled when a detector has already
    looked at the image (read-ahead in replay).
    """

    sensor: str
    frame: int
    capture_ns: int
    image: npt.NDArray[np.uint8]
    detected: tuple[ImageDetection, ...] | None = None
