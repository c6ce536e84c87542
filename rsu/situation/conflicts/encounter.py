"""Who may meet whom: probability, time to conflict, and whether a driver can still prevent it.

In: a picture and a `Forecast`. Out: `Encounter`s of a vehicle (the ego) with another road user.
Giving way is normal: an encounter counts as *urgent* only where the ego, braking comfortably after
a driver's reaction time, would still meet the other; who already brakes needs no reaction time.
Two vehicles are compared moment by moment; for people in a vehicle's way it is the times of
occupation (`encroachment`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from rsu.schema.units import Vec2
from rsu.situation.conflicts.encroachment import COMFORTABLE, encroachments
from rsu.situation.conflicts.prediction import BRAKES, CRAWLS, HORIZON_S, TAUS, Forecast
from rsu.situation.conflicts.ways import Floats, Indices
from rsu.situation.picture import Picture

Bools = npt.NDArray[np.bool_]

REACTION_S = 1.0
"""s until drivers brake for what they may expect ahead (Green 2000: 0.7 to 1.25 s)."""
SAME_WAY = 0.8
"""rad between headings below which the one follows the other (46°)."""
BODIES = 40.0  # m: two buses, and what is looked at around them
UNLIKELY = 0.02  # hypothesis pairs of a smaller prior are not looked at


class Sort(StrEnum):
    """What kind of encounter it is."""

    CROSSING = "crossing"
    FOLLOWING = "following"
    VULNERABLE = "vulnerable"


@dataclass(frozen=True, slots=True)
class Encounter:
    """`ego` and `other` index the picture. `probability` 0..1 that both are in one place at one
    time if nobody does anything, `unavoidable` the same if the ego's driver reacts and brakes
    comfortably; `time_s` until then; `required` m/s² that it takes from now on to prevent it;
    `place` where the ego will be."""

    ego: int
    other: int
    sort: Sort
    probability: float
    unavoidable: float
    time_s: float
    required: float
    place: Vec2


def encounters(
    picture: Picture, seen: Forecast, speed: Floats, velocity: Floats, acceleration: Floats,
    egos: Bools, exact: Bools, people: Floats, others: Bools, sets_off: Bools, in_view: Bools,
    least: float,
) -> list[Encounter]:  # fmt: skip
    """All encounters with at least the probability `least`, the ego moving and of `egos`.

    `speed` (N, m/s), `velocity` (N×2, m/s) and `acceleration` (N, m/s²) of everybody in the
    picture. `people` (N, 0..1) cross ways, each as likely as it exists; `sets_off` and `in_view`
    (N) are those of them who have just set off and who have long been on the road. `others` (N) go
    along ways, and meet only egos of `exact` (N), whose speeds are known well."""
    return [
        *_with_people(
            picture, seen, speed, velocity, acceleration, egos, people, sets_off, in_view, least
        ),
        *_between_vehicles(picture, seen, speed, acceleration, egos & exact, others, least),
    ]


def within_reach(picture: Picture, speed: Floats, others: Bools) -> Bools:
    """Who may meet one of `others` (N) within the horizon (N), whatever ways both take."""
    gap = picture.position[:, None] - picture.position[others][None]
    reach = HORIZON_S * (speed[:, None] + speed[others][None]) + BODIES
    near: Bools = ((gap**2).sum(axis=2) < reach**2).any(axis=1)
    return near


def beside(picture: Picture, one: Encounter) -> float:
    """m between the other and the stripe that the ego is about to drive over."""
    x, y = picture.position[one.other].tolist()
    start = picture.position[one.ego]
    way = np.array((one.place.x, one.place.y)) - start
    length = float(np.hypot(*way))
    if length < 1e-6:
        return 0.0
    along = way / length
    aside = abs(along[0] * (y - start[1]) - along[1] * (x - start[0]))
    half = (picture.tracks[one.ego].size.width + picture.tracks[one.other].size.width) / 2
    return float(aside) - half


def _with_people(
    picture: Picture, seen: Forecast, speed: Floats, velocity: Floats, acceleration: Floats,
    egos: Bools, people: Floats, sets_off: Bools, in_view: Bools, least: float,
) -> list[Encounter]:  # fmt: skip
    rows = np.flatnonzero(egos[seen.user] & (seen.prior >= UNLIKELY))
    persons = np.flatnonzero(people)
    if not len(rows) or not len(persons):
        return []
    met = encroachments(
        picture, seen, rows, persons, velocity, speed, acceleration, sets_off, in_view
    )
    weight = seen.prior[met.row] * met.overlaps * people[met.person]
    found: dict[tuple[int, int], list[int]] = {}
    for index in np.flatnonzero(weight >= UNLIKELY).tolist():
        pair = int(seen.user[met.row[index]]), int(met.person[index])
        found.setdefault(pair, []).append(index)
    out = []
    for (ego, person), some in found.items():
        probability = float(weight[some].sum())
        if probability < least:
            continue
        best = some[int(np.argmax(weight[some]))]
        x, y = met.place[best].tolist()
        out.append(
            Encounter(
                ego, person, Sort.VULNERABLE, min(probability, 1.0),
                min(float((weight * met.too_late)[some].sum()), 1.0), float(met.time_s[best]),
                float(speed[ego]) ** 2 / (2.0 * max(float(met.distance[best]), 0.1)), Vec2(x, y),
            )
        )  # fmt: skip
    return out


def _between_vehicles(
    picture: Picture, seen: Forecast, speed: Floats, acceleration: Floats, egos: Bools,
    others: Bools, least: float,
) -> list[Encounter]:  # fmt: skip
    ego, other = _pairs(picture, seen, egos, others)
    if not len(ego):
        return []
    prior = seen.prior[ego] * seen.prior[other]
    braked = _braked(speed[seen.user[ego]], acceleration[seen.user[ego]])
    half, half_other = _halves(picture, seen.user[ego]), _halves(picture, seen.user[other])
    kept, meets, ahead = _overlap(seen, ego, other, half, half_other)
    # Only what can count needs the second look.
    rows = np.flatnonzero(prior * meets >= UNLIKELY)
    if not len(rows):
        return []
    ego, other, prior = ego[rows], other[rows], prior[rows]
    kept, meets, ahead = kept[rows], meets[rows], ahead[rows]
    place, heading = _slowed(seen, ego, braked[rows])
    _, still, _ = _overlap(seen, ego, other, half[rows], half_other[rows], place, heading)
    return _merged(picture, seen, speed, ego, other, prior, kept, meets, still, ahead, least)


def _pairs(picture: Picture, seen: Forecast, egos: Bools, others: Bools) -> tuple[Indices, Indices]:
    """Hypothesis pairs of two users that come within reach of each other within the horizon."""
    mine = np.flatnonzero(egos[seen.user])
    if not len(mine) or len(seen.user) < 2:
        none = np.empty(0, dtype=np.intp)
        return none, none
    users = seen.user
    reach = np.array([t.size.length for t in picture.tracks])[users] / 2 + 1.0
    # Bounding circles of the whole way: centre between beginning and end.
    begin, end = seen.place[:, 0], seen.place[:, -1]
    middle = (begin + end) / 2
    radius = np.hypot(*(end - begin).T) / 2 + reach + 2.0
    gap = middle[mine][:, None] - middle[None]
    near = (gap**2).sum(axis=2) < (radius[mine][:, None] + radius) ** 2
    near &= (users[mine][:, None] != users) & others[users]
    near &= seen.prior[mine][:, None] * seen.prior >= UNLIKELY
    # What is behind moves no faster towards the ego than it would have to look out itself.
    toward = seen.place[None] - begin[mine][:, None, None]
    cos, sin = np.cos(seen.heading[mine, 0]), np.sin(seen.heading[mine, 0])
    front = toward[..., 0] * cos[:, None, None] + toward[..., 1] * sin[:, None, None]
    near &= front.max(axis=2) > 0.0
    row, column = np.nonzero(near)
    if not len(row):
        return mine[row], column
    # Closest approach of centres over the horizon.
    ego = mine[row]
    offset = seen.place[ego] - seen.place[column]
    touch = reach[ego] + reach[column] + 2.0
    close = (offset**2).sum(axis=2).min(axis=1) < touch**2
    return ego[close], column[close]


def _halves(picture: Picture, users: Indices) -> Floats:
    size = np.array([(t.size.length / 2, t.size.width / 2) for t in picture.tracks])
    found: Floats = size[users]
    return found


def _braked(speed: Floats, acceleration: Floats) -> Floats:
    """Arc lengths of a driver who reacts and then brakes comfortably, or brakes already."""
    reaction = np.where(acceleration < BRAKES, 0.0, REACTION_S)[:, None]
    after = np.maximum(TAUS[None] - reaction, 0.0)
    after = np.minimum(after, speed[:, None] / COMFORTABLE)
    found: Floats = (
        speed[:, None] * (np.minimum(TAUS[None], reaction) + after) - 0.5 * COMFORTABLE * after**2
    )
    return found


def _slowed(seen: Forecast, ego: Indices, arcs: Floats) -> tuple[Floats, Floats]:
    """The same ways at other arc lengths (never beyond what was predicted)."""
    steps = np.diff(seen.place[ego], axis=1)
    along = np.concatenate(
        (np.zeros((len(ego), 1)), np.cumsum(np.hypot(steps[..., 0], steps[..., 1]), axis=1)), axis=1
    )
    index = (along[:, None, 1:-1] <= arcs[..., None]).sum(axis=2)  # the step it is on
    row = np.arange(len(ego))[:, None]
    step = np.maximum(along[row, index + 1] - along[row, index], 1e-6)
    share = np.clip((arcs - along[row, index]) / step, 0.0, 1.0)
    here, there = seen.place[ego[:, None], index], seen.place[ego[:, None], index + 1]
    return here + share[..., None] * (there - here), seen.heading[ego[:, None], index]


def _overlap(
    seen: Forecast, ego: Indices, other: Indices, half: Floats, half_other: Floats,
    place: Floats | None = None, heading: Floats | None = None,
) -> tuple[Floats, Floats, Bools]:  # fmt: skip
    """Probability that both footprints overlap at each step (P×T), at some time (P), and
    where the other is in the ego's front half then.

    In the ego's axes the other's rectangle is bounded by its extent along and across; the relative
    position is normal with both covariances (along and across taken as independent).
    """
    if place is None or heading is None:
        place, heading = seen.place[ego], seen.heading[ego]
    there, long = seen.place[other], half_other[:, :1]
    gap = there - place
    cos, sin = np.cos(heading), np.sin(heading)
    along = gap[..., 0] * cos + gap[..., 1] * sin
    across = gap[..., 1] * cos - gap[..., 0] * sin
    turn = seen.heading[other] - heading
    c, s = np.abs(np.cos(turn)), np.abs(np.sin(turn))
    reach_along = half[:, :1] + long * c + half_other[:, 1:] * s
    reach_across = half[:, 1:] + long * s + half_other[:, 1:] * c
    theirs_along, theirs_across = seen.along_std[other] ** 2, seen.across_std[other] ** 2
    std_along = np.sqrt(seen.along_std[ego] ** 2 + theirs_along * c**2 + theirs_across * s**2)
    std_across = np.sqrt(seen.across_std[ego] ** 2 + theirs_along * s**2 + theirs_across * c**2)
    beside = _within(across, reach_across, std_across)
    both = _within(along, reach_along, std_along)
    return both * beside, _some_time(both, beside, along, reach_along), along > 0.0


def _some_time(both: Floats, beside: Floats, along: Floats, reach: Floats) -> Floats:
    """Probability (P) that they overlap at some time: by how much of the passing by, which takes
    the length of both at the speed of passing, the other is in the way; at least that of the
    likeliest moment. Not knowing when somebody passes does not make a meeting unlikely."""
    pace = np.abs(along[:, -1] - along[:, 0]) / (TAUS[-1] - TAUS[0])
    long = 2.0 * reach.mean(axis=1) / np.maximum(pace, 1e-3)
    whole = (both * beside).sum(axis=1) * (TAUS[1] - TAUS[0]) / long
    found: Floats = np.minimum(np.maximum((both * beside).max(axis=1), whole), 1.0)
    return found


def _within(offset: Floats, reach: Floats, std: Floats) -> Floats:
    std = np.maximum(std, 1e-3)
    found: Floats = ndtr((reach - offset) / std) - ndtr((-reach - offset) / std)
    return found


def _merged(
    picture: Picture, seen: Forecast, speed: Floats, ego: Indices, other: Indices,
    prior: Floats, kept: Floats, meets: Floats, still: Floats, ahead: Bools, least: float,
) -> list[Encounter]:  # fmt: skip
    """One encounter per pair of users: probabilities add up over hypotheses, the likeliest one
    says when and where."""
    found: dict[tuple[int, int], list[int]] = {}
    for row, pair in enumerate(
        zip(seen.user[ego].tolist(), seen.user[other].tolist(), strict=True)
    ):
        found.setdefault(pair, []).append(row)
    out = []
    for (mine, theirs), rows in found.items():
        peaks = meets[rows]
        probability = float((prior[rows] * peaks).sum())
        if probability < least:
            continue
        best = rows[int(np.argmax(prior[rows] * peaks))]
        # They meet when half of what there is to fear has come; the peak lies within the other.
        step = int(np.argmax(kept[best] >= 0.5 * kept[best].max()))
        if step == 0 or not ahead[best, step]:
            continue  # in one place already: one of two tracks of the same; or hit from behind
        time_s = float(TAUS[step])
        turn = float(seen.heading[other[best], step] - seen.heading[ego[best], step])
        turn = abs((turn + np.pi) % (2 * np.pi) - np.pi)
        # The heading of somebody so slow says little: on a lane it is the end of a queue.
        along = turn < SAME_WAY or speed[theirs] <= CRAWLS
        sort = Sort.FOLLOWING if along and picture.road.inside[theirs] else Sort.CROSSING
        if picture.tracks[theirs].object_class.is_vru and sort is Sort.CROSSING:
            sort = Sort.VULNERABLE
        closing = float(speed[mine] - speed[theirs] * np.cos(turn)) if sort is Sort.FOLLOWING else (
            float(speed[mine])
        )  # fmt: skip
        x, y = seen.place[ego[best], step].tolist()
        out.append(
            Encounter(
                mine, theirs, sort, min(probability, 1.0),
                min(float((prior[rows] * still[rows]).sum()), 1.0), time_s,
                max(closing, 0.0) / (2.0 * time_s), Vec2(x, y),
            )
        )  # fmt: skip
    return out
