"""People in a vehicle's way: when each of both occupies the place where their ways meet.

In: a picture, a `Forecast` and how people walk. Out: one `Encroachment` for each vehicle hypothesis
and person whose ways meet. A walker crosses a vehicle's stripe within two seconds, so neither is
often at one point at one time; whether their *times of occupation* overlap, or miss each other by
less than a second, is what near accidents are measured by (post-encroachment time: Allen, Shin,
Cooper 1978). Both times are normal, from the covariances of the tracks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from rsu.situation.conflicts.prediction import BRAKES, TAUS, WALK_STD, Forecast
from rsu.situation.conflicts.ways import Floats, Indices
from rsu.situation.picture import CITY_LIMIT, Picture

Bools = npt.NDArray[np.bool_]

PET_S = 1.0
"""s: who arrives this shortly after a person has left the place has nearly hit them (a serious
conflict, Allen, Shin, Cooper 1978)."""
SURPRISED_S = 1.5  # s until a driver brakes for somebody who steps out (Green 2000)
COMFORTABLE = 3.4
"""m/s²: what nine of ten drivers do not exceed without need (AASHTO Green Book, 3.2.2)."""
ONWARD_M = 80.0  # m that a way is prolonged, so that somebody beyond its predicted end has a place
SLOWEST = 0.3  # m/s: slower people do not cross anything; bounds the doubt of when they do
USUAL, USUAL_STD = 0.8, 0.4
"""Of a lane's limit: what drivers drive on it before they come to a queue or the junction, and 1 σ
of what they usually drive (assumed, wide)."""
LEAST_STD = 0.05  # s, m, m/s: no estimate is exact
AT_MOST_S = 1.0  # s, 1 σ of when a walker enters or leaves: a step more or less


@dataclass(frozen=True, eq=False)
class Encroachment:
    """K pairs: `row` of the forecast (the vehicle's hypothesis) and the picture's `person`.

    `overlaps` 0..1: both occupy the place within `PET_S` at the speeds of now; `too_late` 0..1:
    the driver, reacting and braking at `COMFORTABLE`, does not stop before it; `time_s` until both
    are there, `distance` m from the front to the place, `place` K×2 m.
    """

    row: Indices
    person: Indices
    overlaps: Floats
    too_late: Floats
    time_s: Floats
    distance: Floats
    place: Floats


def encroachments(
    picture: Picture, seen: Forecast, rows: Indices, persons: Indices, velocity: Floats,
    speed: Floats, acceleration: Floats, sets_off: Bools, in_view: Bools,
) -> Encroachment:  # fmt: skip
    """Hypotheses `rows` of vehicles against `persons`; `velocity` (N×2, m/s), `speed` (N, m/s) and
    `acceleration` (N, m/s²) of everybody in the picture; who has just set off (N), and
    whom drivers have long had in view (N)."""
    row, person = _near(picture, seen, rows, persons)
    ego = seen.user[row]
    tracks = picture.tracks
    size = np.array([(t.size.length / 2, t.size.width / 2) for t in tracks]).reshape(-1, 2)
    cov = np.array([t.covariance for t in tracks]).reshape(len(tracks), -1)
    walked = picture.position[person][:, None] + velocity[person][:, None] * TAUS[:, None]
    arc, aside, line = _projected(seen, row, walked)
    body = size[person].max(axis=1)
    # Who is in the stripe, and when.
    pace = np.hypot(*velocity[person].T)
    doubt = np.sqrt(0.5 * (cov[person, 0] + cov[person, 5]))
    drift = np.where(pace > SLOWEST, WALK_STD, 0.0)[:, None] * TAUS
    aside_std = np.sqrt(doubt[:, None] ** 2 + drift**2 + seen.across_std[row] ** 2)
    aside_std = np.maximum(aside_std, LEAST_STD)
    reach = (size[ego, 1] + body)[:, None]
    inside = ndtr((reach - aside) / aside_std) - ndtr((-reach - aside) / aside_std)
    first, last = _span(np.abs(aside) <= reach, inside)
    enters, leaves = TAUS[first], np.where(last == len(TAUS) - 1, np.inf, TAUS[last])
    # Where, and when the vehicle is there.
    index = np.arange(len(row))
    to = arc[index, first]
    front, rear = to - size[ego, 0] - body, to + size[ego, 0] + body
    pace_of, v_std = _paces(picture, ego, speed[ego], np.sqrt(cov[ego, 12]))
    v = np.maximum(pace_of, 0.5)
    arrives, clears = front / v, rear / v
    along_std = np.hypot(np.sqrt(0.5 * (cov[ego, 0] + cov[ego, 5])), doubt)
    walks_std = np.minimum(doubt / np.maximum(pace, SLOWEST), AT_MOST_S)
    before = np.hypot(np.hypot(along_std, arrives * v_std) / v, walks_std)
    after = np.hypot(np.hypot(along_std, clears * v_std) / v, walks_std)
    # The vehicle is not gone before the person comes, and comes before the person has been gone.
    overlap = (
        ndtr((leaves + PET_S - arrives) / np.maximum(before, LEAST_STD))
        + ndtr((clears - enters) / np.maximum(after, LEAST_STD)) - 1.0
    )  # fmt: skip
    overlaps = np.clip(overlap, 0.0, 1.0) * inside.max(axis=1)
    overlaps = np.where(front > 0.0, overlaps, 0.0)  # beside it or behind: past preventing
    return Encroachment(
        row, person, overlaps,
        _too_late(front, pace_of, v_std, along_std, acceleration[ego],
                  sets_off[person], in_view[person]),
        np.maximum(arrives, enters), front, line[index, first],
    )  # fmt: skip


def _paces(picture: Picture, ego: Indices, speed: Floats, std: Floats) -> tuple[Floats, Floats]:
    """Speeds (K, m/s) and 1 σ with what is known of the lane: of a vehicle that has just come into
    view the track says next to nothing, its lane's limit does."""
    road = picture.road
    limits = [lane.speed_limit or CITY_LIMIT for lane in picture.site.lanes]
    usual = USUAL * np.array([limits[lane] for lane in road.lane[ego]])
    weight = np.where(road.inside[ego], 1.0 / (USUAL_STD * usual) ** 2, 0.0)
    own = 1.0 / np.maximum(std, LEAST_STD) ** 2
    found: Floats = (own * speed + weight * usual) / (own + weight)
    return found, 1.0 / np.sqrt(own + weight)


def _near(
    picture: Picture, seen: Forecast, rows: Indices, persons: Indices
) -> tuple[Indices, Indices]:
    """Pairs of which the person is ahead and no further away than the way and a walk."""
    start = seen.place[rows, 0]
    reach = np.hypot(*(seen.place[rows, -1] - start).T) + 20.0  # half a bus and a walk of 4 s
    gap = picture.position[persons][None] - start[:, None]
    cos, sin = np.cos(seen.heading[rows, 0]), np.sin(seen.heading[rows, 0])
    ahead = gap[..., 0] * cos[:, None] + gap[..., 1] * sin[:, None] > 0.0
    near = ahead & ((gap**2).sum(axis=2) < reach[:, None] ** 2)
    at, who = np.nonzero(near)
    return rows[at], persons[who]


def _projected(seen: Forecast, row: Indices, points: Floats) -> tuple[Floats, Floats, Floats]:
    """Arc length (K×T, m from the vehicle's centre) and offset to the left (K×T, m) of K×T points
    by K ways, and the nearest points of the ways (K×T×2)."""
    way, heading = seen.place[row], seen.heading[row, -1]
    onward = way[:, -1] + ONWARD_M * np.stack((np.cos(heading), np.sin(heading)), axis=-1)
    way = np.concatenate((way, onward[:, None]), axis=1)
    step = np.diff(way, axis=1)
    long = np.hypot(step[..., 0], step[..., 1])
    along = np.cumsum(long, axis=1) - long
    unit = step / np.maximum(long, 1e-9)[..., None]
    offset = points[:, :, None] - way[:, None, :-1]  # K×T×S×2
    forward = (offset * unit[:, None]).sum(axis=3)
    # Before the first point and beyond the last one the way goes straight on.
    low = np.zeros(long.shape[1])
    low[0] = -ONWARD_M
    forward = np.clip(forward, low, long[:, None])
    nearest = way[:, None, :-1] + forward[..., None] * unit[:, None]
    away = ((points[:, :, None] - nearest) ** 2).sum(axis=3)
    away = np.where(long[:, None] > 1e-6, away, np.inf)
    best = np.argmin(away, axis=2)[..., None]
    arc = np.take_along_axis(along[:, None] + forward, best, axis=2)[..., 0]
    left = offset[..., 1] * unit[:, None, :, 0] - offset[..., 0] * unit[:, None, :, 1]
    aside = np.take_along_axis(left, best, axis=2)[..., 0]
    return arc, aside, np.take_along_axis(nearest, best[..., None], axis=2)[:, :, 0]


def _span(inside: Bools, likely: Floats) -> tuple[
    Indices, Indices
]:  # fmt: skip
    """First and last step (K) of the first time inside; where there is none, the likeliest step."""
    first = np.argmax(inside, axis=1)
    later = np.arange(inside.shape[1])[None] >= first[:, None]
    out = later & ~inside
    last = np.where(out.any(axis=1), np.argmax(out, axis=1) - 1, inside.shape[1] - 1)
    never = ~inside.any(axis=1)
    best = np.argmax(likely, axis=1)
    return np.where(never, best, first), np.where(never, best, last)


def _too_late(
    distance: Floats, speed: Floats, speed_std: Floats, distance_std: Floats, acceleration: Floats,
    sets_off: Bools, in_view: Bools,
) -> Floats:  # fmt: skip
    """Probability (K) that `distance` is less than it takes to react and stop comfortably. Who
    brakes has reacted, as has who has long had the person in view; but not to somebody who has only
    just set off: that braking is for something else, and ends as that does. How well braking is
    known depends on how well the speed is."""
    brakes = acceleration < BRAKES - 0.5 * speed_std
    reaction = np.where((brakes | in_view) & ~sets_off, 0.0, SURPRISED_S)
    # With v at the end of the reaction t: v t + v² / 2a = room
    room = np.maximum(distance, 0.0)
    most = COMFORTABLE * (np.sqrt(reaction**2 + 2.0 * room / COMFORTABLE) - reaction)
    slope = 1.0 / np.maximum(reaction + most / COMFORTABLE, 0.1)
    found: Floats = ndtr((speed - most) / np.hypot(speed_std, slope * distance_std))
    return found
