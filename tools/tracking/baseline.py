"""The method of AB3DMOT on the ground: the yardstick that its protocol was published with.

Weng et al. (IROS 2020): constant-velocity Kalman filters with the paper's constants, one assignment
a frame, a track is told from its `hits`-th hit on (at once in the first frames) and forgotten after
`misses` frames without one. What assigns, and from where on, is set by class as in the method's
public settings for these detections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from rsu.schema.sensing import ObjectClass
from tools.tracking.frames import Estimate, Found, Frame
from tools.tracking.overlap import giou_3d

Floats = npt.NDArray[np.float64]

# Variances of the published filter, whatever the length of a step: first place (10 m²), first
# velocity (10⁴), measurement (1 m²), and what a step adds to place and velocity.
FIRST = np.diag([10.0, 10.0, 1e4, 1e4])
NOISE = np.eye(2)
STEP = np.diag([1.0, 1.0, 0.01, 0.01])


@dataclass(frozen=True, slots=True)
class Settings:
    """`least`: smallest generalised IoU, or minus the largest distance (m), of a pair."""

    by_distance: bool
    greedy: bool
    least: float
    hits: int
    misses: int


SETTINGS = {
    ObjectClass.CAR: Settings(by_distance=False, greedy=False, least=-0.2, hits=3, misses=2),
    ObjectClass.PEDESTRIAN: Settings(by_distance=False, greedy=True, least=-0.4, hits=1, misses=4),
    ObjectClass.BICYCLE: Settings(by_distance=True, greedy=False, least=-2.0, hits=3, misses=4),
}


@dataclass(slots=True)
class _Track:
    id: int
    state: Floats  # x, y (m), and their change per frame (m)
    cov: Floats
    box: Found
    hits: int = 1
    misses: int = 0
    detection: int | None = None


class Ab3dmot:
    """Tracks one class."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tracks: list[_Track] = []
        self._count = 0
        self._next = 1

    def step(self, frame: Frame) -> Sequence[Estimate]:
        """Predict, assign, update, bear, forget."""
        self._count += 1
        move = np.eye(4)
        move[0, 2] = move[1, 3] = 1.0
        for track in self._tracks:
            track.state = move @ track.state
            track.cov = move @ track.cov @ move.T + STEP
            track.detection = None
            track.misses += 1
        taken = self._assign(frame.found)
        for index, one in enumerate(frame.found):
            if index not in taken:
                state = np.array([one.x, one.y, 0.0, 0.0])
                self._tracks.append(_Track(self._next, state, FIRST, one, detection=index))
                self._next += 1
        settings = self._settings
        self._tracks = [track for track in self._tracks if track.misses < settings.misses]
        return [
            Estimate(track.id, float(track.state[0]), float(track.state[1]), track.detection)
            for track in self._tracks
            if track.hits >= settings.hits or self._count <= settings.hits
        ]

    def _assign(self, found: Sequence[Found]) -> set[int]:
        likeness = self._likeness(found)
        taken = set()
        for row, column in _pairs(likeness, self._settings):
            if likeness[row, column] >= self._settings.least:
                _update(self._tracks[row], found[column], column)
                taken.add(column)
        return taken

    def _likeness(self, found: Sequence[Found]) -> Floats:
        tracks = np.array([_box(track.box, *track.state[:2]) for track in self._tracks])
        seen = np.array([_box(one, one.x, one.y) for one in found])
        tracks, seen = tracks.reshape(-1, 7), seen.reshape(-1, 7)
        if self._settings.by_distance:
            return -np.hypot(tracks[:, 0][:, None] - seen[:, 0], tracks[:, 1][:, None] - seen[:, 1])
        return giou_3d(tracks, seen)


def _pairs(likeness: Floats, settings: Settings) -> list[tuple[int, int]]:
    if not settings.greedy:
        rows, columns = linear_sum_assignment(-likeness)
        return list(zip(rows.tolist(), columns.tolist(), strict=True))
    pairs, left = [], likeness.copy()
    while left.size and np.isfinite(left.max()):
        row, column = np.unravel_index(int(np.argmax(left)), left.shape)
        pairs.append((int(row), int(column)))
        left[row, :] = left[:, column] = -np.inf
    return pairs


def _update(track: _Track, one: Found, index: int) -> None:
    gain = track.cov[:, :2] @ np.linalg.inv(track.cov[:2, :2] + NOISE)
    track.state = track.state + gain @ (np.array([one.x, one.y]) - track.state[:2])
    track.cov = track.cov - gain @ track.cov[:2]
    track.box, track.detection = one, index
    track.hits += 1
    track.misses = 0


def _box(one: Found, x: float, y: float) -> tuple[float, ...]:
    return (x, y, one.bottom, one.size.length, one.size.width, one.size.height, one.heading or 0.0)
