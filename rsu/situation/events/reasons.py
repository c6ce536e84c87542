"""Why somebody stands on a lane: others in front, a queue, and what may lie beyond the map.

In: pictures, who stands in them, and where somebody stood who is not found just now. Out: who of
them has no reason in sight, and who crept up behind somebody before it came to rest.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rsu.schema.units import NS_PER_S
from rsu.site.lanes import LaneKind, SiteMap
from rsu.situation.events.surroundings import GHOST_NS, Floats, link_by_lane
from rsu.situation.picture import MOVES_ABOVE, Picture

AHEAD = 20.0
"""m of free road in front of a vehicle without a reason to stand: a gap in a queue where one long
vehicle was not found (12 m and twice the usual 2 m) is shorter."""
AHEAD_LEAVING = 45.0
"""The same where a queue is seen from behind, so that those in it hide each other."""
CORRIDOR = 1.9  # m to either side of its middle: half a lane and a little
STARTING = 8.0  # m/s: a leader that is slower may have set off just now
EDGE = 60.0  # m from where the map ends: beyond it others may stand, and hide each other from here
QUEUE = 3
"""Vehicles that stand ahead on a link: a queue in which others may be hidden from all sensors."""
LOOKS = 24  # pictures looked at in `GHOST_NS`
REACH_MEMORY_NS = 120 * NS_PER_S


class Reasons:
    """Remembers who crept where, and how far along lanes anybody was seen."""

    def __init__(self, site: SiteMap) -> None:
        lanes = site.lanes
        self._length = np.array([lane.length for lane in lanes])
        self._leads_on = np.array([bool(lane.successors) for lane in lanes], np.bool_)
        self._vehicles_only = np.array([x.kind is LaneKind.VEHICLE for x in lanes], np.bool_)
        self._link = link_by_lane(site)
        self._reach: dict[int, tuple[float, int]] = {}
        self._creeping = deque[tuple[int, npt.NDArray[np.int64], Floats]](maxlen=LOOKS)

    def forget(self) -> None:
        """The clock was set back."""
        self._reach.clear()
        self._creeping.clear()

    def remember(self, picture: Picture) -> None:
        """Who hardly moves on a lane, on foot too, and how far along lanes anybody is seen."""
        now_ns = picture.time_ns
        road = picture.road
        creeps = road.inside & self._vehicles_only[road.lane] & (picture.speed < MOVES_ABOVE)
        ids = np.array([track.id for track in picture.tracks], np.int64)
        self._creeping.append((now_ns, ids[creeps], picture.position[creeps]))
        moving = picture.vehicle & road.inside & (picture.speed > MOVES_ABOVE)
        for i in np.flatnonzero(moving).tolist():
            lane, station = int(road.lane[i]), float(road.station[i])
            old, at_ns = self._reach.get(lane, (0.0, 0))
            if station >= old or now_ns - at_ns > REACH_MEMORY_NS:
                self._reach[lane] = (station, now_ns)

    def none_for(
        self,
        picture: Picture,
        standing: npt.NDArray[np.intp],
        lost: Sequence[tuple[float, float]],
    ) -> npt.NDArray[np.bool_]:
        """Which of those who stand on a lane have a free road before them, shape (C,).

        `standing` are rows of the picture, `lost` places where something stood just now.
        """
        road = picture.road
        lane = road.lane[standing]
        heading = np.where(road.inside[standing], road.heading[standing], 0.0)
        cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
        x, y = (axis - axis[standing, None] for axis in picture.position.T)
        ahead = x * cos + y * sin
        aside = np.abs(y * cos - x * sin)
        half = np.array([track.size.length / 2 for track in picture.tracks])
        leaving = ~self._leads_on[lane]
        reach = np.where(leaving, AHEAD_LEAVING, AHEAD)[:, None]
        slow = (picture.speed < STARTING)[None, :]
        before = (ahead > half[standing][:, None]) & (ahead - half[None, :] < reach)
        blocked: npt.NDArray[np.bool_] = (before & (aside < CORRIDOR) & slow).any(axis=1)
        blocked = blocked | _behind(lost, picture, standing, cos, sin, half, reach)
        stands = picture.vehicle & road.inside & (picture.standing_since_ns >= 0)
        further = road.station[None, :] > road.station[standing][:, None]
        link = self._link[road.lane]
        same = (link[None, :] == link[standing][:, None]) & stands[None, :]
        blocked |= (further & same).sum(axis=1) >= QUEUE
        front = road.station[standing] + half[standing]
        edge = np.array([self._edge(index) for index in lane.tolist()])
        beyond = leaving & (edge - front < EDGE)
        free: npt.NDArray[np.bool_] = road.inside[standing] & ~blocked & ~beyond
        return free

    def crept_up(self, picture: Picture, index: int) -> bool:
        """Whether in front of one that comes to rest somebody hardly moved just before."""
        track, heading = picture.tracks[index], float(picture.road.heading[index])
        cos, sin = math.cos(heading), math.sin(heading)
        for at_ns, ids, places in self._creeping:
            if picture.time_ns - at_ns > GHOST_NS:
                continue
            x, y = (places - picture.position[index]).T
            ahead, aside = x * cos + y * sin, np.abs(y * cos - x * sin)
            before = (ahead > track.size.length / 2) & (ahead < AHEAD) & (aside < CORRIDOR)
            if (before & (ids != track.id)).any():
                return True
        return False

    def _edge(self, lane: int) -> float:
        """How far along a lane anybody was seen lately, m: what lies beyond is not known."""
        if lane < 0:
            return 0.0
        return min(float(self._length[lane]), self._reach.get(lane, (0.0, 0))[0])


def _behind(
    lost: Sequence[tuple[float, float]], picture: Picture, standing: npt.NDArray[np.intp],
    cos: Floats, sin: Floats, half: Floats, reach: Floats,
) -> npt.NDArray[np.bool_]:  # fmt: skip
    """Who stands behind a place where something stood that is not found just now, shape (C,).

    `cos`, `sin`, `reach` have shape (C, 1), `half` is half the length of all N tracks.
    """
    if not lost:
        return np.zeros(len(standing), np.bool_)
    offset = np.array(lost)[None, :, :] - picture.position[standing][:, None, :]
    ahead = offset[..., 0] * cos + offset[..., 1] * sin
    aside = np.abs(offset[..., 1] * cos - offset[..., 0] * sin)
    # A body's length in front of its middle: nearer, it is itself under another id.
    there = (ahead > half[standing][:, None]) & (ahead < reach) & (aside < CORRIDOR)
    return np.asarray(there.any(axis=1), np.bool_)
