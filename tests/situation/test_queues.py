"""Queues: who joins and leaves, what is concluded of the unseen, where they end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_S, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, LaneRole, SiteMap
from rsu.situation.picture import Viewer
from rsu.situation.queues import Queue, QueueTracker

START_NS = 1_767_225_600 * NS_PER_S


def lane(name: str, y: float, **more: Any) -> Lane:
    return Lane(name, LaneKind.VEHICLE, np.array([[0.0, y], [100.0, y]]), 3.5, **more)


MAP = SiteMap(
    LocalFrame(31.0, 121.0),
    (
        lane("in", 0.0, role=LaneRole.ENTRY, stop_line=100.0),
        lane("way", 10.0, role=LaneRole.CONNECTION),
    ),
)


def track(
    number: int, x: float, speed: float = 0.0, y: float = 0.0, speed_std: float = 0.3
) -> Track:
    cov = np.diag([0.1, 0.1, 0.05**2, speed_std**2, 0.01])
    return Track(
        id=number, object_class=ObjectClass.CAR, class_probability=0.9, position=Vec2(x, y),
        heading=0.0, speed=speed, turn_rate=0.0,
        covariance=tuple(cov[np.triu_indices(5)].tolist()), size=Size(4.6, 1.8, 1.5),
        existence=0.99, status=TrackStatus.CONFIRMED, sources=("north",), born_ns=START_NS,
        updated_ns=START_NS,
    )  # fmt: skip


class Road:
    def __init__(self) -> None:
        self.viewer = Viewer(MAP)
        self.tracker = QueueTracker(MAP)

    def look(self, seconds: float, *tracks: Track) -> Queue | None:
        time_ns = START_NS + round(seconds * NS_PER_S)
        picture = self.viewer.look(TrackList(time_ns=time_ns, tracks=tracks))
        return self.tracker.look(picture).get(0)


def test_a_queue_reaches_from_its_first_to_its_last() -> None:
    queue = Road().look(0.0, track(1, 97.0), track(2, 90.0, 1.0), track(3, 60.0, 9.0))
    assert queue is not None
    assert queue.tracks == (1, 2)
    assert queue.vehicles == 2
    assert (queue.front, queue.back) == (pytest.approx(99.3), pytest.approx(87.7))
    assert queue.length == pytest.approx(11.6)
    assert not queue.spill_back


def test_joining_takes_less_than_staying() -> None:
    road = Road()
    assert road.look(0.0, track(1, 97.0, 2.0)) is None  # 7 km/h, never waited
    assert road.look(1.0, track(1, 97.0, 1.0)) is not None
    assert road.look(2.0, track(1, 97.0, 2.0)) is not None  # crept on
    assert road.look(3.0, track(1, 97.0, 3.0)) is None
    assert road.look(4.0, track(1, 97.0, 2.0)) is None


@pytest.mark.parametrize(("x", "hidden"), [(90.0, 0), (83.0, 1), (76.0, 2), (55.0, 5)])
def test_a_gap_in_front_of_who_waits_is_filled(x: float, hidden: int) -> None:
    """At 7 m a vehicle, behind the one at 97 m."""
    queue = Road().look(0.0, track(1, 97.0), track(2, x))
    assert queue is not None
    assert (len(queue.tracks), queue.vehicles) == (2, 2 + hidden)


def test_who_creeps_as_far_as_is_known_waits() -> None:
    near = Road().look(0.0, track(1, 97.0), track(2, 90.0, 2.2))
    far = Road().look(0.0, track(1, 97.0), track(2, 90.0, 2.2, speed_std=1.5))
    faster = Road().look(0.0, track(1, 97.0), track(2, 90.0, 3.0, speed_std=4.0))
    assert [one is not None and one.vehicles for one in (near, far, faster)] == [1, 2, 1]


def test_a_new_track_s_unknown_speed_is_no_sign_of_waiting() -> None:
    """It would fill the road between with vehicles that nobody saw."""
    queue = Road().look(0.0, track(1, 97.0), track(2, 45.0, 1.0, speed_std=6.0))
    assert queue is not None
    assert queue.vehicles == 1


def test_who_is_lost_at_the_end_still_waits_until_the_one_before_drives_off() -> None:
    road = Road()
    road.look(0.0, track(1, 97.0), track(2, 90.0), track(3, 83.0))
    queue = road.look(10.0, track(1, 97.0), track(2, 90.0))
    assert queue is not None
    assert (queue.vehicles, queue.tracks, queue.back) == (3, (1, 2), pytest.approx(80.7))
    # Found again under another number, it is one.
    queue = road.look(11.0, track(1, 97.0), track(2, 90.0), track(9, 84.0))
    assert queue is not None
    assert (queue.vehicles, queue.tracks) == (3, (1, 2, 9))
    road.look(12.0, track(1, 97.0), track(2, 90.0))
    queue = road.look(13.0, track(1, 97.0), track(2, 92.0, 6.0))
    assert queue is not None
    assert queue.vehicles == 1


def test_nobody_lost_waits_longer_than_a_red() -> None:
    road = Road()
    road.look(0.0, track(1, 97.0), track(2, 90.0))
    counts = []
    for second in (29.0, 31.0):
        queue = road.look(second, track(1, 97.0))
        assert queue is not None
        counts.append(queue.vehicles)
    assert counts == [2, 1]


def test_nothing_is_concluded_across_a_long_way() -> None:
    queue = Road().look(0.0, track(1, 97.0), track(2, 20.0))
    assert queue is not None
    assert (queue.tracks, queue.vehicles) == ((1,), 1)


def test_who_rolls_in_front_of_one_that_has_yet_to_start_hides_few() -> None:
    queue = Road().look(0.0, track(1, 97.0, 8.0), track(2, 70.0, 0.0), track(3, 63.0))
    assert queue is not None
    assert queue.tracks == (2, 3)
    assert queue.vehicles == 2


def test_a_queue_to_the_lane_s_beginning_spills_back() -> None:
    queue = Road().look(0.0, *(track(n, 97.0 - 7.0 * n) for n in range(14)))
    assert queue is not None
    assert queue.vehicles == 14
    assert queue.spill_back
    assert not queue.open_end


def test_an_end_that_nobody_was_seen_behind_is_open() -> None:
    road = Road()
    queue = road.look(0.0, track(1, 97.0), track(2, 90.0))
    assert queue is not None
    assert queue.open_end
    queue = road.look(1.0, track(1, 97.0), track(2, 90.0), track(3, 40.0, 10.0))
    assert queue is not None
    assert not queue.open_end
    assert queue.since_ns == START_NS


def test_who_gives_way_inside_a_junction_is_no_queue() -> None:
    road = Road()
    assert road.look(0.0, track(1, 50.0, y=10.0)) is None
    assert road.tracker.look(road.viewer.look(TrackList(time_ns=START_NS, tracks=()))) == {}


def test_a_queue_is_forgotten_with_the_clock() -> None:
    road = Road()
    road.look(10.0, track(1, 97.0))
    road.tracker.forget()
    assert road.look(0.0, track(1, 97.0, 2.0)) is None
