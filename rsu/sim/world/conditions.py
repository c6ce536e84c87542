"""What is true of the road as a whole, and of nobody's doing: congestion, and how far one can see.

The world's state goes in once a second; `TruthEvent`s come out while a condition holds. The
definitions are those of the field, so that a unit is held against them and not against itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from rsu.schema.reports import TruthEvent
from rsu.schema.units import NS_PER_S, Vec2
from rsu.sim.world.movers import Mover
from rsu.sim.world.scene import Weather
from rsu.sim.world.traffic import Traffic
from rsu.site.lanes import Lane, LaneKind, LaneRole, SiteMap

WINDOW_S = 60
"""Traffic at signals is judged over a cycle or more; the example sites' cycle is 60 s."""
SLOW_SHARE = 0.30
"""Share of the speed limit at or below which the mean travel speed is level of service F of urban
streets (HCM 2010, exhibit 16-4)."""
DENSE = 0.028
"""Vehicles per metre of lane from which density is level of service F: 45 pc/mi/ln (HCM 2010,
exhibit 11-5). Together with the speed: a lone vehicle at a red light is no congestion."""
EASED_SHARE, EASED = 0.40, 0.022
"""It is over above the speed of level of service E's upper bound, or below the density of D's
(35 pc/mi/ln): a condition that comes and goes within seconds is one condition."""
FOG = 200.0
"""m of visibility below which fog is a hazard of its own: speed is then limited to 60 km/h on
motorways (Regulations for the Road Traffic Safety Law of China, article 81)."""


@dataclass(eq=False)
class Link:
    """Parallel lanes of one direction: an approach or an exit."""

    lanes: tuple[Lane, ...]
    samples: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=WINDOW_S))
    event: TruthEvent | None = None

    @property
    def length(self) -> float:
        """Of all lanes together, m."""
        return sum(lane.length for lane in self.lanes)

    @property
    def limit(self) -> float:
        """m/s; 50 km/h where the map says nothing (built-up areas)."""
        return max(lane.speed_limit or 13.9 for lane in self.lanes)


class Conditions:
    """Follows the links and the weather of one world."""

    def __init__(self, site_map: SiteMap, number: Callable[[], int]) -> None:
        self._map = site_map
        self._links = links_of(site_map)
        self._of_lane = {lane.id: link for link in self._links for lane in link.lanes}
        self._number = number
        self._fog: TruthEvent | None = None
        self._due_ns = 0

    def step(
        self, now_ns: int, traffic: Traffic, movers: Sequence[Mover], weather: Weather
    ) -> None:
        """Look at the world, once a second. Motor vehicles count on the lane that they are on,
        also those that are there by the script and obey no rule of traffic."""
        if weather.visibility >= FOG:
            self._fog = None
        elif self._fog is None:
            self._fog = TruthEvent(
                id=self._number(), kind="low-visibility", start_ns=now_ns, position=Vec2(0.0, 0.0)
            )
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + NS_PER_S
        here: dict[int, list[tuple[float, float, float]]] = {}
        for vehicle in traffic.vehicles:
            link = self._of_lane.get(vehicle.route.lanes[vehicle.lane])
            if link is not None:
                x, y = vehicle.route.path.at(vehicle.s - vehicle.size.length / 2)
                here.setdefault(id(link), []).append((vehicle.speed, x, y))
        motors = [mover for mover in movers if mover.object_class.is_motor]
        places = [mover.place()[:2] for mover in motors]
        match = self._map.match(np.array(places).reshape(-1, 2), kinds=(LaneKind.VEHICLE,))
        for i in np.flatnonzero(match.inside).tolist():
            link = self._of_lane.get(self._map.lanes[int(match.lane[i])].id)
            if link is not None:
                here.setdefault(id(link), []).append((motors[i].speed, *places[i]))
        for link in self._links:
            self._judge(link, here.get(id(link), []), now_ns)

    def events(self) -> Iterator[TruthEvent]:
        """What holds now."""
        if self._fog is not None:
            yield self._fog
        yield from (link.event for link in self._links if link.event is not None)

    def _judge(self, link: Link, here: list[tuple[float, float, float]], now_ns: int) -> None:
        link.samples.append((len(here), sum(speed for speed, _, _ in here)))
        present = sum(count for count, _ in link.samples)
        if len(link.samples) < WINDOW_S or not present:
            link.event = None
            return
        # Edie's definitions over a minute of the link: distance travelled / time spent.
        speed = sum(total for _, total in link.samples) / present
        density = present / WINDOW_S / link.length
        if link.event is not None:
            if speed > EASED_SHARE * link.limit or density < EASED:
                link.event = None
        elif speed <= SLOW_SHARE * link.limit and density >= DENSE and here:
            link.event = TruthEvent(
                id=self._number(), kind="congestion", start_ns=now_ns,
                position=Vec2(
                    sum(x for _, x, _ in here) / len(here), sum(y for _, _, y in here) / len(here)
                ),
                lanes=tuple(lane.id for lane in link.lanes),
            )  # fmt: skip


def links_of(site_map: SiteMap) -> list[Link]:
    """The approaches and exits of a map; a lane without nodes is a link of its own."""
    groups: dict[object, list[Lane]] = {}
    for lane in site_map.lanes:
        if lane.kind is LaneKind.VEHICLE and lane.role is not LaneRole.CONNECTION:
            nodes = (lane.upstream_node, lane.downstream_node)
            groups.setdefault(lane.id if None in nodes else nodes, []).append(lane)
    return [Link(tuple(lanes)) for lanes in groups.values()]
