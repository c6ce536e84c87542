"""Tracking metrics on the ground plane: CLEAR MOT, IDF1, HOTA, GOSPA, errors, consistency.

`Moment`s go in one after another, numbers come out. Definitions: MOTA and identity switches after
Bernardin and Stiefelhagen (2008), with the matches of the last moment kept while they hold; IDF1
after Ristani et al. (2016); HOTA after Luiten et al. (2021) with similarity 1 − d/d_max; GOSPA
after Rahmathullah, García-Fernández and Svensson (2017), p = 2, α = 2. Truth that no sensor could
see is no miss, and a track that lies on it is no false one.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.special import chdtri

from rsu.schema.sensing import ObjectClass
from rsu.sim.score.moments import Moment

Floats = npt.NDArray[np.float64]

GATE_M, GATE_VRU_M = 3.0, 2.0
"""A track farther from an object does not mean it: two thirds of a car's length; a person's gate is
the distance at which two of them walk."""
HOTA_REACH_M = 4.0
"""d_max: similarity is nought there, and the threshold 0.5 is 2 m."""
HOTA_THRESHOLDS = np.arange(0.05, 0.99, 0.05)
GOSPA_CUT_M = 4.0
"""c: an object missed costs c²/2."""
NEES_INSIDE = 5.991
"""95 % of χ² with two degrees of freedom."""
RANGES_M = (0, 20, 40, 60, 80, 120)
FAR = 1e6
LEAST_SPEED = 1.0
"""m/s; below it a heading is nobody's."""


@dataclass
class Errors:
    """Sums over matched pairs of one group."""

    objects: int = 0
    found: int = 0
    position: list[float] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    heading: list[float] = field(default_factory=list)
    nees: list[float] = field(default_factory=list)

    def numbers(self, name: str) -> dict[str, float]:
        """By dotted name; what there is nothing of is left out."""
        out: dict[str, float] = {f"{name}.objects": self.objects}
        if self.objects:
            out[f"{name}.recall"] = self.found / self.objects
        for key, values in (
            ("position_m", self.position), ("speed_mps", self.speed), ("heading_deg", self.heading)
        ):  # fmt: skip
            if values:
                out[f"{name}.{key}.mean"] = float(np.mean(values))
                out[f"{name}.{key}.p95"] = float(np.quantile(values, 0.95))
        if self.nees:
            out[f"{name}.nees.mean"] = float(np.mean(self.nees))
            out[f"{name}.nees.inside_95"] = float(np.mean(np.array(self.nees) <= NEES_INSIDE))
        return out


class Tracking:
    """Takes moments, gives numbers."""

    def __init__(self) -> None:
        self.moments = 0
        self.truths = self.misses = self.falses = self.switches = self.fragments = 0
        self.hits = 0
        self.everything = Errors()
        self.by_class: dict[str, Errors] = {}
        self.by_range: dict[str, Errors] = {}
        self.near: dict[str, Errors] = {}
        self.gospa: list[tuple[int, float, float, float, float]] = []
        self._last: dict[int, int] = {}  # truth → the track it had when last found
        self._holding: dict[int, int] = {}  # of the moment before
        self._lost: set[int] = set()
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._truth_moments: Counter[int] = Counter()
        self._track_moments: Counter[int] = Counter()
        self._hota: list[tuple[tuple[int, ...], tuple[int, ...], Floats]] = []

    def take(self, moment: Moment) -> list[tuple[int, int]]:
        """Take one moment; the (truth, track) rows that were matched."""
        self.moments += 1
        distance = moment.distances()
        gate = np.array(
            [GATE_VRU_M if _on_foot(one) else GATE_M for one in moment.truth_classes]
        ).reshape(-1, 1)
        cost = np.where(distance <= gate, distance, FAR)
        pairs = self._matched(moment, cost)
        truths = np.flatnonzero(moment.counts).tolist()
        counted = [(i, j) for i, j in pairs if moment.counts[i]]
        taken = {j for _, j in pairs}
        judged = [j for j in range(len(moment.track_ids)) if j not in taken and moment.judged[j]]
        self._clear(moment, counted, truths, judged)
        self._identities(moment, cost, truths, judged, counted)
        self._measure(moment, distance, counted, truths)
        self._gospa(moment, distance, truths, [*judged, *(j for _, j in counted)])
        return pairs

    def numbers(self) -> dict[str, float]:
        """Every number by dotted name."""
        out: dict[str, float] = {"moments": self.moments}
        if self.truths:
            failed = self.misses + self.falses + self.switches
            out["mota"] = 1.0 - failed / self.truths
        out["recall"] = _share(self.hits, self.hits + self.misses)
        out["precision"] = _share(self.hits, self.hits + self.falses)
        out |= {
            "misses": self.misses, "false_tracks": self.falses, "id_switches": self.switches,
            "fragmentations": self.fragments,
        }  # fmt: skip
        out |= self._idf1() | self._hota_numbers()
        if self.gospa:
            table = np.array([row[1:] for row in self.gospa])
            for index, name in enumerate(("mean", "localisation", "missed", "false")):
                out[f"gospa_m.{name}"] = float(table[:, index].mean())
        out |= self.everything.numbers("all")
        count = len(self.everything.nees)
        if count:
            # Of independent errors; those of one track are not, so the band is a narrow one.
            for name, share in (("low", 0.975), ("high", 0.025)):
                out[f"all.nees.band_{name}"] = float(chdtri(2 * count, share)) / count
        for group, errors in (
            ("near", self.near), ("class", self.by_class), ("range", self.by_range)
        ):  # fmt: skip
            for name, one in sorted(errors.items()):
                out |= one.numbers(f"{group}.{name}")
        return {name: value for name, value in out.items() if not math.isnan(value)}

    def _matched(self, moment: Moment, cost: Floats) -> list[tuple[int, int]]:
        """Pairs of the last moment that still hold, then the best assignment of the rest."""
        columns = {number: j for j, number in enumerate(moment.track_ids)}
        kept = [
            (i, columns[track])
            for i, number in enumerate(moment.truth_ids)
            if (track := self._holding.get(number)) in columns and cost[i, columns[track]] < FAR
        ]
        rest = cost.copy()
        for i, j in kept:
            rest[i, :] = rest[:, j] = FAR
        rows, cols = linear_sum_assignment(rest)
        found = [(int(i), int(j)) for i, j in zip(rows, cols, strict=True) if rest[i, j] < FAR]
        pairs = sorted([*kept, *found])
        self._holding = {moment.truth_ids[i]: moment.track_ids[j] for i, j in pairs}
        return pairs

    def _clear(
        self, moment: Moment, pairs: list[tuple[int, int]], truths: list[int], judged: list[int]
    ) -> None:
        self.truths += len(truths)
        self.hits += len(pairs)
        self.misses += len(truths) - len(pairs)
        self.falses += len(judged)
        for i, j in pairs:
            truth, track = moment.truth_ids[i], moment.track_ids[j]
            before = self._last.get(truth)
            self.switches += before is not None and before != track
            self.fragments += truth in self._lost
            self._lost.discard(truth)
            self._last[truth] = track
        found = {i for i, _ in pairs}
        for i in truths:
            if i not in found and moment.truth_ids[i] in self._last:
                self._lost.add(moment.truth_ids[i])

    def _identities(
        self,
        moment: Moment,
        cost: Floats,
        truths: list[int],
        judged: list[int],
        pairs: list[tuple[int, int]],
    ) -> None:
        tracks = sorted({*judged, *(j for _, j in pairs)})
        self._truth_moments.update(moment.truth_ids[i] for i in truths)
        self._track_moments.update(moment.track_ids[j] for j in tracks)
        for i in truths:
            for j in tracks:
                if cost[i, j] < FAR:
                    self._pairs[moment.truth_ids[i], moment.track_ids[j]] += 1
        similarity = np.clip(1.0 - moment.distances()[np.ix_(truths, tracks)] / HOTA_REACH_M, 0, 1)
        self._hota.append(
            (
                tuple(moment.truth_ids[i] for i in truths),
                tuple(moment.track_ids[j] for j in tracks),
                similarity,
            )
        )

    def _measure(
        self, moment: Moment, distance: Floats, pairs: list[tuple[int, int]], truths: list[int]
    ) -> None:
        found = dict(pairs)
        for i in truths:
            kind = str(moment.truth_classes[i])
            away = float(np.hypot(*moment.truth_xy[i]))
            groups = [
                self.everything,
                self.by_class.setdefault(kind, Errors()),
                self.by_range.setdefault(_range(away), Errors()),
            ]
            if (near := _near(moment.truth_classes[i], away)) is not None:
                groups.append(self.near.setdefault(near, Errors()))
            j = found.get(i)
            for group in groups:
                group.objects += 1
                if j is None:
                    continue
                group.found += 1
                group.position.append(float(distance[i, j]))
                group.speed.append(abs(float(moment.truth_speed[i] - moment.track_speed[j])))
                if moment.truth_speed[i] > LEAST_SPEED:
                    turn = float(moment.truth_heading[i] - moment.track_heading[j])
                    group.heading.append(abs(math.degrees(math.remainder(turn, math.tau))))
                offset = moment.truth_xy[i] - moment.track_xy[j]
                group.nees.append(float(offset @ np.linalg.solve(moment.covariance[j], offset)))

    def _gospa(
        self, moment: Moment, distance: Floats, truths: list[int], tracks: list[int]
    ) -> None:
        cut = np.minimum(distance[np.ix_(truths, tracks)], GOSPA_CUT_M) ** 2
        rows, cols = linear_sum_assignment(cut)
        near = [(i, j) for i, j in zip(rows, cols, strict=True) if cut[i, j] < GOSPA_CUT_M**2]
        localisation = float(sum(cut[i, j] for i, j in near))
        missed = (len(truths) - len(near)) * GOSPA_CUT_M**2 / 2
        false = (len(tracks) - len(near)) * GOSPA_CUT_M**2 / 2
        whole = math.sqrt(localisation + missed + false)
        parts = (math.sqrt(localisation), math.sqrt(missed), math.sqrt(false))
        self.gospa.append((moment.time_ns, whole, *parts))

    def _idf1(self) -> dict[str, float]:
        truths, tracks = list(self._truth_moments), list(self._track_moments)
        total = sum(self._truth_moments.values()) + sum(self._track_moments.values())
        if not total:
            return {}
        together = np.zeros((len(truths), len(tracks)))
        row = {name: i for i, name in enumerate(truths)}
        column = {name: j for j, name in enumerate(tracks)}
        for (truth, track), count in self._pairs.items():
            together[row[truth], column[track]] = count
        rows, cols = linear_sum_assignment(-together)
        return {"idf1": 2.0 * float(together[rows, cols].sum()) / total}

    def _hota_numbers(self) -> dict[str, float]:
        """As published: one assignment per moment by similarity and global agreement of ids."""
        truths = sorted(self._truth_moments)
        tracks = sorted(self._track_moments)
        if not truths:
            return {}
        row = {name: i for i, name in enumerate(truths)}
        column = {name: j for j, name in enumerate(tracks)}
        potential = np.zeros((len(truths), len(tracks)))
        for names, others, similarity in self._hota:
            if not names or not others:
                continue
            whole = similarity.sum(0)[None, :] + similarity.sum(1)[:, None] - similarity
            share = np.divide(similarity, whole, out=np.zeros_like(similarity), where=whole > 1e-9)
            potential[np.ix_([row[n] for n in names], [column[n] for n in others])] += share
        in_truth = np.array([self._truth_moments[name] for name in truths], dtype=float)
        in_track = np.array([self._track_moments[name] for name in tracks], dtype=float)
        either = in_truth[:, None] + in_track[None, :]
        agreement = potential / np.maximum(either - potential, 1e-9)
        hits = np.zeros(len(HOTA_THRESHOLDS))
        matches = np.zeros((len(HOTA_THRESHOLDS), len(truths), len(tracks)), dtype=np.int32)
        for names, others, similarity in self._hota:
            if not names or not others:
                continue
            i, j = [row[n] for n in names], [column[n] for n in others]
            chosen = linear_sum_assignment(-agreement[np.ix_(i, j)] * similarity)
            close = similarity[chosen]
            for index, threshold in enumerate(HOTA_THRESHOLDS):
                good = close >= threshold - 1e-9
                hits[index] += good.sum()
                matches[index, np.array(i)[chosen[0][good]], np.array(j)[chosen[1][good]]] += 1
        detection = hits / np.maximum(in_truth.sum() + in_track.sum() - hits, 1.0)
        association = (matches * (matches / np.maximum(either[None] - matches, 1.0))).sum(
            axis=(1, 2)
        ) / np.maximum(hits, 1.0)
        return {
            "hota": float(np.sqrt(detection * association).mean()),
            "hota.deta": float(detection.mean()),
            "hota.assa": float(association.mean()),
        }


def _range(away: float) -> str:
    for low, high in pairwise(RANGES_M):
        if away < high:
            return f"{low:03d}-{high:03d}m"
    return f"{RANGES_M[-1]:03d}m+"


def _near(one: ObjectClass, away: float) -> str | None:
    """The group that a roadside unit must know well: vehicles to 60 m, the vulnerable to 40 m."""
    if one.is_vru:
        return "vru_40m" if away <= 40.0 else None
    return "vehicles_60m" if one.is_motor and away <= 60.0 else None


def _on_foot(one: ObjectClass) -> bool:
    return one in (ObjectClass.PEDESTRIAN, ObjectClass.BICYCLE)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
