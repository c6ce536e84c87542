"""The uplink of one unit as the runtime sees it: reports in, numbers out, nothing ever blocks.

Joins the durable outbox (`rsu.uplink.outbox`) and the MQTT session (`rsu.uplink.session`). Without
a broker, a disk or a network it goes on and says so in `stats`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from rsu.config.uplink import UplinkOptions
from rsu.schema.reports import UplinkReport
from rsu.uplink.commands.catalogue import COMMANDS
from rsu.uplink.commands.desk import Answer, Audit, CommandDesk
from rsu.uplink.commands.gate import Command, Gate, load_keys
from rsu.uplink.commands.history import CommandHistory
from rsu.uplink.link import LinkQuality
from rsu.uplink.live import LiveStats
from rsu.uplink.outbox import Outbox
from rsu.uplink.session import Backoff, Commands, Session

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkStats:
    """How the uplink is: produced = delivered + queued + the sum of `dropped`.

    The totals run over the life of the outbox file. `failure` is the reason code of the missing
    connection, `degraded` why the disk is not used, `quarantined` the corrupt files set aside,
    `queued_bytes` what counts against the quota, `refused` how often a broker refused a report
    (it stays queued). Reason codes: docs/uplink.md.
    """

    connected: bool
    failure: str | None
    connections: int
    produced: int
    delivered: int
    queued: int
    in_flight: int
    dropped: dict[str, int]
    refused: int
    queued_bytes: int
    degraded: str | None
    quarantined: tuple[str, ...]


class UplinkClient:
    """Outbox and session together. Start once, offer from any thread, stop once."""

    def __init__(
        self,
        options: UplinkOptions,
        site_id: str,
        base: Path,
        *,
        boot_ns: int | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        """`base` is the folder that relative paths of the options start from; `boot_ns` (UTC)
        names this run."""
        self._outbox = Outbox(
            base / options.outbox.path,
            max_bytes=options.outbox.max_bytes,
            commit_s=options.outbox.commit_s,
            ballast_bytes=options.outbox.ballast_mb * 1_000_000,
        )
        self._options, self._base = options, base
        self._desk: CommandDesk | None = None
        self._session = Session(
            options, site_id, base, self._outbox, boot_ns=boot_ns, backoff=backoff
        )

    def take_commands(
        self, execute: Callable[[Command], Answer], audit: Audit, clock: Callable[[], int]
    ) -> None:
        """Listen for commands and have them carried out by `execute`; before `start`.

        `execute` runs on a thread of its own. `clock` gives UTC, ns.
        """
        options, session = self._options.commands, self._session
        keys, problems = load_keys(options, self._base)
        for problem in problems:
            _log.error("uplink commands", problem=problem)
        if not options.require_signature:
            _log.warning("uplink commands", problem="unsigned commands are carried out")
        gate = Gate(
            keys, CommandHistory(self._base / options.history),
            session=session.identity.session, require_signature=options.require_signature,
            clock=clock,
        )  # fmt: skip
        self._desk = CommandDesk(
            gate, execute, identity=session.identity, prefix=session.prefix,
            offer=self._outbox.offer, respond=session.answer, audit=audit, clock=clock,
        )  # fmt: skip
        session.take_commands(
            Commands(
                self._desk.hear,
                {
                    "topic": f"{session.prefix}/command",
                    "answers": f"{session.prefix}/command/ack",
                    "session": session.identity.session,
                    "signature_required": options.require_signature,
                    "keys": sorted(keys),
                    "names": list(COMMANDS),
                },
            )
        )

    def tell(self, command_id: str, name: str, answer: Answer) -> None:
        """A later word on a command that was accepted; from any thread."""
        if self._desk is not None:
            self._desk.tell(command_id, name, answer)

    def command_counts(self) -> dict[str, int]:
        """Verdicts on commands so far: `done`, `refused:REASON`, …"""
        return {} if self._desk is None else self._desk.counts()

    def announce(self, profile: Mapping[str, Any]) -> None:
        """Add a line about a profile to the birth message; before `start`."""
        self._session.announce(profile)

    def start(self) -> None:
        """Open the outbox and begin to connect; returns at once."""
        self._outbox.start(self._session.wake)
        if self._desk is not None:
            self._desk.start()
        self._session.start()

    def offer(self, report: UplinkReport) -> None:
        """Queue a report; never blocks, never raises."""
        self._outbox.offer(report)

    def publish_live(self, topic: str, payload: bytes, max_age_s: float) -> bool:
        """Send now or never (QoS 0, never on disk); `topic` is whole. False: dropped, counted."""
        return self._session.publish_live(topic, payload, max_age_s)

    def live_stats(self) -> LiveStats:
        """What became of the live messages."""
        return self._session.live_stats()

    def link(self) -> LinkQuality:
        """How good the connection is."""
        return self._session.meter.quality()

    def stats(self) -> UplinkStats:
        """How it is now."""
        outbox = self._outbox.stats()
        return UplinkStats(
            connected=self._session.connected, failure=self._session.failure,
            connections=self._session.connections, produced=outbox.produced,
            delivered=outbox.delivered, queued=outbox.queued, in_flight=outbox.in_flight,
            dropped=outbox.dropped, refused=outbox.refused, queued_bytes=outbox.size,
            degraded=outbox.degraded, quarantined=outbox.quarantined,
        )  # fmt: skip

    def stop(self, timeout_s: float) -> bool:
        """Send what can be sent in the time, commit the rest, end both threads.

        False when a thread was still busy (an unanswered connection attempt, a stuck disk); what
        is queued is safe on disk all the same unless the disk itself is stuck.
        """
        began = time.monotonic()
        idle = self._desk is None or self._desk.stop(min(timeout_s, 0.5))
        ended = self._session.stop(timeout_s) and idle
        left = max(timeout_s - (time.monotonic() - began), 1.0)
        return self._outbox.close(left) and ended
