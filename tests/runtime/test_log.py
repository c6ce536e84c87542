"""Logs: floods are held back and counted, files are kept long enough and no longer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from rsu.runtime.log import Flood
from rsu.runtime.log_file import NAME, LogFile, tend

DAY = 86_400.0


def test_ten_thousand_equal_errors_a_second_become_a_few_lines_with_their_count() -> None:
    time_s = 0.0
    flood = Flood(clock=lambda: time_s)
    said = []
    for n in range(20_000):  # two seconds
        time_s = n / 10_000
        held = flood.passes("error", "camera lost")
        if held is not None:
            said.append(held)
    assert len(said) == Flood.BURST + 1  # and one after a second
    assert flood.passes("error", "radio lost") == 0  # others are not silenced by it
    time_s += 10.0
    [(level, event, rest)] = flood.quiet()
    assert (level, event) == ("error", "camera lost")
    assert len(said) + sum(said) + rest == 20_000  # every line is accounted for
    assert flood.suppressed == sum(said) + rest
    assert flood.quiet() == []


def test_what_differs_in_every_line_cannot_fill_the_memory() -> None:
    flood = Flood(clock=lambda: 0.0)
    passed = [flood.passes("info", f"event {n}") for n in range(5000)]
    kinds = sum(one is not None for one in passed)
    assert kinds == Flood.KINDS + Flood.BURST


def line(file: LogFile, text: str) -> None:
    file.write(text + "\n")


def test_files_are_finished_by_size_and_kept_for_their_days(tmp_path: Path) -> None:
    now = time.time()
    for minute in range(4):
        file = LogFile(tmp_path)
        line(file, "x" * 1000)
        file.close()
        at = now + 60.0 * minute
        tend(tmp_path, 7.0, 10**9, rotate_bytes=1000, clock=partial(float, at))
    finished = sorted(tmp_path.glob("unit.*.jsonl"))
    assert len(finished) == 4
    for age_days, one in zip((8.0, 6.9, 2.0, 1.0), finished, strict=True):
        os.utime(one, (now - age_days * DAY, now - age_days * DAY))
    tend(tmp_path, 7.0, 10**9, clock=lambda: now)
    assert sorted(tmp_path.glob("unit.*.jsonl")) == finished[1:]
    tend(tmp_path, 7.0, 2500, clock=lambda: now)  # the disk goes before the days
    assert sorted(tmp_path.glob("unit.*.jsonl")) == finished[2:]


def test_a_day_ends_a_file_as_its_own_first_line_counts_it(tmp_path: Path) -> None:
    now = 1_800_000_000.0  # 2027-01-15T08:00:00Z
    file = LogFile(tmp_path)
    line(file, '{"event": "ready", "timestamp": "2027-01-15T08:00:00.000000Z"}')
    now += DAY - 1.0
    tend(tmp_path, 7.0, 10**9, clock=lambda: now)
    assert not list(tmp_path.glob("unit.*.jsonl"))
    now += 1.0
    tend(tmp_path, 3650.0, 10**9, clock=lambda: now)
    assert len(list(tmp_path.glob("unit.*.jsonl"))) == 1
    file.close()


def test_the_others_follow_to_the_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = LogFile(tmp_path)
    line(child, "before")
    tend(tmp_path, 7.0, 10**9, rotate_bytes=1)
    monkeypatch.setattr("rsu.runtime.log_file.LOOK_NS", 0)
    child._look_ns = 0
    line(child, "after")
    assert (tmp_path / NAME).read_text(encoding="utf-8") == "after\n"
    child.close()


def test_a_folder_that_cannot_be_written_goes_to_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    file = LogFile(tmp_path / "file" / "logs")
    line(file, "all the same")
    assert capfd.readouterr().err == "all the same\n"


@pytest.mark.parametrize("journal", [False, True])
def test_files_only_where_no_journal_takes_the_lines(tmp_path: Path, journal: bool) -> None:
    script = (
        "from rsu.runtime.log import configure_logging; import structlog\n"
        "configure_logging('info', process='core')\n"
        "structlog.get_logger().info('ready', seconds=1)\n"
    )
    environment = {**os.environ, "RSU_LOG_FOLDER": str(tmp_path)}
    environment.pop("JOURNAL_STREAM", None)
    if journal:
        environment["JOURNAL_STREAM"] = "8:1"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    text = done.stderr if journal else (tmp_path / NAME).read_text(encoding="utf-8")
    said = json.loads(text)
    assert (said["event"], said["process"], said["level"]) == ("ready", "core", "info")
    assert bool(done.stderr) is journal


def test_a_line_that_standard_error_does_not_take_is_lost_and_no_more() -> None:
    """/dev/full is a full disk: with a buffer the exit code would be 120."""
    program = (
        "from rsu.runtime.log import configure_logging\n"
        "import structlog\n"
        "configure_logging('info', process='x')\n"
        "for number in range(3):\n"
        "    structlog.get_logger().info('said', number=number)\n"
        "print('on')\n"
    )
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, timeout=60,
            check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"on\n")
