"""The service is hardened, and still lets the unit do what it must, such as ask the clock."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rsu.runtime.software_slots import STARTS, link, switch

HIGHEST_EXPOSURE = 2.0
"""systemd's own scale: 0 is nothing, 10 everything; below 3 it says OK (operations.md 4.1)."""


@pytest.fixture(scope="session")
def unit(root: Path) -> Path:
    return root / "systemd" / "rsu.service"


def test_the_service_is_exposed_little(unit: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:  # a matter of the machine: the file is the same everywhere
        pytest.skip("no systemd-analyze on this machine")
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    score = re.search(r"Overall exposure level for rsu\.service: (\d+\.\d)", done.stdout)
    assert score is not None, done.stderr
    assert float(score[1]) <= HIGHEST_EXPOSURE


def test_every_line_is_one_that_systemd_knows(unit: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze on this machine")
    examples = sorted(unit.parent.glob("rsu.service.d/*.conf.example"))
    assert len(examples) >= 6
    drop_ins = tmp_path / "rsu.service.d"
    drop_ins.mkdir()
    for example in examples:
        shutil.copy(example, drop_ins / example.name.removesuffix(".example"))
    text = unit.read_text(encoding="utf-8").replace("/opt/rsu/bin/rsu", "/bin/true")
    (tmp_path / "rsu.service").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=no", str(tmp_path / "rsu.service")],
        capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if "rsu.service" in line]
    assert not ours, ours


def test_the_unit_may_ask_the_clock(unit: Path) -> None:
    """ProtectClock= refuses adjtimex altogether: the unit would hold itself for unsynchronised and
    say nothing on the air."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if line.startswith("ProtectClock=yes")]
    filters = [line for line in lines if line.startswith("SystemCallFilter=")]
    assert "adjtimex" in filters[-1]  # after what takes it away
    assert "CapabilityBoundingSet=" in lines  # nobody may set it


def test_it_comes_back_within_the_three_seconds_that_a_unit_may_be_away(unit: Path) -> None:
    lines = unit.read_text(encoding="utf-8").splitlines()
    assert "RestartSec=100ms" in lines
    assert "WatchdogSec=15" in lines


def test_a_reload_is_the_signal_that_the_unit_takes(unit: Path) -> None:
    assert "ExecReload=/bin/kill -HUP $MAINPID" in unit.read_text(encoding="utf-8").splitlines()


def test_software_that_does_not_even_import_is_left_before_a_start(
    unit: Path, tmp_path: Path
) -> None:
    """The line that runs before each start, with the software that was there first."""
    [before] = re.findall(r"^ExecStartPre=-(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
    installed = tmp_path / "rsu"
    installed.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rsu.cli "$@"\n')
    installed.chmod(0o755)
    command = before.replace("/opt/rsu/bin/rsu", str(installed))
    assert command != before
    software = tmp_path / "software"
    for slot, content in (("a", ""), ("b", "raise SystemExit('no')")):
        (software / slot / "rsu").mkdir(parents=True)
        (software / slot / "rsu" / "__init__.py").write_text(content)
    link(software / "current", "a")

    def start() -> str:
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": str(software / "current")},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return str((software / "current").readlink())

    assert start() == "a"  # nothing is on trial
    link(software / "next", "b")
    assert switch(software)
    assert [start() for _ in range(STARTS + 2)] == ["b"] * STARTS + ["a"] * 2
