"""Rules of the SAE messages that their ASN.1 does not hold: unique, resolvable, not yet over.

In: a decoded frame of `j2735_2024` and, where known, the moment it was captured. Out: findings.
Facts: j2735-2024-fields.md, sae.md 2. The texts of SAE's application standards were not at hand, so
nothing here is "mandatory by profile" beyond what makes a message unusable.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rsu.v2x.inspector.finding import Finding, error, note, warning
from rsu.v2x.inspector.rules_csae import HALF_YEAR_MIN
from rsu.v2x.time import MINUTE_OF_YEAR_UNAVAILABLE, minute_of_year

FOR_EVER = 32_000
"""MinutesDuration."""


def sae_rules(value: Any, time_ns: int | None = None) -> list[Finding]:
    """Findings on one decoded frame; none for a message without rules here."""
    inner = value["value"]
    if not isinstance(inner, dict):
        text = f"message {value['messageId']} is carried as octets: its content is not checked"
        return [warning("value", text, "SAE J2735 2024, DSRCmsgID")]
    ((name, content),) = inner.items()
    rules = _RULES.get(name)
    return list(rules(f"value.{name}", content, time_ns)) if rules else []


def _spat(where: str, content: Any, _: int | None) -> Iterator[Finding]:
    basis = "SAE J2735 2024, IntersectionState"
    yield from _twice(f"{where}.intersections", content["intersections"], _reference, basis)
    for at, junction in enumerate(content["intersections"]):
        path = f"{where}.intersections[{at}]"
        if "timeStamp" not in junction:
            yield warning(path, "no timeStamp: the age of the state is unknown", basis)
        if "moy" not in junction and "timeStamp" not in content:
            yield warning(path, "no minute of the year: the age of the state is unknown", basis)
        groups = [(each["signalGroup"],) for each in junction["states"]]
        yield from _twice(f"{path}.states", groups, lambda each: each[0], basis)
        for position, state in enumerate(junction["states"]):
            if state["signalGroup"] == 0:
                yield warning(f"{path}.states[{position}].signalGroup", "0 is unknown", basis)


def _map(where: str, content: Any, _: int | None) -> Iterator[Finding]:
    basis = "SAE J2735 2024, IntersectionGeometry and GenericLane"
    if not {"intersections", "roadSegments"} & content.keys():
        yield warning(where, "has neither intersections nor road segments", basis)
    junctions = content.get("intersections", [])
    yield from _twice(f"{where}.intersections", junctions, _reference, basis)
    for at, junction in enumerate(junctions):
        path = f"{where}.intersections[{at}]"
        lanes = [lane["laneID"] for lane in junction["laneSet"]]
        yield from _twice(f"{path}.laneSet", [(each,) for each in lanes], lambda e: e[0], basis)
        here = junction["id"]
        for position, lane in enumerate(junction["laneSet"]):
            for turn in lane.get("connectsTo", ()):
                elsewhere = turn.get("remoteIntersection", here) != here
                target = turn["connectingLane"]["lane"]
                if not elsewhere and target not in lanes:
                    text = f"connects to lane {target}, which the intersection does not have"
                    yield error(f"{path}.laneSet[{position}].connectsTo", text, basis)


def _sdsm(where: str, content: Any, _: int | None) -> Iterator[Finding]:
    basis = "SAE J3224 2024, DetectedObjectCommonData"
    ids = [(each["detObjCommon"]["objectID"],) for each in content["objects"]]
    yield from _twice(f"{where}.objects", ids, lambda each: each[0], basis)
    if content["equipmentType"] == "unknown":
        yield note(f"{where}.equipmentType", "the sender does not say what it is", basis)


def _tim(where: str, content: Any, time_ns: int | None) -> Iterator[Finding]:
    basis = "SAE J2735 2024, TravelerDataFrame"
    for at, frame in enumerate(content["dataFrames"]):
        start, lasts = frame["startTime"], frame["durationTime"]
        if start >= MINUTE_OF_YEAR_UNAVAILABLE or lasts == FOR_EVER or time_ns is None:
            continue
        since = minute_of_year(time_ns) - start
        if 0 <= since - lasts < HALF_YEAR_MIN:
            text = f"over since {since - lasts} min"
            yield error(f"{where}.dataFrames[{at}]", text, basis)
        elif -HALF_YEAR_MIN < since < 0:
            yield note(f"{where}.dataFrames[{at}].startTime", f"begins in {-since} min", basis)


def _twice(
    where: str, items: list[Any], name: Callable[[Any], Any], basis: str
) -> Iterator[Finding]:
    for number, times in Counter(map(name, items)).items():
        if times > 1:
            yield error(where, f"{times} have the id {number}", basis)


def _reference(junction: Any) -> str:
    return f"{junction['id'].get('region', 0)}/{junction['id']['id']}"


_RULES: Mapping[str, Callable[[str, Any, int | None], Iterator[Finding]]] = {
    "SPAT": _spat,
    "MapData": _map,
    "SensorDataSharingMessage": _sdsm,
    "TravelerInformation": _tim,
}
