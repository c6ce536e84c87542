"""The uplink of one unit as the runtime sees it: reports in, numbers out, nothing ever blocks.

Joins the durable outbox (`rsu.uplink.outbox`) and the MQTT session (`rsu.uplink.session`). Without
a broker, a disk or a network it goes on and says so in `stats`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from rsu.config.uplink import UplinkOptions
from rsu.schema.reports import UplinkReport
from rsu.uplink.link import LinkQuality
from rsu.uplink.live import LiveStats
from rsu.uplink.outbox import Outbox
from rsu.uplink.session import Backoff, Session


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
        )
        self._session = Session(
            options, site_id, base, self._outbox, boot_ns=boot_ns, backoff=backoff
        )

    def start(self) -> None:
        """Open the outbox and begin to connect; returns at once."""
        self._outbox.start(self._session.wake)
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
        ended = self._session.stop(timeout_s)
        left = max(timeout_s - (time.monotonic() - began), 1.0)
        return self._outbox.close(left) and ended
