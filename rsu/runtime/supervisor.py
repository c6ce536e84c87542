"""The supervisor: starts the processes of a unit, keeps them alive, answers for the whole.

In: a checked `SiteConfig`. Out: child processes in their start order, `UnitHealth` once a second on
the bus, answers on the status socket, Prometheus text, systemd notifications. A child that dies,
hangs or never gets ready is restarted with back-off; one that keeps dying is given up by the
crash-loop breaker while the rest goes on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import msgspec
import structlog

from rsu.config.model import SiteConfig
from rsu.config.running import RuntimeOptions
from rsu.runtime.child import RunFolder
from rsu.runtime.clock import system_now
from rsu.runtime.control import Control, ControlKind
from rsu.runtime.graph import ProcessPlan
from rsu.schema.health import ProcessHealth
from rsu.schema.units import NS_PER_S, Instant

LATER_TIER_NS = 400_000_000
"""Kept back for each tier that stops after this one: an idle child leaves within one turn (0.1 s)
and its interpreter within 0.2 s more."""


class Process(Protocol):
    """A running child: `subprocess.Popen`, or what the nursery split off."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


Spawn = Callable[[ProcessPlan, Path], Process]


class ChildState(StrEnum):
    """Life of one child as its supervisor sees it."""

    WAITING = "waiting"  # its tier has not been reached, or its back-off runs
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"  # told to leave: it starts anew, or not at all
    FAILED = "failed"  # given up by the breaker
    STOPPED = "stopped"


@dataclass
class Child:
    """One supervised process."""

    plan: ProcessPlan
    state: ChildState = ChildState.WAITING
    process: Process | None = None
    started_mono_ns: int = 0
    start_after_mono_ns: int = 0
    heard_mono_ns: int = 0
    heard_utc_ns: int | None = None
    kill_after_mono_ns: int = 0  # while it stops
    leaving: bool = False  # the configuration has it no longer
    restarts: int = 0
    deaths_mono_ns: deque[int] = field(default_factory=deque)
    last_error: str = ""

    @property
    def settled(self) -> bool:
        """Nothing more to wait for before the next tier starts."""
        if self.state is ChildState.STOPPING:
            return self.leaving
        return self.state in (ChildState.RUNNING, ChildState.FAILED) or self.restarts > 0

    def health(self) -> ProcessHealth:
        return ProcessHealth(
            name=self.plan.name,
            state=str(self.state),
            pid=self.process.pid if self.process else None,
            restarts=self.restarts,
            heartbeat_ns=self.heard_utc_ns,
        )


class Supervisor:
    """Keeps the children of one unit alive. `step` is called often and never blocks."""

    def __init__(
        self,
        plans: Sequence[ProcessPlan],
        options: RuntimeOptions,
        folder: Path,
        *,
        spawn: Spawn | None = None,
    ) -> None:
        self.children = [Child(plan) for plan in sorted(plans, key=lambda plan: plan.tier)]
        self._options = options
        self._folder = folder
        self._spawn = spawn or spawn_child
        self._log = structlog.get_logger()

    @property
    def ready(self) -> bool:
        """Every process was started once and is running or given up."""
        return all(
            child.state in (ChildState.RUNNING, ChildState.FAILED) for child in self.children
        )

    @property
    def healthy(self) -> bool:
        """Every process runs and its heart beats; what the watchdog is fed on."""
        return all(child.state is ChildState.RUNNING for child in self.children)

    @property
    def given_up(self) -> str:
        """Names of processes that will not be started again."""
        return ", ".join(c.plan.name for c in self.children if c.state is ChildState.FAILED)

    def hear(self, said: Sequence[Control], now: Instant) -> None:
        """Take what children said."""
        by_pid = {child.process.pid: child for child in self.children if child.process is not None}
        for control in said:
            child = by_pid.get(control.pid)
            if child is None or child.plan.name != control.name:
                continue  # the last words of a process that has been replaced
            child.heard_mono_ns, child.heard_utc_ns = now.mono_ns, now.utc_ns
            if control.kind is ControlKind.FAILED:
                child.last_error = control.detail
            elif child.state is ChildState.STARTING:
                child.state = ChildState.RUNNING
                took = (now.mono_ns - child.started_mono_ns) / NS_PER_S
                self._log.info("ready", child=child.plan.name, seconds=round(took, 2))

    def step(self, now: Instant) -> None:
        """Start what may start, notice what died or hangs."""
        for child in list(self.children):
            self._watch(child, now)
        tier = self._tier_in_progress()
        for child in self.children:
            if (
                child.plan.tier <= tier
                and child.state is ChildState.WAITING
                and now.mono_ns >= child.start_after_mono_ns
            ):
                self._start(child, now)

    def follow(
        self, plans: Sequence[ProcessPlan], anew: Collection[str], options: RuntimeOptions,
        now: Instant,
    ) -> None:  # fmt: skip
        """Have exactly these processes from now on. Those in `anew` leave and start again, in the
        order of their tiers; the rest does not notice. Who was given up gets another chance."""
        self._options = options
        wanted = {plan.name: plan for plan in plans}
        for child in self.children:
            plan = wanted.pop(child.plan.name, None)
            again = plan != child.plan or plan.name in anew or child.state is ChildState.FAILED
            child.leaving = plan is None
            child.plan = plan or child.plan
            if again:
                self._leave(child, now)
        self.children = sorted(
            [*(child for child in self.children if not (child.leaving and child.process is None)),
             *map(Child, wanted.values())],
            key=lambda child: child.plan.tier,
        )  # fmt: skip

    def stop(self) -> list[str]:
        """Stop all, those who see first and those who keep last; name those that had to be killed.

        All of it takes at most about `stop_s`; a slow tier leaves the later ones a little each.
        """
        killed: list[str] = []
        tiers = sorted({child.plan.tier for child in self.children}, reverse=True)
        end = system_now().mono_ns + int(self._options.stop_s * NS_PER_S)
        for later, tier in zip(reversed(range(len(tiers))), tiers, strict=True):
            alive = [c for c in self.children if c.plan.tier == tier and c.process is not None]
            for child in alive:
                child.state = ChildState.STOPPED
                if child.process is not None:
                    child.process.terminate()
            deadline = end - later * LATER_TIER_NS
            for child in alive:
                left = max(0.0, (deadline - system_now().mono_ns) / NS_PER_S)
                if child.process is not None and not _exited(child.process, left):
                    child.process.kill()
                    child.process.wait()
                    killed.append(child.plan.name)
        return killed

    def _tier_in_progress(self) -> int:
        for child in self.children:
            if not child.settled:
                return child.plan.tier
        return self.children[-1].plan.tier if self.children else 0

    def _start(self, child: Child, now: Instant) -> None:
        child.process = self._spawn(child.plan, self._folder)
        child.state = ChildState.STARTING
        child.started_mono_ns = child.heard_mono_ns = now.mono_ns
        child.last_error = ""

    def _leave(self, child: Child, now: Instant) -> None:
        child.deaths_mono_ns.clear()
        child.restarts = 0
        child.start_after_mono_ns = now.mono_ns
        if child.process is None:
            child.state = ChildState.WAITING
            return
        child.process.terminate()
        child.state = ChildState.STOPPING
        child.kill_after_mono_ns = now.mono_ns + int(self._options.stop_s * NS_PER_S)

    def _watch(self, child: Child, now: Instant) -> None:
        alive = (ChildState.STARTING, ChildState.RUNNING, ChildState.STOPPING)
        if child.process is None or child.state not in alive:
            return
        code = child.process.poll()
        if child.state is ChildState.STOPPING:
            if code is not None:
                child.process, child.state = None, ChildState.WAITING
                if child.leaving:
                    self.children.remove(child)
            elif now.mono_ns >= child.kill_after_mono_ns:
                child.process.kill()
            return
        if code is not None:
            self._died(child, now, _exit_text(code))
            return
        limit_s = (
            self._options.ready_s
            if child.state is ChildState.STARTING
            else self._options.heartbeat_s
        )
        if now.mono_ns - child.heard_mono_ns > limit_s * NS_PER_S:
            what = "not ready" if child.state is ChildState.STARTING else "no heartbeat"
            child.process.kill()
            child.process.wait()
            self._died(child, now, f"{what} for {limit_s:g} s, killed")

    def _died(self, child: Child, now: Instant, how: str) -> None:
        restart = self._options.restart
        child.process = None
        child.restarts += 1
        child.deaths_mono_ns.append(now.mono_ns)
        horizon = now.mono_ns - int(restart.breaker_s * NS_PER_S)
        while child.deaths_mono_ns and child.deaths_mono_ns[0] < horizon:
            child.deaths_mono_ns.popleft()
        recent = len(child.deaths_mono_ns)
        if recent >= restart.breaker_count:
            child.state = ChildState.FAILED
            self._log.error(
                "given up", child=child.plan.name, how=how, problem=child.last_error,
                deaths=recent, within_s=restart.breaker_s,
            )  # fmt: skip
            return
        wait_s = min(restart.longest_s, restart.first_s * 2 ** (recent - 1))
        child.state = ChildState.WAITING
        child.start_after_mono_ns = now.mono_ns + int(wait_s * NS_PER_S)
        self._log.warning(
            "died", child=child.plan.name, how=how, problem=child.last_error, again_in_s=wait_s
        )


def spawn_child(plan: ProcessPlan, folder: Path) -> subprocess.Popen[bytes]:
    """Start one child process in its own session's process group, so that Ctrl-C spares it."""
    arguments = [sys.executable, "-m", "rsu.runtime.child"]
    arguments += [plan.name, plan.role, plan.instance, str(folder)]
    return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, process_group=0)


def write_run_folder(folder: Path, config: SiteConfig, base: Path) -> None:
    """Leave the resolved configuration for the children: an edited site file does not reach a
    restarted child before the unit has taken it in."""
    run = RunFolder(base=str(base.resolve()), config=config.model_dump_json(exclude_unset=True))
    scratch = folder / ".run.json"
    scratch.touch(mode=0o600)
    scratch.write_bytes(msgspec.json.encode(run))
    scratch.replace(folder / "run.json")  # children may be reading the one that was


def _exited(process: Process, timeout_s: float) -> bool:
    try:
        process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _exit_text(code: int) -> str:
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}"


def run_folder_for(options: RuntimeOptions, site_id: str) -> Path:
    """The folder of a unit's sockets: as configured, else systemd's, the user's or a temporary one.

    The name is fixed per site, so that `rsu status` finds the daemon.
    """
    if options.socket_folder is not None:
        return options.socket_folder
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if runtime:
        return Path(runtime)
    user = Path(f"/run/user/{os.getuid()}")
    if user.is_dir() and os.access(user, os.W_OK):
        return user / f"rsu-{site_id}"
    import tempfile

    return Path(tempfile.gettempdir()) / f"rsu-{os.getuid()}-{site_id}"
