"""Tracking on the ground plane: CLEAR MOT, IDF1, HOTA, GOSPA, errors, consistency.

`Moment`s go in one after another, numbers by group come out. Definitions: MOTA and identity
switches after Bernardin and Stiefelhagen (2008), with the matches of the last moment kept while
they hold; GOSPA after Rahmathullah, García-Fernández and Svensson (2017), p = 2, α = 2; the rest in
`identity`. Matching knows no groups and no classes: a car tracked as a van is found. A group is
then judged as though nothing else were there: its truth objects, the tracks matched with them, and
those matched with nothing that say that they belong to it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.special import chdtri

from rsu.schema.sensing import ObjectClass
from rsu.sim.score.distribution import Distribution
from rsu.sim.score.identity import IDENTITY_NUMBERS, Identities
from rsu.sim.score.moments import Moment, heading_error

Floats = npt.NDArray[np.float64]
Pairs = list[tuple[int, int]]
Numbers = dict[str, float | None]

GATE_M, GATE_VRU_M = 3.0, 2.0
"""A track farther from an object does not mean it: two thirds of a car's length; a person's gate is
the distance at which two of them walk."""
GOSPA_CUT_M = 4.0
"""c: an object missed costs c²/2; as far as HOTA's similarity reaches."""
NEES_INSIDE = 5.991
"""95 % of χ² with two degrees of freedom."""
RANGES_M = (0, 20, 40, 60, 80, 120)
FAR = 1e6
LEAST_SPEED = 1.0
"""m/s; below it a heading is nobody's."""
ALL = "all"
CLASSES = (
    ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE, ObjectClass.CAR,
    ObjectClass.VAN, ObjectClass.TRUCK, ObjectClass.BUS,
)  # fmt: skip
"""Always told of, even where there are none; others when they appear."""
ERRORS = ("position_m", "speed_mps", "heading_deg")


def ranges() -> list[str]:
    """Names of the range bins."""
    return [f"{low:03d}-{high:03d}m" for low, high in pairwise(RANGES_M)]


_RANGE_GROUPS = [f"range.{name}" for name in ranges()]
STANDING = (
    ALL, "near.vehicles_60m", "near.vru_40m", *(f"class.{one}" for one in CLASSES),
    *_RANGE_GROUPS,
)  # fmt: skip
"""Groups that every score has."""


def groups_of(kind: ObjectClass, away: float) -> list[str]:
    """The groups of something of a class at a distance (m) from the origin."""
    groups = [ALL, f"class.{kind}"]
    if away < RANGES_M[-1]:
        groups.append(_RANGE_GROUPS[bisect_right(RANGES_M, away) - 1])
    if kind.is_vru and away <= 40.0:
        groups.append("near.vru_40m")
    elif kind.is_motor and not kind.is_vru and away <= 60.0:
        groups.append("near.vehicles_60m")
    return groups


@dataclass
class Group:
    """Sums over one group."""

    objects: int = 0
    hits: int = 0
    falses: int = 0
    switches: int = 0
    fragments: int = 0
    same_class: int = 0
    position: Distribution = field(default_factory=Distribution)
    speed: Distribution = field(default_factory=Distribution)
    heading: Distribution = field(default_factory=Distribution)
    nees: Distribution = field(default_factory=Distribution)
    inside: int = 0
    moments: int = 0
    gospa: Floats = field(default_factory=lambda: np.zeros(4))

    def numbers(self) -> Numbers:
        """By dotted name; None where there is nothing."""
        misses = self.objects - self.hits
        failed = misses + self.falses + self.switches
        out: Numbers = {
            "objects": self.objects,
            "recall": share(self.hits, self.objects),
            "precision": share(self.hits, self.hits + self.falses),
            "mota": 1.0 - failed / self.objects if self.objects else None,
            "misses": misses,
            "false_tracks": self.falses,
            "id_switches": self.switches,
            "fragmentations": self.fragments,
            "class_accuracy": share(self.same_class, self.hits),
        }
        for index, name in enumerate(("mean", "localisation", "missed", "false")):
            mean = self.gospa[index] / self.moments if self.moments else None
            out[f"gospa_m.{name}"] = None if mean is None else float(mean)
        for name, values in zip(ERRORS, (self.position, self.speed, self.heading), strict=True):
            out[f"{name}.mean"] = values.mean
            out[f"{name}.p95"] = values.quantile(0.95)
        out["nees.mean"] = self.nees.mean
        out["nees.inside_95"] = share(self.inside, self.nees.count)
        count = self.nees.count
        for name, tail in (("low", 0.975), ("high", 0.025)):
            # Of independent errors; those of one track are not, so the band is a narrow one.
            band = float(chdtri(2 * count, tail)) / count if count else None
            out[f"nees.band_{name}"] = band
        return out


class Tracking:
    """Takes moments, gives numbers. Use as a context: `Identities` may hold a file."""

    def __init__(self) -> None:
        self.moments = 0
        self.groups = defaultdict(Group, {name: Group() for name in STANDING})
        self.gospa: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
        """Of the last moment: whole, localisation, missed, false (m)."""
        self._identities = Identities()
        self._last: dict[int, int] = {}  # truth → the track it had when last found
        self._holding: dict[int, int] = {}  # of the moment before
        self._lost: set[int] = set()

    def __enter__(self) -> Tracking:
        self._identities.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._identities.__exit__(kind, error, trace)

    def take(self, moment: Moment) -> Pairs:
        """Take one moment; the (truth, track) rows that were matched."""
        self.moments += 1
        distance = moment.distances()
        gate = np.array([gate_of(one) for one in moment.truth_classes]).reshape(-1, 1)
        near = distance <= gate
        pairs = self._matched(moment, np.where(near, distance, FAR))
        members = self._members(moment, pairs)
        self.gospa = (0.0, 0.0, 0.0, 0.0)
        for name, (rows, cols) in members.items():
            group = self.groups[name]
            i, j = np.array(rows, dtype=np.int64), np.array(cols, dtype=np.int64)
            part = distance[np.ix_(i, j)]
            self._identities.take(
                name, moment.truth_ids[i], moment.track_ids[j], part, near[np.ix_(i, j)]
            )
            parts = gospa(part)
            group.moments += 1
            group.gospa += np.array(parts)
            if name == ALL:
                self.gospa = parts
        return pairs

    def numbers(self) -> dict[str, Numbers]:
        """Every number by its name, by group."""
        identities = self._identities.numbers()
        none: Numbers = dict.fromkeys(IDENTITY_NUMBERS)
        return {
            name: group.numbers() | identities.get(name, none)
            for name, group in self.groups.items()
        }

    def _matched(self, moment: Moment, cost: Floats) -> Pairs:
        """Pairs of the last moment that still hold, then the best assignment of the rest."""
        columns = {number: j for j, number in enumerate(moment.track_ids.tolist())}
        truths, tracks = moment.truth_ids.tolist(), moment.track_ids.tolist()
        kept = [
            (i, columns[track])
            for i, number in enumerate(truths)
            if (track := self._holding.get(number)) in columns and cost[i, columns[track]] < FAR
        ]
        rest = cost.copy()
        for i, j in kept:
            rest[i, :] = rest[:, j] = FAR
        pairs = sorted([*kept, *assigned(rest)])
        self._holding = {truths[i]: tracks[j] for i, j in pairs}
        return pairs

    def _members(self, moment: Moment, pairs: Pairs) -> dict[str, tuple[list[int], list[int]]]:
        """Rows and columns of every group that has any, and all counts on the way."""
        members: dict[str, tuple[list[int], list[int]]] = {}
        of_truth, of_track = dict(pairs), {j: i for i, j in pairs}
        away = np.hypot(moment.truth_xy[:, 0], moment.truth_xy[:, 1])
        for i in np.flatnonzero(moment.counts).tolist():
            names = groups_of(moment.truth_classes[i], float(away[i]))
            groups = [self.groups[name] for name in names]
            j = of_truth.get(i)
            for name, group in zip(names, groups, strict=True):
                rows, cols = members.setdefault(name, ([], []))
                rows.append(i)
                group.objects += 1
                if j is not None:
                    cols.append(j)
            self._follow(moment, i, j, groups)
            if j is not None:
                _measure(moment, i, j, groups)
        away = np.hypot(moment.track_xy[:, 0], moment.track_xy[:, 1])
        for j in np.flatnonzero(moment.judged).tolist():
            if j in of_track:
                continue
            for name in groups_of(moment.track_classes[j], float(away[j])):
                members.setdefault(name, ([], []))[1].append(j)
                self.groups[name].falses += 1
        return members

    def _follow(self, moment: Moment, i: int, j: int | None, groups: Sequence[Group]) -> None:
        """Switches of identity, and tracks that broke and were taken up again."""
        truth = int(moment.truth_ids[i])
        before = self._last.get(truth)
        if j is None:
            if before is not None:
                self._lost.add(truth)
            return
        track = int(moment.track_ids[j])
        switched, resumed = before not in (None, track), truth in self._lost
        self._lost.discard(truth)
        self._last[truth] = track
        for group in groups:
            group.hits += 1
            group.switches += switched
            group.fragments += resumed


def _measure(moment: Moment, i: int, j: int, groups: Sequence[Group]) -> None:
    offset = moment.truth_xy[i] - moment.track_xy[j]
    position = float(np.hypot(*offset))
    speed = abs(float(moment.truth_speed[i] - moment.track_speed[j]))
    heading = heading_error(float(moment.truth_heading[i]), float(moment.track_heading[j]))
    (xx, xy), (_, yy) = moment.covariance[j].tolist()
    x, y = offset.tolist()
    determinant = xx * yy - xy * xy
    nees = (yy * x * x - 2 * xy * x * y + xx * y * y) / determinant if determinant > 0 else None
    same = moment.truth_classes[i] is moment.track_classes[j]
    for group in groups:
        group.position.add(position)
        group.speed.add(speed)
        group.same_class += same
        if moment.truth_speed[i] > LEAST_SPEED:
            group.heading.add(heading)
        if nees is not None and math.isfinite(nees):
            group.nees.add(nees)
            group.inside += nees <= NEES_INSIDE


def gospa(distance: Floats) -> tuple[float, float, float, float]:
    """GOSPA of N objects and M tracks and its parts: localisation, missed, false; all m, whole² =
    the sum of their squares."""
    half = GOSPA_CUT_M**2 / 2
    cut = np.minimum(distance, GOSPA_CUT_M) ** 2
    rows, cols = linear_sum_assignment(cut)
    near = cut[rows, cols][cut[rows, cols] < GOSPA_CUT_M**2]
    parts = (
        float(near.sum()),
        (distance.shape[0] - len(near)) * half,
        (distance.shape[1] - len(near)) * half,
    )
    localisation, missed, false = map(math.sqrt, parts)
    return math.sqrt(sum(parts)), localisation, missed, false


def assigned(cost: Floats) -> Pairs:
    """The best one-to-one assignment; pairs that cost FAR are none."""
    rows, cols = linear_sum_assignment(cost)
    return [(int(i), int(j)) for i, j in zip(rows, cols, strict=True) if cost[i, j] < FAR]


def gate_of(kind: ObjectClass) -> float:
    """How far a track may be from an object of a class and still mean it, m."""
    return GATE_VRU_M if kind in (ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE) else GATE_M


def share(part: int, whole: int) -> float | None:
    """part / whole; None of nothing."""
    return part / whole if whole else None
