"""The receiving stage: every wrapping, echoes, stale words, floods; readers on others' messages."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.v2x_receive import ReceiveOptions
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass, V2xObjects
from rsu.schema.topics import SIGNAL_REQUEST, V2X_HEARD, V2X_OBJECTS, V2X_RX, V2X_TX
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import ReceivedV2x, V2xFrame
from rsu.site.geodesy import LocalFrame
from rsu.v2x.codec import codec_for
from rsu.v2x.csae import read_bsm, read_participants, read_psm, read_vir
from rsu.v2x.errors import CodecError
from rsu.v2x.network import dsmp, wsmp
from rsu.v2x.receive.moments import of_dsecond, of_minute
from rsu.v2x.receive.quantities import Receiver, ellipse
from rsu.v2x.receive.senders import OWN_FRAMES, OwnWords, Senders
from rsu.v2x.receive.stage import ReceiveStage
from rsu.v2x.sae import read_bsm as sae_bsm
from rsu.v2x.sae import read_psm as sae_psm
from rsu.v2x.sae import read_sdsm, read_srm
from rsu.v2x.unit import Unit

MINUTE = 1_750_000_000 // 60 * 60 * NS_PER_S
HEARD_NS = 1_750_000_000 * NS_PER_S  # 40 s into its minute
ORIGIN = (31.2304, 121.4737)
FRAME = LocalFrame(*ORIGIN, 12.0)
MakeUnit = Callable[..., Unit]


def csae(
    *, name: str = "00000000000000a1", second: int = 39_900, north_m: float = 0.0, **changes: Any
) -> dict[str, Any]:
    """A car north of the origin that drives north-east at 10 m/s."""
    lat, lon, _ = FRAME.to_geodetic(0.0, north_m)
    content: dict[str, Any] = {
        "msgCnt": 1, "id": name, "secMark": second,
        "pos": {"lat": round(lat * 1e7), "long": round(lon * 1e7)},
        "posConfidence": {"pos": "a1m"}, "transmission": "forwardGears", "speed": 500,
        "heading": 45 * 80, "motionCfd": {"speedCfd": "prec0-1ms", "headingCfd": "prec01deg"},
        "accelSet": {"long": 0, "lat": 0, "vert": 0, "yaw": 0}, "brakes": {},
        "size": {"width": 180, "length": 450, "height": 30},
        "vehicleClass": {"classification": 10},
    }  # fmt: skip
    return {**content, **changes}


def sae(**changes: Any) -> dict[str, Any]:
    core: dict[str, Any] = {
        "msgCnt": 1, "id": "0a0b0c0d", "secMark": 39_900, "lat": round(ORIGIN[0] * 1e7),
        "long": round(ORIGIN[1] * 1e7), "elev": 120,
        "accuracy": {"semiMajor": 40, "semiMinor": 20, "orientation": 0},
        "transmission": "forwardGears", "speed": 500, "heading": 0, "angle": 0,
        "accelSet": {"long": 0, "lat": 0, "vert": 0, "yaw": 0},
        "brakes": {"wheelBrakes": {"bits": "00000"}, "traction": "off", "abs": "off",
                   "scs": "off", "brakeBoost": "off", "auxBrakes": "off"},
        "size": {"width": 200, "length": 1200},
    }  # fmt: skip
    return {"coreData": {**core, **changes}}


def frame(profile: str, message: str, content: dict[str, Any]) -> bytes:
    codec = codec_for(profile)
    return codec.encode(codec.frame(message, content))


def rx(payload: bytes, heard_ns: int = HEARD_NS) -> Message:
    heard = ReceivedV2x(radio="obu", capture_ns=heard_ns, payload=payload)
    return Message.draft(V2X_RX, "obu", heard_ns, heard)


class Ear:
    """A stage and what it said, by topic; decisions as (subject, reason) → count."""

    def __init__(self, unit: Unit, **options: Any) -> None:
        self.stage = ReceiveStage(ReceiveOptions(**options), unit, Instant(HEARD_NS, 0))
        self.now = Instant(HEARD_NS + 10_000_000, 10_000_000)
        self.reasons: dict[tuple[str, str], int] = {}

    def hear(self, payload: bytes, heard_ns: int = HEARD_NS) -> dict[str, list[Any]]:
        return self.give(rx(payload, heard_ns))

    def give(self, message: Message) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {}
        for said in self.stage.handle(message, self.now):
            out.setdefault(said.topic.name, []).append(said.payload)
        later = Instant(self.now.utc_ns, self.now.mono_ns + 1_000_000_000)
        for decision in [*out.pop("decision", []), *(m.payload for m in self.stage.tick(later))]:
            key = (decision.subject, decision.reason)
            self.reasons[key] = self.reasons.get(key, 0) + decision.count
        return out


@pytest.fixture
def ear(unit: MakeUnit) -> Callable[..., Ear]:
    return lambda **options: Ear(unit(), **options)


BSM = frame("csae157_2020", "BSM", csae())
SAE_BSM = frame("j2735_2024", "BSM", sae())


def unsecured(payload: bytes) -> bytes:
    assert len(payload) < 128
    return b"\x03\x80" + bytes([len(payload)]) + payload


@pytest.mark.parametrize(
    ("datagram", "options", "profile", "layers"),
    [
        (dsmp.build(111, BSM), {}, "csae157_2020", ("dsmp",)),
        (dsmp.build(111, unsecured(BSM)), {}, "csae157_2020", ("dsmp", "ieee1609dot2")),
        (BSM, {"bare": "csae53_2020"}, "csae53_2020", ()),
        (wsmp.build(0x20, SAE_BSM, pc5=True), {}, "j2735_2024", ("pc5", "wsmp")),
        (wsmp.build(0x20, unsecured(SAE_BSM)), {}, "j2735_2024", ("wsmp", "ieee1609dot2")),
        (SAE_BSM, {"bare": "j2735_2024"}, "j2735_2024", ()),
    ],
)
def test_wrapping_chooses_the_message_set(
    ear: Callable[..., Ear], datagram: bytes, options: Any, profile: str, layers: tuple[str, ...]
) -> None:
    out = ear(**options).hear(datagram)
    (heard,) = out[V2X_HEARD.name]
    assert (heard.profile, heard.message, heard.layers) == (profile, "BSM", layers)
    assert heard.payload == (SAE_BSM if profile == "j2735_2024" else BSM)
    (users,) = out[V2X_OBJECTS.name]
    assert users.capture_ns == HEARD_NS - 100_000_000


def test_a_vehicle_is_read_in_si_units(ear: Callable[..., Ear]) -> None:
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
    ear: Callable[..., Ear], changes: dict[str, Any], reason: str
) -> None:
    listening = ear()
    out = listening.hear(dsmp.build(111, frame("csae157_2020", "BSM", csae(**changes))))
    assert list(out) == [V2X_HEARD.name]
    assert listening.reasons == {("message:BSM", reason): 1}


def test_unstated_values_are_never_numbers(ear: Callable[..., Ear]) -> None:
    content = csae(
        speed=8191, heading=28_800, size={"width": 0, "length": 0},
        posConfidence={"pos": "unavailable"},
    )  # fmt: skip
    payload = dsmp.build(111, frame("csae157_2020", "BSM", content))
    (users,) = ear(unstated_std_m=5.0, margin_std_m=0.0).hear(payload)[V2X_OBJECTS.name]
    (one,) = users.objects
    assert (one.speed, one.heading, one.size) == (None, None, None)
    assert one.position_cov.xx == 25.0


def test_own_frames_come_back_unheard(ear: Callable[..., Ear]) -> None:
    listening = ear()
    own = V2xFrame(
        profile="csae157_2020", message="BSM", payload=BSM, network=b"", aid=111, priority=0,
        value={}, time_ns=HEARD_NS,
    )  # fmt: skip
    assert listening.give(Message.draft(V2X_TX, "v2x", HEARD_NS, own)) == {}
    assert listening.hear(dsmp.build(111, BSM)) == {}
    assert listening.reasons == {("radio:obu", "own_echo"): 1}
    listening.now = Instant(HEARD_NS, 30 * NS_PER_S)
    assert V2X_HEARD.name in listening.hear(dsmp.build(111, BSM))


def test_frames_of_no_configured_set_are_refused(ear: Callable[..., Ear]) -> None:
    listening = ear()
    assert listening.hear(BSM) == {}
    assert listening.reasons == {("radio:obu", "profile_unknown"): 1}


@given(octets=st.binary(max_size=200))
@settings(max_examples=100)
def test_garbage_is_a_counted_drop(octets: bytes) -> None:
    unit = Unit(rsu_id="00112233aabbccdd", site=_empty_site())
    listening = Ear(unit, bare="csae53_2020")
    out = listening.hear(octets)
    assert out or sum(listening.reasons.values()) >= 1


def _empty_site() -> Any:
    from rsu.site.lanes import SiteMap

    return SiteMap(FRAME)


def test_a_flood_is_bounded(ear: Callable[..., Ear]) -> None:
    listening = ear(frames_hz=50.0, rate_hz=20.0)
    fused = sum(V2X_OBJECTS.name in listening.hear(dsmp.build(111, BSM)) for _ in range(100))
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


def test_unverified_words_may_be_kept_out(ear: Callable[..., Ear]) -> None:
    listening = ear(use_unverified=False)
    assert list(listening.hear(dsmp.build(111, BSM))) == [V2X_HEARD.name]
    assert listening.reasons == {("message:BSM", "unverified"): 1}


def test_dseconds_wrap_at_the_minute() -> None:
    just_after = MINUTE + 100_000_000
    assert of_dsecond(59_900, just_after) == MINUTE - 100_000_000
    assert of_dsecond(50, MINUTE - 50_000_000) == MINUTE + 50_000_000
    assert of_dsecond(60_000, MINUTE) is None
    new_year = 1_767_225_600 * NS_PER_S  # 2026-01-01T00:00:00Z
    assert of_minute(365 * 1440 - 1, 59_000, new_year) == new_year - NS_PER_S
    assert of_minute(0, 0, new_year - NS_PER_S) == new_year


def participant(number: int, **changes: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "ptcType": "motor", "ptcId": number, "source": "video", "secMark": 39_900,
        "pos": {"offsetLL": {"position-LL3": {"lon": 0, "lat": 9000}}},
        "posConfidence": {"pos": "a2m"}, "speed": 0, "heading": 0,
        "size": {"width": 180, "length": 450},
    }  # fmt: skip
    return {**said, **changes}


def test_a_neighbours_hearsay_is_not_fused(ear: Callable[..., Ear]) -> None:
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


def test_a_request_reaches_the_signals_of_this_intersection_only(ear: Callable[..., Ear]) -> None:
    def package(intersection: int) -> dict[str, Any]:
        request = {
            "id": {"region": 310, "id": intersection}, "requestID": 5,
            "requestType": "priorityRequest", "inBoundLane": {"lane": 3},
        }  # fmt: skip
        minute = (HEARD_NS // NS_PER_S - 1_735_689_600) // 60
        return {"request": request, "minute": minute, "second": 50_000, "duration": 2000}

    content = {
        "second": 39_900, "sequenceNumber": 9, "requests": [package(7), package(8)],
        "requestor": {"id": {"entityID": "0a0b0c0d"}, "type": {"role": "fire"}},
    }  # fmt: skip
    out = ear().hear(wsmp.build(0x204096, frame("j2735_2024", "SRM", content)))
    (request,) = out[SIGNAL_REQUEST.name]
    assert (request.vehicle.hex(), request.request, request.sequence) == ("0a0b0c0d", 5, 9)
    assert (request.role, request.inbound_lane_id, request.inbound) == ("fire", 3, None)
    assert request.arrival_ns == HEARD_NS + 10 * NS_PER_S
    assert request.duration_s == 2.0


def read_all(profile: str, value: dict[str, Any], unit: Unit) -> list[Any]:
    """Everything that reads a message of this name; objects and requests."""
    sae_set = profile == "j2735_2024"
    name = codec_for(profile).message_name(value)
    inner = value if "messageId" in value else next(iter(value.values()))
    if "messageId" in inner:
        (inner,) = inner["value"].values() if isinstance(inner["value"], dict) else (None,)
    receiver = Receiver(FRAME, HEARD_NS)
    road: dict[str, Any] = (
        {"BSM": sae_bsm.read, "PSM": sae_psm.read, "SDSM": read_sdsm.read}
        if sae_set
        else {"BSM": read_bsm.read, "PSM": read_psm.read, "RSM": read_participants.read_rsm,
              "SSM": read_participants.read_ssm}
    )  # fmt: skip
    asked: dict[str, Any] = {"SRM": read_srm.read} if sae_set else {"VIR": read_vir.read}
    if name in road:
        return list(road[name](inner, receiver).objects)
    return list(asked[name](inner, unit, HEARD_NS)) if name in asked else []


READ = {
    "csae157_2020": ["BasicSafetyMessage", "PersonalSafetyMessage", "RoadsideSafetyMessage",
                     "SensorSharingMsg", "VehIntentionAndRequest"],
    "j2735_2024": ["BasicSafetyMessage", "PersonalSafetyMessage", "SensorDataSharingMessage",
                   "SignalRequestMessage"],
}  # fmt: skip
NAMES = {
    "BasicSafetyMessage": "BSM", "PersonalSafetyMessage": "PSM", "RoadsideSafetyMessage": "RSM",
    "SensorSharingMsg": "SSM", "VehIntentionAndRequest": "VIR", "SensorDataSharingMessage": "SDSM",
    "SignalRequestMessage": "SRM",
}  # fmt: skip


@pytest.mark.parametrize(("profile", "kind"), [(p, k) for p, kinds in READ.items() for k in kinds])
def test_readers_take_any_message_of_their_set(
    any_value: Callable[[str, str], Any], unit: MakeUnit, profile: str, kind: str
) -> None:
    at = unit()

    @given(content=any_value(profile, kind))
    @settings(max_examples=25)
    def check(content: Any) -> None:
        value = codec_for(profile).frame(NAMES[kind], content)
        for one in read_all(profile, value, at):
            if hasattr(one, "position"):
                plausible(one)

    check()


def plausible(one: Any) -> None:
    cov = one.position_cov
    assert all(map(math.isfinite, (one.position.x, one.position.y)))
    assert min(cov.xx, cov.yy) > 0
    assert cov.xx * cov.yy - cov.xy**2 > 0
    assert one.speed is None or 0 <= one.speed < 163.82
    assert one.heading is None or -math.pi <= one.heading <= math.pi
    assert abs(one.measured_ns - HEARD_NS) <= 32 * NS_PER_S


def test_messages_of_others_are_read(shared: Path, unit: MakeUnit) -> None:
    sets = {
        "j2735_2024": json.loads((shared / "vectors" / "j2735_vectors.json").read_text()),
        "csae157_2020": json.loads((shared / "vectors" / "csae_vectors.json").read_text())[
            "messages"
        ],
    }
    at, decoded, found = unit(), 0, 0
    for profile, vectors in sets.items():
        for vector in vectors:
            try:
                value = codec_for(profile).decode(bytes.fromhex(vector["hex"]))
            except CodecError:
                continue
            decoded += 1
            for one in read_all(profile, value, at):
                found += 1
                if hasattr(one, "position"):
                    plausible(one)
    assert decoded > 50
    assert found > 5
