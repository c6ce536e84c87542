"""Tiles and their keys, against published examples and against plain geometry."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsu.uplink.quadkey import Tile, place, tile_at, tile_m, tiles_within

LATITUDES = st.floats(-85.0, 85.0)
LONGITUDES = st.floats(-180.0, 180.0)


@pytest.mark.parametrize(
    ("x", "y", "level", "key"),
    [
        (3, 5, 3, "213"),  # the example of the tile system's description
        (486, 332, 10, "0313102310"),  # the example of a widely used tile library
        (0, 0, 1, "0"),
        (1, 1, 1, "3"),
        (2**18 - 1, 2**18 - 1, 18, "3" * 18),
    ],
)
def test_published_tiles_have_their_published_keys(x: int, y: int, level: int, key: str) -> None:
    assert Tile(x, y, level).quadkey == key


@pytest.mark.parametrize(
    ("latitude", "longitude", "level", "key"),
    [
        (40.0, -105.0, 17, "02310101232121212"),  # the example of another such library
        (85.05112878, -180.0, 3, "000"),  # the corners of the world
        (-85.05112878, 179.9999, 3, "333"),
        (0.0001, 0.0001, 2, "12"),
        (-0.0001, -0.0001, 2, "21"),
    ],
)
def test_points_lie_in_their_published_tiles(
    latitude: float, longitude: float, level: int, key: str
) -> None:
    assert tile_at(latitude, longitude, level).quadkey == key


def test_a_tile_of_level_18_is_131_m_at_31_degrees_north() -> None:
    assert tile_m(31.0, 18) == pytest.approx(131.04, abs=0.01)
    assert tile_m(0.0, 1) == pytest.approx(20_037_508.3, abs=0.1)


@given(LATITUDES, LONGITUDES, st.integers(1, 22))
def test_a_tiles_key_begins_with_that_of_the_tile_around(
    latitude: float, longitude: float, level: int
) -> None:
    inner = tile_at(latitude, longitude, level + 1).quadkey
    assert inner[:-1] == tile_at(latitude, longitude, level).quadkey
    assert len(inner) == level + 1


@given(LATITUDES, LONGITUDES, st.floats(0.0, 500.0))
def test_a_circle_touches_its_own_tile_and_every_tile_with_a_point_in_it(
    latitude: float, longitude: float, radius_m: float
) -> None:
    near = tiles_within(latitude, longitude, radius_m, 18)
    found = {tile: distance for distance, tile in near}
    own = tile_at(latitude, longitude, 18)
    assert found[own] == 0.0
    x, y = place(latitude, longitude, 18)
    side = tile_m(latitude, 18)
    for step in range(16):  # points just within the circle
        angle = step * math.pi / 8
        east = math.floor(x + 0.99 * radius_m / side * math.cos(angle))
        south = math.floor(y + 0.99 * radius_m / side * math.sin(angle))
        if 0 <= south < 2**18:
            assert Tile(east % 2**18, south, 18) in found
    assert all(distance <= radius_m for distance in found.values())


def test_tiles_go_on_beyond_the_date_line() -> None:
    columns = {tile.x for _, tile in tiles_within(10.0, 179.9999, 200.0, 18)}
    assert {0, 2**18 - 1} <= columns
