"""The way to the nearest free bay, or out, for vehicles that asked.

In: requests (`ParkingRequest`) and which bays are free. Out: `ParkingGuidance` per vehicle, along
aisles that follow one another. A bay is promised to one vehicle at a time, and given up when
somebody else takes it; who has arrived, has given up or asked too long ago is guided no more.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from rsu.schema.parking import BayStatus, ParkingGuidance, ParkingRequest
from rsu.schema.units import NS_PER_S
from rsu.site.features import Direction
from rsu.site.lanes import SiteMap
from rsu.situation.parking.bays import BayGrid

MOST = 16
"""Vehicles at a time: as many as parkingAreaGuidance holds (docs/messages/csae-pam.md)."""
LANES_MOST = 32  # drivePath, SIZE (1..32)


@dataclass(slots=True)
class _Guided:
    request: ParkingRequest
    bay: str | None = None
    lanes: tuple[str, ...] = ()


class Guidance:
    """Who is guided where."""

    def __init__(self, grid: BayGrid, site: SiteMap, aisles: Collection[int], last_s: float):
        self._grid = grid
        self._site = site
        self._aisles = [site.lanes[index].id for index in sorted(aisles)]
        self._last_ns = round(last_s * NS_PER_S)
        self._guided: dict[bytes, _Guided] = {}
        self._bay_station = {
            zone.id: _station(site, zone.lane, centre)
            for zone, centre in zip(grid.zones, grid.centre, strict=True)
            if zone.lane is not None
        }

    def hear(self, request: ParkingRequest) -> None:
        """Somebody asks, or asks no more."""
        held = self._guided.get(request.vehicle)
        if request.cancel:
            self._guided.pop(request.vehicle, None)
        elif held is not None and held.request.leaving == request.leaving:
            held.request = request
        elif held is not None or len(self._guided) < MOST:
            self._guided[request.vehicle] = _Guided(request)

    def plan(self, status: Mapping[str, BayStatus], time_ns: int) -> tuple[ParkingGuidance, ...]:
        """Everybody's way now; who has none (no free bay, no way known) is not guided. A promised
        bay that is not known any more may be the vehicle itself driving in: the promise stays."""
        free = {bay for bay, now in status.items() if now is BayStatus.FREE}
        kept = free | {bay for bay, now in status.items() if now is BayStatus.UNKNOWN}
        for vehicle, one in list(self._guided.items()):
            if time_ns - one.request.time_ns > self._last_ns:
                del self._guided[vehicle]
        promised: set[str | None] = {one.bay for one in self._guided.values() if one.bay in kept}
        for one in self._guided.values():
            if one.request.leaving:
                one.lanes = one.lanes or self._way_out(one.request)
            elif one.bay not in kept or not one.lanes:
                promised.discard(one.bay)
                one.bay, one.lanes = self._nearest(one.request, free - promised)
                promised.add(one.bay)
        return tuple(
            ParkingGuidance(vehicle=vehicle, lanes=one.lanes, bay=one.bay)
            for vehicle, one in self._guided.items()
            if one.lanes and len(one.lanes) <= LANES_MOST
        )

    def arrived(self, bay: str) -> None:
        """Somebody came to a bay: whoever was guided there is there, or must ask again."""
        self._guided = {k: one for k, one in self._guided.items() if one.bay != bay}

    def forget(self) -> None:
        """Nobody is guided."""
        self._guided.clear()

    def _nearest(
        self, request: ParkingRequest, free: Collection[str]
    ) -> tuple[str | None, tuple[str, ...]]:
        starts = self._starts(request)
        lengths, ways = self._ways(starts)
        best: tuple[float, str] | None = None
        for bay in self._grid.names:
            zone = self._grid.zones[self._grid.index[bay]]
            if bay not in free or zone.lane is None:
                continue
            at = self._bay_station[bay]
            begin = starts.get(zone.lane)
            if begin is not None and (at >= begin or self._both(zone.lane)):
                length = abs(at - begin)
                ways.setdefault(zone.lane, (zone.lane,))
            elif zone.lane in lengths and begin is None:
                length = lengths[zone.lane] + at
            else:
                continue
            if best is None or (length, bay) < best:
                best = (length, bay)
        if best is None:
            return None, ()
        lane = self._grid.zones[self._grid.index[best[1]]].lane
        assert lane is not None
        return best[1], ways[lane]

    def _way_out(self, request: ParkingRequest) -> tuple[str, ...]:
        """Aisles to one that leads on to other roads, else to one that ends."""
        starts = self._starts(request)
        lengths, ways = self._ways(starts)
        aisles = set(self._aisles)
        ends = [
            name
            for name in self._aisles
            if name in ways and not aisles.intersection(self._site.lane(name).successors)
        ]
        if not ends:
            return ()
        return ways[min(ends, key=lambda name: (lengths.get(name, 0.0), name))]

    def _starts(self, request: ParkingRequest) -> dict[str, float]:
        """Aisles where it may be, and how far along: where it says it is, else the entries."""
        if request.position is not None:
            match = self._site.match([(request.position.x, request.position.y)])
            lane = int(match.lane[0])
            if lane >= 0 and bool(match.inside[0]) and self._site.lanes[lane].id in self._aisles:
                return {self._site.lanes[lane].id: float(match.station[0])}
        aisles = set(self._aisles)
        entries = [n for n in self._aisles if not aisles.intersection(self._site.predecessors[n])]
        return dict.fromkeys(entries or self._aisles[:1], 0.0)

    def _ways(
        self, starts: Mapping[str, float]
    ) -> tuple[dict[str, float], dict[str, tuple[str, ...]]]:
        """Length to the beginning of every aisle that can be reached (Dijkstra), and the way."""
        aisles = set(self._aisles)
        lengths: dict[str, float] = {}
        ways: dict[str, tuple[str, ...]] = {}
        queue: list[tuple[float, tuple[str, ...]]] = [
            (-begin, (name,)) for name, begin in sorted(starts.items())
        ]
        heapq.heapify(queue)
        while queue:
            length, way = heapq.heappop(queue)
            name = way[-1]
            if name in lengths:
                continue
            lengths[name], ways[name] = length, way
            lane = self._site.lane(name)
            for other in lane.successors:
                if other in aisles and other not in lengths:
                    heapq.heappush(queue, (length + lane.length, (*way, other)))
        return lengths, ways

    def _both(self, lane: str) -> bool:
        return self._site.lane(lane).direction is Direction.BOTH


def _station(
    site: SiteMap, lane: str, point: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> float:
    match = SiteMap(site.frame, (site.lane(lane),)).match(point[None], max_distance=100.0)
    return float(np.nan_to_num(match.station[0]))
