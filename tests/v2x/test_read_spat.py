"""Signal states as a centre tells them, read against hand-made messages and any that decodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from rsu.schema.signals import ControllerFlag, LightState
from rsu.schema.units import NS_PER_S
from rsu.v2x.csae import read_spat as csae_spat
from rsu.v2x.receive.phases import of_mark
from rsu.v2x.sae import read_spat as sae_spat
from rsu.v2x.unit import Unit

HEARD_NS = 1_750_000_000 * NS_PER_S  # 15:06:40: 4000 tenths into its hour
MakeUnit = Callable[..., Unit]
STATUS = {"bits": "0001010000000000"}


def phase(*states: tuple[str, dict[str, Any] | None]) -> dict[str, Any]:
    found = [{"light": light} | ({"timing": timing} if timing else {}) for light, timing in states]
    return {"id": 2, "phaseStates": found}


def counting(start: int, **ends: int) -> dict[str, Any]:
    return {"counting": {"startTime": start, "likelyEndTime": 36_001, **ends}}


def csae(*phases: dict[str, Any], status: dict[str, str] = STATUS) -> dict[str, Any]:
    one = {
        "intersectionId": {"id": 7}, "status": status, "timeStamp": 39_000, "phases": list(phases)
    }  # fmt: skip
    return {"msgCnt": 1, "intersections": [one]}


def test_counted_intervals_begin_at_the_time_of_the_state(unit: MakeUnit) -> None:
    content = csae(
        phase(
            ("yellow", counting(50, likelyEndTime=80)),
            ("protected-green", counting(0, minEndTime=50)),
        )
    )
    (state,) = csae_spat.read(content, unit(), HEARD_NS)
    assert (state.intersection, state.capture_ns) == (7, HEARD_NS - NS_PER_S)
    assert state.flags == (ControllerFlag.PREEMPT, ControllerFlag.FIXED_TIME)
    (group,) = state.groups
    assert (group.group, group.light) == (2, LightState.PROTECTED_GREEN)
    assert (group.min_end_ns, group.likely_end_ns) == (HEARD_NS + 4 * NS_PER_S, None)


# 15:06:39 is 3990 tenths into its hour.
def marks(start: int) -> dict[str, Any]:
    return {"utcTiming": {"startUTCTime": start, "likelyEndUTCTime": 36_001}}


@pytest.mark.parametrize(
    ("states", "light"),
    [
        ((("red", None),), "red"),
        ((("red", None), ("yellow", counting(30))), "red"),
        ((("yellow", marks(3800)), ("red", marks(3900)), ("flashing-red", marks(4000))), "red"),
        # Which of them shows is not told.
        ((("red", None), ("yellow", None)), "unavailable"),
        ((("red", counting(0)), ("yellow", counting(0))), "unavailable"),
        ((("red", counting(30)),), "unavailable"),
        ((("red", marks(4100)),), "unavailable"),
    ],
)
def test_the_light_that_shows_is_told_or_none(
    unit: MakeUnit, states: tuple[Any, ...], light: str
) -> None:
    (state,) = csae_spat.read(csae(phase(*states)), unit(), HEARD_NS)
    assert [one.light.value for one in state.groups] == [light]


def test_a_number_told_twice_names_no_group(unit: MakeUnit) -> None:
    one, other, nobody = phase(("red", None)), phase(("dark", None)), phase(("red", None))
    nobody["id"] = 0
    (state,) = csae_spat.read(csae(one, {**other, "id": 4}, nobody), unit(), HEARD_NS)
    assert [group.group for group in state.groups] == [2, 4]
    (state,) = csae_spat.read(csae(one, other), unit(), HEARD_NS)
    assert state.groups == ()


def sae(event: dict[str, Any], status: dict[str, str] = STATUS) -> dict[str, Any]:
    one = {
        "id": {"id": 7}, "revision": 0, "status": status,
        "states": [{"signalGroup": 4, "state-time-speed": [event]}],
    }  # fmt: skip
    return {"intersections": [one]}


def test_a_message_that_is_not_valid_tells_no_light(unit: MakeUnit) -> None:
    not_valid = {"bits": "0" * 13 + "100"}
    content = csae(phase(("red", counting(0, minEndTime=50))), status=not_valid)
    (state,) = csae_spat.read(content, unit(), HEARD_NS)
    event = {"eventState": "stop-And-Remain", "timing": {"minEndTime": 4100}}
    (other,) = sae_spat.read(sae(event, not_valid), unit(), HEARD_NS)
    for group in (*state.groups, *other.groups):
        assert (group.light, group.min_end_ns) == (LightState.UNAVAILABLE, None)


def test_marks_lie_within_the_nearest_hour(unit: MakeUnit) -> None:
    event = {"eventState": "stop-And-Remain", "timing": {"minEndTime": 4100, "maxEndTime": 36_111}}
    (state,) = sae_spat.read(sae(event), unit(), HEARD_NS)
    (group,) = state.groups
    assert (group.light, group.min_end_ns) == (LightState.RED, HEARD_NS + 10 * NS_PER_S)
    assert group.max_end_ns is None
    hour = HEARD_NS // (3600 * NS_PER_S) * 3600 * NS_PER_S
    assert of_mark(5, hour - NS_PER_S) == hour + NS_PER_S // 2
    assert of_mark(35_990, hour) == hour - NS_PER_S


@pytest.mark.parametrize(
    ("profile", "read", "place"),
    [("csae157_2020", csae_spat.read, "intersectionId"), ("j2735_2024", sae_spat.read, "id")],
)
def test_any_message_is_read(
    any_value: Callable[[str, str], Any], unit: MakeUnit, profile: str, read: Any, place: str
) -> None:
    at = unit()

    # One intersection at a time: whole messages have too many choices for one drawing.
    @given(state=any_value(profile, "IntersectionState"))
    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.data_too_large])
    def check(state: Any) -> None:
        ours = {**state, place: {"id": at.intersection}}
        elsewhere = {**state, place: {"id": at.intersection + 1}}
        (found,) = read({"intersections": [elsewhere, ours]}, at, HEARD_NS)
        # Nearest year at most.
        assert abs(found.capture_ns - HEARD_NS) <= 367 * 86_400 * NS_PER_S
        numbers = [group.group for group in found.groups]
        assert len(set(numbers)) == len(numbers)

    check()
