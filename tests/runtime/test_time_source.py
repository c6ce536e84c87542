"""What chrony says is read as it prints it, and its absence or silence hurts nobody."""

from __future__ import annotations

import sys
from pathlib import Path

from rsu.runtime.time_source import TimeSource, ask_chrony, read_tracking

LINE = (
    "C0A80001,192.168.0.1,2,1795270000.123456789,-0.000012345,0.000001000,0.000020000,"
    "-12.345,0.001,0.050,0.002000000,0.000500000,64.2,Normal\n"
)


def test_a_line_of_chrony_is_read() -> None:
    source = read_tracking(LINE)
    assert source is not None
    assert (source.reference, source.stratum, source.leap) == ("192.168.0.1", 2, "normal")
    assert source.offset == -0.000012345
    assert abs(source.uncertainty - 0.0015) < 1e-12  # dispersion + half the delay


def test_other_words_are_none() -> None:
    for line in ("", "506 Cannot talk to daemon\n", LINE.replace("-0.000012345", "x"), LINE + ","):
        assert read_tracking(line) is None


def test_a_command_that_fails_hangs_or_is_not_there_is_none(tmp_path: Path) -> None:
    assert ask_chrony((str(tmp_path / "chronyc"),)) is None
    assert ask_chrony((sys.executable, "-c", "raise SystemExit(1)")) is None
    source = TimeSource((str(tmp_path / "chronyc"),))
    assert source.newest is None
    source.close()
    told = ask_chrony((sys.executable, "-c", f"print({LINE!r}, end='')"))
    assert told == read_tracking(LINE)
