"""Truth and tracks of one moment side by side, ready to be compared.

In: `Truth` and the newest `TrackList` before it. Out: a `Moment` of numpy rows. Tracks are carried
to the time of the truth by their own speed and turn rate, at most `CARRY_S`: what a unit knows is
always a little old, and a receiver would carry it on in the same way. A truth object counts only
where a camera's image could show it (`Coverage`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.config.model import SiteConfig
from rsu.config.simulation import SimulationOptions
from rsu.schema.reports import Truth
from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_S
from rsu.sim.errors import SimulationError
from rsu.sim.sensors.camera import ModelledCamera
from rsu.sim.world.scene import Scene

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

CARRY_S = 0.3
"""Two periods of a 10 Hz camera and its delay: an older list says nothing of this moment."""
NEAR_RANGE_M = 80.0
"""Without any sensor's geometry, truth within this of the origin counts."""


@dataclass(frozen=True, eq=False)
class Moment:
    """One moment: N truth objects and M tracks. Positions m, headings rad, speeds m/s.

    `counts` (N): this object could be seen; others are neither hits nor misses. `judged` (M): a
    track here could be a false one. `covariance` M×2×2.
    """

    time_ns: int
    truth_ids: tuple[int, ...]
    truth_classes: tuple[ObjectClass, ...]
    truth_xy: Floats
    truth_heading: Floats
    truth_speed: Floats
    counts: Bools
    track_ids: tuple[int, ...]
    track_classes: tuple[ObjectClass, ...]
    track_xy: Floats
    track_heading: Floats
    track_speed: Floats
    covariance: Floats
    judged: Bools

    def distances(self) -> Floats:
        """N×M, m."""
        offset = self.truth_xy[:, None, :] - self.track_xy[None, :, :]
        found: Floats = np.hypot(offset[..., 0], offset[..., 1])
        return found


class Coverage:
    """Where the site's cameras could see a thing at all (occlusion apart)."""

    def __init__(self, config: SiteConfig | None) -> None:
        self.cameras: dict[str, ModelledCamera] = {}
        if config is None:
            return
        rng = np.random.default_rng(0)
        for camera in config.cameras:
            try:
                made = ModelledCamera(camera, SimulationOptions(), rng)
            except SimulationError:
                continue
            self.cameras[camera.id] = made

    def seen(self, scene: Scene) -> Bools:
        """Which objects of a scene any camera could show, shape (N,)."""
        if not self.cameras:
            return np.asarray(np.hypot(*scene.position.T) <= NEAR_RANGE_M, dtype=np.bool_)
        seen = np.zeros(len(scene.ids), dtype=np.bool_)
        for camera in self.cameras.values():
            if len(scene.ids):
                seen |= camera.view(scene).seen
        return seen


def scene_of(truth: Truth) -> Scene:
    """The truth as sensor models see it."""
    rows = np.array(
        [
            (o.position.x, o.position.y, o.heading, o.speed, o.size.length, o.size.width,
             o.size.height)
            for o in truth.objects
        ],
        dtype=np.float64,
    ).reshape(-1, 7)  # fmt: skip
    return Scene(
        truth.time_ns, tuple(o.id for o in truth.objects),
        tuple(o.object_class for o in truth.objects), rows[:, 0:2], rows[:, 2], rows[:, 3],
        rows[:, 4:7],
    )  # fmt: skip


def moment_of(truth: Truth, tracks: TrackList | None, coverage: Coverage) -> Moment:
    """The moment of a truth; without a recent track list there are no tracks."""
    scene = scene_of(truth)
    carried = [] if tracks is None else _carried(tracks, truth.time_ns)
    rows = np.array([row for _, _, row in carried], dtype=np.float64).reshape(-1, 7)
    judged = _judged(rows, [size for _, size, _ in carried], truth.time_ns, coverage)
    covariance = np.empty((len(rows), 2, 2))
    covariance[:, 0, 0], covariance[:, 1, 1] = rows[:, 4], rows[:, 6]
    covariance[:, 0, 1] = covariance[:, 1, 0] = rows[:, 5]
    listed = () if tracks is None or not carried else tracks.tracks
    return Moment(
        time_ns=truth.time_ns,
        truth_ids=scene.ids,
        truth_classes=scene.classes,
        truth_xy=scene.position,
        truth_heading=scene.heading,
        truth_speed=scene.speed,
        counts=coverage.seen(scene),
        track_ids=tuple(number for number, _, _ in carried),
        track_classes=tuple(track.object_class for track in listed),
        track_xy=rows[:, 0:2],
        track_heading=rows[:, 2],
        track_speed=rows[:, 3],
        covariance=covariance,
        judged=judged,
    )


def _carried(
    tracks: TrackList, time_ns: int
) -> list[tuple[int, tuple[float, float, float], tuple[float, ...]]]:
    """(id, size, (x, y, heading, speed, xx, xy, yy)) of every track at `time_ns`."""
    tau = (time_ns - tracks.time_ns) / NS_PER_S
    if abs(tau) > CARRY_S:
        return []
    found: list[tuple[int, tuple[float, float, float], tuple[float, ...]]] = []
    for track in tracks.tracks:
        middle = track.heading + track.turn_rate * tau / 2
        cov = track.position_cov
        row = (
            track.position.x + track.speed * tau * math.cos(middle),
            track.position.y + track.speed * tau * math.sin(middle),
            track.heading + track.turn_rate * tau, track.speed, cov.xx, cov.xy, cov.yy,
        )  # fmt: skip
        found.append((track.id, (track.size.length, track.size.width, track.size.height), row))
    return found


def _judged(
    rows: Floats,
    sizes: Sequence[tuple[float, float, float]],
    time_ns: int,
    coverage: Coverage,
) -> Bools:
    scene = Scene(
        time_ns, tuple(range(len(rows))), tuple(ObjectClass.CAR for _ in rows), rows[:, 0:2],
        rows[:, 2], rows[:, 3], np.array(sizes, dtype=np.float64).reshape(-1, 3),
    )  # fmt: skip
    return coverage.seen(scene)
