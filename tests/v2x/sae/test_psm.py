"""PSM values of people that can be checked by hand, on the air and back."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.config.place import OriginOptions
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_MS, NS_PER_S, Cov2, Vec2
from rsu.v2x.sae import units
from rsu.v2x.sae.psm import PsmWriter
from rsu.v2x.steps import OutOfRangeError


@pytest.fixture
def writer(unit) -> PsmWriter:
    return PsmWriter(unit())


def walker(track, **changes: Any):
    return track(object_class=ObjectClass.PEDESTRIAN, **changes)


def test_a_pedestrian_and_a_cyclist(
    writer: PsmWriter, unit, track, origin: OriginOptions, start_ns: int, degrees, on_air
) -> None:
    time_ns = start_ns + 19 * NS_PER_S + 999 * NS_PER_MS + 999_999  # one ns short of the minute
    scene = [
        # The longer axis of the ellipse is north: orientation 0.
        walker(track, position=Vec2(-30.0, 8.0), heading=0.0, speed=1.43,
               stds=(0.1, 0.33, math.radians(5), 0.1, 0.1)),
        track(object_class=ObjectClass.BICYCLE, position=Vec2(12.0, -60.0), heading=math.pi,
              speed=4.0, stds=(0.5, 0.2, 2.0, 0.1, 0.1)),
    ]  # fmt: skip
    places = unit().degrees([one.position for one in scene])
    values = [
        writer.content(index, time_ns, [writer.road_user(one, 258 + index, time_ns, place)])
        for index, (one, place) in enumerate(zip(scene, places, strict=True))
    ]
    assert values == [
        {
            "basicType": "aPEDESTRIAN",
            "secMark": 59_999,
            "msgCnt": 0,
            "id": "ccdd0102",  # the end of the unit's id, then 258
            "position": degrees(origin, -30.0, 8.0),
            "accuracy": {"semiMajor": 7, "semiMinor": 2, "orientation": 0},  # 0.33 m → 6.6 steps
            "speed": 72,  # 1.43 m/s / 0.02 = 71.5
            "heading": 90 * 80,
        },
        {
            "basicType": "aPEDALCYCLIST",
            "secMark": 59_999,
            "msgCnt": 1,
            "id": "ccdd0103",
            "position": degrees(origin, 12.0, -60.0),
            # The longer axis is east: 90 / 360 of 65535 is 16383.75.
            "accuracy": {"semiMajor": 10, "semiMinor": 4, "orientation": 16_384},
            "speed": 200,
            "heading": 28_800,  # 1.96 × 2 rad says nothing
        },
    ]
    for value in values:
        on_air("PSM", value)


def test_a_tilted_ellipse() -> None:
    # Axes of 2 m and 1 m, the longer one 30° clockwise from north, that is 60° from east.
    angle = math.radians(60)
    cos, sin = math.cos(angle), math.sin(angle)
    cov = Cov2(4 * cos**2 + sin**2, 3 * cos * sin, 4 * sin**2 + cos**2)
    assert units.accuracy(cov) == {
        "semiMajor": 40,
        "semiMinor": 20,
        "orientation": math.floor(30 * 65_535 / 360 + 0.5),
    }


@pytest.mark.parametrize(("std", "axis"), [(0.0, 0), (0.001, 1), (12.7, 254), (90.0, 254)])
def test_axes_never_state_less_than_the_error(std: float, axis: int) -> None:
    assert units.accuracy(Cov2(std**2, 0.0, std**2))["semiMajor"] == axis


def test_who_is_spoken_of(writer: PsmWriter, track) -> None:
    assert writer.speaks_of(walker(track))
    assert not writer.speaks_of(walker(track, class_probability=0.5))
    assert not writer.speaks_of(track())
    assert not writer.speaks_of(track(object_class=ObjectClass.ANIMAL))


def test_what_it_cannot_carry_is_refused(writer: PsmWriter, track, start_ns: int) -> None:
    for one, number, place in [
        (track(), 1, (0.0, 0.0)),
        (walker(track, speed=163.9), 1, (0.0, 0.0)),
        (walker(track), 65_536, (0.0, 0.0)),
        (walker(track), 1, (0.0, 90.1)),
    ]:
        with pytest.raises(OutOfRangeError):
            writer.road_user(one, number, start_ns, place)
    person = writer.road_user(walker(track), 1, start_ns, (0.0, 0.0))
    for wrong in ([], [person, person]):
        with pytest.raises(OutOfRangeError):
            writer.content(0, start_ns, wrong)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.tuples(st.floats(-180, 180), st.floats(-90, 90)),
    heading=st.floats(-10, 10),
    speed=st.floats(-163, 163),
    stds=st.tuples(*[st.floats(0, 1e4)] * 5),
    number=st.integers(1, 65_535),
    time_ns=st.integers(0, 4_000_000_000 * NS_PER_S),
)
def test_any_person_in_range_can_be_said(
    unit, track, encode, place, heading, speed, stds, number, time_ns
) -> None:
    writer = PsmWriter(unit())
    one = walker(track, heading=heading, speed=speed, stds=stds)
    said = writer.road_user(one, number, time_ns, place)
    encode("PSM", writer.content(1, time_ns, [said]))
