"""Who speaks and where it stands: what every message writer knows of its unit.

Built once from the site file and its map; writers of both worlds take it instead of options.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from rsu.schema.sensing import SensorKind
from rsu.schema.units import Vec2
from rsu.site.lanes import SiteMap


@dataclass(frozen=True, eq=False)
class Unit:
    """One roadside unit at one site.

    `rsu_id` is 16 lower-case hex digits; `site` holds the frame (its origin is the surveyed point
    on the road, WGS-84, altitude m) and the lanes; `antenna_height` is m above the origin.
    `region` and `intersection` number the intersection, `name` is for people. `sensors` says what
    kind each sensor id is.
    """

    rsu_id: str
    site: SiteMap
    antenna_height: float = 0.0
    region: int = 0
    intersection: int = 0
    name: str = ""
    sensors: Mapping[str, SensorKind] = field(default_factory=dict)

    @cached_property
    def origin(self) -> tuple[float, float, float]:
        """(longitude °, latitude °, altitude m) of the site's surveyed origin."""
        frame = self.site.frame
        return frame.longitude, frame.latitude, frame.altitude

    def degrees(self, points: Sequence[Vec2]) -> list[tuple[float, float]]:
        """(longitude, latitude) in degrees of points of the site frame."""
        if not points:
            return []
        x = np.array([point.x for point in points], dtype=np.float64)
        y = np.array([point.y for point in points], dtype=np.float64)
        latitude, longitude, _ = self.site.frame.to_geodetic(x, y)
        return list(zip(longitude.tolist(), latitude.tolist(), strict=True))
