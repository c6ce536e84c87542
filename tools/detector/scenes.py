"""What a training picture shows: a camera, a light and road users where road users may be.

`drawn_camera` hangs a camera, `drawn_weather` draws light and weather, `drawn_scene` puts people
and vehicles into its view. Rare classes are drawn as often as learning needs them, not as often
as traffic has them, and a share of everybody stands or heads where nobody expects it, so that
the network learns shapes and not habits.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rsu.config.cameras import CameraOptions
from rsu.perception.camera_model import camera_model
from rsu.schema.sensing import ObjectClass
from rsu.sim.world.road_users import BICYCLE, VEHICLES
from rsu.sim.world.scene import Light, Scene, Weather
from rsu.site.lanes import Direction, Lane, LaneKind, LaneRole, SiteMap

Floats = npt.NDArray[np.float64]

WIDTH, HEIGHT = 640, 384

CLASSES = (
    ObjectClass.CAR, ObjectClass.VAN, ObjectClass.TRUCK, ObjectClass.BUS, ObjectClass.MOTORCYCLE,
    ObjectClass.BICYCLE, ObjectClass.PEDESTRIAN, ObjectClass.OBSTACLE,
)  # fmt: skip
"""The network's classes in the order of its output."""

# Shares of what is placed on the carriageway, on footways and crossings, and anywhere.
_ON_ROAD = {
    ObjectClass.CAR: 0.44, ObjectClass.VAN: 0.13, ObjectClass.TRUCK: 0.12, ObjectClass.BUS: 0.09,
    ObjectClass.MOTORCYCLE: 0.12, ObjectClass.BICYCLE: 0.08, ObjectClass.OBSTACLE: 0.02,
}  # fmt: skip
_ON_FOOT = {ObjectClass.PEDESTRIAN: 0.80, ObjectClass.BICYCLE: 0.15, ObjectClass.MOTORCYCLE: 0.05}
_ASTRAY = {
    ObjectClass.PEDESTRIAN: 0.45, ObjectClass.BICYCLE: 0.15, ObjectClass.MOTORCYCLE: 0.10,
    ObjectClass.CAR: 0.15, ObjectClass.OBSTACLE: 0.15,
}  # fmt: skip

# Mean and 1 σ of length, width, height, m. Vehicles: the simulator's own, twice as far apart.
_SIZES = {kind.object_class: (kind.size, kind.spread) for kind in (*VEHICLES, BICYCLE)} | {
    ObjectClass.PEDESTRIAN: ((0.60, 0.60, 1.66), (0.03, 0.03, 0.09)),
    ObjectClass.OBSTACLE: ((0.9, 0.7, 0.6), (0.25, 0.2, 0.15)),
}

_TRIES = 12
"""Places tried per road user; in a full picture the rest is left out."""


def drawn_camera(rng: np.random.Generator, site_map: SiteMap) -> CameraOptions:
    """A roadside camera 5–12 m high beside a lane, tilted 8–40°, 50–100° wide."""
    lanes = [lane for lane in site_map.lanes if lane.role is not LaneRole.CONNECTION]
    near = [lane for lane in lanes if np.hypot(*lane.centreline.T).min() < 45.0] or lanes
    lane = near[int(rng.integers(len(near)))]
    stations = np.linspace(0.0, lane.length, 50)
    points = np.array([lane.at(float(s)) for s in stations])
    close = np.flatnonzero(np.hypot(points[:, 0], points[:, 1]) < 60.0)
    x, y, heading = points[int(rng.choice(close))] if len(close) else points[len(points) // 2]
    aside = heading + math.pi / 2 * (1 if rng.random() < 0.5 else -1)
    away = float(rng.uniform(0.0, 9.0))
    x, y = x + away * math.cos(aside), y + away * math.sin(aside)
    if rng.random() < 0.7:  # towards the middle, as one hangs cameras at a junction
        looks = math.atan2(float(rng.normal(0, 8)) - y, float(rng.normal(0, 8)) - x)
    else:
        looks = heading + float(rng.normal(0.0, 0.5)) + (math.pi if rng.random() < 0.5 else 0.0)
    fov = math.radians(float(rng.uniform(50.0, 100.0)))
    focal = WIDTH / 2 / math.tan(fov / 2)
    bent = rng.random() < 0.3
    return camera_at(
        x=float(x), y=float(y), z=float(rng.uniform(5.0, 12.0)), azimuth=looks,
        tilt=float(rng.uniform(8.0, 40.0)), roll=float(rng.normal(0.0, 1.5)), focal=focal,
        distortion=(float(rng.uniform(-0.18, 0.03)), 0.0, 0.0, 0.0) if bent else (),
    )  # fmt: skip


def camera_at(
    *, x: float, y: float, z: float, azimuth: float, tilt: float, roll: float, focal: float,
    distortion: tuple[float, ...] = (),
) -> CameraOptions:  # fmt: skip
    """A simulated camera; `azimuth` rad from east counter-clockwise, `tilt` degrees down."""
    return CameraOptions.model_validate(
        {
            "id": "trained",
            "source": {"driver": "sim", "width": WIDTH, "height": HEIGHT},
            "calibration": {
                "kind": "pose",
                "image_width": WIDTH,
                "image_height": HEIGHT,
                "lens": {"fx": focal, "fy": focal, "cx": WIDTH / 2, "cy": HEIGHT / 2,
                         "distortion": distortion},
                "pose": {"x": x, "y": y, "z": z, "tilt": tilt, "roll": roll,
                         "heading": (90.0 - math.degrees(azimuth)) % 360.0},
            },
            "detector": {"driver": "modelled"},
        }
    )  # fmt: skip


def drawn_weather(rng: np.random.Generator) -> Weather:
    """55 % day, 20 % dusk, 25 % night; rain in 30 %, haze or fog in 20 %."""
    light = (Light.DAY, Light.DUSK, Light.NIGHT)[int(rng.choice(3, p=(0.55, 0.20, 0.25)))]
    rain = float(rng.uniform(0.1, 1.0)) if rng.random() < 0.3 else 0.0
    visibility = float(np.exp(rng.uniform(math.log(120.0), math.log(3000.0))))
    return Weather(light, rain, visibility if rng.random() < 0.2 else 20_000.0)


def drawn_scene(
    rng: np.random.Generator, site_map: SiteMap, camera: CameraOptions, time_ns: int
) -> Scene:
    """Some 5 to 60 road users in the camera's view, at places that do not overlap."""
    crowd = _Crowd(rng, site_map, camera)
    fullness = float(rng.uniform(0.1, 1.0)) ** 1.3
    wheeled = [
        lane
        for lane in site_map.lanes
        if lane.kind in (LaneKind.VEHICLE, LaneKind.PARKING_AISLE, LaneKind.BIKE)
    ]
    footed = [lane for lane in site_map.lanes if lane.kind.on_foot]
    for _ in range(int(fullness * 34)):
        crowd.on_lane(wheeled, _ON_ROAD)
    for _ in range(int(rng.uniform(0.1, 1.0) * fullness * 30)):
        crowd.on_lane(footed, _ON_FOOT)
    for _ in range(int(rng.integers(0, 9))):
        crowd.astray(_ASTRAY)
    for bay in site_map.bays:
        if rng.random() < 0.65 * fullness:
            crowd.parked(bay.ring)
    return crowd.scene(time_ns)


class _Crowd:
    """Everyone placed so far, in view of one camera."""

    def __init__(self, rng: np.random.Generator, site_map: SiteMap, camera: CameraOptions) -> None:
        self._rng = rng
        self._map = site_map
        self._model = camera_model(camera.calibration)
        self._reach = float(np.exp(rng.uniform(math.log(35.0), math.log(110.0))))
        self._rows: list[tuple[float, ...]] = []
        self._classes: list[ObjectClass] = []

    def on_lane(self, lanes: list[Lane], shares: dict[ObjectClass, float]) -> None:
        if not lanes:
            return
        for _ in range(_TRIES):
            lane = lanes[int(self._rng.integers(len(lanes)))]
            x, y, heading = lane.at(float(self._rng.uniform(0.0, lane.length)))
            if not self._in_view(x, y):
                continue
            kind = self._pick(shares)
            if lane.kind is LaneKind.BIKE:
                kind = ObjectClass.BICYCLE if self._rng.random() < 0.8 else ObjectClass.MOTORCYCLE
            two_way = lane.direction is Direction.BOTH
            wide = kind in (ObjectClass.CAR, ObjectClass.VAN, ObjectClass.TRUCK, ObjectClass.BUS)
            aside = float(self._rng.normal(0.0, 0.2 if wide else 0.22 * lane.width))
            if two_way and self._rng.random() < 0.5:
                heading += math.pi
            heading += float(self._rng.normal(0.0, 0.06 if wide else 0.2))
            if self._rng.random() < 0.08:
                heading += float(self._rng.uniform(-math.pi, math.pi))
            x, y = x - aside * math.sin(heading), y + aside * math.cos(heading)
            if self._place(kind, x, y, heading):
                return

    def astray(self, shares: dict[ObjectClass, float]) -> None:
        """Anywhere in view, heading anywhere."""
        for _ in range(_TRIES):
            pixel = self._rng.uniform((0.0, HEIGHT * 0.2), (WIDTH, HEIGHT), (1, 2))
            ideal, _ = self._model.ideal(pixel)
            ground, seen = self._model.ground(ideal)
            if not seen[0] or np.hypot(*(ground[0] - self._model.position[:2])) > self._reach:
                continue
            heading = float(self._rng.uniform(-math.pi, math.pi))
            if self._place(self._pick(shares), *ground[0].tolist(), heading):
                return

    def parked(self, ring: Floats) -> None:
        middle = ring.mean(axis=0) + self._rng.normal(0.0, 0.12, 2)
        inward = ring[2] - ring[1]
        heading = math.atan2(inward[1], inward[0]) + float(self._rng.normal(0.0, 0.04))
        if self._rng.random() < 0.5:
            heading += math.pi
        kind = ObjectClass.CAR if self._rng.random() < 0.85 else ObjectClass.VAN
        if self._in_view(*middle.tolist()):
            self._place(kind, *middle.tolist(), heading)

    def scene(self, time_ns: int) -> Scene:
        table = np.array(self._rows, dtype=np.float64).reshape(-1, 7)
        # Identities decide looks, so they must not repeat from one picture to the next.
        ids = self._rng.choice(1 << 30, size=len(table), replace=False)
        return Scene(
            time_ns=time_ns,
            ids=tuple(int(i) for i in ids),
            classes=tuple(self._classes),
            position=table[:, 0:2],
            heading=table[:, 2],
            speed=table[:, 3],
            size=table[:, 4:7],
        )

    def _pick(self, shares: dict[ObjectClass, float]) -> ObjectClass:
        p = np.array(list(shares.values()))
        return list(shares)[int(self._rng.choice(len(p), p=p / p.sum()))]

    def _in_view(self, x: float, y: float) -> bool:
        away = math.hypot(x - self._model.position[0], y - self._model.position[1])
        if away > self._reach:
            return False
        pixel, depth = self._model.project(np.array([[x, y, 0.8]]))
        u, v = pixel[0].tolist()
        margin = 40.0  # px: objects cut by the border belong to the lesson
        return bool(depth[0] > 0 and -margin < u < WIDTH + margin and -margin < v < HEIGHT + margin)

    def _place(self, kind: ObjectClass, x: float, y: float, heading: float) -> bool:
        mean, spread = _SIZES[kind]
        noise = np.clip(self._rng.standard_normal(3), -2.0, 2.0)
        length, width, height = np.maximum(np.array(mean) + 1.5 * np.array(spread) * noise, 0.3)
        for row in self._rows:
            if _overlap(row, (x, y, heading, 0.0, length, width)):
                return False
        speed = 0.0 if self._rng.random() < 0.35 else float(self._rng.uniform(0.5, 12.0))
        if kind is ObjectClass.PEDESTRIAN:
            speed = min(speed, 1.4)
        self._rows.append((x, y, heading, speed, float(length), float(width), float(height)))
        self._classes.append(kind)
        return True


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    """Whether two footprints come closer than some 0.2 m: circles along either's length."""
    ax, ay = _discs(a)
    bx, by = _discs(b)
    least = a[5] / 2 + b[5] / 2 + 0.2
    near = np.hypot(ax[:, np.newaxis] - bx, ay[:, np.newaxis] - by) < least
    return bool(near.any())


def _discs(row: tuple[float, ...]) -> tuple[Floats, Floats]:
    x, y, heading, _, length, width = row[:6]
    reach = max(length - width, 0.0) / 2
    along = np.linspace(-reach, reach, max(2, math.ceil(2 * reach / width) + 1))
    return x + along * math.cos(heading), y + along * math.sin(heading)
