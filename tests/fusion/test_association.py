"""Gate, cost and assignment on hand-made tables."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.stats import chi2

from rsu.fusion.association import associate, gate_threshold
from rsu.fusion.classes import CLASS_INDEX, UNKNOWN, Motion
from rsu.fusion.measurements import Scan
from rsu.fusion.table import NEVER, Rows, newborn
from rsu.schema.sensing import ObjectClass

CAR = CLASS_INDEX[ObjectClass.CAR]
PEDESTRIAN = CLASS_INDEX[ObjectClass.PEDESTRIAN]


def scan_of(points: list[tuple[float, float]], kind: int = CAR, std: float = 1.0) -> Scan:
    count = len(points)
    return Scan(
        sensor="north", capture_ns=0, number=0,
        position=np.array(points, dtype=float).reshape(count, 2),
        position_cov=np.broadcast_to(std**2 * np.eye(2), (count, 2, 2)).copy(),
        constant_cov=np.zeros((count, 2, 2)),
        velocity=None, velocity_cov=None, class_index=np.full(count, kind, dtype=np.intp),
        score=np.full(count, 0.8), size=np.full((count, 3), np.nan),
    )  # fmt: skip


def rows_at(points: list[tuple[float, float]], kind: int = CAR) -> Rows:
    scan = scan_of(points, kind)
    rows = newborn(
        scan, np.arange(len(points)), np.full(len(points), 0.9), 1, 0, 1, Motion().first_speed_std
    )
    rows.existence[:] = 0.9
    return rows


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 14), st.integers(1, 14))
def test_looking_at_near_pairs_only_is_as_good_as_looking_at_all(
    seed: int, tracks: int, measurements: int
) -> None:
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, 15, (tracks, 2))
    points = rng.uniform(0, 15, (measurements, 2))
    scan = scan_of([tuple(p) for p in points.tolist()], std=1.0)
    pairs = associate(rows_at([tuple(p) for p in place.tolist()]), scan, 9.0, 0)
    # Both are 1 m sure, and the registration allowance does not apply: 2 m² in each direction.
    distance = ((place[:, None] - points[None]) ** 2).sum(axis=2) / 2.0
    none = float(distance[distance <= 9.0].max(initial=0.0)) + 1.0
    whole = np.where(distance <= 9.0, distance, none)
    row, column = linear_sum_assignment(whole)
    best = whole[row, column].sum()
    found = distance[pairs.row, pairs.measurement].sum()
    assert len(set(pairs.measurement.tolist())) == len(set(pairs.row.tolist())) == len(pairs.row)
    assert found + none * (len(row) - len(pairs.row)) == pytest.approx(best)


@pytest.mark.parametrize("probability", [0.5, 0.9, 0.99, 0.997])
def test_the_gate_is_the_chi_square_quantile(probability: float) -> None:
    assert gate_threshold(probability) == pytest.approx(chi2.ppf(probability, 2))


def test_a_gate_of_one_is_finite() -> None:
    assert math.isfinite(gate_threshold(1.0))


def test_the_least_total_cost_wins_not_the_nearest_first() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        tracks = rng.uniform(0, 4, (4, 2))
        points = tracks + 0.8 * rng.standard_normal((4, 2))
        rows = rows_at([tuple(p) for p in tracks.tolist()])
        pairs = associate(rows, scan_of([tuple(p) for p in points.tolist()]), 1e9, 0)
        # All spreads are equal, so the total cost is the sum of squared distances.
        best = min(
            permutations(range(4)),
            key=lambda order: sum(
                ((tracks[i] - points[j]) ** 2).sum() for i, j in enumerate(order)
            ),
        )
        assert pairs.row.tolist() == [0, 1, 2, 3]
        assert tuple(pairs.measurement.tolist()) == best


def test_outside_the_gate_nothing_is_assigned() -> None:
    rows = rows_at([(0.0, 0.0)])
    gate = gate_threshold(0.99)
    spread = math.sqrt(2.0)  # 1 m² of the track and 1 m² of the measurement
    inside, outside = 0.99 * spread * math.sqrt(gate), 1.01 * spread * math.sqrt(gate)
    assert len(associate(rows, scan_of([(inside, 0.0)]), gate, 0).row) == 1
    assert len(associate(rows, scan_of([(outside, 0.0)]), gate, 0).row) == 0


def test_a_pedestrian_does_not_become_a_car_but_an_unknown_may() -> None:
    rows = rows_at([(0.0, 0.0)])
    gate = gate_threshold(0.99)
    assert len(associate(rows, scan_of([(2.0, 0.0)], PEDESTRIAN), gate, 0).row) == 0
    assert len(associate(rows, scan_of([(2.0, 0.0)], UNKNOWN), gate, 0).row) == 1


def test_one_good_pair_beats_two_poor_ones() -> None:
    # Tracks at 0 and 5; measurements at 0 and -4.6: pairing both (5→0, 0→-4.6) is possible but
    # absurd against leaving one of each alone.
    rows = rows_at([(0.0, 0.0), (4.0, 0.0)])
    pairs = associate(rows, scan_of([(0.0, 0.0), (-4.0, 0.0)]), gate_threshold(0.99), 0)
    assert (pairs.row.tolist(), pairs.measurement.tolist()) == ([0], [0])


def test_a_sure_track_is_preferred_to_a_doubtful_one() -> None:
    rows = rows_at([(0.0, 0.0), (0.6, 0.0)])
    rows.existence[:] = [0.99, 0.1]
    pairs = associate(rows, scan_of([(0.4, 0.0)]), gate_threshold(0.99), 0)
    assert pairs.row.tolist() == [0]


def test_a_sensor_new_to_a_track_gets_room_for_survey_errors() -> None:
    rows = rows_at([(0.0, 0.0)])
    gate = gate_threshold(0.99)
    point = scan_of([(1.03 * math.sqrt(2.0 * gate), 0.0)])
    assert len(associate(rows, point, gate, 0).row) == 0
    rows.last_seen[:, 0] = NEVER
    assert len(associate(rows, point, gate, 0).row) == 1


def test_the_likelihood_is_the_density_of_the_position() -> None:
    rows = rows_at([(0.0, 0.0)])
    pairs = associate(rows, scan_of([(1.0, 0.5)]), 1e9, 0)
    expected = math.exp(-0.5 * 1.25 / 2.0) / (2.0 * math.pi * 2.0)
    assert pairs.likelihood.tolist() == pytest.approx([expected])


def seen_as(kind: ObjectClass, looks: float) -> Rows:
    """A vehicle that stands at the origin, known to a metre, of one class at all of its looks."""
    rows = rows_at([(0.0, 0.0)], CLASS_INDEX[kind])
    rows.class_evidence[:, CLASS_INDEX[kind]] = looks
    rows.classify(np.array([0]))
    rows.resting[:] = True
    return rows


@pytest.mark.parametrize(
    ("known", "looks", "found", "taken"),
    [
        (ObjectClass.VAN, 20.0, ObjectClass.TRUCK, False),
        (ObjectClass.BUS, 20.0, ObjectClass.CAR, False),
        (ObjectClass.VAN, 0.8, ObjectClass.TRUCK, True),  # one look may have been wrong
        (ObjectClass.VAN, 20.0, ObjectClass.CAR, True),  # those are mixed up freely
        (ObjectClass.TRUCK, 20.0, ObjectClass.BUS, True),
        (ObjectClass.VAN, 20.0, ObjectClass.UNKNOWN, True),
    ],
)
def test_a_lorry_beside_a_queue_is_not_taken_for_a_car_in_it(
    known: ObjectClass, looks: float, found: ObjectClass, taken: bool
) -> None:
    # A lane aside, 1 m of noise on both: 2.5 σ.
    scan = scan_of([(0.0, 3.5)], CLASS_INDEX[found])
    assert (len(associate(seen_as(known, looks), scan, 11.6, 0).row) == 1) is taken


def test_a_look_that_names_another_length_still_fits_where_it_lies_near() -> None:
    scan = scan_of([(0.0, 1.0)], CLASS_INDEX[ObjectClass.TRUCK])
    assert len(associate(seen_as(ObjectClass.CAR, 20.0), scan, 11.6, 0).row) == 1


def test_a_vehicle_in_motion_may_be_named_anew() -> None:
    rows = seen_as(ObjectClass.CAR, 20.0)
    rows.resting[:] = False
    scan = scan_of([(0.0, 3.5)], CLASS_INDEX[ObjectClass.TRUCK])
    assert len(associate(rows, scan, 11.6, 0).row) == 1


@pytest.mark.parametrize(("unseen_s", "kind", "taken"), [
    (0.1, ObjectClass.PEDESTRIAN, True),
    (0.1, ObjectClass.CAR, False),
])  # fmt: skip
def test_who_stands_on_foot_may_have_made_a_step(
    unseen_s: float, kind: ObjectClass, taken: bool
) -> None:
    rows = rows_at([(0.0, 0.0)], CLASS_INDEX[kind])
    rows.resting[:] = rows.stands[:] = True
    rows.rest_cov[:] = 0.03**2 * np.eye(2)
    rows.updated_ns[:] = -round(unseen_s * 1e9)
    scan = scan_of([(0.5, 0.0)], CLASS_INDEX[kind], std=0.1)  # 4.8 σ of a place that stands
    assert (len(associate(rows, scan, 11.6, 0).row) == 1) is taken
    far = scan_of([(1.2, 0.0)], CLASS_INDEX[kind], std=0.1)
    assert not len(associate(rows, far, 11.6, 0).row)
