"""Queues on lanes: who waits one behind another, how far back, and whether it spills back.

In: pictures. Out: a `Queue` for every lane that has one, twice a second. Traffic, congestion
and spill-back read the same queues.

A vehicle joins a queue below 5 km/h and leaves it above 10 km/h; a queue goes on behind a vehicle
while the next one that waits is within 20 m (the usual conditions of microscopic simulation, PTV
Vissim, "queue counters"; HCM 2010, ch. 31 states the same idea with 5 mph). Who waits in the shadow
of a truck is not seen, but who waits behind them is: nobody halts with an empty road in front of
him, so the room between is taken to be filled, at the spacing that such a queue has. Who waited at
the end and is not found any more still does, until the one before him drives off: nobody leaves a
queue from within. What is concluded and what was seen are told apart (`vehicles`, `tracks`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from rsu.schema.units import NS_PER_S
from rsu.site.lanes import LaneRole, SiteMap
from rsu.situation.cadence import Cadence
from rsu.situation.picture import ROAD_KINDS, Picture

JOINS_BELOW = 5.0 / 3.6  # m/s
LEAVES_ABOVE = 10.0 / 3.6  # m/s
REACH = 20.0  # m of free road that a queue still goes on across
STANDING_GAP = 2.0  # m between bumpers at rest (Treiber & Kesting 2013, table 11.2: s0)
SPACING = 7.0
"""m from front to front at rest: a car of 4.7 m and the gap, with an admixture of longer vehicles
(HCM 2010, ch. 31: 25 ft, 7.6 m, with American cars)."""
FOLLOWING_S = 1.2  # s of gap per m/s of those who move (Treiber & Kesting 2013, table 11.2: T)
LONGEST_FILL = 60.0
"""m: more than this is never taken to be filled; the shadow of a truck at 80 m from a camera 8 m
up is shorter."""
SPILLS_WITHIN = SPACING  # m of a lane's beginning: the next vehicle would not find room
SEES_NS = 120 * NS_PER_S  # ns for which one who was seen tells how far back a lane is seen
LOST_NS = 30 * NS_PER_S  # ns that who is lost still waits at most: a red of a usual cycle, 60 s
TURN = (6, 4)
"""Twice a second (`Cadence`): start waves travel at 5 m/s, half a vehicle in this time."""


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue on `site.lanes[lane]`.

    `tracks` are those seen in it, from its head; `vehicles` counts those between them as well.
    `front` and `back` are stations (m along the lane) of the first's front and the last's rear;
    `since_ns` is when the lane began to have a queue. `open_end`: nobody was seen beyond its back
    lately, so that it may be longer.
    """

    lane: int
    tracks: tuple[int, ...]
    vehicles: int
    front: float
    back: float
    since_ns: int
    spill_back: bool
    open_end: bool = False

    @property
    def length(self) -> float:
        """From the front of the first to the rear of the last, m."""
        return self.front - self.back


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A vehicle on a lane, from its head on: stations of its ends, m."""

    track: int
    front: float
    rear: float
    speed: float
    queued: bool
    seen_ns: int
    lost: bool = False


class QueueTracker:
    """Remembers who waits. One for each who asks: it is cheap, and nobody shares state."""

    def __init__(self, site: SiteMap) -> None:
        lanes = site.lanes
        self._kept = [i for i, lane in enumerate(lanes) if lane.kind in ROAD_KINDS]
        # Who waits inside a junction gives way there; it holds up its entry once that is full.
        self._open = np.array(
            [lane.role is not LaneRole.CONNECTION for lane in lanes], dtype=np.bool_
        )
        self._queued: set[int] = set()
        self._since: dict[int, int] = {}
        self._queues: dict[int, Queue] = {}
        self._waited: dict[int, tuple[int, _Waiting]] = {}  # lane and place, by track
        self._seen_to: dict[int, tuple[float, int]] = {}  # farthest back, m, and when
        self._cadence = Cadence(*TURN)

    def look(self, picture: Picture) -> dict[int, Queue]:
        """Queues by lane (index in the map); those of the last look if it was just now."""
        if not self._cadence.due(picture.time_ns):
            return self._queues
        self._remember(picture)
        self._queues = {}
        for lane, members in self._by_lane(picture):
            queue = self._queue(lane, members, picture.time_ns)
            if queue is not None:
                self._queues[lane] = queue
        self._since = {lane: queue.since_ns for lane, queue in self._queues.items()}
        return self._queues

    def forget(self) -> None:
        """The clock was set back."""
        self._queued.clear()
        self._since.clear()
        self._seen_to.clear()
        self._waited.clear()
        self._queues = {}
        self._cadence.forget()

    def _remember(self, picture: Picture) -> None:
        ids = [track.id for track in picture.tracks]
        speed = picture.speed
        stay = {ids[i] for i in np.flatnonzero(speed <= LEAVES_ABOVE).tolist()}
        # Far away, where speeds are known to some m/s, one who stands is long told as creeping. A
        # new track is told as slow, since it is as likely to go either way: that says nothing.
        std = np.array([track.speed_std for track in picture.tracks])
        slow = (speed < JOINS_BELOW) | ((speed - std < JOINS_BELOW) & (speed <= LEAVES_ABOVE))
        slow &= std < LEAVES_ABOVE
        join = {ids[i] for i in np.flatnonzero(slow).tolist()}
        self._queued = (self._queued & stay) | join

    def _by_lane(self, picture: Picture) -> Iterator[tuple[int, list[_Waiting]]]:
        """Lanes with somebody who waits, and everybody on them, from the head on."""
        road, tracks = picture.road, picture.tracks
        here = np.flatnonzero(road.inside & picture.vehicle)
        here = here[self._open[road.lane[here]]]
        found: dict[int, list[_Waiting]] = {}
        waits: set[int] = set()
        order = here[np.argsort(-road.station[here], kind="stable")]
        rows = zip(
            order.tolist(), road.lane[order].tolist(), road.station[order].tolist(),
            picture.speed[order].tolist(), strict=True,
        )  # fmt: skip
        for i, lane, station, speed in rows:
            half = tracks[i].size.length / 2
            queued = tracks[i].id in self._queued
            if queued:
                waits.add(lane)
            one = _Waiting(
                tracks[i].id, station + half, station - half, speed, queued, picture.time_ns
            )
            found.setdefault(lane, []).append(one)
        for lane, members in found.items():
            rear, (far, at_ns) = members[-1].rear, self._seen_to.get(lane, (1e9, 0))
            if rear <= far or picture.time_ns - at_ns > SEES_NS:
                self._seen_to[lane] = (rear, picture.time_ns)
        self._add_lost(found, {track.id for track in tracks}, picture.time_ns)
        for lane in self._kept:
            if lane in waits:
                yield lane, found[lane]

    def _add_lost(self, found: dict[int, list[_Waiting]], present: set[int], time_ns: int) -> None:
        """Put those who waited and are not found any more behind those who wait before them."""
        waited = {one.track: (lane, one) for lane, members in found.items()
                  for one in members if one.queued}  # fmt: skip
        lost = [(n, *one) for n, one in self._waited.items() if n not in present]
        for number, lane, one in sorted(lost, key=lambda item: -item[2].front):
            members = found.get(lane, [])
            ahead = [other for other in members if other.front > one.front]
            here = any(abs(other.front - one.front) < SPACING for other in members)
            held = ahead and ahead[-1].queued and ahead[-1].rear - one.front <= LONGEST_FILL
            if here or not held or time_ns - one.seen_ns > LOST_NS:
                continue
            kept = replace(one, lost=True, speed=0.0)
            waited[number] = lane, kept
            members.insert(len(ahead), kept)
        self._waited = waited

    def _queue(self, lane: int, members: list[_Waiting], time_ns: int) -> Queue | None:
        head = next((i for i, one in enumerate(members) if one.queued), None)
        if head is None:
            return None
        first = last = members[head]
        tracks, hidden = [first.track], 0  # the first is seen: who is lost has one before him
        for leader, one in zip(members[head:], members[head + 1 :], strict=False):
            between = hidden_between(leader, one)
            if one.queued:
                if last.rear - one.front > REACH and not between:
                    break
                last = one
                hidden += between
                if one.lost:
                    hidden += 1
                else:
                    tracks.append(one.track)
        back = max(last.rear, 0.0)
        return Queue(
            lane=lane,
            tracks=tuple(tracks),
            vehicles=len(tracks) + hidden,
            front=first.front,
            back=back,
            since_ns=self._since.get(lane, time_ns),
            spill_back=back < SPILLS_WITHIN,
            open_end=SPILLS_WITHIN <= back < self._seen_to[lane][0] + SPACING,
        )


def hidden_between(leader: _Waiting, follower: _Waiting) -> int:
    """How many wait unseen between two neighbours of whom the one behind waits.

    They stand at `SPACING`, farther apart the faster they are; speeds between are taken to change
    evenly, and who is in the upper half between joining and leaving does not wait any more.
    """
    room = leader.rear - follower.front - STANDING_GAP
    if not follower.queued or room > LONGEST_FILL:
        return 0
    slope = (leader.speed - follower.speed) / max(room, SPACING)
    found, way = 0, 0.0
    while True:
        speed = follower.speed + slope * way
        way += SPACING + FOLLOWING_S * speed
        # The last place counts when more than half of it is there.
        if speed > (JOINS_BELOW + LEAVES_ABOVE) / 2 or way > room + SPACING / 2:
            return found
        found += 1
