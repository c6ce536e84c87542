"""Signal states as others say them, read against hand-made messages and any that decodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from rsu.schema.situation import ControllerFlag, LightState
from rsu.schema.units import NS_PER_S
from rsu.v2x.csae import read_spat as csae_spat
from rsu.v2x.receive.phases import of_mark
from rsu.v2x.sae import read_spat as sae_spat

HEARD_NS = 1_750_000_000 * NS_PER_S  # 15:06:40: 4000 tenths into its hour
STATUS = {"bits": "0001010000000000"}


def test_counted_intervals_begin_at_the_time_of_the_state() -> None:
    counting = {"startTime": 0, "minEndTime": 50, "likelyEndTime": 36_001}
    later = {"startTime": 50, "likelyEndTime": 80}
    phase = {
        "id": 2,
        "phaseStates": [
            {"light": "yellow", "timing": {"counting": later}},
            {"light": "protected-green", "timing": {"counting": counting}},
        ],
    }
    one = {"intersectionId": {"id": 7}, "status": STATUS, "timeStamp": 39_000, "phases": [phase]}
    (state,) = csae_spat.read({"msgCnt": 1, "intersections": [one]}, HEARD_NS)
    assert (state.intersection, state.capture_ns) == (7, HEARD_NS - NS_PER_S)
    assert state.flags == (ControllerFlag.PREEMPT, ControllerFlag.FIXED_TIME)
    (group,) = state.groups
    assert (group.group, group.light) == (2, LightState.PROTECTED_GREEN)
    assert (group.min_end_ns, group.likely_end_ns) == (HEARD_NS + 4 * NS_PER_S, None)


def test_marks_lie_within_the_nearest_hour() -> None:
    event = {"eventState": "stop-And-Remain", "timing": {"minEndTime": 4100, "maxEndTime": 36_111}}
    one = {
        "id": {"id": 7}, "revision": 0, "status": STATUS,
        "states": [{"signalGroup": 4, "state-time-speed": [event]}],
    }  # fmt: skip
    (state,) = sae_spat.read({"intersections": [one]}, HEARD_NS)
    (group,) = state.groups
    assert (group.light, group.min_end_ns) == (LightState.RED, HEARD_NS + 10 * NS_PER_S)
    assert group.max_end_ns is None
    hour = HEARD_NS // (3600 * NS_PER_S) * 3600 * NS_PER_S
    assert of_mark(5, hour - NS_PER_S) == hour + NS_PER_S // 2
    assert of_mark(35_990, hour) == hour - NS_PER_S


@pytest.mark.parametrize(
    ("profile", "read"), [("csae157_2020", csae_spat.read), ("j2735_2024", sae_spat.read)]
)
def test_any_message_is_read(
    any_value: Callable[[str, str], Any], profile: str, read: Callable[[Any, int], Any]
) -> None:
    # One intersection at a time: whole messages have too many choices for one drawing.
    @given(state=any_value(profile, "IntersectionState"))
    @settings(max_examples=20, suppress_health_check=[HealthCheck.data_too_large])
    def check(state: Any) -> None:
        assert len(read({"intersections": [state]}, HEARD_NS)) == 1

    check()
