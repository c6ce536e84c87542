"""NMEA 0183 octets → GNSS fixes: sentences cut out of the stream, checked, gathered by epoch. Pure.

RMC names the date, GGA how the position came about, GST (where the receiver sends it) how good it
is. They come one by one, so an epoch is complete when all that the options name have come with the
same time of day. Sentences of other kinds are passed over; broken ones are counted.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from rsu.config.gnss import NmeaOptions
from rsu.hal.stamps import StampGuard
from rsu.schema.devices import FixQuality, GnssFix
from rsu.schema.units import NS_PER_S, Instant

LONGEST = 256
"""Octets of a line: the standard ends at 82, receivers in high precision mode go beyond it."""
_SENTENCE = re.compile(rb"\$([A-Z][A-Z0-9]{2,11}),([ -)+-~]*)\*([0-9A-Fa-f]{2})\Z")
_UNCHECKED = re.compile(rb"\$[A-Z][A-Z0-9]{2,11},[ -)+-~]*\Z")
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(\.\d{1,9})?\Z")
_DATE = re.compile(r"(\d{2})(\d{2})(\d{2})\Z")
_QUALITIES = (
    FixQuality.NONE, FixQuality.AUTONOMOUS, FixQuality.DIFFERENTIAL, FixQuality.AUTONOMOUS,
    FixQuality.RTK_FIXED, FixQuality.RTK_FLOAT, FixQuality.ESTIMATED, FixQuality.MANUAL,
    FixQuality.SIMULATED,
)  # fmt: skip
"""By GGA field 6. 3 is PPS, the precise military service: a position without corrections."""
_FIELDS = {"RMC": 9, "GGA": 11, "GST": 8}
"""Fields that have to be there: up to the date, the geoid's height, the 1 σ of the altitude."""
_CENTURY = 2000
"""RMC has two digits; GPS time begins in 1980, and no receiver of then is still in use."""
_ANY_AGE_S = 1e9
"""The receiver's time is not held against ours: telling how ours is off is its purpose."""


class Refused(Exception):  # noqa: N818 - a word, not a failure
    """What cannot be used; the text is the reason code."""


class NmeaDecoder:
    """One receiver's stream; `dropped` counts what was thrown away, by reason."""

    def __init__(self, options: NmeaOptions, dropped: Counter[str]) -> None:
        self._options = options
        self._dropped = dropped
        self._needed = frozenset({"RMC", "GGA", "GST"} if options.gst else {"RMC", "GGA"})
        self._guard = StampGuard(_ANY_AGE_S, _ANY_AGE_S)
        self.restart()

    def restart(self) -> None:
        """The stream begins anew: what was begun before is not continued."""
        self._line = bytearray()
        self._too_long = False
        self._epoch = ""
        self._parts: dict[str, list[str]] = {}

    def octets(self, octets: bytes, now: Instant) -> list[GnssFix]:
        """The fixes that these octets complete, which arrived `now`.

        Where they complete several, only the newest tells how our clock stands: the others waited.
        """
        fixes: list[GnssFix] = []
        *lines, rest = octets.split(b"\n")
        for line in lines:
            self._extend(line)
            whole, too_long = bytes(self._line).rstrip(b"\r"), self._too_long
            self._line.clear()
            self._too_long = False
            if too_long:
                self._dropped["oversize"] += 1
                continue
            try:
                fix = self._sentence(whole, now)
            except Refused as reason:
                self._dropped[str(reason)] += 1
                continue
            if fix is not None:
                fixes.append(fix)
        self._extend(rest)
        return dated_by_last(fixes)

    def _extend(self, octets: bytes) -> None:
        if len(self._line) + len(octets) > LONGEST:
            self._too_long = True
        else:
            self._line += octets

    def _sentence(self, line: bytes, now: Instant) -> GnssFix | None:
        if not line:
            return None
        found = _SENTENCE.match(line)
        if found is None:
            raise Refused("no_checksum" if _UNCHECKED.match(line) else "no_nmea")
        stated = int(found[3], 16)
        if checksum(line[1 : line.rindex(b"*")]) != stated:
            raise Refused("bad_checksum")
        talker, kind = found[1][:2].decode(), found[1][2:].decode()  # $P…: of a vendor's own
        if kind not in self._needed or self._options.talker not in (None, talker):
            return None
        fields = found[2].decode().split(",")
        if len(fields) < _FIELDS[kind]:
            raise Refused("bad_sentence")
        if fields[0] and not _TIME.match(fields[0]):
            raise Refused("bad_time")
        if self._parts and (fields[0] != self._epoch or kind in self._parts):
            self._dropped["incomplete_epoch"] += 1
            self._parts = {}
        self._epoch = fields[0]
        self._parts[kind] = fields
        if self._needed - self._parts.keys():
            return None
        parts, self._parts = self._parts, {}
        return self._fix(parts, now)

    def _fix(self, parts: dict[str, list[str]], now: Instant) -> GnssFix:
        rmc, gga = parts["RMC"], parts["GGA"]
        capture_ns = now.utc_ns - round(self._options.latency_s * NS_PER_S)
        utc_ns = _moment(rmc[0], rmc[8])
        if utc_ns is not None:
            refusal = self._guard.refusal("", utc_ns, Instant(utc_ns, 0))
            if refusal is not None:
                raise Refused(refusal)
        quality = _quality(gga[5], rmc[1])
        common: dict[str, Any] = {
            "satellites": _count(gga[6]),
            "hdop": _positive(gga[7]),
            "utc_ns": utc_ns,
            "clock_offset_ns": None if utc_ns is None else capture_ns - utc_ns,
        }
        sensor = self._options.id
        if quality is FixQuality.NONE:
            # A clock without a position behind it may be the receiver's own, not that of GNSS.
            common["clock_offset_ns"] = None
            return GnssFix(sensor=sensor, capture_ns=capture_ns, quality=quality, **common)
        latitude = _degrees(gga[1], gga[2], "NS", 90)
        longitude = _degrees(gga[3], gga[4], "EW", 180)
        if latitude is None or longitude is None:
            raise Refused("bad_position")
        above_sea, geoid = _number(gga[8]), _number(gga[10])
        stds = _stds(parts.get("GST"))
        return GnssFix(
            sensor=sensor,
            capture_ns=capture_ns,
            quality=quality,
            latitude=latitude,
            longitude=longitude,
            altitude=None if above_sea is None or geoid is None else above_sea + geoid,
            north_std=stds[0],
            east_std=stds[1],
            up_std=stds[2],
            **common,
        )


def checksum(octets: bytes) -> int:
    """XOR of all octets between `$` and `*`."""
    found = 0
    for octet in octets:
        found ^= octet
    return found


def dated_by_last(fixes: list[GnssFix]) -> list[GnssFix]:
    """Fixes that came together, dated by the last one: the others lay in a queue, and their
    arrival tells nothing of our clock."""
    return [*(_dated(one, fixes[-1].clock_offset_ns) for one in fixes[:-1]), *fixes[-1:]]


def _dated(fix: GnssFix, offset_ns: int | None) -> GnssFix:
    known = offset_ns is not None and fix.utc_ns is not None
    capture_ns = (fix.utc_ns or 0) + (offset_ns or 0) if known else fix.capture_ns
    return msgspec.structs.replace(fix, capture_ns=capture_ns, clock_offset_ns=None)


def _moment(time: str, date: str) -> int | None:
    """ns UTC; None where one of both is empty. A leap second is the next second's beginning."""
    if not time or not date:
        return None
    clock, day = _TIME.match(time), _DATE.match(date)
    if clock is None or day is None:
        raise Refused("bad_time")
    try:
        midnight = datetime(_CENTURY + int(day[3]), int(day[2]), int(day[1]), tzinfo=UTC)
    except ValueError:
        raise Refused("bad_time") from None
    days = (midnight - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(days=1)
    seconds = ((days * 24 + int(clock[1])) * 60 + int(clock[2])) * 60 + int(clock[3])
    fraction = (clock[4] or ".")[1:].ljust(9, "0")
    return seconds * NS_PER_S + int(fraction)


def _quality(gga: str, rmc_status: str) -> FixQuality:
    if rmc_status not in ("A", "V") or not gga.isdecimal() or int(gga) >= len(_QUALITIES):
        raise Refused("bad_sentence")
    # V: the receiver itself warns of what it sends.
    return FixQuality.NONE if rmc_status == "V" else _QUALITIES[int(gga)]


def _degrees(text: str, side: str, sides: str, most: int) -> float | None:
    """dddmm.mmmm and a hemisphere → degrees; None for anything else."""
    whole, _, fraction = text.partition(".")
    digits = 2 if most == 90 else 3
    if not (whole + fraction).isdecimal() or not text.isascii() or len(whole) != digits + 2:
        return None
    minutes = float(f"{whole[digits:]}.{fraction or 0}")
    if len(side) != 1 or side not in sides or minutes >= 60.0:
        return None
    degrees = int(whole[:digits]) + minutes / 60.0
    if degrees > most:
        return None
    return -degrees if side == sides[1] else degrees


def _number(text: str) -> float | None:
    """A finite decimal number; None where the field is empty or no number."""
    if not re.match(r"-?\d{1,9}(\.\d{0,12})?\Z", text, re.ASCII):
        return None
    return float(text)


def _positive(text: str) -> float | None:
    value = _number(text)
    return value if value is not None and value > 0.0 else None


def _count(text: str) -> int | None:
    return int(text) if re.match(r"\d{1,3}\Z", text, re.ASCII) else None


def _stds(gst: list[str] | None) -> tuple[float | None, float | None, float | None]:
    """North, east, up, m; 1 σ of latitude and longitude make sense only together."""
    if gst is None:
        return None, None, None
    north, east, up = (_positive(text) for text in gst[5:8])
    if north is None or east is None or math.hypot(north, east) > 1e6:
        return None, None, None
    return north, east, up
