"""Lamps of vehicles after dark: beams on the road, and the lights themselves with their glow.

Bodies and a lighting go in; `beams` brightens the road before anyone is painted, `glows` adds the
lights that are in sight afterwards. A `Scene` knows no accelerations: brake lights are on at
standstill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ObjectClass
from rsu.sim.render.light import Lighting
from rsu.sim.render.painter import Body
from rsu.sim.render.view import NEAR, View

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

_COARSE = 4
"""Beams and glows are soft: they are drawn at a quarter of the size."""
_BEAM = ((2.0, 22.0, 0.9, 3.2, 40), (2.0, 15.0, 0.8, 2.3, 60), (2.0, 9.0, 0.6, 1.5, 80))
"""Dipped beam as nested trapezoids: from, to, half width at either end (m), level; by eye."""
_HEIGHT = {
    ObjectClass.CAR: 0.42,
    ObjectClass.VAN: 0.33,
    ObjectClass.TRUCK: 0.26,
    ObjectClass.BUS: 0.24,
    ObjectClass.MOTORCYCLE: 0.55,
}
"""Height of the lamps over the vehicle's."""


@dataclass(frozen=True, eq=False)
class Lamp:
    """One lamp: where (3, m), whose body, ahead or rear, how strong (1 a dipped beam)."""

    position: Floats
    body: int
    ahead: bool
    strength: float


def lamps_of(
    bodies: Sequence[Body], classes: Sequence[ObjectClass], speeds: Sequence[float], view: View
) -> list[Lamp]:
    """Lamps that look towards the camera."""
    result = []
    for index, (body, object_class, speed) in enumerate(zip(bodies, classes, speeds, strict=True)):
        height = _HEIGHT.get(object_class)
        if height is None:
            continue
        forward = np.array([np.cos(body.heading), np.sin(body.heading), 0.0])
        left = np.array([-forward[1], forward[0], 0.0])
        to_camera = view.position - body.position
        turned = float(forward @ to_camera) / float(np.linalg.norm(to_camera))
        sides = (0.0,) if object_class is ObjectClass.MOTORCYCLE else (-0.37, 0.37)
        ahead = turned > 0.0
        if abs(turned) < 0.12:
            continue
        for side in sides:
            position = body.position + (1 if ahead else -1) * forward * body.size[0] * 0.49
            position = position + left * side * body.size[1]
            position[2] = height * body.size[2] * (1.0 if ahead else 1.25)
            # Tail lamps are some tenth of a dipped beam; braking makes them three times brighter.
            strength = abs(turned) ** 0.5 if ahead else (0.6 if speed < 0.3 else 0.3)
            result.append(Lamp(position, index, ahead, strength))
    return result


def beams(
    image: Image, albedo: Image, bodies: Sequence[Body], classes: Sequence[ObjectClass],
    view: View, dark: float,
) -> None:  # fmt: skip
    """Brighten the road before every vehicle."""
    layer = np.zeros((view.height // _COARSE, view.width // _COARSE), dtype=np.uint8)
    outlines: list[Floats] = []
    levels: list[int] = []
    for body, object_class in zip(bodies, classes, strict=True):
        if object_class not in _HEIGHT:
            continue
        forward = np.array([np.cos(body.heading), np.sin(body.heading), 0.0])
        left = np.array([-forward[1], forward[0], 0.0])
        nose = body.position + forward * body.size[0] / 2
        for start, end, narrow, wide, level in _BEAM:
            ends = (start, narrow), (end, wide), (end, -wide), (start, -narrow)
            outlines.extend(nose + forward * along + left * across for along, across in ends)
            levels.append(int(level * dark))
    if not outlines:
        return
    pixels, depth = view.project(np.array(outlines))
    corners = np.clip(pixels / _COARSE * 16, -(1 << 18), 1 << 18).astype(np.int32)
    for outline, ahead, level in zip(
        corners.reshape(-1, 4, 2), depth.reshape(-1, 4) > NEAR, levels, strict=True
    ):
        if ahead.all():
            spot = np.zeros_like(layer)
            cv2.fillConvexPoly(spot, outline, level, cv2.LINE_AA, 4)
            cv2.add(layer, spot, layer)
    soft = cv2.resize(cv2.GaussianBlur(layer, (0, 0), 1.5), (view.width, view.height))
    lit = cv2.multiply(albedo, cv2.merge((soft, soft, soft)), scale=1 / 200.0)
    cv2.add(image, lit, image)


def glows(image: Image, mask: Image, lamps: Sequence[Lamp], view: View, light: Lighting) -> None:
    """Add the lamps that are in sight: a bright core, a halo, and on a wet road a reflection."""
    if not lamps:
        return
    positions = np.array([lamp.position for lamp in lamps])
    mirrored = positions * np.array([1.0, 1.0, -1.0])
    pixels, depth = view.project(np.concatenate((positions, mirrored)))
    away = np.linalg.norm(positions - view.position, axis=1)
    passed = light.transmission(away)
    halo = np.zeros((view.height // _COARSE, view.width // _COARSE, 3), dtype=np.uint8)
    for index, lamp in enumerate(lamps):
        x, y = pixels[index].tolist()
        column, row = int(x), int(y)
        if depth[index] < NEAR or not (0 <= column < view.width and 0 <= row < view.height):
            continue
        around = mask[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        if not (around == lamp.body + 1).any():
            continue
        strength = lamp.strength * float(passed[index]) * (0.4 + 0.6 * light.dark)
        colour = (255.0, 250.0, 235.0) if lamp.ahead else (35.0, 25.0, 255.0)
        radius = float(np.clip(view.focal * 0.09 / away[index], 0.6, 4.0))
        core = tuple(value * min(1.0, 0.4 + strength) for value in colour)
        cv2.circle(image, (round((x - 0.5) * 16), round((y - 0.5) * 16)), round(radius * 16), core,
                   -1, cv2.LINE_AA, 4)  # fmt: skip
        spread = float(np.clip(view.focal * 0.28 / away[index] / _COARSE, 0.5, 4.0))
        soft = tuple(value * min(1.0, 0.75 * strength) for value in colour)
        centre = (round(x / _COARSE * 16), round(y / _COARSE * 16))
        cv2.circle(halo, centre, round(spread * 16), soft, -1, cv2.LINE_AA, 4)
        if light.wet > 0.2:
            u, v = pixels[len(lamps) + index].tolist()
            below = (round(u / _COARSE * 16), round(v / _COARSE * 16))
            faint = tuple(value * 0.3 * strength * light.wet for value in colour)
            cv2.line(halo, centre, below, faint, 1, cv2.LINE_AA, 4)
    soft_halo = cv2.resize(cv2.GaussianBlur(halo, (0, 0), 1.6), (view.width, view.height))
    cv2.add(image, soft_halo, image)
