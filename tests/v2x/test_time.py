"""DSecond and MinuteOfTheYear at the minute wrap, the year's end and a leap second, alone and on
the air."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.v2x_sae import SaeOptions
from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.message import Message
from rsu.schema.priority import RequestState, SignalAnswer, SignalPriority, SignalRequest
from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.topics import (
    CORRECTIONS,
    ROAD_EVENT,
    SIGNAL_PRIORITY,
    SIGNAL_STATE,
    TRACKS,
    V2X_TX,
)
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_S, Instant, Vec2
from rsu.schema.v2x import Corrections, V2xFrame
from rsu.v2x.stage import V2xStage
from rsu.v2x.time import dsecond, minute_of_year

MS = 1_000_000


def utc(*fields: int) -> int:
    """UTC ns of year, month, day, hour, minute, second."""
    return int(datetime(*fields, tzinfo=UTC).timestamp()) * NS_PER_S


def test_dsecond_counts_milliseconds_and_wraps_at_the_minute() -> None:
    minute = utc(2025, 6, 15, 15, 6)
    assert dsecond(minute) == 0
    assert dsecond(minute + 40 * NS_PER_S + 123 * MS) == 40_123
    assert dsecond(minute - 1) == 59_999
    assert dsecond(minute + 60 * NS_PER_S - 1) == 59_999
    assert dsecond(minute + 60 * NS_PER_S) == 0


def test_dsecond_is_cut_off_and_not_rounded() -> None:
    minute = utc(2025, 6, 15, 15, 6)
    assert dsecond(minute + 999_999) == 0
    assert dsecond(minute + MS) == 1


@pytest.mark.parametrize(
    ("moment", "minute"),
    [
        ((2025, 1, 1, 0, 0, 0), 0),
        ((2025, 1, 1, 0, 0, 59), 0),
        ((2025, 1, 1, 0, 1, 0), 1),
        ((2025, 12, 31, 23, 59, 59), 525_599),  # 365 days
        ((2024, 12, 31, 23, 59, 59), 527_039),  # 366 days
        ((2024, 2, 29, 12, 0, 0), (31 + 28) * 1440 + 720),
        ((2025, 3, 1, 0, 0, 0), 59 * 1440),
        ((2024, 3, 1, 0, 0, 0), 60 * 1440),
        ((2100, 3, 1, 0, 0, 0), 59 * 1440),  # 2100 is no leap year
    ],
)
def test_minute_of_the_year(moment: tuple[int, ...], minute: int) -> None:
    assert minute_of_year(utc(*moment)) == minute


def test_last_nanosecond_of_a_year_belongs_to_it() -> None:
    new_year = utc(2025, 1, 1, 0, 0, 0)
    assert (minute_of_year(new_year - 1), dsecond(new_year - 1)) == (527_039, 59_999)
    assert (minute_of_year(new_year), dsecond(new_year)) == (0, 0)


def test_second_repeated_for_a_leap_second_is_stated_twice_and_never_as_sixty() -> None:
    # 2016-12-31T23:59:60Z: Unix time counts 1483228799 twice and then goes on.
    before = 1_483_228_799 * NS_PER_S
    assert dsecond(before + 500 * MS) == 59_500
    assert dsecond(before + NS_PER_S) == 0
    assert minute_of_year(before) == 527_039
    assert minute_of_year(before + NS_PER_S) == 0


@settings(deadline=None)
@given(st.integers(0, 4_102_444_800 * NS_PER_S))
def test_both_follow_the_calendar_at_any_moment(moment_ns: int) -> None:
    calendar = datetime.fromtimestamp(moment_ns // NS_PER_S, UTC)
    milliseconds = moment_ns // MS % 1000
    assert dsecond(moment_ns) == calendar.second * 1000 + milliseconds
    day = calendar.timetuple().tm_yday - 1
    assert minute_of_year(moment_ns) == day * 1440 + calendar.hour * 60 + calendar.minute


# ── on the air ────────────────────────────────────────────────────────────────────────────────────

MESSAGES = {
    ("csae157_2020", "RSM"), ("csae157_2020", "SSM"), ("csae157_2020", "SPAT"),
    ("csae157_2020", "RSI"), ("csae157_2020", "RTCM"), ("j2735_2024", "SDSM"),
    ("j2735_2024", "PSM"), ("j2735_2024", "SPAT"), ("j2735_2024", "TIM"), ("j2735_2024", "SSM"),
    ("j2735_2024", "RSM"), ("j2735_2024", "RTCM"),
}  # fmt: skip


def stated(frame: V2xFrame, content: Callable[[V2xFrame], dict[str, Any]]) -> dict[str, list[Any]]:
    """What a frame says of its own moment: `ms` within the minute, `minute` of the year, `date`."""
    value = content(frame)
    said: dict[str, list[Any]] = {"ms": [], "minute": [], "date": []}
    match frame.profile, frame.message:
        case "csae157_2020", "RSM":
            said["ms"] = [one["secMark"] for one in value["participants"]]
        case "csae157_2020", "SSM":
            said["ms"] = [value["secMark"], *(p["ptc"]["secMark"] for p in value["participants"])]
        case _, "SPAT":
            levels = [value, *value["intersections"]] if "moy" in value else value["intersections"]
            said["ms"] = [one["timeStamp"] for one in levels]
            said["minute"] = [one["moy"] for one in levels]
        case "csae157_2020", "RSI":
            said["minute"] = [value["moy"]]
        case "j2735_2024", "SDSM":
            date = value["sDSMTimeStamp"]
            said["ms"] = [date["second"]]
            said["date"] = [tuple(date[k] for k in ("year", "month", "day", "hour", "minute"))]
        case "j2735_2024", "PSM":
            said["ms"] = [value["secMark"]]
        case "j2735_2024", "TIM":
            said["minute"] = [value["timeStamp"]]
        case "j2735_2024", "SSM":
            said["ms"], said["minute"] = [value["second"]], [value["timeStamp"]]
        case "j2735_2024", "RTCM":
            said["minute"] = [value["timeStamp"]]
    return said


@pytest.fixture
def play(
    stage: Callable[..., V2xStage], track: Callable[..., Any]
) -> Callable[..., list[tuple[int, V2xFrame]]]:
    """All messages that state times, at these moments (UTC ns), 100 ms of true time apart."""

    def run(moments: Iterable[int]) -> list[tuple[int, V2xFrame]]:
        moments = list(moments)
        second = {"enabled": True, "max_frames": 4}
        unit = stage(
            boot=Instant(moments[0], 0),
            csae={"profile": "csae157_2020", "ssm": {"aid": 3626, **second},
                  "rtcm": {"enabled": True, "aid": 3627}},
            sae=SaeOptions(
                psm={"rate_hz": 10.0, **second}, tim={"rate_hz": 10.0}, ssm={"rate_hz": 10.0},
                rsm={"enabled": True, "aid": 0x3F0, "operator": "1.3.6.1", "rate_hz": 10.0},
            ),
        )  # fmt: skip
        frames = []
        for step, utc_ns in enumerate(moments):
            now = Instant(utc_ns, step * NS_PER_S // 10)
            person = track(
                1, updated_ns=utc_ns, born_ns=moments[0], object_class=ObjectClass.PEDESTRIAN
            )
            request = SignalRequest(
                vehicle=b"\1\2\3\4", request=1, sequence=1, time_ns=utc_ns, intersection=7,
                role="transit", inbound_lane_id=1,
            )  # fmt: skip
            facts: list[tuple[Any, Any]] = [
                (TRACKS, TrackList(time_ns=utc_ns, tracks=(person,))),
                (SIGNAL_STATE, SignalState(
                    controller="c", intersection=7, capture_ns=utc_ns,
                    groups=(SignalGroup(group=1, light=LightState.RED),))),
                (ROAD_EVENT, RoadEvent(
                    id=1, kind="stopped-vehicle", phase=EventPhase.UPDATE, code=904, itis=533,
                    position=Vec2(5.0, 5.0), radius=3.0, confidence=0.9,
                    start_ns=min(moments[0], utc_ns), time_ns=utc_ns, severity=step % 8)),
                (SIGNAL_PRIORITY, SignalPriority(
                    intersection=7, time_ns=utc_ns,
                    answers=(SignalAnswer(request=request, state=RequestState.GRANTED),))),
                (CORRECTIONS, Corrections(station="s", time_ns=utc_ns, messages=(b"\xd3" * 9,))),
            ]  # fmt: skip
            drafts = [
                draft
                for topic, payload in facts
                for draft in unit.handle(Message.draft(topic, "test", utc_ns, payload), now)
            ]
            frames += [(utc_ns, draft.payload) for draft in drafts if draft.topic == V2X_TX]
        return frames

    return run


@pytest.mark.parametrize(
    "boundary",
    [
        (2025, 6, 15, 15, 7, 0),  # a minute
        (2025, 1, 1, 0, 0, 0),  # after a leap year
        (2026, 1, 1, 0, 0, 0),
        (2024, 2, 29, 0, 0, 0),
        (2024, 3, 1, 0, 0, 0),
    ],
)
@pytest.mark.parametrize("offset_ns", [0, -1])
def test_every_message_states_the_calendars_moment_across_a_boundary(
    play: Any, content: Any, boundary: tuple[int, ...], offset_ns: int
) -> None:
    begin = utc(*boundary) - NS_PER_S + offset_ns
    frames = play(begin + step * NS_PER_S // 10 for step in range(20))
    assert {(frame.profile, frame.message) for _, frame in frames} == MESSAGES
    for utc_ns, frame in frames:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=utc_ns // MS)
        year = datetime(moment.year, 1, 1, tzinfo=UTC)
        said = stated(frame, content)
        if (frame.profile, frame.message) not in {("csae157_2020", "RTCM"), ("j2735_2024", "RSM")}:
            assert said["ms"] or said["minute"], frame.message
        assert set(said["ms"]) <= {moment.second * 1000 + moment.microsecond // 1000}
        assert set(said["minute"]) <= {(moment - year) // timedelta(minutes=1)}
        assert set(said["date"]) <= {
            (moment.year, moment.month, moment.day, moment.hour, moment.minute)
        }


LEAP = 1_483_228_800 * NS_PER_S
"""2017-01-01T00:00:00Z; the second before it was a leap second."""


def repeated() -> list[int]:
    """A host that counts 23:59:59 twice."""
    before = [LEAP - 3 * NS_PER_S + step * NS_PER_S // 10 for step in range(30)]
    return [*before, *(LEAP - NS_PER_S + step * NS_PER_S // 10 for step in range(30))]


def smeared() -> list[int]:
    """A host that runs 10 % slow for ten seconds, until the leap second is over."""
    begin = LEAP - 9 * NS_PER_S
    return [begin + step * NS_PER_S // 10 * 9 // 10 for step in range(100)] + [
        LEAP + step * NS_PER_S // 10 for step in range(20)
    ]


@pytest.mark.parametrize("host", [repeated, smeared])
def test_a_leap_second_is_never_stated_and_silences_nobody(
    play: Any, content: Any, host: Callable[[], list[int]]
) -> None:
    moments = host()
    frames = play(moments)
    minutes = {527_039, 0}  # 2016 was a leap year
    for utc_ns, frame in frames:
        said = stated(frame, content)
        assert all(0 <= ms < 60_000 for ms in said["ms"])
        assert set(said["minute"]) <= minutes
        for ms, minute in zip(said["ms"], said["minute"], strict=False):
            assert minute == (527_039 if ms > 30_000 else 0)
        assert set(said["ms"]) <= {utc_ns // MS % 60_000}
    for profile, message in MESSAGES - {("csae157_2020", "RTCM")}:
        count = sum((one.profile, one.message) == (profile, message) for _, one in frames)
        # A host that repeats a second makes all that is known of it look 1 s too young, once.
        assert count >= len(moments) - 12, message


def test_counts_wrap_and_go_on_over_the_year(play: Any, content: Any) -> None:
    frames = play(LEAP - 7 * NS_PER_S + step * NS_PER_S // 10 for step in range(140))
    # SPAT and RSM of SAE have no count of their own.
    for key in MESSAGES - {("j2735_2024", "SPAT"), ("j2735_2024", "RSM")}:
        name = "sequenceNumber" if key == ("j2735_2024", "SSM") else "msgCnt"
        counts = [
            content(frame)[name] for _, frame in frames if (frame.profile, frame.message) == key
        ]
        assert len(counts) > 128, key
        assert all(b == (a + 1) % 128 for a, b in pairwise(counts)), key
