"""SPAT of SAE J2735: signal states as a centre tells them → `SignalState`s of this intersection."""

from __future__ import annotations

from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.v2x.receive.moments import of_minute
from rsu.v2x.receive.phases import is_ours, of_mark, state_of
from rsu.v2x.receive.quantities import Content
from rsu.v2x.unit import Unit

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


def read(content: Content, unit: Unit, heard_ns: int) -> list[SignalState]:
    """SPAT in JSON form → its states of `unit`'s intersection; undated ones are dated by hearing.

    The first event of a movement is the one that holds.
    """
    found = []
    for one in content["intersections"]:
        if not is_ours(one["id"], unit):
            continue
        minute = one.get("moy", content.get("timeStamp"))
        stated = of_minute(minute, one.get("timeStamp"), heard_ns)
        moment = heard_ns if stated is None else stated
        groups = [_group(state, moment) for state in one["states"]]
        found.append(state_of(unit, moment, one["status"]["bits"], groups))
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
