"""A recorded simulation as a scene: what its sensors told, how well a tracker follows the truth.

Every sensor's detections of the recording go to the tracker in the order of their capture; each
`Truth` is compared with what the tracker last said before it, by the measures of `rsu score`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from rsu.recording.info import site_of
from rsu.recording.reader import read_messages
from rsu.schema.reports import Truth
from rsu.schema.sensing import CameraDetections, ObjectClass, RadarObjects
from rsu.schema.topics import CAMERA_DETECTIONS, RADAR_OBJECTS, TRUTH
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import Size, Vec2
from rsu.sim.score.coverage import Coverage
from rsu.sim.score.moments import moment_of
from rsu.sim.score.tracking import ALL, Numbers, Tracking
from tools.tracking.frames import Estimate, Found, Frame, GroundTracker

# A tracker that tells no covariance is not judged by one; the diagonal only has to be positive.
_COVARIANCE = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0)


def rate_of(recording: Path) -> float:
    """Frames of all sensors together per second of the recording."""
    times = [frame.time_ns for frame in _events(recording) if isinstance(frame, Frame)]
    return (len(times) - 1) / max((max(times) - min(times)) / 1e9, 1e-9)


def judged(recording: Path, tracker: GroundTracker) -> Numbers:
    """HOTA, GOSPA, MOTA, identity switches, recall, errors over the whole recording."""
    said: TrackList | None = None
    with Tracking() as tracking:
        coverage = Coverage(site_of(recording))
        for event in _events(recording):
            if isinstance(event, Frame):
                said = _track_list(event, tracker.step(event))
            else:
                tracking.take(moment_of(event, said, coverage))
        return tracking.numbers()[ALL]


def _events(recording: Path) -> Iterator[Frame | Truth]:
    """Frames and truths in the order in which they were published."""
    topics = (CAMERA_DETECTIONS, RADAR_OBJECTS, TRUTH)
    newest = 0
    for message in read_messages(recording, topics):
        payload = message.payload
        if isinstance(payload, Truth):
            yield payload
        elif payload.capture_ns >= newest:  # these trackers know no late measurements
            newest = payload.capture_ns
            yield _frame(payload)


def _frame(look: CameraDetections | RadarObjects) -> Frame:
    if isinstance(look, CameraDetections):
        found = tuple(
            Found(
                one.position.x, one.position.y, one.position_cov, one.size, one.object_class,
                one.score, constant_cov=one.constant_cov,
            )
            for one in look.detections
        )  # fmt: skip
    else:
        found = tuple(
            Found(
                one.position.x, one.position.y, one.position_cov, one.size or Size(4.0, 1.8, 1.5),
                one.object_class, 0.5 if one.existence is None else one.existence,
                (one.velocity.x, one.velocity.y), one.velocity_cov,
            )
            for one in look.objects
        )  # fmt: skip
    return Frame(look.capture_ns, look.sensor, found)


def _track_list(frame: Frame, estimates: Sequence[Estimate]) -> TrackList:
    tracks = tuple(
        Track(
            id=one.id, object_class=ObjectClass.UNKNOWN, class_probability=1.0,
            position=Vec2(one.x, one.y), heading=math.atan2(one.velocity[1], one.velocity[0]),
            speed=math.hypot(*one.velocity), turn_rate=0.0, covariance=_COVARIANCE,
            size=Size(4.0, 1.8, 1.5), existence=1.0, status=TrackStatus.CONFIRMED, sources=(),
            born_ns=frame.time_ns, updated_ns=frame.time_ns,
        )
        for one in estimates
    )  # fmt: skip
    return TrackList(time_ns=frame.time_ns, tracks=tracks)
