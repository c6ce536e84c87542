"""The child process of the uplink: reports from what the bus says, to the durable outbox.

In: the topics of the report stage, and the supervisor's answers to what commands asked of it. Out:
the reports made, as they were handed to the outbox; how the connection is; the numbers of outbox,
session and commands; and what commands lead to (`rsu.runtime.command_execution`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from queue import Empty, Full, Queue

import structlog

from rsu.config.model import SiteConfig
from rsu.runtime import graph
from rsu.runtime.audit import site_audit
from rsu.runtime.command_execution import CommandExecution
from rsu.runtime.group_turns import due_ticks, group_messages, until_tick
from rsu.runtime.machine import MachineWatch
from rsu.runtime.session_watch import SessionWatch
from rsu.runtime.worker import Surroundings
from rsu.schema.health import LinkHealth
from rsu.schema.message import Message
from rsu.schema.reports import LivePublication
from rsu.schema.topics import LINK_HEALTH, MACHINE, UNIT_ANSWER, UPLINK_LIVE, UPLINK_REPORT
from rsu.schema.units import NS_PER_S, Instant
from rsu.uplink.client import UplinkClient
from rsu.uplink.modem import ModemWatch

OUTGOING = 256
"""Messages of commands that wait for the next turn: four for each of 64 commands under way."""
LINK_PERIOD_NS = 5 * NS_PER_S
MACHINE_PERIOD_NS = 10 * NS_PER_S


class UplinkWorker:
    """Makes reports and hands them to the durable outbox."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        config = around.config
        build = graph.reports_builder(config, around.base)
        if build is None or config.uplink is None:
            raise ValueError("the site file has no uplink section")
        self._group = build(around.boot)
        self.topics = self._group.inputs | {UNIT_ANSWER}
        self._client = UplinkClient(
            config.uplink, config.site.id, around.base, boot_ns=around.boot.utc_ns
        )
        self._outgoing: Queue[Message] = Queue(OUTGOING)  # from the threads of commands
        self._outgoing_dropped = 0
        self._execution = CommandExecution(
            config,
            around.base,
            _site_file(),
            self._send_later,
            around.clock,
            self._client.offer,
        )
        audit = site_audit(config.audit, around.base)
        self._client.take_commands(
            self._execution.execute, audit.record, lambda: around.clock().utc_ns
        )
        self._session = SessionWatch()
        self._modem = ModemWatch()
        self._link_due = self._machine_due = around.boot.mono_ns
        self._machine = MachineWatch()

    def start(self) -> None:
        self._modem.start()
        self._client.start()
        self._around.bus.publish(self._group.take_journal(self._around.clock()))

    def turn(self, timeout_s: float) -> Iterable[Message]:
        clock = self._around.clock
        heard = self._around.bus.receive(until_tick(self._group, clock(), timeout_s))
        facts = [message for message in heard if message.topic != UNIT_ANSWER]
        for message in heard:
            if message.topic == UNIT_ANSWER and (later := self._execution.hear(message.payload)):
                self._client.tell(*later)
        for message in self._made(facts):
            if message.topic == UPLINK_REPORT:
                self._client.offer(message.payload)
            elif message.topic == UPLINK_LIVE:
                self._publish_live(message.payload)
                continue  # of no use to anybody else
            yield message
        with suppress(Empty):
            while True:
                yield self._outgoing.get_nowait()
        self._watch_session(clock())
        yield from self._link(clock())
        yield from self._machine_load(clock())
        self._measure()

    def _send_later(self, message: Message) -> None:
        """For any thread. What does not fit is counted; its command gets no answer and says so."""
        try:
            self._outgoing.put_nowait(message)
        except Full:
            self._outgoing_dropped += 1

    def _publish_live(self, live: LivePublication) -> None:
        """To each of its topics, within what is left of its age."""
        left_s = live.max_age_s - (self._around.clock().utc_ns - live.time_ns) / NS_PER_S
        for topic in live.topics:
            # Too old already: given on all the same, so that it is counted as stale.
            self._client.publish_live(topic, live.payload, max(left_s, 1e-9))

    def _made(self, facts: list[Message]) -> Iterator[Message]:
        yield from group_messages(self._group, self._around, facts)
        yield from due_ticks(self._group, self._around.clock)

    def told_of(self, config: SiteConfig) -> None:
        """What the platform is told to differ, differs from this."""
        self._execution.config = config

    def stop(self) -> None:
        self._modem.stop(timeout_s=0.1)
        self._client.stop(timeout_s=1.5)

    def _watch_session(self, now: Instant) -> None:
        stats = self._client.stats()
        if not self._session.take(
            now, connected=stats.connected, connections=stats.connections, failure=stats.failure
        ):
            return
        log = structlog.get_logger()
        if self._session.suspected:
            log.error(
                "uplink sessions do not last",
                problem="another unit of this id takes them, or the line is cut again and again",
                failure=stats.failure,
            )
        else:
            log.info("uplink sessions last again")

    def _link(self, now: Instant) -> Iterator[Message]:
        """How the connection is, now and then, for the health document."""
        if now.mono_ns < self._link_due:
            return
        self._link_due = now.mono_ns + LINK_PERIOD_NS
        stats, quality = self._client.stats(), self._client.link()
        modem, unknown = self._modem.reading()
        link = LinkHealth(
            time_ns=now.utc_ns, connected=stats.connected, failure=stats.failure,
            connections=stats.connections, modem=modem, modem_unknown=unknown,
            **asdict(quality),
        )  # fmt: skip
        yield Message.draft(LINK_HEALTH, "uplink", now.utc_ns, link)

    def _machine_load(self, now: Instant) -> Iterator[Message]:
        """How busy the computer is, where a profile reports it."""
        if MACHINE not in self._group.inputs or now.mono_ns < self._machine_due:
            return
        self._machine_due = now.mono_ns + MACHINE_PERIOD_NS
        load = self._machine.read(now)
        if load is not None:
            yield Message.draft(MACHINE, "uplink", now.utc_ns, load)

    def _measure(self) -> None:
        stats, meter = self._client.stats(), self._around.meter
        meter.total("uplink_commands_dropped_total", self._outgoing_dropped)
        meter.gauge("uplink_connected", float(stats.connected))
        meter.gauge("uplink_double_suspected", float(self._session.suspected))
        meter.gauge("uplink_queued", stats.queued)
        meter.total("uplink_delivered_total", stats.delivered)
        for reason, count in stats.dropped.items():
            meter.total("uplink_dropped_total", count, reason=reason)
        for verdict, count in self._client.command_counts().items():
            outcome, _, reason = verdict.partition(":")
            meter.total("uplink_commands_total", count, outcome=outcome, reason=reason)
        live = self._client.live_stats()
        meter.total("uplink_live_sent_total", live.sent)
        for reason, count in live.dropped.items():
            meter.total("uplink_live_dropped_total", count, reason=reason)
        link = self._client.link()
        meter.total("uplink_sent_bytes_total", link.sent_bytes)
        meter.total("uplink_received_bytes_total", link.received_bytes)
        # What is unknown is no number: a connection that is gone has none, not its last one.
        for name, value in (
            ("uplink_connected_seconds", link.connected_s),
            ("uplink_rtt_seconds", link.rtt_s),
            ("uplink_network_rtt_seconds", link.network_rtt_s),
            ("uplink_resent_share", link.resent),
        ):
            if value is None:
                meter.forget(name)
            else:
                meter.gauge(name, value)
        modem, _ = self._modem.reading()
        for name in ("rsrp_dbm", "rsrq_db", "snr_db"):
            value = None if modem is None else getattr(modem, name)
            if value is None:
                meter.forget(f"uplink_modem_{name}")
            else:
                meter.gauge(f"uplink_modem_{name}", value)


def _site_file() -> Path | None:
    """Which site file the unit was started with (`rsu run` says so to its processes)."""
    given = os.environ.get("RSU_SITE_FILE")
    return Path(given) if given else None
