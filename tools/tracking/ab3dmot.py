"""sAMOTA, AMOTA and MOTA in space, by the protocol of AB3DMOT on KITTI's rules.

Weng, Wang, Held, Kitani, "3D Multi-Object Tracking: A Baseline and New Evaluation Metrics" (IROS
2020). CLEAR MOT is computed at 40 recalls; a recall is reached by leaving out tracks whose mean
score is below a threshold. With r the recall, P the number of objects:

    MOTA_r  = 1 − (FP + FN + IDS) / P
    sMOTA_r = max(0, min(1, 1 − (FP + FN + IDS − (1 − r) P) / (r P)))

AMOTA and sAMOTA are means over the 40 recalls, MOTA is the best of them. Matching is per frame
by 3-D IoU of at least 0.25. By KITTI's rules objects that are truncated, more than half hidden,
or of the neighbouring class (van for car, person sitting for pedestrian) are neither found nor
missed, and unmatched tracks less than 25 px high or in a region marked "don't care" are not false.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from tools.tracking.overlap import iou_3d

Floats = npt.NDArray[np.float64]

LEAST_IOU = 0.25
LEAST_HEIGHT_PX = 25.0
MOST_HIDDEN = 2  # KITTI's occlusion level: 0 visible, 1 partly, 2 largely, 3 unknown
RECALLS = 40
DONT_CARE_SHARE = 0.5  # of the track's box in the image


@dataclass(frozen=True, slots=True)
class Labelled:
    """One object of the ground truth in one frame; `ignored` by the rules of this class."""

    id: int
    box: tuple[float, ...]
    ignored: bool


@dataclass(frozen=True, slots=True)
class Tracked:
    """One track in one frame: 3-D `box` (rsu frame, see `overlap`), `image` box x1 y1 x2 y2 px."""

    id: int
    box: tuple[float, ...]
    image: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame of one sequence."""

    truth: tuple[Labelled, ...]
    tracks: tuple[Tracked, ...]
    dont_care: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """All in 0..1 (MOTA may be below); `switches` at the best MOTA."""

    samota: float
    amota: float
    mota: float
    switches: int
    recall: float
    precision: float


@dataclass(slots=True)
class _Counts:
    objects: int = 0
    found: int = 0
    missed: int = 0
    false: int = 0
    switches: int = 0
    scores: list[float] = field(default_factory=list)

    @property
    def mota(self) -> float:
        return 1.0 - (self.false + self.missed + self.switches) / max(self.objects, 1)

    def smota(self, recall: float) -> float:
        wrong = self.false + self.missed + self.switches - (1.0 - recall) * self.objects
        return min(1.0, max(0.0, 1.0 - wrong / (recall * max(self.objects, 1))))


def evaluate(sequences: Sequence[Sequence[Moment]]) -> Result:
    """The result over all sequences together."""
    scored = [_with_mean_scores(sequence) for sequence in sequences]
    prepared = [[_prepared(moment) for moment in sequence] for sequence in scored]
    everything = _count(prepared, -np.inf)
    steps = _thresholds(everything.scores, everything.objects)
    counts = [(recall, _count(prepared, threshold)) for threshold, recall in steps]
    best = max((one for _, one in counts), key=lambda one: one.mota, default=everything)
    return Result(
        samota=sum(one.smota(recall) for recall, one in counts) / RECALLS,
        amota=sum(one.mota for _, one in counts) / RECALLS,
        mota=best.mota,
        switches=best.switches,
        recall=best.found / max(best.found + best.missed, 1),
        precision=best.found / max(best.found + best.false, 1),
    )


def _with_mean_scores(sequence: Sequence[Moment]) -> list[Moment]:
    """Every track with the mean of its scores over its life, by which it is kept or left out."""
    scores: defaultdict[int, list[float]] = defaultdict(list)
    for moment in sequence:
        for track in moment.tracks:
            scores[track.id].append(track.score)
    mean = {id_: float(np.mean(values)) for id_, values in scores.items()}
    return [
        Moment(
            moment.truth,
            tuple(Tracked(t.id, t.box, t.image, mean[t.id]) for t in moment.tracks),
            moment.dont_care,
        )
        for moment in sequence
    ]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A moment with what does not depend on the threshold."""

    truth: tuple[Labelled, ...]
    track_ids: npt.NDArray[np.int64]
    scores: Floats
    iou: Floats
    excused: npt.NDArray[np.bool_]


def _prepared(moment: Moment) -> _Prepared:
    tracks = moment.tracks
    return _Prepared(
        truth=moment.truth,
        track_ids=np.array([track.id for track in tracks], dtype=np.int64),
        scores=np.array([track.score for track in tracks], dtype=np.float64),
        iou=iou_3d(
            np.array([one.box for one in moment.truth], dtype=np.float64).reshape(-1, 7),
            np.array([track.box for track in tracks], dtype=np.float64).reshape(-1, 7),
        ),
        excused=np.array([_excused(track, moment) for track in tracks], dtype=np.bool_),
    )


def _excused(track: Tracked, moment: Moment) -> bool:
    """Not false even where it matches nothing."""
    x1, y1, x2, y2 = track.image
    if y2 - y1 <= LEAST_HEIGHT_PX:
        return True
    area = max(x2 - x1, 0.0) * (y2 - y1)
    for a1, b1, a2, b2 in moment.dont_care:
        width, height = min(x2, a2) - max(x1, a1), min(y2, b2) - max(y1, b1)
        if width > 0.0 and height > 0.0 and width * height > DONT_CARE_SHARE * area:
            return True
    return False


def _thresholds(scores: Sequence[float], objects: int) -> list[tuple[float, float]]:
    """(score, recall) at which each of the 40 recalls is best met; recalls not reached are
    missing, and so count as nought."""
    ordered = sorted(scores, reverse=True)
    out: list[tuple[float, float]] = []
    wanted, step = 0.0, 1.0 / RECALLS
    for index, score in enumerate(ordered):
        here = (index + 1) / objects
        last = index == len(ordered) - 1
        after = here if last else (index + 2) / objects
        if not last and after - wanted < wanted - here:
            continue  # the next score comes nearer to this recall
        out.append((score, wanted))
        wanted += step
    return out[1 : RECALLS + 1]  # the first is recall nought


def _count(sequences: Sequence[Sequence[_Prepared]], threshold: float) -> _Counts:
    counts = _Counts()
    for sequence in sequences:
        _count_sequence(sequence, threshold, counts)
    return counts


def _count_sequence(sequence: Sequence[_Prepared], threshold: float, counts: _Counts) -> None:
    histories: defaultdict[int, list[int | None]] = defaultdict(list)  # track per frame of a truth
    for moment in sequence:
        kept = moment.scores >= threshold
        matched = _matches(moment.iou[:, kept])
        ids, scores = moment.track_ids[kept], moment.scores[kept]
        taken = np.zeros(int(kept.sum()), dtype=np.bool_)
        found_ignored = 0
        for index, one in enumerate(moment.truth):
            column = matched.get(index)
            if column is not None:
                taken[column] = True
                counts.scores.append(float(scores[column]))
            if one.ignored:
                found_ignored += column is not None
                histories[one.id].append(IGNORED)
                continue
            counts.objects += 1
            counts.found += column is not None
            counts.missed += column is None
            histories[one.id].append(None if column is None else int(ids[column]))
        counts.false += int((~taken & ~moment.excused[kept]).sum())
    for history in histories.values():
        counts.switches += _switches(history)


IGNORED = -1
"""In a history: this frame of the object does not count, and nothing is carried across it."""


def _switches(history: Sequence[int | None]) -> int:
    """Changes of identity from one frame to the next, as the KITTI kit counts them: not across
    frames in which the object was missed."""
    count, last = 0, None
    for before, now in zip([None, *history], history, strict=False):
        if now == IGNORED:
            last = None
            continue
        count += None not in (last, now, before) and before != IGNORED and now != last
        if now is not None:
            last = now
    return count


def _matches(iou: Floats) -> Mapping[int, int]:
    """Truth → track with the largest total IoU, pairs below `LEAST_IOU` never."""
    if not iou.size:
        return {}
    cost = np.where(iou >= LEAST_IOU, 1.0 - iou, 1e6)
    rows, columns = linear_sum_assignment(cost)
    return {
        int(row): int(column)
        for row, column in zip(rows, columns, strict=True)
        if cost[row, column] < 1e6
    }
