"""The dashboard as a process of a live unit.

In: the bus. Out: snapshots to browsers, at most five a second and only while somebody looks, and
this process's own numbers. It publishes nothing else and runs at a lower priority than those that
see, think and send. The runtime loads this class by name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import structlog

from rsu.config.model import SiteConfig
from rsu.config.web import WebOptions
from rsu.runtime import graph
from rsu.runtime.audit import site_audit
from rsu.runtime.worker import Surroundings
from rsu.schema.message import Message
from rsu.schema.topics import Topic
from rsu.schema.units import NS_PER_S
from rsu.web.desk import Desk
from rsu.web.past import Keeping, Past
from rsu.web.place import place_of
from rsu.web.server import DashboardServer
from rsu.web.site_file import SiteFile

NICE = 10
"""Gets about a tenth of a busy core beside a process of normal priority (sched(7))."""
PERIOD_NS = 200_000_000
"""Five snapshots a second: people see no more in a map, and tracks come ten times a second."""
CROWD, CROWD_PERIOD_NS = 50, 500_000_000
"""With more pages than this two a second: still fresh for each (it greys after a second), and half
of what so many cost."""
RETRY_NS = 2 * NS_PER_S


class WebWorker:
    """Hears the bus, keeps the desk, hands snapshots to the server."""

    def __init__(self, around: Surroundings) -> None:
        config = around.config
        self._around = around
        self._options = config.web or WebOptions()
        place = place_of(config, graph.load_map(config, around.base))
        self._desk = Desk(place, graph.sensors_of(config))
        self.topics: frozenset[Topic] = self._desk.topics
        past = past_of(config, around.base, self._options)
        self._server = DashboardServer(
            self._options, around.base, self._desk, past,
            site_file_of(config, around.base, self._options),
        )  # fmt: skip
        self._due_mono_ns = 0
        self._retry_mono_ns = 0
        self._problem = ""

    def start(self) -> None:
        os.nice(NICE)
        self._try_listen()

    def turn(self, timeout_s: float) -> Iterable[Message]:
        self._desk.take(self._around.bus.receive(timeout_s))
        now = self._around.clock()
        if not self._server.alive and now.mono_ns >= self._retry_mono_ns:
            self._try_listen()
        fan = self._server.fan
        if now.mono_ns >= self._due_mono_ns and fan.clients:
            crowded = fan.clients > CROWD
            self._due_mono_ns = now.mono_ns + (CROWD_PERIOD_NS if crowded else PERIOD_NS)
            fan.offer(self._desk.snapshot())
        meter = self._around.meter
        meter.gauge("web_clients", fan.clients)
        meter.total("web_snapshots_sent_total", fan.sent)
        meter.total("web_snapshots_skipped_total", fan.skipped)
        meter.total("web_refused_total", fan.refused)
        return ()

    def stop(self) -> None:
        self._server.stop()

    def _try_listen(self) -> None:
        """Listen; a port that is taken is tried again, and told once."""
        self._retry_mono_ns = self._around.clock().mono_ns + RETRY_NS
        log = structlog.get_logger()
        try:
            self._server.start()
        except OSError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                log.warning("web", problem=self._problem, address=self._server.address)
            return
        self._problem = ""
        log.info("dashboard", address=self._server.address)


def past_of(config: SiteConfig, base: Path, options: WebOptions) -> Past | None:
    """The unit's recording; None where nothing is recorded."""
    if config.recording is None:
        return None
    return Past(
        base / config.recording.folder,
        graph.sensors_of(config),
        Keeping(base / options.incidents, lambda: site_audit(config.audit, base)),
    )


def site_file_of(config: SiteConfig, base: Path, options: WebOptions) -> SiteFile | None:
    """The file that the unit was started with (`rsu run` says which); None where nobody said."""
    path = os.environ.get("RSU_SITE_FILE")
    if path is None:
        return None
    may_change = options.token_file is not None
    return SiteFile(Path(path), lambda: site_audit(config.audit, base), may_change=may_change)
