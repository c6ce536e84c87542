"""One step of multi-object tracking: a table of tracks and one scan give the next table.

Predict → associate → update → miss → merge → bear → delete → confirm. A step is a pure function of
its arguments; out-of-sequence scans are therefore handled by stepping again from an older table
(`rsu.fusion.history`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from rsu.config.fusion import FusionOptions
from rsu.fusion.association import Pairs, associate, gate_threshold
from rsu.fusion.classes import CONFUSION, DEFAULT_SIZE, UNKNOWN, motion_of
from rsu.fusion.existence import after_hit, after_miss, decay, responsible
from rsu.fusion.measurements import Scan
from rsu.fusion.motion import FEW_PAIRS, predict, squared_gaps, velocity_cov_of, velocity_of
from rsu.fusion.occlusion import Viewpoint, chance, hidden
from rsu.fusion.regime import measure, predict_rest, settle
from rsu.fusion.table import NEVER, Rows, Table, believed_position, live_labels, newborn
from rsu.schema.units import NS_PER_S
from rsu.site.segments import runs

Floats = npt.NDArray[np.float64]

CLASS_MEMORY = 0.97  # per measurement: class evidence fades over about 33 measurements
SIZE_GAIN = 0.05  # a size is averaged over at least the last 20 measurements
SAME_SCAN_NS = NS_PER_S  # ns: one sensor saw two objects apart this recently, so they are two
OVERLAP = 0.7  # of the mean width: centres closer than this cannot be two objects side by side
LEAST_OVERLAP = 0.5  # m: shoulder breadth
FIRST_LOOK_S = 1.0  # s: taken as time since the last look when a sensor looks for the first time


@dataclass(slots=True)
class Outcome:
    """What a step did beside moving tracks: ids that ended with their reason, births refused."""

    ended: list[tuple[int, str]] = field(default_factory=list)
    unborn: int = 0
    hit: npt.NDArray[np.int64] | None = None
    """Ids of the tracks that the scan measured, by the measurements `which`, and how fast they go
    (`velocity` N×2 m/s)."""
    which: npt.NDArray[np.intp] | None = None
    velocity: npt.NDArray[np.float64] | None = None


class Tracker:
    """The step function with its parameters; sensors get their column at first appearance."""

    def __init__(
        self, options: FusionOptions, viewpoints: Mapping[str, Viewpoint] | None = None
    ) -> None:
        """`viewpoints` by sensor: who hangs where and sees nothing behind what is nearer."""
        self._options = options
        self._viewpoints = dict(viewpoints or {})
        self._gate = gate_threshold(options.gate_probability)
        self._coast_ns = round(options.coast_s * NS_PER_S)
        self._hidden_ns = max(round(options.hidden_s * NS_PER_S), self._coast_ns)
        self._columns: dict[str, int] = {}
        self.motion = motion_of(options.motion)

    @property
    def sensors(self) -> tuple[str, ...]:
        """Sensor names by column."""
        return tuple(self._columns)

    def step(self, before: Table, scan: Scan) -> tuple[Table, Outcome]:
        """The table after `scan`, whose capture time must not precede `before.time_ns`."""
        column = self._columns.setdefault(scan.sensor, len(self._columns))
        outcome = Outcome()
        table = self.expire(before, scan.capture_ns, outcome)
        table.widen(len(self._columns))
        dt = 0.0 if table.time_ns == NEVER else (scan.capture_ns - table.time_ns) / NS_PER_S
        look = table.last_look[column]
        look_s = FIRST_LOOK_S if look == NEVER else (scan.capture_ns - int(look)) / NS_PER_S
        table.time_ns = table.last_look[column] = scan.capture_ns
        rows = table.rows
        self._predict(rows, dt)
        pairs = associate(rows, scan, self._gate, column)
        self._update(rows, scan, pairs, column, look_s)
        outcome.hit, outcome.which = rows.id[pairs.row], pairs.measurement
        outcome.velocity, _ = velocity_of(rows.state.take(pairs.row, 0), rows.polar[pairs.row])
        outcome.velocity[rows.resting[pairs.row]] = 0.0
        if scan.surveys:
            self._miss(rows, scan, pairs, column, look_s)
        settle(rows, scan.capture_ns)
        unborn = self._bear(table, scan, pairs, column)
        outcome.unborn = unborn
        _merge(table, outcome)
        self._judge(table, outcome)
        return table, outcome

    def expire(self, before: Table, time_ns: int, outcome: Outcome) -> Table:
        """A copy without the tracks that nobody measured for `coast_s` before `time_ns`, or, where
        something hid them, for `hidden_s`."""
        seen = before.rows.updated_ns
        stale = seen < time_ns - self._coast_ns
        if np.count_nonzero(stale):
            stale &= before.rows.hidden_ns < time_ns - self._coast_ns
            stale |= seen < time_ns - self._hidden_ns
        if not np.count_nonzero(stale):
            return before.copy()
        outcome.ended += [(i, "coast_expired") for i in before.rows.id[stale].tolist()]
        rows = before.rows.take((~stale).nonzero()[0])
        return replace(before, rows=rows, last_look=before.last_look.copy())

    def _predict(self, rows: Rows, dt: float) -> None:
        psd = self.motion.acceleration_psd[rows.class_index]
        rows.state, rows.cov = predict(rows.state, rows.cov, rows.polar, rows.resting, psd, dt)
        predict_rest(rows, dt)
        waits = (rows.hidden_ns > rows.updated_ns).nonzero()[0]
        # Likelier there than not for as long as it may hide.
        left = rows.existence[waits] * decay(dt, 2.0 * self._hidden_ns / NS_PER_S)
        rows.existence *= decay(dt, self._options.survival_s)
        rows.existence[waits] = left

    def _update(self, rows: Rows, scan: Scan, pairs: Pairs, column: int, look_s: float) -> None:
        hit, which = pairs.row, pairs.measurement
        if len(hit) == 0:
            return
        measure(rows, hit, scan, which, column)
        looks: float | npt.NDArray[np.float64] = look_s
        if not scan.surveys:  # each road user is a look of its own
            seen = rows.last_seen[hit, column]
            passed = (scan.capture_ns - np.maximum(seen, 0)) / NS_PER_S
            looks = np.where(seen == NEVER, FIRST_LOOK_S, passed)
        rows.existence[hit] = after_hit(
            rows.existence[hit], pairs.likelihood, scan.score[which], looks,
            self._options.detection_probability, self._options.clutter_density,
        )  # fmt: skip
        rows.last_seen[:, column][hit] = scan.capture_ns
        evidence = scan.capture_ns if scan.evidence_ns is None else scan.evidence_ns[which]
        rows.updated_ns[hit] = np.maximum(rows.updated_ns[hit], evidence)
        if scan.label is not None:
            named = scan.label[which] != 0
            rows.label[hit[named]] = scan.label[which][named]
            rows.labelled_ns[hit[named]] = scan.capture_ns
        classes, score = scan.class_index[which], scan.score[which]
        known = (classes != UNKNOWN).nonzero()[0]
        if len(known):
            named = hit[known]
            evidence = rows.class_evidence.take(named, 0)
            evidence *= CLASS_MEMORY
            evidence[np.arange(len(named)), classes[known]] += score[known]
            rows.class_evidence[named] = evidence
            rows.classify(named)
        _average_size(rows, hit, scan.size.take(which, 0))

    def _miss(self, rows: Rows, scan: Scan, pairs: Pairs, column: int, look_s: float) -> None:
        silent = responsible(rows, column)
        silent[pairs.row] = False
        missed = silent.nonzero()[0]
        if not len(missed):
            return
        view = self._viewpoints.get(scan.sensor)
        found: float | npt.NDArray[np.float64] = self._options.detection_probability
        if view is not None:
            # Young tracks are not excused: clutter must not hide behind a bus.
            covered = hidden(view, rows, missed, scan.capture_ns) & rows.confirmed[missed]
            rows.hidden_ns[missed[covered]] = scan.capture_ns
            missed = missed[~covered]
            found = chance(view, rows, missed, self._options.detection_probability)
        rows.existence[missed] = after_miss(
            rows.existence[missed], rows.confirmed[missed], look_s, found
        )

    def _bear(self, table: Table, scan: Scan, pairs: Pairs, column: int) -> int:
        """Begin tracks from free measurements; returns how many the bound refused."""
        free = np.ones(len(scan), dtype=np.bool_)
        free[pairs.measurement] = False
        which = free.nonzero()[0]
        if len(which) and len(pairs.row):
            which = _not_on_top(table.rows, scan, which, pairs)
        if len(which) > 1:
            which = _single(scan, which)
        room = self._options.max_tracks - len(table.rows)
        unborn = max(len(which) - room, 0)
        if unborn:
            best = np.argsort(-scan.score[which], kind="stable")[: max(room, 0)]
            which = which[np.sort(best)]
        if not len(which):
            return unborn
        existence = self._options.birth_probability * scan.score[which]
        born = newborn(
            scan, which, existence, table.next_id, column, len(self._columns),
            self.motion.first_speed_std,
        )  # fmt: skip
        table.rows = table.rows.joined(born)
        table.next_id += len(which)
        return unborn

    def _judge(self, table: Table, outcome: Outcome) -> None:
        rows = table.rows
        gone = (rows.existence < self._options.delete_probability) & (
            # A faint first detection may start below the limit; it gets one look to prove itself.
            rows.born_ns < table.time_ns
        )
        # No input is known to do this; but one bad number must not poison the rest, nor be said.
        # Squares add up to a finite number: none of them is bad.
        if not math.isfinite(np.vdot(rows.state, rows.state) + np.vdot(rows.cov, rows.cov)):
            good = np.asarray(np.isfinite(rows.state).all(axis=1))
            good &= np.isfinite(rows.cov).all(axis=(1, 2))
            outcome.ended += [(i, "not_finite") for i in rows.id[~good].tolist()]
            table.rows = rows = rows.take(good.nonzero()[0])
            gone = gone[good]
        if np.count_nonzero(gone):
            outcome.ended += [(i, "existence_low") for i in rows.id[gone].tolist()]
            table.rows = rows = rows.take((~gone).nonzero()[0])
        rows.confirmed |= rows.existence >= self._options.confirm_probability


def _average_size(rows: Rows, hit: npt.NDArray[np.intp], size: npt.NDArray[np.float64]) -> None:
    measured = np.isfinite(size).all(axis=1)
    index = hit[measured]
    sized, average = rows.sized[index] + 1, rows.size.take(index, 0)
    average += np.maximum(1.0 / sized, SIZE_GAIN)[:, None] * (size[measured] - average)
    rows.sized[index], rows.size[index] = sized, average


def _not_on_top(
    rows: Rows, scan: Scan, free: npt.NDArray[np.intp], pairs: Pairs
) -> npt.NDArray[np.intp]:
    """The free measurements that are no second box around an object this very scan measured."""
    hit = pairs.row
    gap = squared_gaps(scan.position.take(free, 0), believed_position(rows).take(hit, 0))
    near = gap < (0.5 * rows.size[:, 1][hit]) ** 2
    one, other = near.nonzero()
    alike = CONFUSION[scan.class_index[free[one]], rows.class_index[hit[other]]] < 4.0
    alone = np.ones(len(free), dtype=np.bool_)
    alone[one[alike]] = False
    return free[alone]


def _single(scan: Scan, free: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Of free measurements on top of each other, only the one with the best score."""
    kind, place, width = scan.class_index[free], scan.position.take(free, 0), scan.size[:, 1][free]
    width = np.where(np.isnan(width), DEFAULT_SIZE[kind, 1], width)
    near = squared_gaps(place, place) < (0.25 * (width[:, None] + width)) ** 2
    near &= CONFUSION[kind[:, None], kind] < 4.0
    keep = np.ones(len(free), dtype=np.bool_)
    for i in np.argsort(-scan.score[free], kind="stable").tolist():
        if keep[i]:
            keep &= ~near[i]
            keep[i] = True
    return free[keep]


def _merge(table: Table, outcome: Outcome) -> None:
    """Two tracks in one place with one velocity, never seen apart by one sensor, are one object.

    The elder survives unless only the younger is confirmed; states are not averaged, since their
    errors are not independent.
    """
    rows = table.rows
    first, second = _overlapping(rows)
    if len(first) == 0:
        return
    seen = rows.last_seen.take(first, 0)
    seen_apart = (
        (seen == rows.last_seen.take(second, 0)) & (seen > table.time_ns - SAME_SCAN_NS)
    ).any(axis=1)
    # Who speaks of itself under two names at once is two.
    named = live_labels(rows, table.time_ns)
    seen_apart |= (named[first] != 0) & (named[second] != 0) & (named[first] != named[second])
    doubtful = (~seen_apart).nonzero()[0]
    if not len(doubtful):
        return
    first, second = first[doubtful], second[doubtful]
    one, spread = _velocities(rows, first)
    other, more = _velocities(rows, second)
    # 1 m/s of model error and two standard deviations of both.
    together = ((one - other) ** 2).sum(axis=1) < 1.0 + 4.0 * (spread + more)
    keep = np.ones(len(rows), dtype=np.bool_)
    for i, j in zip(first[together].tolist(), second[together].tolist(), strict=True):
        if keep[i] and keep[j]:
            winner, loser = (j, i) if rows.confirmed[j] and not rows.confirmed[i] else (i, j)
            keep[loser] = False
            rows.existence[winner] = max(rows.existence[winner], rows.existence[loser])
            rows.updated_ns[winner] = max(rows.updated_ns[winner], rows.updated_ns[loser])
            newer = rows.last_seen[loser] > rows.last_seen[winner]
            rows.last_seen[winner, newer] = rows.last_seen[loser, newer]
            rows.noise[winner, newer] = rows.noise[loser, newer]
            rows.standing[winner, newer] = rows.standing[loser, newer]
            if rows.labelled_ns[loser] > rows.labelled_ns[winner]:
                rows.label[winner] = rows.label[loser]
                rows.labelled_ns[winner] = rows.labelled_ns[loser]
            outcome.ended.append((int(rows.id[loser]), "merged"))
    if np.count_nonzero(together):
        table.rows = rows.take(keep.nonzero()[0])


def _velocities(rows: Rows, which: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Velocity (M×2, m/s) of the rows `which`, and the sum of its two variances (M)."""
    velocity, jacobian = velocity_of(rows.state.take(which, 0), rows.polar[which])
    cov = velocity_cov_of(rows.cov.take(which, 0), jacobian)
    return velocity, cov[:, 0, 0] + cov[:, 1, 1]


def _overlapping(rows: Rows) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Row pairs (i < j) whose centres are closer than two such objects can be."""
    width = rows.size[:, 1]
    place = believed_position(rows)
    if len(rows) ** 2 <= FEW_PAIRS:
        reach = np.maximum(OVERLAP * 0.5 * (width[:, None] + width), LEAST_OVERLAP)
        first, second = (squared_gaps(place, place) < reach * reach).nonzero()
        near = first < second
        near &= CONFUSION[rows.class_index[first], rows.class_index[second]] < 8.0
        return first[near], second[near]
    # Only neighbours in order of x, not all pairs.
    x, y = place[:, 0], place[:, 1]
    order = x.argsort(kind="stable")
    sorted_x = x[order]
    widest = max(OVERLAP * float(width.max(initial=0.0)), LEAST_OVERLAP)
    behind = np.arange(1, len(order) + 1)
    one, another = runs(behind, sorted_x.searchsorted(sorted_x + widest, side="right") - behind)
    some, other = order[one], order[another]
    first, second = np.minimum(some, other), np.maximum(some, other)
    radius = np.maximum(OVERLAP * 0.5 * (width[first] + width[second]), LEAST_OVERLAP)
    near = (x[first] - x[second]) ** 2 + (y[first] - y[second]) ** 2 < radius**2
    near &= CONFUSION[rows.class_index[first], rows.class_index[second]] < 8.0
    first, second = first[near], second[near]
    sequence = np.lexsort((second, first))
    return first[sequence], second[sequence]
