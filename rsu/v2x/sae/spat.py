"""Signal phase and timing of J2735: what a controller said in, message values in JSON form out.

Each group states the light that shows and how long it may; the controller says nothing of the
lights that follow, so none is stated. moy and timeStamp are the moment the controller said so.
revision is a MsgCount without a public word on what it counts: here changes of what is said, not
messages, as in MAP.

TimeMark is 0.1 s within the hour (UTC), of this hour or the next (facts: j2735-2024-fields.md;
sae.md 4.4 has the wrap at 36000 from a public implementation), 36000 for more than an hour ahead.
Ends are rounded so that no window gets narrower than the controller's: minEndTime down, maxEndTime
up, likelyTime to the nearest.

- An earliest end that has passed, or is not known while another end is, is now: the light may end
  any moment, and the value needs no code for unknown (36001 up to 2016, 36111 since, neither from a
  public source).
- A latest or likely end that has passed was refuted by the light that still shows: left out. So is
  a likely end outside the controller's own window.
- An earliest end after the latest makes all of them unbelievable: no timing. Neither has a group
  whose light, or all of whose ends, are not known.
- startTime only where it lies in the present hour: a mark of the last one would read as the next.
"""

from __future__ import annotations

from rsu.schema.signals import ControllerFlag, LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_S
from rsu.v2x import time
from rsu.v2x.sae import units
from rsu.v2x.sae.revision import Revisions
from rsu.v2x.steps import OutOfRangeError
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

GROUPS = 254
"""SignalGroupID without 0 (unknown) and 255 (always green); MovementList holds 255."""
HOUR = 36_000
"""Marks of an hour; as a mark: more than an hour ahead."""

_STEP_NS = NS_PER_S // 10
_HOUR_NS = 3600 * NS_PER_S

# The weakest state that is true of what the controller says. It does not say whether a yellow
# follows a protected green, and flashing green is a green that ends soon.
_STATES = {
    LightState.UNAVAILABLE: "unavailable",
    LightState.DARK: "dark",
    LightState.FLASHING_RED: "stop-Then-Proceed",
    LightState.RED: "stop-And-Remain",
    LightState.FLASHING_GREEN: "permissive-Movement-Allowed",
    LightState.PERMISSIVE_GREEN: "permissive-Movement-Allowed",
    LightState.PROTECTED_GREEN: "protected-Movement-Allowed",
    LightState.YELLOW: "permissive-clearance",
    LightState.FLASHING_YELLOW: "caution-Conflicting-Traffic",
}
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
        self._region = unit.region
        self._revisions = Revisions()

    def content(self, count: int, state: SignalState) -> Content:  # noqa: ARG002  see above
        """SPAT of one intersection as of `state.capture_ns`.

        Raises OutOfRangeError for no groups, for numbers that are no SignalGroupID or occur twice,
        and for an intersection without a number.
        """
        numbers = [group.group for group in state.groups]
        if not numbers or len(set(numbers)) < len(numbers):
            raise OutOfRangeError(f"signal groups {numbers}: none, or one of them twice")
        status = units.bits(16, _status(state))
        movements = [_movement(group, state.capture_ns) for group in state.groups]
        return {
            "intersections": [
                {
                    "id": units.intersection(self._region, state.intersection),
                    "revision": self._revisions.of(state.intersection, (status, movements)),
                    "status": status,
                    "moy": time.minute_of_year(state.capture_ns),
                    "timeStamp": time.dsecond(state.capture_ns),
                    "states": movements,
                }
            ]
        }


def _status(state: SignalState) -> list[int]:
    said = [_FLAG_BITS[flag] for flag in state.flags]
    dumb = all(group.light is LightState.UNAVAILABLE for group in state.groups)
    return [*said, _NO_VALID_SPAT] if dumb else said


def _movement(group: SignalGroup, now_ns: int) -> Content:
    event: Content = {"eventState": _STATES[group.light]}
    if group.light is not LightState.UNAVAILABLE:
        timing = _timing(group, now_ns)
        if timing is not None:
            event["timing"] = timing
    return {
        "signalGroup": units.number("signal group", group.group, 1, GROUPS),
        "state-time-speed": [event],
    }


def _timing(group: SignalGroup, now_ns: int) -> Content | None:
    """TimeChangeDetails of the light that shows; None where no end is known."""
    low, high, likely = group.min_end_ns, group.max_end_ns, group.likely_end_ns
    if low is not None and high is not None and low > high:
        return None
    if high is not None and high < now_ns:
        high = None
    if likely is not None and not max(low or now_ns, now_ns) <= likely <= (high or likely):
        likely = None
    if low is None and high is None and likely is None:
        return None
    timing: Content = {}
    if group.start_ns is not None and now_ns // _HOUR_NS * _HOUR_NS <= group.start_ns <= now_ns:
        timing["startTime"] = group.start_ns // _STEP_NS % HOUR
    timing["minEndTime"] = _mark(max(low or now_ns, now_ns) // _STEP_NS, now_ns)
    if high is not None:
        timing["maxEndTime"] = _mark(-(-high // _STEP_NS), now_ns)
    if likely is not None:
        timing["likelyTime"] = _mark((2 * likely + _STEP_NS) // (2 * _STEP_NS), now_ns)
    return timing


def _mark(step: int, now_ns: int) -> int:
    return HOUR if step - now_ns // _STEP_NS >= HOUR else step % HOUR
