"""Section `gnss`: how GNSS receivers are reached.

`nmea` reads NMEA 0183 sentences from a serial device or a TCP server, `gpsd` asks gpsd for JSON.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from rsu.config.base import NonNegative, Options, Positive
from rsu.config.devices import DeviceOptions, Port


class GnssBase(DeviceOptions):
    """What every receiver shares."""

    late_s: Positive = Field(
        3.0, description="Nothing usable for this long, s: the receiver is `late` (1 Hz is usual)."
    )
    latency_s: NonNegative = Field(
        0.1, le=2.0, description="From the moment of the fix to the arrival of its last sentence, "
        "s. The clock offset is as good as this (assumed; measure it against PPS)."
    )  # fmt: skip


class TcpLink(Options):
    """A server that sends sentences to whoever connects."""

    kind: Literal["tcp"]
    host: str = Field(min_length=1)
    port: Port = Field(10110, description="The port that IANA lists for NMEA 0183.")


class SerialLink(Options):
    """A serial device of this machine."""

    kind: Literal["serial"]
    path: Path = Field(description="/dev/ttyUSB0, /dev/serial/by-id/…")
    baud: Literal[4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600] = Field(
        9600, description="bit/s; 8 data bits, no parity, 1 stop bit (NMEA 0183: 4800, 38400)."
    )


class NmeaOptions(GnssBase):
    """A receiver that sends NMEA 0183."""

    driver: Literal["nmea"]
    link: Annotated[TcpLink | SerialLink, Field(discriminator="kind")]
    gst: bool = Field(
        False, description="It sends GST (1 σ) in every epoch: a fix waits for it. RMC and GGA "
        "are always needed."
    )  # fmt: skip
    talker: str | None = Field(
        None, pattern=r"^[A-Z]{2}$", description="Only sentences of this talker (GN, GP, BD, …), "
        "for receivers that send the same twice; null: any."
    )  # fmt: skip


class GpsdOptions(GnssBase):
    """A gpsd."""

    driver: Literal["gpsd"]
    host: str = Field("127.0.0.1", min_length=1)
    port: Port = Field(2947, description="gpsd's own port.")
    device: str | None = Field(
        None, min_length=1, description="Only reports of this device; null: of any."
    )


Gnss = Annotated[NmeaOptions | GpsdOptions, Field(discriminator="driver")]
