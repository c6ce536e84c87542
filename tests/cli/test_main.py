"""Commands answer help quickly, turn every error into its exit code, and never show a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rsu.cli.main import COMMANDS, run_command


def rsu(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "rsu.cli", *arguments],
        capture_output=True, text=True, timeout=60, cwd=cwd, check=False,
        env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip


def test_help_lists_every_command() -> None:
    done = rsu("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert name in done.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from rsu.cli.main import run_command; run_command(['--help']); "
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'scipy', 'pydantic', 'asn1tools', 'zmq'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Example" in text or "Commands:" in text


def test_an_unknown_command_is_a_usage_error() -> None:
    done = rsu("fly")
    assert done.returncode == 2
    assert "No such command" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "missing.yaml"),
        ("demo", "--site", "missing.yaml"),
        ("replay", "missing.mcap", "--site", "missing.yaml"),
        ("status", "missing.yaml"),
        ("explain", "missing.mcap"),
        ("v2x", "decode", "missing.mcap"),
        ("recording", "info", "missing.mcap"),
        ("models", "check", "missing"),
    ],
)
def test_missing_files_are_named_in_one_line_with_exit_code_2(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = rsu(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "missing" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_recording_is_refused_without_traceback(
    tmp_path: Path, root: Path
) -> None:
    (tmp_path / "x.mcap").write_bytes(b"not a recording")
    site = str(root / "configs" / "junction.yaml")
    for arguments in (("replay", "x.mcap", "--site", site), ("explain", "x.mcap")):
        done = rsu(*arguments, cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "x.mcap" in done.stderr
        assert "Traceback" not in done.stderr


def test_an_internal_error_is_one_line_and_exit_code_4(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(COMMANDS, "demo", ("rsu.cli.main:missing", "broken"))
    monkeypatch.delenv("RSU_DEBUG", raising=False)
    assert run_command(["demo"]) == 4
    assert "internal error" in capsys.readouterr().err
    monkeypatch.setenv("RSU_DEBUG", "1")
    with pytest.raises(AttributeError):
        run_command(["demo"])


def test_output_into_a_closed_pipe_is_not_an_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m rsu.cli config schema | head -c 10; exit $PIPESTATUS"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, "the writer's own exit code"
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr
