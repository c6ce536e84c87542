"""Image in, model input out: resize, pad, order the channels, scale; and the way back for boxes.

This runs for every frame: it resizes in 8 bits, converts once, straight into the padded tensor,
and skips scale, mean and std where the card has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rsu.perception.card import InputCard

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an image of `width` × `height` px lies in the input: input = image × scale + offset."""

    width: int
    height: int
    scale_x: float
    scale_y: float
    left: int
    top: int

    def to_image(self, boxes: Floats) -> npt.NDArray[np.float64]:
        """Boxes (N, 4) left, top, right, bottom from input pixels to image pixels, cut to it."""
        out = boxes.astype(np.float64)
        out[:, 0::2] = (out[:, 0::2] - self.left) / self.scale_x
        out[:, 1::2] = (out[:, 1::2] - self.top) / self.scale_y
        np.clip(out[:, 0::2], 0.0, self.width, out=out[:, 0::2])
        np.clip(out[:, 1::2], 0.0, self.height, out=out[:, 1::2])
        return out


def place(width: int, height: int, card: InputCard) -> Placement:
    """How an image of this size is laid into the card's input."""
    if card.letterbox == "stretch":
        return Placement(width, height, card.width / width, card.height / height, 0, 0)
    scale = min(card.width / width, card.height / height)
    left = top = 0
    if card.letterbox == "centre":
        left = (card.width - int(width * scale)) // 2
        top = (card.height - int(height * scale)) // 2
    return Placement(width, height, scale, scale, left, top)


def prepare(image: Image, card: InputCard) -> tuple[Floats, Placement]:
    """The model's input tensor, (1, 3, H, W) or (1, H, W, 3) float32, from a BGR image."""
    height, width = image.shape[:2]
    placement = place(width, height, card)
    # At least one pixel: a sliver of an image must not become an empty one.
    inner_width = max(1, int(width * placement.scale_x + 1e-6))
    inner_height = max(1, int(height * placement.scale_y + 1e-6))
    small = np.asarray(cv2.resize(image, (inner_width, inner_height)), dtype=np.uint8)
    planes = list(cv2.split(small))
    if card.channels == "rgb":
        planes.reverse()
    rows = slice(placement.top, placement.top + inner_height)
    columns = slice(placement.left, placement.left + inner_width)
    # Plane by plane: contiguous conversion is several times faster than a strided transpose.
    tensor: Floats = np.full((1, 3, card.height, card.width), card.fill, dtype=np.float32)
    for channel, plane in enumerate(planes):
        tensor[0, channel, rows, columns] = plane
    if card.layout == "nhwc":
        tensor = np.ascontiguousarray(tensor.transpose(0, 2, 3, 1))
    if card.scale != 1.0:
        tensor *= np.float32(card.scale)
    if any(card.mean) or card.std != (1.0, 1.0, 1.0):
        shape = (1, 3, 1, 1) if card.layout == "nchw" else (1, 1, 1, 3)
        tensor -= np.asarray(card.mean, dtype=np.float32).reshape(shape)
        tensor /= np.asarray(card.std, dtype=np.float32).reshape(shape)
    return tensor, placement
