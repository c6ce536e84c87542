"""A small world for fusion: exact paths, noisy cameras and radars, messages in order of arrival.

Everything is seeded. `Scene` builds truth and detections; `play` pushes messages through a stage
the way a host does (ticks included) and returns every track list and decision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rsu.config.fusion import FusionOptions
from rsu.fusion.occlusion import Viewpoint
from rsu.fusion.stage import FusionStage
from rsu.schema.health import Decision
from rsu.schema.message import Message
from rsu.schema.sensing import (
    CameraDetection,
    CameraDetections,
    ObjectClass,
    RadarObject,
    RadarObjects,
)
from rsu.schema.topics import CAMERA_DETECTIONS, RADAR_OBJECTS
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_S, Box, Cov2, Instant, Size, Vec2

START_NS = 1_735_689_600 * NS_PER_S  # 2025-01-01T00:00:00Z
BOOT = Instant(START_NS, 0)

Path = Callable[[float], tuple[float, float] | None]
"""Position (m) at a time (s since start); None while the object is not there."""

SIZES = {
    ObjectClass.CAR: Size(4.5, 1.8, 1.5),
    ObjectClass.PEDESTRIAN: Size(0.5, 0.5, 1.7),
    ObjectClass.BICYCLE: Size(1.8, 0.6, 1.7),
    ObjectClass.BUS: Size(12.0, 2.5, 3.2),
}


@dataclass
class Sensor:
    """How a modelled sensor looks: rate, phase, delay, noise, misses, clutter, field of view."""

    name: str
    rate_hz: float = 12.5
    phase_s: float = 0.0
    latency_s: float = 0.045
    std: float = 0.7
    miss: float = 0.1
    clutter: float = 0.0
    area: tuple[float, float, float, float] = (-40.0, -40.0, 40.0, 40.0)
    bias: tuple[float, float] = (0.0, 0.0)
    bias_std: float | None = None  # what the camera says of its standing error; None: nothing
    radar: bool = False
    velocity_std: float = 0.3
    score: tuple[float, float] = (0.75, 0.95)  # sure: the stated noise is all there is
    clutter_score: tuple[float, float] = (0.3, 0.6)


@dataclass
class Scene:
    """Objects and sensors; `messages` are (arrival s, message) in order of arrival."""

    seed: int = 1
    objects: list[tuple[ObjectClass, Path]] = field(default_factory=list)
    sensors: list[Sensor] = field(default_factory=list)

    def add(self, object_class: ObjectClass, path: Path) -> None:
        self.objects.append((object_class, path))

    def truth(self, index: int, seconds: float) -> tuple[float, float] | None:
        return self.objects[index][1](seconds)

    def messages(self, duration_s: float) -> list[tuple[float, Message]]:
        rng = np.random.default_rng(self.seed)
        out = []
        for order, sensor in enumerate(self.sensors):
            looks = int(duration_s * sensor.rate_hz)
            for look in range(looks):
                seconds = sensor.phase_s + look / sensor.rate_hz
                message = self._look(sensor, look, seconds, rng)
                out.append((seconds + sensor.latency_s, order, look, message))
        out.sort(key=lambda item: item[:3])
        return [(arrival, message) for arrival, _, _, message in out]

    def _look(self, sensor: Sensor, look: int, seconds: float, rng: Any) -> Message:
        left, bottom, right, top = sensor.area
        seen = []
        for object_class, path in self.objects:
            at, before = path(seconds), path(seconds - 0.01)
            if at is None or not (left <= at[0] <= right and bottom <= at[1] <= top):
                continue
            if rng.random() < sensor.miss:
                continue
            x, y = np.array(at) + sensor.bias + sensor.std * rng.standard_normal(2)
            velocity = (0.0, 0.0) if before is None else (np.array(at) - before) / 0.01
            seen.append((object_class, x, y, velocity, rng.uniform(*sensor.score)))
        for _ in range(rng.poisson(sensor.clutter)):
            x, y = rng.uniform(left, right), rng.uniform(bottom, top)
            score = rng.uniform(*sensor.clutter_score)
            seen.append((ObjectClass.CAR, x, y, 3.0 * rng.standard_normal(2), score))
        rng.shuffle(seen)
        capture_ns = START_NS + round(seconds * NS_PER_S)
        constant = None
        total = sensor.std**2
        if sensor.bias_std is not None:
            constant = Cov2(sensor.bias_std**2, 0.0, sensor.bias_std**2)
            total += sensor.bias_std**2
        cov = Cov2(total, 0.0, total)
        if sensor.radar:
            spread = Cov2(sensor.velocity_std**2, 0.0, sensor.velocity_std**2)
            objects = tuple(
                RadarObject(
                    object_id=number, position=Vec2(float(x), float(y)), position_cov=cov,
                    velocity=Vec2(*(float(c) + sensor.velocity_std * rng.standard_normal()
                                    for c in velocity)),
                    velocity_cov=spread, existence=float(score),
                )
                for number, (_, x, y, velocity, score) in enumerate(seen)
            )  # fmt: skip
            radar = RadarObjects(
                sensor=sensor.name, cycle=look, capture_ns=capture_ns, objects=objects
            )
            return Message.draft(RADAR_OBJECTS, sensor.name, capture_ns, radar)
        return camera_message(
            sensor.name, look, capture_ns,
            [(c, float(x), float(y), cov, float(s)) for c, x, y, _, s in seen], constant,
        )  # fmt: skip


def camera_message(
    sensor: str, frame: int, capture_ns: int,
    seen: list[tuple[ObjectClass, float, float, Cov2, float]], constant: Cov2 | None = None,
) -> Message:  # fmt: skip
    """One camera frame's detections."""
    detections = tuple(
        CameraDetection(
            object_class=c, score=score, box=Box(10.0, 10.0, 50.0, 40.0), position=Vec2(x, y),
            position_cov=cov, size=SIZES.get(c, Size(1.0, 1.0, 1.0)), constant_cov=constant,
        )
        for c, x, y, cov, score in seen
    )  # fmt: skip
    payload = CameraDetections(
        sensor=sensor, frame=frame, capture_ns=capture_ns, image_width=768, image_height=432,
        detections=detections,
    )  # fmt: skip
    return Message.draft(CAMERA_DETECTIONS, sensor, capture_ns, payload)


@dataclass
class Played:
    """Everything a stage said: lists and decisions in order."""

    lists: list[TrackList]
    decisions: list[Decision]
    stage: FusionStage

    def seconds(self, tracks: TrackList) -> float:
        return (tracks.time_ns - START_NS) / NS_PER_S

    @property
    def ids(self) -> set[int]:
        return {track.id for tracks in self.lists for track in tracks.tracks}


def play(
    messages: list[tuple[float, Message]],
    options: FusionOptions | None = None,
    until_s: float | None = None,
    viewpoints: dict[str, Viewpoint] | None = None,
) -> Played:
    """Messages at their arrival times and ticks every 100 ms, like a lock-step host."""
    stage = FusionStage(options or FusionOptions(), BOOT, viewpoints)
    lists: list[TrackList] = []
    decisions: list[Decision] = []

    def keep(out: Any) -> None:
        for message in out:
            if isinstance(message.payload, TrackList):
                lists.append(message.payload)
            elif isinstance(message.payload, Decision):
                decisions.append(message.payload)

    tick_s = 0.1
    end_s = until_s if until_s is not None else (messages[-1][0] if messages else 0.0)
    for arrival, message in [*messages, (end_s, None)]:
        while tick_s < arrival:
            keep(stage.tick(instant(tick_s)))
            tick_s += 0.1
        if message is not None:
            keep(stage.handle(message, instant(arrival)))
    return Played(lists, decisions, stage)


def instant(seconds: float) -> Instant:
    """Both clocks, `seconds` after the start."""
    ns = round(seconds * NS_PER_S)
    return Instant(START_NS + ns, ns)


def line(
    x: float, y: float, vx: float, vy: float, begin: float = 0.0, end: float = math.inf
) -> Path:
    """Straight on from (x, y) at time 0, there between `begin` and `end` seconds."""
    return lambda t: (x + vx * t, y + vy * t) if begin <= t <= end else None


def turn(x: float, y: float, speed: float, rate: float, begin: float, end: float) -> Path:
    """East along y until `begin`, then a left turn with `rate` rad/s until `end`, then straight."""

    def path(t: float) -> tuple[float, float] | None:
        straight = min(t, begin)
        px, py = x + speed * straight, y
        angle = rate * (min(max(t, begin), end) - begin)
        radius = speed / rate
        px, py = px + radius * math.sin(angle), py + radius * (1.0 - math.cos(angle))
        rest = max(t - end, 0.0) * speed
        return px + rest * math.cos(angle), py + rest * math.sin(angle)

    return path


@pytest.fixture
def world() -> SimpleNamespace:
    """The names above, for tests (test folders are no packages)."""
    return SimpleNamespace(
        Scene=Scene, Sensor=Sensor, play=play, line=line, turn=turn, instant=instant,
        camera_message=camera_message, START_NS=START_NS, BOOT=BOOT,
    )  # fmt: skip
