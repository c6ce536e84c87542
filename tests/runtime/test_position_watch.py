"""A receiver that contradicts the configured position is the suspect; the position stays."""

from __future__ import annotations

import pytest

from rsu.config.place import PlaceOptions
from rsu.runtime.position_watch import PositionWatch
from rsu.schema.devices import FixQuality, GnssFix
from rsu.schema.health import SensorAlarm, SensorAlarmKind
from rsu.schema.units import NS_PER_S, Instant

PLACE = PlaceOptions.model_validate(
    {"id": "junction", "origin": {"latitude": 31.0, "longitude": 121.0, "altitude": 10.0}}
)
METRE = 1.0 / 110_860.0
"""Degrees of latitude per metre at 31° (WGS-84: 110.86 km per degree)."""


def fixes(
    watch: PositionWatch, first: int, north_m: float, count: int, **more: object
) -> list[SensorAlarm]:
    alarms = []
    for second in range(first, first + count):
        facts: dict[str, object] = {
            "sensor": "receiver", "capture_ns": second * NS_PER_S, "longitude": 121.0,
            "quality": FixQuality.AUTONOMOUS, "latitude": 31.0 + north_m * METRE, **more,
        }  # fmt: skip
        fix = GnssFix(**facts)  # type: ignore[arg-type]
        alarms += watch.take(fix, Instant(second * NS_PER_S, second * NS_PER_S))
    return alarms


def test_a_jump_of_a_kilometre_is_an_alarm_that_names_the_receiver_and_ends() -> None:
    watch = PositionWatch(PLACE)
    assert fixes(watch, 0, 10.0, 60) == []
    begun = fixes(watch, 60, 1000.0, 10)
    assert [(one.kind, one.active, one.suspect) for one in begun] == [
        (SensorAlarmKind.POSITION, True, "receiver")
    ]
    assert begun[0].shift.y == pytest.approx(1000.0, rel=1e-3)
    assert begun[0].against == "site"
    again = fixes(watch, 70, 1000.0, 120)
    assert [one.active for one in again] == [True, True]  # once a minute
    ended = fixes(watch, 190, 5.0, 10)
    assert [one.active for one in ended] == [False]


@pytest.mark.parametrize(
    ("north_m", "more"),
    [
        (49.0, {}),
        (120.0, {"east_std": 20.0, "north_std": 20.0}),  # within what it says of itself
        (5000.0, {"quality": FixQuality.ESTIMATED}),
        (5000.0, {"quality": FixQuality.NONE}),
        (5000.0, {"latitude": None}),
    ],
)
def test_what_is_near_uncertain_or_no_measurement_is_no_alarm(
    north_m: float, more: dict[str, object]
) -> None:
    assert fixes(PositionWatch(PLACE), 0, north_m, 20, **more) == []


def test_two_wild_fixes_are_noise() -> None:
    watch = PositionWatch(PLACE)
    for start in range(0, 50, 5):
        assert fixes(watch, start, 900.0, 2) == []
        assert fixes(watch, start + 2, 3.0, 3) == []
