"""A damaged recording made readable again.

In: one MCAP file, cut off or corrupted. Out: a new, finished file with every chunk whose CRC
holds, before and behind the damage, and a report of what was lost. Chunks are copied message by
message without being decoded, so files of other tools are repaired too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from rsu.recording.container import Container
from rsu.recording.errors import RecordingError
from rsu.recording.layout import (
    METADATA_RECOVERED,
    RAW_TX_TOPIC,
    channel_metadata,
    checked,
    identify,
)
from rsu.recording.reader import RECOVERED_SUFFIX, Progress, RecordingFile
from rsu.recording.scan import RawMessage


class RecoveryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What came through. `damages` says in words what did not, and where.

    `messages` leaves out the raw copies of V2X frames; `undefined` counts messages whose channel
    definition is lost, `lost_bytes` the bytes of the source in damaged stretches.
    """

    source: str
    target: str
    chunks: int
    damaged_chunks: int
    messages: int
    undefined: int
    lost_bytes: int
    damages: tuple[str, ...]


def recovered_path(source: Path) -> Path:
    """Where a repaired file goes by default; a folder's reader then prefers it to its source."""
    return source.with_name(source.name.removesuffix(".mcap") + RECOVERED_SUFFIX)


def recover(
    source: Path, target: Path | None = None, *, progress: Progress | None = None
) -> RecoveryReport:
    """Copy everything whole in `source` to `target` (must not exist yet).

    Raises RecordingError when the source holds nothing to recover, or the target cannot be
    written; then no target is left behind.
    """
    target = target or recovered_path(source)
    file = RecordingFile(source)
    if file.scan.loose_messages and not file.scan.chunks:
        raise RecordingError(source, "its messages are not in chunks: nothing proves them whole")
    if not file.scan.chunks and not file.scan.metadata:
        raise RecordingError(source, "nothing in it can be recovered")
    with _new_file(target) as container:
        copier = _Copier(file, container)
        copier.metadata()
        copied = damaged = 0
        with source.open("rb") as stream:
            file.find_definitions(stream)
            for done, place in enumerate(file.scan.chunks, start=1):
                content = file.chunk(stream, place)
                if content is None:
                    damaged += 1
                else:
                    copied += 1
                    copier.messages(content.messages)
                if progress is not None:
                    progress(done, len(file.scan.chunks))
        damages = tuple(map(str, file.scan.damages))
        container.metadata(
            METADATA_RECOVERED,
            checked({"source": source.name, "damages": "\n".join(damages)}, METADATA_RECOVERED),
        )
    return RecoveryReport(
        source=str(source),
        target=str(target),
        chunks=copied,
        damaged_chunks=damaged,
        messages=copier.copied,
        undefined=copier.undefined,
        lost_bytes=sum(damage.length for damage in file.scan.damages),
        damages=damages,
    )


@contextlib.contextmanager
def _new_file(target: Path) -> Iterator[Container]:
    """A container that vanishes again when its making fails."""
    container = Container(target)
    try:
        yield container
        container.close(sync=True)
    except BaseException:
        container.abandon()
        target.unlink(missing_ok=True)
        raise


class _Copier:
    """Moves raw messages into another file under that file's own channel numbers."""

    def __init__(self, file: RecordingFile, container: Container) -> None:
        self._file = file
        self._container = container
        self._numbers: dict[int, int] = {}
        self.copied = 0
        self.undefined = 0

    def metadata(self) -> None:
        for record in self._file.metadata:
            self._container.metadata(record.name, record.metadata)

    def messages(self, messages: tuple[RawMessage, ...]) -> None:
        for raw in messages:
            number = self._numbers.get(raw.channel) or self._define(raw.channel)
            if number is None:
                self.undefined += 1
                continue
            channel = self._file.channel(raw.channel)
            if channel is not None and channel.topic != RAW_TX_TOPIC:
                self.copied += 1
            self._container.add(number, raw.sequence, raw.log_time, raw.publish_time, raw.data)
        self._container.flush()  # chunk by chunk, as the source was

    def _define(self, old: int) -> int | None:
        channel = self._file.channel(old)
        if channel is None:
            return None
        schema = self._file.schema(channel.schema_id)
        schema_number = (
            0
            if schema is None
            else self._container.schema(schema.name, schema.encoding, schema.data)
        )
        metadata = dict(channel.metadata)
        identity = identify(channel)
        if identity is not None:
            metadata = channel_metadata(
                channel.topic,
                identity.source,
                identity.boot_ns,
                identity.seq_high,
                self._container.next_channel,
            )
        self._numbers[old] = self._container.channel(
            channel.topic, channel.message_encoding, schema_number, metadata
        )
        return self._numbers[old]
