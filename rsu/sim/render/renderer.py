"""A simulated camera's pixels: a `Scene` and its weather in, a `Picture` with exact boxes out.

Everything that stands still is painted once per light and weather; a frame costs its movers only.
The same camera, map, seed, style, scene and weather give the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from rsu.config.cameras import CameraOptions
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S
from rsu.sim.render.backdrop import LAMP_COLOUR, Backdrop, Stage, lamp_light
from rsu.sim.render.film import Film
from rsu.sim.render.ground import Ground, paint_ground
from rsu.sim.render.lamps import beams, glows, lamps_of
from rsu.sim.render.light import Lighting, lighting
from rsu.sim.render.looks import Look, look
from rsu.sim.render.painter import Body, depth_order, paint, project_bodies
from rsu.sim.render.scenery import Scenery, furnish
from rsu.sim.render.style import Style
from rsu.sim.render.view import NEAR, View
from rsu.sim.world.scene import CLEAR_DAY, Light, Scene, Weather, stream
from rsu.site.lanes import SiteMap

Floats = npt.NDArray[np.float64]

MOST = 254
"""Movers painted in one frame; the id mask has a byte a pixel. The nearest are kept."""
_BACKDROPS, _LOOKS = 6, 2000
"""Kept at most: backdrops (3.5 MB each at 640×384) and looks; both come back the same if needed."""
_CONTACT = 0.45
"""Share of light that does not reach the road below a body; by eye."""
FARTHEST = 400.0
"""m beyond which nothing is painted: a bus is 3 px high there."""


@dataclass(frozen=True, eq=False)
class Picture:
    """`image` H×W×3 BGR. `boxes` N×4 (left, top, right, bottom), px: the whole drawn silhouette,
    unoccluded, clipped to the image. `visible` N: share of the silhouette's pixels inside the image
    that nothing nearer covers. Rows are the objects with at least one pixel in the image, in the
    order of the scene."""

    image: npt.NDArray[np.uint8]
    boxes: Floats
    visible: Floats
    ids: tuple[int, ...]
    classes: tuple[ObjectClass, ...]


class Renderer:
    """One camera's view of the simulated world."""

    def __init__(
        self,
        camera: CameraOptions,
        site_map: SiteMap,
        seed: int,
        *,
        style: Style = Style(),  # noqa: B008
    ) -> None:
        """Raises SimulationError for a camera without a full calibration."""
        self.id = camera.id
        self._map = site_map
        self._seed = seed
        self._style = style
        self._view = View(camera)
        self._stage: Stage | None = None
        self._film = Film(
            self._view.width, self._view.height, style, stream(seed, f"render/film/{camera.id}")
        )
        self._backdrops: dict[Weather, tuple[Lighting, Backdrop]] = {}
        self._looks: dict[tuple[int, ObjectClass], Look] = {}

    def warm(self, weather: Weather = CLEAR_DAY) -> Backdrop:
        """Paint what stands still now instead of with the first picture; changes no picture."""
        return self._backdrop(weather)[1]

    def hang(self, backdrop: Backdrop, weather: Weather = CLEAR_DAY) -> None:
        """Take a backdrop that the same camera has painted before instead of painting it."""
        self._backdrops[weather] = (lighting(weather, self._style), backdrop)

    def strike(self) -> None:
        """Let go what other weathers would be painted from (40 MB); it can be built again."""
        self._stage = None
        _surroundings.cache_clear()

    def render(self, scene: Scene, weather: Weather = CLEAR_DAY) -> Picture:
        """What the camera delivers of a scene."""
        light, backdrop = self._backdrop(weather)
        rng = stream(self._seed, f"render/{self.id}/{scene.time_ns}")
        sway = rng.standard_normal(2) * self._style.jitter
        still = _shifted(backdrop.image, sway)
        image = still.copy()
        mask = np.zeros(image.shape[:2], dtype=np.uint8)
        rows = self._in_sight(scene)
        bodies = self._bodies(scene, rows, light, backdrop)
        boxes = np.empty((0, 4))
        visible = np.empty(0)
        kept: list[int] = []
        if bodies:
            rough = np.array([self._rough_box(body) for body in bodies])
            order = depth_order(self._view, bodies, rough)
            classes = [scene.classes[row] for row in rows]
            self._shadows(image, bodies, light, backdrop)
            if light.lamps:
                beams(image, backdrop.albedo, bodies, classes, self._view, light.dark)
            polygons = project_bodies(self._view, bodies, light, order, sway)
            distance = np.array(
                [float(np.linalg.norm(b.position - self._view.position)) for b in bodies]
            )
            own, seen = paint(image, mask, polygons, still, backdrop.distance, distance)
            if light.lamps:
                speeds = [float(scene.speed[row]) for row in rows]
                glows(image, mask, lamps_of(bodies, classes, speeds, self._view), self._view, light)
            edge = np.array([self._view.width, self._view.height] * 2, dtype=np.float64)
            clipped = np.clip(polygons.boxes, 0.0, edge)
            kept = np.flatnonzero(own > 0).tolist()
            boxes = clipped[kept]
            visible = seen[kept] / own[kept]
        lit = 0.35 if weather.light is Light.NIGHT else 1.0
        image = self._film.expose(
            image, scene.time_ns % (3600 * NS_PER_S) / NS_PER_S, light.grain, weather.rain, lit, rng
        )
        chosen = [rows[index] for index in kept]
        return Picture(
            image=image,
            boxes=boxes,
            visible=visible,
            ids=tuple(scene.ids[row] for row in chosen),
            classes=tuple(scene.classes[row] for row in chosen),
        )

    def _in_sight(self, scene: Scene) -> list[int]:
        """Rows whose bounding block reaches into the image, at most `MOST`, in scene order."""
        count = len(scene.ids)
        if not count:
            return []
        radius = np.hypot(scene.size[:, 0], scene.size[:, 1]) / 2 + 0.2
        signs = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (0, 1)]
        corners = np.stack(
            [
                np.column_stack(
                    (scene.position[:, 0] + x * radius, scene.position[:, 1] + y * radius,
                     z * scene.size[:, 2] + 0.0 * radius)
                )
                for x, y, z in signs
            ],
            axis=1,
        )  # fmt: skip
        pixels, depth = self._view.project(corners.reshape(-1, 3))
        pixels, depth = pixels.reshape(count, 8, 2), depth.reshape(count, 8)
        low, high = pixels.min(axis=1), pixels.max(axis=1)
        inside = (
            (high > 0.0).all(axis=1)
            & (low[:, 0] < self._view.width)
            & (low[:, 1] < self._view.height)
        )
        ahead = depth > NEAR
        distance = np.hypot(*(scene.position - self._view.position[:2]).T)
        # A block through the camera's plane has no box: it is looked at closely.
        wanted = ahead.any(axis=1) & (inside | ~ahead.all(axis=1)) & (distance < FARTHEST)
        rows = np.flatnonzero(wanted)
        if len(rows) > MOST:
            rows = np.sort(rows[np.argsort(distance[rows], kind="stable")[:MOST]])
        return [int(row) for row in rows]

    def _bodies(
        self, scene: Scene, rows: list[int], light: Lighting, backdrop: Backdrop
    ) -> list[Body]:
        """Everyone in sight with the light that falls there."""
        places = scene.position[rows].reshape(-1, 2)
        feet = np.column_stack((places, np.zeros(len(places))))
        pixels, _ = self._view.project(feet)
        edge = np.array([self._view.width - 1, self._view.height - 1])
        cells = np.clip(pixels, 0, edge).astype(np.intp)
        sunny = 1.0 - backdrop.shaded[cells[:, 1], cells[:, 0]].astype(np.float64)
        lit = np.zeros((len(places), 3))
        if light.dark > 0.0 and len(places):
            # Lamps light what stands upright less than the road below them.
            shine = lamp_light(backdrop.lamps, places)
            lit = 0.8 * light.dark * LAMP_COLOUR * shine[:, np.newaxis]
        return [
            self._body(scene, row, lit[index], float(sunny[index]))
            for index, row in enumerate(rows)
        ]

    def _body(self, scene: Scene, row: int, lit: Floats, sunny: float) -> Body:
        identity, object_class = scene.ids[row], scene.classes[row]
        key = (identity, object_class)
        known = self._looks.get(key)
        if known is None:
            known = look(self._seed, identity, object_class, float(scene.size[row, 2]))
            if len(self._looks) >= _LOOKS:
                self._looks.clear()
            self._looks[key] = known
        x, y = scene.position[row].tolist()
        heading = float(scene.heading[row])
        along = x * np.cos(heading) + y * np.sin(heading)
        return Body(
            mesh=known.mesh(known.phase(float(along), float(scene.speed[row]))),
            palette=known.palette,
            position=np.array([x, y, 0.0]),
            heading=heading,
            size=scene.size[row],
            light=lit,
            sunny=sunny,
        )

    def _rough_box(self, body: Body) -> Floats:
        corners = _block(body)
        pixels, _ = self._view.project(corners)
        return np.concatenate((pixels.min(axis=0), pixels.max(axis=0)))

    def _shadows(
        self, image: npt.NDArray[np.uint8], bodies: list[Body], light: Lighting, backdrop: Backdrop
    ) -> None:
        """Darken the ground under everyone, and towards where the sun does not reach."""
        reach = light.direction[:2] / max(float(light.direction[2]), 0.2)
        feet = np.stack([_block(body)[:4] for body in bodies])
        heights = np.array([body.size[2] for body in bodies])[:, np.newaxis, np.newaxis]
        # Bodies taper: their shadow is a little shorter than their block's.
        tips = feet - np.append(reach, 0.0) * heights * 0.85
        pixels, depth = self._view.project(np.concatenate((feet, tips), axis=1).reshape(-1, 3))
        corners = np.clip((pixels - 0.5) * 16, -(1 << 18), 1 << 18).astype(np.int32)
        corners = corners.reshape(-1, 8, 2)
        ahead = (depth > NEAR).reshape(-1, 8)
        layer = np.zeros(image.shape[:2], dtype=np.uint8)
        if light.shadow > 0.03:
            for outline in corners[ahead.all(axis=1)]:
                hull = cv2.convexHull(outline)
                cv2.fillConvexPoly(layer, hull, int(255 * light.shadow), cv2.LINE_AA, 4)
        contact = np.zeros_like(layer)
        for outline in corners[ahead[:, :4].all(axis=1), :4]:
            cv2.fillConvexPoly(contact, outline, int(255 * _CONTACT), cv2.LINE_AA, 4)
        np.maximum(layer, contact, out=layer)
        layer[np.isfinite(backdrop.distance)] = 0
        soft = cv2.GaussianBlur(layer, (5, 5), 1.0)
        keep = 255 - soft
        cv2.multiply(image, cv2.merge((keep, keep, keep)), image, 1 / 255.0)

    def _backdrop(self, weather: Weather) -> tuple[Lighting, Backdrop]:
        known = self._backdrops.get(weather)
        if known is None:
            if self._stage is None:
                ground, scenery = _surroundings(self._map, self._seed, self._style)
                sky = stream(self._seed, f"render/sky/{self.id}")
                self._stage = Stage(self._view, ground, scenery, sky)
            light = lighting(weather, self._style)
            known = (light, self._stage.paint(light))
            if len(self._backdrops) >= _BACKDROPS:
                del self._backdrops[next(iter(self._backdrops))]
            self._backdrops[weather] = known
        return known


@lru_cache(maxsize=2)
def _surroundings(site_map: SiteMap, seed: int, style: Style) -> tuple[Ground, Scenery]:
    """Ground and scenery, the same for all cameras of a site."""
    ground = paint_ground(site_map, style, stream(seed, "render/ground"))
    return ground, furnish(site_map, style, stream(seed, "render/scenery"))


def _shifted(image: npt.NDArray[np.uint8], sway: Floats) -> npt.NDArray[np.uint8]:
    """The picture moved by a fraction of a pixel or a few."""
    if not sway.any():
        return image
    height, width = image.shape[:2]
    move = np.array([[1.0, 0.0, sway[0]], [0.0, 1.0, sway[1]]])
    shifted = cv2.warpAffine(
        image, move, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(shifted, np.uint8)


def _block(body: Body) -> Floats:
    """8×3 corners of a body's block: foot, then top."""
    cos, sin = np.cos(body.heading), np.sin(body.heading)
    half = body.size / 2
    corners = []
    for z in (0.0, float(body.size[2])):
        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            dx, dy = x * half[0], y * half[1]
            corners.append(
                (body.position[0] + dx * cos - dy * sin, body.position[1] + dx * sin + dy * cos, z)
            )
    return np.array(corners)
