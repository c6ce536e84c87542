"""Who was taken for whom over a whole run: IDF1 and HOTA, for many groups of objects at once.

Similarities of truth and tracks go in moment by moment, numbers per group come out. IDF1 after
Ristani et al. (2016): one truth id and one track id are paired for ever. HOTA after Luiten et al.
(2021): one assignment per moment, by similarity times how well the ids agree over the whole run,
which needs a second pass; similarities wait for it in a temporary file, so that memory grows with
the number of road users, not with time.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

HOTA_REACH_M = 4.0
"""d_max of the similarity 1 − d/d_max: nought there, and the threshold 0.5 is 2 m."""
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""0.05 … 0.95, as published."""
EXACT = 1e-9
"""Rounding that a similarity may lie below a threshold and still reach it."""
SPOOL_BYTES = 32_000_000
"""Similarities kept in memory before they go to disk: some minutes of a busy junction."""

_SIMILAR = np.dtype([("group", "<i4"), ("truth", "<i8"), ("track", "<i8"), ("similarity", "<f8")])
Pair = tuple[int, int]
IDENTITY_NUMBERS = ("idf1", "idp", "idr", "hota", "hota.deta", "hota.assa")


@dataclass
class _Ids:
    """Counts of one group: moments per truth id and track id, moments together, agreement."""

    truths: Counter[int] = field(default_factory=Counter)
    tracks: Counter[int] = field(default_factory=Counter)
    together: Counter[Pair] = field(default_factory=Counter)
    potential: dict[Pair, float] = field(default_factory=dict)
    reached: dict[Pair, list[int]] = field(default_factory=dict)
    """How many matches of a pair reach just the first k thresholds, k = 0 … 19."""


class Identities:
    """Takes moments, gives IDF1 and HOTA by group. Use as a context: it may hold a file."""

    def __init__(self) -> None:
        self._groups: defaultdict[str, _Ids] = defaultdict(_Ids)
        self._numbers: dict[str, int] = {}
        self._kept = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Identities:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._kept.close()

    def take(
        self,
        group: str,
        truths: Ints,
        tracks: Ints,
        distance: Floats,
        near: Bools,
    ) -> None:
        """One moment of one group: N truth ids, M track ids, distances N×M in m, and which pairs
        are within the gate."""
        ids = self._groups[group]
        number = self._numbers.setdefault(group, len(self._numbers))
        ids.truths.update(truths.tolist())
        ids.tracks.update(tracks.tolist())
        for i, j in zip(*np.nonzero(near), strict=True):
            ids.together[int(truths[i]), int(tracks[j])] += 1
        similarity = np.clip(1.0 - distance / HOTA_REACH_M, 0.0, 1.0)
        rows, cols = np.nonzero(similarity)
        if not len(rows):
            return
        found = similarity[rows, cols]
        whole = similarity.sum(1)[rows] + similarity.sum(0)[cols] - found
        kept = np.empty(len(rows), dtype=_SIMILAR)
        kept["group"], kept["similarity"] = number, found
        kept["truth"], kept["track"] = truths[rows], tracks[cols]
        self._kept.write(len(rows).to_bytes(4, "little"))
        self._kept.write(kept.tobytes())
        for truth, track, share in zip(
            kept["truth"].tolist(), kept["track"].tolist(), (found / whole).tolist(), strict=True
        ):
            ids.potential[truth, track] = ids.potential.get((truth, track), 0.0) + share

    def numbers(self) -> dict[str, dict[str, float | None]]:
        """IDF1 (with its precision and recall) and HOTA (with DetA and AssA) of every group."""
        names = list(self._numbers)
        for group, truths, tracks, similarity in self._moments():
            _assign(self._groups[names[group]], truths, tracks, similarity)
        return {name: _idf1(ids) | _hota(ids) for name, ids in self._groups.items()}

    def _moments(self) -> Iterator[tuple[int, Ints, Ints, Floats]]:
        self._kept.seek(0)
        while head := self._kept.read(4):
            octets = self._kept.read(int.from_bytes(head, "little") * _SIMILAR.itemsize)
            rows = np.frombuffer(octets, dtype=_SIMILAR)
            yield int(rows["group"][0]), rows["truth"], rows["track"], rows["similarity"]
        self._kept.seek(0, 2)


def _assign(ids: _Ids, truths: Ints, tracks: Ints, similarity: Floats) -> None:
    """HOTA's assignment of one moment, given as the pairs that are similar at all."""
    rows, i = np.unique(truths, return_inverse=True)
    cols, j = np.unique(tracks, return_inverse=True)
    chosen = np.arange(len(truths))
    if len(rows) < len(truths) or len(cols) < len(truths):  # somebody has a choice
        gain = np.zeros((len(rows), len(cols)))
        which = np.full(gain.shape, -1)
        agreement = [_agreement(ids, pair) for pair in zip(truths.tolist(), tracks.tolist())]  # noqa: B905 - same array
        gain[i, j] = np.array(agreement) * similarity
        which[i, j] = np.arange(len(truths))
        chosen = which[linear_sum_assignment(-gain)]
        chosen = chosen[chosen >= 0]
    for pair, close in zip(
        zip(truths[chosen].tolist(), tracks[chosen].tolist(), strict=True),
        similarity[chosen].tolist(), strict=True,
    ):  # fmt: skip
        reached = ids.reached.setdefault(pair, [0] * (len(THRESHOLDS) + 1))
        reached[sum(close >= threshold - EXACT for threshold in THRESHOLDS)] += 1


def _agreement(ids: _Ids, pair: Pair) -> float:
    shared = ids.potential[pair]
    return shared / (ids.truths[pair[0]] + ids.tracks[pair[1]] - shared)


def _hota(ids: _Ids) -> dict[str, float | None]:
    truths, tracks = ids.truths.total(), ids.tracks.total()
    if not truths:
        return {"hota": None, "hota.deta": None, "hota.assa": None}
    # matches[a] of a pair: those that reach at least threshold a.
    pairs = list(ids.reached)
    reached = np.array([ids.reached[pair] for pair in pairs]).reshape(-1, len(THRESHOLDS) + 1)
    matches = reached[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    either = np.array([ids.truths[i] + ids.tracks[j] for i, j in pairs]).reshape(-1, 1)
    hits = matches.sum(axis=0)
    detection = hits / (truths + tracks - hits)
    agreement = matches / np.maximum(either - matches, 1)
    association = (matches * agreement).sum(axis=0) / np.maximum(hits, 1)
    return {
        "hota": float(np.sqrt(detection * association).mean()),
        "hota.deta": float(detection.mean()),
        "hota.assa": float(association.mean()),
    }


def _idf1(ids: _Ids) -> dict[str, float | None]:
    truths, tracks = ids.truths.total(), ids.tracks.total()
    right = _best_pairing(ids.together)
    return {
        "idf1": 2.0 * right / (truths + tracks) if truths else None,
        "idp": right / tracks if tracks else None,
        "idr": right / truths if truths else None,
    }


def _best_pairing(together: Counter[Pair]) -> int:
    """Most moments that one-to-one pairs of ids cover; each cluster of ids that ever met is solved
    for itself, so that an hour of traffic is no matrix of all against all."""
    if not together:
        return 0
    pairs = np.array(list(together), dtype=np.int64)
    count = np.array(list(together.values()), dtype=np.int64)
    rows, i = np.unique(pairs[:, 0], return_inverse=True)
    cols, j = np.unique(pairs[:, 1], return_inverse=True)
    side = len(rows) + len(cols)
    graph = coo_array((np.ones(len(count)), (i, j + len(rows))), shape=(side, side))
    _, cluster = connected_components(graph, directed=False)
    best = 0
    order = np.argsort(cluster[i], kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(cluster[i][order])) + 1):
        _, r = np.unique(i[members], return_inverse=True)
        _, c = np.unique(j[members], return_inverse=True)
        matrix = np.zeros((r.max() + 1, c.max() + 1), dtype=np.int64)
        matrix[r, c] = count[members]
        best += int(matrix[linear_sum_assignment(-matrix)].sum())
    return best
