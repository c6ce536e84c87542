"""The running account of all lanes: pictures in, sums of every second out.

Between two pictures everybody is taken to stay as they were; crossings and stops are entered when
they are seen. Everything is placed by the time of its evidence.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.site.lanes import Direction, LaneRole
from rsu.situation.picture import Picture
from rsu.situation.queues import Queue, QueueTracker
from rsu.situation.traffic.counting import Crossing, LineCounter
from rsu.situation.traffic.lights import Lights
from rsu.situation.traffic.roads import Roads
from rsu.situation.traffic.sums import CLASSES, ROWS, Floats, Row, Sums
from rsu.situation.traffic.watch import FRESH_NS, Watch

LONGEST_GAP_NS = 500 * NS_PER_MS  # ns between track lists; beyond it nobody was looking
LEAST_STEP_NS = 90 * NS_PER_MS
"""ns between two pictures that are read: lists come with every look of every sensor, and ten times
a second is more often than anything here changes."""
LEAST_WATCH_NS = 100 * NS_PER_MS  # ns between two questions who looks
LONGEST_HEADWAY_NS = 60 * NS_PER_S  # after a minute nobody follows anybody
CLASS_ROW = {kind: Row.FIRST_CLASS + i for i, kind in enumerate(CLASSES)}


class Ledger:
    """Adds up; `seconds` hands out what is complete."""

    def __init__(self, roads: Roads, watch: Watch, lights: Lights) -> None:
        self._roads = roads
        self._watch = watch
        self._lights = lights
        lanes = roads.site.lanes
        self._counted = np.array(roads.counted, dtype=np.intp)
        self._counter = LineCounter([lanes[i] for i in roads.counted])
        self._tracker = QueueTracker(roads.site)
        self._entries = {i for i, lane in enumerate(lanes) if lane.role is LaneRole.ENTRY}
        self._exits = {i for i, lane in enumerate(lanes) if lane.role is LaneRole.EXIT}
        self._ways = {one.connection for one in roads.movements}
        self._left = roads.length - roads.line  # m from the counting line to the lane's end
        self._before = np.full(len(lanes), -1, dtype=np.intp)
        for entry, ways in roads.onward.items():
            self._before[list(ways)] = entry
        self._own = np.zeros(len(lanes), dtype=np.bool_)
        self._own[self._counted] = True
        self.table: Floats = np.zeros((ROWS, len(lanes)))
        self.peaks: Floats = np.zeros((2, len(lanes)))
        self.queues: dict[int, Queue] = {}
        self.covered_s = 0.0
        self.late: list[tuple[int, int, float]] = []
        """To be added to speeds at lines in seconds handed out before: their start, lane, m/s."""
        self._begin: tuple[int, Floats, float] | None = None  # of the second that is open
        self._closed_ns = 0
        self._last_ns: int | None = None
        self._rates: Floats = np.zeros((Row.GREEN + 1, len(lanes)))
        self._anyone = False
        self._looks: Floats = np.zeros(len(lanes))
        self._anyone_at: int | None = None
        self._passed: dict[int, tuple[int, float, float]] = {}  # last at the line: ns, m/s, m
        self._two_way = [lane.direction is Direction.BOTH for lane in lanes]
        self._places: dict[int, tuple[int, float, int]] = {}  # lane, station and when, by track

    def forget(self) -> None:
        """Begin anew; what is open is lost to nobody: `close` comes before."""
        self._counter.forget()
        self._tracker.forget()
        self._passed.clear()
        self._places = {}
        self.late.clear()
        self.queues = {}
        self._last_ns = self._begin = None
        self._closed_ns = 0

    def follow(self, picture: Picture, now: Instant) -> list[Sums]:
        """Take a picture; gives the seconds that it completes."""
        last_ns = self._last_ns
        if last_ns is not None and picture.time_ns - last_ns < LEAST_STEP_NS:
            return []
        done = self._advance(picture.time_ns)
        for crossing in self._counter.follow(picture):
            self._enter(crossing)
        for counted_ns, lane, more in self._counter.corrections(picture):
            self._correct(counted_ns, int(self._counted[lane]), more)
        self._watch.learn(picture)
        queues = self._tracker.look(picture)
        if queues is not self.queues:
            self.queues = queues
            self._note_peaks()
        stopped = picture.standing_since_ns > (picture.time_ns if last_ns is None else last_ns)
        stopped &= picture.vehicle & picture.road.inside
        if stopped.any():
            np.add.at(self.table[Row.STOPS], picture.road.lane[stopped], 1.0)
        self._take_rates(picture, now)
        return done

    def close(self, until_ns: int) -> list[Sums]:
        """End the open second at `until_ns` at the latest, though no picture came from beyond."""
        if self._begin is None:
            return []
        start_ns = self._begin[0]
        return [self._end(start_ns)] if start_ns + NS_PER_S <= until_ns else []

    def _advance(self, time_ns: int) -> list[Sums]:
        """Let everybody be where they were until now; split at whole seconds."""
        done: list[Sums] = []
        last, self._last_ns = self._last_ns, time_ns
        flows = last is not None and time_ns - last <= LONGEST_GAP_NS
        while self._begin is not None and last is not None:
            edge = self._begin[0] + NS_PER_S
            if time_ns < edge:
                break
            if flows and last < edge:
                self._add(edge - last)
                last = edge
            start_ns = self._begin[0]
            done.append(self._end(start_ns))
            if flows and time_ns >= edge:
                self._open(edge)
        # What comes after its second was told is too late to add to it.
        if self._begin is None and time_ns >= self._closed_ns:
            self._open(time_ns // NS_PER_S * NS_PER_S)
        if flows and last is not None:
            self._add(time_ns - last)
        return done

    def _add(self, step_ns: int) -> None:
        seconds = step_ns / NS_PER_S
        self.table[: len(self._rates)] += self._rates * seconds
        self.covered_s += seconds if self._anyone else 0.0

    def _open(self, start_ns: int) -> None:
        self._begin = (start_ns, self.table.copy(), self.covered_s)
        self.peaks = np.zeros_like(self.peaks)
        self._note_peaks()

    def _end(self, start_ns: int) -> Sums:
        assert self._begin is not None
        _, table, covered_s = self._begin
        self._begin = None
        self._closed_ns = start_ns + NS_PER_S
        return Sums(
            start_ns, start_ns + NS_PER_S, self.table - table, self.peaks,
            self.covered_s - covered_s,
        )  # fmt: skip

    def _note_peaks(self) -> None:
        for lane, queue in self.queues.items():
            self.peaks[0, lane] = max(self.peaks[0, lane], queue.vehicles)
            self.peaks[1, lane] = max(self.peaks[1, lane], queue.length)

    def _take_rates(self, picture: Picture, now: Instant) -> None:
        rates, roads = self._rates, self._roads
        road = picture.road
        who = np.flatnonzero(picture.vehicle & road.inside)
        lane = road.lane[who]
        count = len(self._own)
        tracks = [picture.tracks[i] for i in who.tolist()]
        updated = np.array([track.updated_ns for track in tracks], dtype=np.int64)
        half = np.array([track.size.length / 2 for track in tracks])
        rates[:] = 0.0
        rates[Row.WATCHED] = self._own
        if self._anyone_at is None or now.mono_ns // LEAST_WATCH_NS != self._anyone_at:
            self._anyone_at = now.mono_ns // LEAST_WATCH_NS
            self._anyone, self._looks = self._watch.anyone(now), self._watch.covered(now)
        rates[Row.COVERED] = self._looks
        rates[Row.PRESENT] = np.bincount(lane, minlength=count)
        rates[Row.DISTANCE] = np.bincount(lane, self._progress(picture, who), minlength=count)
        fresh = picture.time_ns - updated <= FRESH_NS
        rates[Row.MEASURED] = np.bincount(lane[fresh], minlength=count)
        over = np.abs(road.station[who] - roads.line[lane]) <= half
        rates[Row.OCCUPIED, lane[over]] = 1.0
        # Who is past a stop line at the end of its lane still covers it for half its length.
        before = self._before[lane]
        past = road.station[who] + self._left[before]
        rates[Row.OCCUPIED, before[(before >= 0) & (past <= half)]] = 1.0
        for index, queue in self.queues.items():
            rates[Row.QUEUE, index] = queue.vehicles
            rates[Row.HIDDEN, index] = queue.vehicles - len(queue.tracks)
            rates[Row.QUEUE_LENGTH, index] = queue.length
            rates[Row.SPILLED, index] = queue.spill_back
        for index, groups in roads.groups.items():
            green = self._lights.green(groups, picture.time_ns)
            if green is not None:
                rates[Row.LIT, index] = 1.0
                rates[Row.GREEN, index] = green

    def _correct(self, counted_ns: int, lane: int, more: float) -> None:
        """Add to a speed at a line where its crossing was entered: in the second then open."""
        self.table[Row.SPEED, lane] += more
        if self._begin is not None and counted_ns < self._begin[0]:
            self._begin[1][Row.SPEED, lane] += more
            self.late.append((counted_ns // NS_PER_S * NS_PER_S, lane, more))

    def _progress(self, picture: Picture, who: npt.NDArray[np.intp]) -> Floats:
        """How fast each of the tracks `who` gets on along its lane, m/s, by the way since the last
        picture: it adds up to the way covered, where filtered speeds lag behind who accelerates."""
        speed = picture.speed[who]
        last, self._places = self._places, {}
        lanes, stations = picture.road.lane[who].tolist(), picture.road.station[who].tolist()
        for k, (i, lane, station) in enumerate(zip(who.tolist(), lanes, stations, strict=True)):
            number = picture.tracks[i].id
            self._places[number] = lane, station, picture.time_ns
            before = last.get(number)
            if before is not None and before[0] == lane and not self._two_way[lane]:
                speed[k] = (station - before[1]) * NS_PER_S / (picture.time_ns - before[2])
        return speed

    def _enter(self, crossing: Crossing) -> None:
        table, lane = self.table, int(self._counted[crossing.lane])
        table[Row.COUNT, lane] += 1.0
        table[Row.SPEED, lane] += crossing.speed
        table[CLASS_ROW[crossing.object_class], lane] += 1.0
        self._follow_up(lane, crossing)
        if lane in self._exits:
            self._turn(lane, [int(self._counted[i]) for i in crossing.before])

    def _follow_up(self, lane: int, crossing: Crossing) -> None:
        """Headway and gap to whoever crossed before (HCM 2010, 4-4: headway is front to front)."""
        half_s = crossing.length / 2 / max(crossing.speed, 1.0)
        front_ns = crossing.time_ns - round(half_s * NS_PER_S)
        last = self._passed.get(lane)
        if last is not None and front_ns <= last[0]:
            return  # it was hidden, and is told after one who crossed later
        self._passed[lane] = (front_ns, crossing.speed, crossing.length)
        if last is None or front_ns - last[0] > LONGEST_HEADWAY_NS:
            return
        headway_s = (front_ns - last[0]) / NS_PER_S
        self.table[Row.HEADWAYS, lane] += 1.0
        self.table[Row.HEADWAY, lane] += headway_s
        self.table[Row.GAP, lane] += max(headway_s - last[2] / max(last[1], 1.0), 0.0)

    def _turn(self, leave: int, before: list[int]) -> None:
        """Enter which way through the junction a vehicle took that leaves it now."""
        entries = [lane for lane in before if lane in self._entries]
        way = self._roads.movement(entries[-1], leave) if entries else None
        if way is None:
            way = next((lane for lane in reversed(before) if lane in self._ways), None)
        if way is None:
            self.table[Row.UNASSIGNED, leave] += 1.0
        else:
            self.table[Row.TURNS, way] += 1.0
