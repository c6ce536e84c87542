"""Shapes of living things: walkers, riders on two wheels, animals, each in phases of its motion.

A phase is an eighth of a step cycle (or of a turn of the pedals); `STANDING` is none. Proportions
follow the usual segment lengths of adults (Winter, Biomechanics of Human Movement, fig. 4.1: leg
0.53, shoulder height 0.82, head 0.13 of the stature).
"""

from __future__ import annotations

import math
from functools import cache

from rsu.sim.render.mesh import Builder, Mesh, Paint

PHASES = 8
STANDING = -1
WALKER_VARIANTS, RIDER_VARIANTS, ANIMAL_VARIANTS = 5, 3, 2


@cache
def walker(variant: int, phase: int) -> Mesh:
    """0 and 1 trousers, 2 skirt, 3 backpack, 4 umbrella or bag at the side; 1.68 m tall."""
    swing = 0.0 if phase == STANDING else math.sin(2 * math.pi * phase / PHASES)
    lift = 0.0 if phase == STANDING else math.cos(2 * math.pi * phase / PHASES)
    b = Builder()
    hip, shoulder = 0.86, 1.38
    for side in (-1, 1):
        turn = side * swing
        y = side * 0.10
        knee = (0.20 * turn + 0.05, y, 0.47)
        foot = (0.30 * turn - 0.02, y, 0.07 + 0.08 * max(0.0, side * lift) * (1 - abs(turn)))
        b.limb((0.0, y, hip), knee, (0.19, 0.14), Paint.LEGS, 0)
        b.limb(knee, foot, (0.14, 0.10), Paint.LEGS if variant != 2 else Paint.SKIN, 0)
        x, _, z = foot
        b.block((x - 0.08, x + 0.17, y - 0.05, y + 0.05, z - 0.07),
                (x - 0.07, x + 0.10, y - 0.04, y + 0.04, z + 0.02), Paint.SHOES, 0)  # fmt: skip
        hand = (-0.26 * turn + 0.06, side * 0.27, 0.86)
        elbow = (-0.12 * turn - 0.03, side * 0.27, 1.10)
        b.limb((0.0, side * 0.22, shoulder - 0.03), elbow, (0.12, 0.10), Paint.TOP, 1)
        b.limb(elbow, hand, (0.10, 0.08), Paint.SKIN if variant == 1 else Paint.TOP, 1)
    if variant == 2:
        b.block((-0.20, 0.20, -0.22, 0.22, 0.50), (-0.13, 0.13, -0.16, 0.16, 1.0), Paint.LEGS, 1)
    b.block((-0.12, 0.12, -0.17, 0.17, 0.80), (-0.12, 0.12, -0.23, 0.23, 1.42), Paint.TOP, 1)
    _head(b, 0.02, 1.42, 1.68, Paint.HAIR, 2)
    if variant == 3:
        b.block((-0.30, -0.12, -0.16, 0.16, 0.95), (-0.26, -0.12, -0.14, 0.14, 1.40),
                Paint.SECOND, 1)  # fmt: skip
    if variant == 4:
        b.block((-0.18, 0.18, 0.30, 0.38, 0.62), (-0.14, 0.14, 0.31, 0.37, 0.88), Paint.SECOND, 1)
    return b.finish((0.6, 0.6, 1.68))


@cache
def cyclist(variant: int, phase: int) -> Mesh:
    """A bicycle with its rider; 0 upright, 1 sporty, 2 with a delivery box behind."""
    b = Builder()
    for x in (-0.53, 0.53):
        b.rim((x, 0.0, 0.34), 0.34, 0.07, Paint.TYRE)
    crank, seat, bar = (-0.05, 0.0, 0.30), (-0.22, 0.0, 0.90), (0.42, 0.0, 1.0)
    for start, end in ((crank, seat), (crank, (0.38, 0.0, 0.82)), (seat, (0.38, 0.0, 0.84)),
                       (crank, (-0.53, 0.0, 0.34)), (bar, (0.53, 0.0, 0.34))):  # fmt: skip
        b.limb(start, end, (0.06, 0.06), Paint.BODY, 1)
    b.limb((0.40, -0.27, 1.02), (0.40, 0.27, 1.02), (0.04, 0.04), Paint.TRIM, 1, 20)
    lean = 0.12 if variant != 1 else 0.32
    angle = 0.0 if phase == STANDING else 2 * math.pi * phase / PHASES
    _rider(b, (-0.22, 0.93), (-0.10 + lean, 1.42), (0.38, 1.04), crank, angle, 0.17, Paint.HAIR)
    if variant == 2:
        b.block((-0.75, -0.32, -0.24, 0.24, 0.86), (-0.75, -0.32, -0.24, 0.24, 1.3),
                Paint.SECOND, 2)  # fmt: skip
    return b.finish((1.75, 0.6, 1.72))


@cache
def motorcyclist(variant: int, phase: int) -> Mesh:
    """0 motorcycle, 1 scooter with a leg shield, 2 scooter with a box and a passenger's seat."""
    del phase  # nobody pedals
    b = Builder()
    radius = 0.31 if variant == 0 else 0.25
    for x in (-0.70, 0.72):
        b.disc((x, 0.0, radius), radius, 0.13, Paint.TYRE, 0, Paint.METAL, 16.0)
    b.block((-0.85, 0.55, -0.15, 0.15, 0.28), (-0.95, 0.40, -0.14, 0.14, 0.72), Paint.BODY, 1)
    shield = b.block((0.48, 0.72, -0.20, 0.20, 0.40), (0.36, 0.55, -0.17, 0.17, 1.0), Paint.BODY, 1)
    b.decal(shield, 3, (0.25, 0.75), (0.6, 0.9), Paint.HEADLAMP, 9)
    tail = b.block((-1.02, -0.80, -0.10, 0.10, 0.55), (-1.05, -0.8, -0.1, 0.1, 0.75), Paint.TRIM, 1)
    b.decal(tail, 2, (0.0, 1.0), (0.1, 0.9), Paint.TAILLAMP, 9)
    b.limb((0.42, -0.38, 1.03), (0.42, 0.38, 1.03), (0.05, 0.05), Paint.TRIM, 1)
    b.block((-0.70, 0.12, -0.14, 0.14, 0.70), (-0.70, 0.10, -0.13, 0.13, 0.80), Paint.TRIM, 1)
    lean = 0.18 if variant == 0 else 0.05
    _rider(b, (-0.20, 0.80), (-0.15 + lean, 1.28), (0.38, 1.05), (0.10, 0.0, 0.32), None, 0.20,
           Paint.SECOND)  # fmt: skip
    if variant == 2:
        b.block((-1.02, -0.55, -0.24, 0.24, 0.80), (-1.02, -0.55, -0.24, 0.24, 1.25),
                Paint.SECOND, 2)  # fmt: skip
    return b.finish((2.1, 0.8, 1.55))


@cache
def animal(variant: int, phase: int) -> Mesh:
    """A dog-like (0) or a stockier, sheep-like (1) four-legged animal."""
    b = Builder()
    swing = 0.0 if phase == STANDING else math.sin(2 * math.pi * phase / PHASES)
    thick = 0.09 if variant == 0 else 0.16
    for x, turn in ((-0.26, 1), (0.24, -1)):
        for side in (-1, 1):
            foot = (x + 0.10 * swing * turn * side, side * 0.09, 0.0)
            b.limb((x, side * 0.09, 0.38), foot, (0.09, 0.06), Paint.BODY, 0)
    b.block((-0.36, 0.34, -thick - 0.03, thick + 0.03, 0.30),
            (-0.34, 0.34, -thick, thick, 0.58), Paint.BODY, 1)  # fmt: skip
    b.limb((0.30, 0.0, 0.50), (0.44, 0.0, 0.66), (0.16, 0.14), Paint.BODY, 2)
    b.block((0.36, 0.66, -0.07, 0.07, 0.58), (0.36, 0.52, -0.07, 0.07, 0.75), Paint.SECOND, 2)
    b.limb((-0.34, 0.0, 0.54), (-0.52, 0.0, 0.66), (0.06, 0.03), Paint.BODY, 1)
    return b.finish((1.1, 0.4, 0.75))


def _head(b: Builder, x: float, low: float, high: float, hair: Paint, level: int) -> None:
    """Neck, face and a cap of hair (or a helmet) over it."""
    tall = high - low
    b.limb((x - 0.02, 0.0, low - 0.06), (x, 0.0, low + 0.3 * tall), (0.11, 0.11), Paint.SKIN, level)
    middle = low + 0.55 * tall
    b.block((x - 0.08, x + 0.10, -0.07, 0.07, low + 0.12 * tall),
            (x - 0.10, x + 0.11, -0.09, 0.09, middle), Paint.SKIN, level + 1)  # fmt: skip
    b.block((x - 0.12, x + 0.11, -0.095, 0.095, middle), (x - 0.08, x + 0.06, -0.06, 0.06, high),
            hair, level + 2)  # fmt: skip


def _rider(
    b: Builder, seat: tuple[float, float], shoulder: tuple[float, float],
    grip: tuple[float, float], crank: tuple[float, float, float], angle: float | None,
    spread: float, hair: Paint,
) -> None:  # fmt: skip
    """Someone sitting at `seat` (x, z) with the shoulders at `shoulder` and hands at `grip`."""
    for side in (-1, 1):
        y = side * 0.10
        if angle is None:
            foot = (crank[0] + 0.12, side * 0.18, 0.33)
        else:
            turn = angle + (0.0 if side < 0 else math.pi)
            foot = (crank[0] + 0.17 * math.cos(turn), y, crank[2] + 0.17 * math.sin(turn) + 0.02)
        hip = (seat[0], y, seat[1])
        knee = ((hip[0] + foot[0]) / 2 + 0.22, y + side * 0.04, (hip[2] + foot[2]) / 2 + 0.10)
        b.limb(hip, knee, (0.18, 0.14), Paint.LEGS, 2)
        b.limb(knee, foot, (0.14, 0.10), Paint.LEGS, 2)
        b.block((foot[0] - 0.08, foot[0] + 0.14, foot[1] - 0.05, foot[1] + 0.05, foot[2] - 0.06),
                (foot[0] - 0.08, foot[0] + 0.1, foot[1] - 0.05, foot[1] + 0.05, foot[2] + 0.03),
                Paint.SHOES, 2)  # fmt: skip
        elbow = (
            (shoulder[0] + grip[0]) / 2,
            side * (spread + 0.10),
            (shoulder[1] + grip[1]) / 2 - 0.06,
        )
        b.limb((shoulder[0], side * spread, shoulder[1] - 0.04), elbow, (0.12, 0.10), Paint.TOP, 3)
        b.limb(elbow, (grip[0], side * 0.25, grip[1]), (0.10, 0.08), Paint.TOP, 3)
    x0, x1 = seat[0], shoulder[0]
    wide = spread + 0.03
    b.block((x0 - 0.12, x0 + 0.12, -0.16, 0.16, seat[1] - 0.06),
            (x1 - 0.12, x1 + 0.11, -wide, wide, shoulder[1]), Paint.TOP, 3)  # fmt: skip
    _head(b, shoulder[0] + 0.05, shoulder[1] + 0.02, shoulder[1] + 0.29, hair, 4)
