"""The voice of newest states: PAM and RSC of T/CSAE, SSM (signal status) of SAE.

A state is told when it changes and repeated at the message's rate, until it is older than
`max_evidence_age_s` or says that nothing holds any more (told once, by silence).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from rsu.config.v2x_messages import AnswerMessageOptions
from rsu.schema.message import Message
from rsu.schema.topics import Topic
from rsu.schema.units import Instant
from rsu.v2x.policy import Refusal
from rsu.v2x.speech import Evidence, Speech
from rsu.v2x.steps import OutOfRangeError
from rsu.v2x.voices.base import Repetition

KEYS_MAX = 64
"""Lots or intersections that one unit speaks of: twice the intersections of one message."""


class AnswerVoice:
    """One message about the newest state of something on `topic`.

    `write(count, state)` gives the content; `key(state)` names what the state is of, None for one
    that is not for this message; `empty(state)` whether there is nothing to tell. States have
    `time_ns`.
    """

    def __init__(
        self,
        speech: Speech,
        options: AnswerMessageOptions,
        topic: Topic,
        write: Callable[[int, Any], dict[str, Any]],
        *,
        key: Callable[[Any], Hashable],
        empty: Callable[[Any], bool],
    ) -> None:
        self.topics: tuple[Topic, ...] = (topic,)
        self._speech = speech
        self._rate_hz = options.rate_hz
        self._write, self._key, self._empty = write, key, empty
        self._newest: dict[Hashable, tuple[Any, Repetition]] = {}

    def hear(self, message: Message, now: Instant) -> list[Message]:
        """Take a state; a changed one is told at once, as far as the rate allows."""
        state = message.payload
        key = self._key(state)
        if key is None:
            return []
        if self._empty(state):
            self._newest.pop(key, None)
            return []
        known = self._newest.pop(key, None)
        repetition = known[1] if known else Repetition(self._rate_hz)
        self._newest[key] = (state, repetition)
        if len(self._newest) > KEYS_MAX:
            del self._newest[next(iter(self._newest))]
        return self._say(key, now) if repetition.due(now) else []

    def tick(self, now: Instant) -> list[Message]:
        """Repeat what still holds."""
        frames: list[Message] = []
        for key, (_, repetition) in list(self._newest.items()):
            if repetition.due(now):
                frames += self._say(key, now)
        return frames

    def _say(self, key: Hashable, now: Instant) -> list[Message]:
        state, repetition = self._newest[key]
        if not self._speech.fresh(state.time_ns, now):
            del self._newest[key]
            return []
        if not self._speech.allowed(now, key):
            return []
        repetition.done(now)
        try:
            content = self._write(self._speech.count, state)
        except OutOfRangeError as error:
            self._speech.withhold(now, Refusal("out_of_range", str(error)))
            return []
        return self._speech.say(content, now, Evidence(state.time_ns, state.time_ns), "state")
