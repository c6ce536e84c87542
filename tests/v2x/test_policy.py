"""Rates, rooms, degraded modes and silent controllers, through the stage in both worlds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from rsu.config.v2x_sae import SaeOptions
from rsu.schema.health import Capability, ClockQuality, UnitHealth
from rsu.schema.situation import LightState, SignalGroup, SignalState
from rsu.schema.topics import SIGNAL_STATE, TRACKS, UNIT_HEALTH
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_MS, Vec2
from rsu.v2x.network.unwrap import unwrap

Drive = Callable[..., Any]


def signals(
    start_ns: int, ms: int, *, controller: str = "cabinet", place: int = 7, age_ms: int = 0
) -> SignalState:
    return SignalState(
        controller=controller, intersection=place, capture_ns=start_ns + (ms - age_ms) * NS_PER_MS,
        groups=(SignalGroup(group=1, light=LightState.RED),),
    )  # fmt: skip


def looks(drive: Any, tracks: list[Track], start_ns: int, ms: int) -> list[Any]:
    moment = start_ns + ms * NS_PER_MS
    seen = tuple(_updated(track, moment) for track in tracks)
    return list(drive.give(TRACKS, TrackList(time_ns=moment, tracks=seen), ms))


def _updated(track: Track, moment: int) -> Track:
    return msgspec.structs.replace(track, updated_ns=moment)


@pytest.fixture
def crowd(track: Callable[..., Track]) -> Callable[[int], list[Track]]:
    """Cars on a grid around the unit."""

    def make(count: int) -> list[Track]:
        return [
            track(i + 1, position=Vec2(6.0 * (i % 16) - 48.0, 6.0 * (i // 16) - 48.0))
            for i in range(count)
        ]

    return make


# ── rate ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("period_ms", [40, 80, 100, 130])
def test_the_rate_of_road_users_is_bounded_and_reached(
    drive: Drive, crowd: Callable[[int], list[Track]], start_ns: int, period_ms: int
) -> None:
    unit, tracks = drive(), crowd(3)
    for ms in range(100, 10_100, period_ms):
        looks(unit, tracks, start_ns, ms)
    times = unit.times("RSM")
    for begin in range(0, 9_000, 100):
        assert sum(begin <= ms < begin + 1000 for ms in times) <= 12
    possible = min(10.0, 1000.0 / period_ms)
    assert len(times) / 10.0 == pytest.approx(possible, abs=0.4)


# ── room ──────────────────────────────────────────────────────────────────────────────────────────


def both_worlds(max_frames: int = 64) -> dict[str, Any]:
    return {
        "csae": {
            "profile": "csae157_2020", "rsm": {"max_frames": max_frames},
            "ssm": {"enabled": True, "aid": 3626, "max_frames": max_frames},
        },
        "sae": SaeOptions(sdsm={"max_frames": max_frames}, psm={"enabled": False}),
    }  # fmt: skip


@pytest.mark.parametrize("count", [1, 15, 16, 60, 255])
def test_messages_are_split_so_that_each_fits_a_packet_and_nobody_is_lost(
    drive: Drive, crowd: Callable[[int], list[Track]], start_ns: int, count: int
) -> None:
    worlds = both_worlds()
    worlds["csae"].pop("rsm")
    unit = drive(rsm={"max_frames": 64}, **worlds)
    frames = looks(unit, crowd(count), start_ns, 1000)
    by_message: dict[str, Counter[int]] = {}
    for frame in frames:
        # Nothing but the signer's room is left of the packet (1400 − 240).
        assert len(frame.network) <= 1160
        assert unwrap(frame.network).payloads == (frame.payload,)
        by_message.setdefault(frame.message, Counter()).update(frame.subjects)
    everybody = Counter(range(1, count + 1))
    assert by_message == {"RSM": everybody, "SSM": everybody, "SDSM": everybody}
    if count == 255:
        assert Counter(frame.message for frame in frames)["RSM"] == math.ceil(255 / 15)


def test_whoever_finds_no_place_takes_turns_and_is_counted(
    drive: Drive, crowd: Callable[[int], list[Track]], start_ns: int
) -> None:
    unit, tracks = drive(rsm={"max_frames": 2}), crowd(60)
    cycles: list[set[int]] = []
    for cycle in range(30):
        frames = looks(unit, tracks, start_ns, 1000 + 100 * cycle)
        assert len(frames) == 2
        cycles.append({track for frame in frames for track in frame.subjects})
        assert len(cycles[-1]) == 30
    # 60 road users, 30 places, of which 6 take turns: at most ⌈36 / 6⌉ + 1 cycles of silence.
    for name in range(1, 61):
        said = [i for i, cycle in enumerate(cycles) if name in cycle]
        assert max(b - a for a, b in pairwise([-1, *said, 30])) <= 8
    unit.run(6000)
    assert sum(n for (_, why), n in unit.reasons.items() if why == "no_place") == 30 * 30


def test_a_smaller_packet_makes_more_messages(
    drive: Drive, crowd: Callable[[int], list[Track]], start_ns: int
) -> None:
    unit = drive(packet_octets=300, security_octets=100)
    frames = looks(unit, crowd(15), start_ns, 1000)
    assert len(frames) > 1
    assert all(len(frame.network) <= 200 for frame in frames)
    assert Counter(t for frame in frames for t in frame.subjects) == Counter(range(1, 16))


# ── the unit's state ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("capability", list(Capability))
def test_what_is_said_in_each_degraded_mode(
    drive: Drive, crowd: Callable[[int], list[Track]], start_ns: int, capability: Capability
) -> None:
    unit = drive(**both_worlds())
    health = UnitHealth(time_ns=start_ns, clock=ClockQuality.LOCKED, capability=capability)
    unit.give(UNIT_HEALTH, health, 900)
    looks(unit, crowd(3), start_ns, 1000)
    unit.give(SIGNAL_STATE, signals(start_ns, 1000), 1000)
    unit.run(1500)
    about_road = {"RSM", "SSM", "SDSM"} & {frame.message for _, frame in unit.said}
    blind = capability in (Capability.SIGNALS_ONLY, Capability.BLIND)
    assert about_road == (set() if blind else {"RSM", "SSM", "SDSM"})
    # Lights are known from the cabinet, whatever the cameras see.
    assert {frame.profile for frame in unit.frames("SPAT")} == {"csae157_2020", "j2735_2024"}
    degraded = {subject for subject, why in unit.reasons if why == "degraded"}
    assert degraded == ({"message:RSM", "message:SSM", "message:sae/SDSM"} if blind else set())


# ── signal controllers ────────────────────────────────────────────────────────────────────────────


def test_a_silent_controller_stops_its_spat_and_the_reason_is_told_each_second(
    drive: Drive, start_ns: int
) -> None:
    unit = drive(sae=SaeOptions())
    for ms in range(1000, 3001, 100):
        unit.give(SIGNAL_STATE, signals(start_ns, ms), ms)
    unit.run(8000)
    last = max(unit.times("SPAT"))
    assert 3000 <= last <= 3300
    for prefix in ("", "sae/"):
        told = unit.reasons[f"message:{prefix}SPAT", "controller_silent"]
        assert 4 <= told <= 5
    # It comes back, and so does its SPAT, at once.
    assert len(unit.give(SIGNAL_STATE, signals(start_ns, 8000), 8000)) == 2


def test_a_controller_that_never_spoke_is_not_waited_for(drive: Drive) -> None:
    unit = drive()
    unit.run(5000)
    assert unit.frames("SPAT") == []
    assert not any(why == "controller_silent" for _, why in unit.reasons)


@pytest.mark.parametrize(("period_ms", "rate"), [(40, 10.0), (100, 10.0), (250, 10.0)])
def test_spat_is_said_at_ten_hertz_whatever_the_controller_does(
    drive: Drive, start_ns: int, period_ms: int, rate: float
) -> None:
    unit = drive()
    for ms in range(1000, 11_000, period_ms):
        unit.give(SIGNAL_STATE, signals(start_ns, ms), ms)
    assert len(unit.times("SPAT")) / 10.0 == pytest.approx(rate, rel=0.15)
    ages = [
        (ms * NS_PER_MS + start_ns - frame.time_ns) / 1e6
        for ms, frame in unit.said
        if frame.message == "SPAT"
    ]
    assert max(ages) <= 300


def test_two_intersections_have_rates_of_their_own(drive: Drive, start_ns: int) -> None:
    unit = drive()
    for ms in range(1000, 5000, 100):
        for place in (7, 8):
            state = signals(start_ns, ms, controller=f"cabinet-{place}", place=place)
            unit.give(SIGNAL_STATE, state, ms)
    seen = Counter(
        frame.value["spatFrame"]["intersections"][0]["intersectionId"]["id"]
        for frame in unit.frames("SPAT")
    )
    assert set(seen) == {7, 8}
    assert all(38 <= count <= 42 for count in seen.values())


def test_an_older_word_does_not_undo_a_newer_one(drive: Drive, start_ns: int) -> None:
    unit = drive()
    unit.give(SIGNAL_STATE, signals(start_ns, 1000), 1000)
    assert unit.give(SIGNAL_STATE, signals(start_ns, 1050, age_ms=200), 1050) == []
    unit.run(3000)
    assert unit.reasons["signal:cabinet", "superseded"] == 1


@pytest.mark.parametrize(("age_ms", "reason"), [(301, "evidence_stale"),
                                                 (-301, "evidence_from_future")])  # fmt: skip
def test_a_controller_whose_clock_is_wrong_is_not_believed(
    drive: Drive, start_ns: int, age_ms: int, reason: str
) -> None:
    unit = drive()
    assert unit.give(SIGNAL_STATE, signals(start_ns, 1000, age_ms=age_ms), 1000) == []
    unit.run(2000)
    assert unit.reasons["message:SPAT", reason] >= 1
    # Set right, it is heard again, though its time has gone back.
    assert len(unit.give(SIGNAL_STATE, signals(start_ns, 2000), 2000)) == 1


# ── counts ────────────────────────────────────────────────────────────────────────────────────────


def test_message_counts_run_on_without_gaps_and_wrap(
    drive: Drive, crowd: Callable[[int], list[Track]], start_ns: int, content: Callable[..., Any]
) -> None:
    unit, tracks = drive(**both_worlds()), crowd(2)
    for cycle in range(150):
        # Every third look is of walkers that fusion doubts: withheld, and no count is lost by it.
        looks(unit, tracks if cycle % 3 else [], start_ns, 1000 + 100 * cycle)
    for message in ("RSM", "SSM", "SDSM"):
        frames = unit.frames(message)
        counts = [content(frame)["msgCnt"] for frame in frames]
        assert len(counts) > 90
        assert all(b == (a + 1) % 128 for a, b in pairwise(counts))
