"""Children come in order, come back when they die or hang, are given up if they keep dying."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rsu.config.running import RestartOptions, RuntimeOptions
from rsu.runtime.control import Control, ControlKind
from rsu.runtime.graph import ProcessPlan
from rsu.runtime.supervisor import ChildState, Supervisor
from rsu.schema.units import NS_PER_S, Instant

FIRST, SECOND = ProcessPlan("recorder", "recorder", 0), ProcessPlan("core", "core", 1)
OPTIONS = RuntimeOptions(
    ready_s=10, heartbeat_s=5, stop_s=3,
    restart=RestartOptions(first_s=0.5, longest_s=4, breaker_count=3, breaker_s=60),
)  # fmt: skip


def at(seconds: float) -> Instant:
    return Instant(int(seconds * NS_PER_S), int(seconds * NS_PER_S))


def sleeper(plan: ProcessPlan, folder: Path) -> subprocess.Popen[bytes]:
    """A child that obeys SIGTERM."""
    return subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor([SECOND, FIRST], OPTIONS, tmp_path, spawn=sleeper)
    yield supervisor
    supervisor.stop()


def state(supervisor: Supervisor, name: str) -> ChildState:
    return next(child.state for child in supervisor.children if child.plan.name == name)


def say(supervisor: Supervisor, name: str, kind: ControlKind, seconds: float) -> None:
    child = next(child for child in supervisor.children if child.plan.name == name)
    assert child.process is not None
    supervisor.hear([Control(kind=kind, name=name, pid=child.process.pid)], at(seconds))


def kill(supervisor: Supervisor, name: str) -> None:
    child = next(child for child in supervisor.children if child.plan.name == name)
    assert child.process is not None
    child.process.kill()
    child.process.wait()


def test_a_tier_starts_when_the_one_before_is_ready(supervisor: Supervisor) -> None:
    supervisor.step(at(0))
    assert state(supervisor, "recorder") is ChildState.STARTING
    assert state(supervisor, "core") is ChildState.WAITING
    say(supervisor, "recorder", ControlKind.READY, 0.5)
    supervisor.step(at(0.5))
    assert state(supervisor, "core") is ChildState.STARTING
    say(supervisor, "core", ControlKind.READY, 1)
    assert supervisor.ready
    assert supervisor.healthy


def test_a_killed_child_comes_back_after_its_back_off_and_alone(supervisor: Supervisor) -> None:
    supervisor.step(at(0))
    say(supervisor, "recorder", ControlKind.READY, 0)
    supervisor.step(at(0))
    say(supervisor, "core", ControlKind.READY, 0)
    recorder = next(c for c in supervisor.children if c.plan.name == "recorder")
    before = recorder.process
    kill(supervisor, "core")
    supervisor.step(at(1))
    assert state(supervisor, "core") is ChildState.WAITING
    supervisor.step(at(1.4))
    assert state(supervisor, "core") is ChildState.WAITING
    supervisor.step(at(1.5))
    assert state(supervisor, "core") is ChildState.STARTING
    assert recorder.process is before
    assert recorder.restarts == 0


def test_a_child_that_keeps_dying_is_given_up_and_the_rest_goes_on(supervisor: Supervisor) -> None:
    seconds = 0.0
    for _ in range(OPTIONS.restart.breaker_count):
        supervisor.step(at(seconds))
        kill(supervisor, "recorder")
        supervisor.step(at(seconds + 0.1))
        seconds += 10
    assert state(supervisor, "recorder") is ChildState.FAILED
    supervisor.step(at(seconds + 100))
    assert state(supervisor, "recorder") is ChildState.FAILED
    assert state(supervisor, "core") is ChildState.STARTING


def test_deaths_far_apart_do_not_trip_the_breaker(supervisor: Supervisor) -> None:
    for n in range(OPTIONS.restart.breaker_count + 2):
        supervisor.step(at(100 * n + 50))
        kill(supervisor, "recorder")
        supervisor.step(at(100 * n + 51))
        assert state(supervisor, "recorder") is ChildState.WAITING


def test_a_silent_child_is_killed_and_started_again(supervisor: Supervisor) -> None:
    supervisor.step(at(0))
    say(supervisor, "recorder", ControlKind.READY, 0)
    say(supervisor, "recorder", ControlKind.HEARTBEAT, 3)
    supervisor.step(at(8))
    assert state(supervisor, "recorder") is ChildState.RUNNING
    supervisor.step(at(8.1))
    assert state(supervisor, "recorder") is ChildState.WAITING
    supervisor.step(at(9))
    assert state(supervisor, "recorder") is ChildState.STARTING


def test_a_child_that_never_gets_ready_is_started_again(supervisor: Supervisor) -> None:
    supervisor.step(at(0))
    supervisor.step(at(10.1))
    assert state(supervisor, "recorder") is ChildState.WAITING


def test_words_of_a_replaced_process_are_ignored(supervisor: Supervisor) -> None:
    supervisor.step(at(0))
    supervisor.hear([Control(kind=ControlKind.READY, name="recorder", pid=1)], at(0))
    assert state(supervisor, "recorder") is ChildState.STARTING


def test_the_last_word_of_a_failed_child_is_kept_for_the_operator(supervisor: Supervisor) -> None:
    supervisor.step(at(0))
    child = supervisor.children[0]
    assert child.process is not None
    supervisor.hear(
        [
            Control(
                kind=ControlKind.FAILED, name="recorder", pid=child.process.pid, detail="no disk"
            )
        ],
        at(0),
    )
    kill(supervisor, "recorder")
    supervisor.step(at(1))
    assert child.last_error == "no disk"


def test_stopping_ends_every_child_and_names_those_that_had_to_be_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); "
        "[signal.pause() for _ in iter(int, 1)]"
    )

    def spawn(plan: ProcessPlan, folder: Path) -> subprocess.Popen[bytes]:
        if plan is FIRST:
            return sleeper(plan, folder)
        process = subprocess.Popen([sys.executable, "-c", stubborn], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()  # its handler is set
        process.stdout.close()
        return process

    options = OPTIONS.model_copy(update={"stop_s": 1.0})
    supervisor = Supervisor([FIRST, SECOND], options, tmp_path, spawn=spawn)
    supervisor.step(at(0))
    say(supervisor, "recorder", ControlKind.READY, 0)
    supervisor.step(at(0))
    processes = [child.process for child in supervisor.children]
    assert supervisor.stop() == ["core"]
    assert all(process is not None and process.poll() is not None for process in processes)


def running(supervisor: Supervisor) -> None:
    supervisor.step(at(0))
    say(supervisor, "recorder", ControlKind.READY, 0)
    supervisor.step(at(0))
    say(supervisor, "core", ControlKind.READY, 0)
    assert supervisor.healthy


def step_until(supervisor: Supervisor, seconds: float, name: str, wanted: ChildState) -> None:
    """Leaving takes a process real time."""
    for _ in range(2000):
        supervisor.step(at(seconds))
        if state(supervisor, name) is wanted:
            return
        time.sleep(0.005)
    raise AssertionError(f"{name} is {state(supervisor, name)}")


def test_a_change_restarts_whom_it_concerns_and_nobody_else(supervisor: Supervisor) -> None:
    running(supervisor)
    recorder, core = supervisor.children
    kept, old = recorder.process, core.process
    supervisor.follow([FIRST, SECOND], {"core"}, OPTIONS, at(1))
    assert core.state is ChildState.STOPPING
    assert not supervisor.ready
    step_until(supervisor, 1, "core", ChildState.STARTING)
    assert core.process is not old
    assert (core.restarts, len(core.deaths_mono_ns)) == (0, 0)  # it did not die of itself
    assert recorder.process is kept
    say(supervisor, "core", ControlKind.READY, 2)
    assert supervisor.healthy


def test_a_change_adds_and_removes_processes(supervisor: Supervisor) -> None:
    running(supervisor)
    radio = ProcessPlan("radio:air", "radio", 1, "air")
    supervisor.follow([FIRST, radio], (), OPTIONS, at(1))
    for _ in range(2000):
        supervisor.step(at(1))
        names = [child.plan.name for child in supervisor.children]
        if "core" not in names:
            break
        time.sleep(0.005)
    assert names == ["recorder", "radio:air"]
    assert state(supervisor, "radio:air") is ChildState.STARTING
    say(supervisor, "radio:air", ControlKind.READY, 1)
    assert supervisor.healthy


def test_a_change_gives_whom_was_given_up_another_chance(supervisor: Supervisor) -> None:
    running(supervisor)
    seconds = 0.0
    for _ in range(OPTIONS.restart.breaker_count):
        kill(supervisor, "core")
        supervisor.step(at(seconds))
        if state(supervisor, "core") is not ChildState.FAILED:
            seconds += 5
            supervisor.step(at(seconds))
    assert state(supervisor, "core") is ChildState.FAILED
    supervisor.follow([FIRST, SECOND], (), OPTIONS, at(seconds))
    supervisor.step(at(seconds))
    assert state(supervisor, "core") is ChildState.STARTING


def test_who_does_not_leave_for_a_change_is_killed(tmp_path: Path) -> None:
    def deaf(plan: ProcessPlan, folder: Path) -> subprocess.Popen[bytes]:
        program = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True)"
        process = subprocess.Popen(
            [sys.executable, "-c", f"{program}; signal.pause()"], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        with process.stdout:
            process.stdout.readline()  # from here on it is deaf
        return process

    supervisor = Supervisor([FIRST], OPTIONS, tmp_path, spawn=deaf)
    try:
        supervisor.step(at(0))
        old = supervisor.children[0].process
        say(supervisor, "recorder", ControlKind.READY, 0)
        supervisor.follow([FIRST], {"recorder"}, OPTIONS, at(1))
        supervisor.step(at(1 + OPTIONS.stop_s - 0.1))
        assert state(supervisor, "recorder") is ChildState.STOPPING
        step_until(supervisor, 1 + OPTIONS.stop_s, "recorder", ChildState.STARTING)
        assert supervisor.children[0].process is not old
    finally:
        for child in supervisor.children:
            if child.process is not None:
                child.process.kill()
                child.process.wait()
