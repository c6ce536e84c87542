"""Everything at once: all messages of both worlds from one site, each as it was configured."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from rsu.config.v2x_csae import CsaeOptions
from rsu.config.v2x_sae import SaeOptions
from rsu.schema.coordination import Advice, Behaviour, Coordination
from rsu.schema.events import EventOrigin, EventPhase, RoadEvent, RoadSign
from rsu.schema.parking import BayState, BayStatus, ParkingState
from rsu.schema.priority import RequestState, SignalAnswer, SignalPriority, SignalRequest
from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.topics import (
    COORDINATION,
    CORRECTIONS,
    PARKING,
    ROAD_EVENT,
    SIGNAL_PRIORITY,
    SIGNAL_STATE,
    TRACKS,
    V2X_PUSHED,
)
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_MS, NS_PER_S, Vec2
from rsu.schema.v2x import Corrections, PushedV2x
from rsu.site.features import Direction, LaneRole, Maneuver
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, SiteMap, Zone, ZoneKind
from rsu.v2x.codec import codec_for
from rsu.v2x.errors import V2xError
from rsu.v2x.map.findings import MapExportError
from rsu.v2x.network import unwrap
from rsu.v2x.repertoire import lot_of

CSAE, SAE = "csae157_2020", "j2735_2024"
HERE = 7
"""The unit's intersection."""


def lane(name: str, kind: LaneKind, *line: tuple[float, float], **changes: Any) -> Lane:
    return Lane(name, kind, np.array(line), changes.pop("width", 3.5), **changes)


CAR, AISLE = LaneKind.VEHICLE, LaneKind.PARKING_AISLE
# From the south through the junction to the north, a walk across, and a yard in the east.
LANES = (
    lane(
        "in-s", CAR, (2, -100), (2, -10), role=LaneRole.ENTRY, speed_limit=13.9, stop_line=88.0,
        upstream_node=13, downstream_node=HERE, lane_id=1, successors=("through",),
    ),
    lane(
        "through", CAR, (2, -10), (2, 12), role=LaneRole.CONNECTION, maneuver=Maneuver.STRAIGHT,
        signal_group=4, successors=("out-n",),
    ),
    lane(
        "out-n", CAR, (2, 12), (2, 90), role=LaneRole.EXIT, upstream_node=HERE,
        downstream_node=11, lane_id=2,
    ),
    lane(
        "walk-s", LaneKind.CROSSWALK, (-8, -12), (8, -12), width=4.0, signal_group=9,
        direction=Direction.BOTH, upstream_node=13, downstream_node=HERE, lane_id=3,
    ),
    lane("aisle", AISLE, (60, 0), (60, 40), width=6.0, upstream_node=21, downstream_node=22,
         lane_id=1),
)  # fmt: skip


def bay(name: str, y: float, lot: str = "yard") -> Zone:
    ring = np.array([(63.0, y), (68.0, y), (68.0, y + 2.5), (63.0, y + 2.5)])
    return Zone(name, ZoneKind.BAY, ring, lot=lot, lane="aisle")


BAYS = (bay("b1", 5.0), bay("b2", 9.0))
WATCHED = Zone("box", ZoneKind.JUNCTION, np.array([(-9, -9), (9, -9), (9, 9), (-9, 9)], float))
SIGNS = (RoadSign(id="limit", code=85, itis=268, position=Vec2(6.0, -60.0), lanes=("in-s",)),)


def site(origin: Any, lanes: tuple[Lane, ...] = LANES, zones: tuple[Zone, ...] = BAYS) -> SiteMap:
    frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
    return SiteMap(frame, lanes, (*zones, WATCHED))


def on(aid: int, **changes: Any) -> dict[str, Any]:
    """A message that is on, with an id, priority and channel of its own."""
    return {"enabled": True, "aid": aid, "priority": aid % 200, "channel": aid % 97, **changes}


CSAE_MESSAGES = {
    "rsm": on(101), "spat": on(102), "map": on(103), "ssm": on(104), "pam": on(3705),
    "rsc": on(3706), "rtcm": on(3707), "test": on(16_511),
}  # fmt: skip
CSAE_RSI = {"static": on(111), "semi_static": on(112), "dynamic": on(113)}
SAE_MESSAGES = {
    "sdsm": on(0x21), "psm": on(0x7F), "spat": on(0x80), "map": on(0x407F), "tim": on(0x4080),
    "rsm": on(0x20407F, operator="1.3.6.1.4.1.99999"), "ssm": on(0x204080), "rtcm": on(0x1020407F),
}  # fmt: skip
EVERYTHING = {
    "csae": {"profile": CSAE, **CSAE_MESSAGES, "rsi": CSAE_RSI},
    "sae": SAE_MESSAGES,
    "signs": SIGNS,
}


@pytest.fixture
def facts(track, start_ns: int):
    """All that a unit can know at `ms`, by topic."""

    def at(ms: int) -> list[tuple[Any, Any]]:
        now = start_ns + ms * NS_PER_MS
        shown = (
            track(1, updated_ns=now),
            track(2, updated_ns=now, object_class=ObjectClass.PEDESTRIAN, position=Vec2(3.0, 1.0)),
        )
        request = SignalRequest(
            vehicle=b"\1\2\3\4", request=1, sequence=1, time_ns=now, intersection=HERE,
            role="transit", inbound="in-s", outbound="out-n",
        )  # fmt: skip
        answer = SignalAnswer(request=request, state=RequestState.GRANTED)
        advice = Advice(
            lane="in-s", start_ns=now, end_ns=now + 9 * NS_PER_S, speed=8.0,
            behaviours=(Behaviour.SLOW_DOWN,),
        )  # fmt: skip
        group = SignalGroup(group=4, light=LightState.PROTECTED_GREEN, min_end_ns=now + NS_PER_S)
        state = BayState(
            bay="b1", status=BayStatus.FREE, occupied_probability=0.1, since_ns=start_ns
        )

        def event(number: int, origin: EventOrigin) -> RoadEvent:
            return RoadEvent(
                id=number, kind="stopped-vehicle", phase=EventPhase.ONSET, code=904, itis=533,
                position=Vec2(2.0, -40.0), radius=5.0, confidence=0.9, start_ns=start_ns,
                time_ns=now, lanes=("in-s",), origin=origin,
            )  # fmt: skip

        return [
            (TRACKS, TrackList(time_ns=now, tracks=shown)),
            (SIGNAL_STATE, SignalState(controller="c", intersection=HERE, capture_ns=now,
                                       groups=(group,))),
            (ROAD_EVENT, event(1, EventOrigin.DETECTION)),
            (ROAD_EVENT, event(2, EventOrigin.POLICE)),
            (PARKING, ParkingState(lot="yard", time_ns=now, bays=(state,))),
            (COORDINATION, Coordination(time_ns=now, advice=(advice,))),
            (CORRECTIONS, Corrections(station="s", time_ns=now, messages=(b"\xd3" * 40,))),
            (SIGNAL_PRIORITY, SignalPriority(intersection=HERE, time_ns=now, answers=(answer,))),
        ]  # fmt: skip

    return at


@pytest.fixture
def full(drive, origin):
    def make(**changes: Any) -> Any:
        speaker = {"site": site(origin), "intersection": HERE, **changes.pop("speaker", {})}
        return drive(**{**EVERYTHING, "speaker": speaker, **changes})

    return make


def play(unit: Any, facts: Any, until_ms: int) -> None:
    for ms in range(0, until_ms, 100):
        for topic, payload in facts(ms):
            unit.give(topic, payload, ms)
    unit.run(until_ms)


@pytest.mark.parametrize("pc5", [False, True])
def test_every_message_of_both_worlds_as_configured(full, facts, pycrate, pc5: bool) -> None:
    unit = full(sae={**SAE_MESSAGES, "pc5": pc5})
    play(unit, facts, 3_000)
    expected = {(CSAE, name.upper(), one["aid"]): one for name, one in CSAE_MESSAGES.items()}
    expected |= {(CSAE, "RSI", one["aid"]): one for one in CSAE_RSI.values()}
    expected |= {(SAE, name.upper(), one["aid"]): one for name, one in SAE_MESSAGES.items()}
    said: dict[tuple[str, str, int], list[Any]] = {}
    for _, frame in unit.said:
        said.setdefault((frame.profile, frame.message, frame.aid), []).append(frame)
    assert said.keys() == expected.keys()
    for key, frames in said.items():
        profile, message, aid = key
        one = expected[key]
        assert {(f.priority, f.channel) for f in frames} == {(one["priority"], one["channel"])}
        codec = codec_for(profile)
        for frame in frames[:3]:
            assert codec.message_name(frame.value) == message
            found = unwrap.unwrap(frame.network)
            assert found.payloads == (frame.payload,)
            names = [layer.name for layer in found.layers]
            if profile == CSAE:
                assert names == ["dsmp"]
                assert found.layers[0].fields["aid"] == aid
            else:
                assert names == (["pc5", "wsmp"] if pc5 else ["wsmp"])
                assert found.layers[-1].fields["psid"] == aid
            assert len(frame.network) <= 1_400 - 240
            if profile == CSAE:
                assert pycrate(profile)(frame.payload) == frame.value
    bad = {reason for _, reason in unit.reasons} & {
        "encode_failed", "out_of_range", "too_large", "no_code", "evidence_stale"
    }  # fmt: skip
    assert not bad


def test_each_comes_at_its_rate(full, facts) -> None:
    unit = full()
    play(unit, facts, 10_000)
    counts: dict[tuple[str, str, int], int] = {}
    for _, frame in unit.said:
        key = (frame.profile, frame.message, frame.aid)
        counts[key] = counts.get(key, 0) + 1
    ten = {(CSAE, "RSM", 101), (CSAE, "SPAT", 102), (CSAE, "SSM", 104), (CSAE, "RSI", 113),
           (CSAE, "RTCM", 3707), (SAE, "SDSM", 0x21), (SAE, "SPAT", 0x80),
           (SAE, "RTCM", 0x1020407F)}  # fmt: skip
    # RSM of SAE: once a second for each of two events.
    two = {(CSAE, "RSI", 112), (CSAE, "RSC", 3706), (SAE, "RSM", 0x20407F)}
    for key, count in counts.items():
        rate = 10 if key in ten else 2 if key in two else 1
        # A bucket two deep, and states that change at every turn use it at once.
        assert 10 * rate <= count <= 10 * rate + 2, key


def test_the_same_facts_give_the_same_octets(full, facts) -> None:
    def run() -> list[tuple[int, bytes]]:
        unit = full()
        play(unit, facts, 1_500)
        return [(ms, frame.network) for ms, frame in unit.said]

    assert run() == run()


def test_numbers_of_the_map_are_those_of_the_signals_and_the_advice(full, facts, content) -> None:
    unit = full()
    play(unit, facts, 200)
    spat = content(unit.frames("SPAT", CSAE)[0])["intersections"][0]
    node = content(unit.frames("MAP", CSAE)[0])["nodes"][0]
    assert node["id"] == spat["intersectionId"] == {"region": 310, "id": HERE}
    (movement,) = [
        one for one in node["inLinks"][0]["movements"] if one["remoteIntersection"]["id"] == 11
    ]
    assert movement["phaseId"] == spat["phases"][0]["id"] == 4
    advised = content(unit.frames("RSC")[0])["laneCoordinates"][0]["targetLane"]
    assert advised["upstreamNodeId"]["id"] == 13
    assert advised["downstreamNodeId"]["id"] == HERE
    sae_map = content(unit.frames("MAP", SAE)[0])["intersections"][0]
    sae_spat = content(unit.frames("SPAT", SAE)[0])["intersections"][0]
    assert sae_map["id"] == sae_spat["id"] == {"region": 310, "id": HERE}
    groups = {
        connection["signalGroup"]
        for one in sae_map["laneSet"]
        for connection in one.get("connectsTo", ())
        if "signalGroup" in connection
    }
    assert sae_spat["states"][0]["signalGroup"] in groups
    status = content(unit.frames("SSM", SAE)[0])["status"][0]["sigStatus"][0]
    numbers = {one["laneID"] for one in sae_map["laneSet"]}
    assert status["inboundOn"]["lane"] in numbers
    assert status["outboundOn"]["lane"] in numbers


def test_it_listens_to_what_its_messages_rest_on_and_nothing_else(full, drive) -> None:
    names = {topic.name for topic in full().stage.inputs}
    assert names == {
        "health/unit", "tracks", "signal/state", "situation/event", "situation/parking",
        "situation/coordination", "signal/priority", "gnss/corrections", "v2x/pushed",
    }  # fmt: skip
    quiet = drive(
        csae={name: {"enabled": False} for name in ("rsm", "spat")}
        | {"rsi": {name: {"enabled": False} for name in CSAE_RSI}}
    )
    assert {topic.name for topic in quiet.stage.inputs} == {"health/unit", "v2x/pushed"}


def test_a_centre_may_push_beside_all_that(full, facts, start_ns: int) -> None:
    unit = full()
    play(unit, facts, 1_000)
    frame = unit.frames("MAP", SAE)[0]
    pushed = PushedV2x(
        key="m", profile=SAE, message="MAP", payload=frame.payload, received_ns=start_ns + NS_PER_S,
        until_ns=start_ns + 60 * NS_PER_S,
    )  # fmt: skip
    (relayed,) = unit.give(V2X_PUSHED, pushed, 1_000)
    assert (relayed.payload, relayed.network) == (frame.payload, frame.network)


# ── the pages ─────────────────────────────────────────────────────────────────────────────────────


def test_every_message_has_a_page_that_states_its_defaults(root) -> None:
    csae, sae = CsaeOptions(), SaeOptions()
    for world, options, messages in (
        ("csae", csae, CSAE_MESSAGES),
        ("sae", sae, SAE_MESSAGES),
    ):
        for name in messages:
            one = getattr(options, name)
            page = (root / "docs" / "messages" / f"{world}-{name}.md").read_text(encoding="utf-8")
            assert re.search(rf"\bpriority {one.priority}\b", page, re.IGNORECASE), name
            number = f"AID {one.aid}" if world == "csae" else f"PSID 0x{one.aid:X}"
            unassigned = r"configured(\*\*)?: no public\s+source"
            assert re.search(re.escape(number) if one.aid else unassigned, page), name
            assert f"{one.rate_hz:g} Hz" in page, name
            assert one.enabled or "enabled" in page, name
            assert "eft out" in page, name
    page = (root / "docs" / "messages" / "csae-rsi.md").read_text(encoding="utf-8")
    for name in CSAE_RSI:
        one = getattr(csae.rsi, name)
        assert re.search(rf"\b{one.rate_hz:g} Hz \| {one.aid} \| {one.priority} \|", page), name


# ── what stops a unit at its start ────────────────────────────────────────────────────────────────


def test_a_pam_without_a_lot_stops_the_unit(full, origin) -> None:
    with pytest.raises(V2xError, match=r"no bays with a lot.*v2x\.csae\.pam\.lot"):
        full(speaker={"site": site(origin, zones=())})


def test_a_pam_of_two_lots_must_name_one(full, unit, origin) -> None:
    two = site(origin, zones=(*BAYS, bay("b3", 20.0, lot="annex")))
    with pytest.raises(V2xError, match=r"lots annex, yard.*v2x\.csae\.pam\.lot"):
        full(speaker={"site": two})
    assert lot_of(unit(site=two), "annex") == "annex"
    with pytest.raises(V2xError, match=r"'nowhere'.*annex, yard"):
        lot_of(unit(site=two), "nowhere")


def test_a_lot_whose_aisle_leads_nowhere_stops_the_unit_with_what_is_missing(full, origin) -> None:
    aisle = lane("aisle", AISLE, (60, 0), (60, 40), width=6.0)
    with pytest.raises(MapExportError, match=r"aisle.*upstream_node"):
        full(speaker={"site": site(origin, lanes=(*LANES[:-1], aisle))})


def test_a_map_without_lanes_stops_the_unit(full, origin) -> None:
    csae = {"profile": CSAE, "map": {"enabled": True}}
    with pytest.raises(MapExportError, match=f"node {HERE}"):
        full(csae=csae, sae=None, speaker={"site": site(origin, lanes=(), zones=())})
    with pytest.raises(MapExportError):
        full(csae={}, sae={"map": {"enabled": True}},
             speaker={"site": site(origin, lanes=(), zones=())})  # fmt: skip


def test_an_operator_that_is_no_object_identifier_stops_the_unit(full) -> None:
    rsm = on(0x3F0, operator="9.9.9")
    with pytest.raises(V2xError, match=r"9\.9\.9"):
        full(sae={"rsm": rsm})


@pytest.mark.parametrize("speaker", [{"antenna_height": 500.0}, {"region": 70_000}], ids=str)
def test_an_identity_that_no_message_can_carry_stops_the_unit(full, speaker) -> None:
    with pytest.raises(V2xError, match=r"outside|70000"):
        full(speaker=speaker)
