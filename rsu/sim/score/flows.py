"""Traffic: flows, speeds, turns and queues that were told, against those of the simulated world.

In: truth, traffic states, lane states. Out: numbers `traffic.…`. The truth is computed here, from
the definitions alone (docs/traffic.md), and only of vehicles that count: those in some sensor's
view. Periods whose own coverage says that something was away are left out.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from rsu.schema.reports import Truth, TruthObject
from rsu.schema.sensing import ObjectClass
from rsu.schema.traffic import LaneStates, TrafficState
from rsu.schema.units import NS_PER_S
from rsu.sim.score.coverage import REACH_M, Coverage
from rsu.sim.score.moments import scene_of
from rsu.sim.score.tracking import Numbers
from rsu.site.lanes import Direction, Lane, LaneKind, LaneRole, SiteMap

NO_VEHICLES = (ObjectClass.PEDESTRIAN, ObjectClass.ANIMAL, ObjectClass.OBSTACLE)
COUNTED = (LaneKind.VEHICLE, LaneKind.BIKE, LaneKind.PARKING_AISLE)
JOINS_BELOW, LEAVES_ABOVE = 5.0 / 3.6, 10.0 / 3.6  # m/s
REACH = 20.0  # m of free road across which a queue goes on
EXIT_LINE = 15.0  # m from an exit's beginning to its counting line
ALONG = math.cos(math.radians(45.0))
WHOLE = 0.9  # coverage below which a state says itself that it is a lower bound


@dataclass(slots=True)
class _Lane:
    """What passed and stood on one lane: (ns, speed) of crossings, and per moment in view."""

    crossings: list[tuple[int, float]] = field(default_factory=list)
    present: list[tuple[int, int, float]] = field(default_factory=list)  # ns, vehicles, Σ m/s


class Flows:
    """Takes truth and statements, gives numbers."""

    def __init__(self, site_map: SiteMap, coverage: Coverage) -> None:
        self._coverage = coverage
        self._lanes = [lane for lane in site_map.lanes if lane.kind in COUNTED]
        drawn = [lane.at(_line(lane)) for lane in self._lanes]
        self._at = np.array([(x, y) for x, y, _ in drawn]).reshape(-1, 2)
        turned = np.array([heading for _, _, heading in drawn])
        self._along = np.stack((np.cos(turned), np.sin(turned)), axis=1).reshape(-1, 2)
        self._half = np.array([lane.width / 2 for lane in self._lanes])
        self._map = site_map
        self._true: dict[str, _Lane] = {lane.id: _Lane() for lane in self._lanes}
        self._places: dict[int, tuple[float, float]] = {}
        self._ways: dict[int, str] = {}
        self._turns: list[tuple[int, str, str]] = []
        self._waiting: set[int] = set()
        self._queues: dict[int, dict[str, tuple[int, float]]] = {}
        self._states: list[TrafficState] = []
        self._told: list[LaneStates] = []

    def take(self, payload: object) -> None:
        """A truth, a period's state or a second's; anything else is let go."""
        if isinstance(payload, Truth):
            self._truth(payload)
        elif isinstance(payload, LaneStates):
            self._told.append(payload)
        elif isinstance(payload, TrafficState) and payload.coverage >= WHOLE:
            self._states.append(payload)

    def _truth(self, truth: Truth) -> None:
        scene = scene_of(truth)
        in_view = self._coverage.in_view(scene)
        near = np.hypot(scene.position[:, 0], scene.position[:, 1]) < REACH_M
        vehicles = [
            (one, known, there)
            for one, known, there in zip(
                truth.objects, (in_view & near).tolist(), in_view.tolist(), strict=True
            )
            if one.object_class not in NO_VEHICLES
        ]
        for one, known, _ in vehicles:
            self._pass(one, truth.time_ns, known=known)
            if one.speed < JOINS_BELOW:
                self._waiting.add(one.id)
            elif one.speed > LEAVES_ABOVE:
                self._waiting.discard(one.id)
        self._places = {o.id: (o.position.x, o.position.y) for o, *_ in vehicles}
        # What is told of a lane ends nowhere before the lane does: a radar's cars at 130 m are in
        # its queue, and would count as false ones if those in truth ended at 120 m.
        self._stand([one for one, _, there in vehicles if there], truth.time_ns)

    def numbers(self) -> Numbers:
        """`traffic.flow_error`, `.speed_error`, `.space_mean_speed_error`, `.turning_error`:
        relative, by lane over all compared periods and weighed by vehicles; `.queue_error` …"""
        return self._periods() | self._turned() | self._queue_numbers()

    def _pass(self, one: TruthObject, time_ns: int, *, known: bool) -> None:
        """Note the line that it crosses between the last moment and this one."""
        before = self._places.get(one.id)
        if before is None:
            return
        here = np.array((one.position.x, one.position.y))
        was = ((np.array(before) - self._at) * self._along).sum(axis=1)
        off = here - self._at
        now = (off * self._along).sum(axis=1)
        aside = np.abs(self._along[:, 0] * off[:, 1] - self._along[:, 1] * off[:, 0])
        course = self._along @ (math.cos(one.heading), math.sin(one.heading))
        passed = (was < 0) & (now >= 0) & (course >= ALONG)
        for i, lane in enumerate(self._lanes):
            back = lane.direction is Direction.BOTH and was[i] >= 0 > now[i] and course[i] <= -ALONG
            if aside[i] <= self._half[i] and (passed[i] or back):
                if lane.role is LaneRole.ENTRY:
                    self._ways[one.id] = lane.id
                elif lane.role is LaneRole.EXIT and one.id in self._ways:
                    self._turns.append((time_ns, self._ways.pop(one.id), lane.id))
                if known:
                    self._true[lane.id].crossings.append((time_ns, one.speed))

    def _stand(self, vehicles: list[TruthObject], time_ns: int) -> None:
        place = np.array([(o.position.x, o.position.y) for o in vehicles]).reshape(-1, 2)
        match = self._map.match(
            place, headings=[o.heading for o in vehicles], kinds=frozenset(COUNTED)
        )
        on: defaultdict[str, list[tuple[float, TruthObject]]] = defaultdict(list)
        for i, one in enumerate(vehicles):
            if match.inside[i]:
                lane = self._map.lanes[int(match.lane[i])]
                on[lane.id].append((float(match.station[i]), one))
        queues = {}
        for name, members in on.items():
            total = sum(one.speed for _, one in members)
            self._true[name].present.append((time_ns, len(members), total))
            if self._map.lane(name).role is not LaneRole.CONNECTION:
                queues[name] = _queue(members, self._waiting)
        self._queues[time_ns] = queues

    def _periods(self) -> Numbers:
        flow, vehicles, slow, compared, space, spent = 0.0, 0, 0.0, 0, 0.0, 0.0
        told_vehicles = 0
        for lane in self._lanes:
            real, told = self._true[lane.id], _sum(lane.id, self._states)
            speeds = [v for t, v in real.crossings if _within(t, self._states)]
            flow += abs(told.count - len(speeds))
            vehicles += len(speeds)
            told_vehicles += told.count
            if speeds and told.count:
                mean = sum(speeds) / len(speeds)
                slow += len(speeds) * abs(told.speed / told.count - mean) / mean
                compared += len(speeds)
            moments = [(n, v) for t, n, v in real.present if _within(t, self._states)]
            present = sum(n for n, _ in moments)
            way = sum(v for _, v in moments)
            if lane.role is not LaneRole.CONNECTION and way and told.present:
                mean = way / present
                space += present * abs(told.way / told.present - mean) / mean
                spent += present
        return {
            "traffic.vehicles": vehicles,
            "traffic.vehicles_told": told_vehicles,
            "traffic.flow_error": flow / vehicles if vehicles else None,
            "traffic.speed_error": slow / compared if compared else None,
            "traffic.space_mean_speed_error": space / spent if spent else None,
        }

    def _turned(self) -> Numbers:
        link = {lane.id: (lane.upstream_node, lane.downstream_node, "" if lane.downstream_node
                else lane.id) for lane in self._lanes}  # fmt: skip
        real = Counter(
            (entry, link[leave]) for t, entry, leave in self._turns if _within(t, self._states)
        )
        told: Counter[tuple[str, tuple[int | None, int | None, str]]] = Counter()
        for state in self._states:
            for one in state.movements:
                told[one.entry, link[one.exit]] += one.count
        wrong = sum(abs(told[key] - real[key]) for key in told.keys() | real.keys())
        total = sum(real.values())
        return {"traffic.turning_error": wrong / total if total else None}

    def _queue_numbers(self) -> Numbers:
        errors, lengths = [], []
        times = sorted(self._queues)
        for states in self._told:
            true = self._queues.get(_nearest(times, states.time_ns), {})
            for one in states.lanes:
                if self._map.lane(one.lane).role is LaneRole.CONNECTION:
                    continue
                vehicles, length = true.get(one.lane, (0, 0.0))
                told = one.queue
                if vehicles or told is not None:
                    errors.append((told.vehicles if told is not None else 0) - vehicles)
                    lengths.append((told.length if told is not None else 0.0) - length)
        return {
            "traffic.queues": len(errors),
            "traffic.queue_error": _mean(map(abs, errors)),
            "traffic.queue_bias": _mean(errors),
            "traffic.queue_length_error_m": _mean(map(abs, lengths)),
        }


@dataclass(slots=True)
class _Told:
    count: int = 0
    speed: float = 0.0
    present: float = 0.0
    way: float = 0.0


def _sum(lane: str, states: Iterable[TrafficState]) -> _Told:
    total = _Told()
    for state in states:
        seconds = (state.end_ns - state.start_ns) / NS_PER_S
        for one in state.lanes:
            if one.lane == lane:
                total.count += one.count
                total.speed += (one.mean_speed or 0.0) * one.count
                total.present += one.present * seconds
                total.way += (one.space_mean_speed or 0.0) * one.present * seconds
    return total


def _queue(members: list[tuple[float, TruthObject]], waiting: set[int]) -> tuple[int, float]:
    """(vehicles, m) of the queue on a lane: from the first who waits back to the first big gap."""
    count, front, rear = 0, 0.0, 0.0
    for station, one in sorted(members, key=lambda member: -member[0]):
        if one.id not in waiting:
            continue
        half = one.size.length / 2
        if count and rear - (station + half) > REACH:
            break
        front = station + half if not count else front
        count, rear = count + 1, station - half
    return count, front - rear


def _line(lane: Lane) -> float:
    if lane.stop_line is not None:
        return lane.stop_line
    return min(lane.length / 2, EXIT_LINE) if lane.role is LaneRole.EXIT else lane.length / 2


def _within(time_ns: int, states: Iterable[TrafficState]) -> bool:
    return any(state.start_ns <= time_ns < state.end_ns for state in states)


def _nearest(times: list[int], time_ns: int) -> int:
    at = bisect_left(times, time_ns)
    return min(times[max(at - 1, 0) : at + 1], key=lambda one: abs(one - time_ns), default=-1)


def _mean(values: Iterable[float]) -> float | None:
    kept = list(values)
    return sum(kept) / len(kept) if kept else None
