"""All profiles at once to a real broker, and the live downlink beside them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rsu.config.uplink import OutboxOptions, UplinkOptions
from rsu.schema.reports import BINARY
from rsu.uplink.client import UplinkClient

pytestmark = [pytest.mark.component, pytest.mark.timeout(120)]


def test_every_report_arrives_at_its_topic_octet_for_octet(
    make_broker: Callable[..., Any],
    subscribe: Callable[..., Any],
    until: Callable[..., None],
    play: Any,
    options: dict[str, Any],
    tmp_path: Path,
) -> None:
    broker = make_broker()
    broker.start()
    subscriber = subscribe(broker.port, "#")
    client = UplinkClient(
        UplinkOptions(
            host="127.0.0.1", port=broker.port, profiles=tuple(options.values()),
            outbox=OutboxOptions(path=Path("outbox.db")),
        ),
        "corner",
        tmp_path,
    )  # fmt: skip
    made = play(*options.values())
    client.start()
    try:
        for report in made:
            client.offer(report)
        until(lambda: client.stats().delivered == len(made), 60, client.stats)
        until(lambda: client.stats().connected)
        own = "v2x/132100330113311131/SPAT"
        assert client.publish_live(own, b"\x01\x02", 5.0)
        until(lambda: any(topic == own for topic, _, _ in subscriber.messages), 20)
    finally:
        client.stop(5.0)
    found: dict[str, tuple[str, bytes, Any]] = {}
    for topic, body, properties in subscriber.messages:
        for key, name in getattr(properties, "UserProperty", []):
            if key == "id":
                found[name] = topic, body, properties
    assert found.keys() >= {report.id for report in made}
    for report in made:
        topic, body, properties = found[report.id]
        assert (topic, body) == (report.topic("rsu/corner"), report.body)
        assert properties.ContentType == report.content_type
        text = getattr(properties, "PayloadFormatIndicator", 0)
        assert text == int(report.content_type != BINARY)
    (live,) = [body for topic, body, _ in subscriber.messages if topic == own]
    assert live == b"\x01\x02"
