"""RT-DETR and its relatives: a fixed set of queries instead of anchors, in three export layouts.

- three tensors `labels` [1, N], `boxes` [1, N, 4], `scores` [1, N]: boxes are corners in the size
  that the second input `orig_target_sizes` names (the detector passes the input's own size);
- two tensors, class logits [1, N, C] and boxes [1, N, 4] as centre and size in 0..1 of the input,
  told apart by name (`logits`, `boxes`) or by their last dimension;
- one tensor [1, N, 4 + C]: the same boxes followed by class scores that are already squashed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rsu.perception.card import ModelCard
from rsu.perception.heads import Candidates, Floats, corners

TRIPLE = frozenset({"labels", "boxes", "scores"})

# Beyond this the exponential overflows float32 and the sigmoid is 0 or 1 to the last bit.
_LARGEST_LOGIT = 80.0


class RtdetrHead:
    """Queries to boxes; the layout follows from names and shapes."""

    def __init__(self, card: ModelCard) -> None:
        self._classes = len(card.classes)
        self._scale: Floats = np.array([card.input.width, card.input.height] * 2, dtype=np.float32)

    def misfit(self, outputs: Mapping[str, Floats]) -> str | None:
        shapes = {name: list(value.shape) for name, value in outputs.items()}
        if len(outputs) == 3 and set(outputs) == TRIPLE:
            n = outputs["scores"].shape[-1]
            if shapes == {"labels": [1, n], "boxes": [1, n, 4], "scores": [1, n]}:
                return None
        elif len(outputs) == 2:
            logits, boxes = self._pair(outputs)
            if (
                logits.ndim == 3
                and logits.shape[::2] == (1, self._classes)
                and boxes.shape == (1, logits.shape[1], 4)
            ):
                return None
        elif len(outputs) == 1:
            shape = next(iter(shapes.values()))
            if len(shape) == 3 and shape[0] == 1 and shape[2] == 4 + self._classes:
                return None
        return (
            f"outputs {shapes}, but an rtdetr head with {self._classes} classes gives "
            f"labels/boxes/scores, or [1, N, {self._classes}] with [1, N, 4], "
            f"or [1, N, {4 + self._classes}]"
        )

    def decode(self, outputs: Mapping[str, Floats], threshold: float) -> Candidates:
        if len(outputs) == 3:
            scores = outputs["scores"][0]
            labels = outputs["labels"][0].astype(np.int64)
            # A label outside the card's classes has no meaning; the dry run cannot see them all.
            kept = (scores >= threshold) & (labels >= 0) & (labels < self._classes)
            return Candidates(outputs["boxes"][0][kept], scores[kept], labels[kept])
        if len(outputs) == 2:
            logits, boxes = (tensor[0] for tensor in self._pair(outputs))
            classes = 1.0 / (1.0 + np.exp(-np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)))
        else:
            tensor = next(iter(outputs.values()))[0]
            boxes, classes = tensor[:, :4], tensor[:, 4:]
        labels = classes.argmax(axis=1)
        scores = classes[np.arange(len(classes)), labels]
        kept = scores >= threshold
        return Candidates(
            corners(boxes[kept] * self._scale), scores[kept], labels[kept].astype(np.int64)
        )

    @staticmethod
    def _pair(outputs: Mapping[str, Floats]) -> tuple[Floats, Floats]:
        """(logits, boxes), whichever order the export chose."""
        first, second = outputs
        swapped = "box" in first.lower() or (
            "box" not in second.lower()
            and outputs[first].shape[-1] == 4
            and outputs[second].shape[-1] != 4
        )
        if swapped:
            first, second = second, first
        return outputs[first], outputs[second]
