"""`rsu sim` in processes of its own: the same bytes again, scenarios checked, mistakes told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rsu.cli.main import run_command
from rsu.recording.reader import read_messages
from rsu.schema.topics import CAMERA_DETECTIONS
from rsu.sim.scenario.load import load_scenario, scenario_names

SIM = [sys.executable, "-m", "rsu.cli", "sim"]


def sim(*arguments: str, cwd: Path, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SIM, *arguments], cwd=cwd, capture_output=True, text=True, timeout=1500, check=False,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )  # fmt: skip


def test_two_processes_in_different_folders_record_the_same_bytes(
    tmp_path: Path, root: Path
) -> None:
    recordings = []
    for name, seed, hash_seed in (("a", "3", "1"), ("b", "3", "777"), ("c", "4", "1")):
        folder = tmp_path / name
        folder.mkdir()
        done = sim(
            str(root / "configs" / "junction.yaml"), "--cameras", "modelled", "--duration", "2",
            "--seed", seed, "--out", "run.mcap", "--json", cwd=folder, hash_seed=hash_seed,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        summary = json.loads(done.stdout)
        assert summary["seconds"] == 2.0
        assert summary["v2x_frames"]["RSM"] > 10
        recordings.append((folder / "run.mcap").read_bytes())
    assert recordings[0] == recordings[1]
    assert recordings[0] != recordings[2]


@pytest.mark.component
def test_a_rendered_camera_is_the_same_again_too(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSU_MODELS", str(root / "models"))
    text = (root / "configs" / "junction.yaml").read_text(encoding="utf-8")
    first, second = "  - id: north-east", "  - id: south-west"
    assert text.index(first) < text.index(second) < text.index("\nradars:")
    text = text[: text.index(second)] + text[text.index("\nradars:") :]
    site = tmp_path / "site.yaml"
    site.write_text(text, encoding="utf-8")
    for name in ("junction-lanes.geojson", "junction-zones.geojson"):
        (tmp_path / name).write_bytes((root / "configs" / name).read_bytes())
    recordings = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        done = sim(str(site), "--duration", "0.6", "--out", "run.mcap", cwd=folder)
        assert done.returncode == 0, done.stderr
        recordings.append((folder / "run.mcap").read_bytes())
        assert len(list(read_messages(folder / "run.mcap", [CAMERA_DETECTIONS]))) >= 5
    assert recordings[0] == recordings[1]


def scenario(tmp_path: Path, root: Path, reason: str) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(
        f"title: Own\nsite: {root / 'configs' / 'junction.yaml'}\nduration_s: 3\n"
        "script:\n  - {at_s: 1, do: silence-controller, duration_s: 2}\n"
        f"expect:\n  - {{expect: decision, subject: message:SPAT, reason: {reason}, "
        "during_s: [1, 3]}\n",
        encoding="utf-8",
    )
    return path


def test_a_scenario_is_played_and_checked(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(scenario(tmp_path, root, "controller_silent"))
    assert run_command(["sim", "--scenario", path, "--cameras", "modelled"]) == 0
    assert "ok   decision controller_silent about message:SPAT" in capsys.readouterr().out
    # Half a scenario fulfils half of it: nothing is held against it.
    assert (
        run_command(["sim", "--scenario", path, "--cameras", "modelled", "--duration", "0.5"]) == 0
    )


def test_what_is_not_reported_is_exit_code_1(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(scenario(tmp_path, root, "superseded"))
    assert run_command(["sim", "--scenario", path, "--cameras", "modelled", "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["expectations"]
    assert found["ok"] is False
    assert "controller_silent" in found["found"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--scenario", "wrong-wya"], "did you mean wrong-way"),
        (["site.yaml", "--scenario", "wrong-way"], "names its own site"),
        (["--seed", "-1"], "--seed"),
        (["--duration", "0"], "--duration"),
        (["nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_mistakes_are_told(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["sim", *arguments]) == 2
    assert told in capsys.readouterr().err


def test_a_site_where_nothing_moves_is_refused(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (root / "configs" / "junction.yaml").read_text(encoding="utf-8")
    head, section, _ = text.partition("\nsimulation:")
    assert section
    for name in ("junction-lanes.geojson", "junction-zones.geojson"):
        head = head.replace(name, str(root / "configs" / name))
    (tmp_path / "still.yaml").write_text(head + "\n", encoding="utf-8")
    assert run_command(["sim", str(tmp_path / "still.yaml")]) == 2
    assert "no `simulation` section" in capsys.readouterr().err


def test_the_list_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["sim", "--list", "--json"]) == 0
    assert sorted(json.loads(capsys.readouterr().out)) == scenario_names()


@pytest.mark.long  # a silent controller is told of in `test_a_scenario_is_played_and_checked`, too
def test_a_failure_is_reported_as_its_scenario_says(capsys: pytest.CaptureFixture[str]) -> None:
    code = run_command(
        ["sim", "--scenario", "controller-silence", "--cameras", "modelled", "--json"]
    )
    found = json.loads(capsys.readouterr().out)["expectations"]
    assert [one["wanted"] for one in found if not one["ok"]] == []
    assert found
    assert code == 0


@pytest.mark.long
@pytest.mark.timeout(3200)
@pytest.mark.parametrize("name", scenario_names())
def test_every_shipped_scenario_is_reported_as_it_says_and_replays_to_the_same_bytes(
    name: str, tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = sim("--scenario", name, "--cameras", "modelled", "--out", "run.mcap", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    recording = str(tmp_path / "run.mcap")
    folder = root / "configs" / "scenarios"
    site = folder / load_scenario(folder / f"{name}.yaml").scenario.site
    assert run_command(["replay", recording, "--site", str(site), "--golden", recording]) == 0
    told = capsys.readouterr()
    assert "exact: " in told.out + told.err
