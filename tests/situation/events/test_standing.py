"""Who stands without a reason is told; who waits, is not; a changed id changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Size

BORN = 1_767_225_600 * NS_PER_S
"""When play begins."""


def test_a_vehicle_that_stops_on_a_free_road_is_told_within_two_seconds(player: Any) -> None:
    track = player.track
    player.play(3, lambda s: [track(1, -80 + 5 * s, 0, 5.0)])
    player.play(5, lambda s: [track(1, -65, 0, 0.0)])
    assert player.kinds == ["stopped-vehicle"]
    ((second, _),) = player.told()
    assert 3.9 <= second <= 4.5
    event = player.last
    assert (event.lanes, event.tracks, event.code) == (("in",), (1,), None)
    assert event.start_ns - player.now.utc_ns == pytest.approx(-5 * NS_PER_S, abs=2e8)
    assert 0.9 < event.confidence < 0.99
    player.play(5, lambda s: [track(1, -65 + 5 * (s - 8), 0, 5.0)])
    assert [phase for _, phase in player.told("stopped-vehicle")] == ["onset", "end"]
    assert player.last.ending == "cleared"


@pytest.mark.parametrize(
    "others",
    [
        [(2, -45.0, 0.0), (3, -25.0, 0.0), (4, -5.0, 0.0)],  # a queue
        [(2, -21.0, 0.0), (3, -13.0, 0.0), (4, -5.0, 0.0)],  # a queue, and a gap behind it
    ],
)
def test_who_stands_in_a_queue_is_not_told(player: Any, others: list[Any]) -> None:
    player.play(7, lambda s: [player.track(1, -65, 0), *(player.track(*o) for o in others)])
    assert player.kinds == []


def test_who_stands_on_an_approach_at_first_may_be_the_last_of_a_queue(make_player: Any) -> None:
    # Nothing is seen ahead of it: the queue may have set off before anybody looked.
    player = make_player(watched_s=0.0)
    player.play(35, lambda s: [player.track(1, -65, 0)])
    assert player.told()[0][0] >= 20.0


def test_a_reason_that_is_lost_from_sight_is_one_for_some_seconds(player: Any) -> None:
    # The track of the one in front ends, and begins anew 8 s later.
    def scene(s: float) -> list[Any]:
        lost = 10.0 < s < 18.0
        return [player.track(1, -65, 0), *([] if lost else [player.track(2, -52, 0)])]

    player.play(22, scene)
    assert {event.tracks for _, event in player.events} == {(2,)}


def test_who_waited_is_told_once_it_had_time_to_set_off(player: Any) -> None:
    def scene(s: float) -> list[Any]:
        leader = -55 + 10 * max(s - 10, 0.0)
        return [player.track(1, -65, 0), player.track(2, leader, 0, 10.0 if s > 10 else 0.0)]

    player.play(30, scene)
    ((second, _),) = [one for one in player.told("stopped-vehicle") if one[1] == "onset"][-1:]
    assert 15.0 < second <= 19.0


def test_who_waits_at_a_stop_line_or_in_the_junction_is_not_told(player: Any) -> None:
    player.play(20, lambda s: [player.track(1, -4, 0), player.track(2, 20, 0)])
    assert player.kinds == []


def test_who_waits_behind_somebody_on_foot_is_not_told(player: Any) -> None:
    walker = {"object_class": ObjectClass.PEDESTRIAN, "size": Size(0.6, 0.6, 1.7)}
    player.play(20, lambda s: [player.track(1, -65, 0), player.track(2, -58, 0, **walker)])
    assert "stopped-vehicle" not in player.kinds


def test_a_bus_at_its_stop_is_not_told_before_a_minute(player: Any) -> None:
    player.play(
        62, lambda s: [player.track(1, -65, 0, object_class=ObjectClass.BUS, size=Size(12, 2.5, 3))]
    )
    assert player.told()[0][0] > 59.0


def test_where_the_road_leaves_the_map_a_reason_may_lie_beyond(player: Any) -> None:
    player.play(5, lambda s: [player.track(9, 100 + 10 * s, 0, 10.0)])
    player.play(10, lambda s: [player.track(1, 150, 0)])
    assert player.kinds == []


def test_a_new_id_at_the_same_place_is_the_same_event(player: Any) -> None:
    player.play(5, lambda s: [player.track(1, -65, 0)])
    player.play(1, lambda s: [])
    player.play(10, lambda s: [player.track(2, -64, 0.3)])
    assert player.kinds == ["stopped-vehicle"]
    assert player.last.tracks == (2,)


def test_standing_for_a_minute_is_parking_and_only_that(player: Any) -> None:
    player.play(63, lambda s: [player.track(1, -65, 0)])
    assert player.kinds == ["stopped-vehicle", "illegal-parking"]
    (_, parked, ended) = player.told()
    assert parked[0] == pytest.approx(60.0, abs=0.5)
    assert ended[1] == "end"
    assert ended[0] < 63.0


def test_a_fire_lane_is_kept_free_at_once(player: Any) -> None:
    player.play(4, lambda s: [player.track(1, -90, -15)])
    assert player.kinds == ["fire-lane-blocked"]


@pytest.mark.parametrize(
    ("label", "told"), [(ObjectClass.OBSTACLE, 1), (ObjectClass.UNKNOWN, 1), (ObjectClass.CAR, 0)]
)
def test_things_on_a_lane_are_obstacles(player: Any, label: ObjectClass, told: int) -> None:
    size = Size(0.6, 0.6, 0.5)
    more = {"object_class": label, "size": size, "class_probability": 0.4}
    player.play(5, lambda s: [player.track(1, -65, 0, born_ns=player.now.utc_ns, **more)])
    assert player.kinds.count("obstacle") == told
    player2_size = player.track(1, -65, 20, **more)  # beside the road nothing is in the way
    player.play(5, lambda s: [player2_size])
    assert player.kinds.count("obstacle") == told


def test_what_is_far_away_has_to_stand_longer(player: Any) -> None:
    player.play(6, lambda s: [player.track(1, -65, 0, std=3.0, born_ns=BORN)])
    assert player.kinds == []
    player.play(3, lambda s: [player.track(1, -65, 0, std=3.0, born_ns=BORN)])
    assert player.kinds == ["stopped-vehicle"]


def test_who_was_seen_to_brake_far_away_is_told_sooner(player: Any) -> None:
    # 5 m/s, 2.5 m/s², from afar; a new track that stands there has to do so for 7 s.
    def scene(s: float) -> list[Any]:
        x, v = (-80 + 5 * s - 1.25 * s * s, 5 - 2.5 * s) if s < 2 else (-75.0, 0.0)
        return [player.track(1, x, 0, v, std=3.0, born_ns=player.now.utc_ns if s < 0.05 else BORN)]

    player.play(6, scene)
    assert player.kinds == ["stopped-vehicle"]
    assert 2.8 <= player.told()[0][0] <= 4.0


def test_who_is_still_coming_to_rest_does_not_stand_yet(player: Any) -> None:
    # Far away its speed is told as nought once while it brakes; it rolls another 2 m until 6 s.
    def scene(s: float) -> list[Any]:
        x = -100 + 8 * min(s, 2.0) if s < 3 else -84 + min(s - 3, 3.0) * 0.7
        speed = 8.0 if s < 2 else 0.2 if s < 3 else 1.7 if s < 6 else 0.0
        return [player.track(1, x, 0, speed, std=1.8)]

    player.play(68, scene)
    (stopped, _), (parked, _) = (one for one in player.told() if one[1] == "onset")
    assert 7.0 <= stopped < 8.0
    assert 66.0 <= parked < 68.0


def test_who_crept_up_to_a_walker_has_time_to_set_off(player: Any) -> None:
    # It comes to rest when the walker has just left the lane, and sets off late.
    walker = {"object_class": ObjectClass.PEDESTRIAN, "size": Size(0.6, 0.6, 1.7)}

    def scene(s: float) -> list[Any]:
        x, v = (-80 + 1.2 * s, 1.2) if s < 5 else (-74.0, 0.0)
        aside = 0.0 if s < 4.5 else 2.5 * (s - 4.5)
        return [player.track(1, x, 0, v), player.track(2, x + 7, aside, 1.0, **walker)]

    player.play(9, scene)
    assert "stopped-vehicle" not in player.kinds


def test_a_track_that_goes_over_to_somebody_who_drives_does_not_stand(player: Any) -> None:
    # Its speed cannot be negative, so it is said to be 0 while its place goes on.
    player.play(6, lambda s: [player.track(1, -110 + 9 * s, 0, 0.0, std=2.5, born_ns=BORN)])
    assert player.kinds == []


def test_what_nobody_names_in_a_queue_is_a_thing_after_some_seconds(player: Any) -> None:
    queue = [(2, -12.0, 0.0)]
    thing = {"object_class": ObjectClass.UNKNOWN, "size": Size(0.6, 0.6, 0.5)}

    def scene(s: float) -> list[Any]:
        return [
            player.track(1, -26, 0, born_ns=BORN, class_probability=0.1, **thing),
            *(player.track(*one) for one in queue),
        ]

    player.play(3, scene)
    assert "obstacle" not in player.kinds
    player.play(3, scene)
    assert player.kinds == ["obstacle"]
    assert player.last.confidence > 0.9


def test_what_nobody_names_and_may_lie_beside_the_lane_is_not_told(player: Any) -> None:
    thing = {"object_class": ObjectClass.UNKNOWN, "size": Size(0.6, 0.6, 0.5), "std": 2.0}
    player.play(
        8,
        lambda s: [
            player.track(1, -26, 0, born_ns=BORN, class_probability=0.1, **thing),
            player.track(2, -12, 0),
        ],
    )
    assert "obstacle" not in player.kinds
