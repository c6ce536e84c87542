"""Bays as rectangles: axes, mouths, and the chance of standing in one, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.site.features import LaneKind, ZoneKind
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, SiteMap, Zone
from rsu.situation.parking.bays import OVERHANG, BayGrid, lots_of
from rsu.situation.parking.gates import Gates, aisles_of

AISLE = Lane("aisle", LaneKind.PARKING_AISLE, np.array([(-40.0, 0.0), (50.0, 0.0)]), 6.0)


def ring(left: float, near: float, width: float = 2.5, length: float = 5.0) -> Any:
    far = near + length if near > 0 else near - length
    return np.array([(left, near), (left + width, near), (left + width, far), (left, far)])


def site(*zones: Zone, lanes: tuple[Lane, ...] = (AISLE,)) -> SiteMap:
    return SiteMap(LocalFrame(31.0, 121.0), lanes, zones)


def bay(name: str, left: float, near: float = 3.0, lot: str = "yard") -> Zone:
    return Zone(name, ZoneKind.BAY, ring(left, near), lot=lot, lane="aisle")


def test_bays_on_either_side_open_towards_the_aisle() -> None:
    grid = BayGrid("yard", site(bay("n", 0.0), bay("s", 0.0, -3.0), bay("x", 0.0, 9.0, "other")))
    assert grid.names == ("n", "s")
    assert grid.centre == pytest.approx(np.array([(1.25, 5.5), (1.25, -5.5)]))
    assert grid.along == pytest.approx(np.array([(0.0, -1.0), (0.0, 1.0)]))
    assert grid.mouth == pytest.approx(np.array([(1.25, 1.5), (1.25, -1.5)]))
    assert (grid.length.tolist(), grid.width.tolist()) == ([5.0, 5.0], [2.5, 2.5])


def test_the_chance_of_standing_in_a_bay_is_that_of_the_normal_distribution() -> None:
    """σ 1.25 m across: half a bay is one σ, 0.6827; the next bay begins there: Φ(3) − Φ(1)."""
    grid = BayGrid("yard", site(bay("a", 0.0), bay("b", 2.5)))
    chances = grid.chances(np.array([(1.25, 5.5)]), np.array([(1.25**2, 0.0, 1e-6)]))
    assert chances[0] == pytest.approx([0.682689, 0.157305], abs=1e-5)
    # Along: the end at 8 m and the overhang beyond it.
    beyond = grid.chances(np.array([(1.25, 8.0 + OVERHANG)]), np.array([(1e-6, 0.0, 0.04)]))
    assert beyond[0] == pytest.approx([0.5, 0.0], abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(
    st.floats(-20.0, 20.0), st.floats(-20.0, 20.0), st.floats(0.01, 5.0), st.floats(0.01, 5.0),
    st.floats(-0.99, 0.99),
)  # fmt: skip
def test_nobody_stands_in_more_than_one_bay(
    x: float, y: float, east: float, north: float, correlation: float
) -> None:
    grid = BayGrid("yard", site(*(bay(f"b{n}", 2.5 * n) for n in range(6))))
    covariance = np.array([(east**2, correlation * east * north, north**2)])
    chances = grid.chances(np.array([(x, y)]), covariance)
    assert ((chances >= 0.0) & (chances <= 1.0)).all()
    assert chances.sum() <= 1.0 + 1e-9


def test_no_tracks_no_chances() -> None:
    grid = BayGrid("yard", site(bay("a", 0.0)))
    assert grid.chances(np.zeros((0, 2)), np.zeros((0, 3))).shape == (0, 1)


def test_lots_and_their_aisles() -> None:
    lead = Lane("lead", LaneKind.PARKING_AISLE, np.array([(-90.0, 0.0), (-40.0, 0.0)]), 6.0,
                successors=("aisle",))  # fmt: skip
    road = Lane("road", LaneKind.VEHICLE, np.array([(-200.0, 0.0), (-90.0, 0.0)]), 3.5,
                successors=("lead",))  # fmt: skip
    there = site(bay("a", 0.0), bay("b", 2.5, lot="second"), lanes=(road, lead, AISLE))
    assert lots_of(there) == ["yard", "second"]
    grid = BayGrid("yard", there)
    assert aisles_of(grid, there) == [1, 2]
    gates = Gates(grid, there)
    # In at the leading aisle's middle (no bays there), out 8 m behind the last bay, at x = 10.5.
    assert [(g.lane, g.station, g.inward) for g in gates.gates] == [
        (1, pytest.approx(25.0), 1), (2, pytest.approx(50.5), -1),
    ]  # fmt: skip
    assert gates.within(2, 45.0)
    assert not gates.within(2, 51.0)
