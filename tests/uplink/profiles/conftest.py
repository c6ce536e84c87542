"""One fixed scene for all profiles: a junction with a lot, everything a unit can have to say.

Frames carry contents that stand here in full, so that every number in a golden file has a source.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsu.config.platforms import (
    FiwareProfile,
    HisenseProfile,
    HuaweiDrisProfile,
    OpenV2xProfile,
    PlainProfile,
)
from rsu.config.uplink import UplinkOptions
from rsu.schema.events import EventPhase, RoadEvent, Snapshot
from rsu.schema.health import Capability, ClockQuality, SensorHealth, SensorState, UnitHealth
from rsu.schema.machine import MachineLoad
from rsu.schema.message import Message
from rsu.schema.parking import BayMisuse, BayState, BayStatus, BayStay, LotTotals, ParkingState
from rsu.schema.reports import UplinkReport
from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.topics import (
    MACHINE,
    PARKING,
    ROAD_EVENT,
    SENSOR_HEALTH,
    TRACKS,
    TRAFFIC,
    UNIT_HEALTH,
    V2X_HEARD,
    V2X_TX,
    Topic,
)
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.traffic import LaneTraffic, MovementTraffic, TrafficState
from rsu.schema.units import NS_PER_S, Instant, Size, Vec2
from rsu.schema.v2x import ReceivedV2x, V2xFrame
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, LaneRole, SiteMap, Zone, ZoneKind
from rsu.uplink.profiles.base import Place
from rsu.uplink.reports import ReportStage
from rsu.v2x.codec import codec_for

BOOT = Instant(1_750_000_000 * NS_PER_S, 7 * NS_PER_S)
FRAME = LocalFrame(31.2, 121.5, 12.0)
UNIT = "5253550000000009"


def at(seconds: float) -> Instant:
    return Instant(BOOT.utc_ns + int(seconds * NS_PER_S), BOOT.mono_ns + int(seconds * NS_PER_S))


def _bay(name: str, x: float) -> Zone:
    ring = np.array([[x, 20.0], [x + 2.5, 20.0], [x + 2.5, 25.0], [x, 25.0]])
    return Zone(id=name, kind=ZoneKind.BAY, ring=ring, lot="west")


LANE = Lane(
    id="in-1", kind=LaneKind.VEHICLE, centreline=np.array([[-100.0, -2.0], [0.0, -2.0]]),
    width=3.5, role=LaneRole.ENTRY, upstream_node=12, downstream_node=1, lane_id=1,
)  # fmt: skip
SITE_MAP = SiteMap(FRAME, (LANE,), (_bay("bay-1", 10.0), _bay("bay-2", 12.5), _bay("bay-3", 15.0)))
PLACE = Place(
    site="corner", frame=FRAME, site_map=SITE_MAP, title="Test corner", region=0, intersection=1,
    rsu_id=UNIT, profile="csae53_2020", version="1.2.3",
)  # fmt: skip
PROFILES = {
    "plain": PlainProfile(kind="plain"),
    "fiware": FiwareProfile(kind="fiware", provider="example road authority"),
    "huawei_dris": HuaweiDrisProfile(kind="huawei_dris", esn="unit_9", edge="edge-1"),
    "openv2x": OpenV2xProfile(kind="openv2x", esn="unit_9", radar="radar-1", running_info_s=5),
    "hisense_binary": HisenseProfile(kind="hisense_binary", rsu_id="unit9", heard=True),
}


def track(number: int, kind: ObjectClass, x: float, y: float) -> Track:
    return Track(
        id=number, object_class=kind, class_probability=0.912, position=Vec2(x, y), heading=0.0,
        speed=8.33333, turn_rate=0.0,
        covariance=(0.04, 0.0, 0, 0, 0, 0.04, 0, 0, 0, 0.0004, 0, 0, 0.09, 0, 0.01),
        size=Size(4.5, 1.8, 1.5), existence=0.987, status=TrackStatus.CONFIRMED,
        sources=("north",), born_ns=BOOT.utc_ns, updated_ns=at(0.9).utc_ns,
    )  # fmt: skip


def _frames() -> Iterable[V2xFrame]:
    """First-phase frames; their numbers are asserted in the profiles' tests."""
    ref = {"lat": 312000000, "long": 1215000000, "elevation": 120}
    node = {"region": 0, "id": 1}
    far, near = {"lon": -9000, "lat": -180}, {"lon": 0, "lat": -180}
    participant = {
        "ptcType": "motor", "ptcId": 17, "source": "integrated", "secMark": 40900,
        "pos": {"offsetLL": {"position-LL2": {"lon": 1050, "lat": -451}},
                "offsetV": {"offset1": 30}},
        "posConfidence": {"pos": "a1m"}, "speed": 417, "heading": 7200,
        "size": {"width": 180, "length": 450, "height": 30},
    }  # fmt: skip
    walker = {
        "ptcType": "pedestrian", "ptcId": 18, "source": "video", "secMark": 40900,
        "pos": {"offsetLL": {"position-LL1": {"lon": 12, "lat": 345}}},
        "posConfidence": {"pos": "a1m"}, "speed": 60, "heading": 28800,
        "size": {"width": 60, "length": 60},
    }  # fmt: skip
    contents: dict[str, Any] = {
        "RSM": {"msgCnt": 5, "id": UNIT, "refPos": ref, "participants": [participant, walker]},
        "SPAT": {
            "msgCnt": 6, "moy": 238506, "timeStamp": 40900,
            "intersections": [{
                "intersectionId": node, "status": {"bits": "0000010000000000"},
                "phases": [
                    {"id": 1, "phaseStates": [{"light": "red", "timing": {"counting": {
                        "startTime": 0, "minEndTime": 100, "maxEndTime": 200,
                        "likelyEndTime": 150}}}]},
                    {"id": 2, "phaseStates": [{"light": "protected-green"}]},
                ],
            }],
        },
        "RSI": {
            "msgCnt": 7, "id": UNIT, "refPos": ref,
            "rtss": [{
                "rtsId": 3, "signType": 85,
                "signPos": {"offsetLL": {"position-LatLon": {"lon": 1215000100, "lat": 312000200}}},
                "description": {"textString": "50 km/h"}, "priority": "40",
                "referencePaths": [{"activePath": [
                    {"offsetLL": {"position-LL1": {"lon": 10, "lat": 20}}},
                    {"offsetLL": {"position-LL1": {"lon": 30, "lat": 40}}}], "pathRadius": 18}],
            }],
            "rtes": [{
                "rteId": 5, "eventType": 904, "eventSource": "detection",
                "eventPos": {"offsetLL": {"position-LL3": {"lon": 5000, "lat": 6000}}},
                "eventRadius": 30, "priority": "e0", "timeDetails": {"startTime": 238506},
                "referencePaths": [{"activePath": [
                    {"offsetLL": {"position-LL1": {"lon": 10, "lat": 20}}},
                    {"offsetLL": {"position-LL1": {"lon": 30, "lat": 40}}}], "pathRadius": 18}],
                "eventConfidence": 176,
            }],
        },
        "MAP": {
            "msgCnt": 8,
            "nodes": [{
                "id": node, "refPos": ref, "name": "Test corner",
                "inLinks": [{
                    "upstreamNodeId": {"region": 0, "id": 12}, "linkWidth": 350,
                    "lanes": [{
                        "laneID": 1, "laneWidth": 350, "maneuvers": {"bits": "100000000000"},
                        "connectsTo": [{"remoteIntersection": {"region": 0, "id": 14},
                                        "connectingLane": {"lane": 1}, "phaseId": 1}],
                        "speedLimits": [{"type": "vehicleMaxSpeed", "speed": 694}],
                        "points": [
                            {"posOffset": {"offsetLL": {"position-LL3": far}}},
                            {"posOffset": {"offsetLL": {"position-LL1": near}}},
                        ],
                    }],
                }],
            }],
        },
    }  # fmt: skip
    codec = codec_for("csae53_2020")
    for message, content in contents.items():
        value = codec.frame(message, content)
        payload = codec.encode(value)
        assert codec.decode(payload) == value
        yield V2xFrame(
            profile="csae53_2020", message=message, payload=payload, network=payload, aid=1,
            priority=100, value=value, time_ns=at(0.9).utc_ns, subjects=(17, 18),
        )  # fmt: skip


def _event(phase: EventPhase, seconds: float) -> RoadEvent:
    return RoadEvent(
        id=5, kind="wrong-way", phase=phase, code=904, position=Vec2(10.0, 0.0), radius=3.0,
        confidence=0.88, start_ns=at(0.5).utc_ns, time_ns=at(seconds).utc_ns, lanes=("in-1",),
        tracks=(17,), severity=7,
        snapshots=(Snapshot(sensor="north", number=41, capture_ns=at(0.9).utc_ns),),
    )  # fmt: skip


def heard(value: dict[str, Any], payload: bytes = b"\x01\x02\x03") -> ReceivedV2x:
    return ReceivedV2x(
        radio="air", capture_ns=at(0.8).utc_ns, payload=payload, profile="csae53_2020",
        message="BSM", value=value,
    )  # fmt: skip


def scene() -> list[tuple[Topic | None, Any, float]]:
    """(topic, payload, s after the boot); without topic: a tick."""
    bays = (
        BayState(
            bay="bay-1", status=BayStatus.OCCUPIED, occupied_probability=0.97, track=17,
            since_ns=at(-300).utc_ns, entered_ns=at(-300).utc_ns, misuse=(BayMisuse.OVERSTAY,),
            sources=("tracks",),
        ),
        BayState(
            bay="bay-2", status=BayStatus.FREE, occupied_probability=0.02,
            since_ns=at(-60).utc_ns, sources=("bays",),
        ),
        BayState(
            bay="bay-3", status=BayStatus.UNKNOWN, occupied_probability=0.5,
            since_ns=at(-60).utc_ns,
        ),
    )  # fmt: skip
    totals = LotTotals(
        free=1, occupied=1, unknown=1, closed=0, on_aisles=0, since_ns=at(-400).utc_ns,
        occupied_then=0, entries=3, exits=2, unexplained=0,
    )  # fmt: skip
    lot = ParkingState(
        lot="west", time_ns=at(0.6).utc_ns, bays=bays, totals=totals,
        ended=(BayStay(bay="bay-2", left_ns=at(-60).utc_ns),),
    )  # fmt: skip
    lane = LaneTraffic(
        lane="in-1", count=4, counts_by_class={"car": 4}, mean_speed=11.0, present=2.75,
        density=0.0275, space_mean_speed=9.2, occupancy=0.18, headway=2.4, stops=2, delay=8.3,
        coverage=0.7,
    )  # fmt: skip
    silent = LaneTraffic(
        lane="in-2", count=0, counts_by_class={}, mean_speed=None, present=0.0, density=0.0
    )
    turn = MovementTraffic(
        connection="c", entry="in-1", exit="out-2", maneuver="left", count=4, space_mean_speed=5.0
    )
    traffic = TrafficState(
        start_ns=BOOT.utc_ns, end_ns=at(10).utc_ns, coverage=0.7, lanes=(lane, silent),
        movements=(turn,),
    )  # fmt: skip
    sensor = SensorHealth(
        sensor="gps", kind=SensorKind.GNSS, state=SensorState.GONE, since_ns=BOOT.utc_ns,
        time_ns=at(0.5).utc_ns, received=25,
    )  # fmt: skip
    unit = UnitHealth(time_ns=at(0.5).utc_ns, clock=ClockQuality.LOCKED, capability=Capability.FULL)
    everyone = (
        track(17, ObjectClass.CAR, 10.0, -5.0), track(18, ObjectClass.PEDESTRIAN, 0.1, 3.8)
    )  # fmt: skip
    plate = {"bsmFrame": {"id": "0102030405060708", "plateNo": "31323334"}}
    load = MachineLoad(
        time_ns=at(0.5).utc_ns, load=1.25, utilisation=0.4321, memory_total=8 * 2**30,
        memory_used=3 * 2**30, disk_total=100 * 2**30, disk_used=25 * 2**30,
        disk_operations_hz=12.0, disk_read_octets_hz=2048.0, disk_written_octets_hz=4096.0,
        received_packets_hz=30.0, sent_packets_hz=40.0, received_octets_hz=5000.0,
        sent_octets_hz=6000.0,
    )  # fmt: skip
    return [
        (MACHINE, load, 0.5),
        (UNIT_HEALTH, unit, 0.5),
        (SENSOR_HEALTH, sensor, 0.5),
        (ROAD_EVENT, _event(EventPhase.ONSET, 0.5), 0.5),
        (PARKING, lot, 0.6),
        (V2X_HEARD, heard({"bsmFrame": {"id": "0102030405060708"}}), 0.8),
        (V2X_HEARD, heard(plate, b"\x09\x09"), 0.8),
        *((V2X_TX, frame, 0.91) for frame in _frames()),
        (TRACKS, TrackList(time_ns=at(0.9).utc_ns, tracks=everyone), 0.92),
        (None, None, 1.0),
        (None, None, 3.0),
        (None, None, 5.0),
        (TRAFFIC, traffic, 10.0),
        (None, None, 10.0),
        (ROAD_EVENT, _event(EventPhase.END, 11.5), 11.6),
    ]


def play(
    *options: Any, what: list[tuple[Topic | None, Any, float]] | None = None
) -> list[UplinkReport]:
    """What a unit with these profiles reports of the scene."""
    stage = ReportStage(UplinkOptions(host="localhost", profiles=options), PLACE, BOOT)
    made: list[Message] = []
    for topic, payload, seconds in scene() if what is None else what:
        if topic is None:
            made += stage.tick(at(seconds))
        elif topic in stage.inputs:
            made += stage.handle(
                Message.draft(topic, "scene", at(seconds).utc_ns, payload), at(seconds)
            )
    return [message.payload for message in made]


@pytest.fixture(params=sorted(PROFILES))
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def reports() -> Callable[[str], list[UplinkReport]]:
    return lambda name: play(PROFILES[name])


def shown(report: UplinkReport) -> dict[str, Any]:
    """A report as a golden file keeps it: JSON as it is, octets as hex."""
    body: Any = report.body.hex()
    if "json" in report.content_type:
        body = json.loads(report.body)
    return {
        "topic": report.topic("rsu/corner"), "id": report.id, "priority": report.priority.name,
        "ttl_s": report.ttl_s, "content_type": report.content_type, "body": body,
    }  # fmt: skip


@pytest.fixture(name="play")
def _play() -> Callable[..., list[UplinkReport]]:
    return play


@pytest.fixture(name="shown")
def _shown() -> Callable[[UplinkReport], dict[str, Any]]:
    return shown


@pytest.fixture(name="heard")
def _heard() -> Callable[..., ReceivedV2x]:
    return heard


@pytest.fixture
def frames() -> dict[str, V2xFrame]:
    return {frame.message: frame for frame in _frames()}


@pytest.fixture
def options() -> dict[str, Any]:
    return dict(PROFILES)


@pytest.fixture
def place() -> Place:
    return PLACE


@pytest.fixture
def golden() -> Path:
    return Path(__file__).parent / "golden"
