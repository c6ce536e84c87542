"""Messages about road users: who is in them, how they are split, who takes turns, and silence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from rsu.config.v2x_sae import SaeOptions
from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.health import Verdict
from rsu.schema.sensing import ObjectClass
from rsu.schema.topics import ROAD_EVENT, TRACKS
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_MS, Vec2

Drive = Callable[..., Any]
MakeTrack = Callable[..., Track]

MESSAGES = ("RSM", "SSM", "SDSM", "PSM")


def worlds(**common: Any) -> dict[str, Any]:
    """All four messages about road users, with these options; PSM at 10 Hz."""
    return {
        "rsm": common,
        "csae": {"profile": "csae157_2020", "ssm": {"enabled": True, "aid": 3626, **common}},
        "sae": SaeOptions(sdsm=common, psm={"enabled": True, "rate_hz": 10.0, **common}),
    }


def look(
    drive: Any, tracks: list[Track], start_ns: int, ms: int, list_ms: int | None = None
) -> Any:
    """What is said to these tracks, whose states are those of `list_ms` (default: now); their
    `updated_ns` count from the start of the scene, and are moved to `list_ms`."""
    moment_ms = ms if list_ms is None else list_ms
    moved = tuple(
        msgspec.structs.replace(track, updated_ns=track.updated_ns + moment_ms * NS_PER_MS)
        for track in tracks
    )
    time_ns = start_ns + moment_ms * NS_PER_MS
    return drive.give(TRACKS, TrackList(time_ns=time_ns, tracks=moved), ms)


@pytest.fixture
def people(track: MakeTrack) -> Callable[..., list[Track]]:
    """Pedestrians 1..count on a grid around the unit; all four messages speak of them."""

    def make(count: int, **changes: Any) -> list[Track]:
        return [
            track(
                i + 1,
                position=Vec2(4.0 * (i % 20) - 40.0, 4.0 * (i // 20) - 40.0),
                object_class=ObjectClass.PEDESTRIAN,
                **changes,
            )
            for i in range(count)
        ]

    return make


def said(frames: list[Any], message: str) -> list[int]:
    return [name for frame in frames if frame.message == message for name in frame.subjects]


# ── places and turns ──────────────────────────────────────────────────────────────────────────────


def test_an_rsm_is_full_at_sixteen_participants_with_the_unit(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int
) -> None:
    frames = look(drive(rsm={"max_frames": 64}), people(255), start_ns, 0)
    sizes = [len(frame.value["rsmFrame"]["participants"]) for frame in frames]
    assert sizes == [16] * 17
    everybody = [one for frame in frames for one in frame.value["rsmFrame"]["participants"]]
    numbers = Counter(one["ptcId"] for one in everybody)
    assert numbers == Counter({0: 17} | dict.fromkeys(range(1, 256), 1))


def test_each_person_has_a_psm(
    drive: Drive, people: Callable[..., list[Track]], track: MakeTrack, start_ns: int, content: Any
) -> None:
    unit = drive(**worlds(max_frames=4))
    frames = look(unit, [*people(5), track(77)], start_ns, 0)
    messages = [frame for frame in frames if frame.message == "PSM"]
    assert [len(frame.subjects) for frame in messages] == [1] * 4
    assert len({content(frame)["id"] for frame in messages}) == 4
    assert 77 not in said(frames, "PSM"), "a car"
    unit.run(2_000)
    assert unit.reasons["track:77", "no_place"] == 0, "nobody wanted a PSM of a car"
    assert sum(n for (_, why), n in unit.reasons.items() if why == "no_place") == 1


@pytest.mark.parametrize("message", MESSAGES)
def test_with_too_little_room_everybody_is_said_in_turn(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int, message: str
) -> None:
    # Places are counted in road users for RSM and PSM, in octets for SSM and SDSM.
    unit = drive(**worlds(max_frames=2), packet_octets=500)
    crowd = people(60)
    cycles: list[set[int]] = []
    for cycle in range(150 if message == "PSM" else 60):
        names = said(look(unit, crowd, start_ns, 100 * cycle), message)
        assert len(names) == len(set(names)), "nobody twice"
        cycles.append(set(names))
    places = min(map(len, cycles))
    assert places < 60, "else nothing is shown here"
    kept = max(places // 5, 1) if places > 2 else 1
    bound = -(-(60 - (places - kept)) // kept) + 1
    for name in range(1, 61):
        spoken = [i for i, cycle in enumerate(cycles) if name in cycle]
        assert max(b - a for a, b in pairwise([-1, *spoken, len(cycles)])) - 1 <= bound, name
    # The nearest have their places in every cycle.
    nearest = sorted(crowd, key=lambda one: (one.position.x**2 + one.position.y**2, one.id))
    for one in nearest[: places - kept]:
        assert all(one.id in cycle for cycle in cycles)


@pytest.mark.parametrize("message", ["RSM", "SDSM"])
def test_whoever_is_left_out_is_counted_once_a_cycle(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int, message: str
) -> None:
    both = {"rsm": {"max_frames": 1, "enabled": message == "RSM"},
            "sae": SaeOptions(sdsm={"max_frames": 1, "enabled": message == "SDSM"})}  # fmt: skip
    unit = drive(**both)
    total = 0
    for cycle in range(10):
        frames = look(unit, people(100), start_ns, 100 * cycle)
        total += 100 - len(said(frames, message))
    unit.run(3_000)
    assert total > 0
    assert sum(n for (_, why), n in unit.reasons.items() if why == "no_place") == total


def test_a_road_user_that_cannot_be_carried_takes_nobodys_turn(
    drive: Drive, people: Callable[..., list[Track]], track: MakeTrack, start_ns: int
) -> None:
    unit = drive(rsm={"max_frames": 1})
    fast = [track(900 + i, position=Vec2(1.0 + i, 0.0), speed=400.0) for i in range(10)]
    cycles = []
    for cycle in range(40):
        frames = look(unit, [*people(20), *fast], start_ns, 100 * cycle)
        cycles.append(set(said(frames, "RSM")))
    # Ten that no RSM can carry (400 m/s) leave their places to the next: 15 are always said.
    assert {len(cycle) for cycle in cycles} == {15}
    assert set.union(*cycles[:5]) == set(range(1, 21)), "⌈(20 − 12) / 3⌉ + 1 = 4 cycles"
    unit.run(6_000)
    assert unit.reasons["track:900", "out_of_range"] == 40


def test_more_road_users_than_numbers_do_not_stop_the_turns(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int
) -> None:
    unit = drive(rsm={"max_frames": 4})
    heard: Counter[int] = Counter()
    for cycle in range(60):
        frames = look(unit, people(300), start_ns, 100 * cycle)
        names = said(frames, "RSM")
        assert len(names) == len(set(names)) == 60
        heard.update(names)
    # 255 numbers; 12 of 60 places take turns: everybody with a number within 19 cycles.
    assert len(heard) == 255
    assert min(heard.values()) >= 3
    unit.run(8_000)
    assert sum(n for (_, why), n in unit.reasons.items() if why == "no_free_number") == 45 * 60


def test_whoever_an_event_names_comes_first(
    drive: Drive, people: Callable[..., list[Track]], track: MakeTrack, start_ns: int
) -> None:
    unit = drive(**worlds(max_frames=1))
    far = track(500, position=Vec2(150.0, 90.0))
    cars = [track(i, position=Vec2(3.0 * i, 0.0)) for i in range(1, 40)]
    conflict = RoadEvent(
        id=1, kind="conflict", phase=EventPhase.ONSET, code=None, position=Vec2(0.0, 0.0),
        radius=5.0, confidence=0.9, start_ns=start_ns, time_ns=start_ns, tracks=(500,),
    )  # fmt: skip
    unit.give(ROAD_EVENT, conflict, 0)
    for message in ("RSM", "SSM", "SDSM"):
        frames = look(unit, [*cars, far], start_ns, 0)
        if message == "RSM":
            first = {frame.message: frame.subjects[0] for frame in frames}
        assert first[message] == 500


# ── rate ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("jitter_ms", [0, 15, 35])
@pytest.mark.parametrize("period_ms", [40, 80, 100])
def test_each_message_keeps_its_own_rate_of_any_stream(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int, period_ms: int, jitter_ms: int
) -> None:
    rates = {"RSM": 10.0, "SSM": 5.0, "SDSM": 2.0, "PSM": 1.0}
    unit = drive(
        rsm={"rate_hz": rates["RSM"]},
        csae={"profile": "csae157_2020",
              "ssm": {"enabled": True, "aid": 3626, "rate_hz": rates["SSM"]}},
        sae=SaeOptions(sdsm={"rate_hz": rates["SDSM"]},
                       psm={"enabled": True, "rate_hz": rates["PSM"]}),
    )  # fmt: skip
    for step in range(10_000 // period_ms):
        # A triangle of seven steps around the even moments.
        ms = 100 + step * period_ms + (abs(step % 12 - 6) - 3) * jitter_ms // 3
        look(unit, people(1), start_ns, ms)
    for message, rate_hz in rates.items():
        times = unit.times(message)
        assert len(times) == pytest.approx(10 * rate_hz, abs=max(3.0, rate_hz * 0.4)), message
        for begin in times:
            within = sum(begin <= ms < begin + 1_000 for ms in times)
            assert within <= rate_hz + 2, message


# ── who is spoken of ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("message", MESSAGES)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"age_ms": 501}, "evidence_stale"),
        ({"age_ms": -501}, "evidence_from_future"),
        ({"existence": 0.499}, "not_confirmed"),
    ],
)
def test_the_doubtful_are_left_out_while_the_others_are_said(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int, message: str,
    changes: dict[str, Any], reason: str,
) -> None:  # fmt: skip
    unit = drive(**worlds())
    sure, doubtful = people(2)
    if "age_ms" in changes:
        changes = {"updated_ns": start_ns - changes["age_ms"] * NS_PER_MS}
    frames = look(unit, [msgspec.structs.replace(doubtful, **changes), sure], start_ns, 0)
    assert said(frames, message) == [1]
    unit.run(2_000)
    assert unit.reasons["track:2", reason] == len(MESSAGES)
    assert {d.verdict for d in unit.decisions if d.subject == "track:2"} == {Verdict.WITHHELD}


@pytest.mark.parametrize("message", MESSAGES)
def test_at_the_limits_they_are_still_said(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int, message: str
) -> None:
    old, new, unsure = people(3)
    tracks = [
        msgspec.structs.replace(old, updated_ns=start_ns - 500 * NS_PER_MS),
        msgspec.structs.replace(new, updated_ns=start_ns + 500 * NS_PER_MS),
        msgspec.structs.replace(unsure, existence=0.5),
    ]
    frames = look(drive(**worlds()), tracks, start_ns, 0)
    assert sorted(said(frames, message)) == [1, 2, 3]


@pytest.mark.parametrize(("list_ms", "reason"), [(1_600, "evidence_from_future"),
                                                 (400, "evidence_stale")])  # fmt: skip
def test_no_message_speaks_of_a_moment_that_is_not_now(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int, list_ms: int, reason: str
) -> None:
    # One sensor's clock is wrong: the states are of a moment that is not now, though the evidence
    # behind these road users is of now.
    unit = drive(**worlds())
    moved = [
        msgspec.structs.replace(one, updated_ns=start_ns + (1_000 - list_ms) * NS_PER_MS)
        for one in people(3)
    ]
    assert look(unit, moved, start_ns, 1_000, list_ms) == []
    unit.run(1_050)
    for subject in ("RSM", "SSM", "sae/SDSM", "sae/PSM"):
        assert unit.reasons[f"message:{subject}", reason] == 1


def test_each_message_has_an_age_limit_of_its_own(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int
) -> None:
    both = {"rsm": {"max_evidence_age_s": 0.2},
            "sae": SaeOptions(sdsm={"max_evidence_age_s": 1.0})}  # fmt: skip
    unit = drive(**both)
    assert {f.message for f in look(unit, people(1), start_ns, 200, 0)} == {"RSM", "SDSM"}
    assert {f.message for f in look(unit, people(1), start_ns, 1_000, 799)} == {"SDSM"}
    assert look(unit, people(1), start_ns, 2_001, 1_000) == []


# ── the frame and its header ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("message", MESSAGES)
def test_a_frame_states_the_moment_it_speaks_of_and_its_oldest_evidence(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int, message: str
) -> None:
    unit = drive(**worlds())
    ages = {1: 20, 2: 310, 3: 150}
    tracks = [
        msgspec.structs.replace(one, updated_ns=start_ns - ages[one.id] * NS_PER_MS)
        for one in people(3)
    ]
    look(unit, tracks, start_ns, 1_050, 1_000)
    found = 0
    for (_, frame), header in zip(unit.said, unit.headers, strict=True):
        if frame.message != message:
            continue
        found += len(frame.subjects)
        assert frame.time_ns == start_ns + 1_000 * NS_PER_MS
        oldest = max(ages[name] for name in frame.subjects)
        assert header.capture_ns == start_ns + (1_000 - oldest) * NS_PER_MS
    assert found == 3


@pytest.mark.parametrize("message", ["RSM", "SSM", "SDSM"])
def test_subjects_are_in_the_order_of_the_message(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int, message: str, content: Any
) -> None:
    def numbers(value: dict[str, Any]) -> list[int]:
        if message == "RSM":
            return [one["ptcId"] for one in value["participants"][1:]]
        if message == "SSM":
            return [one["ptc"]["ptcId"] for one in value["participants"]]
        return [one["detObjCommon"]["objectID"] for one in value["objects"]]

    unit = drive(**worlds(max_frames=64))
    by_name: dict[int, int] = {}
    for cycle in range(3):
        # Who is nearest changes; a number and its road user stay together.
        shifted = [
            msgspec.structs.replace(one, position=Vec2(one.position.x + 30.0 * cycle, 0.0))
            for one in people(40)
        ]
        for frame in look(unit, shifted, start_ns, 100 * cycle):
            if frame.message == message:
                stated = numbers(content(frame))
                assert len(stated) == len(frame.subjects)
                for name, number in zip(frame.subjects, stated, strict=True):
                    assert by_name.setdefault(name, number) == number
    assert len(set(by_name.values())) == 40


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_of_one_cycle_are_counted_one_by_one(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int, message: str, content: Any
) -> None:
    unit = drive(**worlds(max_frames=3), packet_octets=500)
    for cycle in range(50):
        look(unit, people(50), start_ns, 100 * cycle)
    counts = [content(frame)["msgCnt"] for frame in unit.frames(message)]
    assert len(counts) == 150
    assert all(b == (a + 1) % 128 for a, b in pairwise(counts))


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────


def test_a_number_rests_and_comes_back_with_its_track(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int
) -> None:
    unit = drive(rsm={"max_frames": 64})

    def numbers(ms: int, tracks: list[Track]) -> dict[int, int]:
        return {
            name: one["ptcId"]
            for frame in look(unit, tracks, start_ns, ms)
            for name, one in zip(
                frame.subjects, frame.value["rsmFrame"]["participants"][1:], strict=True
            )
        }

    everybody = people(256)
    before = numbers(0, everybody[:255])
    stayed = everybody[1:255]
    # Track 1 has gone; its number rests, so the newcomer has none.
    assert 256 not in numbers(1_000, [*stayed, everybody[255]])
    # Back within the rest: its old number.
    assert numbers(5_000, [*stayed, everybody[0]])[1] == before[1]
    # Gone again for the whole rest: the number is the newcomer's.
    numbers(6_000, stayed)
    assert 256 not in numbers(15_900, [*stayed, everybody[255]])
    assert numbers(16_000, [*stayed, everybody[255]])[256] == before[1]


# ── silence ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("silence_s", [0.5, 1.0, 2.5])
def test_only_an_rsm_says_that_nobody_is_there(
    drive: Drive, start_ns: int, silence_s: float
) -> None:
    unit = drive(**worlds(silence_s=silence_s))
    for ms in range(0, 10_000, 100):
        look(unit, [], start_ns, ms)
    assert {frame.message for _, frame in unit.said} == {"RSM"}
    times = unit.times("RSM")
    assert {b - a for a, b in pairwise(times)} == {round(1_000 * silence_s)}
    for (ms, frame), header in zip(unit.said, unit.headers, strict=True):
        assert frame.subjects == ()
        assert header.capture_ns == frame.time_ns == start_ns + ms * NS_PER_MS
        (unit_itself,) = frame.value["rsmFrame"]["participants"]
        assert unit_itself["ptcType"] == "rsu"


def test_a_blind_unit_does_not_say_that_nobody_is_there(
    drive: Drive, people: Callable[..., list[Track]], start_ns: int
) -> None:
    unit = drive()
    look(unit, people(1), start_ns, 0)
    unit.run(5_050)
    assert unit.times("RSM") == [0]
    # Due 1.2 s after the last word, and every second (and the wait) after.
    assert unit.reasons["message:RSM", "perception_silent"] == 4
    # Perception is back.
    assert [frame.subjects for frame in look(unit, people(1), start_ns, 6_400)] == [(1,)]


def test_the_last_look_counts_as_long_as_evidence_does(drive: Drive, start_ns: int) -> None:
    unit = drive(rsm={"max_evidence_age_s": 0.3})
    # Due at 1000; the timer waits 200 ms for a list and then rests on the last one.
    look(unit, [], start_ns, 900)
    unit.run(1_250)
    ((ms, frame),) = unit.said
    assert (ms, frame.time_ns) == (1_200, start_ns + 900 * NS_PER_MS)
    # The next is due at 2200, and at 2400 a list of 2090 is 310 ms old.
    look(unit, [], start_ns, 2_090)
    unit.run(2_450)
    assert len(unit.said) == 1
    assert unit.reasons["message:RSM", "perception_silent"] == 1
