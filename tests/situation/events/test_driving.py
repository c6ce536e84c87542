"""Against the lane, too fast, too slow, over a red light, and walking where cars drive."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState
from rsu.schema.units import NS_PER_S, Size

BORN_NS = 1_767_225_600_000_000_000
"""When play begins."""
WALKER = {"object_class": ObjectClass.PEDESTRIAN, "size": Size(0.6, 0.6, 1.7)}


def test_a_wrong_way_driver_is_told_soon_on_the_lane_it_is_on(player: Any) -> None:
    # On the exit `back` (westwards), going east: the lane `in` beside it runs east.
    player.play(4, lambda s: [player.track(1, -100 + 8 * s, 4, 8.0)])
    assert player.kinds == ["wrong-way"]
    assert player.told()[0][0] < 1.0
    assert (player.last.lanes, player.last.code, player.last.itis) == (("back",), 904, 1793)


def test_a_cyclist_is_no_wrong_way_driver(player: Any) -> None:
    rider = {"object_class": ObjectClass.BICYCLE, "size": Size(1.8, 0.6, 1.7)}
    player.play(6, lambda s: [player.track(1, -100 + 5 * s, 4, 5.0, **rider)])
    assert player.kinds == []


def test_a_track_that_hardly_exists_accuses_nobody(player: Any) -> None:
    player.play(4, lambda s: [player.track(1, -100 + 8 * s, 4, 8.0, existence=0.7)])
    assert player.kinds == []


def test_a_mistaken_heading_is_no_wrong_way_driver(player: Any) -> None:
    player.play(4, lambda s: [player.track(1, -100 + 8 * s, 0, 8.0, heading=math.pi)])
    assert player.kinds == []


def test_who_drove_along_its_lane_just_now_does_not_go_against_the_next(player: Any) -> None:
    # Its track goes over to the oncoming lane, as far away happens: told only if it stays there.
    def scene(s: float) -> list[Any]:
        return [player.track(1, -110 + 8 * s, 0 if s < 3 else 4, 8.0)]

    player.play(5.5, scene)
    assert player.kinds == []
    player.play(4, scene)
    assert player.kinds == ["wrong-way"]


@pytest.mark.parametrize(("parked_x", "told"), [(-95.0, []), (-20.0, ["wrong-way"])])
def test_nobody_comes_through_one_who_stands_in_his_way(
    player: Any, parked_x: float, told: list[str]
) -> None:
    # `back` leads westwards: who goes east on it has come by what stands farther west.
    parked = player.track(2, parked_x, 4, 0.0, heading=math.pi)
    player.play(4, lambda s: [player.track(1, -85 + 8 * s, 4, 8.0), parked])
    assert [kind for kind in player.kinds if kind == "wrong-way"] == told


@pytest.mark.parametrize(("behind", "told"), [(7.0, []), (45.0, ["wrong-way"])])
def test_nobody_comes_out_of_one_who_drives_behind(
    player: Any, behind: float, told: list[str]
) -> None:
    # A queue sets off westwards: a track that changes from one car to the next seems to go east.
    def scene(s: float) -> list[Any]:
        setting_off = player.track(2, -80 - behind - 2 * s, 4, 2.0, heading=math.pi)
        return [player.track(1, -80 + 8 * s, 4, 8.0), setting_off]

    player.play(1.5, scene)
    assert player.kinds == told


def test_what_a_bus_drags_along_a_hidden_queue_is_no_wrong_way_driver(player: Any) -> None:
    queue = [player.track(i, -100.0 + 8 * i, 4, 0.0, heading=math.pi) for i in (2, 3)]
    player.play(3, lambda s: queue)
    player.play(3, lambda s: [player.track(9, -80 + 8 * (s - 3), 4, 8.0)])
    assert "wrong-way" not in player.kinds
    player.play(6, lambda s: [player.track(9, -80 + 8 * (s - 3), 4, 8.0)])
    assert "wrong-way" in player.kinds  # by then nobody stands there any more


def test_a_new_track_whose_speed_was_guessed_wrongly_keeps_its_way(player: Any) -> None:
    # Slow for a second in between, of unknown heading all the time, as new tracks far away are.
    def scene(s: float) -> list[Any]:
        speed = 1.0 if 0.5 < s < 1.8 else 8.0
        return [player.track(1, -90 + 8 * s, 4, speed, std=1.3, heading_std=1.8)]

    player.play(2.2, scene)
    assert player.kinds == ["wrong-way"]


@pytest.mark.parametrize(
    ("east_std", "speed_std", "told"), [(2.0, 2.5, True), (2.0, 5.0, False), (6.0, 2.5, False)]
)
def test_far_away_some_pictures_of_going_back_are_no_proof(
    player: Any, east_std: float, speed_std: float, told: bool
) -> None:
    # 4 m back within 0.5 s at what would be 20 m/s, as a new track's first looks may have it.
    def scene(s: float) -> list[Any]:
        x = -90 + 8 * min(s, 0.5)
        return [player.track(1, x, 4, 20.0, east_std=east_std, speed_std=speed_std)]

    player.play(0.8, scene)
    assert (player.kinds == ["wrong-way"]) is told


def test_rolling_back_a_little_is_no_wrong_way(player: Any) -> None:
    player.play(1.5, lambda s: [player.track(1, -60 - 2 * s, 0, 2.0, heading=math.pi)])
    assert player.kinds == []


def test_speeding_is_what_is_surely_over_the_limit(make_player: Any) -> None:
    for speed, told in ((14.5, []), (15.5, []), (17.0, ["speeding"])):
        player = make_player()
        player.play(4, lambda s, v=speed: [make_player.track(1, -115 + v * s, 0, v)])
        assert player.kinds == told, speed


def test_nobody_speeds_where_many_stand(player: Any) -> None:
    queue = [player.track(10 + i, -5 - 8 * i, 0, 0.0) for i in range(6)]
    player.play(4, lambda s: [player.track(1, -115 + 12 * s, 0, 17.0), *queue])
    assert "speeding" not in player.kinds


def test_one_who_was_slow_before_the_light_is_slow_behind_it_at_once(player: Any) -> None:
    def scene(s: float) -> list[Any]:
        x = -100 + 3 * s if s < 33 else -1.0 if s < 43 else -1 + 3 * (s - 43)
        return [player.track(1, x, 0, 3.0 if s < 33 or s >= 43 else 0.0)]

    player.play(70, scene)
    told = player.told("slow-vehicle")
    assert [phase for _, phase in told] == ["onset", "end", "onset"]
    # It sets off at 43 s and is still in the junction 5 s later: nobody waits for how it goes on.
    assert 47.5 <= told[2][0] <= 50.0


def test_once_told_a_slow_one_stays_so_until_it_is_faster_or_stands(player: Any) -> None:
    # Seen badly, it jumps to and fro: that is neither an end nor a second slow vehicle.
    def scene(s: float) -> list[Any]:
        x, speed = -100 + 3 * s, 3.0
        if s >= 12:
            x, speed = x + 1.5 * math.sin(2 * s), 3.0 + 3.0 * math.cos(2 * s)
        return [player.track(1, x, 0, speed, std=1.0)]

    player.play(25, scene)
    assert player.told("slow-vehicle") == [(player.told()[0][0], "onset")]
    player.play(5, lambda s: [player.track(1, -25 + 0.1 * (s - 25), 0, 0.1)])
    assert [phase for _, phase in player.told("slow-vehicle")] == ["onset", "end"]


def test_far_away_the_first_places_of_a_track_do_not_make_it_unsteady(player: Any) -> None:
    # Guessed too near at first, so that it seems to hardly move for two seconds.
    def scene(s: float) -> list[Any]:
        std = max(5.0 - s, 1.5)
        near = max(6.0 - 2.5 * s, 0.0)
        return [player.track(1, -110 + near + 3 * s, 0, 3.0, std=std, born_ns=BORN_NS)]

    player.play(7, scene)
    assert player.kinds == ["slow-vehicle"]
    assert player.told()[0][0] <= 6.0


def test_who_comes_to_rest_far_away_is_not_slow(player: Any) -> None:
    # 8 m/s, then brakes: over 5 s its mean is below 5.6 m/s, and the doubt no excuse.
    def scene(s: float) -> list[Any]:
        v = max(8.0 - 1.5 * s, 0.0)
        x = 8.0 * s - 0.75 * s * s if s < 16 / 3 else 64 / 3
        return [player.track(1, -110 + x, 0, v, std=2.0)]

    player.play(7, scene)
    assert "slow-vehicle" not in player.kinds


def test_one_that_stands_far_away_and_seems_to_go_to_and_fro_is_not_slow(player: Any) -> None:
    # 5 m in 5 s where places are known to 2 m: nothing that surely moves.
    def scene(s: float) -> list[Any]:
        return [player.track(1, -100 + 0.8 * s + 0.05 * s * s, 0, 1.2, std=2.0)]

    player.play(6, scene)
    assert "slow-vehicle" not in player.kinds


def test_who_slows_down_to_stop_is_not_slow(player: Any) -> None:
    # 4.5 m/s, then 3, then rest: never 5 s at one speed.
    def scene(s: float) -> list[Any]:
        x = -110 + 4.5 * min(s, 2.5) + 3.0 * min(max(s - 2.5, 0.0), 3.2)
        speed = 4.5 if s < 2.5 else 3.0 if s < 5.7 else 0.0
        return [player.track(1, x, 0, speed, born_ns=BORN_NS)]

    player.play(7, scene)
    assert "slow-vehicle" not in player.kinds


def test_one_told_as_slow_that_sets_off_briskly_is_not_told_again(player: Any) -> None:
    def scene(s: float) -> list[Any]:
        went = max(s - 43.0, 0.0)
        x = -100 + 3 * s if s < 33 else -1 + 0.6 * went**2
        return [player.track(1, x, 0, 3.0 if s < 33 else 1.2 * went)]

    player.play(51, scene)
    assert [one for one in player.told("slow-vehicle") if one[1] == "onset"][1:] == []


def test_slow_is_who_stays_slow_on_a_free_road(player: Any) -> None:
    player.play(10, lambda s: [player.track(1, 40 + 3 * s, 0, 3.0)])
    assert player.kinds == ["slow-vehicle"]


def test_who_sets_off_or_follows_is_not_slow(player: Any) -> None:
    player.play(12, lambda s: [player.track(1, 31 + 0.7 * s * s, 0, 1.4 * s)])
    player.play(
        20,
        lambda s: [player.track(2, 30 + 3 * (s - 12), 0, 3.0),
                   player.track(3, 45 + 3 * (s - 12), 0, 3.0)],
    )  # fmt: skip
    assert [event.tracks for _, event in player.events if event.tracks == (2,)] == []


def test_who_is_slow_behind_a_slow_one_is_not_told_when_that_one_is_lost(player: Any) -> None:
    def scene(s: float) -> list[Any]:
        one, other = player.track(1, 52 + 3 * s, 0, 3.0), player.track(2, 40 + 3 * s, 0, 3.0)
        return [one, other] if s < 9 else [other]

    player.play(14, scene)
    assert [event.tracks for _, event in player.events if event.phase == "onset"] == [(1,)]


def test_a_slow_one_that_a_new_track_carries_on_is_told_as_soon(player: Any) -> None:
    def scene(s: float) -> list[Any]:
        if 3.0 < s < 4.0:
            return []
        number, born_s = (1, 0.0) if s <= 3.0 else (2, 4.0)
        born_ns = BORN_NS + round(born_s * 1e9)
        return [player.track(number, 40 + 3 * s, 0, 3.0, born_ns=born_ns)]

    player.play(12, scene)
    assert player.kinds == ["slow-vehicle"]
    assert 4.9 <= player.told()[0][0] <= 6.1


def test_who_goes_on_at_red_after_hesitating_has_run_it(player: Any) -> None:
    player.light = LightState.RED
    player.play(5, lambda s: [player.track(1, -6 + 0.6 * s, 0, 0.6)])
    player.play(5, lambda s: [player.track(1, -3 + 0.5 * (s - 5) ** 2, 0, s - 5)])
    assert player.kinds == ["red-light-running"]


@pytest.mark.parametrize(
    ("light", "told"),
    [(LightState.RED, ["red-light-running"]), (LightState.YELLOW, []),
     (LightState.PROTECTED_GREEN, []), (None, [])],
)  # fmt: skip
def test_red_lights_are_run_at_red_only(player: Any, light: Any, told: list[str]) -> None:
    player.light = light
    player.play(6, lambda s: [player.track(1, -50 + 10 * s, 0, 10.0)])
    assert player.kinds == told
    if told:
        # The front is at the line when the centre is 2.25 m before it: after 4.78 s.
        assert player.told()[0][0] == pytest.approx(5.1, abs=0.15)
        assert player.last.lanes == ("in",)


def test_who_passes_as_the_light_turns_red_has_not_run_it(player: Any) -> None:
    player.light = LightState.YELLOW
    player.play(4.5, lambda s: [player.track(1, -50 + 10 * s, 0, 10.0)])
    player.light = LightState.RED
    player.play(2, lambda s: [player.track(1, -50 + 10 * s, 0, 10.0)])
    assert player.kinds == []


@pytest.mark.parametrize(("std", "told"), [(0.3, ["red-light-running"]), (6.0, [])])
def test_who_is_placed_too_badly_to_be_beyond_the_line_is_not_accused(
    player: Any, std: float, told: list[str]
) -> None:
    player.light = LightState.RED
    player.play(6, lambda s: [player.track(1, -40 + 10 * s, 0, 10.0, east_std=std)])
    assert player.kinds == told


def test_who_stops_with_the_front_on_the_line_has_not_run_it(player: Any) -> None:
    player.light = LightState.RED
    player.play(5, lambda s: [player.track(1, -10 + 2 * s, 0, 2.0)])
    player.play(20, lambda s: [player.track(1, 0.2, 0, 0.0)])
    player.light = LightState.PROTECTED_GREEN
    player.play(4, lambda s: [player.track(1, 0.2 + 3 * (s - 25), 0, 3.0)])
    assert player.kinds == []


def test_walking_on_a_lane_is_told_and_on_crossings_and_footways_not(player: Any) -> None:
    def scene(s: float) -> list[Any]:
        return [
            player.track(1, -60 + s, 0.5, 1.0, **WALKER),
            player.track(2, 3.5, -5 + s, 1.0, **WALKER),
            player.track(3, -60 + s, -5.5, 1.0, **WALKER),
        ]

    player.play(4, scene)
    assert player.kinds == ["pedestrian-on-carriageway"]
    assert player.last.tracks == (1,)
    assert player.told()[0][0] <= 0.7
    assert player.last.code == 405


def test_a_walker_whose_place_is_doubtful_is_not_accused(player: Any) -> None:
    player.play(4, lambda s: [player.track(1, -60 + s, -1.5, 1.0, std=0.8, **WALKER)])
    assert player.kinds == []


@pytest.mark.parametrize(("likely", "told"), [(0.8, []), (0.97, ["pedestrian-on-carriageway"])])
def test_who_was_faster_than_one_walks_must_surely_be_on_foot(
    player: Any, likely: float, told: list[str]
) -> None:
    # A motorcycle that comes to rest in a queue, and a runner.
    def scene(s: float) -> list[Any]:
        x, v = (-60 + 2.9 * s, 2.9) if s < 2 else (-54.2, 0.3)
        return [player.track(1, x, 0, v, **WALKER, class_probability=likely)]

    player.play(5, scene)
    assert player.kinds == told
    player.play(5, lambda s: [player.track(2, -100 + s, 0, 1.0, **WALKER, class_probability=0.8)])
    assert player.kinds == ["pedestrian-on-carriageway", *told]


def test_a_walker_who_was_told_and_seems_to_run_for_a_moment_stays_one(player: Any) -> None:
    def scene(s: float) -> list[Any]:
        v = 2.9 if 5.0 < s < 6.0 else 0.7
        return [player.track(1, -60 + 0.7 * s, 0, v, **WALKER, class_probability=0.9)]

    player.play(15, scene)
    assert [phase for _, phase in player.told("pedestrian-on-carriageway")] == ["onset"]


def test_a_walker_whose_track_is_left_behind_is_told_once(player: Any) -> None:
    # Its track stays where it was last seen, and 6 m on another begins.
    lost_ns = BORN_NS + 4 * NS_PER_S

    def scene(s: float) -> list[Any]:
        at, seen_ns = (s, 0) if s < 4 else (4.0, lost_ns)
        more = {**WALKER, "updated_ns": max(seen_ns, BORN_NS)}
        old = player.track(1, -60 + 1.3 * at, 0, 1.3, **more)
        new = [player.track(2, -60 + 1.3 * s, 0, 1.3, **WALKER)] if s >= 6 else []
        return ([old] if s < 8 else []) + new

    player.play(12, scene)
    assert [phase for _, phase in player.told("pedestrian-on-carriageway")] == ["onset"]


def test_who_was_told_as_slow_for_a_moment_only_is_nobody_known(player: Any) -> None:
    # Slow for 6 s, then fast to the light; behind it slow in the junction, as others are.
    def scene(s: float) -> list[Any]:
        if s < 6:
            return [player.track(1, -110 + 3 * s, 0, 3.0)]
        if s < 15:
            return [player.track(1, -92 + 10 * (s - 6), 0, 10.0)]
        return [player.track(1, -2.0 + 3 * max(s - 25, 0.0), 0, 3.0 if s > 25 else 0.0)]

    player.play(34, scene)
    assert player.kinds.count("slow-vehicle") == 1
