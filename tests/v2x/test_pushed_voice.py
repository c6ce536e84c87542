"""Whole messages of a centre on the air: bit for bit, for as long and as often as it said."""

from __future__ import annotations

from typing import Any

import asn1tools
import pytest

from rsu.schema.health import Capability, ClockQuality, UnitHealth
from rsu.schema.topics import UNIT_HEALTH, V2X_PUSHED
from rsu.schema.units import NS_PER_MS
from rsu.schema.v2x import PushedV2x
from rsu.v2x.codec import codec_for, schema_text
from rsu.v2x.network import dsmp, unwrap
from rsu.v2x.voices.pushed import PUSHED_MAX

CSAE, SAE = "csae53_2020", "j2735_2024"

SIGN = {"rtsId": 1, "signType": 85, "priority": "00"}
PLACE = {"lat": 312_304_000, "long": 1_214_737_000}
RSI = {
    "rsiFrame": {"msgCnt": 77, "id": "8877665544332211", "refPos": PLACE, "rtss": [SIGN]},
}
SPAT = {
    "spatFrame": {
        "msgCnt": 3,
        "intersections": [
            {
                "intersectionId": {"region": 1, "id": 99},
                "status": {"bits": "0" * 16},
                "phases": [{"id": 4, "phaseStates": [{"light": "protected-green"}]}],
            }
        ],
    }
}
TIM_CONTENT = {
    "msgCnt": 9,
    "dataFrames": [
        {
            "doNotUse1": 0,
            "frameType": "advisory",
            "msgId": {"roadSignID": {"position": PLACE, "viewAngle": {"bits": "1" * 16}}},
            "startTime": 1000,
            "durationTime": 10,
            "priority": 5,
            "doNotUse2": 0,
            "regions": [{"anchor": PLACE}],
            "doNotUse3": 0,
            "doNotUse4": 0,
            "content": {"advisory": [{"item": {"itis": 533}}]},
        }
    ],
}


def octets(profile: str, value: Any) -> bytes:
    return codec_for(profile).encode(value)


@pytest.fixture
def push(start_ns: int):
    """A static RSI for an hour, once a second."""

    def make(ms: int = 0, until_ms: int = 3_600_000, **changes: Any) -> PushedV2x:
        values: dict[str, Any] = {
            "key": "a",
            "profile": CSAE,
            "message": "RSI",
            "payload": octets(CSAE, RSI),
            "received_ns": start_ns + ms * NS_PER_MS,
            "until_ns": start_ns + until_ms * NS_PER_MS,
            "period_s": 1.0,
        }
        return PushedV2x(**{**values, **changes})

    return make


@pytest.fixture
def drive(drive):
    """As everywhere, but with nothing to say of road users."""
    return lambda **changes: drive(**{"rsm": {"enabled": False}, **changes})


def with_later_field() -> tuple[bytes, bytes]:
    """An RSI of a later edition, which has one field more, and the same without it."""
    text = schema_text(CSAE)
    today = "rtss    RTSList OPTIONAL,\n    ...\n"
    assert text.count(today) == 1
    later = text.replace(today, today.replace("...", "...,\n    later OCTET STRING OPTIONAL"))
    plain = octets(CSAE, RSI)
    frame, value = asn1tools.compile_string(text, "uper").decode("MessageFrame", plain)
    value["later"] = b"what nobody here knows"
    coded = asn1tools.compile_string(later, "uper").encode("MessageFrame", (frame, value))
    return bytes(coded), plain


def test_it_goes_on_the_air_bit_for_bit_with_our_header(drive, push) -> None:
    unit = drive()
    (frame,) = unit.give(V2X_PUSHED, push(ms=-300), 0)
    assert frame.payload == octets(CSAE, RSI)
    assert frame.value == RSI, "its own msgCnt, not ours"
    # Semi-static: others know of it.
    assert (frame.aid, frame.priority) == (3621, 80)
    assert dsmp.parse(frame.network).payload == frame.payload
    assert unit.headers[0].capture_ns == frame.time_ns == push(ms=-300).received_ns
    assert unit.reasons == {("message:RSI", "pushed"): 1}


def test_what_a_later_edition_added_survives(drive, push) -> None:
    payload, plain = with_later_field()
    assert payload != plain
    # This is why the value must not be encoded anew: it has lost the addition.
    codec = codec_for(CSAE)
    assert codec.decode(payload) == codec.decode(plain)
    (frame,) = drive().give(V2X_PUSHED, push(payload=payload), 0)
    assert frame.payload == payload
    (inside,) = unwrap.unwrap(frame.network).payloads
    assert inside == payload


def test_messages_of_both_worlds_go_by_their_own_network(drive, push) -> None:
    unit = drive(sae={})
    tim = codec_for(SAE).encode(codec_for(SAE).frame("TIM", TIM_CONTENT))
    (frame,) = unit.give(V2X_PUSHED, push(profile=SAE, message="TIM", payload=tim), 0)
    assert (frame.aid, frame.priority, frame.profile) == (0x83, 112, SAE)
    assert unwrap.unwrap(frame.network).layers[0].name == "wsmp"
    spat = octets(CSAE, SPAT)
    (frame,) = unit.give(V2X_PUSHED, push(key="b", message="SPAT", payload=spat), 10)
    assert (frame.aid, frame.profile, frame.payload) == (3619, CSAE, spat)


@pytest.mark.parametrize(
    ("period_s", "times"),
    [
        (0.5, [30, 500, 1_000, 1_500, 2_000]),
        (1.0, [30, 1_000, 2_000]),
        (2.0, [30, 2_000]),
        (0.0, [30]),
        (1e308, [30]),
    ],
)
def test_it_is_repeated_as_often_as_the_centre_said(drive, push, period_s, times) -> None:
    unit = drive()
    unit.give(V2X_PUSHED, push(ms=30, period_s=period_s), 30)
    unit.run(2_050)
    assert unit.times("RSI") == times


def test_it_is_never_repeated_more_often_than_the_message_may_be(drive, push) -> None:
    unit = drive()
    unit.give(V2X_PUSHED, push(period_s=1e-9), 0)
    unit.run(10_000)
    assert 20 <= len(unit.times("RSI")) <= 22, "2 Hz and a credit of two"


def test_its_own_count_and_ours_are_apart(drive, push, content) -> None:
    unit = drive()
    unit.give(V2X_PUSHED, push(), 0)
    unit.run(3_000)
    assert {content(frame)["msgCnt"] for frame in unit.frames("RSI")} == {77}


def test_its_time_ends_it_and_it_says_so(drive, push) -> None:
    unit = drive()
    unit.give(V2X_PUSHED, push(until_ms=2_000), 0)
    unit.run(6_000)
    assert unit.times("RSI") == [0, 1_000, 2_000]
    assert unit.reasons["pushed:a", "expired"] == 1


def test_what_comes_too_late_is_never_said(drive, push) -> None:
    unit = drive()
    assert unit.give(V2X_PUSHED, push(until_ms=-1), 0) == []
    unit.run(2_000)
    assert unit.said == []
    assert unit.reasons == {("pushed:a", "expired"): 1}


def test_a_newer_one_of_the_same_key_takes_its_place(drive, push, content) -> None:
    unit = drive()
    unit.give(V2X_PUSHED, push(), 0)
    newer = octets(CSAE, {"rsiFrame": {**RSI["rsiFrame"], "msgCnt": 78}})
    assert len(unit.give(V2X_PUSHED, push(payload=newer), 300)) == 1
    unit.run(3_000)
    told = [(ms, content(frame)["msgCnt"]) for ms, frame in unit.said]
    assert told == [(0, 77), (300, 78), (1_300, 78), (2_300, 78)]


def test_no_octets_end_it(drive, push) -> None:
    unit = drive()
    unit.give(V2X_PUSHED, push(), 0)
    unit.give(V2X_PUSHED, push(key="b"), 0)
    assert unit.give(V2X_PUSHED, push(payload=b""), 500) == []
    unit.run(1_100)
    assert unit.times("RSI") == [0, 0, 1_000], "b goes on"


def test_a_bad_newer_one_ends_the_old_one_too(drive, push) -> None:
    unit = drive()
    unit.give(V2X_PUSHED, push(), 0)
    assert unit.give(V2X_PUSHED, push(payload=b"\x00"), 500) == []
    unit.run(3_000)
    assert unit.times("RSI") == [0]


@pytest.mark.parametrize(
    ("changes", "reason", "detail"),
    [
        ({"message": "SPAT"}, "undecodable", "it is a RSI, not a SPAT"),
        ({"payload": b"\xff\xff\xff"}, "undecodable", ""),
        ({"payload": octets(CSAE, RSI) + b"\x00"}, "undecodable", ""),
        ({"message": "BSM"}, "not_relayed", "BSM of csae53_2020"),
        ({"message": "RSM"}, "not_relayed", "RSM of csae53_2020"),
        ({"profile": SAE, "message": "TIM"}, "not_relayed", "j2735_2024 is not spoken here"),
        ({"profile": "csae157_2020"}, "not_relayed", "csae157_2020 is not spoken here"),
        ({"profile": "nonsense"}, "not_relayed", "nonsense is not spoken here"),
    ],
    ids=str,
)
def test_what_is_not_what_it_claims_to_be_or_not_ours_to_say_is_refused_with_the_reason(
    drive, push, changes: dict[str, Any], reason: str, detail: str
) -> None:
    unit = drive()
    assert unit.give(V2X_PUSHED, push(**changes), 0) == []
    unit.run(2_000)
    assert unit.said == []
    assert unit.reasons == {("pushed:a", reason): 1}
    assert detail in unit.decisions[0].detail


def test_too_large_for_a_packet_is_withheld_not_cut(drive, push) -> None:
    unit = drive(packet_octets=200, security_octets=175)
    assert unit.give(V2X_PUSHED, push(), 0) == []
    assert unit.reasons == {("message:RSI", "too_large"): 1}


def test_one_too_many_is_refused_until_another_ends(drive, push) -> None:
    unit = drive()
    for number in range(PUSHED_MAX):
        assert len(unit.give(V2X_PUSHED, push(key=f"k{number}", period_s=600.0), 0)) == 1
    assert unit.give(V2X_PUSHED, push(key="more"), 0) == []
    assert unit.reasons["pushed:more", "too_many_pushed"] == 1
    # One that is replaced makes no more of them.
    assert len(unit.give(V2X_PUSHED, push(key="k7", period_s=600.0), 0)) == 1
    unit.give(V2X_PUSHED, push(key="k3", payload=b""), 1_000)
    assert len(unit.give(V2X_PUSHED, push(key="more"), 1_000)) == 1


def test_what_has_expired_makes_room_at_once(drive, push) -> None:
    unit = drive()
    for number in range(PUSHED_MAX):
        unit.give(V2X_PUSHED, push(key=f"k{number}", period_s=600.0, until_ms=1_500), 0)
    unit.run(1_700)
    assert len(unit.give(V2X_PUSHED, push(key="new"), 1_700)) == 1


def test_keys_without_end_are_all_served(drive, push) -> None:
    """A centre may name every message anew."""
    unit = drive()
    for number in range(400):
        ms = 100 * number
        (frame,) = unit.give(V2X_PUSHED, push(key=f"event-{number}", period_s=0.0), ms)
        assert frame.message == "RSI"
    assert not [reason for _, reason in unit.reasons if reason == "rate_bound"]


def test_it_waits_for_the_clock_and_what_is_said_once_is_not_lost(drive, push) -> None:
    unit = drive(trust_clock=False)
    assert unit.give(V2X_PUSHED, push(period_s=0.0), 0) == []
    unit.run(400)
    assert set(unit.reasons) == {("message:RSI", "clock_unsynchronised")}
    health = UnitHealth(time_ns=0, clock=ClockQuality.LOCKED, capability=Capability.FULL)
    unit.give(UNIT_HEALTH, health, 450)
    unit.run(3_000)
    assert unit.times("RSI") == [500]


def test_replacing_does_not_go_around_the_rate(drive, push) -> None:
    unit = drive()
    for ms in range(0, 5_000, 50):
        unit.give(V2X_PUSHED, push(), ms)
    unit.run(5_000)
    assert len(unit.times("RSI")) <= 12, "2 Hz and a credit of two"
    assert unit.reasons["message:RSI", "rate_bound"] > 50
