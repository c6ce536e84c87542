"""What stands still, painted once per light and weather: ground, sky and static occluders.

A view, the ground's atlas and a lighting go in; out come the picture without movers, the distance
of the static occluder at every pixel (infinite where there is none), and the reflectance that
lamps may brighten.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rsu.sim.render.ground import Ground
from rsu.sim.render.light import GAMMA, Lighting
from rsu.sim.render.view import View

Floats = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]

_FINE = 2
"""Sub-pixels per pixel and direction when the ground is sampled."""


@dataclass(frozen=True, eq=False)
class Backdrop:
    """`image` H×W×3 without movers; `distance` H×W float32, m, of static occluders, inf elsewhere;
    `albedo` H×W×3: how bright full white light would show what lies there."""

    image: Image
    distance: npt.NDArray[np.float32]
    albedo: Image


class Stage:
    """The static world in front of one camera, independent of light and weather."""

    def __init__(self, view: View, ground: Ground, rng: np.random.Generator) -> None:
        self.height, self.width = view.height, view.width
        points, seen, slope = view.ground(_FINE)
        offset = points - view.position[:2]
        flat = np.hypot(offset[:, 0], offset[:, 1])
        distance = np.hypot(flat, view.position[2])
        # A pixel's length on the ground: height over the sine squared of the viewing angle.
        footprint = distance**2 / (view.position[2] * view.focal * _FINE)
        albedo = ground.sample(points, np.where(seen, footprint, 0.0)) ** np.float32(GAMMA)
        shape = (self.height * _FINE, self.width * _FINE)
        self._seen = seen.reshape(shape)
        self._range = np.where(seen, distance, np.inf).reshape(shape)
        self._albedo = albedo.reshape(*shape, 3)
        self._points = points.reshape(*shape, 2)
        self._slope = slope.reshape(shape)
        clouds = rng.standard_normal((6, 10)).astype(np.float32)
        self._clouds = cv2.resize(clouds, shape[::-1], interpolation=cv2.INTER_CUBIC)

    def paint(self, light: Lighting, ground_light: Floats | None = None) -> Backdrop:
        """The backdrop under a lighting."""
        del ground_light
        gain = light.ambient + light.sun * max(float(light.direction[2]), 0.0)
        passed = light.transmission(self._range)[..., np.newaxis]
        ground = self._albedo * gain * passed + light.haze * (1.0 - passed)
        rise = np.clip(self._slope * 2.5, 0.0, 1.0)[..., np.newaxis]
        sky = light.sky_low * (1 - rise) + light.sky_top * rise
        sky = sky * (1.0 + 0.06 * self._clouds[..., np.newaxis])
        thick = light.transmission(np.array([4000.0]))[0]
        sky = sky * thick + light.haze * (1.0 - thick)
        full = np.where(self._seen[..., np.newaxis], ground, sky)
        image = cv2.resize(full, (self.width, self.height), interpolation=cv2.INTER_AREA)
        albedo = cv2.resize(
            np.where(self._seen[..., np.newaxis], self._albedo * passed, 0.0),
            (self.width, self.height),
            interpolation=cv2.INTER_AREA,
        )
        return Backdrop(
            np.clip(image * 255.0, 0, 255).astype(np.uint8),
            np.full((self.height, self.width), np.inf, dtype=np.float32),
            np.clip(albedo * 255.0, 0, 255).astype(np.uint8),
        )
