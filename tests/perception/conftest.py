"""Tiny ONNX models written byte by byte, their cards, and cameras of simple geometry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsu.config.cameras import CameraOptions
from rsu.perception.card import card_from, card_text, file_sha256
from rsu.perception.registry import ModelFiles

# --- the few fields of onnx.proto that a model with constant output needs ---

FLOAT, INT64 = 1, 7


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _tensor(name: str, value: np.ndarray) -> bytes:
    kind = {np.dtype(np.float32): FLOAT, np.dtype(np.int64): INT64}[value.dtype]
    dims = b"".join(_field(1, int(d)) for d in value.shape)
    return dims + _field(2, kind) + _field(8, name) + _field(9, value.tobytes())


def _value_info(name: str, kind: int, shape: Sequence[int | str]) -> bytes:
    dims = b"".join(_field(1, _field(1 if isinstance(d, int) else 2, d)) for d in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, dims)))


def _node(operator: str, inputs: Sequence[str], output: str, attributes: bytes = b"") -> bytes:
    names = b"".join(_field(1, name) for name in inputs)
    return names + _field(2, output) + _field(4, operator) + attributes


def onnx_bytes(
    inputs: dict[str, tuple[int, Sequence[int | str]]], outputs: dict[str, np.ndarray]
) -> bytes:
    """A model that answers `outputs` whatever `inputs` (name → element type, shape) are.

    Every output is its constant plus 0 × the maximum of the first float input.
    """
    image = next(name for name, (kind, _) in inputs.items() if kind == FLOAT)
    keepdims = _field(5, _field(1, "keepdims") + _field(20, 2) + _field(3, 0))
    graph = _field(1, _node("ReduceMax", [image], "peak", keepdims))
    graph += _field(1, _node("Mul", ["peak", "nought"], "nothing"))
    graph += _field(5, _tensor("nought", np.zeros((), np.float32)))
    infos = b""
    for name, value in outputs.items():
        graph += _field(5, _tensor(f"{name}_value", value))
        if value.dtype == np.float32:
            graph += _field(1, _node("Add", [f"{name}_value", "nothing"], name))
            infos += _field(12, _value_info(name, FLOAT, value.shape))
        else:
            graph += _field(1, _node("Identity", [f"{name}_value"], name))
            infos += _field(12, _value_info(name, INT64, value.shape))
    graph += _field(2, "g")
    graph += b"".join(_field(11, _value_info(n, k, s)) for n, (k, s) in inputs.items())
    graph += infos
    opset = _field(1, "") + _field(2, 13)
    return _field(1, 8) + _field(7, graph) + _field(8, opset)


CLASSES = ["person", "car", "kite"]


def card_values(**changes: Any) -> dict[str, Any]:
    """A valid card of a 64 × 64 yolov8 model with three classes."""
    values: dict[str, Any] = {
        "name": "tiny",
        "head": "yolov8",
        "input": {
            "name": "images", "width": 64, "height": 64, "channels": "rgb",
            "scale": 1 / 255, "letterbox": "centre",
        },
        "classes": CLASSES,
        "map": {"person": "pedestrian", "car": "car"},
        "licence": "CC0-1.0",
        "sha256": "0" * 64,
    }  # fmt: skip
    values.update(changes)
    return values


def v8_output(rows: Sequence[tuple[float, ...]]) -> np.ndarray:
    """[1, 7, 16]: rows of (cx, cy, w, h, person, car, kite), the rest empty."""
    out = np.zeros((1, 7, 16), np.float32)
    for index, row in enumerate(rows):
        out[0, :, index] = row
    return out


@pytest.fixture
def write_model(tmp_path: Path) -> Callable[..., ModelFiles]:
    """Writes a model and its card; returns the pair."""

    def write(
        outputs: dict[str, np.ndarray],
        folder: Path = tmp_path,
        inputs: dict[str, tuple[int, Sequence[int | str]]] | None = None,
        **changes: Any,
    ) -> ModelFiles:
        name = changes.get("name", "tiny")
        folder.mkdir(parents=True, exist_ok=True)
        files = ModelFiles(name, folder / f"{name}.onnx", folder / f"{name}.yaml")
        shapes = inputs or {"images": (FLOAT, (1, 3, 64, 64))}
        files.onnx.write_bytes(onnx_bytes(shapes, outputs))
        changes.setdefault("sha256", file_sha256(files.onnx))
        card = card_from(card_values(**changes), "test")
        files.card.write_text(card_text(card), encoding="utf-8")
        return files

    return write


@pytest.fixture(scope="session")
def make_camera() -> Callable[..., CameraOptions]:
    """A camera 10 m above the origin that looks north, 45° down; f = 1000 px, 1000 × 800 px."""

    def make(
        pose: dict[str, float] | None = None, lens: dict[str, Any] | None = None, **changes: Any
    ) -> CameraOptions:
        values: dict[str, Any] = {
            "id": "north",
            "source": {"driver": "sim"},
            "calibration": {
                "kind": "pose",
                "image_width": 1000,
                "image_height": 800,
                "lens": {"fx": 1000, "fy": 1000, "cx": 500, "cy": 400, **(lens or {})},
                "pose": {"x": 0, "y": 0, "z": 10, "heading": 0, "tilt": 45, **(pose or {})},
            },
            "detector": {"driver": "motion"},
        }
        values.update(changes)
        return CameraOptions.model_validate(values)

    return make
