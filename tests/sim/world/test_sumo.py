"""Traffic by SUMO: the network lies on the map, and what is said to SUMO and heard from it."""

from __future__ import annotations

import builtins
import importlib.util
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from pydantic import ValidationError

from rsu.config.simulation import SimulationOptions
from rsu.schema.units import NS_PER_S
from rsu.sim.errors import SimulationError
from rsu.sim.scenario.model import ParkingDemand, RunRedLight
from rsu.sim.world import sumo
from rsu.sim.world.engine import refused, traffic_engine
from rsu.sim.world.roads import build_roads
from rsu.sim.world.scene import stream
from rsu.sim.world.signals import build_plan
from rsu.sim.world.sumo_network import open_network
from rsu.sim.world.traffic import Traffic
from rsu.sim.world.world import World
from rsu.site.lanes import LaneRole, SiteMap

NETWORK = Path("sumo/junction.net.xml")
OPTIONS = SimulationOptions(
    engine="sumo", network=NETWORK, vehicles_per_hour=6000.0, pedestrians_per_hour=600.0
)


def has_libsumo() -> bool:
    return importlib.util.find_spec("libsumo") is not None


needs_libsumo = pytest.mark.skipif(not has_libsumo(), reason="libsumo is not installed (sim-sumo)")


class FakeSumo:
    """As much of libsumo as reads our own network file, and remembers what it was told."""

    def __init__(self, file: Path) -> None:
        root = ET.parse(file).getroot()
        self.lanes = {lane.get("id"): (edge, lane) for edge in root.iter("edge") for lane in edge}
        self.links: dict[str, list[tuple[Any, ...]]] = {}
        self.controlled: dict[int, list[tuple[str, str, str]]] = {}
        for one in root.iter("connection"):
            start = f"{one.get('from')}_{one.get('fromLane')}"
            end, via = f"{one.get('to')}_{one.get('toLane')}", one.get("via", "")
            self.links.setdefault(start, []).append((end, True, True, False, via))
            if one.get("tl"):
                self.controlled.setdefault(int(one.get("linkIndex", "")), []).append(
                    (start, end, via)
                )
        self.said: list[tuple[Any, ...]] = []
        self.running = False
        self.states: dict[str, tuple[float, float, float, float, str, float]] = {}
        self.lane = SimpleNamespace(
            getIDList=lambda: list(self.lanes),
            getParameter=self._parameter,
            getEdgeID=lambda name: self.lanes[name][0].get("id"),
            getLinks=lambda name: self.links.get(name, []),
            getLength=lambda name: float(self.lanes[name][1].get("length")),
            getShape=self._shape,
        )
        self.trafficlight = SimpleNamespace(
            getIDList=lambda: ["junction"],
            getControlledLinks=lambda _: [links for _, links in sorted(self.controlled.items())],
            setRedYellowGreenState=self._note("lights"),
        )
        self.route = SimpleNamespace(add=self._note("route"))
        self.vehicletype = SimpleNamespace(
            copy=self._note("copy"), setVehicleClass=self._note("class")
        )
        told = ("Length", "Width", "Height", "MinGap", "Tau", "Accel", "Decel", "EmergencyDecel",
                "SpeedFactor", "Speed", "SpeedMode")  # fmt: skip
        self.vehicle = SimpleNamespace(
            add=self._note("add"),
            getIDList=lambda: list(self.states),
            getPosition=lambda name: self.states[name][:2],
            getAngle=lambda name: self.states[name][2],
            getSpeed=lambda name: self.states[name][3],
            getLaneID=lambda name: self.states[name][4],
            getLanePosition=lambda name: self.states[name][5],
            getAllowedSpeed=lambda _: 13.889,
            **{f"set{what}": self._note(what) for what in told},
        )

    def _note(self, what: str) -> Any:
        return lambda *given, **named: self.said.append((what, *given, *named.values()))

    def _parameter(self, name: str, key: str) -> str:
        found = [one.get("value") for one in self.lanes[name][1] if one.get("key") == key]
        return found[0] if found else ""

    def _shape(self, name: str) -> list[tuple[float, ...]]:
        shape = self.lanes[name][1].get("shape")
        return [tuple(map(float, point.split(","))) for point in shape.split()]

    def isLoaded(self) -> bool:  # noqa: N802 - libsumo's name
        return self.running

    def start(self, options: list[str]) -> None:
        self.running = True

    def close(self) -> None:
        self.running = False

    def simulationStep(self) -> None:  # noqa: N802 - libsumo's name
        pass


@pytest.fixture
def fake(root: Path) -> FakeSumo:
    return FakeSumo(root / "configs" / NETWORK)


def begin(fake: FakeSumo, junction_map: SiteMap, per_hour: float = 0.0) -> sumo.SumoTraffic:
    roads = build_roads(junction_map)
    numbers = iter(range(1, 10_000))
    return sumo.SumoTraffic.begin(
        fake, Path("net"), roads, build_plan(roads, 60.0, 0), per_hour, stream(1, "traffic"),
        lambda: next(numbers), 0, 0.05,
    )  # fmt: skip


def test_the_network_lies_on_the_map(fake: FakeSumo, junction_map: SiteMap) -> None:
    network = open_network(fake, build_roads(junction_map))
    lanes = {lane.id: lane for lane in junction_map.lanes}
    found = set()
    for name, place in network.places.items():
        lane = lanes[place.lane]
        found.add(lane.id)
        x, y, _ = lane.at(place.offset)
        assert math.dist(fake._shape(name)[0], (x, y)) < 0.02, name
    wanted = {lane.id for lane in junction_map.lanes if lane.role is not None}
    assert found == {name for name in wanted if lanes[name].role in set(LaneRole)}


def test_ways_begin_and_end_beyond_the_map(fake: FakeSumo, junction_map: SiteMap) -> None:
    roads = build_roads(junction_map)
    network = open_network(fake, roads)
    for route in roads.routes:
        way = network.way(route)
        assert way[1:-1] == network.edges(route)
        assert way[0].endswith("-far")
        assert way[-1].endswith("-far")


def test_every_link_shows_the_light_of_its_group(fake: FakeSumo, junction_map: SiteMap) -> None:
    traffic = begin(fake, junction_map)
    traffic.decide(0, 0.05, {})
    (shown,) = [said[2] for said in fake.said if said[0] == "lights"]
    lanes = {lane.id: lane for lane in junction_map.lanes}
    wanted = ""
    for links in fake.trafficlight.getControlledLinks("junction"):
        via = traffic.network.places[links[0][2]].lane
        light = traffic.plan.light(lanes[via].signal_group, 0)
        wanted += {"red": "r", "protected-green": "G", "permissive-green": "g"}[light.value]
    assert shown == wanted
    assert set(shown) > {"r"}


def test_a_vehicle_keeps_its_size_and_stands_where_sumo_has_it(
    fake: FakeSumo, junction_map: SiteMap
) -> None:
    traffic = begin(fake, junction_map, 100_000.0)
    traffic.arrive(NS_PER_S)
    name = next(said[1] for said in fake.said if said[0] == "add")
    length = next(said[2] for said in fake.said if said[:2] == ("Length", name))
    # Southward (180° from north) on the western lane of the north leg, 20 m from its beginning.
    fake.states[name] = (-5.25, 117.5, 180.0, 10.0, "entry-0_0", 20.0)
    traffic.decide(0, 0.05, {})
    traffic.move(0.05)
    fake.states[name] = (-5.25, 117.0, 180.0, 10.0, "entry-0_0", 20.5)
    traffic.decide(0, 0.05, {})
    ((vehicle, x, y, heading, speed),) = traffic.bodies(0.025)
    assert (vehicle.size.length, vehicle.s) == (length, 20.0)
    assert (x, y) == pytest.approx((-5.25, 117.25 + length / 2))
    assert (heading, speed) == pytest.approx((-math.pi / 2, 10.0))


def test_who_must_stop_is_slowed_down_and_let_go(fake: FakeSumo, junction_map: SiteMap) -> None:
    traffic = begin(fake, junction_map, 100_000.0)
    traffic.arrive(NS_PER_S)
    name = next(said[1] for said in fake.said if said[0] == "add")
    fake.states[name] = (-5.25, 57.5, 180.0, 10.0, "entry-0_0", 80.0)
    traffic.decide(0, 0.05, {})
    traffic.move(0.05)
    vehicle = traffic.vehicles[0]
    vehicle.halt = 100.0
    fake.said.clear()
    traffic.decide(0, 0.05, {})
    # 19.5 m after this step at 2 m/s²: √(2·2·19.5) = 8.83 m/s.
    assert ("Speed", name, pytest.approx(8.832, abs=1e-3)) in fake.said
    vehicle.halt = None
    traffic.decide(0, 0.05, {})
    assert ("Speed", name, -1.0) in fake.said


def test_one_simulation_at_a_time(fake: FakeSumo, junction_map: SiteMap) -> None:
    first = begin(fake, junction_map)
    with pytest.raises(SimulationError, match="one simulation per process"):
        begin(fake, junction_map)
    first.close()
    begin(fake, junction_map).close()
    assert not fake.running


def test_a_network_of_another_map_is_refused(fake: FakeSumo, junction_map: SiteMap) -> None:
    lane = next(one for _, one in fake.lanes.values() if one.get("id") == "entry-0_0")
    lane.set("shape", "-6.250,137.501 -6.250,17.500")
    with pytest.raises(SimulationError, match=r"'in-n-2' lies elsewhere.*make_sumo_net"):
        begin(fake, junction_map)
    assert not fake.running


def test_without_libsumo_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(sumo.importlib, "import_module", missing)
    with pytest.raises(SimulationError, match=r"install rsu-runtime\[sim-sumo\]") as caught:
        traffic_engine(OPTIONS, Path("configs"))
    assert caught.value.exit_code == 2


def test_options_and_script_must_fit_the_engine() -> None:
    with pytest.raises(ValidationError, match="sumo needs a network"):
        SimulationOptions(engine="sumo")
    with pytest.raises(ValidationError, match="only sumo drives on a network"):
        SimulationOptions(network=NETWORK)
    parking = ParkingDemand(do="parking-demand", at_s=0.0, lot="a", arrivals_per_hour=1.0)
    assert refused(OPTIONS, parking)
    assert refused(SimulationOptions(), parking) is None
    assert refused(OPTIONS, RunRedLight(do="run-red-light", at_s=0.0, lane="in-n-1")) is None


def test_the_built_in_engine_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def guarded(name: str, *rest: Any, **named: Any) -> Any:
        assert "libsumo" not in name
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", guarded)
    assert traffic_engine(SimulationOptions(), Path("configs")) == Traffic.build


@needs_libsumo
def test_two_worlds_of_one_seed_agree(root: Path, junction_map: SiteMap) -> None:
    seen = []
    for _ in range(2):
        make = traffic_engine(OPTIONS, root / "configs")
        world = World(junction_map, OPTIONS, 3, 0, make_traffic=make)
        world.advance(60 * NS_PER_S)
        seen.append(world.truth(60 * NS_PER_S))
        world.close()
    assert seen[0] == seen[1]
    assert len(seen[0].objects) > 60
