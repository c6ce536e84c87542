"""Decisions are merged to one line a second and none is lost; the rate bound keeps its average."""

from __future__ import annotations

import pytest

from rsu.schema.decision_log import DecisionLog
from rsu.schema.health import Decision, Verdict
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.v2x.rate_bound import RateBound

STALE = ("track:1", Verdict.WITHHELD, "evidence_stale")


def at(ms: int) -> Instant:
    return Instant(1_000_000 * NS_PER_S + ms * NS_PER_MS, ms * NS_PER_MS)


def test_first_decision_is_told_at_once() -> None:
    log = DecisionLog("v2x")
    log.note(at(0), *STALE, detail="0.7 s old")
    assert log.take(at(0)) == [
        Decision(
            stage="v2x",
            subject="track:1",
            verdict=Verdict.WITHHELD,
            reason="evidence_stale",
            time_ns=at(0).utc_ns,
            count=1,
            detail="0.7 s old",
        )
    ]
    assert log.take(at(1)) == []


def test_repeats_are_counted_and_told_once_a_second() -> None:
    log = DecisionLog("v2x")
    told: list[Decision] = []
    for ms in range(0, 3500, 100):
        log.note(at(ms), *STALE)
        told += log.take(at(ms))
    assert [decision.count for decision in told] == [1, 10, 10, 10]
    told += log.take(at(4500))
    assert sum(decision.count for decision in told) == 35


def test_subjects_and_reasons_are_told_apart() -> None:
    log = DecisionLog("v2x")
    log.note(at(0), *STALE)
    log.note(at(0), "track:2", Verdict.WITHHELD, "evidence_stale")
    log.note(at(0), "track:1", Verdict.WITHHELD, "out_of_range")
    assert len(log.take(at(0))) == 3


def test_quiet_subjects_are_forgotten_without_losing_counts() -> None:
    log = DecisionLog("v2x")
    for track in range(1000):
        log.note(at(track), f"track:{track}", Verdict.WITHHELD, "evidence_stale")
        log.note(at(track), f"track:{track}", Verdict.WITHHELD, "evidence_stale")
    told = [decision for ms in range(0, 5000, 100) for decision in log.take(at(ms))]
    assert sum(decision.count for decision in told) == 2000
    assert not log._entries


def count_allowed(rate_hz: float, interval_ms: float, seconds: int) -> int:
    bound = RateBound(rate_hz, 0)
    arrivals = round(seconds * 1000 / interval_ms)
    return sum(bound.allows(round(index * interval_ms * NS_PER_MS)) for index in range(arrivals))


@pytest.mark.parametrize(
    ("interval_ms", "low", "high"),
    [
        (100.0, 600, 600),  # at the bound: all
        (80.0, 600, 602),  # 12.5 Hz: 10 Hz, not 6.25
        (99.0, 598, 602),
        (40.0, 600, 602),
        (10.0, 600, 602),
        (250.0, 240, 240),
    ],
)
def test_rate_bound_keeps_its_average(interval_ms: float, low: int, high: int) -> None:
    assert low <= count_allowed(10.0, interval_ms, 60) <= high


def test_rate_bound_holds_in_every_window() -> None:
    bound = RateBound(10.0, 0)
    said = [ms for ms in range(0, 20_000, 7) if bound.allows(ms * NS_PER_MS)]
    for start in range(0, 19_000, 50):
        assert sum(start <= ms < start + 1000 for ms in said) <= 12


def test_rate_bound_bears_a_monotonic_time_that_stands_still() -> None:
    bound = RateBound(10.0, 0)
    assert [bound.allows(5) for _ in range(4)] == [True, True, False, False]
    assert not bound.allows(4)
