"""Metrics against cases worked out by hand."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.sensing import ObjectClass
from rsu.sim.score.moments import Moment
from rsu.sim.score.tracking import ALL, GOSPA_CUT_M, STANDING, Tracking, gospa

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
        truth_ids=np.array(list(truths), dtype=np.int64),
        truth_classes=(kind,) * len(truths),
        truth_xy=places(truths),
        truth_heading=np.zeros(len(truths)), truth_speed=np.full(len(truths), 5.0),
        counts=np.array([number not in hidden for number in truths], dtype=bool),
        track_ids=np.array(list(tracks), dtype=np.int64),
        track_classes=(kind,) * len(tracks),
        track_xy=places(tracks),
        track_heading=np.full(len(tracks), math.radians(10.0)),
        track_speed=np.full(len(tracks), 4.0),
        covariance=np.tile(np.eye(2) * std * std, (len(tracks), 1, 1)),
        judged=np.ones(len(tracks), dtype=bool),
    )  # fmt: skip


def score(*moments: Moment, group: str = ALL) -> dict[str, Any]:
    with Tracking() as tracking:
        for one in moments:
            tracking.take(one)
        return tracking.numbers()[group]


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
    assert numbers["position_m.mean"] == pytest.approx(2.0)
    assert numbers["speed_mps.mean"] == pytest.approx(1.0)
    assert numbers["heading_deg.mean"] == pytest.approx(10.0)
    assert numbers["nees.mean"] == pytest.approx((1.2**2 + 1.6**2) / 4)
    assert numbers["class_accuracy"] == 1.0


def test_consistent_errors_lie_in_the_band() -> None:
    rng = np.random.default_rng(1)
    errors = (tuple((rng.standard_normal(2) * 0.4).tolist()) for _ in range(500))
    numbers = score(
        *(moment(step, {1: (0.0, 0.0)}, {7: e}, std=0.4) for step, e in enumerate(errors))
    )
    assert numbers["nees.band_low"] < numbers["nees.mean"] < numbers["nees.band_high"]
    assert numbers["nees.inside_95"] == pytest.approx(0.95, abs=0.03)


def test_the_gate_of_people_is_narrower() -> None:
    for kind, found in ((ObjectClass.CAR, 1.0), (ObjectClass.PEDESTRIAN, 0.0)):
        numbers = score(moment(0, {1: (0.0, 0.0)}, {7: (2.5, 0.0)}, kind=kind))
        assert numbers["recall"] == found


def test_nothing_at_all_is_no_number_and_no_division_by_nought() -> None:
    with Tracking() as tracking:
        for step in range(2):
            tracking.take(moment(step, {}, {}))
        groups = tracking.numbers()
    assert set(groups) == set(STANDING)
    for numbers in groups.values():
        assert numbers["objects"] == 0
        for name in ("recall", "precision", "mota", "idf1", "hota", "gospa_m.mean", "nees.mean"):
            assert numbers[name] is None


def test_a_group_is_judged_by_its_own() -> None:
    """Two cars, near and far; the near one is called a van, a false car stands at 70 m."""
    truths, tracks = {1: (10.0, 0.0), 2: (0.0, 50.0)}, {7: (10.5, 0.0), 8: (70.0, 0.0)}
    one = moment(0, truths, tracks)
    one = dataclasses.replace(one, track_classes=(ObjectClass.VAN, ObjectClass.CAR))
    with Tracking() as tracking:
        tracking.take(one)
        groups = tracking.numbers()
    found = {
        name: (numbers["objects"], numbers["recall"], numbers["precision"], numbers["mota"],
               numbers["idf1"])
        for name, numbers in groups.items() if numbers["objects"] or numbers["false_tracks"]
    }  # fmt: skip
    # IDF1: twice the moments rightly paired over moments of truth and of tracks.
    assert found == {
        "all": (2, 0.5, 0.5, pytest.approx(0.0), pytest.approx(2 / 4)),
        "class.car": (2, 0.5, 0.5, pytest.approx(0.0), pytest.approx(2 / 4)),
        "near.vehicles_60m": (2, 0.5, 1.0, pytest.approx(0.5), pytest.approx(2 / 3)),
        "range.000-020m": (1, 1.0, 1.0, pytest.approx(1.0), pytest.approx(1.0)),
        "range.040-060m": (1, 0.0, None, pytest.approx(0.0), pytest.approx(0.0)),
        "range.060-080m": (0, None, 0.0, None, None),
    }
    assert groups["class.car"]["class_accuracy"] == 0.0


def test_idf1_pairs_each_id_once() -> None:
    """One object, ten moments: six with track 7, four with 8; 7 also follows another for three."""
    steps = [moment(i, {1: (0.0, 0.0)}, {7: (0.0, 0.0)}) for i in range(6)]
    steps += [moment(i, {1: (0.0, 0.0)}, {8: (0.0, 0.0)}) for i in range(6, 10)]
    steps += [moment(i, {2: (30.0, 0.0)}, {7: (30.0, 0.0)}) for i in range(10, 13)]
    numbers = score(*steps)
    # 1–7 (6) and nothing for 2 makes 6; 1–8 (4) and 2–7 (3) makes 7.
    assert numbers["idf1"] == pytest.approx(2 * 7 / (13 + 13))
    assert numbers["idp"] == numbers["idr"] == pytest.approx(7 / 13)


def test_hota_by_hand_at_every_threshold() -> None:
    """One object 1.1 m from its track: similarity 0.725, so thresholds to 0.70 are met: 14 of 19.
    There, of two moments of truth and one of the track: DetA 1/2, AssA 1/(2 + 1 − 1)."""
    numbers = score(moment(0, {1: (0.0, 0.0)}, {7: (1.1, 0.0)}), moment(1, {1: (0.0, 0.0)}, {}))
    assert numbers["hota.deta"] == pytest.approx(0.5 * 14 / 19)
    assert numbers["hota.assa"] == pytest.approx(0.5 * 14 / 19)
    assert numbers["hota"] == pytest.approx(0.5 * 14 / 19)


def test_hota_prefers_the_pair_that_agrees_over_the_whole_run() -> None:
    """Track 7 follows object 1; once, a passing 8 is nearer to it. The published assignment weighs
    by agreement of ids over the run, so that 7 keeps it: every hit of 1 is with 7."""
    steps = [moment(i, {1: (0.0, 0.0)}, {7: (0.4, 0.0)}) for i in range(9)]
    numbers = score(*steps, moment(9, {1: (0.0, 0.0)}, {7: (0.4, 0.0), 8: (0.0, 0.0)}))
    # 0.4 m: similarity 0.9, 18 thresholds met; 10 hits of 10 + 11 − 10; all agree wholly.
    assert numbers["hota.assa"] == pytest.approx(18 / 19)
    assert numbers["hota.deta"] == pytest.approx(10 / 11 * 18 / 19)


def brute_gospa(distance: np.ndarray, cut: float) -> float:
    """The definition with α = 2, over every assignment."""
    count, others = distance.shape
    best = math.inf
    for size in range(min(count, others) + 1):
        for rows in itertools.combinations(range(count), size):
            for cols in itertools.permutations(range(others), size):
                near = sum(min(distance[i, j], cut) ** 2 for i, j in zip(rows, cols, strict=True))
                best = min(best, near + cut**2 / 2 * (count + others - 2 * size))
    return math.sqrt(best)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.floats(0.0, 9.0), min_size=3, max_size=3), max_size=4),
)
def test_gospa_is_the_least_over_all_assignments(rows: list[list[float]]) -> None:
    distance = np.array(rows, dtype=float).reshape(-1, 3)
    whole, *parts = gospa(distance)
    assert whole == pytest.approx(brute_gospa(distance, GOSPA_CUT_M))
    assert whole**2 == pytest.approx(sum(part**2 for part in parts))


def test_track_ids_may_be_large() -> None:
    numbers = score(moment(0, {1: (0.0, 0.0)}, {2**60 + 1: (0.0, 0.0)}))
    assert numbers["hota"] == numbers["idf1"] == pytest.approx(1.0)
