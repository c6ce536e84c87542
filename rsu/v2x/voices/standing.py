"""The voice of what stands while the unit runs: MAP of both worlds, TEST of T/CSAE."""

from __future__ import annotations

from rsu.config.v2x_messages import StandingMessageOptions
from rsu.schema.message import Message
from rsu.schema.topics import Topic
from rsu.schema.units import Instant
from rsu.v2x.speech import Evidence, Speech
from rsu.v2x.voices.base import Repetition
from rsu.v2x.writers import StandingWriter


class StandingVoice:
    """One standing message. Its evidence is the site file, which holds as of now."""

    topics: tuple[Topic, ...] = ()

    def __init__(
        self, speech: Speech, writer: StandingWriter, options: StandingMessageOptions
    ) -> None:
        self._speech = speech
        self._writer = writer
        self._repetition = Repetition(options.rate_hz)

    def hear(self, message: Message, now: Instant) -> list[Message]:  # noqa: ARG002  as every voice
        """There is nothing to hear."""
        return []

    def tick(self, now: Instant) -> list[Message]:
        """Say it once a period; without a trusted clock, without its time."""
        if not self._repetition.due(now) or not self._speech.allowed(now):
            return []
        self._repetition.done(now)
        content = self._writer.content(self._speech.count, self._speech.gate.time_ns(now))
        return self._speech.say(content, now, Evidence(now.utc_ns, now.utc_ns), "standing")
