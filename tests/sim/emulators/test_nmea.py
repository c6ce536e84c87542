"""The GNSS emulator against the unit's driver: what is written is what is understood."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rsu.config.gnss import NmeaOptions
from rsu.config.place import OriginOptions, PlaceOptions
from rsu.hal.gnss.nmea import NmeaReceiver
from rsu.schema.devices import FixQuality, GnssFix
from rsu.schema.units import NS_PER_S, Instant
from rsu.sim.emulators.nmea import NmeaServer, sentence, write_nmea
from rsu.sim.errors import SimulationError
from rsu.sim.sensors.gnss import SURVEYED, ModelledGnss
from rsu.sim.world.scene import stream
from rsu.site.geodesy import LocalFrame

NOON_NS = 1_767_225_600_000_000_000
PLACE = PlaceOptions(id="bench", origin=OriginOptions(latitude=31.0, longitude=121.0))


def test_sentences_are_octets_that_any_reader_knows() -> None:
    fix = GnssFix(
        sensor="g", capture_ns=0, utc_ns=NOON_NS + 61_250_000_000, quality=FixQuality.RTK_FIXED,
        latitude=-31.5, longitude=121.0 + 59.99999999 / 60, altitude=4.25, satellites=7, hdop=0.9,
        north_std=0.02, east_std=0.01, up_std=0.04,
    )  # fmt: skip
    rmc, gga, gst = write_nmea(fix).decode().splitlines()
    assert rmc.startswith("$GNRMC,000101.250,A,3130.0000000,S,12200.0000000,E,0.00,,010126,,,A*")
    assert gga.startswith(
        "$GNGGA,000101.250,3130.0000000,S,12200.0000000,E,4,07,0.90,4.250,M,0.000,M,,*"
    )
    assert gst.startswith("$GNGST,000101.250,,,,,0.020,0.010,0.040*")
    # XOR of the characters between $ and *, by hand: 'A' ^ 'B' ^ 'C' = 0x40.
    assert sentence("ABC") == b"$ABC*40\r\n"


def test_a_modelled_receiver_is_understood_within_what_it_states(tmp_path: Path) -> None:
    frame = LocalFrame(31.0, 121.0, 10.0)
    model = ModelledGnss("g", frame, (3.0, -4.0, 6.0), stream(1, "gnss"))
    model.clock_error_ns = NS_PER_S // 4
    server = NmeaServer()
    server.open()
    now_ns = NOON_NS
    link = {"kind": "tcp", "host": "127.0.0.1", "port": server.port}
    options = NmeaOptions(id="g", driver="nmea", link=link, gst=True, latency_s=0.1)
    device = NmeaReceiver(options, tmp_path, lambda: Instant(now_ns, now_ns), PLACE)
    device.open()
    try:
        for second in range(20):
            fix = model.look(NOON_NS + second * NS_PER_S)
            now_ns = fix.capture_ns + NS_PER_S // 10  # by our clock, when its last octet is here
            assert server.send(write_nmea(fix)) == 1
            heard: list[GnssFix] = []
            while not heard:
                heard += device.receive(5.0)
            (one,) = heard
            assert one.clock_offset_ns == NS_PER_S // 4
            assert one.capture_ns == fix.capture_ns
            assert (one.east_std, one.quality) == (pytest.approx(SURVEYED.std, abs=1e-3),
                                                   FixQuality.RTK_FIXED)  # fmt: skip
            x, y, z = frame.to_enu(one.latitude, one.longitude, one.altitude)
            assert abs(x - 3.0) < 5 * SURVEYED.std
            assert abs(y + 4.0) < 5 * SURVEYED.std
            assert abs(z - 6.0) < 5 * SURVEYED.std * SURVEYED.up
    finally:
        device.close()
        server.close()
    assert not any(device.dropped.values())


def test_a_reader_that_does_not_read_is_cut_off() -> None:
    server = NmeaServer()
    server.open()
    try:
        with socket.create_connection(("127.0.0.1", server.port)):
            assert server.send(b"$A*41\r\n") == 1
            for _ in range(1000):
                if server.send(b"x" * 65_536) == 0:
                    break
            assert server.send(b"x") == 0
    finally:
        server.close()


def test_a_taken_port_is_told() -> None:
    first = NmeaServer()
    first.open()
    try:
        with pytest.raises(SimulationError, match="no port"):
            NmeaServer(port=first.port).open()
    finally:
        first.close()
