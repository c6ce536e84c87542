"""What plays the GNSS receivers: the NMEA emulator, and the same server saying what gpsd says."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime
from typing import Any

from rsu.config.gnss import GnssBase, GpsdOptions, NmeaOptions
from rsu.schema.devices import FixQuality, GnssFix
from rsu.sim.emulators.nmea import NmeaServer, sentence, write_nmea


def _fix(bench: Any, number: int) -> GnssFix:
    return GnssFix(
        sensor="g", capture_ns=0, utc_ns=bench.measured_ns(number), latitude=31.23,
        longitude=121.47 + number % 50 * 1e-6, altitude=12.0, quality=FixQuality.RTK_FIXED,
        satellites=19, hdop=0.7, north_std=0.02, east_std=0.01, up_std=0.03,
    )  # fmt: skip


class _ServerPeer:
    stamped = True
    loses = True

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._server = NmeaServer("127.0.0.1", bench.port)

    def start(self) -> None:
        self._server.open()

    def options(self) -> GnssBase:
        raise NotImplementedError

    def broken(self) -> GnssBase:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        return self._at(port)

    def _at(self, port: int) -> GnssBase:
        raise NotImplementedError

    def vanish(self) -> None:
        self._server.close()

    def close(self) -> None:
        self._server.close()


class NmeaPeer(_ServerPeer):
    def options(self) -> GnssBase:
        return self._at(self._bench.port)

    def _at(self, port: int) -> GnssBase:
        link = {"kind": "tcp", "host": "127.0.0.1", "port": port}
        return NmeaOptions(id="g", driver="nmea", late_s=1.0, link=link, gst=True)

    def say(self, number: int) -> None:
        self._server.send(write_nmea(_fix(self._bench, number)))

    def babble(self) -> None:
        good = write_nmea(_fix(self._bench, 0))
        for octets in (
            b"\r\n", b"$\r\n", b"\xff\xfe\x00\n", good.replace(b"*", b"*0"), good[:40] + b"\r\n",
            sentence("GNRMC,1,2,3"), sentence("GNGGA,250000,,,,,,,,,,"), b"$GNRMC,A,B,C\r\n",
            sentence("GPGSV,1,1,00"), b"GET / HTTP/1.1\r\n", b"$" * 300 + b"\r\n",
            write_nmea(_fix(self._bench, 0)).splitlines(keepends=True)[0],
            sentence("GNRMC,000000,A,,,,,,,320199,,,A"), b"!AIVDM,1,1,,A,x,0*00\r\n",
        ):  # fmt: skip
            self._server.send(octets)


class GpsdPeer(_ServerPeer):
    def options(self) -> GnssBase:
        return self._at(self._bench.port)

    def _at(self, port: int) -> GnssBase:
        return GpsdOptions(id="g", driver="gpsd", late_s=1.0, host="127.0.0.1", port=port)

    def say(self, number: int) -> None:
        moment = datetime.fromtimestamp(self._bench.measured_ns(number) / 1e9, UTC)
        time = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"
        self._tell({"class": "SKY", "hdop": 0.8, "uSat": 17})
        self._tell({"class": "TPV", "mode": 3, "time": time, "lat": 31.23, "lon": 121.47,
                    "altHAE": 12.0, "epx": 1.5, "epy": 1.7, "epv": 3.0})  # fmt: skip

    def babble(self) -> None:
        for octets in (
            b"\n", b"{\n", b"[]\n", b"null\n", b"\xff\xfe\n", b'{"class":7}\n', b"[" * 5000 + b"\n",
            b'{"class":"TPV"}\n', b'{"class":"TPV","mode":3}\n', b"x" * 17_000 + b"\n",
            b'{"class":"TPV","mode":3,"time":"soon","lat":1,"lon":2}\n',
            b'{"class":"TPV","mode":3,"lat":91,"lon":2}\n', b'{"class":"ERROR","message":"no"}\n',
            b'{"class":"TPV","mode":true,"lat":1e999,"lon":[]}\n',
        ):  # fmt: skip
            self._server.send(octets)

    def _tell(self, report: dict[str, Any]) -> None:
        self._server.send(json.dumps(report).encode() + b"\r\n")


ROWS = {"gnss/nmea": NmeaPeer, "gnss/gpsd": GpsdPeer}
