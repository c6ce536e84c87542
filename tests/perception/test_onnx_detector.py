"""A model is loaded only when it is the one its card describes; then its boxes are found back."""

from __future__ import annotations

import numpy as np
import pytest

from rsu.config.cameras import OnnxDetectorOptions, Region
from rsu.perception.errors import ModelError
from rsu.perception.onnx_detector import OnnxDetector, image_input
from rsu.schema.sensing import ObjectClass

FLOAT, INT64 = 1, 7  # element types of onnx.proto
SIZE = (128, 64)  # the image is twice as wide as the 64 × 64 input: scale ½, 16 px of padding


def options(**changes) -> OnnxDetectorOptions:
    return OnnxDetectorOptions(driver="onnx", model="tiny", **changes)


def v8(*rows: tuple[float, ...]) -> dict[str, np.ndarray]:
    out = np.zeros((1, 7, 16), np.float32)
    out[0, 0] = np.linspace(0, 64, 16)  # candidates everywhere, as real models have them
    for index, row in enumerate(rows):
        out[0, :, index] = row
    return {"output": out}


# In input pixels: centre (32, 32), 16 × 8. In the image: x 48..80, y (28 − 16) × 2 = 24..40.
CAR = (32.0, 32.0, 16.0, 8.0, 0.0, 0.9, 0.0)
PERSON = (8.0, 24.0, 4.0, 8.0, 0.6, 0.0, 0.0)
KITE = (56.0, 40.0, 8.0, 8.0, 0.0, 0.0, 0.8)
IMAGE = np.zeros((64, 128, 3), np.uint8)


def test_boxes_come_out_in_image_pixels_best_first(write_model) -> None:
    detector = OnnxDetector(write_model(v8(PERSON, CAR, KITE)), options(), SIZE)
    car, person = detector.detect(IMAGE, ())
    assert (car.object_class, person.object_class) == (ObjectClass.CAR, ObjectClass.PEDESTRIAN)
    assert car.score == pytest.approx(0.9)
    box = car.box
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((48, 24, 80, 40))
    assert detector.stateless


def test_classes_of_no_use_can_be_kept_as_unknown_objects(write_model) -> None:
    files = write_model(v8(PERSON, CAR, KITE))
    detector = OnnxDetector(files, options(classes_from="size"), SIZE)
    assert [d.object_class for d in detector.detect(IMAGE, ())] == [ObjectClass.UNKNOWN] * 3


def test_whitelist_and_threshold_are_the_cards_unless_overridden(write_model) -> None:
    files = write_model(v8(PERSON, CAR), whitelist=["pedestrian"], score=0.7)
    assert OnnxDetector(files, options(), SIZE).detect(IMAGE, ()) == ()
    found = OnnxDetector(files, options(score_threshold=0.5), SIZE).detect(IMAGE, ())
    assert [d.object_class for d in found] == [ObjectClass.PEDESTRIAN]


def test_each_region_is_looked_at_on_its_own(write_model) -> None:
    detector = OnnxDetector(write_model(v8(CAR)), options(), SIZE)
    regions = (
        Region(left=0, top=0, width=64, height=64),
        Region(left=64, top=0, width=64, height=64),
    )
    # 64 × 64 crops fill the input: the same box appears in each, unscaled.
    found = detector.detect(IMAGE, regions)
    assert sorted((d.box.left, d.box.top, d.box.width, d.box.height) for d in found) == [
        (24, 28, 16, 8),
        (88, 28, 16, 8),
    ]
    # The regions are stated for SIZE; an image of half that size has them at half the place.
    small = detector.detect(np.zeros((32, 64, 3), np.uint8), regions)
    assert sorted(d.box.left for d in small) == [12, 44]


def test_the_same_object_in_overlapping_regions_counts_once(write_model) -> None:
    detector = OnnxDetector(write_model(v8(CAR)), options(), SIZE)
    regions = (
        Region(left=0, top=0, width=64, height=64),
        Region(left=2, top=0, width=64, height=64),
    )
    assert len(detector.detect(IMAGE, regions)) == 1


def test_rtdetr_gets_the_size_it_asks_for(write_model) -> None:
    outputs = {
        "labels": np.array([[1]], np.int64),
        "boxes": np.array([[[16, 16, 32, 48]]], np.float32),
        "scores": np.array([[0.8]], np.float32),
    }
    inputs = {"images": (FLOAT, (1, 3, 64, 64)), "orig_target_sizes": (INT64, (1, 2))}
    files = write_model(outputs, inputs=inputs, head="rtdetr")
    (found,) = OnnxDetector(files, options(), SIZE).detect(np.zeros((64, 64, 3), np.uint8), ())
    assert (found.box.left, found.box.bottom) == (16, 48)


def test_numbers_that_mean_nothing_are_not_detections(write_model) -> None:
    rows = (
        (32, 32, 0.1, 8, 0, 0.9, 0),  # thinner than a pixel
        (32, 32, 16, 8, 0, 1.7, 0),  # a score above 1
        (-90, 32, 16, 8, 0, 0.9, 0),  # outside
    )
    assert OnnxDetector(write_model(v8(*rows)), options(), SIZE).detect(IMAGE, ()) == ()


# --- what loading refuses ---


def refused(files, match: str, **changes) -> None:
    with pytest.raises(ModelError, match=match) as caught:
        OnnxDetector(files, options(**changes), SIZE)
    assert caught.value.next_step
    assert caught.value.exit_code == 2


def test_another_file_than_the_cards_is_refused(write_model) -> None:
    refused(write_model(v8(), sha256="1" * 64), "sha256")


def test_a_truncated_file_is_refused(write_model) -> None:
    files = write_model(v8())
    whole = files.onnx.read_bytes()
    files.onnx.write_bytes(whole[: len(whole) // 2])
    refused(files, "sha256")
    # Even when the card was made for the damaged file.
    text = files.card.read_text(encoding="utf-8").splitlines()
    from rsu.perception.card import file_sha256

    digest = f"sha256: {file_sha256(files.onnx)}"
    text = [digest if line.startswith("sha256") else line for line in text]
    files.card.write_text("\n".join(text), encoding="utf-8")
    refused(files, "cannot load")


def test_an_output_that_does_not_fit_the_card_is_refused(write_model) -> None:
    refused(write_model(v8(), classes=["car", "van"], map={"car": "car"}), r"output \[1, 7, 16\]")
    refused(write_model(v8(), head="yolox"), "yolox head")
    refused(write_model(v8(), head="rtdetr"), "rtdetr head")
    normalised = {"output": v8()["output"] / 64}
    refused(write_model(normalised), "not in input pixels")


def test_an_output_that_is_not_finite_is_refused(write_model) -> None:
    refused(write_model(v8((np.nan,) * 7)), "not finite")


@pytest.mark.parametrize(
    ("inputs", "match"),
    [
        ({"pixels": (FLOAT, (1, 3, 64, 64))}, "inputs are pixels"),
        ({"images": (FLOAT, (1, 3, 32, 64))}, r"\[1, 3, 32, 64\]"),
        ({"images": (FLOAT, (1, 64, 64, 3))}, "nchw"),
        ({"images": (FLOAT, (3, 64, 64))}, "the card says"),
        ({"images": (FLOAT, (1, 3, 64, 64)), "extra": (FLOAT, (1,))}, "extra"),
    ],
)
def test_inputs_must_be_the_cards(write_model, inputs, match: str) -> None:
    refused(write_model(v8(), inputs=inputs), match)


def test_dimensions_left_open_take_the_cards_size(write_model) -> None:
    files = write_model(v8(CAR), inputs={"images": (FLOAT, ("batch", 3, "h", "w"))})
    assert len(OnnxDetector(files, options(), SIZE).detect(IMAGE, ())) == 1
    with pytest.raises(ModelError, match="no image input of fixed size"):
        image_input(files.onnx)


def test_an_absent_provider_is_refused(write_model) -> None:
    refused(write_model(v8()), "FpgaProvider.*available", providers=("FpgaProvider",))


def test_a_models_own_input_is_read_for_its_card(write_model) -> None:
    assert image_input(write_model(v8()).onnx) == ("images", 64, 64, "nchw")
    flat = write_model(v8(), inputs={"x": (FLOAT, (1, 48, 64, 3))})
    assert image_input(flat.onnx) == ("x", 64, 48, "nhwc")
