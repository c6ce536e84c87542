"""NMEA: sentences known from outside, epochs, what is refused, any octets; a real serial line."""

from __future__ import annotations

import os
import pty
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.gnss import NmeaOptions
from rsu.config.place import OriginOptions, PlaceOptions
from rsu.hal.errors import DeviceError
from rsu.hal.gnss.nmea import NmeaReceiver
from rsu.hal.gnss.nmea_decoder import NmeaDecoder, checksum
from rsu.schema.devices import FixQuality, GnssFix
from rsu.schema.units import NS_PER_S, Instant
from rsu.sim.emulators.nmea import sentence, write_nmea

NOON_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
NOW = Instant(NOON_NS, 5)
PLACE = PlaceOptions(id="bench", origin=OriginOptions(latitude=31.0, longitude=121.0))


def options(**more: object) -> NmeaOptions:
    link = {"kind": "tcp", "host": "127.0.0.1", "port": 1}
    return NmeaOptions(id="g", driver="nmea", link=link, **more)


def decoder(**more: object) -> tuple[NmeaDecoder, Counter[str]]:
    dropped: Counter[str] = Counter()
    return NmeaDecoder(options(**more), dropped), dropped


def fix_at(utc_ns: int) -> GnssFix:
    return GnssFix(
        sensor="g", capture_ns=0, utc_ns=utc_ns, quality=FixQuality.RTK_FLOAT, latitude=31.5,
        longitude=-121.25, altitude=12.5, satellites=9, hdop=1.1, north_std=0.3, east_std=0.2,
        up_std=0.5,
    )  # fmt: skip


def test_the_checksum_of_a_sentence_known_from_outside() -> None:
    # The GGA example that text books on NMEA 0183 use; its checksum is 47.
    known = b"GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"
    assert checksum(known) == 0x47


def test_an_epoch_known_from_outside() -> None:
    made, dropped = decoder()
    octets = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n" + sentence(
        "GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230326,003.1,W"
    )
    (fix,) = made.octets(octets, NOW)
    assert fix.latitude == pytest.approx(48.0 + 7.038 / 60)
    assert fix.longitude == pytest.approx(11.0 + 31.0 / 60)
    assert fix.altitude == pytest.approx(545.4 + 46.9)
    assert (fix.quality, fix.satellites, fix.hdop) == (FixQuality.AUTONOMOUS, 8, 0.9)
    assert fix.utc_ns == 1_774_269_319 * NS_PER_S  # date -u -d 2026-03-23T12:35:19Z +%s
    assert (fix.east_std, fix.north_std, fix.up_std) == (None, None, None)
    assert not dropped


def test_the_clock_offset_is_how_far_we_are_ahead() -> None:
    made, _ = decoder(latency_s=0.1)
    (fix,) = made.octets(write_nmea(fix_at(NOON_NS - 3 * NS_PER_S), gst=False), NOW)
    assert fix.capture_ns == NOON_NS - NS_PER_S // 10
    assert fix.clock_offset_ns == 3 * NS_PER_S - NS_PER_S // 10


def test_of_epochs_that_come_together_only_the_last_tells_the_offset() -> None:
    made, _ = decoder(latency_s=0.1)
    octets = b"".join(write_nmea(fix_at(NOON_NS + n * NS_PER_S), gst=False) for n in range(-3, 0))
    first, second, last = made.octets(octets, NOW)
    assert last.clock_offset_ns == NS_PER_S - NS_PER_S // 10
    assert first.clock_offset_ns is second.clock_offset_ns is None
    assert [one.capture_ns - last.capture_ns for one in (first, second)] == [
        -2 * NS_PER_S, -NS_PER_S,
    ]  # fmt: skip


def test_what_lay_in_a_queue_before_a_loss_of_fix_tells_no_offset() -> None:
    made, _ = decoder()
    lost = sentence("GNRMC,,V,,,,,,,,,,N") + sentence("GNGGA,,,,,,0,00,,,M,,M,,")
    first, last = made.octets(write_nmea(fix_at(NOON_NS), gst=False) + lost, NOW)
    assert (first.quality, last.quality) == (FixQuality.RTK_FLOAT, FixQuality.NONE)
    assert first.clock_offset_ns is last.clock_offset_ns is None


def test_a_receiver_that_warns_has_no_position_and_no_clock() -> None:
    made, dropped = decoder()
    octets = sentence("GNRMC,120000,V,3130,N,12115,E,,,010126,,,N") + sentence(
        "GNGGA,120000,3130,N,12115,E,1,04,9.0,,M,,M,,"
    )
    (fix,) = made.octets(octets, NOW)
    assert fix.quality is FixQuality.NONE
    assert fix.latitude is fix.longitude is fix.clock_offset_ns is None
    cold = sentence("GNRMC,,V,,,,,,,,,,N") + sentence("GNGGA,,,,,,0,00,,,M,,M,,")
    (fix,) = made.octets(cold, NOW)
    assert fix.quality is FixQuality.NONE
    assert fix.utc_ns is None
    assert not dropped


def test_a_fix_waits_for_gst_where_it_is_promised() -> None:
    made, dropped = decoder(gst=True)
    lines = write_nmea(fix_at(NOON_NS)).splitlines(keepends=True)
    assert [len(made.octets(line, NOW)) for line in lines] == [0, 0, 1]
    assert made.octets(write_nmea(fix_at(NOON_NS + NS_PER_S), gst=False), NOW) == []
    (fix,) = made.octets(write_nmea(fix_at(NOON_NS + 2 * NS_PER_S)), NOW)
    assert (fix.north_std, fix.east_std, fix.up_std) == (0.3, 0.2, 0.5)
    assert dropped == {"incomplete_epoch": 1}


def test_other_talkers_and_other_sentences_are_passed_over() -> None:
    made, dropped = decoder(talker="GN")
    assert made.octets(write_nmea(fix_at(NOON_NS), "GP", gst=False), NOW) == []
    assert made.octets(sentence("PUBX,00,1,2") + sentence("GNGSA,A,3"), NOW) == []
    assert len(made.octets(write_nmea(fix_at(NOON_NS), "GN", gst=False), NOW)) == 1
    assert not dropped


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"$GNRMC,1*00\r\n", "bad_checksum"),
        (b"$GNRMC,120000,A\r\n", "no_checksum"),
        (b"NRMC,120000,A*00\r\n", "no_nmea"),
        (sentence("GNRMC,120000,A"), "bad_sentence"),
        (sentence("GNRMC,240000,A,3130,N,12115,E,,,010126"), "bad_time"),
        (b"$" * 257 + b"\r\n", "oversize"),
    ],
)
def test_what_is_refused(octets: bytes, reason: str) -> None:
    made, dropped = decoder()
    assert made.octets(octets, NOW) == []
    assert dropped == {reason: 1}


@pytest.mark.parametrize(
    ("rmc", "gga", "reason"),
    [
        ("A,3130,N,12115,E,,,310226", "3130,N,12115,E,1,,,,M,,M,,", "bad_time"),
        ("A,3130,N,12115,E,,,010126", "3130,N,18115,E,1,,,,M,,M,,", "bad_position"),
        ("A,3130,N,12115,E,,,010126", "3160,N,12115,E,1,,,,M,,M,,", "bad_position"),
        ("A,3130,N,12115,E,,,010126", "3130,X,12115,E,1,,,,M,,M,,", "bad_position"),
        ("A,3130,N,12115,E,,,010126", "3130,N,12115,E,9,,,,M,,M,,", "bad_sentence"),
    ],
)
def test_epochs_that_cannot_be(rmc: str, gga: str, reason: str) -> None:
    made, dropped = decoder()
    octets = sentence(f"GNRMC,120000,{rmc}") + sentence(f"GNGGA,120000,{gga}")
    assert made.octets(octets, NOW) == []
    assert dropped == {reason: 1}


positions = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@settings(deadline=None, max_examples=100)
@given(positions, st.integers(0, 4_000_000_000_000), st.lists(st.integers(1, 60), max_size=12))
def test_what_is_written_is_read_however_it_is_split(
    position: tuple[float, float], millisecond: int, cuts: list[int]
) -> None:
    utc_ns = 946_684_800 * NS_PER_S + millisecond % 3_155_000_000_000 * 1_000_000  # 2000..2099
    said = GnssFix(
        sensor="g", capture_ns=0, utc_ns=utc_ns, quality=FixQuality.DIFFERENTIAL,
        latitude=position[0], longitude=position[1],
    )  # fmt: skip
    octets, made, found = write_nmea(said), decoder(gst=True)[0], []
    for length in cuts:
        found += made.octets(octets[:length], NOW)
        octets = octets[length:]
    found += made.octets(octets, NOW)
    (fix,) = found
    assert fix.utc_ns == utc_ns
    assert fix.latitude == pytest.approx(position[0], abs=1e-9)
    assert fix.longitude == pytest.approx(position[1], abs=1e-9)


noise = st.lists(
    st.one_of(
        st.binary(max_size=60),
        st.sampled_from([b"\n", b"$GNRMC,", b"*00\r\n", b",,,,"]),
        st.text("0123456789.,NSEWAV-", max_size=60).map(lambda t: sentence(f"GNRMC,{t}")),
        st.text("0123456789.,NSEWAV-", max_size=60).map(lambda t: sentence(f"GNGGA,{t}")),
    ),
    max_size=20,
)


@settings(deadline=None, max_examples=150)
@given(noise)
def test_no_octets_do_harm(pieces: list[bytes]) -> None:
    made, _ = decoder()
    for piece in pieces:
        made.octets(piece, NOW)
    after = write_nmea(fix_at(NOON_NS + 999 * NS_PER_S), gst=False)
    assert len(made.octets(b"\n" + after, NOW)) == 1


def test_a_serial_line_is_read_and_its_loss_is_told(tmp_path: Path) -> None:
    receiver_fd, unit_fd = pty.openpty()
    try:
        link = {"kind": "serial", "path": Path(os.ttyname(unit_fd)), "baud": 115200}
        made = NmeaReceiver(
            NmeaOptions(id="g", driver="nmea", link=link), tmp_path, lambda: NOW, PLACE
        )
        made.open()
        os.write(receiver_fd, write_nmea(fix_at(NOON_NS), gst=False))
        facts: list[GnssFix] = []
        for _ in range(50):
            facts += made.receive(0.2)
            if facts:
                break
        assert facts[0].latitude == pytest.approx(31.5)
    finally:
        os.close(unit_fd)
        os.close(receiver_fd)
    with pytest.raises(DeviceError, match="serial device"):
        made.receive(1.0)
    made.close()


def test_a_serial_device_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    link = {"kind": "serial", "path": tmp_path / "ttyUSB9"}
    made = NmeaReceiver(NmeaOptions(id="g", driver="nmea", link=link), tmp_path, lambda: NOW, PLACE)
    with pytest.raises(DeviceError, match="cannot be opened") as caught:
        made.open()
    assert "dialout" in caught.value.next_step
    (tmp_path / "plain").write_bytes(b"")
    link = {"kind": "serial", "path": tmp_path / "plain"}
    made = NmeaReceiver(NmeaOptions(id="g", driver="nmea", link=link), tmp_path, lambda: NOW, PLACE)
    with pytest.raises(DeviceError, match="cannot be opened"):
        made.open()
