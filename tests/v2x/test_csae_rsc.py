"""RSC of advice that can be checked by hand, and its reading by another codec."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.schema.coordination import Advice, AdviceReason, Behaviour, Coordination
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, SiteMap
from rsu.v2x.csae.rsc import RscWriter
from rsu.v2x.csae.units import OutOfRangeError

NOW = int(datetime(2024, 12, 31, 23, 59, 58, 500_000, tzinfo=UTC).timestamp() * 1000) * NS_PER_MS
CAR, BUS = bytes.fromhex("0102030405060708"), bytes.fromhex("f1f2f3f4f5f6f7f8")


def lane(name: str, **changes: Any) -> Lane:
    values = {"upstream_node": 13, "downstream_node": 7, "lane_id": 2, **changes}
    line = np.array([(2.0, -60.0), (2.0, -30.0), (2.0, -10.0)])
    return Lane(name, LaneKind.VEHICLE, line, 3.5, **values)


@pytest.fixture
def writer(unit, origin) -> RscWriter:
    frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
    lanes = (
        lane("in-2"),
        lane("in-16", lane_id=16),
        lane("path", upstream_node=None, downstream_node=None, lane_id=None),
    )
    return RscWriter(unit(site=SiteMap(frame, lanes)))


def advice(**changes: Any) -> Advice:
    return Advice(**{"start_ns": NOW, "end_ns": NOW + 4 * NS_PER_S, **changes})


def coordination(*advices: Advice) -> Coordination:
    return Coordination(time_ns=NOW, advice=advices)


def test_scene_of_two_vehicles_and_a_lane(writer: RscWriter, origin, metres_to_steps, said) -> None:
    scene = coordination(
        advice(
            vehicle=CAR,
            behaviours=(Behaviour.CHANGE_LEFT, Behaviour.SLOW_DOWN),
            reasons=(AdviceReason.MERGE,),
            end_ns=NOW + 3_456 * NS_PER_MS,
            speed=8.0,  # no place for it
        ),
        advice(
            lane="in-2",
            start_ns=NOW - 1_500 * NS_PER_MS,
            end_ns=NOW + 2 * NS_PER_S,
            speed=11.11,
            behaviours=(Behaviour.SLOW_DOWN,),
            reasons=(AdviceReason.DYNAMIC_LANES, AdviceReason.LANE_RESTRICTION),
            description="keep right",
        ),
        advice(vehicle=BUS, reasons=(AdviceReason.SIGNAL_PRIORITY,)),
    )
    value = writer.content(64, scene)
    points = []
    for y in (-60.0, -10.0):  # the vertex on the straight line is gone
        lon, lat = metres_to_steps(2.0, y, origin.latitude, origin.altitude)
        alternative = "position-LL2" if lat < -2048 else "position-LL1"
        points.append({"offsetLL": {alternative: {"lon": lon, "lat": lat}}})
    assert value == {
        "msgCnt": 64,
        "id": "00112233aabbccdd",
        "secMark": 58_500,
        "refPos": {"lat": 312_304_000, "long": 1_214_737_000, "elevation": 120},
        "coordinates": [
            {
                "vehId": "0102030405060708",
                "driveSuggestion": {"suggestion": {"bits": "01000000000100"}, "lifeTime": 345},
                "info": {"bits": "01000000"},
            },
            {"vehId": "f1f2f3f4f5f6f7f8", "info": {"bits": "00000001"}},
        ],
        "laneCoordinates": [
            {
                "targetLane": {
                    "upstreamNodeId": {"region": 310, "id": 13},
                    "downstreamNodeId": {"region": 310, "id": 7},
                    "referenceLanes": {"bits": "0010000000000000"},
                },
                "relatedPath": {"activePath": points, "pathRadius": 18},
                "tBegin": {
                    "year": 2024, "month": 12, "day": 31,
                    "hour": 23, "minute": 59, "second": 57_000, "offset": 0,
                },
                "tEnd": {
                    "year": 2025, "month": 1, "day": 1,
                    "hour": 0, "minute": 0, "second": 500, "offset": 0,
                },
                "recommendedSpeed": 556,  # 11.11 / 0.02 = 555.5
                "recommendedBehavior": {"bits": "00000000000100"},
                "info": {"bits": "00001010"},
                "description": {"textString": "keep right"},
            }
        ],
    }  # fmt: skip
    said("csae157_2020", "RSC", value)


def test_vehicles_alone_and_lanes_alone(writer: RscWriter, said) -> None:
    one = writer.content(0, coordination(advice(vehicle=CAR, behaviours=(Behaviour.STOP,))))
    assert "laneCoordinates" not in one
    other = writer.content(0, coordination(advice(lane="in-2")))
    assert "coordinates" not in other
    for value in (one, other):
        said("csae157_2020", "RSC", value)


@pytest.mark.parametrize(
    ("behaviour", "bit"), list(zip(Behaviour, range(14), strict=True)), ids=str
)
def test_every_behaviour_has_its_bit(writer: RscWriter, behaviour: Behaviour, bit: int) -> None:
    value = writer.content(0, coordination(advice(vehicle=CAR, behaviours=(behaviour,))))
    suggestion = value["coordinates"][0]["driveSuggestion"]["suggestion"]["bits"]
    assert [index for index, one in enumerate(suggestion) if one == "1"] == [bit]
    assert len(suggestion) == 14


@pytest.mark.parametrize(("reason", "bit"), list(zip(AdviceReason, range(8), strict=True)), ids=str)
def test_every_reason_has_its_bit(writer: RscWriter, reason: AdviceReason, bit: int) -> None:
    value = writer.content(0, coordination(advice(vehicle=CAR, reasons=(reason,))))
    info = value["coordinates"][0]["info"]["bits"]
    assert [index for index, one in enumerate(info) if one == "1"] == [bit]
    assert len(info) == 8


@pytest.mark.parametrize(("life_ms", "stated"), [(10, 1), (19, 1), (655_350, 65_535)])
def test_lifetime(writer: RscWriter, life_ms: int, stated: int) -> None:
    one = advice(vehicle=CAR, behaviours=(Behaviour.STOP,), end_ns=NOW + life_ms * NS_PER_MS)
    value = writer.content(0, coordination(one))
    assert value["coordinates"][0]["driveSuggestion"]["lifeTime"] == stated


GO = {"behaviours": (Behaviour.STRAIGHT,)}


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [advice(**GO)],
        [advice(vehicle=CAR, lane="in-2", **GO)],
        [advice(vehicle=CAR)],
        [advice(vehicle=CAR[:7], **GO)],
        [advice(vehicle=CAR, end_ns=NOW, **GO)],
        [advice(vehicle=CAR, end_ns=NOW + 9 * NS_PER_MS, **GO)],
        [advice(vehicle=CAR, end_ns=NOW + 655_360 * NS_PER_MS, **GO)],
        [advice(vehicle=CAR, start_ns=NOW + 1, **GO)],
        [advice(lane="nowhere")],
        [advice(lane="path")],
        [advice(lane="in-16")],
        [advice(lane="in-2", speed=200.0)],
        [advice(lane="in-2", end_ns=NOW - 1)],
        [advice(vehicle=CAR, **GO)] * 17,
        [advice(lane="in-2")] * 9,
    ],
)
def test_what_the_message_cannot_carry_is_refused(writer: RscWriter, wrong: list[Advice]) -> None:
    with pytest.raises(OutOfRangeError):
        writer.content(0, coordination(*wrong))


def test_as_much_as_fits(writer: RscWriter, said) -> None:
    scene = [advice(vehicle=CAR, **GO)] * 16 + [advice(lane="in-2", description="x" * 600)] * 8
    value = writer.content(0, coordination(*scene))
    assert len(value["laneCoordinates"][0]["description"]["textString"]) == 512
    said("csae157_2020", "RSC", value)


ADVICE = st.builds(
    Advice,
    start_ns=st.integers(NOW - 10**15, NOW),
    end_ns=st.integers(NOW + 10**7, NOW + 655 * NS_PER_S),
    behaviours=st.lists(st.sampled_from(Behaviour), min_size=1).map(tuple),
    reasons=st.lists(st.sampled_from(AdviceReason)).map(tuple),
    description=st.text(max_size=20),
    vehicle=st.binary(min_size=8, max_size=8),
)
LANE_ADVICE = st.builds(
    Advice,
    start_ns=st.integers(0, 2 * NOW),
    end_ns=st.integers(2 * NOW + 1, 3 * NOW),
    behaviours=st.lists(st.sampled_from(Behaviour)).map(tuple),
    reasons=st.lists(st.sampled_from(AdviceReason)).map(tuple),
    description=st.text(max_size=20),
    speed=st.none() | st.floats(0, 163.8),
    lane=st.just("in-2"),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(vehicles=st.lists(ADVICE, min_size=1, max_size=16), lanes=st.lists(LANE_ADVICE, max_size=8))
def test_any_advice_in_range_can_be_said(
    writer: RscWriter, vehicles: list[Advice], lanes: list[Advice], said
) -> None:
    said("csae157_2020", "RSC", writer.content(0, coordination(*vehicles, *lanes)))
