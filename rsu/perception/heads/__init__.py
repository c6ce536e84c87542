"""Output heads: what a model family's numbers mean, one module each, loaded by name.

A head checks at load that the tensors fit the card and turns them into candidate boxes per frame.
Adding a family is one module with a `Head` and one line in `_TABLE` (and its name in the card's
`HeadName`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rsu.perception.card import ModelCard

Floats = npt.NDArray[np.float32]


class Candidates(NamedTuple):
    """Boxes above the threshold, before suppression.

    `boxes` (N, 4) left, top, right, bottom in input pixels; `scores` (N,) 0..1; `labels` (N,)
    indices into the card's classes.
    """

    boxes: Floats
    scores: Floats
    labels: npt.NDArray[np.int64]


class Head(Protocol):
    """One family of output layouts, made for one card."""

    def __init__(self, card: ModelCard) -> None: ...

    def misfit(self, outputs: Mapping[str, Floats]) -> str | None:
        """Why these tensors cannot be this head's for this card; None when they fit."""
        ...

    def decode(self, outputs: Mapping[str, Floats], threshold: float) -> Candidates:
        """Candidates scored at least `threshold`; tensors are as `misfit` accepted them."""
        ...


_TABLE: dict[str, str] = {
    "yolox": "rsu.perception.heads.yolox:YoloxHead",
    "yolov8": "rsu.perception.heads.yolov8:Yolov8Head",
    "rtdetr": "rsu.perception.heads.rtdetr:RtdetrHead",
}


def make_head(card: ModelCard) -> Head:
    """The head that the card names."""
    module, name = _TABLE[card.head].split(":")
    head: Head = getattr(importlib.import_module(module), name)(card)
    return head


def corners(centre_size: Floats) -> Floats:
    """(N, 4) centre x, centre y, width, height → left, top, right, bottom."""
    half = centre_size[:, 2:4] * np.float32(0.5)
    return np.concatenate((centre_size[:, :2] - half, centre_size[:, :2] + half), axis=1)
