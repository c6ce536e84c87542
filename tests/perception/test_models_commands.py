"""`rsu models` adds, checks and lists, and says what to do when it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rsu.cli.main import run_command


def v8_output(classes: int) -> dict[str, np.ndarray]:
    out = np.zeros((1, 4 + classes, 16), np.float32)
    out[0, 0] = np.linspace(0, 64, 16)
    return {"output": out}


OUTPUT, COCO_OUTPUT = v8_output(3), v8_output(80)


@pytest.fixture(autouse=True)
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RSU_MODELS", str(tmp_path / "user"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "user"


def rsu(*arguments: object) -> int:
    return run_command(["models", *(str(a) for a in arguments)])


def test_one_line_adds_a_coco_model(write_model, user: Path, capsys) -> None:
    files = write_model(COCO_OUTPUT)
    files.card.unlink()
    assert rsu("add", files.onnx, "--head", "yolov8", "--licence", "AGPL-3.0-only", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert answer["licence"] == "AGPL-3.0-only"
    assert sorted(p.name for p in user.iterdir()) == ["tiny.onnx", "tiny.yaml"]
    assert rsu("check", "tiny") == 0
    assert "fit: tiny (yolov8, 64×64)" in capsys.readouterr().out
    assert rsu("list", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["state"], row["head"]) == ("tiny", "ready", "yolov8")


def test_a_card_beside_the_model_or_given_is_used(write_model, user: Path, capsys) -> None:
    files = write_model(OUTPUT)
    assert rsu("add", files.onnx, "--name", "first") == 0
    other = files.card.rename(files.card.with_name("other.yaml"))
    assert rsu("add", files.onnx, "--card", other, "--name", "second") == 0
    assert {p.stem for p in user.iterdir()} == {"first", "second"}
    # A file that a known card names by its sha256 needs nothing else.
    assert rsu("add", files.onnx, "--force") == 0
    capsys.readouterr()


def test_into_the_project_and_not_over_another(write_model, tmp_path: Path, capsys) -> None:
    files = write_model(OUTPUT)
    assert rsu("add", files.onnx, "--project") == 0
    assert (tmp_path / "work" / "models" / "tiny.onnx").is_file()
    assert rsu("add", files.onnx, "--project") == 2
    assert "--force" in capsys.readouterr().err


def test_a_model_that_is_not_fit_is_not_added(write_model, user: Path, capsys) -> None:
    files = write_model(OUTPUT)
    files.card.unlink()
    assert rsu("add", files.onnx, "--head", "yolov8", "--licence", "MIT") == 2
    error = capsys.readouterr().err
    assert "80 classes" in error
    assert "correct head" in error
    assert list(user.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "none.onnx", "--head", "yolox", "--licence", "MIT"], "cannot be read"),
        (["check", "nothing"], "rsu models list"),
        (["check", "./none.onnx"], "no model file"),
        (["add"], "Missing argument"),
        (["add", "x.onnx", "--head", "ssd"], "ssd"),
    ],
)
def test_mistakes_end_with_2_and_a_next_step(arguments: list[str], said: str, capsys) -> None:
    assert rsu(*arguments) == 2
    assert said in capsys.readouterr().err


def test_a_model_without_card_or_licence_says_what_is_missing(write_model, capsys) -> None:
    files = write_model(OUTPUT)
    files.card.unlink()
    assert rsu("add", files.onnx) == 2
    assert "--head and --licence" in capsys.readouterr().err
    assert rsu("add", files.onnx, "--head", "yolox") == 2
    assert "SPDX" in capsys.readouterr().err


def test_junk_is_no_model(tmp_path: Path, capsys) -> None:
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(bytes(range(256)) * 40)
    assert rsu("add", junk, "--head", "yolox", "--licence", "MIT") == 2
    assert "onnxruntime cannot load it" in capsys.readouterr().err


def test_check_reports_in_json_too(write_model, capsys) -> None:
    files = write_model(OUTPUT, sha256="1" * 64)
    assert rsu("check", files.onnx, "--json") == 2
    answer = json.loads(capsys.readouterr().out)
    assert not answer["ok"]
    assert "sha256" in answer["problem"]
    assert answer["next_step"]


def test_an_empty_list_says_how_to_begin(user: Path, capsys) -> None:
    assert rsu("list") == 0
    assert "rsu models add" in capsys.readouterr().out
    user.mkdir()
    (user / "broken.yaml").write_text("][", encoding="utf-8")
    (user / "bare.onnx").write_bytes(b"")
    assert rsu("list") == 0
    out = capsys.readouterr().out
    assert "broken card" in out
    assert "no card" in out
