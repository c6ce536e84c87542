"""RSM values of a scene that can be checked by hand, and their reading by an independent codec."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.config.place import OriginOptions
from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.tracks import Track
from rsu.schema.units import NS_PER_MS, NS_PER_S, Size, Vec2
from rsu.v2x.csae.rsm import ROAD_USERS_MAX, RsmWriter
from rsu.v2x.csae.units import OutOfRangeError

SENSORS = {
    "north": SensorKind.CAMERA,
    "south": SensorKind.CAMERA,
    "mast": SensorKind.RADAR,
    "roof": SensorKind.LIDAR,
    "obu": SensorKind.V2X,
    "bay": SensorKind.PARKING,
}


@pytest.fixture
def writer(unit) -> RsmWriter:
    return RsmWriter(unit(sensors=SENSORS))


@pytest.fixture
def road_user(writer: RsmWriter, unit, start_ns: int):
    """The participant that one track becomes."""

    def make(track: Track, number: int = 7) -> dict[str, Any]:
        (place,) = unit().degrees([track.position])
        return writer.road_user(track, number, start_ns, place)

    return make


def test_scene_of_three_road_users(
    writer: RsmWriter, unit, track, origin: OriginOptions, start_ns: int, metres_to_steps, said
) -> None:
    time_ns = start_ns + 19 * NS_PER_S + 999 * NS_PER_MS + 999_999  # one ns short of the minute
    scene = [
        track(1, position=Vec2(20.0, 10.0), heading=math.pi / 2, speed=13.89, sources=("mast",)),
        track(
            2,
            object_class=ObjectClass.PEDESTRIAN,
            position=Vec2(-3.0, -4.0),
            heading=0.0,
            speed=1.4,
            size=Size(0.5, 0.6, 1.75),
            stds=(0.1, 0.05, 1.0, 0.3, 0.1),
            sources=("north", "mast"),
        ),
        track(
            3,
            object_class=ObjectClass.BUS,
            position=Vec2(250.0, -120.0),
            heading=-3 * math.pi / 4,
            speed=8.0,
            size=Size(18.0, 2.55, 3.1),
            stds=(0.9, 0.4, math.radians(0.4), 0.5, 0.1),
            sources=("north", "south"),
        ),
    ]
    places = unit().degrees([one.position for one in scene])
    users = [
        writer.road_user(one, 10 + one.id, time_ns, place)
        for one, place in zip(scene, places, strict=True)
    ]
    value = writer.content(5, time_ns, users)

    # Longitude 121.4737, latitude 31.2304: exact in 1e-7 degree, so only one rounding counts.
    pos = {}
    for one in scene:
        lon, lat = metres_to_steps(one.position.x, one.position.y, origin.latitude, origin.altitude)
        pos[one.id] = {"lon": lon, "lat": lat}
    assert pos[1] == {"lon": 2099, "lat": 902}  # 20 m is 2099e-7° of longitude here

    assert value == {
        "msgCnt": 5,
        "id": "00112233aabbccdd",
        "refPos": {"lat": 312_304_000, "long": 1_214_737_000, "elevation": 120},
        "participants": [
            {
                "ptcType": "rsu",
                "ptcId": 0,
                "source": "selfinfo",
                "secMark": 59_999,
                "pos": {
                    "offsetLL": {"position-LL1": {"lon": 0, "lat": 0}},
                    "offsetV": {"offset1": 50},
                },
                "posConfidence": {"pos": "unavailable"},
                "speed": 0,
                "heading": 28_800,
                "size": {"width": 0, "length": 0},
            },
            {
                "ptcType": "motor",
                "ptcId": 11,
                "source": "microwaveRadar",
                "secMark": 59_999,
                "pos": {"offsetLL": {"position-LL2": pos[1]}},
                "posConfidence": {"pos": "a1m"},  # 2.4477 × 0.3 m = 0.73 m
                "speed": 695,
                "heading": 0,  # north
                "motionCfd": {
                    "speedCfd": "prec1ms",  # 1.96 × 0.2 m/s = 0.39 m/s
                    "headingCfd": "prec05deg",  # 1.96 × 2° = 3.9°
                },
                "size": {"width": 180, "length": 450, "height": 30},
                "vehicleClass": {"classification": 10},
            },
            {
                "ptcType": "pedestrian",
                "ptcId": 12,
                "source": "integrated",
                "secMark": 59_999,
                "pos": {"offsetLL": {"position-LL1": pos[2]}},
                "posConfidence": {"pos": "a50cm"},  # 2.4477 × 0.1 m = 0.24 m
                "speed": 70,
                "heading": 28_800,  # 1.96 × 57° is more than a quarter turn
                "motionCfd": {"speedCfd": "prec1ms", "headingCfd": "unavailable"},
                "size": {"width": 60, "length": 50, "height": 35},
            },
            {
                "ptcType": "motor",
                "ptcId": 13,
                "source": "video",
                "secMark": 59_999,
                "pos": {"offsetLL": {"position-LL3": pos[3]}},
                "posConfidence": {"pos": "a5m"},  # 2.4477 × 0.9 m = 2.2 m
                "speed": 400,
                "heading": 18_000,  # south-west, 225°
                "motionCfd": {"speedCfd": "prec1ms", "headingCfd": "prec01deg"},
                "size": {"width": 255, "length": 1800, "height": 62},
                "vehicleClass": {"classification": 50},
            },
        ],
    }
    for profile in ("csae53_2020", "csae157_2020", "legacy_20190724"):
        said(profile, "RSM", value)


@pytest.mark.parametrize(
    ("sources", "stated"),
    [
        (("north",), "video"),
        (("north", "south"), "video"),
        (("mast",), "microwaveRadar"),
        (("roof",), "lidar"),
        (("obu",), "v2x"),
        (("north", "mast"), "integrated"),
        (("bay",), "unknown"),
        (("elsewhere",), "unknown"),
        (("elsewhere", "mast"), "microwaveRadar"),
        ((), "unknown"),
    ],
)
def test_source_is_what_the_sensors_behind_it_are(
    road_user, track, sources: tuple[str, ...], stated: str
) -> None:
    assert road_user(track(sources=sources))["source"] == stated


@pytest.mark.parametrize(
    ("object_class", "kind", "vehicle_class"),
    [
        (ObjectClass.UNKNOWN, "unknown", None),
        (ObjectClass.PEDESTRIAN, "pedestrian", None),
        (ObjectClass.BICYCLE, "non-motor", None),
        (ObjectClass.MOTORCYCLE, "motor", 40),
        (ObjectClass.CAR, "motor", 10),
        (ObjectClass.VAN, "motor", 20),
        (ObjectClass.TRUCK, "motor", 25),
        (ObjectClass.BUS, "motor", 50),
        (ObjectClass.ANIMAL, "unknown", None),
        (ObjectClass.OBSTACLE, "unknown", None),
    ],
)
def test_kind_and_class(
    road_user, track, object_class: ObjectClass, kind: str, vehicle_class: int | None
) -> None:
    stated = road_user(track(object_class=object_class))
    assert stated["ptcType"] == kind
    assert stated.get("vehicleClass", {}).get("classification") == vehicle_class


def test_vehicle_class_is_left_out_when_it_is_a_guess(road_user, track) -> None:
    stated = road_user(track(class_probability=0.5))
    assert stated["ptcType"] == "motor"
    assert "vehicleClass" not in stated


def test_motion_backwards_is_stated_in_the_direction_of_motion(road_user, track) -> None:
    stated = road_user(track(heading=math.pi / 2, speed=-2.0))
    assert (stated["speed"], stated["heading"]) == (100, 14_400)  # south


def test_height_beyond_its_range_is_left_out(road_user, track) -> None:
    assert road_user(track(size=Size(4.0, 2.0, 7.0)))["size"] == {"width": 200, "length": 400}


@pytest.mark.parametrize(
    "changes",
    [
        {"speed": 200.0},
        {"size": Size(50.0, 2.0, 3.0)},
        {"size": Size(5.0, 11.0, 3.0)},
        {"position": Vec2(math.nan, 0.0)},
    ],
)
def test_track_that_the_message_cannot_carry_is_refused(road_user, track, changes) -> None:
    with pytest.raises(OutOfRangeError):
        road_user(track(**changes))


def test_unit_that_hangs_too_high_for_the_message_is_refused(unit) -> None:
    with pytest.raises(OutOfRangeError, match="vertical offset"):
        RsmWriter(unit(antenna_height=300.0))


def test_fifteen_road_users_fit_beside_the_unit(
    writer: RsmWriter, road_user, track, start_ns: int, said
) -> None:
    users = [road_user(track(number), number) for number in range(1, ROAD_USERS_MAX + 1)]
    value = writer.content(127, start_ns, users)
    assert [one["ptcId"] for one in value["participants"]] == list(range(16))
    said("csae53_2020", "RSM", value)


def test_nobody_is_the_unit_alone(writer: RsmWriter, start_ns: int, said) -> None:
    value = writer.content(0, start_ns, [])
    assert [one["ptcType"] for one in value["participants"]] == ["rsu"]
    said("csae53_2020", "RSM", value)


# The fixtures are factories: they hold nothing that an example could leave behind.
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_road_user_in_range_can_be_said(
    data, writer: RsmWriter, road_user, track, said
) -> None:
    reals = st.floats
    one = track(
        object_class=data.draw(st.sampled_from(ObjectClass)),
        class_probability=data.draw(reals(0, 1)),
        position=Vec2(data.draw(reals(-5e3, 5e3)), data.draw(reals(-5e3, 5e3))),
        heading=data.draw(reals(-math.pi, math.pi)),
        speed=data.draw(reals(-163.8, 163.8)),
        size=Size(data.draw(reals(0, 40)), data.draw(reals(0, 10)), data.draw(reals(0, 20))),
        stds=tuple(data.draw(reals(0, 1e3)) for _ in range(5)),
    )
    time_ns = data.draw(st.integers(0, 4_000_000_000 * NS_PER_S))
    said("csae53_2020", "RSM", writer.content(0, time_ns, [road_user(one)]))
