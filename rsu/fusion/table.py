"""All live tracks as columns of arrays, so that every step of the filter is one batched operation.

A `Table` is the complete memory of the tracker after some scan: copying it is a snapshot, putting
it back is a rollback. Rows are in order of birth, hence of id.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from rsu.fusion.classes import CLASSES, DEFAULT_SIZE, MOTOR, UNKNOWN
from rsu.fusion.measurements import Scan
from rsu.fusion.motion import flat2, inverse2, matrix2, product, symmetric
from rsu.fusion.onset import no_looks
from rsu.schema.units import NS_PER_S

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Indices = npt.NDArray[np.intp]

NEVER = -(2**62)  # a time before every other, ns
UNKNOWN_HEADING_STD = float(np.pi / np.sqrt(3.0))  # rad: σ of an angle of which nothing is known
FRESH_NS = 300_000_000
"""ns: three frames of the slowest usual camera. A track measured this recently is in view: it does
not coast, it can hide others, and who measured it this recently, and now does not, misses it."""
CLASS_PRIOR = 0.1  # Dirichlet pseudo-count per class: one detection of score 1 gives it 0.55
COMPANY_NS = NS_PER_S  # ns: sensors that measured a track this recently work on it together
NAMED_NS = 1_500_000_000  # ns: a road user that speaks once a second keeps its name
_NOBODY = np.array([1.0, 0.0, 1.0])  # any regular covariance: it counts for nothing
_PLANAR = np.array([0, 1, 6])  # xx, xy, yy in a row-major 5×5
_MOTOR = MOTOR.nonzero()[0]
REST_PRIOR = 0.5  # a new object stands or moves; nothing favours either


@dataclass(slots=True)
class Rows:
    """N tracks. Shapes in brackets; the rest are N. Units m, s, rad, ns."""

    id: Integers
    born_ns: Integers
    updated_ns: Integers
    state: Floats  # [N×5] see rsu.fusion.motion
    cov: Floats  # [N×5×5]
    polar: Bools  # form of the state
    moving: Bools  # motion is established: its direction is more than noise
    constant_cov: Floats  # [N×2×2] what is left of standing errors (`standing_error`)
    rest_position: Floats  # [N×2] where the object stands if it stands still
    rest_cov: Floats  # [N×2×2]
    rest_probability: Floats
    anchored_ns: Integers  # since when the static filter stayed in one place
    resting: Bools
    stands: Bools  # rests, and is known well enough to say so
    heading: Floats  # last heading that motion showed
    heading_var: Floats
    existence: Floats
    confirmed: Bools
    class_evidence: Floats  # [N×C] scores seen per class, fading
    class_index: Indices  # the likeliest class; UNKNOWN where no sensor named one
    motor: Floats  # probability of a motor vehicle among the known classes
    size: Floats  # [N×3]
    sized: Integers  # how many sizes were averaged
    hidden_ns: Integers  # when last it was found hidden behind another, or NEVER
    label: Integers  # who said it was this object (see rsu.fusion.heard), 0: nobody
    labelled_ns: Integers  # when last, or NEVER
    looks: Floats  # [N×LOOKS×WIDTH] the last looks at who rests on foot (see rsu.fusion.onset)
    last_seen: Integers  # [N×S] capture time of the last measurement by each sensor, or NEVER
    noise: Floats  # [N×S×3] covariance (xx, xy, yy) that each stated then
    standing: Floats  # [N×S×3] the part of it that lasts

    def __len__(self) -> int:
        return len(self.id)

    def take(self, index: Indices) -> Rows:
        """The chosen rows, copied."""
        return Rows(*[column.take(index, 0) for column in _columns(self)])

    def copy(self) -> Rows:
        return Rows(*[column.copy() for column in _columns(self)])

    def joined(self, other: Rows) -> Rows:
        """These rows followed by the others."""
        count = len(self)
        if not count:
            return other
        # Room for the others, whatever is in it: a third cheaper than to concatenate.
        room = np.arange(count + len(other)) % count
        columns = [column.take(room, 0) for column in _columns(self)]
        for column, more in zip(columns, _columns(other), strict=True):
            column[count:] = more
        return Rows(*columns)

    def classify(self, index: Indices) -> None:
        """What the evidence of the rows `index` says now."""
        evidence = self.class_evidence.take(index, 0)
        # Nothing speaks for UNKNOWN, which comes first: it is the likeliest where nothing speaks.
        self.class_index[index] = evidence.argmax(axis=1)
        weight = evidence + CLASS_PRIOR
        motor = weight.take(_MOTOR, 1).sum(axis=1)
        self.motor[index] = motor / (weight.sum(axis=1) - weight[:, UNKNOWN])


_columns = attrgetter(*(column.name for column in fields(Rows)))


@dataclass(slots=True)
class Table:
    """Rows at `time_ns` (capture time of the newest scan applied; NEVER before the first).

    `next_id` is the id of the next birth; `last_look` [S] when each sensor last looked, whatever it
    saw. Sensors are columns in order of first appearance; no result depends on that order.
    """

    time_ns: int
    next_id: int
    rows: Rows
    last_look: Integers

    def copy(self) -> Table:
        return Table(self.time_ns, self.next_id, self.rows.copy(), self.last_look.copy())

    def widen(self, sensors: int) -> None:
        """Make room for sensors that appeared since this table was made."""
        missing = sensors - len(self.last_look)
        if missing > 0:
            self.last_look = np.concatenate((self.last_look, np.full(missing, NEVER)))
            rows, count = self.rows, len(self.rows)
            pad = np.full((count, missing), NEVER)
            rows.last_seen = np.concatenate((rows.last_seen, pad), axis=1)
            none = np.zeros((count, missing, 3))
            rows.noise = np.concatenate((rows.noise, none), axis=1)
            rows.standing = np.concatenate((rows.standing, none), axis=1)


def believed_position(rows: Rows) -> Floats:
    """N×2 position under the regime that holds.

    A resting track is where it stands: its static filter is much surer than its moving one, which
    keeps parked neighbours apart.
    """
    position = rows.state[:, :2].copy()
    resting = rows.resting.nonzero()[0]
    if len(resting):
        position[resting] = rows.rest_position.take(resting, 0)
    return position


def believed_spread(rows: Rows) -> Floats:
    """Covariance (xx, xy, yy; N×3) of the position under the regime that holds."""
    spread = rows.cov.reshape(-1, 25).take(_PLANAR, 1)
    resting = rows.resting.nonzero()[0]
    if len(resting):
        spread[resting] = flat2(rows.rest_cov.take(resting, 0))
    return spread


def stands_on_foot(rows: Rows) -> Bools:
    """Who rests (N) and may set off within a step: vehicles gather speed."""
    return np.asarray(rows.resting & ~rows.polar & ~MOTOR[rows.class_index])


def working(rows: Rows) -> Bools:
    """Which sensors (N×S) work on a track: they measured it within `COMPANY_NS` of its newest."""
    return np.asarray(rows.last_seen > (rows.updated_ns - COMPANY_NS)[:, None])


def alone(company: Bools, column: int) -> Bools:
    """Tracks that sensor `column` and no other works on.

    One sensor's standing error moves the whole track and shows in no innovation; between sensors
    it does.
    """
    return np.asarray(company[:, column] & (company.sum(axis=1) == 1))


def standing_error(noise: Floats, standing: Floats, company: Bools) -> Floats:
    """What the standing errors of the sensors `company` N×S leave of a track's place, N×2×2.

    `noise` N×S×3 is what each stated as the whole covariance of its measurement, `standing` the
    part that lasts. The filter weighs whoever works on a track by what they are sure of,
    Wᵢ = (Σ Rⱼ⁻¹)⁻¹·Rᵢ⁻¹, and their lasting errors have nothing to do with each other: Σ Wᵢ·Cᵢ·Wᵢᵀ.
    """
    counts = company & (noise[..., 0] > 0.0)  # hearsay has no errors that are its own
    weight = inverse2(matrix2(np.where(counts[..., None], noise, _NOBODY)))
    weight[~counts] = 0.0
    shares = product(product(weight, matrix2(standing)), weight)
    spread = inverse2(_summed(weight))
    return symmetric(product(product(spread, _summed(shares)), spread))


def _summed(terms: Floats) -> Floats:
    """Sum of N×S×2×2 over S, in an order of its own: sums of floats depend on that, and nothing may
    on which sensor came first."""
    return np.asarray(np.sort(terms, axis=1).sum(axis=1))


def live_labels(rows: Rows, time_ns: int) -> Integers:
    """Who said lately that it is this object; 0 where nobody did within `NAMED_NS`."""
    return np.where(rows.labelled_ns > time_ns - NAMED_NS, rows.label, 0)


def empty_table(first_id: int, sensors: int = 0) -> Table:
    """A table without tracks whose first birth gets `first_id`."""
    return Table(NEVER, first_id, _blank(0, sensors), np.full(sensors, NEVER))


def newborn(
    scan: Scan, which: npt.NDArray[np.intp], existence: Floats, first_id: int, column: int,
    sensors: int, first_speed_std: Floats,
) -> Rows:  # fmt: skip
    """Tracks begun by the measurements `which` of a scan, numbered from `first_id`.

    Velocity is zero-mean with the class's spread, `first_speed_std` by class, unless the sensor
    measured it; the heading is unknown and says so.
    """
    count = len(which)
    everyone = np.arange(count)
    rows = _blank(count, sensors)
    classes, noise = scan.class_index[which], scan.position_cov.take(which, 0)
    constant, size = scan.constant_cov.take(which, 0), scan.size.take(which, 0)
    rows.id[:] = first_id + everyone
    rows.born_ns[:] = rows.updated_ns[:] = scan.capture_ns
    rows.anchored_ns[:] = scan.capture_ns
    rows.state[:, :2] = rows.rest_position[:] = scan.position.take(which, 0)
    rows.constant_cov[:] = constant
    rows.cov[:, :2, :2] = rows.rest_cov[:] = noise - constant
    if scan.velocity is not None and scan.velocity_cov is not None:
        rows.state[:, 2:4] = scan.velocity[which]
        rows.cov[:, 2:4, 2:4] = scan.velocity_cov[which]
        # A velocity less certain than what is known of the class says nothing.
        known = first_speed_std[classes] ** 2
        wide = np.maximum(rows.cov[:, 2, 2], rows.cov[:, 3, 3]) > known
        rows.cov[wide, 2:4, 2:4] = known[wide, None, None] * np.eye(2)
    else:
        rows.cov[:, 2, 2] = rows.cov[:, 3, 3] = first_speed_std[classes] ** 2
    rows.existence[:] = existence
    rows.class_evidence[everyone, classes] = scan.score[which]
    rows.class_evidence[:, UNKNOWN] = 0.0
    rows.classify(everyone)
    measured = np.isfinite(size)
    rows.size[:] = np.where(measured, size, DEFAULT_SIZE.take(classes, 0))
    rows.sized[:] = measured.all(axis=1)
    rows.last_seen[:, column] = scan.capture_ns
    rows.noise[:, column] = flat2(noise)
    rows.standing[:, column] = flat2(constant)
    if scan.evidence_ns is not None:
        rows.updated_ns[:] = scan.evidence_ns[which]
    if scan.label is not None:
        rows.label[:] = scan.label[which]
        rows.labelled_ns[rows.label != 0] = scan.capture_ns
    return rows


def _blank(count: int, sensors: int) -> Rows:
    return _blank_row(sensors).take(np.zeros(count, dtype=np.intp))


@lru_cache
def _blank_row(sensors: int) -> Rows:
    """What is repeated, not changed: it is kept."""
    return Rows(
        id=np.zeros(1, dtype=np.int64),
        born_ns=np.zeros(1, dtype=np.int64),
        updated_ns=np.zeros(1, dtype=np.int64),
        state=np.zeros((1, 5)),
        cov=np.zeros((1, 5, 5)),
        polar=np.zeros(1, dtype=np.bool_),
        moving=np.zeros(1, dtype=np.bool_),
        constant_cov=np.zeros((1, 2, 2)),
        rest_position=np.zeros((1, 2)),
        rest_cov=np.zeros((1, 2, 2)),
        rest_probability=np.full(1, REST_PRIOR),
        anchored_ns=np.zeros(1, dtype=np.int64),
        resting=np.zeros(1, dtype=np.bool_),
        stands=np.zeros(1, dtype=np.bool_),
        heading=np.zeros(1),
        heading_var=np.full(1, UNKNOWN_HEADING_STD**2),
        existence=np.zeros(1),
        confirmed=np.zeros(1, dtype=np.bool_),
        class_evidence=np.zeros((1, len(CLASSES))),
        class_index=np.full(1, UNKNOWN, dtype=np.intp),
        motor=np.zeros(1),
        size=np.zeros((1, 3)),
        sized=np.zeros(1, dtype=np.int64),
        hidden_ns=np.full(1, NEVER),
        label=np.zeros(1, dtype=np.int64),
        labelled_ns=np.full(1, NEVER),
        looks=no_looks(1),
        last_seen=np.full((1, sensors), NEVER),
        noise=np.zeros((1, sensors, 3)),
        standing=np.zeros((1, sensors, 3)),
    )
