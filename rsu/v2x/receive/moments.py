"""Moments that messages state → UTC ns, with the moment of hearing as anchor.

A DSecond names a ms within a minute but no minute: the one nearest to the moment of hearing is
meant. A statement from a whole minute ago therefore looks like one of now; nothing in a message
tells them apart.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rsu.schema.units import NS_PER_MS
from rsu.v2x.time import MINUTE_OF_YEAR_UNAVAILABLE, MS_PER_MINUTE, NS_PER_MINUTE

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def of_dsecond(milliseconds: int, heard_ns: int) -> int | None:
    """The moment nearest to `heard_ns` with this DSecond; None from 60000 on (leap second or
    unavailable: T/CSAE receivers read both as unknown)."""
    if milliseconds >= MS_PER_MINUTE:
        return None
    moment = heard_ns // NS_PER_MINUTE * NS_PER_MINUTE + milliseconds * NS_PER_MS
    if moment - heard_ns > NS_PER_MINUTE // 2:
        return moment - NS_PER_MINUTE
    if heard_ns - moment > NS_PER_MINUTE // 2:
        return moment + NS_PER_MINUTE
    return moment


def of_minute(minute: int | None, milliseconds: int | None, heard_ns: int) -> int | None:
    """The moment of a MinuteOfTheYear and a DSecond, in the year that brings it nearest.

    Without a minute as `of_dsecond`; None where the ms are unknown or there are none.
    """
    if milliseconds is None or milliseconds >= MS_PER_MINUTE:
        return None
    if minute is None or minute >= MINUTE_OF_YEAR_UNAVAILABLE:
        return of_dsecond(milliseconds, heard_ns)
    heard = _EPOCH + timedelta(minutes=heard_ns // NS_PER_MINUTE)
    candidates = []
    for year in (heard.year - 1, heard.year, heard.year + 1):
        begin = datetime(year, 1, 1, tzinfo=UTC) - _EPOCH
        minutes = begin // timedelta(minutes=1) + minute
        candidates.append(minutes * NS_PER_MINUTE + milliseconds * NS_PER_MS)
    return min(candidates, key=lambda moment: abs(moment - heard_ns))
