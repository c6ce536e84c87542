"""A radar whose JSON documents come by an MQTT broker, read by the mapping of its options."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rsu.config.place import PlaceOptions
from rsu.config.radars import JsonMqttRadarOptions
from rsu.hal.mqtt import MqttSubscriber
from rsu.hal.radar.json_lists import JsonLists
from rsu.schema.units import Instant


class JsonMqttRadar:
    """One radar; facts are `RadarObjects`. A retained message is dropped: its age is unknown."""

    def __init__(
        self,
        options: JsonMqttRadarOptions,
        base: Path,
        clock: Callable[[], Instant],
        place: PlaceOptions,
    ) -> None:
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self.dropped = self._counts
        self._lists = JsonLists(options, place, self._counts)
        self._link = MqttSubscriber(options, base, f"rsu-{place.id}-{options.id}", self._counts)

    def open(self) -> None:
        self._link.open()

    def receive(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        deadline_s = time.monotonic() + timeout_s
        while True:
            left_s = max(0.0, deadline_s - time.monotonic())
            facts: list[msgspec.Struct] = []
            for message in self._link.receive(left_s):
                if message.retained:
                    self._counts["retained"] += 1
                    continue
                found = self._lists.document(message.payload, self._clock())
                if found is not None:
                    facts.append(found)
            if facts or time.monotonic() >= deadline_s:
                return facts

    def close(self) -> None:
        self._link.close()
