"""People on footways: where they come from, where they cross, when they wait.

The map's sidewalks and crosswalks make a graph; its dead ends are where people come and go. Each
walker takes the shortest way between two of them, keeps right, waits for the walk light and then
crosses. Traffic asks who is on a crosswalk; walkers ask which part of it a vehicle has claimed.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState
from rsu.schema.units import NS_PER_S, Size
from rsu.sim.world.paths import Floats, Path
from rsu.sim.world.road_users import RIDER_SHARE, draw_walker
from rsu.sim.world.signals import CLEARING_SPEED, GREENS, Signals
from rsu.site.lanes import Direction, Lane, LaneKind, SiteMap

SNAP = 1.0
"""m within which ends of footways are one place; drawn by hand they rarely meet exactly."""
KEEP_RIGHT = (0.2, 1.0)
"""m right of the centreline people walk on; half a narrow footway (1.5 m) less a body at most."""
WAIT_BACK = (0.3, 1.5)
"""m before the crosswalk where people stand."""
STOP_SHORT = 0.3
"""m a walker stays clear of the part of a crosswalk that a vehicle has claimed."""

Band = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Crossed:
    """A crosswalk on a walker's way, [enter, leave] along it; `backward`: against its line."""

    crosswalk: str
    group: int | None
    enter: float
    leave: float
    length: float
    backward: bool


@dataclass(slots=True, eq=False)
class Walker:
    """One person on foot or on a bicycle among walkers. `speed` is what they now do, m/s."""

    id: int
    object_class: ObjectClass
    size: Size
    free_speed: float
    path: Path
    crossed: tuple[Crossed, ...]
    back: float
    s: float = 0.0
    speed: float = 0.0
    next: int = 0
    crossing: bool = False

    def along(self) -> float:
        """How far along the crosswalk they are, m from its drawn start (only while crossing)."""
        way = self.crossed[self.next]
        share = (self.s - way.enter) / (way.leave - way.enter)
        return way.length * ((1.0 - share) if way.backward else share)

    @property
    def pace(self) -> float:
        """Speed on the crosswalk: slow walkers hurry, so as to be over when the light says."""
        way = self.crossed[self.next]
        return max(self.free_speed, CLEARING_SPEED * (1.0 + (self.back + 0.5) / way.length))

    @property
    def sense(self) -> float:
        """+1 when they cross in the crosswalk's drawn direction, else -1."""
        return -1.0 if self.crossed[self.next].backward else 1.0


@dataclass(frozen=True, slots=True)
class _Edge:
    lane: Lane
    start: int
    end: int
    backward: bool


@dataclass(eq=False)
class Pedestrians:
    """All walkers. `walkers` is in order of birth."""

    plan: Signals
    per_hour: float
    rng: np.random.Generator
    new_id: Callable[[], int]
    trips: Sequence[tuple[_Edge, ...]]
    riders: bool
    walkers: list[Walker] = field(default_factory=list)
    _next_ns: float = math.nan

    def arrive(self, now_ns: int) -> None:
        """Let those in whose time has come (Poisson arrivals at the ends of footways)."""
        if self.per_hour <= 0.0 or not self.trips:
            return
        if math.isnan(self._next_ns):
            self._next_ns = now_ns + self._pause()
        while self._next_ns <= now_ns:
            self.walkers.append(self._walker(self.trips[int(self.rng.integers(len(self.trips)))]))
            self._next_ns += self._pause()

    def decide(self, now_ns: int, dt: float, claimed: Mapping[str, list[Band]]) -> None:
        """Choose everyone's speed for the next `dt` s."""
        for walker in self.walkers:
            if walker.next >= len(walker.crossed):
                walker.speed = walker.free_speed
            elif walker.crossing:
                bands = claimed.get(walker.crossed[walker.next].crosswalk, ())
                walker.speed = 0.0 if _held(walker, dt, bands) else walker.pace
            else:
                way = walker.crossed[walker.next]
                wait = max(way.enter - walker.back, 0.0)
                at_kerb = walker.s + walker.free_speed * dt >= wait
                if not at_kerb:
                    walker.speed = walker.free_speed
                elif self._walk(way, now_ns):
                    walker.speed, walker.crossing = walker.pace, True
                else:
                    walker.speed = 0.0

    def move(self, dt: float) -> None:
        """Walk for `dt` s; those at the end of their way leave."""
        for walker in self.walkers:
            walker.s += walker.speed * dt
            if walker.crossing and walker.s >= walker.crossed[walker.next].leave:
                walker.next += 1
                walker.crossing = False
        self.walkers = [walker for walker in self.walkers if walker.s < walker.path.length]

    def on_crosswalks(self) -> dict[str, list[Walker]]:
        """Who is crossing (or has started to), by crosswalk."""
        found: dict[str, list[Walker]] = {}
        for walker in self.walkers:
            if walker.crossing:
                found.setdefault(walker.crossed[walker.next].crosswalk, []).append(walker)
        return found

    def _walk(self, way: Crossed, now_ns: int) -> bool:
        light: LightState = self.plan.light(way.group, now_ns)
        return light in GREENS

    def _pause(self) -> float:
        return float(self.rng.exponential(3600.0 / self.per_hour)) * NS_PER_S

    def _walker(self, trip: Sequence[_Edge]) -> Walker:
        object_class, size, speed = draw_walker(self.rng, RIDER_SHARE if self.riders else 0.0)
        right = float(self.rng.uniform(*KEEP_RIGHT))
        back = float(self.rng.uniform(*WAIT_BACK))
        narrowest = min(edge.lane.width for edge in trip)
        right = min(right, max(narrowest / 2 - size.width / 2, 0.0))
        points, spans = _way(trip)
        path = Path(points).offset(right)
        crossed = []
        for edge, first, last in spans:
            if edge.lane.kind is LaneKind.CROSSWALK:
                enter, leave = path.station(first), path.station(last)
                crossed.append(
                    Crossed(
                        crosswalk=edge.lane.id,
                        group=edge.lane.signal_group,
                        enter=enter,
                        leave=leave,
                        length=edge.lane.length,
                        backward=edge.backward,
                    )
                )
        return Walker(
            self.new_id(), object_class, size, speed, path, tuple(crossed), back, speed=speed
        )


def build_pedestrians(
    site_map: SiteMap,
    plan: Signals,
    per_hour: float,
    rng: np.random.Generator,
    new_id: Callable[[], int],
) -> Pedestrians:
    """Nobody walks where the map has no footways."""
    footways = [lane for lane in site_map.lanes if lane.kind.on_foot]
    bike_lanes = any(lane.kind is LaneKind.BIKE for lane in site_map.lanes)
    return Pedestrians(plan, per_hour, rng, new_id, _trips(footways), riders=not bike_lanes)


def _held(walker: Walker, dt: float, bands: Sequence[Band]) -> bool:
    u, ahead = walker.along(), walker.sense
    reach = walker.pace * dt + STOP_SHORT + walker.size.length / 2
    for low, high in bands:
        edge = low if ahead > 0 else high
        if 0.0 <= (edge - u) * ahead < reach:
            return True
    return False


def _way(trip: Sequence[_Edge]) -> tuple[Floats, list[tuple[_Edge, int, int]]]:
    """Points of a trip and, per edge, the indices of its first and last point among them."""
    points: list[Floats] = []
    spans: list[tuple[_Edge, int, int]] = []
    for edge in trip:
        line = Path(edge.lane.centreline).points
        line = line[::-1] if edge.backward else line
        first = max(len(points) - 1, 0)
        points.extend(line[1:] if points else line)
        spans.append((edge, first, len(points) - 1))
    return np.array(points), spans


def _trips(footways: Sequence[Lane]) -> list[tuple[_Edge, ...]]:
    """Shortest ways between all pairs of dead ends (of all ends, where there is no dead end)."""
    places: list[Floats] = []

    def place(point: Floats) -> int:
        for index, known in enumerate(places):
            if math.dist(known, point) <= SNAP:
                return index
        places.append(point)
        return len(places) - 1

    edges: dict[int, list[_Edge]] = {}
    for lane in footways:
        start, end = place(lane.centreline[0]), place(lane.centreline[-1])
        edges.setdefault(start, []).append(_Edge(lane, start, end, backward=False))
        edges.setdefault(end, [])
        if lane.direction is Direction.BOTH:
            edges[end].append(_Edge(lane, end, start, backward=True))
    touching = [lane_end for all_ in edges.values() for e in all_ for lane_end in (e.start, e.end)]
    once = 2  # a two-way lane names both its ends twice
    ends = [node for node in edges if touching.count(node) <= once] or list(edges)
    trips: list[tuple[_Edge, ...]] = []
    for origin in ends:
        ways = _shortest(origin, edges)
        trips.extend(ways[goal] for goal in ends if goal in ways and goal != origin)
    return trips


def _shortest(origin: int, edges: Mapping[int, Sequence[_Edge]]) -> dict[int, tuple[_Edge, ...]]:
    ways: dict[int, tuple[_Edge, ...]] = {}
    queue: list[tuple[float, int, int, tuple[_Edge, ...]]] = [(0.0, 0, origin, ())]
    pushed = 0
    while queue:
        length, _, node, way = heapq.heappop(queue)
        if node in ways:
            continue
        ways[node] = way
        for edge in edges[node]:
            pushed += 1  # breaks ties in the order of the map, never by comparing lanes
            heapq.heappush(queue, (length + edge.lane.length, pushed, edge.end, (*way, edge)))
    return ways
