"""The image arrives in the model's input where the card says, and boxes find back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.perception.card import InputCard
from rsu.perception.letterbox import place, prepare


def card(**changes) -> InputCard:
    values = {
        "name": "images", "width": 416, "height": 416, "channels": "bgr", "scale": 1.0,
        "letterbox": "top-left",
    }  # fmt: skip
    return InputCard.model_validate({**values, **changes})


def test_top_left_pads_below_with_the_fill() -> None:
    image = np.full((432, 768, 3), 200, np.uint8)
    tensor, placement = prepare(image, card())
    # 768 px shrink to 416, 432 to 234: rows 234.. are padding.
    assert tensor.shape == (1, 3, 416, 416)
    assert tensor.dtype == np.float32
    assert (tensor[0, :, :234] == 200).all()
    assert (tensor[0, :, 234:] == 114).all()
    box = placement.to_image(np.array([[0, 0, 416, 234]], np.float32))
    np.testing.assert_allclose(box, [[0, 0, 768, 432]], atol=1e-3)


def test_centre_pads_on_both_sides() -> None:
    image = np.full((432, 768, 3), 200, np.uint8)
    tensor, placement = prepare(image, card(letterbox="centre", fill=0))
    assert (tensor[0, :, :91] == 0).all()
    assert (tensor[0, :, 91:325] == 200).all()
    assert (tensor[0, :, 325:] == 0).all()
    box = placement.to_image(np.array([[104, 91, 208, 208]], np.float32))
    np.testing.assert_allclose(box, [[192, 0, 384, 216]], atol=1e-3)


def test_stretch_uses_the_whole_input() -> None:
    image = np.full((432, 768, 3), 200, np.uint8)
    tensor, placement = prepare(image, card(letterbox="stretch"))
    assert (tensor == 200).all()
    box = placement.to_image(np.array([[208, 208, 416, 416]], np.float32))
    np.testing.assert_allclose(box, [[384, 216, 768, 432]], atol=1e-3)


def test_channels_scale_mean_and_std_are_applied_in_the_cards_order() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:] = (10, 20, 30)  # blue, green, red
    options = {"channels": "rgb", "scale": 0.1, "mean": [1, 2, 3], "std": [1, 2, 4]}
    tensor, _ = prepare(image, card(width=64, height=64, **options))
    np.testing.assert_allclose(tensor[0, :, 5, 5], [(3 - 1) / 1, (2 - 2) / 2, (1 - 3) / 4])
    flipped, _ = prepare(image, card(width=64, height=64, layout="nhwc", **options))
    np.testing.assert_array_equal(flipped[0], tensor[0].transpose(1, 2, 0))


def test_boxes_are_cut_to_the_image() -> None:
    placement = place(768, 432, card())
    box = placement.to_image(np.array([[-50, -50, 500, 500]], np.float32))
    assert box.tolist() == [[0, 0, 768, 432]]


@settings(deadline=None, max_examples=60)
@given(
    width=st.integers(1, 2000),
    height=st.integers(1, 2000),
    mode=st.sampled_from(["top-left", "centre", "stretch"]),
)
def test_any_image_fits_and_maps_back(width: int, height: int, mode: str) -> None:
    options = card(width=64, height=96, letterbox=mode)
    tensor, placement = prepare(np.zeros((height, width, 3), np.uint8), options)
    assert tensor.shape == (1, 3, 96, 64)
    corners = np.array([[0, 0, width, height]], np.float64)
    inside = corners.copy()
    inside[:, 0::2] = corners[:, 0::2] * placement.scale_x + placement.left
    inside[:, 1::2] = corners[:, 1::2] * placement.scale_y + placement.top
    assert inside.min() >= 0
    assert inside[0, 2] <= 64 + 1e-3
    assert inside[0, 3] <= 96 + 1e-3
    back = placement.to_image(inside.astype(np.float32))
    assert back == pytest.approx(corners, abs=0.05 * max(width, height) / 64)
