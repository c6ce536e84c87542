"""Road users behind others: hidden is not gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rsu.config.fusion import FusionOptions
from rsu.fusion.classes import CLASS_INDEX, Motion
from rsu.fusion.measurements import Scan
from rsu.fusion.occlusion import Viewpoint, chance, hidden
from rsu.fusion.table import Rows, newborn
from rsu.schema.sensing import ObjectClass
from rsu.schema.tracks import TrackStatus

CAMERA = Viewpoint(0.0, 0.0, 6.0)


def scene(*places: tuple[float, float], sizes: list[tuple[float, float, float]]) -> Rows:
    count = len(places)
    scan = Scan(
        sensor="north", capture_ns=0, number=0,
        position=np.array(places, dtype=float), position_cov=np.tile(np.eye(2), (count, 1, 1)),
        constant_cov=np.zeros((count, 2, 2)), velocity=None, velocity_cov=None,
        class_index=np.full(count, 1), score=np.full(count, 0.8), size=np.array(sizes),
    )  # fmt: skip
    rows = newborn(scan, np.arange(count), np.full(count, 0.95), 1, 0, 1, Motion().first_speed_std)
    rows.confirmed[:] = True
    rows.heading[:], rows.heading_var[:] = np.pi / 2, 0.01  # all head north, across the view
    return rows


CAR, BUS = (4.5, 1.8, 1.5), (12.0, 2.5, 3.2)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((40.0, 0.0), True),  # 6 − (6 − 3.2) · 40 / 30 = 2.3 m of shadow
        ((40.0, 7.0), True),  # its middle at 5.2 m of the bus's 6
        ((40.0, 9.0), False),  # looks out past the end
        ((31.0, 0.0), False),  # beside the bus, not behind
        ((20.0, 0.0), False),  # in front
        ((-40.0, 0.0), False),  # behind the camera's back
        ((70.0, 0.0), False),  # 6 − 2.8 · 70 / 30 < 0: seen over the roof
    ],
)
def test_what_lies_in_the_shadow_of_a_bus_is_hidden(
    place: tuple[float, float], expected: bool
) -> None:
    rows = scene((30.0, 0.0), place, sizes=[BUS, CAR])
    assert hidden(CAMERA, rows, np.array([1]), 0).tolist() == [expected]
    assert hidden(CAMERA, rows, np.array([0]), 0).tolist() == [False]


def test_a_bus_that_was_not_seen_lately_hides_nothing() -> None:
    rows = scene((30.0, 0.0), (40.0, 0.0), sizes=[BUS, CAR])
    assert not hidden(CAMERA, rows, np.array([1]), 10**9)[0]
    rows.confirmed[0] = False
    assert not hidden(CAMERA, rows, np.array([1]), 0)[0]


def test_from_higher_up_the_same_car_is_in_view() -> None:
    rows = scene((30.0, 0.0), (40.0, 0.0), sizes=[BUS, CAR])
    assert not hidden(Viewpoint(0.0, 0.0, 12.0), rows, np.array([1]), 0)[0]


def drive_past(
    world: SimpleNamespace, viewpoints: dict[str, Viewpoint], seconds: float = 11.0
) -> Any:
    """A car stands at 40 m; a bus passes 30 m away at 3 m/s and hides it for some 3 s."""

    def bus(t: float) -> tuple[float, float]:
        return 30.0, -18.0 + 3.0 * t

    def car(t: float) -> tuple[float, float] | None:
        return None if abs(bus(t)[1]) < 4.5 else (40.0, 0.0)

    made = world.Scene(seed=4)
    made.add(ObjectClass.BUS, bus)
    made.add(ObjectClass.CAR, car)
    made.sensors = [world.Sensor("north", miss=0.0)]
    return world.play(made.messages(seconds), until_s=seconds, viewpoints=viewpoints)


def of_car(played: Any) -> list[tuple[float, Any]]:
    return [
        (played.seconds(one), track)
        for one in played.lists
        for track in one.tracks
        if abs(track.position.x - 40.0) < 3.0 and abs(track.position.y) < 3.0
    ]


def test_a_car_behind_a_passing_bus_keeps_its_track_and_says_that_it_coasts(
    world: SimpleNamespace,
) -> None:
    blind = of_car(drive_past(world, {}))
    assert len({track.id for _, track in blind}) == 2  # not knowing where the camera hangs
    seen = of_car(drive_past(world, {"north": CAMERA}))
    assert len({track.id for _, track in seen}) == 1
    behind = [track for at, track in seen if 5.2 < at < 7.2]
    assert {track.status for track in behind} == {TrackStatus.COASTING}
    assert behind[-1].position_cov.xx > 1.5 * behind[0].position_cov.xx
    assert behind[-1].existence < behind[0].existence
    assert seen[-1][1].status is TrackStatus.CONFIRMED


def test_nobody_hides_for_ever(world: SimpleNamespace) -> None:
    made = world.Scene(seed=4)
    made.add(ObjectClass.BUS, lambda t: (30.0, min(-18.0 + 3.0 * t, 0.0)))  # and stops there
    made.add(ObjectClass.CAR, lambda t: None if t > 4.5 else (40.0, 0.0))
    made.sensors = [world.Sensor("north", miss=0.0)]
    options = FusionOptions(hidden_s=4.0)
    played = world.play(made.messages(10.0), options, until_s=10.0, viewpoints={"north": CAMERA})
    last = of_car(played)[-1]
    assert last[0] == pytest.approx(8.5, abs=0.3)
    assert [d.reason for d in played.decisions if d.subject == f"track:{last[1].id}"] == [
        "coast_expired"
    ]


@pytest.mark.parametrize(
    ("height", "x", "expected"),
    [(8.0, 40.0, 0.5), (8.0, 66.0, 0.5), (8.0, 84.2, 0.3), (8.0, 120.0, 0.1), (16.0, 120.0, 0.5)],
)
def test_along_the_road_a_look_finds_few(height: float, x: float, expected: float) -> None:
    rows = scene((x, 0.0), (10.0, 0.0), sizes=[CAR, CAR])
    rows.class_index[:] = CLASS_INDEX[ObjectClass.CAR]
    view = Viewpoint(0.0, 0.0, height)
    assert chance(view, rows, np.array([0, 1]), 0.5).tolist() == pytest.approx(
        [expected, 0.5], abs=0.002
    )
    assert chance(view, rows, np.array([0]), 0.05)[0] == pytest.approx(0.05)  # never more than told
    rows.class_index[:] = CLASS_INDEX[ObjectClass.PEDESTRIAN]  # walkers do not queue
    assert chance(view, rows, np.array([0]), 0.5)[0] == 0.5


def test_who_is_seldom_found_far_away_has_a_track(world: SimpleNamespace) -> None:
    """One look of five finds a car that waits 100 m from a camera; at 50 m that is too few."""

    def told(x: float, seed: int) -> float:
        made = world.Scene(seed=seed)
        made.add(ObjectClass.CAR, lambda t: (x, 0.0))
        made.sensors = [world.Sensor("north", miss=0.8, area=(0.0, -50.0, 150.0, 50.0))]
        view = {"north": Viewpoint(0.0, 0.0, 8.0)}
        played = world.play(made.messages(20.0), until_s=20.0, viewpoints=view)
        late = [one for one in played.lists if played.seconds(one) > 10.0]
        return sum(bool(one.tracks) for one in late) / len(late)

    assert np.mean([told(100.0, seed) for seed in range(1, 6)]) > 0.8
    assert np.mean([told(50.0, seed) for seed in range(1, 6)]) < 0.5
