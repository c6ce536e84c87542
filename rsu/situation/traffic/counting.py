"""Counting lines: which track crossed which lane's line, once each.

In: pictures; out: crossings. A lane's counting line lies across it at its stop line, on an exit
`EXIT_M` past its beginning, else at half its length, from edge to edge. A vehicle crosses when the
straight way between two positions of its reference point passes the line and it heads within 45° of
the lane's direction. A position counts only with a new measurement behind it; what fusion
extrapolates is no crossing. This is the virtual loop detector that flow and time-mean speed are
defined on (Treiber & Kesting, "Traffic Flow Dynamics", 2013, ch. 3: cross-sectional data).

The speed is the way from `TRAP_NS` before the line to as long after it, by that time: a filter's
own speed is noisier, and lags behind where everybody accelerates, as they do at a stop line. Until
then, and where a track is too young, it is what the track says.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.site.lanes import Direction, Lane, LaneRole
from rsu.situation.picture import MEMORY_NS, Picture

LEAST_COSINE = 0.7071  # 45°: crossing traffic passes the line too, but not along the lane
LONGEST_STEP_NS = 2 * NS_PER_S  # ns between two positions of a track for a straight line to mean it
TRAP_NS = 800 * NS_PER_MS
"""ns to either side of the line between which a way is measured: places known to 0.2 m against each
other make 0.2 m/s, and acceleration cancels. With 500 ms speeds in free flow were off by 5 %, with
this by 4 %."""
LEAST_TRAP_NS = 250 * NS_PER_MS  # a shorter way is noisier than the track's own speed
EXIT_M = 15.0
"""m past an exit's beginning: beyond its crosswalk and the turns' last bend, and still where the
sensors of a junction see best."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """One vehicle over one line; `lane` indexes the counter's lanes, `before` those whose lines it
    had crossed earlier. `speed` m/s, `length` m, `time_ns` between two pictures."""

    lane: int
    before: tuple[int, ...]
    object_class: ObjectClass
    speed: float
    length: float
    time_ns: int


@dataclass(frozen=True, slots=True)
class _Past:
    """Where everybody was last measured, and when, as of a picture."""

    time_ns: int
    rows: dict[int, int]
    place: npt.NDArray[np.float64]
    told: npt.NDArray[np.int64]


def line_station(lane: Lane) -> float:
    """Where along a lane its counting line is, m."""
    if lane.stop_line is not None:
        return lane.stop_line
    half = 0.5 * lane.length
    return min(half, EXIT_M) if lane.role is LaneRole.EXIT else half


class LineCounter:
    """Follows tracks over the counting lines of some lanes; each track counts once per lane."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        drawn = [lane.at(line_station(lane)) for lane in lanes]
        self._centre = np.array([(x, y) for x, y, _ in drawn]).reshape(-1, 2)
        heading = np.array([heading for _, _, heading in drawn])
        self._along = np.stack((np.cos(heading), np.sin(heading)), axis=1).reshape(-1, 2)
        self._offset = (self._centre * self._along).sum(axis=1)
        self._half_width = np.array([0.5 * lane.width for lane in lanes])
        self._both = np.array([x.direction is Direction.BOTH for x in lanes], dtype=np.bool_)
        self._crossed: dict[int, list[int]] = {}
        self.forget()

    def forget(self) -> None:
        """Begin anew: no way leads from before to after a jump of the clock."""
        self._crossed.clear()
        # Where tracks were last measured; the last row stands for those never seen before.
        self._rows: dict[int, int] = {}
        self._place = np.zeros((1, 2))
        self._beyond = np.zeros((1, len(self._centre)), dtype=np.bool_)
        self._told = np.full(1, -LONGEST_STEP_NS, dtype=np.int64)
        self._updated = np.full(1, -1, dtype=np.int64)
        # Crossings whose speed is still to be measured, with their tracks; and where everybody was.
        self._timed: list[tuple[Crossing, int]] = []
        self._past: deque[_Past] = deque()

    def follow(self, picture: Picture) -> list[Crossing]:
        """Crossings since the last picture, in order of the list."""
        who = np.flatnonzero(picture.vehicle)
        tracks = [picture.tracks[i] for i in who.tolist()]
        ids = [track.id for track in tracks]
        row = np.array([self._rows.get(number, -1) for number in ids], dtype=np.intp)
        updated = np.array([track.updated_ns for track in tracks], dtype=np.int64)
        place = picture.position[who]
        beyond = place @ self._along.T >= self._offset
        measured = updated > self._updated[row]
        near = measured & (row >= 0) & (picture.time_ns - self._told[row] <= LONGEST_STEP_NS)
        passed = near & (beyond != self._beyond[row]).any(axis=1)
        crossings = []
        for i in np.flatnonzero(passed).tolist():
            crossing = self._cross(picture, int(who[i]), int(row[i]))
            if crossing is not None:
                crossings.append(crossing)
                self._timed.append((crossing, tracks[i].id))
        self._remember(picture.time_ns, ids, row, measured, place, beyond, updated)
        return crossings

    def corrections(self, picture: Picture) -> list[tuple[int, float]]:
        """(lane, m/s) to add to the speeds of crossings told before, now that their ways are
        known; call it after `follow`."""
        self._past.append(_Past(picture.time_ns, self._rows, self._place, self._told))
        while self._past[0].time_ns < picture.time_ns - 3 * TRAP_NS:
            self._past.popleft()
        due = [one for one in self._timed if picture.time_ns >= one[0].time_ns + TRAP_NS]
        if not due:
            return []
        self._timed = [one for one in self._timed if one not in due]
        found = []
        for crossing, number in due:
            speed = self._trapped(crossing.time_ns, number)
            if speed is not None:
                found.append((crossing.lane, speed - crossing.speed))
        return found

    def _trapped(self, line_ns: int, number: int) -> float | None:
        """The speed by a way with the line in its middle, m/s; None: nothing is known of it."""
        known = [
            (int(one.told[row]), one.place[row])
            for one in self._past
            if (row := one.rows.get(number)) is not None
        ]
        before = [one for one in known if line_ns - TRAP_NS <= one[0] <= line_ns - LEAST_TRAP_NS]
        if not before:
            return None
        begin_ns, begin = before[0]
        end_ns, end = min(known, key=lambda one: abs(one[0] - (2 * line_ns - begin_ns)))
        if end_ns < line_ns + LEAST_TRAP_NS:
            return None
        return float(np.hypot(*(end - begin))) / ((end_ns - begin_ns) / NS_PER_S)

    def _cross(self, picture: Picture, index: int, row: int) -> Crossing | None:
        track = picture.tracks[index]
        found = self._line(picture, index, self._place[row], picture.position[index])
        known = self._crossed.setdefault(track.id, [])
        if found is None or found[0] in known:
            return None
        lane, share = found
        before = tuple(known)
        known.append(lane)
        told_ns = int(self._told[row])
        return Crossing(
            lane, before, track.object_class, track.speed, track.size.length,
            told_ns + round(share * (picture.time_ns - told_ns)),
        )  # fmt: skip

    def _line(
        self, picture: Picture, index: int, begin: npt.NDArray[np.float64],
        end: npt.NDArray[np.float64],
    ) -> tuple[int, float] | None:  # fmt: skip
        """The lane whose line the way to the track passes, and after which share of the way; of
        several the most central.

        Lines of neighbouring lanes may overlap where the drawing does; one step is one crossing.
        """
        before = self._along @ begin - self._offset
        after = self._along @ end - self._offset
        way = end - begin
        # Slow vehicles take steps shorter than their noise: the step says that the line was
        # passed, the filtered heading says which way the vehicle goes.
        heading = float(picture.heading[index])
        course = way / float(np.hypot(way[0], way[1]))
        if not math.isnan(heading):
            course = np.array((math.cos(heading), math.sin(heading)))
        cosine = self._along @ course
        forward = (before < 0.0) & (after >= 0.0) & (cosine >= LEAST_COSINE)
        backward = self._both & (before >= 0.0) & (after < 0.0) & (cosine <= -LEAST_COSINE)
        lanes = np.flatnonzero(forward | backward)
        if len(lanes) == 0:
            return None
        share = -before[lanes] / (after - before)[lanes]
        off = begin + share[:, None] * way - self._centre[lanes]
        along = self._along[lanes]
        lateral = np.abs(along[:, 0] * off[:, 1] - along[:, 1] * off[:, 0])
        lateral = np.where(lateral <= self._half_width[lanes], lateral, np.inf)
        best = int(np.argmin(lateral))
        return (int(lanes[best]), float(share[best])) if np.isfinite(lateral[best]) else None

    def _remember(
        self, time_ns: int, ids: list[int], row: npt.NDArray[np.intp],
        measured: npt.NDArray[np.bool_], place: npt.NDArray[np.float64],
        beyond: npt.NDArray[np.bool_], updated: npt.NDArray[np.int64],
    ) -> None:  # fmt: skip
        here = set(ids)
        oldest = time_ns - MEMORY_NS
        told = self._told.tolist()
        gone = [(n, i) for n, i in self._rows.items() if n not in here and told[i] >= oldest]
        old = np.array([i for _, i in gone] + [-1], dtype=np.intp)
        new = measured[:, None]
        self._place = np.concatenate((np.where(new, place, self._place[row]), self._place[old]))
        self._beyond = np.concatenate((np.where(new, beyond, self._beyond[row]), self._beyond[old]))
        self._updated = np.concatenate(
            (np.where(measured, updated, self._updated[row]), self._updated[old])
        )
        self._told = np.concatenate((np.where(measured, time_ns, self._told[row]), self._told[old]))
        self._rows = {number: i for i, number in enumerate([*ids, *(n for n, _ in gone)])}
        if len(self._crossed) > 2 * len(self._rows) + 16:
            self._crossed = {n: lanes for n, lanes in self._crossed.items() if n in self._rows}

    @property
    def remembered(self) -> int:
        """How many tracks are."""
        return len(self._rows)
