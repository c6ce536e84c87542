"""Who is wrong where sensors contradict each other, and what is still believed."""

import numpy as np
import pytest

from rsu.fusion.blame import concerned, doubted, doubts, suspect
from rsu.fusion.measurements import Scan
from rsu.schema.health import SensorAlarm, SensorAlarmKind
from rsu.schema.units import Vec2


def alarm(
    one: str, other: str, *, shift: tuple[float, float] = (0.0, 0.0), offset: float = 0.0,
    blamed: str | None = None,
) -> SensorAlarm:  # fmt: skip
    kind = SensorAlarmKind.CLOCK if offset else SensorAlarmKind.CALIBRATION
    return SensorAlarm(
        kind=kind, sensor=one, against=other, active=True, since_ns=0, time_ns=0,
        shift=Vec2(*shift), shift_std=0.1, offset=offset, offset_std=0.01, suspect=blamed,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("contradict", "blamed"),
    [
        ([], None),
        ([("a", "b")], None),  # either may be wrong
        ([("a", "b"), ("a", "c")], "a"),  # contradicts both others
        ([("a", "b"), ("b", "c")], "b"),
        ([("a", "b"), ("c", "d")], None),  # no single fault explains that
        ([("a", "b"), ("b", "c"), ("a", "c")], None),  # nor that
    ],
)
def test_only_who_alone_explains_everything_is_named(
    contradict: list[tuple[str, str]], blamed: str | None
) -> None:
    assert suspect(contradict) == blamed


def test_both_of_a_pair_are_doubted_or_only_the_suspect() -> None:
    assert concerned(alarm("a", "b")) == ("a", "b")
    assert concerned(alarm("a", "b", blamed="b")) == ("b",)
    both = doubts([alarm("a", "b", shift=(3.0, 4.0)), alarm("a", "c", shift=(0.0, 2.0))])
    assert both == pytest.approx({"a": 25.0, "b": 25.0, "c": 4.0})
    named = [alarm("a", "b", shift=(3.0, 4.0), blamed="a"), alarm("a", "b", offset=0.1)]
    assert doubts(named) == pytest.approx({"a": 25.0 + 1.4**2, "b": 1.4**2})


def test_a_doubted_look_stays_where_it_is_and_is_believed_less() -> None:
    scan = Scan(
        sensor="a", capture_ns=0, number=0, position=np.array([[1.0, 2.0]]),
        position_cov=np.eye(2)[None], constant_cov=np.zeros((1, 2, 2)), velocity=None,
        velocity_cov=None, class_index=np.zeros(1, dtype=np.intp), score=np.ones(1),
        size=np.full((1, 3), np.nan),
    )  # fmt: skip
    assert doubted(scan, {"b": 4.0}) is scan
    less = doubted(scan, {"a": 4.0})
    assert (less.position == scan.position).all()
    assert (less.position_cov == 5.0 * np.eye(2)).all()
    assert (less.constant_cov == 4.0 * np.eye(2)).all()
