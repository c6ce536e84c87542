"""A gpsd: the connection around `gpsd_decoder`. Facts are `GnssFix`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rsu.config.gnss import GpsdOptions
from rsu.config.place import PlaceOptions
from rsu.hal.gnss.fixes import FixReader
from rsu.hal.gnss.gpsd_decoder import GpsdDecoder
from rsu.hal.gnss.links import TcpStream
from rsu.schema.units import Instant

WATCH = b'?WATCH={"enable":true,"json":true};\n'


class GpsdReceiver:
    """One gpsd, which may serve several receivers."""

    def __init__(
        self,
        options: GpsdOptions,
        base: Path,  # noqa: ARG002 - the options name no files
        clock: Callable[[], Instant],
        place: PlaceOptions,  # noqa: ARG002 - fixes are geodetic
    ) -> None:
        counts: Counter[str] = Counter()
        self.dropped = counts
        link = TcpStream(options.host, options.port, "gpsd", WATCH)
        self._reader = FixReader(link, GpsdDecoder(options, counts), clock)

    def open(self) -> None:
        self._reader.open()

    def receive(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        return self._reader.receive(timeout_s)

    def close(self) -> None:
        self._reader.close()
