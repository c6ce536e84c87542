"""A signal controller that sends TSCBM datagrams (NTCIP 1202 SPaT data): the socket around
`tscbm_decoder`. Facts are `SignalState`.

Controllers begin to send once an SNMP SET has told them to (SAE facts 4.4), which is done once, at
installation.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rsu.config.place import PlaceOptions
from rsu.config.signals import TscbmOptions
from rsu.hal.device import MAX_FACTS
from rsu.hal.radio.datagram import DatagramReceiver
from rsu.hal.signal.tscbm_decoder import LENGTHS, Refused, TscbmDecoder
from rsu.schema.units import Instant


class TscbmController:
    """One controller that is listened to."""

    def __init__(
        self,
        options: TscbmOptions,
        base: Path,  # noqa: ARG002 - the options name no files
        clock: Callable[[], Instant],
        place: PlaceOptions,
    ) -> None:
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self.dropped = self._counts
        self._decoder = TscbmDecoder(options, place.intersection)
        self._socket = DatagramReceiver(
            options.listen_host, options.listen_port, self._counts,
            what="signal controller", longest=max(LENGTHS), sender=options.sender,
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
                try:
                    facts.append(self._decoder.state(octets, self._arrival()))
                except Refused as reason:
                    self._counts[str(reason)] += 1
            if octets is None or len(facts) >= MAX_FACTS or time.monotonic() >= deadline_s:
                return facts

    def _arrival(self) -> Instant:
        now, waited_ns = self._clock(), self._socket.waited_ns
        return Instant(now.utc_ns - waited_ns, now.mono_ns - waited_ns)

    def close(self) -> None:
        self._socket.close()
