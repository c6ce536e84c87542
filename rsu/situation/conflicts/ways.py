"""The ways that lead on from every lane, sampled once so that predictions only look up.

In: the map. Out: `Ways`: for each drivable lane, each way over its successors as points a metre
apart, with the prior that a driver takes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.site.lanes import Lane, LaneMatch, Maneuver, SiteMap
from rsu.situation.picture import ROAD_KINDS

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]

STEP = 1.0  # m between points; a chord of 1 m is 1 cm off the tightest turn (radius 10 m)
REACH = 85.0
"""m beyond the end of the lane: 5 s at 60 km/h."""
MOST = 6
"""Ways from one lane; of more, those over the first successors in the file."""
SHARES = {Maneuver.STRAIGHT: 3.0, Maneuver.U_TURN: 0.2}
"""Odds of a manoeuvre, others 1 (assumed, as nothing is known of a site's turning counts)."""


@dataclass(frozen=True, eq=False)
class Ways:
    """W ways of at most K points. `points` W×K×2 (m), beyond a way's end straight on; `heading`
    W×K (rad); `of_lane` lane index → its ways; `turn_from` (W) the station where the next lane
    begins; `turn_speed` (W) how fast the way's sharpest bend within reach is driven at most, m/s;
    `share` (W), adding up to 1 for a lane."""

    points: Floats
    heading: Floats
    turn_from: Floats
    turn_speed: Floats
    share: Floats
    of_lane: Mapping[int, Indices]

    def at(self, way: Indices, station: Floats) -> tuple[Floats, Floats]:
        """Points (H×T×2) and headings (H×T) of H ways at stations H×T (m)."""
        last = self.points.shape[1] - 2
        index = np.clip(station, 0.0, None).astype(np.intp)
        np.minimum(index, last, out=index)
        share = (station - index)[..., None]
        row = way[:, None]
        here = self.points[row, index]
        return here + share * (self.points[row, index + 1] - here), self.heading[row, index]


def ways_of(site: SiteMap) -> Ways:
    """All ways of a map; lanes of other kinds have none."""
    points: list[Floats] = []
    starts: list[float] = []
    speeds: list[float] = []
    shares: list[float] = []
    of_lane: dict[int, Indices] = {}
    longest = max((lane.length for lane in site.lanes), default=0.0)
    stations = np.arange(0.0, longest + REACH + STEP, STEP)
    for index, lane in enumerate(site.lanes):
        if lane.kind not in ROAD_KINDS:
            continue
        ways = list(_onward(site, lane))[:MOST]
        of_lane[index] = np.arange(len(points), len(points) + len(ways))
        weights = np.array([_odds(way) for way in ways])
        for way in ways:
            line = _joined(way)
            points.append(_sampled(line, stations))
            starts.append(lane.length)
            speeds.append(_bend_speed(way))
        shares += (weights / weights.sum()).tolist()
    if not points:
        flat = np.empty((0, 2, 2))
        return Ways(flat, flat[..., 0], np.empty(0), np.empty(0), np.empty(0), {})
    table = np.stack(points)
    steps = np.diff(table, axis=1, append=table[:, -1:] + (table[:, -1:] - table[:, -2:-1]))
    return Ways(
        table, np.arctan2(steps[..., 1], steps[..., 0]), np.array(starts), np.array(speeds),
        np.array(shares), of_lane,
    )  # fmt: skip


def _onward(site: SiteMap, lane: Lane, so_far: tuple[Lane, ...] = ()) -> Iterator[tuple[Lane, ...]]:
    way = (*so_far, lane)
    beyond = sum(one.length for one in way[1:])
    onward = [site.lane(name) for name in lane.successors]
    onward = [one for one in onward if one.kind in ROAD_KINDS and one not in way]
    if beyond >= REACH or not onward:
        yield way
        return
    for one in onward:
        yield from _onward(site, one, way)


def _odds(way: tuple[Lane, ...]) -> float:
    odds = 1.0
    for lane in way[1:]:
        if lane.maneuver is not None:
            odds *= SHARES.get(lane.maneuver, 1.0)
    return odds


def _bend_speed(way: tuple[Lane, ...]) -> float:
    limits = [lane.speed_limit for lane in way[1:2] if lane.speed_limit is not None]
    return min(limits, default=np.inf)


def _joined(way: tuple[Lane, ...]) -> Floats:
    lines = [way[0].centreline, *(lane.centreline[1:] for lane in way[1:])]
    return np.concatenate(lines)


def _sampled(line: Floats, stations: Floats) -> Floats:
    along = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))))
    end = line[-1] - line[-2]
    end = end / max(float(np.hypot(*end)), 1e-9)
    over = np.maximum(stations - along[-1], 0.0)[:, None]
    x = np.interp(stations, along, line[:, 0])
    y = np.interp(stations, along, line[:, 1])
    out: Floats = np.stack((x, y), axis=1) + over * end
    return out


def hypotheses(
    ways: Ways, road: LaneMatch, usable: npt.NDArray[np.bool_]
) -> tuple[Indices, Indices]:
    """User and way of each hypothesis; users without a lane have none."""
    users, chosen = [], []
    for user in np.flatnonzero(usable & (road.lane >= 0)).tolist():
        some = ways.of_lane.get(int(road.lane[user]))
        if some is not None:
            users.append(np.full(len(some), user, dtype=np.intp))
            chosen.append(some)
    if not users:
        none = np.empty(0, dtype=np.intp)
        return none, none
    return np.concatenate(users), np.concatenate(chosen)
