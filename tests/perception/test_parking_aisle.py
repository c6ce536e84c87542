"""The real clip with the real model: four cars cross, nothing else is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from ruamel.yaml import YAML

from rsu.config.cameras import CameraOptions, OnnxDetectorOptions
from rsu.config.model import SiteConfig
from rsu.perception.ahead import detect_ahead
from rsu.perception.card import card_from, card_text, file_sha256
from rsu.perception.detector import load_detector
from rsu.perception.errors import ModelError
from rsu.perception.projection import GroundProjector
from rsu.schema.frame import CameraFrame
from rsu.schema.sensing import ObjectClass

# Counted by eye: (first and last frame in view, columns its box's centre stays in). Between frames
# 114 and 175, 245 and 310, and up to 50 the aisle is empty.
CARS = {
    "white, away": (55, 108, 260, 495),
    "silver, near": (181, 228, 55, 275),
    "red, away": (187, 238, 300, 505),
    "white, near": (315, 347, 105, 335),
}


@pytest.fixture(scope="module")
def camera(root: Path, shared: Path, tmp_path_factory) -> CameraOptions:
    """The example site's camera, with the model added from the shared folder."""
    text = (root / "configs" / "parking-aisle.yaml").read_text(encoding="utf-8")
    site = SiteConfig.model_validate(YAML(typ="safe", pure=True).load(text))
    folder = tmp_path_factory.mktemp("models")
    onnx = folder / "yolox_nano.onnx"
    onnx.write_bytes((shared / "data" / "models" / "yolox_nano.onnx").read_bytes())
    card = root / "models" / "yolox_nano.yaml"
    (folder / "yolox_nano.yaml").write_bytes(card.read_bytes())
    options = site.cameras[0]
    detector = options.detector.model_copy(update={"model": str(onnx)})
    return options.model_copy(update={"detector": detector})


@pytest.fixture(scope="module")
def frames(shared: Path) -> list[CameraFrame]:
    """Every fourth frame."""
    return list(_read(shared / "data" / "video" / "car-detection.mp4", 4))


def _read(path: Path, step: int) -> Iterator[CameraFrame]:
    capture = cv2.VideoCapture(str(path))
    try:
        number = 0
        while capture.grab():
            if number % step == 0:
                _, image = capture.retrieve()
                yield CameraFrame("aisle", number, number * 80_000_000, np.asarray(image, np.uint8))
            number += 1
    finally:
        capture.release()


def test_the_four_cars_are_found_and_empty_asphalt_is_empty(camera, frames) -> None:
    detector = load_detector(camera, Path())
    projector = GroundProjector(camera)
    seen: dict[str, list[tuple[int, float]]] = {name: [] for name in CARS}
    with closing(detect_ahead(iter(frames), detector, 2, regions=camera.regions)) as stream:
        for frame in stream:
            assert frame.detected is not None
            for found in projector.place(frame.detected, 768, 432).detections:
                middle = found.box.left + found.box.width / 2
                names = [
                    name
                    for name, (first, last, left, right) in CARS.items()
                    if first <= frame.frame <= last and left <= middle <= right
                ]
                assert len(names) == 1, f"frame {frame.frame}: {found}"
                assert found.object_class is ObjectClass.CAR
                seen[names[0]].append((frame.frame, found.position.y))
    for name, (first, last, _, _) in CARS.items():
        looked = [f.frame for f in frames if first <= f.frame <= last]
        assert len(seen[name]) >= 0.8 * len(looked), name
        # They drive steadily: 0.17..0.43 m per frame, 8..20 km/h, away or nearer.
        y = np.array(seen[name])
        steps = np.diff(y[:, 1]) / np.diff(y[:, 0])
        assert (np.sign(steps) == (1 if "away" in name else -1)).all(), (name, steps)
        assert 0.15 < abs(np.median(steps)) < 0.45, name


def test_looking_ahead_gives_the_same_bits(camera, frames) -> None:
    busy = frames[46:58]
    detector = load_detector(camera, Path())
    plain = [f.detected for f in detect_ahead(iter(busy), detector, 1)]
    ahead = [f.detected for f in detect_ahead(iter(busy), detector, 2)]
    assert any(plain)
    assert ahead == plain


def test_a_card_that_does_not_fit_the_model_is_refused(shared, root, tmp_path) -> None:
    onnx = tmp_path / "m.onnx"
    onnx.write_bytes((shared / "data" / "models" / "yolox_nano.onnx").read_bytes())
    values = YAML(typ="safe", pure=True).load((root / "models" / "yolox_nano.yaml").read_text())

    def load(onnx: Path, **changes) -> None:
        card = card_from({**values, **changes}, "test")
        onnx.with_suffix(".yaml").write_text(card_text(card), encoding="utf-8")
        options = OnnxDetectorOptions(driver="onnx", model=str(onnx))
        from rsu.perception.onnx_detector import OnnxDetector
        from rsu.perception.registry import find_model

        OnnxDetector(find_model(options.model, tmp_path), options, (768, 432))

    load(onnx)
    with pytest.raises(ModelError, match="raw cells"):
        load(onnx, head="yolov8")
    with pytest.raises(ModelError, match="79 classes"):
        load(onnx, classes=values["classes"][:79])
    with pytest.raises(ModelError, match="640"):
        load(onnx, input={**values["input"], "width": 640})
    with pytest.raises(ModelError, match="sha256"):
        load(onnx, sha256="0" * 64)
    short = tmp_path / "short.onnx"
    short.write_bytes(onnx.read_bytes()[:100_000])
    with pytest.raises(ModelError, match="cannot load"):
        load(short, sha256=file_sha256(short))
