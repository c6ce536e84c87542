"""Properties of conflicts ahead between a vehicle and a person."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, SiteMap
from rsu.situation.conflicts.encroachment import Encroachment, encroachments
from rsu.situation.conflicts.prediction import forecast
from rsu.situation.conflicts.ways import ways_of
from rsu.situation.picture import Viewer

LINE = np.array([(0.0, 0.0), (200.0, 0.0)])
SITE = SiteMap(
    LocalFrame(31.0, 121.0),
    (Lane(id="a", kind=LaneKind.VEHICLE, centreline=LINE, width=3.5),),
)
WAYS = ways_of(SITE)


def met(
    speed: float, x: float, y: float, walk: float, braking: float = 0.0, *,
    sets_off: bool = False, in_view: bool = False,
) -> Encroachment:  # fmt: skip
    """A car at x = 20 m going east, somebody at (x, y) walking north at `walk` m/s."""
    tracks = tuple(
        Track(
            id=number, object_class=kind, class_probability=1.0, position=Vec2(*place),
            heading=heading, speed=pace, turn_rate=0.0,
            covariance=(0.04, 0, 0, 0, 0, 0.04, 0, 0, 0, 0.0025, 0, 0, 0.04, 0, 0.01),
            size=size, existence=1.0, status=TrackStatus.CONFIRMED, sources=("a",), born_ns=0,
            updated_ns=10**10,
        )
        for number, kind, place, heading, pace, size in (
            (1, ObjectClass.CAR, (20.0, 0.0), 0.0, speed, Size(4.6, 1.8, 1.5)),
            (2, ObjectClass.PEDESTRIAN, (x, y), math.copysign(math.pi / 2, walk), abs(walk),
             Size(0.6, 0.6, 1.7)),
        )
    )  # fmt: skip
    picture = Viewer(SITE).look(TrackList(time_ns=10**10, tracks=tracks))
    pace, slowing = np.array([speed, abs(walk)]), np.array([-braking, 0.0])
    seen = forecast(picture, WAYS, pace, slowing, np.ones(2, dtype=np.bool_))
    velocity = np.array([(speed, 0.0), (0.0, walk)])
    cars = np.flatnonzero(seen.user == 0)
    off, known = np.array([False, sets_off]), np.array([False, in_view])
    return encroachments(picture, seen, cars, np.array([1]), velocity, pace, slowing, off, known)


SPEEDS, WALKS = st.floats(2.0, 20.0), st.floats(-2.0, 2.0)


@settings(deadline=None, max_examples=60)
@given(SPEEDS, st.floats(0.0, 120.0), st.floats(-15.0, 15.0), WALKS)
def test_probabilities_are_probabilities_and_alike_on_both_sides(
    speed: float, x: float, y: float, walk: float
) -> None:
    one, mirrored = met(speed, x, y, walk), met(speed, x, -y, -walk)
    for found in (one.overlaps, one.too_late):
        assert np.all((found >= 0.0) & (found <= 1.0))
    assert one.overlaps == pytest.approx(mirrored.overlaps, abs=1e-6)


@settings(deadline=None, max_examples=40)
@given(SPEEDS, st.floats(0.0, 120.0), st.floats(14.0, 80.0), WALKS)
def test_who_cannot_walk_into_the_way_within_the_horizon_meets_nobody(
    speed: float, x: float, y: float, walk: float
) -> None:
    assert np.all(met(speed, x, y, walk).overlaps < 0.01)


def test_a_person_who_has_left_less_than_a_second_before() -> None:
    # The stripe is 1.2 m to either side. From -2.4 m at 1.5 m/s it is left after 2.4 s; a car at
    # 11 m/s with its front 31.8 m before it arrives after 2.9 s, one 50 m before it after 4.5 s.
    near, far = met(11.0, 54.4, -2.4, 1.5), met(11.0, 72.6, -2.4, 1.5)
    assert near.overlaps.max() > 0.9
    assert near.distance[0] == pytest.approx(31.8)
    assert far.overlaps.max(initial=0.0) < 0.1


def test_stopping_in_time_takes_a_reaction_only_from_who_does_not_brake() -> None:
    # 11 m/s: 16.5 m to react and 17.8 m to stop are more than 31.8 m, 17.8 m alone are less.
    assert met(11.0, 54.4, -2.4, 1.5).too_late[0] > 0.9
    assert met(11.0, 54.4, -2.4, 1.5, braking=2.0).too_late[0] < 0.1
    assert met(11.0, 54.4, -2.4, 1.5, in_view=True).too_late[0] < 0.1
    # Who brakes for something else does not count on it for somebody who has just set off.
    assert met(11.0, 54.4, -2.4, 1.5, braking=2.0, sets_off=True).too_late[0] > 0.9
    assert met(11.0, 60.4, -2.4, 1.5, braking=2.0, sets_off=True).too_late[0] < 0.1
