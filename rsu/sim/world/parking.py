"""A parking lot: cars come, turn or back into free bays, stay, get out again and leave.

Demand (`ParkingDemand`) and the map's bays go in; movers and who stands in which bay come out. One
car manoeuvres at a time, as careful drivers in a narrow aisle do: who wants to leave waits until
the aisle is free, who arrives waits outside. Arrivals are Poisson, dwell times exponential.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rsu.schema.reports import TruthBay, TruthEvent
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Size
from rsu.sim.errors import SimulationError
from rsu.sim.scenario.model import ParkingDemand
from rsu.sim.world.movers import Leg, Mover
from rsu.sim.world.paths import Floats, Path
from rsu.sim.world.scene import stream
from rsu.sim.world.stage import Stage
from rsu.site.lanes import Zone

AISLE_SPEED, TURN_SPEED, BACK_SPEED = 4.0, 2.0, 1.2
"""m/s along the aisle, into a bay and out of it (assumed; lots post 10 to 20 km/h)."""
TURN_M = 6.0
"""m before a bay at which a car begins to turn: its centre's least radius is then 4.2 m, what a
turning circle of 11 m between kerbs leaves."""
BACKED_IN = 0.4
"""Share of cars that back in and drive out forwards (assumed)."""
SHIFTS_S = 1.0
"""s that changing direction takes."""
ENDLESS_S = 1e9
CAR = Size(4.5, 1.82, 1.5)


@dataclass(frozen=True, eq=False)
class Way:
    """Along the aisle to where the turn begins, into the bay, and on from there to the aisle's end.

    With `backwards` the turn begins beyond the bay.
    """

    there: Path
    into: Path
    onward: Path
    backwards: bool

    def legs(self) -> tuple[Leg, ...]:
        """The whole visit; a car rests in its bay at the end of leg 1."""
        out = Path(self.into.points[::-1].copy())
        if self.backwards:
            return (
                Leg(self.there, AISLE_SPEED, SHIFTS_S),
                Leg(self.into, BACK_SPEED, ENDLESS_S, backwards=True),
                Leg(out, TURN_SPEED),
                Leg(self.onward, AISLE_SPEED),
            )
        return (
            Leg(self.there, AISLE_SPEED),
            Leg(self.into, TURN_SPEED, ENDLESS_S),
            Leg(out, BACK_SPEED, SHIFTS_S, backwards=True),
            Leg(self.onward, AISLE_SPEED),
        )


@dataclass(frozen=True, eq=False)
class Bay:
    """One bay and the two ways into it."""

    name: str
    forwards: Way
    backwards: Way


class ParkingLot:
    """An incident that goes on until the scenario ends. Its cars are movers of the stage."""

    def __init__(self, action: ParkingDemand, stage: Stage, seed: int) -> None:
        """Raises SimulationError for a bay that no aisle leads to."""
        self._rng = stream(seed, f"parking/{action.lot}")
        self._demand = action
        self._bays = [_bay(zone, stage) for zone in stage.site_map.bays if zone.lot == action.lot]
        self._taken: dict[str, Mover] = {}
        self._leaves_ns: dict[str, int] = {}
        self._moving: Mover | None = None
        self._waiting = 0
        self._next_ns = stage.now_ns + self._pause()
        for bay in self._bays:
            if self._rng.random() < action.initially:
                mover = self._car(bay, stage)
                mover.leg, mover.s = 1, mover.legs[1].path.length
                self._park(bay, mover, stage.now_ns)

    def change(self, action: ParkingDemand, now_ns: int) -> None:
        """Other demand from now on; who is here stays as long as was planned."""
        self._demand = action
        self._next_ns = now_ns + self._pause()

    def bays(self) -> Iterable[TruthBay]:
        """Who rests in which bay."""
        for bay in self._bays:
            mover = self._taken.get(bay.name)
            there = mover is not None and mover.leg == 1 and mover.resting
            yield TruthBay(bay=bay.name, object=mover.id if mover and there else None)

    def step(self, stage: Stage) -> bool:
        now_ns = stage.now_ns
        while self._next_ns <= now_ns:
            self._waiting += 1
            self._next_ns += self._pause()
        if self._moving is not None and self._busy(self._moving, now_ns):
            return True
        self._moving = self._leaving(now_ns) or self._arriving(stage)
        return True

    def events(self) -> Iterable[TruthEvent]:
        return ()

    def _busy(self, mover: Mover, now_ns: int) -> bool:
        if mover.gone:
            return False
        if mover.leg == 1 and mover.resting:
            bay = next(name for name, one in self._taken.items() if one is mover)
            if bay not in self._leaves_ns:
                self._leaves_ns[bay] = now_ns + self._stay()
            return False
        return True

    def _leaving(self, now_ns: int) -> Mover | None:
        due = [(at, name) for name, at in self._leaves_ns.items() if at <= now_ns]
        if not due:
            return None
        _, name = min(due)
        del self._leaves_ns[name]
        mover = self._taken.pop(name)
        mover.rests_until_ns = now_ns
        return mover

    def _arriving(self, stage: Stage) -> Mover | None:
        free = [bay for bay in self._bays if bay.name not in self._taken]
        if not self._waiting or not free:
            return None
        bay = free[int(self._rng.integers(len(free)))]
        if not stage.free(*bay.forwards.there.at(0.0)):
            return None
        self._waiting -= 1
        mover = self._car(bay, stage)
        mover.speed = AISLE_SPEED
        self._taken[bay.name] = mover
        return mover

    def _car(self, bay: Bay, stage: Stage) -> Mover:
        way = bay.backwards if self._rng.random() < BACKED_IN else bay.forwards
        mover = Mover(
            stage.new_id(), ObjectClass.CAR, CAR, way.legs(),
            bay=bay.name,
            heedless=True,  # the aisle is its own, and the curve passes between parked cars
        )  # fmt: skip
        stage.movers.append(mover)
        return mover

    def _park(self, bay: Bay, mover: Mover, now_ns: int) -> None:
        self._taken[bay.name] = mover
        mover.rests_until_ns = now_ns + round(ENDLESS_S * NS_PER_S)
        self._leaves_ns[bay.name] = now_ns + self._stay()

    def _stay(self) -> int:
        return round(float(self._rng.exponential(self._demand.dwell_s)) * NS_PER_S)

    def _pause(self) -> int:
        if self._demand.arrivals_per_hour <= 0.0:
            return 1 << 62
        return round(float(self._rng.exponential(3600.0 / self._demand.arrivals_per_hour)) * 1e9)


def _bay(zone: Zone, stage: Stage) -> Bay:
    if zone.lane is None:
        raise SimulationError(f"bay {zone.id!r} names no lane: nobody can get there")
    aisle = Path(stage.site_map.lane(zone.lane).centreline)
    x, y = zone.centre
    s, points = aisle.sampled(0.1)
    at = float(s[int(np.argmin(np.hypot(points[:, 0] - x, points[:, 1] - y)))])
    before, beyond = max(at - TURN_M, 0.5), min(at + TURN_M, aisle.length - 0.5)
    return Bay(
        zone.id,
        _way(aisle, at, before, (x, y), backwards=False),
        _way(aisle, at, beyond, (x, y), backwards=True),
    )


def _way(
    aisle: Path, at: float, turn: float, middle: tuple[float, float], *, backwards: bool
) -> Way:
    """From `turn` on a curve that is tangent to the aisle and to the bay, which is beside `at`."""
    start, corner, end = (np.array(p) for p in (aisle.at(turn), aisle.at(at), middle))
    t = np.linspace(0.0, 1.0, 15)[:, None]
    curve: Floats = (1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end
    return Way(
        _stretch(aisle, 0.0, turn), Path(curve), _stretch(aisle, turn, aisle.length), backwards
    )


def _stretch(path: Path, begin: float, end: float) -> Path:
    count = max(math.ceil((end - begin) / 2.0), 2)
    return Path(np.array([path.at(float(v)) for v in np.linspace(begin, end, count)]))
