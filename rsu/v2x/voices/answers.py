"""The voice of newest states: PAM and RSC of T/CSAE, SSM (signal status) of SAE.

A state is told when it changes, as soon as the message's rate allows, and repeated at that rate,
until it is older than `max_evidence_age_s` or says that nothing holds any more (told by silence).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from rsu.config.v2x_messages import AnswerMessageOptions
from rsu.schema.message import Message
from rsu.schema.topics import Topic
from rsu.schema.units import Instant
from rsu.v2x.errors import V2xError
from rsu.v2x.policy import Refusal
from rsu.v2x.speech import Evidence, Speech
from rsu.v2x.voices.base import Repetition

KEYS_MAX = 64
"""Lots or intersections that one unit speaks of: twice the intersections of one message."""


@dataclass
class _Held:
    """A newest state; `changed`: it says what was not told yet."""

    state: Any
    repetition: Repetition
    changed: bool


class AnswerVoice:
    """One message about the newest state of something on `topic`.

    `write(count, state)` gives the content; `key(state)` names what the state is of, None for one
    that is not for this message; `said(state)` is what a change of must be told at once;
    `empty(state)` whether there is nothing to tell. States have `time_ns`.
    """

    def __init__(
        self,
        speech: Speech,
        options: AnswerMessageOptions,
        topic: Topic,
        write: Callable[[int, Any], dict[str, Any]],
        *,
        key: Callable[[Any], Hashable],
        said: Callable[[Any], object],
        empty: Callable[[Any], bool],
    ) -> None:
        self.topics: tuple[Topic, ...] = (topic,)
        self._speech = speech
        self._rate_hz = options.rate_hz
        self._write, self._key, self._said, self._empty = write, key, said, empty
        self._newest: dict[Hashable, _Held] = {}

    def hear(self, message: Message, now: Instant) -> list[Message]:
        """Take a state; a changed one is told at once, as far as the rate allows."""
        state = message.payload
        key = self._key(state)
        if key is None:
            return []
        if self._empty(state):
            self._newest.pop(key, None)
            return []
        held = self._newest.pop(key, None)
        if held is None:
            held = _Held(state, Repetition(self._rate_hz), changed=True)
        held.changed = held.changed or self._said(held.state) != self._said(state)
        held.state = state
        self._newest[key] = held
        if len(self._newest) > KEYS_MAX:
            del self._newest[next(iter(self._newest))]
        return self._speak(key, held, now)

    def tick(self, now: Instant) -> list[Message]:
        """Repeat what still holds."""
        frames: list[Message] = []
        for key, held in list(self._newest.items()):
            frames += self._speak(key, held, now)
        return frames

    def _speak(self, key: Hashable, held: _Held, now: Instant) -> list[Message]:
        if not (held.changed or held.repetition.due(now)):
            return []
        if not self._speech.fresh(held.state.time_ns, now):
            del self._newest[key]
            return []
        if not self._speech.allowed(now, key):
            return []
        held.changed = False
        held.repetition.done(now)
        try:
            content = self._write(self._speech.count, held.state)
        except V2xError as error:
            self._speech.withhold(now, Refusal("out_of_range", str(error)))
            return []
        evidence = Evidence(held.state.time_ns, held.state.time_ns)
        return self._speech.say(content, now, evidence, "state")
