"""Map tiles by quadkey: WGS-84 in, the keys of the tiles around out.

The Bing Maps tile system: the world in Web Mercator is a square; each level cuts every tile into
four, and a tile's key has one digit a level (0 north-west, 1 north-east, 2 south-west, 3
south-east), so that the key of a tile begins with the key of the tile that it lies in.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

MAX_LATITUDE = 85.05112878
"""Where Web Mercator is as high as it is wide."""
EQUATOR_M = 40_075_016.686
"""Its circumference, m: 2 π times 6 378 137 m (WGS-84)."""


class Tile(NamedTuple):
    """A tile by column (from 180° west) and row (from the north)."""

    x: int
    y: int
    level: int

    @property
    def quadkey(self) -> str:
        """Its key, one digit a level."""
        bits = range(self.level - 1, -1, -1)
        return "".join(str((self.x >> bit & 1) + 2 * (self.y >> bit & 1)) for bit in bits)


def place(latitude: float, longitude: float, level: int) -> tuple[float, float]:
    """Where a point lies, in tiles from the north-west corner of the world."""
    clipped = min(max(latitude, -MAX_LATITUDE), MAX_LATITUDE)
    sine = math.sin(math.radians(clipped))
    count = 2**level
    x = ((longitude + 180.0) / 360.0) % 1.0 * count
    y = (0.5 - math.log((1.0 + sine) / (1.0 - sine)) / (4.0 * math.pi)) * count
    return x, min(max(y, 0.0), math.nextafter(count, 0.0))


def tile_at(latitude: float, longitude: float, level: int) -> Tile:
    """The tile that a point lies in."""
    x, y = place(latitude, longitude, level)
    return Tile(int(x), int(y), level)


def tile_m(latitude: float, level: int) -> float:
    """Side of a tile there, m."""
    clipped = min(max(latitude, -MAX_LATITUDE), MAX_LATITUDE)
    return math.cos(math.radians(clipped)) * EQUATOR_M / float(1 << level)


def tiles_within(
    latitude: float, longitude: float, radius_m: float, level: int
) -> Iterator[tuple[float, Tile]]:
    """(distance in m, tile) of all tiles that a circle touches; the point's own tile: 0 m."""
    x, y = place(latitude, longitude, level)
    side = tile_m(latitude, level)
    reach = radius_m / side
    count = 2**level
    for row in range(max(math.floor(y - reach), 0), min(math.floor(y + reach), count - 1) + 1):
        for column in range(math.floor(x - reach), math.floor(x + reach) + 1):
            east = max(column - x, x - column - 1, 0.0)
            south = max(row - y, y - row - 1, 0.0)
            distance = math.hypot(east, south) * side
            if distance <= radius_m:
                yield distance, Tile(column % count, row, level)
