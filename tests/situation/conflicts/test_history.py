"""What the last looks tell: who sets off, who is in view, who leaps."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rsu.config.situation import WarningCodes, WarningOptions
from rsu.schema.events import RoadEvent
from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_S, Instant, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, SiteMap
from rsu.situation.conflicts.history import History
from rsu.situation.conflicts.warnings import Warnings
from rsu.situation.events.book import EventIds
from rsu.situation.picture import Viewer

START = 1_800_000_000 * NS_PER_S
SITE = SiteMap(
    LocalFrame(31.0, 121.0),
    (
        Lane(id="road", kind=LaneKind.VEHICLE, width=3.5,
             centreline=np.array([(0.0, 0.0), (100.0, 0.0)])),
        Lane(id="walk", kind=LaneKind.SIDEWALK, width=2.0,
             centreline=np.array([(0.0, -4.0), (100.0, -4.0)])),
        Lane(id="cross", kind=LaneKind.CROSSWALK, width=3.0,
             centreline=np.array([(80.0, -3.0), (80.0, 3.0)])),
    ),
)  # fmt: skip
Places = list[tuple[float, float, float]]
"""x, y, m/s at each look."""


def _track(
    number: int, x: float, y: float, speed: float, time_ns: int, *, std: float = 0.3
) -> Track:
    car = number == 1
    heading_var = 0.0025 if car else 3.3  # who stands has no heading
    return Track(
        id=number, object_class=ObjectClass.CAR if car else ObjectClass.PEDESTRIAN,
        class_probability=1.0, position=Vec2(x, y), heading=0.0, speed=speed, turn_rate=0.0,
        covariance=(0.09, 0, 0, 0, 0, 0.09, 0, 0, 0, heading_var, 0, 0, std**2, 0, 0.01),
        size=Size(4.6, 1.8, 1.5) if car else Size(0.6, 0.6, 1.7), existence=1.0,
        status=TrackStatus.CONFIRMED, sources=("a",), born_ns=START - 10 * NS_PER_S,
        updated_ns=time_ns,
    )  # fmt: skip


def _velocity(places: Places) -> tuple[list[float], bool, bool]:
    """Of the person after these looks, whether it sets off, whether it is in view."""
    history, viewer = History(), Viewer(SITE)
    for look, (x, y, speed) in enumerate(places):
        time_ns = START + look * NS_PER_S // 5
        track = _track(2, x, y, speed, time_ns)
        picture = viewer.look(TrackList(time_ns=time_ns, tracks=(track,)))
        history.follow(picture)
    everybody = np.ones(1, dtype=np.bool_)
    velocity, sets_off = history.velocities(picture, picture.speed, everybody)
    in_view = history.in_view(picture, everybody)
    return velocity[0].tolist(), bool(sets_off[0]), bool(in_view[0])


STOOD: Places = [(40.0, -2.4, 0.0)] * 3


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ((40.0, -2.05, 0.4), (0.0, 1.34)),  # towards the road: at the pace of a walker at once
        ((40.0, -2.75, 0.4), (0.0, -1.34)),
        ((40.0, -2.35, 0.0), None),  # a resting track's own wander
        ((40.4, -2.4, 0.4), None),  # along the road
    ],
)
def test_a_step_across_the_road(
    step: tuple[float, float, float], expected: tuple[float, float] | None
) -> None:
    velocity, sets_off, _ = _velocity([*STOOD, step])
    assert sets_off is (expected is not None)
    if expected is not None:
        assert velocity == pytest.approx(expected, abs=1e-9)
    else:
        assert math.hypot(*velocity) < 1.0


def test_on_a_footway_people_set_off_all_the_time() -> None:
    assert not _velocity([(40.0, -4.5, 0.0)] * 3 + [(40.0, -4.1, 0.4)])[1]


def test_who_has_been_on_the_road_for_a_second_is_in_view() -> None:
    on_road = [(40.0 + 0.3 * look, -0.5, 1.5) for look in range(6)]
    assert _velocity(on_road)[2]
    assert not _velocity(on_road[:5])[2]
    assert not _velocity([(40.0, -1.5 + 0.3 * look, 1.5) for look in range(6)])[2]  # crosses
    assert _velocity([(80.0, -1.5 + 0.3 * look, 1.5) for look in range(6)])[2]  # on a crossing
    assert not _velocity([(40.0, -2.4, 1.5), *on_road[1:]])[2]


@pytest.mark.parametrize(("std", "leaps"), [(0.3, True), (6.0, False)])
def test_only_a_speed_that_was_known_can_leap(std: float, leaps: bool) -> None:
    history, viewer = History(), Viewer(SITE)
    for look, (speed, doubt) in enumerate([(1.0, std), (11.0, 2.0)]):
        time_ns = START + look * NS_PER_S // 5
        track = _track(1, 10.0, 0.0, speed, time_ns, std=doubt)
        history.follow(viewer.look(TrackList(time_ns=time_ns, tracks=(track,))))
    assert history.leaps(track) is leaps


def _told(person: Places, options: WarningOptions) -> list[RoadEvent]:
    """A car at 10 m/s from 10 m on, somebody at the roadside."""
    part, viewer = Warnings(options, SITE, EventIds(Instant(START, 0))), Viewer(SITE)
    told = []
    for look, (x, y, speed) in enumerate(person):
        time_ns = START + look * NS_PER_S // 5
        tracks = (
            _track(1, 10.0 + 2.0 * look, 0.0, 10.0, time_ns),
            _track(2, x, y, speed, time_ns),
        )
        picture = viewer.look(TrackList(time_ns=time_ns, tracks=tracks))
        told += [message.payload for message in part.follow(picture, Instant(time_ns, 0))]
    return told


STEPS: Places = [*STOOD, (40.0, -2.1, 0.4), (40.0, -1.85, 0.6), (40.0, -1.6, 0.9)]


def test_the_first_step_in_front_of_a_car_is_warned_of() -> None:
    # At once; the front is 21.7 m before the person then: 2.2 s.
    (first, *_) = _told(STEPS, WarningOptions(enabled=True))
    assert first.kind == "vru-warning"
    assert first.conflict is not None
    assert first.conflict.time_to_conflict_s > 1.5
    assert first.time_ns == START + 3 * NS_PER_S // 5
    assert not _told([*STOOD, *STOOD], WarningOptions(enabled=True))


def test_kinds_and_codes_are_the_options() -> None:
    some = WarningOptions(
        enabled=True, codes={"vru-warning": WarningCodes(code=65000, itis=2049)},
    )  # fmt: skip
    (first, *_) = _told(STEPS, some)
    assert (first.code, first.itis) == (65000, 2049)
    assert not _told(STEPS, WarningOptions(enabled=True, kinds=("red-light-warning",)))
    assert not _told(STEPS, WarningOptions(enabled=False))


def test_an_empty_road() -> None:
    part = Warnings(WarningOptions(enabled=True), SITE, EventIds(Instant(START, 0)))
    picture = Viewer(SITE).look(TrackList(time_ns=START, tracks=()))
    assert not list(part.follow(picture, Instant(START, 0)))


def test_who_is_in_view_stays_so_until_off_the_road() -> None:
    along = [(40.0 + 0.3 * look, -0.5, 1.5) for look in range(6)]
    # A place that jumps aside is no new person to a driver; who was away is.
    history, viewer = History(), Viewer(SITE)
    seen = []
    for look, (x, y, speed) in enumerate([*along, (41.8, 0.9, 1.5), (42.0, -3.5, 1.5), along[-1]]):
        time_ns = START + look * NS_PER_S // 5
        track = _track(2, x, y, speed, time_ns)
        picture = viewer.look(TrackList(time_ns=time_ns, tracks=(track,)))
        history.follow(picture)
        seen.append(bool(history.in_view(picture, np.ones(1, np.bool_))[0]))
    assert seen == [False] * 5 + [True, True, False, False]


@pytest.mark.parametrize(("gap_s", "known"), [(0.6, True), (1.2, False)])
def test_who_is_not_told_for_a_moment_has_a_past(gap_s: float, known: bool) -> None:
    history, viewer = History(), Viewer(SITE)
    for at_s, y, speed in ((0.0, -2.4, 0.0), (0.2, -2.4, 0.0), (0.2 + gap_s, -1.6, 1.1)):
        time_ns = START + round(at_s * NS_PER_S)
        for track in ((), (_track(2, 40.0, y, speed, time_ns),)):
            picture = viewer.look(TrackList(time_ns=time_ns, tracks=track))
            history.follow(picture)
    everybody = np.ones(1, dtype=np.bool_)
    assert bool(history.velocities(picture, picture.speed, everybody)[1][0]) is known


def test_nobody_on_foot_jumps_faster_than_a_walk() -> None:
    velocity, _, _ = _velocity([(40.0 + 1.5 * look, -0.5, 0.8) for look in range(6)])
    assert math.hypot(*velocity) == pytest.approx(1.34)


def test_who_leaves_rest_is_looked_at_at_once() -> None:
    part, viewer = Warnings(WarningOptions(enabled=True), SITE, EventIds(Instant(START, 0))), (
        Viewer(SITE)
    )  # fmt: skip
    told = []
    # Looks 0.2 s apart, and a list 0.1 s after the last in which the walk is first told.
    for at, (y, speed) in ((0, (-2.4, 0.0)), (2, (-2.4, 0.0)), (4, (-2.4, 0.0)), (5, (-2.0, 0.9))):
        time_ns = START + at * NS_PER_S // 10
        tracks = (_track(1, 12.0 + at, 0.0, 10.0, time_ns), _track(2, 40.0, y, speed, time_ns))
        picture = viewer.look(TrackList(time_ns=time_ns, tracks=tracks))
        told += [message.payload for message in part.follow(picture, Instant(time_ns, 0))]
    assert [event.time_ns for event in told] == [START + 5 * NS_PER_S // 10]
