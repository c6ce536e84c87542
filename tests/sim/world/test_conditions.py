"""What is true of a link is true of everybody on it, whoever put them there."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Size
from rsu.sim.world.conditions import Conditions
from rsu.sim.world.movers import Leg, Mover
from rsu.sim.world.paths import Path
from rsu.sim.world.scene import Weather
from rsu.site.lanes import SiteMap


def _standing(site: SiteMap, number: int, object_class: ObjectClass, station: float) -> Mover:
    x, y, heading = site.lane("out-w-1").at(station)
    spot = Path(np.array([(x, y), (x + 0.01 * np.cos(heading), y + 0.01 * np.sin(heading))]))
    return Mover(number, object_class, Size(4.5, 1.8, 1.5), (Leg(spot, 0.0, 600.0),))


@pytest.mark.parametrize(
    ("object_class", "kinds"),
    [(ObjectClass.CAR, ["congestion"]), (ObjectClass.OBSTACLE, []), (ObjectClass.PEDESTRIAN, [])],
)
def test_scripted_vehicles_congest_a_link_as_others_do(
    junction_map: SiteMap, object_class: ObjectClass, kinds: list[str]
) -> None:
    # Eight on 240 m of lane: 33 vehicles per kilometre and lane, and nobody moves.
    movers = [_standing(junction_map, i, object_class, 60.0 + 7 * i) for i in range(8)]
    numbers = count(1)
    conditions = Conditions(junction_map, lambda: next(numbers))
    traffic = SimpleNamespace(vehicles=[])
    for second in range(60):
        conditions.step(second * NS_PER_S, traffic, movers, Weather())  # type: ignore[arg-type]
    events = list(conditions.events())
    assert [event.kind for event in events] == kinds
    assert all(event.lanes == ("out-w-1", "out-w-2") for event in events)
