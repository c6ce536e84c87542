"""Traveller information of J2735: road events and signs in, message values in JSON form out.

Each fact is one TravelerDataFrame whose content is its ITIS code, with its description as text
beside it for people; a fact without a code is not spoken of. The form follows public practice (the
samples of jpo-ode and V2X-Hub):

- Events are `advisory`, signs `roadSignage`. Both have a roadSignID with the fact's own position;
  mutcdCode is left out for signs, since the site file names no MUTCD category.
- The part of the road is the lanes of the fact, each a path in the direction of travel; without
  lanes on the map a circle of its radius; without a radius just its position.
- Times are whole minutes: startTime down, the end up. An event without an expected end holds until
  a minute after the message, and is said anew: a receiver forgets it soon after the unit fell
  silent. A sign without times holds for ever (32000), from the start of the year, so that its frame
  does not change from minute to minute. A window of more than 31999 minutes begins now.
- Without a trusted clock no time is stated: startTime is invalid (527040), startYear left out.
- doNotUse1 to doNotUse4 are 0. packetID, urlB and url are left out: there is nothing to look up.
"""

from __future__ import annotations

from collections.abc import Sequence

from rsu.schema.events import RoadEvent, RoadSign
from rsu.v2x import time
from rsu.v2x.sae import units
from rsu.v2x.sae.places import ALL_HEADINGS, Places, heading_slices
from rsu.v2x.steps import OutOfRangeError
from rsu.v2x.time import MINUTE_OF_YEAR_UNAVAILABLE, NS_PER_MINUTE
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

FRAMES = 8
"""TravelerDataFrameList, SIZE (1..8), events and signs together."""
FOR_EVER = 32_000
"""MinutesDuration: until it is cancelled."""
CODES = (1, 65_535)
"""ITIScodes; 0 names nothing."""
ADVISORY_TEXT, SIGN_TEXT = 500, 16
"""Characters of ITIStext and of ITIStextPhrase."""

Fact = RoadEvent | RoadSign


class TimWriter:
    """What one unit writes; a `rsu.v2x.writers.EventWriter`.

    A message holds eight facts, however they divide: more raise OutOfRangeError, and the caller
    makes two messages of them.
    """

    events_max = FRAMES
    signs_max = FRAMES

    def __init__(self, unit: Unit) -> None:
        self._places = Places(unit)

    def speaks_of(self, fact: Fact) -> bool:
        """Facts that have an ITIS code."""
        return fact.itis is not None and CODES[0] <= fact.itis <= CODES[1]

    def content(
        self,
        count: int,
        time_ns: int | None,
        events: Sequence[RoadEvent],
        signs: Sequence[RoadSign],
    ) -> Content:
        """TravelerInformation of 1..8 facts.

        Raises OutOfRangeError for none or more, and for a fact that has no code, no place in the
        message, or no urgency of 0..7.
        """
        facts: list[Fact] = [*events, *signs]
        if not facts:
            raise OutOfRangeError("no event and no sign")
        units.at_most("events and signs", facts, FRAMES)
        message: Content = {"msgCnt": count}
        if time_ns is not None:
            message["timeStamp"] = time.minute_of_year(time_ns)
        message["dataFrames"] = [self._frame(fact, time_ns) for fact in facts]
        return message

    def _frame(self, fact: Fact, time_ns: int | None) -> Content:
        lanes = self._places.lanes(fact.lanes)
        event = isinstance(fact, RoadEvent)
        sign: Content = {
            "position": self._places.position(fact.position),
            "viewAngle": dict(ALL_HEADINGS) if event else heading_slices(lanes),
        }
        if event:
            sign["mutcdCode"] = "warning"
        return {
            "doNotUse1": 0,
            "frameType": "advisory" if event else "roadSignage",
            "msgId": {"roadSignID": sign},
            **(_no_window(fact) if time_ns is None else _window(fact, time_ns)),
            "priority": units.number("severity", fact.severity, 0, 7),
            "doNotUse2": 0,
            "regions": self._places.paths(lanes) or [self._around(fact)],
            "doNotUse3": 0,
            "doNotUse4": 0,
            "content": _content(fact),
        }

    def _around(self, fact: Fact) -> Content:
        place: Content = {"anchor": self._places.position(fact.position)}
        if isinstance(fact, RoadEvent) and fact.radius > 0:
            place["directionality"] = "both"
            place["closedPath"] = True
            place["description"] = {
                "geometry": {
                    "direction": dict(ALL_HEADINGS),
                    "circle": self._places.circle(fact.position, fact.radius),
                }
            }
        return place


def _content(fact: Fact) -> Content:
    items: list[Content] = [{"item": {"itis": units.number("ITIS code", fact.itis or 0, *CODES)}}]
    if isinstance(fact, RoadEvent):
        name, words = "advisory", units.text(fact.description, ADVISORY_TEXT)
    else:
        name, words = "genericSign", units.text(fact.description, SIGN_TEXT)
    if words is not None:
        items.append({"item": {"text": words}})
    return {name: items}


def _no_window(fact: Fact) -> Content:
    # A receiver that takes an invalid start for now must not keep an event for ever.
    duration = 1 if isinstance(fact, RoadEvent) else FOR_EVER
    return {"startTime": MINUTE_OF_YEAR_UNAVAILABLE, "durationTime": duration}


def _window(fact: Fact, time_ns: int) -> Content:
    if fact.start_ns is not None:
        start_ns = fact.start_ns
    else:
        start_ns = time_ns - time.minute_of_year(time_ns) * NS_PER_MINUTE
    end_ns = fact.end_ns
    if end_ns is None and isinstance(fact, RoadEvent):
        end_ns = max(time_ns, start_ns) + NS_PER_MINUTE
    duration = FOR_EVER if end_ns is None else _minutes(start_ns, end_ns)
    if end_ns is not None and duration >= FOR_EVER:
        start_ns = max(start_ns, time_ns)
        duration = min(_minutes(start_ns, end_ns), FOR_EVER - 1)
    return {
        "startYear": units.year(start_ns),
        "startTime": time.minute_of_year(start_ns),
        "durationTime": units.number("duration", duration, 0, FOR_EVER),
    }


def _minutes(start_ns: int, end_ns: int) -> int:
    return -(-end_ns // NS_PER_MINUTE) - start_ns // NS_PER_MINUTE
