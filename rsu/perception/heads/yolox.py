"""YOLOX: one tensor [1, N, 5 + C] of raw cells over the strides 8, 16 and 32.

Each row is (x, y, w, h, objectness, C class scores), the cells row by row, finest stride first;
x and y are offsets in cells, w and h logarithms of cells, the scores already squashed (Ge et al.,
"YOLOX: Exceeding YOLO Series in 2021", §2.1, and the export its authors publish).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rsu.perception.card import ModelCard
from rsu.perception.heads import Candidates, Floats, corners

STRIDES = (8, 16, 32)

# Raw offsets reach a few cells at most. A tensor with centres beyond is decoded already.
_LARGEST_OFFSET = 16.0

# exp() of more than this many cells' logarithm is larger than any input: such a row is noise.
_LARGEST_LOG = 10.0


class YoloxHead:
    """Cells to boxes; only cells above the threshold are decoded."""

    def __init__(self, card: ModelCard) -> None:
        self._classes = len(card.classes)
        self._size = (card.input.width, card.input.height)
        cells, strides = [], []
        for stride in STRIDES:
            columns, rows = card.input.width // stride, card.input.height // stride
            y, x = np.divmod(np.arange(rows * columns, dtype=np.float32), np.float32(columns))
            cells.append(np.stack((x, y), axis=1))
            strides.append(np.full((rows * columns, 1), stride, dtype=np.float32))
        self._cells: Floats = np.concatenate(cells)
        self._strides: Floats = np.concatenate(strides)

    def misfit(self, outputs: Mapping[str, Floats]) -> str | None:
        if len(outputs) != 1:
            return f"yolox has one output, this model {len(outputs)}"
        tensor = next(iter(outputs.values()))
        shape = tensor.shape
        wanted = (1, len(self._cells), 5 + self._classes)
        if shape != wanted:
            return (
                f"output {list(shape)}, but a yolox head with input "
                f"{self._size[0]}×{self._size[1]} and {self._classes} classes gives {list(wanted)}"
            )
        offset = float(np.abs(tensor[0, :, :2]).max())
        if offset > _LARGEST_OFFSET:
            return (
                f"centres reach {offset:.0f}, so the boxes are decoded already, not raw cells: "
                "the head is yolov8 (its v5 layout)"
            )
        return None

    def decode(self, outputs: Mapping[str, Floats], threshold: float) -> Candidates:
        rows = next(iter(outputs.values()))[0]
        # Class scores are at most 1, so the objectness alone already rules most cells out.
        kept = np.flatnonzero(rows[:, 4] >= threshold)
        rows = rows[kept]
        labels = rows[:, 5:].argmax(axis=1)
        scores = rows[:, 4] * rows[np.arange(len(rows)), 5 + labels]
        strong = scores >= threshold
        rows, kept = rows[strong], kept[strong]
        stride = self._strides[kept]
        centre = (rows[:, :2] + self._cells[kept]) * stride
        size = np.exp(np.minimum(rows[:, 2:4], np.float32(_LARGEST_LOG))) * stride
        boxes = corners(np.concatenate((centre, size), axis=1))
        return Candidates(boxes, scores[strong], labels[strong].astype(np.int64))
