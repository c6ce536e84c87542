"""Recordings back into messages.

In: MCAP files, folders of them, or both. Out: the messages exactly as they were recorded, in log
order. What is damaged is left out, and said: `read_messages` raises DamagedRecordingError behind
the last whole message, a `Recording` lists every damage.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from mcap.records import Channel, Metadata, Schema

from rsu.recording.errors import Damage, DamagedRecordingError, RecordingError
from rsu.recording.layout import (
    CLOCK_STEP_NS,
    METADATA_RECORDING,
    OCTETS,
    RAW_TX_TOPIC,
    ChannelIdentity,
    identify,
    intact,
)
from rsu.recording.scan import (
    ChunkContent,
    ChunkDamagedError,
    ChunkPlace,
    FileScan,
    RawMessage,
    read_chunk,
    scan,
)
from rsu.schema.message import Header, Message
from rsu.schema.topics import JOURNAL, Topic
from rsu.schema.wire import WireError, from_json

Paths = Path | str | Sequence[Path | str]
Order = Literal["log", "written"]
Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all)."""
RECOVERED_SUFFIX = ".recovered.mcap"


class RecordedMessage(NamedTuple):
    """A message of ours whose payload is still JSON."""

    header: Header
    topic: Topic
    data: bytes


def read_messages(
    paths: Paths,
    topics: Iterable[Topic | str] | None = None,
    *,
    order: Order = "log",
    allow_unfinished: bool = False,
) -> Iterator[Message]:
    """Every message of one recording, which may be several files or a folder.

    `order` "log": by `publish_ns`, ties as written. A clock that was stepped back during the
    recording begins a new stretch, which follows the earlier one whatever its times say.
    "written": as the recorder received them.

    Raises RecordingError before the first message when there is nothing to read, and
    DamagedRecordingError behind the last one when something was missing. `allow_unfinished`
    takes a file that its recorder has not closed (yet) for what it is: whole as far as it goes.
    """
    recording = Recording(paths)
    count = 0
    for message in recording.messages(topics, order=order):
        yield message
        count += 1
    damages = [d for d in recording.damages if not (d.unfinished and allow_unfinished)]
    if damages:
        raise DamagedRecordingError(tuple(damages), count)


def has_journal(paths: Paths) -> bool:
    """Whether a recording holds a journal, so that it can be replayed step by step."""
    recording = Recording(paths)
    return next(iter(recording.recorded([JOURNAL], order="written")), None) is not None


def files_of(paths: Paths) -> list[Path]:
    """The MCAP files that these paths mean; a folder means all in it.

    A file that has been repaired (`x.recovered.mcap` beside `x.mcap`) is left out of its folder
    in favour of the repaired one.
    """
    given = [paths] if isinstance(paths, (str, Path)) else paths
    found: dict[Path, None] = {}
    for path in map(Path, given):
        if path.is_dir():
            inside = sorted(path.glob("*.mcap"))
            repaired = {
                p.name.removesuffix(RECOVERED_SUFFIX)
                for p in inside
                if p.name.endswith(RECOVERED_SUFFIX)
            }
            inside = [p for p in inside if p.name.removesuffix(".mcap") not in repaired]
            if not inside:
                raise RecordingError(path, "no .mcap file in this folder")
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
    return list(found)


class RecordingFile:
    """One file: its scan, and its chunks unpacked on demand."""

    def __init__(self, path: Path) -> None:
        try:
            self.scan: FileScan = scan(path)
        except OSError as error:
            problem = error.strerror or str(error)
            raise RecordingError(path, problem, errno=error.errno) from error
        self.path = path
        self._identities: dict[int, ChannelIdentity] = {}
        self._channels: dict[int, Channel] = {}
        self._schemas: dict[int, Schema] = dict(self.scan.schemas)
        self._all_read = False
        for channel in self.scan.channels.values():
            self._define(channel)

    @property
    def metadata(self) -> list[Metadata]:
        """Metadata records; ours only where their check holds."""
        return [
            record
            for record in self.scan.metadata
            if not record.name.startswith("rsu.") or intact(record.metadata, record.name)
        ]

    def metadata_named(self, name: str) -> dict[str, str] | None:
        """The content of the first intact record of that name."""
        return next((r.metadata for r in self.metadata if r.name == name), None)

    def place(self) -> tuple[int, int, str]:
        """Sorts files in the order of their making: by run, number within it, name."""
        fields = self.metadata_named(METADATA_RECORDING)
        if fields is not None:
            try:
                return int(fields["boot_ns"]), int(fields["part"]), self.path.name
            except (KeyError, ValueError):
                pass
        first = min((chunk.start_ns for chunk in self.scan.chunks), default=0)
        return first, 0, self.path.name

    def chunk(self, file: BinaryIO, place: ChunkPlace) -> ChunkContent | None:
        """A chunk's content; None, and a damage noted, when it is not whole."""
        try:
            content = read_chunk(file, place)
        except ChunkDamagedError as error:
            self.note_damage(place, f"damaged chunk: {error}")
            return None
        for schema in content.schemas:
            self._schemas[schema.id] = schema
        for channel in content.channels:  # protected by the chunk's CRC: these win
            self._define(channel)
        return content

    def identity(self, channel: int) -> ChannelIdentity | None:
        """Whose messages a channel holds; None when not ours."""
        return self._identities.get(channel)

    def channel(self, channel: int) -> Channel | None:
        """A channel in MCAP's own terms; None when its definition is lost."""
        return self._channels.get(channel)

    def schema(self, schema: int) -> Schema | None:
        """A schema by its number; None when it is lost, or 0 (no schema)."""
        return self._schemas.get(schema)

    def find_definitions(self, file: BinaryIO) -> None:
        """Read all chunks for channel definitions: for files that keep them only there."""
        if self._all_read:
            return
        self._all_read = True
        known = list(self.scan.damages)
        for place in self.scan.chunks:
            self.chunk(file, place)
        self.scan.damages[:] = known  # they are noted when the chunks are read in earnest

    def note_damage(self, place: ChunkPlace, reason: str) -> None:
        """Remember one damaged chunk, once."""
        damage = Damage(self.path, place.offset, place.length, reason)
        if damage not in self.scan.damages:
            self.scan.damages.append(damage)

    def _define(self, channel: Channel) -> None:
        self._channels[channel.id] = channel
        identity = identify(channel)
        if identity is None:
            self._identities.pop(channel.id, None)
        else:
            self._identities[channel.id] = identity


class Recording:
    """One recording of one or more files, open for reading as often as wanted.

    After reading, `damages` holds what could not be used and `foreign` counts messages on channels
    that are not ours, by topic. Raises RecordingError when a file cannot be opened, or when none
    of the files is MCAP.
    """

    def __init__(self, paths: Paths, *, progress: Progress | None = None) -> None:
        self.foreign: Counter[str] = Counter()
        self._unusable: Counter[tuple[RecordingFile, str]] = Counter()
        self._progress = progress
        self._done = 0
        self.files = sorted(map(RecordingFile, files_of(paths)), key=RecordingFile.place)
        if not any(file.scan.header or file.scan.chunks for file in self.files):
            raise RecordingError(self.files[0].path, "not an MCAP recording")

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.scan.size for file in self.files)

    @property
    def damages(self) -> list[Damage]:
        """Everything that could not be used, as far as has been read."""
        found = [damage for file in self.files for damage in file.scan.damages]
        for (file, reason), count in self._unusable.items():
            found.append(Damage(file.path, 0, 0, f"{count} messages {reason}"))
        return found

    def messages(
        self, topics: Iterable[Topic | str] | None = None, *, order: Order = "log"
    ) -> Iterator[Message]:
        """See `read_messages`; damage is only noted."""
        for file, recorded in self._recorded(topics, order):
            try:
                payload = from_json(recorded.topic, recorded.data)
            except WireError:
                # e.g. written by a version whose payload had other fields
                self._unusable[file, f"of {recorded.topic.name} do not fit their type"] += 1
                continue
            yield Message(recorded.topic, recorded.header, payload)

    def recorded(
        self, topics: Iterable[Topic | str] | None = None, *, order: Order = "log"
    ) -> Iterator[RecordedMessage]:
        """The same with payloads as the JSON they are recorded in."""
        for _, recorded in self._recorded(topics, order):
            yield recorded

    def _recorded(
        self, topics: Iterable[Topic | str] | None, order: Order
    ) -> Iterator[tuple[RecordingFile, RecordedMessage]]:
        wanted = None if topics is None else {t if isinstance(t, str) else t.name for t in topics}
        for file, raw in self._raw(order):
            identity = file.identity(raw.channel)
            if identity is None:
                self._note_foreign(file, raw)
            elif wanted is None or identity.topic.name in wanted:
                yield file, RecordedMessage(_header(identity, raw), identity.topic, raw.data)

    def _note_foreign(self, file: RecordingFile, raw: RawMessage) -> None:
        channel = file.channel(raw.channel)
        if channel is None:
            self._unusable[file, "on channels whose definition is lost"] += 1
        elif (channel.topic, channel.message_encoding) != (RAW_TX_TOPIC, OCTETS):
            self.foreign[channel.topic] += 1

    def _raw(self, order: Order) -> Iterator[tuple[RecordingFile, RawMessage]]:
        self.foreign.clear()
        self._unusable.clear()
        self._done = 0
        places = [(file, place) for file in self.files for place in file.scan.chunks]
        if order == "written":
            yield from self._in_sequence(places)
            return
        for stretch in _stretches(places):
            yield from self._merged(stretch)

    def _in_sequence(
        self, places: list[tuple[RecordingFile, ChunkPlace]]
    ) -> Iterator[tuple[RecordingFile, RawMessage]]:
        with _OpenFiles() as opened:
            for file, place in places:
                for raw in self._load(opened, file, place):
                    yield file, raw

    def _merged(
        self, places: list[tuple[RecordingFile, ChunkPlace]]
    ) -> Iterator[tuple[RecordingFile, RawMessage]]:
        """Messages by log time; a chunk is unpacked when its time has come."""
        queue: list[tuple[int, int, int, RecordingFile, RawMessage]] = []
        ordered = sorted(enumerate(places), key=lambda item: (item[1][1].start_ns, item[0]))
        with _OpenFiles() as opened:
            for written, (file, place) in ordered:
                while queue and queue[0][0] < place.start_ns:
                    yield heapq.heappop(queue)[3:]
                for number, raw in enumerate(self._load(opened, file, place)):
                    heapq.heappush(queue, (raw.log_time, written, number, file, raw))
            while queue:
                yield heapq.heappop(queue)[3:]

    def _load(
        self, opened: _OpenFiles, file: RecordingFile, place: ChunkPlace
    ) -> tuple[RawMessage, ...]:
        stream = opened.stream(file.path)
        content = file.chunk(stream, place)
        if self._progress is not None:
            self._done += place.length
            self._progress(self._done, self.size)
        if content is None:
            return ()
        if any(file.channel(raw.channel) is None for raw in content.messages):
            file.find_definitions(stream)
        return content.messages


class _OpenFiles:
    """Keeps the files being read open, the one used last."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._stream: BinaryIO | None = None

    def stream(self, path: Path) -> BinaryIO:
        if self._stream is None or self._path != path:
            self.close()
            try:
                self._stream = path.open("rb")
            except OSError as error:  # e.g. the quota deleted it meanwhile
                problem = error.strerror or str(error)
                raise RecordingError(path, problem, errno=error.errno) from error
            self._path = path
        return self._stream

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def __enter__(self) -> _OpenFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _stretches(
    places: list[tuple[RecordingFile, ChunkPlace]],
) -> Iterator[list[tuple[RecordingFile, ChunkPlace]]]:
    """Runs of chunks between which the clock was not stepped back."""
    stretch: list[tuple[RecordingFile, ChunkPlace]] = []
    latest = 0
    for file, place in places:
        if stretch and place.start_ns < latest - CLOCK_STEP_NS:
            yield stretch
            stretch, latest = [], 0
        stretch.append((file, place))
        latest = max(latest, place.end_ns)
    if stretch:
        yield stretch


def _header(identity: ChannelIdentity, raw: RawMessage) -> Header:
    return Header(
        identity.topic.name,
        identity.source,
        identity.boot_ns,
        identity.seq_high << 32 | raw.sequence,
        raw.publish_time,
        raw.log_time,
    )
