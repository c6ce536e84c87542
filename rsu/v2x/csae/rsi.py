"""Roadside information of T/CSAE 53-2020: road events and signs in, message values out.

An event or sign is spoken of where it has a code of the set's own tables (GB/T 29100-2012 events,
GB 5768.2 signs); without one there is no way to name it. What is left out: the radius of an event
whose extent is not known (0), lanes that the map does not have, an end that has passed while the
event goes on, times where the clock cannot be trusted, endTimeConfidence (nobody states it).

rteId and rtsId have 8 bits: `ShortIds` gives each event and sign one that it keeps.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from rsu.schema.events import EventPhase, RoadEvent, RoadSign
from rsu.v2x import time
from rsu.v2x.csae import units
from rsu.v2x.csae.place import Place
from rsu.v2x.csae.words import description, time_details
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

EVENTS_MAX = 8
"""RTEList, SIZE (1..8)."""
SIGNS_MAX = 16
"""RTSList, SIZE (1..16)."""
SHORT_IDS = 256
"""rteId and rtsId are 0..255."""

_CODES = range(65_536)
"""EventType, SignType."""
_PRIORITY_SHIFT = 5
"""The upper three bits of RSIPriority are the priority."""


class ShortIds:
    """Numbers 0..255 of events or signs, each kept for as long as it may still be needed.

    The wish is `id` mod 256, which is the same after a restart. Where another holds that, the next
    free one up is taken; with all 256 held, that of what was said the longest ago.
    """

    def __init__(self) -> None:
        self._held: dict[int | str, int] = {}  # in the order of being said last

    def number(self, name: int | str, wish: int) -> int:
        """The number of what is about to be said."""
        number = self._held.pop(name, None)
        if number is None:
            taken = set(self._held.values())
            if len(taken) < SHORT_IDS:
                number = wish % SHORT_IDS
                while number in taken:
                    number = (number + 1) % SHORT_IDS
            else:
                number = self._held.pop(next(iter(self._held)))
        self._held[name] = number
        return number


class RsiWriter:
    """What one unit writes; a `rsu.v2x.writers.EventWriter`."""

    events_max = EVENTS_MAX
    signs_max = SIGNS_MAX

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._place = Place(unit)
        self._event_ids = ShortIds()
        self._sign_ids = ShortIds()

    def speaks_of(self, fact: RoadEvent | RoadSign) -> bool:
        """Whether the fact has a code."""
        return fact.code in _CODES

    def content(
        self,
        count: int,
        time_ns: int | None,
        events: Sequence[RoadEvent],
        signs: Sequence[RoadSign],
    ) -> Content:
        """RoadSideInformation of these; with no `time_ns`, no times at all.

        An event in its END phase is stated with the minute of its end. Raises OutOfRangeError for
        too many, none, an unspeakable one, a place or extent out of range, and the end of an event
        without a time to state it.
        """
        units.at_most("events", events, EVENTS_MAX)
        units.at_most("signs", signs, SIGNS_MAX)
        if not events and not signs:
            raise units.OutOfRangeError("neither events nor signs")
        out: Content = {"msgCnt": count}
        if time_ns is not None:
            out["moy"] = time.minute_of_year(time_ns)
        out["id"] = self._unit.rsu_id
        out["refPos"] = dict(self._place.reference)
        if events:
            out["rtes"] = [self._event(event, time_ns) for event in events]
        if signs:
            out["rtss"] = [self._sign(sign, time_ns) for sign in signs]
        return out

    def _event(self, event: RoadEvent, now_ns: int | None) -> Content:
        out: Content = {
            "rteId": self._event_ids.number(event.id, event.id),
            "eventType": _code(event),
            "eventSource": event.origin.value,
            "eventPos": self._place.points([event.position])[0],
        }
        if event.radius:
            out["eventRadius"] = units.radius(event.radius)
        return {
            **out,
            **description(event.description),
            **time_details(now_ns, event.start_ns, _end(event, now_ns)),
            "priority": _priority(event.severity),
            **self._place.roads(event.lanes),
            "eventConfidence": units.confidence(event.confidence),
        }

    def _sign(self, sign: RoadSign, now_ns: int | None) -> Content:
        return {
            "rtsId": self._sign_ids.number(sign.id, zlib.crc32(sign.id.encode())),
            "signType": _code(sign),
            "signPos": self._place.points([sign.position])[0],
            **description(sign.description),
            **time_details(now_ns, sign.start_ns, sign.end_ns),
            "priority": _priority(sign.severity),
            **self._place.roads(sign.lanes),
        }


def _code(fact: RoadEvent | RoadSign) -> int:
    if fact.code is None:
        raise units.OutOfRangeError("an event or sign without a code")
    return units.number("code", fact.code, 0, 65_535)


def _end(event: RoadEvent, now_ns: int | None) -> int | None:
    if event.phase is EventPhase.END:
        if now_ns is None:
            raise units.OutOfRangeError("the end of an event, and no time to state it")
        return min(event.time_ns, now_ns)
    # Expected to be over, and yet it holds: the expectation was wrong.
    overdue = event.end_ns is not None and event.end_ns < max(event.time_ns, now_ns or 0)
    return None if overdue else event.end_ns


def _priority(severity: int) -> str:
    return f"{units.number('severity', severity, 0, 7) << _PRIORITY_SHIFT:02x}"
