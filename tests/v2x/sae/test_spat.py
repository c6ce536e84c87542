"""SPAT values of a controller's word that can be checked by hand, on the air and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.schema.signals import ControllerFlag, LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.v2x.sae.spat import SpatWriter
from rsu.v2x.steps import OutOfRangeError

HOUR_NS = 1_750_000_000 // 3600 * 3600 * NS_PER_S  # 2025-06-15T15:00:00Z
NEW_YEAR_NS = 1_767_225_600 * NS_PER_S  # 2026-01-01T00:00:00Z


@pytest.fixture
def writer(unit) -> SpatWriter:
    return SpatWriter(unit())


def seconds(value: float) -> int:
    """ns from the hour."""
    return HOUR_NS + round(value * 1000) * NS_PER_MS


def word(*groups: SignalGroup, now_ns: int, **changes: Any) -> SignalState:
    values = {"controller": "c", "intersection": 7, "capture_ns": now_ns, **changes}
    return SignalState(groups=groups, **values)


def timing(writer: SpatWriter, now_ns: int, **ends: int) -> Any:
    group = SignalGroup(group=1, light=LightState.RED, **ends)
    state = writer.content(0, word(group, now_ns=now_ns))["intersections"][0]["states"][0]
    return state["state-time-speed"][0].get("timing")


def test_a_junction_in_mid_cycle(writer: SpatWriter, on_air) -> None:
    now_ns = seconds(400.04)  # 15:06:40.040
    state = word(
        SignalGroup(
            group=2,
            light=LightState.PROTECTED_GREEN,
            start_ns=seconds(388.0),
            min_end_ns=seconds(405.37),
            max_end_ns=seconds(420.01),
            likely_end_ns=seconds(411.06),
        ),
        SignalGroup(group=4, light=LightState.RED, min_end_ns=seconds(408.0)),
        SignalGroup(group=6, light=LightState.YELLOW),
        now_ns=now_ns,
        flags=(ControllerFlag.TRAFFIC_DEPENDENT, ControllerFlag.PRIORITY),
    )
    value = writer.content(33, state)
    day_of_year = 31 + 28 + 31 + 30 + 31 + 15 - 1  # days before 15 June 2025
    assert value == {
        "intersections": [
            {
                "id": {"region": 310, "id": 7},
                "revision": 0,
                "status": {"bits": "0000101000000000"},
                "moy": day_of_year * 1440 + 15 * 60 + 6,
                "timeStamp": 40_040,
                "states": [
                    {
                        "signalGroup": 2,
                        "state-time-speed": [
                            {
                                "eventState": "protected-Movement-Allowed",
                                # Tenths of a second from 15:00: the window never gets narrower.
                                "timing": {
                                    "startTime": 3880,
                                    "minEndTime": 4053,
                                    "maxEndTime": 4201,
                                    "likelyTime": 4111,
                                },
                            }
                        ],
                    },
                    {
                        "signalGroup": 4,
                        "state-time-speed": [
                            {"eventState": "stop-And-Remain", "timing": {"minEndTime": 4080}}
                        ],
                    },
                    {
                        "signalGroup": 6,
                        "state-time-speed": [{"eventState": "permissive-clearance"}],
                    },
                ],
            }
        ]
    }
    on_air("SPAT", value)


def test_the_revision_counts_changes(writer: SpatWriter) -> None:
    def revision(light: LightState, second: float, number: int = 7) -> Any:
        group = SignalGroup(group=1, light=light, min_end_ns=seconds(20))
        state = word(group, now_ns=seconds(second), intersection=number)
        return writer.content(9, state)["intersections"][0]["revision"]

    red, green = LightState.RED, LightState.PROTECTED_GREEN
    assert [revision(red, 10), revision(red, 10.1), revision(green, 10.2)] == [0, 0, 1]
    assert [revision(red, 10.2, 8), revision(green, 10.3)] == [0, 1]


@pytest.mark.parametrize(
    ("light", "state"),
    [
        (LightState.UNAVAILABLE, "unavailable"),
        (LightState.DARK, "dark"),
        (LightState.FLASHING_RED, "stop-Then-Proceed"),
        (LightState.RED, "stop-And-Remain"),
        (LightState.FLASHING_GREEN, "permissive-Movement-Allowed"),
        (LightState.PERMISSIVE_GREEN, "permissive-Movement-Allowed"),
        (LightState.PROTECTED_GREEN, "protected-Movement-Allowed"),
        (LightState.YELLOW, "permissive-clearance"),
        (LightState.FLASHING_YELLOW, "caution-Conflicting-Traffic"),
    ],
)
def test_lights(writer: SpatWriter, light: LightState, state: str) -> None:
    content = writer.content(0, word(SignalGroup(group=1, light=light), now_ns=HOUR_NS))
    (movement,) = content["intersections"][0]["states"]
    assert movement["state-time-speed"] == [{"eventState": state}]


def test_ends_in_the_next_hour_wrap(writer: SpatWriter) -> None:
    now = seconds(3599.95)
    said = timing(
        writer, now, start_ns=seconds(3590), min_end_ns=seconds(3604), max_end_ns=seconds(3600)
    )
    assert said is None  # the latest end before the earliest: nothing is believed
    said = timing(
        writer,
        now,
        start_ns=seconds(3590),
        min_end_ns=seconds(3599.97),
        max_end_ns=seconds(3609.91),
    )
    assert said == {"startTime": 35_900, "minEndTime": 35_999, "maxEndTime": 100}


def test_a_start_in_the_last_hour_is_left_out(writer: SpatWriter) -> None:
    said = timing(writer, seconds(2.0), start_ns=seconds(-10.0), min_end_ns=seconds(5.0))
    assert said == {"minEndTime": 50}
    assert timing(writer, seconds(2.0), start_ns=seconds(3.0), min_end_ns=seconds(5.0)) == said


def test_an_hour_or_more_ahead(writer: SpatWriter) -> None:
    now = seconds(1800.0)
    just = timing(writer, now, min_end_ns=seconds(1801.0), max_end_ns=now + 3600 * NS_PER_S - 1)
    assert just == {"minEndTime": 18_010, "maxEndTime": 36_000}  # rounded up to the whole hour
    less = timing(writer, now, max_end_ns=now + 3599 * NS_PER_S)
    assert less == {"minEndTime": 18_000, "maxEndTime": 17_990}
    assert timing(writer, now, min_end_ns=now + 7200 * NS_PER_S) == {"minEndTime": 36_000}


def test_ends_in_the_past(writer: SpatWriter) -> None:
    now = seconds(100.0)
    # The earliest end has passed: any moment now. The latest was wrong, so it is not said.
    assert timing(writer, now, min_end_ns=seconds(90), max_end_ns=seconds(95)) == {
        "minEndTime": 1000
    }
    assert timing(writer, now, max_end_ns=seconds(99)) is None
    assert timing(writer, now, likely_end_ns=seconds(99.9)) is None


def test_a_likely_end_outside_the_window_is_left_out(writer: SpatWriter) -> None:
    window = {"min_end_ns": seconds(110), "max_end_ns": seconds(120)}
    for likely, said in [(109.9, False), (110.0, True), (120.0, True), (120.1, False)]:
        value = timing(writer, seconds(100), likely_end_ns=seconds(likely), **window)
        assert ("likelyTime" in value) is said


def test_no_known_end_means_no_timing(writer: SpatWriter) -> None:
    assert timing(writer, seconds(10), start_ns=seconds(5)) is None
    dumb = SignalGroup(group=3, light=LightState.UNAVAILABLE, min_end_ns=seconds(20))
    value = writer.content(0, word(dumb, now_ns=seconds(10)))["intersections"][0]
    assert value["states"][0]["state-time-speed"] == [{"eventState": "unavailable"}]
    assert value["status"] == {"bits": "0000000000000100"}  # no valid SPAT


@pytest.mark.parametrize(
    ("now_ns", "moy", "stamp"),
    [(NEW_YEAR_NS - 1, 525_599, 59_999), (NEW_YEAR_NS, 0, 0)],
)
def test_year_end(writer: SpatWriter, now_ns: int, moy: int, stamp: int) -> None:
    group = SignalGroup(group=1, light=LightState.DARK)
    value = writer.content(0, word(group, now_ns=now_ns))["intersections"][0]
    assert (value["moy"], value["timeStamp"]) == (moy, stamp)


def test_list_sizes_and_numbers(writer: SpatWriter, on_air) -> None:
    groups = [SignalGroup(group=number, light=LightState.RED) for number in range(1, 255)]
    on_air("SPAT", writer.content(127, word(*groups, now_ns=HOUR_NS)))
    red = groups[0]
    for wrong in [
        word(now_ns=HOUR_NS),
        word(red, red, now_ns=HOUR_NS),
        word(SignalGroup(group=0, light=LightState.RED), now_ns=HOUR_NS),
        word(SignalGroup(group=255, light=LightState.RED), now_ns=HOUR_NS),
        word(red, now_ns=HOUR_NS, intersection=65_536),
    ]:
        with pytest.raises(OutOfRangeError):
            writer.content(0, wrong)


def test_marks_are_read_as_others_write_them(writer: SpatWriter, shared: Path) -> None:
    """What other units say of a moment and its ends, said by us, has the same marks."""
    seen = 0
    for record in json.loads((shared / "vectors" / "j2735_vectors.json").read_text("utf-8")):
        if record["message"] != "SPAT" or "V2X-Hub" not in record["origin"][0]:
            continue
        for intersection in record["decoded"]["intersections"]:
            if "moy" not in intersection or "timeStamp" not in intersection:
                continue
            minute = intersection["moy"] % 60
            now_ns = seconds(minute * 60 + intersection["timeStamp"] / 1000)
            now_mark = minute * 600 + intersection["timeStamp"] // 100
            for movement in intersection["states"]:
                given_ = movement["state-time-speed"][0].get("timing")
                if given_ is None or not now_mark <= given_["minEndTime"] < 36_000:
                    continue
                said = timing(writer, now_ns, min_end_ns=seconds(given_["minEndTime"] / 10))
                assert said == {"minEndTime": given_["minEndTime"]}
                seen += 1
    assert seen > 0


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    now=st.integers(0, 86_400_000),
    low=st.integers(0, 3_500_000),
    more=st.integers(0, 90_000),
    where=st.floats(0, 1),
)
def test_read_back_the_window_holds_the_controllers(unit, now, low, more, where) -> None:
    """A receiver that takes a mark for the next moment with it gets no narrower a window."""
    now_ns = HOUR_NS + now * NS_PER_MS
    ends = [now_ns + offset * NS_PER_MS for offset in (low, low + round(where * more), low + more)]
    said = timing(
        SpatWriter(unit()), now_ns, min_end_ns=ends[0], likely_end_ns=ends[1], max_end_ns=ends[2]
    )
    step = NS_PER_S // 10

    def moment(mark: int) -> int:
        ahead = (mark - now_ns // step) % 36_000
        return (now_ns // step + ahead) * step

    assert 0 <= ends[0] - moment(said["minEndTime"]) < step
    assert 0 <= moment(said["maxEndTime"]) - ends[2] < step
    assert abs(moment(said["likelyTime"]) - ends[1]) <= step // 2


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    now_ns=st.integers(0, 4_000_000_000 * NS_PER_S),
    lights=st.lists(
        st.tuples(
            st.sampled_from(LightState),
            *[st.none() | st.integers(-8000 * NS_PER_S, 8000 * NS_PER_S)] * 4,
        ),
        min_size=1,
        max_size=16,
    ),
    flags=st.sets(st.sampled_from(ControllerFlag)),
)
def test_any_word_can_be_said(unit, encode, now_ns, lights, flags) -> None:
    def moment(offset: int | None) -> int | None:
        return None if offset is None else now_ns + offset

    groups = [
        SignalGroup(
            group=index, light=light, start_ns=moment(start), min_end_ns=moment(low),
            max_end_ns=moment(high), likely_end_ns=moment(likely),
        )
        for index, (light, start, low, high, likely) in enumerate(lights, start=1)
    ]  # fmt: skip
    state = word(*groups, now_ns=now_ns, flags=tuple(flags))
    value = SpatWriter(unit()).content(1, state)
    encode("SPAT", value)
    for movement in value["intersections"][0]["states"]:
        for event in movement["state-time-speed"]:
            assert all(0 <= mark <= 36_000 for mark in event.get("timing", {}).values())
