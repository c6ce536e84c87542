"""SPAT of both worlds: when a controller's word is passed on, repeated, and no longer believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from rsu.config.v2x_sae import SaeOptions
from rsu.schema.health import Capability, ClockQuality, UnitHealth
from rsu.schema.message import Message
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.topics import DECISION, SIGNAL_STATE, UNIT_HEALTH, V2X_TX
from rsu.schema.units import NS_PER_MS, Instant
from rsu.v2x.stage import V2xStage
from rsu.v2x.voices.signals import CONTROLLERS_MAX, FORGET_NS

Drive = Callable[..., Any]

WORLDS = {"csae53_2020": "message:SPAT", "j2735_2024": "message:sae/SPAT"}


@pytest.fixture
def word(start_ns: int) -> Callable[..., SignalState]:
    """What a controller said at `ms`."""

    def make(
        ms: float, name: str = "cabinet", place: int = 7, light: LightState = LightState.RED,
        group: int = 1,
    ) -> SignalState:  # fmt: skip
        return SignalState(
            controller=name, intersection=place, capture_ns=start_ns + round(ms * NS_PER_MS),
            groups=(SignalGroup(group=group, light=light),),
        )  # fmt: skip

    return make


@pytest.fixture
def both(drive: Drive) -> Callable[..., Any]:
    return lambda **changes: drive(**{"sae": SaeOptions(), **changes})


def times(unit: Any, profile: str) -> list[int]:
    return [ms for ms, one in unit.said if (one.message, one.profile) == ("SPAT", profile)]


def lights(frame: Any) -> list[str]:
    if frame.profile.startswith("csae"):
        (place,) = frame.value["spatFrame"]["intersections"]
        return [one["phaseStates"][0]["light"] for one in place["phases"]]
    (place,) = frame.value["value"]["SPAT"]["intersections"]
    return [one["state-time-speed"][0]["eventState"] for one in place["states"]]


# ── rate ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("profile", WORLDS)
@pytest.mark.parametrize("period_ms", [40, 100, 200, 300])
def test_ten_a_second_of_any_controller(
    both: Drive, word: Callable[..., SignalState], start_ns: int, profile: str, period_ms: int
) -> None:
    unit = both()
    for ms in range(0, 20_000, period_ms):
        unit.give(SIGNAL_STATE, word(ms), ms)
    said = times(unit, profile)
    assert 190 <= len(said) <= 202
    for begin in range(0, 19_000, 20):
        assert sum(begin <= ms < begin + 1_000 for ms in said) <= 12
    # A second without ten of them would be a gap.
    assert max(b - a for a, b in pairwise(said)) <= 200
    for ms, frame in unit.said:
        assert start_ns + ms * NS_PER_MS - frame.time_ns <= 300 * NS_PER_MS


@pytest.mark.parametrize("profile", WORLDS)
def test_a_word_a_second_is_repeated_while_it_is_young(
    both: Drive, word: Callable[..., SignalState], profile: str
) -> None:
    unit = both()
    for ms in range(0, 5_000, 1_000):
        unit.give(SIGNAL_STATE, word(ms), ms)
    unit.run(5_000)
    assert times(unit, profile) == [
        second + ms for second in range(0, 5_000, 1_000) for ms in (0, 100, 200, 300)
    ]
    assert unit.reasons[WORLDS[profile], "controller_silent"] == 5


@pytest.mark.parametrize("profile", WORLDS)
def test_a_new_light_is_said_at_once(
    both: Drive, word: Callable[..., SignalState], profile: str
) -> None:
    unit = both()
    unit.give(SIGNAL_STATE, word(1_000), 1_000)
    unit.run(1_200)
    frames = unit.give(SIGNAL_STATE, word(1_250, light=LightState.DARK), 1_250)
    (frame,) = [frame for frame in frames if frame.profile == profile]
    assert lights(frame) == ["dark"]
    repeated = unit.run(1_450)
    assert repeated
    assert all(lights(frame) == ["dark"] for frame in repeated)


@pytest.mark.parametrize("rate_hz", [1.0, 2.0, 5.0])
def test_a_lower_rate_may_be_asked_for(
    both: Drive, word: Callable[..., SignalState], rate_hz: float
) -> None:
    unit = both(csae={"spat": {"rate_hz": rate_hz}}, sae=SaeOptions(spat={"rate_hz": rate_hz}))
    for ms in range(0, 20_000, 100):
        unit.give(SIGNAL_STATE, word(ms), ms)
    for profile in WORLDS:
        assert len(times(unit, profile)) == pytest.approx(20 * rate_hz, abs=2)


def test_worlds_do_not_spend_each_others_rate(
    both: Drive, word: Callable[..., SignalState]
) -> None:
    unit = both(sae=SaeOptions(spat={"rate_hz": 1.0}))
    for ms in range(0, 10_000, 100):
        unit.give(SIGNAL_STATE, word(ms), ms)
    assert len(times(unit, "csae53_2020")) == 100
    assert 10 <= len(times(unit, "j2735_2024")) <= 12


# ── several controllers ───────────────────────────────────────────────────────────────────────────


def places(unit: Any, profile: str) -> list[tuple[int, int]]:
    found = []
    for ms, frame in unit.said:
        if frame.profile == profile:
            value = frame.value.get("spatFrame") or frame.value["value"]["SPAT"]
            (one,) = value["intersections"]
            reference = one.get("intersectionId") or one["id"]
            found.append((ms, reference["id"]))
    return found


@pytest.mark.parametrize("profile", WORLDS)
def test_a_silent_controller_does_not_silence_another(
    both: Drive, word: Callable[..., SignalState], profile: str
) -> None:
    unit = both()
    for ms in range(0, 5_000, 100):
        unit.give(SIGNAL_STATE, word(ms, "east", 8), ms)
        if ms <= 1_000:
            unit.give(SIGNAL_STATE, word(ms, "west", 9), ms)
    said = places(unit, profile)
    assert Counter(place for _, place in said) == {8: 50, 9: 14}
    assert max(ms for ms, place in said if place == 9) == 1_300
    silent = [d for d in unit.decisions if d.reason == "controller_silent"]
    assert silent
    assert all(decision.detail.startswith("west: last heard") for decision in silent)


def test_a_fast_controller_takes_nothing_from_a_slow_one(
    both: Drive, word: Callable[..., SignalState]
) -> None:
    unit = both()
    for ms in range(0, 10_000, 20):
        unit.give(SIGNAL_STATE, word(ms, "fast", 8), ms)
        if ms % 200 == 0:
            unit.give(SIGNAL_STATE, word(ms, "slow", 9), ms)
    for profile in WORLDS:
        counts = Counter(place for _, place in places(unit, profile))
        assert 98 <= counts[8] <= 102
        assert 98 <= counts[9] <= 102


def test_more_controllers_than_one_message_could_name_are_refused(
    both: Drive, word: Callable[..., SignalState]
) -> None:
    unit = both()
    for number in range(CONTROLLERS_MAX + 1):
        unit.give(SIGNAL_STATE, word(0, f"c{number}", number + 1), 0)
    for profile in WORLDS:
        assert len(times(unit, profile)) == CONTROLLERS_MAX
    assert unit.reasons[f"signal:c{CONTROLLERS_MAX}", "too_many_controllers"] >= 1


# ── silence and doubt ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("limit_s", "last"), [(0.3, 1_300), (0.15, 1_100), (1.0, 2_000)])
def test_silence_stops_it_at_the_limit_and_is_told_each_second(
    both: Drive, word: Callable[..., SignalState], start_ns: int, limit_s: float, last: int
) -> None:
    spat = {"max_evidence_age_s": limit_s}
    unit = both(csae={"spat": spat}, sae=SaeOptions(spat=spat))
    unit.give(SIGNAL_STATE, word(1_000), 1_000)
    unit.run(7_050)
    for profile, subject in WORLDS.items():
        assert times(unit, profile)[-1] == last
        told = [
            (decision.time_ns - start_ns) // NS_PER_MS
            for decision in unit.decisions
            if (decision.subject, decision.reason) == (subject, "controller_silent")
        ]
        assert told[0] == last + 100
        assert {b - a for a, b in pairwise(told)} == {1_000}
    # It speaks again: so does SPAT, at once, and no silence is told any more.
    assert len(unit.give(SIGNAL_STATE, word(7_100), 7_100)) == 2
    before = unit.reasons["message:SPAT", "controller_silent"]
    for ms in range(7_200, 10_000, 100):
        unit.give(SIGNAL_STATE, word(ms), ms)
    assert unit.reasons["message:SPAT", "controller_silent"] <= before + 1


def test_two_silences_within_a_second_are_two(
    both: Drive, word: Callable[..., SignalState]
) -> None:
    unit = both()
    # Silent from 400 to 700, and from 1100 to 1200.
    for ms in (0, 700, *range(1_200, 3_000, 100)):
        unit.give(SIGNAL_STATE, word(ms), ms)
    assert unit.reasons["message:SPAT", "controller_silent"] == 2


def test_a_controller_that_is_gone_for_good_is_forgotten(
    stage: Callable[..., V2xStage], word: Callable[..., SignalState], start_ns: int
) -> None:
    unit = stage(rsm={"enabled": False}, sae=SaeOptions(sdsm={"enabled": False}))
    unit.handle(Message.draft(SIGNAL_STATE, "test", start_ns, word(0)), Instant(start_ns, 0))

    def reasons(mono_ns: int) -> set[str]:
        drafts = unit.tick(Instant(start_ns + mono_ns, mono_ns))
        return {draft.payload.reason for draft in drafts if draft.topic == DECISION}

    assert "controller_silent" in reasons(FORGET_NS)
    unit.tick(Instant(start_ns + FORGET_NS + 1, FORGET_NS + 1))
    assert reasons(FORGET_NS + 10**10) == set()


def test_controllers_that_come_and_go_never_use_up_the_rates(
    stage: Callable[..., V2xStage], word: Callable[..., SignalState], start_ns: int
) -> None:
    unit = stage(rsm={"enabled": False})
    for number in range(400):
        mono_ns = number * FORGET_NS // 16
        now = Instant(start_ns + mono_ns, mono_ns)
        unit.tick(now)
        state = word(mono_ns / NS_PER_MS, f"c{number}")
        drafts = unit.handle(Message.draft(SIGNAL_STATE, "test", now.utc_ns, state), now)
        assert [draft.topic for draft in drafts].count(V2X_TX) == 1, number


def test_a_controller_is_never_waited_for_before_its_first_word(both: Drive) -> None:
    unit = both()
    unit.run(20_000)
    assert unit.said == []
    assert not any("SPAT" in subject for subject, _ in unit.reasons)


@pytest.mark.parametrize("profile", WORLDS)
@pytest.mark.parametrize(
    ("ahead_ms", "reason"),
    [(300, None), (-300, None), (300.001, "evidence_from_future"), (-300.001, "evidence_stale")],
)
def test_the_limit_of_a_words_age(
    both: Drive, word: Callable[..., SignalState], profile: str, ahead_ms: float,
    reason: str | None,
) -> None:  # fmt: skip
    unit = both()
    unit.give(SIGNAL_STATE, word(1_000 + ahead_ms), 1_000)
    assert len(times(unit, profile)) == (reason is None)
    if reason is not None:
        assert unit.reasons[WORLDS[profile], reason] == 1


def test_a_word_that_was_old_when_it_came_is_repeated_no_longer_than_it_is_young(
    both: Drive, word: Callable[..., SignalState]
) -> None:
    unit = both()
    unit.give(SIGNAL_STATE, word(750), 1_000)
    unit.run(2_000)
    # At 1100 it is 350 ms old, though the controller was heard 100 ms ago.
    assert unit.times("SPAT") == [1_000, 1_000]
    assert unit.reasons["message:SPAT", "evidence_stale"] >= 1


@pytest.mark.parametrize("step_ms", [-60_000, -1_000, 1_000, 60_000])
def test_a_controller_whose_clock_is_stepped_and_set_right(
    both: Drive, word: Callable[..., SignalState], step_ms: int
) -> None:
    unit = both()
    for ms in range(0, 6_000, 100):
        wrong = 2_000 <= ms < 4_000
        unit.give(SIGNAL_STATE, word(ms + step_ms if wrong else ms), ms)
    for profile, subject in WORLDS.items():
        said = times(unit, profile)
        # What it said last when it was right is said while it is young, then nothing.
        assert not [ms for ms in said if 2_200 < ms < 4_000]
        assert set(range(4_000, 6_000, 100)) <= set(said)
        why = "evidence_from_future" if step_ms > 0 else "evidence_stale"
        assert unit.reasons[subject, why] >= 15
    for ms, frame in unit.said:
        assert abs(frame.time_ns - unit.now(ms).utc_ns) <= 300 * NS_PER_MS


@pytest.mark.parametrize("late_ms", [1, 50, 250])
def test_a_word_overtaken_by_a_newer_one_is_not_said(
    both: Drive, word: Callable[..., SignalState], late_ms: int
) -> None:
    unit = both()
    unit.give(SIGNAL_STATE, word(1_000, light=LightState.DARK), 1_000)
    assert unit.give(SIGNAL_STATE, word(1_000 - late_ms), 1_010) == []
    unit.run(1_350)
    assert {light for _, frame in unit.said for light in lights(frame)} == {"dark"}
    unit.run(3_000)
    assert unit.reasons["signal:cabinet", "superseded"] == 2, "one in each world"


def test_old_words_do_not_keep_a_controller_alive(
    both: Drive, word: Callable[..., SignalState]
) -> None:
    unit = both()
    unit.give(SIGNAL_STATE, word(1_000), 1_000)
    for ms in range(1_010, 3_000, 10):
        unit.give(SIGNAL_STATE, word(1_000), ms)  # the same word again and again
    assert max(unit.times("SPAT")) <= 1_300
    unit.run(3_100)
    assert unit.reasons["message:SPAT", "evidence_stale"] > 0


def test_a_state_that_cannot_be_carried_stops_nobody_elses(
    both: Drive, word: Callable[..., SignalState]
) -> None:
    unit = both()
    for ms in range(0, 2_000, 100):
        unit.give(SIGNAL_STATE, word(ms, "wrong", 8, group=256), ms)
        unit.give(SIGNAL_STATE, word(ms, "right", 9), ms)
    for profile, subject in WORLDS.items():
        assert {place for _, place in places(unit, profile)} == {9}
        assert unit.reasons[subject, "out_of_range"] >= 1


# ── the unit's state, counts, header ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("capability", list(Capability))
def test_signals_are_known_whatever_cameras_see(
    both: Drive, word: Callable[..., SignalState], start_ns: int, capability: Capability
) -> None:
    unit = both(trust_clock=False)
    health = UnitHealth(time_ns=start_ns, clock=ClockQuality.HOLDOVER, capability=capability)
    unit.give(UNIT_HEALTH, health, 0)
    assert len(unit.give(SIGNAL_STATE, word(0), 0)) == 2


def test_no_claim_of_time_without_a_clock(both: Drive, word: Callable[..., SignalState]) -> None:
    unit = both(trust_clock=False)
    for ms in range(0, 2_000, 100):
        unit.give(SIGNAL_STATE, word(ms), ms)
    assert unit.said == []
    for subject in WORLDS.values():
        assert unit.reasons[subject, "clock_unsynchronised"] >= 10


def test_the_header_states_the_controllers_moment(
    both: Drive, word: Callable[..., SignalState], start_ns: int
) -> None:
    unit = both()
    unit.give(SIGNAL_STATE, word(950), 1_000)
    unit.run(1_200)
    assert len(unit.said) == 4
    for (_, frame), header in zip(unit.said, unit.headers, strict=True):
        assert frame.time_ns == header.capture_ns == start_ns + 950 * NS_PER_MS
        assert frame.subjects == ()


def test_counts_run_over_all_controllers_without_gaps(
    both: Drive, word: Callable[..., SignalState], content: Callable[..., Any]
) -> None:
    unit = both()
    for ms in range(0, 10_000, 100):
        unit.give(SIGNAL_STATE, word(ms, "wrong", 8, group=256), ms)  # withheld, takes no number
        unit.give(SIGNAL_STATE, word(ms, "east", 9), ms)
        unit.give(SIGNAL_STATE, word(ms, "west", 10), ms)
    counts = [content(frame)["msgCnt"] for frame in unit.frames("SPAT", "csae53_2020")]
    assert len(counts) > 150
    assert all(b == (a + 1) % 128 for a, b in pairwise(counts))
