"""The existence recursion: direction, size and bounds of every step."""

import math

import numpy as np
import pytest

from rsu.fusion import existence
from rsu.fusion.classes import CLASS_INDEX, Motion
from rsu.fusion.table import FRESH_NS, NEVER, empty_table, newborn
from rsu.schema.sensing import ObjectClass


def odds(probability: float) -> float:
    return probability / (1.0 - probability)


def hit(prior: float, likelihood: float, score: float, look_s: float = 1.0) -> float:
    after = existence.after_hit(
        np.array([prior]), np.array([likelihood]), np.array([score]), look_s, 0.5, 1e-3
    )
    return float(after[0])


def miss(prior: float, confirmed: bool, look_s: float = 1.0) -> float:
    after = existence.after_miss(np.array([prior]), np.array([confirmed]), look_s, 0.6)
    return float(after[0])


def test_a_hit_multiplies_the_odds_by_its_likelihood_ratio() -> None:
    # 0.5 × likelihood / 1e-3 × score odds: 0.5 × 0.004 / 0.001 × 1 = 2.
    assert odds(hit(0.3, 0.004, 0.5)) == pytest.approx(2.0 * odds(0.3))
    # The score is a prior: at 0.2 its odds of 1/4 turn the same look into a counter-argument.
    assert odds(hit(0.3, 0.004, 0.2)) == pytest.approx(0.5 * odds(0.3))


def test_one_look_never_counts_for_more_than_its_bound() -> None:
    bound = math.exp(existence.LARGEST_GAIN)
    assert odds(hit(0.3, 1e6, 0.99)) == pytest.approx(bound * odds(0.3))
    assert odds(hit(0.3, 0.0, 0.01)) == pytest.approx(odds(0.3) / bound)


def test_looks_in_quick_succession_count_as_one() -> None:
    once = hit(0.3, 1.0, 0.9)
    twice = hit(hit(0.3, 1.0, 0.9, 0.04), 1.0, 0.9, 0.04)
    assert twice == pytest.approx(once)
    assert hit(0.3, 1.0, 0.9, 0.0) == pytest.approx(0.3)


def test_a_young_track_pays_for_a_miss_at_once_a_confirmed_one_by_time() -> None:
    assert odds(miss(0.6, confirmed=False)) == pytest.approx(0.4 * odds(0.6))
    assert odds(miss(0.6, confirmed=True)) == pytest.approx(0.4 * odds(0.6))
    frame = 0.08
    assert odds(miss(0.6, False, frame)) == pytest.approx(0.4 * odds(0.6))
    share = frame / existence.OCCLUSION_S
    assert odds(miss(0.6, True, frame)) == pytest.approx(0.4**share * odds(0.6))


def test_existence_decays_with_the_survival_time_and_never_is_certain() -> None:
    assert 0.8 * existence.decay(1.5, 3.0) == pytest.approx(0.8 * math.exp(-0.5))
    assert hit(0.9999, 1.0, 0.99) == existence.CERTAIN


def test_only_who_saw_it_last_may_miss_it() -> None:
    table = empty_table(1, 3)
    rows = newborn(_one(), np.array([0]), np.array([0.9]), 1, 0, 3, Motion().first_speed_std)
    second = 1_000_000_000
    rows.last_seen[0] = [10 * second, 10 * second - FRESH_NS - 1, NEVER]
    rows.updated_ns[0] = 10 * second
    assert [bool(existence.responsible(rows, column)[0]) for column in range(3)] == [
        True, False, False,
    ]  # fmt: skip
    rows.last_seen[0, 1] += 1
    assert existence.responsible(rows, 1)[0]
    assert len(table.rows) == 0


def _one():  # type: ignore[no-untyped-def]
    from rsu.fusion.measurements import Scan

    return Scan(
        sensor="north", capture_ns=0, number=0, position=np.zeros((1, 2)),
        position_cov=np.eye(2)[None], constant_cov=np.zeros((1, 2, 2)),
        velocity=None, velocity_cov=None,
        class_index=np.array([CLASS_INDEX[ObjectClass.CAR]]), score=np.array([0.8]),
        size=np.full((1, 3), np.nan),
    )  # fmt: skip
