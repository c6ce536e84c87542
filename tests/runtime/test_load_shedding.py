"""Load is shed in steps, cameras first and never below two looks a second, and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsu.config.running import ShedOptions
from rsu.runtime.load_shedding import DEBUG_TOPICS, MOST, FrameRation, LoadShedder, hottest
from rsu.schema.topics import TOPICS
from rsu.schema.units import NS_PER_S, Instant

FINE = {"age_ms": 100.0, "load": 0.5, "temperature": 50.0}


def at(seconds: float) -> Instant:
    return Instant(round(seconds * NS_PER_S), round(seconds * NS_PER_S))


def seconds_of(
    shedder: LoadShedder, first: int, count: int, **numbers: float | None
) -> list[tuple[int, int]]:
    """(second, level) of every change."""
    return [
        (second, shedder.level)
        for second in range(first, first + count)
        if shedder.update(at(second), **{**FINE, **numbers})
    ]


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"age_ms": 501.0}, "age 501 ms"),
        ({"temperature": 86.0}, "temperature 86 °C"),
        ({"load": 2.1}, "load 2.1 per core"),
    ],
)
def test_too_much_for_three_seconds_sheds_a_step_and_says_why(
    numbers: dict[str, float], reason: str
) -> None:
    shedder = LoadShedder(ShedOptions(load=2.0))
    assert seconds_of(shedder, 0, 10, **numbers) == [(3, 1), (6, 2), (9, 3)]
    assert shedder.reason == reason
    assert seconds_of(shedder, 10, 60, **numbers)[-1][1] == MOST  # and no further


def test_what_was_shed_comes_back_step_by_step_and_only_when_it_is_well_again() -> None:
    shedder = LoadShedder(ShedOptions())
    seconds_of(shedder, 0, 7, age_ms=900.0)
    assert shedder.level == 2
    # Just below the limit is not well: it would go to and fro.
    assert seconds_of(shedder, 10, 300, age_ms=450.0) == []
    assert seconds_of(shedder, 400, 100) == [(430, 1), (460, 0)]
    assert shedder.reason == ""
    assert shedder.steps == 4


def test_a_short_peak_changes_nothing() -> None:
    shedder = LoadShedder(ShedOptions())
    for start in range(0, 100, 10):
        assert seconds_of(shedder, start, 3, age_ms=5000.0) == []
        assert seconds_of(shedder, start + 3, 7) == []


def test_nothing_is_shed_where_that_is_off_or_cannot_be_known() -> None:
    assert seconds_of(LoadShedder(ShedOptions(enabled=False)), 0, 60, age_ms=9000.0) == []
    unknown = LoadShedder(ShedOptions(load=1.0))
    assert seconds_of(unknown, 0, 60, load=None, temperature=None) == []


def looked_at(level: int, rate_hz: float, seconds: float) -> int:
    ration = FrameRation()
    ration.level = level
    return sum(ration.grants(at(n / rate_hz)) for n in range(round(rate_hz * seconds)))


@pytest.mark.parametrize(
    ("rate_hz", "expected"),
    [
        (25.0, (250, 125, 62, 20, 20, 20)),
        (10.0, (100, 50, 25, 20, 20, 20)),
        (5.0, (50, 25, 20, 20, 20, 20)),  # a quarter of 5 would be below 2
        (2.0, (20, 20, 20, 20, 20, 20)),
    ],
)
def test_cameras_look_less_often_but_twice_a_second(
    rate_hz: float, expected: tuple[int, ...]
) -> None:
    for level, count in enumerate(expected):
        got = looked_at(level, rate_hz, 10.0)
        # Rounding to whole frames: at 25 Hz every 13th, at 5 Hz every third at most.
        assert abs(got - count) <= max(2, 0.25 * count), (level, got)
        assert got >= 16


def test_the_hottest_zone_counts_and_broken_ones_do_not(tmp_path: Path) -> None:
    assert hottest(tmp_path) is None
    for number, text in enumerate(("41000", "88500", "none")):
        (tmp_path / f"thermal_zone{number}").mkdir()
        (tmp_path / f"thermal_zone{number}" / "temp").write_text(text, encoding="ascii")
    assert hottest(tmp_path) == 88.5


def test_what_is_left_out_of_the_recording_is_recorded_else() -> None:
    assert all(TOPICS[name].recorded for name in DEBUG_TOPICS)
    assert not DEBUG_TOPICS & {"journal", "decision", "tracks", "v2x/tx", "detections/camera"}
