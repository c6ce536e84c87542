"""A scenario's script, carried out: what is told to happen does, and the truth knows of it.

Actions of the script (`rsu.sim.scenario.model`) and the present go in; vehicles are held, made to
run red lights or sent in, movers appear on the road, weather changes. Out come movers, obstacles
for traffic, and `TruthEvent`s while what happens holds. What a script says about devices
(sensors, controller, clock) is not carried out here but by `rsu.sim.source`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rsu.schema.reports import TruthBay, TruthEvent
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Size
from rsu.sim.errors import SimulationError
from rsu.sim.scenario import model as script
from rsu.sim.world.conditions import Conditions
from rsu.sim.world.driving import Emergency
from rsu.sim.world.happenings import MAKERS, BusStop
from rsu.sim.world.movers import Mover, Obstructions
from rsu.sim.world.parking import ParkingLot
from rsu.sim.world.road_users import draw_vehicle
from rsu.sim.world.scene import Weather
from rsu.sim.world.stage import Incident, Stage
from rsu.sim.world.vehicle import Vehicle


class Incidents:
    """Carries out a script."""

    def __init__(
        self, actions: Sequence[script.AnyAction], stage: Stage, start_ns: int, seed: int
    ) -> None:
        self._todo = sorted(actions, key=lambda action: action.at_s)
        self._start_ns = start_ns
        self._stage = stage
        self._going: list[Incident] = []
        self._lots: dict[str, ParkingLot] = {}
        self._seed = seed
        self._numbers = iter(range(1, 1 << 62))
        stage.new_number = self._number
        self._conditions = Conditions(stage.site_map, self._number)
        drivable = [lane for lane in stage.site_map.lanes if lane.id in stage.traffic.drivable]
        self._obstructions = Obstructions(drivable)

    @property
    def weather(self) -> Weather:
        return self._stage.weather

    @property
    def movers(self) -> list[Mover]:
        return self._stage.movers

    def events(self) -> list[TruthEvent]:
        """What is going on now."""
        events = [event for incident in self._going for event in incident.events()]
        return [*events, *self._conditions.events()]

    def act(self, now_ns: int) -> None:
        """Begin what is due, go on with what has begun, tell traffic what is in its way."""
        stage = self._stage
        stage.now_ns = now_ns
        while self._todo and self._start_ns + round(self._todo[0].at_s * NS_PER_S) <= now_ns:
            begun = self._begin(self._todo.pop(0))
            if begun is not None:
                self._going.append(begun)
        self._going = [one for one in self._going if one.step(stage)]
        stage.movers = [mover for mover in stage.movers if not mover.gone]
        stage.traffic.obstacles = self._obstructions.of(stage.movers)
        self._conditions.step(now_ns, stage.traffic, stage.movers, stage.weather)

    def _number(self) -> int:
        return next(self._numbers)

    def _begin(self, action: script.AnyAction) -> Incident | None:
        stage, number = self._stage, next(self._numbers)
        match action:
            case script.ChangeDemand():
                if action.vehicles_per_hour is not None:
                    stage.traffic.change_demand(action.vehicles_per_hour, stage.now_ns)
                if action.pedestrians_per_hour is not None:
                    stage.pedestrians.per_hour = action.pedestrians_per_hour
            case script.ChangeWeather():
                stage.weather = Weather(action.light, action.rain, action.visibility)
            case script.SendVehicle():
                self._send(action)
            case script.ParkingDemand():
                return self._parking(action)
            case _:
                make = MAKERS.get(type(action))
                return None if make is None else make(action, stage, number)
        return None

    def bays(self) -> list[TruthBay]:
        """Who stands in which bay; nobody, in lots to which nobody comes."""
        found = [bay for lot in self._lots.values() for bay in lot.bays()]
        empty = (zone for zone in self._stage.site_map.bays if zone.lot not in self._lots)
        return [*found, *(TruthBay(bay=zone.id, object=None) for zone in empty)]

    def _parking(self, action: script.ParkingDemand) -> Incident | None:
        if action.lot in self._lots:
            self._lots[action.lot].change(action, self._stage.now_ns)
            return None
        lot = self._lots[action.lot] = ParkingLot(action, self._stage, self._seed)
        return lot

    def _send(self, action: script.SendVehicle) -> None:
        stage = self._stage
        route = stage.traffic.route(action.lane, action.to_lane)
        if route is None:
            raise SimulationError(f"no way leads from {action.lane!r} to {action.to_lane!r}")
        emergency_kind = action.kind == "emergency"
        _, _, driver = draw_vehicle(stage.rng)
        vehicle = Vehicle(
            stage.new_id(),
            ObjectClass.VAN if emergency_kind else ObjectClass.BUS,
            Size(5.6, 2.0, 2.6) if emergency_kind else Size(11.5, 2.53, 3.1),
            driver,
            route,
            role="emergency" if emergency_kind else "bus-line",
            asks=action.requests,
            runs_red=emergency_kind,
        )
        if action.stop_station is not None:
            vehicle.halt = action.stop_station
            self._going.append(BusStop(vehicle, action.dwell_s))
        if emergency_kind:
            self._going.append(Emergency(stage.new_number(), vehicle))
        stage.traffic.send(vehicle)
