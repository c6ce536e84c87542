"""Messages survive both encodings unchanged, and foreign bytes give one typed error."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.journal import Journal, Step, StepKind
from rsu.schema.message import Header, Message
from rsu.schema.sensing import ObjectClass
from rsu.schema.topics import DECISION, JOURNAL, TOPICS, TRACKS, V2X_TX
from rsu.schema.tracks import STATE_ORDER, Track, TrackList, TrackStatus
from rsu.schema.units import Cov2, Instant, Size, Vec2
from rsu.schema.v2x import V2xFrame
from rsu.schema.wire import WireError, from_json, json_schema, pack, to_json, unpack

finite = st.floats(allow_nan=False, allow_infinity=False)


def a_track(**changes: Any) -> Track:
    values: dict[str, Any] = {
        "id": 7,
        "object_class": ObjectClass.CAR,
        "class_probability": 0.9,
        "position": Vec2(1.0, 2.0),
        "heading": 0.5,
        "speed": 3.0,
        "turn_rate": 0.0,
        "covariance": (
            *(4.0, 0.5, 0.0, 0.0, 0.0),
            *(9.0, 0.0, 0.0, 0.0),
            *(0.04, 0.0, 0.0),
            *(0.25, 0.0),
            0.01,
        ),
        "size": Size(4.5, 1.8, 1.5),
        "existence": 0.95,
        "status": TrackStatus.CONFIRMED,
        "sources": ("north",),
        "born_ns": 1,
        "updated_ns": 2,
    }
    return Track(**(values | changes))


def test_the_covariance_triangle_is_read_at_the_right_places() -> None:
    """Build a 5×5 matrix, flatten its upper triangle, and read it back by name."""
    matrix = [[float(10 * row + column) for column in range(5)] for row in range(5)]
    triangle = tuple(matrix[row][column] for row in range(5) for column in range(row, 5))
    track = a_track(covariance=triangle)
    assert STATE_ORDER == ("x", "y", "heading", "speed", "turn_rate")
    assert track.position_cov == Cov2(matrix[0][0], matrix[0][1], matrix[1][1])
    assert track.heading_std == math.sqrt(matrix[2][2])
    assert track.speed_std == math.sqrt(matrix[3][3])
    assert track.turn_rate_std == math.sqrt(matrix[4][4])


@given(x=finite, y=finite, utc=st.integers(0, 2**63 - 1))
@settings(deadline=None)
def test_a_track_list_survives_the_bus_and_the_recording_bit_for_bit(
    x: float, y: float, utc: int
) -> None:
    payload = TrackList(time_ns=utc, tracks=(a_track(position=Vec2(x, y), born_ns=utc),))
    message = Message(TRACKS, Header("tracks", "fusion", 1, 2, 3, utc), payload)
    back = unpack(list(pack(message)))
    assert back.header == message.header
    assert back.payload == payload
    assert from_json(TRACKS, to_json(payload)) == payload


def test_octets_survive_json() -> None:
    frame = V2xFrame(
        profile="csae53_2020", message="RSM", payload=bytes(range(256)), network=b"\x04\x00",
        aid=3623, priority=208, value={"rsmFrame": {"msgCnt": 1}}, time_ns=5,
    )  # fmt: skip
    assert from_json(V2X_TX, to_json(frame)) == frame


def test_a_journal_step_survives() -> None:
    step = Step(StepKind.MESSAGE, Instant(1, 2), "tracks", "fusion", 3, 4, 0)
    journal = Journal(group="core", boot_ns=1, first=0, steps=(step,))
    assert from_json(JOURNAL, to_json(journal)) == journal


@given(st.lists(st.binary(max_size=60), max_size=4))
@settings(deadline=None)
def test_random_parts_are_a_wire_error(parts: list[bytes]) -> None:
    with pytest.raises(WireError):
        unpack(parts)


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_random_payloads_of_known_topics_are_a_wire_error(data: bytes) -> None:
    header = msgspec.msgpack.encode(Header("decision", "x", 0, 0, 0, 0))
    try:
        unpack([DECISION.name.encode(), header, data])
    except WireError:
        return


def test_topics_are_named_uniquely_and_every_recorded_one_has_a_schema() -> None:
    names = [topic.name for topic in TOPICS.values()]
    assert len(names) == len(set(names))
    for topic in TOPICS.values():
        if topic.recorded:
            assert b"$defs" in json_schema(topic) or b"properties" in json_schema(topic)
        elif topic.payload is None:
            with pytest.raises(WireError):
                json_schema(topic)
