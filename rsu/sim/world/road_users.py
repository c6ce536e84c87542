"""Who is on the road: the mix of classes, their sizes and how they drive, drawn from a generator.

Traffic asks for a vehicle, pedestrians for a walker; nothing here knows about roads. Sizes are
typical outer dimensions of Chinese traffic (limits of GB 1589-2016: width 2.55 m, rigid length
12 m); shares are an assumed urban mix, stated here so that they can be argued with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import Size


@dataclass(frozen=True, slots=True)
class Driver:
    """Parameters of the Intelligent Driver Model (Treiber, Hennecke, Helbing, PRE 62, 2000).

    `speed_factor` multiplies the limit; `headway` is T, s; `gap` s0, m; `acceleration` a and
    `braking` b, m/s².
    """

    speed_factor: float
    headway: float
    gap: float
    acceleration: float
    braking: float


@dataclass(frozen=True, slots=True)
class VehicleKind:
    """One class: its share of the traffic, mean size and 1 σ of length, width, height, and a."""

    object_class: ObjectClass
    share: float
    size: tuple[float, float, float]
    spread: tuple[float, float, float]
    acceleration: float


VEHICLES = (
    VehicleKind(ObjectClass.CAR, 0.80, (4.60, 1.82, 1.52), (0.25, 0.06, 0.08), 1.4),
    VehicleKind(ObjectClass.VAN, 0.07, (5.20, 1.98, 2.20), (0.35, 0.05, 0.20), 1.2),
    VehicleKind(ObjectClass.TRUCK, 0.05, (8.00, 2.45, 3.20), (1.20, 0.05, 0.30), 0.8),
    VehicleKind(ObjectClass.BUS, 0.03, (11.20, 2.52, 3.10), (0.50, 0.02, 0.10), 0.8),
    VehicleKind(ObjectClass.MOTORCYCLE, 0.05, (2.10, 0.80, 1.55), (0.15, 0.06, 0.08), 1.6),
)
BICYCLE = VehicleKind(ObjectClass.BICYCLE, 1.0, (1.75, 0.60, 1.70), (0.08, 0.04, 0.08), 0.8)

LONGEST, WIDEST = 12.0, 2.55
"""m; GB 1589-2016 for rigid vehicles."""

# Treiber & Kesting, Traffic Flow Dynamics (2013), table 11.2, city traffic: T = 1.0 s, s0 = 2 m,
# b = 1.5 m/s², a = 1.0 m/s². T varies between drivers; a is per class around the table's value.
HEADWAY, HEADWAY_SPREAD, HEADWAY_RANGE = 1.2, 0.2, (0.9, 1.8)
STANDING_GAP = 2.0
BRAKING = 1.5
SPEED_FACTOR, SPEED_FACTOR_SPREAD, SPEED_FACTOR_RANGE = 0.97, 0.06, (0.8, 1.1)

# Weidmann, Transporttechnik der Fussgänger (1993): free walking speed 1.34 m/s, σ 0.26 m/s.
WALK_SPEED, WALK_SPREAD, WALK_RANGE = 1.34, 0.26, (0.7, 2.0)
WALKER_FOOTPRINT = (0.60, 0.60)  # m, stride and arms included
RIDER_SHARE = 0.10  # of those on footways: cyclists where a map has no bike lanes; assumed
RIDER_SPEED, RIDER_SPREAD, RIDER_RANGE = 3.5, 0.5, (2.5, 4.5)  # among walkers, m/s; assumed
BIKE_SPEED = 5.0  # on a bike lane, m/s: 18 km/h; assumed


def draw_vehicle(rng: np.random.Generator) -> tuple[VehicleKind, Size, Driver]:
    """One motor vehicle with its driver."""
    shares = np.cumsum([kind.share for kind in VEHICLES])
    kind = VEHICLES[int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))]
    return kind, _size(kind, rng), _driver(kind, rng)


def draw_cyclist(rng: np.random.Generator) -> tuple[VehicleKind, Size, Driver]:
    """One cyclist for a bike lane."""
    return BICYCLE, _size(BICYCLE, rng), _driver(BICYCLE, rng)


def draw_walker(rng: np.random.Generator, rider_share: float) -> tuple[ObjectClass, Size, float]:
    """Someone on a footway: class, size and free speed in m/s."""
    if rng.random() < rider_share:
        speed = _clipped(rng, RIDER_SPEED, RIDER_SPREAD, RIDER_RANGE)
        return ObjectClass.BICYCLE, _size(BICYCLE, rng), speed
    speed = _clipped(rng, WALK_SPEED, WALK_SPREAD, WALK_RANGE)
    height = _clipped(rng, 1.68, 0.09, (1.2, 2.0))  # adults; assumed
    return ObjectClass.PEDESTRIAN, Size(*WALKER_FOOTPRINT, height), speed


def _driver(kind: VehicleKind, rng: np.random.Generator) -> Driver:
    return Driver(
        speed_factor=_clipped(rng, SPEED_FACTOR, SPEED_FACTOR_SPREAD, SPEED_FACTOR_RANGE),
        headway=_clipped(rng, HEADWAY, HEADWAY_SPREAD, HEADWAY_RANGE),
        gap=STANDING_GAP,
        acceleration=kind.acceleration,
        braking=BRAKING,
    )


def _size(kind: VehicleKind, rng: np.random.Generator) -> Size:
    # Two σ either way: a distribution's tail would make cars that do not exist.
    length, width, height = (
        mean + spread * float(np.clip(rng.standard_normal(), -2.0, 2.0))
        for mean, spread in zip(kind.size, kind.spread, strict=True)
    )
    return Size(min(length, LONGEST), min(width, WIDEST), height)


def _clipped(
    rng: np.random.Generator, mean: float, spread: float, bounds: tuple[float, float]
) -> float:
    return float(np.clip(mean + spread * rng.standard_normal(), *bounds))
