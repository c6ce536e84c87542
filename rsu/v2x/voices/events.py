"""The voice of events and signs: RSI of T/CSAE, TIM and RSM of SAE.

An event is told at its onset and at every change, and repeated at the message's rate until it
ends or is older than `max_evidence_age_s`. Signs come from the site file and hold always, or within
their times. What does not fit into one message makes more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rsu.config.v2x_messages import EventMessageOptions
from rsu.schema.events import EventPhase, RoadEvent, RoadSign
from rsu.schema.message import Message
from rsu.schema.topics import ROAD_EVENT, Topic
from rsu.schema.units import Instant
from rsu.v2x.policy import Refusal
from rsu.v2x.speech import Evidence, Speech
from rsu.v2x.steps import OutOfRangeError
from rsu.v2x.voices.base import Repetition
from rsu.v2x.writers import EventWriter

EVENTS_MAX = 128
"""Bound on live events of one unit: 16 full messages; beyond it the oldest word goes."""

Fact = RoadEvent | RoadSign


class EventVoice:
    """One message about the events that `accept` takes and, where it has a place, the signs."""

    topics: tuple[Topic, ...] = (ROAD_EVENT,)

    def __init__(
        self,
        speech: Speech,
        writer: EventWriter,
        options: EventMessageOptions,
        *,
        accept: Callable[[RoadEvent], bool],
        signs: Sequence[RoadSign] = (),
    ) -> None:
        self._speech = speech
        self._writer = writer
        self._accept = accept
        self._signs = tuple(sign for sign in signs if writer.speaks_of(sign))
        self._events: dict[int, RoadEvent] = {}
        self._repetition = Repetition(options.rate_hz)
        self._changed = False

    def hear(self, message: Message, now: Instant) -> list[Message]:
        """An event begins, changes or ends."""
        event: RoadEvent = message.payload
        if not self._accept(event):
            return []
        old = self._events.pop(event.id, None)
        if event.phase is EventPhase.END:
            return []
        if not self._writer.speaks_of(event):
            self._speech.withhold(now, Refusal("no_code", event.kind), f"event:{event.id}")
            return []
        self._events[event.id] = event
        if len(self._events) > EVENTS_MAX:
            oldest = min(self._events.values(), key=lambda one: (one.time_ns, one.id))
            del self._events[oldest.id]
            self._speech.withhold(now, Refusal("too_many_events"), f"event:{oldest.id}")
        self._changed = self._changed or old is None or _said_of(old) != _said_of(event)
        return self._speak(now)

    def tick(self, now: Instant) -> list[Message]:
        """Repeat what holds."""
        return self._speak(now)

    def _speak(self, now: Instant) -> list[Message]:
        if not (self._changed or self._repetition.due(now)):
            return []
        events = [event for event in list(self._events.values()) if self._holds(event, now)]
        signs = [sign for sign in self._signs if _stands(sign, self._speech.gate.time_ns(now))]
        if not (events or signs):
            self._changed = False
            return []
        if not self._speech.allowed(now):
            return []
        self._changed = False
        self._repetition.done(now)
        # The most urgent and the newest go into the first message.
        events.sort(key=lambda event: (-event.severity, -event.start_ns, event.id))
        frames: list[Message] = []
        for some_events, some_signs in self._parts(events, signs):
            frames += self._say(some_events, some_signs, now)
        return frames

    def _holds(self, event: RoadEvent, now: Instant) -> bool:
        if self._speech.fresh(event.time_ns, now, f"event:{event.id}"):
            return True
        del self._events[event.id]
        return False

    def _parts(
        self, events: list[RoadEvent], signs: list[RoadSign]
    ) -> Iterator[tuple[list[RoadEvent], list[RoadSign]]]:
        most_events, most_signs = self._writer.events_max, self._writer.signs_max
        while events or signs:
            yield events[:most_events], signs[:most_signs]
            events, signs = events[most_events:], signs[most_signs:]

    def _say(self, events: list[RoadEvent], signs: list[RoadSign], now: Instant) -> list[Message]:
        """These facts in one message, or in two where a packet is too short for them."""
        time_ns = self._speech.gate.time_ns(now)
        try:
            content = self._writer.content(self._speech.count, time_ns, events, signs)
        except OutOfRangeError as error:
            if len(events) + len(signs) == 1:
                subject = f"event:{events[0].id}" if events else f"sign:{signs[0].id}"
                self._speech.withhold(now, Refusal("out_of_range", str(error)), subject)
                return []
            return self._halves(events, signs, now)
        payload = self._speech.encoded(content, now)
        if payload is None:
            return []
        if len(payload) > self._speech.room and len(events) + len(signs) > 1:
            return self._halves(events, signs, now)
        oldest = min((event.time_ns for event in events), default=now.utc_ns)
        newest = max((event.time_ns for event in events), default=now.utc_ns)
        evidence = Evidence(
            newest, oldest, tuple(sorted({track for event in events for track in event.tracks}))
        )
        reason = "events" if events else "signs"
        return self._speech.send(payload, content, now, evidence, reason)

    def _halves(
        self, events: list[RoadEvent], signs: list[RoadSign], now: Instant
    ) -> list[Message]:
        facts: list[Fact] = [*events, *signs]
        middle = len(facts) // 2
        frames: list[Message] = []
        for part in (facts[:middle], facts[middle:]):
            part_events = [fact for fact in part if isinstance(fact, RoadEvent)]
            part_signs = [fact for fact in part if isinstance(fact, RoadSign)]
            frames += self._say(part_events, part_signs, now)
        return frames


def _said_of(event: RoadEvent) -> tuple[object, ...]:
    """What a change of must be told at once; the time it was last seen is not."""
    return (
        event.code, event.itis, event.severity, event.lanes, event.end_ns, event.description,
        round(event.position.x), round(event.position.y), round(event.radius),
    )  # fmt: skip


def _stands(sign: RoadSign, time_ns: int | None) -> bool:
    """Whether a sign holds now; one with times does not where the time is not known."""
    if sign.start_ns is None and sign.end_ns is None:
        return True
    if time_ns is None:
        return False
    return (sign.start_ns or time_ns) <= time_ns <= (sign.end_ns or time_ns)
