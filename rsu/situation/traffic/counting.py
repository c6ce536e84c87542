"""Counting lines: which track crossed which lane's line, once each.

In: pictures; out: crossings. A lane's counting line lies across it at its stop line, on an exit
`EXIT_M` past its beginning, else at half its length, from edge to edge. A vehicle crosses when the
way between two positions of its reference point passes the line along the lane. A position counts
only with a new measurement behind it; what fusion extrapolates is no crossing. This is the virtual
loop detector that flow and time-mean speed are defined on (Treiber & Kesting, "Traffic Flow
Dynamics", 2013, ch. 3: cross-sectional data).

Who drives is over the line at once. Who creeps, stands or just set off has crossed when the line is
`CLEAR` behind: places waver, and one who waits with the bumper over a stop line has not gone yet.
Who was hidden while crossing crossed as well, if it was on this lane or one that leads there when
last measured, and on this lane or one that it leads to when found again. Found again is also who
appears, under a new number, where nobody but one that was lost can be by now.

The speed is the way from `TRAP_NS` before the line to as long after it, by that time: a filter's
own speed is noisier, and lags behind where everybody accelerates, as they do at a stop line. Until
then, and where a track is too young, it is what the track says; of who was hidden, the mean on the
way.
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
from rsu.site.lanes import Direction, Lane, LaneRole, SiteMap
from rsu.situation.picture import CITY_LIMIT, MEMORY_NS, Picture

LEAST_COSINE = 0.7071  # 45°: crossing traffic passes the line too, but not along the lane
LONGEST_STEP_NS = 2 * NS_PER_S  # ns between two positions of a track for a straight line to mean it
CLEAR = 2.0
"""m behind a line from which nobody is before it any more: twice the deviation of a place near a
junction's cameras, and as far as a filter overshoots one who brakes."""
GONE = 10.0  # m behind a line from which who did not go along its lane went elsewhere
LANE_REACH = (
    3.5  # m from a lane's middle within which who was hidden is taken to be on it: far places
)
ACCELERATES = 2.5
"""m/s²: how much faster or slower who is not seen becomes at most: as one who means it (Treiber &
Kesting 2013, table 11.2, has 1.0 to 1.5 as usual)."""
PLACED = 3.0  # m: how well the way between two places is known
TOO_FAST = 2.0  # times the limit: a number that gets on faster jumped to another vehicle
DRIVES = 3.0  # m/s: who is that fast on a line does not stop before it
TRAP_NS = 1000 * NS_PER_MS
"""ns to either side of the line between which a way is measured: places known to 0.2 m against each
other make 0.2 m/s, and acceleration cancels. With 500 ms speeds in free flow were off by 5 %, with
800 ms by 4.0 %, with this by 3.6 %, with 1200 ms by 3.8 %; a line fitted to all places is no
better."""
PAST_NS = 5 * NS_PER_S  # for which places are kept: a crossing by who just set off is sure so late
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
class _Over:
    """A track that passed a line and may still turn out not to have crossed it: how far from the
    lane's middle, m to its left, when, and where it was measured before, and when."""

    line: int
    backward: bool
    aside: float
    time_ns: int
    before: tuple[float, float]
    before_ns: int


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
        self._lanes = tuple(lanes)
        self._crossed: dict[int, list[int]] = {}
        self.forget()

    def forget(self) -> None:
        """Begin anew: no way leads from before to after a jump of the clock."""
        self._crossed.clear()
        # Where tracks were last measured; the last row stands for those never seen before.
        self._rows: dict[int, int] = {}
        self._place = np.zeros((1, 2))
        self._lane = np.full(1, -1, dtype=np.intp)  # of the map, within `LANE_REACH`
        self._speed = np.zeros(1)
        self._beyond = np.zeros((1, len(self._centre)), dtype=np.bool_)
        self._told = np.full(1, -MEMORY_NS, dtype=np.int64)
        self._updated = np.full(1, -1, dtype=np.int64)
        self._over: dict[int, list[_Over]] = {}
        self._again: dict[int, int] = {}  # under which number who was lost was found again
        # Crossings whose speed is still to be measured: when told, which, of which track; and where
        # everybody was.
        self._timed: list[tuple[int, Crossing, int]] = []
        self._past: deque[_Past] = deque()

    def follow(self, picture: Picture) -> list[Crossing]:
        """Crossings that became sure since the last picture, in order of the list."""
        who = np.flatnonzero(picture.vehicle)
        tracks = [picture.tracks[i] for i in who.tolist()]
        ids = [track.id for track in tracks]
        row = np.array([self._rows.get(number, -1) for number in ids], dtype=np.intp)
        updated = np.array([track.updated_ns for track in tracks], dtype=np.int64)
        place = picture.position[who]
        lane = np.where(picture.road.distance <= LANE_REACH, picture.road.lane, -1)[who]
        self._find_again(picture, who, row)
        beyond = place @ self._along.T >= self._offset
        measured = updated > self._updated[row]
        near = measured & (row >= 0) & (picture.time_ns - self._told[row] <= MEMORY_NS)
        passed = near & (beyond != self._beyond[row]).any(axis=1)
        for i in np.flatnonzero(passed).tolist():
            self._pass(picture, int(who[i]), int(row[i]), int(lane[i]))
        crossings = []
        for i in [i for i, number in enumerate(ids) if number in self._over and measured[i]]:
            for crossing in self._leave(picture, int(who[i])):
                crossings.append(crossing)
                self._timed.append((picture.time_ns, crossing, ids[i]))
        speed = picture.speed[who]
        self._remember(picture.time_ns, ids, row, measured, (place, speed, lane, beyond, updated))
        return crossings

    def corrections(self, picture: Picture) -> list[tuple[int, int, float]]:
        """(when it was told, lane, m/s) to add to the speeds of crossings told before, now that
        their ways are known; call it after `follow`."""
        self._past.append(_Past(picture.time_ns, self._rows, self._place, self._told))
        while self._past[0].time_ns < picture.time_ns - PAST_NS:
            self._past.popleft()
        due = [one for one in self._timed if picture.time_ns >= one[1].time_ns + TRAP_NS]
        if not due:
            return []
        self._timed = [one for one in self._timed if one not in due]
        found = []
        for told_ns, crossing, number in due:
            speed = self._trapped(crossing.time_ns, number)
            if speed is not None:
                found.append((told_ns, crossing.lane, speed - crossing.speed))
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

    def _find_again(
        self, picture: Picture, who: npt.NDArray[np.intp], row: npt.NDArray[np.intp]
    ) -> None:
        """Give those told for the first time the row of the one lost track that each can be."""
        new = np.flatnonzero(row < 0).tolist()
        if not new or not self._rows:
            return
        here = {picture.tracks[i].id for i in who.tolist()}
        lost = [(number, at) for number, at in self._rows.items()
                if number not in here and number not in self._again]  # fmt: skip
        for i in new:
            index = int(who[i])
            able = [one for one in lost if self._can_be(picture, index, one[1])]
            if len(able) != 1:
                continue
            number, row[i] = able[0]
            name = picture.tracks[index].id
            lost.remove(able[0])
            self._again[number] = name
            # One list for both: the old number may come back, too.
            self._crossed[name] = self._crossed.setdefault(number, [])
            if number in self._over:
                self._over[name] = self._over.pop(number)

    def _can_be(self, picture: Picture, index: int, row: int) -> bool:
        """Whether a track can be who was lost in a row: a way leads there, in this time."""
        track, begin = picture.tracks[index], int(self._lane[row])
        end = int(picture.road.lane[index])
        told_ns = int(self._told[row])
        if begin < 0 or end < 0 or picture.road.distance[index] > LANE_REACH:
            return False
        if track.born_ns < told_ns or picture.time_ns - told_ns > MEMORY_NS:
            return False
        lanes = picture.site.lanes
        way = picture.position[index] - self._place[row]
        if begin == end:
            heading = float(picture.road.heading[index])
            if math.cos(heading) * way[0] + math.sin(heading) * way[1] < -PLACED:
                return False
        elif not _reaches(picture.site, lanes[begin], lanes[end]):
            return False
        seconds = (picture.time_ns - told_ns) / NS_PER_S
        off = abs(float(np.hypot(way[0], way[1])) - float(self._speed[row]) * seconds)
        return off <= PLACED + 0.5 * ACCELERATES * seconds**2

    def _pass(self, picture: Picture, index: int, row: int, lane: int) -> None:
        """Note the lines that the way of a track since it was last measured passed."""
        track, began_ns = picture.tracks[index], int(self._told[row])
        begin, end = self._place[row], picture.position[index]
        seconds = (picture.time_ns - began_ns) / NS_PER_S
        limit = (picture.site.lanes[lane].speed_limit if lane >= 0 else None) or CITY_LIMIT
        if math.dist(begin, end) > PLACED + TOO_FAST * limit * seconds:
            self._over.pop(track.id, None)
            return
        before = self._along @ begin - self._offset
        after = self._along @ end - self._offset
        changed = (before < 0.0) != (after < 0.0)
        over = [one for one in self._over.pop(track.id, ()) if not changed[one.line]]
        forward = before < 0.0
        known = self._crossed.get(track.id, ())
        for line in np.flatnonzero(changed & (forward | self._both)).tolist():
            share = float(before[line] / (before - after)[line])
            aside = self._aside(line, begin + share * (end - begin))
            if picture.time_ns - began_ns > LONGEST_STEP_NS or track.born_ns > began_ns:
                # Which way it took is not known, only where that led.
                ways = picture.site, int(self._lane[row]), lane
                aside = 0.0 if self._leads(line, *ways) else math.inf
            if abs(aside) <= 2.0 * self._half_width[line] and line not in known:
                at_ns = began_ns + round(share * (picture.time_ns - began_ns))
                place = float(begin[0]), float(begin[1])
                over.append(_Over(line, not forward[line], aside, at_ns, place, began_ns))
        if over:
            self._over[track.id] = over

    def _leave(self, picture: Picture, index: int) -> list[Crossing]:
        """What of the lines that a track passed it has surely crossed."""
        track = picture.tracks[index]
        over = self._over.pop(track.id)
        known = self._crossed.setdefault(track.id, [])
        crossings = []
        # Neighbouring lanes are one decision; an entry's line and an exit's are two.
        for role in dict.fromkeys(self._lanes[one.line].role for one in over):
            some = [one for one in over if self._lanes[one.line].role is role]
            found = [(aside, one.time_ns, one) for one in some
                     if (aside := self._surely(picture, index, one)) is not None]  # fmt: skip
            if not found:
                continue
            over = [one for one in over if one not in some]
            aside, _, best = min(found, key=lambda item: item[:2])
            if aside > self._half_width[best.line]:
                continue
            took_ns = picture.time_ns - best.before_ns
            speed = track.speed
            if took_ns > LONGEST_STEP_NS or track.born_ns > best.before_ns:
                speed = math.dist(best.before, picture.position[index]) / (took_ns / NS_PER_S)
            crossings.append(
                Crossing(best.line, tuple(known), track.object_class, speed, track.size.length,
                         best.time_ns)
            )  # fmt: skip
            known.append(best.line)
        over = [one for one in over if self._ahead(one, picture.position[index]) < GONE]
        if over:
            self._over[track.id] = over
        return crossings

    def _surely(self, picture: Picture, index: int, over: _Over) -> float | None:
        """How far from the lane's middle it crossed, m; None: it has not yet, or not along it."""
        track, place = picture.tracks[index], picture.position[index]
        along, ahead = self._along[over.line], self._ahead(over, place)
        sign = -1.0 if over.backward else 1.0
        heading = float(picture.heading[index])
        heads = math.cos(heading) * along[0] + math.sin(heading) * along[1]  # NaN: not known
        if sign * heads >= LEAST_COSINE and track.speed >= DRIVES and ahead < CLEAR:
            return abs(over.aside)
        if ahead < CLEAR:
            return None
        way = place - over.before
        if sign * float(along @ way) < LEAST_COSINE * float(np.hypot(way[0], way[1])):
            return None
        # Two places know better which lane it was on than one.
        return abs(over.aside + self._aside(over.line, place)) / 2.0

    def _ahead(self, over: _Over, place: npt.NDArray[np.float64]) -> float:
        """How far beyond a line a place is, m, in the direction in which it was passed."""
        beyond = float(self._along[over.line] @ place - self._offset[over.line])
        return -beyond if over.backward else beyond

    def _aside(self, line: int, place: npt.NDArray[np.float64]) -> float:
        """How far to the left of the middle of a line's lane a place is, m."""
        off, along = place - self._centre[line], self._along[line]
        return float(along[0] * off[1] - along[1] * off[0])

    def _leads(self, line: int, site: SiteMap, begin: int, end: int) -> bool:
        """Whether who was on lane `begin` of the map and is on `end` took the lane of a line."""
        if begin < 0 or end < 0:
            return False
        lane = self._lanes[line]
        return _reaches(site, site.lanes[begin], lane) and _reaches(site, lane, site.lanes[end])

    def _remember(
        self, time_ns: int, ids: list[int], row: npt.NDArray[np.intp],
        measured: npt.NDArray[np.bool_],
        now: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.intp],
                   npt.NDArray[np.bool_], npt.NDArray[np.int64]],
    ) -> None:  # fmt: skip
        place, speed, lane, beyond, updated = now
        here = set(ids)
        oldest = time_ns - MEMORY_NS
        told = self._told.tolist()
        gone = [(n, i) for n, i in self._rows.items() if n not in here and told[i] >= oldest]
        old = np.array([i for _, i in gone] + [-1], dtype=np.intp)
        new = measured[:, None]
        self._place = np.concatenate((np.where(new, place, self._place[row]), self._place[old]))
        self._speed = np.concatenate(
            (np.where(measured, speed, self._speed[row]), self._speed[old])
        )
        self._lane = np.concatenate((np.where(measured, lane, self._lane[row]), self._lane[old]))
        self._beyond = np.concatenate((np.where(new, beyond, self._beyond[row]), self._beyond[old]))
        self._updated = np.concatenate(
            (np.where(measured, updated, self._updated[row]), self._updated[old])
        )
        self._told = np.concatenate((np.where(measured, time_ns, self._told[row]), self._told[old]))
        self._rows = {number: i for i, number in enumerate([*ids, *(n for n, _ in gone)])}
        if len(self._crossed) > 2 * len(self._rows) + 16:
            self._crossed = {n: lanes for n, lanes in self._crossed.items() if n in self._rows}
        if len(self._again) > 2 * len(self._rows) + 16:
            self._again = {n: m for n, m in self._again.items() if n in self._rows}
        if len(self._over) > 2 * len(self._rows) + 16:
            self._over = {n: lines for n, lines in self._over.items() if n in self._rows}

    @property
    def remembered(self) -> int:
        """How many tracks are."""
        return len(self._rows)


def _reaches(site: SiteMap, begin: Lane, end: Lane) -> bool:
    """Whether one lane is the other, leads there, or into one that does."""
    if end.id == begin.id or end.id in begin.successors:
        return True
    return any(end.id in site.lane(name).successors for name in begin.successors)
