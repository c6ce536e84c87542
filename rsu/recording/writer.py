"""One recording file: messages in, MCAP on disk.

`McapFile` turns messages into MCAP (see `layout`), keeps the tally of lost ones and says at close
what is missing. It reads no clock: a chunk ends by size or by the messages' own time, so the same
messages give the same file, byte for byte. Rotation and trouble with the disk are `recorder`'s.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

import rsu
from rsu.recording.container import Container
from rsu.recording.errors import RecordingError, UnwritableMessageError
from rsu.recording.layout import (
    CHUNK_BYTES,
    CHUNK_NS,
    CLOCK_STEP_NS,
    FORMAT,
    JSON,
    MESSAGE_LIMIT,
    METADATA_END,
    METADATA_JOURNAL,
    METADATA_RECORDING,
    METADATA_SITE,
    OCTETS,
    RAW_TX_TOPIC,
    channel_metadata,
    checked,
    viewer_schema,
)
from rsu.recording.sequence import Tally
from rsu.schema.message import Header, Message
from rsu.schema.topics import V2X_TX, Topic
from rsu.schema.wire import to_json

UINT64 = 1 << 64  # range of MCAP's time fields


@dataclass(frozen=True, slots=True)
class JournalStart:
    """The START of a process group and the number of its next step: context for a later file."""

    boot_ns: int
    start_utc_ns: int
    start_mono_ns: int
    next_step: int


@dataclass(frozen=True, slots=True)
class Part:
    """A file's place among those of one run: its number, its forerunner's name, and the process
    groups that started before it."""

    number: int = 0
    previous: str = ""
    journal: Mapping[str, JournalStart] = field(default_factory=dict)


class McapFile:
    """One MCAP file open for writing. Raises RecordingError where the disk refuses.

    `metadata` says where the recording comes from, so that it can be replayed years later: `site`
    (id), `config` (the site file's text), `profile` (V2X message set), `version` (of this
    program), `boot_ns` (UTC start of the run, which may span several files); other keys are kept
    as given. An existing file is refused unless `overwrite`.

    A file that is never closed (power cut, kill) holds everything up to the last `flush`, at the
    latest one second of messages or one chunk ago.
    """

    def __init__(
        self,
        path: Path,
        metadata: Mapping[str, str],
        *,
        part: Part | None = None,
        tally: Tally | None = None,
        overwrite: bool = False,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.path = path
        self.tally = tally or Tally()
        self._container = Container(path, overwrite=overwrite, chunk_bytes=chunk_bytes)
        self._channels: dict[tuple[str, str, int, int], int] = {}
        self._raw_channels: dict[tuple[str, str, int, int, str], int] = {}
        self._chunk_first_ns: int | None = None
        self._unflushed = 0
        self._messages = 0
        try:
            self._write_provenance(metadata, part or Part())
            self._container.flush()
        except RecordingError:
            self._container.abandon()
            with contextlib.suppress(OSError):
                path.unlink()  # an empty file would only look like a recording
            raise

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._container.size

    @property
    def messages(self) -> int:
        """Messages written."""
        return self._messages

    @property
    def pending(self) -> int:
        """Messages that would be lost if the process died now."""
        return self._unflushed

    @property
    def full(self) -> bool:
        """Whether no more channels fit: time for the next file."""
        return self._container.full

    def write(self, message: Message) -> None:
        """Keep one message.

        Raises UnwritableMessageError for one that cannot be kept (the file goes on), else
        RecordingError (the file is as it was after its last whole chunk).
        """
        header = message.header
        self._check(message.topic, header)
        # Counted first: what cannot be encoded, or what the disk refuses, did arrive here.
        self.tally.note(header.topic, header.source, header.boot_ns, header.seq)
        data = self._encode(message)
        if self._chunk_is_due(header.publish_ns):
            self.flush()
        if self._chunk_first_ns is None:
            self._chunk_first_ns = header.publish_ns
        self._messages += 1
        self._unflushed += 1
        self._add(self._channel(message.topic, header), header, data)
        if message.topic == V2X_TX:
            raw = self._raw_channel(header, message.payload.profile)
            self._add(raw, header, message.payload.payload)

    def flush(self, *, sync: bool = False) -> None:
        """Put everything on disk; `sync` waits until it would survive a power cut."""
        self._chunk_first_ns = None
        self._container.flush(sync=sync)
        self._unflushed = 0

    def close(self, *, sync: bool = False, dropped: Mapping[str, int] | None = None) -> None:
        """Say what is missing, write the indexes, close. May be called again."""
        if self._container.closed:
            return
        try:
            self.flush()
        except RecordingError:
            self._container.abandon()
            raise
        end = {
            "messages": str(self._messages),
            "lost": str(self.tally.lost),
            "dropped": msgspec.json.encode(dict(dropped or {})).decode(),
            "streams": msgspec.json.encode([asdict(s) for s in self.tally.streams()]).decode(),
        }
        self._container.metadata(METADATA_END, checked(end, METADATA_END))
        self._container.close(sync=sync)

    def abandon(self) -> None:
        """Close without another write: the disk has refused."""
        self._container.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _check(self, topic: Topic, header: Header) -> None:
        if topic.payload is None or not topic.recorded:
            raise UnwritableMessageError(
                self.path, "not_recorded", f"topic {topic.name!r} is not recorded"
            )
        times = (header.publish_ns, header.capture_ns)
        if header.seq < 0 or not all(0 <= time < UINT64 for time in times):
            raise UnwritableMessageError(
                self.path, "not_stamped", f"message without identity or time: {header}"
            )

    def _encode(self, message: Message) -> bytes:
        try:
            data = to_json(message.payload)
            message.header.source.encode()
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
            raise UnwritableMessageError(
                self.path, "not_encodable", f"{message.topic.name}: {error}"
            ) from error
        if len(data) > MESSAGE_LIMIT:
            raise UnwritableMessageError(
                self.path, "too_large", f"{message.topic.name}: {len(data)} bytes of JSON"
            )
        return data

    def _chunk_is_due(self, publish_ns: int) -> bool:
        first = self._chunk_first_ns
        return first is not None and not -CLOCK_STEP_NS < publish_ns - first < CHUNK_NS

    def _add(self, channel: int, header: Header, data: bytes) -> None:
        self._container.add(
            channel, header.seq & 0xFFFF_FFFF, header.publish_ns, header.capture_ns, data
        )
        if self._container.pending == 0:  # the chunk was full
            self._chunk_first_ns = None
            self._unflushed = 0

    def _channel(self, topic: Topic, header: Header) -> int:
        high = header.seq >> 32
        key = (topic.name, header.source, header.boot_ns, high)
        channel = self._channels.get(key)
        if channel is None:
            payload = topic.payload
            assert payload is not None
            schema = self._container.schema(
                f"rsu.{payload.__name__}", "jsonschema", viewer_schema(topic)
            )
            metadata = channel_metadata(
                topic.name, header.source, header.boot_ns, high, self._container.next_channel
            )
            channel = self._container.channel(topic.name, JSON, schema, metadata)
            self._channels[key] = channel
        return channel

    def _raw_channel(self, header: Header, profile: str) -> int:
        high = header.seq >> 32
        key = (RAW_TX_TOPIC, header.source, header.boot_ns, high, profile)
        channel = self._raw_channels.get(key)
        if channel is None:
            metadata = {
                "source": header.source,
                "boot_ns": str(header.boot_ns),
                "seq_high": str(high),
                "profile": profile,
            }
            channel = self._container.channel(RAW_TX_TOPIC, OCTETS, 0, metadata)
            self._raw_channels[key] = channel
        return channel

    def _write_provenance(self, metadata: Mapping[str, str], part: Part) -> None:
        recording = {
            "version": rsu.__version__,
            **{key: text for key, text in metadata.items() if key != "config"},
            "format": FORMAT,
            "part": str(part.number),
            "previous": part.previous,
        }
        text = metadata.get("config", "")
        site = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "text": text}
        journal = {
            group: msgspec.json.encode(asdict(start)).decode()
            for group, start in part.journal.items()
        }
        records = ((METADATA_RECORDING, recording), (METADATA_SITE, site))
        for name, fields in records:
            self._container.metadata(name, checked(fields, name))
        if journal:
            self._container.metadata(METADATA_JOURNAL, checked(journal, METADATA_JOURNAL))
