"""Who may be in a vehicle's way, and who is taken to stay beside the road."""

from __future__ import annotations

import numpy as np
import pytest

from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_S, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, SiteMap
from rsu.situation.conflicts.walkers import in_the_way, is_somebody
from rsu.situation.picture import Viewer

NOW = 1_800_000_000 * NS_PER_S
SITE = SiteMap(
    LocalFrame(31.0, 121.0),
    (
        Lane(id="road", kind=LaneKind.VEHICLE, width=4.0,
             centreline=np.array([(0.0, 0.0), (100.0, 0.0)])),
        Lane(id="walk", kind=LaneKind.SIDEWALK, width=2.0,
             centreline=np.array([(0.0, -4.0), (100.0, -4.0)])),
        Lane(id="cross", kind=LaneKind.CROSSWALK, width=3.0,
             centreline=np.array([(80.0, -3.0), (80.0, 3.0)])),
    ),
)  # fmt: skip


def _person(
    x: float, y: float, doubt: float, *, age_s: float = 9.0, unseen_s: float = 0.0
) -> Track:
    return Track(
        id=1, object_class=ObjectClass.PEDESTRIAN, class_probability=1.0, position=Vec2(x, y),
        heading=0.0, speed=1.0, turn_rate=0.0,
        covariance=(4.0, 0, 0, 0, 0, doubt**2, 0, 0, 0, 3.3, 0, 0, 0.1, 0, 0.01),
        size=Size(0.6, 0.6, 1.7), existence=0.9, status=TrackStatus.CONFIRMED, sources=("a",),
        born_ns=NOW - round(age_s * NS_PER_S), updated_ns=NOW - round(unseen_s * NS_PER_S),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "doubt", "walk", "whereto", "steps"),
    [
        ((40.0, -1.5), 0.2, (1.4, 0.0), True, True),  # along the road, 2.5 σ inside its edge
        ((40.0, -1.5), 0.3, (1.4, 0.0), True, False),  # 1.7 σ: most people there are beside it
        ((40.0, -1.5), 0.3, (0.0, 0.0), False, False),
        ((40.0, -1.5), 0.3, (0.0, 1.4), True, True),  # across it
        ((40.0, -2.4), 0.3, (0.0, 1.4), True, True),  # with the next step
        ((40.0, -2.4), 0.3, (0.0, 1.4), False, False),  # if that is known
        ((40.0, -2.4), 0.3, (0.0, -1.4), True, False),
        ((40.0, -2.9), 0.3, (0.0, 1.4), True, False),
    ],
)
def test_who_is_or_comes_onto_the_road(
    place: tuple[float, float], doubt: float, walk: tuple[float, float], whereto: bool,
    steps: bool,
) -> None:  # fmt: skip
    picture = Viewer(SITE).look(TrackList(time_ns=NOW, tracks=(_person(*place, doubt),)))
    some = np.ones(1, np.bool_)
    found, crosses = in_the_way(picture, some, np.array([walk]), np.array([whereto]))
    assert (bool(found[0]), bool(crosses[0])) == (steps, False)
    assert not in_the_way(picture, ~some, np.array([walk]), some)[0].any()


def test_who_walks_on_a_crossing_is_told_apart() -> None:
    picture = Viewer(SITE).look(TrackList(time_ns=NOW, tracks=(_person(80.0, 0.0, 0.2),)))
    some, walk = np.ones(1, np.bool_), np.array([(0.0, 1.4)])
    steps, crosses = in_the_way(picture, some, walk, some)
    assert (bool(steps[0]), bool(crosses[0])) == (False, True)


@pytest.mark.parametrize(
    ("age_s", "unseen_s", "known"), [(0.3, 0.0, True), (0.2, 0.0, False), (9.0, 0.6, False)]
)
def test_three_looks_make_somebody(age_s: float, unseen_s: float, known: bool) -> None:
    assert is_somebody(_person(40.0, 0.0, 0.2, age_s=age_s, unseen_s=unseen_s), NOW) is known
