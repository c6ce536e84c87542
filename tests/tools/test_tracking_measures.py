"""The measures of the tracking benchmark, against results worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rsu.config.fusion import FusionOptions
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import Cov2, Size
from tools.tracking.ab3dmot import Labelled, Moment, Tracked, evaluate
from tools.tracking.baseline import SETTINGS, Ab3dmot
from tools.tracking.frames import Found, Frame
from tools.tracking.ours import Fusion
from tools.tracking.overlap import giou_3d, iou_3d

IMAGE = (100.0, 100.0, 200.0, 200.0)


def box(x: float, y: float = 0.0, yaw: float = 0.0) -> tuple[float, ...]:
    return (x, y, 0.0, 4.0, 2.0, 1.5, yaw)


def rows(*boxes: tuple[float, ...]) -> np.ndarray:
    return np.array(boxes)


def track(number: int, x: float, score: float = 1.0, image: tuple = IMAGE) -> Tracked:
    return Tracked(number, box(x), image, score)


def truth(number: int, x: float, *, ignored: bool = False) -> Labelled:
    return Labelled(number, box(x), ignored)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (box(0.0), 1.0),
        (box(2.0), 1 / 3),  # half of each shared
        (box(0.0, yaw=math.pi / 2), 4 / 12),  # a cross: 2 × 2 of 8 + 8
        (box(4.1), 0.0),
        ((0.0, 0.0, 1.5, 4.0, 2.0, 1.5, 0.0), 0.0),  # one upon the other
        ((0.0, 0.0, 0.75, 4.0, 2.0, 1.5, 0.0), 1 / 3),
    ],
)
def test_overlap_in_space(other: tuple[float, ...], expected: float) -> None:
    assert iou_3d(rows(box(0.0)), rows(other))[0, 0] == pytest.approx(expected)


def test_generalised_overlap_falls_with_distance() -> None:
    apart = giou_3d(rows(box(0.0)), rows(box(0.0), box(4.0), box(8.0), box(16.0)))[0]
    # Touching: nothing shared, nothing empty; 4 m between: a third of the hull is empty.
    assert apart[:3].tolist() == pytest.approx([1.0, 0.0, -1 / 3])
    assert apart[3] < apart[2]


def test_nothing_to_compare() -> None:
    assert iou_3d(np.zeros((0, 7)), rows(box(0.0))).shape == (0, 1)
    assert evaluate([[Moment((), ())]]).samota == 0.0


def test_perfect_tracks_reach_every_recall() -> None:
    moments = [Moment((truth(1, n),), (track(7, n, 0.9),)) for n in range(80)]
    result = evaluate([moments])
    assert (result.samota, result.mota, result.switches) == (pytest.approx(1.0), 1.0, 0)
    # MOTA at recall r without errors is r: the mean over 1/40 … 40/40, cut where one track of one
    # score gives all or nothing (every threshold keeps the whole track).
    assert result.amota == pytest.approx(1.0)


def test_recall_is_cut_by_the_scores_of_tracks() -> None:
    """Two cars, one found with a good score and one with a bad one: half of the recalls cost
    nothing, and a false track of the worst score spoils only those behind it."""
    moments = [
        Moment(
            (truth(1, 10.0), truth(2, 30.0)),
            (track(1, 10.0, 0.9), track(2, 30.0, 0.5), track(3, 60.0, 0.1)),
        )
        for _ in range(40)
    ]
    result = evaluate([moments])
    assert result.mota == 1.0
    assert result.samota == pytest.approx(1.0)
    spoilt = [
        Moment(m.truth, (*m.tracks[:2], track(3, 60.0, 0.7))) for m in moments
    ]  # now the false track is surer than the second car
    worse = evaluate([spoilt])
    # With the second car comes the false one: 40 false of 80, MOTA one half either way.
    assert worse.mota == pytest.approx(0.5)
    assert worse.samota < result.samota


def test_a_switch_counts_once_and_not_across_a_gap() -> None:
    def run(*ids: int | None) -> int:
        moments = [
            Moment((truth(1, 0.0),), () if number is None else (track(number, 0.0),))
            for number in ids
        ]
        return evaluate([moments]).switches

    assert run(1, 1, 2, 2) == 1
    assert run(1, 1, None, 2) == 0
    assert run(1, None, 1, 1) == 0


def test_what_the_rules_excuse_is_neither_found_nor_false() -> None:
    hidden = truth(9, 50.0, ignored=True)
    small = track(5, 80.0, image=(0.0, 0.0, 20.0, 20.0))
    region = track(6, 90.0, image=(300.0, 0.0, 400.0, 100.0))
    moments = [
        Moment(
            (truth(1, 0.0), hidden),
            (track(1, 0.0), track(2, 50.0), small, region),
            dont_care=((290.0, 0.0, 400.0, 100.0),),
        )
        for _ in range(5)
    ]
    result = evaluate([moments])
    assert (result.mota, result.precision, result.recall) == (1.0, 1.0, 1.0)
    unexcused = [Moment(m.truth, m.tracks) for m in moments]
    assert evaluate([unexcused]).mota == 0.0  # one false for one object


def frames(count: int, step_m: float) -> list[Frame]:
    return [
        Frame(
            (n + 1) * 100_000_000, "lidar",
            tuple(
                Found(
                    step_m * n, y, Cov2(0.04, 0.0, 0.04), Size(4.0, 2.0, 1.5), ObjectClass.CAR, 0.9
                )
                for y in (0.0, 8.0)
            ),
        )
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "tracker",
    [
        pytest.param(lambda: Fusion(FusionOptions(buffer_s=0.0)), id="ours"),
        pytest.param(lambda: Ab3dmot(SETTINGS[ObjectClass.CAR]), id="AB3DMOT"),
    ],
)
def test_two_cars_side_by_side_are_two_tracks(tracker) -> None:  # type: ignore[no-untyped-def]
    one = tracker()
    told = [one.step(frame) for frame in frames(20, 1.0)]
    last = sorted(told[-1], key=lambda estimate: estimate.y)
    assert [estimate.detection for estimate in last] == [0, 1]
    assert [estimate.x for estimate in last] == pytest.approx([19.0, 19.0], abs=0.3)
    assert len({estimate.id for some in told[10:] for estimate in some}) == 2
