"""Does it stand, roam or drive? The motion regime of every track, and the heading that follows.

Three regimes. *Resting*: a second, static filter runs beside the moving one, and Bayes' rule over
their likelihoods says which explains the measurements; while rest wins, the object is reported
where it stands, with no speed, and its heading is held; who is on foot leaves it by `onset`.
*Free*: constant velocity. *Driving*: a motor vehicle whose motion is established is kept in polar
form (turn rate, see `motion`).

Heading comes from motion only: unknown until the velocity exceeds its own noise, held afterwards.
It is the course over ground: a reversing car heads where it goes.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rsu.fusion.classes import LEAST_SPEED, MOTOR
from rsu.fusion.measurements import Scan
from rsu.fusion.motion import (
    BIRTH_TURN_STD,
    Floats,
    clip,
    distance2,
    distance_area,
    flat2,
    intersect_position,
    intersect_velocity,
    intersection,
    inverse2,
    largest_variance,
    product,
    symmetric,
    to_cartesian,
    to_polar,
    update_position,
    update_velocity,
    velocity_cov_of,
    velocity_of,
    wrap,
)
from rsu.fusion.onset import no_looks, set_off, with_look
from rsu.fusion.table import (
    UNKNOWN_HEADING_STD,
    Rows,
    standing_error,
    stands_on_foot,
    working,
)
from rsu.schema.units import NS_PER_S

Index = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]

REST_PSD, REST_PSD_FREE = (
    0.04,
    0.01,
)  # m²/s, vehicles and others: creep and slow drift of a standing object's apparent position
REST_SPEED_STD = 0.3  # m/s: how fast an object may creep and still count as resting
REST_KNOWN = 1.0  # m/s, speed known this well (1 σ) tells standing from driving: walking pace
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
"""s and factor: errors of GNSS last for many messages; ten words in one
second say no more about the place than one."""
DOUBTED = 2.0  # χ², two dimensions: the mean of those who stand
_CREEP = REST_SPEED_STD**2 * np.eye(2)
_CREEP_PSD = np.where(MOTOR, REST_PSD, REST_PSD_FREE)
SHORTEST_REST_NS = NS_PER_S  # ns in one place before it counts as rest: 1 s of walking is 1.3 m


def predict_rest(rows: Rows, dt: float) -> None:
    """Carry the static hypothesis and held headings `dt` seconds forward, in place."""
    creep = _CREEP_PSD[rows.class_index] * dt
    rows.rest_cov.reshape(-1, 4)[:, ::3] += creep[:, None]
    change = 0.5 * (1.0 - math.exp(-2.0 * START_RATE * dt))
    rows.rest_probability = rows.rest_probability * (1.0 - 2.0 * change) + change
    free = (~(rows.moving | MOTOR[rows.class_index])).nonzero()[0]
    if len(free):
        turned = rows.heading_var[free] + TURN_ON_SPOT * dt
        rows.heading_var[free] = np.minimum(turned, UNKNOWN_HEADING_STD**2)


def measure(rows: Rows, index: Index, scan: Scan, which: Index, column: int) -> None:
    """Update rows `index` by measurements `which` of the scan, both hypotheses, in place.

    The standing error of the scan's sensor (`column`) is noise only where several sensors work on
    one track; alone it shifts the track as a whole and is added when the track is published.
    """
    noise = _noise(rows, index, scan, which, column)
    state, cov = rows.state.take(index, 0), rows.cov.take(index, 0)
    polar, held = rows.polar[index], rows.resting[index]
    position = scan.position.take(which, 0)
    rest_cov = rows.rest_cov.take(index, 0)
    stood = rows.rest_position.take(index, 0)
    spreads = np.array((rest_cov, cov[:, :2, :2])) + noise
    off = position - np.array((stood, state[:, :2]))
    rests, moves = _log_density(off, spreads)
    evidence = rests - moves
    doubted = _watch(rows, index, scan.capture_ns, position, noise) if scan.surveys else index[:0]
    # What another unit says of others may rest on what we said.
    take_position = intersect_position if scan.hearsay else update_position
    take_velocity = intersect_velocity if scan.hearsay else update_velocity
    state, cov = take_position(state, cov, polar, held, position, noise)
    if scan.velocity is not None and scan.velocity_cov is not None:
        velocity, velocity_noise = scan.velocity[which], scan.velocity_cov[which]
        expected, jacobian = velocity_of(state, polar)
        spread = velocity_cov_of(cov, jacobian) + velocity_noise
        evidence += _log_density(velocity, velocity_noise + _CREEP)
        evidence -= _log_density(velocity - expected, spread)
        state, cov = take_velocity(state, cov, polar, held, velocity, velocity_noise)
    rows.state[index], rows.cov[index] = state, cov
    if scan.hearsay:
        step, rows.rest_cov[index] = intersection(rest_cov, noise, off[0])
    else:
        gain = product(rest_cov, inverse2(spreads[0]))
        step = product(gain, off[0, :, :, None])[:, :, 0]
        # (1 − K)·P for the optimal gain, as P·spread⁻¹·noise, which stays positive.
        rows.rest_cov[index] = symmetric(product(gain, noise))
    rows.rest_position[index] = stood + step
    rest = rows.rest_probability[index]
    weight = np.exp(clip(evidence, -AGAINST_REST, FOR_REST))
    rows.rest_probability[index] = rest * weight / (rest * weight + 1.0 - rest)
    if len(doubted):
        _set_off(rows, doubted)


def _watch(rows: Rows, index: Index, time_ns: int, position: Floats, noise: Floats) -> Index:
    """Remember this look at those of the rows `index` who stand on foot, in place; whose rest it
    contradicts. A look that does not ends no rest."""
    watched = stands_on_foot(rows)[index].nonzero()[0]
    some = index[watched]
    if not len(some):
        return some
    position, noise, spread = position[watched], noise[watched], rows.rest_cov[some]
    stood = rows.rest_position[some]
    rows.looks[some] = with_look(rows.looks[some], time_ns, position, noise, stood, spread)
    doubted: Index = some[distance2(position - stood, spread + noise) > DOUBTED]
    return doubted


def _set_off(rows: Rows, some: Index) -> None:
    """Who of the rows `some`, resting on foot, has begun to walk: from there on, in place."""
    gone, state, cov = set_off(rows.looks[some])
    walkers = some[gone]
    rows.state[walkers, :4], rows.cov[walkers, :4, :4] = state[gone], cov[gone]
    rows.rest_probability[walkers] = 0.0


def _noise(rows: Rows, index: Index, scan: Scan, which: Index, column: int) -> Floats:
    """What of the measured positions' covariances is noise to the filter; the standing error that
    is not goes to the rows `index`, in place."""
    company = working(rows).take(index, 0)
    own, count = company[:, column], company.sum(axis=1)
    single = count == 1
    lone = own & single
    _admit(rows, index[single & ~lone])
    several = (count > own).nonzero()[0]  # others than this one
    stated, constant = scan.position_cov.take(which, 0), scan.constant_cov.take(which, 0)
    noise: Floats = stated - lone[:, None, None] * constant
    if scan.hearsay:  # it has no standing error that is its own
        return noise
    if not scan.surveys:
        # In company its standing error is noise that hardly changes from word to word: all the
        # words of `HEARD_S` count as one.
        passed = (scan.capture_ns - np.maximum(rows.last_seen[index, column], 0)) / NS_PER_S
        repeated = clip(HEARD_S / np.maximum(passed, 1e-3), 1.0, HEARD_MOST)
        noise = noise * np.where(lone, 1.0, repeated)[:, None, None]
    rows.noise[index, column] = flat2(np.where(lone[:, None, None], stated, noise))
    rows.standing[index, column] = flat2(constant)
    left = constant
    if len(several):
        left = constant.copy()
        company[:, column] = True
        them = index[several]
        left[several] = standing_error(rows.noise[them], rows.standing[them], company[several])
    rows.constant_cov[index] = left
    return noise


def _admit(rows: Rows, joined: Index) -> None:
    """Where another sensor alone worked on a track until now, its standing error becomes an error
    of the state, in place: against a second sensor it shows."""
    if len(joined):
        rows.cov[joined, :2, :2] += rows.constant_cov[joined]
        rows.rest_cov[joined] += rows.constant_cov[joined]


def settle(rows: Rows, time_ns: int) -> None:
    """Decide each row's regime at `time_ns`, the form of its state and its heading, in place."""
    clip(rows.rest_probability, REST_FLOOR, REST_CEILING, out=rows.rest_probability)
    lost = (rows.rest_probability <= REST_FLOOR).nonzero()[0]
    if len(lost):
        rows.rest_position[lost] = rows.state[:, :2].take(lost, 0)
        rows.rest_cov[lost] = rows.cov[:, :2, :2].take(lost, 0)
        rows.anchored_ns[lost] = time_ns
    limit = np.where(rows.resting, REST_ENDS, REST_BEGINS)
    limit[stands_on_foot(rows)] = REST_FLOOR
    stayed = rows.resting | (time_ns - rows.anchored_ns >= SHORTEST_REST_NS)
    resting = stayed & (rows.rest_probability > limit)
    if np.count_nonzero(resting | rows.resting):
        _rest(rows, resting, time_ns)
    _choose_form(rows)
    _take_heading(rows)


def _rest(rows: Rows, resting: Bools, time_ns: int) -> None:
    """From now on these rest, in place."""
    # Until then it is associated where it stands, but told as moving as it may be.
    rows.stands &= resting
    undecided = (resting & ~rows.stands).nonzero()[0]
    if len(undecided):
        rows.stands[undecided] = _speed_is_known(rows, undecided, time_ns)
    changed = ((resting != rows.resting) & rows.polar).nonzero()[0]
    if len(changed):
        _stop_turning(rows, changed[resting[changed]])
        _free_turning(rows, changed[~resting[changed]])
    left = (rows.resting & ~resting).nonzero()[0]
    if len(left):
        rows.looks[left] = no_looks(1)
    rows.resting = resting


def _speed_is_known(rows: Rows, index: Index, time_ns: int) -> npt.NDArray[np.bool_]:
    """Of the rows `index` whether standing can be told from driving: the moving filter knows its
    speed, or the object stayed in one place for so long that even within twice its position's
    deviation it is slow.

    Far away, where places are known to some metres, the static hypothesis wins by being the simpler
    one long before a slow car has moved out of the noise.
    """
    cov = rows.cov[index]
    velocity = cov[:, 2:4, 2:4]
    variance = np.where(rows.polar[index], velocity[:, 1, 1], largest_variance(velocity))
    reach = 2.0 * np.sqrt(largest_variance(cov[:, :2, :2]))
    stayed_s = (time_ns - rows.anchored_ns[index]) / NS_PER_S
    return np.asarray((variance < REST_KNOWN**2) | (reach < REST_KNOWN * stayed_s))


def _stop_turning(rows: Rows, which: Index) -> None:
    rows.state[which, 4] = 0.0
    rows.cov[which, 4, :] = rows.cov[which, :, 4] = 0.0
    rows.cov[which, 4, 4] = REST_TURN_STD**2


def _free_turning(rows: Rows, which: Index) -> None:
    # Steering may have been turned while standing: as uncertain as any vehicle setting off.
    rows.cov[which, 4, 4] += BIRTH_TURN_STD**2
    rows.cov[which, 2, 2] += 0.05**2


def _choose_form(rows: Rows) -> None:
    # The class decides the model; 0.4 to 0.6 keeps what there is.
    leave = (rows.polar & (rows.motor <= 0.4)).nonzero()[0]
    if len(leave):
        rows.state[leave], rows.cov[leave] = to_cartesian(rows.state[leave], rows.cov[leave])
        rows.polar[leave] = False
    moved, rows.moving = rows.moving, rows.polar & ~rows.resting
    free = (~rows.polar).nonzero()[0]
    if not len(free):
        return
    classes, state, cov = rows.class_index[free], rows.state.take(free, 0), rows.cov.take(free, 0)
    speed = np.hypot(state[:, 2], state[:, 3])
    noise = np.sqrt(largest_variance(cov[:, 2:4, 2:4]))
    needed = np.where(moved[free], DOUBTFUL, ESTABLISHED) * noise
    established = ~rows.resting[free] & (speed > np.maximum(LEAST_SPEED[classes], needed))
    rows.moving[free] = established
    vehicle = (rows.motor[free] > 0.6) & MOTOR[classes]
    enter = free[vehicle & established & (speed > DRIVING * noise)]
    if len(enter):
        rows.state[enter], rows.cov[enter] = to_polar(
            rows.state.take(enter, 0), rows.cov.take(enter, 0)
        )
        rows.polar[enter] = True


def _take_heading(rows: Rows) -> None:
    driving = rows.polar.nonzero()[0]
    if len(driving):
        slowest = -np.maximum(1.0, 3.0 * np.sqrt(rows.cov[:, 3, 3][driving]))
        reversing = driving[rows.state[:, 3][driving] < slowest]
        if len(reversing):
            _turn_round(rows, reversing)
        rows.heading[driving] = rows.state[:, 2][driving]
        rows.heading_var[driving] = rows.cov[:, 2, 2][driving]
    free = (rows.moving & ~rows.polar).nonzero()[0]
    if len(free):
        vx, vy = rows.state[:, 2][free], rows.state[:, 3][free]
        cov = rows.cov.take(free, 0)
        speed2 = np.maximum(vx * vx + vy * vy, 1e-2)
        xx, xy, yy = cov[:, 2, 2], cov[:, 2, 3], cov[:, 3, 3]
        across = (vy * vy * xx - 2.0 * vx * vy * xy + vx * vx * yy) / speed2
        rows.heading[free] = np.arctan2(vy, vx)
        rows.heading_var[free] = across / speed2
    np.minimum(rows.heading_var, UNKNOWN_HEADING_STD**2, out=rows.heading_var)


def _turn_round(rows: Rows, which: Index) -> None:
    """A vehicle that clearly goes backwards heads the other way from now on."""
    rows.state[which, 2] = wrap(rows.state[which, 2] + np.pi)
    rows.state[which, 3] *= -1.0
    rows.cov[which, 3, :] *= -1.0
    rows.cov[which, :, 3] *= -1.0


def _log_density(difference: Floats, cov: Floats) -> Floats:
    """Log density of planar Gaussians without the constant, which cancels in every ratio here."""
    entries = cov[..., 0, 0], cov[..., 0, 1], cov[..., 1, 1]
    distance, area = distance_area(difference, *entries)
    return np.asarray(-0.5 * (distance + np.log(area)))
