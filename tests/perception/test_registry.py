"""A name becomes two files, or a sentence that says what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rsu.perception.errors import ModelError
from rsu.perception.registry import (
    card_for_digest,
    find_model,
    list_models,
    model_folders,
    user_folder,
)

OUTPUT = {"output": np.zeros((1, 7, 16), np.float32)}


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSU_MODELS", str(tmp_path / "user"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def test_the_users_folder_follows_the_environment(monkeypatch, tmp_path: Path) -> None:
    assert user_folder() == tmp_path / "user"
    monkeypatch.delenv("RSU_MODELS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert user_folder() == tmp_path / "data" / "rsu" / "models"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert user_folder() == tmp_path / "home" / ".local" / "share" / "rsu" / "models"


def test_folders_are_searched_from_the_site_outwards(tmp_path: Path, write_model) -> None:
    site = tmp_path / "project" / "configs"
    for folder in (site / "models", tmp_path / "project" / "models", tmp_path / "user"):
        write_model(OUTPUT, folder=folder)
    assert model_folders(site) == (
        site / "models",
        tmp_path / "project" / "models",
        tmp_path / "user",
    )
    assert find_model("tiny", site).onnx.parent == site / "models"
    # A complete model hides later ones of its name.
    assert [files.onnx.parent for files in list_models(site)] == [site / "models"]


def test_a_card_without_its_file_does_not_hide_the_users_model(tmp_path: Path, write_model) -> None:
    site = tmp_path / "project"
    write_model(OUTPUT, folder=site / "models").onnx.unlink()
    with pytest.raises(ModelError, match=r"tiny\.onnx is nowhere.*rsu models add"):
        find_model("tiny", site)
    mine = write_model(OUTPUT, folder=tmp_path / "user")
    assert find_model("tiny", site) == mine


def test_missing_things_are_named(tmp_path: Path, write_model) -> None:
    with pytest.raises(ModelError, match=r"no model named 'nothing'.*rsu models list"):
        find_model("nothing", tmp_path)
    with pytest.raises(ModelError, match="no model file"):
        find_model("models/none.onnx", tmp_path)
    files = write_model(OUTPUT, folder=tmp_path / "models")
    assert find_model("models/tiny.onnx", tmp_path) == files
    files.card.unlink()
    with pytest.raises(ModelError, match="has no card"):
        find_model("models/tiny.onnx", tmp_path)
    with pytest.raises(ModelError, match="has no card"):
        find_model("tiny", tmp_path)


def test_a_known_card_is_found_by_the_files_digest(tmp_path: Path, write_model) -> None:
    write_model(OUTPUT, folder=tmp_path / "models", sha256="1" * 64)
    (tmp_path / "models" / "broken.yaml").write_text("][", encoding="utf-8")
    found = card_for_digest("1" * 64, tmp_path)
    assert found is not None
    assert found.name == "tiny"
    assert card_for_digest("2" * 64, tmp_path) is None
