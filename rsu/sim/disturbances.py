"""Devices that go on working and are wrong: a clock that is off, a camera that was knocked askew.

Actions `skew-sensor` and `move-sensor` go in. `disturbed` takes each message of a device and gives
it back as such a device would have sent it; its driver notices nothing (`outages` has the faults
that drivers see). Works on positions, so it is the same for modelled and rendered cameras.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from rsu.config.model import SiteConfig
from rsu.config.radars import Ars408Options
from rsu.perception.camera_model import camera_model
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetections, RadarObjects
from rsu.schema.units import NS_PER_S, Cov2, Vec2
from rsu.sim.scenario.model import AnyAction, MoveSensor, SkewSensor


@dataclass(frozen=True, slots=True)
class _Turn:
    """A turn by `cos`, `sin` about `centre` and then a shift; site frame, m."""

    centre: Vec2
    cos: float
    sin: float
    shift: Vec2

    def point(self, at: Vec2) -> Vec2:
        x, y = at.x - self.centre.x, at.y - self.centre.y
        turned = self.arrow(Vec2(x, y))
        return Vec2(
            self.centre.x + turned.x + self.shift.x, self.centre.y + turned.y + self.shift.y
        )

    def arrow(self, arrow: Vec2) -> Vec2:
        return Vec2(
            self.cos * arrow.x - self.sin * arrow.y, self.sin * arrow.x + self.cos * arrow.y
        )

    def cov(self, cov: Cov2) -> Cov2:
        c, s = self.cos, self.sin
        return Cov2(
            c * c * cov.xx - 2.0 * c * s * cov.xy + s * s * cov.yy,
            c * s * (cov.xx - cov.yy) + (c * c - s * s) * cov.xy,
            s * s * cov.xx + 2.0 * c * s * cov.xy + c * c * cov.yy,
        )


class Disturbances:
    """All such faults of a script; times count from `start_ns`, `places` say where devices hang."""

    def __init__(
        self, script: Sequence[AnyAction], start_ns: int, places: Mapping[str, Vec2]
    ) -> None:
        self._start_ns = start_ns
        self._places = places
        self._actions = [one for one in script if isinstance(one, SkewSensor | MoveSensor)]

    def disturbed(self, sensor: str, time_ns: int, message: Message) -> Message:
        """What becomes of a look that the device took at `time_ns`, true time."""
        for action in self._actions:
            second = (time_ns - self._start_ns) / NS_PER_S - action.at_s
            if action.sensor != sensor or not 0.0 <= second < action.duration_s:
                continue
            if isinstance(action, SkewSensor):
                message = stamped(message, round(action.by_s * NS_PER_S))
            elif sensor in self._places:
                message = _moved(arrived(message), self._turn(action))
        return message

    def _turn(self, action: MoveSensor) -> _Turn:
        # A device that was turned left sees everything farther right: it reports it turned right.
        angle = -math.radians(action.turn)
        shift = Vec2(-action.east, -action.north)
        return _Turn(self._places[action.sensor], math.cos(angle), math.sin(angle), shift)


def places_of(config: SiteConfig) -> dict[str, Vec2]:
    """Where cameras and radars hang, by id; site frame, m."""
    places = {}
    for camera in config.cameras:
        x, y, _ = camera_model(camera.calibration).position.tolist()
        places[camera.id] = Vec2(x, y)
    for radar in config.radars:
        if isinstance(radar, Ars408Options):
            places[radar.id] = Vec2(radar.mount.x, radar.mount.y)
    return places


def stamped(message: Message, offset_ns: int) -> Message:
    """A message as a device or unit whose clock is ahead by `offset_ns` would have dated it."""
    payload = arrived(message).payload
    changed = {"capture_ns": payload.capture_ns + offset_ns}
    if getattr(payload, "clock_offset_ns", None) is not None:
        changed["clock_offset_ns"] = payload.clock_offset_ns + offset_ns
    payload = msgspec.structs.replace(payload, **changed)
    header = message.header
    return Message.draft(message.topic, header.source, header.capture_ns + offset_ns, payload)


def arrived(message: Message) -> Message:
    """A message whose content may have been worked out elsewhere meanwhile."""
    if not hasattr(message.payload, "result"):
        return message
    header = message.header
    return Message.draft(message.topic, header.source, header.capture_ns, message.payload.result())


def _moved(message: Message, turn: _Turn) -> Message:
    """The same look, put elsewhere on the ground: the picture is the same but for its edges."""
    payload = message.payload
    replace = msgspec.structs.replace
    if isinstance(payload, CameraDetections):
        moved = tuple(
            replace(
                one, position=turn.point(one.position), position_cov=turn.cov(one.position_cov),
                constant_cov=None if one.constant_cov is None else turn.cov(one.constant_cov),
            )
            for one in payload.detections
        )  # fmt: skip
        payload = replace(payload, detections=moved)
    elif isinstance(payload, RadarObjects):
        echoes = tuple(
            replace(
                one, position=turn.point(one.position), position_cov=turn.cov(one.position_cov),
                velocity=turn.arrow(one.velocity), velocity_cov=turn.cov(one.velocity_cov),
            )
            for one in payload.objects
        )  # fmt: skip
        payload = replace(payload, objects=echoes)
    return Message.draft(message.topic, message.header.source, message.header.capture_ns, payload)
