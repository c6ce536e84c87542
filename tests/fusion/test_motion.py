"""The filter against independent arithmetic: numeric integration, finite differences, textbook."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.fusion import motion

POLAR = np.array([True])
FREE = np.array([False])
MOVING = np.array([False])
HELD = np.array([True])
QUIET = np.zeros(1)


def drive(state: list[float], dt: float, steps: int = 20000) -> np.ndarray:
    """Constant turn rate and velocity by small straight steps (midpoint rule)."""
    x, y, heading, speed, rate = state
    h = dt / steps
    for _ in range(steps):
        middle = heading + 0.5 * rate * h
        x, y = x + speed * h * math.cos(middle), y + speed * h * math.sin(middle)
        heading += rate * h
    return np.array([x, y, heading, speed, rate])


@pytest.mark.parametrize("rate", [0.0, 1e-7, 0.3, -1.2])
def test_a_turning_vehicle_goes_where_integration_says(rate: float) -> None:
    start = [3.0, -2.0, 0.7, 9.0, rate]
    ahead, _ = motion.predict(np.array([start]), np.eye(5)[None], POLAR, MOVING, QUIET, 0.8)
    expected = drive(start, 0.8)
    assert ahead[0] == pytest.approx(expected, abs=1e-6)


@given(
    heading=st.floats(-3.0, 3.0), speed=st.floats(-3.0, 30.0), rate=st.floats(-1.5, 1.5),
    dt=st.floats(0.01, 1.5), polar=st.booleans(),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_covariance_follows_the_derivative_of_the_motion(
    heading: float, speed: float, rate: float, dt: float, polar: bool
) -> None:
    state = np.array([[1.0, 2.0, heading, speed, rate if polar else 0.0]])
    form = np.array([polar])
    cov = np.diag([0.5, 0.7, 0.02, 1.0, 0.01 if polar else 0.0])[None]
    _, ahead = motion.predict(state, cov, form, HELD, QUIET, dt)

    def move(row: np.ndarray) -> np.ndarray:
        moved = motion.predict(row[None], cov, form, HELD, QUIET, dt)[0][0]
        # Unwrapped, so that a difference across π is small.
        if polar:
            moved[2] = row[2] + row[4] * dt
        return moved

    columns = [(move(state[0] + step) - move(state[0] - step)) / 2e-5 for step in 1e-5 * np.eye(5)]
    jacobian = np.stack(columns, axis=1)
    plain = np.diag([motion.POSITION_PSD * dt, motion.POSITION_PSD * dt, 0.0, 0.0, 0.0])
    assert ahead[0] == pytest.approx(jacobian @ cov[0] @ jacobian.T + plain, abs=2e-5, rel=1e-5)


def test_noise_does_not_depend_on_how_time_is_cut_up() -> None:
    state, cov = np.array([[0.0, 0.0, 3.0, 1.0, 0.0]]), np.eye(5)[None] * 0.5
    cov[:, 4, :] = cov[:, :, 4] = 0.0
    q = np.array([0.7])
    once = motion.predict(state, cov, FREE, MOVING, q, 0.9)
    twice = motion.predict(*motion.predict(state, cov, FREE, MOVING, q, 0.4), FREE, MOVING, q, 0.5)
    assert twice[0] == pytest.approx(once[0])
    assert twice[1] == pytest.approx(once[1])


def test_a_position_update_is_the_textbook_kalman_update() -> None:
    state = np.array([[1.0, 2.0, 0.5, -0.5, 0.0]])
    cov = np.zeros((1, 5, 5))
    cov[0, :4, :4] = [
        [1.0, 0.1, 0.4, 0.0], [0.1, 2.0, 0.0, 0.5], [0.4, 0.0, 0.9, 0.1], [0.0, 0.5, 0.1, 0.8]
    ]  # fmt: skip
    noise = np.array([[[0.5, 0.2], [0.2, 0.6]]])
    measured = np.array([[1.7, 1.1]])
    got, got_cov = motion.update_position(state, cov, FREE, MOVING, measured, noise)
    h = np.eye(2, 5)
    gain = cov[0] @ h.T @ np.linalg.inv(h @ cov[0] @ h.T + noise[0])
    assert got[0] == pytest.approx(state[0] + gain @ (measured[0] - state[0, :2]))
    assert got_cov[0] == pytest.approx((np.eye(5) - gain @ h) @ cov[0])


def test_a_resting_vehicle_is_not_turned_by_its_jitter() -> None:
    state = np.array([[0.0, 0.0, 1.0, 0.2, 0.0]])
    cov = np.diag([1.0, 1.0, 0.3, 0.5, 0.1])[None] + 0.05
    rng = np.random.default_rng(3)
    for _ in range(200):
        state, cov = motion.predict(state, cov, POLAR, HELD, np.ones(1), 0.08)
        state, cov = motion.update_position(
            state, cov, POLAR, HELD, rng.normal(size=(1, 2)), np.eye(2)[None]
        )
        assert state[0, 2] == 1.0
        assert np.linalg.eigvalsh(cov[0])[0] > -1e-12
    assert cov[0, 2, 2] > 0.3


@given(heading=st.floats(-math.pi, math.pi), speed=st.floats(1.0, 40.0))
@settings(deadline=None, max_examples=50)
def test_forms_convert_there_and_back(heading: float, speed: float) -> None:
    free = np.array([[4.0, 5.0, speed * math.cos(heading), speed * math.sin(heading), 0.0]])
    cov = np.zeros((1, 5, 5))
    cov[0, :4, :4] = np.diag([1.0, 2.0, 0.3, 0.4]) + 0.1
    polar, polar_cov = motion.to_polar(free, cov)
    assert polar[0, 3] == pytest.approx(speed)
    assert math.cos(polar[0, 2] - heading) == pytest.approx(1.0)
    # Along the course the speed's variance is that of the velocity, across it v² times heading's.
    along = np.array([math.cos(heading), math.sin(heading)])
    across = np.array([-along[1], along[0]])
    velocity_cov = cov[0, 2:4, 2:4]
    assert polar_cov[0, 3, 3] == pytest.approx(along @ velocity_cov @ along)
    assert polar_cov[0, 2, 2] * speed**2 == pytest.approx(across @ velocity_cov @ across)
    back, back_cov = motion.to_cartesian(polar, polar_cov)
    assert back == pytest.approx(free)
    assert back_cov == pytest.approx(cov, abs=1e-9)


def test_a_measured_velocity_turns_a_driving_track() -> None:
    state = np.array([[0.0, 0.0, 0.0, 10.0, 0.0]])
    cov = np.diag([1.0, 1.0, 0.04, 1.0, 0.01])[None]
    velocity = np.array([[10.0, 2.0]])
    got, got_cov = motion.update_velocity(
        state, cov, POLAR, MOVING, velocity, 0.01 * np.eye(2)[None]
    )
    # Across the course: prior (10 m/s × 0.2 rad)² = 4, measurement 0.01: gain 4/4.01 on 0.2 rad.
    assert got[0, 2] == pytest.approx(0.2 * 4.0 / 4.01, rel=1e-6)
    assert got_cov[0, 2, 2] == pytest.approx(0.04 * 0.01 / 4.01, rel=1e-6)


def test_angles_stay_in_one_turn() -> None:
    angles = motion.wrap(np.array([math.pi, -math.pi, 3.5 * math.pi, 0.2]))
    assert angles == pytest.approx([math.pi, math.pi, -0.5 * math.pi, 0.2])


def spread_of(a: float, b: float, turn: float) -> np.ndarray:
    """A 2×2 covariance with standard deviations a and b, turned."""
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    return np.asarray(rotation @ np.diag((a * a, b * b)) @ rotation.T)


STD = st.floats(0.05, 20.0)
TURN = st.floats(0.0, math.pi)


@settings(deadline=None)
@given(STD, STD, TURN, STD, STD, TURN)
def test_an_intersection_is_the_best_of_all_weights(
    a: float, b: float, turn: float, c: float, d: float, other: float
) -> None:
    ours, theirs = spread_of(a, b, turn), spread_of(c, d, other)
    _, joint = motion.intersection(ours[None], theirs[None], np.zeros((1, 2)))
    mine, yours = np.linalg.inv(ours), np.linalg.inv(theirs)
    best = min(1.0 / np.linalg.det(w * mine + (1 - w) * yours) for w in np.linspace(0, 1, 201))
    assert np.linalg.det(joint[0]) <= best * (1 + 1e-6)
    # Some weight gives it: J⁻¹ lies on the way from one information matrix to the other.
    way = (mine - yours).ravel()
    if way @ way > 1e-9 * (mine * mine).sum():
        share = float((np.linalg.inv(joint[0]) - yours).ravel() @ way / (way @ way))
        assert -1e-6 <= share <= 1 + 1e-6
        blend = share * mine + (1 - share) * yours
        assert np.linalg.inv(joint[0]) == pytest.approx(blend, rel=1e-5, abs=1e-7)


@settings(deadline=None)
@given(STD, STD, TURN, STD, STD, TURN, st.floats(-1.0, 1.0))
def test_an_intersection_is_never_surer_than_it_may_be(
    a: float, b: float, turn: float, c: float, d: float, other: float, shared: float
) -> None:
    ours, theirs = spread_of(a, b, turn), spread_of(c, d, other)
    difference = np.array([[1.0, 0.0], [0.0, 1.0]])
    step, joint = motion.intersection(np.stack([ours] * 2), np.stack([theirs] * 2), difference)
    weight = step.T  # of theirs; what remains is the weight of ours
    own = np.eye(2) - weight
    # Any correlation of the two errors: root of ours · (shared · unit) · root of theirs.
    cross = shared * np.linalg.cholesky(ours) @ np.linalg.cholesky(theirs).T
    true = own @ ours @ own.T + weight @ theirs @ weight.T
    true += own @ cross @ weight.T + weight @ cross.T @ own.T
    scale = np.trace(joint[0])
    assert np.linalg.eigvalsh(joint[0] - true)[0] >= -1e-6 * scale


def test_the_rest_of_a_state_follows_what_another_says_of_its_position() -> None:
    state = np.array([[0.0, 0.0, 0.1, 8.0, 0.0]])
    cov = np.diag((4.0, 4.0, 0.1, 1.0, 0.2))[None].copy()
    cov[0, 0, 3] = cov[0, 3, 0] = 1.0
    moved, after = motion.intersect_position(
        state, cov, POLAR, MOVING, np.array([[2.0, 0.0]]), np.eye(2)[None]
    )
    # The other's word is better in every direction: ours weighs nothing.
    assert moved[0] == pytest.approx([2.0, 0.0, 0.1, 8.5, 0.0])
    assert after[0, :2, :2] == pytest.approx(np.eye(2))
    assert after[0, 3, 3] == pytest.approx(1.0 - 0.25 + 0.0625)
    assert after[0, 2:, 2:].diagonal()[[0, 2]] == pytest.approx([0.1, 0.2])
    held, same = motion.intersect_position(
        state, cov, POLAR, HELD, np.array([[2.0, 0.0]]), np.eye(2)[None]
    )
    assert held == pytest.approx(state)
    assert same == pytest.approx(cov)
