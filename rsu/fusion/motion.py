"""Motion models and the extended Kalman filter, for all tracks at once.

A state row has five columns in one of two forms. *Cartesian* (constant velocity, for people,
cyclists and everything whose motion is not established): (x, y, vx, vy, 0). *Polar* (constant turn
rate and velocity, for vehicles in motion): (x, y, heading, speed, turn rate), heading in rad
counter-clockwise from east. `polar` N says which form a row has; covariances are N×5×5 with an
empty fifth row and column in Cartesian form. Units m, s, rad. Everything is closed-form or a
product of tiny matrices, far below the size at which BLAS divides work among threads.

Models: CTRV after Schubert, Richter, Wanielik, "Comparison and evaluation of advanced motion models
for vehicle tracking" (FUSION 2008); updates in Joseph's form, which stays positive semi-definite
for any gain, including the gains zeroed here on purpose.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

TURN_PSD = 0.06  # rad²/s³: turn rate changes by 0.25 rad/s in 1 s (measured: docs/fusion.md)
STEER_SPEED = 2.0  # m/s: below it vehicles cannot turn freely; noise of heading fades with speed
POSITION_PSD = 0.01  # m²/s: what the models leave out (lane keeping, body reference point)
HEADING_PSD = 1e-3  # rad²/s: slip and model error of the course
BIRTH_TURN_STD = 0.3  # rad/s: a junction turn, when a vehicle's motion is first established
FASTEST = 120.0  # m/s, bound on the filter's speed
SHARPEST = 2.0  # rad/s, bound on the turn rate (a car's turning circle at 10 km/h: 0.5 rad/s)
FEW_PAIRS = 2048  # pairs of points: asking all of them costs no more than finding neighbours
_MOST: Floats = np.array([FASTEST, FASTEST, SHARPEST])
_LEAST: Floats = -_MOST
_PLACES, _SPEEDS = np.diag([1.0, 1.0, 0.0, 0.0, 0.0]), np.diag([0.0, 0.0, 1.0, 1.0, 0.0])
_PUSHES: Floats = np.eye(5, k=2) * [[1.0], [1.0], [0.0], [0.0], [0.0]]
_PUSHES += _PUSHES.T
_DRIVEN: Floats = np.zeros((9, 5, 5))  # which entries of the noise each of `_turning`'s terms is
for _term, (_i, _j) in enumerate(
    ((0, 0), (0, 1), (1, 1), (0, 3), (1, 3), (3, 3), (2, 2), (2, 4), (4, 4))
):
    _DRIVEN[_term, _i, _j] = _DRIVEN[_term, _j, _i] = 1.0
_DRIVEN = _DRIVEN.reshape(9, 25)
_FLAT, _SQUARE = np.array([0, 1, 3]), np.array([0, 1, 1, 2])  # xx, xy, yy in 2×2, and back
_ADJUGATE, _SIGN = np.array([3, 1, 2, 0]), np.array([1.0, -1.0, -1.0, 1.0])  # row-major 2×2


def clip(
    values: Floats, least: float | Floats, most: float | Floats, out: Floats | None = None
) -> Floats:
    """`numpy.clip`, a third of whose time goes to finding out what it was asked."""
    return np.asarray(np.minimum(np.maximum(values, least, out=out), most, out=out))


def wrap(angle: Floats) -> Floats:
    """Angles in (−π, π]."""
    return np.asarray(np.pi - np.mod(np.pi - angle, 2.0 * np.pi))


def predict(
    state: Floats, cov: Floats, polar: Bools, held: Bools, acceleration_psd: Floats, dt: float
) -> tuple[Floats, Floats]:
    """State and covariance `dt` ≥ 0 seconds later; `held` rows (at rest) do not turn."""
    turning = polar.nonzero()[0]
    if len(turning) == len(polar):
        return _turning(state, cov, held, acceleration_psd, dt)
    state_next, cov_next = _straight(state, cov, acceleration_psd, dt)
    if len(turning):
        state_next[turning], cov_next[turning] = _turning(
            state.take(turning, 0), cov.take(turning, 0), held[turning],
            acceleration_psd[turning], dt,
        )  # fmt: skip
    return state_next, cov_next


def _straight(state: Floats, cov: Floats, q: Floats, dt: float) -> tuple[Floats, Floats]:
    """Constant velocity: positions move by dt times the velocity, and their errors with it.

    Continuous white noise integrated over dt, here and below: the same however dt is split up.
    """
    moved = state.copy()
    moved[:, :2] += dt * state[:, 2:4]
    ahead = cov.copy()
    ahead[:, :2] += dt * cov[:, 2:4]
    ahead[:, :, :2] += dt * ahead[:, :, 2:4]
    noise = (dt**3 / 3.0 * _PLACES + dt**2 / 2.0 * _PUSHES + dt * _SPEEDS) * q[:, None, None]
    noise += POSITION_PSD * dt * _PLACES
    ahead += noise
    return moved, symmetric(ahead)


def _turning(
    state: Floats, cov: Floats, held: Bools, q: Floats, dt: float
) -> tuple[Floats, Floats]:
    """Constant turn rate and velocity (N×5 polar rows)."""
    heading, speed, rate = state[:, 2], state[:, 3], state[:, 4]
    # Chord of the arc: v·dt·sin(a)/a along heading + a, with a half of the angle turned. Unlike
    # the textbook form divided by the turn rate it is exact and smooth through straight ahead.
    half = 0.5 * dt * rate
    small = (np.abs(half) < 1e-4).nonzero()[0]
    divisor = half.copy()
    divisor[small] = 1.0
    chord = np.sin(half) / divisor
    slope = (np.cos(half) - chord) / divisor
    if len(small):
        little = half[small]
        chord[small] = 1.0 - little * little / 6.0
        slope[small] = -little / 3.0
    direction = heading + half
    cos, sin = np.cos(direction), np.sin(direction)
    way = speed * dt
    dx, dy = chord * cos, chord * sin
    moved = state.copy()
    moved[:, 0] += way * dx
    moved[:, 1] += way * dy
    moved[:, 2] = wrap(heading + dt * rate)
    # The derivatives that are not the identity: rows x and y by heading, speed and turn rate.
    slopes = np.empty((len(state), 2, 3))
    slopes[:, 0, 0], slopes[:, 1, 0] = -way * dy, way * dx
    slopes[:, 0, 1], slopes[:, 1, 1] = dt * dx, dt * dy
    bend = 0.5 * dt * way
    slopes[:, 0, 2] = bend * (slope * cos - dy)
    slopes[:, 1, 2] = bend * (slope * sin + dx)
    ahead = cov.copy()
    ahead[:, :2] += product(slopes, cov[:, 2:])
    ahead[:, 2] += dt * cov[:, 4]
    ahead[:, :, :2] += product(ahead[:, :, 2:], slopes.swapaxes(1, 2))
    ahead[:, :, 2] += dt * ahead[:, :, 4]
    third, second, first = dt**3 / 3.0, dt**2 / 2.0, dt
    cos, sin = np.cos(heading), np.sin(heading)
    far, near = q * third, q * second
    square = speed * speed
    turn = ~held * (square / (square + STEER_SPEED**2))
    yaw = turn * TURN_PSD
    noise = np.array(
        (
            far * (cos * cos), far * (cos * sin), far * (sin * sin), near * cos, near * sin,
            q * first, yaw * third + turn * (HEADING_PSD * dt), yaw * second, yaw * first,
        )
    )  # fmt: skip
    ahead += product(noise.T, _DRIVEN).reshape(-1, 5, 5)
    ahead += POSITION_PSD * dt * _PLACES
    return moved, symmetric(ahead)


def update_position(
    state: Floats, cov: Floats, polar: Bools, held: Bools, position: Floats, noise: Floats
) -> tuple[Floats, Floats]:
    """Rows updated by measured positions N×2 with covariances N×2×2, row by row."""
    spread = cov[:, :2, :2] + noise
    return _update(state, cov, polar, held, position - state[:, :2], cov[:, :, :2], spread)


def update_velocity(
    state: Floats, cov: Floats, polar: Bools, held: Bools, velocity: Floats, noise: Floats
) -> tuple[Floats, Floats]:
    """Rows updated by measured velocities over ground N×2 with covariances N×2×2."""
    expected, jacobian = velocity_of(state, polar)
    cross = product(cov[:, :, 2:4], jacobian.swapaxes(1, 2))
    spread = product(jacobian, cross[:, 2:4]) + noise
    return _update(state, cov, polar, held, velocity - expected, cross, spread)


def intersect_position(
    state: Floats, cov: Floats, polar: Bools, held: Bools, position: Floats, noise: Floats
) -> tuple[Floats, Floats]:
    """Rows that took another unit's word of their position, which may rest on ours."""
    return _intersect(
        state, cov, polar, held, position - state[:, :2], cov[:, :, :2], cov[:, :2, :2], noise
    )


def intersect_velocity(
    state: Floats, cov: Floats, polar: Bools, held: Bools, velocity: Floats, noise: Floats
) -> tuple[Floats, Floats]:
    """Rows that took another unit's word of their velocity, which may rest on ours."""
    expected, jacobian = velocity_of(state, polar)
    cross = product(cov[:, :, 2:4], jacobian.swapaxes(1, 2))
    ours = product(jacobian, cross[:, 2:4])
    return _intersect(state, cov, polar, held, velocity - expected, cross, ours, noise)


def intersection(ours: Floats, theirs: Floats, difference: Floats) -> tuple[Floats, Floats]:
    """Covariance intersection of planar estimates: (step N×2 from ours, joint covariance N×2×2).

    `difference` N×2 is theirs − ours. Where both may rest on the same evidence,
    (ω·A⁻¹ + (1−ω)·B⁻¹)⁻¹ is never surer than it may be, whatever they share (Julier and Uhlmann,
    "A non-divergent estimation algorithm in the presence of unknown correlations", 1997). The ω of
    the smallest ellipse is in closed form here: the determinant of that sum is a parabola in ω.
    """
    a, b = inverse2(ours), inverse2(theirs)
    own, other = determinant2(a), determinant2(b)
    mixed = a[:, 0, 0] * b[:, 1, 1] + a[:, 1, 1] * b[:, 0, 0] - 2.0 * a[:, 0, 1] * b[:, 0, 1]
    bend = np.minimum(own + other - mixed, -1e-12)  # of ω²; the slope at ω = 0 is mixed − 2·other
    share = clip(0.5 * (2.0 * other - mixed) / bend, 0.0, 1.0)
    # A parabola that opens upwards is best at one of its ends.
    share = np.where(own + other >= mixed, np.where(own >= other, 1.0, 0.0), share)[:, None, None]
    told = (1.0 - share) * b
    joint = inverse2(share * a + told)
    return product(product(joint, told), difference[:, :, None])[:, :, 0], symmetric(joint)


def _intersect(
    state: Floats,
    cov: Floats,
    polar: Bools,
    held: Bools,
    difference: Floats,
    cross: Floats,
    ours: Floats,
    theirs: Floats,
) -> tuple[Floats, Floats]:
    """The planar part `ours`, of covariance `cross` N×5×2 with the state, becomes the intersection
    with `theirs`; the rest of the state follows by what is known of it given that part.

    Dividing the whole covariance by ω, as the textbook does, would make turn rates, of which nobody
    speaks, less certain with every word. Vehicles at rest (`held`) are left alone: they are where
    their static filter says.
    """
    step, joint = intersection(ours, theirs, difference)
    still = held & polar
    step[still], joint[still] = 0.0, ours[still]
    lever = product(cross, inverse2(ours))
    moved = _bounded(state + product(lever, step[:, :, None])[:, :, 0], polar)
    return moved, symmetric(cov + product(product(lever, joint - ours), lever.swapaxes(1, 2)))


def velocity_of(state: Floats, polar: Bools) -> tuple[Floats, Floats]:
    """Velocity N×2 (m/s, site frame) of each row and its derivative N×2×2 by the third and fourth
    column of the state; it does not depend on the others."""
    velocity = state[:, 2:4].copy()
    jacobian = np.zeros((len(state), 2, 2))
    jacobian[:, 0, 0] = jacobian[:, 1, 1] = 1.0
    turning = polar.nonzero()[0]
    if len(turning):
        heading, speed = state[:, 2][turning], state[:, 3][turning]
        cos, sin = np.cos(heading), np.sin(heading)
        east, north = speed * cos, speed * sin
        velocity[:, 0][turning], velocity[:, 1][turning] = east, north
        jacobian[:, 0, 0][turning], jacobian[:, 0, 1][turning] = -north, cos
        jacobian[:, 1, 0][turning], jacobian[:, 1, 1][turning] = east, sin
    return velocity, jacobian


def velocity_cov_of(cov: Floats, jacobian: Floats) -> Floats:
    """Covariance N×2×2 of the velocity, by the derivative that `velocity_of` gives."""
    return product(product(jacobian, cov[:, 2:4, 2:4]), jacobian.swapaxes(1, 2))


def _update(
    state: Floats,
    cov: Floats,
    polar: Bools,
    held: Bools,
    innovation: Floats,
    cross: Floats,
    spread: Floats,
) -> tuple[Floats, Floats]:
    """`cross` N×5×2 is the covariance of state and innovation, `spread` N×2×2 that of the latter.

    P − K·crossᵀ − cross·Kᵀ + K·spread·Kᵀ is Joseph's form multiplied out: right for any gain.
    """
    gain = product(cross, inverse2(spread))
    # A vehicle at rest shows no heading: zero those gains (Schmidt's "consider" update), so that
    # jitter of its position never turns it.
    stands = (held & polar).nonzero()[0]
    if len(stands):
        gain[stands, 2] = gain[stands, 4] = 0.0
    moved = _bounded(state + product(gain, innovation[:, :, None])[:, :, 0], polar)
    half = product(0.5 * product(gain, spread) - cross, gain.swapaxes(1, 2))
    return moved, cov + (half + half.swapaxes(1, 2))


def _bounded(state: Floats, polar: Bools) -> Floats:
    """Rows with speeds and turn rates within bounds and headings wrapped, in place."""
    clip(state[:, 2:], _LEAST, _MOST, out=state[:, 2:])
    turning = polar.nonzero()[0]
    if len(turning):
        heading = state[:, 2]
        heading[turning] = wrap(heading[turning])
    return state


def to_polar(state: Floats, cov: Floats) -> tuple[Floats, Floats]:
    """Cartesian rows in polar form; the turn rate starts at 0 with `BIRTH_TURN_STD`.

    The covariance goes through the Jacobian of (atan2(vy, vx), |v|); rows must move.
    """
    jacobian, heading, speed = polar_jacobian(state)
    polar_cov = product(product(jacobian, cov), jacobian.swapaxes(1, 2))
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
    jacobian[:, 2:4, 2:4] = velocity_jacobian
    moved = product(product(jacobian, cov), jacobian.swapaxes(1, 2))
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
    rows = matrix.reshape(-1, 4)
    area = rows[:, 0] * rows[:, 3] - rows[:, 1] * rows[:, 2]
    return np.asarray(rows.take(_ADJUGATE, 1) * _SIGN / area[:, None]).reshape(matrix.shape)


def flat2(cov: Floats) -> Floats:
    """(xx, xy, yy) of symmetric N×2×2 matrices, N×3."""
    return cov.reshape(-1, 4).take(_FLAT, 1)


def matrix2(cov: Floats) -> Floats:
    """Symmetric …×2×2 of (xx, xy, yy) …×3."""
    return cov.take(_SQUARE, -1).reshape(*cov.shape[:-1], 2, 2)


def distance2(difference: Floats, cov: Floats) -> Floats:
    """Squared Mahalanobis distances of …×2 differences under …×2×2 covariances."""
    return distance_area(difference, cov[..., 0, 0], cov[..., 0, 1], cov[..., 1, 1])[0]


def distance_area(difference: Floats, xx: Floats, xy: Floats, yy: Floats) -> tuple[Floats, Floats]:
    """Squared Mahalanobis distances of …×2 differences under covariances by entry, and the
    determinants of those."""
    dx, dy = difference[..., 0], difference[..., 1]
    area = xx * yy - xy * xy
    return (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / area, area


def squared_gaps(one: Floats, other: Floats) -> Floats:
    """Squared distances N×M of points N×2 and M×2."""
    away_x, away_y = one[:, 0, None] - other[:, 0], one[:, 1, None] - other[:, 1]
    return np.asarray(away_x * away_x + away_y * away_y)


def product(left: Floats, right: Floats) -> Floats:
    """Matrix products …×i×j by …×j×k; three times as fast as einsum at these sizes."""
    return np.asarray(left @ right)


def symmetric(matrix: Floats) -> Floats:
    """The symmetric part, exactly symmetric."""
    return np.asarray(0.5 * (matrix + matrix.swapaxes(-1, -2)))
