"""What stands still, painted once per light and weather: ground, scenery and sky.

A view, the ground's atlas and the scenery go in; out come the picture without movers, how far the
static occluder at every pixel is (infinite where there is none), the reflectance that lamps may
brighten, and where the sun does not reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from rsu.sim.render.ground import Ground
from rsu.sim.render.light import GAMMA, Lighting
from rsu.sim.render.scenery import LAMP_HEIGHT, Item, Scenery, unblocked
from rsu.sim.render.view import NEAR, View

Floats = npt.NDArray[np.float64]
Picture32 = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]

_FINE = 2
"""Sub-pixels per pixel and direction; what lies nearer than one of them is averaged."""
LAMP_COLOUR = np.array([0.24, 0.34, 0.40])
"""BGR of a street lamp's light right below it, display units: warm white."""
_LIT_WINDOW = np.array([0.40, 0.68, 0.85])
_SUN_SHARE = 0.85
"""Share of sun a shadow takes; the rest comes around the edges."""


@dataclass(frozen=True, eq=False)
class Backdrop:
    """`image` H×W×3 without movers; `distance` H×W float32, m, of static occluders, inf elsewhere;
    `albedo` H×W×3: how bright full white light would show what lies there, through the air;
    `shaded` H×W: share of the sun's light that static things take from the ground; `lamps` L×3, m:
    where street lamps hang."""

    image: Image
    distance: Picture32
    albedo: Image
    shaded: Picture32
    lamps: Floats


def lamp_light(lamps: Floats, points: Floats) -> Floats:
    """Light of street lamps L×3 at ground points N×2, 1 right below one: N."""
    total = np.zeros(len(points))
    for lamp in lamps:
        square = ((points - lamp[:2]) ** 2).sum(axis=1)
        # A horizontal surface under a point light, wider by the lens that spreads it (factor 2).
        total += (1.0 + square / (2.0 * LAMP_HEIGHT**2)) ** -1.5
    return total


class Stage:
    """The static world in front of one camera, independent of light and weather."""

    def __init__(
        self, view: View, ground: Ground, scenery: Scenery, rng: np.random.Generator
    ) -> None:
        self._view = view
        self.height, self.width = view.height, view.width
        points, seen, slope = view.ground(_FINE)
        distance = np.hypot(np.hypot(*(points - view.position[:2]).T), view.position[2])
        # A pixel's length on the ground: a mean of across the view and along it.
        across = distance / (view.focal * _FINE)
        along = distance**2 / (view.position[2] * view.focal * _FINE)
        footprint = np.where(seen, np.sqrt(across * along), 0.0)
        self._shape = (self.height * _FINE, self.width * _FINE)
        self._seen = seen.reshape(self._shape)
        self._range = np.where(seen, distance, 1e6).reshape(self._shape).astype(np.float32)
        self._albedo = ground.sample(points, footprint).reshape(*self._shape, 3)
        self._slope = slope.reshape(self._shape).astype(np.float32)
        clouds = cv2.resize(
            rng.standard_normal((9, 14)).astype(np.float32), self._shape[::-1],
            interpolation=cv2.INTER_CUBIC,
        )  # fmt: skip
        self._clouds = np.asarray(clouds, np.float32)
        self.lamps = scenery.lamps
        # Lamplight is soft: every fourth pixel will do.
        step = 4 * _FINE
        coarse = points.reshape(*self._shape, 2)[::step, ::step]
        near = scenery.lamps[np.hypot(*(scenery.lamps[:, :2] - view.position[:2]).T) < 150.0]
        lit = lamp_light(near, coarse.reshape(-1, 2)).reshape(coarse.shape[:2]).astype(np.float32)
        self._lamplight = np.asarray(cv2.resize(lit, self._shape[::-1]), np.float32)
        self._place(unblocked(scenery, view))

    def _place(self, items: tuple[Item, ...]) -> None:
        """Project the scenery once; quads from far to near."""
        view = self._view
        self._items = items
        self._distance = np.full((self.height, self.width), np.inf, dtype=np.float32)
        quads = [item.quads for item in items] or [np.empty((0, 4, 3))]
        every = np.concatenate(quads)
        pixels, depth = view.project(every.reshape(-1, 3))
        pixels = np.clip(pixels, -8000.0, 8000.0).reshape(-1, 4, 2)
        ahead = (depth.reshape(-1, 4) > NEAR).all(axis=1)
        on_image = (
            (pixels.max(axis=1) > 0.0).all(axis=1)
            & (pixels[..., 0].min(axis=1) < view.width)
            & (pixels[..., 1].min(axis=1) < view.height)
        )
        a, b, c = every[:, 0], every[:, 1], every[:, 2]
        normal = np.cross(b - a, c - a)
        normal /= np.maximum(np.linalg.norm(normal, axis=1), 1e-9)[:, np.newaxis]
        centre = every.mean(axis=1)
        facing = np.einsum("ij,ij->i", normal, view.position - centre) > 0.0
        owner = np.repeat(np.arange(len(items)), [len(item.quads) for item in items])
        keep = np.flatnonzero(ahead & on_image & facing)
        away = np.array(
            [float(np.hypot(*(item.foot - view.position[:2]).T).min()) for item in items]
        )
        # From item to item by distance; within one as built after hidden sides are gone, so that
        # windows come after their walls; crowns by distance too.
        face = np.linalg.norm(centre - view.position, axis=1)
        leafy = np.array([item.leafy for item in items], dtype=bool)
        within = np.where(leafy[owner[keep]], -face[keep], 0.0) if len(items) else np.empty(0)
        keep = keep[np.lexsort((keep, within, owner[keep], -away[owner[keep]]))]
        self._pixels = np.round((pixels[keep] * _FINE - 0.5) * 16).astype(np.int32)
        self._normal = normal[keep]
        colours = [item.colour for item in items] or [np.empty((0, 3))]
        glows = [item.glow for item in items] or [np.empty(0)]
        self._colour = np.concatenate(colours)[keep] ** GAMMA
        self._glow = np.concatenate(glows)[keep]
        self._away = face[keep]
        fine = np.full(self._shape, np.inf, dtype=np.float32)
        for corners, far in zip(self._pixels, self._away.tolist(), strict=True):
            cv2.fillConvexPoly(fine, corners, far, cv2.LINE_8, 4)
        self._fine_distance = fine
        cells = fine.reshape(self.height, _FINE, self.width, _FINE)
        self._distance = cells.min(axis=(1, 3))

    def paint(self, light: Lighting) -> Backdrop:
        """The backdrop under a lighting."""
        shade = self._shade(light)
        sun = light.sun * max(float(light.direction[2]), 0.0)
        passed = light.transmission(self._range.astype(np.float64))[..., np.newaxis].astype(
            np.float32
        )
        gain = light.ambient + sun * (1.0 - _SUN_SHARE * shade[..., np.newaxis])
        if light.dark > 0.0:
            gain = gain + self._lamplight[..., np.newaxis] * LAMP_COLOUR * light.dark
        # A wet road mirrors the sky where one looks along it (Fresnel, much simplified).
        gloss = light.wet * 0.30 * np.clip(1.0 - 6.0 * np.abs(self._slope), 0.0, 1.0)
        albedo = self._albedo * np.float32(1.0 - 0.25 * light.wet)
        ground = albedo * gain + gloss[..., np.newaxis] * light.sky_low * 0.8
        ground = ground * passed + light.haze * (1.0 - passed)
        full = np.where(self._seen[..., np.newaxis], ground, self._sky(light))
        full = np.ascontiguousarray(full, dtype=np.float32)
        self._stand(full, light)
        image = cv2.resize(full, (self.width, self.height), interpolation=cv2.INTER_AREA)
        lit = np.where(self._seen[..., np.newaxis], albedo * passed, 0.0).astype(np.float32)
        lit[np.isfinite(self._fine_distance)] = 0.0
        lit = np.asarray(cv2.resize(lit, (self.width, self.height), interpolation=cv2.INTER_AREA))
        image = self._shine(np.asarray(image, np.float32), light)
        small = cv2.resize(shade, (self.width, self.height), interpolation=cv2.INTER_AREA)
        return Backdrop(
            np.clip(image * 255.0, 0, 255).astype(np.uint8),
            self._distance,
            np.clip(lit * 255.0, 0, 255).astype(np.uint8),
            np.asarray(small, np.float32) * np.float32(_SUN_SHARE),
            self.lamps,
        )

    def _sky(self, light: Lighting) -> Picture32:
        rise = np.clip(self._slope * 2.5, 0.0, 1.0)[..., np.newaxis]
        sky = light.sky_low * (1 - rise) + light.sky_top * rise
        sky = sky * (1.0 + 0.05 * self._clouds[..., np.newaxis])
        # The sky is seen through as much thick air as lies below a cloud base of some 2 km.
        thick = float(light.transmission(np.array([1000.0]))[0])
        result: Picture32 = (sky * thick + light.haze * (1.0 - thick)).astype(np.float32)
        return result

    def _shade(self, light: Lighting) -> Picture32:
        """Shadows of the scenery on the ground, 0..1 on the fine grid."""
        shade = np.zeros(self._shape, dtype=np.float32)
        if light.sun.max() < 0.02:
            return shade
        reach = -light.direction[:2] / max(float(light.direction[2]), 0.2)
        for item in self._items:
            outline = np.concatenate((item.foot, item.foot + reach * item.height))
            hull = cv2.convexHull(outline.astype(np.float32))[:, 0].astype(np.float64)
            pixels, depth = self._view.project(np.column_stack((hull, np.zeros(len(hull)))))
            if (depth < NEAR).any():
                continue
            corners = np.round((np.clip(pixels, -8000, 8000) * _FINE - 0.5) * 16)
            cv2.fillConvexPoly(shade, corners.astype(np.int32), 1.0, cv2.LINE_8, 4)
        return np.asarray(cv2.GaussianBlur(shade, (7, 7), 1.5), np.float32)

    def _stand(self, full: Picture32, light: Lighting) -> None:
        """Paint houses, trees and posts."""
        lit = np.maximum(self._normal @ light.direction, 0.0)[:, np.newaxis] * light.sun
        sky = (0.75 + 0.25 * self._normal[:, 2:]) * light.ambient
        colour = self._colour * (sky + lit)
        if light.dark > 0.0:
            colour += self._colour * LAMP_COLOUR * 0.4 * light.dark
            shining = self._glow > 0.0
            colour[shining] = np.maximum(colour[shining], _LIT_WINDOW * (0.35 + 0.5 * light.dark))
        passed = light.transmission(self._away)[:, np.newaxis]
        colour = colour * passed + light.haze * (1.0 - passed)
        for corners, value in zip(self._pixels, colour.tolist(), strict=True):
            cv2.fillConvexPoly(full, corners, value, cv2.LINE_8, 4)

    def _shine(self, image: Picture32, light: Lighting) -> Picture32:
        """The street lamps themselves with their glow, where nothing stands before them."""
        if light.dark <= 0.0 or not len(self.lamps):
            return image
        glow = np.zeros((self.height, self.width), dtype=np.float32)
        pixels, depth = self._view.project(self.lamps)
        away = np.linalg.norm(self.lamps - self._view.position, axis=1)
        for (x, y), ahead, far in zip(pixels.tolist(), depth.tolist(), away.tolist(), strict=True):
            if ahead < NEAR or not (0 <= x < self.width and 0 <= y < self.height):
                continue
            if self._distance[int(y), int(x)] < far - 3.0:
                continue
            strength = 1.4 * light.dark * float(light.transmission(np.array([far]))[0])
            radius = float(np.clip(self._view.focal * 0.25 / far, 0.7, 3.0))
            cv2.circle(glow, (int(x * 16), int(y * 16)), int(radius * 16), strength, -1,
                       cv2.LINE_AA, 4)  # fmt: skip
        wide = cv2.GaussianBlur(glow, (0, 0), 5.0)
        total = glow + np.asarray(wide, np.float32) * 2.5
        return np.asarray(image + total[..., np.newaxis] * (LAMP_COLOUR + 0.4), np.float32)
