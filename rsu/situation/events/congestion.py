"""Congestion: traffic on an approach or an exit is slow and dense over a minute.

In: pictures. Out: sightings, one per link. Speed and density are Edie's over the last minute of the
link: way covered / time spent, time spent / (length · time). Level of service F bounds both: 30 %
of the limit (urban streets, HCM 2010 exhibit 16-4) and 28 vehicles per kilometre and lane
(exhibit 11-5); one car that waits at a red light is slow, and one full platoon is dense, but not
both. Who is not found counts as well: those hidden in queues, and those on the part of an approach
that is too far away.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rsu.config.situation import EventOptions
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import SiteMap
from rsu.situation.cadence import Cadence
from rsu.situation.events import kinds
from rsu.situation.events.book import Sighting
from rsu.situation.events.surroundings import Link, links_of, normal_share
from rsu.situation.picture import Picture
from rsu.situation.queues import QueueTracker

TURN = (6, 1)  # twice a second (`Cadence`): a minute's mean does not need more
LONGEST_STEP_NS = NS_PER_S  # between looks; beyond two turns nobody was looking
WATCHED = 0.48  # share of the minute that must have been watched
CROWD = 5  # vehicles that stand on a link at once: more than a usual red light holds up
FIRST = 0.5
"""When a link is judged for the first time nobody knows which side of the hysteresis it was on:
half-way between both bounds of the density decides."""
LEAVING = 0.6
"""Share of the density that is enough on an exit: no light explains that anybody is slow there, and
of a queue seen from behind not half is seen."""
UNKNOWN_S = 20.0
"""s of watching an approach before which a queue may be on it that set off unseen: starts go back
through it with 5 to 6 m/s, over the 100 m or so that anybody is found on."""
SOME = 3  # … and enough while nobody has watched for long
QUEUES = 3.0  # m/s: slower than this is standing in a queue or moving up in it
SPACING = (
    8.0  # m from front to front in a queue of cars and some lorries (HCM 2010: 25 ft and more)
)
OUTERMOST = 30.0  # m behind where vehicles come into sight: one of two or three is in it
FIRST_SEEN = 0.6  # of an approach: new tracks further on are of those who were lost
BORN_LEAST, BORN_MOST = 5, 20  # new tracks whose median says where vehicles come into sight
KNOWN = 200  # tracks remembered: more than an approach holds in minutes
EASED_SHARE, EASED = 0.40, 0.022
"""It is over above the bound of level E to D (speed), or below 22 vehicles per km and lane (35
pc/mi/ln)."""


@dataclass(slots=True)
class _Second:
    """Sums over one second of one link."""

    watched_s: float = 0.0
    present: float = 0.0  # vehicles × s
    way: float = 0.0  # m


@dataclass(slots=True)
class _Flow:
    link: Link
    leaving: bool
    seconds: deque[_Second] = field(default_factory=deque)
    state: tuple[float, float, float] = (0.0, math.inf, 0.0)
    congested: bool = False
    judged: bool = False
    since_ns: int = 0
    # Tracks that were on it, and how far along it the last new ones were.
    known: dict[int, None] = field(default_factory=dict)
    born: deque[float] = field(default_factory=lambda: deque(maxlen=BORN_MOST))


class CongestionDetector:
    """Keeps the last minute of every link."""

    kinds: tuple[str, ...] = (kinds.CONGESTION,)

    def __init__(self, site: SiteMap, options: EventOptions) -> None:
        self._options = options
        self._window = round(options.congestion_window_s)
        self._flows = [
            _Flow(link, not any(site.lanes[i].successors for i in link.lanes))
            for link in links_of(site)
        ]
        self._of_lane = np.full(len(site.lanes) + 1, -1)
        for index, flow in enumerate(self._flows):
            self._of_lane[list(flow.link.lanes)] = index
        self._second = -1
        self._cadence = Cadence(*TURN)
        self._queues = QueueTracker(site)
        self._last_ns: int | None = None
        self._seen: list[Sighting] = []
        self._standing: list[int] = [0] * len(self._flows)
        self._leads_on = np.array([bool(lane.successors) for lane in site.lanes], np.bool_)

    def look(self, picture: Picture) -> list[Sighting]:
        """Links that are congested now."""
        if self._cadence.due(picture.time_ns):
            self._seen = self._look(picture)
        return self._seen

    def _look(self, picture: Picture) -> list[Sighting]:
        step_s = (
            min(picture.time_ns - (self._last_ns or picture.time_ns), LONGEST_STEP_NS) / NS_PER_S
        )
        self._last_ns = picture.time_ns
        begun = self._begin_second(picture.time_ns)
        queues = self._queues.look(picture)
        flow_of = np.where(
            picture.vehicle & picture.road.inside, self._of_lane[picture.road.lane], -1
        )
        sightings = []
        stands = flow_of[picture.standing_since_ns >= 0]
        self._standing = np.bincount(stands[stands >= 0], minlength=len(self._flows)).tolist()
        for index, flow in enumerate(self._flows):
            second = flow.seconds[-1]
            second.watched_s += step_s
            rows = np.flatnonzero(flow_of == index)
            if len(rows):
                if flow.leaving:
                    hidden = self._hidden(picture, rows)
                else:
                    waiting = (queues[lane] for lane in flow.link.lanes if lane in queues)
                    hidden = sum(one.vehicles - len(one.tracks) for one in waiting)
                    self._beyond(picture, flow, rows, second, step_s)
                second.present += (len(rows) + hidden) * step_s
                second.way += float(picture.speed[rows].sum()) * step_s
            if begun:
                flow.state = self._state(flow)
                self._judge(flow, picture.time_ns)
            if flow.congested:
                sightings.append(self._said(picture, flow, rows, index))
        return sightings

    def forget(self) -> None:
        """The clock was set back."""
        for flow in self._flows:
            flow.seconds.clear()
            flow.congested, flow.judged = False, False
            flow.known.clear()
            flow.born.clear()
            flow.state = (0.0, math.inf, 0.0)
        self._second = -1
        self._cadence.forget()
        self._queues.forget()
        self._last_ns, self._seen = None, []

    def dense(self, lane: int) -> bool:
        """Whether so many stand on a lane's link, or are on it, that they say nothing by it."""
        index = int(self._of_lane[lane])
        if index < 0:
            return False
        watched, _, density = self._flows[index].state
        known = watched >= WATCHED * self._window
        return self._standing[index] >= (CROWD if known else SOME) or (known and density >= EASED)

    def unclear(self, lane: int) -> bool:
        """Whether it is dense, or an approach that nobody has watched for long enough to say no."""
        index = int(self._of_lane[lane])
        if index < 0:
            return False
        flow = self._flows[index]
        return self.dense(lane) or (flow.state[0] < UNKNOWN_S and not flow.leaving)

    def _hidden(self, picture: Picture, rows: npt.NDArray[np.intp]) -> float:
        """Vehicles that a queue on an exit holds besides those found. (`QueueTracker` knows queues
        by their heads, at stop lines.) Sensors look along it, and each vehicle hides the next;
        between two that stand in one lane others do.
        """
        road = picture.road
        hidden = 0.0
        slow = rows[(picture.speed[rows] < QUEUES) & ~self._leads_on[road.lane[rows]]]
        for lane in np.unique(road.lane[slow]).tolist():
            station = road.station[slow[road.lane[slow] == lane]]
            hidden += max(float(np.ptp(station)) / SPACING - (len(station) - 1), 0.0)
        return hidden

    def _beyond(
        self, picture: Picture, flow: _Flow, rows: npt.NDArray[np.intp], second: _Second,
        step_s: float,
    ) -> None:  # fmt: skip
        """Add those who are on an approach and still too far away to be found.

        New tracks show where vehicles come into sight. Farther away there are as many per metre as
        there drive just behind: those who stand there may be the last of a queue, with nobody
        beyond.
        """
        station = picture.road.station[rows]
        for i, at in zip(rows.tolist(), station.tolist(), strict=True):
            number = picture.tracks[i].id
            if number not in flow.known:
                flow.known[number] = None
                if at < FIRST_SEEN * flow.link.length / len(flow.link.lanes):
                    flow.born.append(at)
        while len(flow.known) > KNOWN:
            del flow.known[next(iter(flow.known))]
        if len(flow.born) < BORN_LEAST:
            return
        edge = float(np.median(flow.born))
        there = rows[
            (station >= edge) & (station < edge + OUTERMOST) & (picture.speed[rows] > QUEUES)
        ]
        more = edge / OUTERMOST * step_s
        second.present += len(there) * more
        second.way += float(picture.speed[there].sum()) * more

    def _begin_second(self, time_ns: int) -> bool:
        """Whether a new second has begun: links are judged once in each."""
        second = time_ns // NS_PER_S
        if second == self._second:
            return False
        missed = min(second - self._second, self._window) if self._second >= 0 else 1
        for flow in self._flows:
            flow.seconds.extend(_Second() for _ in range(missed))
            while len(flow.seconds) > self._window:
                flow.seconds.popleft()
        self._second = second
        return True

    def _judge(self, flow: _Flow, time_ns: int) -> None:
        watched, speed, density = flow.state
        if watched < WATCHED * self._window:
            return  # who was not watched is neither congested nor free
        limit = flow.link.limit
        if flow.congested:
            eased = EASED * (LEAVING if flow.leaving else 1.0)
            flow.congested = speed <= EASED_SHARE * limit and density >= eased
        elif speed <= self._options.congestion_speed_share * limit:
            bound = self._options.congestion_density
            if not flow.judged:
                bound -= FIRST * max(bound - EASED, 0.0)
            share = LEAVING if flow.leaving else 1.0
            flow.congested = density >= share * bound
            flow.since_ns = time_ns
        flow.judged = True

    def _state(self, flow: _Flow) -> tuple[float, float, float]:
        """Seconds watched, mean speed m/s, density 1/m."""
        watched = sum(second.watched_s for second in flow.seconds)
        present = sum(second.present for second in flow.seconds)
        if watched <= 0.0 or present <= 0.0:
            return watched, math.inf, 0.0
        way = sum(second.way for second in flow.seconds)
        return watched, way / present, present / watched / flow.link.length

    def _said(
        self, picture: Picture, flow: _Flow, rows: npt.NDArray[np.intp], index: int
    ) -> Sighting:
        _, speed, density = flow.state
        link = flow.link
        if len(rows):
            place = picture.position[rows]
            middle = place.mean(axis=0)
            radius = float(np.hypot(*(place - middle).T).max()) + 5.0
            there = float(np.mean([picture.tracks[i].existence for i in rows.tolist()]))
            std = math.sqrt(sum(picture.tracks[i].speed_std ** 2 for i in rows.tolist())) / len(
                rows
            )
        else:
            middle, radius, there, std = np.zeros(2), link.length / 2, 0.5, 1.0
        sure = normal_share((EASED_SHARE * link.limit - speed) / max(std, 0.1))
        tracks = tuple(sorted(picture.tracks[i].id for i in rows.tolist()))
        sources = {name for i in rows.tolist() for name in picture.tracks[i].sources}
        return Sighting(
            kinds.CONGESTION, index, Vec2(float(middle[0]), float(middle[1])), there * sure,
            radius=radius, lanes=link.names, tracks=tracks, sources=tuple(sorted(sources)),
            description=f"{3.6 * speed:.0f} km/h, {1000 * density:.0f} vehicles/km",
            since_ns=flow.since_ns,
        )  # fmt: skip
