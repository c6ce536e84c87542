"""Truth and tracks of one moment side by side, ready to be compared.

In: `Truth` and the newest `TrackList` before it. Out: a `Moment` of numpy rows. Tracks are carried
to the time of the truth by their own speed and turn rate, at most `CARRY_S`, their covariance with
them: what a unit knows is always a little old, and a receiver would carry it on in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.schema.reports import Truth
from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_S
from rsu.sim.score.coverage import Coverage
from rsu.sim.world.scene import Scene

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

CARRY_S = 0.3
"""Two periods of a 10 Hz camera and its delay: an older list says nothing of this moment."""
_UPPER = np.triu_indices(5)


@dataclass(frozen=True, eq=False)
class Moment:
    """One moment: N truth objects and M tracks. Positions m, headings rad, speeds m/s.

    `counts` (N): this object could be seen; others are neither hits nor misses. `judged` (M): a
    track here could be a false one. `covariance` M×2×2 of the position.
    """

    time_ns: int
    truth_ids: Ints
    truth_classes: tuple[ObjectClass, ...]
    truth_xy: Floats
    truth_heading: Floats
    truth_speed: Floats
    counts: Bools
    track_ids: Ints
    track_classes: tuple[ObjectClass, ...]
    track_xy: Floats
    track_heading: Floats
    track_speed: Floats
    covariance: Floats
    judged: Bools

    def distances(self) -> Floats:
        """N×M, m."""
        return between(self.truth_xy, self.track_xy)


def between(some: Floats, others: Floats) -> Floats:
    """Distances of N and M points, N×M, m."""
    offset = some[:, None, :] - others[None, :, :]
    found: Floats = np.hypot(offset[..., 0], offset[..., 1])
    return found


def scene_of(truth: Truth, time_ns: int | None = None) -> Scene:
    """The truth as sensor models see it; at another time, everyone carried on by speed."""
    rows = np.array(
        [
            (o.position.x, o.position.y, o.heading, o.speed, o.size.length, o.size.width,
             o.size.height)
            for o in truth.objects
        ],
        dtype=np.float64,
    ).reshape(-1, 7)  # fmt: skip
    place, heading, speed = rows[:, 0:2], rows[:, 2], rows[:, 3]
    if time_ns is not None:
        way = speed * ((time_ns - truth.time_ns) / NS_PER_S)
        place = place + way[:, None] * np.stack((np.cos(heading), np.sin(heading)), axis=1)
    return Scene(
        truth.time_ns if time_ns is None else time_ns, tuple(o.id for o in truth.objects),
        tuple(o.object_class for o in truth.objects), place, heading, speed, rows[:, 4:7],
    )  # fmt: skip


def moment_of(truth: Truth, tracks: TrackList | None, coverage: Coverage) -> Moment:
    """The moment of a truth; without a recent track list there are no tracks."""
    scene = scene_of(truth)
    listed: tuple[Track, ...] = ()
    tau = 0.0
    if tracks is not None:
        tau = (truth.time_ns - tracks.time_ns) / NS_PER_S
        listed = tracks.tracks if abs(tau) <= CARRY_S else ()
    believed, covariance = _carried(listed, tau)
    sizes = [(one.size.length, one.size.width, one.size.height) for one in listed]
    as_seen = Scene(
        truth.time_ns, tuple(range(len(listed))), tuple(track.object_class for track in listed),
        believed[:, 0:2], believed[:, 2], believed[:, 3],
        np.array(sizes, dtype=np.float64).reshape(-1, 3),
    )  # fmt: skip
    return Moment(
        time_ns=truth.time_ns,
        truth_ids=np.array(scene.ids, dtype=np.int64),
        truth_classes=scene.classes,
        truth_xy=scene.position,
        truth_heading=scene.heading,
        truth_speed=scene.speed,
        counts=coverage.sees(scene),
        track_ids=np.array([track.id for track in listed], dtype=np.int64),
        track_classes=as_seen.classes,
        track_xy=as_seen.position,
        track_heading=as_seen.heading,
        track_speed=as_seen.speed,
        covariance=covariance,
        judged=coverage.sees(as_seen),
    )


def _carried(tracks: tuple[Track, ...], tau: float) -> tuple[Floats, Floats]:
    """States M×4 (x, y, heading, speed) and position covariances M×2×2, `tau` s later.

    Constant turn rate and speed; covariance by the derivatives of that motion, without the noise of
    manoeuvres, of which a receiver knows nothing."""
    state = np.array(
        [(t.position.x, t.position.y, t.heading, t.speed, t.turn_rate) for t in tracks],
        dtype=np.float64,
    ).reshape(-1, 5)
    heading = state[:, 2] + state[:, 4] * tau
    middle = state[:, 2] + state[:, 4] * (tau / 2)
    way = state[:, 3] * tau
    moved = state[:, :4].copy()
    moved[:, 0] += way * np.cos(middle)
    moved[:, 1] += way * np.sin(middle)
    moved[:, 2] = heading
    full = np.zeros((len(tracks), 5, 5))
    if tracks:
        full[:, _UPPER[0], _UPPER[1]] = [track.covariance for track in tracks]
        full[:, _UPPER[1], _UPPER[0]] = full[:, _UPPER[0], _UPPER[1]]
    slope = np.zeros((len(tracks), 2, 5))
    slope[:, 0, 0] = slope[:, 1, 1] = 1.0
    slope[:, 0, 2], slope[:, 1, 2] = -way * np.sin(middle), way * np.cos(middle)
    slope[:, 0, 3], slope[:, 1, 3] = tau * np.cos(middle), tau * np.sin(middle)
    slope[:, :, 4] = slope[:, :, 2] * (tau / 2)
    covariance: Floats = slope @ full @ slope.transpose(0, 2, 1)
    return moved, covariance


def heading_error(one: float, other: float) -> float:
    """Smallest turn between two headings (rad), degrees 0..180."""
    return abs(math.degrees(math.remainder(one - other, math.tau)))
