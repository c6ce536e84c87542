"""A lot's gates: who drives in and out along its aisles.

In: pictures. Out: vehicles counted in and out. A gate's line lies across an aisle between its outer
end and its first bay, as near to the bays as cars still drive straight on: cameras look there. Only
tracks that are seen on both sides of the line count: what was missed shows in the balance.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rsu.schema.units import NS_PER_S
from rsu.site.features import Direction
from rsu.site.lanes import LaneKind, SiteMap
from rsu.situation.parking.bays import BayGrid
from rsu.situation.parking.occupants import PARKS
from rsu.situation.picture import MEMORY_NS, Picture

TURNING = 8.0
"""m before a bay within which a car may already turn into it (turning circle of 11 m, and its own
half length)."""
LONGEST_STEP_NS = 3 * NS_PER_S  # between two places of a track for it to have driven between them


@dataclass(frozen=True)
class Gate:
    """A line across `lane` (index of `SiteMap.lanes`) at `station` m; `inward` is +1 where the lot
    lies in the drawn direction, -1 where it lies against it."""

    lane: int
    station: float
    inward: int


class Gates:
    """Counts over all gates of a lot."""

    def __init__(self, grid: BayGrid, site: SiteMap) -> None:
        self.aisles = frozenset(aisles_of(grid, site))
        self.gates = tuple(_gates(grid, site, self.aisles))
        self.entries = 0
        self.exits = 0
        self._seen: dict[int, tuple[int, float, int]] = {}  # lane, station, when

    def follow(self, picture: Picture) -> None:
        """Count who passed a line since the last picture."""
        road = picture.road
        for row in np.flatnonzero(road.inside).tolist():
            track = picture.tracks[row]
            lane, station = int(road.lane[row]), float(road.station[row])
            if lane not in self.aisles or track.object_class not in PARKS:
                continue
            # What fusion extrapolates is no crossing until it is measured again.
            if track.updated_ns < picture.time_ns - NS_PER_S:
                continue
            before = self._seen.get(track.id)
            self._seen[track.id] = (lane, station, picture.time_ns)
            if before is None or before[0] != lane:
                continue
            if picture.time_ns - before[2] > LONGEST_STEP_NS:
                continue
            for gate in self.gates:
                if gate.lane != lane:
                    continue
                was, is_now = (gate.inward * (s - gate.station) for s in (before[1], station))
                self.entries += int(was < 0.0 <= is_now)
                self.exits += int(is_now < 0.0 <= was)
        oldest = picture.time_ns - MEMORY_NS
        if any(when < oldest for _, _, when in self._seen.values()):
            self._seen = {k: v for k, v in self._seen.items() if v[2] >= oldest}

    def within(self, lane: int, station: float) -> bool:
        """Whether a place on an aisle lies between the gates: who is there has been counted in."""
        return all(
            gate.inward * (station - gate.station) >= 0.0
            for gate in self.gates
            if gate.lane == lane
        )

    def forget(self) -> None:
        """Begin anew."""
        self.entries = self.exits = 0
        self._seen.clear()


def aisles_of(grid: BayGrid, site: SiteMap) -> list[int]:
    """The lanes that bays are reached from, and parking aisles that these lead to or come from."""
    names = {zone.lane for zone in grid.zones if zone.lane is not None}
    aisles = {lane.id for lane in site.lanes_of(kind=LaneKind.PARKING_AISLE)}
    grown: set[str] = set()
    while grown != names:
        grown = set(names)
        for name in grown:
            neighbours = (*site.lane(name).successors, *site.predecessors[name])
            names |= aisles.intersection(neighbours)
    return sorted(site.lane_index[name] for name in names)


def _gates(grid: BayGrid, site: SiteMap, aisles: frozenset[int]) -> Iterable[Gate]:
    names = {site.lanes[index].id for index in aisles}
    stations: dict[str, list[float]] = {}
    for zone, centre, width in zip(grid.zones, grid.centre, grid.width, strict=True):
        if zone.lane is not None:
            only = SiteMap(site.frame, (site.lane(zone.lane),))
            at = float(only.match(centre[None], max_distance=100.0).station[0])
            if np.isfinite(at):
                stations.setdefault(zone.lane, []).extend((at - width / 2, at + width / 2))
    for index in sorted(aisles):
        lane = site.lanes[index]
        near = stations.get(lane.id)
        both = lane.direction is Direction.BOTH
        leads_on = names.intersection(lane.successors)
        comes_from = names.intersection(site.predecessors[lane.id])
        middle = lane.length / 2
        if not comes_from:
            first = middle if near is None else max(min(near) - TURNING, min(near) / 2)
            yield Gate(index, first, 1)
        if not leads_on and (both or not comes_from or near is not None):
            last = middle
            if near is not None:
                last = min(max(near) + TURNING, (max(near) + lane.length) / 2)
            yield Gate(index, last, -1)
