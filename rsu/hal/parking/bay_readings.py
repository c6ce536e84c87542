"""Any vendor's JSON → bay readings, as the mapping in the site file says. Pure.

What is not what the mapping describes is refused by reason code: a document as a whole, a reading
alone. A reading's time is looked for in the reading first, then in the document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from rsu.config.parking import BayMqttOptions
from rsu.hal.json_fields import (
    Refused,
    looked_up,
    measured_ns,
    parsed,
    share_value,
    value_at,
)
from rsu.hal.stamps import StampGuard
from rsu.schema.devices import BayReading
from rsu.schema.units import Instant

MAX_READINGS = 512
"""Longest list that is read: a gateway serves some hundred sensors."""
MAX_NAME = 64
"""Longest name of a bay, as in `rsu.config.parking`."""
_UNKNOWN = 0.5
"""Probability of a bay of which nothing is known (even odds)."""


class BayReadings:
    """Reads documents of one gateway; `dropped` counts what was thrown away, by reason."""

    def __init__(self, options: BayMqttOptions, dropped: Counter[str]) -> None:
        self._options = options
        self._mapping = options.mapping
        self._dropped = dropped
        self._guard = StampGuard(options.max_age_s, options.max_ahead_s)
        hit, alarm = options.reliability.detects, options.reliability.false_alarm
        # Bayes with even odds: what a reading by itself says of the bay.
        self._probability = {
            True: hit / (hit + alarm),
            False: (1.0 - hit) / (2.0 - hit - alarm),
            None: _UNKNOWN,
        }

    def document(
        self, topic: str, octets: bytes, now: Instant, *, retained: bool = False
    ) -> Iterator[BayReading]:
        """The readings of one message that arrived `now`; what is refused is counted.

        A `retained` message is as old as its own time says, and refused where it states none.
        """
        try:
            if retained and self._mapping.time.format == "arrival":
                raise Refused("retained")
            document = parsed(octets)
            items = self._items(document)
        except Refused as reason:
            self._dropped[str(reason)] += 1
            return
        for item in items:
            try:
                yield self._reading(topic, document, item, now)
            except Refused as reason:
                self._dropped[str(reason)] += 1

    def _items(self, document: Any) -> list[Any]:
        device = self._mapping.device
        if device is not None and str(value_at(document, device.path)) != str(device.equals):
            raise Refused("other_device")
        found = value_at(document, self._mapping.readings)
        if isinstance(found, dict):
            return [found]
        if not isinstance(found, list):
            raise Refused("no_reading")
        if len(found) > MAX_READINGS:
            raise Refused("list_too_long")
        return found

    def _reading(self, topic: str, document: Any, item: Any, now: Instant) -> BayReading:
        mapping, options = self._mapping, self._options
        if not isinstance(item, dict | list):
            raise Refused("bad_reading")
        bay = self._bay(topic, item)
        if value_at(item, mapping.occupied.path) is None:
            raise Refused("bad_reading")
        occupied: bool | None = looked_up(item, mapping.occupied, None)
        time = mapping.time
        dated = item if time.path and value_at(item, time.path) is not None else document
        capture_ns = measured_ns(dated, time, options.latency_s, now)
        refusal = self._guard.refusal(bay, capture_ns, now)
        if refusal is not None and time.format != "arrival":
            raise Refused(refusal)
        return BayReading(
            sensor=options.id,
            bay=bay,
            capture_ns=capture_ns,
            occupied=occupied,
            probability=self._probability[occupied],
            battery=share_value(item, mapping.battery),
        )

    def _bay(self, topic: str, item: Any) -> str:
        mapping = self._mapping
        name: Any
        if mapping.topic_level is not None:
            levels = topic.split("/")
            name = levels[mapping.topic_level] if mapping.topic_level < len(levels) else None
        else:
            name = value_at(item, mapping.bay or "")
        if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
            raise Refused("bad_reading")
        bays = self._options.bays
        bay = str(name) if bays is None else bays.get(str(name))
        if bay is None:
            raise Refused("unknown_bay")
        if len(bay) > MAX_NAME:
            raise Refused("bad_reading")
        return bay
