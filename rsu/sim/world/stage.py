"""Where the incidents of a script happen: the parts of the world they may touch, and what one is.

`world` makes the stage, `incidents` puts one `Incident` after another on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from rsu.schema.reports import TruthEvent
from rsu.sim.world.movers import Mover
from rsu.sim.world.pedestrians import Pedestrians
from rsu.sim.world.scene import CLEAR_DAY, Weather
from rsu.sim.world.traffic import Traffic
from rsu.site.lanes import SiteMap

ROOM = 15.0
"""m around a place where something appears: two longest vehicles' halves, and braking."""


@dataclass(eq=False)
class Stage:
    """Where things happen: the parts of the world that an incident may touch."""

    site_map: SiteMap
    traffic: Traffic
    pedestrians: Pedestrians
    rng: np.random.Generator
    new_id: Callable[[], int]
    now_ns: int = 0
    movers: list[Mover] = field(default_factory=list)
    weather: Weather = CLEAR_DAY
    new_number: Callable[[], int] = lambda: 0
    """Ids of events that follow from others; `Incidents` numbers them all."""
    water: dict[str, float] = field(default_factory=dict)
    """Depth of water by lane, m."""

    def free(self, x: float, y: float) -> bool:
        """Whether nobody is so near that a car appearing here would touch them."""
        for vehicle in self.traffic.vehicles:
            vx, vy = vehicle.route.path.at(vehicle.s - vehicle.size.length / 2)
            if math.hypot(vx - x, vy - y) < ROOM:
                return False
        return True

    def let_in(self, mover: Mover) -> bool:
        """Let something appear where it begins; False while there is no room."""
        if not self.free(*mover.place()[:2]):
            return False
        self.movers.append(mover)
        return True


class Incident(Protocol):
    """Something going on. `step` returns False when it is over."""

    def step(self, stage: Stage) -> bool: ...

    def events(self) -> Iterable[TruthEvent]: ...
