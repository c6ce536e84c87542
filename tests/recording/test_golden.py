"""The comparison with a golden recording: same bytes in the same order, and what differs first."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from rsu.recording.errors import RecordingError
from rsu.recording.golden import EXACT, TRACK_RULES, Rules, compare_messages, compare_recordings
from rsu.schema.message import Message
from rsu.schema.topics import TRACKS, V2X_TX


def changed(message: Message, **fields: object) -> Message:
    payload = msgspec.structs.replace(message.payload, **fields)
    return Message(message.topic, message.header, payload)


def test_a_recording_equals_itself(record, frame, track_list) -> None:
    path = record([m for seq in range(20) for m in (track_list(seq), frame(seq))])
    found = compare_recordings(path, path, tracks=EXACT)
    assert found.equal
    assert [t.reference for t in found.topics] == [20, 20]
    assert "20 messages, all the same" in found.describe()


def test_when_and_by_whom_does_not_matter_but_every_byte_does(record, frame) -> None:
    reference = record([frame(seq) for seq in range(5)], "reference.mcap")
    later = record([frame(seq).stamped(77, seq, 10**9 * seq) for seq in range(5)], "later.mcap")
    assert compare_recordings(reference, later).equal
    wrong = frame(3).payload.payload[:-1] + b"!"
    messages = [frame(seq) for seq in range(5)]
    messages[3] = changed(messages[3], payload=wrong)
    found = compare_recordings(reference, record(messages, "changed.mcap"))
    (topic,) = found.topics
    assert not found.equal
    assert (topic.different, topic.reference, topic.candidate) == (1, 5, 5)
    assert topic.first is not None
    assert topic.first.index == 3
    assert [f.field for f in topic.first.fields] == ["payload"]
    assert topic.first.fields[0].candidate == f'"{wrong.hex()}"'


def test_the_first_difference_is_told_field_by_field(record, frame) -> None:
    reference = record([frame(0)], "reference.mcap")
    value = {"rsm": {"msgCnt": 5, "id": "00070e15", "x": [0.5, None], "new": 1}}
    candidate = record([changed(frame(0), priority=1, value=value)], "candidate.mcap")
    text = compare_recordings(reference, candidate).describe()
    assert "v2x/tx: 1 of 1 messages differ" in text
    assert "priority: 208 → 1" in text
    assert "value.rsm.msgCnt: 0 → 5" in text
    assert "value.rsm.x[0]: 0.0 → 0.5" in text
    assert "value.rsm.new: (missing) → 1" in text


@pytest.mark.parametrize(("left", "right"), [(5, 4), (4, 5), (5, 0)])
def test_missing_and_extra_messages_are_differences(record, frame, left: int, right: int) -> None:
    reference = record([frame(seq) for seq in range(left)], "reference.mcap")
    candidate = record([frame(seq) for seq in range(right)], "candidate.mcap")
    found = compare_recordings(reference, candidate)
    assert not found.equal
    assert found.topics[0].different == abs(left - right)
    assert found.topics[0].first is not None
    assert found.topics[0].first.index == min(left, right)
    assert "(missing)" in found.describe()


def test_a_golden_recording_without_frames_proves_nothing(record, track_list) -> None:
    path = record([track_list(0)])
    assert not compare_recordings(path, path).equal
    assert "no frame at all" in compare_recordings(path, path).describe()


def test_a_damaged_golden_recording_is_refused(record, frame, tmp_path: Path) -> None:
    path = record([frame(seq) for seq in range(5)])
    whole = record([frame(seq) for seq in range(5)], "whole.mcap")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(RecordingError):
        compare_recordings(path, whole)


def _moved(track_list, **fields: object) -> tuple[Message, Message]:
    reference = track_list(0, count=2)
    track = msgspec.structs.replace(reference.payload.tracks[1], **fields)
    return reference, changed(reference, tracks=(reference.payload.tracks[0], track))


def test_tracks_may_differ_within_their_tolerance_only(track_list) -> None:
    near = _moved(track_list, speed=5.0004)
    far = _moved(track_list, speed=5.02)
    assert compare_messages(TRACKS, near[:1], near[1:], TRACK_RULES).equal
    assert not compare_messages(TRACKS, near[:1], near[1:], EXACT).equal
    found = compare_messages(TRACKS, far[:1], far[1:], TRACK_RULES)
    assert found.first is not None
    assert [f.field for f in found.first.fields] == ["tracks[1].speed"]


def test_headings_are_compared_around_the_circle(track_list) -> None:
    pair = _moved(track_list, heading=0.1 + 6.283185307179586)
    assert compare_messages(TRACKS, pair[:1], pair[1:], TRACK_RULES).equal
    plain = Rules(tolerances={"tracks.heading": 1e-3})
    assert not compare_messages(TRACKS, pair[:1], pair[1:], plain).equal


def test_ignored_fields_are_not_compared(track_list) -> None:
    pair = _moved(track_list, id=99, sources=("south", "west"))
    rules = Rules(ignored=frozenset({"tracks.id", "tracks.sources"}))
    assert compare_messages(TRACKS, pair[:1], pair[1:], rules).equal
    assert not compare_messages(TRACKS, pair[:1], pair[1:], TRACK_RULES).equal


def test_compare_messages_takes_streams(frame) -> None:
    stream = (frame(seq) for seq in range(3))
    again = (frame(seq) for seq in range(3))
    assert compare_messages(V2X_TX, stream, again, EXACT).reference == 3
