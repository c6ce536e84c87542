"""Vehicles of the traffic that drive differently: too fast, too slow, or on duty.

Each is an incident of the script (`happenings`): stepped with the world, it changes a driver and
tells `TruthEvent`s for as long as what they say holds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rsu.schema.reports import TruthEvent
from rsu.schema.units import NS_PER_S, Vec2
from rsu.sim.world.stage import Stage
from rsu.sim.world.vehicle import STANDS, Vehicle

SPEEDING_SHARE = 1.1
"""Of the limit, above which driving is speeding: up to 10 % there is no penalty (Road Traffic
Safety Law of China, and its points rules)."""
SLOW_SHARE, SLOW_AFTER_S = 0.4, 5.0
"""Share of the limit below which a vehicle on a free road is slow, once it has been for this
long: everybody who sets off is slow for a moment."""


@dataclass
class Pace:
    """The next vehicle to enter a lane drives at a share of every limit all its way."""

    number: int
    kind: str
    lane: str
    factor: float
    vehicle: Vehicle | None = None
    slow_s: float = 0.0
    since_ns: int | None = None
    last_ns: int = 0

    def step(self, stage: Stage) -> bool:
        traffic = stage.traffic
        if self.vehicle is None:
            new = (one for one in traffic.vehicles if one.s < 5.0)
            self.vehicle = next((one for one in new if one.route.entry == self.lane), None)
            if self.vehicle is not None:
                driver = replace(self.vehicle.driver, speed_factor=self.factor)
                self.vehicle.driver = driver
                self.vehicle.speed *= self.factor if self.factor < 1.0 else 1.0
            self.last_ns = stage.now_ns
            return True
        self._judge(stage)
        return self.vehicle in traffic.vehicles

    def _judge(self, stage: Stage) -> None:
        vehicle = self.vehicle
        assert vehicle is not None
        passed_s = (stage.now_ns - self.last_ns) / NS_PER_S
        self.last_ns = stage.now_ns
        limit = stage.site_map.lane(vehicle.route.lanes[vehicle.lane]).speed_limit or math.inf
        if self.factor > 1.0:
            holds = vehicle.speed > SPEEDING_SHARE * limit
        else:
            holds = STANDS < vehicle.speed < SLOW_SHARE * limit
            self.slow_s = self.slow_s + passed_s if holds else 0.0
            holds = self.slow_s >= SLOW_AFTER_S
        if holds and self.since_ns is None:
            self.number, self.since_ns = stage.new_number(), stage.now_ns
        elif not holds:
            self.since_ns = None

    def events(self) -> Iterable[TruthEvent]:
        if self.vehicle is not None and self.since_ns is not None:
            x, y = self.vehicle.route.path.at(self.vehicle.s - self.vehicle.size.length / 2)
            yield TruthEvent(
                id=self.number, kind=self.kind, start_ns=self.since_ns, position=Vec2(x, y),
                lanes=(self.vehicle.route.lanes[self.vehicle.lane],), objects=(self.vehicle.id,),
            )  # fmt: skip


@dataclass
class Emergency:
    """A vehicle on duty, for as long as it is on the map."""

    number: int
    vehicle: Vehicle
    since_ns: int | None = None
    here: bool = False

    def step(self, stage: Stage) -> bool:
        self.here = self.vehicle in stage.traffic.vehicles
        if self.here and self.since_ns is None:
            self.since_ns = stage.now_ns
        return self.here or self.since_ns is None

    def events(self) -> Iterable[TruthEvent]:
        if self.here and self.since_ns is not None:
            x, y = self.vehicle.route.path.at(self.vehicle.s - self.vehicle.size.length / 2)
            yield TruthEvent(
                id=self.number, kind="emergency-vehicle", start_ns=self.since_ns,
                position=Vec2(x, y), objects=(self.vehicle.id,),
            )  # fmt: skip
