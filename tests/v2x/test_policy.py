"""Rates, rooms, degraded modes and silent controllers, through the stage in both worlds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.v2x_messages import MessageOptions
from rsu.config.v2x_sae import SaeOptions
from rsu.schema.health import Capability, ClockQuality, UnitHealth
from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.topics import SIGNAL_STATE, TRACKS, UNIT_HEALTH
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant, Vec2
from rsu.v2x.network.unwrap import unwrap
from rsu.v2x.policy import HEALTH_WORD_NS, KEYS_MAX, Gate, UnitState
from rsu.v2x.rate_bound import RateBound

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


@settings(deadline=None, max_examples=100)
@given(
    rate_hz=st.floats(0.1, 10.0),
    gaps_ms=st.lists(st.one_of(st.integers(0, 5), st.integers(30, 140), st.integers(0, 30_000)),
                     max_size=150),
)  # fmt: skip
def test_no_time_holds_more_than_its_share_and_two(rate_hz: float, gaps_ms: list[int]) -> None:
    bound, ms, said = RateBound(rate_hz, 0), 0, []
    for gap in gaps_ms:
        ms += gap
        if bound.allows(ms * NS_PER_MS):
            said.append(ms)
    for first, begin in enumerate(said):
        for last in range(first, len(said)):
            assert last - first + 1 <= (said[last] - begin) / 1e3 * rate_hz + 2 + 1e-6


@settings(deadline=None, max_examples=60)
@given(
    rate_hz=st.sampled_from([1.0, 2.0, 10.0]),
    gaps_ms=st.lists(st.integers(1, 100), min_size=100, max_size=300),
)
def test_a_stream_that_is_fast_enough_is_said_at_the_full_rate(
    rate_hz: float, gaps_ms: list[int]
) -> None:
    bound, ms, said = RateBound(rate_hz, 0), 0, 0
    for gap in gaps_ms:
        ms += gap
        said += bound.allows(ms * NS_PER_MS)
    # However the stream jitters below the period: no more is lost than begun periods.
    assert said >= math.floor(ms / 1e3 * rate_hz * 0.999) - 1


def test_a_clock_that_runs_back_gives_no_credit() -> None:
    bound = RateBound(1.0, 10 * NS_PER_S)
    assert [bound.allows(10 * NS_PER_S) for _ in range(3)] == [True, True, False]
    assert not bound.allows(0)
    assert not bound.allows(10 * NS_PER_S + NS_PER_S // 2)
    assert bound.allows(11 * NS_PER_S)


def gate(start_ns: int, **options: Any) -> Gate:
    boot = Instant(start_ns, 0)
    message = MessageOptions(**{"aid": 1, "priority": 1, "rate_hz": 1.0, **options})
    return Gate(message, UnitState(boot, trust_clock=True), boot)


def test_each_key_has_a_rate_and_memory_is_bounded(start_ns: int) -> None:
    one = gate(start_ns)
    now = Instant(start_ns, 0)
    for key in range(KEYS_MAX):
        assert one.rate_refusal(now, key) is None
        assert one.rate_refusal(now, key) is None
        assert one.rate_refusal(now, key) is not None
    refusal = one.rate_refusal(now, "one more")
    assert refusal is not None
    assert refusal.reason == "rate_bound"
    # Two periods later nobody's rate needs remembering, and nobody gets more than his credit.
    later = Instant(start_ns + 2 * NS_PER_S, 2 * NS_PER_S)
    assert [one.rate_refusal(later, "one more") is None for _ in range(3)] == [True, True, False]
    assert [one.rate_refusal(later, 0) is None for _ in range(3)] == [True, True, False]


def test_memory_that_runs_out_forgets_nobody_who_still_owes(start_ns: int) -> None:
    one = gate(start_ns)
    now = Instant(start_ns, 0)
    for key in range(KEYS_MAX):
        one.rate_refusal(now, key)
    soon = Instant(start_ns + NS_PER_S // 2, NS_PER_S // 2)
    assert one.rate_refusal(soon, "one more") is not None
    assert [one.rate_refusal(soon, 0) is None for _ in range(2)] == [True, False]


# ── age ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("limit_s", [0.1, 0.5, 5.0])
@pytest.mark.parametrize(
    ("over_ns", "late", "early"),
    [(0, None, None), (1, "evidence_stale", "evidence_from_future")],
)
def test_evidence_may_be_as_old_or_as_early_as_the_limit(
    start_ns: int, limit_s: float, over_ns: int, late: str | None, early: str | None
) -> None:
    one, now = gate(start_ns, max_evidence_age_s=limit_s), Instant(start_ns, 0)
    age_ns = round(limit_s * NS_PER_S) + over_ns
    for evidence_ns, reason in ((start_ns - age_ns, late), (start_ns + age_ns, early)):
        refusal = one.age_refusal(evidence_ns, now)
        assert (refusal and refusal.reason) == reason


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


ALL_MESSAGES = {
    "rsm": "message:RSM", "ssm": "message:SSM", "spat": "message:SPAT",
    "sdsm": "message:sae/SDSM", "psm": "message:sae/PSM", "sae_spat": "message:sae/SPAT",
}  # fmt: skip


@pytest.mark.parametrize("capability", list(Capability))
@pytest.mark.parametrize("name", ALL_MESSAGES)
def test_any_message_may_be_withheld_in_any_mode(
    drive: Drive, track: Callable[..., Track], start_ns: int, name: str, capability: Capability
) -> None:
    def options(message: str, **others: Any) -> dict[str, Any]:
        modes = (capability,) if message == name else ()
        return {"enabled": True, "withhold_when": modes, **others}

    unit = drive(
        csae={"profile": "csae157_2020", "rsm": options("rsm"), "spat": options("spat"),
              "ssm": options("ssm", aid=3626)},
        sae=SaeOptions(sdsm=options("sdsm"), psm=options("psm"), spat=options("sae_spat")),
    )  # fmt: skip
    person = track(1, object_class=ObjectClass.PEDESTRIAN)
    health = UnitHealth(time_ns=start_ns, clock=ClockQuality.LOCKED, capability=capability)
    unit.give(UNIT_HEALTH, health, 0)
    frames = looks(unit, [person], start_ns, 50)
    frames += unit.give(SIGNAL_STATE, signals(start_ns, 50), 50)
    assert len(frames) == len(ALL_MESSAGES) - 1
    assert {key for key, why in unit.reasons if why == "degraded"} == {ALL_MESSAGES[name]}
    (told,) = [decision for decision in unit.decisions if decision.reason == "degraded"]
    assert capability.value in told.detail


def test_a_mode_holds_as_long_as_the_word_about_it(
    drive: Drive, crowd: Callable[[int], list[Track]], start_ns: int
) -> None:
    unit = drive()  # trusts its clock, so an old word alone withholds nothing
    health = UnitHealth(time_ns=0, clock=ClockQuality.LOCKED, capability=Capability.BLIND)
    unit.give(UNIT_HEALTH, health, 0)
    last_ms = HEALTH_WORD_NS // NS_PER_MS
    assert looks(unit, crowd(1), start_ns, last_ms) == []
    assert len(looks(unit, crowd(1), start_ns, last_ms + 1)) == 1


# ── the clock ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("clock", [None, *ClockQuality])
@pytest.mark.parametrize("trust_clock", [False, True])
def test_time_is_claimed_by_a_disciplined_clock_or_on_the_operators_word(
    drive: Drive, crowd: Callable[[int], list[Track]], start_ns: int,
    clock: ClockQuality | None, trust_clock: bool,
) -> None:  # fmt: skip
    unit = drive(**both_worlds(), trust_clock=trust_clock)
    if clock is not None:
        health = UnitHealth(time_ns=0, clock=clock, capability=Capability.FULL)
        unit.give(UNIT_HEALTH, health, 0)
    looks(unit, crowd(2), start_ns, 50)
    unit.give(SIGNAL_STATE, signals(start_ns, 50), 50)
    good = trust_clock or clock in (ClockQuality.LOCKED, ClockQuality.HOLDOVER)
    said = Counter(frame.message for _, frame in unit.said)
    assert said == ({"RSM": 1, "SSM": 1, "SDSM": 1, "SPAT": 2} if good else {})
    silent = {key for key, why in unit.reasons if why == "clock_unsynchronised"}
    everybody = {"message:RSM", "message:SSM", "message:SPAT", "message:sae/SDSM",
                 "message:sae/SPAT"}  # fmt: skip
    assert silent == (set() if good else everybody)


def test_a_word_about_the_clock_holds_five_seconds(
    drive: Drive, crowd: Callable[[int], list[Track]], start_ns: int
) -> None:
    unit = drive(trust_clock=False)
    health = UnitHealth(time_ns=0, clock=ClockQuality.LOCKED, capability=Capability.FULL)
    unit.give(UNIT_HEALTH, health, 100)
    last_ms = 100 + HEALTH_WORD_NS // NS_PER_MS
    assert len(looks(unit, crowd(1), start_ns, last_ms)) == 1
    assert looks(unit, crowd(1), start_ns, last_ms + 1) == []
    assert unit.reasons["message:RSM", "clock_unsynchronised"] == 1
    assert "too old" in unit.decisions[-1].detail
    unit.give(UNIT_HEALTH, health, last_ms + 50)
    assert len(looks(unit, crowd(1), start_ns, last_ms + 100)) == 1


def test_what_is_withheld_for_the_clock_spends_no_rate(
    drive: Drive, crowd: Callable[[int], list[Track]], start_ns: int
) -> None:
    unit = drive(trust_clock=False, rsm={"rate_hz": 0.5})
    for ms in range(0, 3_000, 100):
        assert looks(unit, crowd(1), start_ns, ms) == []
    health = UnitHealth(time_ns=0, clock=ClockQuality.LOCKED, capability=Capability.FULL)
    unit.give(UNIT_HEALTH, health, 3_000)
    assert len(looks(unit, crowd(1), start_ns, 3_000)) == 1
    assert len(looks(unit, crowd(1), start_ns, 3_100)) == 1


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
