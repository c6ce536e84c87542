"""Headings of vehicles that hardly move, from the lanes they stand on."""

import math
from pathlib import Path

import numpy as np
import pytest

from rsu.config.load import load_site
from rsu.fusion.lane_heading import LaneHeadings
from rsu.runtime.graph import load_map
from rsu.site.lanes import LaneRole, SiteMap

SITE = Path(__file__).resolve().parents[2] / "configs" / "junction.yaml"
UNKNOWN = math.pi / math.sqrt(3.0)


@pytest.fixture(scope="module")
def site() -> SiteMap:
    return load_map(load_site(SITE), SITE.parent)


def told(
    site: SiteMap, *, role: LaneRole = LaneRole.ENTRY, turned: float = 0.0, std: float = UNKNOWN,
    speed: float = 0.0, aside: float = 0.0, vehicle: bool = True,
) -> tuple[float, float, float]:  # fmt: skip
    """(lane's heading, heading told, its σ) of a vehicle on a lane, `turned` from it."""
    lane = site.lanes_of(role=role)[0]
    x, y, along = lane.at(0.5 * lane.length)
    place = x - aside * math.sin(along), y + aside * math.cos(along)
    state = np.array([[*place, along + turned if std < UNKNOWN else 0.0, speed, 0.0]])
    cov = np.diag((1.0, 1.0, std**2, 0.1, 0.1))[None].copy()
    cov[0, 2, 3] = cov[0, 3, 2] = 0.01
    LaneHeadings(site).inform(state, cov, np.array([vehicle]))
    assert np.linalg.eigvalsh(cov[0])[0] > 0
    return along, float(state[0, 2]), math.sqrt(cov[0, 2, 2])


def away(a: float, b: float) -> float:
    return abs((a - b + math.pi) % (2 * math.pi) - math.pi)


def test_who_never_moved_faces_along_its_lane_but_for_one_in_twenty(site: SiteMap) -> None:
    along, heading, std = told(site)
    assert away(heading, along) < 1e-9
    # √(0.95 · 8°² + 0.05 · a uniform angle's) = 24°
    assert math.degrees(std) == pytest.approx(24.5, abs=0.5)


def test_a_doubtful_heading_that_agrees_moves_towards_the_lane(site: SiteMap) -> None:
    along, heading, std = told(site, turned=0.35, std=0.35)
    assert 0.0 < away(heading, along) < 0.12
    assert std < 0.35


def test_one_that_contradicts_the_lane_is_not_argued_away(site: SiteMap) -> None:
    along, heading, _ = told(site, turned=math.pi, std=0.25)
    assert away(heading, along) == pytest.approx(math.pi, abs=1e-6)


@pytest.mark.parametrize(
    "case",
    [
        {"std": 0.1, "turned": 0.5},  # sure of itself
        {"speed": 5.0, "std": 0.5, "turned": 0.5},  # moves: will show it
        {"aside": 4.0, "std": 0.5, "turned": 0.5},  # beside the lane
        {"vehicle": False, "std": 0.5, "turned": 0.5},
        {"role": LaneRole.CONNECTION, "std": 0.5, "turned": 0.5},  # where lanes cross
    ],
)
def test_the_lane_keeps_quiet(site: SiteMap, case: dict[str, object]) -> None:
    along, heading, std = told(site, **case)  # type: ignore[arg-type]
    assert away(heading, along) == pytest.approx(0.5)
    assert std == pytest.approx(case["std"])


def test_a_site_without_lanes_changes_nothing(site: SiteMap) -> None:
    state, cov = np.zeros((1, 5)), np.eye(5)[None].copy()
    LaneHeadings(SiteMap(site.frame)).inform(state, cov, np.array([True]))
    assert (state == 0.0).all()
    assert (cov == np.eye(5)).all()
