"""SPAT of SAE J2735: signal states as a neighbour says them → `SignalState`s."""

from __future__ import annotations

from rsu.schema.situation import LightState, SignalGroup, SignalState
from rsu.v2x.receive.moments import of_minute
from rsu.v2x.receive.phases import flags, of_mark
from rsu.v2x.receive.quantities import Content

_LIGHT = {
    "unavailable": LightState.UNAVAILABLE,
    "dark": LightState.DARK,
    "stop-Then-Proceed": LightState.FLASHING_RED,
    "stop-And-Remain": LightState.RED,
    # Red and yellow together: nobody may go yet.
    "pre-Movement": LightState.RED,
    "permissive-Movement-Allowed": LightState.PERMISSIVE_GREEN,
    "protected-Movement-Allowed": LightState.PROTECTED_GREEN,
    "permissive-clearance": LightState.YELLOW,
    "protected-clearance": LightState.YELLOW,
    "caution-Conflicting-Traffic": LightState.FLASHING_YELLOW,
}


def read(content: Content, heard_ns: int) -> list[SignalState]:
    """SPAT in JSON form → one state for each intersection; undated ones are dated by hearing."""
    found = []
    for one in content["intersections"]:
        minute = one.get("moy", content.get("timeStamp"))
        stated = of_minute(minute, one.get("timeStamp"), heard_ns)
        moment = heard_ns if stated is None else stated
        found.append(
            SignalState(
                controller="v2x",
                intersection=one["id"]["id"],
                capture_ns=moment,
                groups=tuple(_group(state, moment) for state in one["states"]),
                flags=flags(one["status"]["bits"]),
            )
        )
    return found


def _group(state: Content, moment: int) -> SignalGroup:
    now = state["state-time-speed"][0]
    timing = now.get("timing", {})
    return SignalGroup(
        group=state["signalGroup"],
        light=_LIGHT[now["eventState"]],
        start_ns=of_mark(timing.get("startTime"), moment),
        min_end_ns=of_mark(timing.get("minEndTime"), moment),
        max_end_ns=of_mark(timing.get("maxEndTime"), moment),
        likely_end_ns=of_mark(timing.get("likelyTime"), moment),
    )
