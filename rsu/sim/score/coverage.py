"""What the sensors of a site could see at all: who counts, and where a track may be false.

A site configuration goes in; for a `Scene`, masks over its rows come out. `sees` leaves occlusion
to the unit: what hides behind something else counts, what no sensor looks at does not. `finds` asks
the sensor models themselves, for what nobody can know before it is seen: when an event began. Told
the seed of the run, they hang as that run's sensors do, which decides what hides behind what.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rsu.config.model import SiteConfig
from rsu.config.radars import Ars408Options
from rsu.config.simulation import SimulationOptions
from rsu.sim.errors import SimulationError
from rsu.sim.sensors.camera import ModelledCamera
from rsu.sim.sensors.radar import FAR_ANGLE, FAR_RANGE, NEAR_ANGLE, NEAR_RANGE, ModelledRadar
from rsu.sim.world.scene import Scene, stream
from rsu.site.geodesy import enu_heading

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

REACH_M = 120.0
"""Nothing farther from the origin counts: the last range bin ends there."""
BLIND_REACH_M = 80.0
"""Without any sensor's geometry: how far a camera on a mast usually tells road users apart."""
INSIDE = 0.5
"""Least share of an object's box that is inside an image that could show it."""
FOUND = 0.5
"""Chance per look from which on a sensor finds an object (`Coverage.finds`): below it the sensor
misses it more often than not. For a camera that is a box 8 px high, wholly visible, by day."""


class CameraView:
    """What lies in one camera's image and within its range."""

    def __init__(self, camera: ModelledCamera) -> None:
        self._camera = camera
        self.position = camera.position

    def sees(self, scene: Scene) -> Bools:
        """Rows of a scene, shape (N,)."""
        if not scene.ids:
            return np.zeros(0, dtype=np.bool_)
        boxes = self._camera.view(scene)
        full, inside = _areas(boxes.full), _areas(boxes.clipped)
        seen: Bools = boxes.seen & (inside >= INSIDE * full)
        return seen

    def finds(self, scene: Scene) -> Bools:
        """Rows of a scene that its detector finds more often than not, shape (N,)."""
        found: Bools = self._camera.chance(scene) >= FOUND
        return found


class RadarView:
    """What lies in the cones of one radar of the ARS408 family (data sheet: near and far)."""

    def __init__(self, options: Ars408Options, rng: np.random.Generator) -> None:
        mount, max_range = options.mount, options.max_range
        self._radar = ModelledRadar(options, rng)
        self.position = np.array([mount.x, mount.y])
        self._axis = enu_heading(mount.heading)
        self._max_range = max_range

    def sees(self, scene: Scene) -> Bools:
        """Rows of a scene, shape (N,)."""
        offset = scene.position - self.position
        distance = np.hypot(offset[:, 0], offset[:, 1])
        off_axis = np.arctan2(offset[:, 1], offset[:, 0]) - self._axis
        off_axis = np.abs((off_axis + math.pi) % math.tau - math.pi)
        near = (distance <= NEAR_RANGE) & (off_axis <= NEAR_ANGLE)
        far = (distance <= FAR_RANGE) & (off_axis <= FAR_ANGLE)
        seen: Bools = (near | far) & (distance <= self._max_range)
        return seen

    def finds(self, scene: Scene) -> Bools:
        """Rows of a scene that it finds more often than not, shape (N,)."""
        found: Bools = self.sees(scene) & (self._radar.chance(scene) >= FOUND)
        return found


class Coverage:
    """All cameras and radars of a site whose view is known, by sensor id; `seed` of the run."""

    def __init__(self, config: SiteConfig | None, seed: int = 0) -> None:
        self.views: dict[str, CameraView | RadarView] = {}
        if config is None:
            return
        for camera in config.cameras:
            try:
                made = ModelledCamera(
                    camera, SimulationOptions(), stream(seed, f"camera/{camera.id}")
                )
            except SimulationError:  # its calibration places nothing: it sees nothing
                continue
            self.views[camera.id] = CameraView(made)
        for radar in config.radars:
            if isinstance(radar, Ars408Options):
                self.views[radar.id] = RadarView(radar, stream(seed, f"radar/{radar.id}"))

    def sees(self, scene: Scene) -> Bools:
        """Rows that count: in any sensor's view and within reach of the origin, shape (N,)."""
        away = np.hypot(scene.position[:, 0], scene.position[:, 1])
        return self.in_view(scene) & (away < REACH_M)

    def in_view(self, scene: Scene) -> Bools:
        """Rows in any sensor's view, as far as that reaches, shape (N,)."""
        if not self.views:
            away = np.hypot(scene.position[:, 0], scene.position[:, 1])
            return np.asarray(away <= BLIND_REACH_M, dtype=np.bool_)
        seen = np.zeros(len(scene.ids), dtype=np.bool_)
        for view in self.views.values():
            seen |= view.sees(scene)
        return seen

    def finds(self, scene: Scene) -> Bools:
        """Rows that some sensor finds more often than not: near enough, and not behind others."""
        found = np.zeros(len(scene.ids), dtype=np.bool_)
        for view in self.views.values():
            found |= view.finds(scene)
        return found & self.sees(scene)

    def __str__(self) -> str:
        if not self.views:
            return f"truth within {BLIND_REACH_M:g} m (no site: no views known)"
        return f"truth in view of {', '.join(self.views)}, within {REACH_M:g} m"


def _areas(boxes: Floats) -> Floats:
    areas: Floats = np.maximum(boxes[:, 2] - boxes[:, 0], 0.0) * np.maximum(
        boxes[:, 3] - boxes[:, 1], 0.0
    )
    return areas
