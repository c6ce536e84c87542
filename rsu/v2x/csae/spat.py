"""Signal phase and timing of T/CSAE 53-2020: what a controller said in, message values out.

Each phase states the light that shows and how long it may: the controller says nothing of the
lights that follow, so none is stated. All times count from `capture_ns`, which the message states
as its own moment, at both levels that have a place for it. Ends are rounded so that no window gets
narrower than the controller's: minEndTime down, maxEndTime up, likelyEndTime to the nearest.

Where the controller's word has been overtaken: an earliest end in the past is 0, since the light
may end any moment; a latest or a likely end in the past has been refuted by the light that still
shows, so it is left out or unknown. A likely end outside the controller's own window is unknown,
and so is one that was never given, unless earliest and latest end are the same. An earliest end
after the latest one makes all of them unbelievable, so no timing is stated.
"""

from __future__ import annotations

from rsu.schema.signals import ControllerFlag, LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_S
from rsu.v2x import time
from rsu.v2x.csae import units
from rsu.v2x.csae.place import Place
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

PHASES = 16
"""PhaseList, SIZE (1..16)."""
HOUR = 36_000
"""TimeMark: an hour away or more (0.1 s)."""
UNKNOWN = 36_001
"""TimeMark: unknown."""

_STEP_NS = NS_PER_S // 10
_FLAG_BITS = {
    ControllerFlag.MANUAL: 0,
    ControllerFlag.STOP_TIME: 1,
    ControllerFlag.FAILURE_FLASH: 2,
    ControllerFlag.PREEMPT: 3,
    ControllerFlag.PRIORITY: 4,
    ControllerFlag.FIXED_TIME: 5,
    ControllerFlag.TRAFFIC_DEPENDENT: 6,
    ControllerFlag.STANDBY: 7,
    ControllerFlag.FAILURE: 8,
    ControllerFlag.OFF: 9,
}
_NO_VALID_SPAT = 13


class SpatWriter:
    """What one unit writes; a `rsu.v2x.writers.SignalWriter`."""

    def __init__(self, unit: Unit) -> None:
        self._place = Place(unit)

    def content(self, count: int, state: SignalState) -> Content:
        """SPAT of one intersection as of `state.capture_ns`.

        Raises OutOfRangeError for no groups or more than 16, and for numbers that are no PhaseID
        or occur twice.
        """
        units.at_most("signal groups", state.groups, PHASES)
        groups = [group.group for group in state.groups]
        if not groups or len(set(groups)) < len(groups):
            raise units.OutOfRangeError(f"signal groups {groups}: none, or one of them twice")
        moment = {
            "moy": time.minute_of_year(state.capture_ns),
            "timeStamp": time.dsecond(state.capture_ns),
        }
        return {
            "msgCnt": count,
            **moment,
            "intersections": [
                {
                    "intersectionId": self._place.node(state.intersection),
                    "status": units.bits(16, _status(state)),
                    **moment,
                    "phases": [_phase(group, state.capture_ns) for group in state.groups],
                }
            ],
        }


def _status(state: SignalState) -> list[int]:
    said = [_FLAG_BITS[flag] for flag in state.flags]
    dumb = all(group.light is LightState.UNAVAILABLE for group in state.groups)
    return [*said, _NO_VALID_SPAT] if dumb else said


def _phase(group: SignalGroup, now_ns: int) -> Content:
    running: Content = {"light": group.light.value}
    # Of a light that is not known no end can be known. A dark one is a light like others.
    if group.light is not LightState.UNAVAILABLE:
        timing = _counting(group, now_ns)
        if timing is not None:
            running["timing"] = {"counting": timing}
    return {"id": units.number("signal group", group.group, 1, 255), "phaseStates": [running]}


def _counting(group: SignalGroup, now_ns: int) -> Content | None:
    """TimeCountingDown of the light that shows; None where no end is known."""
    low, high, likely = (
        None if end is None else end - now_ns
        for end in (group.min_end_ns, group.max_end_ns, group.likely_end_ns)
    )
    if low is not None and high is not None and low > high:
        return None  # no window: nothing that this controller says of the end can be believed
    if likely is None and low == high:
        likely = low
    high = None if high is None or high < 0 else high
    if likely is not None and (
        likely < 0 or (low is not None and likely < low) or (high is not None and likely > high)
    ):
        likely = None
    if low is None and high is None and likely is None:
        return None
    timing: Content = {"startTime": 0}
    if low is not None:
        timing["minEndTime"] = _mark(max(low, 0) // _STEP_NS)
    if high is not None:
        timing["maxEndTime"] = _mark(-(-high // _STEP_NS))
    timing["likelyEndTime"] = (
        UNKNOWN if likely is None else _mark((2 * likely + _STEP_NS) // (2 * _STEP_NS))
    )
    return timing


def _mark(steps: int) -> int:
    return min(steps, HOUR)
