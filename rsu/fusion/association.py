"""Which measurement belongs to which track: gating and global nearest neighbour.

In: predicted rows and one scan; out: pairs (track row, measurement). A pair is possible when its
squared Mahalanobis distance, plus the price of a class confusion, lies inside the gate; among the
possible pairs the assignment of least total cost wins (Blackman & Popoli, "Design and Analysis of
Modern Tracking Systems", 1999, ch. 6), exactly (`assignment`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rsu.fusion.assignment import cheapest
from rsu.fusion.classes import CONFUSION, DEFAULT_SIZE, MOTOR
from rsu.fusion.measurements import Scan
from rsu.fusion.motion import (
    FEW_PAIRS,
    determinant2,
    distance2,
    distance_area,
    flat2,
    squared_gaps,
    velocity_cov_of,
    velocity_of,
)
from rsu.fusion.onset import START_STD
from rsu.fusion.table import (
    CLASS_PRIOR,
    NEVER,
    Rows,
    alone,
    believed_position,
    believed_spread,
    live_labels,
    stands_on_foot,
    working,
)
from rsu.schema.units import NS_PER_S
from rsu.site.segments import runs

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

REGISTRATION_STD = 0.5  # m: two surveyed cameras place one car's footprint this far apart

QUEUES = 1.0  # m/s: creeping forward
LEAST_SHARE = 0.05  # nobody is so sure of a class that one look in 20 may not name another
LONG: npt.NDArray[np.bool_] = DEFAULT_SIZE[:, 0] > 7.0  # m: lorries and buses, with or without body
STEP_S, LONGEST_STEP_S = 0.2, 1.0
"""s that somebody may have walked at the last look without being found to, and the longest unseen
walk that still counts as a step."""
STEP_CHANCE = 1 / 8  # of those who stand, how many may be walking: waiting people shift about

SAME_NAME = 20.0  # −2·ln of how seldom (e⁻¹⁰) a name passes to another object nearby


class Pairs(NamedTuple):
    """Assigned pairs in order of track row; `likelihood` (1/m²) is that of the position."""

    row: npt.NDArray[np.intp]
    measurement: npt.NDArray[np.intp]
    likelihood: Floats


NOBODY = Pairs(np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp), np.zeros(0))


def gate_threshold(probability: float) -> float:
    """χ² quantile with two degrees of freedom, closed form; the gate stays finite at 1."""
    return -2.0 * math.log(max(1.0 - probability, 1e-9))


def associate(rows: Rows, scan: Scan, gate: float, column: int) -> Pairs:
    """Global nearest neighbour of N predicted tracks and M measurements.

    `column` is the scan's sensor. Its standing error does not count against tracks that are its
    own alone; tracks of other sensors get theirs added, and `REGISTRATION_STD` more room where this
    sensor has never seen them, since sensors may be surveyed a little differently.
    """
    if len(rows) == 0 or len(scan) == 0:
        return NOBODY
    place, spread = believed_position(rows), believed_spread(rows)
    new, shared = rows.last_seen[:, column] == NEVER, ~alone(working(rows), column)
    if not scan.surveys:  # what is heard comes from many senders, each with errors of its own
        new[:] = shared[:] = True
    company = np.count_nonzero(shared) > 0
    if company:
        spread += shared[:, None] * flat2(rows.constant_cov)
    if np.count_nonzero(new):
        spread[:, ::2] += (REGISTRATION_STD**2 * new)[:, None]
    constant = flat2(scan.constant_cov)
    noise = flat2(scan.position_cov)
    fresh = noise - constant
    standing = stands_on_foot(rows).nonzero()[0]
    room = _stepped(rows, standing, scan.capture_ns)
    wide = spread
    if len(standing):
        wide = spread.copy()
        wide[:, ::2] += room[:, None]
    row, measurement = _near(place, wide, scan.position, noise, gate)
    # Pair by pair from here: most of N×M are out of each other's reach.
    common = spread.take(row, 0) + fresh.take(measurement, 0)
    if company:
        common += shared[row, None] * constant.take(measurement, 0)
    off = scan.position.take(measurement, 0) - place.take(row, 0)
    distance, area = distance_area(off, common[:, 0], common[:, 1], common[:, 2])
    if len(standing):
        _step(distance, area, common, off, room[row], gate)
    named = scan.class_index[measurement]
    price = CONFUSION[rows.class_index[row], named]
    price += _another_length(rows, row, named)
    price += distance
    possible = price <= gate
    cost = price + np.log(area) - 2.0 * np.log(rows.existence[row])
    if scan.label is not None:
        named, told = live_labels(rows, scan.capture_ns)[row], scan.label[measurement]
        # A road user that goes by a name takes no other's words, and prefers its own.
        possible &= (named == 0) | (told == 0) | (named == told)
        cost -= SAME_NAME * ((named != 0) & (named == told))
    if scan.velocity is not None and scan.velocity_cov is not None:
        expected, jacobian = velocity_of(rows.state, rows.polar)
        known = velocity_cov_of(rows.cov, jacobian)
        spread_v = known.take(row, 0) + scan.velocity_cov.take(measurement, 0)
        difference = scan.velocity.take(measurement, 0) - expected.take(row, 0)
        distance_v = distance2(difference, spread_v)
        possible &= distance_v <= gate
        cost += distance_v + np.log(determinant2(spread_v))
    which = possible.nonzero()[0]
    if not len(which):
        return NOBODY
    which = which[_cheapest(row[which], measurement[which], cost[which])]
    density = np.exp(-0.5 * distance[which]) / (2.0 * np.pi * np.sqrt(area[which]))
    return Pairs(row[which], measurement[which], density)


def _step(
    distance: Floats, area: Floats, cov: Floats, off: Floats, room: Floats, gate: float
) -> None:
    """Let those who may have gone off by `room` (m², K pairs) do so where that is likelier, in
    place."""
    afoot = (room > 0.0).nonzero()[0]
    wide = cov[afoot]
    wide[:, ::2] += room[afoot, None]
    farther, larger = distance_area(off[afoot], wide[:, 0], wide[:, 1], wide[:, 2])
    larger /= STEP_CHANCE**2
    better = farther + np.log(larger) < distance[afoot] + np.log(area[afoot])
    better |= distance[afoot] > gate
    distance[afoot] = np.where(better, farther, distance[afoot])
    area[afoot] = np.where(better, larger, area[afoot])


def _another_length(rows: Rows, row: Indices, named: Indices) -> Floats:
    """Price (K) of taking a lorry or bus for one in a queue that has been seen to be none, and
    the other way round: −2·ln of the share of its looks that said so. In motion it may be taken:
    what moves alike in one place is one."""
    price = np.zeros(len(row))
    some = (MOTOR[named] & (LONG[named] != LONG[rows.class_index[row]])).nonzero()[0]
    if len(some):
        slow = rows.resting | (rows.polar & (np.abs(rows.state[:, 3]) < QUEUES))
        some = some[slow[row[some]]]
        evidence = rows.class_evidence[row[some]]
        alike = LONG[named[some], None] == LONG
        said = (evidence * (MOTOR & alike)).sum(axis=1) + CLASS_PRIOR
        share = said / (evidence[:, MOTOR].sum(axis=1) + 2.0 * CLASS_PRIOR)
        price[some] = -2.0 * np.log(np.maximum(share, LEAST_SHARE))
    return price


def _stepped(rows: Rows, some: Indices, time_ns: int) -> Floats:
    """m² (N) by which `some`, who stand on foot, may have gone off since about the last look."""
    room = np.zeros(len(rows))
    if len(some):
        unseen_s = (time_ns - rows.updated_ns[some]) / NS_PER_S
        room[some] = (START_STD * (np.minimum(unseen_s, LONGEST_STEP_S) + STEP_S)) ** 2
    return room


def _near(
    place: Floats, spread: Floats, position: Floats, noise: Floats, gate: float
) -> tuple[Indices, Indices]:
    """Pairs (row, measurement) that may lie inside the gate, in order.

    No variance in any direction is larger than the sum of both, so whoever is farther away than
    the gate times that sum need not be looked at; in order of x only neighbours are asked.
    """
    row_spread, noise_spread = spread[:, 0] + spread[:, 2], noise[:, 0] + noise[:, 2]
    if len(place) * len(position) <= FEW_PAIRS:
        reach = gate * (row_spread[:, None] + noise_spread)
        row, measurement = (squared_gaps(place, position) <= reach).nonzero()
        return row, measurement
    place_x, place_y, x, y = place[:, 0], place[:, 1], position[:, 0], position[:, 1]
    widest = math.sqrt(gate * (float(row_spread.max()) + float(noise_spread.max())))
    order = x.argsort(kind="stable")
    in_order = x[order]
    begin = in_order.searchsorted(place_x - widest)
    row, among = runs(begin, in_order.searchsorted(place_x + widest, side="right") - begin)
    measurement = order[among]
    gap = (place_x[row] - x[measurement]) ** 2
    gap += (place_y[row] - y[measurement]) ** 2
    near = (gap <= gate * (row_spread[row] + noise_spread[measurement])).nonzero()[0]
    row, measurement = row[near], measurement[near]
    sequence = (row * len(position) + measurement).argsort()
    return row[sequence], measurement[sequence]


def _cheapest(row: Indices, measurement: Indices, cost: Floats) -> Indices:
    """Which of the possible pairs to take, in order of row: each row and measurement once.

    An impossible pair costs a little more than any possible one: two poor pairs do not beat one
    good pair just because they are two. A pair that competes with no other is taken at once.
    """
    rivals = np.bincount(row)[row] + np.bincount(measurement)[measurement]
    contested = (rivals > 2).nonzero()[0]
    alone: Indices = (rivals == 2).nonzero()[0]
    if not len(contested):
        return alone
    chosen = cheapest(
        row[contested].tolist(), measurement[contested].tolist(), cost[contested].tolist(),
        none=float(cost.max()) + 1.0,
    )  # fmt: skip
    taken: Indices = np.sort(np.concatenate((alone, contested[chosen])))
    return taken
