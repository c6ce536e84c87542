"""A weather or road sensor whose JSON comes by an MQTT broker, read by the mapping of its options.

Facts are `EnvironmentReading`s, one for each quantity of a document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rsu.config.environment import MqttEnvironmentOptions
from rsu.config.place import PlaceOptions
from rsu.hal.environment.json_readings import EnvironmentReadings
from rsu.hal.mqtt import MqttSubscriber
from rsu.hal.mqtt_facts import MqttFacts
from rsu.schema.units import Instant


class MqttEnvironment:
    """One station."""

    def __init__(
        self,
        options: MqttEnvironmentOptions,
        base: Path,
        clock: Callable[[], Instant],
        place: PlaceOptions,
    ) -> None:
        counts: Counter[str] = Counter()
        self.dropped = counts
        readings = EnvironmentReadings(options, counts)
        link = MqttSubscriber(options, base, f"rsu-{place.id}-{options.id}", counts)
        self._facts = MqttFacts(
            link,
            clock,
            lambda message, now: readings.document(message.payload, now, retained=message.retained),
        )

    def open(self) -> None:
        self._facts.open()

    def receive(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        return self._facts.receive(timeout_s)

    def close(self) -> None:
        self._facts.close()
