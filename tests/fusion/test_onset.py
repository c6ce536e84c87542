"""Who stood on foot and sets off: found at the first step, seldom by noise."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from rsu.fusion.onset import GAP_S, LOOKS, START_STD, no_looks, set_off, with_look
from rsu.schema.sensing import ObjectClass

PERIOD_NS = 100_000_000


def watched(
    rng: np.random.Generator, tracks: int, looks: int, std: float, speed: float, walks_s: float
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Looks at 10 Hz at people who stand at the origin and walk east for the last `walks_s`: who
    has set off at each look (looks × tracks), and the states and covariances at the last one."""
    memory = no_looks(tracks)
    noise = np.broadcast_to(std**2 * np.eye(2), (tracks, 2, 2))
    spread = np.broadcast_to((0.1 * std) ** 2 * np.eye(2), (tracks, 2, 2))
    found = []
    for look in range(looks):
        walked = max(walks_s - 0.1 * (looks - 1 - look), 0.0) * speed
        place = np.array([walked, 0.0]) + std * rng.standard_normal((tracks, 2))
        stood = 0.1 * std * rng.standard_normal((tracks, 2))
        memory = with_look(memory, look * PERIOD_NS, place, noise, stood, spread)
        off, state, cov = set_off(memory)
        found.append(off)
    return found, state, cov


def test_a_walk_is_found_at_the_third_or_fourth_look_after_the_first_step() -> None:
    # 1.3 m/s, 10 cm noise, 10 looks/s: 0.13, 0.26, 0.39 and 0.52 m are 1.3, 2.6, 3.9 and 5.2 σ.
    found, state, cov = watched(np.random.default_rng(1), 2000, LOOKS + 4, 0.1, 1.3, 0.4)
    before, _, _, third, fourth = (float(np.mean(one)) for one in found[-5:])
    assert before < 0.005
    assert third > 0.6
    assert fourth > 0.98
    gone = found[-1]
    assert np.mean(state[gone, 2]) == pytest.approx(1.3, abs=0.2)
    assert np.mean(state[gone, 0]) == pytest.approx(0.52, abs=0.05)
    error = state[gone] - np.array([0.52, 0.0, 1.3, 0.0])
    for part in (slice(0, 2), slice(2, 4)):
        inverse = np.linalg.inv(cov[gone][:, part, part])
        nees = np.einsum("ni,nij,nj->n", error[:, part], inverse, error[:, part])
        assert 0.8 < np.mean(nees) < 4.5  # 2 is exact


def test_noise_alone_seldom_passes_for_a_walk() -> None:
    rng = np.random.default_rng(2)
    found, _, _ = watched(rng, 4000, LOOKS + 30, 0.3, 0.0, 0.0)
    begins = np.array(found)
    rate = np.mean(begins[LOOKS:] & ~begins[LOOKS - 1 : -1])
    assert 1 / 4000 < rate < 1 / 800


def test_slow_evidence_adds_up() -> None:
    # A metre of noise, 1.3 m/s: one look says next to nothing, eight do.
    found, _, _ = watched(np.random.default_rng(3), 1000, LOOKS + 2, 0.3, 1.3, 0.8)
    rising = [float(np.mean(one)) for one in found[2:]]
    assert rising[1] < 0.05
    assert rising[-1] > 0.9


def test_what_was_long_ago_is_forgotten() -> None:
    one = np.eye(2)[None] * 0.01
    memory = with_look(no_looks(1), 0, np.zeros((1, 2)), one, np.zeros((1, 2)), one)
    late = round((GAP_S + 0.1) * 1e9)
    memory = with_look(memory, late, np.array([[3.0, 0.0]]), one, np.zeros((1, 2)), one)
    assert not set_off(memory)[0][0]
    soon = with_look(no_looks(1), 0, np.zeros((1, 2)), one, np.zeros((1, 2)), one)
    soon = with_look(soon, late // 2, np.array([[1.0, 0.0]]), one, np.zeros((1, 2)), one)
    assert set_off(soon)[0][0]


def test_the_velocity_is_no_wider_than_people_walk() -> None:
    memory = no_looks(1)
    one = np.eye(2)[None]
    memory = with_look(memory, 0, np.zeros((1, 2)), one, np.zeros((1, 2)), one)
    memory = with_look(memory, PERIOD_NS, np.ones((1, 2)), one, np.zeros((1, 2)), one)
    off, _, cov = set_off(memory)
    assert not off[0]
    assert cov[0, 2, 2] == pytest.approx(START_STD**2, rel=0.01)


@pytest.mark.parametrize("std", [0.1, 0.25])
def test_who_steps_off_the_kerb_keeps_the_track_and_is_told_walking(
    world: SimpleNamespace, std: float
) -> None:
    begin = 8.0

    def kerb(t: float) -> tuple[float, float]:
        return 1.34 * max(t - begin, 0.0), 5.0

    late, speeds, born = [], [], 0
    for seed in range(1, 13):
        scene = world.Scene(seed)
        scene.add(ObjectClass.PEDESTRIAN, kerb)
        scene.sensors.append(world.Sensor("c", rate_hz=10.0, std=std, miss=0.05))
        played = world.play(scene.messages(9.5))
        born += len(played.ids)
        told = [
            (played.seconds(tracks) - begin, tracks.tracks[0])
            for tracks in played.lists
            if tracks.tracks
        ]
        assert all(one.speed == 0.0 for at, one in told if -1.0 < at < 0.0)
        first = next((at, one) for at, one in told if at > 0.0 and one.speed > 0.0)
        late.append(first[0])
        speeds.append(first[1].speed)
    # A fourth look where chance shortens the first steps; 25 cm of noise hide half a metre.
    assert np.median(late) <= (0.41 if std < 0.2 else 0.66)
    assert max(late) <= (0.51 if std < 0.2 else 1.31)
    assert born <= 12 + 1
    assert math.fabs(float(np.mean(speeds)) - 1.34) < 0.35


def test_two_who_stand_side_by_side_stay_two(world: SimpleNamespace) -> None:
    scene = world.Scene(5)
    scene.add(ObjectClass.PEDESTRIAN, lambda t: (0.0, 0.0))
    scene.add(ObjectClass.PEDESTRIAN, lambda t: (0.0, 0.7))
    scene.sensors.append(world.Sensor("c", rate_hz=10.0, std=0.1, miss=0.2))
    played = world.play(scene.messages(20.0))
    assert len(played.ids) == 2
    speeds = [one.speed for tracks in played.lists[40:] for one in tracks.tracks]
    assert np.mean(np.array(speeds) > 0.4) < 0.01
