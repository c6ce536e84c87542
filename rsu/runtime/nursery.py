"""The nursery: one process that has everything imported and splits off the children of a unit.

In: requests of the supervisor, one at a time. Out: child processes that are ready some 50 ms after
they were asked for instead of a second or more of imports, and that share their common memory.

It is split off from `rsu run` itself before that has any thread, so that the checked configuration
and what it took to check it are there already. While nobody asks, it imports what the later tiers
will need. A child is split off twice and then belongs to the supervisor, which has declared itself
the keeper of orphans (prctl PR_SET_CHILD_SUBREAPER): it sees its death as that of any child. When
the nursery itself is lost, the supervisor starts children as programs of their own, as it does
where it could not split off.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from rsu.config.model import SiteConfig
from rsu.runtime.child import die_with_parent, live, read_run_folder
from rsu.runtime.clock import system_now
from rsu.runtime.graph import ProcessPlan, core_builder, process_plans

ANSWER_S = 30.0
"""The longest step of preparing took 8 s where the machine was four times overbooked; beyond this
the nursery counts as lost."""
ADOPTED_S = 2.0
M_ARENA_MAX = -8  # mallopt(3)
ARENAS = 2
"""Heaps of glibc's allocator per process: eight per core is its default, each keeps what it once
had; our threads allocate little at the same time."""

MODULES: dict[str, tuple[str, ...]] = {
    "recorder": ("rsu.recording.recorder",),
    "radio": ("rsu.hal.radio.drivers",),
    "uplink": ("rsu.runtime.uplink_worker", "rsu.uplink.reports"),
    "core": ("rsu.fusion.stage", "rsu.situation.assembly"),
    "device": ("rsu.runtime.device_worker", "rsu.hal.live_device"),
    # Not onnxruntime: importing it starts a thread, and a process with threads cannot be split.
    "camera": ("rsu.hal.camera.live", "rsu.perception.stage", "rsu.perception.detector"),
}
"""What a role imports when it starts, as far as that starts no threads."""


class Request(msgspec.Struct, frozen=True):
    """One child that is wanted; without a name: the configuration has changed."""

    name: str
    role: str
    instance: str


class Split:
    """A child that was split off; the part of `subprocess.Popen` that the supervisor uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it lives."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # it died before it was ours: nobody can tell of what
                self.returncode = -int(signal.SIGKILL)
            else:
                if pid == self.pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it is over; subprocess.TimeoutExpired otherwise."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.005)
        return code

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.poll() is None:  # else its number may be another's
            os.kill(self.pid, number)


class Nursery:
    """The supervisor's end. `split` is its spawn; `close` ends the nursery, not its children."""

    def __init__(self, pid: int, asks: socket.socket) -> None:
        self._pid, self._asks = pid, asks
        self._lost = False

    def split(self, plan: ProcessPlan, folder: Path) -> Split | None:
        """A new child for `plan`; None when the nursery is lost."""
        if self._lost:
            return None
        wanted = Request(plan.name, plan.role, plan.instance)
        try:
            self._asks.settimeout(ANSWER_S)
            self._asks.send(msgspec.msgpack.encode((str(folder), wanted)))
            answer = self._asks.recv(64)
        except OSError as error:
            self._lose(str(error))
            return None
        if not answer:
            self._lose("it ended")
            return None
        return Split(int(answer))

    def renew(self, folder: Path) -> None:
        """From now on children get the configuration that lies in the run folder."""
        if self._lost:
            return
        try:
            self._asks.send(msgspec.msgpack.encode((str(folder), Request("", "", ""))))
        except OSError as error:
            self._lose(str(error))

    def close(self) -> None:
        """Let it go; it ends with its socket."""
        self._asks.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _lose(self, why: str) -> None:
        self._lost = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        structlog.get_logger().warning(
            "nursery lost: children now take a second longer to start", problem=why
        )


def open_nursery(config: SiteConfig, base: Path, plans: Sequence[ProcessPlan]) -> Nursery | None:
    """Split a nursery off this process; None where that is not safe: it has threads already."""
    if len(list(Path("/proc/self/task").iterdir())) != 1:
        return None
    _be_keeper_of_orphans()
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    keeper = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        its.close()
        return Nursery(pid, ours)
    code = 1
    try:
        ours.close()
        _serve(its, config, base, plans, keeper)
        code = 0
    except BaseException as error:  # whatever it is, this process must not go on as `rsu run`
        structlog.get_logger().error("nursery failed", problem=f"{type(error).__name__}: {error}")
    finally:
        os._exit(code)


def _serve(
    asks: socket.socket, config: SiteConfig, base: Path, plans: Sequence[ProcessPlan], keeper: int
) -> None:
    """Until the supervisor goes: prepare while nobody asks, split off when somebody does."""
    os.setpgid(0, 0)  # Ctrl-C is the supervisor's to act on
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    gc.disable()  # what is imported stays; to look through it again and again took a second
    libc = ctypes.CDLL(None)
    libc.mallopt(M_ARENA_MAX, ARENAS)
    preparing: Iterator[str] | None = _prepare(config, base, plans)
    prepared: set[str] = set()
    while True:
        asks.settimeout(0.0 if preparing is not None else None)
        try:
            asked = asks.recv(4096)
        except BlockingIOError:
            assert preparing is not None
            step = next(preparing, None)
            if step is None:
                preparing = None
                gc.collect()
            else:
                prepared.add(step)
            libc.malloc_trim(0)  # what preparing took for a moment
            continue
        if not asked:
            return
        folder, wanted = msgspec.msgpack.decode(asked, type=tuple[str, Request])
        if not wanted.name:
            config, base = read_run_folder(Path(folder))
            preparing, prepared = _prepare(config, base, process_plans(config)), set()
            continue
        # Better late and shared than at once and everybody for themselves.
        while preparing is not None and wanted.name not in prepared:
            prepared.add(next(preparing, wanted.name))
        told, tells = os.pipe()
        middle = os.fork()
        if middle == 0:
            asks.close()
            _split_off(tells, Path(folder), wanted, config, base, keeper)
        os.close(tells)
        os.waitpid(middle, 0)  # only now the child is the supervisor's, which may hear of it
        with contextlib.suppress(OSError):
            asks.send(os.read(told, 64))
        os.close(told)


def _prepare(config: SiteConfig, base: Path, plans: Sequence[ProcessPlan]) -> Iterator[str]:
    """Import what the plans need, in the order in which they start; a step is a module or so, and
    the last of a plan yields its name, others nothing ("").

    What fails here fails again in the child, which says so.
    """
    for plan in sorted(plans, key=lambda plan: plan.tier):
        for module in (*MODULES.get(plan.role, ()), *_foreign(plan)):
            if module not in sys.modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(module)
                yield ""
        with contextlib.suppress(Exception):
            if plan.role == "core":
                core_builder(config, base)(system_now())  # compiles what messages are made of
            elif plan.role == "foreign":
                _prepare_foreign(plan.instance, config, base)
        yield plan.name


def _foreign(plan: ProcessPlan) -> tuple[str, ...]:
    return (plan.instance.split(":")[0],) if plan.role == "foreign" else ()


def _prepare_foreign(instance: str, config: SiteConfig, base: Path) -> None:
    """Workers of other packages may offer `prepare(config, base, id)` for what can be shared."""
    target, *of = instance.split("/")
    module, name = target.split(":")
    prepare = getattr(getattr(importlib.import_module(module), name), "prepare", None)
    if prepare is not None:
        prepare(config, base, *of)


def _split_off(
    tells: int, folder: Path, wanted: Request, config: SiteConfig, base: Path, keeper: int
) -> NoReturn:
    """In the middle process: split off the child, tell its number, end. In the child: live."""
    child = os.fork()
    if child:
        os.write(tells, str(child).encode())
        os._exit(0)
    code = 1
    try:
        os.close(tells)
        gc.freeze()  # what is here now is shared: the collector shall not touch it
        gc.enable()
        os.setpgid(0, 0)
        if _adopted(keeper):
            code = live(wanted.name, wanted.role, wanted.instance, folder, (config, base))
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _adopted(keeper: int) -> bool:
    """Wait until the middle process has gone and we are the supervisor's."""
    deadline = time.monotonic() + ADOPTED_S
    while os.getppid() != keeper:
        if time.monotonic() > deadline:
            return False  # the supervisor has died
        time.sleep(0.001)
    return True


def _be_keeper_of_orphans() -> None:
    pr_set_child_subreaper = 36
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0)
