"""DSecond and MinuteOfTheYear at the minute wrap, the year's end and a leap second."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.units import NS_PER_S
from rsu.v2x.time import dsecond, minute_of_year

MS = 1_000_000


def utc(*fields: int) -> int:
    """UTC ns of year, month, day, hour, minute, second."""
    return int(datetime(*fields, tzinfo=UTC).timestamp()) * NS_PER_S


def test_dsecond_counts_milliseconds_and_wraps_at_the_minute() -> None:
    minute = utc(2025, 6, 15, 15, 6)
    assert dsecond(minute) == 0
    assert dsecond(minute + 40 * NS_PER_S + 123 * MS) == 40_123
    assert dsecond(minute - 1) == 59_999
    assert dsecond(minute + 60 * NS_PER_S - 1) == 59_999
    assert dsecond(minute + 60 * NS_PER_S) == 0


def test_dsecond_is_cut_off_and_not_rounded() -> None:
    minute = utc(2025, 6, 15, 15, 6)
    assert dsecond(minute + 999_999) == 0
    assert dsecond(minute + MS) == 1


@pytest.mark.parametrize(
    ("moment", "minute"),
    [
        ((2025, 1, 1, 0, 0, 0), 0),
        ((2025, 1, 1, 0, 0, 59), 0),
        ((2025, 1, 1, 0, 1, 0), 1),
        ((2025, 12, 31, 23, 59, 59), 525_599),  # 365 days
        ((2024, 12, 31, 23, 59, 59), 527_039),  # 366 days
        ((2024, 2, 29, 12, 0, 0), (31 + 28) * 1440 + 720),
        ((2025, 3, 1, 0, 0, 0), 59 * 1440),
        ((2024, 3, 1, 0, 0, 0), 60 * 1440),
        ((2100, 3, 1, 0, 0, 0), 59 * 1440),  # 2100 is no leap year
    ],
)
def test_minute_of_the_year(moment: tuple[int, ...], minute: int) -> None:
    assert minute_of_year(utc(*moment)) == minute


def test_last_nanosecond_of_a_year_belongs_to_it() -> None:
    new_year = utc(2025, 1, 1, 0, 0, 0)
    assert (minute_of_year(new_year - 1), dsecond(new_year - 1)) == (527_039, 59_999)
    assert (minute_of_year(new_year), dsecond(new_year)) == (0, 0)


def test_second_repeated_for_a_leap_second_is_stated_twice_and_never_as_sixty() -> None:
    # 2016-12-31T23:59:60Z: Unix time counts 1483228799 twice and then goes on.
    before = 1_483_228_799 * NS_PER_S
    assert dsecond(before + 500 * MS) == 59_500
    assert dsecond(before + NS_PER_S) == 0
    assert minute_of_year(before) == 527_039
    assert minute_of_year(before + NS_PER_S) == 0


@settings(deadline=None)
@given(st.integers(0, 4_102_444_800 * NS_PER_S))
def test_both_follow_the_calendar_at_any_moment(moment_ns: int) -> None:
    calendar = datetime.fromtimestamp(moment_ns // NS_PER_S, UTC)
    milliseconds = moment_ns // MS % 1000
    assert dsecond(moment_ns) == calendar.second * 1000 + milliseconds
    day = calendar.timetuple().tm_yday - 1
    assert minute_of_year(moment_ns) == day * 1440 + calendar.hour * 60 + calendar.minute
