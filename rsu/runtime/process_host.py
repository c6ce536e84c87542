"""The process host: a live unit, from a checked site file until SIGTERM.

In: `SiteConfig`. It opens the run folder, the bus and the status socket, lets the supervisor keep
the children alive, derives the health of the unit once a second and publishes it, and feeds
systemd's watchdog only while every process is well. SIGHUP, or a change by command, lets it take
the site file in again.
"""

from __future__ import annotations

import fcntl
import os
import platform
import resource
import signal
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING

import structlog

import rsu
from rsu.config.leaves import differences
from rsu.config.model import SiteConfig
from rsu.runtime import software_slots
from rsu.runtime.bus import BusClient, BusHub
from rsu.runtime.capability import state_of
from rsu.runtime.clock import system_now
from rsu.runtime.condition import Condition
from rsu.runtime.control import ControlReceiver
from rsu.runtime.graph import ProcessPlan, process_plans, sensors_of
from rsu.runtime.log import LEVEL_FILE, LOG_FOLDER
from rsu.runtime.log_file import tend
from rsu.runtime.metrics import Meter
from rsu.runtime.orders import Orders
from rsu.runtime.process_metrics import tell_process, tell_unit
from rsu.runtime.reload import Parts, parts_of
from rsu.runtime.service_manager import ServiceManager
from rsu.runtime.stage import Stamp
from rsu.runtime.status import Overview, StatusServer
from rsu.runtime.supervisor import (
    Process,
    Supervisor,
    run_folder_for,
    spawn_child,
    write_run_folder,
)
from rsu.schema.health import SensorState
from rsu.schema.message import Message
from rsu.schema.orders import UnitAnswer
from rsu.schema.topics import (
    DECISION,
    GNSS_FIX,
    METRICS,
    SENSOR_ALARM,
    SENSOR_HEALTH,
    UNIT_ANSWER,
    UNIT_HEALTH,
    UNIT_ORDER,
    V2X_TX,
)
from rsu.schema.units import NS_PER_S, Instant

if TYPE_CHECKING:
    from rsu.runtime.config_change import Trial
    from rsu.runtime.nursery import Nursery

TURN_MS = 50
"""One look at children, sockets and clock this often; a dead child is noticed within it."""

DESCRIPTORS = 256
"""File descriptors that a supervisor may need: 55 with six children, one for whoever asks."""


class HostError(Exception):
    """The unit cannot start; the message says what to do."""

    exit_code = 3


@dataclass
class _Running:
    """What a unit is made of while it runs."""

    control: ControlReceiver
    bus: BusClient
    status: StatusServer
    condition: Condition
    supervisor: Supervisor
    orders: Orders
    announced: bool = False  # to the service manager, as ready
    since_mono_ns: int = field(default_factory=lambda: system_now().mono_ns)
    due_mono_ns: int = 0


class ProcessHost:
    """One live unit."""

    def __init__(self, config: SiteConfig, base: Path, nursery: Nursery | None = None) -> None:
        """`nursery`: where children come from if it is there and lives; the host closes it."""
        self._nursery = nursery
        self._config = config
        self._base = base
        self.folder = run_folder_for(config.runtime, config.site.id)
        self._sensors = sensors_of(config)
        self.overview = Overview(config.site.id, self._sensors, system_now())
        self._meter = Meter("unit")
        self._manager = ServiceManager()
        self._stamp = Stamp(self.overview.boot)
        self._parts = parts_of(config, base)
        self._healthy_s = 0  # at a stretch
        self._stopping = self._again = self._reload_asked = False
        self._site_file: Path | None = None
        self._trial: Trial | None = None
        self._log = structlog.get_logger()

    def run(
        self,
        *,
        until: Callable[[Overview], bool] = lambda _overview: False,
        on_second: Callable[[Overview], None] = lambda _overview: None,
    ) -> list[str]:
        """Run until SIGTERM, SIGINT or `until(overview)`; return children that had to be killed.

        `on_second` is told how things are, once a second. Raises HostError or BusError when the
        unit cannot start at all.
        """
        _need_descriptors()
        lock = self._open_folder()
        previous = {
            number: signal.signal(number, self._stop_on_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._reload_on_signal)
        hub = BusHub(self.folder)
        try:
            hub.start()
            return self._run_with_bus(until, on_second)
        finally:
            hub.stop()
            if self._nursery is not None:
                self._nursery.close()
            lock.close()
            for number, handler in previous.items():
                signal.signal(number, handler)

    @property
    def config(self) -> SiteConfig:
        """As the unit runs now."""
        return self._config

    @property
    def again(self) -> bool:
        """Whether `run` ended so that the unit be started anew, as an order or a change of the
        configuration wants it."""
        return self._again

    def of_file(self, site_file: Path, trial: Trial | None) -> None:
        """Say which site file the unit came from, and what of it is on trial; before `run`."""
        self._site_file, self._trial = site_file.resolve(), trial

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stopping = True

    def _run_with_bus(
        self, until: Callable[[Overview], bool], on_second: Callable[[Overview], None]
    ) -> list[str]:
        with ExitStack() as closing:
            control = ControlReceiver(self.folder)
            closing.callback(control.close)
            heard = (SENSOR_HEALTH, SENSOR_ALARM, METRICS, DECISION, V2X_TX, UNIT_ORDER, GNSS_FIX)
            bus = BusClient(self.folder, heard)
            closing.callback(bus.close)
            status = StatusServer(self.folder, self._config.runtime.metrics_port)
            closing.callback(status.close)
            condition = Condition(self._config, self._sensors)
            closing.callback(condition.close)
            plans, options = process_plans(self._config), self._config.runtime
            supervisor = Supervisor(plans, options, self.folder, spawn=self._spawn)
            closing.callback(supervisor.stop)
            orders = Orders(self.folder, self._site_file, self._trial, system_now())
            bus.open()
            unit = _Running(control, bus, status, condition, supervisor, orders)
            while not (self._stopping or self._turn(unit, until, on_second)):
                pass
            if self._again:
                self._manager.reloading()
            else:
                self._manager.tell("STOPPING=1")
            killed = supervisor.stop()
            self._log.info("unit stopped", killed=killed)
            return killed

    def _turn(
        self,
        unit: _Running,
        until: Callable[[Overview], bool],
        on_second: Callable[[Overview], None],
    ) -> bool:
        """One look at everything; whether that was the last one."""
        overview, supervisor, orders, bus = self.overview, unit.supervisor, unit.orders, unit.bus
        now = system_now()
        supervisor.hear(unit.control.receive(TURN_MS), now)
        supervisor.step(now)
        for message in bus.receive(0.0):
            if message.topic == UNIT_ORDER:
                self._say(bus, orders.take(message.payload, now), now)
                continue
            overview.take(message)
            self._publish(bus, unit.condition.take(message, now), now)
        overview.processes = tuple(child.health() for child in supervisor.children)
        self._manager.again()
        if not unit.announced and supervisor.ready:
            unit.announced = True
            self._manager.tell("READY=1")
            took = (now.mono_ns - unit.since_mono_ns) / NS_PER_S
            self._log.info("unit ready", site=self._config.site.id, seconds=round(took, 2))
        unit.status.answer(overview)
        if orders.reload(now) or self._hung_up(orders):
            self._reload(unit, now)
        if orders.again(now):
            self._again = True
        if self._again:
            return True
        if now.mono_ns < unit.due_mono_ns:
            return False
        unit.due_mono_ns = now.mono_ns + NS_PER_S
        self._second(supervisor, unit.condition, bus, now)
        on_second(overview)
        for answer in orders.step(now, ready=supervisor.healthy, broken=supervisor.given_up):
            self._say(bus, answer, now)
        return until(overview)

    # A changed site file

    def _hung_up(self, orders: Orders) -> bool:
        """Whether a SIGHUP asks for the site file to be taken in."""
        asked, self._reload_asked = self._reload_asked, False
        if asked and orders.on_trial:
            self._log.warning("reload refused", problem="a change is on trial: confirm it first")
            return False
        return asked

    def _reload(self, unit: _Running, now: Instant) -> None:
        """Take the site file in: as far as it goes without disturbing who has no part in it."""
        from rsu.runtime.site_check import site_report

        if self._site_file is None:
            self._log.warning("reload refused", problem="the unit has no site file")
            return
        self._manager.reloading()
        unit.announced, unit.since_mono_ns = False, now.mono_ns
        report = site_report(self._site_file)
        if report.errors or report.config is None:
            first, *more = report.errors
            self._log.error("reload refused", problem=str(first), more=len(more))
            unit.orders.not_usable(str(first), now)
            return
        new = parts_of(report.config, self._base)
        whole = self._parts.whole_unit(new)
        if whole:
            self._log.warning("reload needs the whole unit", changed=whole)
            self._again = True
            return
        self._follow(unit, new, now)
        unit.orders.taken_in(now)

    def _follow(self, unit: _Running, new: Parts, now: Instant) -> None:
        old, config = self._parts.config, new.config
        anew = self._parts.changed(new)
        self._log.info(
            "reload",
            changed=[name for name, _, _ in differences(old, config)],
            restarts=sorted(anew),
        )
        self._config, self._parts, self._sensors = config, new, sensors_of(config)
        write_run_folder(self.folder, config, self._base)
        if self._nursery is not None:
            self._nursery.renew(self.folder)
        plans = process_plans(config)
        unit.supervisor.follow(plans, anew, config.runtime, now)
        unit.condition.follow(config, self._sensors)
        self.overview.follow(self._sensors, [plan.name for plan in plans])
        if config.runtime.log_level != old.runtime.log_level:
            unit.orders.set_level(config.runtime.log_level)

    def _spawn(self, plan: ProcessPlan, folder: Path) -> Process:
        split = self._nursery.split(plan, folder) if self._nursery is not None else None
        return split if split is not None else spawn_child(plan, folder)

    def _say(self, bus: BusClient, answer: UnitAnswer, now: Instant) -> None:
        draft = Message.draft(UNIT_ANSWER, "unit", now.utc_ns, answer)
        bus.publish(self._stamp.complete(draft, now))

    def _publish(self, bus: BusClient, drafts: Iterable[Message], now: Instant) -> None:
        for draft in drafts:
            bus.publish(self._stamp.complete(draft, now))

    def _second(
        self, supervisor: Supervisor, condition: Condition, bus: BusClient, now: Instant
    ) -> None:
        overview = self.overview
        self._publish(bus, condition.second(now), now)
        alarms = overview.alarms.standing(now.utc_ns)
        health = condition.health(now, overview.sensors, alarms, overview.processes)
        overview.unit = health
        overview.errors = {
            child.plan.name: child.last_error for child in supervisor.children if child.last_error
        }
        drafts = [Message.draft(UNIT_HEALTH, "unit", now.utc_ns, health)]
        meter = self._meter
        tell_process(meter)
        tell_unit(meter, health, condition.numbers)
        meter.gauge("build_info", 1, version=rsu.__version__, python=platform.python_version())
        drafts.append(Message.draft(METRICS, "unit", now.utc_ns, meter.snapshot(now.utc_ns)))
        self._publish(bus, drafts, now)
        options = self._config.runtime
        if LOG_FOLDER in os.environ:
            tend(Path(os.environ[LOG_FOLDER]), options.log_keep_days, options.log_keep_bytes)
        if not supervisor.healthy:
            self._healthy_s = 0
            return
        self._manager.beat()
        self._healthy_s += 1
        if self._healthy_s == software_slots.LASTS_S:
            self._keep_software()

    def _keep_software(self) -> None:
        uplink = self._config.uplink
        if uplink is not None and software_slots.keep(self._base / uplink.commands.software):
            self._log.info("software stays", version=rsu.__version__)

    def _open_folder(self) -> IO[bytes]:
        """Make the run folder ours; the returned lock holds it until closed or until we die."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            lock = (self.folder / "lock").open("wb")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.close()
                raise HostError(
                    f"a unit of site {self._config.site.id!r} is already running with its sockets "
                    f"in {self.folder}; stop it, or set another runtime.socket_folder"
                ) from error
            write_run_folder(self.folder, self._config, self._base)
            (self.folder / LEVEL_FILE).unlink(missing_ok=True)
            return lock
        except OSError as error:
            raise HostError(
                f"cannot use {self.folder} for sockets: {error.strerror}; set runtime.socket_folder"
            ) from error

    def _reload_on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._reload_asked = True

    def _stop_on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True


def _need_descriptors() -> None:
    """Raise the soft limit of file descriptors where it is too low, or refuse to start: ZeroMQ
    aborts the process when it runs out of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= DESCRIPTORS or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        raise HostError(
            f"only {hard} file descriptors are allowed, a unit needs {DESCRIPTORS}: raise "
            "LimitNOFILE= of the service, or the limit that `ulimit -Hn` shows"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))


def all_recorded_sources_ended(overview: Overview) -> bool:
    """Whether every camera has played its recording to the end (`rsu run --stop-when-ended`)."""
    states = [state_of(overview.sensors.get(name), 0) for name in overview.configured]
    return bool(states) and all(state is SensorState.ENDED for state in states)
