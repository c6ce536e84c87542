"""What standing errors of several sensors leave of a place."""

from __future__ import annotations

import numpy as np
import pytest

from rsu.fusion.motion import flat2, matrix2
from rsu.fusion.table import standing_error

ALL = np.ones((1, 2), dtype=np.bool_)


def left(noise: list[np.ndarray], standing: list[np.ndarray], company: np.ndarray) -> np.ndarray:
    told = standing_error(flat2(np.array(noise))[None], flat2(np.array(standing))[None], company)
    return np.asarray(told[0])


def ellipse(along: float, across: float, turn: float) -> np.ndarray:
    cos, sin = np.cos(turn), np.sin(turn)
    turned = np.array([[cos, -sin], [sin, cos]])
    return np.asarray(turned @ np.diag([along**2, across**2]) @ turned.T)


def test_one_sensor_leaves_its_own() -> None:
    own = ellipse(3.0, 0.2, 0.7)
    company = np.array([[True, False]])
    other = np.eye(2)
    assert left([own + 0.1 * np.eye(2), other], [own, other], company) == pytest.approx(own)


def test_two_that_look_across_each_other_leave_little() -> None:
    east, north = ellipse(3.0, 0.2, 0.0), ellipse(3.0, 0.2, np.pi / 2)
    told = left([east, north], [east, north], ALL)
    # Independent and weighed by themselves: (Σ C⁻¹)⁻¹, about as good as the better one each way.
    assert told == pytest.approx(np.linalg.inv(np.linalg.inv(east) + np.linalg.inv(north)))
    assert told[0, 0] < 0.2**2


def test_who_is_loosely_known_moves_the_place_little_however_it_errs() -> None:
    sharp, loose = 0.1 * np.eye(2), 4.0 * np.eye(2)
    told = left([sharp, loose], [np.zeros((2, 2)), 4.0 * np.eye(2)], ALL)
    weight = 0.25 / (10.0 + 0.25)
    assert told == pytest.approx(weight**2 * 4.0 * np.eye(2))


def test_it_is_the_spread_of_what_is_weighed_so() -> None:
    rng = np.random.default_rng(1)
    standing = [ellipse(2.0, 0.4, 0.3), ellipse(1.0, 0.8, 1.9)]
    noise = [standing[0] + 0.2 * np.eye(2), standing[1] + ellipse(0.5, 0.1, 1.0)]
    weights = [np.linalg.inv(one) for one in noise]
    total = np.linalg.inv(weights[0] + weights[1])
    off = np.zeros((200_000, 2))
    for cov, weight in zip(standing, weights, strict=True):
        off += rng.multivariate_normal([0.0, 0.0], cov, len(off)) @ weight @ total
    assert left(noise, standing, ALL) == pytest.approx(np.cov(off.T), rel=0.02, abs=0.002)


def test_hearsay_has_no_errors_of_its_own() -> None:
    own = ellipse(1.0, 0.5, 0.2)
    nothing = np.zeros((2, 2))
    assert left([own, nothing], [own, nothing], ALL) == pytest.approx(own)


def test_who_came_first_makes_no_difference() -> None:
    rng = np.random.default_rng(2)
    standing = [
        ellipse(rng.uniform(0.1, 3.0), rng.uniform(0.1, 3.0), turn) for turn in (0.1, 1.2, 2.3)
    ]
    noise = [one + 0.1 * np.eye(2) for one in standing]
    company = np.ones((1, 3), dtype=np.bool_)
    told = left(noise, standing, company)
    for order in ([1, 2, 0], [2, 1, 0], [1, 0, 2]):
        again = left([noise[i] for i in order], [standing[i] for i in order], company)
        assert (again == told).all()


def test_flat_and_back() -> None:
    cov = ellipse(2.0, 0.3, 1.0)[None]
    assert matrix2(flat2(cov)) == pytest.approx(cov)
