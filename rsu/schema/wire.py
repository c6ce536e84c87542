"""Encodings of messages: msgpack between processes, JSON in recordings and at the borders.

Both are lossless for every payload type of the topic table (floats are 64-bit and finite).
"""

from __future__ import annotations

from typing import Any

import msgspec

from rsu.schema.message import Header, Message
from rsu.schema.topics import TOPICS, Topic


class WireError(ValueError):
    """Bytes that are not a message of the topic they claim."""


_pack = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder(order="deterministic")
_unpack_header = msgspec.msgpack.Decoder(Header)
_unpack = {t.name: msgspec.msgpack.Decoder(t.payload) for t in TOPICS.values() if t.payload}
_parse = {t.name: msgspec.json.Decoder(t.payload) for t in TOPICS.values() if t.payload}


def topic_named(name: str) -> Topic:
    """The topic of that name; raises WireError for an unknown one."""
    topic = TOPICS.get(name)
    if topic is None or topic.payload is None:
        raise WireError(f"unknown topic {name!r}")
    return topic


def pack(message: Message) -> tuple[bytes, bytes, bytes]:
    """(topic name, header, payload) as ZeroMQ parts."""
    return message.topic.name.encode(), _pack.encode(message.header), _pack.encode(message.payload)


def unpack(parts: list[bytes]) -> Message:
    """Inverse of `pack`; raises WireError, never anything else, on foreign bytes."""
    if len(parts) != 3:
        raise WireError(f"{len(parts)} parts instead of 3")
    try:
        topic = topic_named(parts[0].decode())
        return Message(topic, _unpack_header.decode(parts[1]), _unpack[topic.name].decode(parts[2]))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise WireError(str(error)) from error


def to_json(payload: Any) -> bytes:
    """A payload as JSON with keys in declared order; bytes become base64."""
    return _json.encode(payload)


def from_json(topic: Topic, data: bytes) -> Any:
    """Inverse of `to_json` for a topic's payload; raises WireError."""
    try:
        return _parse[topic.name].decode(data)
    except (msgspec.DecodeError, KeyError) as error:
        raise WireError(str(error)) from error


def json_schema(topic: Topic) -> bytes:
    """JSON Schema of the topic's payload, for the channels of a recording."""
    if topic.payload is None:
        raise WireError(f"topic {topic.name!r} is never serialised")
    return msgspec.json.encode(msgspec.json.schema(topic.payload))
