"""The receiving stage: every wrapping, echoes, stale words, floods."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.immediate_forward import ImmediateForward, format_immediate_forward
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass, V2xObjects
from rsu.schema.topics import V2X_HEARD, V2X_OBJECTS, V2X_TX
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import V2xFrame
from rsu.v2x.codec import codec_for
from rsu.v2x.network import dsmp, wsmp
from rsu.v2x.receive.moments import of_dsecond, of_minute
from rsu.v2x.receive.quantities import ellipse
from rsu.v2x.receive.senders import OWN_FRAMES, OwnWords, Senders

MINUTE = 1_750_000_000 // 60 * 60 * NS_PER_S
HEARD_NS = 1_750_000_000 * NS_PER_S  # 40 s into its minute
ORIGIN = (31.2304, 121.4737)
Listen = Callable[..., Any]


@pytest.fixture
def bsm(frame: Any, csae: Any) -> bytes:
    return bytes(frame("csae157_2020", "BSM", csae()))


def unsecured(payload: bytes) -> bytes:
    assert len(payload) < 128
    return b"\x03\x80" + bytes([len(payload)]) + payload


def forward_text(payload: bytes) -> bytes:
    """As traffic controllers write it: indented, with CR/LF."""
    lines = format_immediate_forward(
        ImmediateForward(message_type="BSM", psid=0x20, payload=payload)
    ).splitlines()
    return b"\r\n".join(b"  " + line for line in lines) + b"\r\n"


WRAPPINGS: list[tuple[str, Callable[[bytes], bytes], dict[str, str], str, tuple[str, ...]]] = [
    ("csae157_2020", lambda bsm: dsmp.build(111, bsm), {}, "csae157_2020", ("dsmp",)),
    ("csae157_2020", lambda bsm: dsmp.build(111, unsecured(bsm)), {}, "csae157_2020",
     ("dsmp", "ieee1609dot2")),
    ("csae157_2020", lambda bsm: dsmp.build(111, bsm), {"dsmp": "legacy_20190724"},
     "legacy_20190724", ("dsmp",)),
    ("csae157_2020", lambda bsm: bsm, {"bare": "csae53_2020"}, "csae53_2020", ()),
    ("j2735_2024", lambda bsm: wsmp.build(0x20, bsm, pc5=True), {}, "j2735_2024",
     ("pc5", "wsmp")),
    ("j2735_2024", lambda bsm: wsmp.build(0x20, unsecured(bsm)), {}, "j2735_2024",
     ("wsmp", "ieee1609dot2")),
    ("j2735_2024", forward_text, {}, "j2735_2024", ("rsu41",)),
    ("j2735_2024", lambda bsm: forward_text(unsecured(bsm)), {}, "j2735_2024",
     ("rsu41", "ieee1609dot2")),
    ("j2735_2024", lambda bsm: bsm, {"bare": "j2735_2024"}, "j2735_2024", ()),
]  # fmt: skip


@pytest.mark.parametrize(("written", "wrap", "options", "profile", "layers"), WRAPPINGS)
def test_wrapping_chooses_the_message_set(
    ear: Listen, frame: Any, csae: Any, sae: Any, written: str, wrap: Callable[[bytes], bytes],
    options: Any, profile: str, layers: tuple[str, ...],
) -> None:  # fmt: skip
    bsm = frame(written, "BSM", sae() if written == "j2735_2024" else csae())
    out = ear(**options).hear(wrap(bsm))
    (heard,) = out[V2X_HEARD.name]
    assert (heard.profile, heard.message, heard.layers) == (profile, "BSM", layers)
    assert heard.payload == bsm
    assert heard.value == codec_for(profile).decode(bsm)
    assert heard.aid == (None if not layers else 0x20 if written == "j2735_2024" else 111)
    (users,) = out[V2X_OBJECTS.name]
    assert users.capture_ns == HEARD_NS - 100_000_000


def vector(shared: Path, name: str) -> bytes:
    return bytes.fromhex((shared / "vectors" / name).read_text())


def test_a_foreign_bsm_behind_pc5_is_heard(shared: Path, ear: Listen) -> None:
    listening = ear()
    out = listening.hear(vector(shared, "pc5_wsmp_bsm.hex"))
    (heard,) = out[V2X_HEARD.name]
    assert (heard.message, heard.aid, heard.layers) == (
        "BSM",
        0x20,
        ("pc5", "wsmp", "ieee1609dot2"),
    )
    # It speaks of another place and another second of its minute, so it is heard and not fused.
    assert V2X_OBJECTS.name not in out
    assert sum(listening.reasons.values()) == 1


def test_a_foreign_signed_message_is_heard_and_moves_nothing(shared: Path, ear: Listen) -> None:
    listening = ear()
    out = listening.hear(wsmp.build(0x83, vector(shared, "spdu_signed_tim.hex")))
    (heard,) = out[V2X_HEARD.name]
    assert (heard.message, heard.layers) == ("TIM", ("wsmp", "ieee1609dot2", "ieee1609dot2"))
    assert heard.payload[:2] == b"\x00\x1f"
    assert list(out) == [V2X_HEARD.name]


def test_uplink_frames_of_another_unit_hold_several_messages(shared: Path, ear: Listen) -> None:
    vectors = json.loads((shared / "vectors" / "csae_vectors.json").read_text())
    listening, names = ear(bare="csae53_2020"), []
    for one in vectors["uplink_frames"]:
        out = listening.hear(bytes.fromhex(one["hex"]))
        assert {heard.layers for heard in out[V2X_HEARD.name]} == {("uplink_frame",)}
        names += [heard.message for heard in out[V2X_HEARD.name]]
    assert names == ["SPAT", "BSM", "BSM", "RSM"]


def test_a_vehicle_is_read_in_si_units(ear: Listen, frame: Any, csae: Any) -> None:
    payload = frame("csae157_2020", "BSM", csae(north_m=100.0))
    (users,) = ear(margin_std_m=0.5).hear(dsmp.build(111, payload))[V2X_OBJECTS.name]
    assert isinstance(users, V2xObjects)
    (one,) = users.objects
    assert (users.sensor, users.sender, one.object_id) == ("v2x", "0" * 14 + "a1", "0" * 14 + "a1")
    assert (one.position.x, one.position.y) == pytest.approx((0.0, 100.0), abs=0.02)
    # Within 1 m with 95 % in the plane: 1 / √(−2 ln 0.05); and the margin.
    assert one.position_cov.xx == pytest.approx(1 / (-2 * math.log(0.05)) + 0.25)
    assert one.heading == pytest.approx(math.pi / 4)
    assert (one.speed, one.speed_std) == pytest.approx((10.0, 0.1 / 1.959964))
    assert one.heading_std == pytest.approx(math.radians(1.0) / 1.959964)
    assert one.object_class is ObjectClass.CAR
    assert one.size is not None
    assert (one.size.length, one.size.width, one.size.height) == (4.5, 1.8, 1.5)


def test_an_ellipse_lies_along_its_axis() -> None:
    # 2 m to the north, 1 m across, each with half a step of 5 cm.
    north = ellipse({"semiMajor": 40, "semiMinor": 20, "orientation": 0})
    assert north is not None
    assert (north.xx, north.yy) == pytest.approx((1.025**2, 2.025**2))
    east = ellipse({"semiMajor": 40, "semiMinor": 20, "orientation": 65535 // 4})
    assert east is not None
    assert (east.xx, east.yy) == pytest.approx((2.025**2, 1.025**2), rel=1e-3)
    for axis in (254, 255):
        assert ellipse({"semiMajor": axis, "semiMinor": 1, "orientation": 0}) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"second": 38_000}, "too_old"),
        ({"second": 40_500}, "from_future"),
        ({"second": 65_535}, "time_unstated"),
        ({"north_m": 2000.0}, "far_away"),
        ({"posConfidence": {"pos": "unavailable"}}, "accuracy_unstated"),
        ({"pos": {"lat": 900_000_001, "long": 1}}, "position_unstated"),
        ({"name": "00112233aabbccdd"}, "own_echo"),
    ],
)
def test_what_is_heard_but_not_fused(
    ear: Listen, frame: Any, csae: Any, changes: dict[str, Any], reason: str
) -> None:
    listening = ear()
    out = listening.hear(dsmp.build(111, frame("csae157_2020", "BSM", csae(**changes))))
    assert list(out) == [V2X_HEARD.name]
    assert listening.reasons == {("message:BSM", reason): 1}


def test_unstated_values_are_never_numbers(ear: Listen, frame: Any, csae: Any) -> None:
    content = csae(
        speed=8191, heading=28_800, size={"width": 0, "length": 0},
        posConfidence={"pos": "unavailable"},
    )  # fmt: skip
    payload = dsmp.build(111, frame("csae157_2020", "BSM", content))
    (users,) = ear(unstated_std_m=5.0, margin_std_m=0.0).hear(payload)[V2X_OBJECTS.name]
    (one,) = users.objects
    assert (one.speed, one.heading, one.size) == (None, None, None)
    assert one.position_cov.xx == 25.0


def test_own_frames_come_back_unheard(ear: Listen, bsm: bytes) -> None:
    listening = ear()
    own = V2xFrame(
        profile="csae157_2020", message="BSM", payload=bsm, network=b"", aid=111, priority=0,
        value={}, time_ns=HEARD_NS,
    )  # fmt: skip
    assert listening.give(Message.draft(V2X_TX, "v2x", HEARD_NS, own)) == {}
    assert listening.hear(dsmp.build(111, bsm)) == {}
    assert listening.reasons == {("radio:obu", "own_echo"): 1}
    listening.now = Instant(HEARD_NS, 30 * NS_PER_S)
    assert V2X_HEARD.name in listening.hear(dsmp.build(111, bsm))


def test_frames_of_no_configured_set_are_refused(ear: Listen, bsm: bytes) -> None:
    listening = ear()
    assert listening.hear(bsm) == {}
    assert listening.reasons == {("radio:obu", "profile_unknown"): 1}


def test_garbage_is_a_counted_drop(ear: Listen) -> None:
    @given(octets=st.binary(max_size=200))
    @settings(max_examples=100, deadline=None)
    def check(octets: bytes) -> None:
        listening = ear(bare="csae53_2020")
        out = listening.hear(octets)
        assert out or sum(listening.reasons.values()) >= 1

    check()


def test_a_flood_is_bounded(ear: Listen, bsm: bytes) -> None:
    listening = ear(frames_hz=50.0, rate_hz=20.0)
    fused = sum(V2X_OBJECTS.name in listening.hear(dsmp.build(111, bsm)) for _ in range(100))
    assert fused == 20
    assert listening.reasons["message:BSM", "rate_exceeded"] == 30
    assert listening.reasons["radio:obu", "rate_exceeded"] == 50
    senders = Senders(20.0, 10)
    refused = [senders.refusal(str(number), "BSM", 1.0, 0) for number in range(1000)]
    assert refused.count("too_many_senders") == 990
    assert len(senders) == 10
    assert senders.refusal("late", "BSM", 1.0, 11 * NS_PER_S) is None
    own = OwnWords(NS_PER_S)
    for number in range(2 * OWN_FRAMES):
        own.remember(number.to_bytes(4, "big"), 0)
    assert not own.include((0).to_bytes(4, "big"), 0)
    assert own.include((2 * OWN_FRAMES - 1).to_bytes(4, "big"), 0)


def test_unverified_words_may_be_kept_out(ear: Listen, bsm: bytes) -> None:
    listening = ear(use_unverified=False)
    assert list(listening.hear(dsmp.build(111, bsm))) == [V2X_HEARD.name]
    assert listening.reasons == {("message:BSM", "unverified"): 1}


def test_many_senders_share_a_bound(ear: Listen, frame: Any, csae: Any) -> None:
    listening = ear(senders_max=3)
    for number in range(8):
        payload = frame("csae157_2020", "BSM", csae(name=f"{number + 1:016x}"))
        listening.hear(dsmp.build(111, payload))
    assert listening.reasons == {("message:BSM", "too_many_senders"): 5}
    assert len(listening.stage._senders) == 3


def test_dseconds_wrap_at_the_minute() -> None:
    just_after = MINUTE + 100_000_000
    assert of_dsecond(59_900, just_after) == MINUTE - 100_000_000
    assert of_dsecond(50, MINUTE - 50_000_000) == MINUTE + 50_000_000
    assert of_dsecond(60_000, MINUTE) is None
    new_year = 1_767_225_600 * NS_PER_S  # 2026-01-01T00:00:00Z
    assert of_minute(365 * 1440 - 1, 59_000, new_year) == new_year - NS_PER_S
    assert of_minute(0, 0, new_year - NS_PER_S) == new_year
