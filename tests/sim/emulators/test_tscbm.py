"""From the simulated plan through a real socket: what the driver says is what the lights show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from rsu.config.place import OriginOptions, PlaceOptions
from rsu.config.signals import TscbmGroup, TscbmOptions
from rsu.hal.device import make_device
from rsu.hal.live_device import LiveDevice
from rsu.hal.signal.tscbm_decoder import TscbmDecoder
from rsu.schema.health import SensorState
from rsu.schema.sensing import SensorKind
from rsu.schema.signals import LightState, SignalState
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.sim.emulators.tscbm import TscbmEmulator, write_tscbm
from rsu.sim.world.signals import SignalPlan
from rsu.sim.world.world import World

TENTH_NS = NS_PER_S // 10
PLACE = PlaceOptions(id="p", origin=OriginOptions(latitude=0.0, longitude=0.0), intersection=7)


@pytest.fixture
def plan(make_world: Callable[..., World]) -> SignalPlan:
    return make_world().plan


def outputs(plan: SignalPlan) -> tuple[TscbmGroup, ...]:
    """Groups 1..4 are vehicles' in phases and an overlap, 5..8 pedestrians'."""
    shown = {group: {spell.light for spell in spells} for group, spells in plan.groups.items()}
    return tuple(
        TscbmGroup(
            group=group,
            kind="pedestrian" if group > 4 else "overlap" if group == 4 else "vehicle",
            number=2 * group - 8 if group > 4 else group,
            protected=LightState.PROTECTED_GREEN in shown[group],
        )
        for group in plan.groups
    )


@pytest.fixture
def clock() -> list[int]:
    return [1_767_225_600 * NS_PER_S]


@pytest.fixture
def live(
    plan: SignalPlan, clock: list[int], free_port: int, tmp_path: Path
) -> Iterator[LiveDevice]:
    options = TscbmOptions(
        id="c", driver="tscbm", listen_host="127.0.0.1", listen_port=free_port, latency_s=0.0,
        groups=outputs(plan), pedestrian_clearance="flashing-green", time="utc", max_age_s=3600.0,
        max_ahead_s=3600.0,  # the clock stands still while datagrams wait
    )  # fmt: skip

    def now() -> Instant:
        return Instant(clock[0], clock[0])

    made = LiveDevice(
        SensorKind.SIGNAL, options, make_device(SensorKind.SIGNAL, options, tmp_path, now, PLACE),
        now, lambda _: None,
    )  # fmt: skip
    yield made
    made.close()


@pytest.fixture
def emulator(plan: SignalPlan, free_port: int) -> Iterator[TscbmEmulator]:
    made = TscbmEmulator("127.0.0.1", free_port, outputs(plan))
    made.open()
    yield made
    made.close()


def heard(live: LiveDevice) -> SignalState:
    for _ in range(100):
        facts: Sequence[object] = live.take(0.2)
        if facts:
            (state,) = facts
            assert isinstance(state, SignalState)
            return state
    pytest.fail("nothing was heard")


def test_the_plan_comes_through(
    plan: SignalPlan, live: LiveDevice, emulator: TscbmEmulator, clock: list[int]
) -> None:
    assert not live.take(0.0)  # opens
    seen: dict[int, set[LightState]] = {group: set() for group in plan.groups}
    begin_ns = clock[0]
    for step in range(-(-plan.cycle_ns // (NS_PER_S * 7 // 10))):
        clock[0] = begin_ns + step * 700 * NS_PER_MS + 37 * NS_PER_MS
        truth = plan.state("c", 7, clock[0])
        emulator.send(truth)
        state = heard(live)
        assert (state.controller, state.intersection) == ("c", 7)
        assert state.capture_ns == clock[0]
        assert [group.group for group in state.groups] == [group.group for group in truth.groups]
        for said, shown in zip(state.groups, truth.groups, strict=True):
            assert said.light is shown.light
            seen[said.group].add(said.light)
            if said.min_end_ns is None:  # the last tenth is told as no time
                assert shown.min_end_ns is not None
                assert shown.min_end_ns - clock[0] < TENTH_NS
                continue
            assert said.min_end_ns == said.max_end_ns == said.likely_end_ns
            assert shown.min_end_ns is not None
            assert 0 <= shown.min_end_ns - said.min_end_ns < TENTH_NS
    assert all(len(lights) == 3 for lights in seen.values())
    assert live.health(Instant(clock[0], clock[0])).dropped == {}


def test_a_silent_controller_is_late(
    plan: SignalPlan, live: LiveDevice, emulator: TscbmEmulator, clock: list[int]
) -> None:
    live.take(0.0)
    emulator.send(plan.state("c", 7, clock[0]))
    heard(live)
    assert live.health(Instant(clock[0], clock[0])).state is SensorState.LIVE
    clock[0] += NS_PER_S + NS_PER_MS
    assert live.health(Instant(clock[0], clock[0])).state is SensorState.LATE


def test_the_second_sample_is_written_octet_by_octet(shared: Path) -> None:
    """But for the intersection status, which no state holds."""
    sample = bytes.fromhex((shared / "vectors" / "tscbm_sample2.hex").read_text())
    options = TscbmOptions(id="c", driver="tscbm", time="utc", max_age_s=86_400.0)
    now = Instant((1_767_225_600 + 68_293) * NS_PER_S, 0)
    state = TscbmDecoder(options, 7).state(sample, now)
    octets = write_tscbm(state, 0x67)
    differing = [at for at in range(241) if octets[at] != sample[at]]
    # An unknown time is written as such; the sample has 0 for reds without any, of 1, 3, 5 and 7.
    silent = [3 + 13 * (number - 1) + at for number in (1, 3, 5, 7) for at in range(4)]
    assert differing == [*silent, 232]
