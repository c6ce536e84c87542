"""Actuated signals: safe whatever comes, honest about when they change, and they do answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.load import load_site
from rsu.config.simulation import SimulationOptions
from rsu.schema.priority import PriorityLevel, SignalAction, SignalCommand
from rsu.schema.signals import ControllerFlag, LightState, SignalState
from rsu.schema.units import NS_PER_S
from rsu.sim.scenario import model as script
from rsu.sim.source import simulated_map
from rsu.sim.world.actuated import ActuatedPlan
from rsu.sim.world.roads import build_roads
from rsu.sim.world.signals import GREENS, Approach, Ring, build_plan, build_ring
from rsu.sim.world.traffic import STEP_NS
from rsu.sim.world.world import World
from rsu.site.lanes import SiteMap

MakeWorld = Callable[..., World]
ORIGIN_NS = 1_767_225_600_000_000_000
MOVING = GREENS | {LightState.YELLOW, LightState.FLASHING_GREEN}
# docs/site-map.md: which groups of the example junction may run together.
TOGETHER = {
    1: {6, 8},
    2: set(),
    3: {5, 7},
    4: set(),
    5: {3, 7},
    6: {1, 8},
    7: {3, 5},
    8: {1, 6},
}
APPROACHES = st.builds(Approach, st.integers(1, 4), st.floats(0.0, 120.0), st.floats(0.0, 15.0))
WISHES = st.none() | st.tuples(
    st.integers(0, 9), st.sampled_from(SignalAction), st.sampled_from(PriorityLevel),
    st.integers(-1, 30),
)  # fmt: skip
Wish = tuple[int, SignalAction, PriorityLevel, int]
Second = tuple[list[Approach], Wish | None]
"""Who approaches for one second, and a command at its beginning: group, action, level, seconds."""
EXTEND, CALL, CANCEL = SignalAction.EXTEND, SignalAction.CALL, SignalAction.CANCEL
TRANSIT, EMERGENCY = PriorityLevel.TRANSIT, PriorityLevel.EMERGENCY


@pytest.fixture(scope="module")
def new_plan(junction_map: SiteMap) -> Callable[[], ActuatedPlan]:
    roads = build_roads(junction_map)
    fixed = build_plan(roads, 60.0, ORIGIN_NS)
    ring: Ring = build_ring(roads, 60.0)
    return lambda: ActuatedPlan(ring, fixed, STEP_NS)


def command(wish: Wish, time_ns: int) -> SignalCommand:
    group, action, level, seconds = wish
    return SignalCommand(
        controller="c", intersection=1, group=group, action=action, level=level,
        time_ns=time_ns, until_ns=time_ns + seconds * NS_PER_S,
    )  # fmt: skip


def steps(plan: ActuatedPlan, demand: Iterable[Second]) -> Iterator[SignalState]:
    """The controller's word at every step; each entry of the demand lasts one second."""
    time = ORIGIN_NS
    for approaching, wish in demand:
        if wish is not None:
            plan.command(command(wish, time), time)
        for _ in range(NS_PER_S // STEP_NS):
            plan.decide(time, approaching)
            yield plan.state("c", 1, time)
            time += STEP_NS


def check_safe(states: list[SignalState]) -> None:
    last: dict[int, tuple[LightState, int]] = {}
    red_since = dict.fromkeys(TOGETHER, ORIGIN_NS - 10 * NS_PER_S)
    for state in states:
        lights = {one.group: one.light for one in state.groups}
        moving = {group for group, light in lights.items() if light in MOVING}
        for group in moving:
            assert moving - {group} <= TOGETHER[group]
        for group, light in lights.items():
            before, since = last.get(group, (light, state.capture_ns))
            if light is not before:
                lasted = state.capture_ns - since
                if group <= 4 and before in GREENS:
                    assert light is LightState.YELLOW
                    assert lasted >= 5 * NS_PER_S
                if before is LightState.YELLOW:
                    assert light is LightState.RED
                    assert lasted == 3 * NS_PER_S
                if before is LightState.FLASHING_GREEN:  # 18 m at 1.2 m/s
                    assert lasted >= 15 * NS_PER_S - STEP_NS
                if light is LightState.RED:
                    red_since[group] = state.capture_ns
                if light in GREENS:  # all-red since everyone who may not go now
                    others = set(TOGETHER) - TOGETHER[group] - {group}
                    assert all(
                        state.capture_ns - red_since[other] >= 2 * NS_PER_S
                        for other in others
                        if other <= 4
                    )
                since = state.capture_ns
            last[group] = light, since


def check_honest(states: list[SignalState]) -> int:
    """Ends come within what was announced at any time before; returns how many were looked at."""
    changes: dict[int, int] = {}
    later: dict[int, LightState] = {}
    looked, looked_at = 0, 0
    for state in reversed(states):
        for one in state.groups:
            if later.get(one.group, one.light) is not one.light:
                changes[one.group] = looked_at
            later[one.group] = one.light
            assert one.min_end_ns is not None
            assert one.likely_end_ns is not None
            assert one.max_end_ns is not None
            assert state.capture_ns < one.min_end_ns <= one.likely_end_ns <= one.max_end_ns
            if one.group in changes:
                looked += 1
                # Lights of walkers change between two steps; seen here at the next one.
                assert one.min_end_ns <= changes[one.group] < one.max_end_ns + STEP_NS
        looked_at = state.capture_ns
    return looked


@settings(deadline=None, max_examples=6)
@given(
    data=st.lists(st.tuples(st.lists(APPROACHES, max_size=4), WISHES), min_size=90, max_size=150)
)
def test_any_demand_and_any_command_leave_it_safe_and_honest(
    new_plan: Callable[[], ActuatedPlan], data: list[Second]
) -> None:
    states = list(steps(new_plan(), data))
    check_safe(states)
    assert check_honest(states) > 0


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_long_runs_are_safe_and_honest(new_plan: Callable[[], ActuatedPlan], share: float) -> None:
    rng = random.Random(7)
    demand: list[Second] = []
    while len(demand) < 400:  # demand that lasts, as queues and emergency vehicles do
        one = Approach(rng.randint(1, 4), rng.uniform(0, 100), rng.uniform(0, 14))
        level = rng.choice([None, None, TRANSIT, EMERGENCY])
        wish = None if level is None else (rng.randint(1, 4), CALL, level, 3)
        demand += [([one] if rng.random() < share else [], wish)] * rng.randint(1, 30)
    states = list(steps(new_plan(), demand))
    check_safe(states)
    assert check_honest(states) > 10_000


def greens_of(states: Iterable[SignalState], group: int) -> list[float]:
    """Lengths of the full greens of a group, s."""
    found: list[float] = []
    began = None
    for state in states:
        light = next(one.light for one in state.groups if one.group == group)
        if light in GREENS and began is None:
            began = state.capture_ns
        elif light not in GREENS and began is not None:
            found.append((state.capture_ns - began) / NS_PER_S)
            began = None
    return found


def test_green_is_least_without_demand_and_longest_with(
    new_plan: Callable[[], ActuatedPlan],
) -> None:
    # Walkers of the same stage need 4 s and 15 s to clear (18.001 m), of which yellow and all-red
    # give 5 s; greens end on whole steps.
    assert set(greens_of(steps(new_plan(), [([], None)] * 150), 1)) == {14.05}
    assert set(greens_of(steps(new_plan(), [([], None)] * 150), 2)) == {5.0}
    always: list[Second] = [([Approach(1, 10.0, 0.0)], None)] * 150
    long = greens_of(steps(new_plan(), always), 1)
    assert len(set(long)) == 1
    assert long[0] > 20.0


def test_a_command_holds_the_green_and_shortens_others(
    new_plan: Callable[[], ActuatedPlan],
) -> None:
    everywhere = [Approach(group, 10.0, 0.0) for group in (1, 2, 3, 4)]
    plain = list(steps(new_plan(), [(everywhere, None)] * 150))
    bus: Second = everywhere, (1, EXTEND, TRANSIT, 3)
    asked = list(steps(new_plan(), [bus] * 150))
    assert greens_of(asked, 1)[0] == pytest.approx(greens_of(plain, 1)[0] + 10.0, abs=0.1)
    assert greens_of(asked, 3)[0] == 14.05 < greens_of(plain, 3)[0]
    ambulance: Second = everywhere, (3, CALL, EMERGENCY, 3)
    first = list(steps(new_plan(), [ambulance] * 150))
    assert greens_of(first, 1)[0] == 14.05
    assert plain[0].flags == (ControllerFlag.TRAFFIC_DEPENDENT,)
    assert asked[0].flags == (ControllerFlag.TRAFFIC_DEPENDENT, ControllerFlag.PRIORITY)
    assert first[0].flags == (ControllerFlag.TRAFFIC_DEPENDENT, ControllerFlag.PREEMPT)


def favours(states: Iterable[SignalState]) -> list[bool]:
    """Whether it says at the end of each second that it favours somebody."""
    return [ControllerFlag.PRIORITY in state.flags for state in states][19::20]


def test_a_command_holds_for_its_time_and_never_long(
    new_plan: Callable[[], ActuatedPlan],
) -> None:
    quiet: Second = [], None
    three = steps(new_plan(), [([], (1, EXTEND, TRANSIT, 3)), *[quiet] * 9])
    assert favours(three) == [True] * 3 + [False] * 7
    # However long it is meant: a unit that has died is not obeyed.
    hours = steps(new_plan(), [([], (1, EXTEND, TRANSIT, 7200)), *[quiet] * 19])
    assert favours(hours) == [True] * 10 + [False] * 10
    back = [([], (1, EXTEND, TRANSIT, 9)), quiet, ([], (1, CANCEL, TRANSIT, 0)), quiet]
    assert favours(steps(new_plan(), back)) == [True, True, False, False]


@pytest.mark.parametrize("group", [0, 5, 9])  # none, walkers', none
def test_a_command_for_no_group_of_vehicles_changes_nothing(
    new_plan: Callable[[], ActuatedPlan], group: int
) -> None:
    asked = list(steps(new_plan(), [([], (group, CALL, EMERGENCY, 3))] * 60))
    assert asked == list(steps(new_plan(), [([], None)] * 60))


def test_a_vehicle_that_asks_is_not_favoured_unless_the_unit_commands_it(
    junction_map: SiteMap,
) -> None:
    def flags(requests: str) -> set[ControllerFlag]:
        send = script.SendVehicle(
            at_s=1, do="send-vehicle", kind="bus", lane="in-w-2", to_lane="out-e-2",
            requests=requests,
        )  # fmt: skip
        quiet = SimulationOptions(
            signals="actuated", vehicles_per_hour=0.0, pedestrians_per_hour=0.0
        )
        world = World(junction_map, quiet, 3, ORIGIN_NS, script=(send,))
        found: set[ControllerFlag] = set()
        asked = False
        for step in range(20 * 10):
            time = ORIGIN_NS + step * NS_PER_S // 10
            world.advance(time)
            found |= set(world.signal_state(time).flags)
            asked = asked or bool(world.scene(time).asking)
        assert asked is (requests != "none")
        return found

    assert flags("none") == flags("vir") == {ControllerFlag.TRAFFIC_DEPENDENT}


def test_the_site_file_chooses(root: Path) -> None:
    config = load_site(root / "configs" / "junction.yaml")
    assert config.simulation is not None
    assert config.simulation.signals == "fixed"
    site_map = simulated_map(config, root / "configs")
    world = World(site_map, SimulationOptions(signals="actuated"), 1, ORIGIN_NS)
    assert world.signal_state(ORIGIN_NS).flags == (ControllerFlag.TRAFFIC_DEPENDENT,)
