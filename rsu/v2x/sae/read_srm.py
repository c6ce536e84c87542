"""SRM of SAE J2735: a vehicle asks signals for priority → `SignalRequest`s of this intersection.

Lanes and approaches are those of the MAP this unit sends (`rsu.v2x.map.sae`), which has no
approaches and no connection ids: only a lane finds its place on the site map.
"""

from __future__ import annotations

from rsu.schema.priority import SignalRequest
from rsu.v2x.map.sae import lane_numbers, lanes_said
from rsu.v2x.receive.moments import of_minute
from rsu.v2x.receive.phases import is_ours
from rsu.v2x.receive.quantities import Content
from rsu.v2x.time import MS_PER_MINUTE
from rsu.v2x.unit import Unit

ROLE_UNKNOWN = "none-unknown"


def read(content: Content, unit: Unit, heard_ns: int) -> list[SignalRequest]:
    """SignalRequestMessage in JSON form → its requests to `unit`'s intersection (others left out).

    A request whose message has no readable time is dated by its hearing.
    """
    requestor = content["requestor"]
    ((kind, name),) = requestor["id"].items()
    vehicle = bytes.fromhex(name) if kind == "entityID" else int(name).to_bytes(4, "big")
    moment = of_minute(content.get("timeStamp"), content["second"], heard_ns)
    lanes = {number: lane for lane, number in lane_numbers(lanes_said(unit.site)).items()}
    found = []
    for package in content.get("requests", ()):
        request = package["request"]
        where = request["id"]
        if not is_ours(where, unit):
            continue
        inbound = request["inBoundLane"].get("lane")
        outbound = request.get("outBoundLane", {}).get("lane")
        duration = package.get("duration")
        found.append(
            SignalRequest(
                vehicle=vehicle,
                request=request["requestID"],
                sequence=content.get("sequenceNumber", 0),
                time_ns=heard_ns if moment is None else moment,
                intersection=where["id"],
                role=requestor.get("type", {}).get("role", ROLE_UNKNOWN),
                cancel=request["requestType"] == "priorityCancellation",
                inbound=lanes.get(inbound),
                outbound=lanes.get(outbound),
                inbound_lane_id=inbound,
                outbound_lane_id=outbound,
                arrival_ns=of_minute(package.get("minute"), package.get("second"), heard_ns),
                duration_s=None
                if duration is None or duration >= MS_PER_MINUTE
                else duration / 1000,
                station=kind == "stationID",
            )
        )
    return found
