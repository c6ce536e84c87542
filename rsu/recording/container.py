"""One MCAP file being written, in MCAP's own terms: schemas, channels, messages, metadata.

Used by the recorder's `McapFile` and by the tools that rewrite recordings (`recover`, `cut`). On
top of the mcap library it keeps three promises: the file on disk always ends with a whole chunk,
schemas and channels are also written outside the chunks (so that the loss of one chunk does not
make the following ones unreadable), and every failure is a RecordingError.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from mcap.data_stream import RecordBuilder
from mcap.records import Channel, Schema
from mcap.writer import CompressionType, Writer

from rsu.recording.errors import RecordingError
from rsu.recording.layout import CHANNEL_LIMIT, CHUNK_BYTES, PROFILE
from rsu.recording.sink import FileSink, sync_folder

ChannelKey = tuple[str, str, int, tuple[tuple[str, str], ...]]


class Container:
    """An MCAP file open for writing. Every method raises RecordingError when the disk refuses."""

    def __init__(
        self, path: Path, *, overwrite: bool = False, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self.path = path
        self.messages = 0
        self._pending = 0
        self._schemas: dict[tuple[str, str, bytes], int] = {}
        self._channels: dict[ChannelKey, int] = {}
        with self._errors():
            self._sink = FileSink(path, overwrite=overwrite)
        # The data section as a whole carries no CRC (that is MCAP's default too): each chunk has
        # its own, which tells where the damage is instead of merely that there is some.
        self._writer = Writer(
            self._sink,  # type: ignore[arg-type]  # write, tell and flush are all it uses
            chunk_size=chunk_bytes,
            compression=CompressionType.ZSTD,
        )
        self._writer.start(profile=PROFILE)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._sink.committed

    @property
    def pending(self) -> int:
        """Messages in the chunk that is not on disk yet."""
        return self._pending

    @property
    def closed(self) -> bool:
        """Whether the file is closed, finished or not."""
        return self._sink.closed

    @property
    def full(self) -> bool:
        """Whether no more channels fit."""
        return len(self._channels) >= CHANNEL_LIMIT

    @property
    def next_channel(self) -> int:
        """The number that the next new channel will get."""
        return len(self._channels) + 1

    def schema(self, name: str, encoding: str, data: bytes) -> int:
        """Id of a schema, written when first asked for."""
        key = (name, encoding, data)
        found = self._schemas.get(key)
        if found is None:
            found = self._writer.register_schema(name, encoding, data)
            self._schemas[key] = found
            self._outside_chunks(Schema(id=found, data=data, encoding=encoding, name=name))
        return found

    def channel(self, topic: str, encoding: str, schema: int, metadata: Mapping[str, str]) -> int:
        """Id of a channel, written when first asked for."""
        key = (topic, encoding, schema, tuple(sorted(metadata.items())))
        found = self._channels.get(key)
        if found is None:
            if self.full:
                raise RecordingError(self.path, f"more than {CHANNEL_LIMIT} channels in one file")
            fields = dict(metadata)
            found = self._writer.register_channel(topic, encoding, schema, fields)
            self._channels[key] = found
            self._outside_chunks(
                Channel(
                    id=found, topic=topic, message_encoding=encoding, metadata=fields,
                    schema_id=schema,
                )
            )  # fmt: skip
        return found

    def add(
        self, channel: int, sequence: int, log_time: int, publish_time: int, data: bytes
    ) -> None:
        """One message; a chunk that it fills goes to disk."""
        waiting = self._sink.waiting
        self._pending += 1
        self.messages += 1
        self._writer.add_message(channel, log_time, data, publish_time, sequence)
        if self._sink.waiting != waiting:  # the writer has just closed the chunk
            self._commit(sync=False)

    def metadata(self, name: str, fields: Mapping[str, str]) -> None:
        """One metadata record, ahead of the chunk that is being filled."""
        self._writer.add_metadata(name, dict(fields))

    def flush(self, *, sync: bool = False) -> None:
        """Close the chunk and put everything on disk; `sync` also against a power cut."""
        self._writer.flush()  # type: ignore[no-untyped-call]  # mcap annotates arguments only
        self._commit(sync=sync)

    def close(self, *, sync: bool = False) -> None:
        """Write the indexes and close. The file is closed even when that fails."""
        if self._sink.closed:
            return
        try:
            self.flush()
            self._writer.finish()  # type: ignore[no-untyped-call]
            self._commit(sync=sync)
            if sync:
                with self._errors():
                    sync_folder(self.path.parent)
        finally:
            self._sink.close()

    def abandon(self) -> None:
        """Close without writing anything more: the file stays as it is on disk."""
        self._sink.close()

    def _outside_chunks(self, record: Schema | Channel) -> None:
        builder = RecordBuilder()
        record.write(builder)
        self._sink.write(builder.end())  # type: ignore[no-untyped-call]

    def _commit(self, *, sync: bool) -> None:
        with self._errors():
            self._sink.commit(sync=sync)
        self._pending = 0

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            problem = error.strerror or str(error)
            raise RecordingError(self.path, problem, errno=error.errno) from error
