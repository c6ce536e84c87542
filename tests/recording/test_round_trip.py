"""What was recorded is read back exactly, by us and by MCAP's own library."""

from __future__ import annotations

import hashlib
import json
import types
import typing
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from rsu.recording.errors import RecordingError, UnwritableMessageError
from rsu.recording.layout import viewer_schema
from rsu.recording.reader import Recording, has_journal, read_messages
from rsu.recording.writer import McapFile
from rsu.schema.health import Decision, Verdict
from rsu.schema.journal import Journal, Step, StepKind
from rsu.schema.message import Message
from rsu.schema.topics import CAMERA_FRAME, DECISION, JOURNAL, TOPICS, V2X_TX, Topic
from rsu.schema.units import Instant

RECORDED = [topic for topic in TOPICS.values() if topic.recorded]
INT63 = st.integers(-(2**63), 2**63 - 1)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(max_size=8)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | INT63 | FLOAT | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of an annotated type of the schema."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    simple = {
        int: INT63, float: FLOAT, str: TEXT, bool: st.booleans(), bytes: st.binary(max_size=20),
        type(None): st.none(), Any: JSON_VALUES,
    }  # fmt: skip
    if kind in simple:
        return simple[kind]
    if origin in {types.UnionType, typing.Union}:
        return st.one_of([values_of(argument) for argument in arguments])
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, arguments))
    if origin is dict:
        return st.dictionaries(values_of(arguments[0]), values_of(arguments[1]), max_size=3)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {f.name: values_of(f.type) for f in msgspec.structs.fields(kind)}
        return st.fixed_dictionaries(fields).map(lambda found, kind=kind: kind(**found))
    raise NotImplementedError(f"no strategy for {kind}: teach this test the new type")


PAYLOADS = {topic.name: values_of(topic.payload) for topic in RECORDED}


@st.composite
def messages(draw: st.DrawFn) -> Message:
    topic: Topic = draw(st.sampled_from(RECORDED))
    uint64 = st.integers(0, 2**64 - 1)
    draft = Message.draft(topic, draw(TEXT), draw(uint64), draw(PAYLOADS[topic.name]))
    return draft.stamped(draw(INT63), draw(st.integers(0, 2**63 - 1)), draw(uint64))


def exact(message: Message) -> tuple[Any, bytes]:
    """Distinguishes what == does not: -0.0 from 0.0, 1 from 1.0."""
    return message.header, msgspec.msgpack.encode(message.payload, order="deterministic")


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(written=st.lists(messages(), max_size=6))
def test_every_payload_type_comes_back_bit_for_bit(written: list[Message], tmp_path: Path) -> None:
    path = tmp_path / "any.mcap"
    with McapFile(path, {"site": "x"}, overwrite=True) as file:
        for message in written:
            file.write(message)
    found = list(read_messages(path, order="written"))
    assert list(map(exact, found)) == list(map(exact, written))


@pytest.mark.parametrize("topic", RECORDED, ids=lambda topic: topic.name)
def test_each_topic_comes_back(topic: Topic, tmp_path: Path) -> None:
    example = _smallest(topic.payload)
    message = Message.draft(topic, "here", 5, example).stamped(7, 0, 9)
    with McapFile(tmp_path / "a.mcap", {}) as file:
        file.write(message)
    assert [exact(m) for m in read_messages(tmp_path / "a.mcap")] == [exact(message)]


def _smallest(kind: Any) -> Any:
    """A plain value of a type, without hypothesis: so that every topic is surely covered."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {types.UnionType, typing.Union}:
        return _smallest(arguments[0])
    if origin is tuple:
        variadic = len(arguments) == 2 and arguments[1] is Ellipsis
        return tuple(_smallest(a) for a in (arguments[:1] if variadic else arguments))
    if origin is dict:
        return {"k": _smallest(arguments[1])}
    if kind is Any:
        return {"nested": [1, 2.5, None, "x"]}
    if issubclass(kind, Enum):
        return next(iter(kind))
    if issubclass(kind, msgspec.Struct):
        return kind(**{f.name: _smallest(f.type) for f in msgspec.structs.fields(kind)})
    return {int: 2**62, float: 0.1, str: "é", bool: True, bytes: b"\x00\xff"}[kind]


def test_sequence_numbers_beyond_32_bits_survive(tmp_path: Path, frame, assert_same) -> None:
    first = frame(0)
    numbers = [2**32 - 1, 2**32, 2**32 + 1, 2**40, 2**63 - 1]
    written = [first.stamped(9, seq, 100 + i) for i, seq in enumerate(numbers)]
    with McapFile(tmp_path / "a.mcap", {}) as file:
        for message in written:
            file.write(message)
    assert_same(read_messages(tmp_path / "a.mcap"), written)


def test_reading_is_in_log_order_and_ties_keep_their_order(record, frame, assert_same) -> None:
    times = [300, 100, 200, 200, 200, 50]
    written = [frame(0).stamped(1, seq, time) for seq, time in enumerate(times)]
    path = record(written)
    wanted = [written[i] for i in (5, 1, 2, 3, 4, 0)]
    assert_same(read_messages(path), wanted)
    assert_same(read_messages(path, order="written"), written)


def test_log_order_holds_across_chunks(record, frame, assert_same) -> None:
    # Two publishers whose messages cross by up to 0.9 s, over several one-second chunks.
    ns = 10**9
    times = [int(i * 0.1 * ns) + (int(0.9 * ns) if i % 2 else 0) for i in range(60)]
    written = [frame(0).stamped(1, seq, time) for seq, time in enumerate(times)]
    path = record(written)
    found = list(read_messages(path))
    assert_same(found, sorted(written, key=lambda m: m.header.publish_ns))
    assert len(Recording(path).files[0].scan.chunks) > 3


def test_a_clock_stepped_back_does_not_mix_before_and_after(record, frame, assert_same) -> None:
    ns = 10**9
    before = [frame(0).stamped(1, seq, 10_000 * ns + seq * ns) for seq in range(20)]
    after = [frame(0).stamped(1, 20 + seq, 6_400 * ns + seq * ns) for seq in range(20)]
    assert_same(read_messages(record(before + after)), before + after)


def test_topics_filter(record, frame, track_list, assert_same) -> None:
    tracks = [track_list(seq, count=2) for seq in range(5)]
    path = record([*tracks, *(frame(seq) for seq in range(5))])
    assert_same(read_messages(path, ["tracks"]), tracks)
    assert_same(read_messages(path, [tracks[0].topic]), tracks)
    assert list(read_messages(path, [DECISION])) == []


def test_the_mcap_library_reads_it_with_all_checksums(record, frame, track_list, metadata) -> None:
    written = [m for seq in range(30) for m in (track_list(seq), frame(seq))]
    path = record(written)
    with path.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        found = list(reader.iter_messages())
        records = {record.name: record.metadata for record in reader.iter_metadata()}
        summary = reader.get_summary()
        header = reader.get_header()
    assert header.profile == "rsu"
    tracks = [(c, m) for _, c, m in found if c.topic == "tracks"]
    assert [m.sequence for _, m in tracks] == list(range(30))
    assert tracks[3][1].log_time == written[6].header.publish_ns
    assert tracks[3][1].publish_time == written[6].header.capture_ns
    assert json.loads(tracks[3][1].data)["tracks"][1]["speed"] == 5.0
    assert tracks[0][0].metadata["source"] == "fusion"
    raw = [m.data for _, c, m in found if c.topic == "v2x/tx/raw"]
    assert raw == [m.payload.payload for m in written if m.topic == V2X_TX]
    text = metadata["config"]
    assert records["rsu.site"]["text"] == text
    assert records["rsu.site"]["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    assert records["rsu.recording"]["site"] == "demo"
    assert records["rsu.end"]["messages"] == "60"
    assert summary is not None
    assert len(summary.chunk_indexes) == 3  # 3 s, cut at each second
    assert all(index.uncompressed_size <= 1 << 20 for index in summary.chunk_indexes)


@pytest.mark.parametrize("topic", RECORDED, ids=lambda topic: topic.name)
def test_schemas_stay_in_the_subset_that_viewers_read(topic: Topic) -> None:
    schema = json.loads(viewer_schema(topic))
    assert schema["type"] == "object"

    def check(part: dict[str, Any]) -> None:
        assert part["type"] in {"object", "array", "string", "number", "integer", "boolean"}
        assert not {"$ref", "anyOf", "oneOf", "prefixItems"} & part.keys()
        if part["type"] == "object":
            for field in part["properties"].values():
                check(field)
        if part["type"] == "array":
            assert part["items"]["type"] != "array"
            check(part["items"])

    check(schema)


def test_viewer_schema_shows_the_fields_of_tracks() -> None:
    schema = json.loads(viewer_schema(TOPICS["tracks"]))
    track = schema["properties"]["tracks"]["items"]["properties"]
    assert track["speed"]["type"] == "number"
    assert track["position"] == {"type": "array", "items": {"type": "number"}}
    assert "car" in track["object_class"]["enum"]
    assert "acceleration" not in track  # may be null, which the subset cannot say
    assert "acceleration" in schema["$defs"]["Track"]["properties"]


def test_the_same_messages_give_the_same_file(record, frame) -> None:
    one = record([frame(seq) for seq in range(40)], "one.mcap")
    two = record([frame(seq) for seq in range(40)], "two.mcap")
    assert one.read_bytes() == two.read_bytes()


def test_a_second_pass_gives_the_same(record, frame) -> None:
    recording = Recording(record([frame(seq) for seq in range(10)]))
    first = [m.header for m in recording.messages()]
    assert [m.header for m in recording.messages()] == first
    assert len(first) == 10


def test_has_journal(record, frame) -> None:
    steps = (Step(StepKind.START, Instant(1, 2)),)
    journal = Journal(group="core", boot_ns=1, first=0, steps=steps)
    message = Message.draft(JOURNAL, "core", 1, journal).stamped(1, 0, 1)
    assert has_journal(record([frame(0), message], "with.mcap"))
    assert not has_journal(record([frame(0)], "without.mcap"))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda frame: Message.draft(V2X_TX, "rsm", 1, frame(0).payload), "not_stamped"),
        (lambda frame: frame(0).stamped(1, 1, -5), "not_stamped"),
        (lambda frame: Message.draft(CAMERA_FRAME, "c", 1, None).stamped(1, 1, 1), "not_recorded"),
        (lambda frame: Message(V2X_TX, frame(0).header, object()), "not_encodable"),
        (lambda frame: _decision("\ud800"), "not_encodable"),
        (lambda frame: _decision("x" * (17 << 20)), "too_large"),
    ],
)
def test_a_message_that_cannot_be_kept_is_refused_and_the_file_goes_on(
    broken: Callable[..., Message], reason: str, tmp_path: Path, frame, assert_same
) -> None:
    with McapFile(tmp_path / "a.mcap", {}) as file:
        file.write(frame(0))
        with pytest.raises(UnwritableMessageError) as caught:
            file.write(broken(frame))
        file.write(frame(1))
    assert caught.value.reason == reason
    assert_same(read_messages(tmp_path / "a.mcap"), [frame(0), frame(1)])


def _decision(detail: str) -> Message:
    payload = Decision(
        stage="s", subject="x", verdict=Verdict.SENT, reason="r", time_ns=1, detail=detail
    )
    return Message.draft(DECISION, "s", 1, payload).stamped(1, 0, 1)


def test_an_existing_file_is_not_overwritten_unasked(record, frame, tmp_path: Path) -> None:
    path = record([frame(0)])
    before = path.read_bytes()
    with pytest.raises(RecordingError, match="exists"):
        McapFile(path, {})
    assert path.read_bytes() == before


def test_a_folder_that_does_not_exist_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        McapFile(tmp_path / "no" / "a.mcap", {})
