"""Facts out of MQTT messages: what drivers whose messages hold any number of facts share.

A subscription and a pure reader go in; `receive` keeps to the contract of `rsu.hal.device.Device`:
bounded batches, bounded waiting, nothing lost between two calls.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from rsu.hal.device import MAX_FACTS
from rsu.hal.mqtt import MqttSubscriber, Published
from rsu.schema.units import Instant


class MqttFacts:
    """`read(message, now)` gives the facts of one message, oldest first, and counts its drops."""

    def __init__(
        self,
        link: MqttSubscriber,
        clock: Callable[[], Instant],
        read: Callable[[Published, Instant], Iterable[msgspec.Struct]],
    ) -> None:
        self._link, self._clock, self._read = link, clock, read
        self._opened = False
        self._messages: deque[Published] = deque()
        self._facts: deque[msgspec.Struct] = deque()

    def open(self) -> None:
        self._link.open()
        self._opened = True

    def receive(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        deadline_s = time.monotonic() + timeout_s
        while True:
            if not self._opened or not (self._facts or self._messages):
                left_s = max(0.0, deadline_s - time.monotonic())
                self._messages.extend(self._link.receive(left_s))
            while self._messages and len(self._facts) < MAX_FACTS:
                self._facts.extend(self._read(self._messages.popleft(), self._clock()))
            if self._facts:
                count = min(len(self._facts), MAX_FACTS)
                return [self._facts.popleft() for _ in range(count)]
            if time.monotonic() >= deadline_s:
                return ()

    def close(self) -> None:
        # What is held stays: it has its own time, and may still be told after a short loss.
        self._opened = False
        self._link.close()
