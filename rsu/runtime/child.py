"""A child process of a live unit: `python -m rsu.runtime.child NAME ROLE INSTANCE FOLDER`.

In: its name and role, and the run folder in which the supervisor put the resolved configuration and
the sockets. It runs one worker turn after another, publishes what comes out, beats its heart once a
second and leaves on SIGTERM. A failure is told to the supervisor in one line.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import msgspec
import structlog

from rsu.runtime.clock import system_now
from rsu.runtime.control import ControlKind, ControlSender
from rsu.runtime.log import configure_logging, follow_level
from rsu.runtime.metrics import Meter
from rsu.runtime.process_metrics import tell_process
from rsu.runtime.stage import Stamp
from rsu.schema.message import Message
from rsu.schema.topics import METRICS
from rsu.schema.units import NS_PER_S, Instant

if TYPE_CHECKING:
    from rsu.config.model import SiteConfig
    from rsu.runtime.bus import BusClient
    from rsu.runtime.worker import Worker

TURN_S = 0.1
"""Longest a turn waits for input: bounds the reaction to SIGTERM and the heartbeat's jitter."""
EXIT_FAILED = 4


class RunFolder(msgspec.Struct, frozen=True):
    """What the supervisor leaves for its children in `run.json`."""

    base: str
    config: str  # SiteConfig as JSON, already checked


def die_with_parent() -> None:
    """Have the kernel send this process SIGTERM when its parent dies (prctl PR_SET_PDEATHSIG)."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, int(signal.SIGTERM), 0, 0, 0)


def main(arguments: list[str]) -> int:
    """Run one worker until told to stop; returns the process's exit code."""
    name, role, instance, folder = arguments
    return live(name, role, instance, Path(folder))


def live(
    name: str, role: str, instance: str, folder: Path, given: tuple[SiteConfig, Path] | None = None
) -> int:
    """The whole life of a child; its exit code. `given` is the configuration and the folder of
    the site file where they are known already, else they are read from the run folder."""
    die_with_parent()
    faulthandler.register(signal.SIGUSR2)  # kill -USR2: where does it hang? (docs/operation.md)
    configure_logging(os.environ.get("RSU_LOG_LEVEL", "info"), process=name)
    stopping: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopping.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor, which stops us
    control = ControlSender(folder, name, os.getpid())
    try:
        _run(name, role, instance, folder, given or read_run_folder(folder), control, stopping)
    except Exception as error:
        # The last line of defence: whatever went wrong becomes one line for the operator and an
        # exit that the supervisor answers with a restart.
        structlog.get_logger().error(
            "failed", problem=f"{type(error).__name__}: {error}",
            exc_info=os.environ.get("RSU_DEBUG") == "1",
        )  # fmt: skip
        control.send(ControlKind.FAILED, f"{type(error).__name__}: {error}"[:500])
        return EXIT_FAILED
    finally:
        control.close()
    return 0


def read_run_folder(folder: Path) -> tuple[SiteConfig, Path]:
    """The configuration that the unit runs with, and the folder of its site file."""
    from rsu.config.model import SiteConfig

    run = msgspec.json.decode((folder / "run.json").read_bytes(), type=RunFolder)
    return SiteConfig.model_validate_json(run.config), Path(run.base)


def _run(
    name: str,
    role: str,
    instance: str,
    folder: Path,
    given: tuple[SiteConfig, Path],
    control: ControlSender,
    stopping: list[int],
) -> None:
    from rsu.runtime.bus import BusClient
    from rsu.runtime.worker import Surroundings
    from rsu.runtime.workers import make_worker

    config, base = given
    news = _News(folder)
    boot = system_now()
    meter = Meter(name)
    bus = BusClient(folder)
    try:
        worker = make_worker(
            role, instance, Surroundings(config, base, boot, system_now, bus, meter)
        )
        bus.subscribe(worker.topics)
        bus.open()
        worker.start()
        try:
            control.send(ControlKind.READY)
            _loop(worker, bus, control, meter, boot, stopping, news)
        finally:
            worker.stop()
    finally:
        bus.close()


class _News:
    """Tells once when the configuration of the unit has changed around a child that goes on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = self._stamp()

    def config(self) -> SiteConfig | None:
        stamp = self._stamp()
        if stamp == self._known:
            return None
        self._known = stamp
        return read_run_folder(self._folder)[0]

    def _stamp(self) -> tuple[int, int]:
        status = (self._folder / "run.json").stat()
        return status.st_mtime_ns, status.st_ino


def _loop(
    worker: Worker,
    bus: BusClient,
    control: ControlSender,
    meter: Meter,
    boot: Instant,
    stopping: list[int],
    news: _News,
) -> None:
    stamp = Stamp(boot)
    due = boot.mono_ns

    def beat() -> None:
        nonlocal due
        now = system_now()
        if now.mono_ns < due:
            return
        due = now.mono_ns + NS_PER_S
        control.send(ControlKind.HEARTBEAT)
        follow_level(bus.folder)
        if hasattr(worker, "told_of") and (config := news.config()) is not None:
            worker.told_of(config)
        meter.total("bus_dropped_total", bus.dropped)
        meter.total("bus_lost_total", bus.lost)
        meter.total("bus_garbage_total", bus.garbage)
        tell_process(meter)
        draft = Message.draft(METRICS, meter.process, now.utc_ns, meter.snapshot(now.utc_ns))
        bus.publish(stamp.complete(draft, now))

    while not stopping:
        for message in worker.turn(TURN_S):
            bus.publish(stamp.complete(message, system_now()))
            # Within a turn, too: who has a thousand messages before it is busy, not stuck, and to
            # kill it for that would only make the queue longer.
            beat()
        beat()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
