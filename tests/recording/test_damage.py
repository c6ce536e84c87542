"""Whatever happened to a file: no exception but ours, no wrong message, every whole chunk kept."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.writer import Writer

from rsu.recording.errors import DamagedRecordingError, RecordingError
from rsu.recording.info import info
from rsu.recording.layout import RECORD_LIMIT
from rsu.recording.reader import Recording, read_messages
from rsu.recording.recover import recover, recovered_path
from rsu.recording.scan import MAGIC, ChunkDamagedError, ChunkPlace, read_chunk, scan
from rsu.schema.message import Message
from rsu.schema.topics import V2X_TX

COUNT = 33  # 3.3 s at 10 Hz: four chunks


@pytest.fixture
def small(record, frame) -> Path:
    return record([frame(seq, octets=10) for seq in range(COUNT)])


def delivered(path: Path) -> tuple[list[Message], RecordingError | None]:
    """All messages that reading gives, and how it ended."""
    found: list[Message] = []
    try:
        for message in read_messages(path):
            found.append(message)  # noqa: PERF402  # what came before an error counts
    except RecordingError as error:
        return found, error
    return found, None


def chunk_ends(path: Path) -> list[tuple[int, int]]:
    """(where each chunk ends, messages of ours up to there)."""
    total, ends = 0, []
    with path.open("rb") as stream:
        for place in scan(path).chunks:
            messages = read_chunk(stream, place).messages
            total += sum(1 for m in messages if m.data.startswith(b"{"))
            ends.append((place.offset + place.length, total))
    return ends


def test_a_file_cut_at_every_byte_keeps_every_whole_chunk(small: Path, frame) -> None:
    data = small.read_bytes()
    ends = chunk_ends(small)
    assert [total for _, total in ends] == [10, 20, 30, 33]
    wanted = [frame(seq, octets=10).header for seq in range(COUNT)]
    # Every byte around what is decided (heads, chunk borders, the end), every 7th elsewhere.
    close = {end + d for end, _ in ends for d in range(-60, 60)}
    cuts = sorted({*range(0, len(data), 7), *range(120), *close, *range(len(data) - 60, len(data))})
    target = small.with_name("cut.mcap")
    for cut in cuts:
        target.write_bytes(data[:cut])
        found, error = delivered(target)
        whole = max((total for end, total in ends if end <= cut), default=0)
        assert [m.header for m in found] == wanted[:whole], f"cut at {cut}"
        assert error is not None, f"cut at {cut} was not noticed"


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_a_flipped_bit_never_gives_a_wrong_message(seed: int, small: Path, frame) -> None:
    data = bytearray(small.read_bytes())
    chance = random.Random(seed)
    position, bit = chance.randrange(len(data)), chance.randrange(8)
    data[position] ^= 1 << bit
    target = small.with_name("flipped.mcap")
    target.write_bytes(data)
    found, _ = delivered(target)
    wanted = {m.header: m.payload for m in (frame(seq, octets=10) for seq in range(COUNT))}
    for message in found:
        assert message.payload == wanted.pop(message.header), f"byte {position} bit {bit}"
    # One bit hits one chunk at most; those hold 10, 10, 10 and 3 messages.
    assert len(wanted) <= 10, f"byte {position} bit {bit}: {len(wanted)} lost"


@pytest.mark.parametrize("which", range(4))
def test_a_destroyed_chunk_costs_only_itself(small: Path, which: int, frame) -> None:
    data = bytearray(small.read_bytes())
    place = scan(small).chunks[which]
    middle = place.offset + place.length // 2
    data[middle : middle + 8] = b"\xff" * 8
    small.write_bytes(data)
    found, error = delivered(small)
    first, last = which * 10, min(which * 10 + 10, COUNT)
    lost = set(range(first, last))
    assert [m.header.seq for m in found] == [s for s in range(COUNT) if s not in lost]
    assert isinstance(error, DamagedRecordingError)
    assert "damaged chunk" in str(error)
    assert str(small) in str(error)
    assert "rsu recording recover" in str(error)


def test_without_its_end_a_file_that_lost_its_first_chunk_is_still_understood(
    small: Path,
) -> None:
    # The first chunk defines schema and channel; the copies outside the chunks stand in for it.
    data = bytearray(small.read_bytes())
    places = scan(small).chunks
    first = places[0]
    data[first.offset + 60 : first.offset + 90] = bytes(30)
    small.write_bytes(data[: places[-1].offset + places[-1].length])
    found, _ = delivered(small)
    assert [m.header.seq for m in found] == list(range(10, COUNT))


@pytest.mark.parametrize("gap", [1, 37, 5000])
def test_reading_resumes_behind_foreign_bytes(small: Path, gap: int) -> None:
    data = small.read_bytes()
    place = scan(small).chunks[2]
    noise = bytes(random.Random(gap).randrange(256) for _ in range(gap))
    small.write_bytes(data[: place.offset] + noise + data[place.offset :])
    found, error = delivered(small)
    assert [m.header.seq for m in found] == list(range(COUNT))
    assert error is not None


@pytest.mark.parametrize("opcode", [0x01, 0x04, 0x06, 0x0C, 0x05, 0x09, 0x90])
@pytest.mark.parametrize("length", [2**63, RECORD_LIMIT + 1, 2**40])
def test_an_absurd_length_is_named_and_not_allocated(small: Path, opcode: int, length: int) -> None:
    data = small.read_bytes()
    place = scan(small).chunks[1]
    record = struct.pack("<BQ", opcode, length)
    small.write_bytes(data[: place.offset] + record + data[place.offset :])
    found, error = delivered(small)
    assert [m.header.seq for m in found] == list(range(COUNT))
    assert "reaches beyond the end" in str(error)


def test_a_chunk_that_claims_to_unpack_to_a_terabyte_is_refused(tmp_path: Path) -> None:
    # A zstd frame head: single segment, 8-octet content size 2^40, then nothing (RFC 8878 3.1.1).
    frame = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 40)
    for claimed in (1 << 40, 100):
        body = struct.pack("<QQQII", 0, 1, claimed, 1, 4) + b"zstd"
        body += struct.pack("<Q", len(frame)) + frame
        path = tmp_path / "bomb.mcap"
        path.write_bytes(MAGIC + struct.pack("<BQ", 6, len(body)) + body)
        with path.open("rb") as stream, pytest.raises(ChunkDamagedError):
            read_chunk(stream, ChunkPlace(len(MAGIC), 9 + len(body), 0, 1))
        assert delivered(path)[0] == []


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=400), magic=st.booleans())
def test_random_bytes_are_refused_with_our_error_only(
    data: bytes, magic: bool, tmp_path: Path
) -> None:
    path = tmp_path / "noise.mcap"
    path.write_bytes(MAGIC + data if magic else data)
    found, error = delivered(path)
    assert found == []
    assert error is not None


def test_a_missing_file_and_an_empty_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        list(read_messages(tmp_path / "no.mcap"))
    with pytest.raises(RecordingError, match=r"no \.mcap file"):
        list(read_messages(tmp_path))


def test_an_unfinished_file_can_be_taken_as_it_is(small: Path) -> None:
    ends = chunk_ends(small)
    small.write_bytes(small.read_bytes()[: ends[1][0]])
    with pytest.raises(DamagedRecordingError, match="still writing"):
        list(read_messages(small))
    assert len(list(read_messages(small, allow_unfinished=True))) == 20


def test_content_of_another_version_is_left_out_and_said(record, frame, small: Path) -> None:
    # A payload that is JSON but not of its topic's type, as an older program may have written it.
    strange = Message(V2X_TX, frame(99).header, _Older())
    path = record([frame(0), strange, frame(1)], "older.mcap")
    found, error = delivered(path)
    assert [m.header.seq for m in found] == [0, 1]
    assert "1 messages of v2x/tx do not fit their type" in str(error)


class _Older:
    """Encodes as a dict without the fields of today."""

    __slots__ = ("__dict__",)
    profile = "p"
    payload = b""
    __dataclass_fields__: ClassVar[dict[str, object]] = {}


def test_foreign_channels_are_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "foreign.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        for topic in ("/camera", "tracks"):
            channel = writer.register_channel(topic, "json", 0)
            writer.add_message(channel, 1, b"{}", 1)
        writer.finish()
    recording = Recording(path)
    assert list(recording.messages()) == []
    assert recording.foreign == {"/camera": 1, "tracks": 1}
    assert recording.damages == []


def test_recover_gives_a_finished_file_with_everything_whole(small: Path, frame) -> None:
    data = bytearray(small.read_bytes())
    places = scan(small).chunks
    data[places[1].offset + 80] ^= 0xFF
    small.write_bytes(data[: places[3].offset + 30])
    report = recover(small)
    target = recovered_path(small)
    assert report.target == str(target)
    assert (report.chunks, report.damaged_chunks, report.messages) == (2, 1, 20)
    assert report.undefined == 0
    found = list(read_messages(target))
    assert [m.header.seq for m in found] == [*range(10), *range(20, 30)]
    assert found[0].payload == frame(0, octets=10).payload
    summary = info(target)
    assert not summary.truncated
    assert summary.lost == 10
    assert not summary.exact
    assert summary.metadata["site"] == "demo"
    assert summary.files[0].recovered
    assert Recording(target).damages == []


def test_a_folder_prefers_the_repaired_file(small: Path, record, frame) -> None:
    data = small.read_bytes()
    small.write_bytes(data[: scan(small).chunks[3].offset])
    recover(small)
    found = list(read_messages(small.parent))
    assert [m.header.seq for m in found] == list(range(30))


def test_recover_keeps_a_foreign_file(tmp_path: Path) -> None:
    path = tmp_path / "foreign.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="other")
        schema = writer.register_schema("S", "jsonschema", b'{"type":"object"}')
        channel = writer.register_channel("/t", "json", schema, {"k": "v"})
        for i in range(5):
            writer.add_message(channel, i, b'{"i":%d}' % i, i, i)
        writer.flush()
    report = recover(path, tmp_path / "out.mcap")
    assert report.messages == 5
    recording = Recording(tmp_path / "out.mcap")
    assert list(recording.messages()) == []
    assert recording.foreign == {"/t": 5}


def test_recover_refuses_what_holds_nothing_and_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "x.mcap"
    path.write_bytes(b"not a recording at all" * 10)
    with pytest.raises(RecordingError, match="nothing in it can be recovered"):
        recover(path)
    assert not recovered_path(path).exists()


def test_recover_never_overwrites(small: Path, tmp_path: Path) -> None:
    target = tmp_path / "precious.mcap"
    target.write_bytes(b"precious")
    with pytest.raises(RecordingError, match="exists"):
        recover(small, target)
    assert target.read_bytes() == b"precious"


def test_recover_removes_its_target_when_it_cannot_finish(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rsu.recording.sink.os.write", refuse)
    with pytest.raises(RecordingError, match="No space left"):
        recover(small)
    assert not recovered_path(small).exists()


def test_progress_reaches_the_end(small: Path) -> None:
    seen: list[tuple[int, int]] = []
    report: Callable[[int, int], None] = lambda done, total: seen.append((done, total))  # noqa: E731
    list(Recording(small, progress=report).messages())
    assert len(seen) == 4
    assert 0 < seen[0][0] < seen[-1][0] <= seen[-1][1] == small.stat().st_size
