"""What each object looks like: its variant and colours, from its id and the seed alone.

So an object keeps its look over time and shows the same in every camera of a site.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ObjectClass
from rsu.sim.render import figures, vehicles
from rsu.sim.render.figures import PHASES, STANDING
from rsu.sim.render.mesh import Mesh, Paint
from rsu.sim.world.scene import stream

Floats = npt.NDArray[np.float64]
Colour = tuple[float, float, float]

# Shares of new-car colours in China (paint makers' yearly surveys, rounded): over half white or
# silver, a third black and grey, the rest in colours. BGR reflectance.
_CAR_COLOURS: tuple[tuple[float, Colour], ...] = (
    (0.34, (0.78, 0.79, 0.80)),
    (0.16, (0.045, 0.045, 0.05)),
    (0.16, (0.26, 0.26, 0.25)),
    (0.12, (0.52, 0.52, 0.51)),
    (0.08, (0.42, 0.16, 0.06)),
    (0.07, (0.07, 0.05, 0.45)),
    (0.03, (0.10, 0.24, 0.36)),
    (0.02, (0.10, 0.25, 0.10)),
    (0.02, (0.05, 0.35, 0.65)),
)
_SKIN: tuple[Colour, ...] = ((0.38, 0.48, 0.66), (0.30, 0.42, 0.60), (0.16, 0.24, 0.40))
_HAIR: tuple[Colour, ...] = ((0.03, 0.03, 0.035), (0.05, 0.07, 0.11), (0.45, 0.46, 0.47))

_COATS: tuple[Colour, ...] = ((0.10, 0.18, 0.30), (0.5, 0.55, 0.6), (0.05, 0.05, 0.06))


@dataclass(frozen=True, eq=False)
class Look:
    """One object's meshes by phase and its palette (slots × BGR reflectance)."""

    mesh: Callable[[int], Mesh]
    palette: Floats
    stride: float
    """m of travel per cycle of motion; 0 for what has none."""

    def phase(self, along: float, speed: float) -> int:
        """Phase of the motion after `along` m of travel."""
        # 0.1 m/s: slower is standing (a tenth of the slowest walkers).
        if self.stride == 0.0 or speed < 0.1:
            return STANDING
        return int(along / self.stride * PHASES) % PHASES


def look(seed: int, identity: int, object_class: ObjectClass, height: float) -> Look:
    """The look of one object, `height` m high."""
    rng = stream(seed, f"look/{object_class.value}/{identity}")
    palette = _palette(rng)
    variant = int(rng.integers(1 << 30))
    match object_class:
        case ObjectClass.PEDESTRIAN:
            # 1.4 m per two steps at 1.68 m: Weidmann 1993, step length 0.7 m at 1.34 m/s.
            shape, count, stride = figures.walker, figures.WALKER_VARIANTS, 1.4 * height / 1.68
        case ObjectClass.BICYCLE:
            # One turn of the pedals: a 28" wheel in a 2.2 gear.
            shape, count, stride = figures.cyclist, figures.RIDER_VARIANTS, 4.7
        case ObjectClass.MOTORCYCLE:
            shape, count, stride = figures.motorcyclist, figures.RIDER_VARIANTS, 0.0
        case ObjectClass.ANIMAL:
            shape, count, stride = figures.animal, figures.ANIMAL_VARIANTS, 0.8
        case _:
            return _body(object_class, variant, palette, rng)
    chosen = variant % count
    if object_class is ObjectClass.ANIMAL:
        coat = np.array(_COATS[variant % len(_COATS)])
        palette[Paint.BODY] = coat * rng.uniform(0.7, 1.3)
        palette[Paint.SECOND] = palette[Paint.BODY] * 0.7
    if object_class in (ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE):
        palette[Paint.SECOND] = _vivid(rng)  # a delivery box, a helmet
    return Look(lambda phase: shape(chosen, phase), palette, stride)


def _body(
    object_class: ObjectClass, variant: int, palette: Floats, rng: np.random.Generator
) -> Look:
    shares = np.array([share for share, _ in _CAR_COLOURS])
    colour = _CAR_COLOURS[int(rng.choice(len(shares), p=shares / shares.sum()))][1]
    palette[Paint.BODY] = np.clip(
        np.array(colour) * rng.uniform(0.8, 1.12) * rng.uniform(0.96, 1.04, 3), 0.02, 0.9
    )
    match object_class:
        case ObjectClass.CAR:
            # Saloons, hatchbacks, SUVs and estates; assumed.
            chosen = int(np.searchsorted((0.45, 0.65, 0.95), rng.random()))
            mesh = vehicles.car(chosen)
        case ObjectClass.VAN:
            mesh = vehicles.van(variant % vehicles.VAN_VARIANTS)
        case ObjectClass.TRUCK:
            palette[Paint.BODY] = _vivid(rng) if rng.random() < 0.6 else palette[Paint.BODY]
            grey = float(rng.uniform(0.25, 0.8))
            palette[Paint.SECOND] = (grey,) * 3 if rng.random() < 0.6 else _vivid(rng)
            mesh = vehicles.truck(variant % vehicles.TRUCK_VARIANTS)
        case ObjectClass.BUS:
            palette[Paint.BODY] = _vivid(rng) if rng.random() < 0.7 else (0.75, 0.75, 0.75)
            palette[Paint.SECOND] = _vivid(rng)
            mesh = vehicles.bus(variant % vehicles.BUS_VARIANTS)
        case _:
            brown = float(rng.uniform(0.15, 0.5))
            palette[Paint.BODY] = (brown * 0.45, brown * 0.7, brown)
            palette[Paint.SECOND] = np.array((0.5, 0.55, 0.6)) * rng.uniform(0.4, 1.2)
            palette[Paint.PLATE] = (0.1, 0.4, 0.8)
            mesh = vehicles.obstacle(variant % vehicles.OBSTACLE_VARIANTS)
    return Look(lambda _phase: mesh, palette, 0.0)


def _palette(rng: np.random.Generator) -> Floats:
    palette = np.zeros((len(Paint), 3))
    palette[Paint.BODY] = _vivid(rng)
    palette[Paint.SECOND] = _vivid(rng)
    palette[Paint.GLASS] = np.array((0.09, 0.075, 0.06)) * rng.uniform(0.6, 2.0)
    palette[Paint.TYRE] = 0.03
    palette[Paint.TRIM] = 0.05
    palette[Paint.HEADLAMP] = (0.72, 0.72, 0.72)
    palette[Paint.TAILLAMP] = (0.05, 0.04, 0.38)
    palette[Paint.PLATE] = (0.55, 0.25, 0.08) if rng.random() < 0.7 else (0.3, 0.6, 0.3)
    palette[Paint.SKIN] = _SKIN[int(rng.integers(len(_SKIN)))]
    palette[Paint.HAIR] = _HAIR[int(rng.choice(len(_HAIR), p=(0.65, 0.2, 0.15)))]
    palette[Paint.TOP] = _cloth(rng)
    # Trousers: mostly dark, blue or grey.
    palette[Paint.LEGS] = np.array((0.16, 0.10, 0.07)) * rng.uniform(0.4, 2.5)
    palette[Paint.SHOES] = float(rng.uniform(0.03, 0.7))
    palette[Paint.METAL] = float(rng.uniform(0.3, 0.5))
    return palette


def _cloth(rng: np.random.Generator) -> Colour:
    """Tops: a third plain grey to white or black, most others muted, some bright."""
    if rng.random() < 0.35:
        grey = float(rng.uniform(0.03, 0.8))
        return grey, grey, grey
    red, green, blue = colorsys.hsv_to_rgb(
        float(rng.random()), float(rng.beta(2.0, 2.5)), float(rng.uniform(0.2, 0.85))
    )
    return blue**1.6, green**1.6, red**1.6


def _vivid(rng: np.random.Generator) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(
        float(rng.random()), float(rng.uniform(0.35, 0.95)), float(rng.uniform(0.25, 0.85))
    )
    # Reflectance, not display values: darker and wider apart.
    return blue**1.6, green**1.6, red**1.6
