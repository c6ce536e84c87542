"""Rules of the CSAE messages that their ASN.1 does not hold: mandatory, unique, in order.

In: a decoded frame of any CSAE profile and, where known, the moment it was captured. Out:
findings, each with its clause or table. Facts: csae.md 2 and 5, csae53-2020-fields.md,
csae157-2020-fields.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from rsu.v2x.inspector.finding import Finding, error, note, warning
from rsu.v2x.inspector.plausibility import distance_m, position_of
from rsu.v2x.time import MINUTE_OF_YEAR_UNAVAILABLE, minute_of_year

T159 = "T/CSAE 159-2020, 7.2 and 7.3"
T53 = "T/CSAE 53-2020, data frames"
TIME_MARK_LAST = 36_000
"""0.1 s; above are codes."""
PARTICIPANTS_WITHIN_M = 1000.0
"""What a roadside unit's sensors can see, with room: three times the longest warning range."""
HALF_YEAR_MIN = 183 * 24 * 60
"""Minutes of the year are compared the short way round."""

_MARKS_IN_ORDER = ("startTime", "minEndTime", "likelyEndTime", "maxEndTime")


def csae_rules(value: Any, time_ns: int | None = None) -> list[Finding]:
    """Findings on one decoded frame; none for a message without rules here."""
    ((key, content),) = value.items()
    where = key
    if key == "msgFrameExt":
        inner = content["value"]
        if not isinstance(inner, dict):
            text = f"message {content['messageId']} is not known to this profile"
            return [warning("msgFrameExt.value", text, "T/CSAE 157-2020, MessageFrameExt")]
        ((key, content),) = inner.items()
        where = f"msgFrameExt.value.{key}"
    rules = _RULES.get(key)
    return list(rules(where, content, time_ns)) if rules else []


def _participants(where: str, content: Any, _: int | None) -> Iterator[Finding]:
    """RSM: the unit itself is participant 0, everybody else has an id of 1..255, each one once."""
    people = content["participants"]
    own = [at for at, each in enumerate(people) if each["ptcId"] == 0]
    if not own:
        text = "no participant 0: an RSM must contain the unit itself"
        yield error(f"{where}.participants", text, T159)
    for at in own:
        path = f"{where}.participants[{at}]"
        if people[at]["ptcType"] != "rsu":
            text = f"participant 0 is the unit itself, not {people[at]['ptcType']}"
            yield error(f"{path}.ptcType", text, T159)
        if people[at]["source"] != "selfinfo":
            text = f"the unit knows itself by selfinfo, not {people[at]['source']}"
            yield warning(f"{path}.source", text, T53)
    yield from _ids(f"{where}.participants", [each["ptcId"] for each in people])
    yield from _moments(f"{where}.participants", [each["secMark"] for each in people])
    for at, each in enumerate(people):
        yield from _near(f"{where}.participants[{at}]", each, content["refPos"])


def _ids(where: str, ids: list[int]) -> Iterator[Finding]:
    for number, times in Counter(ids).items():
        if times > 1:
            text = f"{times} participants have the id {number}"
            yield error(where, text, T159)
    for at, number in enumerate(ids):
        if number > 255:
            yield error(f"{where}[{at}].ptcId", f"{number} is outside 0..255", T159)


def _moments(where: str, marks: list[int]) -> Iterator[Finding]:
    """One RSM is one scene: its states belong within a second (of 60 000 ms, the short way)."""
    spread = max(
        (abs((one - marks[0] + 30_000) % 60_000 - 30_000) for one in marks if one < 60_000),
        default=0,
    )
    if marks[0] < 60_000 and spread > 1000:
        text = f"the participants' moments lie {spread / 1000:g} s apart"
        yield warning(where, text, "T/CSAE 53-2020, secMark")


def _near(where: str, participant: Any, reference: Any) -> Iterator[Finding]:
    origin = position_of(reference)
    ((kind, offset),) = participant["pos"]["offsetLL"].items()
    if origin is None:
        return
    if kind == "position-LatLon":
        place = position_of(offset)
        if place is None:
            return
    else:
        place = origin[0] + offset["lat"] / 1e7, origin[1] + offset["lon"] / 1e7
    away = distance_m(origin, place)
    if away > PARTICIPANTS_WITHIN_M:
        text = f"{away:.0f} m from the reference position"
        yield warning(f"{where}.pos", text, "csae.md 5: warning ranges of 150 to 300 m")


def _sensor_sharing(where: str, content: Any, _: int | None) -> Iterator[Finding]:
    people = content.get("participants", [])
    ids = Counter(each["ptc"]["ptcId"] for each in people)
    for number, times in ids.items():
        if times > 1 and number:
            yield error(f"{where}.participants", f"{times} have the id {number}", T53)
    if not {"participants", "obstacles", "rtes"} & content.keys():
        text = "shares neither participants nor obstacles nor events"
        yield note(where, text, "T/CSAE 157-2020, SensorSharingMsg")


def _spat(where: str, content: Any, _: int | None) -> Iterator[Finding]:
    basis = "T/CSAE 53-2020, SPAT"
    seen = Counter(_node_id(each["intersectionId"]) for each in content["intersections"])
    for number, times in seen.items():
        if times > 1:
            yield error(f"{where}.intersections", f"{times} have the id {number}", basis)
    for at, junction in enumerate(content["intersections"]):
        path = f"{where}.intersections[{at}]"
        for member in ("moy", "timeStamp"):
            if member not in content and member not in junction:
                text = f"neither the message nor the intersection has {member}"
                yield warning(path, f"{text}: the age of the state is unknown", basis)
        for number, times in Counter(phase["id"] for phase in junction["phases"]).items():
            if times > 1:
                yield error(f"{path}.phases", f"{times} phases have the id {number}", basis)
        for position, phase in enumerate(junction["phases"]):
            yield from _phase(f"{path}.phases[{position}]", phase)


def _phase(where: str, phase: Any) -> Iterator[Finding]:
    basis = "T/CSAE 53-2020, PhaseState and TimeCountingDown"
    now = []
    for at, state in enumerate(phase["phaseStates"]):
        path = f"{where}.phaseStates[{at}]"
        if "timing" not in state:
            yield note(path, "no timing: how long this light lasts is not told", basis)
            continue
        ((kind, timing),) = state["timing"].items()
        if kind != "counting":
            continue  # marks within the hour wrap, so their order says nothing
        if timing["startTime"] == 0:
            now.append(at)
        marks = [(name, timing.get(name, TIME_MARK_LAST)) for name in _MARKS_IN_ORDER]
        stated = [(name, mark) for name, mark in marks if mark < TIME_MARK_LAST]
        for (one, earlier), (other, later) in pairwise(stated):
            if earlier > later:
                text = f"{one} {earlier} is after {other} {later}"
                yield error(f"{path}.timing.counting", text, basis)
    counted = [each for each in phase["phaseStates"] if "counting" in each.get("timing", {})]
    if len(counted) == len(phase["phaseStates"]) and len(now) != 1:
        text = f"{len(now)} lights begin at 0: exactly one is showing"
        yield warning(f"{where}.phaseStates", text, basis)


def _map(where: str, content: Any, _: int | None) -> Iterator[Finding]:
    basis = "T/CSAE 53-2020, MapData"
    numbers = Counter(_node_id(node["id"]) for node in content["nodes"])
    for number, times in numbers.items():
        if times > 1:
            yield error(f"{where}.nodes", f"{times} nodes have the id {number}", basis)
    for at, node in enumerate(content["nodes"]):
        path = f"{where}.nodes[{at}]"
        if "inLinks" not in node and "inLinks-ex" not in node:
            yield warning(path, "no link leads to this node", basis)
        for position, link in enumerate(node.get("inLinks", ())):
            yield from _link(f"{path}.inLinks[{position}]", link)


def _link(where: str, link: Any) -> Iterator[Finding]:
    basis = "T/CSAE 53-2020, Link and Lane"
    if link.get("linkWidth") == 0:  # optional in the draft of 2019
        yield warning(f"{where}.linkWidth", "a link without width", basis)
    for number, times in Counter(lane["laneID"] for lane in link["lanes"]).items():
        if times > 1:
            yield error(f"{where}.lanes", f"{times} lanes have the id {number}", basis)
    if "points" not in link and not any("points" in lane for lane in link["lanes"]):
        yield warning(where, "neither the link nor a lane has points", basis)
    for at, lane in enumerate(link["lanes"]):
        if "laneAttributes" not in lane:
            yield note(f"{where}.lanes[{at}]", "says no type of lane", basis)
    reached = {_node_id(turn["remoteIntersection"]) for turn in link.get("movements", ())}
    for at, lane in enumerate(link["lanes"]):
        for turn in lane.get("connectsTo", ()):
            node = _node_id(turn["remoteIntersection"])
            if link.get("movements") and node not in reached:
                text = f"leads to node {node}, to which the link has no movement"
                yield warning(f"{where}.lanes[{at}].connectsTo", text, basis)


def _rsi(where: str, content: Any, time_ns: int | None) -> Iterator[Finding]:
    basis = "T/CSAE 53-2020, RoadSideInformation"
    if "rtes" not in content and "rtss" not in content:
        yield warning(where, "states neither events nor signs", basis)
    if "moy" not in content:
        yield note(f"{where}.moy", "absent: the age of the message is not told", basis)
    for group, identifier, place in (
        ("rtes", "rteId", "eventPos"),
        ("rtss", "rtsId", "signPos"),
    ):
        items = content.get(group, [])
        for number, times in Counter(item[identifier] for item in items).items():
            if times > 1:
                yield error(f"{where}.{group}", f"{times} have the id {number}", basis)
        for at, item in enumerate(items):
            path = f"{where}.{group}[{at}]"
            if not {place, "referencePaths", "referenceLinks"} & item.keys():
                yield warning(path, "says neither where it is nor which roads it concerns", basis)
            if int(item.get("priority", "00"), 16) & 0x1F:
                text = "only the upper three bits are the priority, the others are 0"
                yield warning(f"{path}.priority", text, "T/CSAE 53-2020, RSIPriority")
            yield from _valid(f"{path}.timeDetails", item.get("timeDetails", {}), time_ns)


def _valid(where: str, details: Any, time_ns: int | None) -> Iterator[Finding]:
    basis = "T/CSAE 53-2020, RSITimeDetails"
    start, end = details.get("startTime"), details.get("endTime")
    known = MINUTE_OF_YEAR_UNAVAILABLE
    if start is not None and end is not None and 0 < start - end < HALF_YEAR_MIN and start < known:
        yield error(where, f"ends (minute {end}) before it starts (minute {start})", basis)
    if time_ns is None:
        return
    now = minute_of_year(time_ns)
    if end is not None and end < known and 0 < now - end < HALF_YEAR_MIN:
        yield error(f"{where}.endTime", f"over since {now - end} min", basis)
    if start is not None and start < known and 0 < start - now < HALF_YEAR_MIN:
        yield note(f"{where}.startTime", f"begins in {start - now} min", basis)


def _node_id(node: Any) -> str:
    return f"{node.get('region', 0)}/{node['id']}"


_RULES: Mapping[str, Callable[[str, Any, int | None], Iterator[Finding]]] = {
    "rsmFrame": _participants,
    "spatFrame": _spat,
    "mapFrame": _map,
    "rsiFrame": _rsi,
    "SensorSharingMsg": _sensor_sharing,
}
