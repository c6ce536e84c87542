"""Conflicts ahead: who is warned of, and who is not."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from rsu.config.situation import WarningOptions
from rsu.schema.events import RoadEvent
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.topics import SIGNAL_STATE
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_S, Instant, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, LaneRole, SiteMap
from rsu.situation.conflicts.prediction import TAUS, travelled
from rsu.situation.conflicts.warnings import Warnings
from rsu.situation.events.book import EventIds
from rsu.situation.picture import Viewer

START = 1_800_000_000 * NS_PER_S
ALL = WarningOptions(
    enabled=True,
    kinds=("vru-warning", "collision-warning", "rear-end-warning", "red-light-warning"),
)
CAR, PERSON = Size(4.6, 1.8, 1.5), Size(0.6, 0.6, 1.7)


def _lane(name: str, start: tuple[float, float], end: tuple[float, float], **more: object) -> Lane:
    line = np.array([start, end], dtype=np.float64)
    return Lane(id=name, kind=LaneKind.VEHICLE, centreline=line, width=3.5, **more)  # type: ignore[arg-type]


SITE = SiteMap(
    LocalFrame(31.0, 121.0),
    (
        _lane("in", (0, 0), (100, 0), role=LaneRole.ENTRY, stop_line=100.0, successors=("on",)),
        _lane("on", (100, 0), (200, 0), signal_group=1),
        _lane("cross", (120, -100), (120, 100)),
    ),
)


def _track(
    number: int, x: float, y: float, heading: float, speed: float, time_ns: int,
    kind: ObjectClass = ObjectClass.CAR,
) -> Track:  # fmt: skip
    return Track(
        id=number, object_class=kind, class_probability=1.0, position=Vec2(x, y), heading=heading,
        speed=speed, turn_rate=0.0,
        covariance=(0.04, 0, 0, 0, 0, 0.04, 0, 0, 0, 0.0025, 0, 0, 0.04, 0, 0.01),
        size=CAR if kind is ObjectClass.CAR else PERSON, existence=1.0,
        status=TrackStatus.CONFIRMED, sources=("a",), born_ns=START - 10 * NS_PER_S,
        updated_ns=time_ns,
    )  # fmt: skip


def _events(
    *users: tuple[int, float, float, float, float, ObjectClass], light: LightState | None = None,
    braking: float = 0.0, seconds: float = 1.2,
) -> list[RoadEvent]:  # fmt: skip
    """Everybody goes straight on for some seconds; the first user may brake."""
    part = Warnings(ALL, SITE, EventIds(Instant(START, 0)))
    viewer, told = Viewer(SITE), []
    for step in range(round(seconds / 0.2) + 1):
        tau = step * 0.2
        time_ns = START + round(tau * NS_PER_S)
        now = Instant(time_ns, time_ns)
        if light is not None:
            state = SignalState(
                controller="c", intersection=1, capture_ns=time_ns,
                groups=(SignalGroup(group=1, light=light),),
            )  # fmt: skip
            part.hear(Message.draft(SIGNAL_STATE, "c", time_ns, state), now)
        tracks = []
        for number, x, y, heading, speed, kind in users:
            a = braking if number == 1 else 0.0
            way = speed * tau - 0.5 * a * tau**2
            tracks.append(
                _track(
                    number,
                    x + way * math.cos(heading),
                    y + way * math.sin(heading),
                    heading,
                    speed - a * tau,
                    time_ns,
                    kind,
                )
            )
        picture = viewer.look(TrackList(time_ns=time_ns, tracks=tuple(tracks)))
        told += [message.payload for message in part.follow(picture, now)]
    return told


def test_somebody_on_the_carriageway_in_front_of_a_car_is_warned_of() -> None:
    # 10 m/s needs 15 m to react and 14.7 m to brake; 22 m on somebody is in the way.
    (first, *_) = _events(
        (1, 20.0, 0.0, 0.0, 10.0, ObjectClass.CAR),
        (2, 44.0, -0.5, math.pi / 2, 0.6, ObjectClass.PEDESTRIAN),
    )
    assert first.kind == "vru-warning"
    assert first.conflict is not None
    assert first.conflict.tracks == (1, 2)
    assert 1.0 < first.conflict.time_to_conflict_s < 2.4
    assert 0.5 <= first.conflict.probability <= 1.0
    assert msgspec.json.decode(msgspec.json.encode(first), type=RoadEvent) == first


def test_the_same_person_far_away_or_on_the_far_side_is_not() -> None:
    car = (1, 20.0, 0.0, 0.0, 10.0, ObjectClass.CAR)
    assert not _events(car, (2, 90.0, -0.5, math.pi / 2, 0.6, ObjectClass.PEDESTRIAN))
    assert not _events(car, (2, 44.0, 8.0, math.pi / 2, 1.4, ObjectClass.PEDESTRIAN))
    assert not _events(car, (2, 15.0, -0.5, math.pi / 2, 0.6, ObjectClass.PEDESTRIAN))


def test_who_waits_at_the_kerb_is_not() -> None:
    car = (1, 20.0, 0.0, 0.0, 10.0, ObjectClass.CAR)
    assert not _events(car, (2, 44.0, -2.6, math.pi / 2, 0.0, ObjectClass.PEDESTRIAN))


# The last one comes up 0.45 s before: nobody could react to that any more.
@pytest.mark.parametrize(("gap", "warned"), [(18.0, True), (70.0, False), (0.0, False)])
def test_the_end_of_a_queue(gap: float, warned: bool) -> None:
    told = _events(
        (1, 10.0, 0.0, 0.0, 12.0, ObjectClass.CAR), (2, 20.0 + gap, 0.0, 0.0, 0.0, ObjectClass.CAR),
        seconds=0.6,
    )  # fmt: skip
    assert ({one.kind for one in told} == {"rear-end-warning"}) is warned


def test_a_driver_who_brakes_enough_is_not_warned_of() -> None:
    # 10 m/s, 30 m of room, 2 m/s²: stops after 25 m.
    told = _events(
        (1, 10.0, 0.0, 0.0, 10.0, ObjectClass.CAR), (2, 44.6, 0.0, 0.0, 0.0, ObjectClass.CAR),
        braking=2.0, seconds=3.0,
    )  # fmt: skip
    assert not told


def test_two_on_crossing_ways_at_the_same_time() -> None:
    told = _events(
        (1, 98.0, 0.0, 0.0, 11.0, ObjectClass.CAR),
        (2, 120.0, -22.0, math.pi / 2, 11.0, ObjectClass.CAR), seconds=0.6,
    )  # fmt: skip
    assert {one.kind for one in told} == {"collision-warning"}


@pytest.mark.parametrize(
    ("light", "warned"), [(LightState.RED, True), (LightState.PERMISSIVE_GREEN, False)]
)
def test_who_cannot_stop_at_red(light: LightState, warned: bool) -> None:
    told = _events((1, 75.0, 0.0, 0.0, 13.0, ObjectClass.CAR), light=light, seconds=0.6)
    assert ({one.kind for one in told} == {"red-light-warning"}) is warned


@pytest.mark.parametrize(("light", "warned"), [(None, True), (LightState.RED, False)])
def test_a_driver_who_can_still_stop_at_red_is_taken_to(
    light: LightState | None, warned: bool
) -> None:
    # 10 m/s takes 14.7 m to stop, with a reaction of 1.5 s 29.7 m: the line is 24.7 m ahead, the
    # person 25.9 m.
    told = _events(
        (1, 73.0, 0.0, 0.0, 10.0, ObjectClass.CAR),
        (2, 101.5, -0.5, math.pi / 2, 0.6, ObjectClass.PEDESTRIAN),
        light=light, seconds=0.2,
    )  # fmt: skip
    assert ({one.kind for one in told} == {"vru-warning"}) is warned


def test_a_car_that_leaps_from_rest_is_a_track_that_jumped() -> None:
    def kinds(before: float) -> set[str]:
        part = Warnings(ALL, SITE, EventIds(Instant(START, 0)))
        viewer, told = Viewer(SITE), []
        for step in range(4):
            time_ns = START + round(step * 0.2 * NS_PER_S)
            now, way = Instant(time_ns, time_ns), 11.0 * (step - 2) * 0.2
            speed = 11.0 if step >= 2 else before
            ego = _track(1, 98.0 + way, 0.0, 0.0, speed, time_ns)
            other = _track(2, 120.0, -22.0 + way, math.pi / 2, 11.0, time_ns)
            picture = viewer.look(TrackList(time_ns=time_ns, tracks=(ego, other)))
            told += [message.payload for message in part.follow(picture, now)]
        return {one.kind for one in told}

    assert kinds(before=11.0) == {"collision-warning"}
    assert kinds(before=3.0) == set()


def test_who_brakes_comes_to_rest() -> None:
    way = travelled(np.array([4.0, 4.0]), np.array([-2.0, 1.0]))
    assert way[0, -1] == pytest.approx(4.0)  # v² / 2a
    assert way[1, -1] == pytest.approx(4.0 * TAUS[-1])  # nobody is expected to speed up
