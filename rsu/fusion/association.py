"""Which measurement belongs to which track: gating and global nearest neighbour.

In: predicted rows and one scan; out: pairs (track row, measurement). A pair is possible when its
squared Mahalanobis distance, plus the price of a class confusion, lies inside the gate; among the
possible pairs the assignment of least total cost wins (Blackman & Popoli, "Design and Analysis of
Modern Tracking Systems", 1999, ch. 6), solved exactly by scipy.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from rsu.fusion.classes import CONFUSION
from rsu.fusion.measurements import Scan
from rsu.fusion.motion import determinant2, distance2, velocity_cov_of, velocity_of
from rsu.fusion.table import NEVER, Rows, believed_position, live_labels, seen_by_one

Floats = npt.NDArray[np.float64]

REGISTRATION_STD = 0.5  # m: two surveyed cameras place one car's footprint this far apart

SAME_NAME = 20.0  # −2·ln of how seldom (e⁻¹⁰) a name passes to another object nearby


class Pairs(NamedTuple):
    """Assigned pairs in order of track row; `likelihood` (1/m²) is that of the position."""

    row: npt.NDArray[np.intp]
    measurement: npt.NDArray[np.intp]
    likelihood: Floats


def gate_threshold(probability: float) -> float:
    """χ² quantile with two degrees of freedom, closed form; the gate stays finite at 1."""
    return -2.0 * math.log(max(1.0 - probability, 1e-9))


def associate(rows: Rows, scan: Scan, gate: float, column: int) -> Pairs:
    """Global nearest neighbour of N predicted tracks and M measurements.

    `column` is the scan's sensor. Its standing error does not count against tracks that are its
    own alone; tracks of other sensors get theirs added, and `REGISTRATION_STD` more room where this
    sensor has never seen them, since sensors may be surveyed a little differently.
    """
    nobody = np.zeros(0, dtype=np.intp)
    if len(rows) == 0 or len(scan) == 0:
        return Pairs(nobody, nobody, np.zeros(0))
    # Component by component: N×M×2×2 arrays cost three times as much.
    new = (rows.last_seen[:, column] == NEVER) | (not scan.surveys)
    strange = np.where(new, REGISTRATION_STD**2, 0.0)
    place, spread = believed_position(rows)
    # What is heard comes from many senders, each with a standing error of its own.
    shared = ~seen_by_one(rows, column) | (not scan.surveys)
    spread = spread + np.where(shared[:, None, None], rows.constant_cov, 0.0)
    fresh = scan.position_cov - scan.constant_cov
    constant = np.where(shared[:, None], 1.0, 0.0)
    xx = (
        (spread[:, 0, 0] + strange)[:, None]
        + fresh[:, 0, 0]
        + constant * scan.constant_cov[:, 0, 0]
    )
    yy = (
        (spread[:, 1, 1] + strange)[:, None]
        + fresh[:, 1, 1]
        + constant * scan.constant_cov[:, 1, 1]
    )
    xy = spread[:, None, 0, 1] + fresh[:, 0, 1] + constant * scan.constant_cov[:, 0, 1]
    dx = scan.position[None, :, 0] - place[:, None, 0]
    dy = scan.position[None, :, 1] - place[:, None, 1]
    area = xx * yy - xy * xy
    distance = (yy * dx * dx - 2.0 * xy * dx * dy + xx * dy * dy) / area
    price = CONFUSION[rows.class_index][:, scan.class_index]
    possible = distance + price <= gate
    cost = distance + price + np.log(area) - 2.0 * np.log(rows.existence)[:, None]
    if scan.label is not None:
        named = live_labels(rows, scan.capture_ns)[:, None]
        # A road user that goes by a name takes no other's words, and prefers its own.
        possible &= (named == 0) | (scan.label == 0) | (named == scan.label)
        cost -= SAME_NAME * ((named != 0) & (named == scan.label))
    if scan.velocity is not None and scan.velocity_cov is not None:
        expected, jacobian = velocity_of(rows.state, rows.polar)
        known = velocity_cov_of(rows.cov, jacobian)
        spread_v = known[:, None] + scan.velocity_cov[None]
        distance_v = distance2(scan.velocity[None] - expected[:, None], spread_v)
        possible &= distance_v <= gate
        cost += distance_v + np.log(determinant2(spread_v))
    if not possible.any():
        return Pairs(nobody, nobody, np.zeros(0))
    # An impossible pair costs a little more than any possible one: two poor pairs do not beat one
    # good pair just because they are two.
    filled = np.where(possible, cost, float(np.max(cost[possible])) + 1.0)
    row, measurement = linear_sum_assignment(filled)
    real = possible[row, measurement]
    row, measurement = row[real], measurement[real]
    density = np.exp(-0.5 * distance[row, measurement]) / (
        2.0 * np.pi * np.sqrt(area[row, measurement])
    )
    return Pairs(row, measurement, density)
