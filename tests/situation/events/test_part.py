"""Congestion, weather, crashes; what becomes of events when nobody can look; order and options."""

from __future__ import annotations

from typing import Any

import pytest

from rsu.config.situation import EventOptions
from rsu.schema.devices import EnvironmentKind, EnvironmentReading, RoadSurface
from rsu.schema.health import SensorState
from rsu.schema.message import Message
from rsu.schema.topics import ENVIRONMENT
from rsu.schema.units import NS_PER_S, Instant
from rsu.situation.events.kinds import RULES


def _queue(player: Any, count: int, speed: float = 0.5) -> list[Any]:
    return [player.track(i, -3.0 - 7.0 * i, 0, speed) for i in range(count)]


def test_congestion_is_slow_and_dense_for_most_of_a_minute(make_player: Any) -> None:
    player = make_player(watched_s=0.0)
    player.play(35, lambda s: _queue(player, 10))
    assert player.kinds == ["congestion"]
    second, _ = player.told()[0]
    assert 28.0 <= second <= 35.0
    event = player.last
    assert (event.lanes, event.code, len(event.tracks)) == (("in",), 707, 10)
    assert event.radius == pytest.approx(63 / 2 + 5, abs=0.5)
    player.play(90, lambda s: _queue(player, 1, 12.0))
    assert [phase for _, phase in player.told("congestion")] == ["onset", "end"]


@pytest.mark.parametrize(("seen_from", "gap", "told"), [
    (-80.0, 30.0, True),  # 33 vehicles/km, of which 22 are found
    (-120.0, 45.0, False),  # as many found, and no more there
])  # fmt: skip
def test_who_is_too_far_away_to_be_found_counts_for_congestion(
    player: Any, seen_from: float, gap: float, *, told: bool
) -> None:
    # Everybody rolls at 4 m/s (29 % of the limit), and comes into sight at one place.
    def scene(s: float) -> list[Any]:
        ahead = ((number, -120.0 + 4.0 * (s + 30.0) - gap * number) for number in range(40))
        return [player.track(number, x, 0, 4.0) for number, x in ahead if seen_from < x < 0.0]

    player.play(90, scene)
    assert ("congestion" in player.kinds) is told


@pytest.mark.parametrize(("places", "told"), [
    ((-3.0, -11.0, -35.0), True),  # two hide behind the second
    ((-3.0, -11.0, -19.0), False),
])  # fmt: skip
def test_who_hides_in_a_queue_counts_for_congestion(
    player: Any, places: tuple[float, ...], *, told: bool
) -> None:
    player.play(40, lambda s: [])
    player.play(62, lambda s: [player.track(i, x, 0, 0.0) for i, x in enumerate(places)])
    assert ("congestion" in player.kinds) is told


def test_a_red_light_is_no_congestion(player: Any) -> None:
    # Two vehicles wait half of each minute.
    player.play(60, lambda s: _queue(player, 2, 0.0) if s % 60 < 30 else [])
    assert "congestion" not in player.kinds


def test_fast_and_dense_is_no_congestion(player: Any) -> None:
    player.play(40, lambda s: _queue(player, 10, 8.0))
    assert "congestion" not in player.kinds


def test_a_lost_sensor_clears_nothing(player: Any) -> None:
    player.health("a", SensorState.LIVE)
    player.play(5, lambda s: [player.track(1, -65, 0)])
    sure, time_ns = player.last.confidence, player.last.time_ns
    player.health("a", SensorState.GONE)
    player.play(12, lambda s: [])
    fading = [event for _, event in player.events if event.confidence < sure - 0.05]
    assert fading
    (last_seen_ns,) = {event.time_ns for event in fading}
    assert last_seen_ns - time_ns == pytest.approx(0.9 * NS_PER_S)
    assert [event.confidence for event in fading] == sorted(
        (event.confidence for event in fading), reverse=True
    )
    assert all(event.phase != "end" for _, event in player.events)
    player.play(10, lambda s: [])
    assert (player.last.phase, player.last.ending) == ("end", "unobserved")
    assert player.last.time_ns == last_seen_ns


def test_without_any_track_list_nothing_is_cleared_either(player: Any) -> None:
    player.play(5, lambda s: [player.track(1, -65, 0)])
    for _ in range(100):
        player.tell(None)
    assert all(event.phase != "end" for _, event in player.events)
    for _ in range(150):
        player.tell(None)
    assert player.last.ending == "unobserved"


def test_what_comes_back_into_sight_goes_on(player: Any) -> None:
    player.health("a", SensorState.LIVE)
    player.play(5, lambda s: [player.track(1, -65, 0)])
    player.health("a", SensorState.GONE)
    player.play(6, lambda s: [])
    player.health("a", SensorState.LIVE)
    player.play(5, lambda s: [player.track(7, -65, 0)])
    assert player.kinds == ["stopped-vehicle"]
    assert player.last.phase == "update"


def test_kinds_can_be_switched_off(make_player: Any) -> None:
    player = make_player(off=("stopped-vehicle",))
    player.play(10, lambda s: [make_player.track(1, -65, 0)])
    assert player.kinds == []


def test_a_clock_set_back_ends_what_is_open(player: Any) -> None:
    player.play(10, lambda s: [player.track(1, -65, 0)])
    player.second -= 5.0
    player.tell([])
    assert (player.last.phase, player.last.ending) == ("end", "unobserved")


def test_a_stop_harder_than_brakes_against_another_is_a_suspected_crash(player: Any) -> None:
    def scene(s: float) -> list[Any]:
        hit = player.track(2, -40, 0, 0.0)
        if s < 2.0:
            return [player.track(1, -72 + 13.0 * s, 0, 13.0), hit]
        return [player.track(1, -44.6, 0, 0.0), hit]

    player.play(6, scene)
    assert "crash-suspected" in player.kinds
    event = next(event for _, event in player.events if event.kind == "crash-suspected")
    assert event.tracks == (1, 2)


def test_hard_braking_behind_another_is_no_crash(player: Any) -> None:
    def scene(s: float) -> list[Any]:
        v = max(13.0 - 7.0 * s, 0.0)
        x = -57.0 + 13.0 * min(s, 1.857) - 3.5 * min(s, 1.857) ** 2
        return [player.track(1, x, 0, v), player.track(2, -40, 0, 0.0)]

    player.play(6, scene)
    assert "crash-suspected" not in player.kinds


def _reading(player: Any, kind: EnvironmentKind, lane: str | None = None, **more: Any) -> None:
    now_ns = player.now.utc_ns
    reading = EnvironmentReading(sensor="mast", kind=kind, capture_ns=now_ns, lane=lane, **more)
    player.hear(Message.draft(ENVIRONMENT, "mast", now_ns, reading))


def test_water_is_told_on_its_lane_and_ends_when_it_is_gone(player: Any) -> None:
    for depth in (0.0, 0.004, 0.02, 0.03, 0.1, 0.1):
        _reading(player, EnvironmentKind.WATER_DEPTH, "in", value=depth, std=0.005)
        player.play(1, lambda s: [])
    assert player.told() == [(3.0, "onset")]
    assert (player.last.kind, player.last.lanes, player.last.code) == (
        "water-on-road", ("in",), 407,
    )  # fmt: skip
    for _ in range(2):
        _reading(player, EnvironmentKind.WATER_DEPTH, "in", value=0.0, std=0.005)
        player.play(1, lambda s: [])
    assert (player.last.phase, player.last.ending) == ("end", "cleared")


@pytest.mark.parametrize(("depths", "told_s"), [
    ((0.0, 0.006, 0.03), 2.0),  # likelier than not, and then beyond doubt
    ((0.0, 0.006, 0.010), None),  # likelier than not twice
    ((0.0, 0.03, 0.0, 0.03, 0.0), None),  # spray
])  # fmt: skip
def test_two_words_of_water_are_weighed_together(
    player: Any, depths: tuple[float, ...], told_s: float | None
) -> None:
    for depth in depths:
        _reading(player, EnvironmentKind.WATER_DEPTH, "in", value=depth, std=0.005)
        player.play(1, lambda s: [])
    assert player.told() == ([] if told_s is None else [(told_s, "onset")])


def test_a_level_and_a_surface_that_agree_are_two_words(player: Any) -> None:
    for depth, surface in ((0.0, "dry"), (0.03, "wet"), (0.0, "flooded"), (0.03, "flooded")):
        _reading(player, EnvironmentKind.WATER_DEPTH, "in", value=depth, std=0.005)
        _reading(player, EnvironmentKind.ROAD_SURFACE, "in", surface=RoadSurface(surface))
        if (depth, surface) != (0.03, "flooded"):
            assert player.kinds == []  # the one of them alone, once
            player.play(1, lambda s: [])
    assert player.kinds == ["water-on-road"]
    for _ in range(3):  # the surface's second word comes after the level's has kept it up
        assert player.last.phase != "end"
        player.play(1, lambda s: [])
        _reading(player, EnvironmentKind.WATER_DEPTH, "in", value=0.0, std=0.005)
        _reading(player, EnvironmentKind.ROAD_SURFACE, "in", surface=RoadSurface.DRY)
    assert (player.last.phase, player.last.ending) == ("end", "cleared")


def test_a_surface_that_is_flooded_twice_is_enough(player: Any) -> None:
    for _ in range(2):
        assert player.kinds == []
        _reading(player, EnvironmentKind.ROAD_SURFACE, "in", surface=RoadSurface.FLOODED)
        player.play(1, lambda s: [])
    assert player.kinds == ["water-on-road"]


def test_a_silent_weather_sensor_is_not_good_weather(player: Any) -> None:
    for _ in range(3):
        _reading(player, EnvironmentKind.VISIBILITY, value=80.0, std=4.0)
        player.play(1, lambda s: [])
    assert player.kinds == ["low-visibility"]
    sure = player.last.confidence
    player.play(100, lambda s: [])
    assert player.last.phase == "update"
    assert player.last.confidence < 0.6 * sure
    player.play(90, lambda s: [])
    assert player.last.ending == "unobserved"


def test_clear_air_and_a_wet_road_are_nothing_and_ice_is(player: Any) -> None:
    for surface in (RoadSurface.WET, RoadSurface.WET, RoadSurface.ICE, RoadSurface.ICE):
        _reading(player, EnvironmentKind.ROAD_SURFACE, "in", surface=surface)
        _reading(player, EnvironmentKind.VISIBILITY, value=900.0, std=45.0)
        player.play(1, lambda s: [])
    assert player.kinds == ["ice"]


def test_every_rule_is_sane_and_codes_are_in_range() -> None:
    for kind, rule in RULES.items():
        assert rule.unseen_s >= rule.clear_s, kind
        assert 0 <= rule.severity <= 7
        assert rule.code is None or 100 <= rule.code <= 9999
        assert rule.itis is None or 1 <= rule.itis <= 65535


def test_ids_are_the_boots_own(make_player: Any) -> None:
    first = make_player()
    first.play(5, lambda s: [make_player.track(1, -65, 0)])
    again = make_player()
    again.play(5, lambda s: [make_player.track(1, -65, 0)])
    assert first.events == again.events  # deterministic
    assert EventOptions() == EventOptions()
    assert Instant(NS_PER_S, 0) != Instant(2 * NS_PER_S, 0)
