"""From a rendered picture to a training sample: a crop at a random scale, mirrored, recoloured.

Crops keep a step cheap and turn one picture into many; they are drawn around objects, rare classes
first. What a crop cuts or hides too much becomes "ignored" instead of an object to be found.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch

from rsu.schema.sensing import ObjectClass
from tools.detector.dataset import Dataset, Labels
from tools.detector.loss import Target
from tools.detector.scenes import CLASSES, HEIGHT, WIDTH

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

LEAST_HEIGHT, LEAST_SIDE, LEAST_VISIBLE, LEAST_INSIDE = 7.0, 4.0, 0.25, 0.35
"""Objects to be found are this high and this wide, px, at least; this share of them is not hidden
and this share of the box lies in the crop. A little below what is asked for later (16 px, 60 %), so
that the border is learnt from both sides."""

# How much more often crops are drawn around a class than its objects occur.
_SOUGHT = {
    ObjectClass.CAR: 1.0, ObjectClass.VAN: 4.0, ObjectClass.TRUCK: 4.0, ObjectClass.BUS: 4.0,
    ObjectClass.MOTORCYCLE: 2.5, ObjectClass.BICYCLE: 2.0, ObjectClass.PEDESTRIAN: 1.2,
    ObjectClass.OBSTACLE: 1.5,
}  # fmt: skip
_WEIGHTS = np.array([_SOUGHT[kind] for kind in CLASSES])


def batch(
    data: Dataset, rngs: Sequence[np.random.Generator], width: int, height: int, plain: bool
) -> tuple[torch.Tensor, list[Target]]:
    """A sample of `width` × `height` px per generator; `plain`: whole pictures, only mirrored."""
    images = np.empty((len(rngs), height, width, 3), dtype=np.uint8)
    targets = []
    for row, rng in enumerate(rngs):
        index = int(rng.integers(len(data.labels)))
        image, labels = data.images[index], data.labels[index]
        window = (0.0, 0.0, WIDTH, HEIGHT) if plain else _window(labels, rng, width, height)
        crop, boxes = cut(np.asarray(image), labels.boxes, window, width, height)
        if rng.random() < 0.5:
            crop = np.asarray(crop[:, ::-1])
            boxes = boxes[:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (width, 0, width, 0)
        images[row] = crop if plain and rng.random() < 0.5 else recoloured(crop, rng)
        targets.append(target(boxes, labels, width, height))
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    return tensor.to(torch.float32, memory_format=torch.channels_last), targets


def cut(
    image: Image, boxes: Floats, window: tuple[float, float, float, float], width: int, height: int
) -> tuple[Image, Floats]:
    """The window (left, top, width, height) of a picture at `width` × `height`; boxes unclipped.

    What the window has beyond the picture is grey, as the letterbox fills it.
    """
    left, top, across, down = window
    sx, sy = width / across, height / down
    matrix = np.array([[sx, 0.0, -left * sx], [0.0, sy, -top * sy]])
    if across == width and down == height and left == top == 0:
        crop: Image = image
    else:
        crop = np.asarray(
            cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR,
                           borderMode=cv2.BORDER_CONSTANT, borderValue=(114, 114, 114)),
            dtype=np.uint8,
        )  # fmt: skip
    moved = boxes * (sx, sy, sx, sy) - (left * sx, top * sy, left * sx, top * sy)
    return crop, moved


def recoloured(image: Image, rng: np.random.Generator) -> Image:
    """Brightness, contrast, white balance, saturation, now and then blur, noise or grey."""
    gain = float(np.exp(rng.normal(0.0, 0.22))) * np.exp(rng.normal(0.0, 0.05, 3))
    shift = float(rng.normal(0.0, 10.0))
    curve = np.arange(256)[:, np.newaxis] * gain + shift
    table = np.clip(curve, 0, 255).astype(np.uint8).reshape(1, 256, 3)
    out = np.asarray(cv2.LUT(np.ascontiguousarray(image), table), dtype=np.uint8)
    chance = rng.random(4)
    if chance[0] < 0.35:
        grey = cv2.cvtColor(cv2.cvtColor(out, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        keep = 0.0 if chance[1] < 0.2 else float(rng.uniform(0.2, 1.5))
        out = np.asarray(cv2.addWeighted(out, keep, grey, 1.0 - keep, 0.0), dtype=np.uint8)
    if chance[2] < 0.12:
        out = np.asarray(cv2.GaussianBlur(out, (5, 5), float(rng.uniform(0.4, 1.4))), np.uint8)
    if chance[3] < 0.25:
        grain = rng.standard_normal((*out.shape[:2], 1), dtype=np.float32)
        noisy = out + grain * np.float32(rng.uniform(2.0, 12.0))
        out = np.clip(noisy, 0, 255).astype(np.uint8)
    return out


def target(boxes: Floats, labels: Labels, width: int, height: int) -> Target:
    """What is to be found in a crop, and what neither counts nor is a mistake to find."""
    clipped = np.clip(boxes, 0.0, (width, height, width, height))
    size, whole = clipped[:, 2:] - clipped[:, :2], boxes[:, 2:] - boxes[:, :2]
    inside = size.prod(axis=1) / np.maximum(whole.prod(axis=1), 1e-6)
    some = (size > 1.0).all(axis=1)
    wanted = (
        some
        & (size[:, 1] >= LEAST_HEIGHT)
        & (size.min(axis=1) >= LEAST_SIDE)
        & (labels.visible >= LEAST_VISIBLE)
        & (inside >= LEAST_INSIDE)
    )
    doubtful = some & ~wanted & (labels.visible > 0.02)
    return Target(
        torch.from_numpy(clipped[wanted]).float(),
        torch.from_numpy(labels.labels[wanted]),
        torch.from_numpy(clipped[doubtful]).float(),
    )


def _window(
    labels: Labels, rng: np.random.Generator, width: int, height: int
) -> tuple[float, float, float, float]:
    """A window that is shown at 0.6 to 1.7 times its size, mostly around an object."""
    scale = float(np.exp(rng.uniform(np.log(0.6), np.log(1.7))))
    stretch = float(np.exp(rng.normal(0.0, 0.05)))
    across, down = width / scale * stretch, height / scale / stretch
    if len(labels.labels) and rng.random() < 0.85:
        weight = _WEIGHTS[labels.labels] * (labels.visible + 0.05)
        box = labels.boxes[int(rng.choice(len(weight), p=weight / weight.sum()))]
        x, y = (box[:2] + box[2:]) / 2 + rng.uniform(-0.5, 0.5, 2) * (across, down)
    else:
        x, y = rng.uniform((0.0, 0.0), (WIDTH, HEIGHT))
    left = _kept_in(x - across / 2, across, WIDTH)
    return left, _kept_in(y - down / 2, down, HEIGHT), across, down


def _kept_in(start: float, length: float, limit: float) -> float:
    """The start of a stretch inside 0..limit; one longer than that is laid around it."""
    low, high = sorted((0.0, limit - length))
    return float(np.clip(start, low, high))
