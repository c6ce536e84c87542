"""What can happen in the simulated world: one class per kind of incident, one maker per action.

An incident is stepped with the world until it is over; meanwhile it holds vehicles, moves bodies
that obey no rules (`movers`), and tells `TruthEvent`s. `MAKERS` is the table from a script's action
to its incident.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from rsu.schema.reports import TruthEvent
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Size, Vec2
from rsu.sim.errors import SimulationError
from rsu.sim.scenario import model as script
from rsu.sim.world.driving import Pace
from rsu.sim.world.movers import Leg, Mover
from rsu.sim.world.paths import Floats, Path
from rsu.sim.world.road_users import draw_walker
from rsu.sim.world.stage import Incident, Stage
from rsu.sim.world.traffic import Traffic
from rsu.sim.world.vehicle import STANDS, Vehicle
from rsu.site.lanes import Lane, LaneKind, ZoneKind

RUN_SHOWS_S = 3.0
"""How long a red light that was run is an event: about as long as crossing the junction takes."""
FLOOD_RISES_S = 60.0
FLOODED = 0.005
"""m of water from which there is `water-on-road`: tyres at speed begin to float at some 5 mm."""
PARKED_AFTER_S = 60.0
"""Who stands on a lane is a stopped vehicle, and an illegally parked one after this long: from
outside, nothing else tells the two apart."""
PERSON = Size(0.6, 0.6, 1.7)
OFF_ROAD = 6.0
"""m beside a lane from which people come and to which they go: beyond the next lane's edge."""
CLEAR_LANE_S = 60.0
"""A wrong-way driver waits at most this long for the lane to become free."""


@dataclass
class BusStop:
    vehicle: Vehicle
    dwell_s: float
    leaves_ns: int | None = None

    def step(self, stage: Stage) -> bool:
        now_ns = stage.now_ns
        if self.leaves_ns is None:
            if _at_rest(self.vehicle):
                self.leaves_ns = now_ns + round(self.dwell_s * NS_PER_S)
            return True
        if now_ns < self.leaves_ns:
            return True
        self.vehicle.halt = None
        return False

    def events(self) -> Iterable[TruthEvent]:
        return ()


@dataclass
class _Stopped:
    """A vehicle of the traffic that stops where it must not; `kind` says what that is called."""

    number: int
    kind: str
    lane: str
    station: float
    duration_s: float
    vehicle: Vehicle | None = None
    since_ns: int | None = None
    parked_ns: int | None = None

    def step(self, stage: Stage) -> bool:
        now_ns = stage.now_ns
        if self.vehicle is None:
            self.vehicle = stage.traffic.next_before(self.lane, self.station)
            if self.vehicle is not None:
                self.vehicle.halt = stage.traffic.arc(self.vehicle, self.lane, self.station)
            return True
        if self.since_ns is None:
            if _at_rest(self.vehicle):
                self.since_ns = now_ns
            return True
        stood_ns = now_ns - self.since_ns
        if self.parked_ns is None and stood_ns >= PARKED_AFTER_S * NS_PER_S:
            # Another event: what it is called has changed.
            self.number, self.kind, self.parked_ns = stage.new_number(), "illegal-parking", now_ns
        if stood_ns < self.duration_s * NS_PER_S:
            return True
        self.vehicle.halt = None
        return False

    def events(self) -> Iterable[TruthEvent]:
        if self.vehicle is not None and self.since_ns is not None:
            x, y = self.vehicle.route.path.at(self.vehicle.s - self.vehicle.size.length / 2)
            start_ns = self.since_ns if self.parked_ns is None else self.parked_ns
            yield TruthEvent(
                id=self.number, kind=self.kind, start_ns=start_ns, position=Vec2(x, y),
                lanes=(self.lane,), objects=(self.vehicle.id,),
            )  # fmt: skip


@dataclass
class _RedLight:
    number: int
    lane: str
    vehicle: Vehicle | None = None
    since_ns: int | None = None

    def step(self, stage: Stage) -> bool:
        now_ns = stage.now_ns
        traffic = stage.traffic
        if self.vehicle is None:
            self.vehicle = traffic.first_at_red(self.lane, now_ns)
            if self.vehicle is not None:
                self.vehicle.runs_red = True
            return True
        if self.since_ns is None:
            if self.vehicle.s >= self.vehicle.route.stop:
                # Where the light has become green meanwhile nobody has run it: take the next.
                if traffic.may_go(self.vehicle, now_ns):
                    self.vehicle.runs_red, self.vehicle = False, None
                else:
                    self.since_ns = now_ns
            return True
        return now_ns - self.since_ns < RUN_SHOWS_S * NS_PER_S

    def events(self) -> Iterable[TruthEvent]:
        if self.vehicle is not None and self.since_ns is not None:
            x, y = self.vehicle.route.path.at(self.vehicle.s - self.vehicle.size.length / 2)
            yield TruthEvent(
                id=self.number, kind="red-light-running", start_ns=self.since_ns,
                position=Vec2(x, y), lanes=(self.lane,), objects=(self.vehicle.id,),
            )  # fmt: skip


@dataclass
class _Moving:
    """An event for as long as its mover is where it matters (`while_legs`); it appears when there
    is room. With `at_rest` it must stand there, too."""

    number: int
    kind: str | None
    lane: str
    mover: Mover
    while_legs: tuple[int, ...]
    at_rest: bool = False
    since_ns: int | None = None
    inside: bool = False

    def step(self, stage: Stage) -> bool:
        self.inside = self.inside or stage.let_in(self.mover)
        if not self.inside:
            return True
        if self.since_ns is None and self._holds():
            self.since_ns = stage.now_ns
        return not self.mover.gone

    def _holds(self) -> bool:
        return self.mover.leg in self.while_legs and (self.mover.resting or not self.at_rest)

    def events(self) -> Iterable[TruthEvent]:
        if self.kind and self.since_ns is not None and self._holds():
            x, y, _ = self.mover.place()
            yield TruthEvent(
                id=self.number, kind=self.kind, start_ns=self.since_ns, position=Vec2(x, y),
                lanes=(self.lane,) if self.lane else (), objects=(self.mover.id,),
            )  # fmt: skip


@dataclass
class _Walk:
    """A person; an event while they are on a lane of vehicles and on no crosswalk."""

    number: int
    lane: str
    mover: Mover
    since_ns: int | None = None
    inside: bool = False

    def step(self, stage: Stage) -> bool:
        self.inside = self.inside or stage.let_in(self.mover)
        if not self.inside:
            return True
        on_road = not self.mover.gone and _on_carriageway(stage, *self.mover.place()[:2])
        if not on_road:
            self.since_ns = None
        elif self.since_ns is None:
            self.since_ns = stage.now_ns
        return not self.mover.gone

    def events(self) -> Iterable[TruthEvent]:
        if self.since_ns is not None:
            x, y, _ = self.mover.place()
            yield TruthEvent(
                id=self.number, kind="pedestrian-on-carriageway", start_ns=self.since_ns,
                position=Vec2(x, y), lanes=(self.lane,), objects=(self.mover.id,),
            )  # fmt: skip


@dataclass
class _WrongWay:
    """Keeps the lane free, lets the car in, and opens the lane again when it has left."""

    moving: _Moving
    waits_until_ns: int
    inside: bool = False

    def step(self, stage: Stage) -> bool:
        now_ns = stage.now_ns
        lane = self.moving.lane
        if not self.inside:
            stage.traffic.closed.add(lane)
            if stage.traffic.count_on(lane) and now_ns < self.waits_until_ns:
                return True
            self.inside = True
        going = self.moving.step(stage)
        if not going:
            stage.traffic.closed.discard(lane)
        return going

    def events(self) -> Iterable[TruthEvent]:
        return self.moving.events() if self.inside else ()


@dataclass
class _StepOut:
    """Waits for a vehicle that will be there at the right moment, then lets the person go."""

    number: int
    lane: str
    station: float
    margin_s: float
    mover: Mover
    to_corridor_s: float
    vehicle: Vehicle | None = None
    since_ns: int | None = None
    walk: _Walk | None = None

    def step(self, stage: Stage) -> bool:
        now_ns = stage.now_ns
        if self.walk is None:
            self.walk = _Walk(stage.new_number(), self.lane, self.mover, inside=True)
        self.walk.step(stage)
        if self.vehicle is None:
            self.vehicle = self._due(stage.traffic)
            if self.vehicle is not None:
                self.mover.rests_until_ns = now_ns
                self.since_ns = now_ns
        return not self.mover.gone

    def _due(self, traffic: Traffic) -> Vehicle | None:
        vehicle = traffic.next_before(self.lane, self.station)
        if vehicle is None or vehicle.speed < 3.0:
            return None
        left = traffic.arc(vehicle, self.lane, self.station) - vehicle.s
        eta = left / vehicle.speed
        wanted = self.to_corridor_s + self.margin_s
        return vehicle if wanted - 0.3 <= eta <= wanted + 0.1 else None

    def events(self) -> Iterable[TruthEvent]:
        if self.walk is not None:
            yield from self.walk.events()
        if self.vehicle is not None and self.since_ns is not None and self.mover.leg == 1:
            x, y, _ = self.mover.place()
            yield TruthEvent(
                id=self.number, kind="conflict", start_ns=self.since_ns, position=Vec2(x, y),
                lanes=(self.lane,), objects=(self.vehicle.id, self.mover.id),
            )  # fmt: skip


@dataclass
class _Flood:
    number: int
    lane: str
    position: Vec2
    depth: float
    began_ns: int
    ends_ns: int
    since_ns: int | None = None

    def step(self, stage: Stage) -> bool:
        now_ns = stage.now_ns
        if now_ns >= self.ends_ns:
            stage.water.pop(self.lane, None)
            return False
        risen = min((now_ns - self.began_ns) / NS_PER_S / FLOOD_RISES_S, 1.0)
        stage.water[self.lane] = self.depth * risen
        if self.since_ns is None and stage.water[self.lane] >= FLOODED:
            self.since_ns = now_ns
        return True

    def events(self) -> Iterable[TruthEvent]:
        if self.since_ns is not None:
            yield TruthEvent(
                id=self.number, kind="water-on-road", start_ns=self.since_ns,
                position=self.position, lanes=(self.lane,),
            )  # fmt: skip


def _park(action: script.ParkIllegally, stage: Stage, number: int) -> Incident:
    if action.lane is not None:
        # Standing on a lane it is a stopped vehicle, until it has stood long enough.
        return _Stopped(number, "stopped-vehicle", action.lane, action.station, action.duration_s)
    zone = stage.site_map.zone(action.zone or "")
    x, y = zone.centre
    lane, station = _nearest_lane(stage, x, y)
    there = _drive_up(lane, station, (x, y))
    back = Path(there.points[::-1].copy())
    kind = "fire-lane-blocked" if zone.kind is ZoneKind.FIRE_LANE else "illegal-parking"
    mover = _car(stage, (Leg(there, 4.0, action.duration_s), Leg(back, 2.0, backwards=True)))
    return _Moving(number, kind, "", mover, while_legs=(0,), at_rest=True)


def _debris(action: script.DropDebris, stage: Stage, number: int) -> Incident:
    lane = stage.site_map.lane(action.lane)
    x, y, heading = lane.at(action.station)
    spot = Path(np.array([(x, y), (x + 0.01 * math.cos(heading), y + 0.01 * math.sin(heading))]))
    mover = Mover(
        stage.new_id(), ObjectClass.OBSTACLE, Size(*action.size),
        (Leg(spot, 0.0, action.duration_s),),
    )  # fmt: skip
    return _Moving(number, "obstacle", action.lane, mover, while_legs=(0,))


def _walk(action: script.WalkOnCarriageway, stage: Stage, number: int) -> Incident:
    lane = stage.site_map.lane(action.lane)
    along = np.linspace(action.from_station, action.to_station, 12)
    line = np.array([lane.at(float(s))[:2] for s in along])
    mover = _person(
        stage,
        (
            Leg(_beside(lane, action.from_station, OFF_ROAD, 0.0), action.speed),
            Leg(Path(line), action.speed),
            Leg(_beside(lane, action.to_station, 0.0, OFF_ROAD), action.speed),
        ),
    )
    return _Walk(number, action.lane, mover)


def _step_out(action: script.StepOut, stage: Stage, number: int) -> Incident:
    lane = stage.site_map.lane(action.lane)
    pace = 1.5
    kerb = lane.width / 2 + 0.5
    waits = _beside(lane, action.station, kerb + 0.05, kerb)
    mover = _person(
        stage,
        (Leg(waits, pace, stand_s=3600.0), Leg(_beside(lane, action.station, kerb, -12.0), pace)),
    )
    stage.movers.append(mover)
    # To be out of the car's way takes until its far side is reached.
    return _StepOut(
        number, action.lane, action.station, action.margin_s, mover, (kerb + 1.3) / pace
    )


def _wrong_way(action: script.WrongWay, stage: Stage, number: int) -> Incident:
    lane = stage.site_map.lane(action.lane)
    line = lane.centreline[::-1]
    against = Path(line.copy())
    # Away from the road again before the junction: a quarter turn to its left, over the kerb.
    turn_at = max(against.length - 25.0, 5.0)
    s = np.linspace(0.0, turn_at, 20)
    points = [against.at(float(v)) for v in s]
    x, y = points[-1]
    heading = against.heading(turn_at)
    for angle in np.linspace(0.0, math.pi / 2, 8)[1:]:
        radius = 7.0
        forward, left = radius * math.sin(angle), radius * (1.0 - math.cos(angle))
        points.append(
            (
                x + forward * math.cos(heading) - left * math.sin(heading),
                y + forward * math.sin(heading) + left * math.cos(heading),
            )
        )
    last = np.array(points[-1]) + 10.0 * np.array((-math.sin(heading), math.cos(heading)))
    off = Path(np.array([points[-1], tuple(last)]))
    mover = _car(stage, (Leg(Path(np.array(points)), action.speed), Leg(off, action.speed)))
    mover.speed, mover.heedless = action.speed, True
    moving = _Moving(number, "wrong-way", action.lane, mover, while_legs=(0,))
    return _WrongWay(moving, stage.now_ns + round(CLEAR_LANE_S * NS_PER_S))


def _block(action: script.BlockExit, stage: Stage, number: int) -> Incident:
    lane = stage.site_map.lane(action.lane)
    x, y, heading = lane.at(lane.length - 1.0)
    spot = Path(np.array([(x, y), (x + 0.01 * math.cos(heading), y + 0.01 * math.sin(heading))]))
    # Beyond the map's end somebody stands: no camera sees why, so it is no event by itself.
    mover = _car(stage, (Leg(spot, 0.0, action.duration_s),))
    return _Moving(number, None, action.lane, mover, while_legs=())


def _flood(action: script.Flood, stage: Stage, number: int) -> Incident:
    x, y, _ = stage.site_map.lane(action.lane).at(action.station)
    ends = stage.now_ns + round(action.duration_s * NS_PER_S)
    return _Flood(number, action.lane, Vec2(x, y), action.depth, stage.now_ns, ends)


MAKERS: dict[type, Callable[..., Incident]] = {
    script.StopVehicle: lambda action, _, number: _Stopped(
        number, "stopped-vehicle", action.lane, action.station, action.duration_s
    ),
    script.DriveAt: lambda action, _, number: Pace(
        number, "speeding" if action.factor > 1.0 else "slow-vehicle", action.lane, action.factor
    ),
    script.RunRedLight: lambda action, _, number: _RedLight(number, action.lane),
    script.ParkIllegally: _park,
    script.DropDebris: _debris,
    script.WalkOnCarriageway: _walk,
    script.StepOut: _step_out,
    script.WrongWay: _wrong_way,
    script.BlockExit: _block,
    script.Flood: _flood,
}


def _at_rest(vehicle: Vehicle) -> bool:
    return vehicle.halt is not None and vehicle.speed < STANDS and vehicle.halt - vehicle.s < 3.0


def _on_carriageway(stage: Stage, x: float, y: float) -> bool:
    """Between the edges of a lane of vehicles, and on no crosswalk."""

    def on(kind: LaneKind) -> bool:
        return bool(stage.site_map.match([(x, y)], kinds=(kind,)).inside[0])

    return on(LaneKind.VEHICLE) and not on(LaneKind.CROSSWALK)


def _person(stage: Stage, legs: tuple[Leg, ...]) -> Mover:
    _, size, _ = draw_walker(stage.rng, 0.0)
    return Mover(stage.new_id(), ObjectClass.PEDESTRIAN, size, legs)


def _car(stage: Stage, legs: tuple[Leg, ...]) -> Mover:
    return Mover(stage.new_id(), ObjectClass.CAR, Size(4.6, 1.82, 1.5), legs)


def _beside(lane: Lane, station: float, start: float, end: float) -> Path:
    """Straight across a lane, from `start` to `end` m to its right."""
    x, y, heading = lane.at(station)
    right = np.array((math.sin(heading), -math.cos(heading)))
    middle = np.array((x, y))
    return Path(np.stack((middle + start * right, middle + end * right)))


def _nearest_lane(stage: Stage, x: float, y: float) -> tuple[Lane, float]:
    match = stage.site_map.match([(x, y)], max_distance=50.0)
    index = int(match.lane[0])
    if index < 0:
        raise SimulationError("no lane is near the zone that somebody is to park in")
    return stage.site_map.lanes[index], float(match.station[0])


def _drive_up(lane: Lane, station: float, target: tuple[float, float]) -> Path:
    """Along the lane, then off it to the target."""
    begin = max(station - 30.0, 0.0)
    line: Floats = np.array(
        [lane.at(float(s))[:2] for s in np.linspace(begin, max(station - 8.0, begin + 0.5), 10)]
    )
    return Path(np.concatenate((line, [target])))
