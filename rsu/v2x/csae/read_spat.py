"""SPAT of T/CSAE: signal states as a centre tells them → `SignalState`s of this intersection.

Only the light that shows now is taken: of the states of a phase that have begun, the last. Where
that is not told, the light is unavailable.
"""

from __future__ import annotations

from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.v2x.receive.moments import of_minute
from rsu.v2x.receive.phases import MARK_MAX, TENTH_NS, is_ours, of_mark, state_of
from rsu.v2x.receive.quantities import Content
from rsu.v2x.unit import Unit


def read(content: Content, unit: Unit, heard_ns: int) -> list[SignalState]:
    """SPAT in JSON form → its states of `unit`'s intersection (others left out).

    A state without a readable time is dated by its hearing, as its intervals count from then.
    """
    found = []
    for one in content["intersections"]:
        if not is_ours(one["intersectionId"], unit):
            continue
        dated = one if "timeStamp" in one else content
        stated = of_minute(dated.get("moy"), dated.get("timeStamp"), heard_ns)
        moment = heard_ns if stated is None else stated
        groups = [_group(phase, moment) for phase in one["phases"]]
        found.append(state_of(unit, moment, one["status"]["bits"], groups))
    return found


def _group(phase: Content, moment: int) -> SignalGroup:
    group, state = phase["id"], _showing(phase["phaseStates"], moment)
    if state is None:
        return SignalGroup(group=group, light=LightState.UNAVAILABLE)
    light = LightState(state["light"])
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


def _showing(states: list[Content], moment: int) -> Content | None:
    """The state that has begun last, or the only one that does not say when it begins."""
    starts = [_start(state, moment) for state in states]
    begun = [start for start in starts if start is not None and start <= moment]
    wanted = max(begun) if begun else None
    found = [state for state, start in zip(states, starts, strict=True) if start == wanted]
    return found[0] if len(found) == 1 else None


def _start(state: Content, moment: int) -> int | None:
    timing = state.get("timing", {})
    if "counting" in timing:
        return _after(timing["counting"]["startTime"], moment)
    return of_mark(timing.get("utcTiming", {}).get("startUTCTime"), moment)


def _after(interval: int | None, moment: int) -> int | None:
    if interval is None or interval > MARK_MAX:
        return None
    return moment + interval * TENTH_NS
