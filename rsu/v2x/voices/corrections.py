"""The voice of RTCM: GNSS corrections are passed on as they come and never repeated."""

from __future__ import annotations

from rsu.schema.message import Message
from rsu.schema.topics import CORRECTIONS, Topic
from rsu.schema.units import Instant
from rsu.schema.v2x import Corrections
from rsu.v2x.policy import Refusal
from rsu.v2x.speech import MESSAGE_COUNTS, Evidence, Speech
from rsu.v2x.steps import OutOfRangeError
from rsu.v2x.writers import CorrectionWriter


class CorrectionVoice:
    """RTCM of one set."""

    topics: tuple[Topic, ...] = (CORRECTIONS,)

    def __init__(self, speech: Speech, writer: CorrectionWriter) -> None:
        self._speech = speech
        self._writer = writer

    def hear(self, message: Message, now: Instant) -> list[Message]:
        """One epoch of corrections: all its messages, or none."""
        corrections: Corrections = message.payload
        if not self._speech.fresh(corrections.time_ns, now) or not self._speech.allowed(now):
            return []
        evidence = Evidence(corrections.time_ns, corrections.time_ns)
        frames: list[Message] = []
        try:
            contents = self._writer.contents(self._speech.count, corrections)
        except OutOfRangeError as error:
            self._speech.withhold(now, Refusal("out_of_range", str(error)))
            return []
        for content in contents:
            # What was refused before it left a gap: the count is what says so to a receiver.
            content["msgCnt"] = self._speech.count % MESSAGE_COUNTS
            frames += self._speech.say(content, now, evidence, "corrections")
        return frames

    def tick(self, now: Instant) -> list[Message]:  # noqa: ARG002  as every voice
        """There is nothing to repeat."""
        return []
