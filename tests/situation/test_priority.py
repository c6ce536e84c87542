"""Signal priority: who is believed and favoured, what is told, what the controller hears."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from rsu.config.load import load_site
from rsu.config.priority import PriorityOptions
from rsu.runtime.graph import load_map
from rsu.schema.message import Message
from rsu.schema.priority import (
    PriorityLevel,
    RequestState,
    SignalAction,
    SignalCommand,
    SignalRequest,
)
from rsu.schema.sensing import ObjectClass, V2xObject, V2xObjects
from rsu.schema.signals import ControllerFlag, LightState, SignalGroup, SignalState
from rsu.schema.topics import (
    COORDINATION,
    DECISION,
    SIGNAL_COMMAND,
    SIGNAL_PRIORITY,
    SIGNAL_REQUEST,
    SIGNAL_STATE,
    TRACKS,
    V2X_OBJECTS,
)
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_MS, NS_PER_S, Cov2, Instant, Size, Vec2
from rsu.site.lanes import SiteMap
from rsu.situation.priority import COMMAND_HOLDS_NS, PriorityStage
from rsu.situation.priority_ways import Way, way_of

T0 = 1_767_225_600_000_000_000
BUS, AMBULANCE, CAR = b"\x01\x02\x03\x04", b"\xaa\xbb\xcc\xdd", b"\x05\x06\x07\x08"
VIR_BUS = bytes(range(8))
UPPER = (0.04, 0.0, 0.0, 0.0, 0.0, 0.04, 0.0, 0.0, 0.0, 0.001, 0.0, 0.0, 0.04, 0.0, 0.001)


@pytest.fixture(scope="module")
def site(root: Path) -> SiteMap:
    return load_map(load_site(root / "configs" / "junction.yaml"), root / "configs")


class Bench:
    """A stage, and a world of which the test says what is told of it every 100 ms."""

    def __init__(self, site: SiteMap, **options: Any) -> None:
        self.site = site
        self.stage = PriorityStage(PriorityOptions(**options), site, 1, {"cabinet"})
        self.ns = T0
        self.out: list[Message] = []
        self.tracks: dict[int, Track] = {}
        self.green: set[int] = set()
        self.flags: tuple[ControllerFlag, ...] = ()
        self.controller: str | None = "cabinet"
        self.reports: dict[bytes, int] = {}  # vehicle → the track whose place it states
        self.asks: dict[tuple[bytes, int], dict[str, Any]] = {}

    @property
    def now(self) -> Instant:
        return Instant(self.ns, self.ns - T0 + NS_PER_S)

    def give(self, topic: Any, payload: Any) -> None:
        self.out += self.stage.handle(Message.draft(topic, "t", self.ns, payload), self.now)

    def put(
        self, number: int, lane: str, left_m: float, kind: ObjectClass = ObjectClass.VAN,
        speed: float = 10.0, sources: tuple[str, ...] = ("north-east",),
    ) -> None:  # fmt: skip
        """A track whose front is so far from the end of a lane."""
        where = self.site.lane(lane)
        x, y, heading = where.at(where.length - left_m - 2.5)
        self.tracks[number] = Track(
            id=number, object_class=kind, class_probability=0.9, position=Vec2(x, y),
            heading=heading, speed=speed, turn_rate=0.0, covariance=UPPER,
            size=Size(5.0, 2.0, 2.0), existence=0.99, status=TrackStatus.CONFIRMED,
            sources=sources, born_ns=T0, updated_ns=self.ns,
        )  # fmt: skip

    def ask(self, vehicle: bytes, role: str = "emergency", request: int = 1, **more: Any) -> None:
        """Ask once a second from now on (SRM lane in-e-2 → out-w-2)."""
        self.asks[vehicle, request] = {
            "role": role, "inbound": "in-e-2", "outbound": "out-w-2", **more
        }  # fmt: skip

    def request(self, vehicle: bytes, request: int = 1, **more: Any) -> SignalRequest:
        fields: dict[str, Any] = {"time_ns": self.ns, "sequence": 0, "intersection": 1, **more}
        return SignalRequest(vehicle=vehicle, request=request, **fields)

    def cancel(self, vehicle: bytes, request: int = 1) -> None:
        asked = self.asks.pop((vehicle, request))
        self.give(SIGNAL_REQUEST, self.request(vehicle, request, cancel=True, **asked))

    def run(self, seconds: float) -> list[Message]:
        """Time passes; what was said meanwhile."""
        before = len(self.out)
        for _ in range(round(seconds * 10)):
            self.ns += 100 * NS_PER_MS
            if self.controller is not None:
                lights = [
                    SignalGroup(
                        group=n,
                        light=LightState.PROTECTED_GREEN if n in self.green else LightState.RED,
                    )
                    for n in range(1, 9)
                ]
                self.give(
                    SIGNAL_STATE,
                    SignalState(
                        controller=self.controller, intersection=1, capture_ns=self.ns,
                        groups=tuple(lights), flags=self.flags,
                    ),
                )  # fmt: skip
            for vehicle, number in self.reports.items():
                self.give(V2X_OBJECTS, self._report(vehicle, self.tracks[number]))
            self.give(TRACKS, TrackList(time_ns=self.ns, tracks=tuple(self.tracks.values())))
            if (self.ns - T0) // NS_PER_S != (self.ns - T0 - 100 * NS_PER_MS) // NS_PER_S:
                for (vehicle, request), asked in list(self.asks.items()):
                    self.give(SIGNAL_REQUEST, self.request(vehicle, request, **asked))
            self.out += self.stage.tick(self.now)
        return self.out[before:]

    def _report(self, vehicle: bytes, track: Track) -> V2xObjects:
        one = V2xObject(
            object_id=vehicle.hex(), measured_ns=self.ns, position=track.position,
            position_cov=Cov2(1.0, 0.0, 1.0), object_class=track.object_class, self_reported=True,
            heading=track.heading, speed=track.speed,
        )  # fmt: skip
        return V2xObjects(
            sensor="v2x", sender=vehicle.hex(), message="BSM", capture_ns=self.ns, objects=(one,)
        )

    def answers(self) -> dict[str, RequestState]:
        """The newest answers by vehicle."""
        told = [m.payload for m in self.out if m.topic == SIGNAL_PRIORITY]
        return {one.request.vehicle.hex(): one.state for one in told[-1].answers} if told else {}


def commands(messages: Iterable[Message]) -> list[SignalCommand]:
    return [m.payload for m in messages if m.topic == SIGNAL_COMMAND]


def reasons(messages: Iterable[Message]) -> list[str]:
    return [m.payload.reason for m in messages if m.topic == DECISION]


@pytest.fixture
def bench(site: SiteMap) -> Bench:
    return Bench(site)


def ambulance(bench: Bench, left_m: float = 60.0) -> None:
    bench.put(7, "in-e-2", left_m)
    bench.reports[AMBULANCE] = 7
    bench.ask(AMBULANCE)


def test_a_request_is_commanded_when_seen_and_granted_when_the_controller_shows_it(
    bench: Bench,
) -> None:
    ambulance(bench)
    said = bench.run(1.5)
    (first,) = commands(said)
    assert (first.controller, first.group, first.action) == ("cabinet", 3, SignalAction.CALL)
    assert first.level is PriorityLevel.EMERGENCY
    assert first.until_ns - first.time_ns == COMMAND_HOLDS_NS
    # Nobody has shown anything yet: it is not said to be granted.
    assert bench.answers() == {AMBULANCE.hex(): RequestState.PROCESSING}
    bench.flags = (ControllerFlag.PREEMPT,)
    bench.run(0.2)
    assert bench.answers() == {AMBULANCE.hex(): RequestState.GRANTED}
    bench.flags, bench.green = (), {3}
    (held, *_) = commands(bench.run(2.0))
    assert held.action is SignalAction.EXTEND
    assert bench.answers() == {AMBULANCE.hex(): RequestState.GRANTED}
    bench.green = set()
    bench.run(0.2)
    assert bench.answers() == {AMBULANCE.hex(): RequestState.PROCESSING}


def test_commands_are_repeated_and_taken_back_once(bench: Bench) -> None:
    ambulance(bench)
    assert 5 <= len(commands(bench.run(6.0))) <= 6
    before = len(bench.out)
    bench.cancel(AMBULANCE)
    said = bench.out[before:] + bench.run(3.0)
    assert [one.action for one in commands(said)] == [SignalAction.CANCEL]
    assert "cancelled" in reasons(said)
    assert bench.answers() == {}


def test_who_is_heard_but_not_seen_gets_nothing(bench: Bench) -> None:
    bench.put(7, "in-e-2", 60.0, sources=("v2x",))
    bench.reports[AMBULANCE] = 7
    bench.ask(AMBULANCE)
    assert commands(bench.run(5.0)) == []
    assert bench.answers() == {AMBULANCE.hex(): RequestState.REQUESTED}
    assert reasons(bench.out) == ["requester_unseen"]


def test_who_says_to_be_where_somebody_else_is_not_gets_nothing(bench: Bench) -> None:
    ambulance(bench)
    bench.put(8, "in-e-2", 90.0)
    bench.reports[AMBULANCE] = 8
    bench.run(0.5)
    del bench.tracks[8]  # nobody is there after all
    bench.reports = {}
    assert commands(bench.run(3.0)) == []


def test_without_a_word_of_its_place_the_stated_arrival_must_fit(bench: Bench) -> None:
    bench.put(7, "in-e-2", 60.0, speed=10.0)  # there in 6 s
    bench.asks[AMBULANCE, 1] = {"role": "emergency", "inbound": "in-e-2", "outbound": "out-w-2"}
    assert commands(bench.run(1.5)) == []
    bench.asks[AMBULANCE, 1]["arrival_ns"] = bench.ns + 18 * NS_PER_S
    assert commands(bench.run(1.0)) == []
    bench.asks[AMBULANCE, 1]["arrival_ns"] = bench.ns + 7 * NS_PER_S
    assert len(commands(bench.run(1.0))) == 1


def test_a_vehicle_that_was_seen_is_followed_behind_a_truck(bench: Bench) -> None:
    ambulance(bench)
    bench.run(1.5)
    bench.put(7, "in-e-2", 50.0, speed=0.0, sources=("v2x",))
    assert len(commands(bench.run(5.0))) == 5
    del bench.tracks[7], bench.reports[AMBULANCE]
    said = bench.run(4.0)
    assert commands(said)[-1].action is SignalAction.CANCEL
    assert "requester_unseen" in reasons(said)


def test_emergency_comes_before_a_bus_and_nothing_conflicts(bench: Bench) -> None:
    bench.put(5, "in-n-2", 40.0, ObjectClass.BUS)
    bench.reports[BUS] = 5
    bench.ask(BUS, "transit", inbound="in-n-2", outbound="out-s-2")
    assert {one.group for one in commands(bench.run(1.5))} == {1}
    ambulance(bench, 100.0)
    said = bench.run(2.0)
    assert commands(said)[-1].group == 3
    assert bench.answers()[BUS.hex()] is RequestState.PROCESSING
    assert "others_first" in reasons(said)
    # A command is the only one that holds: the order is the order of the wire.
    assert all(one.action is not SignalAction.CANCEL for one in commands(said))
    bench.cancel(AMBULANCE)
    bench.flags = (ControllerFlag.PRIORITY,)
    # It was favoured and lost its turn to somebody else: it does not have to wait a cycle for that.
    bench.run(0.3)
    assert bench.answers() == {BUS.hex(): RequestState.GRANTED}


def test_a_second_bus_waits_until_the_others_have_had_their_turn(site: SiteMap) -> None:
    bench = Bench(site, reservice_s=10.0)
    bench.put(5, "in-e-2", 40.0, ObjectClass.BUS)
    bench.reports[BUS] = 5
    bench.ask(BUS, "transit")
    bench.run(2.0)
    bench.cancel(BUS)
    other = b"\x09\x09\x09\x09"
    bench.reports = {other: 5}
    bench.ask(other, "transit")
    assert commands(bench.run(5.0)) == []
    assert bench.answers() == {other.hex(): RequestState.RESERVICE_LOCKED}
    assert len(commands(bench.run(7.0))) > 0
    ambulance_too = b"\x0a\x0a\x0a\x0a"
    bench.cancel(other)
    bench.put(7, "in-e-2", 60.0)
    bench.reports[ambulance_too] = 7
    bench.ask(ambulance_too)
    assert len(commands(bench.run(1.5))) > 0  # no lock for these


def test_nobody_is_favoured_for_ever(site: SiteMap) -> None:
    bench = Bench(site, longest_s={"emergency": 5.0})
    ambulance(bench)
    said = bench.run(9.0)
    assert commands(said)[-1].action is SignalAction.CANCEL
    assert bench.answers() == {AMBULANCE.hex(): RequestState.MAX_PRESENCE}


@pytest.mark.parametrize(
    ("role", "kind", "reason"),
    [
        ("basicVehicle", ObjectClass.CAR, "not_entitled"),
        ("transit", ObjectClass.CAR, "class_contradicts"),
        ("none-unknown", ObjectClass.CAR, "not_entitled"),
    ],
)
def test_who_is_not_entitled_is_refused(
    bench: Bench, role: str, kind: ObjectClass, reason: str
) -> None:
    bench.put(7, "in-e-2", 60.0, kind)
    bench.reports[CAR] = 7
    bench.ask(CAR, role)
    said = bench.run(2.5)
    assert commands(said) == []
    assert reasons(said) == [reason]
    assert bench.answers() == {CAR.hex(): RequestState.REJECTED}


def test_a_bus_that_looks_like_one_needs_no_role_and_is_answered_in_the_chinese_set_too(
    bench: Bench,
) -> None:
    bench.put(7, "in-e-2", 60.0, ObjectClass.BUS)
    bench.reports[VIR_BUS] = 7
    bench.ask(VIR_BUS, "none-unknown")
    bench.flags = (ControllerFlag.PRIORITY,)
    said = bench.run(2.0)
    assert commands(said)[-1].level is PriorityLevel.TRANSIT
    (advice,) = [m.payload for m in said if m.topic == COORDINATION][-1].advice
    assert advice.vehicle == VIR_BUS
    assert advice.end_ns - advice.start_ns == 2 * NS_PER_S


def test_two_requests_of_one_vehicle_are_one(bench: Bench) -> None:
    ambulance(bench)
    bench.reports[VIR_BUS] = 7  # the same vehicle by its name in the other world
    bench.ask(VIR_BUS, "none-unknown")
    bench.flags = (ControllerFlag.PREEMPT,)
    said = bench.run(2.5)
    assert {one.level for one in commands(said)} == {PriorityLevel.EMERGENCY}
    assert set(bench.answers().values()) == {RequestState.GRANTED}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"inbound": None}, "lane_unknown"),
        ({"inbound": "out-w-2"}, "lane_unknown"),
        ({"outbound": "out-n-1"}, "no_way"),
        ({"arrival_ns": T0 - NS_PER_S}, "arrival_implausible"),
        ({"arrival_ns": T0 + 3600 * NS_PER_S}, "arrival_implausible"),
    ],
)
def test_what_makes_no_sense_is_refused(bench: Bench, change: dict[str, Any], reason: str) -> None:
    ambulance(bench)
    bench.asks[AMBULANCE, 1] |= change
    said = bench.run(1.5)
    assert commands(said) == []
    assert reasons(said) == [reason]
    assert bench.answers() == {AMBULANCE.hex(): RequestState.REJECTED}


def test_a_controller_that_cannot_or_does_not_speak_is_not_promised(bench: Bench) -> None:
    bench.controller = "other"
    ambulance(bench)
    said = bench.run(1.5)
    assert (commands(said), reasons(said)) == ([], ["controller_cannot"])
    bench.controller = None
    assert reasons(bench.run(3.0)) == ["controller_silent"]
    bench.controller, bench.flags = "cabinet", (ControllerFlag.MANUAL,)
    assert reasons(bench.run(1.0)) == ["controller_not_automatic"]
    bench.flags = ()
    assert len(commands(bench.run(1.0))) == 1


def test_far_away_is_too_early_and_beyond_the_line_is_over(bench: Bench) -> None:
    bench.put(7, "in-e-2", 100.0, speed=0.0)  # 100 m at 5 m/s: 20 s
    bench.reports[AMBULANCE] = 7
    bench.stage._options = PriorityOptions(horizon_s=15.0)
    bench.ask(AMBULANCE)
    assert reasons(bench.run(1.5)) == ["too_early"]
    bench.put(7, "in-e-2", 60.0, speed=0.0)
    assert len(commands(bench.run(1.0))) == 1
    bench.put(7, "out-w-2", 20.0)
    said = bench.run(0.5)
    assert commands(said)[-1].action is SignalAction.CANCEL
    assert "passed" in reasons(said)
    assert bench.answers() == {}


def test_repeated_and_reordered_datagrams_change_nothing(bench: Bench) -> None:
    ambulance(bench)
    bench.run(1.0)
    asked = bench.asks[AMBULANCE, 1]
    newest = bench.request(AMBULANCE, **asked)
    bench.give(SIGNAL_REQUEST, newest)
    assert "duplicate" in reasons(bench.out)
    bench.ns += 500 * NS_PER_MS
    bench.give(SIGNAL_REQUEST, bench.request(AMBULANCE, **{**asked, "time_ns": T0}))
    bench.run(0.1)
    assert "out_of_order" in reasons(bench.out)
    late = bench.request(AMBULANCE, **asked)
    bench.ns += NS_PER_MS
    bench.cancel(AMBULANCE)
    bench.give(SIGNAL_REQUEST, late)  # overtaken by its own cancellation: opens nothing again
    bench.run(1.0)
    assert bench.answers() == {}


def test_silence_ends_a_request(bench: Bench) -> None:
    ambulance(bench)
    bench.run(1.5)
    bench.asks.clear()
    said = bench.run(5.0)
    assert "request_expired" in reasons(said)
    assert commands(said)[-1].action is SignalAction.CANCEL


def test_one_vehicle_cannot_fill_the_list_nor_can_all(bench: Bench) -> None:
    for number in range(5):
        bench.ask(AMBULANCE, request=number)
    for number in range(60):
        bench.ask(number.to_bytes(4, "big"))
    said = bench.run(1.0)
    told = [m.payload for m in said if m.topic == SIGNAL_PRIORITY][-1]
    mine = [one for one in told.answers if one.request.vehicle == AMBULANCE]
    assert len(mine) == 2
    assert len(told.answers) == 32
    assert "too_many_requests" in reasons(said)


def test_the_same_inputs_give_the_same_words(site: SiteMap) -> None:
    def run() -> list[tuple[str, Any]]:
        bench = Bench(site)
        ambulance(bench)
        bench.put(5, "in-n-2", 40.0, ObjectClass.BUS)
        bench.reports[BUS] = 5
        bench.ask(BUS, "transit", inbound="in-n-2", outbound="out-s-2")
        return [(m.topic.name, m.payload) for m in bench.run(6.0)]

    assert run() == run()


def test_ways_of_the_example_junction(site: SiteMap) -> None:
    def way(inbound: str | None, outbound: str | None) -> Way | str:
        return way_of(
            site,
            SignalRequest(
                vehicle=BUS, request=1, sequence=0, time_ns=T0, intersection=1, role="transit",
                inbound=inbound, outbound=outbound,
            ),
        )  # fmt: skip

    straight, left, any_way = way("in-w-2", "out-e-2"), way("in-w-1", None), way("in-n-2", None)
    assert isinstance(straight, Way)
    assert isinstance(left, Way)
    assert isinstance(any_way, Way)
    assert (straight.group, left.group, any_way.group) == (3, 4, 1)
    assert straight.beyond == {"w-through", "out-e-2"}
    assert any_way.beyond == {"n-through", "out-s-2", "n-right", "out-w-2"}
    assert way("cross-n", None) == way("nowhere", None) == "lane_unknown"
