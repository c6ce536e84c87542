"""Any message that decodes: readers and the stage never fail and never say what cannot be."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from rsu.schema.priority import SignalRequest
from rsu.schema.sensing import V2xObjects
from rsu.schema.signals import SignalState
from rsu.schema.topics import SIGNAL_PUSHED, SIGNAL_REQUEST, V2X_HEARD, V2X_OBJECTS
from rsu.schema.units import NS_PER_S
from rsu.schema.wire import from_json, to_json
from rsu.v2x.codec import codec_for
from rsu.v2x.errors import CodecError
from rsu.v2x.network import dsmp, wsmp

HEARD_NS = 1_750_000_000 * NS_PER_S
RANGE_M = 5000.0
LATEST_NS = 21 * NS_PER_S
Listen = Callable[..., Any]
# What is believed is as wide as options allow, so that as much as possible gets through.
OPEN = {
    "range_m": RANGE_M, "max_age_s": 20.0, "max_lead_s": 20.0, "unstated_std_m": 5.0,
    "rate_hz": 1000.0, "echo_s": 1.0,
}  # fmt: skip
FIRST = ["BasicSafetyMessage", "RoadsideSafetyMessage"]
KINDS = {
    "csae53_2020": FIRST,
    "legacy_20190724": FIRST,
    "csae157_2020": [
        *FIRST, "PersonalSafetyMessage", "SensorSharingMsg", "VehIntentionAndRequest"
    ],
    "j2735_2024": [
        "BasicSafetyMessage", "PersonalSafetyMessage", "SensorDataSharingMessage",
        "SignalRequestMessage",
    ],
}  # fmt: skip
NAMES = {
    "BasicSafetyMessage": "BSM", "PersonalSafetyMessage": "PSM", "RoadsideSafetyMessage": "RSM",
    "SensorSharingMsg": "SSM", "VehIntentionAndRequest": "VIR", "SensorDataSharingMessage": "SDSM",
    "SignalRequestMessage": "SRM",
}  # fmt: skip
NEAR = {"lat": 312304000, "long": 1214737000}


def near(content: Any) -> Any:
    """The same message from a sender who stands here, and asks this intersection."""
    if isinstance(content, list):
        return [near(one) for one in content]
    if not isinstance(content, dict):
        return content
    moved = {key: near(one) for key, one in content.items()}
    for key in ("lat", "long"):
        # An acceleration has a lat and a long too, beside a vert.
        if key in moved and {"lat", "long"} <= set(moved) and "vert" not in moved:
            moved[key] = NEAR[key]
    for key in ("secMark", "second"):
        if isinstance(moved.get(key), int):
            moved[key] = 39_900
    for key in ("intersectionId", "id"):
        if isinstance(moved.get(key), dict) and "id" in moved[key] and len(moved[key]) <= 2:
            moved[key] = {"id": 7}
    return moved


def plausible(users: V2xObjects) -> None:
    assert users.objects
    for one in users.objects:
        cov = one.position_cov
        assert math.hypot(one.position.x, one.position.y) <= RANGE_M
        assert min(cov.xx, cov.yy) > 0
        assert cov.xx * cov.yy - cov.xy**2 > 0
        assert one.speed is None or 0 <= one.speed < 163.82
        assert one.speed_std is None or one.speed_std > 0
        assert one.heading is None or -math.pi <= one.heading <= math.pi
        assert one.heading_std is None or one.heading_std > 0
        assert abs(one.measured_ns - HEARD_NS) <= LATEST_NS
        if one.size is not None:
            assert min(one.size.length, one.size.width, one.size.height) > 0
            assert max(one.size.length, one.size.width, one.size.height) <= 102.4
    assert users.capture_ns == max(one.measured_ns for one in users.objects)


def wanted(request: SignalRequest) -> None:
    assert request.intersection == 7
    assert abs(request.time_ns - HEARD_NS) <= LATEST_NS
    assert request.duration_s is None or 0 <= request.duration_s < 60
    assert len(request.vehicle) in (4, 8)


def finite(value: Any) -> None:
    """No NaN and no infinity, however deep: JSON could not carry them."""
    if isinstance(value, float):
        assert math.isfinite(value)
    elif isinstance(value, dict):
        for one in value.values():
            finite(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            finite(one)


def sound(out: dict[str, list[Any]]) -> int:
    """Checks all that was said; how much was, beside that it was heard."""
    for users in out.get(V2X_OBJECTS.name, ()):
        plausible(users)
        assert from_json(V2X_OBJECTS, to_json(users)) == users
    for request in out.get(SIGNAL_REQUEST.name, ()):
        wanted(request)
        assert from_json(SIGNAL_REQUEST, to_json(request)) == request
    for said in out.values():
        finite(msgspec.to_builtins(said))
    return sum(len(said) for topic, said in out.items() if topic != V2X_HEARD.name)


@pytest.mark.parametrize(("profile", "kind"), [(p, k) for p, kinds in KINDS.items() for k in kinds])
def test_the_stage_takes_any_message_of_a_set(
    any_value: Callable[[str, str], Any], ear: Listen, frame: Any, profile: str, kind: str
) -> None:
    used = 0

    @given(content=any_value(profile, kind))
    @settings(
        max_examples=20, deadline=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow],
    )  # fmt: skip
    def check(content: Any) -> None:
        nonlocal used
        wrap = wsmp.build if profile == "j2735_2024" else dsmp.build
        behind = {} if profile == "j2735_2024" else {"dsmp": profile}
        for stated in (content, near(content)):
            listening = ear(**behind, **OPEN)
            out = listening.hear(wrap(1, frame(profile, NAMES[kind], stated)))
            used += sound(out)
            assert V2X_HEARD.name in out or listening.reasons

    check()
    # A VIR has to ask our signals, which chance seldom does; below it does.
    assert used > 0 or NAMES[kind] == "VIR"


def test_the_stage_takes_any_request_of_a_vir(
    any_value: Callable[[str, str], Any], ear: Listen, frame: Any
) -> None:
    used = 0

    @given(
        content=any_value("csae157_2020", "VehIntentionAndRequest"),
        wanted=any_value("csae157_2020", "Req-SignalPriority"),
        status=st.sampled_from(["unknown", "request", "comfirmed", "cancel", "complete"]),
        number=st.integers(0, 255),
    )
    @settings(
        max_examples=20, deadline=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow],
    )  # fmt: skip
    def check(content: Any, wanted: Any, status: str, number: int) -> None:
        nonlocal used
        request = {"reqID": number, "status": status, "info": {"signalPriority": wanted}}
        moved = near({**content, "intAndReq": {**content["intAndReq"], "reqs": [request]}})
        out = ear(**OPEN).hear(dsmp.build(1, frame("csae157_2020", "VIR", moved)))
        assert len(out[SIGNAL_REQUEST.name]) == 1
        used += sound(out)

    check()
    assert used > 0


@pytest.mark.parametrize("profile", ["csae157_2020", "j2735_2024"])
def test_the_stage_takes_any_pushed_spat(
    any_value: Callable[[str, str], Any], ear: Listen, frame: Any, profile: str
) -> None:
    used = 0

    @given(state=any_value(profile, "IntersectionState"))
    @settings(
        max_examples=10, deadline=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=[HealthCheck.data_too_large, HealthCheck.too_slow],
    )  # fmt: skip
    def check(state: Any) -> None:
        nonlocal used
        place = "id" if profile == "j2735_2024" else "intersectionId"
        content = {"intersections": [{**state, place: {"id": 7}}]}
        if profile != "j2735_2024":
            content = {"msgCnt": 1, **content}
        listening = ear(**OPEN)
        out = listening.take(frame(profile, "SPAT", content), "SPAT", profile)
        for told in out.get(SIGNAL_PUSHED.name, ()):
            assert isinstance(told, SignalState)
            assert abs(told.capture_ns - HEARD_NS) <= LATEST_NS
            assert from_json(SIGNAL_PUSHED, to_json(told)) == told
            for group in told.groups:
                for end in (group.min_end_ns, group.max_end_ns, group.likely_end_ns):
                    assert end is None or abs(end - told.capture_ns) <= 3600 * NS_PER_S
            used += 1
        assert bool(out) != bool(listening.reasons)

    check()
    assert used > 0


@given(
    lat=st.integers(-900_000_000, 900_000_001), long=st.integers(-1_799_999_999, 1_800_000_001),
    x=st.integers(-32_767, 32_767), y=st.integers(-32_767, 32_767),
)  # fmt: skip
@example(lat=900_000_000, long=0, x=32_767, y=32_767)
@example(lat=-900_000_000, long=1_800_000_000, x=-32_767, y=0)
@example(lat=0, long=1_800_000_000, x=0, y=32_767)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_neighbour_may_stand_anywhere(
    ear: Listen, frame: Any, lat: int, long: int, x: int, y: int
) -> None:
    common = {
        "objType": "vehicle", "objTypeCfd": 90, "objectID": 5, "measurementTime": 0,
        "timeConfidence": "unavailable", "pos": {"offsetX": x, "offsetY": y},
        "posConfidence": {"pos": "a1m", "elevation": "unavailable"}, "speed": 500,
        "speedConfidence": "unavailable", "heading": 7200, "headingConf": "unavailable",
    }  # fmt: skip
    content = {
        "msgCnt": 1, "sourceID": "000000b1", "equipmentType": "rsu",
        "sDSMTimeStamp": {"second": 39_950}, "refPos": {"lat": lat, "long": long},
        "refPosXYConf": {"semiMajor": 255, "semiMinor": 255, "orientation": 65_535},
        "objects": [{"detObjCommon": common}],
    }  # fmt: skip
    listening = ear(range_m=1e9)
    out = listening.hear(wsmp.build(0x90, frame("j2735_2024", "SDSM", content)))
    if lat > 900_000_000 or long > 1_800_000_000:
        assert listening.reasons == {("message:SDSM", "position_unstated"): 1}
        return
    finite(msgspec.to_builtins(out[V2X_OBJECTS.name]))


def test_messages_of_others_are_read(shared: Path, ear: Listen) -> None:
    sets = {
        "j2735_2024": json.loads((shared / "vectors" / "j2735_vectors.json").read_text()),
        "csae157_2020": json.loads((shared / "vectors" / "csae_vectors.json").read_text())[
            "messages"
        ],
    }
    heard = used = 0
    for profile, vectors in sets.items():
        for vector in vectors:
            payload = bytes.fromhex(vector["hex"])
            try:
                value = codec_for(profile).decode(payload)
            except CodecError:
                continue
            moved = codec_for(profile).encode(near(value))
            for octets in (payload, moved):
                wrap = wsmp.build if profile == "j2735_2024" else dsmp.build
                out = ear(**OPEN).hear(wrap(1, octets))
                heard += len(out[V2X_HEARD.name])
                used += sound(out)
    assert heard > 100
    assert used > 10
