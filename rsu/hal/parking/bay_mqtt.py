"""Bay sensors whose words come by an MQTT broker, read by the mapping of the options.

Facts are `BayReading`s. Brokers keep the last word of sensors that speak on change (retained): it
is taken where the sensor dates it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from rsu.config.parking import BayMqttOptions
from rsu.config.place import PlaceOptions
from rsu.hal.mqtt import MqttSubscriber
from rsu.hal.mqtt_facts import MqttFacts
from rsu.hal.parking.bay_readings import BayReadings
from rsu.schema.units import Instant


class BayMqttSensors:
    """All sensors of one gateway."""

    def __init__(
        self,
        options: BayMqttOptions,
        base: Path,
        clock: Callable[[], Instant],
        place: PlaceOptions,
    ) -> None:
        counts: Counter[str] = Counter()
        self.dropped = counts
        readings = BayReadings(options, counts)
        link = MqttSubscriber(options, base, f"rsu-{place.id}-{options.id}", counts)
        self._facts = MqttFacts(
            link,
            clock,
            lambda message, now: readings.document(
                message.topic, message.payload, now, retained=message.retained
            ),
        )

    def open(self) -> None:
        self._facts.open()

    def receive(self, timeout_s: float) -> Sequence[msgspec.Struct]:
        return self._facts.receive(timeout_s)

    def close(self) -> None:
        self._facts.close()
