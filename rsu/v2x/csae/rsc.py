"""Roadside coordination of T/CSAE 157-2020: advice in, message values in JSON form out.

Advice to a vehicle holds from now on for its lifeTime; advice to a lane states when it begins and
ends, and the speed. A vehicle's advised speed has no place but in a planned path, which nobody
plans here: the behaviour says slow down or speed up, and the number is left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from rsu.schema.coordination import Advice, AdviceReason, Behaviour, Coordination
from rsu.schema.units import NS_PER_MS
from rsu.v2x import time
from rsu.v2x.csae import units
from rsu.v2x.csae.place import Place
from rsu.v2x.csae.words import date_time, description
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

VEHICLES_MAX = 16
"""coordinates, SIZE (1..16)."""
LANES_MAX = 8
"""laneCoordinates, SIZE (1..8)."""
LIFE_STEPS_MAX = 65_535
"""TimeOffset."""

_LIFE_STEP_NS = 10 * NS_PER_MS
_BEHAVIOUR_BITS = {
    Behaviour.STRAIGHT: 0,
    Behaviour.CHANGE_LEFT: 1,
    Behaviour.CHANGE_RIGHT: 2,
    Behaviour.RAMP_IN: 3,
    Behaviour.RAMP_OUT: 4,
    Behaviour.CROSS: 5,
    Behaviour.TURN_LEFT: 6,
    Behaviour.TURN_RIGHT: 7,
    Behaviour.U_TURN: 8,
    Behaviour.STOP_AND_GO: 9,
    Behaviour.STOP: 10,
    Behaviour.SLOW_DOWN: 11,
    Behaviour.SPEED_UP: 12,
    Behaviour.PARK: 13,
}
_REASON_BITS = {
    AdviceReason.LANE_CHANGE: 0,
    AdviceReason.MERGE: 1,
    AdviceReason.LANE_CHANGE_AT_INTERSECTION: 2,
    AdviceReason.UNSIGNALLED_INTERSECTION: 3,
    AdviceReason.DYNAMIC_LANES: 4,
    AdviceReason.LANE_RESERVATION: 5,
    AdviceReason.LANE_RESTRICTION: 6,
    AdviceReason.SIGNAL_PRIORITY: 7,
}


class RscWriter:
    """What one unit writes; a `rsu.v2x.writers.CoordinationWriter`."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._place = Place(unit)

    def content(self, count: int, coordination: Coordination) -> Content:
        """RoadsideCoordination as of `coordination.time_ns`.

        Raises OutOfRangeError for none or too much advice, for advice that names both or neither
        of vehicle and lane, says nothing, is over, or (to a vehicle) has not begun or lasts longer
        than 655.35 s, and for a lane that no link of the map names.
        """
        now_ns = coordination.time_ns
        for advice in coordination.advice:
            _check(advice, now_ns)
        vehicles = [one for one in coordination.advice if one.vehicle is not None]
        lanes = [one for one in coordination.advice if one.lane is not None]
        units.at_most("advised vehicles", vehicles, VEHICLES_MAX)
        units.at_most("advised lanes", lanes, LANES_MAX)
        if not vehicles and not lanes:
            raise units.OutOfRangeError("no advice")
        out: Content = {
            "msgCnt": count,
            "id": self._unit.rsu_id,
            "secMark": time.dsecond(now_ns),
            "refPos": dict(self._place.reference),
        }
        if vehicles:
            out["coordinates"] = [_to_vehicle(one, now_ns) for one in vehicles]
        if lanes:
            out["laneCoordinates"] = [self._to_lane(one) for one in lanes]
        return out

    def _to_lane(self, advice: Advice) -> Content:
        site = self._unit.site
        index = site.lane_index.get(advice.lane or "")
        lane = None if index is None else site.lanes[index]
        link = None if lane is None else self._place.link(lane)
        if lane is None or link is None:
            raise units.OutOfRangeError(f"lane {advice.lane}: no lane 1..15 of a link on the map")
        out: Content = {"targetLane": link}
        if (path := self._place.path(lane)) is not None:
            out["relatedPath"] = path
        out["tBegin"] = date_time(advice.start_ns)
        out["tEnd"] = date_time(advice.end_ns)
        if advice.speed is not None:
            out["recommendedSpeed"] = units.speed(advice.speed)
        if advice.behaviours:
            out["recommendedBehavior"] = _behaviour(advice.behaviours)
        return {**out, **_info(advice), **description(advice.description)}


def _check(advice: Advice, now_ns: int) -> None:
    if (advice.vehicle is None) == (advice.lane is None):
        raise units.OutOfRangeError("advice to both or neither of a vehicle and a lane")
    if advice.end_ns <= max(now_ns, advice.start_ns):
        raise units.OutOfRangeError("advice that is over")


def _to_vehicle(advice: Advice, now_ns: int) -> Content:
    assert advice.vehicle is not None
    out: Content = {"vehId": units.vehicle_id(advice.vehicle)}
    if advice.start_ns > now_ns:
        raise units.OutOfRangeError("advice to a vehicle cannot begin later")
    life = units.number("lifeTime", (advice.end_ns - now_ns) // _LIFE_STEP_NS, 1, LIFE_STEPS_MAX)
    if advice.behaviours:
        out["driveSuggestion"] = {
            "suggestion": _behaviour(advice.behaviours),
            "lifeTime": life,
        }
    elif not advice.reasons:
        raise units.OutOfRangeError("advice to a vehicle without a behaviour or a reason")
    return {**out, **_info(advice)}


def _behaviour(behaviours: Iterable[Behaviour]) -> dict[str, str]:
    return units.bits(14, (_BEHAVIOUR_BITS[one] for one in behaviours))


def _info(advice: Advice) -> Content:
    chosen = [_REASON_BITS[reason] for reason in advice.reasons]
    return {"info": units.bits(8, chosen)} if chosen else {}
