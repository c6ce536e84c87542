"""VIR of T/CSAE 157: what a vehicle asks for → requests for signal priority at this intersection,
and for the way to a bay or out of a parking lot.

Other requests (lane change, way clear, shared sensing) are heard and not acted on.
"""

from __future__ import annotations

from rsu.schema.parking import ParkingRequest
from rsu.schema.priority import SignalRequest
from rsu.schema.units import NS_PER_MS
from rsu.v2x.receive.moments import of_dsecond
from rsu.v2x.receive.phases import is_ours
from rsu.v2x.receive.quantities import Content, place
from rsu.v2x.unit import Unit

ROLE_UNKNOWN = "none-unknown"
"""The message does not say what kind of vehicle asks."""
_ASKS, _ENDS = ("unknown", "request", "comfirmed"), ("cancel", "complete")
_TIME_OFFSET_NS = 10 * NS_PER_MS
_LANE_BITS = 16
_ENTER, _EXIT, _PARK = 0, 1, 2
"""Bits of ParkingRequest."""


def read(content: Content, unit: Unit, heard_ns: int) -> list[SignalRequest]:
    """VehIntentionAndRequest in JSON form → its requests for priority that `unit` is asked for."""
    stated = of_dsecond(content["secMark"], heard_ns)
    moment = heard_ns if stated is None else stated
    inbound = _inbound(content["intAndReq"], unit)
    found = []
    for request in content["intAndReq"].get("reqs", ()):
        wanted = request.get("info", {}).get("signalPriority")
        if wanted is None or request.get("targetRSU", unit.rsu_id) != unit.rsu_id:
            continue
        where = wanted["intersectionId"]
        if not is_ours(where, unit):
            continue
        if request["status"] not in (*_ASKS, *_ENDS):
            continue
        arrival = wanted.get("estimatedArrivalTime")
        outbound = _outbound(inbound, wanted["requiredMov"]["remoteIntersection"]["id"], unit)
        found.append(
            SignalRequest(
                vehicle=bytes.fromhex(content["id"]),
                request=request["reqID"],
                sequence=content["msgCnt"],
                time_ns=moment,
                intersection=where["id"],
                role=ROLE_UNKNOWN,
                cancel=request["status"] in _ENDS,
                inbound=inbound,
                outbound=outbound,
                inbound_lane_id=None if inbound is None else unit.site.lane(inbound).lane_id,
                outbound_lane_id=None if outbound is None else unit.site.lane(outbound).lane_id,
                arrival_ns=None if arrival is None else moment + arrival * _TIME_OFFSET_NS,
            )
        )
    return found


def read_parking(content: Content, unit: Unit, heard_ns: int) -> list[ParkingRequest]:
    """VehIntentionAndRequest in JSON form → its requests for a bay or for the way out that `unit`,
    or any unit, is asked for. A site without bays is asked for none."""
    if not unit.site.bays:
        return []
    stated = of_dsecond(content["secMark"], heard_ns)
    where = content["refPos"]
    found = []
    for request in content["intAndReq"].get("reqs", ()):
        wanted = request.get("info", {}).get("parking")
        if wanted is None or request.get("targetRSU", unit.rsu_id) != unit.rsu_id:
            continue
        if request["status"] not in (*_ASKS, *_ENDS):
            continue
        bits = wanted["req"]["bits"].ljust(_PARK + 1, "0")
        comes, leaves = "1" in (bits[_ENTER], bits[_PARK]), bits[_EXIT] == "1"
        if not (comes or leaves):  # to pay, to load: not ours to answer
            continue
        found.append(
            ParkingRequest(
                vehicle=bytes.fromhex(content["id"]),
                request=request["reqID"],
                time_ns=heard_ns if stated is None else stated,
                leaving=not comes,
                cancel=request["status"] in _ENDS,
                position=place(where["long"], where["lat"], unit.site.frame),
            )
        )
    return found


def _inbound(said: Content, unit: Unit) -> str | None:
    """The lane that the vehicle says it is on; None unless it names exactly one of the site."""
    link = said.get("currentPos", {}).get("posInMap")
    if link is None:
        return None
    ends = link["upstreamNodeId"]["id"], link["downstreamNodeId"]["id"]
    bits = link.get("referenceLanes", {}).get("bits", "")
    lanes = [
        lane.id
        for lane in unit.site.lanes
        if (lane.upstream_node, lane.downstream_node) == ends
        and lane.lane_id is not None
        and lane.lane_id < _LANE_BITS
        and bits[lane.lane_id : lane.lane_id + 1] == "1"
    ]
    return lanes[0] if len(lanes) == 1 and bits.count("1") == 1 else None


def _outbound(inbound: str | None, node: int, unit: Unit) -> str | None:
    """The one lane towards `node` that the inbound lane leads to, directly or by a connection."""
    if inbound is None:
        return None
    reached: set[str] = set()
    for name in unit.site.lane(inbound).successors:
        reached.update((name, *unit.site.lane(name).successors))
    there = [name for name in sorted(reached) if unit.site.lane(name).downstream_node == node]
    return there[0] if len(there) == 1 else None
