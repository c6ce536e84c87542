"""Bodies that do not follow the rules of traffic: debris, the lost, the parking, the reckless.

A mover goes along its legs one after another, standing between them as long as they say; a leg may
be driven backwards. It waits for whatever is right in front of it. What lies or moves on a lane is
an obstacle to traffic there (`obstacles_of`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Size
from rsu.sim.world.paths import Path
from rsu.site.lanes import Lane

ACCELERATION = 1.5
"""m/s² up and down of vehicles that search their way; people reach their pace at once."""
FREE_AHEAD_S, FREE_AHEAD_M = 1.2, 1.5
"""A mover keeps this time and distance free in front of it, as drivers do (IDM's T and s0)."""
CORRIDOR = 1.25
"""m beside a lane's centreline that traffic needs: half a car and a hand's breadth."""


@dataclass(frozen=True, eq=False)
class Leg:
    """One stretch: driven at `speed` m/s (0: it just stands there), then `stand_s` s of rest."""

    path: Path
    speed: float
    stand_s: float = 0.0
    backwards: bool = False


@dataclass(slots=True, eq=False)
class Mover:
    """One body. Its footprint's centre is on the path; after its last leg it is gone."""

    id: int
    object_class: ObjectClass
    size: Size
    legs: tuple[Leg, ...]
    role: str = ""
    leg: int = 0
    s: float = 0.0
    speed: float = 0.0
    rests_until_ns: int | None = None
    bay: str | None = None
    heedless: bool = False

    @property
    def gone(self) -> bool:
        return self.leg >= len(self.legs)

    @property
    def resting(self) -> bool:
        return self.rests_until_ns is not None

    def place(self, tau: float = 0.0) -> tuple[float, float, float]:
        """x, y and heading `tau` s on."""
        leg = self.legs[min(self.leg, len(self.legs) - 1)]
        s = min(self.s + self.speed * tau, leg.path.length)
        x, y = leg.path.at(s)
        heading = leg.path.heading(min(s, leg.path.length - 1e-6))
        return x, y, heading + math.pi if leg.backwards else heading

    def move(self, now_ns: int, dt: float) -> None:
        """Go on for `dt` s, up to `now_ns`."""
        if self.gone:
            return
        leg = self.legs[self.leg]
        if self.rests_until_ns is None:
            self.s += self.speed * dt
            if self.s < leg.path.length and leg.speed > 0.0:
                return
            self.s, self.speed = leg.path.length, 0.0
            self.rests_until_ns = now_ns + round(leg.stand_s * NS_PER_S)
        if now_ns >= self.rests_until_ns:
            self.rests_until_ns = None
            self.leg, self.s = self.leg + 1, 0.0

    def decide(self, dt: float, bodies: Bodies) -> None:
        """Choose the speed for the next `dt` s."""
        if self.gone or self.resting:
            self.speed = 0.0
            return
        leg = self.legs[self.leg]
        wished = leg.speed
        left = leg.path.length - self.s
        if leg.stand_s > 0.0 and not self._on_foot:
            wished = min(wished, math.sqrt(2.0 * ACCELERATION * max(left, 0.02)))
        if not self.heedless and not self._on_foot and self._blocked(bodies):
            wished = 0.0
        if self._on_foot:
            self.speed = wished
        else:
            step = ACCELERATION * dt
            # Whoever has something in front brakes as hard as it takes.
            down = 4.0 * step if wished == 0.0 else step
            self.speed = min(max(wished, self.speed - down), self.speed + step)
        # Nobody goes beyond the end of a leg.
        self.speed = min(self.speed, left / dt)

    @property
    def _on_foot(self) -> bool:
        return self.object_class in (ObjectClass.PEDESTRIAN, ObjectClass.ANIMAL)

    def _blocked(self, bodies: Bodies) -> bool:
        x, y, heading = self.place()
        if self.legs[self.leg].backwards:
            heading += math.pi
        cos, sin = math.cos(heading), math.sin(heading)
        reach = self.size.length / 2 + FREE_AHEAD_M + FREE_AHEAD_S * self.speed
        for other, bx, by, along, across in bodies.items:
            if other == self.id:
                continue
            dx, dy = bx - x, by - y
            ahead = dx * cos + dy * sin
            half = max(along, across)
            if 0.0 < ahead < reach + half:
                aside = abs(dy * cos - dx * sin)
                if aside < (self.size.width + across) / 2 + 0.2 or (
                    aside < self.size.width / 2 + half and ahead < reach
                ):
                    return True
        return False


@dataclass(slots=True)
class Bodies:
    """Everyone's place at the last step: (id, x, y, half length, width)."""

    items: list[tuple[int, float, float, float, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something on a lane: where its near end is (m along), how fast it goes along it (m/s)."""

    near: float
    speed: float


class Obstructions:
    """Finds which lanes bodies are on. Lanes are those that traffic drives."""

    def __init__(self, lanes: Iterable[Lane]) -> None:
        self._lanes = tuple(lanes)
        self._boxes = [
            (*lane.centreline.min(axis=0).tolist(), *lane.centreline.max(axis=0).tolist())
            for lane in self._lanes
        ]

    def of(self, movers: Sequence[Mover]) -> dict[str, list[Obstacle]]:
        """Obstacles by lane."""
        found: dict[str, list[Obstacle]] = {}
        for mover in movers:
            x, y, heading = mover.place()
            size = mover.size
            for lane, (left, low, right, high) in zip(self._lanes, self._boxes, strict=True):
                reach = CORRIDOR + size.length
                if not (left - reach < x < right + reach and low - reach < y < high + reach):
                    continue
                station, lateral, direction = nearest_on(lane, x, y)
                turn = heading - direction
                along = abs(size.length * math.cos(turn)) + abs(size.width * math.sin(turn))
                across = abs(size.length * math.sin(turn)) + abs(size.width * math.cos(turn))
                if abs(lateral) < CORRIDOR + across / 2 and -along < station < lane.length + along:
                    speed = mover.speed * math.cos(turn)
                    if mover.legs[min(mover.leg, len(mover.legs) - 1)].backwards:
                        speed = -speed
                    found.setdefault(lane.id, []).append(Obstacle(station - along / 2, speed))
        return found


def nearest_on(lane: Lane, x: float, y: float) -> tuple[float, float, float]:
    """Station along (beyond the ends: straight on), offset to the left, direction there."""
    start = lane.centreline[:-1]
    step = np.diff(lane.centreline, axis=0)
    length = np.hypot(step[:, 0], step[:, 1])
    unit = step / length[:, None]
    offset = np.array((x, y)) - start
    along = np.einsum("sd,sd->s", offset, unit)
    inside = np.clip(along, 0.0, length)
    gap = offset - inside[:, None] * unit
    best = int(np.argmin(np.hypot(gap[:, 0], gap[:, 1])))
    beyond = (best == 0 and along[best] < 0.0) or (
        best == len(length) - 1 and along[best] > length[best]
    )
    reach = along[best] if beyond else inside[best]
    lateral = unit[best, 0] * offset[best, 1] - unit[best, 1] * offset[best, 0]
    direction = math.atan2(unit[best, 1], unit[best, 0])
    return float(lane.stations[best] + reach), float(lateral), direction
