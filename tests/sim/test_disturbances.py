"""Devices that go on working and are wrong: what they report instead of what is so."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from rsu.config.model import SiteConfig
from rsu.schema.message import Message
from rsu.schema.sensing import (
    CameraDetection,
    CameraDetections,
    ObjectClass,
    RadarObject,
    RadarObjects,
)
from rsu.schema.topics import CAMERA_DETECTIONS, RADAR_OBJECTS
from rsu.schema.units import NS_PER_S, Box, Cov2, Size, Vec2
from rsu.sim.disturbances import Disturbances, places_of
from rsu.sim.scenario.model import AnyAction, MoveSensor, SkewSensor

START_NS = 1_767_225_600_000_000_000
FOOT = Vec2(10.0, 5.0)


def at(second: float) -> int:
    return START_NS + round(second * NS_PER_S)


def frame(second: float, place: Vec2) -> Message:
    one = CameraDetection(
        object_class=ObjectClass.CAR, score=0.9, box=Box(0, 0, 1, 1), position=place,
        position_cov=Cov2(4.0, 0.0, 1.0), size=Size(4.0, 2.0, 1.5),
        constant_cov=Cov2(1.0, 0.0, 0.25),
    )  # fmt: skip
    seen = CameraDetections(
        sensor="north", frame=0, capture_ns=at(second), image_width=64, image_height=48,
        detections=(one,),
    )  # fmt: skip
    return Message.draft(CAMERA_DETECTIONS, "north", at(second), seen)


def disturbed(script: Sequence[AnyAction], second: float, message: Message) -> Message:
    return Disturbances(script, START_NS, {"north": FOOT}).disturbed("north", at(second), message)


def numbers(cov: Cov2 | None) -> tuple[float, float, float]:
    assert cov is not None
    return cov.xx, cov.xy, cov.yy


def moved(**how: float) -> MoveSensor:
    return MoveSensor(do="move-sensor", at_s=10, sensor="north", duration_s=5, **how)


def test_a_camera_turned_left_puts_things_to_the_right_of_where_they_are() -> None:
    (one,) = disturbed([moved(turn=90)], 12, frame(12, Vec2(40.0, 5.0))).payload.detections
    assert (one.position.x, one.position.y) == pytest.approx((10.0, -25.0))
    assert numbers(one.position_cov) == pytest.approx((1.0, 0.0, 4.0))
    assert numbers(one.constant_cov) == pytest.approx((0.25, 0.0, 1.0))


def test_a_camera_pushed_east_puts_things_to_the_west() -> None:
    (one,) = disturbed([moved(east=2, north=1)], 12, frame(12, Vec2(40.0, 5.0))).payload.detections
    assert (one.position.x, one.position.y) == pytest.approx((38.0, 4.0))
    assert one.position_cov == Cov2(4.0, 0.0, 1.0)


def test_a_turned_radar_also_turns_velocities() -> None:
    echo = RadarObject(
        object_id=1, position=Vec2(40.0, 5.0), position_cov=Cov2(1.0, 0.0, 1.0),
        velocity=Vec2(-9.0, 0.0), velocity_cov=Cov2(0.1, 0.0, 0.4),
    )  # fmt: skip
    seen = RadarObjects(sensor="north", cycle=0, capture_ns=at(12), objects=(echo,))
    message = Message.draft(RADAR_OBJECTS, "north", at(12), seen)
    (one,) = disturbed([moved(turn=90)], 12, message).payload.objects
    assert (one.velocity.x, one.velocity.y) == pytest.approx((0.0, 9.0))
    assert numbers(one.velocity_cov) == pytest.approx((0.4, 0.0, 0.1))


@pytest.mark.parametrize(("by_s", "second"), [(-0.15, 12), (0.3, 12)])
def test_a_clock_that_is_off_dates_everything_otherwise(by_s: float, second: float) -> None:
    skew = SkewSensor(do="skew-sensor", at_s=10, sensor="north", by_s=by_s, duration_s=5)
    message = frame(second, FOOT)
    told = disturbed([skew], second, message)
    assert told.payload.capture_ns == told.header.capture_ns == at(second + by_s)
    assert told.payload.detections == message.payload.detections


def test_only_the_device_that_is_named_is_wrong_and_only_meanwhile() -> None:
    wrong = Disturbances([moved(turn=3)], START_NS, {"north": FOOT, "south": FOOT})
    message = frame(12, Vec2(40.0, 5.0))
    for sensor, second in (("north", 9.9), ("north", 15.0), ("south", 12.0)):
        assert wrong.disturbed(sensor, at(second), message) is message


def test_every_camera_and_radar_of_a_site_has_a_place(junction: SiteConfig) -> None:
    assert places_of(junction) == {
        "north-east": Vec2(16.0, 16.0), "south-west": Vec2(-16.0, -16.0), "west": Vec2(-14.0, -3.5),
    }  # fmt: skip
