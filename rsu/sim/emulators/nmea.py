"""A GNSS receiver on the wire: `GnssFix` in, NMEA 0183 sentences out, to whoever connects by TCP.

`write_nmea` is pure. `NmeaServer` serves any number of readers without a thread: `send` takes in
who has connected and gives everyone the same octets; who reads too slowly is cut off.
"""

from __future__ import annotations

import contextlib
import socket
from datetime import UTC, datetime

from rsu.hal.gnss.nmea_decoder import checksum
from rsu.schema.devices import FixQuality, GnssFix
from rsu.schema.units import NS_PER_S
from rsu.sim.errors import SimulationError

_QUALITIES = {
    FixQuality.NONE: 0, FixQuality.AUTONOMOUS: 1, FixQuality.DIFFERENTIAL: 2,
    FixQuality.RTK_FIXED: 4, FixQuality.RTK_FLOAT: 5, FixQuality.ESTIMATED: 6,
    FixQuality.MANUAL: 7, FixQuality.SIMULATED: 8,
}  # fmt: skip
_QUEUE = 8


def write_nmea(fix: GnssFix, talker: str = "GN", *, gst: bool = True) -> bytes:
    """RMC, GGA and GST of one epoch, time to the ms, position to 1e-7 minute.

    The height of the geoid is stated as 0, so that the height above the sea is the fix's. Needs a
    fix with a time, and with a position unless its quality is `none`.
    """
    assert fix.utc_ns is not None
    moment = datetime.fromtimestamp(fix.utc_ns // NS_PER_S, UTC)
    time = f"{moment:%H%M%S}.{fix.utc_ns % NS_PER_S // 1_000_000:03d}"
    valid = fix.quality is not FixQuality.NONE
    where = ",,,"
    if valid:
        assert fix.latitude is not None
        assert fix.longitude is not None
        where = f"{_angle(fix.latitude, 'NS', 2)},{_angle(fix.longitude, 'EW', 3)}"
    status, mode = ("A", "A") if valid else ("V", "N")
    altitude = "" if fix.altitude is None else f"{fix.altitude:.3f}"
    geoid = "" if fix.altitude is None else "0.000"
    satellites = "" if fix.satellites is None else f"{fix.satellites:02d}"
    hdop = "" if fix.hdop is None else f"{fix.hdop:.2f}"
    sentences = [
        f"{talker}RMC,{time},{status},{where},0.00,,{moment:%d%m%y},,,{mode}",
        f"{talker}GGA,{time},{where},{_QUALITIES[fix.quality]},{satellites},{hdop},"
        f"{altitude},M,{geoid},M,,",
    ]
    if gst:
        stds = ",".join(
            "" if std is None else f"{std:.3f}" for std in (fix.north_std, fix.east_std, fix.up_std)
        )
        sentences.append(f"{talker}GST,{time},,,,,{stds}")
    return b"".join(sentence(one) for one in sentences)


def sentence(content: str) -> bytes:
    """A sentence around what stands between `$` and `*`."""
    octets = content.encode("ascii")
    return b"$" + octets + f"*{checksum(octets):02X}\r\n".encode()


def _angle(degrees: float, sides: str, digits: int) -> str:
    side = sides[degrees < 0.0]
    # In steps of 1e-7 minute, so that rounding never makes 60 minutes.
    steps = round(abs(degrees) * 60e7)
    whole, rest = divmod(steps, 600_000_000)
    return f"{whole:0{digits}d}{rest // 10_000_000:02d}.{rest % 10_000_000:07d},{side}"


class NmeaServer:
    """A TCP server of one receiver's octets."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host, self.port = host, port
        self._listener: socket.socket | None = None
        self._readers: list[socket.socket] = []

    def open(self) -> None:
        """Listen; raises SimulationError where that cannot be. `port` 0 becomes a free one."""
        if self._listener is not None:
            return
        try:
            self._listener = socket.create_server((self._host, self.port), backlog=_QUEUE)
        except OSError as error:
            raise SimulationError(f"no port {self.port} for the GNSS receiver: {error}") from error
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]

    def send(self, octets: bytes) -> int:
        """Give octets to everyone; how many readers have taken them."""
        if self._listener is not None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    reader, _ = self._listener.accept()
                    reader.setblocking(False)
                    self._readers.append(reader)
        for reader in list(self._readers):
            try:
                taken = reader.send(octets)
            except OSError:
                taken = -1
            if taken != len(octets):
                self._readers.remove(reader)
                reader.close()
        return len(self._readers)

    def close(self) -> None:
        for one in (*self._readers, *([self._listener] if self._listener else [])):
            one.close()
        self._readers, self._listener = [], None
