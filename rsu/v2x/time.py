"""Moments as V2X messages state them, all from UTC nanoseconds since the Unix epoch.

Both functions cut off and never round, so a second and its minute always belong together.

Leap seconds: Unix time has no name for 23:59:60. A host repeats the second or smears it, and the
values here follow it; DSecond never reaches 60000. (SAE J2735 reserves 60000..60999 for the leap
second, but T/CSAE receivers read everything from 60000 on as unknown; facts: csae53-2020-fields.md,
DefTime.)
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rsu.schema.units import NS_PER_MS

MS_PER_MINUTE = 60_000
NS_PER_MINUTE = MS_PER_MINUTE * NS_PER_MS

DSECOND_UNAVAILABLE = 65_535
MINUTE_OF_YEAR_UNAVAILABLE = 527_040
"""One past the last minute of a leap year."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def dsecond(utc_ns: int) -> int:
    """DSecond (secMark, timeStamp): ms within the minute, 0..59999."""
    return utc_ns // NS_PER_MS % MS_PER_MINUTE


def minute_of_year(utc_ns: int) -> int:
    """MinuteOfTheYear: minutes since 1 January 00:00 UTC, 0..527039."""
    moment = _EPOCH + timedelta(minutes=utc_ns // NS_PER_MINUTE)
    return (moment - moment.replace(month=1, day=1, hour=0, minute=0)) // timedelta(minutes=1)
