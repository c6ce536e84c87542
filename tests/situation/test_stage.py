"""The stage keeps order: older lists are left out, a clock set back begins everything anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass
from rsu.schema.topics import SIGNAL_STATE, TRACKS, Topic
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_S, Instant, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, SiteMap
from rsu.situation.picture import Picture
from rsu.situation.snapshots import Snapshots
from rsu.situation.stage import SituationStage

START_NS = 1_767_225_600 * NS_PER_S
MAP = SiteMap(
    LocalFrame(31.0, 121.0),
    (
        Lane("east", LaneKind.VEHICLE, np.array([[0.0, 0.0], [100.0, 0.0]]), 3.5),
        Lane("walk", LaneKind.SIDEWALK, np.array([[0.0, -4.0], [100.0, -4.0]]), 2.0),
    ),
)


class Witness:
    """A part that writes down what it is told."""

    topics: tuple[Topic, ...] = (SIGNAL_STATE,)
    outputs: tuple[Topic, ...] = ()

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self.heard: list[Message] = []
        self.restarts = 0

    def follow(self, picture: Picture, _now: Instant) -> list[Message]:
        self.pictures.append(picture)
        return []

    def hear(self, message: Message, _now: Instant) -> list[Message]:
        self.heard.append(message)
        return []

    def tick(self, _now: Instant) -> list[Message]:
        return []

    def begin_anew(self, _now: Instant) -> list[Message]:
        self.restarts += 1
        return []


def at(second: float) -> Instant:
    ns = round(second * NS_PER_S)
    return Instant(START_NS + ns, ns)


def track(number: int, x: float, y: float, speed: float = 10.0, **more: Any) -> Track:
    cov = np.diag([0.1, 0.1, 0.05**2, 0.1, 0.01])
    values = {"object_class": ObjectClass.CAR, "heading": 0.0, **more}
    return Track(
        id=number, class_probability=0.9, position=Vec2(x, y), speed=speed, turn_rate=0.0,
        covariance=tuple(cov[np.triu_indices(5)].tolist()), size=Size(4.5, 1.8, 1.5),
        existence=0.99, status=TrackStatus.CONFIRMED, sources=("north",), born_ns=START_NS,
        updated_ns=START_NS, **values,
    )  # fmt: skip


@pytest.fixture
def witness() -> Witness:
    return Witness()


def tell(
    stage: SituationStage, second: float, *tracks: Track, evidence: float | None = None
) -> None:
    when = at(second if evidence is None else evidence).utc_ns
    payload = TrackList(time_ns=when, tracks=tracks)
    list(stage.handle(Message.draft(TRACKS, "fusion", when, payload), at(second)))


def test_a_picture_places_everyone_once(witness: Witness) -> None:
    stage = SituationStage([witness], MAP)
    walker = track(2, 30.0, -4.2, 1.0, object_class=ObjectClass.PEDESTRIAN)
    tell(stage, 1.0, track(1, 20.0, 0.5), walker, track(3, 10.0, 0.0))
    picture = witness.pictures[0]
    assert picture.vehicle.tolist() == [True, False, True]
    assert list(picture.on_lane(0)) == [2, 0]  # along the lane, not in the order of the list
    assert picture.road.station[0] == pytest.approx(20.0)
    assert bool(picture.walk.inside[1])
    assert not picture.walk.inside[0]


def test_an_older_list_is_left_out(witness: Witness) -> None:
    stage = SituationStage([witness], MAP)
    tell(stage, 1.0, track(1, 0.0, 0.0))
    tell(stage, 1.1, track(1, 0.0, 0.0), evidence=0.9)
    tell(stage, 1.2, track(1, 0.0, 0.0))
    assert [(p.time_ns - START_NS) / NS_PER_S for p in witness.pictures] == [1.0, 1.2]
    assert [p.gap_ns for p in witness.pictures] == [0, 200_000_000]
    assert witness.restarts == 0


def test_a_clock_set_back_begins_anew(witness: Witness) -> None:
    stage = SituationStage([witness], MAP)
    tell(stage, 100.0, track(1, 0.0, 0.0, 0.0))
    list(stage.tick(Instant(at(10.0).utc_ns, at(100.1).mono_ns)))
    tell(stage, 10.1, track(1, 0.0, 0.0, 0.0))
    assert witness.restarts == 1
    assert witness.pictures[1].gap_ns == 0
    assert witness.pictures[1].standing_s(0) == 0.0


def test_standing_lasts_through_noise_and_ends_with_motion(witness: Witness) -> None:
    stage = SituationStage([witness], MAP)
    # (second, x, speed) → standing for how long
    course = [
        (0.0, 0.0, 5.0, 0.0), (1.0, 5.0, 0.2, 0.0), (2.0, 5.2, 1.0, 1.0), (3.0, 5.1, 0.1, 2.0),
        (4.0, 7.6, 1.0, 0.0), (5.0, 7.8, 0.3, 0.0), (6.0, 7.8, 0.3, 1.0), (7.0, 9.0, 2.0, 0.0),
    ]  # fmt: skip
    for second, x, speed, _ in course:
        tell(stage, second, track(1, x, 0.0, speed))
    stood = [picture.standing_s(0) for picture in witness.pictures]
    assert stood == [expected for *_, expected in course]


def test_a_track_that_was_gone_for_long_has_not_stood_meanwhile(witness: Witness) -> None:
    stage = SituationStage([witness], MAP)
    tell(stage, 0.0, track(1, 0.0, 0.0, 0.0))
    tell(stage, 20.0)
    tell(stage, 20.1, track(1, 0.0, 0.0, 0.0))
    assert witness.pictures[2].standing_s(0) == 0.0


def test_parts_hear_only_what_they_asked_for(witness: Witness) -> None:
    stage = SituationStage([witness], MAP)
    assert set(stage.inputs) == {TRACKS, SIGNAL_STATE, *Snapshots.topics}
    list(stage.handle(Message.draft(SIGNAL_STATE, "s", START_NS, object()), at(0.0)))  # type: ignore[arg-type]
    assert len(witness.heard) == 1


def test_nobody_on_the_road_is_a_picture_too(witness: Witness) -> None:
    stage = SituationStage([witness], MAP)
    tell(stage, 0.0)
    assert witness.pictures[0].position.shape == (0, 2)
    assert list(witness.pictures[0].on_lane(0)) == []
