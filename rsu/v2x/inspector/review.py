"""Reviews one decoded frame: codes, limits of ranges, times, and the rules of its message.

In: profile, value and, where known, the moment the frame was captured. Out: findings. What needs
more than one frame is in `rsu.v2x.inspector.sequence`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from rsu.schema.units import NS_PER_S
from rsu.v2x.inspector.finding import Finding, error, note, warning
from rsu.v2x.inspector.nodes import Node, path_text, walk
from rsu.v2x.inspector.plausibility import DSECOND_MAX, LEAP_SECOND
from rsu.v2x.inspector.rules_csae import csae_rules
from rsu.v2x.inspector.rules_sae import sae_rules
from rsu.v2x.inspector.units import element_of
from rsu.v2x.time import MINUTE_OF_YEAR_UNAVAILABLE, MS_PER_MINUTE, dsecond, minute_of_year

ELEMENT_TABLES = {
    "csae53_2020": "T/CSAE 53-2020, data elements",
    "csae157_2020": "T/CSAE 157-2020, data elements",
    "legacy_20190724": "draft 2019-07-24, data elements",
    "j2735_2024": "SAE J2735 2024, data elements",
}
SECONDS_OFF = 1.0
"""How far a frame's second may lie from when it was captured: ten periods of a 10 Hz message."""
MINUTES_OFF = 1
"""The same for a minute of the year."""
NOT_CLAMPED = {"MinuteOfTheYear", "TimeMark", "DSecond", "TimeOffset", "Confidence"}
"""Elements whose ends mean nothing but themselves: a time or a share at its end is no clamp."""
RESERVED_IDS = {
    "PhaseID": {0: "invalid"},
    "LaneID": {0: "invalid", 255: "reserved"},
}
"""csae53-2020-fields.md; J2735: lane 0 unknown, 255 reserved."""
MINUTES_A_YEAR = 366 * 24 * 60


def review(profile: str, value: Any, time_ns: int | None = None) -> list[Finding]:
    """Findings about one decoded frame, in the order of its fields.

    `time_ns` (UTC): when it was captured or is to be judged; without it, times are not compared.
    """
    findings: list[Finding] = []
    for node in walk(profile, value):
        findings += _codes(profile, node)
        if time_ns is not None:
            findings += _times(node, time_ns)
    rules = sae_rules if profile == "j2735_2024" else csae_rules
    findings += rules(value, time_ns)
    return findings


def _codes(profile: str, node: Node) -> Iterator[Finding]:
    where, basis = path_text(node.path), ELEMENT_TABLES[profile]
    if node.kind == "ENUMERATED":
        if node.value == "unavailable":
            yield note(where, "unavailable", basis)
        elif str(node.value).startswith("reserved"):
            yield warning(where, f"{node.value} has no meaning yet", basis)
        return
    if node.kind != "INTEGER":
        return
    meaning = RESERVED_IDS.get(node.type_name, {}).get(node.value)
    if meaning is not None:
        yield warning(where, f"{node.value} is {meaning}", basis)
    if node.type_name == "DSecond" and DSECOND_MAX < node.value < 65_535:
        yield error(where, f"{node.value} is no time within a minute", basis)
        return
    element = element_of(profile, node)
    if element is None:
        return
    if node.value in element.unavailable:
        yield note(where, f"{node.value} is unavailable", basis)
    elif node.value and node.value in (node.bounds or ()) and node.type_name not in NOT_CLAMPED:
        quantity = element.si(node.value)
        if quantity is not None:
            text = f"{node.value} ({quantity:g} {element.unit}) is the limit of its range"
            yield warning(where, f"{text}: cut off?", basis)


def _times(node: Node, time_ns: int) -> Iterator[Finding]:
    """A frame's own second and minute against the moment it was captured."""
    where, basis = path_text(node.path), "age of evidence: data are valid when they are sent"
    if node.type_name == "DSecond" and node.value < LEAP_SECOND and node.container != "DDateTime":
        half = MS_PER_MINUTE // 2
        late = (dsecond(time_ns) - node.value + half) % MS_PER_MINUTE - half
        if abs(late) > SECONDS_OFF * 1000:
            way = "old" if late > 0 else "ahead"
            yield warning(where, f"{abs(late) / 1000:.1f} s {way} of when it was captured", basis)
    elif _is_now(node) and node.value < MINUTE_OF_YEAR_UNAVAILABLE:
        half = MINUTES_A_YEAR // 2
        late = (minute_of_year(time_ns) - node.value + half) % MINUTES_A_YEAR - half
        if abs(late) > MINUTES_OFF:
            way = "old" if late > 0 else "ahead"
            text = f"{abs(late)} min {way} of {_utc(time_ns)}, when it was captured"
            yield error(where, text, basis)


def _is_now(node: Node) -> bool:
    """Whether a minute of the year says when the message was made, not when something happens.

    MapData.timeStamp says when the map was made, which may be long ago.
    """
    return (
        node.type_name == "MinuteOfTheYear"
        and node.name in {"moy", "timeStamp"}
        and node.container
        in {"SPAT", "IntersectionState", "RoadSideInformation", "SignalStatusMessage"}
    )


def _utc(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // NS_PER_S, UTC).isoformat(sep=" ")
