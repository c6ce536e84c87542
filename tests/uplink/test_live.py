"""Live messages go out at once or are dropped and counted; they never wait on disk."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from rsu.config.uplink import UplinkOptions
from rsu.uplink.client import UplinkClient
from rsu.uplink.live import NS_PER_S, WAITING, LiveDrop, LiveQueue
from rsu.uplink.session import Backoff


class Clock:
    def __init__(self) -> None:
        self.now = 10 * NS_PER_S

    def __call__(self) -> int:
        return self.now


def balances(queue: LiveQueue) -> bool:
    stats = queue.stats()
    return stats.offered == stats.sent + stats.waiting + sum(stats.dropped.values())


def test_each_reason_is_counted_and_the_numbers_balance() -> None:
    clock = Clock()
    queue = LiveQueue(clock)
    assert not queue.put("v2x/1", b"a", 1.0)  # no connection yet
    queue.open()
    assert not queue.put("v2x/#", b"a", 1.0)
    assert not queue.put("", b"a", 1.0)
    assert not queue.put("v2x/1", b"a", float("nan"))
    for i in range(WAITING + 3):
        assert queue.put("v2x/1", bytes([i]), 1.0)
    first = queue.take()
    assert first is not None
    assert first.payload == b"\x03"  # the three oldest made room
    queue.unsent(LiveDrop.OFFLINE)
    clock.now += int(1.1 * NS_PER_S)
    assert queue.put("v2x/1", b"new", 1.0)
    second = queue.take()
    assert second is not None
    assert second.payload == b"new"
    assert queue.put("v2x/1", b"late", 1.0)
    queue.close()
    assert queue.take() is None
    assert queue.stats().dropped == {
        "offline": 3, "invalid": 3, "full": 3, "stale": WAITING - 1,
    }  # fmt: skip
    assert balances(queue)


@pytest.mark.component
def test_live_messages_reach_a_subscriber_and_none_waits_for_a_frozen_broker(
    make_broker: Any, subscribe: Any, until: Any, tmp_path: Path
) -> None:
    broker = make_broker()
    broker.start()
    subscriber = subscribe(broker.port, "#")
    chosen = UplinkOptions(host="127.0.0.1", port=broker.port, keepalive_s=5)
    client = UplinkClient(chosen, "corner", tmp_path, backoff=Backoff(0.1, 0.5))
    assert not client.publish_live("v2x/1320/rsm", b"before", 1.0)
    client.start()
    try:
        until(lambda: client.stats().connected, what=client.stats)
        for i in range(20):
            assert client.publish_live("v2x/1320/rsm", b"%d" % i, 1.0)
        until(lambda: len([m for m in subscriber.messages if m[0] == "v2x/1320/rsm"]) == 20)
        broker.signal(signal.SIGSTOP)
        accepted = 0
        for _ in range(2000):  # 40 MB: far more than kernel and queue take
            accepted += client.publish_live("v2x/1320/big", bytes(20_000), 0.2)
        until(lambda: not client.stats().connected, 20.0, client.stats)
        until(lambda: client.live_stats().waiting == 0)
        stats = client.live_stats()
        assert stats.offered == stats.sent + sum(stats.dropped.values()) == 2021
        assert stats.dropped["full"] + stats.dropped.get("stale", 0) > 1500
        assert client.stats().produced == 0  # nothing of it went through the outbox
    finally:
        broker.signal(signal.SIGCONT)
        client.stop(1.0)
