"""What of a map traffic is told of: lanes, approaches and movements, and what governs them.

In: a `SiteMap`. Out: indices into its lanes. Only read, never changed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rsu.site.lanes import Lane, LaneKind, LaneRole, SiteMap
from rsu.situation.picture import CITY_LIMIT, ROAD_KINDS
from rsu.situation.traffic.counting import line_station


@dataclass(frozen=True)
class Approach:
    """The entry lanes of one link."""

    lanes: tuple[int, ...]
    upstream_node: int | None
    downstream_node: int | None


@dataclass(frozen=True)
class Movement:
    """One way through a junction: the lane between an entry and an exit."""

    connection: int
    entry: int
    exit: int


class Roads:
    """Tables over all L lanes of a map, by index."""

    def __init__(self, site: SiteMap) -> None:
        lanes, index = site.lanes, site.lane_index
        self.site = site
        self.counted = tuple(i for i, lane in enumerate(lanes) if lane.kind in ROAD_KINDS)
        self.length = np.array([lane.length for lane in lanes])
        self.free_speed = np.array([lane.speed_limit or CITY_LIMIT for lane in lanes])
        self.line = np.array([line_station(lane) for lane in lanes])
        self.groups: dict[int, frozenset[int]] = {}
        self.onward: dict[int, tuple[int, ...]] = {}
        """The connections that an entry alone leads into: their delay is its vehicles'."""
        for i, lane in enumerate(lanes):
            if lane.role is LaneRole.ENTRY:
                ways = [index[name] for name in lane.successors]
                self.groups[i] = frozenset(
                    group for way in ways if (group := lanes[way].signal_group) is not None
                )
                self.onward[i] = tuple(
                    way for way in ways
                    if lanes[way].role is LaneRole.CONNECTION
                    and site.predecessors[lanes[way].id] == (lane.id,)
                )  # fmt: skip
        self.movements = tuple(
            Movement(i, index[entry], index[leave])
            for i, lane in enumerate(lanes)
            if lane.role is LaneRole.CONNECTION and lane.kind in ROAD_KINDS
            for entry in site.predecessors[lane.id]
            for leave in lane.successors
        )
        self.approaches = tuple(_approaches(lanes))

    def governed(self, group: int) -> tuple[int, ...]:
        """Entry lanes that a signal group lets go, wholly or in part."""
        return tuple(lane for lane, groups in self.groups.items() if group in groups)

    def movement(self, entry: int, leave: int) -> int | None:
        """The connection from an entry lane to an exit; to another lane of the exit's link where
        the vehicle changed lanes."""
        there = self._link(leave)
        ways = [one for one in self.movements if one.entry == entry]
        exact = [one.connection for one in ways if one.exit == leave]
        near = [one.connection for one in ways if self._link(one.exit) == there]
        return next(iter(exact + near), None)

    def _link(self, lane: int) -> object:
        one = self.site.lanes[lane]
        nodes = (one.upstream_node, one.downstream_node)
        return lane if None in nodes else nodes


def _approaches(lanes: tuple[Lane, ...]) -> list[Approach]:
    links: dict[object, list[int]] = {}
    for i, lane in enumerate(lanes):
        if lane.role is LaneRole.ENTRY and lane.kind in (LaneKind.VEHICLE, LaneKind.BIKE):
            nodes = (lane.upstream_node, lane.downstream_node)
            links.setdefault(lane.id if None in nodes else nodes, []).append(i)
    return [
        Approach(tuple(some), lanes[some[0]].upstream_node, lanes[some[0]].downstream_node)
        for some in links.values()
    ]
