"""What a detector is, and how a camera's options become one.

Flows in: an image and the camera's regions of interest. Flows out: boxes with class and score in
full-image pixels. Everything about the ground is `rsu.perception.projection`'s business.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rsu.config.cameras import (
    CameraOptions,
    MotionDetectorOptions,
    OnnxDetectorOptions,
    Region,
)
from rsu.perception.errors import ModelError
from rsu.schema.sensing import ImageDetection

Image = npt.NDArray[np.uint8]


class Detector(Protocol):
    """Looks at one image.

    `stateless` says that the answer depends on nothing but the image, so frames may be looked at in
    any order and on any thread (`rsu.perception.ahead`). `regions` are in pixels of the image the
    camera was calibrated in; none means the whole image.
    """

    stateless: bool

    def detect(self, image: Image, regions: Sequence[Region]) -> tuple[ImageDetection, ...]: ...


def load_detector(camera: CameraOptions, base: Path) -> Detector:
    """The camera's detector, loaded and self-tested; raises ModelError.

    `base` is the site file's folder, where relative model paths start.
    """
    size = (camera.calibration.image_width, camera.calibration.image_height)
    options = camera.detector
    if isinstance(options, OnnxDetectorOptions):
        from rsu.perception.onnx_detector import OnnxDetector
        from rsu.perception.registry import find_model

        return OnnxDetector(find_model(options.model, base), options, size)
    if isinstance(options, MotionDetectorOptions):
        from rsu.perception.motion_detector import MotionDetector

        return MotionDetector(options, size)
    raise ModelError(
        f"camera {camera.id!r}: detector `modelled` looks at no pixels",
        "it works in `rsu sim` and `rsu demo` only; choose `onnx` or `motion` here",
    )
