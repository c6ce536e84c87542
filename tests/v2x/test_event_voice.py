"""When events and signs are told, repeated, split over messages and dropped; in both worlds."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from rsu.schema.events import EventOrigin, EventPhase, RoadEvent, RoadSign
from rsu.schema.health import Capability, ClockQuality, UnitHealth
from rsu.schema.topics import ROAD_EVENT, UNIT_HEALTH
from rsu.schema.units import NS_PER_MS, NS_PER_S, Vec2
from rsu.v2x.voices.events import EVENTS_MAX

STALLED = 533
"""An ITIS code of group 2 that J2735 allows for obstacles."""
SAE_RSM = {"enabled": True, "aid": 0x3F0, "operator": "1.3.6.1.4.1.99999"}

# How an event comes, what speaks of it, and how often (ms).
CLASSES = {
    "dynamic": ({}, {"origin": EventOrigin.DETECTION}, "RSI", 100),
    "semi-static": ({}, {"origin": EventOrigin.POLICE}, "RSI", 500),
    "TIM": ({"sae": {}}, {"code": None}, "TIM", 1000),
    "RSM": (
        {"rsm": {"enabled": False}, "sae": {"tim": {"enabled": False}, "rsm": SAE_RSM}},
        {"code": None},
        "RSM",
        1000,
    ),
}


@pytest.fixture
def event(start_ns: int):
    """A stopped vehicle, known since the start and last seen to hold at `ms`."""

    def make(number: int = 1, ms: int = 0, **changes: Any) -> RoadEvent:
        values: dict[str, Any] = {
            "kind": "stopped-vehicle",
            "phase": EventPhase.ONSET,
            "code": 100 + number,
            "itis": STALLED,
            "position": Vec2(10.0, 5.0),
            "radius": 3.0,
            "confidence": 0.9,
            "start_ns": start_ns,
            "time_ns": start_ns + ms * NS_PER_MS,
        }
        return RoadEvent(id=number, **{**values, **changes})

    return make


def sign(name: str = "limit", **changes: Any) -> RoadSign:
    return RoadSign(**{"id": name, "code": 85, "position": Vec2(0.0, 20.0), **changes})


def codes(frames: list[Any], content) -> list[int]:
    """Event codes in the order of the messages."""
    return [one["eventType"] for frame in frames for one in content(frame).get("rtes", ())]


def sign_codes(frames: list[Any], content) -> list[int]:
    return [one["signType"] for frame in frames for one in content(frame).get("rtss", ())]


# ── when ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CLASSES)
def test_told_at_the_onset_repeated_at_the_rate_and_ended_by_its_end(
    drive, event, name: str
) -> None:
    options, changes, message, period_ms = CLASSES[name]
    unit = drive(**options)
    unit.give(ROAD_EVENT, event(ms=30, **changes), 30)
    for ms in (1_030, 2_030):
        update = event(ms=ms, phase=EventPhase.UPDATE, **changes)
        assert unit.give(ROAD_EVENT, update, ms) == [], "it was only seen again"
    assert unit.give(ROAD_EVENT, event(ms=3_030, phase=EventPhase.END, **changes), 3_030) == []
    unit.run(6_000)
    assert unit.times(message) == [30, *range(period_ms, 3_001, period_ms)]


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize(
    "change",
    [
        {"severity": 5},
        {"position": Vec2(12.0, 5.0)},
        {"radius": 9.0},
        {"lanes": ("in-1",)},
        {"description": "two lanes"},
    ],
    ids=str,
)
def test_a_change_is_told_at_once(drive, event, name: str, change: dict[str, Any]) -> None:
    options, changes, message, _ = CLASSES[name]
    unit = drive(**options)
    unit.give(ROAD_EVENT, event(ms=0, **changes), 0)
    before = unit.frames(message)[-1].value
    (frame,) = unit.give(ROAD_EVENT, event(ms=40, **{**changes, **change}), 40)
    assert frame.message == message
    # This site has no lanes, and RSM no place for urgency and words: there it is said once more.
    if "lanes" not in change and (name != "RSM" or change.keys() & {"position", "radius"}):
        assert frame.value != before


def test_changes_too_many_are_told_as_soon_as_the_rate_allows(drive, event) -> None:
    unit = drive(sae={})
    for ms in range(0, 450, 50):
        unit.give(ROAD_EVENT, event(ms=ms, code=None, severity=ms // 50 % 8), ms)
    unit.run(5_000)
    times = unit.times("TIM")
    assert times[:2] == [0, 50], "two are credit"
    assert times[2] == 1_000
    for ms in times:
        assert sum(ms <= other < ms + 1_000 for other in times) <= 3
    assert unit.reasons["message:sae/TIM", "rate_bound"] > 0


@pytest.mark.parametrize("name", CLASSES)
def test_an_event_last_known_too_long_ago_is_told_no_more(drive, event, name: str) -> None:
    options, changes, message, period_ms = CLASSES[name]
    unit = drive(**options)
    unit.give(ROAD_EVENT, event(1, ms=0, **changes), 0)
    for ms in range(1_000, 9_000, 1_000):  # another one goes on
        unit.give(ROAD_EVENT, event(2, ms=ms, **changes), ms)
    unit.run(9_000)
    lasting = [ms for ms in unit.times(message) if ms > 5_000]
    assert max(lasting) == 9_000 - period_ms
    per_cycle = len(lasting) / len(set(lasting))
    assert per_cycle == 1.0, "only one of both is told"
    assert unit.reasons["event:1", "evidence_stale"] == 1
    assert unit.reasons["event:2", "evidence_stale"] == 0
    unit.run(20_000)
    assert unit.reasons["event:2", "evidence_stale"] == 1
    assert max(unit.times(message)) <= 8_000 + 5_000


@pytest.mark.parametrize("origin", EventOrigin)
def test_who_knows_of_an_event_decides_its_class(
    drive, event, content, origin: EventOrigin
) -> None:
    unit = drive()
    (frame,) = unit.give(ROAD_EVENT, event(origin=origin), 0)
    detected = origin is EventOrigin.DETECTION
    assert (frame.aid, frame.priority) == ((3622, 112) if detected else (3621, 80))
    assert content(frame)["rtes"][0]["eventSource"] == origin.value


def test_signs_are_told_once_a_second_without_any_event(drive, content) -> None:
    unit = drive(signs=(sign(),))
    unit.run(3_000)
    assert unit.times("RSI") == [0, 1_000, 2_000]
    (frame, *_) = unit.frames("RSI")
    assert (frame.aid, frame.priority) == (3620, 48)
    assert sign_codes([frame], content) == [85]


def test_classes_that_are_off_say_nothing(drive, event) -> None:
    unit = drive(
        csae={"rsi": {"dynamic": {"enabled": False}, "static": {"enabled": False}}},
        signs=(sign(),),
    )
    assert unit.give(ROAD_EVENT, event(), 0) == []
    unit.run(2_000)
    assert unit.frames("RSI") == []
    (frame,) = unit.give(ROAD_EVENT, event(origin=EventOrigin.POLICE, ms=2_000), 2_000)
    assert frame.aid == 3621


def test_a_message_that_the_mode_forbids_is_told_when_the_mode_is_over(drive, event) -> None:
    unit = drive(csae={"rsi": {"dynamic": {"withhold_when": (Capability.BLIND,)}}})

    def health(capability: Capability) -> UnitHealth:
        return UnitHealth(time_ns=0, clock=ClockQuality.LOCKED, capability=capability)

    unit.give(UNIT_HEALTH, health(Capability.BLIND), 0)
    assert unit.give(ROAD_EVENT, event(), 10) == []
    assert unit.reasons["message:RSI", "degraded"] >= 1
    unit.give(UNIT_HEALTH, health(Capability.FULL), 250)
    assert len(unit.run(400)) == 1
    assert unit.times("RSI") == [300]


# ── what cannot be told ───────────────────────────────────────────────────────────────────────────


def test_without_a_code_an_event_is_told_in_the_other_world_alone(drive, event) -> None:
    unit = drive(sae={})
    frames = unit.give(ROAD_EVENT, event(1, code=None), 0)
    assert [frame.message for frame in frames] == ["TIM"]
    assert unit.reasons["event:1", "no_code"] == 1
    frames = unit.give(ROAD_EVENT, event(2, itis=None), 1_000)
    assert [frame.message for frame in frames] == ["RSI"]
    assert unit.reasons["event:2", "no_code"] == 1


def test_an_event_that_loses_its_code_is_told_no_more(drive, event) -> None:
    unit = drive()
    unit.give(ROAD_EVENT, event(1), 0)
    assert unit.give(ROAD_EVENT, event(1, code=None), 50) == []
    assert unit.run(1_000) == []


@pytest.mark.parametrize(
    "bad",
    [{"severity": 8}, {"confidence": 1.5}, {"radius": 7000.0}, {"code": 65_536}],
    ids=str,
)
def test_of_many_events_only_the_bad_one_is_withheld(
    drive, event, content, bad: dict[str, Any]
) -> None:
    unit = drive()
    for number in range(1, 11):
        unit.give(ROAD_EVENT, event(number, **(bad if number == 7 else {})), 0)
    assert unit.run(101)
    last = [frame for ms, frame in unit.said if ms == max(unit.times("RSI"))]
    assert sorted(codes(last, content)) == [100 + n for n in range(1, 11) if n != 7]
    withheld = {key for key in unit.reasons if key[1] not in {"events", "rate_bound"}}
    assert withheld == {("event:7", "no_code" if "code" in bad else "out_of_range")}


@pytest.mark.parametrize("bad", [{"severity": 8}, {"radius": 5000.0}, {"radius": 1e308}], ids=str)
def test_of_many_events_only_the_bad_one_is_withheld_from_tim(
    drive, event, content, bad: dict[str, Any]
) -> None:
    unit = drive(sae={})
    for number in range(1, 7):
        changes = bad if number == 3 else {}
        unit.give(ROAD_EVENT, event(number, code=None, itis=600 + number, **changes), 0)
    unit.run(1_001)
    last = max(unit.times("TIM"))
    told = [
        one["content"]["advisory"][0]["item"]["itis"]
        for ms, frame in unit.said
        if ms == last
        for one in content(frame)["dataFrames"]
    ]
    assert sorted(told) == [601, 602, 604, 605, 606]
    assert unit.reasons["event:3", "out_of_range"] >= 1


def test_of_too_many_events_the_oldest_word_goes(drive, event, content) -> None:
    unit = drive()
    for number in range(1, EVENTS_MAX + 2):
        # The second was seen to hold before all others.
        unit.give(ROAD_EVENT, event(number, ms=-500 if number == 2 else -number), 0)
    assert unit.reasons["event:2", "too_many_events"] == 1
    unit.run(301)
    last = max(unit.times("RSI"))
    frames = [frame for ms, frame in unit.said if ms == last]
    assert len(frames) == 16
    told = codes(frames, content)
    assert sorted(told) == [100 + n for n in range(1, EVENTS_MAX + 2) if n != 2]


# ── several messages ──────────────────────────────────────────────────────────────────────────────


def test_more_events_than_a_message_holds_make_more_the_urgent_first(drive, event, content) -> None:
    unit = drive()
    for number in range(1, 20):
        unit.give(ROAD_EVENT, event(number, severity=number % 8), 0)
    unit.run(101)
    last = max(unit.times("RSI"))
    frames = [frame for ms, frame in unit.said if ms == last]
    assert [len(content(frame)["rtes"]) for frame in frames] == [8, 8, 3]
    # Upper three bits are the severity.
    urgency = [int(one["priority"], 16) >> 5 for f in frames for one in content(f)["rtes"]]
    assert urgency == sorted(urgency, reverse=True)
    assert sorted(codes(frames, content)) == [100 + n for n in range(1, 20)]


def test_more_signs_than_a_message_holds_make_more(drive, content) -> None:
    signs = tuple(sign(f"s{n}", code=n, itis=n) for n in range(1, 41))
    unit = drive(signs=signs, sae={})
    unit.run(100)
    rsi, tim = unit.frames("RSI"), unit.frames("TIM")
    assert [len(content(frame)["rtss"]) for frame in rsi] == [16, 16, 8]
    assert sign_codes(rsi, content) == list(range(1, 41))
    assert all(len(content(frame)["dataFrames"]) <= 8 for frame in tim)
    told = [
        one["content"]["genericSign"][0]["item"]["itis"]
        for frame in tim
        for one in content(frame)["dataFrames"]
    ]
    assert sorted(told) == list(range(1, 41))


def test_events_and_signs_share_the_eight_places_of_a_tim(drive, event, content) -> None:
    unit = drive(signs=tuple(sign(f"s{n}", code=None, itis=n) for n in range(1, 7)), sae={})
    for number in range(1, 6):
        unit.give(ROAD_EVENT, event(number, code=None, itis=600 + number), 0)
    unit.run(1_001)
    last = max(unit.times("TIM"))
    items = [
        next(iter(one["content"].values()))[0]["item"]["itis"]
        for ms, frame in unit.said
        if ms == last
        for one in content(frame)["dataFrames"]
    ]
    assert sorted(items) == [*range(1, 7), *range(601, 606)]


def test_what_does_not_fit_into_a_packet_is_halved_until_it_does(drive, event, content) -> None:
    unit = drive(packet_octets=1000, security_octets=100)
    for number in range(1, 9):
        unit.give(ROAD_EVENT, event(number, description=f"{number:03d}" + 297 * "x"), 0)
    unit.run(101)
    last = max(unit.times("RSI"))
    frames = [frame for ms, frame in unit.said if ms == last]
    assert sorted(codes(frames, content)) == [101 + n for n in range(8)]
    assert len(frames) == 4, "two of 300 characters to a message"
    assert all(len(frame.network) <= 900 for frame in frames)
    assert not [reason for _, reason in unit.reasons if reason == "too_large"]


def test_an_event_too_large_alone_does_not_silence_the_others(drive, event, content) -> None:
    unit = drive(packet_octets=300, security_octets=0)
    for number in range(1, 4):
        unit.give(ROAD_EVENT, event(number, description=400 * "x" if number == 2 else ""), 0)
    unit.run(101)
    last = max(unit.times("RSI"))
    frames = [frame for ms, frame in unit.said if ms == last]
    assert sorted(codes(frames, content)) == [101, 103]
    assert unit.reasons["message:RSI", "too_large"] >= 1


def test_all_messages_of_a_name_are_counted_together(drive, event, content) -> None:
    unit = drive(signs=(sign(),))
    unit.give(ROAD_EVENT, event(1), 20)
    unit.give(ROAD_EVENT, event(2, origin=EventOrigin.POLICE), 20)
    unit.run(4_000)
    frames = unit.frames("RSI")
    assert {frame.aid for frame in frames} == {3620, 3621, 3622}
    counts = [content(frame)["msgCnt"] for frame in frames]
    assert len(counts) > 40
    assert all(after == (before + 1) % 128 for before, after in itertools.pairwise(counts))


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────


def test_numbers_of_events_are_distinct_between_classes_and_stay(drive, event, content) -> None:
    unit = drive()
    # Both wish for number 5.
    unit.give(ROAD_EVENT, event(5), 0)
    unit.give(ROAD_EVENT, event(5 + 256, origin=EventOrigin.INTERNET), 0)
    for ms in range(500, 3_000, 500):
        unit.give(ROAD_EVENT, event(5, ms=ms, severity=ms // 500), ms)
    numbers: dict[int, set[int]] = {}
    for frame in unit.frames("RSI"):
        for one in content(frame)["rtes"]:
            numbers.setdefault(one["eventType"], set()).add(one["rteId"])
    assert numbers == {105: {5}, 361: {6}}


def test_evidence_of_a_frame_is_its_oldest_and_its_tracks(drive, event, start_ns: int) -> None:
    unit = drive()
    unit.give(ROAD_EVENT, event(1, ms=-800, tracks=(31, 4)), 0)
    unit.give(ROAD_EVENT, event(2, ms=-200, tracks=(4, 9)), 60)
    frame, header = unit.said[-1][1], unit.headers[-1]
    assert frame.subjects == (4, 9, 31)
    assert frame.time_ns == start_ns - 200 * NS_PER_MS
    assert header.capture_ns == start_ns - 800 * NS_PER_MS


# ── time and words ────────────────────────────────────────────────────────────────────────────────


def test_a_sign_with_times_is_told_within_them(drive, content, start_ns: int) -> None:
    timed = sign("works", code=38, start_ns=start_ns + 2 * NS_PER_S, end_ns=start_ns + 4 * NS_PER_S)
    unit = drive(signs=(timed, sign()))
    unit.run(7_000)
    told = {ms: sign_codes([frame], content) for ms, frame in unit.said}
    assert told == {
        0: [85], 1_000: [85], 2_000: [38, 85], 3_000: [38, 85], 4_000: [38, 85], 5_000: [85],
        6_000: [85],
    }  # fmt: skip


def test_without_a_trusted_clock_no_time_is_claimed(drive, event, content, start_ns: int) -> None:
    timed = sign("works", code=38, itis=38, start_ns=start_ns - NS_PER_S)
    unit = drive(trust_clock=False, signs=(timed, sign(itis=85)), sae={})
    unit.give(ROAD_EVENT, event(end_ns=start_ns + 600 * NS_PER_S), 50)
    unit.run(1_001)
    frames = unit.frames("RSI")
    assert set(sign_codes(frames, content)) == {85}
    assert set(codes(frames, content)) == {101}
    for frame in frames:
        assert "moy" not in content(frame)
        assert not any("timeDetails" in one for one in content(frame).get("rtes", ()))
    for frame in unit.frames("TIM"):
        assert "timeStamp" not in content(frame)
        assert {one["startTime"] for one in content(frame)["dataFrames"]} == {527_040}
        assert not any("startYear" in one for one in content(frame)["dataFrames"])

    health = UnitHealth(time_ns=0, clock=ClockQuality.LOCKED, capability=Capability.FULL)
    unit.give(UNIT_HEALTH, health, 1_050)
    frames = unit.run(2_001)
    # 2025-06-15T15:06: 165 days, 15 h, 6 min.
    minute = (165 * 24 + 15) * 60 + 6
    dynamic = next(frame for frame in frames if frame.aid == 3622)
    assert content(dynamic)["moy"] == minute
    assert content(dynamic)["rtes"][0]["timeDetails"] == {
        "startTime": minute,
        "endTime": minute + 10,
    }
    static = [frame for frame in frames if frame.aid == 3620]
    assert set(sign_codes(static, content)) == {38, 85}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("前方施工", {"textGB2312": "前方施工".encode("gb2312").hex()}),
        ("lane closed", {"textString": "lane closed"}),
        ("施工 €", {"textGB2312": ("施工 ".encode("gb2312") + b"?").hex()}),
    ],
)
def test_words_are_told_in_the_letters_of_the_set(
    drive, event, content, pycrate_decode, words: str, said: dict[str, str]
) -> None:
    (frame,) = drive(signs=()).give(ROAD_EVENT, event(description=words), 0)
    assert content(frame)["rtes"][0]["description"] == said
    assert pycrate_decode(frame.payload) == frame.value


def test_rsm_tells_each_event_alone_with_its_own_update(drive, event, content) -> None:
    options, changes, *_ = CLASSES["RSM"]
    unit = drive(**options, signs=(sign(itis=5),))
    unit.give(ROAD_EVENT, event(1, **changes), 0)
    unit.give(ROAD_EVENT, event(2, **changes), 0)
    unit.give(ROAD_EVENT, event(2, ms=1_000, radius=8.0, **changes), 1_000)
    unit.run(2_001)
    updates: dict[str, list[int]] = {}
    for frame in unit.frames("RSM"):
        info = content(frame)["commonContainer"]["eventInfo"]
        assert info["eventCancellation"] is False
        updates.setdefault(info["eventID"]["uniqueID"], []).append(info["eventUpdate"])
    assert set(updates) == {"00000001", "00000002"}
    assert set(updates["00000001"]) == {0}
    assert sorted(set(updates["00000002"])) == [0, 1]
    assert updates["00000002"] == sorted(updates["00000002"])
