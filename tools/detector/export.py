"""From trained weights to what is shipped: an ONNX file that says the same, its speed, its card."""

from __future__ import annotations

import copy
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch

from rsu.perception.card import InputCard, ModelCard, card_text, file_sha256
from tools.detector.network import Network, YoloxOutput, fused
from tools.detector.scenes import CLASSES, HEIGHT, WIDTH

OPSET = 17
INPUT, OUTPUT = "images", "cells"
LARGEST = 4_000_000
"""Bytes of a shipped model."""
TOLERANCE = 2e-3
"""Largest difference between PyTorch's and onnxruntime's numbers; cells and logarithms of cells, so
2e-3 is a sixteenth of a pixel on the coarsest stride."""


@dataclass(frozen=True, slots=True)
class Exported:
    """`difference`: largest absolute one; `times_ms`: of one run each, single-threaded."""

    path: Path
    size: int
    difference: float
    times_ms: tuple[float, ...]


def export(network: Network, path: Path, pictures: np.ndarray, runs: int = 40) -> Exported:
    """Write `path`, check it against PyTorch on `pictures` (N, H, W, 3), and time it.

    Raises ValueError when the two disagree or the file is too large.
    """
    model = YoloxOutput(fused(copy.deepcopy(network))).eval().float()
    grey = torch.full((1, 3, HEIGHT, WIDTH), 114.0)
    with warnings.catch_warnings():
        # The exporter for the next generation of opsets is announced at every call of this one.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            model, (grey,), str(path), opset_version=OPSET, dynamo=False,
            input_names=[INPUT], output_names=[OUTPUT],
        )  # fmt: skip
    graph = onnx.load(path)
    onnx.checker.check_model(graph, full_check=True)
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"{path}: {size} bytes, at most {LARGEST} are shipped")
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    difference = 0.0
    for picture in pictures:
        tensor = np.ascontiguousarray(picture.transpose(2, 0, 1)[np.newaxis], dtype=np.float32)
        with torch.no_grad():
            wanted = model(torch.from_numpy(tensor)).numpy()
        given = session.run([OUTPUT], {INPUT: tensor})[0]
        difference = max(difference, float(np.abs(given - wanted).max()))
    if not difference <= TOLERANCE:
        raise ValueError(f"{path}: differs from PyTorch by {difference:.2g}, allowed {TOLERANCE}")
    feed = {INPUT: grey.numpy()}
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        session.run([OUTPUT], feed)
        times.append((time.perf_counter() - start) * 1000.0)
    return Exported(path, size, difference, tuple(times))


def write_card(
    path: Path, *, score: float, iou: float, source: str, training_data: str, measured: str
) -> Path:
    """The card beside an exported model; returns its path."""
    card = ModelCard(
        name=path.stem,
        head="yolox",
        input=InputCard(
            name=INPUT,
            width=WIDTH,
            height=HEIGHT,
            channels="bgr",
            scale=1.0,
            letterbox="top-left",
            fill=114,
        ),
        classes=tuple(kind.value for kind in CLASSES),
        map={kind.value: kind for kind in CLASSES},
        score=score,
        iou=iou,
        licence="Apache-2.0",
        source=source,
        training_data=training_data,
        measured=measured,
        sha256=file_sha256(path),
    )
    written = path.with_suffix(".yaml")
    written.write_text(card_text(card), encoding="utf-8")
    return written
