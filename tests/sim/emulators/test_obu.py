"""On-board units, end to end: world, datagrams over UDP, the unit's receiving stage, road users."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rsu.config.simulation import SimulationOptions
from rsu.config.v2x_receive import ReceiveOptions
from rsu.schema.message import Message
from rsu.schema.priority import SignalRequest
from rsu.schema.sensing import ObjectClass, V2xObject
from rsu.schema.topics import DECISION, SIGNAL_REQUEST, V2X_OBJECTS, V2X_RX
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.schema.v2x import ReceivedV2x
from rsu.sim.emulators.obu import BSM_PERIOD_NS, Datagram, ObuOptions, Obus, UdpAir
from rsu.sim.scenario.model import SendVehicle
from rsu.sim.sensors.gnss import VEHICLE
from rsu.sim.world.scene import Scene
from rsu.sim.world.world import World
from rsu.site.geodesy import wrap_angle
from rsu.site.lanes import SiteMap
from rsu.v2x.network.unwrap import unwrap
from rsu.v2x.receive.stage import ReceiveStage
from rsu.v2x.unit import Unit

START_NS = 1_767_225_600_000_000_000
DELAY_NS = 20 * NS_PER_MS
REGION, INTERSECTION = 310, 7


class Listener:
    """The receiving stage behind a real socket, under the world's time."""

    def __init__(self, site_map: SiteMap) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5.0)
        self.air = UdpAir(*self.socket.getsockname())
        self.air.open()
        # Nothing is added to what vehicles state: their own word is held against the truth.
        options = ReceiveOptions(margin_std_m=0.0)
        here = Unit("00" * 8, site_map, region=REGION, intersection=INTERSECTION)
        self.stage = ReceiveStage(options, here, Instant(START_NS, 0))

    def hear(self, datagrams: list[Datagram]) -> list[Message]:
        out: list[Message] = []
        for datagram in datagrams:
            self.air.send([datagram])
            heard_ns = datagram.time_ns + DELAY_NS
            octets = self.socket.recv(4096)
            received = ReceivedV2x(radio="obu", capture_ns=heard_ns, payload=octets)
            now = Instant(heard_ns, heard_ns - START_NS)
            out += self.stage.handle(Message.draft(V2X_RX, "obu", heard_ns, received), now)
        return out

    def close(self) -> None:
        self.air.close()
        self.socket.close()


@pytest.fixture
def listener(junction_map: SiteMap) -> Iterator[Listener]:
    made = Listener(junction_map)
    yield made
    made.close()


def obus(site_map: SiteMap, seed: int = 1, **options: Any) -> Obus:
    return Obus(site_map, seed, ObuOptions(**options), REGION, INTERSECTION)


def spoken(
    world: World, units: Obus, until_s: float, from_s: float = 0.0
) -> Iterator[tuple[Scene, list[Datagram]]]:
    for tick in range(round(from_s * 10), round(until_s * 10)):
        time_ns = START_NS + tick * BSM_PERIOD_NS
        world.advance(time_ns)
        scene = world.scene(time_ns)
        yield scene, units.look(scene)


@pytest.mark.parametrize("profile", ["csae", "sae"])
def test_vehicles_are_heard_where_they_are_within_what_they_state(
    profile: str, listener: Listener, junction_map: SiteMap, make_world: Callable[..., World]
) -> None:
    world, units = make_world(vehicles_per_hour=2400.0), obus(junction_map, worlds=(profile,))
    nees: dict[int, list[float]] = {}
    heard = 0
    for scene, datagrams in spoken(world, units, 30.0, 10.0):
        bsm = [one for one in datagrams if one.message == "BSM"]
        found = [m.payload for m in listener.hear(bsm) if m.topic == V2X_OBJECTS]
        assert len(found) == len(bsm)
        for datagram, said in zip(bsm, found, strict=True):
            heard += 1
            row = scene.ids.index(datagram.vehicle)
            (user,) = said.objects
            nees.setdefault(datagram.vehicle, []).append(error(user, scene, row))
            assert said.message == "BSM"
            assert user.self_reported
            assert user.measured_ns == scene.time_ns
            assert user.object_class is scene.classes[row]
            assert user.speed == pytest.approx(scene.speed[row], abs=0.6)
            assert user.size is not None
            assert user.size.length == pytest.approx(scene.size[row, 0], abs=0.01)
            if scene.speed[row] > 1.0:
                assert user.heading is not None
                assert abs(wrap_angle(user.heading - scene.heading[row])) < math.radians(6.0)
    assert heard > 500
    assert len(nees) > 15
    # Two degrees of freedom each; a vehicle's drift hardly changes while it is here, so vehicles
    # count, not messages: the mean over n of them has a standard deviation of 2 / sqrt(n).
    mean = float(np.mean([np.mean(one) for one in nees.values()]))
    assert abs(mean - 2.0) < 3.0 * 2.0 / math.sqrt(len(nees))


def error(user: V2xObject, scene: Scene, row: int) -> float:
    """Squared error in units of the stated covariance."""
    dx, dy = user.position.x - scene.position[row, 0], user.position.y - scene.position[row, 1]
    cov = np.array(
        [[user.position_cov.xx, user.position_cov.xy], [user.position_cov.xy, user.position_cov.yy]]
    )
    assert math.sqrt(cov[0, 0]) == pytest.approx(VEHICLE.std, abs=0.08)  # rounded up to 5 cm steps
    return float(np.array([dx, dy]) @ np.linalg.solve(cov, np.array([dx, dy])))


def test_each_vehicle_speaks_ten_times_a_second_at_its_own_phase(
    junction_map: SiteMap, make_world: Callable[..., World]
) -> None:
    world, units = make_world(vehicles_per_hour=2400.0), obus(junction_map, worlds=("sae",))
    said: dict[int, list[int]] = {}
    for tick in range(1500):
        time_ns = START_NS + tick * 10 * NS_PER_MS
        world.advance(time_ns)
        for datagram in units.look(world.scene(time_ns)):
            said.setdefault(datagram.vehicle, []).append(datagram.time_ns)
    assert len(said) > 4
    for times in said.values():
        assert set(np.diff(times)) <= {BSM_PERIOD_NS}
    assert len({times[0] % BSM_PERIOD_NS for times in said.values()}) > 2


def test_only_a_share_is_equipped_and_the_same_ones_every_time(
    junction_map: SiteMap, make_world: Callable[..., World]
) -> None:
    def run(share: float) -> list[Datagram]:
        world, units = make_world(vehicles_per_hour=2400.0), obus(junction_map, share=share)
        return [one for _, sent in spoken(world, units, 15.0) for one in sent]

    half, again = run(0.5), run(0.5)
    assert half == again
    everyone = {one.vehicle for one in run(1.0)}
    assert 0 < len({one.vehicle for one in half}) < len(everyone)
    assert run(0.0) == []
    assert {one.world for one in half} == {"csae", "sae"}


@pytest.mark.parametrize(("how", "messages"), [
    ("srm", {"SRM"}), ("vir", {"VIR"}), ("both", {"SRM", "VIR"}), ("none", set()),
])  # fmt: skip
def test_a_vehicle_with_priority_asks_until_it_is_past_the_stop_line(
    how: str, messages: set[str], listener: Listener, junction_map: SiteMap
) -> None:
    action = SendVehicle(
        do="send-vehicle", at_s=1.0, kind="emergency", lane="in-e-2", to_lane="out-w-2",
        requests=how,
    )  # fmt: skip
    quiet = SimulationOptions(vehicles_per_hour=0.01, pedestrians_per_hour=0.0)
    world = World(junction_map, quiet, 1, START_NS, script=(action,))
    units = obus(junction_map, share=0.0)
    out: list[Message] = []
    names: dict[str, list[int]] = {}
    for _, datagrams in spoken(world, units, 40.0):
        for datagram in datagrams:
            names.setdefault(datagram.message, []).append(datagram.time_ns)
        out += listener.hear(datagrams)
    assert set(names) == {"BSM", *messages}  # special vehicles are always equipped
    requests: list[SignalRequest] = [m.payload for m in out if m.topic == SIGNAL_REQUEST]
    assert len(requests) == sum(len(names[name]) for name in messages)
    if not messages:
        return
    for name in messages:
        assert min(np.diff(names[name][:-1])) >= NS_PER_S
    for request in requests:
        assert (request.inbound, request.outbound) == ("in-e-2", "out-w-2")
        assert request.intersection == INTERSECTION
        assert request.role in ("emergency", "none-unknown")
    ends = [request.cancel for request in requests]
    count = len(messages)
    assert ends == [False] * (len(ends) - count) + [True] * count
    first = requests[0]
    assert first.arrival_ns is not None
    cancelled_ns = requests[-1].time_ns
    assert abs(first.arrival_ns - cancelled_ns) < 20 * NS_PER_S
    assert not [m for m in out if m.topic == DECISION]


def test_datagrams_carry_the_header_of_their_world(
    junction_map: SiteMap, make_world: Callable[..., World]
) -> None:
    world, units = make_world(vehicles_per_hour=2400.0), obus(junction_map)
    sent = [one for _, datagrams in spoken(world, units, 8.0) for one in datagrams]
    layers = {one.world: {layer.name for layer in unwrap(one.octets).layers} for one in sent}
    assert "DSMP" in {name.upper() for name in layers["csae"]}
    assert "WSMP" in {name.upper() for name in layers["sae"]}


def test_people_carry_no_on_board_unit(
    junction_map: SiteMap, make_world: Callable[..., World]
) -> None:
    world, units = (
        make_world(vehicles_per_hour=0.0, pedestrians_per_hour=3000.0),
        obus(junction_map),
    )
    walkers = 0
    for scene, sent in spoken(world, units, 10.0):
        walkers += scene.classes.count(ObjectClass.PEDESTRIAN)
        assert sent == []
    assert walkers > 0
