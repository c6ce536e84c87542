"""gpsd's JSON → GNSS fixes: lines cut out of the stream, reports checked and joined. Pure.

A TPV report is a fix; what the last SKY report said of satellites and what a GST report of the same
moment said of errors is added to it. Field meanings: gpsd's own manual page gpsd_json(5).
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

from rsu.config.gnss import GpsdOptions
from rsu.hal.gnss.nmea_decoder import dated_by_last
from rsu.hal.json_fields import Refused, parsed, raw_number
from rsu.hal.stamps import StampGuard
from rsu.schema.devices import FixQuality, GnssFix
from rsu.schema.units import NS_PER_S, Instant

LONGEST = 16_384
"""Octets of a line: gpsd's own bound is 10 240 (a SKY of all constellations has some 8000)."""
SKY_AGE_NS = 30 * NS_PER_S
"""Satellites and HDOP of an older SKY are not said of a newer fix (gpsd sends one a cycle)."""
_STATUS = {
    2: FixQuality.DIFFERENTIAL, 3: FixQuality.RTK_FIXED, 4: FixQuality.RTK_FLOAT,
    5: FixQuality.ESTIMATED, 6: FixQuality.ESTIMATED, 7: FixQuality.MANUAL,
    8: FixQuality.SIMULATED,
}  # fmt: skip
"""TPV status; 0 and 1 (or none) are an ordinary fix, 9 is P(Y)."""
_ANY_AGE_S = 1e9


class GpsdDecoder:
    """One gpsd's stream; `dropped` counts what was thrown away, by reason."""

    def __init__(self, options: GpsdOptions, dropped: Counter[str]) -> None:
        self._options = options
        self._dropped = dropped
        self._guard = StampGuard(_ANY_AGE_S, _ANY_AGE_S)
        self.restart()

    def restart(self) -> None:
        """The stream begins anew: what was begun before is not continued."""
        self._line = bytearray()
        self._too_long = False
        self._sky: tuple[int, int | None, float | None] | None = None
        self._gst: dict[str, Any] = {}

    def octets(self, octets: bytes, now: Instant) -> list[GnssFix]:
        """The fixes in these octets, which arrived `now`. As with NMEA only the newest of several
        tells how our clock stands."""
        fixes: list[GnssFix] = []
        *lines, rest = octets.split(b"\n")
        for line in lines:
            self._extend(line)
            whole, too_long = bytes(self._line), self._too_long
            self._line.clear()
            self._too_long = False
            if too_long:
                self._dropped["oversize"] += 1
                continue
            try:
                fix = self._report(whole.strip(), now)
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

    def _report(self, line: bytes, now: Instant) -> GnssFix | None:
        if not line:
            return None
        report = parsed(line)
        if not isinstance(report, dict) or not isinstance(report.get("class"), str):
            raise Refused("no_report")
        kind = report["class"]
        if kind == "ERROR":
            raise Refused("gpsd_error")
        if kind not in ("TPV", "SKY", "GST"):
            return None
        if self._options.device is not None and report.get("device") != self._options.device:
            return None
        if kind == "SKY":
            self._sky = (now.mono_ns, _used(report), _positive(report.get("hdop")))
        elif kind == "GST":
            self._gst = report
        else:
            return self._fix(report, now)
        return None

    def _fix(self, report: dict[str, Any], now: Instant) -> GnssFix:
        mode = report.get("mode")
        if isinstance(mode, bool) or mode not in (0, 1, 2, 3):
            raise Refused("no_report")
        capture_ns = now.utc_ns - round(self._options.latency_s * NS_PER_S)
        utc_ns = _moment(report.get("time"))
        if utc_ns is not None:
            refusal = self._guard.refusal("", utc_ns, Instant(utc_ns, 0))
            if refusal is not None:
                raise Refused(refusal)
        sky = self._sky
        known = sky is not None and now.mono_ns - sky[0] <= SKY_AGE_NS
        satellites, hdop = (sky[1], sky[2]) if sky is not None and known else (None, None)
        if mode < 2:
            return GnssFix(
                sensor=self._options.id,
                capture_ns=capture_ns,
                quality=FixQuality.NONE,
                utc_ns=utc_ns,
                satellites=satellites,
                hdop=hdop,
            )
        latitude, longitude = raw_number(report.get("lat")), raw_number(report.get("lon"))
        if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
            raise Refused("bad_position")
        east, north, up = self._stds(report)
        status = report.get("status")
        return GnssFix(
            sensor=self._options.id,
            capture_ns=capture_ns,
            quality=_STATUS.get(status, FixQuality.AUTONOMOUS)
            if isinstance(status, int)
            else FixQuality.AUTONOMOUS,
            utc_ns=utc_ns,
            clock_offset_ns=None if utc_ns is None else capture_ns - utc_ns,
            latitude=latitude,
            longitude=longitude,
            altitude=raw_number(report.get("altHAE")) if mode == 3 else None,
            satellites=satellites,
            hdop=hdop,
            east_std=east,
            north_std=north,
            up_std=up,
        )

    def _stds(self, tpv: dict[str, Any]) -> tuple[float | None, float | None, float | None]:
        """East, north, up, m. GST of the same moment is 1 σ; the estimates in TPV are 95 % by
        older manuals and of unknown certainty by newer ones, so taken whole as 1 σ they are never
        too small."""
        gst, names = self._gst, ("lon", "lat", "alt")
        if not gst or gst.get("time") != tpv.get("time"):
            gst, names = tpv, ("epx", "epy", "epv")
        east, north, up = (_positive(gst.get(name)) for name in names)
        return (None, None, None) if east is None or north is None else (east, north, up)


def _used(sky: dict[str, Any]) -> int | None:
    """Satellites in use: stated by newer gpsd, else counted."""
    stated = sky.get("uSat")
    if isinstance(stated, int) and not isinstance(stated, bool) and 0 <= stated < 1000:
        return stated
    listed = sky.get("satellites")
    if not isinstance(listed, list):
        return None
    return sum(isinstance(one, dict) and one.get("used") is True for one in listed)


def _positive(raw: Any) -> float | None:
    value = raw_number(raw)
    return value if value is not None and value > 0.0 else None


def _moment(text: Any) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)  # gpsd speaks UTC
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise Refused("bad_time") from None
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000
