"""A small masked picture of what a camera sees, for people: the only pixels that leave its process.

Filled by `rsu.perception.preview`, at most twice a second; read by the dashboard. Never recorded.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from rsu.schema.sensing import ImageDetection


class Masking(StrEnum):
    """How heads and number plates were made unrecognisable (docs/privacy.md)."""

    REGIONS = "regions"  # coarse blocks wherever the detector saw somebody within half a second
    WHOLE = "whole"  # coarse blocks all over: nothing tells where people are
    NONE = "none"  # the site file says `privacy.mask: false` and why


class CameraPreview(msgspec.Struct, frozen=True, kw_only=True):
    """One picture.

    `width` and `height` are px of the JPEG; times `scale` they are px of the camera's image, in
    which the `boxes` are. `boxes` are what the detector reported of the very frame. `masked` is
    False only where the site file says so.
    """

    sensor: str
    frame: int
    capture_ns: int
    width: int
    height: int
    scale: float
    jpeg: bytes
    masked: bool
    masking: Masking
    boxes: tuple[ImageDetection, ...] = ()
