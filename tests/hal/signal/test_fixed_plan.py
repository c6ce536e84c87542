"""Plans of the site file: lights and ends at any moment, the table's changes, the clock's ticks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rsu.config.place import OriginOptions, PlaceOptions
from rsu.config.signals import FixedPlanOptions, Gbt20999Options, TscbmOptions
from rsu.hal.signal.fixed_plan import FixedPlanController, Plans
from rsu.schema.signals import ControllerFlag, SignalState
from rsu.schema.units import NS_PER_S, Instant

S = NS_PER_S
MIDNIGHT = 1_767_225_600 * S  # 2026-01-01T00:00:00Z, a Thursday
PLACE = PlaceOptions(id="p", origin=OriginOptions(latitude=0.0, longitude=0.0), intersection=7)


def lights(green: float, yellow: float, red: float) -> list[dict[str, Any]]:
    return [
        {"light": "protected-green", "seconds": green},
        {"light": "yellow", "seconds": yellow},
        {"light": "red", "seconds": red},
    ]


def plan(name: str = "day", **changed: Any) -> dict[str, Any]:
    groups = [
        {"group": 1, "lights": lights(30.0, 3.0, 37.0)},
        {"group": 2, "starts_s": 35.0, "lights": lights(30.0, 3.0, 37.0)},
        {"group": 3, "lights": [{"light": "flashing-yellow", "seconds": 70.0}]},
    ]
    return {"name": name, "cycle_s": 70.0, "groups": groups, **changed}


def options(**changed: Any) -> FixedPlanOptions:
    given_options = {"id": "c", "driver": "fixed_plan", "reference_utc": "2026-01-01T00:00:00Z",
                     "plans": [plan()]}  # fmt: skip
    return FixedPlanOptions(**(given_options | changed))


def shown(state: SignalState | None, group: int) -> tuple[str, float | None, float | None]:
    """Light, start and end in seconds since midnight."""
    assert state is not None
    (one,) = [entry for entry in state.groups if entry.group == group]
    assert one.min_end_ns == one.max_end_ns == one.likely_end_ns
    start, end = (
        None if time is None else (time - MIDNIGHT) / S
        for time in (one.start_ns, one.likely_end_ns)
    )
    return one.light.value, start, end


@pytest.mark.parametrize(
    ("second", "first", "second_group"),
    [
        (0.0, ("protected-green", 0.0, 30.0), ("red", -2.0, 35.0)),
        (29.9, ("protected-green", 0.0, 30.0), ("red", -2.0, 35.0)),
        (30.0, ("yellow", 30.0, 33.0), ("red", -2.0, 35.0)),
        (40.0, ("red", 33.0, 70.0), ("protected-green", 35.0, 65.0)),
        (66.0, ("red", 33.0, 70.0), ("yellow", 65.0, 68.0)),
        (70.0, ("protected-green", 70.0, 100.0), ("red", 68.0, 105.0)),
        (700_040.0, ("red", 700_033.0, 700_070.0), ("protected-green", 700_035.0, 700_065.0)),
        (-1.0, ("red", -37.0, 0.0), ("red", -2.0, 35.0)),
    ],
)
def test_a_cycle(second: float, first: Any, second_group: Any) -> None:
    state = Plans(options(), 7).state(MIDNIGHT + round(second * S))
    assert shown(state, 1) == first
    assert shown(state, 2) == second_group
    assert shown(state, 3) == ("flashing-yellow", None, None)
    assert state is not None
    assert state.flags == (ControllerFlag.FIXED_TIME,)
    assert (state.controller, state.intersection) == ("c", 7)


def test_offset_and_intersection() -> None:
    plans = Plans(options(plans=[plan(offset_s=-10.0)], intersection=9), 7)
    state = plans.state(MIDNIGHT)
    assert shown(state, 1) == ("protected-green", -10.0, 20.0)
    assert state is not None
    assert state.intersection == 9


def test_the_table_in_local_time() -> None:
    """Thursday, UTC+8: night until 07:00 (23:00 UTC the day before), then day; Sunday unknown."""
    table = [
        {"plan": "day", "at": "07:00", "days": ["mon", "tue", "wed", "thu", "fri", "sat"]},
        {"plan": "night", "at": "22:00", "days": ["mon", "tue", "wed", "thu", "fri"]},
        {"plan": None, "at": "00:00", "days": ["sun"]},
        {"plan": "night", "at": "00:00", "days": ["mon"]},
    ]
    night = plan("night", groups=[{"group": 1, "lights": lights(10.0, 3.0, 57.0)}])
    plans = Plans(
        options(plans=[plan(), night], table=table, utc_offset_h=8.0, transition_s=120.0), 7
    )

    def groups(hour: float) -> int | None:
        state = plans.state(MIDNIGHT + round(hour * 3600 * S))
        return None if state is None else len(state.groups)

    assert groups(-1.5) == 1  # 06:30: night since yesterday evening
    assert groups(-0.5) == 3  # 07:30
    assert groups(13.9) == 3  # 21:54
    assert groups(14.1) == 1  # 22:06
    assert groups(24 * 3 - 8.1) == 3  # Saturday 23:54
    assert groups(24 * 3 - 7.9) is None  # Sunday 00:06
    assert groups(24 * 4 - 8.1) is None  # Sunday 23:54
    assert groups(24 * 4 - 7.9) == 1  # Monday 00:06


def test_around_a_change_nothing_is_claimed_that_may_not_hold() -> None:
    table = [{"plan": "day", "at": "00:00"}, {"plan": "other", "at": "12:00"}]
    plans = Plans(options(plans=[plan(), plan("other")], table=table, transition_s=120.0), 7)
    noon = MIDNIGHT + 12 * 3600 * S  # 43 200 s: second 10 of a cycle of 70 s
    before = plans.state(noon - S)
    assert shown(before, 1) == ("protected-green", 43_190.0, None)
    for second in (0, 119):
        state = plans.state(noon + second * S)
        assert shown(state, 1) == ("unavailable", None, None)
        assert shown(state, 3) == ("unavailable", None, None)
    # 120 s later: second 60 of a cycle; the red has begun within the transition.
    assert shown(plans.state(noon + 120 * S), 1) == ("red", None, 43_330.0)
    assert shown(plans.state(noon + 130 * S), 1) == ("protected-green", 43_330.0, 43_360.0)


def test_a_table_without_a_change_has_no_transition() -> None:
    plans = Plans(
        options(table=[{"plan": "day", "at": "00:00"}, {"plan": "day", "at": "12:00"}]), 7
    )
    assert shown(plans.state(MIDNIGHT), 1) == ("protected-green", 0.0, 30.0)


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**9))
def test_what_is_announced_comes_true(second: int, part: int) -> None:
    plans = Plans(options(), 7)
    now = MIDNIGHT + second * S + part
    state = plans.state(now)
    assert state is not None
    for group in state.groups:
        if group.min_end_ns is None:
            continue
        assert group.start_ns is not None
        assert group.start_ns <= now < group.min_end_ns
        for time, same in ((group.start_ns, True), (group.min_end_ns - 1, True),
                           (group.min_end_ns, False), (group.start_ns - 1, False)):  # fmt: skip
            other = plans.state(time)
            assert other is not None
            (light,) = [g.light for g in other.groups if g.group == group.group]
            assert (light is group.light) is same


def test_a_state_at_every_tick_and_none_twice(tmp_path: Path) -> None:
    now = [MIDNIGHT + S // 20]
    device = FixedPlanController(
        options(), tmp_path, lambda: Instant(now[0], now[0] - MIDNIGHT), PLACE
    )
    device.open()
    (state,) = device.receive(0.0)
    assert isinstance(state, SignalState)
    assert state.capture_ns == MIDNIGHT  # on the grid of ticks
    assert device.receive(0.0) == ()
    now[0] += S // 20
    assert len(device.receive(0.0)) == 1
    now[0] += 5 * S  # late: the present only
    assert [fact.capture_ns for fact in device.receive(0.0)] == [MIDNIGHT + 51 * S // 10]  # type: ignore[attr-defined]
    now[0] -= S
    assert device.receive(0.0) == device.receive(0.0) == ()
    assert device.dropped == {"non_monotone_timestamp": 1}
    now[0] -= 3600 * S  # a clock that is set
    assert len(device.receive(0.0)) == 1
    device.close()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"plans": [plan(cycle_s=71.0)]}, "last 70 s together, but the cycle lasts 71 s"),
        ({"plans": [plan(), plan("night")]}, "which of the plans runs when"),
        ({"plans": [plan(), plan()]}, "two plans of one name"),
        ({"table": [{"plan": "night", "at": "00:00"}]}, "no plan is called 'night'"),
        ({"table": [{"plan": "day", "at": "24:00"}]}, "should match pattern"),
        ({"table": [{"plan": "day", "at": "06:00"}] * 2}, "two entries for one moment"),
        ({"plans": [plan(groups=[{"group": 1, "starts_s": 70.0, "lights": lights(30, 3, 37)}])]},
         "not within the cycle"),
        ({"plans": [plan(groups=[{"group": 1, "lights": lights(30, 3, 37)}] * 2)]},
         "1 occurs twice"),
        ({"plans": [plan(groups=[{"group": 1, "lights": [*lights(30, 3, 30),
                                 {"light": "red", "seconds": 7.0}]}])]}, "make them one"),
    ],
)  # fmt: skip
def test_plans_that_cannot_be_are_refused(changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        options(**changed)


def test_groups_are_mapped_once() -> None:
    twice = [{"group": 1, "number": 1}, {"group": 1, "number": 2}]
    with pytest.raises(ValidationError, match="1 occurs twice"):
        TscbmOptions(id="c", driver="tscbm", groups=twice)
    lamps = [{"group": 1, "lamp": 4}, {"group": 2, "lamp": 4}]
    with pytest.raises(ValidationError, match="4 occurs twice"):
        Gbt20999Options(id="c", driver="gbt20999", host="h", port=1, groups=lamps)


@pytest.mark.parametrize("wrong", [{"time": "local"}, {"utc_offset_h": 8.0}])
def test_local_time_needs_its_zone(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="time: local"):
        TscbmOptions(id="c", driver="tscbm", **wrong)
