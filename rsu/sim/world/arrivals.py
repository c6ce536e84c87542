"""Demand: when vehicles come to each entry lane of the map.

Routes and vehicles per hour go in; per entry lane a Poisson stream and a queue of those that wait
for room come out. Who they are and how they get in is `traffic`'s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rsu.schema.units import NS_PER_S
from rsu.sim.world.roads import Roads, Route
from rsu.sim.world.vehicle import Vehicle

BIKES_PER_HOUR = 60.0
"""Over all bike lanes; assumed, as the options know no bicycles yet."""


@dataclass(slots=True)
class Arrival:
    """Demand on one entry lane: the time of the next vehicle and those that wait for room."""

    entry: str
    routes: tuple[Route, ...]
    per_hour: float
    next_ns: float
    waiting: list[Vehicle] = field(default_factory=list)

    def due(self, now_ns: int, rng: np.random.Generator) -> Route | None:
        """The route of a vehicle whose time has come, by the routes' weights; else None."""
        if self.next_ns > now_ns:
            return None
        weights = np.cumsum([route.weight for route in self.routes])
        pick = int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))
        return self.routes[pick]

    def wait(self, rng: np.random.Generator) -> None:
        """Draw the time of the next one."""
        self.next_ns += _pause(rng, self.per_hour)


def arrivals(
    roads: Roads, per_hour: float, rng: np.random.Generator, start_ns: int
) -> list[Arrival]:
    """Demand split over the entry lanes by the weights of the ways that begin there."""
    found = []
    for bicycle, total in ((False, per_hour), (True, BIKES_PER_HOUR)):
        routes = [route for route in roads.routes if route.bicycle is bicycle]
        weight = sum(route.weight for route in routes)
        for entry in dict.fromkeys(route.entry for route in routes):
            mine = tuple(route for route in routes if route.entry == entry)
            rate = total * sum(route.weight for route in mine) / weight
            # An entry without demand is there for whoever is sent.
            found.append(Arrival(entry, mine, rate, start_ns + _pause(rng, rate)))
    return found


def change(
    entries: Sequence[Arrival], per_hour: float, rng: np.random.Generator, now_ns: int
) -> None:
    """Motor vehicles per hour over all entry lanes from now on, split as before."""
    motor = [arrival for arrival in entries if not arrival.routes[0].bicycle]
    weight = sum(route.weight for arrival in motor for route in arrival.routes)
    for arrival in motor:
        arrival.per_hour = per_hour * sum(r.weight for r in arrival.routes) / weight
        arrival.next_ns = now_ns + _pause(rng, arrival.per_hour)


def _pause(rng: np.random.Generator, per_hour: float) -> float:
    """Time to the next arrival of a Poisson stream, ns."""
    if per_hour <= 0.0:
        return math.inf
    return float(rng.exponential(3600.0 / per_hour)) * NS_PER_S
