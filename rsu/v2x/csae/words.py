"""Words and validity of events, signs and advice: DF_Description, RSITimeDetails, DDateTime.

Text is said in ASCII where it is such, else in GB 2312 octets; what GB 2312 lacks becomes a
question mark. Text too long for the message is cut between characters.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rsu.v2x import time
from rsu.v2x.writers import Content

TEXT_OCTETS = 512
"""Description: IA5String (SIZE (1..512)) or octets (SIZE (2..512))."""
TEXT_OCTETS_MIN = 2

HALF_YEAR_NS = 183 * 24 * 60 * time.NS_PER_MINUTE
"""A minute of the year names no year; beyond half a year off it would be taken for another one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def description(text: str) -> Content:
    """`description` of a text; nothing of an empty one."""
    words = text.strip()
    if words.isascii():
        return {"description": {"textString": words[:TEXT_OCTETS]}} if words else {}
    octets = b""
    for character in words:
        said = character.encode("gb2312", errors="replace")
        if len(octets) + len(said) > TEXT_OCTETS:
            break
        octets += said
    # One question mark says nothing, and the message has no place for a single octet.
    return {"description": {"textGB2312": octets.hex()}} if len(octets) >= TEXT_OCTETS_MIN else {}


def time_details(now_ns: int | None, start_ns: int | None, end_ns: int | None) -> Content:
    """`timeDetails`: the minutes in which a statement begins and ends to hold.

    Left out: a time that a minute of the year cannot name (`HALF_YEAR_NS`), and, with no trusted
    `now_ns`, all of it.
    """
    details = {}
    for name, moment in (("startTime", start_ns), ("endTime", end_ns)):
        if now_ns is None or moment is None or abs(moment - now_ns) >= HALF_YEAR_NS:
            continue
        details[name] = time.minute_of_year(moment)
    return {"timeDetails": details} if details else {}


def date_time(utc_ns: int) -> Content:
    """DDateTime in UTC, cut off to ms."""
    moment = _EPOCH + timedelta(minutes=utc_ns // time.NS_PER_MINUTE)
    return {
        "year": moment.year,
        "month": moment.month,
        "day": moment.day,
        "hour": moment.hour,
        "minute": moment.minute,
        "second": time.dsecond(utc_ns),
        "offset": 0,
    }
