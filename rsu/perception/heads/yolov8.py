"""YOLOv8 and v11: one tensor [1, 4 + C, N]; and YOLOv5: one tensor [1, N, 5 + C].

Boxes are centre x, centre y, width, height in input pixels. v8 and v11 have no objectness and give
class scores per column; v5 has objectness in column 4 and multiplies it with the class score.
Which of the two it is follows from the shape, since the card knows C.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rsu.perception.card import ModelCard
from rsu.perception.heads import Candidates, Floats, corners

# A detector has candidates all over its input, also on a grey image. Centres that span less than
# this share of it are not in input pixels: raw cells (head yolox) or normalised to 0..1.
_LEAST_SPAN = 0.25


class Yolov8Head:
    """Decoded anchors to boxes, in either layout."""

    def __init__(self, card: ModelCard) -> None:
        self._classes = len(card.classes)
        self._width = card.input.width

    def misfit(self, outputs: Mapping[str, Floats]) -> str | None:
        if len(outputs) != 1:
            return f"yolov8 has one output, this model {len(outputs)}"
        tensor = next(iter(outputs.values()))
        shape = tensor.shape
        v8, v5 = 4 + self._classes, 5 + self._classes
        if len(shape) == 3 and shape[0] == 1 and (shape[1] == v8 or shape[2] == v5):
            centres = tensor[0, 0] if shape[1] == v8 else tensor[0, :, 0]
            if np.ptp(centres) >= _LEAST_SPAN * self._width:
                return None
            return (
                f"box centres span {np.ptp(centres):.3g} px of {self._width}: not in input pixels "
                "as yolov8, v11 and v5 give them (raw cells are head yolox)"
            )
        return (
            f"output {list(shape)}, but with {self._classes} classes yolov8/v11 gives "
            f"[1, {v8}, N] and yolov5 [1, N, {v5}]"
        )

    def decode(self, outputs: Mapping[str, Floats], threshold: float) -> Candidates:
        tensor = next(iter(outputs.values()))[0]
        if tensor.shape[0] == 4 + self._classes:
            best = tensor[4:].max(axis=0)
            rows = tensor[:, np.flatnonzero(best >= threshold)].T
            labels = rows[:, 4:].argmax(axis=1)
            scores = rows[np.arange(len(rows)), 4 + labels]
        else:
            rows = tensor[tensor[:, 4] >= threshold]
            labels = rows[:, 5:].argmax(axis=1)
            scores = rows[:, 4] * rows[np.arange(len(rows)), 5 + labels]
            strong = scores >= threshold
            rows, labels, scores = rows[strong], labels[strong], scores[strong]
        return Candidates(corners(rows[:, :4]), scores, labels.astype(np.int64))
