"""A part of a recording as a recording of its own: some minutes, some topics, several files in one.

In: a recording. Out: one new MCAP file with the original messages, headers included, and the
provenance of the first file. Nothing is decoded that need not be.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from rsu.recording.container import Container
from rsu.recording.errors import RecordingError
from rsu.recording.layout import (
    JSON,
    METADATA_END,
    OCTETS,
    RAW_TX_TOPIC,
    channel_metadata,
    viewer_schema,
)
from rsu.recording.reader import RecordedMessage, Recording
from rsu.schema.topics import V2X_TX, Topic
from rsu.schema.wire import WireError, from_json


def cut(
    recording: Recording,
    target: Path,
    *,
    start_ns: int | None = None,
    end_ns: int | None = None,
    topics: Iterable[Topic | str] | None = None,
) -> int:
    """Write the messages with start ≤ publish time < end to `target`; returns how many.

    `target` must not exist yet; raises RecordingError when it cannot be written (it is then
    removed again).
    """
    container = Container(target)
    try:
        count = _copy(recording, container, start_ns, end_ns, topics)
        container.close()
    except RecordingError:
        container.abandon()
        with contextlib.suppress(OSError):
            target.unlink()
        raise
    return count


def _copy(
    recording: Recording,
    container: Container,
    start_ns: int | None,
    end_ns: int | None,
    topics: Iterable[Topic | str] | None,
) -> int:
    for record in recording.files[0].metadata:
        if record.name != METADATA_END:  # its counts are those of the whole
            container.metadata(record.name, record.metadata)
    numbers: dict[tuple[str, str, int, int], int] = {}
    count = 0
    for recorded in recording.recorded(topics):
        header = recorded.header
        if start_ns is not None and header.publish_ns < start_ns:
            continue
        if end_ns is not None and header.publish_ns >= end_ns:
            continue
        high, low = header.seq >> 32, header.seq & 0xFFFF_FFFF
        key = (header.topic, header.source, header.boot_ns, high)
        if key not in numbers:
            numbers[key] = _channel(container, recorded, high)
        container.add(numbers[key], low, header.publish_ns, header.capture_ns, recorded.data)
        if recorded.topic == V2X_TX:
            _add_raw(container, recorded, high, low)
        count += 1
    return count


def _channel(container: Container, recorded: RecordedMessage, high: int) -> int:
    header, payload = recorded.header, recorded.topic.payload
    assert payload is not None
    name = f"rsu.{payload.__name__}"
    schema = container.schema(name, "jsonschema", viewer_schema(recorded.topic))
    metadata = channel_metadata(
        header.topic, header.source, header.boot_ns, high, container.next_channel
    )
    return container.channel(header.topic, JSON, schema, metadata)


def _add_raw(container: Container, recorded: RecordedMessage, high: int, low: int) -> None:
    header = recorded.header
    try:
        frame = from_json(recorded.topic, recorded.data)
    except WireError:
        return  # its JSON is copied as it is; there are no octets to put beside it
    metadata = {
        "source": header.source,
        "boot_ns": str(header.boot_ns),
        "seq_high": str(high),
        "profile": frame.profile,
    }
    channel = container.channel(RAW_TX_TOPIC, OCTETS, 0, metadata)
    container.add(channel, low, header.publish_ns, header.capture_ns, frame.payload)
