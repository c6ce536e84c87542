"""One vehicle of the traffic: who it is, where on its route, how it moves until the next step.

`arrivals` lets them queue, `traffic` and `sumo` drive them, incidents of a script change them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import Size
from rsu.sim.world.road_users import Driver
from rsu.sim.world.roads import Route

STANDS = 0.1
"""m/s below which something stands."""


@dataclass(slots=True, eq=False)
class Vehicle:
    """One vehicle. `s` is its front along the route (m), `acceleration` holds until the next step.

    `granted`: may be in the junction. `claims`: indices of the route's crosswalks it may enter.
    Special ones have a `role`, ask for priority by radio (`asks`), come to a stop with their front
    at `halt` (m along the route), or do not heed red (`runs_red`).
    """

    id: int
    object_class: ObjectClass
    size: Size
    driver: Driver
    route: Route
    s: float = 0.0
    speed: float = 0.0
    acceleration: float = 0.0
    lane: int = 0
    granted: bool = False
    stopping: bool = False
    claims: list[int] = field(default_factory=list)
    role: str = ""
    asks: str = "none"
    halt: float | None = None
    runs_red: bool = False

    @property
    def rear(self) -> float:
        return self.s - self.size.length

    def after(self, tau: float) -> tuple[float, float]:
        """Arc length and speed `tau` s on (nobody rolls backwards)."""
        a = self.acceleration
        if a < 0.0 and self.speed + a * tau < 0.0:
            return self.s - 0.5 * self.speed * self.speed / a, 0.0
        return self.s + self.speed * tau + 0.5 * a * tau * tau, self.speed + a * tau


Body = tuple[Vehicle, float, float, float, float]
"""A vehicle, the middle of its footprint (x, y in m), its heading (rad from east), speed (m/s)."""
