"""A radar that sends one JSON document per datagram, read by the mapping of its options."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rsu.config.place import PlaceOptions
from rsu.config.radars import JsonUdpRadarOptions
from rsu.hal.device import MAX_FACTS
from rsu.hal.radar.json_lists import JsonLists
from rsu.hal.radio.datagram import MAX_DATAGRAM, DatagramReceiver
from rsu.schema.units import Instant


class JsonUdpRadar:
    """One radar; facts are `RadarObjects`."""

    def __init__(
        self,
        options: JsonUdpRadarOptions,
        base: Path,  # noqa: ARG002 - the options name no files
        clock: Callable[[], Instant],
        place: PlaceOptions,
    ) -> None:
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self.dropped = self._counts
        self._lists = JsonLists(options, place, self._counts)
        self._socket = DatagramReceiver(
            options.listen_host, options.listen_port, self._counts,
            what="radar", longest=MAX_DATAGRAM,
        )  # fmt: skip

    def open(self) -> None:
        self._socket.open()

    def receive(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        deadline_s = time.monotonic() + timeout_s
        facts: list[msgspec.Struct] = []
        while True:
            # Once something is there, take what else waits, but wait for nothing more.
            left_s = 0.0 if facts else max(0.0, deadline_s - time.monotonic())
            octets = self._socket.receive(left_s)
            if octets is not None:
                found = self._lists.document(octets, self._clock())
                if found is not None:
                    facts.append(found)
            if octets is None or len(facts) >= MAX_FACTS or time.monotonic() >= deadline_s:
                return facts

    def close(self) -> None:
        self._socket.close()
