"""The voice of others: whole messages that a centre wants on the air, sent on bit for bit.

A pushed frame is decoded to see that it is what it says it is, but its own octets are sent, so
extensions that this unit does not know survive. It is repeated until its time is over.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rsu.schema.message import Message
from rsu.schema.topics import V2X_PUSHED, Topic
from rsu.schema.units import Instant
from rsu.schema.v2x import PushedV2x
from rsu.v2x.codec import codec_for
from rsu.v2x.errors import CodecError
from rsu.v2x.policy import Refusal
from rsu.v2x.speech import Evidence, Speech
from rsu.v2x.voices.base import Repetition

PUSHED_MAX = 32
"""Messages a centre may have on the air at once: a MAP and SPAT for each of 16 intersections."""


PERIOD_MAX_S = 86_400.0
"""Longer periods are taken for this one; keeps them within what can be counted in."""


@dataclass
class _Relayed:
    pushed: PushedV2x
    value: dict[str, Any]
    repetition: Repetition | None  # None: once
    place: int  # 0..PUSHED_MAX - 1: what its rate is bounded by


class PushedVoice:
    """All pushed messages of one set; `speeches` are those of the messages that this unit may
    send on, by (profile, message), at least one."""

    topics: tuple[Topic, ...] = (V2X_PUSHED,)

    def __init__(self, speeches: Mapping[tuple[str, str], Speech]) -> None:
        self._speeches = dict(speeches)
        self._profiles = {profile for profile, _ in speeches}
        self._any = next(iter(speeches.values()))
        self._relayed: dict[str, _Relayed] = {}
        # Those free, the longest free first: keys are without number, places are not.
        self._places = deque(range(PUSHED_MAX))

    def hear(self, message: Message, now: Instant) -> list[Message]:
        """A new message takes the place of one of the same key; no octets end it."""
        pushed: PushedV2x = message.payload
        if (old := self._forget(pushed.key)) is not None:
            self._places.remove(old)
            self._places.appendleft(old)  # the rate of a key is that of its successor
        if not pushed.payload or pushed.profile not in self._profiles:
            return []  # of a set that is not spoken, the stage says so
        subject = f"pushed:{pushed.key}"
        if (pushed.profile, pushed.message) not in self._speeches:
            refusal = Refusal("not_relayed", f"{pushed.message} of {pushed.profile}")
            self._any.withhold(now, refusal, subject)
            return []
        try:
            codec = codec_for(pushed.profile)
            value = codec.decode(pushed.payload)
            found = codec.message_name(value)
            if found != pushed.message:
                raise CodecError(f"it is a {found}, not a {pushed.message}")
        except CodecError as error:
            self._any.withhold(now, Refusal("undecodable", str(error)), subject)
            return []
        if not self._places:
            self._any.withhold(now, Refusal("too_many_pushed"), subject)
            return []
        period_s = min(pushed.period_s, PERIOD_MAX_S)
        repetition = Repetition(1 / period_s) if period_s > 0 else None
        place = self._places.popleft()
        self._relayed[pushed.key] = _Relayed(pushed, value, repetition, place)
        return self._say(pushed.key, now)

    def tick(self, now: Instant) -> list[Message]:
        """Repeat what is due, drop what is over."""
        frames: list[Message] = []
        for key, relayed in list(self._relayed.items()):
            over = now.utc_ns > relayed.pushed.until_ns
            if over or relayed.repetition is None or relayed.repetition.due(now):
                frames += self._say(key, now)
        return frames

    def _say(self, key: str, now: Instant) -> list[Message]:
        relayed = self._relayed[key]
        pushed = relayed.pushed
        speech = self._speeches[pushed.profile, pushed.message]
        if now.utc_ns > pushed.until_ns:
            self._forget(key)
            speech.withhold(now, Refusal("expired"), f"pushed:{key}")
            return []
        if not speech.allowed(now, key=("pushed", relayed.place)):
            return []
        if relayed.repetition is None:
            self._forget(key)
        else:
            relayed.repetition.done(now)
        # What a centre says is as old as the moment it came here; nobody knows better.
        evidence = Evidence(pushed.received_ns, pushed.received_ns)
        return speech.relay(pushed.payload, relayed.value, now, evidence, "pushed")

    def _forget(self, key: str) -> int | None:
        """Free the place that the key had."""
        relayed = self._relayed.pop(key, None)
        if relayed is None:
            return None
        self._places.append(relayed.place)
        return relayed.place
