"""Which cells answer for which object, and what their answers cost.

Task-aligned assignment (Feng et al., "TOOD", 2021): among the cells near an object those answer
that already name and frame it best, and their target score is how well they frame it, so that
scores rank boxes. Class loss: varifocal (Zhang et al. 2021). Box loss: generalised IoU
(Rezatofighi et al. 2019). Objects too hidden or too small to be asked for are neither right nor
wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tools.detector.network import STRIDES, cell_grid, decode

TOP_CELLS = 9
"""Cells that may answer for one object."""
ALIGN_SCORE, ALIGN_IOU = 0.5, 4.0
"""Exponents of class score and IoU in the alignment (TOOD: 1 and 6; softer, since boxes of few
pixels never fit as well)."""
FOCAL_SHARE, FOCAL_POWER = 0.75, 2.0  # varifocal's α and γ for background cells
BOX_WEIGHT = 2.5

# Longest side, px, of the objects that each stride may answer for; the ranges overlap by half, so
# that no size falls between two.
_SIDES = {8: (0.0, 80.0), 16: (36.0, 190.0), 32: (96.0, 1e9)}

_NEAR = 0.75
"""Strides around the centre within which a cell may answer even outside a narrow box."""


@dataclass(frozen=True, slots=True)
class Target:
    """One picture: `boxes` (M, 4) px, `labels` (M,) to be found; `ignored` (K, 4) px."""

    boxes: Tensor
    labels: Tensor
    ignored: Tensor


class Loss:
    """For one input size; keeps the grid of its cells."""

    def __init__(self, width: int, height: int) -> None:
        self.cells, self.strides = cell_grid(width, height)
        self.centres = (self.cells + 0.5) * self.strides.unsqueeze(-1)
        self._low = torch.tensor([_SIDES[int(s)][0] for s in self.strides.tolist()])
        self._high = torch.tensor([_SIDES[int(s)][1] for s in self.strides.tolist()])

    def __call__(self, raw: Tensor, targets: list[Target]) -> tuple[Tensor, Tensor]:
        """(class loss, box loss) of raw cells (B, N, 4 + C), each per unit of target score."""
        boxes = decode(raw, self.cells, self.strides)
        logits = raw[..., 4:]
        scores = torch.zeros_like(logits)
        weight = torch.ones_like(logits)
        answers = []
        answering = torch.zeros(logits.shape[:2])
        with torch.no_grad():
            for index, target in enumerate(targets):
                rows, gts, quality = self._assign(boxes[index], logits[index], target)
                scores[index, rows, target.labels[gts]] = quality
                answering[index, rows] = quality
                idle = self._inside(target.ignored)
                idle[rows] = False
                weight[index, idle] = 0.0
                answers.append((rows, gts, quality))
            total = scores.sum().clamp(min=1.0)
            probability = logits.sigmoid()
            # Where there is an object, its other classes count in full: the focal weight, made for
            # the mass of empty cells, would leave a van "rather a car" unpunished.
            weight *= torch.where(
                answering.unsqueeze(-1) > 0,
                answering.unsqueeze(-1),
                FOCAL_SHARE * probability**FOCAL_POWER,
            )
        label_loss = (
            functional.binary_cross_entropy_with_logits(logits, scores, weight, reduction="sum")
            / total
        )
        drawn = [boxes[i, rows] for i, (rows, _, _) in enumerate(answers)]
        wanted = [t.boxes[gts] for t, (_, gts, _) in zip(targets, answers, strict=True)]
        quality = torch.cat([q for _, _, q in answers])
        misfit = 1.0 - _giou(torch.cat(drawn), torch.cat(wanted))
        return label_loss, BOX_WEIGHT * (misfit * quality).sum() / total

    def _assign(
        self, boxes: Tensor, logits: Tensor, target: Target
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of the cells that answer, for which object, and their target score."""
        count = len(target.boxes)
        none = torch.zeros(0, dtype=torch.long)
        if not count:
            return none, none, torch.zeros(0)
        size = target.boxes[:, 2:] - target.boxes[:, :2]
        middle = (target.boxes[:, 2:] + target.boxes[:, :2]) / 2
        side = size.amax(dim=1, keepdim=True)
        offset = (self.centres.unsqueeze(0) - middle.unsqueeze(1)).abs()
        reach = torch.maximum(size.unsqueeze(1) / 2, _NEAR * self.strides[None, :, None])
        allowed = (offset < reach).all(dim=-1) & (side >= self._low) & (side < self._high)
        gt, row = allowed.nonzero(as_tuple=True)
        overlap = _iou(boxes[row], target.boxes[gt])
        score = logits[row, target.labels[gt]].sigmoid()
        metric = score**ALIGN_SCORE * overlap**ALIGN_IOU
        # Before anything fits, the nearest cells answer.
        near = 1e-9 / (1.0 + offset[gt, row].sum(dim=-1) / self.strides[row])
        table = torch.zeros(count, len(self.strides))
        table[gt, row] = metric + near
        best, columns = table.topk(min(TOP_CELLS, table.shape[1]), dim=1)
        gts = torch.arange(count).unsqueeze(1).expand_as(columns)[best > 0]
        rows, best = columns[best > 0], best[best > 0]
        # A cell that two objects want goes to the one that it frames better: last write wins.
        overlap = _iou(boxes[rows], target.boxes[gts])
        order = overlap.argsort()
        owner = torch.full((len(self.strides),), -1, dtype=torch.long)
        owner[rows[order]] = order
        kept = owner[owner >= 0]
        rows, gts, best, overlap = rows[kept], gts[kept], best[kept], overlap[kept]
        top = torch.zeros(count).scatter_reduce(0, gts, best, "amax")
        fit = torch.zeros(count).scatter_reduce(0, gts, overlap, "amax")
        # The best cell's target is its IoU, but never so little that a new object goes unnoticed.
        quality = best / top[gts] * fit[gts].clamp(min=0.1)
        return rows, gts, quality

    def _inside(self, boxes: Tensor) -> Tensor:
        """Which cells (N,) have their centre in one of the boxes."""
        x, y = self.centres[:, 0:1], self.centres[:, 1:2]
        within = (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])
        return within.any(dim=1)


def _parts(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection and union, px², of boxes row by row."""
    size = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    inter = size[:, 0] * size[:, 1]
    area = (a[:, 2:] - a[:, :2]).prod(dim=1) + (b[:, 2:] - b[:, :2]).prod(dim=1)
    return inter, (area - inter).clamp(min=1e-6)


def _iou(a: Tensor, b: Tensor) -> Tensor:
    inter, union = _parts(a, b)
    return inter / union


def _giou(a: Tensor, b: Tensor) -> Tensor:
    inter, union = _parts(a, b)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(dim=1)
    return inter / union - (hull - union) / hull.clamp(min=1e-6)


__all__ = ["STRIDES", "Loss", "Target"]
