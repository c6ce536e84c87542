"""A GNSS receiver that sends NMEA 0183: the stream around `nmea_decoder`. Facts are `GnssFix`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rsu.config.gnss import NmeaOptions
from rsu.config.place import PlaceOptions
from rsu.hal.gnss.fixes import FixReader
from rsu.hal.gnss.links import stream
from rsu.hal.gnss.nmea_decoder import NmeaDecoder
from rsu.schema.units import Instant


class NmeaReceiver:
    """One receiver, by TCP or serial line."""

    def __init__(
        self,
        options: NmeaOptions,
        base: Path,
        clock: Callable[[], Instant],
        place: PlaceOptions,  # noqa: ARG002 - fixes are geodetic
    ) -> None:
        counts: Counter[str] = Counter()
        self.dropped = counts
        self._reader = FixReader(stream(options.link, base), NmeaDecoder(options, counts), clock)

    def open(self) -> None:
        self._reader.open()

    def receive(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        return self._reader.receive(timeout_s)

    def close(self) -> None:
        self._reader.close()
