"""Of boxes that mean one object the best stays; different objects stay apart."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.perception.nms import CLASS_ORDER, MAX_CANDIDATES, suppress
from rsu.schema.sensing import ObjectClass as C

A = [0.0, 0.0, 10.0, 10.0]
NEAR_A = [1.0, 0.0, 11.0, 10.0]  # intersection 90, union 110: 0.82
HALF_A = [0.0, 0.0, 10.0, 5.0]  # intersection over union 0.5, contained in A
FAR = [50.0, 50.0, 60.0, 60.0]


def keep(boxes, scores, classes, crops=None, threshold=0.6) -> list[int]:
    return suppress(
        np.array(boxes, np.float64),
        np.array(scores, np.float64),
        np.array([CLASS_ORDER.index(c) for c in classes]),
        np.array(crops if crops is not None else [0] * len(boxes)),
        threshold,
    ).tolist()


def test_the_best_of_one_class_stays() -> None:
    assert keep([A, NEAR_A, FAR], [0.5, 0.9, 0.2], [C.CAR] * 3) == [1, 2]


def test_kinds_of_motor_vehicles_are_one_vehicle() -> None:
    assert keep([A, NEAR_A], [0.5, 0.6], [C.CAR, C.TRUCK]) == [1]


def test_a_rider_is_not_the_bicycle() -> None:
    assert keep([A, NEAR_A], [0.5, 0.6], [C.PEDESTRIAN, C.BICYCLE]) == [1, 0]
    assert keep([A, NEAR_A], [0.5, 0.6], [C.MOTORCYCLE, C.CAR]) == [1, 0]


def test_an_unknown_object_yields_to_and_beats_everything() -> None:
    assert keep([A, NEAR_A], [0.5, 0.6], [C.UNKNOWN, C.PEDESTRIAN]) == [1]
    assert keep([A, NEAR_A], [0.7, 0.6], [C.UNKNOWN, C.PEDESTRIAN]) == [0]


def test_a_half_from_another_crop_is_the_same_object() -> None:
    assert keep([A, HALF_A], [0.9, 0.6], [C.CAR] * 2, crops=[0, 0]) == [0, 1]
    assert keep([A, HALF_A], [0.9, 0.6], [C.CAR] * 2, crops=[0, 1]) == [0]


def test_equal_scores_keep_their_order_and_empty_is_empty() -> None:
    assert keep([FAR, A, NEAR_A], [0.5] * 3, [C.CAR] * 3) == [0, 1]
    assert keep(np.zeros((0, 4)), [], []) == []


def test_a_flood_of_boxes_is_bounded() -> None:
    n = MAX_CANDIDATES * 3
    boxes = [[20.0 * i, 0.0, 20.0 * i + 10, 10.0] for i in range(n)]
    kept = keep(boxes, np.linspace(0, 1, n), [C.CAR] * n)
    assert kept == list(range(n - 1, n - 1 - MAX_CANDIDATES, -1))


def thousandths(most: int) -> st.SearchStrategy[float]:
    """px; below 1e-9 px² a box counts as empty, so nothing between 0 and 0.001 px."""
    return st.integers(0, most * 1000).map(lambda n: n / 1000)


box = st.tuples(thousandths(100), thousandths(100), thousandths(50), thousandths(50)).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)


def overlap(a, b) -> float:
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union if union > 0 else 0.0


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(box, st.floats(0, 1)), max_size=20))
def test_survivors_are_apart_and_every_victim_has_a_better_survivor(found) -> None:
    boxes = [b for b, _ in found]
    scores = [s for _, s in found]
    kept = keep(np.array(boxes).reshape(-1, 4), scores, [C.CAR] * len(found), threshold=0.5)
    assert [scores[i] for i in kept] == sorted((scores[i] for i in kept), reverse=True)
    for n, i in enumerate(kept):
        assert all(overlap(boxes[i], boxes[j]) <= 0.5 + 1e-9 for j in kept[n + 1 :])
    for i in set(range(len(found))) - set(kept):
        assert any(
            overlap(boxes[i], boxes[j]) > 0.5 - 1e-9 and scores[j] >= scores[i] for j in kept
        )
