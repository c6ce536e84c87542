"""gpsd: reports joined, errors as stated, what is refused, any octets."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.gnss import GpsdOptions
from rsu.hal.gnss.gpsd_decoder import SKY_AGE_NS, GpsdDecoder
from rsu.schema.devices import FixQuality
from rsu.schema.units import NS_PER_S, Instant

START_NS = 1_767_225_600_000_000_000
NOW = Instant(START_NS, 5)
TPV = {
    "class": "TPV", "device": "/dev/a", "mode": 3, "time": "2026-01-01T00:00:00.000Z", "lat": 31.5,
    "lon": 121.25, "altHAE": 20.5, "alt": 9.0, "epx": 4.0, "epy": 5.0, "epv": 9.0, "status": 1,
}  # fmt: skip


def decoder(**more: object) -> tuple[GpsdDecoder, Counter[str]]:
    dropped: Counter[str] = Counter()
    return GpsdDecoder(GpsdOptions(id="g", driver="gpsd", **more), dropped), dropped


def lines(*reports: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\r\n" for one in reports)


def test_a_report_with_what_sky_and_gst_add() -> None:
    made, dropped = decoder(latency_s=0.25)
    sky = {"class": "SKY", "hdop": 0.9, "satellites": [{"PRN": 1, "used": True}, {"PRN": 2}]}
    gst = {"class": "GST", "time": TPV["time"], "lat": 1.5, "lon": 1.2, "alt": 3.5}
    (fix,) = made.octets(lines({"class": "VERSION"}, sky, gst, TPV), NOW)
    assert (fix.latitude, fix.longitude, fix.altitude) == (31.5, 121.25, 20.5)
    assert (fix.satellites, fix.hdop, fix.quality) == (1, 0.9, FixQuality.AUTONOMOUS)
    assert (fix.north_std, fix.east_std, fix.up_std) == (1.5, 1.2, 3.5)
    assert fix.utc_ns == START_NS
    assert fix.clock_offset_ns == -NS_PER_S // 4
    assert not dropped


def test_estimates_of_unknown_certainty_are_never_made_smaller() -> None:
    made, _ = decoder()
    old = {"class": "GST", "time": "2025-12-31T23:59:59.000Z", "lat": 0.1, "lon": 0.1, "alt": 0.1}
    (fix,) = made.octets(lines(old, TPV), NOW)
    assert (fix.east_std, fix.north_std, fix.up_std) == (4.0, 5.0, 9.0)


def test_old_satellites_are_not_said_of_a_new_fix() -> None:
    made, _ = decoder()
    made.octets(lines({"class": "SKY", "hdop": 0.9, "uSat": 8}), NOW)
    (fix,) = made.octets(lines(TPV), Instant(NOW.utc_ns, NOW.mono_ns + SKY_AGE_NS + 1))
    assert (fix.satellites, fix.hdop) == (None, None)


@pytest.mark.parametrize(
    ("change", "quality"),
    [
        ({"mode": 1}, FixQuality.NONE),
        ({"mode": 0}, FixQuality.NONE),
        ({"status": 2}, FixQuality.DIFFERENTIAL),
        ({"status": 3}, FixQuality.RTK_FIXED),
        ({"status": 4}, FixQuality.RTK_FLOAT),
        ({"status": 5}, FixQuality.ESTIMATED),
        ({"status": 7}, FixQuality.MANUAL),
    ],
)
def test_how_the_position_came_about(change: dict[str, int], quality: FixQuality) -> None:
    (fix,) = decoder()[0].octets(lines({**TPV, **change}), NOW)
    assert fix.quality is quality
    assert (fix.latitude is None) == (quality is FixQuality.NONE)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"{\n", "not_json"),
        (b"[1]\n", "no_report"),
        (lines({"class": "TPV"}), "no_report"),
        (lines({**TPV, "lat": 95}), "bad_position"),
        (lines({**TPV, "lon": None}), "bad_position"),
        (lines({**TPV, "time": "noon"}), "bad_time"),
        (lines({**TPV, "time": 5}), "bad_time"),
        (lines({"class": "ERROR"}), "gpsd_error"),
        (b"x" * 20_000 + b"\n", "oversize"),
    ],
)
def test_what_is_refused(octets: bytes, reason: str) -> None:
    made, dropped = decoder()
    assert made.octets(octets, NOW) == []
    assert dropped == {reason: 1}


def test_reports_of_other_devices_are_passed_over() -> None:
    made, dropped = decoder(device="/dev/b")
    assert made.octets(lines(TPV), NOW) == []
    assert len(made.octets(lines({**TPV, "device": "/dev/b"}), NOW)) == 1
    assert not dropped


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
reports = st.dictionaries(st.sampled_from([*TPV, "uSat", "hdop", "satellites"]), values).map(
    lambda d: json.dumps({**d, "class": "TPV"}).encode() + b"\n"
)
noise = st.lists(st.one_of(st.binary(max_size=80), reports), max_size=12)


@settings(deadline=None, max_examples=150)
@given(noise)
def test_no_octets_do_harm(pieces: list[bytes]) -> None:
    made, _ = decoder()
    for piece in pieces:
        made.octets(piece, NOW)
    later = {**TPV, "time": "2199-01-01T00:00:00Z"}
    assert len(made.octets(b"\n" + lines(later), NOW)) == 1
