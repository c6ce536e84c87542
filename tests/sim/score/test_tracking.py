"""Metrics against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rsu.schema.sensing import ObjectClass
from rsu.sim.score.moments import Moment
from rsu.sim.score.tracking import GOSPA_CUT_M, Tracking

At = tuple[float, float]


def moment(
    step: int,
    truths: dict[int, At],
    tracks: dict[int, At],
    *,
    hidden: tuple[int, ...] = (),
    kind: ObjectClass = ObjectClass.CAR,
    std: float = 1.0,
) -> Moment:
    """Things at places; `hidden` truths are in nobody's view."""

    def places(some: dict[int, At]) -> np.ndarray:
        return np.array(list(some.values()), dtype=float).reshape(-1, 2)

    return Moment(
        time_ns=step * 100_000_000,
        truth_ids=tuple(truths), truth_classes=(kind,) * len(truths), truth_xy=places(truths),
        truth_heading=np.zeros(len(truths)), truth_speed=np.full(len(truths), 5.0),
        counts=np.array([number not in hidden for number in truths], dtype=bool),
        track_ids=tuple(tracks), track_classes=(kind,) * len(tracks), track_xy=places(tracks),
        track_heading=np.full(len(tracks), math.radians(10.0)),
        track_speed=np.full(len(tracks), 4.0),
        covariance=np.tile(np.eye(2) * std * std, (len(tracks), 1, 1)),
        judged=np.ones(len(tracks), dtype=bool),
    )  # fmt: skip


def score(*moments: Moment) -> dict[str, float]:
    tracking = Tracking()
    for one in moments:
        tracking.take(one)
    return tracking.numbers()


def test_a_perfect_tracker() -> None:
    places = {1: (0.0, 0.0), 2: (30.0, 0.0)}
    numbers = score(*(moment(i, places, {7: places[1], 8: places[2]}) for i in range(10)))
    for name in ("mota", "idf1", "hota", "hota.deta", "hota.assa", "recall", "precision"):
        assert numbers[name] == pytest.approx(1.0)
    assert numbers["gospa_m.mean"] == 0.0
    assert numbers["id_switches"] == numbers["fragmentations"] == 0


def test_misses_false_tracks_and_switches_add_up_to_mota() -> None:
    here = {1: (0.0, 0.0)}
    numbers = score(
        moment(0, here, {7: (0.0, 0.0)}),
        moment(1, here, {}),  # missed
        moment(2, here, {8: (0.5, 0.0)}),  # found again by another: switch, fragmentation
        moment(3, here, {8: (0.5, 0.0), 9: (50.0, 0.0)}),  # a false one beside
    )
    assert numbers["misses"] == numbers["false_tracks"] == numbers["id_switches"] == 1
    assert numbers["fragmentations"] == 1
    assert numbers["mota"] == pytest.approx(1 - 3 / 4)
    assert numbers["recall"] == pytest.approx(3 / 4)
    assert numbers["precision"] == pytest.approx(3 / 4)
    # The best pair of ids is 1 and 8, twice together; truth is there 4 times, tracks 4 times.
    assert numbers["idf1"] == pytest.approx(2 * 2 / (4 + 4))


def test_a_match_is_kept_while_it_holds_though_another_track_is_nearer() -> None:
    here = {1: (0.0, 0.0)}
    numbers = score(
        moment(0, here, {7: (0.5, 0.0)}),
        moment(1, here, {7: (2.0, 0.0), 8: (0.1, 0.0)}),
    )
    assert numbers["id_switches"] == 0
    assert numbers["false_tracks"] == 1


def test_hota_of_one_object_that_two_tracks_share() -> None:
    here = {1: (0.0, 0.0)}
    numbers = score(
        moment(0, here, {7: (0.0, 0.0)}), moment(1, here, {7: (0.0, 0.0)}),
        moment(2, here, {8: (0.0, 0.0)}), moment(3, here, {8: (0.0, 0.0)}),
    )  # fmt: skip
    # Every detection is right. Association of each hit: 2 together, of 4 + 2 − 2 moments: a half.
    assert numbers["hota.deta"] == pytest.approx(1.0)
    assert numbers["hota.assa"] == pytest.approx(0.5)
    assert numbers["hota"] == pytest.approx(math.sqrt(0.5))


def test_gospa_is_localisation_and_half_the_cut_for_each_missed_or_false() -> None:
    numbers = score(moment(0, {1: (0.0, 0.0), 2: (50.0, 0.0)}, {7: (3.0, 0.0), 8: (90.0, 0.0)}))
    half = GOSPA_CUT_M**2 / 2
    assert numbers["gospa_m.mean"] == pytest.approx(math.sqrt(9.0 + half + half))
    assert numbers["gospa_m.localisation"] == pytest.approx(3.0)
    assert numbers["gospa_m.missed"] == numbers["gospa_m.false"] == pytest.approx(math.sqrt(half))


def test_what_nobody_can_see_is_no_miss_and_a_track_on_it_not_false() -> None:
    both = {1: (0.0, 0.0), 2: (40.0, 0.0)}
    numbers = score(moment(0, both, {7: (0.0, 0.0), 8: (40.5, 0.0)}, hidden=(2,)))
    assert numbers["misses"] == numbers["false_tracks"] == 0
    assert numbers["recall"] == numbers["precision"] == 1.0


def test_errors_and_consistency() -> None:
    numbers = score(moment(0, {1: (0.0, 0.0)}, {7: (1.2, 1.6)}, std=2.0))
    assert numbers["all.position_m.mean"] == pytest.approx(2.0)
    assert numbers["all.speed_mps.mean"] == pytest.approx(1.0)
    assert numbers["all.heading_deg.mean"] == pytest.approx(10.0)
    assert numbers["all.nees.mean"] == pytest.approx((1.2**2 + 1.6**2) / 4)
    assert numbers["class.car.recall"] == 1.0
    assert numbers["range.000-020m.objects"] == 1


def test_consistent_errors_lie_in_the_band() -> None:
    rng = np.random.default_rng(1)
    tracking = Tracking()
    for step in range(500):
        error = rng.standard_normal(2) * 0.4
        tracking.take(moment(step, {1: (0.0, 0.0)}, {7: tuple(error)}, std=0.4))
    numbers = tracking.numbers()
    assert numbers["all.nees.band_low"] < numbers["all.nees.mean"] < numbers["all.nees.band_high"]
    assert numbers["all.nees.inside_95"] == pytest.approx(0.95, abs=0.03)


def test_the_gate_of_people_is_narrower() -> None:
    for kind, found in ((ObjectClass.CAR, 1.0), (ObjectClass.PEDESTRIAN, 0.0)):
        numbers = score(moment(0, {1: (0.0, 0.0)}, {7: (2.5, 0.0)}, kind=kind))
        assert numbers["recall"] == found


def test_nothing_at_all_is_no_division_by_nought() -> None:
    numbers = score(moment(0, {}, {}), moment(1, {}, {}))
    assert numbers["moments"] == 2
    assert not any(math.isnan(value) for value in numbers.values())
