"""Vehicles on the road: they arrive, follow each other, obey the lights, give way and leave.

Longitudinal motion is the Intelligent Driver Model (Treiber, Hennecke, Helbing, Phys. Rev. E 62,
1805, 2000) along fixed routes. What a vehicle may not enter yet is a standing obstacle to it: a
stop line at red, the junction while someone else is in its way, a crosswalk in use. The right to
go on is claimed before the last point at which braking is still comfortable and held until the
rear is clear, which is what keeps bodies from overlapping.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from rsu.schema.signals import LightState
from rsu.schema.units import NS_PER_MS
from rsu.sim.world.arrivals import Arrival, arrivals, change
from rsu.sim.world.movers import Obstacle
from rsu.sim.world.pedestrians import Band, Walker
from rsu.sim.world.road_users import BIKE_SPEED, draw_cyclist, draw_vehicle
from rsu.sim.world.roads import Crossing, Roads, Route
from rsu.sim.world.signals import GREENS, Approach, Signals
from rsu.sim.world.vehicle import Body, Vehicle

STEP_NS = 50 * NS_PER_MS
"""A twentieth of a driver's reaction time (1 s): halving it changes no trajectory visibly."""
EXPONENT = 4.0
"""δ of the IDM (same paper)."""
HARDEST = 8.0
"""m/s², emergency braking on dry asphalt (Treiber & Kesting 2013, ch. 11)."""
YELLOW_STOP = 3.05
"""m/s² (10 ft/s²): who would have to brake harder than this at yellow goes on (ITE)."""
COMFORTABLE = 2.0
"""m/s²: rights are claimed before braking would exceed this."""
SPEED_LAG = 0.5
"""s within which a driver takes off what is too fast for the road ahead."""
STAND_BEFORE = 1.0
"""m before a stop line or crosswalk where fronts come to rest."""
CRITICAL_GAP_S = 4.5
"""s to the next opposing vehicle that a yielding turn accepts (HCM 2010: left turn 4.1 to 4.5)."""
AXLES = 0.3
"""Share of the length from front and rear to the axles, on which a body follows its path."""
SEE_AHEAD = 120.0
"""m beyond which a leader does not matter: 3 s to 8 s of travel in town."""


@dataclass(eq=False)
class Traffic:
    """All vehicles, in order of birth; `held_back` counts those that wait outside for room.

    `obstacles` by lane are in everyone's way; nobody enters the junction towards a lane that is
    `closed`.
    """

    roads: Roads
    plan: Signals
    rng: np.random.Generator
    new_id: Callable[[], int]
    arrivals: list[Arrival]
    vehicles: list[Vehicle] = field(default_factory=list)
    entered: int = 0
    obstacles: Mapping[str, Sequence[Obstacle]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    _on: dict[str, list[Vehicle]] = field(default_factory=dict)

    @property
    def held_back(self) -> int:
        return sum(len(arrival.waiting) for arrival in self.arrivals)

    def arrive(self, now_ns: int) -> None:
        """Let vehicles in whose time has come, as soon as there is room for them."""
        for arrival in self.arrivals:
            while (route := arrival.due(now_ns, self.rng)) is not None:
                arrival.waiting.append(self._vehicle(route))
                arrival.wait(self.rng)
            if arrival.waiting and self._enter(arrival.waiting[0]):
                arrival.waiting.pop(0)

    def move(self, dt: float) -> None:
        """Drive for `dt` s; vehicles whose rear has left the map go."""
        for vehicle in self.vehicles:
            vehicle.s, vehicle.speed = vehicle.after(dt)
            route, rear = vehicle.route, vehicle.rear
            starts = route.starts
            while vehicle.lane + 1 < len(starts) and vehicle.s >= starts[vehicle.lane + 1]:
                vehicle.lane += 1
            if vehicle.granted and rear > route.connection_end:
                vehicle.granted = False
            if vehicle.claims:
                vehicle.claims = [
                    index for index in vehicle.claims if rear <= route.crossings[index].leave
                ]
        self.vehicles = [v for v in self.vehicles if v.rear < v.route.path.length]
        self._on = self._by_lane()

    def bodies(self, tau: float) -> Iterator[Body]:
        """Everyone `tau` s into the present step: two points of each body follow the path."""
        for vehicle in self.vehicles:
            s, speed = vehicle.after(tau)
            length = vehicle.size.length
            pose = vehicle.route.path.chord(s - (1.0 - AXLES) * length, s - AXLES * length)
            yield vehicle, *pose, speed

    def close(self) -> None:
        """Nothing is open; another engine's traffic has something to end."""

    def decide(self, now_ns: int, dt: float, walking: Mapping[str, Sequence[Walker]]) -> None:
        """Choose everyone's acceleration for the next `dt` s."""
        inside = [vehicle for vehicle in self.vehicles if vehicle.granted]
        for vehicle in self.vehicles:
            gap, leader = self._leader(vehicle, inside)
            acceleration = _free(vehicle)
            if leader is not None:
                acceleration = min(acceleration, _follow(vehicle, gap, leader.speed))
            if self.obstacles:
                acceleration = min(acceleration, self._around_obstacles(vehicle))
            if vehicle.halt is not None:
                rest = max(vehicle.halt, vehicle.s) + STAND_BEFORE
                acceleration = min(acceleration, _halt(vehicle, rest, dt))
            stop = self._stop(vehicle, gap, leader, inside, now_ns, walking)
            if stop is not None:
                acceleration = min(acceleration, _halt(vehicle, stop, dt))
            vehicle.acceleration = max(acceleration, -HARDEST)
            if vehicle.granted and vehicle not in inside:
                inside.append(vehicle)

    # --- what a script asks for -------------------------------------------------------------------

    @property
    def drivable(self) -> frozenset[str]:
        """Lanes that some route uses."""
        return frozenset(lane for route in self.roads.routes for lane in route.lanes)

    def change_demand(self, per_hour: float, now_ns: int) -> None:
        """Vehicles per hour over all entry lanes from now on, split as before."""
        change(self.arrivals, per_hour, self.rng, now_ns)

    def route(self, entry: str, leave: str) -> Route | None:
        """The way from one lane to another."""
        for route in self.roads.routes:
            if entry in route.lanes and leave in route.lanes:
                return route
        return None

    def send(self, vehicle: Vehicle) -> None:
        """Let this vehicle in next, at the beginning of its route."""
        arrival = next(one for one in self.arrivals if one.entry == vehicle.route.entry)
        arrival.waiting.insert(0, vehicle)

    def arc(self, vehicle: Vehicle, lane: str, station: float) -> float:
        """Where a place on a lane of its route lies along the vehicle's route, m."""
        return vehicle.route.starts[vehicle.route.lanes.index(lane)] + station

    def next_before(self, lane: str, station: float) -> Vehicle | None:
        """Who comes to that place next and can still stop there."""
        coming = [
            (self.arc(vehicle, lane, station) - vehicle.s, vehicle)
            for vehicle in self.vehicles
            if lane in vehicle.route.lanes and vehicle.halt is None
        ]
        can = [
            (left, vehicle.id, vehicle)
            for left, vehicle in coming
            if left > vehicle.speed * vehicle.speed / (2.0 * COMFORTABLE) + STAND_BEFORE
        ]
        return min(can)[2] if can else None

    def first_at_red(self, lane: str, now_ns: int) -> Vehicle | None:
        """The first vehicle before the stop line of a lane, near it and moving, at a red light."""
        ahead = [
            vehicle
            for vehicle in self._on.get(lane, ())
            if vehicle.s < vehicle.route.stop and not vehicle.granted
        ]
        if not ahead:
            return None
        first = ahead[0]
        left = first.route.stop - first.s
        red = self.plan.light(first.route.group, now_ns) is LightState.RED
        return first if red and left < 60.0 and first.speed > 3.0 else None

    def may_go(self, vehicle: Vehicle, now_ns: int) -> bool:
        """Whether the light is anything but red for it."""
        return self.plan.light(vehicle.route.group, now_ns) is not LightState.RED

    def count_on(self, lane: str) -> int:
        """Vehicles with their front on a lane."""
        return len(self._on.get(lane, ()))

    def approaching(self) -> list[Approach]:
        """Everyone before a stop line that has a light, as detectors in the road tell."""
        return [
            Approach(vehicle.route.group, vehicle.route.stop - vehicle.s, vehicle.speed)
            for vehicle in self.vehicles
            if vehicle.route.group is not None and vehicle.s < vehicle.route.stop
        ]  # fmt: skip

    def claimed(self) -> dict[str, list[Band]]:
        """The parts of crosswalks that walkers must not enter now."""
        bands: dict[str, list[Band]] = {}
        for vehicle in self.vehicles:
            for index in vehicle.claims:
                crossing = vehicle.route.crossings[index]
                bands.setdefault(crossing.crosswalk, []).append(crossing.band)
        return bands

    # --- arriving ---------------------------------------------------------------------------------

    def _vehicle(self, route: Route) -> Vehicle:
        kind, size, driver = draw_cyclist(self.rng) if route.bicycle else draw_vehicle(self.rng)
        return Vehicle(self.new_id(), kind.object_class, size, driver, route)

    def _enter(self, vehicle: Vehicle) -> bool:
        wished = _wished(vehicle)
        queue = self._on.get(vehicle.route.entry)
        if queue:
            last = queue[-1]
            room = last.rear - vehicle.driver.gap
            if room <= 0.0:
                return False
            # As fast as one who saw the last vehicle all the way would come in.
            wished = min(
                wished,
                room / vehicle.driver.headway,
                math.sqrt(last.speed**2 + 2.0 * vehicle.driver.braking * room),
            )
        vehicle.speed = wished
        self.vehicles.append(vehicle)
        self._on.setdefault(vehicle.route.entry, []).append(vehicle)
        self.entered += 1
        return True

    # --- who is ahead -----------------------------------------------------------------------------

    def _by_lane(self) -> dict[str, list[Vehicle]]:
        """Vehicles by the lane their front is on, foremost first."""
        found: dict[str, list[Vehicle]] = {}
        for vehicle in self.vehicles:
            found.setdefault(vehicle.route.lanes[vehicle.lane], []).append(vehicle)
        for queue in found.values():
            queue.sort(key=lambda v: v.route.starts[v.lane] - v.s)
        return found

    def _leader(self, vehicle: Vehicle, inside: Sequence[Vehicle]) -> tuple[float, Vehicle | None]:
        """The next vehicle ahead and the room to its rear, m."""
        route, s = vehicle.route, vehicle.s
        queue = self._on[route.lanes[vehicle.lane]]
        index = queue.index(vehicle)
        leader, gap = None, math.inf
        if index:
            leader = queue[index - 1]
            start = leader.route.starts[leader.lane]
            gap = leader.rear - start - (s - route.starts[vehicle.lane])
        else:
            for lane, start in zip(
                route.lanes[vehicle.lane + 1 :], route.starts[vehicle.lane + 1 :], strict=True
            ):
                if start - s > SEE_AHEAD:
                    break
                if further := self._on.get(lane):
                    leader = further[-1]
                    gap = start - s + leader.rear - leader.route.starts[leader.lane]
                    break
        if route.connection is not None and s < route.connection_end:
            for other in inside:
                conflict = self.roads.conflicts.get(
                    (route.connection, other.route.connection or "")
                )
                if conflict is None or not conflict.diverging or other is vehicle:
                    continue
                if s - route.connection_start > conflict.mine[1]:
                    continue  # the ways have parted
                ahead = other.s - other.route.connection_start - (s - route.connection_start)
                rear = other.rear - other.route.connection_start
                if ahead > 0.0 and rear < conflict.other[1]:
                    room = ahead - other.size.length
                    if room < gap:
                        leader, gap = other, room
        return gap, leader

    def _around_obstacles(self, vehicle: Vehicle) -> float:
        """Acceleration that keeps clear of whatever lies or moves on the way, m/s²."""
        route, least = vehicle.route, math.inf
        for lane, start in zip(
            route.lanes[vehicle.lane :], route.starts[vehicle.lane :], strict=True
        ):
            if start - vehicle.s > SEE_AHEAD:
                break
            for obstacle in self.obstacles.get(lane, ()):
                gap = start + obstacle.near - vehicle.s
                if gap > -1.0:
                    least = min(least, _follow(vehicle, gap, obstacle.speed))
        return least

    # --- where to stop ----------------------------------------------------------------------------

    def _stop(
        self,
        vehicle: Vehicle,
        gap: float,
        leader: Vehicle | None,
        inside: Sequence[Vehicle],
        now_ns: int,
        walking: Mapping[str, Sequence[Walker]],
    ) -> float | None:
        """Arc length of the first point that the vehicle may not pass now, None: free."""
        route = vehicle.route
        reach = vehicle.speed * vehicle.speed / (2.0 * COMFORTABLE) + 0.5 * vehicle.speed + 3.0
        passed = vehicle.s >= route.stop or route.connection is None
        if not passed and not self._go(vehicle, now_ns):
            # Rights that were claimed and not used go back, or walkers would wait for a red light.
            vehicle.granted = False
            vehicle.claims = [i for i in vehicle.claims if route.crossings[i].enter < vehicle.s]
            return route.stop
        if not passed and not vehicle.granted and route.stop - vehicle.s <= reach:
            vehicle.granted = self._free_to_enter(vehicle, leader, inside, now_ns)
            if not vehicle.granted:
                return route.stop
        for index, crossing in enumerate(route.crossings):
            if vehicle.s >= crossing.enter or index in vehicle.claims:
                continue
            if crossing.enter - vehicle.s > reach:
                break
            if not passed and not vehicle.granted and crossing.enter > route.stop - STAND_BEFORE:
                break
            if not free_to_cross(vehicle, crossing, gap, leader, walking):
                return crossing.enter
            vehicle.claims.append(index)
        return None

    def _go(self, vehicle: Vehicle, now_ns: int) -> bool:
        """Whether the light lets the vehicle over its stop line."""
        if vehicle.runs_red:
            return True
        light = self.plan.light(vehicle.route.group, now_ns)
        if light in GREENS:
            vehicle.stopping = False
        elif light is LightState.YELLOW and not vehicle.stopping:
            left = max(vehicle.route.stop - vehicle.s, 0.01)
            vehicle.stopping = vehicle.speed * vehicle.speed / (2.0 * left) <= YELLOW_STOP
        else:
            vehicle.stopping = True
        return not vehicle.stopping

    def _free_to_enter(
        self,
        vehicle: Vehicle,
        leader: Vehicle | None,
        inside: Sequence[Vehicle],
        now_ns: int,
    ) -> bool:
        route = vehicle.route
        if self.closed.intersection(route.lanes):
            return False
        if leader is not None and not leader.granted and leader.s < leader.route.stop:
            return False  # who waits behind someone else must not block the junction for others
        for other in inside:
            conflict = self.roads.conflicts.get(
                (route.connection or "", other.route.connection or "")
            )
            if conflict is None or conflict.diverging:
                continue
            if other.rear <= other.route.connection_start + conflict.other[1]:
                return False
        assert route.connection is not None
        return vehicle.runs_red or not any(
            self._coming(name, now_ns) for name in self.roads.lanes[route.connection].yields_to
        )

    def _coming(self, connection: str, now_ns: int) -> bool:
        """Whether someone with priority is about to use a connection."""
        for other in self.vehicles:
            route = other.route
            if route.connection != connection or other.s >= route.connection_end:
                continue
            if other.granted:
                return True
            eta = (route.stop - other.s) / max(other.speed, 1.0)
            if eta < CRITICAL_GAP_S and self.plan.light(route.group, now_ns) in GREENS:
                return True
        return False

    @classmethod
    def build(
        cls,
        roads: Roads,
        plan: Signals,
        per_hour: float,
        rng: np.random.Generator,
        new_id: Callable[[], int],
        start_ns: int,
    ) -> Traffic:
        """An empty road; demand is split over the entry lanes (`arrivals`)."""
        return cls(roads, plan, rng, new_id, arrivals(roads, per_hour, rng, start_ns))


class MakeTraffic(Protocol):
    """How `World` comes to its traffic: where the engines (`rsu.sim.world.engine`) meet."""

    def __call__(
        self,
        roads: Roads,
        plan: Signals,
        per_hour: float,
        rng: np.random.Generator,
        new_id: Callable[[], int],
        start_ns: int,
    ) -> Traffic:
        """An empty road; raises SimulationError where the engine cannot begin."""


def _wished(vehicle: Vehicle) -> float:
    allowed = vehicle.route.allowed(vehicle.s) * vehicle.driver.speed_factor
    return min(allowed, BIKE_SPEED) if vehicle.route.bicycle else allowed


def _free(vehicle: Vehicle) -> float:
    """Acceleration on an empty road, m/s²."""
    wished = _wished(vehicle)
    if vehicle.speed > wished:
        return (wished - vehicle.speed) / SPEED_LAG
    return float(vehicle.driver.acceleration * (1.0 - (vehicle.speed / wished) ** EXPONENT))


def _follow(vehicle: Vehicle, gap: float, leader_speed: float) -> float:
    """IDM acceleration behind something `gap` m ahead that does `leader_speed`, m/s²."""
    driver, speed = vehicle.driver, vehicle.speed
    approach = speed - leader_speed
    desired = driver.gap + max(
        0.0,
        speed * driver.headway
        + speed * approach / (2.0 * math.sqrt(driver.acceleration * driver.braking)),
    )
    ratio = desired / max(gap, 0.1)
    free = float((speed / _wished(vehicle)) ** EXPONENT)
    return driver.acceleration * (1.0 - free - ratio * ratio)


def _halt(vehicle: Vehicle, stop: float, dt: float) -> float:
    """Acceleration towards a standstill before `stop`; never beyond it."""
    left, speed = stop - vehicle.s, vehicle.speed
    acceleration = _follow(vehicle, left + vehicle.driver.gap - STAND_BEFORE, 0.0)
    needed = speed * speed / (2.0 * max(left - STAND_BEFORE / 2, left / 2, 0.01))
    if needed > COMFORTABLE:
        return -needed
    if speed * dt + 0.5 * acceleration * dt * dt > left - STAND_BEFORE / 10:
        return -speed / dt
    # To an obstacle that appears at once (yellow) the IDM overreacts; nobody brakes that hard
    # where less will do.
    return max(acceleration, -COMFORTABLE)


def free_to_cross(
    vehicle: Vehicle,
    crossing: Crossing,
    gap: float,
    leader: Vehicle | None,
    walking: Mapping[str, Sequence[Walker]],
) -> bool:
    """Whether nobody is on, or will soon be on, the vehicle's part of a crosswalk."""
    beyond = crossing.leave + vehicle.size.length + 1.0 - vehicle.s
    if leader is not None and gap < beyond and leader.speed < 2.0:
        return False  # there is no room to leave the crosswalk again
    clear_s = (crossing.leave + vehicle.size.length - vehicle.s) / max(vehicle.speed, 3.0) + 1.0
    low, high = crossing.band
    for walker in walking.get(crossing.crosswalk, ()):
        body = walker.size.length / 2 + 0.3
        u = walker.along()
        ahead = u + walker.sense * walker.pace * clear_s
        if max(u, ahead) > low - body and min(u, ahead) < high + body:
            return False
    return True
