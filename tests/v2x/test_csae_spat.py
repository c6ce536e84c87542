"""SPAT of a controller's word that can be checked by hand, and its reading by another codec."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.schema.signals import ControllerFlag, LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.v2x.csae.spat import SpatWriter
from rsu.v2x.csae.units import OutOfRangeError

PROFILES = ("csae53_2020", "csae157_2020", "legacy_20190724")
NOON = int(datetime(2025, 3, 1, 12, 0, 7, tzinfo=UTC).timestamp()) * NS_PER_S + 250 * NS_PER_MS
NOON_MINUTE = (31 + 28) * 1440 + 720


@pytest.fixture
def writer(unit) -> SpatWriter:
    return SpatWriter(unit())


def group(number: int, light: LightState, **ends: float) -> SignalGroup:
    """Ends in s from NOON."""
    times = {f"{name}_ns": NOON + round(end * NS_PER_S) for name, end in ends.items()}
    return SignalGroup(group=number, light=light, **times)


def state(*groups: SignalGroup, **changes: Any) -> SignalState:
    values = {"controller": "c1", "intersection": 7, "capture_ns": NOON, **changes}
    return SignalState(groups=groups, **values)


def test_scene_of_a_running_controller(writer: SpatWriter, said) -> None:
    scene = state(
        group(1, LightState.PROTECTED_GREEN, min_end=4.0, max_end=20.0, likely_end=9.5),
        group(2, LightState.RED, min_end=9.0, likely_end=14.5, start=-30.0),
        group(255, LightState.FLASHING_YELLOW),
        flags=(ControllerFlag.FIXED_TIME, ControllerFlag.PRIORITY),
    )
    value = writer.content(9, scene)
    moment = {"moy": NOON_MINUTE, "timeStamp": 7250}
    assert value == {
        "msgCnt": 9,
        **moment,
        "intersections": [
            {
                "intersectionId": {"region": 310, "id": 7},
                "status": {"bits": "0000110000000000"},  # bits 4 and 5
                **moment,
                "phases": [
                    {
                        "id": 1,
                        "phaseStates": [
                            {
                                "light": "protected-green",
                                "timing": {
                                    "counting": {
                                        "startTime": 0,
                                        "minEndTime": 40,
                                        "maxEndTime": 200,
                                        "likelyEndTime": 95,
                                    }
                                },
                            }
                        ],
                    },
                    {
                        "id": 2,
                        "phaseStates": [
                            {
                                "light": "red",
                                "timing": {
                                    "counting": {
                                        "startTime": 0,
                                        "minEndTime": 90,
                                        "likelyEndTime": 145,
                                    }
                                },
                            }
                        ],
                    },
                    {"id": 255, "phaseStates": [{"light": "flashing-yellow"}]},
                ],
            }
        ],
    }
    for profile in PROFILES:
        said(profile, "SPAT", value)


def counting(writer: SpatWriter, **ends: float) -> dict[str, int] | None:
    value = writer.content(0, state(group(1, LightState.RED, **ends)))
    (running,) = value["intersections"][0]["phases"][0]["phaseStates"]
    return running["timing"]["counting"] if "timing" in running else None


@pytest.mark.parametrize(
    ("ends", "stated"),
    [
        # No window narrower than the controller's: down, up, nearest.
        (
            {"min_end": 4.07, "max_end": 8.01, "likely_end": 6.05},
            {"minEndTime": 40, "maxEndTime": 81, "likelyEndTime": 61},
        ),
        ({"min_end": 4.0}, {"minEndTime": 40, "likelyEndTime": 36_001}),
        ({"max_end": 4.0}, {"maxEndTime": 40, "likelyEndTime": 36_001}),
        # The window has no width, so its end is known.
        (
            {"min_end": 4.0, "max_end": 4.0},
            {"minEndTime": 40, "maxEndTime": 40, "likelyEndTime": 40},
        ),
        # Overtaken by the light that still shows.
        ({"min_end": -1.0, "likely_end": 3.0}, {"minEndTime": 0, "likelyEndTime": 30}),
        ({"min_end": -1.0, "max_end": -0.5}, {"minEndTime": 0, "likelyEndTime": 36_001}),
        ({"min_end": 0.0, "likely_end": -0.01}, {"minEndTime": 0, "likelyEndTime": 36_001}),
        ({"likely_end": -0.01}, None),
        ({"max_end": -0.01}, None),
        # At odds with itself.
        ({"min_end": 5.0, "likely_end": 4.0}, {"minEndTime": 50, "likelyEndTime": 36_001}),
        ({"max_end": 5.0, "likely_end": 6.0}, {"maxEndTime": 50, "likelyEndTime": 36_001}),
        ({"min_end": 6.0, "max_end": 5.0, "likely_end": 5.5}, None),
        # An hour and beyond.
        ({"likely_end": 3599.9}, {"likelyEndTime": 35_999}),
        ({"likely_end": 3600.0}, {"likelyEndTime": 36_000}),
        ({"likely_end": 86_400.0}, {"likelyEndTime": 36_000}),
        ({}, None),
    ],
)
def test_ends(writer: SpatWriter, ends: dict[str, float], stated: dict[str, int] | None) -> None:
    assert counting(writer, **ends) == (None if stated is None else {"startTime": 0, **stated})


def test_no_end_is_known_of_a_light_that_is_not_known(writer: SpatWriter, said) -> None:
    value = writer.content(
        0,
        state(
            group(1, LightState.UNAVAILABLE, likely_end=4.0),
            group(2, LightState.DARK, likely_end=4.0),
        ),
    )
    (here,) = value["intersections"]
    assert here["phases"][0]["phaseStates"] == [{"light": "unavailable"}]
    assert here["phases"][1]["phaseStates"][0]["timing"]["counting"]["likelyEndTime"] == 40
    assert here["status"] == {"bits": "0" * 16}
    said("csae53_2020", "SPAT", value)


def test_a_controller_that_says_nothing_of_any_light_gives_no_valid_spat(
    writer: SpatWriter,
) -> None:
    value = writer.content(
        0, state(group(1, LightState.UNAVAILABLE), flags=(ControllerFlag.FAILURE,))
    )
    assert value["intersections"][0]["status"] == {"bits": "0000000010000100"}


@pytest.mark.parametrize(
    ("flag", "bit"), list(zip(ControllerFlag, range(10), strict=True)), ids=str
)
def test_every_flag_has_its_bit(writer: SpatWriter, flag: ControllerFlag, bit: int) -> None:
    value = writer.content(0, state(group(1, LightState.RED), flags=(flag,)))
    assert value["intersections"][0]["status"]["bits"].index("1") == bit


@pytest.mark.parametrize("light", LightState)
def test_every_light_can_be_said(writer: SpatWriter, light: LightState, said) -> None:
    said("csae53_2020", "SPAT", writer.content(0, state(group(1, light, likely_end=1.0))))


def test_a_year_and_a_minute_end_together(writer: SpatWriter) -> None:
    new_year = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * NS_PER_S
    before = writer.content(0, state(group(1, LightState.RED), capture_ns=new_year - 1))
    assert (before["moy"], before["timeStamp"]) == (366 * 1440 - 1, 59_999)  # 2024 was a leap year
    after = writer.content(0, state(group(1, LightState.RED), capture_ns=new_year))
    assert (after["moy"], after["timeStamp"]) == (0, 0)


def test_sixteen_groups_fit_and_no_more(writer: SpatWriter, said) -> None:
    groups = [group(number, LightState.RED) for number in range(1, 18)]
    said("csae53_2020", "SPAT", writer.content(0, state(*groups[:16])))
    with pytest.raises(OutOfRangeError, match="17 signal groups"):
        writer.content(0, state(*groups))


@pytest.mark.parametrize(
    "wrong",
    [
        state(),
        state(group(1, LightState.RED), group(1, LightState.RED)),
        state(group(0, LightState.RED)),
        state(group(256, LightState.RED)),
        state(group(1, LightState.RED), intersection=65_536),
    ],
)
def test_what_the_message_cannot_carry_is_refused(writer: SpatWriter, wrong: SignalState) -> None:
    with pytest.raises(OutOfRangeError):
        writer.content(0, wrong)


ENDS = st.none() | st.integers(-7200 * NS_PER_S, 7200 * NS_PER_S).map(lambda end: NOON + end)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    groups=st.lists(
        st.builds(
            SignalGroup,
            group=st.integers(1, 255),
            light=st.sampled_from(LightState),
            start_ns=ENDS,
            min_end_ns=ENDS,
            max_end_ns=ENDS,
            likely_end_ns=ENDS,
        ),
        min_size=1,
        max_size=16,
        unique_by=lambda one: one.group,
    ),
    flags=st.lists(st.sampled_from(ControllerFlag)),
)
def test_any_state_can_be_said_and_states_no_more_than_is_known(
    writer: SpatWriter, groups: list[SignalGroup], flags: list[ControllerFlag], said
) -> None:
    value = writer.content(0, state(*groups, flags=tuple(flags)))
    said("csae53_2020", "SPAT", value)
    for known, phase in zip(groups, value["intersections"][0]["phases"], strict=True):
        timing = phase["phaseStates"][0].get("timing", {}).get("counting", {})
        low, high = timing.get("minEndTime"), timing.get("maxEndTime")
        if known.min_end_ns is not None and low is not None:
            assert low <= max(0, math.floor((known.min_end_ns - NOON) / 1e8))
        if high is not None and high < 36_000:
            assert known.max_end_ns is not None
            assert high * 100 * NS_PER_MS >= known.max_end_ns - NOON
        likely = timing.get("likelyEndTime", 36_001)
        if likely < 36_001 and low is not None and high is not None:
            assert low <= likely <= high
