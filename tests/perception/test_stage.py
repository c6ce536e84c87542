"""One message per frame; what was dropped is counted and told once a second."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rsu.perception.stage import PerceptionStage
from rsu.schema import wire
from rsu.schema.frame import CameraFrame
from rsu.schema.health import Decision, Verdict
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetections, ImageDetection, ObjectClass
from rsu.schema.topics import CAMERA_DETECTIONS, CAMERA_FRAME, DECISION
from rsu.schema.units import NS_PER_S, Box, Instant

IMAGE = np.zeros((800, 1000, 3), np.uint8)
# On the ground, at the horizon's height, from edge to edge.
PERSON = ImageDetection(
    object_class=ObjectClass.PEDESTRIAN, score=0.8, box=Box(489.0, 463.0, 23.0, 57.0)
)
SKY = ImageDetection(object_class=ObjectClass.CAR, score=0.7, box=Box(480.0, 100.0, 60.0, 60.0))
WIDE = ImageDetection(object_class=ObjectClass.CAR, score=0.7, box=Box(0.0, 400.0, 1000.0, 60.0))


class Scripted:
    stateless = True

    def __init__(self, *found: ImageDetection) -> None:
        self.found = found
        self.calls: list[tuple[tuple[int, ...], int]] = []

    def detect(self, image, regions):
        self.calls.append((image.shape, len(regions)))
        return self.found


def frame(number: int = 0, detected=None, sensor: str = "north") -> Message:
    payload = CameraFrame(sensor, number, number * 100, IMAGE, detected)
    return Message.draft(CAMERA_FRAME, sensor, payload.capture_ns, payload)


NOW = Instant(5 * NS_PER_S, 5 * NS_PER_S)


@pytest.fixture
def camera(make_camera):
    return make_camera(pose={"tilt": 12})


def test_a_frame_becomes_detections_on_the_ground(camera) -> None:
    detector = Scripted(PERSON)
    stage = PerceptionStage(camera, detector)
    assert (stage.name, stage.inputs) == ("perception:north", (CAMERA_FRAME,))
    (message,) = stage.handle(frame(7), NOW)
    assert message.topic is CAMERA_DETECTIONS
    assert (message.header.source, message.header.capture_ns) == ("north", 700)
    payload = message.payload
    assert isinstance(payload, CameraDetections)
    assert (payload.frame, payload.image_width, payload.image_height) == (7, 1000, 800)
    assert [d.object_class for d in payload.detections] == [ObjectClass.PEDESTRIAN]
    assert detector.calls == [((800, 1000, 3), 0)]
    assert wire.from_json(CAMERA_DETECTIONS, wire.to_json(payload)) == payload


def test_seeing_nothing_is_said_too(camera) -> None:
    (message,) = PerceptionStage(camera, Scripted()).handle(frame(), NOW)
    assert message.payload.detections == ()
    assert message.payload.rejected == {}


def test_what_was_detected_ahead_is_not_detected_again(camera) -> None:
    detector = Scripted()
    (message,) = PerceptionStage(camera, detector).handle(frame(detected=(PERSON,)), NOW)
    assert len(message.payload.detections) == 1
    assert detector.calls == []


def test_another_cameras_frame_is_left_alone(camera) -> None:
    assert list(PerceptionStage(camera, Scripted(PERSON)).handle(frame(sensor="south"), NOW)) == []


def test_drops_are_counted_in_the_message_and_merged_into_decisions(camera) -> None:
    stage = PerceptionStage(camera, Scripted(SKY, PERSON, SKY, WIDE))
    told: list[Message] = []
    for number in range(3):
        message, *decisions = stage.handle(frame(number + 1), NOW)
        assert message.payload.rejected == {"above_horizon": 2, "cut_by_border": 1}
        assert len(message.payload.detections) == 1
        told += decisions
    assert len(told) == 2, "the first of a kind at once, the others not yet"
    assert stage.period_ns == NS_PER_S
    later = Instant(NOW.utc_ns + NS_PER_S, NOW.mono_ns + NS_PER_S)
    told += stage.tick(later)
    assert {d.topic for d in told} == {DECISION}
    for d in told:
        assert isinstance(d.payload, Decision)
        assert (d.payload.stage, d.payload.subject) == ("perception:north", "sensor:north")
        assert d.payload.verdict is Verdict.DROPPED
    counts = Counter[str]()
    for d in told:
        counts[d.payload.reason] += d.payload.count
    assert counts == {"above_horizon": 6, "cut_by_border": 3}
    assert stage.tick(later) == []
