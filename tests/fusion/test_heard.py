"""Road users heard by radio beside those that cameras see."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from rsu.config.fusion import FusionOptions
from rsu.fusion.classes import Motion
from rsu.fusion.heard import GATHER_NS, NEIGHBOURS, Heard, scan_from_v2x
from rsu.fusion.stage import FusionStage
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass, V2xObject, V2xObjects
from rsu.schema.topics import V2X_OBJECTS
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_S, Cov2, Size, Vec2


def vehicle(name: str, x: float, y: float, measured_ns: int, **changes: Any) -> V2xObject:
    """A car at (x, y) that drives east with 8 m/s and says so to ±1 m."""
    values: dict[str, Any] = {
        "position_cov": Cov2(1.0, 0.0, 1.0), "object_class": ObjectClass.CAR,
        "self_reported": True, "heading": 0.0, "speed": 8.0, "size": Size(4.5, 1.8, 1.5),
    }  # fmt: skip
    return V2xObject(
        object_id=name, measured_ns=measured_ns, position=Vec2(x, y), **{**values, **changes}
    )


def said(sender: str, *objects: V2xObject, message: str = "BSM") -> Message:
    newest = max(one.measured_ns for one in objects)
    payload = V2xObjects(
        sensor="v2x", sender=sender, message=message, capture_ns=newest, objects=objects
    )
    return Message.draft(V2X_OBJECTS, "v2x-receive", newest, payload)


def words(
    world: SimpleNamespace, name: str, until_s: float, offset: tuple[float, float] = (0.0, 0.0),
    start: tuple[float, float] = (-35.0, 0.0), latency_s: float = 0.08, **changes: Any,
) -> list[tuple[float, Message]]:  # fmt: skip
    out = []
    for step in range(int(until_s * 10)):
        seconds = 0.03 + step / 10
        at = world.START_NS + round(seconds * NS_PER_S)
        x, y = start[0] + 8 * seconds + offset[0], start[1] + offset[1]
        out.append((seconds + latency_s, said(name, vehicle(name, x, y, at, **changes))))
    return out


def drive(
    world: SimpleNamespace, *heard: tuple[float, Message], seed: int = 1, camera: bool = True
):  # type: ignore[no-untyped-def]
    scene = world.Scene(seed=seed)
    scene.add(ObjectClass.CAR, world.line(-35, 0, 8, 0))
    if camera:
        scene.sensors = [world.Sensor("north")]
    messages = sorted([*scene.messages(5.0), *heard], key=lambda item: item[0])
    return scene, world.play(messages, until_s=messages[-1][0] + 0.2)


def area(track: Any) -> float:
    cov = track.position_cov
    return float(cov.xx * cov.yy - cov.xy**2)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (1.0, -0.8)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_car_seen_and_heard_is_one_track(
    world: SimpleNamespace, offset: tuple[float, float], seed: int
) -> None:
    _, alone = drive(world, seed=seed)
    scene, both = drive(world, *words(world, "a1", 5.0, offset), seed=seed)
    late = [one for one in both.lists if both.seconds(one) > 2.0]
    assert {len(one.tracks) for one in late} == {1}
    assert len(both.ids) == 1
    assert late[-1].tracks[0].sources == ("north", "v2x")
    x, y = scene.truth(0, both.seconds(late[-1]))
    track = late[-1].tracks[0]
    assert math.hypot(track.position.x - x, track.position.y - y) < 1.0
    assert area(track) < area(alone.lists[-1].tracks[0])


def test_a_car_that_is_only_heard_is_a_track_until_it_falls_silent(world: SimpleNamespace) -> None:
    heard = words(world, "a1", 3.0)
    _, played = drive(world, *heard, camera=False)
    tracks = played.lists[-1].tracks
    assert [track.sources for track in tracks] == [("v2x",)]
    assert tracks[0].object_class is ObjectClass.CAR
    assert tracks[0].speed == pytest.approx(8.0, abs=0.5)
    # A standing error does not average out: never surer than its share of what was stated.
    assert tracks[0].position_cov.xx >= 0.75
    out: list[Any] = []
    for tick in range(30):
        out += played.stage.tick(world.instant(3.2 + 0.1 * tick))
    lists = [message.payload for message in out if isinstance(message.payload, TrackList)]
    assert lists[-1].tracks == ()


def test_what_is_heard_takes_no_existence_from_what_is_seen(world: SimpleNamespace) -> None:
    others = [
        item
        for number in range(20)
        for item in words(world, f"b{number:02}", 5.0, start=(-35.0, 30.0 + 5 * number))
    ]
    _, alone = drive(world)
    _, both = drive(world, *others)
    best = [t for t in both.lists[-1].tracks if t.sources == ("north",)]
    assert len(best) == 1
    assert best[0].existence >= alone.lists[-1].tracks[0].existence - 0.01
    assert len(both.lists[-1].tracks) == 21
    assert not [one for one in both.decisions if one.reason in ("too_late", "too_many_sensors")]


def test_two_who_speak_side_by_side_are_two(world: SimpleNamespace) -> None:
    pair = [*words(world, "a1", 4.0), *words(world, "a2", 4.0, offset=(0.0, 2.0))]
    _, played = drive(world, *pair, camera=False)
    assert len(played.lists[-1].tracks) == 2
    assert len(played.ids) == 2


def test_a_vehicle_and_the_unit_that_sees_it_are_one(world: SimpleNamespace) -> None:
    seen = words(world, "unit", 4.0, offset=(0.8, 0.5), latency_s=0.12, self_reported=False)
    _, played = drive(world, *words(world, "a1", 4.0), *seen, camera=False)
    assert len(played.lists[-1].tracks) == 1


def test_an_echo_of_our_own_words_makes_nothing_surer(world: SimpleNamespace) -> None:
    _, alone = drive(world)
    echoes = [
        (
            alone.seconds(one) + 0.15,
            said(
                "neighbour",
                vehicle(
                    "1", track.position.x, track.position.y, one.time_ns, self_reported=False,
                    position_cov=track.position_cov, speed=track.speed, heading=track.heading,
                    speed_std=track.speed_std, heading_std=track.heading_std,
                ),
                message="SDSM",
            ),
        )
        for one in alone.lists
        for track in one.tracks
        if track.heading_std < 0.5
    ]  # fmt: skip
    assert len(echoes) > 20
    _, both = drive(world, *echoes)
    assert both.ids == alone.ids
    assert both.lists[-1].tracks[0].sources == ("north", "v2x")
    own, echoed = (
        [area(one.tracks[0]) for one in run.lists if one.tracks] for run in (alone, both)
    )
    assert min(echoed) > 0.9 * min(own)
    before = {one.time_ns: area(one.tracks[0]) for one in alone.lists if one.tracks}
    shares = [area(one.tracks[0]) / before[one.time_ns] for one in both.lists if one.tracks]
    # Where a look is missed the echo, carried along its own motion, bridges the gap.
    assert sum(shares) / len(shares) > 0.9


def test_a_clock_ahead_does_not_make_cameras_late(world: SimpleNamespace) -> None:
    ahead = [
        (arrival - 0.23, message)
        for arrival, message in words(world, "a1", 5.0, start=(-35.0, 40.0))
        if arrival > 0.3
    ]
    _, played = drive(world, *ahead)
    assert not [one for one in played.decisions if one.reason == "too_late"]


def test_scans_are_few_however_many_speak(world: SimpleNamespace) -> None:
    heard, scans = Heard(Motion()), 0
    for step in range(1000):
        mono_ns = step * NS_PER_S // 1000
        name = f"v{step % 100}"
        one = vehicle(name, float(step % 100) * 8, 0.0, world.START_NS + mono_ns)
        heard.add(said(name, one).payload, mono_ns)
        if heard.due(mono_ns):
            scans += len(heard.take(None, mono_ns))
    assert scans <= NS_PER_S // GATHER_NS
    for number in range(10):
        one = vehicle("1", 0.0, 0.0, world.START_NS, self_reported=False)
        heard.add(said(f"unit{number}", one, message="SDSM").payload, NS_PER_S)
    assert len(heard.take(None, 2 * NS_PER_S)) <= NEIGHBOURS + 1
    assert heard.due(3 * NS_PER_S)


def test_states_are_carried_along_their_motion(world: SimpleNamespace) -> None:
    now = world.START_NS
    one = vehicle("a1", 0.0, 0.0, now - NS_PER_S // 5, speed_std=1.0)
    old = vehicle("a2", 0.0, 50.0, now - NS_PER_S)
    scan, refused = scan_from_v2x([one, old], now, 1, Motion())
    assert refused == {"too_late": 1}
    assert scan.position[0].tolist() == pytest.approx([1.6, 0.0])
    # 1 m² as stated, 0.04 s² · 1 m²/s² for the speed, 2 m²/s³ · 0.008 s³ / 3, a floor of 5 cm.
    assert scan.position_cov[0, 0, 0] == pytest.approx(1 + 0.04 + 2 * 0.008 / 3 + 0.0025)
    assert scan.evidence_ns is not None
    assert scan.evidence_ns.tolist() == [one.measured_ns]


def test_a_track_is_as_old_as_what_was_measured(world: SimpleNamespace) -> None:
    _, played = drive(world, *words(world, "a1", 3.0), camera=True)
    stage = FusionStage(FusionOptions(), world.BOOT)
    assert stage.inputs[-1] == V2X_OBJECTS
    last = played.lists[-1]
    assert all(track.updated_ns <= last.time_ns for track in last.tracks)
