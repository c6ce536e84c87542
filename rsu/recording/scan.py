"""Finding what is whole in an MCAP file, however badly it ended.

`scan` walks a file's records without unpacking its chunks and says where the chunks are, what
lies beside them and which stretches are damaged; `read_chunk` unpacks one chunk and believes it
only when its CRC holds. Behind damage the walk goes on at the next chunk that proves itself by
its CRC. No length found in a file is ever trusted with memory: it is bounded by the file's own
size and by `layout.RECORD_LIMIT`.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Footer, Header, Metadata, Schema

from rsu.recording.errors import Damage
from rsu.recording.layout import RECORD_LIMIT, UNPACKED_LIMIT, identify

MAGIC = b"\x89MCAP0\r\n"
RECORD_HEAD = struct.Struct("<BQ")  # opcode, length of what follows
CHUNK_HEAD = struct.Struct("<QQQII")  # start, end, unpacked size, CRC, length of compression name
MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time
COMPRESSION_AT = RECORD_HEAD.size + CHUNK_HEAD.size - 4
"""Offset of the compression name's length within a chunk record: what resynchronising looks for."""
COMPRESSIONS = (b"zstd", b"lz4", b"")
BLOCK = 1 << 20
FIRST_PRIVATE_OPCODE = 0x80


class _NotARecordError(Exception):
    """What lies here is not a record."""


class ChunkDamagedError(Exception):
    """A chunk that does not unpack to what it says it is."""


class RawMessage(NamedTuple):
    """One MCAP message; `data` is what its channel's encoding says."""

    channel: int
    sequence: int
    log_time: int
    publish_time: int
    data: bytes


class ChunkPlace(NamedTuple):
    """A chunk record: where it lies, how long it is and what time (log, ns) it says it spans."""

    offset: int
    length: int
    start_ns: int
    end_ns: int


class ChunkContent(NamedTuple):
    """A chunk whose CRC held, unpacked."""

    schemas: tuple[Schema, ...]
    channels: tuple[Channel, ...]
    messages: tuple[RawMessage, ...]


@dataclass(slots=True)
class FileScan:
    """What a file holds. `closed` says that the writer finished it properly."""

    path: Path
    size: int
    header: Header | None = None
    chunks: list[ChunkPlace] = field(default_factory=list)
    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    metadata: list[Metadata] = field(default_factory=list)
    loose_messages: int = 0
    closed: bool = False
    damages: list[Damage] = field(default_factory=list)


def scan(path: Path) -> FileScan:
    """Walk the file; raises OSError only."""
    with path.open("rb") as file:
        return _Walk(path, file).run()


class _Walk:
    """The walk over one file's records."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._found = FileScan(path, self._size)

    def run(self) -> FileScan:
        found = self._found
        position = len(MAGIC)
        if self._read(0, len(MAGIC)) != MAGIC:
            self._damage(0, 0, "does not begin as an MCAP file")
            position = self._resume(0)[1]
        found.closed = self._size > 2 * len(MAGIC) and self._read(
            self._size - len(MAGIC), len(MAGIC)
        ) == MAGIC  # fmt: skip
        end = self._size - len(MAGIC) if found.closed else self._size
        # Up to `trusted` every record proved consistent: damage may begin at once behind it.
        trusted = position
        while position < end:
            try:
                position, proven = self._record(position)
            except _NotARecordError as error:
                resumed, position = self._resume(trusted)
                self._damage(trusted, resumed - trusted, str(error))
                trusted = position
            else:
                trusted = position if proven else trusted
        if not found.closed:
            reason = "not closed: its recorder was stopped hard or is still writing"
            found.damages.append(Damage(found.path, self._size, 0, reason, unfinished=True))
        return found

    def _record(self, position: int) -> tuple[int, bool]:
        """(where the next record is, whether this one proved itself); raises _NotARecordError."""
        head = self._read(position, RECORD_HEAD.size)
        if len(head) < RECORD_HEAD.size:
            raise _NotARecordError("cut off within a record")
        opcode, length = RECORD_HEAD.unpack(head)
        body = position + RECORD_HEAD.size
        if length > self._size - body:
            raise _NotARecordError(f"record of {length} bytes reaches beyond the end")
        if opcode in _PARSED and length > RECORD_LIMIT:
            raise _NotARecordError(f"record of {length} bytes is longer than {RECORD_LIMIT}")
        proven = False
        if opcode == Opcode.CHUNK:
            self._chunk(position, length)
            proven = True
        elif opcode in _PARSED:
            self._parsed(opcode, body, length)
            proven = True
        elif opcode == Opcode.MESSAGE:
            self._found.loose_messages += 1
        elif opcode not in _SKIPPED and opcode < FIRST_PRIVATE_OPCODE:
            raise _NotARecordError(f"unknown record {opcode}")
        return body + length, proven

    def _chunk(self, position: int, length: int) -> None:
        place = self._chunk_place(position)
        if place is None or place.length != RECORD_HEAD.size + length:
            raise _NotARecordError("chunk whose lengths contradict each other")
        self._found.chunks.append(place)

    def _chunk_place(self, position: int) -> ChunkPlace | None:
        """The chunk record at `position`, by its inner lengths alone; None when there is none."""
        fixed = RECORD_HEAD.size + CHUNK_HEAD.size
        head = self._read(position, fixed + 4 + 8)
        if len(head) < fixed + 8:
            return None
        start, end, _, _, name_length = CHUNK_HEAD.unpack_from(head, RECORD_HEAD.size)
        name = head[fixed : fixed + name_length] if name_length <= 4 else b"?"
        if name not in COMPRESSIONS or len(name) != name_length:
            return None
        if len(head) < fixed + name_length + 8:
            return None
        (data_length,) = struct.unpack_from("<Q", head, fixed + name_length)
        length = fixed + name_length + 8 + data_length
        if data_length > RECORD_LIMIT or length > self._size - position:
            return None
        return ChunkPlace(position, length, start, end)

    def _parsed(self, opcode: int, body: int, length: int) -> None:
        found = self._found
        data = self._read(body, length)
        if opcode == Opcode.MESSAGE_INDEX:
            if length < 6 or struct.unpack_from("<HI", data)[1] != length - 6:
                raise _NotARecordError("damaged message index")
            return
        kind = _PARSED[opcode]
        record: object = _parse(kind, data)
        if record is None:
            raise _NotARecordError(f"damaged {kind.__name__.lower()} record")
        if isinstance(record, Channel):
            known = found.channels.get(record.id)
            if known is None or identify(known) is None:
                found.channels[record.id] = record
        elif isinstance(record, Schema):
            found.schemas.setdefault(record.id, record)
        elif isinstance(record, Metadata):
            found.metadata.append(record)
        elif isinstance(record, Header):
            found.header = record
        elif isinstance(record, Footer):
            self._check_summary(record, body, length)

    def _check_summary(self, footer: Footer, body: int, length: int) -> None:
        start = footer.summary_start
        if not start:
            return
        if start > body or body - start > RECORD_LIMIT:
            self._damage(body, length, "damaged closing record")
        elif footer.summary_crc:
            # The CRC covers the summary and the footer up to the CRC itself (MCAP, Footer).
            covered = self._read(start, body + length - 4 - start)
            if zlib.crc32(covered) != footer.summary_crc:
                self._damage(start, body - start, "damaged index at the end")

    def _resume(self, position: int) -> tuple[int, int]:
        """(where the next chunk that proves itself begins, where the walk goes on); else the end.

        Looks for a compression name with its length before it, where a chunk has one; that and
        the CRC identify a chunk even when its own opcode or length is what was damaged.
        """
        for candidate in self._candidates(position):
            place = self._chunk_place(candidate)
            if place is None:
                continue
            try:
                content = read_chunk(self._file, place, crc_needed=True)
            except ChunkDamagedError:
                continue
            if not content.messages:
                continue
            self._found.chunks.append(place)
            return candidate, candidate + place.length
        return self._size, self._size

    def _candidates(self, position: int) -> Iterator[int]:
        patterns = [struct.pack("<I", len(name)) + name for name in COMPRESSIONS if name]
        longest = max(map(len, patterns))
        start = position + COMPRESSION_AT
        while start < self._size:
            block = self._read(start, BLOCK + longest)
            hits = set()
            for pattern in patterns:
                hit = block.find(pattern)
                while hit >= 0:
                    hits.add(start + hit - COMPRESSION_AT)
                    hit = block.find(pattern, hit + 1)
            yield from sorted(hits)
            start += BLOCK

    def _read(self, position: int, length: int) -> bytes:
        self._file.seek(position)
        return self._file.read(length)

    def _damage(self, offset: int, length: int, reason: str) -> None:
        self._found.damages.append(Damage(self._found.path, offset, length, reason))


def read_chunk(file: BinaryIO, place: ChunkPlace, *, crc_needed: bool = False) -> ChunkContent:
    """Unpack a chunk; raises ChunkDamagedError unless its CRC holds and all in it is consistent.

    A chunk of another tool may carry no CRC (0); `crc_needed` refuses those.
    """
    file.seek(place.offset)
    record = file.read(place.length)
    if len(record) < place.length:
        raise ChunkDamagedError("cut off")
    _, _, size, crc, name_length = CHUNK_HEAD.unpack_from(record, RECORD_HEAD.size)
    name_at = RECORD_HEAD.size + CHUNK_HEAD.size
    name = record[name_at : name_at + name_length]
    packed = memoryview(record)[name_at + name_length + 8 :]
    data = _unpacked(name, packed, size)
    if (crc or crc_needed) and zlib.crc32(data) != crc:
        raise ChunkDamagedError("its checksum does not match")
    return _content(data)


def _unpacked(name: bytes, packed: memoryview, size: int) -> bytes:
    if size > UNPACKED_LIMIT:
        raise ChunkDamagedError(f"claims {size} bytes, more than {UNPACKED_LIMIT}")
    if name == b"":
        return bytes(packed)
    if name == b"lz4":
        raise ChunkDamagedError("compressed with lz4, which this program does not read")
    try:
        # The frame's own claim is what the library would allocate.
        if zstandard.frame_content_size(packed) not in (-1, size):
            raise ChunkDamagedError("its sizes contradict each other")
        return zstandard.decompress(packed, max_output_size=size)
    except (zstandard.ZstdError, MemoryError) as error:
        raise ChunkDamagedError("does not decompress") from error


def _content(data: bytes) -> ChunkContent:
    schemas: list[Schema] = []
    channels: list[Channel] = []
    messages: list[RawMessage] = []
    position = 0
    while position < len(data):
        if position + RECORD_HEAD.size > len(data):
            raise ChunkDamagedError("cut off within a record")
        opcode, length = RECORD_HEAD.unpack_from(data, position)
        begin = position + RECORD_HEAD.size
        position = begin + length
        if position > len(data):
            raise ChunkDamagedError("record reaches beyond the chunk")
        if opcode == Opcode.MESSAGE:
            if length < MESSAGE_HEAD.size:
                raise ChunkDamagedError("message too short")
            channel, sequence, log, publish = MESSAGE_HEAD.unpack_from(data, begin)
            payload = data[begin + MESSAGE_HEAD.size : position]
            messages.append(RawMessage(channel, sequence, log, publish, payload))
        elif opcode == Opcode.CHANNEL:
            channels.append(_whole(Channel, data[begin:position]))
        elif opcode == Opcode.SCHEMA:
            schemas.append(_whole(Schema, data[begin:position]))
    return ChunkContent(tuple(schemas), tuple(channels), tuple(messages))


AnyRecord = TypeVar("AnyRecord", Channel, Footer, Header, Metadata, Schema)


def _whole(kind: type[AnyRecord], data: bytes) -> AnyRecord:
    record = _parse(kind, data)
    if record is None:
        raise ChunkDamagedError(f"damaged {kind.__name__.lower()}")
    return record


def _parse(kind: type[AnyRecord], data: bytes) -> AnyRecord | None:
    """A record from exactly these bytes; None when they are not one."""
    stream = ReadDataStream(io.BytesIO(data))
    try:
        record = kind.read(stream)
    except (McapError, struct.error, ValueError, MemoryError, OverflowError):
        return None
    return record if stream.count == len(data) else None


_PARSED: dict[int, type] = {
    Opcode.HEADER: Header,
    Opcode.FOOTER: Footer,
    Opcode.SCHEMA: Schema,
    Opcode.CHANNEL: Channel,
    Opcode.METADATA: Metadata,
    Opcode.MESSAGE_INDEX: type(None),
}
_SKIPPED = frozenset(
    {
        Opcode.CHUNK_INDEX,
        Opcode.ATTACHMENT,
        Opcode.ATTACHMENT_INDEX,
        Opcode.STATISTICS,
        Opcode.METADATA_INDEX,
        Opcode.SUMMARY_OFFSET,
        Opcode.DATA_END,
    }
)
