"""Motion models and the extended Kalman filter, for all tracks at once.

A state row has five columns in one of two forms. *Cartesian* (constant velocity, for people,
cyclists and everything whose motion is not established): (x, y, vx, vy, 0). *Polar* (constant turn
rate and velocity, for vehicles in motion): (x, y, heading, speed, turn rate), heading in rad
counter-clockwise from east. `polar` N says which form a row has; covariances are N×5×5 with an
empty fifth row and column in Cartesian form. Units m, s, rad. Everything is closed-form or einsum
over tiny matrices: no BLAS, so results do not depend on its threads.

Models: CTRV after Schubert, Richter, Wanielik, "Comparison and evaluation of advanced motion models
for vehicle tracking" (FUSION 2008); updates in Joseph's form, which stays positive semi-definite
for any gain, including the gains zeroed here on purpose.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TURN_PSD = 0.15  # rad²/s³: turn rate changes by 0.4 rad/s in 1 s, entering a junction turn
STEER_SPEED = 2.0  # m/s: below it vehicles cannot turn freely; noise of heading fades with speed
POSITION_PSD = 0.01  # m²/s: what the models leave out (lane keeping, body reference point)
HEADING_PSD = 1e-3  # rad²/s: slip and model error of the course
BIRTH_TURN_STD = 0.3  # rad/s: a junction turn, when a vehicle's motion is first established
FASTEST = 120.0  # m/s, bound on the filter's speed
SHARPEST = 2.0  # rad/s, bound on the turn rate (a car's turning circle at 10 km/h: 0.5 rad/s)


def wrap(angle: Floats) -> Floats:
    """Angles in (−π, π]."""
    return np.asarray(np.pi - np.mod(np.pi - angle, 2.0 * np.pi))


def predict(
    state: Floats, cov: Floats, polar: Bools, held: Bools, acceleration_psd: Floats, dt: float
) -> tuple[Floats, Floats]:
    """State and covariance `dt` ≥ 0 seconds later; `held` rows (at rest) do not turn."""
    state_next, jacobian = _transition(state, polar, dt)
    cov_next = np.einsum("nij,njk->nik", jacobian, cov)
    cov_next = np.einsum("nij,nkj->nik", cov_next, jacobian)
    cov_next += _process_noise(state, polar, held, acceleration_psd, dt)
    return state_next, symmetric(cov_next)


def _transition(state: Floats, polar: Bools, dt: float) -> tuple[Floats, Floats]:
    n = len(state)
    _, _, third, fourth, fifth = state.T
    jacobian = np.broadcast_to(np.eye(5), (n, 5, 5)).copy()
    moved = state.copy()
    # Chord of the arc: v·dt·sin(a)/a along heading + a, with a half of the angle turned. Unlike
    # the textbook form divided by the turn rate it is exact and smooth through straight ahead.
    half = 0.5 * fifth * dt
    chord = np.sinc(half / np.pi)
    small = np.abs(half) < 1e-4
    slope = np.where(small, -half / 3.0, (np.cos(half) - chord) / np.where(small, 1.0, half))
    direction = third + half
    cos, sin = np.cos(direction), np.sin(direction)
    way = fourth * dt
    moved[:, 0] += np.where(polar, way * chord * cos, third * dt)
    moved[:, 1] += np.where(polar, way * chord * sin, fourth * dt)
    moved[:, 2] = np.where(polar, wrap(third + fifth * dt), third)
    jacobian[:, 0, 2] = np.where(polar, -way * chord * sin, dt)
    jacobian[:, 1, 2] = np.where(polar, way * chord * cos, 0.0)
    jacobian[:, 0, 3] = np.where(polar, dt * chord * cos, 0.0)
    jacobian[:, 1, 3] = np.where(polar, dt * chord * sin, dt)
    jacobian[:, 0, 4] = np.where(polar, way * 0.5 * dt * (slope * cos - chord * sin), 0.0)
    jacobian[:, 1, 4] = np.where(polar, way * 0.5 * dt * (slope * sin + chord * cos), 0.0)
    jacobian[:, 2, 4] = np.where(polar, dt, 0.0)
    return moved, jacobian


def _process_noise(
    state: Floats, polar: Bools, held: Bools, acceleration_psd: Floats, dt: float
) -> Floats:
    """Continuous white noise integrated over dt (N×5×5): the same however dt is split up."""
    noise = np.zeros((len(state), 5, 5))
    third, second, first = dt**3 / 3.0, dt**2 / 2.0, dt
    q = acceleration_psd
    heading, speed = state[:, 2], state[:, 3]
    cos, sin = np.cos(heading), np.sin(heading)
    noise[:, 0, 0] = POSITION_PSD * dt + q * third * np.where(polar, cos * cos, 1.0)
    noise[:, 1, 1] = POSITION_PSD * dt + q * third * np.where(polar, sin * sin, 1.0)
    noise[:, 0, 1] = noise[:, 1, 0] = np.where(polar, q * third * cos * sin, 0.0)
    noise[:, 0, 2] = noise[:, 2, 0] = np.where(polar, 0.0, q * second)
    noise[:, 0, 3] = noise[:, 3, 0] = np.where(polar, q * second * cos, 0.0)
    noise[:, 1, 3] = noise[:, 3, 1] = q * second * np.where(polar, sin, 1.0)
    noise[:, 3, 3] = q * first
    steer = np.where(held, 0.0, speed**2 / (speed**2 + STEER_SPEED**2))
    turn = TURN_PSD * steer
    noise[:, 2, 2] = np.where(polar, turn * third + HEADING_PSD * steer * dt, q * first)
    noise[:, 2, 4] = noise[:, 4, 2] = np.where(polar, turn * second, 0.0)
    noise[:, 4, 4] = np.where(polar, turn * first, 0.0)
    return noise


def update_position(
    state: Floats, cov: Floats, polar: Bools, held: Bools, position: Floats, noise: Floats
) -> tuple[Floats, Floats]:
    """Rows updated by measured positions N×2 with covariances N×2×2, row by row."""
    jacobian = np.zeros((len(state), 2, 5))
    jacobian[:, 0, 0] = jacobian[:, 1, 1] = 1.0
    return _update(state, cov, polar, held, position - state[:, :2], jacobian, noise)


def update_velocity(
    state: Floats, cov: Floats, polar: Bools, held: Bools, velocity: Floats, noise: Floats
) -> tuple[Floats, Floats]:
    """Rows updated by measured velocities over ground N×2 with covariances N×2×2."""
    expected, jacobian = velocity_of(state, polar)
    return _update(state, cov, polar, held, velocity - expected, jacobian, noise)


def velocity_of(state: Floats, polar: Bools) -> tuple[Floats, Floats]:
    """Velocity N×2 (m/s, site frame) of each row and its Jacobian N×2×5."""
    cos, sin = np.cos(state[:, 2]), np.sin(state[:, 2])
    speed = state[:, 3]
    velocity = np.stack(
        (np.where(polar, speed * cos, state[:, 2]), np.where(polar, speed * sin, speed)), axis=1
    )
    jacobian = np.zeros((len(state), 2, 5))
    jacobian[:, 0, 2] = np.where(polar, -speed * sin, 1.0)
    jacobian[:, 1, 2] = np.where(polar, speed * cos, 0.0)
    jacobian[:, 0, 3] = np.where(polar, cos, 0.0)
    jacobian[:, 1, 3] = np.where(polar, sin, 1.0)
    return velocity, jacobian


def _update(
    state: Floats,
    cov: Floats,
    polar: Bools,
    held: Bools,
    innovation: Floats,
    jacobian: Floats,
    noise: Floats,
) -> tuple[Floats, Floats]:
    cross = np.einsum("nij,nkj->nik", cov, jacobian)  # N×5×2
    innovation_cov = np.einsum("nij,njk->nik", jacobian, cross) + noise
    gain = np.einsum("nij,njk->nik", cross, inverse2(innovation_cov))
    # A vehicle at rest shows no heading: zero those gains (Schmidt's "consider" update), so that
    # jitter of its position never turns it.
    gain[held & polar, 2, :] = 0.0
    gain[held & polar, 4, :] = 0.0
    moved = state + np.einsum("nij,nj->ni", gain, innovation)
    moved[:, 2] = np.where(polar, wrap(moved[:, 2]), np.clip(moved[:, 2], -FASTEST, FASTEST))
    moved[:, 3] = np.clip(moved[:, 3], -FASTEST, FASTEST)
    moved[:, 4] = np.clip(moved[:, 4], -SHARPEST, SHARPEST)
    keep = np.eye(5) - np.einsum("nij,njk->nik", gain, jacobian)
    joseph = np.einsum("nij,njk->nik", keep, cov)
    joseph = np.einsum("nij,nkj->nik", joseph, keep)
    noisy_gain = np.einsum("nij,njk->nik", gain, noise)
    return moved, symmetric(joseph + np.einsum("nij,nkj->nik", noisy_gain, gain))


def to_polar(state: Floats, cov: Floats) -> tuple[Floats, Floats]:
    """Cartesian rows in polar form; the turn rate starts at 0 with `BIRTH_TURN_STD`.

    The covariance goes through the Jacobian of (atan2(vy, vx), |v|); rows must move.
    """
    jacobian, heading, speed = polar_jacobian(state)
    polar_cov = np.einsum("nij,njk->nik", jacobian, cov)
    polar_cov = np.einsum("nij,nkj->nik", polar_cov, jacobian)
    polar_cov[:, 4, 4] += BIRTH_TURN_STD**2
    polar = np.concatenate(
        (state[:, :2], heading[:, None], speed[:, None], np.zeros((len(state), 1))), axis=1
    )
    return polar, symmetric(polar_cov)


def to_cartesian(state: Floats, cov: Floats) -> tuple[Floats, Floats]:
    """Polar rows in Cartesian form; the turn rate is given up."""
    n = len(state)
    velocity, velocity_jacobian = velocity_of(state, np.ones(n, dtype=bool))
    jacobian = np.zeros((n, 5, 5))
    jacobian[:, 0, 0] = jacobian[:, 1, 1] = 1.0
    jacobian[:, 2:4, :] = velocity_jacobian
    moved = np.einsum("nij,njk->nik", jacobian, cov)
    moved = np.einsum("nij,nkj->nik", moved, jacobian)
    return np.concatenate((state[:, :2], velocity, np.zeros((n, 1))), axis=1), symmetric(moved)


def polar_jacobian(state: Floats) -> tuple[Floats, Floats, Floats]:
    """(N×5×5 Jacobian, heading N, speed N) of Cartesian rows; 0.1 m/s is the least divisor."""
    vx, vy = state[:, 2], state[:, 3]
    speed, heading = np.hypot(vx, vy), np.arctan2(vy, vx)
    cos, sin = np.cos(heading), np.sin(heading)
    divisor = np.maximum(speed, 0.1)
    jacobian = np.zeros((len(state), 5, 5))
    jacobian[:, 0, 0] = jacobian[:, 1, 1] = 1.0
    jacobian[:, 2, 2], jacobian[:, 2, 3] = -sin / divisor, cos / divisor
    jacobian[:, 3, 2], jacobian[:, 3, 3] = cos, sin
    return jacobian, heading, speed


def largest_variance(cov: Floats) -> Floats:
    """Larger eigenvalue of symmetric 2×2 matrices (…×2×2)."""
    mean = 0.5 * (cov[..., 0, 0] + cov[..., 1, 1])
    half = 0.5 * (cov[..., 0, 0] - cov[..., 1, 1])
    return np.asarray(mean + np.hypot(half, cov[..., 0, 1]))


def determinant2(matrix: Floats) -> Floats:
    """Determinants of …×2×2."""
    return np.asarray(matrix[..., 0, 0] * matrix[..., 1, 1] - matrix[..., 0, 1] * matrix[..., 1, 0])


def inverse2(matrix: Floats) -> Floats:
    """Inverses of …×2×2, which must be regular."""
    inverse = np.empty_like(matrix)
    inverse[..., 0, 0], inverse[..., 1, 1] = matrix[..., 1, 1], matrix[..., 0, 0]
    inverse[..., 0, 1], inverse[..., 1, 0] = -matrix[..., 0, 1], -matrix[..., 1, 0]
    return np.asarray(inverse / determinant2(matrix)[..., None, None])


def distance2(difference: Floats, cov: Floats) -> Floats:
    """Squared Mahalanobis distances of …×2 differences under …×2×2 covariances."""
    dx, dy = difference[..., 0], difference[..., 1]
    xx, xy, yy = cov[..., 0, 0], cov[..., 0, 1], cov[..., 1, 1]
    return np.asarray((yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / determinant2(cov))


def symmetric(matrix: Floats) -> Floats:
    """The symmetric part, exactly symmetric."""
    return np.asarray(0.5 * (matrix + matrix.swapaxes(-1, -2)))
