"""Signal status of J2735: what became of requests for priority, as values in JSON form.

Each answer repeats the request it answers: who asked, the request's own numbers, the way through
the intersection and the expected arrival, all as heard. The lane is the number that the requester
named, else that of this site's MAP; a way in that is not known is lane 0, which J2735 keeps for
that. timeStamp and second are the moment of the state. SignalStatus.sequenceNumber counts changes
of the answers, sequenceNumber of the message counts messages.

Left out: typeData (the requester's own words of its kind, not kept), an arrival that was not told,
a duration that was not told or is longer than its field (65.5 s).
"""

from __future__ import annotations

import contextlib

from rsu.schema.priority import RequestState, SignalAnswer, SignalPriority
from rsu.v2x import time
from rsu.v2x.map.sae import lane_numbers, lanes_said
from rsu.v2x.sae import units
from rsu.v2x.sae.revision import Revisions
from rsu.v2x.steps import OutOfRangeError
from rsu.v2x.unit import Unit
from rsu.v2x.writers import Content

ANSWERS = 32
"""SignalStatusPackageList, SIZE (1..32)."""
UNKNOWN_LANE = 0
_CHINESE_ID_OCTETS = 8

ROLES = frozenset(
    {
        "basicVehicle", "publicTransport", "specialTransport", "dangerousGoods", "roadWork",
        "roadRescue", "emergency", "safetyCar", "none-unknown", "truck", "motorcycle",
        "roadSideSource", "police", "fire", "ambulance", "dot", "transit", "slowMoving", "stopNgo",
        "cyclist", "pedestrian", "nonMotorized", "military",
    }
)  # fmt: skip
"""BasicVehicleRole."""

_STATES = {
    RequestState.UNKNOWN: "unknown",
    RequestState.REQUESTED: "requested",
    RequestState.PROCESSING: "processing",
    RequestState.WATCH_OTHER_TRAFFIC: "watchOtherTraffic",
    RequestState.GRANTED: "granted",
    RequestState.REJECTED: "rejected",
    RequestState.MAX_PRESENCE: "maxPresence",
    RequestState.RESERVICE_LOCKED: "reserviceLocked",
}


def answerable(priority: SignalPriority) -> tuple[SignalAnswer, ...]:
    """Answers to those who can be named here: ids of 8 octets are of the Chinese set, whose
    requests are answered in RSC."""
    return tuple(one for one in priority.answers if len(one.request.vehicle) != _CHINESE_ID_OCTETS)


class SignalStatusWriter:
    """What one unit writes; a `rsu.v2x.writers.PriorityWriter`."""

    def __init__(self, unit: Unit) -> None:
        self._region = unit.region
        self._lanes = lane_numbers(lanes_said(unit.site))
        self._revisions = Revisions()

    def content(self, count: int, priority: SignalPriority) -> Content:
        """SignalStatusMessage of one intersection with 1..32 answers, those of `answerable`.

        Raises OutOfRangeError for none or more, and for numbers the message has no room for.
        """
        open_ = answerable(priority)
        if not open_:
            raise OutOfRangeError("no request is open")
        units.at_most("answers", open_, ANSWERS)
        answers = [self._answer(answer) for answer in open_]
        return {
            "timeStamp": time.minute_of_year(priority.time_ns),
            "second": time.dsecond(priority.time_ns),
            "sequenceNumber": count,
            "status": [
                {
                    "sequenceNumber": self._revisions.of(priority.intersection, answers),
                    "id": units.intersection(self._region, priority.intersection),
                    "sigStatus": answers,
                }
            ],
        }

    def _answer(self, answer: SignalAnswer) -> Content:
        request = answer.request
        requester: Content = {
            "id": _vehicle(request.vehicle, station=request.station),
            "request": units.number("request", request.request, 0, 255),
            "sequenceNumber": units.number("sequence", request.sequence, 0, 127),
        }
        if request.role in ROLES:
            requester["role"] = request.role
        inbound = self._lane(request.inbound_lane_id, request.inbound)
        outbound = self._lane(request.outbound_lane_id, request.outbound)
        out: Content = {
            "requester": requester,
            "inboundOn": {"lane": UNKNOWN_LANE if inbound is None else inbound},
            "status": _STATES[answer.state],
        }
        if outbound is not None:
            out["outboundOn"] = {"lane": outbound}
        if request.arrival_ns is not None:
            out["minute"] = time.minute_of_year(request.arrival_ns)
            out["second"] = time.dsecond(request.arrival_ns)
        if request.duration_s is not None:
            with contextlib.suppress(OutOfRangeError):
                out["duration"] = units.milliseconds(request.duration_s)
        return out

    def _lane(self, heard: int | None, name: str | None) -> int | None:
        if heard is not None:
            return units.number("lane", heard, 0, 255)
        return None if name is None else self._lanes.get(name)


def _vehicle(octets: bytes, *, station: bool) -> Content:
    if len(octets) != 4:
        raise OutOfRangeError(f"vehicle id of {len(octets)} octets, it has 4")
    return {"stationID": int.from_bytes(octets)} if station else {"entityID": octets.hex()}
