"""SPAT of T/CSAE: signal states as a neighbour says them → `SignalState`s.

Only the light that shows now (start 0, or the first of a phase) is taken.
"""

from __future__ import annotations

from rsu.schema.situation import LightState, SignalGroup, SignalState
from rsu.v2x.receive.moments import of_minute
from rsu.v2x.receive.phases import MARK_MAX, TENTH_NS, flags, of_mark
from rsu.v2x.receive.quantities import Content


def read(content: Content, heard_ns: int) -> list[SignalState]:
    """SPAT in JSON form → one state for each intersection.

    A state without a readable time is dated by its hearing, as its intervals count from then.
    """
    found = []
    for one in content["intersections"]:
        dated = one if "timeStamp" in one else content
        stated = of_minute(dated.get("moy"), dated.get("timeStamp"), heard_ns)
        moment = heard_ns if stated is None else stated
        found.append(
            SignalState(
                controller="v2x",
                intersection=one["intersectionId"]["id"],
                capture_ns=moment,
                groups=tuple(_group(phase, moment) for phase in one["phases"]),
                flags=flags(one["status"]["bits"]),
            )
        )
    return found


def _group(phase: Content, moment: int) -> SignalGroup:
    states = phase["phaseStates"]
    state = next((one for one in states if _counted(one).get("startTime") == 0), states[0])
    group, light = phase["id"], LightState(state["light"])
    timing = state.get("timing", {})
    if "counting" in timing:
        count = timing["counting"]
        return SignalGroup(
            group=group,
            light=light,
            min_end_ns=_after(count.get("minEndTime"), moment),
            max_end_ns=_after(count.get("maxEndTime"), moment),
            likely_end_ns=_after(count["likelyEndTime"], moment),
        )
    marks = timing.get("utcTiming", {})
    return SignalGroup(
        group=group,
        light=light,
        start_ns=of_mark(marks.get("startUTCTime"), moment),
        min_end_ns=of_mark(marks.get("minEndUTCTime"), moment),
        max_end_ns=of_mark(marks.get("maxEndUTCTime"), moment),
        likely_end_ns=of_mark(marks.get("likelyEndUTCTime"), moment),
    )


def _counted(state: Content) -> Content:
    found: Content = state.get("timing", {}).get("counting", {})
    return found


def _after(interval: int | None, moment: int) -> int | None:
    if interval is None or interval > MARK_MAX:
        return None
    return moment + interval * TENTH_NS
