"""What several tests of the world ask of it: that nobody touches anybody."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import shapely

from rsu.schema.sensing import ObjectClass
from rsu.sim.world.scene import Scene

VEHICLES = frozenset(
    {
        ObjectClass.CAR,
        ObjectClass.VAN,
        ObjectClass.TRUCK,
        ObjectClass.BUS,
        ObjectClass.MOTORCYCLE,
    }
)


@pytest.fixture(scope="session")
def collisions() -> Callable[[Scene], list[tuple[int, int]]]:
    """Pairs of ids that overlap and of which at least one is a motor vehicle."""

    def found(scene: Scene) -> list[tuple[int, int]]:
        shapes = outlines(scene)
        driven = np.array([c in VEHICLES for c in scene.classes], dtype=bool)
        one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
        return [
            (scene.ids[i], scene.ids[j])
            for i, j in zip(one.tolist(), other.tolist(), strict=True)
            if i < j and (driven[i] or driven[j])
        ]

    return found


def outlines(scene: Scene) -> np.ndarray:
    """Footprints as polygons, worked out here from the published numbers."""
    corners = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)]) / 2
    local = corners[None] * scene.size[:, None, :2]
    cos, sin = np.cos(scene.heading)[:, None], np.sin(scene.heading)[:, None]
    x = scene.position[:, :1] + local[..., 0] * cos - local[..., 1] * sin
    y = scene.position[:, 1:] + local[..., 0] * sin + local[..., 1] * cos
    return shapely.polygons(np.stack((x, y), axis=-1))
