"""Each head turns its family's numbers into the box that a person computes by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rsu.perception.card import ModelCard, card_from
from rsu.perception.heads import make_head


def card(head: str) -> ModelCard:
    values: dict[str, Any] = {
        "name": "tiny",
        "head": head,
        "input": {
            "name": "images", "width": 64, "height": 32, "channels": "bgr", "scale": 1.0,
            "letterbox": "top-left",
        },
        "classes": ["person", "car", "kite"],
        "map": {"car": "car"},
        "licence": "MIT",
        "sha256": "0" * 64,
    }  # fmt: skip
    return card_from(values, "test")


def test_yolox_decodes_cells_of_every_stride() -> None:
    head = make_head(card("yolox"))
    # 64 × 32: stride 8 has 8 × 4 = 32 cells, stride 16 4 × 2 = 8, stride 32 2 × 1 = 2.
    out = np.zeros((1, 42, 8), np.float32)
    # Stride 8, row 1, column 2: cell 10. Centre (2.5, 1.25) cells = (20, 10) px; e^0 = 1 cell.
    out[0, 10] = [0.5, 0.25, 0.0, np.log(2.0), 0.9, 0.1, 0.8, 0.2]
    # Stride 32, column 1: cell 41. Centre (1.5, 0.5) cells = (48, 16) px; half a cell = 16 px.
    out[0, 41] = [0.5, 0.5, np.log(0.5), np.log(0.5), 0.5, 0.9, 0.1, 0.0]
    out[0, 0] = [0, 0, 0, 0, 0.9, 0.1, 0.1, 0.1]  # an object of no class: 0.09
    out[0, 1] = [0, 0, 0, 0, 0.1, 1.0, 1.0, 1.0]  # a class without object: 0.1
    assert head.misfit({"output": out}) is None
    found = head.decode({"output": out}, 0.3)
    np.testing.assert_allclose(found.boxes, [[16, 2, 24, 18], [40, 8, 56, 24]], atol=1e-5)
    np.testing.assert_allclose(found.scores, [0.72, 0.45], rtol=1e-6)
    assert found.labels.tolist() == [1, 0]


def test_yolox_survives_an_absurd_size() -> None:
    head = make_head(card("yolox"))
    out = np.zeros((1, 42, 8), np.float32)
    out[0, 0] = [0, 0, 1e30, 1e30, 1, 1, 0, 0]
    assert np.isfinite(head.decode({"output": out}, 0.3).boxes).all()


def test_decoded_and_raw_boxes_are_told_apart() -> None:
    """Both families can have the same shape; their numbers differ."""
    raw = np.zeros((1, 42, 8), np.float32)
    decoded = raw.copy()
    decoded[0, :, 0] = np.linspace(0, 64, 42)
    assert make_head(card("yolox")).misfit({"o": raw}) is None
    assert "decoded already" in str(make_head(card("yolox")).misfit({"o": decoded}))
    assert make_head(card("yolov8")).misfit({"o": decoded}) is None
    assert "raw cells" in str(make_head(card("yolov8")).misfit({"o": raw}))


def test_yolov8_reads_columns() -> None:
    head = make_head(card("yolov8"))
    out = np.zeros((1, 7, 20), np.float32)
    out[0, 0] = np.linspace(0, 64, 20)
    out[0, :, 7] = [20, 10, 8, 4, 0.1, 0.2, 0.7]
    out[0, :, 9] = [20, 10, 8, 4, 0.1, 0.2, 0.29]
    assert head.misfit({"output0": out}) is None
    found = head.decode({"output0": out}, 0.3)
    np.testing.assert_allclose(found.boxes, [[16, 8, 24, 12]])
    np.testing.assert_allclose(found.scores, [0.7], rtol=1e-6)
    assert found.labels.tolist() == [2]


def test_yolov5_multiplies_objectness() -> None:
    head = make_head(card("yolov8"))
    out = np.zeros((1, 20, 8), np.float32)
    out[0, :, 0] = np.linspace(0, 64, 20)
    out[0, 7] = [20, 10, 8, 4, 0.5, 0.1, 0.8, 0.2]
    out[0, 8] = [20, 10, 8, 4, 0.5, 0.1, 0.5, 0.2]  # 0.25: below
    assert head.misfit({"output": out}) is None
    found = head.decode({"output": out}, 0.3)
    np.testing.assert_allclose(found.boxes, [[16, 8, 24, 12]])
    np.testing.assert_allclose(found.scores, [0.4], rtol=1e-6)
    assert found.labels.tolist() == [1]


def test_rtdetr_with_logits_and_boxes_in_either_order() -> None:
    head = make_head(card("rtdetr"))
    logits = np.full((1, 5, 3), -20.0, np.float32)
    logits[0, 2, 1] = 0.0  # σ(0) = 0.5
    boxes = np.zeros((1, 5, 4), np.float32)
    boxes[0, 2] = [0.5, 0.5, 0.25, 0.5]  # of 64 × 32 px: centre (32, 16), 16 × 16
    for outputs in (
        {"logits": logits, "boxes": boxes},
        {"pred_boxes": boxes, "pred_logits": logits},
        {"a": logits, "b": boxes},
        {"b": boxes, "a": logits},
    ):
        assert head.misfit(outputs) is None
        found = head.decode(outputs, 0.3)
        np.testing.assert_allclose(found.boxes, [[24, 8, 40, 24]])
        np.testing.assert_allclose(found.scores, [0.5])
        assert found.labels.tolist() == [1]


def test_rtdetr_in_one_tensor() -> None:
    head = make_head(card("rtdetr"))
    out = np.zeros((1, 5, 7), np.float32)
    out[0, 1] = [0.5, 0.5, 0.25, 0.5, 0.0, 0.0, 0.6]
    assert head.misfit({"output0": out}) is None
    found = head.decode({"output0": out}, 0.3)
    np.testing.assert_allclose(found.boxes, [[24, 8, 40, 24]])
    assert found.labels.tolist() == [2]


def test_rtdetr_with_finished_boxes() -> None:
    head = make_head(card("rtdetr"))
    outputs = {
        "labels": np.array([[1, 9, 0]], np.int64),  # 9 is no class of the card
        "boxes": np.array([[[1, 2, 3, 4], [1, 2, 3, 4], [0, 0, 9, 9]]], np.float32),
        "scores": np.array([[0.9, 0.9, 0.1]], np.float32),
    }
    assert head.misfit(outputs) is None
    found = head.decode(outputs, 0.3)
    assert found.boxes.tolist() == [[1, 2, 3, 4]]
    assert found.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("head", "shapes"),
    [
        ("yolox", [(1, 42, 85)]),
        ("yolox", [(1, 41, 8)]),
        ("yolox", [(1, 42, 8), (1, 4)]),
        ("yolov8", [(1, 8, 20)]),
        ("yolov8", [(2, 7, 20)]),
        ("yolov8", [(7, 20)]),
        ("rtdetr", [(1, 300, 84)]),
        ("rtdetr", [(1, 300, 80), (1, 300, 4)]),
        ("rtdetr", [(1, 300, 3), (1, 200, 4)]),
        ("rtdetr", [(1, 3), (1, 3), (1, 3), (1, 3)]),
    ],
)
def test_a_tensor_of_another_model_is_a_misfit(head: str, shapes: list[tuple[int, ...]]) -> None:
    outputs = {f"out{i}": np.zeros(shape, np.float32) for i, shape in enumerate(shapes)}
    assert make_head(card(head)).misfit(outputs)


@pytest.mark.parametrize("head", ["yolox", "yolov8", "rtdetr"])
def test_nothing_above_the_threshold_is_no_candidate(head: str) -> None:
    shape = {"yolox": (1, 42, 8), "yolov8": (1, 7, 20), "rtdetr": (1, 5, 7)}[head]
    found = make_head(card(head)).decode({"o": np.zeros(shape, np.float32)}, 0.3)
    assert found.boxes.shape == (0, 4)
    assert found.scores.shape == found.labels.shape == (0,)
