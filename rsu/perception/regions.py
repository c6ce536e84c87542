"""Regions of interest in the pixels of the image at hand.

The site file states them in pixels of the image the camera was calibrated in; a stream may come at
another resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

from rsu.config.cameras import Region


def crops(
    regions: Sequence[Region], reference: tuple[int, int], width: int, height: int
) -> tuple[tuple[int, int, int, int], ...]:
    """(left, top, right, bottom) per region in whole pixels of a `width` × `height` image.

    `reference` is (width, height) of the image that `regions` are stated in. No regions: one crop,
    the whole image. Every crop has at least one pixel.
    """
    if not regions:
        return ((0, 0, width, height),)
    scale_x, scale_y = width / reference[0], height / reference[1]
    found = []
    for region in regions:
        left = min(max(int(region.left * scale_x), 0), width - 1)
        top = min(max(int(region.top * scale_y), 0), height - 1)
        right = min(max(round((region.left + region.width) * scale_x), left + 1), width)
        bottom = min(max(round((region.top + region.height) * scale_y), top + 1), height)
        found.append((left, top, right, bottom))
    return tuple(found)
