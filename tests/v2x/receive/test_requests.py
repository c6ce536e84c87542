"""Requests to signals: lanes of the site map, cancellation, who asks, and who is not asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rsu.schema.priority import RequestState, SignalAnswer, SignalPriority
from rsu.schema.topics import PARKING_REQUEST, SIGNAL_REQUEST
from rsu.schema.units import NS_PER_S
from rsu.site.features import LaneKind, LaneRole, ZoneKind
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, SiteMap, Zone
from rsu.v2x.network import dsmp, wsmp
from rsu.v2x.sae.ssm import SignalStatusWriter

HEARD_NS = 1_750_000_000 * NS_PER_S
MINUTE = (HEARD_NS // NS_PER_S - 1_735_689_600) // 60  # since 2025-01-01T00:00:00Z
LINE = np.array([(0.0, -60.0), (0.0, -10.0)])


def shifted(x: float, y: float) -> Any:
    return LINE + np.array([x, y])


SITE = SiteMap(
    LocalFrame(31.2304, 121.4737, 12.0),
    (
        Lane("in-left", LaneKind.VEHICLE, shifted(-3.5, 0.0), 3.5, role=LaneRole.ENTRY, lane_id=3,
             upstream_node=20, downstream_node=7, successors=("turn",)),
        Lane("in", LaneKind.VEHICLE, LINE, 3.5, role=LaneRole.ENTRY, lane_id=4,
             upstream_node=20, downstream_node=7, successors=("ahead",)),
        Lane("ahead", LaneKind.VEHICLE, shifted(0.0, 50.0), 3.5, successors=("out",)),
        Lane("turn", LaneKind.VEHICLE, shifted(-3.5, 50.0), 3.5, successors=("out-west",)),
        Lane("out", LaneKind.VEHICLE, shifted(0.0, 100.0), 3.5, role=LaneRole.EXIT, lane_id=9,
             upstream_node=7, downstream_node=21),
        Lane("out-west", LaneKind.VEHICLE, shifted(-50.0, 50.0), 3.5, role=LaneRole.EXIT,
             lane_id=8, upstream_node=7, downstream_node=22),
    ),
)  # fmt: skip
Listen = Callable[..., Any]


def package(intersection: int = 7, region: int | None = 310, **changes: Any) -> dict[str, Any]:
    place = {"id": intersection} if region is None else {"region": region, "id": intersection}
    request = {
        "id": place, "requestID": 5, "requestType": "priorityRequest",
        "inBoundLane": {"lane": 4}, "outBoundLane": {"lane": 9}, **changes,
    }  # fmt: skip
    return {"request": request, "minute": MINUTE, "second": 50_000, "duration": 2000}


def srm(frame: Any, *packages: dict[str, Any], **changes: Any) -> bytes:
    content = {
        "second": 39_900, "sequenceNumber": 9, "requests": list(packages),
        "requestor": {"id": {"entityID": "0a0b0c0d"}, "type": {"role": "fire"}}, **changes,
    }  # fmt: skip
    return wsmp.build(0x204096, frame("j2735_2024", "SRM", content))


def vir(frame: Any, lanes: str = "00001" + 11 * "0", **changes: Any) -> bytes:
    wanted = {
        "intersectionId": {"region": 310, "id": 7},
        "requiredMov": {"remoteIntersection": {"region": 310, "id": 21}},
        "estimatedArrivalTime": 1000,
    }
    request = {"reqID": 2, "status": "request", "info": {"signalPriority": wanted}, **changes}
    where = {
        "upstreamNodeId": {"id": 20}, "downstreamNodeId": {"id": 7},
        "referenceLanes": {"bits": lanes},
    }  # fmt: skip
    here = {"lat": 312304000, "long": 1214737000}
    offset = {"offsetLL": {"position-LL1": {"lon": 0, "lat": 0}}}
    intent = {"currentPos": {"pos": offset, "posInMap": where}, "reqs": [request]}
    content = {
        "msgCnt": 4, "id": "00000000000000c1", "secMark": 39_900, "refPos": here,
        "intAndReq": intent,
    }  # fmt: skip
    return dsmp.build(3625, frame("csae157_2020", "VIR", content))


@pytest.fixture
def listening(ear: Listen, unit: Any) -> Any:
    return ear(unit(site=SITE))


def test_an_srm_names_lanes_of_the_site(listening: Any, frame: Any) -> None:
    out = listening.hear(srm(frame, package(), package(8), package(region=311)))
    (request,) = out[SIGNAL_REQUEST.name]
    assert (request.vehicle.hex(), request.request, request.sequence) == ("0a0b0c0d", 5, 9)
    assert (request.inbound, request.outbound) == ("in", "out")
    assert (request.inbound_lane_id, request.outbound_lane_id) == (4, 9)
    assert (request.role, request.cancel, request.station) == ("fire", False, False)
    assert request.time_ns == HEARD_NS - NS_PER_S // 10
    assert request.arrival_ns == HEARD_NS + 10 * NS_PER_S
    assert request.duration_s == 2.0


def test_fixed_equipment_is_answered_by_its_own_number(
    listening: Any, unit: Any, frame: Any
) -> None:
    octets = srm(frame, package(), requestor={"id": {"stationID": 601}})
    (request,) = listening.hear(octets)[SIGNAL_REQUEST.name]
    assert (request.vehicle, request.station) == ((601).to_bytes(4, "big"), True)
    answer = SignalAnswer(request=request, state=RequestState.GRANTED)
    priority = SignalPriority(intersection=7, time_ns=HEARD_NS, answers=(answer,))
    said = SignalStatusWriter(unit(site=SITE)).content(1, priority)
    (told,) = said["status"][0]["sigStatus"]
    assert told["requester"]["id"] == {"stationID": 601}
    assert (told["inboundOn"], told["outboundOn"]) == ({"lane": 4}, {"lane": 9})


def test_a_request_is_taken_back(listening: Any, frame: Any) -> None:
    cancel = package(requestType="priorityCancellation", inBoundLane={"approach": 2})
    (request,) = listening.hear(srm(frame, cancel))[SIGNAL_REQUEST.name]
    assert request.cancel
    assert (request.inbound, request.inbound_lane_id) == (None, None)  # our MAP has no approaches
    (request,) = listening.hear(vir(frame, status="cancel"))[SIGNAL_REQUEST.name]
    assert request.cancel


def test_a_vir_names_the_lane_it_is_on_and_the_road_it_wants(listening: Any, frame: Any) -> None:
    (request,) = listening.hear(vir(frame))[SIGNAL_REQUEST.name]
    assert (request.vehicle.hex(), request.request, request.sequence) == (14 * "0" + "c1", 2, 4)
    assert (request.inbound, request.outbound) == ("in", "out")
    assert (request.inbound_lane_id, request.outbound_lane_id) == (4, 9)
    assert request.time_ns == HEARD_NS - NS_PER_S // 10
    assert request.arrival_ns == request.time_ns + 10 * NS_PER_S


@pytest.mark.parametrize("lanes", ["0001100000000000", "0" * 16, "0000000000000001"])
def test_lanes_that_do_not_name_one_name_none(listening: Any, frame: Any, lanes: str) -> None:
    (request,) = listening.hear(vir(frame, lanes))[SIGNAL_REQUEST.name]
    assert (request.inbound, request.outbound) == (None, None)


def test_a_lane_that_does_not_lead_there_has_no_way_out(listening: Any, frame: Any) -> None:
    (request,) = listening.hear(vir(frame, "0001" + 12 * "0"))[SIGNAL_REQUEST.name]
    assert (request.inbound, request.outbound) == ("in-left", None)


def test_requests_to_others_are_told_and_not_passed_on(listening: Any, frame: Any) -> None:
    assert SIGNAL_REQUEST.name not in listening.hear(vir(frame, targetRSU="00000000000000b1"))
    assert SIGNAL_REQUEST.name not in listening.hear(srm(frame, package(8)))
    assert listening.reasons == {
        ("message:VIR", "not_for_us"): 1, ("message:SRM", "not_for_us"): 1
    }  # fmt: skip


def test_an_old_request_and_a_flood_of_them_are_refused(listening: Any, frame: Any) -> None:
    assert SIGNAL_REQUEST.name not in listening.hear(srm(frame, package(), second=37_000))
    assert listening.reasons == {("message:SRM", "too_old"): 1}
    taken = sum(SIGNAL_REQUEST.name in listening.hear(vir(frame)) for _ in range(50))
    assert taken == 20
    assert listening.reasons["message:VIR", "rate_exceeded"] == 30


BAY = Zone("b", ZoneKind.BAY, np.array([(0, 0), (0, 5), (2.5, 5), (2.5, 0)], float), lot="yard")


def parking(frame: Any, *bits: int, **changes: Any) -> bytes:
    wish = "".join("1" if bit in bits else "0" for bit in range(12))
    wanted = {"vehicleClass": {"classification": 10}, "req": {"bits": wish}}
    return vir(frame, **{"info": {"parking": wanted}, **changes})


@pytest.mark.parametrize(("bits", "leaving"), [((0,), False), ((2,), False), ((1,), True),
                                               ((1, 2), False)])  # fmt: skip
def test_a_vir_asks_for_a_bay_or_the_way_out(
    ear: Listen, unit: Any, frame: Any, bits: tuple[int, ...], leaving: bool
) -> None:
    listening = ear(unit(site=SiteMap(SITE.frame, SITE.lanes, (BAY,))))
    (request,) = listening.hear(parking(frame, *bits))[PARKING_REQUEST.name]
    assert (request.vehicle.hex(), request.request) == (14 * "0" + "c1", 2)
    assert (request.leaving, request.cancel) == (leaving, False)
    assert request.time_ns == HEARD_NS - NS_PER_S // 10
    assert request.position is not None
    assert (request.position.x, request.position.y) == pytest.approx((0.0, 0.0), abs=0.02)
    (request,) = listening.hear(parking(frame, *bits, status="complete"))[PARKING_REQUEST.name]
    assert request.cancel


def test_a_site_without_bays_is_asked_for_none(listening: Any, frame: Any) -> None:
    assert PARKING_REQUEST.name not in listening.hear(parking(frame, 0))


def test_who_wants_to_pay_or_load_is_not_guided(ear: Listen, unit: Any, frame: Any) -> None:
    listening = ear(unit(site=SiteMap(SITE.frame, SITE.lanes, (BAY,))))
    assert PARKING_REQUEST.name not in listening.hear(parking(frame, 3, 6))
    elsewhere = parking(frame, 0, targetRSU="00000000000000ee")
    assert PARKING_REQUEST.name not in listening.hear(elsewhere)
