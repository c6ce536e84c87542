"""Our fusion stage as one of the trackers under comparison.

Detections become messages of a camera or a radar, track lists become estimates. Nothing is taken
from inside: what is compared is what the unit would publish.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rsu.config.fusion import FusionOptions
from rsu.fusion.stage import FusionStage
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetection, CameraDetections, RadarObject, RadarObjects
from rsu.schema.topics import CAMERA_DETECTIONS, RADAR_OBJECTS
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_S, Box, Instant, Vec2
from tools.tracking.frames import Estimate, Found, Frame

START_NS = 1_767_225_600 * NS_PER_S
LATENCY_NS = 20_000_000  # detections reach fusion this long after they were taken
REACH = 2.0  # m: the detection that a track just used lies nearer to it than this


class Fusion:
    """`FusionStage` behind the common interface.

    `measured_only`: tracks without a detection in the frame are left out, as SORT and ByteTrack
    do, for protocols that count every one of them as false.
    """

    def __init__(self, options: FusionOptions, *, measured_only: bool = False) -> None:
        self._measured_only = measured_only
        self._stage = FusionStage(options, Instant(START_NS, NS_PER_S))
        self._number = 0
        self._told: tuple[Track, ...] = ()

    def step(self, frame: Frame) -> Sequence[Estimate]:
        """The tracks published for this frame."""
        capture_ns = START_NS + frame.time_ns
        now = Instant(capture_ns + LATENCY_NS, NS_PER_S + frame.time_ns + LATENCY_NS)
        tracks = self._told  # what the unit told last, where it tells nothing new
        for message in self._stage.handle(self._message(frame, capture_ns), now):
            if isinstance(message.payload, TrackList):
                tracks = self._told = message.payload.tracks
        self._number += 1
        if self._measured_only:
            tracks = tuple(track for track in tracks if track.updated_ns == capture_ns)
        return _estimates(tracks, frame, capture_ns)

    def _message(self, frame: Frame, capture_ns: int) -> Message:
        if any(one.velocity is not None for one in frame.found):
            objects = tuple(_radar_object(index, one) for index, one in enumerate(frame.found))
            cycle = RadarObjects(
                sensor=frame.sensor, cycle=self._number, capture_ns=capture_ns, objects=objects
            )
            return Message.draft(RADAR_OBJECTS, frame.sensor, capture_ns, cycle)
        seen = CameraDetections(
            sensor=frame.sensor, frame=self._number, capture_ns=capture_ns, image_width=1920,
            image_height=1080, detections=tuple(_detection(one) for one in frame.found),
        )  # fmt: skip
        return Message.draft(CAMERA_DETECTIONS, frame.sensor, capture_ns, seen)


def _detection(one: Found) -> CameraDetection:
    return CameraDetection(
        object_class=one.object_class, score=one.score, box=Box(0.0, 0.0, 1.0, 1.0),
        position=Vec2(one.x, one.y), position_cov=one.cov, size=one.size,
        constant_cov=one.constant_cov,
    )  # fmt: skip


def _radar_object(index: int, one: Found) -> RadarObject:
    assert one.velocity is not None
    assert one.velocity_cov is not None
    return RadarObject(
        object_id=index, position=Vec2(one.x, one.y), position_cov=one.cov,
        velocity=Vec2(*one.velocity), velocity_cov=one.velocity_cov,
        object_class=one.object_class, existence=one.score, size=one.size,
    )  # fmt: skip


def _estimates(tracks: Sequence[Track], frame: Frame, capture_ns: int) -> list[Estimate]:
    """Each track with the nearest free detection that it may have used."""
    pairs = [
        (math.hypot(x - one.x, y - one.y), row, column)
        for row, (at_ns, x, y) in enumerate(
            (track.updated_ns, track.position.x, track.position.y) for track in tracks
        )
        if at_ns == capture_ns
        for column, one in enumerate(frame.found)
        if abs(x - one.x) <= REACH and abs(y - one.y) <= REACH
    ]
    used: dict[int, int] = {}
    taken: set[int] = set()
    for away, row, column in sorted(pairs):
        if away <= REACH and row not in used and column not in taken:
            used[row] = column
            taken.add(column)
    return [
        Estimate(
            track.id,
            track.position.x,
            track.position.y,
            used.get(row),
            (track.speed * math.cos(track.heading), track.speed * math.sin(track.heading)),
        )
        for row, track in enumerate(tracks)
    ]
