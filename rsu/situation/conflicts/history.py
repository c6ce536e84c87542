"""How everybody moved at the last looks: what one track list alone does not tell.

In: pictures, one per look. Out: accelerations, velocities of those whose heading is not known yet,
and tracks that gained more speed than vehicles do.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import numpy.typing as npt

from rsu.schema.tracks import Track
from rsu.schema.units import NS_PER_S
from rsu.site.lanes import LaneKind
from rsu.situation.conflicts.ways import Floats
from rsu.situation.picture import Picture

MEMORY = 6
"""Looks at 5 Hz over which acceleration is estimated: 1 s, which evens out the noise of speeds."""
LEAPS = 2.5
"""m/s, and 1 σ: no vehicle in town gains more within a second (Treiber & Kesting 2013: up to
2 m/s²); such a track has been moved, not driven."""
SURE_SPEED = 2.5
"""m/s, 1 σ: with more the time to a conflict is anybody's guess."""
GAP_NS = NS_PER_S
"""Far away a track comes and goes with its existence, and is the same person when it comes back."""
RESTS = 0.15  # m/s: fusion tells 0.0 of what it takes to rest
STARTS = 0.5  # m/s: nobody who stands is told so fast
RESTED_LOOKS = 2
STEP_M = 0.25
"""m across the road from where somebody stood. A resting track keeps its place to 3 cm, so this is
a step (half of one, 0.7 m, has been made by then: fusion believes a walk late)."""
STRIDE = 1.34
"""m/s at which people walk (Weidmann 1993). Whoever sets off does so within a step, while the
fused speed takes a second to follow."""

Bools = npt.NDArray[np.bool_]
_Look = tuple[int, float, float, float, float, bool, bool]
"""ns, m/s, m, m, 1 σ of the speed, whether on a lane of the road, whether on a crossing."""


class History:
    """The last looks at every track of the newest pictures."""

    def __init__(self) -> None:
        self._looks: dict[int, deque[_Look]] = {}
        self._in_view: set[int] = set()

    def follow(self, picture: Picture) -> None:
        """Remember a picture; who has not been in one for `GAP_NS` is forgotten."""
        oldest = picture.time_ns - GAP_NS
        kept = {one: past for one, past in self._looks.items() if past[-1][0] >= oldest}
        walk, lanes = picture.walk, picture.site.lanes
        crossing = np.array(
            [lanes[lane].kind is LaneKind.CROSSWALK for lane in walk.lane.tolist()], np.bool_
        )
        where = zip(picture.road.inside.tolist(), (walk.inside & crossing).tolist(), strict=True)
        for track, (on_road, on_crossing) in zip(picture.tracks, where, strict=True):
            past = self._looks.get(track.id) or deque(maxlen=MEMORY)
            x, y = track.position.x, track.position.y
            past.append((picture.time_ns, track.speed, x, y, track.speed_std, on_road, on_crossing))
            kept[track.id] = past
        self._looks = kept
        self._in_view = {one for one in self._in_view if one in kept and any(kept[one][-1][5:])}

    def forget(self) -> None:
        """Begin anew."""
        self._looks.clear()
        self._in_view.clear()

    def somebody_sets_off(self, picture: Picture) -> bool:
        """Whether somebody on foot walks who rested at the last look."""
        for track, vehicle in zip(picture.tracks, picture.vehicle.tolist(), strict=True):
            past = None if vehicle or track.speed < STARTS else self._looks.get(track.id)
            if past and past[-1][1] < RESTS:
                return True
        return False

    def accelerations(self, picture: Picture, some: Bools) -> Floats:
        """m/s² (N) of `some` by least squares over the last looks; 0 of others, and where there are
        too few."""
        out = np.zeros(len(some))
        for index in np.flatnonzero(some).tolist():
            out[index] = _slopes(self._looks[picture.tracks[index].id])[0]
        return out

    def leaps(self, track: Track) -> bool:
        """Whether it has gained more speed than vehicles do, since its speed was first known."""
        known = [speed for _, speed, _, _, std, _, _ in self._looks[track.id] if std <= SURE_SPEED]
        return bool(known) and track.speed - min(known) > LEAPS + track.speed_std

    def in_view(self, picture: Picture, people: Bools) -> Bools:
        """Whom of `people` drivers have seen (N): who has been on the road for all of the last
        looks and does not cross it, or was all the time where drivers look for people, on a
        crossing; and until they leave both, or set off."""
        for index in np.flatnonzero(people).tolist():
            past = self._looks[picture.tracks[index].id]
            if len(past) < MEMORY:
                continue
            known = all(look[6] for look in past)
            if not known and all(look[5] for look in past):
                along, across = _moved(picture, index, past[0], past[-1])
                known = abs(across) <= max(abs(along), STEP_M)
            if known:
                self._in_view.add(picture.tracks[index].id)
        return people & np.array([one.id in self._in_view for one in picture.tracks], np.bool_)

    def velocities(self, picture: Picture, speed: Floats, people: Bools) -> tuple[Floats, Bools]:
        """m/s, N×2, and who on foot has just set off (N): they are taken to cross the road at
        `STRIDE`. Others of `people` without a heading: by least squares over where they were."""
        heading = picture.heading
        out: Floats = speed[:, None] * np.stack((np.cos(heading), np.sin(heading)), axis=1)
        sets_off = np.zeros(len(heading), dtype=np.bool_)
        for index in np.flatnonzero(people & (np.isnan(heading) | ~picture.vehicle)).tolist():
            past = self._looks[picture.tracks[index].id]
            step = None if picture.vehicle[index] else self._step(picture, index, past)
            sets_off[index] = step is not None
            if step is not None:  # drivers saw somebody stand
                self._in_view.discard(picture.tracks[index].id)
            if step is not None and (np.isnan(heading[index]) or past[-1][1] < STRIDE):
                out[index] = step
            elif np.isnan(heading[index]):
                out[index] = _slopes(past)[1:]
                if not picture.vehicle[index]:  # nobody walks as fast as a badly placed one jumps
                    out[index] *= min(1.0, STRIDE / max(float(np.hypot(*out[index])), 1e-6))
        return out, sets_off

    def _step(self, picture: Picture, index: int, past: deque[_Look]) -> tuple[float, float] | None:
        """The velocity of somebody who stood a moment ago and has made a step across the road."""
        if picture.road.lane[index] < 0:
            return None
        stood = [look for look in past if look[1] < RESTS]
        if len(stood) < RESTED_LOOKS:
            return None
        # From the first look, as the place drifts before the walk is believed.
        _, across = _moved(picture, index, stood[0], past[-1])
        # On a footway or a crossing people set off all the time, and drivers expect it.
        if abs(across) < STEP_M or picture.walk.inside[index]:
            return None
        pace = STRIDE if across > 0.0 else -STRIDE
        course = float(picture.road.heading[index])
        return -pace * math.sin(course), pace * math.cos(course)


def _moved(picture: Picture, index: int, first: _Look, last: _Look) -> tuple[float, float]:
    """m along the lane and to its left, between two looks."""
    course = float(picture.road.heading[index])
    cos, sin = math.cos(course), math.sin(course)
    x, y = last[2] - first[2], last[3] - first[3]
    return x * cos + y * sin, y * cos - x * sin


def _slopes(past: deque[_Look]) -> tuple[float, float, float]:
    """Change of speed (m/s²) and of x and y (m/s) over the looks."""
    if len(past) < 3:
        return 0.0, 0.0, 0.0
    last = past[-1][0]
    rows = [((time_ns - last) / NS_PER_S, speed, x, y) for time_ns, speed, x, y, _, _, _ in past]
    t, v, x, y = (sum(column) / len(rows) for column in zip(*rows, strict=True))
    square = sum((row[0] - t) ** 2 for row in rows)
    if square < 0.05:  # s²: three looks at 5 Hz give 0.08
        return 0.0, 0.0, 0.0
    return (
        sum((row[0] - t) * (row[1] - v) for row in rows) / square,
        sum((row[0] - t) * (row[2] - x) for row in rows) / square,
        sum((row[0] - t) * (row[3] - y) for row in rows) / square,
    )
