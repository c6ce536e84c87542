"""The SUMO network of a site: which of its lanes, edges and lights are the map's.

A loaded network (libsumo) and the map's `Roads` go in. Lanes that `tools.make_sumo_net` has made
carry the id of the map's lane; out come the place of every SUMO lane on the map, the edges of every
route with what leads there from beyond the map, and the signal group of every light. A network that
was made from another map is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rsu.sim.errors import SimulationError
from rsu.sim.world.roads import DRIVABLE, Roads, Route
from rsu.site.lanes import Lane, LaneRole

KEY = "rsu"
"""Parameter of a lane in the network that holds the id of the map's lane."""
NEAR = 0.1
"""m by which a lane's ends may lie elsewhere in the network: coordinates are rounded to 1 mm, and
whoever edits a map moves lanes by more than this."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a SUMO lane begins on the map: the map's lane, and how far along it, m."""

    lane: str
    offset: float


@dataclass(frozen=True, eq=False)
class Network:
    """`places` by SUMO lane; `lights` by traffic light the signal group of each of its links."""

    places: Mapping[str, Place]
    lights: Mapping[str, tuple[int | None, ...]]
    _edges: Mapping[str, str]
    _indices: Mapping[str, int]
    _before: Mapping[str, str]
    _after: Mapping[str, str]
    _over: Mapping[tuple[str, str], Route] = field(default_factory=dict)

    def edges(self, route: Route) -> tuple[str, ...]:
        """SUMO's edges of a route, as far as the map goes."""
        names = (self._edges[lane] for lane in route.lanes if lane in self._edges)
        return tuple(dict.fromkeys(names))

    def way(self, route: Route) -> tuple[str, ...]:
        """The same from the network's edge to its edge, as long as there is only one way on."""
        edges = list(self.edges(route))
        while (before := self._before.get(edges[0])) is not None and before not in edges:
            edges.insert(0, before)
        while (after := self._after.get(edges[-1])) is not None and after not in edges:
            edges.append(after)
        return tuple(edges)

    def index(self, lane: str) -> int:
        """Which lane of its edge one of the map's is, from the right."""
        return self._indices[lane]

    def over(self, route: Route, lane: str) -> Route:
        """The route over a lane of the map to where `route` ends; `route` where there is none."""
        if lane in route.lanes:
            return route
        return self._over.get((lane, self._edges[route.lanes[-1]]), route)


def open_network(sumo: Any, roads: Roads) -> Network:
    """Find the map in the network that is loaded.

    Raises SimulationError, naming the lane, where they do not belong together.
    """
    names = [name for name in sumo.lane.getIDList() if not name.startswith(":")]
    mine = {name: lane for name in names if (lane := sumo.lane.getParameter(name, KEY))}
    _fits(sumo, roads, mine)
    edges = {lane: sumo.lane.getEdgeID(name) for name, lane in mine.items()}
    places = {name: Place(lane, 0.0) for name, lane in mine.items()}
    for name, lane in mine.items():
        for link in sumo.lane.getLinks(name):
            _follow(sumo, roads, lane, mine.get(link[0]), link[4], places)
    before, after = _beyond(sumo, names)
    own = set(edges.values())
    return Network(
        places=places,
        lights=_lights(sumo, roads, mine),
        _edges=edges,
        _indices={lane: int(name.rsplit("_", 1)[1]) for name, lane in mine.items()},
        _before={edge: other for edge, other in before.items() if other not in own},
        _after={edge: other for edge, other in after.items() if other not in own},
        _over={
            (lane, edges[route.lanes[-1]]): route
            for route in reversed(roads.routes)  # the first one of several counts
            for lane in route.lanes
            if roads.lanes[lane].role is not LaneRole.EXIT
        },
    )


def _fits(sumo: Any, roads: Roads, mine: Mapping[str, str]) -> None:
    """Every lane that routes use is there, and lies where the map has it."""
    again = "make it again: python -m tools.make_sumo_net"
    found = {lane: name for name, lane in mine.items()}
    used = dict.fromkeys(lane for route in roads.routes for lane in route.lanes)
    for name in used:
        lane = roads.lanes[name]
        if lane.kind not in DRIVABLE or lane.role is LaneRole.CONNECTION:
            continue
        if name not in found:
            raise SimulationError(f"the SUMO network has no lane {name!r} of the map; {again}")
        shape = sumo.lane.getShape(found[name])
        for there, here in ((shape[0], lane.centreline[0]), (shape[-1], lane.centreline[-1])):
            if math.dist(there, here) > NEAR:
                raise SimulationError(
                    f"lane {name!r} lies elsewhere in the SUMO network than on the map; {again}"
                )


def _follow(
    sumo: Any, roads: Roads, lane: str, target: str | None, via: str, places: dict[str, Place]
) -> None:
    """Note the lanes inside the junction that lead from one of the map's lanes to another."""
    connection = None if target is None else _connection(roads, lane, target)
    offset = 0.0
    while connection is not None and via:
        places[via] = Place(connection.id, offset)
        offset += sumo.lane.getLength(via)
        # A turn that may wait within the junction is two lanes one after the other.
        onward = sumo.lane.getLinks(via)
        via = onward[0][4] if onward else ""


def _connection(roads: Roads, lane: str, target: str) -> Lane | None:
    for name in roads.lanes[lane].successors:
        connection = roads.lanes.get(name)
        if connection is not None and target in connection.successors:
            return connection
    return None


def _beyond(sumo: Any, names: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The one edge before and after each edge, where it is one."""
    before: dict[str, set[str]] = {}
    after: dict[str, set[str]] = {}
    for name in names:
        edge = sumo.lane.getEdgeID(name)
        for link in sumo.lane.getLinks(name):
            onward = sumo.lane.getEdgeID(link[0])
            after.setdefault(edge, set()).add(onward)
            before.setdefault(onward, set()).add(edge)
    return _single(before), _single(after)


def _single(found: Mapping[str, set[str]]) -> dict[str, str]:
    return {edge: next(iter(others)) for edge, others in found.items() if len(others) == 1}


def _lights(sumo: Any, roads: Roads, mine: Mapping[str, str]) -> dict[str, tuple[int | None, ...]]:
    lights: dict[str, tuple[int | None, ...]] = {}
    lit: set[str] = set()
    for light in sumo.trafficlight.getIDList():
        groups: list[int | None] = []
        for links in sumo.trafficlight.getControlledLinks(light):
            connection = None
            for start, end, _ in links:
                if start in mine and end in mine:
                    connection = _connection(roads, mine[start], mine[end])
            groups.append(None if connection is None else connection.signal_group)
            lit.update(() if connection is None else (connection.id,))
        lights[light] = tuple(groups)
    for name, lane in roads.connections.items():
        if lane.signal_group is not None and name not in lit:
            raise SimulationError(
                f"connection {name!r} of the map has a signal, and none in the SUMO network; "
                "make it again: python -m tools.make_sumo_net"
            )
    return lights
