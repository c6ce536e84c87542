"""What fusion achieves on noisy scenes with known truth; bounds leave slack over measurements."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rsu.config.fusion import FusionOptions
from rsu.schema.sensing import ObjectClass as C
from rsu.schema.tracks import Track

NEAR = 4.0  # m: a track this close to an object is that object's


def matched(world: SimpleNamespace, scene: Any, played: Any, index: int, after: float = 1.0):  # type: ignore[no-untyped-def]
    """(seconds, truth, track) for every list in which object `index` has a track."""
    out: list[tuple[float, np.ndarray, Track]] = []
    for tracks in played.lists:
        seconds = played.seconds(tracks)
        truth = scene.truth(index, seconds)
        if truth is None or seconds < after or not tracks.tracks:
            continue
        near = min(
            tracks.tracks,
            key=lambda t: math.hypot(t.position.x - truth[0], t.position.y - truth[1]),
        )
        if math.hypot(near.position.x - truth[0], near.position.y - truth[1]) < NEAR:
            out.append((seconds, np.array(truth), near))
    return out


def errors(found: list[tuple[float, np.ndarray, Track]]) -> tuple[float, float]:
    """(RMSE of the position, m; mean NEES of the position, 2 when covariances are true)."""
    squares, nees = [], []
    for _, truth, track in found:
        miss = np.array([track.position.x, track.position.y]) - truth
        cov = track.position_cov
        squares.append(miss @ miss)
        nees.append(miss @ np.linalg.solve([[cov.xx, cov.xy], [cov.xy, cov.yy]], miss))
    return float(np.sqrt(np.mean(squares))), float(np.mean(nees))


def junction(world: SimpleNamespace, seed: int) -> Any:
    scene = world.Scene(seed=seed)
    scene.add(C.CAR, world.line(-35, 0, 8, 0))
    scene.add(C.CAR, world.turn(-30, -10, 7, 0.5, 3, 6))
    scene.add(C.PEDESTRIAN, world.line(10, -15, 0, 1.3))
    scene.add(C.CAR, world.line(20, 20, 0, 0))
    scene.add(C.PEDESTRIAN, world.line(-8, 12, 0.9, -0.5))
    scene.add(C.BICYCLE, world.line(-20, 25, 4, -0.5))
    return scene


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_junction_seen_by_two_cameras_of_different_delay(
    world: SimpleNamespace, seed: int
) -> None:
    scene = junction(world, seed)
    scene.sensors = [
        world.Sensor("north", std=1.0, clutter=0.05),
        world.Sensor("south", std=1.0, clutter=0.05, phase_s=0.06, latency_s=0.12),
    ]
    played = world.play(scene.messages(9.0))
    raw = math.sqrt(2.0)  # m, RMSE of one measurement with σ 1 m per axis
    seen: set[int] = set()
    nees = []
    for index in range(len(scene.objects)):
        found = matched(world, scene, played, index)
        assert len({track.id for _, _, track in found}) == 1, f"object {index} changed its id"
        assert len(found) > 0.97 * len([t for t in played.lists if played.seconds(t) >= 1.0])
        rmse, consistency = errors(found)
        assert rmse < 0.6 * raw
        nees.append(consistency)
        assert 0.2 < consistency < 5.0
        seen.add(found[-1][2].id)
    assert played.ids == seen, "a track without an object was published"
    assert 0.8 < np.mean(nees) < 2.6
    last = played.lists[-1].tracks
    assert all(track.sources == ("north", "south") for track in last)
    assert [d.reason for d in played.decisions] == []


def test_kinematics_come_out_right(world: SimpleNamespace) -> None:
    scene = junction(world, 7)
    scene.sensors = [world.Sensor("north", std=0.5), world.Sensor("south", std=0.5, phase_s=0.04)]
    played = world.play(scene.messages(9.0))
    straight = [t for s, _, t in matched(world, scene, played, 0) if s > 2.0]
    assert np.mean([t.speed for t in straight]) == pytest.approx(8.0, abs=0.4)
    assert np.sqrt(np.mean([t.heading**2 for t in straight])) < 0.15
    assert {t.object_class for t in straight} == {C.CAR}
    assert straight[-1].class_probability > 0.9
    assert straight[-1].size.length == pytest.approx(4.5)
    turning = [t for s, _, t in matched(world, scene, played, 1) if 4.0 < s < 6.0]
    assert np.mean([t.turn_rate for t in turning]) == pytest.approx(0.5, abs=0.2)
    after = [t for s, _, t in matched(world, scene, played, 1) if s > 7.0]
    assert np.mean([t.heading for t in after]) == pytest.approx(1.5, abs=0.15)
    # Errors of heading and speed stay within what the tracks themselves say.
    speed_nees = np.mean([(t.speed - 8.0) ** 2 / t.speed_std**2 for t in straight])
    heading_nees = np.mean([t.heading**2 / t.heading_std**2 for t in straight])
    assert speed_nees < 2.0
    assert heading_nees < 2.0


def test_a_parked_car_stands_still_and_claims_no_heading(world: SimpleNamespace) -> None:
    scene = world.Scene(seed=11)
    scene.add(C.CAR, world.line(20, 20, 0, 0))
    scene.add(C.CAR, world.line(22.5, 20, 0, 0))
    scene.sensors = [world.Sensor("north", std=0.8, miss=0.3)]
    played = world.play(scene.messages(40.0))
    for index in range(2):
        found = [item for item in matched(world, scene, played, index) if item[0] > 6.0]
        assert len({track.id for _, _, track in found}) == 1
        assert np.mean([track.speed == 0.0 for _, _, track in found]) > 0.9
        assert all(track.heading == found[0][2].heading for _, _, track in found)
        assert all(1.5 < track.heading_std <= math.pi for _, _, track in found)
        assert errors(found)[0] < 0.5
    assert len(played.ids) == 2


def test_a_car_that_stops_keeps_its_heading_and_leaves_with_the_same_id(
    world: SimpleNamespace,
) -> None:
    def stop_and_go(t: float) -> tuple[float, float]:
        if t < 4.0:
            return (-20.0 + 8.0 * t - t * t, 5.0)  # 8 m/s, braking with 2 m/s² to a stop at -4
        if t < 14.0:
            return (-4.0, 5.0)
        return (-4.0 + (t - 14.0) ** 2, 5.0)  # off again with 2 m/s²

    scene = world.Scene(seed=4)
    scene.add(C.CAR, stop_and_go)
    scene.sensors = [world.Sensor("north", std=0.6), world.Sensor("south", std=0.6, phase_s=0.05)]
    played = world.play(scene.messages(18.0))
    found = matched(world, scene, played, 0)
    assert len({track.id for _, _, track in found}) == 1
    waiting = [track for s, _, track in found if 8.0 < s < 14.0]
    assert all(abs(track.heading) < 0.3 for track in waiting)
    assert max(t.heading for t in waiting) - min(t.heading for t in waiting) < 0.05
    assert np.mean([track.speed == 0.0 for track in waiting]) > 0.95
    away = [(s, track) for s, _, track in found if s > 16.0]
    assert all(abs(track.heading) < 0.3 for _, track in away)
    for seconds, track in away:
        assert track.speed == pytest.approx(2.0 * (seconds - 14.0), abs=3.0 * track.speed_std)


def test_a_reversing_car_heads_where_it_goes(world: SimpleNamespace) -> None:
    def back_out(t: float) -> tuple[float, float]:
        if t < 3.0:
            return (4.0 * t, 0.0)
        return (12.0, 0.0) if t < 8.0 else (12.0 - 2.0 * (t - 8.0), 0.0)

    scene = world.Scene(seed=8)
    scene.add(C.CAR, back_out)
    scene.sensors = [world.Sensor("north", std=0.4)]
    played = world.play(scene.messages(14.0))
    found = matched(world, scene, played, 0)
    assert len({track.id for _, _, track in found}) == 1
    late = [track for s, _, track in found if s > 12.0]
    assert all(abs(abs(track.heading) - math.pi) < 0.5 for track in late)
    assert np.mean([track.speed for track in late]) == pytest.approx(2.0, abs=0.3)


@pytest.mark.parametrize("rate_hz", [5.0, 12.5, 25.0])
def test_clutter_is_never_published(world: SimpleNamespace, rate_hz: float) -> None:
    """One false detection per frame on 1600 m² for a minute and a half."""
    scene = world.Scene(seed=5)
    scene.sensors = [
        world.Sensor("north", rate_hz=rate_hz, clutter=1.0, std=1.0, area=(-20, -20, 20, 20))
    ]
    played = world.play(scene.messages(90.0))
    assert len(played.lists) > 80 * rate_hz
    assert played.ids == set()


@pytest.mark.parametrize("std", [0.5, 1.0, 2.0])
def test_a_crossing_car_in_a_parking_aisle_is_confirmed_soon_and_keeps_its_id(
    world: SimpleNamespace, std: float
) -> None:
    delays = []
    for seed in range(6):
        scene = world.Scene(seed=seed)
        scene.add(C.CAR, world.line(-20, 30, 5, 0, end=7.0))
        scene.sensors = [world.Sensor("north", std=std)]
        played = world.play(scene.messages(8.0))
        delays.append(next(played.seconds(tracks) for tracks in played.lists if tracks.tracks))
        assert len(played.ids) == 1
    assert np.median(delays) <= 0.45
    assert max(delays) <= 0.6


def test_two_cameras_that_disagree_by_a_metre_see_one_car(world: SimpleNamespace) -> None:
    scene = world.Scene(seed=2)
    scene.add(C.CAR, world.line(-25, 3, 7, 0))
    scene.add(C.CAR, world.line(15, 12, 0, 0))
    scene.sensors = [
        world.Sensor("north", std=0.4),
        world.Sensor("south", std=0.4, phase_s=0.06, latency_s=0.11, bias=(0.7, -0.7)),
    ]
    played = world.play(scene.messages(7.0))
    assert max(len(tracks.tracks) for tracks in played.lists) == 2
    assert len(played.ids) == 2


def test_a_standing_error_of_the_camera_never_averages_out(world: SimpleNamespace) -> None:
    """Fresh noise of 0.2 m on a calibration that is 0.8 m off and says σ 0.7 m per axis."""
    scene = world.Scene(seed=4)
    scene.add(C.CAR, world.line(10, 10, 0, 0))
    scene.add(C.CAR, world.line(-25, 0, 7, 0))
    scene.sensors = [world.Sensor("north", std=0.2, bias=(0.6, -0.55), bias_std=0.7)]
    played = world.play(scene.messages(7.0))
    assert len(played.ids) == 2
    for index in range(2):
        found = matched(world, scene, played, index, after=3.0)
        assert all(0.7 < math.sqrt(t.position_cov.xx) < 0.85 for _, _, t in found)
        assert 0.5 < errors(found)[1] < 2.5
    # … while the motion is known from the fresh noise alone: a constant offset does not move.
    driving = [t for _, _, t in matched(world, scene, played, 1, after=3.0)]
    assert np.mean([t.speed for t in driving]) == pytest.approx(7.0, abs=0.2)
    assert all(t.heading_std < 0.15 for t in driving)


def test_two_cameras_with_opposite_standing_errors_see_one_car(world: SimpleNamespace) -> None:
    scene = world.Scene(seed=5)
    scene.add(C.CAR, world.line(-25, 3, 7, 0))
    scene.sensors = [
        world.Sensor("north", std=0.2, bias=(0.6, 0.5), bias_std=0.7),
        world.Sensor("south", std=0.2, bias=(-0.6, -0.5), bias_std=0.7, phase_s=0.05),
    ]
    played = world.play(scene.messages(7.0))
    assert len(played.ids) == 1
    found = matched(world, scene, played, 0)
    assert len(found) > 140
    assert errors(found)[0] < math.hypot(0.6, 0.5)


def test_a_car_is_handed_from_one_view_to_the_next(world: SimpleNamespace) -> None:
    """Views overlap by 6 m; the camera behind misses the car from there on and must not kill it."""
    scene = world.Scene(seed=6)
    scene.add(C.CAR, world.line(-36, 0, 8, 0))
    scene.sensors = [
        world.Sensor("west", std=0.6, area=(-40, -20, 3, 20)),
        world.Sensor("east", std=0.6, phase_s=0.05, area=(-3, -20, 40, 20)),
    ]
    played = world.play(scene.messages(9.0))
    assert len(played.ids) == 1
    late = [t for tracks in played.lists if played.seconds(tracks) > 6.5 for t in tracks.tracks]
    assert all(track.sources == ("east",) and track.existence > 0.8 for track in late)


def test_a_radar_gives_speed_at_once(world: SimpleNamespace) -> None:
    scene = world.Scene(seed=3)
    scene.add(C.CAR, world.line(-30, 0, 12, 0))
    scene.sensors = [world.Sensor("radar", rate_hz=14.0, radar=True, std=0.5, miss=0.05)]
    played = world.play(scene.messages(4.0))
    first = next(tracks.tracks[0] for tracks in played.lists if tracks.tracks)
    assert first.speed == pytest.approx(12.0, abs=1.0)
    assert first.speed_std < 0.5
    assert abs(first.heading) < 0.1
    assert first.object_class is C.UNKNOWN
    assert len(played.ids) == 1


def test_camera_and_radar_make_one_track_with_the_best_of_both(world: SimpleNamespace) -> None:
    scene = world.Scene(seed=3)
    scene.add(C.CAR, world.line(-30, 0, 12, 0))
    scene.sensors = [
        world.Sensor("north", std=1.0),
        world.Sensor("radar", rate_hz=14.0, radar=True, std=0.6, phase_s=0.02),
    ]
    played = world.play(scene.messages(4.0))
    assert len(played.ids) == 1
    last = played.lists[-1].tracks[0]
    assert last.object_class is C.CAR
    assert last.sources == ("north", "radar")
    assert last.speed == pytest.approx(12.0, abs=0.6)


def test_crossing_pedestrians_keep_their_ids(world: SimpleNamespace) -> None:
    for seed in range(3):
        scene = world.Scene(seed=seed)
        scene.add(C.PEDESTRIAN, world.line(-6, 0, 1.4, 0.0))
        scene.add(C.PEDESTRIAN, world.line(6, 1.2, -1.3, 0.0))
        scene.sensors = [
            world.Sensor("north", std=0.3),
            world.Sensor("south", std=0.3, phase_s=0.04),
        ]
        played = world.play(scene.messages(9.0))
        assert len(played.ids) == 2
        for index in range(2):
            found = matched(world, scene, played, index, after=2.0)
            edges = [t.id for s, _, t in found if s < 3.0 or s > 6.0]
            assert len(set(edges)) == 1


def test_a_car_hidden_for_a_second_comes_back_as_itself(world: SimpleNamespace) -> None:
    scene = world.Scene(seed=9)
    path = world.line(-20, 0, 6, 0)
    scene.add(C.CAR, lambda t: None if 3.0 < t < 4.0 else path(t))
    scene.sensors = [world.Sensor("north", std=0.5)]
    played = world.play(scene.messages(6.0))
    assert len(played.ids) == 1
    hidden = [t for told in played.lists if 3.5 < played.seconds(told) < 3.95 for t in told.tracks]
    assert {t.status.value for t in hidden} == {"coasting"}
    assert hidden[-1].existence < hidden[0].existence
    assert hidden[-1].position_cov.xx > hidden[0].position_cov.xx


def test_a_car_that_vanishes_is_gone_within_the_coasting_time(world: SimpleNamespace) -> None:
    scene = world.Scene(seed=9)
    scene.add(C.CAR, world.line(-20, 0, 6, 0, end=3.0))
    scene.sensors = [world.Sensor("north", std=0.5)]
    played = world.play(scene.messages(6.0))
    last = max(played.seconds(tracks) for tracks in played.lists if tracks.tracks)
    assert 3.0 < last < 4.5
    assert len([d for d in played.decisions if d.subject.startswith("track:")]) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_slow_car_far_away_is_not_told_as_standing(world: SimpleNamespace, seed: int) -> None:
    scene = world.Scene(seed=seed)
    scene.add(C.CAR, world.line(-10, 0, 3.5, 0))
    scene.sensors = [world.Sensor("north", std=3.0, miss=0.1)]
    played = world.play(scene.messages(8.0))
    told = [track for one in played.lists for track in one.tracks]
    assert len(told) > 50
    # Nothing that excludes 3.5 m/s by more than three deviations, but for a few looks.
    wrong = [track for track in told if abs(track.speed - 3.5) > 3.0 * track.speed_std]
    assert len(wrong) < 0.05 * len(told)


def test_a_site_may_say_that_its_walkers_ride(world: SimpleNamespace) -> None:
    """Where many who are taken for walkers are on scooters, their first looks are still one track:
    at 12 m/s they leave the reach of somebody who walks between two looks."""

    def ids(**options: Any) -> int:
        scene = world.Scene(seed=3)
        scene.add(C.PEDESTRIAN, world.line(-30, 2, 12, 0, end=4.0))
        scene.sensors = [world.Sensor("north", std=0.1, miss=0.0, rate_hz=10.0)]
        return len(world.play(scene.messages(5.0), FusionOptions(**options)).ids)

    riding = {"pedestrian": {"first_speed_std": 4.0, "acceleration": 2.0}}
    assert ids(motion=riding) == 1
    assert ids() != 1
