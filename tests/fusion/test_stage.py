"""The stage as hosts and consumers see it: publishing, ids, clocks, bounds, reasons."""

from types import SimpleNamespace
from typing import Any

import pytest

from rsu.config.fusion import FusionOptions
from rsu.fusion.stage import FusionStage
from rsu.schema.health import Decision, Verdict
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass as C
from rsu.schema.topics import DECISION, SIGNAL_STATE, TRACKS
from rsu.schema.tracks import TrackList, TrackStatus
from rsu.schema.units import NS_PER_MS, NS_PER_S, Cov2, Instant
from rsu.schema.wire import to_json

FINE = Cov2(0.04, 0.0, 0.04)
FRAME_S = 0.08


def stage_of(world: SimpleNamespace, **options: Any) -> FusionStage:
    return FusionStage(FusionOptions(**options), world.BOOT)


def frame(
    world: SimpleNamespace, number: int, *at: tuple[float, float], sensor: str = "north",
    shift_s: float = 0.0, kind: C = C.CAR,
) -> Message:  # fmt: skip
    """Frame `number` of a 12.5 Hz camera with sure detections at the given places."""
    capture_ns = world.START_NS + round((number * FRAME_S + shift_s) * NS_PER_S)
    seen = [(kind, x, y, FINE, 0.9) for x, y in at]
    return world.camera_message(sensor, number, capture_ns, seen)  # type: ignore[no-any-return]


def lists(messages: Any) -> list[TrackList]:
    return [m.payload for m in messages if m.topic == TRACKS]


def decisions(messages: Any) -> list[Decision]:
    return [m.payload for m in messages if m.topic == DECISION]


def feed(world: SimpleNamespace, stage: FusionStage, frames: range, *at: tuple[float, float]):  # type: ignore[no-untyped-def]
    """Frames on time, 40 ms after exposure; returns everything said."""
    out: list[Message] = []
    for number in frames:
        now = world.instant(number * FRAME_S + 0.04)
        out += stage.handle(frame(world, number, *at), now)
    return out


def test_every_frame_is_answered_even_when_nothing_is_there(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    out = feed(world, stage, range(10))
    said = lists(out)
    assert [tracks.tracks for tracks in said] == [()] * 10
    assert [t.time_ns for t in said] == [
        world.START_NS + round(n * FRAME_S * NS_PER_S) for n in range(10)
    ]
    assert all(m.header.source == "fusion" for m in out)


def test_a_car_is_born_confirmed_coasts_and_goes(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    first = next(
        (number, tracks.tracks[0])
        for number, tracks in enumerate(lists(feed(world, stage, range(12), (5.0, 6.0))))
        if tracks.tracks
    )
    assert 3 <= first[0] <= 5
    car = first[1]
    assert car.status is TrackStatus.CONFIRMED
    assert car.born_ns == world.START_NS
    assert car.updated_ns == world.START_NS + round(first[0] * FRAME_S * NS_PER_S)
    assert car.sources == ("north",)
    assert car.existence >= 0.9
    gone = lists(feed(world, stage, range(12, 40)))
    assert gone[0].tracks[0].status is TrackStatus.CONFIRMED
    coasting = [t for told in gone for t in told.tracks if t.status is TrackStatus.COASTING]
    assert coasting
    assert all(t.existence >= 0.5 for t in coasting)
    assert {t.id for t in coasting} == {car.id}
    assert gone[-1].tracks == ()


def test_a_single_false_detection_says_nothing(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    feed(world, stage, range(3))
    feed(world, stage, range(3, 4), (5.0, 6.0))
    assert all(t.tracks == () for t in lists(feed(world, stage, range(4, 40))))


def test_the_header_carries_the_oldest_evidence(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    feed(world, stage, range(12), (5.0, 6.0), (30.0, 6.0))
    message = feed(world, stage, range(12, 13), (5.0, 6.0))[0]
    updated = [track.updated_ns for track in message.payload.tracks]
    assert len(set(updated)) == 2
    assert message.header.capture_ns == min(updated) < message.payload.time_ns


def test_ids_count_up_are_never_reused_and_differ_between_boots(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    seen: list[int] = []
    for life in range(3):
        first = life * 60
        out = feed(world, stage, range(first, first + 15), (5.0, 6.0))
        seen += sorted({t.id for told in lists(out) for t in told.tracks})
        feed(world, stage, range(first + 15, first + 60))
    assert len(seen) == 3
    assert seen == sorted(set(seen))
    assert max(seen) < 2**53
    later = FusionStage(FusionOptions(), Instant(world.START_NS + 5 * NS_PER_S, 0))
    out = [
        m for n in range(70, 85)
        for m in later.handle(frame(world, n, (5.0, 6.0)), world.instant(n * FRAME_S))
    ]  # fmt: skip
    assert not {t.id for told in lists(out) for t in told.tracks} & set(seen)


def test_two_stages_in_one_process_do_not_share_ids(world: SimpleNamespace) -> None:
    one, two = stage_of(world), stage_of(world)
    told = [lists(feed(world, stage, range(10), (1.0, 1.0)))[-1] for stage in (one, two)]
    assert to_json(told[0]) == to_json(told[1])


def test_no_track_is_published_before_its_birth_has_settled(world: SimpleNamespace) -> None:
    """Eight sensors confirm at once, but until 200 ms later an earlier scan could renumber it."""
    stage = stage_of(world, publish_hz=1000.0)
    out: list[Message] = []
    for number in range(8):
        shift = number * 0.01 - number * FRAME_S
        message = frame(world, number, (5.0, 6.0), sensor=f"s{number}", shift_s=shift)
        out += stage.handle(message, world.instant(0.1 + number * 0.01))
    assert stage._history.table.rows.confirmed.all()
    assert all(told.tracks == () for told in lists(out))
    late = frame(world, 0, (5.0, 6.0), shift_s=0.21)
    assert len(lists(stage.handle(late, world.instant(0.3)))[0].tracks) == 1


def test_the_rate_is_bounded_and_the_last_word_is_not_lost(world: SimpleNamespace) -> None:
    stage = stage_of(world, publish_hz=5.0)
    out = feed(world, stage, range(50))
    assert 4.0 * 5 <= len(lists(out)) <= 4.0 * 5 + 2
    newest = world.START_NS + round(49 * FRAME_S * NS_PER_S)
    last = lists(out)[-1].time_ns
    ticked = lists([m for n in range(1, 6) for m in stage.tick(world.instant(4.0 + 0.1 * n))])
    assert last == newest or ticked[-1].time_ns == newest
    assert len(ticked) <= 1


def test_ticks_say_nothing_while_all_is_said(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    feed(world, stage, range(12), (5.0, 6.0))
    assert list(stage.tick(world.instant(1.0))) == []


def test_in_silence_tracks_expire_and_that_is_said(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    feed(world, stage, range(12), (5.0, 6.0))
    out = [m for n in range(10, 40) for m in stage.tick(world.instant(0.1 * n))]
    told = lists(out)
    assert [t.tracks for t in told] == [()]
    assert told[0].time_ns == world.START_NS + round(11 * FRAME_S * NS_PER_S)
    reasons = [(d.reason, d.verdict) for d in decisions(out)]
    assert reasons == [("coast_expired", Verdict.DROPPED)]
    assert decisions(out)[0].subject.startswith("track:")


def test_before_any_sensor_spoke_there_is_nothing_to_say(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    assert [m for n in range(50) for m in stage.tick(world.instant(0.1 * n))] == []


@pytest.mark.parametrize(
    ("shift_s", "reason"),
    [(11.0, "capture_in_future"), (0.5, "capture_in_future"), (-11.0, "capture_too_old"),
     (-0.5, "too_late")],
)  # fmt: skip
def test_a_broken_sensor_clock_is_refused_and_freezes_nothing(
    world: SimpleNamespace, shift_s: float, reason: str
) -> None:
    stage = stage_of(world)
    feed(world, stage, range(150, 170), (5.0, 6.0))
    broken = frame(world, 169, (5.0, 6.0), sensor="south", shift_s=shift_s)
    out = stage.handle(broken, world.instant(169 * FRAME_S + 0.05))
    assert [(d.subject, d.reason) for d in decisions(out)] == [("sensor:south", reason)]
    assert lists(out) == []
    after = lists(feed(world, stage, range(170, 172), (5.0, 6.0)))
    assert len(after[-1].tracks) == 1
    assert after[-1].tracks[0].updated_ns == after[-1].time_ns


def test_a_clock_set_back_restarts_fusion_instead_of_freezing_it(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    feed(world, stage, range(1000, 1020), (5.0, 6.0))
    before = lists(feed(world, stage, range(1020, 1021), (5.0, 6.0)))[0].tracks[0].id
    # UTC jumps back by 80 s; the monotonic clock goes on.
    out: list[Message] = []
    for number in range(20):
        utc = world.instant(number * FRAME_S + 0.04)
        now = Instant(utc.utc_ns, utc.mono_ns + 82 * NS_PER_S)
        out += stage.handle(frame(world, number, (5.0, 6.0)), now)
    assert {(d.subject, d.reason) for d in decisions(out)} == {
        ("clock", "clock_set_back"), (f"track:{before}", "clock_set_back"),
    }  # fmt: skip
    last = lists(out)[-1]
    assert len(last.tracks) == 1
    assert last.tracks[0].id > before


def test_a_clock_set_forward_drops_what_is_stale(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    feed(world, stage, range(20), (5.0, 6.0))
    out = feed(world, stage, range(50_000, 50_020), (5.0, 6.0))
    assert lists(out)[0].tracks == ()
    assert len(lists(out)[-1].tracks) == 1


def test_the_number_of_tracks_is_bounded_with_a_reason(world: SimpleNamespace) -> None:
    stage = stage_of(world, max_tracks=3)
    places = [(20.0 * n, 0.0) for n in range(5)]
    out = feed(world, stage, range(12), *places)
    assert all(len(t.tracks) <= 3 for t in lists(out))
    assert len(lists(out)[-1].tracks) == 3
    first = decisions(out)[0]
    assert (first.subject, first.reason, first.count) == ("sensor:north", "max_tracks", 2)


def test_repeated_reasons_are_merged_with_a_count(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    out: list[Message] = []
    bad = 0
    for number in range(63):
        now = world.instant(number * FRAME_S + 0.04)
        message = frame(world, number, (float("nan"), 0.0))
        bad += 1
        out += stage.handle(message, now)
    out += stage.tick(world.instant(7.0))
    told = decisions(out)
    assert {d.reason for d in told} == {"not_finite"}
    assert sum(d.count for d in told) == bad
    assert 5 <= len(told) <= 7


def test_no_more_sensors_than_a_site_can_have(world: SimpleNamespace) -> None:
    stage = stage_of(world, publish_hz=1000.0)
    for number in range(64):
        stage.handle(
            world.camera_message(f"s{number}", 0, world.START_NS + number * NS_PER_MS, []),
            world.instant(0.1),
        )
    out = stage.handle(
        world.camera_message("one-more", 0, world.START_NS + 65 * NS_PER_MS, []),
        world.instant(0.1),
    )
    assert [d.reason for d in decisions(out)] == ["too_many_sensors"]


def test_a_foreign_message_is_ignored(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    assert list(stage.handle(Message.draft(SIGNAL_STATE, "x", 0, None), world.instant(0.0))) == []


def test_a_second_box_on_one_car_makes_no_second_track(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    out = feed(world, stage, range(30), (5.0, 6.0), (5.4, 6.3))
    assert {len(t.tracks) for t in lists(out)} == {0, 1}


def test_two_people_side_by_side_are_two(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    out: list[Message] = []
    for number in range(30):
        message = frame(world, number, (5.0, 6.0), (5.6, 6.0), kind=C.PEDESTRIAN)
        out += stage.handle(message, world.instant(number * FRAME_S + 0.04))
    assert len(lists(out)[-1].tracks) == 2


def test_duplicates_from_two_cameras_are_merged(world: SimpleNamespace) -> None:
    """0.9 m apart with σ 5 cm: outside any gate, but two cars cannot be in one place."""
    stage = stage_of(world)
    out: list[Message] = []
    for number in range(30):
        now = number * FRAME_S + 0.04
        out += stage.handle(frame(world, number, (5.0, 6.0)), world.instant(now))
        south = frame(world, number, (5.0, 6.9), sensor="south", shift_s=0.02)
        out += stage.handle(south, world.instant(now + 0.02))
    assert {len(t.tracks) for t in lists(out)} == {0, 1}
    assert len({t.id for told in lists(out) for t in told.tracks}) == 1


def test_who_is_alone_on_the_road_coasts_to_the_end(world: SimpleNamespace) -> None:
    """A camera that looks elsewhere says nothing against it, and there is nobody to merge with."""
    stage = stage_of(world)
    feed(world, stage, range(30), (5.0, 6.0))
    out: list[Message] = []
    for number in range(30, 60):
        now = world.instant(number * FRAME_S + 0.04)
        out += stage.handle(frame(world, number, sensor="south"), now)
    last_look_ns = world.START_NS + round(29 * FRAME_S * NS_PER_S)
    told = [one.time_ns - last_look_ns for one in lists(out) if one.tracks]
    assert 1.4 * NS_PER_S < max(told) <= FusionOptions().coast_s * NS_PER_S
    assert [d.reason for d in decisions(out)] == ["coast_expired"]


def test_a_class_that_turns_out_otherwise_changes_the_model(world: SimpleNamespace) -> None:
    stage = stage_of(world)
    out: list[Message] = []
    for number in range(120):
        kind = C.CAR if number < 20 else C.BICYCLE
        message = frame(world, number, (0.4 * number, 0.0), kind=kind)
        out += stage.handle(message, world.instant(number * FRAME_S + 0.04))
    told = [t for named in lists(out) for t in named.tracks]
    assert [told[10].object_class, told[-1].object_class] == [C.CAR, C.BICYCLE]
    assert len({t.id for t in told}) == 1
    rows = stage._history.table.rows
    assert not rows.polar.any()
    assert told[-1].speed == pytest.approx(5.0, abs=0.2)
    assert told[-1].heading == pytest.approx(0.0, abs=0.05)


def test_the_same_input_gives_the_same_bytes(world: SimpleNamespace) -> None:
    def run() -> list[bytes]:
        scene = world.Scene(seed=3)
        scene.add(C.CAR, world.line(-20, 0, 9, 0))
        scene.add(C.PEDESTRIAN, world.line(3, -4, 0, 1.4))
        scene.sensors = [
            world.Sensor("north", clutter=1.0),
            world.Sensor("south", clutter=1.0, phase_s=0.03, latency_s=0.2),
        ]
        played = world.play(scene.messages(4.0))
        return [to_json(told) for told in played.lists] + [to_json(d) for d in played.decisions]

    assert run() == run()
