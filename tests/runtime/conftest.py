"""Small stages for host tests: they depend on everything a real stage may depend on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest

from rsu.runtime.stage import StageGroup
from rsu.schema.health import Decision, Verdict
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetections
from rsu.schema.topics import CAMERA_DETECTIONS, DECISION, TRACKS, Topic
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_MS, Instant


class Tracker:
    """Turns each frame's detections into an empty track list at a boot-dependent offset."""

    name = "fusion"
    inputs: tuple[Topic, ...] = (CAMERA_DETECTIONS,)
    outputs: tuple[Topic, ...] = (TRACKS,)
    period_ns: int | None = None

    def __init__(self, boot: Instant) -> None:
        self._random = random.Random(boot.utc_ns)

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        seen: CameraDetections = message.payload
        time_ns = seen.capture_ns + self._random.randrange(1000)
        yield Message.draft(TRACKS, self.name, time_ns, TrackList(time_ns=time_ns, tracks=()))

    def tick(self, now: Instant) -> Iterable[Message]:
        return ()


class Speaker:
    """Says what it heard since the last tick; its words depend on time and on every input."""

    name = "v2x"
    inputs: tuple[Topic, ...] = (TRACKS,)
    outputs: tuple[Topic, ...] = (DECISION,)
    period_ns: int | None = 100 * NS_PER_MS

    def __init__(self) -> None:
        self._heard: list[int] = []

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        self._heard.append(message.payload.time_ns)
        return ()

    def tick(self, now: Instant) -> Iterable[Message]:
        heard, self._heard = self._heard, []
        detail = f"{now.utc_ns}/{now.mono_ns}: {heard}"
        yield Message.draft(
            DECISION,
            self.name,
            now.utc_ns,
            Decision(
                stage=self.name, subject="message:TEST", verdict=Verdict.SENT, reason="heard",
                time_ns=now.utc_ns, count=len(heard), detail=detail,
            ),
        )  # fmt: skip


@pytest.fixture
def core() -> Callable[[Instant], StageGroup]:
    """Builder of a small core."""
    return lambda boot: StageGroup("core", [Tracker(boot), Speaker()], boot)


@pytest.fixture
def detections() -> Callable[[str, int, int], Message]:
    """Maker of a frame (sensor, number, capture time) in which nothing was seen."""
    return empty_detections


def empty_detections(sensor: str, frame: int, capture_ns: int) -> Message:
    payload = CameraDetections(
        sensor=sensor, frame=frame, capture_ns=capture_ns, image_width=640, image_height=384,
        detections=(),
    )  # fmt: skip
    return Message.draft(CAMERA_DETECTIONS, sensor, capture_ns, payload)
