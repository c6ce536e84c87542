"""A card says exactly what is wrong with it and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsu.perception.card import card_from, card_text, load_card
from rsu.perception.coco import COCO_CLASSES, COCO_MAP
from rsu.perception.errors import ModelError
from rsu.schema.sensing import ObjectClass

VALUES = {
    "name": "tiny",
    "head": "yolox",
    "input": {
        "name": "images", "width": 64, "height": 64, "channels": "bgr",
        "scale": 1.0, "letterbox": "top-left",
    },
    "classes": ["person", "car"],
    "map": {"car": "car"},
    "licence": "MIT",
    "sha256": "ab" * 32,
}  # fmt: skip


def test_a_card_survives_being_written_and_read(tmp_path: Path) -> None:
    card = card_from(VALUES, "test")
    path = tmp_path / "tiny.yaml"
    path.write_text(card_text(card), encoding="utf-8")
    assert load_card(path) == card
    assert card.map == {"car": ObjectClass.CAR}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"head": "ssd"}, "head"),
        ({"input": {**VALUES["input"], "width": 7}}, "input.width"),
        ({"input": {**VALUES["input"], "layot": "nchw"}}, "input.layot"),
        ({"map": {"car": "lorry"}}, "map.car"),
        ({"map": {"kite": "car"}}, "not among the model's classes: kite"),
        ({"classes": ["car", "car"]}, "named twice: car"),
        ({"sha256": "xyz"}, "sha256"),
        ({"score": 1.5}, "score"),
        ({"name": "../escape"}, "name"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(change: dict, field: str) -> None:
    with pytest.raises(ModelError) as caught:
        card_from({**VALUES, **change}, "cards/tiny.yaml")
    assert "cards/tiny.yaml" in str(caught.value)
    assert field in str(caught.value)


def test_all_errors_are_told_at_once() -> None:
    with pytest.raises(ModelError) as caught:
        card_from({**VALUES, "head": "ssd", "score": 2}, "x")
    assert "head" in str(caught.value)
    assert "score" in str(caught.value)


@pytest.mark.parametrize("text", ["[1, 2", "- a\n- b\n", "", "\x00"])
def test_foreign_text_is_not_a_card(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=r"x\.yaml"):
        load_card(path)


def test_binary_and_missing_files_are_not_cards(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(ModelError, match="cannot be read"):
        load_card(path)
    with pytest.raises(ModelError, match="cannot be read"):
        load_card(tmp_path / "none.yaml")
    path.write_bytes(b"a" * 1_000_001)
    with pytest.raises(ModelError, match="too large"):
        load_card(path)


def test_coco_has_its_80_classes_in_order() -> None:
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == 80
    # Indices as every COCO detector uses them.
    assert [COCO_CLASSES[i] for i in (0, 2, 5, 7, 16, 67, 79)] == [
        "person", "car", "bus", "truck", "dog", "cell phone", "toothbrush",
    ]  # fmt: skip
    assert set(COCO_MAP) <= set(COCO_CLASSES)
