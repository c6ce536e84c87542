"""What the unit says, when it says nothing, and that it can tell why."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError

from rsu.schema.health import Capability, ClockQuality, Decision, UnitHealth, Verdict
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass
from rsu.schema.topics import DECISION, PARKING, UNIT_HEALTH, V2X_TX
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant, Vec2
from rsu.schema.v2x import V2xFrame
from rsu.v2x.codec import Codec, codec_for
from rsu.v2x.csae.units import OutOfRangeError
from rsu.v2x.errors import EncodeError
from rsu.v2x.network import dsmp
from rsu.v2x.stage import V2xStage


class Air:
    """Drives one stage and keeps what came out of it."""

    def __init__(self, stage: V2xStage, start_ns: int) -> None:
        self.stage = stage
        self.start_ns = start_ns
        self.frames: list[Message] = []
        self.decisions: list[Decision] = []

    def now(self, ms: float) -> Instant:
        return Instant(self.start_ns + round(ms * NS_PER_MS), round(ms * NS_PER_MS))

    def give(self, message: Message, ms: float = 0) -> list[V2xFrame]:
        return self._keep(self.stage.handle(message, self.now(ms)))

    def tick(self, ms: float) -> list[V2xFrame]:
        return self._keep(self.stage.tick(self.now(ms)))

    def _keep(self, drafts: Any) -> list[V2xFrame]:
        frames = []
        for draft in drafts:
            assert draft.topic in self.stage.outputs
            if draft.topic == DECISION:
                self.decisions.append(draft.payload)
            else:
                assert draft.topic == V2X_TX
                self.frames.append(draft)
                frames.append(draft.payload)
        return frames

    @property
    def reasons(self) -> Counter[tuple[str, str]]:
        counts: Counter[tuple[str, str]] = Counter()
        for decision in self.decisions:
            counts[decision.subject, decision.reason] += decision.count
        return counts


@pytest.fixture
def air(stage, start_ns: int):
    def make(**changes: Any) -> Air:
        return Air(stage(**changes), start_ns)

    return make


def users(frame: V2xFrame) -> list[dict[str, Any]]:
    """Participants other than the unit itself."""
    first, *others = frame.value["rsmFrame"]["participants"]
    assert first["ptcId"] == 0
    assert first["ptcType"] == "rsu"
    return others


def health(clock: ClockQuality) -> Message:
    state = UnitHealth(time_ns=0, clock=clock, capability=Capability.FULL)
    return Message.draft(UNIT_HEALTH, "health", 0, state)


def test_tracks_become_one_frame_with_its_evidence(
    air, track, tracks_message, start_ns: int, pycrate_decode
) -> None:
    air = air()
    old, new = start_ns - 150 * NS_PER_MS, start_ns - 20 * NS_PER_MS
    message = tracks_message(track(31, updated_ns=new), track(17, updated_ns=old))
    (frame,) = air.give(message, ms=30)
    assert frame.message == "RSM"
    assert frame.profile == "csae53_2020"
    assert (frame.aid, frame.priority) == (3623, 208)
    assert sorted(frame.subjects) == [17, 31]
    assert frame.time_ns == start_ns, "the time of the tracks"
    assert air.frames[0].header.capture_ns == old
    assert air.frames[0].header.source == "v2x"
    assert dsmp.parse(frame.network) == dsmp.Dsmp(3623, frame.payload)
    assert codec_for("csae53_2020").decode(frame.payload) == frame.value
    assert pycrate_decode(frame.payload) == frame.value
    # START is 40 s into its minute; the state is that of the track list, not of sending.
    assert {user["secMark"] for user in users(frame)} == {40_000}
    assert air.reasons == {("message:RSM", "road_users"): 1}


def test_second_mark_wraps_with_the_minute(air, track, tracks_message, start_ns: int) -> None:
    air = air()
    marks = []
    for ms in range(19_900, 20_200, 100):
        time_ns = start_ns + ms * NS_PER_MS
        message = tracks_message(track(updated_ns=time_ns), time_ns=time_ns)
        marks += [users(frame)[0]["secMark"] for frame in air.give(message, ms)]
    assert marks == [59_900, 0, 100]


def test_message_count_starts_with_the_boot_and_wraps(
    stage, track, tracks_message, start_ns
) -> None:
    def counts(boot_ns: int, cycles: int) -> list[int]:
        air = Air(stage(boot=Instant(boot_ns, 0)), start_ns)
        return [
            frame.value["rsmFrame"]["msgCnt"]
            for cycle in range(cycles)
            for frame in air.give(
                tracks_message(
                    track(updated_ns=start_ns + cycle * 100 * NS_PER_MS),
                    time_ns=start_ns + cycle * 100 * NS_PER_MS,
                ),
                cycle * 100,
            )
        ]

    run = counts(start_ns, 130)
    assert len(run) == 130
    assert all(after == (before + 1) % 128 for before, after in itertools.pairwise(run))
    assert counts(start_ns, 1) == run[:1]
    starts = {counts(start_ns + second * NS_PER_S, 1)[0] for second in range(20)}
    assert len(starts) > 10


@pytest.mark.parametrize(
    ("seen", "sizes"), [(1, [1]), (15, [15]), (16, [15, 1]), (31, [15, 15, 1]), (45, [15] * 3)]
)
def test_more_than_fifteen_road_users_take_more_frames(
    air, track, tracks_message, seen: int, sizes: list[int], pycrate_decode
) -> None:
    air = air()
    frames = air.give(
        tracks_message(*(track(i, position=Vec2(2.0 * i, 1.0)) for i in range(1, seen + 1)))
    )
    assert [len(users(frame)) for frame in frames] == sizes
    assert [len(frame.subjects) for frame in frames] == sizes
    numbers = [user["ptcId"] for frame in frames for user in users(frame)]
    assert sorted(numbers) == list(range(1, seen + 1))
    assert [subject for frame in frames for subject in frame.subjects] == list(range(1, seen + 1))
    for frame in frames:
        assert pycrate_decode(frame.payload) == frame.value
    air.tick(1050)  # repeats are told a second later
    assert air.reasons == {("message:RSM", "road_users"): len(sizes)}


def test_vulnerable_and_near_road_users_come_in_the_first_frame(air, track, tracks_message) -> None:
    cars = [track(i, position=Vec2(5.0 + i, 0.0)) for i in range(1, 16)]
    walker = track(99, position=Vec2(90.0, 0.0), object_class=ObjectClass.PEDESTRIAN)
    first, second = air().give(tracks_message(*cars, walker))
    assert first.subjects == (99, *range(1, 15))
    assert second.subjects == (15,)


def test_road_user_keeps_its_number_and_a_new_one_gets_another(
    air, track, tracks_message, start_ns: int
) -> None:
    air = air()

    def numbers(ms: int, *ids: int) -> dict[int, int]:
        time_ns = start_ns + ms * NS_PER_MS
        tracks = [track(i, updated_ns=time_ns, position=Vec2(float(i), 0.0)) for i in ids]
        (frame,) = air.give(tracks_message(*tracks, time_ns=time_ns), ms)
        pairs = zip(frame.subjects, users(frame), strict=True)
        return {subject: user["ptcId"] for subject, user in pairs}

    assert numbers(0, 5, 6) == {5: 1, 6: 2}
    assert numbers(100, 4, 5, 6) == {5: 1, 6: 2, 4: 3}
    assert numbers(200, 6) == {6: 2}
    assert numbers(300, 7, 6) == {6: 2, 7: 4}  # 1 and 3 rest
    assert numbers(5_000, 5, 6) == {5: 1, 6: 2}  # back while its number rested


def test_without_a_free_number_a_road_user_is_withheld(air, track, tracks_message) -> None:
    air = air(rsm={"max_frames": 20})
    frames = air.give(
        tracks_message(*(track(i, position=Vec2(0.1 * i, 0.0)) for i in range(1, 261)))
    )
    assert sum(len(users(frame)) for frame in frames) == 255
    withheld = {
        decision.subject for decision in air.decisions if decision.reason == "no_free_number"
    }
    assert withheld == {f"track:{i}" for i in range(256, 261)}  # the farthest


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"updated_ns": -501 * NS_PER_MS}, "evidence_stale"),
        ({"updated_ns": 501 * NS_PER_MS}, "evidence_from_future"),
        ({"existence": 0.49}, "not_confirmed"),
        ({"speed": 200.0}, "out_of_range"),
    ],
)
def test_road_user_in_doubt_is_withheld_and_the_others_stated(
    air, track, tracks_message, start_ns: int, changes: dict[str, Any], reason: str
) -> None:
    air = air()
    if "updated_ns" in changes:
        changes = {"updated_ns": start_ns + changes["updated_ns"]}
    (frame,) = air.give(tracks_message(track(1), track(2, **changes)))
    assert frame.subjects == (1,)
    assert air.reasons == {("track:2", reason): 1, ("message:RSM", "road_users"): 1}
    withheld = next(d for d in air.decisions if d.subject == "track:2")
    assert withheld.verdict is Verdict.WITHHELD
    assert withheld.detail


def test_evidence_at_the_limit_of_its_age_is_still_stated(air, track, tracks_message) -> None:
    assert len(air().give(tracks_message(track()), ms=500)) == 1


def test_nothing_is_said_of_road_users_alone_in_doubt(air, track, tracks_message) -> None:
    air = air()
    assert air.give(tracks_message(track(existence=0.1))) == []
    assert air.reasons == {("track:1", "not_confirmed"): 1}


@pytest.mark.parametrize(("interval_ms", "frames"), [(100, 100), (80, 100), (50, 100), (200, 50)])
def test_messages_follow_the_tracks_up_to_the_rate_bound(
    air, track, tracks_message, start_ns: int, interval_ms: int, frames: int
) -> None:
    air = air()
    lists = 0
    for ms in range(0, 10_000, interval_ms):
        time_ns = start_ns + ms * NS_PER_MS
        air.give(tracks_message(track(updated_ns=time_ns), time_ns=time_ns), ms)
        lists += 1
    air.tick(11_500)
    assert len(air.frames) == pytest.approx(frames, abs=2)
    assert air.reasons["message:RSM", "road_users"] == len(air.frames)
    assert air.reasons["message:RSM", "rate_bound"] == lists - len(air.frames)
    # One line a second and reason, plus the first.
    assert len(air.decisions) <= 2 * 12


# ── the clock ─────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_said_before_the_clock_is_known_to_be_good(air, track, tracks_message) -> None:
    air = air(trust_clock=False)
    assert air.give(tracks_message(track())) == []
    assert air.reasons == {("message:RSM", "clock_unsynchronised"): 1}
    assert air.decisions[0].detail == "no health report yet"
    air.give(health(ClockQuality.LOCKED))
    assert len(air.give(tracks_message(track()), ms=100)) == 1


@pytest.mark.parametrize(
    ("clock", "speaks"),
    [
        (ClockQuality.LOCKED, True),
        (ClockQuality.HOLDOVER, True),
        (ClockQuality.UNSYNCHRONISED, False),
    ],
)
def test_only_a_disciplined_clock_speaks(
    air, track, tracks_message, clock: ClockQuality, speaks: bool
) -> None:
    air = air(trust_clock=False)
    air.give(health(clock))
    assert bool(air.give(tracks_message(track()))) is speaks
    assert bool(air.tick(1_000)) is False
    assert bool(air.reasons["message:RSM", "clock_unsynchronised"]) is not speaks


def test_lost_clock_stops_messages_and_a_found_one_starts_them(air, track, tracks_message) -> None:
    air = air(trust_clock=False)
    said = []
    for step, clock in enumerate(
        [ClockQuality.LOCKED, ClockQuality.UNSYNCHRONISED, ClockQuality.LOCKED]
    ):
        air.give(health(clock), step * 100)
        said.append(len(air.give(tracks_message(track()), step * 100)))
    assert said == [1, 0, 1]


def test_unit_that_trusts_its_clock_speaks_at_once(air, track, tracks_message) -> None:
    assert len(air(trust_clock=True).give(tracks_message(track()))) == 1


# ── silence ───────────────────────────────────────────────────────────────────────────────────────


def test_unit_that_sees_nobody_states_itself_every_silence_period(
    air, tracks_message, start_ns: int
) -> None:
    air = air()
    said_at = []
    for ms in range(0, 5_000, 50):
        time_ns = start_ns + ms * NS_PER_MS
        frames = air.tick(ms) if ms % 100 else []
        frames += air.give(tracks_message(time_ns=time_ns), ms)
        for frame in frames:
            assert users(frame) == []
            assert frame.subjects == ()
            said_at.append(ms)
    assert said_at == [1_000, 2_000, 3_000, 4_000]
    assert air.frames[0].header.capture_ns == air.frames[0].payload.time_ns
    assert abs(air.frames[0].header.capture_ns - (start_ns + NS_PER_S)) <= 50 * NS_PER_MS
    air.tick(6_500)
    assert air.reasons["message:RSM", "nobody_seen"] == 4


def test_tick_states_the_unit_when_tracks_come_seldom(air, tracks_message) -> None:
    air = air()
    assert air.give(tracks_message(time_ns=air.now(800).utc_ns), ms=800) == []
    assert air.tick(1_100) == []
    (frame,) = air.tick(1_200)
    assert users(frame) == []
    assert frame.time_ns == air.now(800).utc_ns


def test_unit_whose_perception_has_gone_silent_says_nothing(air, track, tracks_message) -> None:
    air = air()
    assert len(air.give(tracks_message(track()))) == 1
    for ms in range(100, 5_000, 100):
        assert air.tick(ms) == []
    # One statement a second was due and withheld.
    assert air.reasons["message:RSM", "perception_silent"] == 4


def test_unit_that_never_saw_tracks_says_nothing(air) -> None:
    air = air()
    for ms in range(0, 3_100, 100):
        assert air.tick(ms) == []
    assert set(air.reasons) == {("message:RSM", "perception_silent")}


def test_unit_states_itself_when_all_it_sees_is_in_doubt(
    air, track, tracks_message, start_ns: int
) -> None:
    air = air()
    for ms in range(0, 1_100, 100):
        time_ns = start_ns + ms * NS_PER_MS
        air.give(tracks_message(track(existence=0.2, updated_ns=time_ns), time_ns=time_ns), ms)
    assert [users(frame.payload) for frame in air.frames] == [[]]


# ── options, faults, determinism ──────────────────────────────────────────────────────────────────


def test_disabled_message_says_nothing_at_all(air, track, tracks_message) -> None:
    air = air(rsm={"enabled": False})
    assert air.give(tracks_message(track())) == []
    assert air.tick(5_000) == []
    assert air.decisions == []


def test_topics_that_are_not_its_own_are_ignored(air) -> None:
    assert air().give(Message.draft(PARKING, "situation", 0, None)) == []


def test_configured_identifier_and_priority_are_used(air, track, tracks_message) -> None:
    (frame,) = air(rsm={"aid": 100, "priority": 3}).give(tracks_message(track()))
    assert (frame.aid, frame.priority) == (100, 3)
    assert frame.network[2] == 100


def test_identity_that_cannot_be_carried_is_refused_at_the_start(stage) -> None:
    with pytest.raises(ValidationError, match="aid"):
        stage(rsm={"aid": dsmp.AID_MAX + 1})
    with pytest.raises(OutOfRangeError):
        stage(speaker={"antenna_height": 500.0})


def test_fault_of_the_encoder_is_counted_and_the_unit_goes_on(
    air, track, tracks_message, monkeypatch: pytest.MonkeyPatch
) -> None:
    air = air()

    def broken(self: Codec, value: Any, type_name: str = "") -> bytes:
        raise EncodeError("rsmFrame: broken")

    with monkeypatch.context() as patch:
        patch.setattr(Codec, "encode", broken)
        assert air.give(tracks_message(track())) == []
    assert air.decisions[0].verdict is Verdict.DROPPED
    assert air.decisions[0].reason == "encode_failed"
    assert len(air.give(tracks_message(track()), ms=100)) == 1


def test_same_boot_and_same_input_give_the_same_output(
    stage, track, tracks_message, start_ns: int
) -> None:
    def run() -> list[Any]:
        air = Air(stage(), start_ns)
        for ms in range(0, 4_000, 80):
            time_ns = start_ns + ms * NS_PER_MS
            shown = [
                track(i, updated_ns=time_ns, position=Vec2(3.0 * math.sin(i), 0.01 * ms))
                for i in range(1 + ms // 1000, 20 + ms // 500)
            ]
            air.give(tracks_message(*shown, time_ns=time_ns), ms)
            air.tick(ms)
        return [[frame.payload for frame in air.frames], air.decisions]

    first, second = run(), run()
    assert first == second
    assert len(first[0]) > 50
