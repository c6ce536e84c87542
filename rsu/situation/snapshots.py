"""Which looks of which sensors a road event began with: evidence that can be found again.

In: detections as sensors tell them, pictures, and road events on their way out. Out: the same
events, with the newest looks, when they began, of the sensors that measured their tracks. A look is
named by its sensor's own count, under which a recording has its detections and the dashboard a
masked picture of it.
"""

from __future__ import annotations

from collections import deque

import msgspec

from rsu.schema.events import EventPhase, RoadEvent, Snapshot
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetections, RadarObjects
from rsu.schema.topics import CAMERA_DETECTIONS, RADAR_OBJECTS, Topic
from rsu.schema.units import NS_PER_S
from rsu.situation.picture import Picture

LOOKED_NS = NS_PER_S
"""An older look is not what an event rests on: fusion names who measured within as long."""
LOOKS_KEPT = 64  # of each sensor: 1 s at 60 Hz
MOST_SENSORS = 64  # as fusion takes
MOST_EVENTS = 1024  # four times what the books may have open (`events.book.MAX_OPEN`)


class Snapshots:
    """Remembers looks, and what the events that go on began with."""

    topics: tuple[Topic, ...] = (CAMERA_DETECTIONS, RADAR_OBJECTS)

    def __init__(self) -> None:
        self._looks: dict[str, deque[Snapshot]] = {}
        self._sources: dict[int, tuple[str, ...]] = {}
        self._time_ns = 0
        self._begun: dict[int, tuple[Snapshot, ...]] = {}

    def hear(self, payload: object) -> None:
        """A look of a sensor; anything else is passed over."""
        if isinstance(payload, CameraDetections):
            number = payload.frame
        elif isinstance(payload, RadarObjects):
            number = payload.cycle
        else:
            return
        look = Snapshot(sensor=payload.sensor, number=number, capture_ns=payload.capture_ns)
        if look.sensor not in self._looks and len(self._looks) >= MOST_SENSORS:
            return
        self._looks.setdefault(look.sensor, deque(maxlen=LOOKS_KEPT)).append(look)

    def see(self, picture: Picture) -> None:
        """Who measured whom."""
        self._sources = {track.id: track.sources for track in picture.tracks}
        self._time_ns = picture.time_ns

    def completed(self, message: Message) -> Message:
        """A road event with its looks; any other message as it is."""
        event = message.payload
        if not isinstance(event, RoadEvent):
            return message
        if event.phase is EventPhase.ONSET:
            looks = self._begun[event.id] = self._of(event)
            if len(self._begun) > MOST_EVENTS:
                del self._begun[next(iter(self._begun))]
        elif event.phase is EventPhase.END:
            looks = self._begun.pop(event.id, ())
        else:
            looks = self._begun.get(event.id, ())
        if not looks:
            return message
        told = msgspec.structs.replace(event, snapshots=looks)
        return Message(message.topic, message.header, told)

    def forget(self) -> None:
        """The clock was set back: what was seen before is no evidence of what comes."""
        self._looks.clear()
        self._sources = {}

    def _of(self, event: RoadEvent) -> tuple[Snapshot, ...]:
        """The newest look before the picture of every sensor that measured one of its tracks."""
        sensors = {name for track in event.tracks for name in self._sources.get(track, ())}
        found = []
        for sensor in sorted(sensors):
            newest = max(
                (
                    look
                    for look in self._looks.get(sensor, ())
                    if self._time_ns - LOOKED_NS <= look.capture_ns <= self._time_ns
                ),
                key=lambda look: look.capture_ns,
                default=None,
            )
            if newest is not None:
                found.append(newest)
        return tuple(found)
