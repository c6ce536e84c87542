"""SDSM values of a scene that can be checked by hand, on the air and back."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.config.place import OriginOptions
from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track
from rsu.schema.units import NS_PER_MS, NS_PER_S, Size, Vec2
from rsu.v2x.sae.sdsm import OBJECTS_MAX, SdsmWriter
from rsu.v2x.steps import OutOfRangeError

YEAR_END_NS = 1_767_225_600 * NS_PER_S  # 2026-01-01T00:00:00Z


@pytest.fixture
def writer(unit) -> SdsmWriter:
    return SdsmWriter(unit())


def stated(writer: SdsmWriter, track: Track, time_ns: int, number: int = 7) -> dict[str, Any]:
    return writer.road_user(track, number, time_ns, (0.0, 0.0))


def test_scene_of_three_objects(
    writer: SdsmWriter, track, origin: OriginOptions, start_ns: int, on_air
) -> None:
    time_ns = start_ns + 123 * NS_PER_MS + 999_999  # 2025-06-15T15:06:40.123Z, cut off
    scene = [
        track(1, position=Vec2(20.0, 10.0), heading=math.pi / 2, speed=13.89),
        track(
            2,
            object_class=ObjectClass.PEDESTRIAN,
            class_probability=0.72,
            position=Vec2(-3.04, -4.06),
            heading=0.0,
            speed=1.4,
            size=Size(0.5, 0.6, 1.75),
            stds=(0.1, 0.05, 1.0, 0.3, 0.1),
        ),
        track(
            3,
            object_class=ObjectClass.OBSTACLE,
            position=Vec2(250.0, -120.0),
            heading=-3 * math.pi / 4,
            speed=0.0,
            size=Size(2.04, 1.06, 0.3),
            stds=(0.9, 0.4, math.radians(0.4), 0.02, 0.1),
        ),
    ]
    users = [stated(writer, one, time_ns, 10 + one.id) for one in scene]
    value = writer.content(5, time_ns, users)

    assert value == {
        "msgCnt": 5,
        "sourceID": "aabbccdd",
        "equipmentType": "rsu",
        "sDSMTimeStamp": {
            "year": 2025,
            "month": 6,
            "day": 15,
            "hour": 15,
            "minute": 6,
            "second": 40_123,
        },
        "refPos": {
            "lat": round(origin.latitude * 1e7),
            "long": round(origin.longitude * 1e7),
            "elevation": round(origin.altitude * 10),
        },
        "refPosXYConf": {"semiMajor": 255, "semiMinor": 255, "orientation": 65_535},
        "objects": [
            {
                "detObjCommon": {
                    "objType": "vehicle",
                    "objTypeCfd": 90,
                    "objectID": 11,
                    "measurementTime": 0,
                    "timeConfidence": "unavailable",
                    # 10 m north, 20 m east: x is north.
                    "pos": {"offsetX": 100, "offsetY": 200},
                    "posConfidence": {"pos": "a1m", "elevation": "unavailable"},  # 2.4477 × 0.3 m
                    "speed": 695,  # 13.89 m/s / 0.02 = 694.5, halves upwards
                    "speedConfidence": "prec1ms",  # 1.96 × 0.2 m/s
                    "heading": 0,
                    "headingConf": "prec05deg",  # 1.96 × 2°
                },
                "detObjOptData": {
                    "detVeh": {
                        "size": {"width": 180, "length": 450},
                        "height": 30,
                        "vehicleClass": 10,
                        "classConf": 90,
                    }
                },
            },
            {
                "detObjCommon": {
                    "objType": "vru",
                    "objTypeCfd": 72,
                    "objectID": 12,
                    "measurementTime": 0,
                    "timeConfidence": "unavailable",
                    "pos": {"offsetX": -41, "offsetY": -30},  # -4.06 m north, -3.04 m east
                    "posConfidence": {"pos": "a50cm", "elevation": "unavailable"},  # 0.245 m
                    "speed": 70,
                    "speedConfidence": "prec1ms",
                    "heading": 28_800,  # 1.96 × 1 rad is more than a quarter turn
                    "headingConf": "unavailable",
                },
                "detObjOptData": {"detVRU": {"basicType": "aPEDESTRIAN"}},
            },
            {
                "detObjCommon": {
                    "objType": "unknown",
                    "objTypeCfd": 101,
                    "objectID": 13,
                    "measurementTime": 0,
                    "timeConfidence": "unavailable",
                    "pos": {"offsetX": -1200, "offsetY": 2500},
                    "posConfidence": {"pos": "a5m", "elevation": "unavailable"},  # 2.2 m
                    "speed": 0,
                    "speedConfidence": "prec0-05ms",  # 0.039 m/s
                    "heading": 225 * 80,  # south-west
                    "headingConf": "prec01deg",  # 0.78°
                },
                "detObjOptData": {
                    "detObst": {
                        "obstSize": {"width": 11, "length": 20, "height": 3},
                        "obstSizeConfidence": {
                            "widthConfidence": "unavailable",
                            "lengthConfidence": "unavailable",
                            "heightConfidence": "unavailable",
                        },
                    }
                },
            },
        ],
    }
    on_air("SDSM", value)


@pytest.mark.parametrize(
    ("time_ns", "date"),
    [
        (YEAR_END_NS - 1, (2025, 12, 31, 23, 59, 59_999)),
        (YEAR_END_NS, (2026, 1, 1, 0, 0, 0)),
        (YEAR_END_NS + 60 * NS_PER_S - NS_PER_MS, (2026, 1, 1, 0, 0, 59_999)),
        (YEAR_END_NS + 60 * NS_PER_S, (2026, 1, 1, 0, 1, 0)),
    ],
)
def test_time_stamp_at_the_ends_of_minute_and_year(
    writer: SdsmWriter, track, on_air, time_ns: int, date: tuple[int, ...]
) -> None:
    value = writer.content(0, time_ns, [stated(writer, track(), time_ns)])
    assert tuple(value["sDSMTimeStamp"].values()) == date
    on_air("SDSM", value)


def test_motion_against_the_heading_turns_it(writer: SdsmWriter, track, start_ns: int) -> None:
    backwards = stated(writer, track(speed=-2.0, heading=0.0), start_ns)["detObjCommon"]
    assert (backwards["heading"], backwards["speed"]) == (270 * 80, 100)


@pytest.mark.parametrize(
    ("kind", "type_", "optional"),
    [
        (ObjectClass.BICYCLE, "vru", {"detVRU": {"basicType": "aPEDALCYCLIST"}}),
        (ObjectClass.ANIMAL, "animal", None),
        (ObjectClass.UNKNOWN, "unknown", None),
    ],
)
def test_kinds(
    writer: SdsmWriter, track, start_ns: int, kind: ObjectClass, type_: str, optional: Any
) -> None:
    value = stated(writer, track(object_class=kind), start_ns)
    assert value["detObjCommon"]["objType"] == type_
    assert value.get("detObjOptData") == optional


def test_class_that_is_likelier_wrong_is_not_stated(
    writer: SdsmWriter, track, start_ns: int
) -> None:
    vehicle = stated(writer, track(class_probability=0.5), start_ns)
    assert "vehicleClass" not in vehicle["detObjOptData"]["detVeh"]
    assert vehicle["detObjCommon"]["objTypeCfd"] == 50
    walker = track(object_class=ObjectClass.PEDESTRIAN, class_probability=0.4)
    assert "detObjOptData" not in stated(writer, walker, start_ns)


def test_size_beyond_the_message_is_left_out(
    writer: SdsmWriter, track, start_ns: int, on_air
) -> None:
    long = stated(writer, track(size=Size(41.0, 2.5, 6.4)), start_ns)
    assert set(long["detObjOptData"]["detVeh"]) == {"vehicleClass", "classConf"}
    wall = track(object_class=ObjectClass.OBSTACLE, size=Size(103.0, 1.0, 1.0))
    assert "detObjOptData" not in stated(writer, wall, start_ns)
    on_air("SDSM", writer.content(0, start_ns, [long, stated(writer, wall, start_ns)]))


@pytest.mark.parametrize(
    "change",
    [
        {"position": Vec2(0.0, 3277.0)},
        {"position": Vec2(-3277.0, 0.0)},
        {"speed": 163.9},
        {"position": Vec2(math.nan, 0.0)},
    ],
)
def test_what_it_cannot_carry_is_refused(
    writer: SdsmWriter, track, start_ns: int, change: dict[str, Any]
) -> None:
    with pytest.raises(OutOfRangeError):
        stated(writer, track(**change), start_ns)


def test_list_sizes(writer: SdsmWriter, track, start_ns: int, on_air) -> None:
    users = [stated(writer, track(), start_ns, number) for number in range(1, OBJECTS_MAX + 1)]
    on_air("SDSM", writer.content(127, start_ns, users))
    for wrong in ([], [*users, users[0]]):
        with pytest.raises(OutOfRangeError):
            writer.content(0, start_ns, wrong)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(ObjectClass),
    probability=st.floats(0, 1),
    x=st.floats(-3276, 3276),
    y=st.floats(-3276, 3276),
    heading=st.floats(-10, 10),
    speed=st.floats(-163, 163),
    stds=st.tuples(*[st.floats(0, 1e4)] * 5),
    size=st.builds(Size, st.floats(0, 200), st.floats(0, 200), st.floats(0, 200)),
    number=st.integers(1, 65_535),
    time_ns=st.integers(0, 4_000_000_000 * NS_PER_S),
)
def test_any_track_in_range_can_be_said(
    unit, track, encode, kind, probability, x, y, heading, speed, stds, size, number, time_ns
) -> None:
    writer = SdsmWriter(unit())
    one = track(
        object_class=kind, class_probability=probability, position=Vec2(x, y), heading=heading,
        speed=speed, stds=stds, size=size,
    )  # fmt: skip
    encode("SDSM", writer.content(1, time_ns, [stated(writer, one, time_ns, number)]))
