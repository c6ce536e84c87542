"""Where everybody may be in the next seconds.

In: a picture and everybody's acceleration. Out: a `Forecast`: for each road user one or more
hypotheses of its way with a prior, its place at each step and how uncertain that is. A vehicle on a
lane keeps its turn rate and speed at first and then follows the lane, each successor being one
hypothesis (blended over the first second: what is measured rules the near future, the road the
later one; Polychronopoulos et al. 2007, Lefèvre, Vasquez, Laugier 2014). Everybody else goes
straight on. Speeds are kept, except that who brakes goes on braking.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.situation.conflicts.ways import Floats, Indices, Ways, hypotheses
from rsu.situation.picture import Picture

STEP_S, HORIZON_S = 0.2, 4.0
TAUS: Floats = np.arange(0.0, HORIZON_S + STEP_S / 2, STEP_S)
"""s from now; T of them."""
BLEND_S = 1.0
"""Over which lane following takes over from the measured turn."""
CENTRE_S = 1.5
"""Time constant with which drivers go back to the middle of their lane (assumed)."""
ON_LANE = 0.5
"""m beyond a lane's edge at which a vehicle still counts as following it."""
AGREES = 0.8
"""rad between a vehicle's heading and the lane's (46°, as for counting)."""
ACCELERATION_STD, WALK_STD = 0.5, 0.15
"""m/s², 1 σ of what a driver and a walker change within seconds: half the usual acceleration in
town (Treiber & Kesting 2013); walkers are some 0.6 m off after 3 s (Weidmann 1993: σ 0.26 m/s)."""
LANE_STD = 0.4
"""m, 1 σ of how far off the middle of a lane drivers are (Treiber & Kesting 2013)."""
CRAWLS = 2.0
"""m/s: the fused heading of whoever is slower says little; on a lane the lane's is taken."""
BRAKES = -0.6
"""m/s²: slower than engine drag alone; such a driver has reacted."""
BEND_COST = 2.0
"""m/s²: braking for a bend that makes its turn e^-1 as likely (a comfortable deceleration)."""

BEND_MOST = 4.0
"""m/s² sideways that hardly any driver exceeds in a bend (Treiber & Kesting 2013: 2 is usual)."""
NOW_S = 0.4  # over which a bend is one that has begun


@dataclass(frozen=True, eq=False)
class Forecast:
    """H hypotheses at the T steps of `TAUS`.

    `user` (H) indexes the picture; `prior` adds up to 1 for a user, to less for one who is
    too fast for them all; `place` H×T×2, `heading` H×T;
    `along_std`, `across_std` H×T (m, along and across the heading); `way` -1: no lane is followed.
    """

    user: Indices
    way: Indices
    station: Floats
    prior: Floats
    place: Floats
    heading: Floats
    along_std: Floats
    across_std: Floats


def travelled(speed: Floats, acceleration: Floats) -> Floats:
    """Metres after each step, N×T; who brakes comes to rest and stays there."""
    slowing = np.minimum(acceleration, 0.0)[:, None]
    until = np.where(slowing < 0.0, speed[:, None] / np.maximum(-slowing, 1e-9), np.inf)
    tau = np.minimum(TAUS[None], until)
    found: Floats = speed[:, None] * tau + 0.5 * slowing * tau**2
    return found


def forecast(
    picture: Picture, ways: Ways, speed: Floats, acceleration: Floats, among: npt.NDArray[np.bool_]
) -> Forecast:
    """The users of `among`; `speed` (N, m/s) and `acceleration` (N, m/s², 0 where not known)."""
    road = picture.road
    tracks = picture.tracks
    heading = np.array([t.heading for t in tracks])
    lane_heading = road.heading
    turn = np.abs(np.remainder(heading - lane_heading + np.pi, 2 * np.pi) - np.pi)
    known = ~np.isnan(picture.heading) & (speed > CRAWLS)
    width = np.array([lane.width for lane in picture.site.lanes])[road.lane] / 2 + ON_LANE
    follows = (
        among & picture.vehicle & (road.lane >= 0) & (np.abs(road.lateral) <= width)
        & (~known | (turn <= AGREES))
    )  # fmt: skip
    on, way = hypotheses(ways, road, follows)
    off = np.flatnonzero(among & ~follows)
    user = np.concatenate((on, off))
    chosen = np.concatenate((way, np.full(len(off), -1, dtype=np.intp)))
    arcs = travelled(speed, acceleration)[user]
    # Nobody knows where somebody without a heading goes: along the lane, else nowhere.
    own = np.where(np.isnan(picture.heading), 0.0, heading)
    direction = np.where(follows & ~known, lane_heading, own)[user]
    rate = np.array([t.turn_rate for t in tracks])[user]
    rate = np.where(np.arange(len(user)) < len(on), rate, 0.0)
    place, course = _turning(picture.position[user], direction, rate, arcs, speed[user])
    station = np.where(chosen >= 0, road.station[user], 0.0)
    if len(on):
        rows = slice(0, len(on))
        place[rows], course[rows] = _onto_lane(
            ways, way, station[rows], road.lateral[on], arcs[rows], place[rows], course[rows]
        )
    along, across = _spread(picture, user, chosen >= 0, course[:, 0], speed[user])
    prior = _prior(picture, ways, user, chosen, station, speed[user], rate)
    return Forecast(user, chosen, station, prior, place, course, along, across)


def _turning(
    start: Floats, heading: Floats, rate: Floats, arcs: Floats, speed: Floats
) -> tuple[Floats, Floats]:
    """Constant turn rate per metre: a vehicle that brakes stays on its circle."""
    curvature = np.where(speed > 1.0, rate / np.maximum(speed, 1.0), 0.0)
    # No road vehicle turns tighter than 5 m.
    curvature = np.clip(curvature, -0.2, 0.2)[:, None]
    course = heading[:, None] + curvature * arcs
    middle = heading[:, None] + 0.5 * curvature * arcs  # the chord's direction
    place = start[:, None] + arcs[..., None] * np.stack((np.cos(middle), np.sin(middle)), axis=-1)
    return place, course


def _onto_lane(
    ways: Ways, way: Indices, station: Floats, lateral: Floats, arcs: Floats, place: Floats,
    course: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    line, line_heading = ways.at(way, station[:, None] + arcs)
    offset = lateral[:, None] * np.exp(-TAUS / CENTRE_S)
    left = np.stack((-np.sin(line_heading), np.cos(line_heading)), axis=-1)
    line = line + offset[..., None] * left
    share = np.clip(TAUS / BLEND_S, 0.0, 1.0)
    share = share * share * (3.0 - 2.0 * share)
    turn = np.remainder(line_heading - course + np.pi, 2 * np.pi) - np.pi
    return place + share[:, None] * (line - place), course + share * turn


def _spread(
    picture: Picture, user: Indices, follows: npt.NDArray[np.bool_], heading: Floats, speed: Floats
) -> tuple[Floats, Floats]:
    """1 σ along and across; a lane bounds how far off it somebody goes."""
    cov = np.array([t.covariance for t in picture.tracks])[user]
    walks = ~picture.vehicle[user]
    cos, sin = np.cos(heading), np.sin(heading)
    xx, xy, yy = cov[:, 0], cov[:, 1], cov[:, 5]
    along0 = np.maximum(xx * cos**2 + 2 * xy * cos * sin + yy * sin**2, 0.0)
    across0 = np.maximum(xx * sin**2 - 2 * xy * cos * sin + yy * cos**2, 0.0)
    unrest = np.where(walks, WALK_STD, ACCELERATION_STD)
    tau = TAUS[None]
    along = along0[:, None] + cov[:, 12, None] * tau**2 + (0.5 * unrest[:, None] * tau**2) ** 2
    swerve = np.minimum(cov[:, 9], 1.0) * speed**2
    free = across0[:, None] + swerve[:, None] * tau**2
    free = free + np.where(walks, WALK_STD, 0.3)[:, None] ** 2 * 0.25 * tau**4
    lane = across0 + LANE_STD**2
    across = np.where(follows[:, None], np.minimum(free, lane[:, None]), free)
    return np.sqrt(along), np.sqrt(across)


def _prior(
    picture: Picture, ways: Ways, user: Indices, way: Indices, station: Floats, speed: Floats,
    rate: Floats,
) -> Floats:  # fmt: skip
    """By manoeuvre, by whether the speed still allows the bend, and by the turn that has begun."""
    if not len(user):
        return np.empty(0)
    on = way >= 0
    weight = np.ones(len(user))
    some = way[on]
    left = np.maximum(ways.turn_from[some] - station[on], 1.0)
    excess = np.maximum(speed[on] ** 2 - ways.turn_speed[some] ** 2, 0.0) / (2.0 * left)
    weight[on] = ways.share[some] * np.exp(-((excess / BEND_COST) ** 2))
    # Where it will head in a second, against the measured turn.
    ahead = station[on] + np.maximum(speed[on], 1.0)
    here = ways.at(some, station[on][:, None])[1][:, 0]
    there = ways.at(some, ahead[:, None])[1][:, 0]
    bend = np.remainder(there - here + np.pi, 2 * np.pi) - np.pi
    sure = np.array([t.turn_rate_std for t in picture.tracks])[user][on]
    weight[on] *= np.exp(-0.5 * ((bend - rate[on]) / np.hypot(sure, 0.3)) ** 2)
    total = np.bincount(user, weight, minlength=len(picture.tracks))[user]
    count = np.bincount(user, minlength=len(picture.tracks))[user]
    prior: Floats = np.where(total > 1e-12, weight / np.maximum(total, 1e-12), 1.0 / count)
    # Who is too fast for the bend that it seems to be in is on another way.
    near = ways.at(some, (station[on] + NOW_S * speed[on])[:, None])[1][:, 0]
    bend = np.remainder(near - here + np.pi, 2 * np.pi) - np.pi
    excess = np.maximum(speed[on] * np.abs(bend) / NOW_S - BEND_MOST, 0.0)
    prior[on] *= np.exp(-((excess / BEND_COST) ** 2))
    return prior
