"""The child process of the uplink: reports from what the bus says, to the durable outbox.

In: the topics of the report stage. Out: the reports made, as they were handed to the outbox, and
the numbers of outbox and session.
"""

from __future__ import annotations

from collections.abc import Iterable

from rsu.runtime import graph
from rsu.runtime.group_turns import group_turn
from rsu.runtime.worker import Surroundings
from rsu.schema.message import Message
from rsu.schema.reports import LivePublication
from rsu.schema.topics import UPLINK_LIVE, UPLINK_REPORT
from rsu.schema.units import NS_PER_S
from rsu.uplink.client import UplinkClient


class UplinkWorker:
    """Makes reports and hands them to the durable outbox."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        config = around.config
        build = graph.reports_builder(config, around.base)
        if build is None or config.uplink is None:
            raise ValueError("the site file has no uplink section")
        self._group = build(around.boot)
        self.topics = self._group.inputs
        self._client = UplinkClient(config.uplink, config.site.id, around.base)

    def start(self) -> None:
        self._client.start()
        self._around.bus.publish(self._group.take_journal(self._around.clock()))

    def turn(self, timeout_s: float) -> Iterable[Message]:
        for message in group_turn(self._group, self._around, timeout_s):
            if message.topic == UPLINK_REPORT:
                self._client.offer(message.payload)
            elif message.topic == UPLINK_LIVE:
                self._publish_live(message.payload)
                continue  # of no use to anybody else
            yield message
        self._measure()

    def stop(self) -> None:
        self._client.stop(timeout_s=1.5)

    def _publish_live(self, live: LivePublication) -> None:
        """To each of its topics, within what is left of its age."""
        left_s = live.max_age_s - (self._around.clock().utc_ns - live.time_ns) / NS_PER_S
        for topic in live.topics:
            # Too old already: given on all the same, so that it is counted as stale.
            self._client.publish_live(topic, live.payload, max(left_s, 1e-9))

    def _measure(self) -> None:
        stats, meter = self._client.stats(), self._around.meter
        meter.gauge("uplink_connected", float(stats.connected))
        meter.gauge("uplink_queued", stats.queued)
        meter.total("uplink_delivered_total", stats.delivered)
        for reason, count in stats.dropped.items():
            meter.total("uplink_dropped_total", count, reason=reason)
