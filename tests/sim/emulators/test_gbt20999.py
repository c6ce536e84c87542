"""From the simulated plan through questions and answers on a real socket, back to its lights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rsu.config.place import OriginOptions, PlaceOptions
from rsu.config.signals import Gbt20999Options
from rsu.hal.device import make_device
from rsu.hal.live_device import LiveDevice
from rsu.schema.health import SensorState
from rsu.schema.priority import PriorityLevel, SignalAction, SignalCommand
from rsu.schema.sensing import SensorKind
from rsu.schema.signals import ControllerFlag, LightState, SignalState
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.sim.emulators.gbt20999 import Gbt20999Server, stages_of
from rsu.sim.world.signals import GREENS, SignalPlan
from rsu.sim.world.world import World

START_NS = 1_767_225_600 * NS_PER_S
PLACE = PlaceOptions(id="p", origin=OriginOptions(latitude=0.0, longitude=0.0), intersection=7)
TRIES = 200


class Controller:
    """The simulated plan behind a server, and a driver that asks it."""

    def __init__(
        self, plan: SignalPlan, folder: Path, *, escaped: bool = False, commands: str = "none"
    ) -> None:
        self.plan = plan
        self.now_ns = START_NS
        self.silent = threading.Event()
        self.server = Gbt20999Server(self._state, stages_of(plan), escaped=escaped)
        self.server.open()
        options = Gbt20999Options(
            id="c", driver="gbt20999", host="127.0.0.1", port=self.server.port, rate_hz=20.0,
            escaped=escaped, commands=commands,
        )  # fmt: skip
        device = make_device(SensorKind.SIGNAL, options, folder, self.clock, PLACE)
        self.live = LiveDevice(SensorKind.SIGNAL, options, device, self.clock, lambda _: None)

    def _state(self) -> SignalState | None:
        return None if self.silent.is_set() else self.plan.state("c", 7, self.now_ns)

    def clock(self) -> Instant:
        return Instant(self.now_ns, self.now_ns)

    def states(self) -> Iterator[SignalState]:
        for _ in range(TRIES):
            for fact in self.live.take(0.2):
                assert isinstance(fact, SignalState)
                yield fact
        pytest.fail("not heard")

    def at(self, time_ns: int) -> SignalState:
        """The first state heard that was asked for at this time."""
        self.now_ns = time_ns
        return next(state for state in self.states() if state.capture_ns == time_ns)

    def close(self) -> None:
        self.live.close()
        self.server.close()


@pytest.fixture
def plan(make_world: Callable[..., World]) -> SignalPlan:
    return make_world().plan


@pytest.fixture
def controller(plan: SignalPlan, tmp_path: Path) -> Iterator[Controller]:
    made = Controller(plan, tmp_path)
    yield made
    made.close()


def learn(controller: Controller) -> None:
    """Until the tables of stages are known."""
    next(
        state
        for state in controller.states()
        if any(group.likely_end_ns is not None for group in state.groups)
    )


def plain(light: LightState) -> LightState:
    """No controller tells whether a green is protected."""
    return LightState.PERMISSIVE_GREEN if light in GREENS else light


def test_stages_of_the_plan(plan: SignalPlan) -> None:
    stages = stages_of(plan)
    assert {group for stage in stages for group in stage.groups} == set(plan.groups)
    assert sum(len(stage.groups) for stage in stages) == len(plan.groups)
    walkers = [group for stage in stages for group in stage.early_s]
    assert walkers
    assert all(group > 4 for group in walkers)


def test_the_plan_comes_through(plan: SignalPlan, controller: Controller) -> None:
    controller.now_ns = next(
        START_NS + n * NS_PER_S for n in range(100)
        if any(plan.light(g, START_NS + n * NS_PER_S) in GREENS for g in plan.groups)
    )  # fmt: skip
    learn(controller)
    greens = 0
    for step in range(1, 36):
        now_ns = START_NS + step * plan.cycle_ns // 35 + 37 * NS_PER_MS
        state = controller.at(now_ns)
        truth = plan.state("c", 7, now_ns)
        assert state.flags == (ControllerFlag.FIXED_TIME,)
        assert (state.controller, state.intersection) == ("c", 7)
        for said, shown in zip(state.groups, truth.groups, strict=True):
            assert (said.group, said.light) == (shown.group, plain(shown.light))
            if shown.light in GREENS:
                assert said.likely_end_ns is not None
                assert shown.likely_end_ns is not None
                # Whole seconds of the stage, and of a walk's early end.
                assert abs(said.likely_end_ns - shown.likely_end_ns) <= 3 * NS_PER_S // 2
                greens += 1
            else:
                assert said.likely_end_ns is None
    assert greens > 20
    # A question that was on its way when the clock was moved on is answered too late.
    assert set(controller.live.health(controller.clock()).dropped) <= {"unexpected_reply"}


def test_escaped_datagrams(plan: SignalPlan, tmp_path: Path) -> None:
    controller = Controller(plan, tmp_path, escaped=True)
    try:
        state = controller.at(START_NS + NS_PER_S)
        assert len(state.groups) == len(plan.groups)
    finally:
        controller.close()


def test_a_silent_controller_is_late_and_asked_again(controller: Controller) -> None:
    controller.at(START_NS)
    assert controller.live.health(controller.clock()).state is SensorState.LIVE
    controller.silent.set()
    asked = controller.server.questions
    controller.now_ns += NS_PER_S + NS_PER_MS
    for _ in range(TRIES):
        controller.live.take(0.1)
        if controller.server.questions > asked + 2:
            break
    controller.now_ns += NS_PER_S + NS_PER_MS
    assert controller.live.health(controller.clock()).state is SensorState.LATE
    controller.silent.clear()
    controller.at(controller.now_ns + NS_PER_S)
    assert controller.live.health(controller.clock()).state is SensorState.LIVE


def test_reports_and_heartbeats(plan: SignalPlan, controller: Controller) -> None:
    controller.at(START_NS)
    controller.silent.set()
    controller.server.heartbeat(9)
    for _ in range(TRIES):
        controller.live.take(0.05)
        if controller.server.heartbeats_answered:
            break
    assert controller.server.heartbeats_answered == 1
    controller.now_ns = START_NS + 20 * NS_PER_S
    truth = plan.state("c", 7, controller.now_ns)
    controller.server.report(truth, 3)
    state = next(state for state in controller.states() if state.capture_ns > START_NS)
    assert [group.light for group in state.groups] == [plain(g.light) for g in truth.groups]


def wish(controller: Controller, group: int, action: SignalAction) -> SignalCommand:
    return SignalCommand(
        controller="c", intersection=7, group=group, action=action,
        level=PriorityLevel.TRANSIT, time_ns=controller.now_ns,
        until_ns=controller.now_ns + 3 * NS_PER_S,
    )  # fmt: skip


def until(controller: Controller, demands: set[int]) -> None:
    """Until the controller's stages with a demand are these."""
    for _ in range(TRIES):
        if controller.server.demands == demands:
            return
        controller.live.take(0.05)
    pytest.fail(f"demands are {set(controller.server.demands)}, not {demands}")


def test_commands_set_the_demand_of_a_stage_and_take_it_back(
    plan: SignalPlan, tmp_path: Path
) -> None:
    controller = Controller(plan, tmp_path, commands="soft_demand")
    try:
        controller.now_ns = next(
            START_NS + n * NS_PER_S for n in range(100)
            if any(plan.light(g, START_NS + n * NS_PER_S) in GREENS for g in plan.groups)
        )  # fmt: skip
        live = controller.live
        assert live.command(wish(controller, 3, SignalAction.CALL)) == "closed"
        controller.at(controller.now_ns)
        learn(controller)
        stage = {g: n for n, one in enumerate(stages_of(plan), 1) for g in one.groups}
        assert live.command(wish(controller, 3, SignalAction.CALL)) == "taken"
        until(controller, {stage[3]})
        assert live.command(wish(controller, 1, SignalAction.EXTEND)) == "taken"
        until(controller, {stage[1]})  # one at a time
        assert live.command(wish(controller, 99, SignalAction.CALL)) == "cannot"
        assert live.command(wish(controller, 1, SignalAction.CANCEL)) == "taken"
        until(controller, set())
        assert live.command(wish(controller, 2, SignalAction.CALL)) == "taken"
        until(controller, {stage[2]})
        controller.now_ns += 4 * NS_PER_S  # nobody repeats it: it ends
        until(controller, set())
        assert live.command(wish(controller, 4, SignalAction.CALL)) == "taken"
        until(controller, {stage[4]})
        live.close()  # a unit that stops lets go
        for _ in range(TRIES):
            if not controller.server.demands:
                break
            threading.Event().wait(0.01)
        assert not controller.server.demands
        assert "refused_by_controller" not in live.health(controller.clock()).dropped
    finally:
        controller.close()


def test_nothing_is_set_unless_the_site_file_says_so(controller: Controller) -> None:
    controller.at(START_NS)
    assert controller.live.command(wish(controller, 3, SignalAction.CALL)) == "cannot"
    assert not controller.server.demands
