"""Roads that exist nowhere: random junctions, streets and car parks for training and for the test.

A generator goes in, a `SiteMap` comes out, with the lane and zone kinds that a surveyed site has,
so that the renderer paints it like one. Right-hand traffic. Only what can be seen matters here:
signals and right of way are left out, so such a map makes pictures but no traffic simulation.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Direction, Lane, LaneKind, LaneRole, Maneuver, SiteMap, Zone, ZoneKind

Floats = npt.NDArray[np.float64]

_FRAME = LocalFrame(0.0, 0.0, 0.0)  # nobody asks where an invented road lies


def drawn_map(rng: np.random.Generator) -> SiteMap:
    """A junction of three or four legs (65 %), a straight street (20 %) or a car park (15 %)."""
    kind = rng.random()
    if kind < 0.65:
        return junction(rng, 4 if rng.random() < 0.7 else 3)
    return street(rng) if kind < 0.85 else car_park(rng)


def junction(rng: np.random.Generator, legs: int) -> SiteMap:
    """Legs in about right angles, one to three lanes each way, crossings, footways, maybe bikes."""
    turn = float(rng.uniform(0.0, math.tau))
    angles = [turn + i * math.pi / 2 + float(rng.uniform(-0.15, 0.15)) for i in range(legs)]
    width = float(rng.uniform(3.0, 3.75))
    bikes = bool(rng.random() < 0.4)
    arms = [_Arm(rng, angle, width, bikes) for angle in angles]
    stop = max(arm.half for arm in arms) + float(rng.uniform(6.0, 11.0))
    length = float(rng.uniform(70.0, 130.0))
    lanes: list[Lane] = []
    for number, arm in enumerate(arms):
        lanes.extend(arm.lanes(number, stop, length, rng.random() < 0.9))
    for number, arm in enumerate(arms):
        for other, target in enumerate(arms):
            if other == number:
                continue
            bend = math.remainder(target.angle - arm.angle - math.pi, math.tau)
            maneuver = (
                Maneuver.STRAIGHT
                if abs(bend) < 0.6
                else (Maneuver.LEFT if bend > 0 else Maneuver.RIGHT)
            )
            start = 0.5 if maneuver is Maneuver.LEFT else arm.count - 0.5
            end = 0.5 if maneuver is Maneuver.LEFT else target.count - 0.5
            line = _bend(arm.at(-start * width, stop), target.at(end * width, stop))
            lanes.append(
                Lane(f"{number}-{other}", LaneKind.VEHICLE, line, width,
                     role=LaneRole.CONNECTION, maneuver=maneuver)
            )  # fmt: skip
            if abs(math.remainder(target.angle - arm.angle, math.tau) - math.pi / 2) < 0.5:
                corner = np.array(
                    [arm.at(-arm.walk, stop - 3.5), target.at(target.walk, stop - 3.5)]
                )
                lanes.append(
                    Lane(f"corner-{number}", LaneKind.SIDEWALK, corner, 3.0,
                         direction=Direction.BOTH)
                )  # fmt: skip
    ring = [p for arm in arms for p in (arm.at(arm.half, stop), arm.at(-arm.half, stop))]
    return SiteMap(_FRAME, tuple(lanes), (Zone("junction", ZoneKind.JUNCTION, np.array(ring)),))


def street(rng: np.random.Generator) -> SiteMap:
    """A straight road with footways and perhaps a crossing; two arms back to back."""
    angle, width = float(rng.uniform(0.0, math.tau)), float(rng.uniform(3.0, 3.75))
    bikes = bool(rng.random() < 0.4)
    arm = _Arm(rng, angle, width, bikes)
    lanes = arm.lanes(0, -130.0, 260.0, crossing=False)
    if rng.random() < 0.7:
        lanes.append(arm.crossing(1, float(rng.uniform(-30.0, 40.0))))
    return SiteMap(_FRAME, tuple(lanes))


def car_park(rng: np.random.Generator) -> SiteMap:
    """Aisles with perpendicular bays on both sides and a footway around."""
    angle = float(rng.uniform(0.0, math.tau))
    ahead = np.array([math.cos(angle), math.sin(angle)])
    left = np.array([-ahead[1], ahead[0]])
    lanes, zones = [], []
    depth, breadth = float(rng.uniform(4.8, 5.6)), float(rng.uniform(2.3, 2.8))
    aisle, count = float(rng.uniform(5.5, 7.0)), int(rng.integers(8, 20))
    pitch = aisle + 2 * depth
    for row in range(int(rng.integers(2, 5))):
        origin = left * (row - 1) * pitch - ahead * count * breadth / 2
        end = origin + ahead * count * breadth
        lanes.append(
            Lane(f"aisle-{row}", LaneKind.PARKING_AISLE, np.array([origin, end]), aisle,
                 direction=Direction.BOTH)
        )  # fmt: skip
        for side in (-1, 1):
            for bay in range(count):
                base = origin + ahead * bay * breadth + left * side * aisle / 2
                corners = [(0.0, 0.0), (breadth, 0.0), (breadth, side * depth), (0.0, side * depth)]
                ring = np.array([base + ahead * x + left * y for x, y in corners])
                zones.append(Zone(f"bay-{row}-{side}-{bay}", ZoneKind.BAY, ring))
    edge = left * -(pitch / 2 + pitch + 2.0)
    reach = ahead * count * breadth / 2
    lanes.append(
        Lane("walk", LaneKind.SIDEWALK, np.array([edge - reach, edge + reach]), 2.5,
             direction=Direction.BOTH)
    )  # fmt: skip
    return SiteMap(_FRAME, tuple(lanes), tuple(zones))


class _Arm:
    """One leg seen from the centre: `at` gives points by metres to its right and along it."""

    def __init__(self, rng: np.random.Generator, angle: float, width: float, bikes: bool) -> None:
        self.angle = angle
        self.width = width
        self.bikes = bikes
        self.count = int(rng.choice((1, 2, 3), p=(0.3, 0.5, 0.2)))
        self.half = self.count * width + (1.8 if bikes else 0.0)
        self.walk = self.half + float(rng.uniform(1.8, 4.0))
        self._walk_width = float(rng.uniform(2.0, 4.0))

    def at(self, across: float, along: float) -> tuple[float, float]:
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return (along * cos + across * sin, along * sin - across * cos)

    def lanes(self, number: int, stop: float, length: float, crossing: bool) -> list[Lane]:
        end = stop + length
        result = []
        for lane in range(self.count):
            across = (lane + 0.5) * self.width
            result.append(
                self._lane(f"in-{number}-{lane}", -across, end, stop, self.width,
                           role=LaneRole.ENTRY, stop_line=length if stop > 0 else None)
            )  # fmt: skip
            result.append(
                self._lane(f"out-{number}-{lane}", across, stop, end, self.width,
                           role=LaneRole.EXIT)
            )  # fmt: skip
        if self.bikes:
            across = self.count * self.width + 0.9
            result.append(
                self._lane(f"bike-in-{number}", -across, end, stop, 1.8, kind=LaneKind.BIKE)
            )
            result.append(
                self._lane(f"bike-out-{number}", across, stop, end, 1.8, kind=LaneKind.BIKE)
            )
        result.extend(
            self._lane(f"walk-{number}-{side}", side * self.walk, stop - 3.5, end,
                       self._walk_width, kind=LaneKind.SIDEWALK, direction=Direction.BOTH)
            for side in (-1, 1)
        )  # fmt: skip
        if crossing:
            result.append(self.crossing(number, stop - 3.5))
        return result

    def crossing(self, number: int, along: float) -> Lane:
        line = np.array([self.at(-self.walk, along), self.at(self.walk, along)])
        return Lane(f"cross-{number}", LaneKind.CROSSWALK, line, 4.0, direction=Direction.BOTH)

    def _lane(
        self, name: str, across: float, start: float, end: float, width: float,
        kind: LaneKind = LaneKind.VEHICLE, **rest: object,
    ) -> Lane:  # fmt: skip
        line = np.array([self.at(across, start), self.at(across, end)])
        return Lane(name, kind, line, width, **rest)  # type: ignore[arg-type]


def _bend(start: tuple[float, float], end: tuple[float, float]) -> Floats:
    """A quadratic curve through the junction, pulled towards its centre by the legs' directions."""
    a, b = np.array(start), np.array(end)
    middle = 0.25 * (a + b)
    t = np.linspace(0.0, 1.0, 13)[:, np.newaxis]
    curve: Floats = (1 - t) ** 2 * a + 2 * t * (1 - t) * middle + t**2 * b
    return curve
