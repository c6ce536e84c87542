"""SSM of a scene that can be checked by hand, and its reading by an independent codec."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track
from rsu.schema.units import NS_PER_S, Size, Vec2
from rsu.site.lanes import Zone, ZoneKind
from rsu.v2x.csae.rsm import RsmWriter
from rsu.v2x.csae.ssm import SsmWriter
from rsu.v2x.csae.units import OutOfRangeError

SQUARE = [(-20.0, -20.0), (20.0, -20.0), (20.0, 20.0), (-20.0, 20.0)]


def zone(ring: list[tuple[float, float]], **changes: Any) -> Zone:
    return Zone("seen", ZoneKind.WATCH, np.array(ring), **changes)


@pytest.fixture
def writer(unit) -> SsmWriter:
    return SsmWriter(unit())


@pytest.fixture
def stated(writer: SsmWriter, unit, start_ns: int):
    """What one track becomes."""

    def make(track: Track, number: int = 7, writer: Any = writer) -> dict[str, Any]:
        (place,) = unit().degrees([track.position])
        return writer.road_user(track, number, start_ns, place)

    return make


def test_scene_of_a_bus_a_dog_and_something(
    unit, track, start_ns: int, origin, metres_to_steps, said
) -> None:
    writer = SsmWriter(unit(), [zone(SQUARE)])
    scene = [
        track(
            1,
            object_class=ObjectClass.BUS,
            class_probability=0.83,
            position=Vec2(20.0, 10.0),
            born_ns=start_ns - 90 * NS_PER_S - 1,
            size=Size(12.0, 2.5, 3.2),
        ),
        track(
            2,
            object_class=ObjectClass.ANIMAL,
            class_probability=0.6,
            position=Vec2(-3.0, -4.0),
            heading=0.0,
            speed=2.0,
            stds=(0.1, 0.1, math.radians(4), 0.5, 0.1),
            size=Size(0.9, 0.34, 0.66),
            born_ns=start_ns - 999_999_999,
            sources=("mast",),
        ),
        track(
            3,
            object_class=ObjectClass.OBSTACLE,
            position=Vec2(8.0, -15.0),
            speed=0.0,
            stds=(0.4, 0.2, 3.0, 0.1, 0.1),
            size=Size(1.2, 0.8, 0.3),
            sources=("north", "mast"),
        ),
    ]
    places = unit().degrees([one.position for one in scene])
    users = [
        writer.road_user(one, 300 + one.id, start_ns, place)
        for one, place in zip(scene, places, strict=True)
    ]
    value = writer.content(1, start_ns, users)

    def offset(x: float, y: float) -> dict[str, Any]:
        lon, lat = metres_to_steps(x, y, origin.latitude, origin.altitude)
        wide = max(abs(lon), abs(lat)) > 2047
        return {"offsetLL": {"position-LL2" if wide else "position-LL1": {"lon": lon, "lat": lat}}}

    assert value == {
        "msgCnt": 1,
        "id": "00112233aabbccdd",
        "equipmentType": "rsu",
        "secMark": 40_000,
        "sensorPos": {"lat": 312_304_000, "long": 1_214_737_000, "elevation": 120},
        "detectedRegion": [[offset(x, y) for x, y in SQUARE]],
        "participants": [
            {
                "ptc": {
                    "ptcType": "motor",
                    "ptcId": 301,
                    "source": "video",
                    "secMark": 40_000,
                    "pos": offset(20.0, 10.0),
                    "posConfidence": {"pos": "a1m"},
                    "speed": 250,
                    "heading": 0,
                    "motionCfd": {"speedCfd": "prec1ms", "headingCfd": "prec05deg"},
                    "size": {"width": 250, "length": 1200, "height": 64},
                    "vehicleClass": {"classification": 50},
                },
                "detectedPTCType": "bus",
                "typeConfidence": 166,  # 83 % in steps of 0.5 %
                "tracking": 90,
            }
        ],
        "obstacles": [
            {
                "obsType": "animal-intrusion",
                "objTypeConfidence": 120,
                "obsId": 302,
                "source": "microwaveRadar",
                "secMark": 40_000,
                "pos": offset(-3.0, -4.0),
                "posConfidence": {"pos": "a50cm"},  # 2.4477 × 0.1 m
                "speed": 100,
                "speedCfd": "prec1ms",
                "heading": 7200,  # east
                "headingCfd": "prec10deg",  # 1.96 × 4°
                "size": {"width": 3, "length": 9, "height": 7},
            },
            {
                "obsType": "unknown",
                "obsId": 303,
                "source": "integrated",
                "secMark": 40_000,
                "pos": offset(8.0, -15.0),
                "posConfidence": {"pos": "a1m"},  # 2.4477 × 0.4 m
                "speed": 0,
                "speedCfd": "prec1ms",
                "heading": 28_800,
                "headingCfd": "unavailable",
                "size": {"width": 8, "length": 12, "height": 3},
                "tracking": 1,
            },
        ],
    }
    said("csae157_2020", "SSM", value)


def test_a_road_user_is_what_an_rsm_states(stated, unit, track) -> None:
    one = track(sources=("north", "mast"), size=Size(4.0, 2.0, 9.0))
    assert stated(one)["ptc"] == stated(one, writer=RsmWriter(unit()))


@pytest.mark.parametrize(
    ("object_class", "kind"),
    [
        (ObjectClass.UNKNOWN, "unknown"),
        (ObjectClass.PEDESTRIAN, "pedestrian"),
        (ObjectClass.BICYCLE, "cyclist"),
        (ObjectClass.MOTORCYCLE, "motorcyclist"),
        (ObjectClass.CAR, "car"),
        (ObjectClass.VAN, "van"),
        (ObjectClass.TRUCK, "truck"),
        (ObjectClass.BUS, "bus"),
    ],
)
def test_kind(stated, track, object_class: ObjectClass, kind: str) -> None:
    value = stated(track(object_class=object_class))
    assert value["detectedPTCType"] == kind
    # How sure it is of knowing nothing is no statement.
    assert ("typeConfidence" in value) == (kind != "unknown")


@pytest.mark.parametrize(
    ("age_ns", "tracking"),
    [
        (-1, None),
        (NS_PER_S - 1, None),
        (NS_PER_S, 1),
        (65_535 * NS_PER_S, 65_535),
        (65_536 * NS_PER_S, None),
    ],
)
def test_how_long_it_was_followed(
    stated, track, start_ns: int, age_ns: int, tracking: int | None
) -> None:
    assert stated(track(born_ns=start_ns - age_ns)).get("tracking") == tracking


def test_nobody_can_be_said_of_a_region_only(writer: SsmWriter, unit, start_ns: int, said) -> None:
    assert not writer.alone
    with_region = SsmWriter(unit(), [zone(SQUARE)])
    assert with_region.alone
    value = with_region.content(0, start_ns, [])
    assert set(value) == {
        "msgCnt", "id", "equipmentType", "secMark", "sensorPos", "detectedRegion"
    }  # fmt: skip
    said("csae157_2020", "SSM", value)


def test_a_minute_ends(writer: SsmWriter, stated, track, start_ns: int) -> None:
    end = start_ns + 20 * NS_PER_S
    assert writer.content(0, end - 1, [])["secMark"] == 59_999
    assert writer.content(0, end, [])["secMark"] == 0


def test_as_many_as_fit_and_no_more(writer: SsmWriter, stated, track, start_ns: int, said) -> None:
    users = [stated(track(), number) for number in range(65_024, 65_537)]
    things = [stated(track(object_class=ObjectClass.OBSTACLE), number) for number in range(1, 66)]
    value = writer.content(0, start_ns, [*things[:64], *users[:512]])
    assert value["participants"][-1]["ptc"]["ptcId"] == 65_535
    said("csae157_2020", "SSM", value)
    with pytest.raises(OutOfRangeError, match="513 participants"):
        writer.content(0, start_ns, users)
    with pytest.raises(OutOfRangeError, match="65 obstacles"):
        writer.content(0, start_ns, things)
    # What a caller may put into one message is never refused, be it all obstacles.
    writer.content(0, start_ns, things[: writer.objects_max])


@pytest.mark.parametrize(
    "regions",
    [
        [zone(SQUARE[:3])],
        [zone([(math.cos(a), math.sin(a)) for a in range(33)])],
        [zone(SQUARE, holes=(np.array(SQUARE) / 2,))],
        [zone(SQUARE)] * 9,
    ],
)
def test_region_that_cannot_be_said_as_it_is_is_refused(unit, regions: list[Zone]) -> None:
    with pytest.raises(OutOfRangeError):
        SsmWriter(unit(), regions)


@pytest.mark.parametrize(
    "changes",
    [
        {"speed": 200.0},
        {"size": Size(103.0, 2.0, 3.0)},
        {"position": Vec2(math.nan, 0.0)},
    ],
)
@pytest.mark.parametrize("object_class", [ObjectClass.CAR, ObjectClass.ANIMAL])
def test_track_that_the_message_cannot_carry_is_refused(
    stated, track, changes: dict[str, Any], object_class: ObjectClass
) -> None:
    with pytest.raises(OutOfRangeError):
        stated(track(object_class=object_class, **changes))


def test_obstacle_too_high_is_said_without_its_height(stated, track) -> None:
    one = track(object_class=ObjectClass.OBSTACLE, size=Size(2.0, 1.0, 120.0))
    assert stated(one)["size"] == {"width": 10, "length": 20}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_track_in_range_can_be_said(
    data, writer: SsmWriter, stated, track, start_ns: int, said
) -> None:
    reals = st.floats
    tracks = [
        track(
            object_class=data.draw(st.sampled_from(ObjectClass)),
            class_probability=data.draw(reals(0, 1)),
            position=Vec2(data.draw(reals(-5e3, 5e3)), data.draw(reals(-5e3, 5e3))),
            heading=data.draw(reals(-math.pi, math.pi)),
            speed=data.draw(reals(-163.8, 163.8)),
            size=Size(data.draw(reals(0, 40)), data.draw(reals(0, 10)), data.draw(reals(0, 200))),
            stds=tuple(data.draw(reals(0, 1e3)) for _ in range(5)),
            born_ns=data.draw(st.integers(0, start_ns)),
        )
        for _ in range(data.draw(st.integers(0, 3)))
    ]
    users = [stated(one, data.draw(st.integers(1, 65_535))) for one in tracks]
    said("csae157_2020", "SSM", writer.content(0, start_ns, users))
