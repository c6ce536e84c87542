"""Traffic by SUMO: its drivers decide, our world tells them the lights and what is in their way.

Routes, the signal plan and demand go in, as for the built-in `Traffic`, whose place this takes.
Every step the lights of the plan are set in SUMO, new vehicles are handed over, whoever must stop
for walkers, obstacles or the script is slowed down, and SUMO goes one step ahead; between two steps
everyone is interpolated. Arrivals, classes and sizes come from our own streams, so that they do not
depend on SUMO's version. libsumo is imported here only, and runs one simulation per process.
"""

from __future__ import annotations

import importlib
import math
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState
from rsu.schema.units import NS_PER_S
from rsu.sim.errors import SimulationError
from rsu.sim.world.arrivals import arrivals
from rsu.sim.world.pedestrians import Walker
from rsu.sim.world.roads import Roads
from rsu.sim.world.signals import Signals
from rsu.sim.world.sumo_network import Network, Place, open_network
from rsu.sim.world.traffic import (
    COMFORTABLE,
    HARDEST,
    SEE_AHEAD,
    STAND_BEFORE,
    STEP_NS,
    YELLOW_STOP,
    MakeTraffic,
    Traffic,
    free_to_cross,
)
from rsu.sim.world.vehicle import Body, Vehicle

LANE_CHANGE_S = 3.0
"""How long a change of lanes takes (some 3 to 5 s in towns); SUMO's default is to jump."""
NOT_YET = -1e6
"""Arc length, m, of who has not come to the map yet: far from everything."""

VEHICLE_CLASSES = {
    ObjectClass.CAR: "passenger",
    ObjectClass.VAN: "delivery",
    ObjectClass.TRUCK: "truck",
    ObjectClass.BUS: "bus",
    ObjectClass.MOTORCYCLE: "motorcycle",
}
"""SUMO's class for each of ours."""

LETTERS = {
    LightState.RED: "r",
    LightState.PROTECTED_GREEN: "G",
    LightState.PERMISSIVE_GREEN: "g",
    LightState.FLASHING_GREEN: "g",
    LightState.YELLOW: "y",
}
"""SUMO's link states; lights that say nothing (dark, flashing) are `o`: everyone yields."""

LAW_ABIDING, IGNORES_LIGHTS = 31, 7
"""Speed modes of SUMO: all its checks; safe following and the limits of acceleration only."""


def sumo_engine(network: Path) -> MakeTraffic:
    """A maker of traffic on a network that `tools.make_sumo_net` has made from the site's lanes.

    Raises SimulationError where libsumo is not installed, or where there is no such file.
    """
    sumo = load_libsumo()
    if not network.is_file():
        raise SimulationError(f"there is no SUMO network {str(network)!r}")

    def make(
        roads: Roads,
        plan: Signals,
        per_hour: float,
        rng: np.random.Generator,
        new_id: Callable[[], int],
        start_ns: int,
    ) -> SumoTraffic:
        return SumoTraffic.begin(
            sumo, network, roads, plan, per_hour, rng, new_id, start_ns, STEP_NS / NS_PER_S
        )

    return make


def load_libsumo() -> Any:
    """The library; SimulationError that says how to get it where it is not installed."""
    try:
        return importlib.import_module("libsumo")
    except ImportError as error:
        raise SimulationError(
            "simulation.engine is sumo, and libsumo is missing: install rsu-runtime[sim-sumo] "
            f"({error})"
        ) from error


@dataclass(frozen=True, slots=True)
class State:
    """A vehicle as SUMO has it: its front (m, site frame), heading (rad from east), speed (m/s),
    and how far along which of the map's lanes its front is, m (None: beyond the map)."""

    x: float
    y: float
    heading: float
    speed: float
    place: Place | None
    along: float


@dataclass(eq=False, kw_only=True)
class SumoTraffic(Traffic):
    """All vehicles. `vehicles` are those on the site's lanes, `everyone` also those beyond."""

    sumo: Any
    network: Network
    step_s: float
    everyone: dict[int, Vehicle] = field(default_factory=dict)
    _waiting: dict[int, Vehicle] = field(default_factory=dict)
    _here: dict[int, State] = field(default_factory=dict)
    _next: dict[int, State] = field(default_factory=dict)
    _ways: set[str] = field(default_factory=set)
    _shown: dict[str, str] = field(default_factory=dict)
    _slowed: set[int] = field(default_factory=set)
    _daring: set[int] = field(default_factory=set)
    _factors: dict[int, float] = field(default_factory=dict)
    _end: Callable[[], object] = lambda: None

    @classmethod
    def begin(
        cls,
        sumo: Any,
        network: Path,
        roads: Roads,
        plan: Signals,
        per_hour: float,
        rng: np.random.Generator,
        new_id: Callable[[], int],
        start_ns: int,
        step_s: float,
    ) -> SumoTraffic:
        """Start SUMO on the network. Raises SimulationError where it does not begin, where it
        already runs in this process, and for a network that was made from another map."""
        if sumo.isLoaded():
            raise SimulationError(
                "SUMO runs one simulation per process, and one is running: close that one first, "
                "or use another process"
            )
        options = [
            "sumo", "--net-file", str(network), "--step-length", f"{step_s:g}",
            # Between steps acceleration is constant, as in the rest of the world.
            "--step-method.ballistic", "true",
            "--seed", str(int(rng.integers(1 << 31))),
            "--lanechange.duration", f"{LANE_CHANGE_S:g}",
            # Nobody vanishes from a jam.
            "--time-to-teleport", "-1", "--collision.action", "none",
            # Schemas would be fetched; nothing is printed that nobody reads.
            "--xml-validation", "never", "--xml-validation.net", "never",
            "--no-step-log", "true", "--no-warnings", "true",
        ]  # fmt: skip
        try:
            sumo.start(options)
        except Exception as error:  # libsumo.TraCIException, whose class is known to nobody here
            raise SimulationError(f"SUMO cannot begin on {str(network)!r}: {error}") from error
        try:
            found = open_network(sumo, roads)
        except BaseException:
            sumo.close()
            raise
        for object_class, name in VEHICLE_CLASSES.items():
            sumo.vehicletype.copy("DEFAULT_VEHTYPE", object_class.value)
            sumo.vehicletype.setVehicleClass(object_class.value, name)
        traffic = cls(
            roads=roads, plan=plan, rng=rng, new_id=new_id,
            arrivals=arrivals(roads, per_hour, rng, start_ns),
            sumo=sumo, network=found, step_s=step_s,
        )  # fmt: skip
        # Also for a world that nobody closes.
        traffic._end = weakref.finalize(traffic, sumo.close)
        return traffic

    @property
    def held_back(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        """End SUMO's simulation: another one may begin."""
        self._end()

    # --- the world's step -------------------------------------------------------------------------

    def arrive(self, now_ns: int) -> None:
        """Hand vehicles over to SUMO whose time has come; it lets them in when there is room."""
        for arrival in self.arrivals:
            while (route := arrival.due(now_ns, self.rng)) is not None:
                self._hand_over(self._vehicle(route), self.network.way(route))
                arrival.wait(self.rng)

    def send(self, vehicle: Vehicle) -> None:
        """Let this vehicle in where the map begins, as soon as there is room."""
        lane = self.network.index(vehicle.route.entry)
        self._hand_over(vehicle, self.network.edges(vehicle.route), str(lane))

    def decide(self, now_ns: int, dt: float, walking: Mapping[str, Sequence[Walker]]) -> None:
        """Tell SUMO the lights and who must stop; let it go one step ahead."""
        self._show(now_ns)
        inside = [vehicle for vehicle in self.vehicles if vehicle.granted]
        for vehicle in self.vehicles:
            self._follow_driver(vehicle)
            ends = self._stops(vehicle, inside, now_ns, walking)
            self._slow_down(vehicle, ends, dt)
        for number in sorted(self._slowed.difference(one.id for one in self.vehicles)):
            self._free(number)  # beyond the map nobody is in the way
        self.sumo.simulationStep()
        self._next = self._look()
        for number, vehicle in self.everyone.items():
            new = self._next.get(number)
            vehicle.acceleration = 0.0 if new is None else (new.speed - vehicle.speed) / dt

    def move(self, dt: float) -> None:
        """Everyone is where SUMO had them go."""
        before, self._here = self._here, self._next
        for number in [number for number in self.everyone if number not in self._here]:
            del self.everyone[number], self._factors[number]
            self._slowed.discard(number)
            self._daring.discard(number)
        for number, state in self._here.items():
            vehicle = self._waiting.pop(number, None)
            if vehicle is not None:
                self.everyone[number] = vehicle
                self.entered += 1
            self._place(self.everyone[number], before.get(number), state, dt)
        self.vehicles = [
            one
            for one in self.everyone.values()
            if one.s >= 0.0 and one.rear < one.route.path.length
        ]
        self._on = self._by_lane()

    def bodies(self, tau: float) -> Iterator[Body]:
        """Everyone `tau` s into the step, between where SUMO has them before and after it."""
        share = tau / self.step_s
        for number, vehicle in self.everyone.items():
            a, b = self._here[number], self._next.get(number)
            if b is None:  # it leaves within this step
                x = a.x + a.speed * tau * math.cos(a.heading)
                y = a.y + a.speed * tau * math.sin(a.heading)
                heading, speed = a.heading, a.speed
            else:
                x, y = a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)
                heading = a.heading + share * math.remainder(b.heading - a.heading, math.tau)
                speed = a.speed + share * (b.speed - a.speed)
            back = vehicle.size.length / 2
            heading = math.remainder(heading, math.tau)
            yield (
                vehicle, x - back * math.cos(heading), y - back * math.sin(heading), heading, speed
            )  # fmt: skip

    # --- what SUMO is told ------------------------------------------------------------------------

    def _show(self, now_ns: int) -> None:
        """Set the plan's lights."""
        for light, groups in self.network.lights.items():
            shown = "".join(LETTERS.get(self.plan.light(group, now_ns), "o") for group in groups)
            if self._shown.get(light) != shown:
                self._shown[light] = shown
                self.sumo.trafficlight.setRedYellowGreenState(light, shown)

    def _hand_over(self, vehicle: Vehicle, edges: tuple[str, ...], lane: str = "best") -> None:
        name, api, way = str(vehicle.id), self.sumo.vehicle, " ".join(edges)
        if way not in self._ways:
            self._ways.add(way)
            self.sumo.route.add(way, edges)
        api.add(name, way, typeID=vehicle.object_class.value, departLane=lane, departSpeed="max")
        vehicle.s = NOT_YET
        driver, size = vehicle.driver, vehicle.size
        api.setLength(name, size.length)
        api.setWidth(name, size.width)
        api.setHeight(name, size.height)
        api.setMinGap(name, driver.gap)
        api.setTau(name, driver.headway)
        api.setAccel(name, driver.acceleration)
        api.setDecel(name, YELLOW_STOP)
        api.setEmergencyDecel(name, HARDEST)
        api.setSpeedFactor(name, driver.speed_factor)
        self._factors[vehicle.id] = driver.speed_factor
        self._waiting[vehicle.id] = vehicle

    def _follow_driver(self, vehicle: Vehicle) -> None:
        """Pass on what a script has changed of a driver."""
        name = str(vehicle.id)
        factor = vehicle.driver.speed_factor
        if self._factors[vehicle.id] != factor:
            self._factors[vehicle.id] = factor
            self.sumo.vehicle.setSpeedFactor(name, factor)
        if vehicle.runs_red and vehicle.id not in self._daring:
            self._daring.add(vehicle.id)
            self.sumo.vehicle.setSpeedMode(name, IGNORES_LIGHTS)
        elif vehicle.id in self._daring and not vehicle.runs_red:
            self._daring.discard(vehicle.id)
            self.sumo.vehicle.setSpeedMode(name, LAW_ABIDING)

    def _stops(
        self,
        vehicle: Vehicle,
        inside: Sequence[Vehicle],
        now_ns: int,
        walking: Mapping[str, Sequence[Walker]],
    ) -> list[tuple[float, float]]:
        """Arc lengths that the vehicle may not pass now and the speeds there: what SUMO does not
        know of."""
        route = vehicle.route
        stops: list[tuple[float, float]] = []
        if vehicle.halt is not None:
            stops.append((max(vehicle.halt, vehicle.s) + STAND_BEFORE, 0.0))
        passed = vehicle.s >= route.stop or route.connection is None
        if not passed and self.closed.intersection(route.lanes):
            stops.append((route.stop, 0.0))
        if self.obstacles:
            stops.extend(self._obstacles_ahead(vehicle))
        reach = vehicle.speed * vehicle.speed / (2.0 * COMFORTABLE) + 0.5 * vehicle.speed + 3.0
        red = self.plan.light(route.group, now_ns) is LightState.RED
        if not passed and red and not vehicle.runs_red:
            # Rights that were claimed and not used go back, or walkers would wait for a red light.
            vehicle.claims = [i for i in vehicle.claims if route.crossings[i].enter < vehicle.s]
            return stops
        if not passed and vehicle.runs_red and route.stop - vehicle.s <= reach:
            _, leader = self._leader(vehicle, inside)
            if not self._free_to_enter(vehicle, leader, inside, now_ns):
                stops.append((route.stop, 0.0))
        stops.extend(self._walkers_ahead(vehicle, reach, inside, walking))
        return stops

    def _walkers_ahead(
        self,
        vehicle: Vehicle,
        reach: float,
        inside: Sequence[Vehicle],
        walking: Mapping[str, Sequence[Walker]],
    ) -> Iterator[tuple[float, float]]:
        """The first crosswalk that is not free; those before it are claimed."""
        for index, crossing in enumerate(vehicle.route.crossings):
            if vehicle.s >= crossing.enter or index in vehicle.claims:
                continue
            if crossing.enter - vehicle.s > reach:
                return
            gap, leader = self._leader(vehicle, inside)
            if not free_to_cross(vehicle, crossing, gap, leader, walking):
                yield crossing.enter, 0.0
                return
            vehicle.claims.append(index)

    def _obstacles_ahead(self, vehicle: Vehicle) -> Iterator[tuple[float, float]]:
        route = vehicle.route
        for lane, start in zip(
            route.lanes[vehicle.lane :], route.starts[vehicle.lane :], strict=True
        ):
            if start - vehicle.s > SEE_AHEAD:
                return
            for obstacle in self.obstacles.get(lane, ()):
                if start + obstacle.near - vehicle.s > -1.0:
                    near = start + obstacle.near - vehicle.driver.gap + STAND_BEFORE
                    yield near, max(obstacle.speed, 0.0)

    def _slow_down(self, vehicle: Vehicle, stops: list[tuple[float, float]], dt: float) -> None:
        """Bound the speed so that every stop is reached at no more than its own speed, braking
        comfortably; SUMO brakes harder where that is too late. Nobody is bound without need."""
        name, speed = str(vehicle.id), vehicle.speed
        highest = math.inf
        for place, allowed in stops:
            left = place - STAND_BEFORE - vehicle.s - speed * dt
            # 5 cm: a root of nearly nothing would creep on for ever.
            bound = math.sqrt(allowed**2 + 2.0 * COMFORTABLE * left) if left > 0.05 else allowed
            highest = min(highest, bound)
        if highest < speed + vehicle.driver.acceleration * dt:
            self.sumo.vehicle.setSpeed(name, min(highest, self.sumo.vehicle.getAllowedSpeed(name)))
            self._slowed.add(vehicle.id)
        elif vehicle.id in self._slowed:
            self._free(vehicle.id)

    def _free(self, number: int) -> None:
        self._slowed.discard(number)
        self.sumo.vehicle.setSpeed(str(number), -1.0)

    # --- what SUMO answers ------------------------------------------------------------------------

    def _look(self) -> dict[int, State]:
        """Everyone on SUMO's roads now, in order of birth."""
        api, places = self.sumo.vehicle, self.network.places
        found: dict[int, State] = {}
        for number in sorted(map(int, api.getIDList())):
            name = str(number)
            x, y = api.getPosition(name)
            place = places.get(api.getLaneID(name))
            found[number] = State(
                x, y, math.radians(90.0 - api.getAngle(name)), api.getSpeed(name), place,
                0.0 if place is None else place.offset + api.getLanePosition(name),
            )  # fmt: skip
        return found

    def _place(self, vehicle: Vehicle, before: State | None, now: State, dt: float) -> None:
        """Where a vehicle is on its route, and on which: it may have changed lanes."""
        vehicle.speed = now.speed
        if now.place is not None:
            lane = now.place.lane
            route = self.network.over(vehicle.route, lane)
            if route is not vehicle.route:
                vehicle.route, vehicle.claims = route, []
            if lane in route.lanes:
                vehicle.lane = route.lanes.index(lane)
            else:  # beside its way: it has yet to change to the lane that leads there, or has left
                vehicle.lane = 0 if vehicle.s < route.stop else len(route.lanes) - 1
            vehicle.s = route.starts[vehicle.lane] + now.along
        elif vehicle.s >= 0.0 and before is not None:  # on its way out
            vehicle.s += 0.5 * (before.speed + now.speed) * dt
        route = vehicle.route
        vehicle.granted = vehicle.s >= route.stop and vehicle.rear <= route.connection_end
        vehicle.claims = [i for i in vehicle.claims if vehicle.rear <= route.crossings[i].leave]
