"""Does it stand, roam or drive? The motion regime of every track, and the heading that follows.

Three regimes. *Resting*: a second, static filter runs beside the moving one, and Bayes' rule over
their likelihoods says which explains the measurements; while rest wins, the object is reported
where it stands, with no speed, and its heading is held. *Free*: constant velocity. *Driving*: a
motor vehicle whose motion is established is kept in polar form (turn rate, see `motion`).

Heading comes from motion only: unknown until the velocity exceeds its own noise, held afterwards.
It is the course over ground: a reversing car heads where it goes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsu.fusion.classes import LEAST_SPEED, MOTOR, UNKNOWN
from rsu.fusion.measurements import Scan
from rsu.fusion.motion import (
    BIRTH_TURN_STD,
    Floats,
    determinant2,
    distance2,
    inverse2,
    largest_variance,
    symmetric,
    to_cartesian,
    to_polar,
    update_position,
    update_velocity,
    velocity_of,
    wrap,
)
from rsu.fusion.table import COMPANY_NS, UNKNOWN_HEADING_STD, Rows, seen_by_one
from rsu.schema.units import NS_PER_S

Index = npt.NDArray[np.intp]

REST_PSD = 0.04  # m²/s: creep and slow drift of a standing object's apparent position
REST_SPEED_STD = 0.3  # m/s: how fast an object may creep and still count as resting
START_RATE = 0.1  # 1/s: how often a standing object starts, and a moving one stops
REST_BEGINS, REST_ENDS = 0.9, 0.5  # probabilities; apart, so that the regime does not flicker
REST_FLOOR = 0.05  # below it the static filter follows the moving one, ready for the next stop
REST_CEILING = 0.999
ESTABLISHED, DOUBTFUL = 3.0, 1.5  # σ of speed: 3 is passed by noise alone in 1 % of cases
DRIVING = (
    4.0  # σ of speed (heading known to 1/4 rad) from which the polar form's linearisation holds
)
TURN_ON_SPOT = 0.5  # rad²/s: people turn where they stand, vehicles do not
REST_TURN_STD = 0.05  # rad/s
FOR_REST, AGAINST_REST = 2.0, 4.0  # nats one measurement may speak for and against rest
HEARD_S, HEARD_MOST = 1.0, 10.0
"""s and factor: errors of GNSS and of other units' filters last for many messages; ten words in one
second say no more about the place than one."""
SHORTEST_REST_NS = NS_PER_S  # ns in one place before it counts as rest: 1 s of walking is 1.3 m


def predict_rest(rows: Rows, dt: float) -> None:
    """Carry the static hypothesis and held headings `dt` seconds forward, in place."""
    rows.rest_cov[:, 0, 0] += REST_PSD * dt
    rows.rest_cov[:, 1, 1] += REST_PSD * dt
    change = 0.5 * (1.0 - np.exp(-2.0 * START_RATE * dt))
    rows.rest_probability = rows.rest_probability * (1.0 - 2.0 * change) + change
    free = ~rows.moving & ~MOTOR[rows.class_index]
    turned = np.minimum(rows.heading_var + TURN_ON_SPOT * dt, UNKNOWN_HEADING_STD**2)
    rows.heading_var = np.where(free, turned, rows.heading_var)


def measure(rows: Rows, index: Index, scan: Scan, which: Index, column: int) -> None:
    """Update rows `index` by measurements `which` of the scan, both hypotheses, in place.

    The standing error of the scan's sensor (`column`) is noise only where several sensors work on
    one track; alone it shifts the track as a whole and is added when the track is published.
    """
    _admit(rows, index, column)
    state, cov = rows.state[index], rows.cov[index]
    polar, held = rows.polar[index], rows.resting[index]
    position, constant = scan.position[which], scan.constant_cov[which]
    alone = seen_by_one(rows, column)[index]
    noise = scan.position_cov[which] - np.where(alone[:, None, None], constant, 0.0)
    if not scan.surveys:
        # In company its standing error is noise that hardly changes from word to word: all the
        # words of `HEARD_S` count as one. The track keeps the smaller standing error.
        passed = (scan.capture_ns - np.maximum(rows.last_seen[index, column], 0)) / NS_PER_S
        repeated = np.clip(HEARD_S / np.maximum(passed, 1e-3), 1.0, HEARD_MOST)
        noise = noise * np.where(alone, 1.0, repeated)[:, None, None]
        old, new = (cov[:, 0, 0] + cov[:, 1, 1] for cov in (rows.constant_cov[index], constant))
        constant = np.where(
            (alone | (new < old))[:, None, None], constant, rows.constant_cov[index]
        )
    rows.constant_cov[index] = constant
    rest_spread = rows.rest_cov[index] + noise
    off_rest = position - rows.rest_position[index]
    evidence = _log_density(off_rest, rest_spread) - _log_density(
        position - state[:, :2], cov[:, :2, :2] + noise
    )
    state, cov = update_position(state, cov, polar, held, position, noise)
    if scan.velocity is not None and scan.velocity_cov is not None:
        velocity, velocity_noise = scan.velocity[which], scan.velocity_cov[which]
        expected, jacobian = velocity_of(state, polar)
        spread = np.einsum("nij,njk,nlk->nil", jacobian, cov, jacobian) + velocity_noise
        creep = REST_SPEED_STD**2 * np.eye(2)
        evidence += _log_density(velocity, velocity_noise + creep)
        evidence -= _log_density(velocity - expected, spread)
        state, cov = update_velocity(state, cov, polar, held, velocity, velocity_noise)
    rows.state[index], rows.cov[index] = state, cov
    gain = np.einsum("nij,njk->nik", rows.rest_cov[index], inverse2(rest_spread))
    rows.rest_position[index] += np.einsum("nij,nj->ni", gain, off_rest)
    keep = np.eye(2) - gain
    shrunk = np.einsum("nij,njk,nlk->nil", keep, rows.rest_cov[index], keep)
    rows.rest_cov[index] = symmetric(shrunk + np.einsum("nij,njk,nlk->nil", gain, noise, gain))
    rest = rows.rest_probability[index]
    weight = np.exp(np.clip(evidence, -AGAINST_REST, FOR_REST))
    rows.rest_probability[index] = rest * weight / (rest * weight + 1.0 - rest)


def _admit(rows: Rows, index: Index, column: int) -> None:
    """Where another sensor alone worked on a track until now, its standing error becomes an error
    of the state, in place: against a second sensor it shows."""
    recent = rows.last_seen[index] > rows.updated_ns[index, None] - COMPANY_NS
    joined = index[~recent[:, column] & (recent.sum(axis=1) == 1)]
    rows.cov[joined, :2, :2] += rows.constant_cov[joined]
    rows.rest_cov[joined] += rows.constant_cov[joined]


def settle(rows: Rows, time_ns: int) -> None:
    """Decide each row's regime at `time_ns`, the form of its state and its heading, in place."""
    rows.rest_probability = np.clip(rows.rest_probability, REST_FLOOR, REST_CEILING)
    lost = rows.rest_probability <= REST_FLOOR
    rows.rest_position = np.where(lost[:, None], rows.state[:, :2], rows.rest_position)
    rows.rest_cov = np.where(lost[:, None, None], rows.cov[:, :2, :2], rows.rest_cov)
    rows.anchored_ns = np.where(lost, time_ns, rows.anchored_ns)
    limit = np.where(rows.resting, REST_ENDS, REST_BEGINS)
    stayed = rows.resting | (time_ns - rows.anchored_ns >= SHORTEST_REST_NS)
    resting = stayed & (rows.rest_probability > limit)
    _stop_turning(rows, resting & ~rows.resting & rows.polar)
    _free_turning(rows, ~resting & rows.resting & rows.polar)
    rows.resting = resting
    _choose_form(rows)
    _take_heading(rows)


def _stop_turning(rows: Rows, which: npt.NDArray[np.bool_]) -> None:
    rows.state[which, 4] = 0.0
    rows.cov[which, 4, :] = rows.cov[which, :, 4] = 0.0
    rows.cov[which, 4, 4] = REST_TURN_STD**2


def _free_turning(rows: Rows, which: npt.NDArray[np.bool_]) -> None:
    # Steering may have been turned while standing: as uncertain as any vehicle setting off.
    rows.cov[which, 4, 4] += BIRTH_TURN_STD**2
    rows.cov[which, 2, 2] += 0.05**2


def _choose_form(rows: Rows) -> None:
    probability = rows.class_probability
    motor = np.where(MOTOR, probability, 0.0).sum(axis=1) / (1.0 - probability[:, UNKNOWN])
    classes = rows.class_index
    # The class decides the model; 0.4 to 0.6 keeps what there is.
    vehicle = np.where(rows.polar, motor > 0.4, (motor > 0.6) & MOTOR[classes])
    leave = np.flatnonzero(rows.polar & ~vehicle)
    if len(leave):
        rows.state[leave], rows.cov[leave] = to_cartesian(rows.state[leave], rows.cov[leave])
        rows.polar[leave] = False
    speed = np.hypot(rows.state[:, 2], rows.state[:, 3])
    noise = np.sqrt(largest_variance(rows.cov[:, 2:4, 2:4]))
    needed = np.where(rows.moving, DOUBTFUL, ESTABLISHED) * noise
    established = ~rows.resting & (speed > np.maximum(LEAST_SPEED[classes], needed))
    rows.moving = np.where(rows.polar, ~rows.resting, established)
    enter = np.flatnonzero(~rows.polar & vehicle & established & (speed > DRIVING * noise))
    if len(enter):
        rows.state[enter], rows.cov[enter] = to_polar(rows.state[enter], rows.cov[enter])
        rows.polar[enter] = True


def _take_heading(rows: Rows) -> None:
    # A vehicle that clearly goes backwards heads the other way from now on.
    reverse = rows.polar & (rows.state[:, 3] < -np.maximum(1.0, 3.0 * np.sqrt(rows.cov[:, 3, 3])))
    rows.state[:, 2] = np.where(reverse, wrap(rows.state[:, 2] + np.pi), rows.state[:, 2])
    rows.state[:, 3] = np.where(reverse, -rows.state[:, 3], rows.state[:, 3])
    sign = np.where(reverse, -1.0, 1.0)
    rows.cov[:, 3, :] *= sign[:, None]
    rows.cov[:, :, 3] *= sign[:, None]
    vx, vy = rows.state[:, 2], rows.state[:, 3]
    speed2 = np.maximum(vx * vx + vy * vy, 1e-2)
    xx, xy, yy = rows.cov[:, 2, 2], rows.cov[:, 2, 3], rows.cov[:, 3, 3]
    across = (vy * vy * xx - 2.0 * vx * vy * xy + vx * vx * yy) / speed2
    free = rows.moving & ~rows.polar
    heading = np.where(rows.polar, rows.state[:, 2], np.arctan2(vy, vx))
    variance = np.where(rows.polar, rows.cov[:, 2, 2], across / speed2)
    shown = rows.polar | free
    rows.heading = np.where(shown, heading, rows.heading)
    capped = np.minimum(variance, UNKNOWN_HEADING_STD**2)
    rows.heading_var = np.where(shown, capped, rows.heading_var)


def _log_density(difference: Floats, cov: Floats) -> Floats:
    """Log density of planar Gaussians without the constant, which cancels in every ratio here."""
    return -0.5 * (distance2(difference, cov) + np.log(determinant2(cov)))
