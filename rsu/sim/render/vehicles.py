"""Shapes of vehicles with a body: cars, vans, trucks and buses, and things that lie on the road.

Built once per variant in metres at a nominal size and stretched to each object's own. Proportions
are those of ordinary production vehicles, judged by eye.
"""

from __future__ import annotations

from functools import cache

from rsu.sim.render.mesh import Builder, Mesh, Paint

REAR, FRONT, RIGHT, LEFT, TOP = 2, 3, 4, 5, 1
"""Sides of a `Builder.block`."""

CAR_VARIANTS, VAN_VARIANTS, TRUCK_VARIANTS, BUS_VARIANTS, OBSTACLE_VARIANTS = 4, 2, 4, 2, 4


@cache
def car(variant: int) -> Mesh:
    """0 saloon, 1 hatchback, 2 SUV, 3 estate."""
    size = (4.6, 1.82, 1.5 if variant != 2 else 1.7)
    waist, high = (0.88, 1.45) if variant != 2 else (1.02, 1.70)
    rear = {0: (-1.75, -1.05), 1: (-2.2, -1.75), 2: (-2.25, -1.95), 3: (-2.25, -1.95)}[variant]
    front = {0: (0.95, 0.30), 1: (1.05, 0.35), 2: (1.05, 0.45), 3: (0.95, 0.30)}[variant]
    b = Builder()
    _wheels(b, (-1.38, 1.42), 0.91, 0.33, 0.22)
    b.block((-2.2, 2.2, -0.8, 0.8, 0.18), (-2.2, 2.2, -0.8, 0.8, 0.35), Paint.TRIM)
    body = b.block(
        (-2.3, 2.3, -0.89, 0.89, 0.28), (-2.26, 2.2, -0.86, 0.86, waist), Paint.BODY, 1,
        front=waist - 0.12,
    )  # fmt: skip
    cabin = b.block(
        (rear[0], front[0], -0.82, 0.82, waist - 0.04), (rear[1], front[1], -0.62, 0.62, high),
        Paint.BODY, 2,
    )  # fmt: skip
    _lamps(b, body, (0.55, 0.82), (0.5, 0.8), 0.2)
    b.decal(body, FRONT, (0.28, 0.72), (0.2, 0.6), Paint.TRIM, 22)
    b.decal(body, REAR, (0.36, 0.64), (0.35, 0.55), Paint.PLATE, 26)
    for side in (RIGHT, LEFT):
        b.decal(cabin, side, (0.07, 0.47), (0.12, 0.86), Paint.GLASS, 7)
        b.decal(cabin, side, (0.52, 0.92), (0.12, 0.86), Paint.GLASS, 7)
        b.decal(body, side, (0.0, 1.0), (0.0, 0.12), Paint.TRIM, 26)
    b.decal(cabin, FRONT, (0.05, 0.95), (0.08, 0.92), Paint.GLASS, 5)
    b.decal(cabin, REAR, (0.08, 0.92), (0.15, 0.9), Paint.GLASS, 5)
    for y in (-0.95, 0.95):
        b.block((0.55, 0.72, y - 0.06, y + 0.06, 0.85), (0.55, 0.7, y - 0.06, y + 0.06, 1.0),
                Paint.BODY, 2, 40)  # fmt: skip
    return b.finish(size)


@cache
def van(variant: int) -> Mesh:
    """0 panel van, 1 minibus."""
    b = Builder()
    _wheels(b, (-1.6, 1.6), 0.97, 0.35, 0.22)
    b.block((-2.5, 2.5, -0.9, 0.9, 0.2), (-2.5, 2.5, -0.9, 0.9, 0.4), Paint.TRIM)
    body = b.block((-2.6, 2.6, -0.99, 0.99, 0.3), (-2.6, 2.4, -0.98, 0.98, 1.1), Paint.BODY, 1)
    top = b.block((-2.6, 2.35, -0.98, 0.98, 1.08), (-2.55, 1.5, -0.88, 0.88, 2.2), Paint.BODY, 2)
    _lamps(b, body, (0.35, 0.7), (0.5, 0.85), 0.16)
    b.decal(body, FRONT, (0.25, 0.75), (0.2, 0.5), Paint.TRIM, 24)
    b.decal(top, FRONT, (0.06, 0.94), (0.1, 0.8), Paint.GLASS, 5)
    b.decal(top, REAR, (0.1, 0.9), (0.35, 0.85), Paint.GLASS, 6)
    for side in (RIGHT, LEFT):
        b.decal(top, side, (0.76, 0.93), (0.1, 0.68), Paint.GLASS, 7)
        if variant == 1:
            for start in (0.06, 0.29, 0.52):
                b.decal(top, side, (start, start + 0.2), (0.2, 0.7), Paint.GLASS, 9)
    return b.finish((5.2, 1.98, 2.2))


@cache
def truck(variant: int) -> Mesh:
    """0 box body, 1 tipper, 2 flat bed with a load, 3 curtain side in two colours."""
    b = Builder()
    _wheels(b, (-2.6, -1.5, 2.7), 1.22, 0.5, 0.3)
    b.block((-3.9, 3.9, -0.9, 0.9, 0.5), (-3.9, 3.9, -0.9, 0.9, 0.95), Paint.TRIM)
    height = 2.75 if variant != 1 else 2.9
    cab = b.block((2.1, 4.0, -1.15, 1.15, 0.45), (2.1, 3.8, -1.1, 1.1, height), Paint.BODY, 1)
    if variant in (0, 3):
        body = b.block((-4.0, 1.95, -1.22, 1.22, 0.95), (-4.0, 1.95, -1.22, 1.22, 3.2),
                       Paint.SECOND, 1)  # fmt: skip
        if variant == 3:
            for side in (RIGHT, LEFT):
                b.decal(body, side, (0.03, 0.97), (0.12, 0.45), Paint.BODY, 12)
        b.decal(body, REAR, (0.49, 0.51), (0.03, 0.97), Paint.TRIM, 24)
    elif variant == 1:
        body = b.block((-3.7, 1.95, -1.1, 1.1, 0.95), (-4.0, 1.95, -1.22, 1.22, 2.5), Paint.BODY, 1)
        b.decal(body, TOP, (0.04, 0.96), (0.08, 0.92), Paint.SECOND, 8)
        for side in (RIGHT, LEFT):
            for start in (0.2, 0.4, 0.6, 0.8):
                b.decal(body, side, (start, start + 0.03), (0.0, 1.0), Paint.TRIM, 26)
        b.block((1.7, 2.4, -1.1, 1.1, 2.5), (1.7, 2.9, -1.1, 1.1, 3.2), Paint.BODY, 2)
    else:
        body = b.block((-4.0, 1.95, -1.22, 1.22, 0.95), (-4.0, 1.95, -1.22, 1.22, 1.3),
                       Paint.TRIM, 1)  # fmt: skip
        b.block((-3.4, -1.2, -1.0, 1.0, 1.3), (-3.4, -1.2, -1.0, 1.0, 2.5), Paint.SECOND, 2)
        b.block((-0.9, 1.5, -1.0, 1.0, 1.3), (-0.9, 1.5, -1.0, 1.0, 3.2), Paint.SECOND, 2)
    _lamps(b, cab, (0.06, 0.16), (0.1, 0.2), 0.16)
    for side in (0, 1):
        across = (0.02, 0.14) if side == 0 else (0.86, 0.98)
        b.decal(body, REAR, across, (0.0, 0.1 if variant != 2 else 0.8), Paint.TAILLAMP, 10)
    b.decal(cab, FRONT, (0.07, 0.93), (0.48, 0.86), Paint.GLASS, 6)
    b.decal(cab, FRONT, (0.15, 0.85), (0.2, 0.38), Paint.TRIM, 24)
    for side in (RIGHT, LEFT):
        b.decal(cab, side, (0.3, 0.85), (0.5, 0.84), Paint.GLASS, 8)
    return b.finish((8.0, 2.45, 3.2))


@cache
def bus(variant: int) -> Mesh:
    """0 city bus, 1 coach with a raised floor."""
    b = Builder()
    _wheels(b, (-2.9, 3.1), 1.25, 0.5, 0.3)
    b.block((-5.4, 5.4, -1.15, 1.15, 0.25), (-5.4, 5.4, -1.15, 1.15, 0.5), Paint.TRIM)
    body = b.block((-5.6, 5.6, -1.25, 1.25, 0.35), (-5.58, 5.45, -1.2, 1.2, 3.1), Paint.BODY, 1)
    low, high = (0.36, 0.78) if variant == 0 else (0.48, 0.86)
    for side in (RIGHT, LEFT):
        b.decal(body, side, (0.0, 1.0), (0.06, 0.2), Paint.SECOND, 14)
        b.decal(body, side, (0.03, 0.97), (low, high), Paint.GLASS, 6)
        for index in range(1, 7):
            start = 0.03 + 0.94 * index / 7
            b.decal(body, side, (start - 0.005, start + 0.005), (low, high), Paint.BODY, 26)
    for start in (0.44, 0.86):
        b.decal(body, RIGHT, (start, start + 0.08), (0.05, high), Paint.GLASS, 20)
    b.decal(body, FRONT, (0.05, 0.95), (0.32, 0.8), Paint.GLASS, 5)
    b.decal(body, FRONT, (0.2, 0.8), (0.84, 0.95), Paint.TRIM, 12)
    b.decal(body, REAR, (0.12, 0.88), (0.5, 0.82), Paint.GLASS, 8)
    b.decal(body, REAR, (0.2, 0.8), (0.1, 0.35), Paint.TRIM, 22)
    b.decal(body, TOP, (0.55, 0.8), (0.25, 0.75), Paint.METAL, 14)
    b.decal(body, TOP, (0.15, 0.35), (0.3, 0.7), Paint.METAL, 14)
    _lamps(b, body, (0.12, 0.19), (0.1, 0.22), 0.16)
    return b.finish((11.2, 2.52, 3.1))


@cache
def obstacle(variant: int) -> Mesh:
    """0 crate, 1 heap of debris, 2 barrel-like drum, 3 plank and sack."""
    b = Builder()
    if variant == 0:
        body = b.block((-0.5, 0.5, -0.5, 0.5, 0), (-0.5, 0.5, -0.5, 0.5, 1), Paint.BODY)
        for side in (REAR, FRONT, RIGHT, LEFT, TOP):
            b.decal(body, side, (0.45, 0.55), (0, 1), Paint.SECOND, 10)
    elif variant == 1:
        b.block((-0.5, 0.2, -0.5, 0.4, 0), (-0.35, 0.05, -0.3, 0.25, 0.7), Paint.BODY)
        b.block((-0.1, 0.5, -0.3, 0.5, 0), (0.0, 0.35, -0.1, 0.3, 1.0), Paint.SECOND)
        b.block((0.1, 0.45, -0.5, -0.2, 0), (0.15, 0.4, -0.45, -0.25, 0.4), Paint.BODY)
    elif variant == 2:
        body = b.block((-0.5, 0.5, -0.5, 0.5, 0), (-0.4, 0.4, -0.4, 0.4, 1), Paint.BODY)
        for side in (REAR, FRONT, RIGHT, LEFT):
            b.decal(body, side, (0, 1), (0.4, 0.7), Paint.PLATE, 10)
    else:
        b.block((-0.5, 0.5, -0.1, 0.15, 0), (-0.5, 0.5, -0.1, 0.15, 0.35), Paint.SECOND)
        b.block((-0.4, 0.1, -0.5, 0.5, 0.1), (-0.3, 0.0, -0.35, 0.35, 1.0), Paint.BODY, 1)
    return b.finish((1.0, 1.0, 1.0))


def _wheels(b: Builder, axles: tuple[float, ...], y: float, radius: float, width: float) -> None:
    for x in axles:
        for side in (-1, 1):
            b.disc((x, side * (y - width / 2), radius), radius, width, Paint.TYRE, 0, Paint.METAL,
                   30.0)  # fmt: skip


def _lamps(
    b: Builder, part: int, front: tuple[float, float], rear: tuple[float, float], width: float
) -> None:
    """A pair of head and of tail lamps on a body's ends: heights as shares of those faces."""
    for across in ((0.03, 0.03 + width), (0.97 - width, 0.97)):
        b.decal(part, FRONT, across, front, Paint.HEADLAMP, 9)
        b.decal(part, REAR, across, rear, Paint.TAILLAMP, 9)
