"""What is in a sensor's view, and what a sensor finds there."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rsu.config.model import SiteConfig
from rsu.schema.sensing import ObjectClass
from rsu.sim.score.coverage import Coverage
from rsu.sim.world.scene import Scene

CAR = (4.5, 1.8, 1.5)
BUS = (12.0, 2.5, 3.2)


def scene(*things: tuple[tuple[float, float, float], float, float, float, float]) -> Scene:
    """(size, x, y, heading, speed) each."""
    return Scene(
        0, tuple(range(len(things))),
        tuple(ObjectClass.BUS if size == BUS else ObjectClass.CAR for size, *_ in things),
        np.array([(x, y) for _, x, y, _, _ in things]),
        np.array([heading for *_, heading, _ in things]),
        np.array([speed for *_, speed in things]), np.array([size for size, *_ in things]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def coverage(junction: SiteConfig) -> Coverage:
    return Coverage(junction)


def test_far_away_a_car_is_in_view_before_it_is_found(coverage: Coverage) -> None:
    # On the east leg only the camera at (-16, -16) looks: 8 px are 1.5 m at some 90 m.
    far, near = scene((CAR, 98.0, -1.7, math.pi, 8.0)), scene((CAR, 60.0, -1.7, math.pi, 8.0))
    assert (coverage.sees(far)[0], coverage.finds(far)[0]) == (True, False)
    assert (coverage.sees(near)[0], coverage.finds(near)[0]) == (True, True)


def test_what_a_bus_hides_is_in_view_and_not_found(coverage: Coverage) -> None:
    # The west leg: a radar at (-14, -3.5), and the camera at (16, 16) from above.
    there = (CAR, -70.0, -5.2, 0.0, 0.0)
    alone, hidden = scene(there), scene(there, (BUS, -61.0, -5.2, 0.0, 0.0))
    assert (coverage.sees(alone)[0], coverage.finds(alone)[0]) == (True, True)
    assert (coverage.sees(hidden)[0], coverage.finds(hidden)[0]) == (True, False)


def test_without_sensors_nothing_is_found() -> None:
    assert not Coverage(None).finds(scene((CAR, 5.0, 0.0, 0.0, 0.0)))[0]


def test_what_hides_behind_what_is_as_the_sensors_of_the_run_hang(junction: SiteConfig) -> None:
    # A box in line with the edge of a car nearer to the radar: some centimetres decide.
    marginal = scene(((0.8, 0.8, 0.4), -52.5, -5.4, 0.0, 0.0), (CAR, -27.6, -5.2, 0.0, 0.0))

    def found(seed: int) -> bool:
        return bool(Coverage(junction, seed).views["west"].finds(marginal)[0])

    assert {found(seed) for seed in range(12)} == {False, True}
    assert [found(seed) for seed in range(4)] == [found(seed) for seed in range(4)]
