"""The voice of RTCM: GNSS corrections are passed on as they come and never repeated."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from rsu.schema.message import Message
from rsu.schema.topics import CORRECTIONS, Topic
from rsu.schema.units import Instant
from rsu.schema.v2x import Corrections
from rsu.v2x.errors import V2xError
from rsu.v2x.policy import Refusal
from rsu.v2x.speech import Evidence, Speech
from rsu.v2x.writers import CorrectionWriter


class CorrectionVoice:
    """RTCM of one set."""

    topics: tuple[Topic, ...] = (CORRECTIONS,)

    def __init__(self, speech: Speech, writer: CorrectionWriter) -> None:
        self._speech = speech
        self._writer = writer

    def hear(self, message: Message, now: Instant) -> list[Message]:
        """One epoch of corrections: all of it, or none."""
        corrections: Corrections = message.payload
        if not self._speech.fresh(corrections.time_ns, now) or not self._speech.allowed(now):
            return []
        try:
            parts = list(self._parts(corrections))
            fit = all(self._in_one(part) for part in parts)
        except V2xError as error:
            self._speech.withhold(now, Refusal("out_of_range", str(error)))
            return []
        if not fit:
            self._speech.withhold(now, Refusal("too_large", "a correction alone is too long"))
            return []
        evidence = Evidence(corrections.time_ns, corrections.time_ns)
        frames: list[Message] = []
        for part in parts:
            for content in self._writer.contents(self._speech.count, part):
                frames += self._speech.say(content, now, evidence, "corrections")
        return frames

    def _parts(self, corrections: Corrections) -> Iterator[Corrections]:
        """The epoch in as few parts, in order, as a message each can hold."""
        part = replace(corrections, messages=())
        for octets in corrections.messages:
            longer = replace(corrections, messages=(*part.messages, octets))
            if part.messages and not self._in_one(longer):
                yield part
                longer = replace(corrections, messages=(octets,))
            part = longer
        if part.messages:
            yield part

    def _in_one(self, corrections: Corrections) -> bool:
        contents = self._writer.contents(0, corrections)
        return len(contents) == 1 and self._speech.fits(contents[0])

    def tick(self, now: Instant) -> list[Message]:  # noqa: ARG002  as every voice
        """There is nothing to repeat."""
        return []
