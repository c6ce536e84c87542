"""What neighbours see, as they write it and as we write it ourselves; own words that come back."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass
from rsu.schema.topics import V2X_HEARD, V2X_OBJECTS, V2X_TX
from rsu.schema.units import NS_PER_S, Size, Vec2
from rsu.schema.v2x import V2xFrame
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap
from rsu.v2x.csae.rsm import RsmWriter
from rsu.v2x.csae.ssm import SsmWriter
from rsu.v2x.network import dsmp, wsmp
from rsu.v2x.sae.psm import PsmWriter
from rsu.v2x.sae.sdsm import SdsmWriter
from rsu.v2x.unit import Unit

HEARD_NS = 1_750_000_000 * NS_PER_S
SAID_NS = HEARD_NS - 50_000_000
ORIGIN = (31.2304, 121.4737)
Listen = Callable[..., Any]
WAYS: dict[str, tuple[str, Any, Callable[[bytes], bytes]]] = {
    "RSM": ("csae157_2020", RsmWriter, lambda payload: dsmp.build(3623, payload)),
    "SSM": ("csae157_2020", SsmWriter, lambda payload: dsmp.build(3625, payload)),
    "SDSM": ("j2735_2024", SdsmWriter, lambda payload: wsmp.build(0x90, payload)),
    "PSM": ("j2735_2024", PsmWriter, lambda payload: wsmp.build(0x27, payload)),
}


def participant(number: int, **changes: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "ptcType": "motor", "ptcId": number, "source": "video", "secMark": 39_900,
        "pos": {"offsetLL": {"position-LL3": {"lon": 0, "lat": 9000}}},
        "posConfidence": {"pos": "a2m"}, "speed": 0, "heading": 0,
        "size": {"width": 180, "length": 450},
    }  # fmt: skip
    return {**said, **changes}


def test_a_neighbours_hearsay_is_not_fused(ear: Listen, frame: Any) -> None:
    here = {"lat": round(ORIGIN[0] * 1e7), "long": round(ORIGIN[1] * 1e7)}
    said = [
        participant(0, ptcType="rsu", source="selfinfo"),
        participant(1),
        participant(2, source="v2x"),
        participant(3, ptcType="pedestrian"),
    ]
    content = {"msgCnt": 1, "id": "00000000000000b1", "refPos": here, "participants": said}
    listening = ear()
    out = listening.hear(dsmp.build(3623, frame("csae157_2020", "RSM", content)))
    (users,) = out[V2X_OBJECTS.name]
    assert [one.object_id for one in users.objects] == ["1", "3"]
    assert users.objects[1].object_class is ObjectClass.PEDESTRIAN
    # 9e-4° of latitude at 31°: 110.87 km a degree (WGS-84 meridian).
    assert users.objects[0].position.y == pytest.approx(99.8, abs=0.1)
    assert listening.reasons == {("message:RSM", "hearsay"): 1}


def wrapped(kind: str, at: Unit, frame: Any, *tracks: Any) -> bytes:
    """What `at` says of tracks of its own frame, as its radio sends it."""
    profile, make, wrap = WAYS[kind]
    writer = make(at)
    places = at.degrees([one.position for one in tracks])
    users = [
        writer.road_user(one, number, SAID_NS, place)
        for number, (one, place) in enumerate(zip(tracks, places, strict=True), start=1)
    ]
    return wrap(frame(profile, kind, writer.content(1, SAID_NS, users)))


@pytest.mark.parametrize("kind", ["RSM", "SSM", "SDSM"])
def test_a_neighbours_track_comes_back_as_it_was(
    kind: str, ear: Listen, unit: Any, track: Any, frame: Any
) -> None:
    # 9e-4° north of us: 99.79 m (a degree of the WGS-84 meridian at 31.23° is 110.87 km).
    there = SiteMap(LocalFrame(ORIGIN[0] + 9e-4, ORIGIN[1], 12.0))
    neighbour = unit(site=there, rsu_id="00000000000000b1")
    one = track(
        position=Vec2(20.0, -7.0), heading=math.radians(30), speed=12.5, size=Size(5.2, 2.1, 1.8),
        stds=(0.4, 0.3, math.radians(2), 0.4, 0.05),
    )  # fmt: skip
    out = ear(margin_std_m=0.0).hear(wrapped(kind, neighbour, frame, one))
    (users,) = out[V2X_OBJECTS.name]
    (found,) = users.objects
    assert users.sender == (neighbour.rsu_id[-8:] if kind == "SDSM" else neighbour.rsu_id)
    assert (found.measured_ns, found.self_reported) == (SAID_NS, False)
    assert found.position.x == pytest.approx(20.0, abs=0.08)
    assert found.position.y == pytest.approx(99.79 - 7.0, abs=0.08)
    assert found.speed == pytest.approx(12.5, abs=0.01)
    assert found.heading == pytest.approx(math.radians(30), abs=1e-3)
    assert found.object_class is ObjectClass.CAR
    assert found.size is not None
    assert (found.size.length, found.size.width) == pytest.approx((5.2, 2.1))
    assert found.size.height == pytest.approx(1.8, abs=0.03)
    # No class is tighter than the truth: the 95 % circle of 0.4 m is 0.98 m, so "1 m".
    rounding = 0.1**2 / 12 if kind == "SDSM" else 0.0
    assert found.position_cov.xx == pytest.approx((1.0 / 2.4477) ** 2 + rounding, rel=1e-3)
    assert found.speed_std == pytest.approx(1.0 / 1.96, rel=1e-3)  # 1.96 · 0.4 is "1 m/s"
    assert found.heading_std == pytest.approx(math.radians(5.0) / 1.96, rel=1e-3)


def test_offsets_of_an_sdsm_are_north_then_east(ear: Listen, frame: Any) -> None:
    (users,) = ear().hear(sdsm(frame, pos={"offsetX": 500, "offsetY": -120}))[V2X_OBJECTS.name]
    (found,) = users.objects
    assert (found.position.x, found.position.y) == pytest.approx((-12.0, 50.0), abs=0.01)
    assert found.heading == pytest.approx(0.0)  # 90° clockwise from north is east


def sdsm(frame: Any, stamp: dict[str, int] | None = None, **changes: Any) -> bytes:
    """A neighbour's car that drives east with 10 m/s, stated to 1 m."""
    common = {
        "objType": "vehicle", "objTypeCfd": 90, "objectID": 5, "measurementTime": 0,
        "timeConfidence": "unavailable", "pos": {"offsetX": 0, "offsetY": 0},
        "posConfidence": {"pos": "a1m", "elevation": "unavailable"}, "speed": 500,
        "speedConfidence": "unavailable", "heading": 7200, "headingConf": "unavailable",
        **changes,
    }  # fmt: skip
    content = {
        "msgCnt": 1, "sourceID": "000000b1", "equipmentType": "rsu",
        "sDSMTimeStamp": stamp or {"hour": 15, "minute": 6, "second": 39_950},
        "refPos": {"lat": round(ORIGIN[0] * 1e7), "long": round(ORIGIN[1] * 1e7)},
        "refPosXYConf": {"semiMajor": 255, "semiMinor": 255, "orientation": 65_535},
        "objects": [{"detObjCommon": common}],
    }  # fmt: skip
    return wsmp.build(0x90, frame("j2735_2024", "SDSM", content))


@pytest.mark.parametrize("aside_ms", [-200, 200])
def test_a_time_of_disputed_sign_makes_an_object_less_sure(
    ear: Listen, frame: Any, aside_ms: int
) -> None:
    out = ear(margin_std_m=0.0).hear(sdsm(frame, measurementTime=aside_ms))
    (found,) = out[V2X_OBJECTS.name][0].objects
    assert found.measured_ns == SAID_NS
    assert found.position_cov.xx == pytest.approx(
        (1.0 / 2.4477) ** 2 + 0.01 / 12 + (0.2 * 10.0) ** 2, rel=1e-3
    )
    listening = ear()
    listening.hear(sdsm(frame, measurementTime=aside_ms, speed=8191))
    assert listening.reasons == {("message:SDSM", "time_unstated"): 1}


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        ({"minute": 6, "second": 39_950}, None),
        ({"second": 39_950}, None),
        ({"minute": 5, "second": 39_950}, "too_old"),
        ({"minute": 36, "second": 39_950, "offset": 330}, None),  # a half-hour time zone
        ({"minute": 6}, "time_unstated"),
        ({"minute": 6, "second": 65_535}, "time_unstated"),
    ],
)
def test_the_minute_of_an_sdsm_counts(
    ear: Listen, frame: Any, stamp: dict[str, int], reason: str | None
) -> None:
    listening = ear()
    out = listening.hear(sdsm(frame, stamp))
    assert (V2X_OBJECTS.name in out) is (reason is None)
    assert listening.reasons == ({} if reason is None else {("message:SDSM", reason): 1})


@pytest.mark.parametrize("kind", list(WAYS))
def test_our_own_words_are_known_even_when_said_anew(
    kind: str, ear: Listen, unit: Any, track: Any, frame: Any
) -> None:
    # Not remembered as octets (a restart, another radio): the id in the message tells.
    listening = ear()
    walker = track(object_class=ObjectClass.PEDESTRIAN)
    out = listening.hear(wrapped(kind, unit(), frame, walker))
    assert list(out) == [V2X_HEARD.name]
    assert listening.reasons == {(f"message:{kind}", "own_echo"): 1}


@pytest.mark.parametrize("kind", list(WAYS))
def test_octets_we_sent_come_back_unheard(
    kind: str, ear: Listen, unit: Any, track: Any, frame: Any
) -> None:
    # As of another unit, so that only the octets tell.
    profile, _, wrap = WAYS[kind]
    other = unit(rsu_id="00000000000000b1")
    datagram = wrapped(kind, other, frame, track(object_class=ObjectClass.PEDESTRIAN))
    payload = datagram[-next(n for n in range(len(datagram)) if wrap(datagram[-n:]) == datagram) :]
    own = V2xFrame(
        profile=profile, message=kind, payload=payload, network=b"", aid=1, priority=0, value={},
        time_ns=SAID_NS,
    )  # fmt: skip
    listening = ear()
    assert V2X_OBJECTS.name in listening.hear(datagram)
    listening.give(Message.draft(V2X_TX, "v2x", SAID_NS, own))
    assert listening.hear(datagram) == {}
    assert listening.reasons == {("radio:obu", "own_echo"): 1}


def test_a_person_is_read_from_a_message_on_behalf(
    ear: Listen, unit: Any, track: Any, frame: Any
) -> None:
    other = unit(rsu_id="00000000000000b1")
    walker = track(
        position=Vec2(-8.0, 3.0), object_class=ObjectClass.PEDESTRIAN, speed=1.4, heading=0.0,
        stds=(0.5, 0.2, math.radians(2), 0.4, 0.05),
    )  # fmt: skip
    out = ear(margin_std_m=0.0).hear(wrapped("PSM", other, frame, walker))
    (found,) = out[V2X_OBJECTS.name][0].objects
    assert found.object_class is ObjectClass.PEDESTRIAN
    assert (found.position.x, found.position.y) == pytest.approx((-8.0, 3.0), abs=0.02)
    # The ellipse as stated, to half a step of 5 cm more on each axis.
    assert found.position_cov.xx == pytest.approx(0.525**2, rel=1e-3)
    assert found.position_cov.yy == pytest.approx(0.225**2, rel=1e-3)


def test_what_several_messages_hold_is_one_neighbours_word(
    ear: Listen, unit: Any, track: Any, frame: Any
) -> None:
    # 20 Hz a sender: 255 road users in 17 RSM, ten times a second, is not a flood.
    neighbour, listening = unit(rsu_id="00000000000000b1"), ear()
    datagram = wrapped("RSM", neighbour, frame, *(track(position=Vec2(k, 1.0)) for k in range(15)))
    heard = sum(V2X_OBJECTS.name in listening.hear(datagram) for _ in range(17 * 10))
    assert heard == 170
    assert listening.reasons == {}
    assert sum(V2X_OBJECTS.name in listening.hear(datagram) for _ in range(400)) == 20 * 16 - 170
    assert listening.reasons == {("message:RSM", "rate_exceeded"): 400 - 150}
