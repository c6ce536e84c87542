"""A stream of octets and its decoder as one device: what the GNSS drivers share."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from rsu.hal.device import MAX_FACTS
from rsu.hal.gnss.links import Stream
from rsu.schema.devices import GnssFix
from rsu.schema.units import Instant


class Decoder(Protocol):
    """Octets in, fixes out; keeps what is not complete yet."""

    def restart(self) -> None: ...

    def octets(self, octets: bytes, now: Instant) -> list[GnssFix]: ...


class FixReader:
    """Keeps to the contract of `rsu.hal.device.Device` for the drivers."""

    def __init__(self, link: Stream, decoder: Decoder, clock: Callable[[], Instant]) -> None:
        self._link, self._decoder, self._clock = link, decoder, clock
        self._opened = False
        self._fixes: deque[GnssFix] = deque()

    def open(self) -> None:
        if self._opened:
            return
        self._link.open()
        self._decoder.restart()
        self._opened = True

    def receive(self, timeout_s: float) -> Sequence[GnssFix]:
        deadline_s = time.monotonic() + timeout_s
        while True:
            if not self._opened or not self._fixes:
                left_s = max(0.0, deadline_s - time.monotonic())
                octets = self._link.read(left_s)
                if octets:
                    self._fixes.extend(self._decoder.octets(octets, self._clock()))
            if self._fixes:
                count = min(len(self._fixes), MAX_FACTS)
                return [self._fixes.popleft() for _ in range(count)]
            if time.monotonic() >= deadline_s:
                return ()

    def close(self) -> None:
        self._opened = False
        self._link.close()
