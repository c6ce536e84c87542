"""Trackers that people use, behind the common interface. None is a dependency of the runtime.

Stone Soup (MIT) and `trackers` (Apache-2.0) come with the extra `bench-tracking`, norfair (BSD-3)
is installed by itself (docs/tracking-comparison.md); one that is not there is left out of the
comparison by name. Each is set up as its documentation proposes for points on a plane, or, where it
only knows boxes in a picture, with boxes of the objects' sizes in a picture taken from straight
above.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from tools.tracking.frames import Estimate, Found, Frame, GroundTracker

GATE_M = 3.0  # a match farther away than two thirds of a car is none
PATIENCE_S = 0.5  # without a detection a track is forgotten after this long
PIXELS_PER_M = 10.0
MIDDLE_PX = 10_000.0  # the picture from above begins 1 km west and south of the origin
AROUND_M = 2.0  # boxes are enlarged by this: fast and small objects would never overlap themselves
START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None)


class Norfair:
    """norfair: filters per point, Euclidean distance."""

    def __init__(self, rate_hz: float) -> None:
        import norfair

        self._norfair = norfair
        self._rate_hz = rate_hz
        self._tracker = norfair.Tracker(
            distance_function="mean_euclidean", distance_threshold=GATE_M,
            hit_counter_max=max(round(PATIENCE_S * rate_hz), 2), initialization_delay=1,
        )  # fmt: skip

    def step(self, frame: Frame) -> Sequence[Estimate]:
        """Its initialised objects."""
        detections = [
            self._norfair.Detection(np.array([[one.x, one.y]]), data=index)
            for index, one in enumerate(frame.found)
        ]
        out = []
        for track in self._tracker.update(detections=detections):
            x, y = track.estimate[0]
            velocity = track.filter.x[2:4].ravel()  # m per frame
            fresh = any(track.last_detection is one for one in detections)
            out.append(
                Estimate(
                    int(track.id), float(x), float(y),
                    int(track.last_detection.data) if fresh else None,
                    (float(velocity[0] * self._rate_hz), float(velocity[1] * self._rate_hz)),
                )
            )  # fmt: skip
        return out


class StoneSoup:
    """Stone Soup: constant velocity, global nearest neighbour, two of its own updates to begin."""

    def __init__(self, _rate_hz: float) -> None:
        from stonesoup.dataassociator.neighbour import GNNWith2DAssignment
        from stonesoup.deleter.time import UpdateTimeDeleter
        from stonesoup.hypothesiser.distance import DistanceHypothesiser
        from stonesoup.initiator.simple import MultiMeasurementInitiator
        from stonesoup.measures import Mahalanobis
        from stonesoup.models.measurement.linear import LinearGaussian
        from stonesoup.models.transition.linear import (
            CombinedLinearGaussianTransitionModel,
            ConstantVelocity,
        )
        from stonesoup.predictor.kalman import KalmanPredictor
        from stonesoup.types.state import GaussianState
        from stonesoup.updater.kalman import KalmanUpdater

        self._model = LinearGaussian
        motion = CombinedLinearGaussianTransitionModel([ConstantVelocity(1.0)] * 2)
        self._updater = KalmanUpdater(LinearGaussian(4, (0, 2), np.eye(2)))
        gate = DistanceHypothesiser(
            KalmanPredictor(motion), self._updater, Mahalanobis(), missed_distance=3.0
        )
        self._associator = GNNWith2DAssignment(gate)
        self._deleter = UpdateTimeDeleter(dt.timedelta(seconds=PATIENCE_S))
        self._initiator = MultiMeasurementInitiator(
            GaussianState([0, 0, 0, 0], np.diag([0, 100.0, 0, 100.0])), self._deleter,
            self._associator, self._updater, min_points=2,
        )  # fmt: skip
        self._tracks: set[Any] = set()
        self._ids: dict[str, int] = {}

    def step(self, frame: Frame) -> Sequence[Estimate]:
        """Its sure tracks."""
        from stonesoup.types.detection import Detection

        now = START + dt.timedelta(microseconds=frame.time_ns / 1e3)
        detections = {
            Detection(
                [one.x, one.y], timestamp=now, metadata={"index": index},
                measurement_model=self._model(
                    4, (0, 2), np.array([[one.cov.xx, one.cov.xy], [one.cov.xy, one.cov.yy]])
                ),
            )
            for index, one in enumerate(frame.found)
        }  # fmt: skip
        hypotheses = self._associator.associate(self._tracks, detections, now)
        used = set()
        support: dict[str, int] = {}
        for track, hypothesis in hypotheses.items():
            if hypothesis.measurement:
                track.append(self._updater.update(hypothesis))
                used.add(hypothesis.measurement)
                support[track.id] = hypothesis.measurement.metadata["index"]
            else:
                track.append(hypothesis.prediction)
        self._tracks -= self._deleter.delete_tracks(self._tracks, timestamp=now)
        self._tracks |= self._initiator.initiate(detections - used, now)
        return [self._estimate(track, support.get(track.id)) for track in self._ordered()]

    def _ordered(self) -> list[Any]:
        for track in self._tracks:
            self._ids.setdefault(track.id, len(self._ids) + 1)
        return sorted(self._tracks, key=lambda track: self._ids[track.id])

    def _estimate(self, track: Any, detection: int | None) -> Estimate:
        x, vx, y, vy = (float(value) for value in track.state_vector.ravel())
        return Estimate(self._ids[track.id], x, y, detection, (vx, vy))


class FromAbove:
    """A tracker of boxes in pictures (`trackers`: SORT, ByteTrack), looking from straight above."""

    def __init__(self, name: str, rate_hz: float) -> None:
        import trackers

        self._tracker = getattr(trackers, name)(
            frame_rate=rate_hz, lost_track_buffer=round(PATIENCE_S * 30.0),
            minimum_consecutive_frames=2, track_activation_threshold=0.25,
        )  # fmt: skip

    def step(self, frame: Frame) -> Sequence[Estimate]:
        """The detections that it gave an id to; it tells nothing of objects without one."""
        import supervision

        boxes = np.array([_box(one) for one in frame.found]).reshape(-1, 4)
        seen = supervision.Detections(
            xyxy=boxes, confidence=np.array([one.score for one in frame.found]),
            class_id=np.zeros(len(boxes), dtype=int), data={"index": np.arange(len(boxes))},
        )  # fmt: skip
        told = self._tracker.update(seen)
        ids = np.full(len(told), -1) if told.tracker_id is None else told.tracker_id
        out = []
        # An answer without detections comes without their data, too.
        indices = told.data["index"].tolist() if len(told) else []
        for number, index in zip(ids.tolist(), indices, strict=True):
            if number >= 0:
                one = frame.found[index]
                out.append(Estimate(number + 1, one.x, one.y, index))
        return out


def _box(one: Found) -> tuple[float, float, float, float]:
    """The object's outline from above, with its sides along the axes, px."""
    length, width = one.size.length, one.size.width
    if one.heading is None:
        across = along = (length + width) / 2
    else:
        cos, sin = abs(math.cos(one.heading)), abs(math.sin(one.heading))
        along, across = length * cos + width * sin, length * sin + width * cos
    x, y = MIDDLE_PX + PIXELS_PER_M * one.x, MIDDLE_PX + PIXELS_PER_M * one.y
    half = PIXELS_PER_M / 2 * np.array([along + AROUND_M, across + AROUND_M])
    return (x - half[0], y - half[1], x + half[0], y + half[1])


Maker = Callable[[float], GroundTracker]
"""Makes a fresh tracker for frames at a rate (Hz)."""

OTHERS: dict[str, tuple[str, Maker]] = {
    "norfair": ("norfair", Norfair),
    "Stone Soup GNN": ("stonesoup", StoneSoup),
    "SORT (trackers)": ("trackers", lambda rate: FromAbove("SORTTracker", rate)),
    "ByteTrack (trackers)": ("trackers", lambda rate: FromAbove("ByteTrackTracker", rate)),
}
"""Name → package, maker."""


def installed() -> dict[str, Maker]:
    """Those whose package is here."""
    return {name: maker for name, (package, maker) in OTHERS.items() if find_spec(package)}
