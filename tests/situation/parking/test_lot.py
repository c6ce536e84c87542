"""What is said of bays: taken, free, unknown; who, since when, and what is wrong with them.

One aisle from west to east along y = 0, four bays of 2.5 × 5 m on its north side from x = 0 on, the
open ends at y = 3. A camera high above the far side looks across them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pytest

from rsu.config.situation import ParkingOptions
from rsu.schema.devices import BayReading
from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.parking import BayMisuse, BayState, BayStatus, ParkingRequest, ParkingState
from rsu.schema.sensing import CameraDetections, ObjectClass, SensorKind
from rsu.schema.topics import (
    BAY_READING,
    CAMERA_DETECTIONS,
    PARKING,
    PARKING_REQUEST,
    ROAD_EVENT,
    SENSOR_HEALTH,
    TRACKS,
)
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_S, Instant, Size, Vec2
from rsu.site.features import LaneKind, ZoneKind
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, SiteMap, Zone
from rsu.situation.events.book import EventIds
from rsu.situation.parking.part import Parking
from rsu.situation.parking.views import CameraView
from rsu.situation.stage import SituationStage

START_NS = 1_767_225_600 * NS_PER_S
NAMES = ("a", "b", "c", "d")


def bay(name: str, left: float, **more: Any) -> Zone:
    ring = np.array([(left, 3.0), (left + 2.5, 3.0), (left + 2.5, 8.0), (left, 8.0)])
    return Zone(name, ZoneKind.BAY, ring, lot="yard", lane="aisle", **more)


def site_of(**more: Any) -> SiteMap:
    """`more` are properties of bay `a`."""
    aisle = Lane(
        "aisle", LaneKind.PARKING_AISLE, np.array([(-40.0, 0.0), (50.0, 0.0)]), 6.0,
        upstream_node=1, downstream_node=2,
    )  # fmt: skip
    zones = tuple(bay(n, 2.5 * i, **(more if n == "a" else {})) for i, n in enumerate(NAMES))
    return SiteMap(LocalFrame(31.0, 121.0), (aisle,), zones)


def looking(sensor: str, x: float, y: float, z: float, heading: float, tilt: float) -> CameraView:
    """A pinhole of 400 px focal length, 640 × 400 px; heading rad from east, tilt rad down."""
    ahead = np.array([math.cos(heading) * math.cos(tilt), math.sin(heading) * math.cos(tilt),
                      -math.sin(tilt)])  # fmt: skip
    right = np.array([math.sin(heading), -math.cos(heading), 0.0])
    down = np.cross(ahead, right)
    rotation = np.stack((right, down, ahead))
    lens = np.array([(400.0, 0.0, 320.0), (0.0, 400.0, 200.0), (0.0, 0.0, 1.0)])
    place = np.array([x, y, z])
    projection = lens @ np.column_stack((rotation, -rotation @ place))
    return CameraView(sensor, projection, 640.0, 400.0, place, 100.0)


ACROSS = looking("across", 5.0, -20.0, 12.0, math.pi / 2, 0.45)
ALONG = looking("along", -30.0, 5.5, 8.0, 0.0, 0.2)
"""From the west end, over the row: cars hide those behind them."""


def car(number: int, x: float, y: float, speed: float = 0.0, **more: Any) -> Track:
    """Known to 0.2 m; `heading_std` 0.1 rad where it moves, unknown where it stands."""
    sigma = more.pop("sigma", 0.2)
    spread = 0.01 if speed else 3.0
    values: dict[str, Any] = {
        "id": number, "object_class": ObjectClass.CAR, "class_probability": 0.95,
        "position": Vec2(x, y), "heading": 0.0, "speed": speed, "turn_rate": 0.0,
        "covariance": (sigma**2, 0, 0, 0, 0, sigma**2, 0, 0, 0, spread, 0, 0, 0.09, 0, 0.01),
        "size": Size(4.4, 1.8, 1.5), "existence": 0.99, "status": TrackStatus.CONFIRMED,
        "sources": ("across",), "born_ns": START_NS, "updated_ns": -1,
    }  # fmt: skip
    return Track(**(values | more))


class World:
    """Plays seconds of a lot to the stage, ten lists a second, and keeps what it says."""

    def __init__(
        self, site: SiteMap, options: ParkingOptions, cameras: tuple[CameraView, ...]
    ) -> None:
        boot = Instant(START_NS, NS_PER_S)
        self.part = Parking(options, site, EventIds(boot), cameras)
        self.stage = SituationStage([self.part], site)
        self.tenths = 0
        self.states: list[ParkingState] = []
        self.events: list[RoadEvent] = []
        self.looks = True

    @property
    def now(self) -> Instant:
        ns = self.tenths * NS_PER_S // 10
        return Instant(START_NS + ns, NS_PER_S + ns)

    def play(
        self, seconds: float, tracks: Callable[[float], list[Track]] | list[Track] | None
    ) -> World:
        """`tracks` (of the second since the beginning of this call); None: no list comes."""
        for tenth in range(round(seconds * 10)):
            self.tenths += 1
            now = self.now
            if self.looks and tracks is not None:
                for name in ("across", "along"):
                    frame = CameraDetections(
                        sensor=name, frame=tenth, capture_ns=now.utc_ns, image_width=640,
                        image_height=400, detections=(),
                    )  # fmt: skip
                    self.give(CAMERA_DETECTIONS, frame)
            if tracks is not None:
                there = tracks(tenth / 10) if callable(tracks) else tracks
                self.give(TRACKS, TrackList(time_ns=now.utc_ns, tracks=tuple(
                    _fresh(one, now.utc_ns) for one in there)))  # fmt: skip
            self._keep(self.stage.tick(now))
        return self

    def give(self, topic: Any, payload: Any) -> None:
        self._keep(self.stage.handle(Message.draft(topic, "test", 0, payload), self.now))

    def word(
        self, name: str, occupied: bool | None, probability: float, sensor: str = "lot"
    ) -> None:
        reading = BayReading(sensor=sensor, bay=name, capture_ns=self.now.utc_ns,
                             occupied=occupied, probability=probability)  # fmt: skip
        self.give(BAY_READING, reading)
        self.tenths += 1
        self._keep(self.stage.tick(self.now))

    def health(self, sensor: str, state: SensorState) -> None:
        kind = SensorKind.PARKING if sensor == "lot" else SensorKind.CAMERA
        self.give(SENSOR_HEALTH, SensorHealth(
            sensor=sensor, kind=kind, state=state, since_ns=0, time_ns=self.now.utc_ns,
        ))  # fmt: skip

    def bay(self, name: str) -> BayState:
        return next(one for one in self.states[-1].bays if one.bay == name)

    def status(self, name: str) -> BayStatus:
        return self.bay(name).status

    def _keep(self, messages: Any) -> None:
        for message in messages:
            if message.topic == PARKING:
                self.states.append(message.payload)
            elif message.topic == ROAD_EVENT:
                self.events.append(message.payload)


def _fresh(track: Track, time_ns: int) -> Track:
    return msgspec.structs.replace(track, updated_ns=time_ns) if track.updated_ns < 0 else track


@pytest.fixture
def world() -> Callable[..., World]:
    """world(cameras=(ACROSS,), options={}, **properties of bay a)."""

    def make(
        cameras: tuple[CameraView, ...] = (ACROSS,),
        options: dict[str, Any] | None = None,
        **more: Any,
    ) -> World:
        return World(site_of(**more), ParkingOptions(**(options or {})), cameras)

    return make


Make = Callable[..., World]
IN_B = (3.75, 5.5)


def driving_in(second: float, number: int = 7) -> list[Any]:
    """Along the aisle at 4 m/s from the west, then into bay b at 2 m/s, there at 12 s."""
    if second < 9.0:
        return [car(number, -32.0 + 4.0 * second, 0.0, 4.0)]
    share = min((second - 9.0) / 2.75, 1.0)
    speed = 2.0 if share < 1.0 else 0.0
    return [car(number, 3.75, share * 5.5, speed)]


def driving_out(second: float, number: int = 7) -> list[Any]:
    """Backs out of bay b, then leaves to the east."""
    if second < 5.0:
        return [car(number, 3.75, 5.5 - 1.1 * second, 1.1)]
    return [car(number, 3.75 + 4.0 * (second - 5.0), 0.0, 4.0)]


def test_an_empty_lot_in_view_is_free(world: Make) -> None:
    lot = world().play(6.0, [])
    assert {lot.status(name) for name in NAMES} == {BayStatus.FREE}
    assert lot.bay("a").occupied_probability < 0.05


def test_without_a_view_nobody_seen_is_not_free(world: Make) -> None:
    lot = world(cameras=()).play(30.0, [])
    assert {lot.status(name) for name in NAMES} == {BayStatus.UNKNOWN}
    lot = world()
    lot.looks = False  # the camera sends nothing, a radar's empty lists come
    assert {lot.play(30.0, []).status(name) for name in NAMES} == {BayStatus.UNKNOWN}
    lot = world()
    lot.health("across", SensorState.BLIND)
    assert {lot.play(30.0, []).status(name) for name in NAMES} == {BayStatus.UNKNOWN}


def test_a_car_that_parks_takes_its_bay_only_and_within_seconds(world: Make) -> None:
    lot = world().play(6.0, []).play(14.0, driving_in)
    assert [lot.status(name) for name in NAMES] == [
        BayStatus.FREE, BayStatus.OCCUPIED, BayStatus.FREE, BayStatus.FREE,
    ]  # fmt: skip
    taken = lot.bay("b")
    assert taken.track == 7
    assert taken.entered_ns is not None
    came_s = (taken.entered_ns - START_NS) / NS_PER_S
    assert 6.0 + 9.0 < came_s < 6.0 + 11.75 + 3.0
    assert taken.since_ns == taken.entered_ns


def test_a_car_that_leaves_frees_its_bay_and_its_stay_is_told_once(world: Make) -> None:
    lot = world().play(6.0, []).play(40.0, driving_in).play(10.0, driving_out)
    assert lot.status("b") is BayStatus.FREE
    (stay,) = [stay for state in lot.states for stay in state.ended]
    assert stay.bay == "b"
    assert stay.entered_ns is not None
    assert (stay.left_ns - START_NS) / NS_PER_S == pytest.approx(46.0 + 4.0, abs=4.0)


def test_who_stood_there_before_anybody_looked_has_no_time_of_entry(world: Make) -> None:
    lot = world().play(5.0, [car(1, *IN_B)])
    assert lot.status("b") is BayStatus.OCCUPIED
    assert lot.bay("b").entered_ns is None


def test_gates_and_bays_agree_and_say_so_when_they_do_not(world: Make) -> None:
    lot = world().play(16.0, []).play(14.0, driving_in)
    totals = lot.states[-1].totals
    assert totals is not None
    assert (totals.free, totals.occupied, totals.unknown, totals.on_aisles) == (3, 1, 0, 0)
    assert (totals.entries, totals.exits, totals.unexplained) == (1, 0, 0)
    lot.play(11.0, driving_out)
    totals = lot.states[-1].totals
    assert (totals.entries, totals.exits, totals.occupied) == (1, 1, 0)
    assert totals.unexplained == 0
    lot.play(6.0, [car(9, *IN_B)])  # somebody whom the gates have not seen
    assert lot.states[-1].totals.unexplained == -1


def test_a_hidden_departure_is_seen_on_the_aisle(world: Make) -> None:
    """The car in c is hidden and has no track; one that backs out before its mouth was it."""
    lot = world(cameras=(ALONG,)).play(8.0, [car(1, 6.25, 5.5), car(2, 3.75, 5.5)])
    assert lot.status("c") is BayStatus.OCCUPIED
    lot.play(5.0, [car(2, 3.75, 5.5)])
    assert lot.status("c") is BayStatus.OCCUPIED  # not seen any more, and nobody came out

    def backs_out(second: float) -> list[Any]:
        x, y = (6.25, 2.5 - 1.2 * second) if second < 2.0 else (6.25 + 4 * (second - 2.0), 0.0)
        return [car(2, 3.75, 5.5), car(3, x, y, 1.6 if second < 2.0 else 4.0)]

    lot.play(5.0, backs_out)
    assert lot.status("c") is not BayStatus.OCCUPIED
    assert lot.status("b") is BayStatus.OCCUPIED


def test_what_nobody_watches_becomes_unknown_in_time(world: Make) -> None:
    lot = world(options={"unknown_after_s": 30.0}).play(6.0, [car(1, *IN_B)])
    lot.play(10.0, None)
    assert lot.status("b") is BayStatus.OCCUPIED
    lot.play(21.0, None)
    assert {lot.status(name) for name in NAMES} == {BayStatus.UNKNOWN}
    # And it goes on being said.
    assert (lot.now.utc_ns - lot.states[-1].time_ns) <= NS_PER_S


def test_a_word_counts_until_the_next_and_fades_when_its_source_is_gone(world: Make) -> None:
    lot = world(cameras=(), options={"unknown_after_s": 30.0})
    lot.word("a", True, 0.97)
    lot.word("b", False, 0.03)
    assert [lot.status(name) for name in NAMES[:3]] == [
        BayStatus.OCCUPIED, BayStatus.FREE, BayStatus.UNKNOWN,
    ]  # fmt: skip
    lot.play(200.0, None)
    assert lot.status("a") is BayStatus.OCCUPIED  # no news: it speaks on change
    lot.word("a", False, 0.03)
    assert lot.status("a") is BayStatus.FREE
    lot.word("a", None, 0.5)
    assert lot.bay("a").occupied_probability == 0.5
    lot.health("lot", SensorState.GONE)
    lot.play(31.0, None)
    assert lot.status("b") is BayStatus.UNKNOWN


def test_an_old_word_is_forgotten(world: Make) -> None:
    lot = world(cameras=(), options={"sensor_max_age_s": 100.0})
    lot.word("a", True, 0.97)
    lot.play(99.0, None)
    assert lot.status("a") is BayStatus.OCCUPIED
    lot.play(130.0, None)
    assert lot.status("a") is BayStatus.UNKNOWN


def test_what_is_seen_overrules_a_sensor_that_is_wrong(world: Make) -> None:
    lot = world().play(6.0, [])
    lot.word("a", True, 0.97)
    lot.play(5.0, [])
    assert lot.status("a") is BayStatus.FREE
    assert lot.bay("a").occupied_probability > 0.05  # and it is less sure than of the others
    assert lot.bay("b").occupied_probability < 0.02
    lot.play(20.0, [])  # it is not late, it is wrong
    assert lot.bay("a").occupied_probability < 0.02


def test_closed_bays_are_closed_whatever_stands_there(world: Make) -> None:
    lot = world(options={"closed": ("b",)}).play(6.0, [car(1, *IN_B)])
    assert lot.status("b") is BayStatus.CLOSED
    assert lot.states[-1].totals.closed == 1


def test_a_readings_unknown_bay_is_counted(world: Make) -> None:
    lot = world()
    lot.word("nowhere", True, 0.9)
    assert lot.part.dropped == {"unknown_bay": 1}
    assert not lot.states


def test_overstay_is_told_when_its_time_is_over(world: Make) -> None:
    lot = world(max_stay_s=20.0).play(19.0, [car(1, 1.25, 5.5)])
    assert lot.bay("a").misuse == ()
    lot.play(5.0, [car(1, 1.25, 5.5)])
    assert lot.bay("a").misuse == (BayMisuse.OVERSTAY,)
    (onset,) = [event for event in lot.events if event.phase is EventPhase.ONSET]
    assert onset.kind == "bay-overstay"
    assert (onset.position.x, onset.position.y) == pytest.approx((1.25, 5.5))
    lot.play(10.0, [])
    assert lot.events[-1].phase is EventPhase.END


@pytest.mark.parametrize(
    ("object_class", "probability", "wrong"),
    [
        (ObjectClass.VAN, 0.95, True), (ObjectClass.CAR, 0.95, False),
        (ObjectClass.VAN, 0.6, False), (ObjectClass.UNKNOWN, 0.95, False),
    ],
)  # fmt: skip
def test_only_who_is_surely_of_another_class_is_in_the_wrong_bay(
    world: Make, object_class: ObjectClass, probability: float, wrong: bool
) -> None:
    there = car(1, 1.25, 5.5, object_class=object_class, class_probability=probability)
    lot = world(permitted=("car", "bus")).play(20.0, [there])
    assert lot.bay("a").misuse == ((BayMisuse.WRONG_CLASS,) if wrong else ())
    assert {event.kind for event in lot.events} == ({"bay-wrong-class"} if wrong else set())


@pytest.mark.parametrize(("x", "double"), [(3.75, False), (4.05, False), (4.85, True)])
def test_who_stands_over_the_line_takes_two_bays(world: Make, x: float, double: bool) -> None:
    """Bay b ends at x = 5: a car of 1.8 m at 4.85 reaches 0.75 m into c."""
    lot = world().play(20.0, [car(1, x, 5.5, sigma=0.15)])
    assert lot.status("b") is BayStatus.OCCUPIED
    expected = BayStatus.OCCUPIED if double else BayStatus.FREE
    assert lot.status("c") is expected
    assert lot.bay("c").misuse == ((BayMisuse.DOUBLE,) if double else ())
    assert lot.status("d") is BayStatus.FREE


def test_who_stands_in_the_aisle_blocks_it_after_a_while(world: Make) -> None:
    lot = world(options={"aisle_after_s": 15.0}).play(14.0, [car(1, 20.0, 0.0)])
    assert not lot.events
    lot.play(4.0, [car(1, 20.0, 0.0)])
    assert [event.kind for event in lot.events][:1] == ["aisle-blocked"]
    assert lot.events[0].lanes == ("aisle",)
    assert {lot.status(name) for name in NAMES} == {BayStatus.FREE}


def test_a_walker_in_a_bay_does_not_take_it(world: Make) -> None:
    walker = car(1, *IN_B, object_class=ObjectClass.PEDESTRIAN, size=Size(0.5, 0.5, 1.7))
    assert world().play(10.0, [walker]).status("b") is BayStatus.FREE


def test_no_status_flaps_under_noise(world: Make) -> None:
    """A parked car that is lost and found at random, and jumps by 0.5 m (1 σ): one change."""
    rng = np.random.default_rng(5)
    lot = world()

    def noisy(_second: float) -> list[Any]:
        if rng.random() < 0.2:
            return []
        x, y = rng.normal(IN_B, 0.5)
        return [car(int(rng.integers(1, 4)), float(x), float(y), sigma=0.5)]

    lot.play(120.0, noisy)
    for name in NAMES:
        told = [next(b.status for b in s.bays if b.bay == name) for s in lot.states]
        changes = sum(before is not after for before, after in pairwise(told))
        assert changes <= 1, (name, told)
        assert told[-1] is (BayStatus.OCCUPIED if name == "b" else BayStatus.FREE)


def test_the_nearest_free_bay_is_promised_to_one_vehicle(world: Make) -> None:
    lot = world().play(6.0, [car(1, 1.25, 5.5)])
    for number in (1, 2):
        request = ParkingRequest(
            vehicle=bytes([0] * 7 + [number]), request=1, time_ns=lot.now.utc_ns,
            position=Vec2(-20.0, 0.0),
        )  # fmt: skip
        lot.give(PARKING_REQUEST, request)
    guided = {g.vehicle[-1]: (g.bay, g.lanes) for g in lot.states[-1].guidance}
    assert guided == {1: ("b", ("aisle",)), 2: ("c", ("aisle",))}
    lot.play(5.0, [car(1, 1.25, 5.5), car(2, *IN_B)])  # somebody is in b now
    assert {g.vehicle[-1]: g.bay for g in lot.states[-1].guidance} == {2: "c"}
    cancel = ParkingRequest(
        vehicle=bytes([0] * 7 + [2]), request=1, time_ns=lot.now.utc_ns, cancel=True
    )
    lot.give(PARKING_REQUEST, cancel)
    assert lot.states[-1].guidance == ()


def test_bays_behind_a_vehicle_on_a_one_way_aisle_are_not_offered(world: Make) -> None:
    lot = world().play(6.0, [])
    late = ParkingRequest(vehicle=bytes(8), request=1, time_ns=lot.now.utc_ns,
                          position=Vec2(7.0, 0.5))  # fmt: skip
    lot.give(PARKING_REQUEST, late)
    assert [g.bay for g in lot.states[-1].guidance] == ["d"]
    out = ParkingRequest(vehicle=bytes(8), request=2, time_ns=lot.now.utc_ns, leaving=True,
                         position=Vec2(7.0, 0.5))  # fmt: skip
    lot.give(PARKING_REQUEST, out)
    assert [(g.bay, g.lanes) for g in lot.states[-1].guidance] == [(None, ("aisle",))]


def test_a_clock_set_back_leaves_nothing_known(world: Make) -> None:
    lot = world().play(30.0, [car(1, *IN_B)])
    assert lot.status("b") is BayStatus.OCCUPIED
    lot.tenths -= 200
    lot.play(0.2, [])
    assert {lot.status(name) for name in NAMES} == {BayStatus.UNKNOWN}


def test_the_same_pictures_give_the_same_words(world: Make) -> None:
    first, second = (world().play(6.0, []).play(14.0, driving_in) for _ in range(2))
    assert first.states == second.states


def test_cameras_along_the_row_do_not_see_behind_cars(world: Make) -> None:
    """The view from the end: with a car in a, nobody knows of b; across the row it is free."""
    parked = [car(1, 1.25, 5.5)]
    assert world(cameras=(ALONG,)).play(20.0, parked).status("b") is BayStatus.UNKNOWN
    assert world(cameras=(ACROSS,)).play(20.0, parked).status("b") is BayStatus.FREE
