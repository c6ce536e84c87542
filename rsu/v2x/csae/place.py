"""Where things are as the messages of T/CSAE say it: offsets from one reference position, and the
part of the road that a statement is about, as paths (strips of road) and as links (of the MAP).

The reference position of every message is the site's surveyed origin, on the road. Nothing but the
unit itself carries a height: it is not measured but assumed (the road plane).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np

from rsu.schema.units import Vec2
from rsu.site.lanes import Lane
from rsu.v2x.csae import units
from rsu.v2x.map.thinning import TooManyPointsError, thin
from rsu.v2x.unit import Unit

PATH_POINTS = 32
"""PathPointList, SIZE (2..32)."""
PATHS = 8
"""ReferencePathList, SIZE (1..8)."""
LINKS = 16
"""ReferenceLinkList, SIZE (1..16)."""
NAMED_LANES = 15
"""ReferenceLanes has bits for lanes 1..15."""
CHORD_ERRORS = (0.1, 0.2, 0.5, 1.0)
"""m, tried in turn until a line has few enough points: from a tenth of what separates a vehicle
from the edge of a 3.5 m lane to all of it."""

Content = dict[str, Any]


class Place:
    """Positions of one unit's messages; raises OutOfRangeError for a place they cannot carry."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        longitude, latitude, altitude = unit.origin
        self.reference = {
            "lat": units.latitude(latitude),
            "long": units.longitude(longitude),
            "elevation": units.elevation(altitude),
        }
        """Position3D of the origin."""
        self._path_of = cache(self._path)

    def offset(self, longitude: float, latitude: float) -> Content:
        """PositionOffsetLL of a position in degrees."""
        return units.position_offset(
            units.longitude(longitude),
            units.latitude(latitude),
            self.reference["long"],
            self.reference["lat"],
        )

    def points(self, points: Sequence[Vec2]) -> list[Content]:
        """PositionOffsetLLV of points of the site frame."""
        return [{"offsetLL": self.offset(*degrees)} for degrees in self._unit.degrees(points)]

    def roads(self, lanes: Iterable[str]) -> Content:
        """`referencePaths` and `referenceLinks` of lanes; what cannot be said is left out.

        Lanes that the map does not have are passed over: the position says where. A list with more
        than it may hold is left out whole, since a part of it would say that the rest is free.
        """
        known = [self._unit.site.lane(name) for name in lanes if name in self._lane_names]
        paths = [path for lane in known if (path := self.path(lane)) is not None]
        links = self._links(known)
        out: Content = {}
        if paths and len(paths) <= PATHS:
            out["referencePaths"] = paths
        if links and len(links) <= LINKS:
            out["referenceLinks"] = links
        return out

    def path(self, lane: Lane) -> Content | None:
        """ReferencePath of a lane; None where 32 points are not enough even to within 1 m."""
        return self._path_of(lane)

    def link(self, lane: Lane) -> Content | None:
        """ReferenceLink that names just this lane; None for a lane without nodes or number."""
        links = self._links([lane])
        return links[0] if links else None

    def node(self, number: int) -> Content:
        """NodeReferenceID in the unit's region."""
        return {
            "region": units.number("region", self._unit.region, 0, 65_535),
            "id": units.number("node", number, 0, 65_535),
        }

    @property
    def _lane_names(self) -> Iterable[str]:
        return self._unit.site.lane_index.keys()

    def _path(self, lane: Lane) -> Content | None:
        line = lane.centreline
        for error in CHORD_ERRORS:
            try:
                kept = line[np.array(thin(line, error, PATH_POINTS))]
            except TooManyPointsError:
                continue
            points = self.points([Vec2(x, y) for x, y in kept.tolist()])
            return {"activePath": points, "pathRadius": units.radius(lane.width / 2)}
        return None

    def _links(self, lanes: Iterable[Lane]) -> list[Content]:
        # A link without `referenceLanes` would mean all of its lanes, so a lane whose number has
        # no bit is in no link.
        chosen: dict[tuple[int, int], set[int]] = {}
        for lane in lanes:
            up, down, number = lane.upstream_node, lane.downstream_node, lane.lane_id
            if up is None or down is None or number is None or not 1 <= number <= NAMED_LANES:
                continue
            chosen.setdefault((up, down), set()).add(number)
        return [
            {
                "upstreamNodeId": self.node(up),
                "downstreamNodeId": self.node(down),
                "referenceLanes": units.bits(16, numbers),
            }
            for (up, down), numbers in chosen.items()
        ]
