"""The signal plan: nobody who would meet is green together, and what is announced comes true."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rsu.config.simulation import SimulationOptions
from rsu.schema.signals import LightState
from rsu.schema.units import NS_PER_S
from rsu.sim.errors import SimulationError
from rsu.sim.world.signals import GREENS
from rsu.sim.world.world import World
from rsu.site.lanes import SiteMap

MakeWorld = Callable[..., World]
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


@pytest.mark.parametrize("cycle", [60.0, 90.0])
def test_only_compatible_groups_are_open_together(make_world: MakeWorld, cycle: float) -> None:
    world = make_world(cycle_s=cycle)
    shown = {group: set() for group in TOGETHER}
    for tenth in range(int(cycle * 10)):
        time = world.plan.origin_ns + tenth * NS_PER_S // 10
        open_now = {g for g in TOGETHER if world.plan.light(g, time) in MOVING}
        for group in open_now:
            assert open_now - {group} <= TOGETHER[group]
        for group in TOGETHER:
            shown[group].add(world.plan.light(group, time))
    for group, lights in shown.items():
        assert LightState.RED in lights, group
        assert lights & GREENS, group
        assert (LightState.YELLOW in lights) is (group <= 4)


def test_a_turn_with_its_own_group_is_protected(make_world: MakeWorld) -> None:
    world = make_world()
    greens = {
        group: {spell.light for spell in spells} & GREENS
        for group, spells in world.plan.groups.items()
    }
    assert greens[1] == {LightState.PERMISSIVE_GREEN}  # straight on and right over a crosswalk
    assert greens[2] == {LightState.PROTECTED_GREEN}


def test_announced_times_come_true(make_world: MakeWorld) -> None:
    world = make_world()
    start = world.plan.origin_ns - 7 * NS_PER_S  # before the origin the ring turns as well
    for tenth in range(0, 1300, 3):
        time = start + tenth * NS_PER_S // 10
        state = world.signal_state(time)
        assert state.capture_ns == time
        assert [g.group for g in state.groups] == sorted(TOGETHER)
        for group in state.groups:
            assert group.start_ns is not None
            assert group.likely_end_ns is not None
            assert group.start_ns <= time < group.likely_end_ns
            assert group.likely_end_ns == group.min_end_ns == group.max_end_ns
            assert world.plan.light(group.group, group.start_ns) is group.light
            assert world.plan.light(group.group, group.likely_end_ns - 1) is group.light
            assert world.plan.light(group.group, group.likely_end_ns) is not group.light
            assert world.plan.light(group.group, group.start_ns - 1) is not group.light


def test_yellow_lasts_three_seconds_and_is_followed_by_all_red(make_world: MakeWorld) -> None:
    plan = make_world().plan
    for group in (1, 2, 3, 4):
        start = next(s.start_ns for s in plan.groups[group] if s.light is LightState.YELLOW)
        end = plan.until(group, plan.origin_ns + start)
        assert end - plan.origin_ns - start == pytest.approx(3 * NS_PER_S, abs=2)
        after = end + NS_PER_S
        assert all(plan.light(g, after) is LightState.RED for g in (1, 2, 3, 4))


def test_walkers_get_time_to_cross(make_world: MakeWorld) -> None:
    plan = make_world().plan
    for group in (5, 6, 7, 8):
        spells = {spell.light: spell.start_ns for spell in plan.groups[group]}
        red = spells[LightState.RED] % plan.cycle_ns
        clearing = (red - spells[LightState.FLASHING_GREEN]) % plan.cycle_ns
        assert clearing / NS_PER_S >= 18.0 / 1.2 - 0.01  # 18 m at 1.2 m/s


def test_a_cycle_that_is_too_short_is_refused(junction_map: SiteMap) -> None:
    with pytest.raises(SimulationError, match=r"cycle_s 40 is too short: .* need 5\d\.\d s"):
        World(junction_map, SimulationOptions(cycle_s=40.0), 1, 0)
