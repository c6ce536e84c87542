"""Sensors that contradict each other are told of, and nothing is corrected."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rsu.fusion.consistency import Consistency
from rsu.fusion.measurements import Scan
from rsu.schema.health import SensorAlarm, SensorAlarmKind
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S

START_NS = 1_735_689_600 * NS_PER_S
STD = 0.5  # m
PATHS = ((-30.0, 2.0, 8.0, 0.0), (30.0, -2.0, -5.0, 0.0), (2.0, -30.0, 0.0, 9.0), (9.0, 9.0, 0, 0))


def scan(sensor: str, seconds: float, position: np.ndarray, constant: float | np.ndarray) -> Scan:
    count = len(position)
    standing = constant * np.eye(2) if isinstance(constant, float) else constant
    return Scan(
        sensor=sensor, capture_ns=START_NS + round(seconds * NS_PER_S), number=0,
        position=position, position_cov=np.tile(STD**2 * np.eye(2) + standing, (count, 1, 1)),
        constant_cov=np.tile(standing, (count, 1, 1)), velocity=None, velocity_cov=None,
        class_index=np.zeros(count, dtype=np.intp), score=np.full(count, 0.8),
        size=np.full((count, 3), np.nan),
    )  # fmt: skip


def watch(
    seconds: float, *, shift: float = 0.0, offset: float = 0.0,
    constant: float | np.ndarray = 0.0,
    mended: float = 1e9, shared: bool = True,
) -> tuple[Consistency, list[SensorAlarm]]:  # fmt: skip
    """Four objects come and go on their paths; sensor b puts them `shift` m to the east and stamps
    `offset` s late, until `mended`. Tracks are `shared`, or each sensor has its own."""
    rng = np.random.default_rng(5)
    watched, alarms = Consistency(), []
    start, velocity = np.array(PATHS)[:, :2], np.array(PATHS)[:, 2:].astype(float)
    for step in range(round(seconds * 20)):
        at = step / 20.0
        lap = int(at // 6.0)
        bad = step % 2 == 1 and at < mended
        place = start + velocity * (at % 6.0) + STD * rng.standard_normal((4, 2))
        place[:, 0] += shift if bad else 0.0
        look = scan("ba"[step % 2 == 0], at + (offset if bad else 0.0), place, constant)
        ids = np.arange(4) + 10 * lap + (0 if shared or step % 2 == 0 else 10_000)
        alarms += watched.take(look, ids, np.arange(4), velocity)
    return watched, alarms


def test_sensors_that_agree_raise_no_alarm() -> None:
    watched, alarms = watch(60.0)
    assert alarms == []
    east, north, offset, std = watched.estimate("a", "b") or (9.0, 9.0, 9.0, 9.0)
    assert abs(east) < 0.4
    assert abs(north) < 0.4
    assert abs(offset) < 3.0 * std < 0.2


def test_a_camera_that_was_moved_is_told_of_until_it_is_mended() -> None:
    _, alarms = watch(300.0, shift=2.0, mended=60.0)
    first, last = alarms[0], alarms[-1]
    assert {alarm.kind for alarm in alarms} == {SensorAlarmKind.CALIBRATION}
    assert (first.sensor, first.against, first.active) == ("a", "b", True)
    assert first.shift.x == pytest.approx(-2.0, abs=0.5)
    assert not last.active
    assert last.since_ns == first.since_ns
    assert [alarm.active for alarm in alarms[:-1]] == [True] * (len(alarms) - 1)
    # Told again every ten seconds, until a while after it was mended.
    gaps = np.diff([alarm.time_ns for alarm in alarms[:-1]]) / NS_PER_S
    assert (gaps >= 10.0).all()
    assert (gaps < 12.0).all()
    assert 60.0 < (last.time_ns - START_NS) / NS_PER_S < 110.0


def test_a_shift_beyond_the_gate_is_found_though_no_track_is_shared() -> None:
    _, alarms = watch(60.0, shift=4.0, shared=False)
    assert alarms[0].kind is SensorAlarmKind.CALIBRATION
    assert alarms[-1].shift.x == pytest.approx(-4.0, abs=0.5)


def test_a_clock_that_is_off_is_told_of_and_how_much() -> None:
    _, alarms = watch(60.0, offset=0.12)
    assert {alarm.kind for alarm in alarms} == {SensorAlarmKind.CLOCK}
    # a stamps 0.12 s earlier than b: what b saw is carried too short a way, and lies behind.
    assert alarms[0].offset == pytest.approx(0.12, abs=0.06)


def test_a_shift_across_the_view_is_news_where_one_along_it_is_none() -> None:
    """A camera that looks east knows how far away things are worse than in what direction."""
    along, across = 1.5**2 * np.diag((1.0, 0.0)), np.diag((0.0, 0.05**2))
    _, silent = watch(40.0, shift=2.0, constant=along + across)
    _, loud = watch(40.0, shift=2.0, constant=along[::-1, ::-1] + across[::-1, ::-1])
    assert silent == []
    assert {alarm.kind for alarm in loud} == {SensorAlarmKind.CALIBRATION}


def test_a_shift_within_the_stated_standing_errors_is_no_news() -> None:
    _, alarms = watch(60.0, shift=1.2, constant=0.8**2)
    assert alarms == []


def test_the_stage_tells_of_a_moved_camera_and_goes_on(world: SimpleNamespace) -> None:
    scene: Any = world.Scene(seed=3)
    scene.add(ObjectClass.CAR, lambda t: (-40.0 + 8.0 * (t % 10.0), 3.0))
    scene.add(ObjectClass.CAR, lambda t: (3.0, 40.0 - 7.0 * (t % 10.0)))
    scene.sensors = [
        world.Sensor("north", std=0.5),
        world.Sensor("south", std=0.5, phase_s=0.04, bias=(1.5, 0.0)),
    ]
    played = world.play(scene.messages(40.0))
    reasons = {(d.subject, d.reason) for d in played.decisions}
    assert ("sensor:north", "calibration_doubtful") in reasons
    assert ("sensor:south", "calibration_doubtful") in reasons
