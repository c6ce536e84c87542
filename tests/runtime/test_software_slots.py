"""New software is on trial: it stays when it lasts, and is left after three starts that did not."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsu.cli.main import run_command
from rsu.runtime.software_slots import STARTS, keep, link, settle, switch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for slot in ("a", "b"):
        (tmp_path / slot).mkdir()
    link(tmp_path / "current", "a")
    link(tmp_path / "next", "b")
    return tmp_path


def current(folder: Path) -> str:
    return str((folder / "current").readlink())


def test_a_version_that_lasts_stays(folder: Path) -> None:
    assert settle(folder) == ""  # nothing is on trial
    assert switch(folder)
    assert settle(folder) == ""
    assert keep(folder)
    assert not keep(folder)
    for _ in range(10):
        assert settle(folder) == ""
    assert current(folder) == "b"


def test_a_version_that_does_not_last_is_left(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert switch(folder)
    for _ in range(STARTS):
        assert run_command(["package", "settle", str(folder)]) == 0
        assert current(folder) == "b"
        assert capsys.readouterr().err == ""
    assert run_command(["package", "settle", str(folder)]) == 0
    assert "slot b left" in capsys.readouterr().err
    assert current(folder) == "a"
    assert settle(folder) == ""
    assert current(folder) == "a"


def test_the_first_package_gives_way_to_what_was_installed_without_one(folder: Path) -> None:
    (folder / "current").unlink()
    assert switch(folder)
    for _ in range(STARTS):
        assert settle(folder) == ""
    assert settle(folder) == "b"
    assert not (folder / "current").is_symlink()


def test_a_power_cut_before_the_switch_or_a_damaged_note_changes_nothing(folder: Path) -> None:
    (folder / "on-trial").write_text('{"slot":"b","starts":99}')
    assert settle(folder) == ""
    assert not (folder / "on-trial").exists()
    (folder / "on-trial").write_bytes(b"\xff")
    assert settle(folder) == ""
    assert current(folder) == "a"
