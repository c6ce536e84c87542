"""The envelope that carries one schema struct from stage to stage and process to process."""

from __future__ import annotations

from typing import Any

import msgspec

from rsu.schema.topics import Topic


class Header(msgspec.Struct, frozen=True, array_like=True):
    """Who said it and from when its evidence is.

    (topic, source, boot_ns, seq) names a message for ever: `boot_ns` is the UTC start of the
    publishing process, `seq` counts its messages of this topic and source from 0.
    `capture_ns` is the time of the oldest evidence used, `publish_ns` when it was published.
    """

    topic: str
    source: str
    boot_ns: int
    seq: int
    capture_ns: int
    publish_ns: int


class Message:
    """A header and its payload. Stages make them with `draft`; the host completes the header.

    Payloads are frozen structs (in-process frames hold a numpy image instead); nobody changes one
    after publishing it.
    """

    __slots__ = ("header", "payload", "topic")

    def __init__(self, topic: Topic, header: Header, payload: Any) -> None:
        self.topic = topic
        self.header = header
        self.payload = payload

    def __repr__(self) -> str:
        return f"Message({self.header!r}, {type(self.payload).__name__})"

    @classmethod
    def draft(cls, topic: Topic, source: str, capture_ns: int, payload: Any) -> Message:
        """A message whose boot, sequence number and publishing time the host will fill in."""
        return cls(topic, Header(topic.name, source, 0, -1, capture_ns, 0), payload)

    def stamped(self, boot_ns: int, seq: int, publish_ns: int) -> Message:
        """The completed message."""
        old = self.header
        header = Header(old.topic, old.source, boot_ns, seq, old.capture_ns, publish_ns)
        return Message(self.topic, header, self.payload)
