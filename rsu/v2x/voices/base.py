"""What a voice is: one message class that hears facts and decides when to speak of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from rsu.schema.message import Message
from rsu.schema.topics import Topic
from rsu.schema.units import NS_PER_MS, Instant

TICK_NS = 100 * NS_PER_MS
"""How often voices look at the time: the shortest period of T/CSAE 159-2020 cl. 5.4, and all
others are multiples of it."""


class Voice(Protocol):
    """Deterministic, without I/O; both methods return drafts of V2X frames."""

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What it wants to hear."""

    def hear(self, message: Message, now: Instant) -> Iterable[Message]:
        """Take one fact, and speak if it is time."""

    def tick(self, now: Instant) -> Iterable[Message]:
        """Speak if it is time; called every TICK_NS."""


class Repetition:
    """When something that is to be repeated is due again. Monotonic time."""

    def __init__(self, rate_hz: float) -> None:
        # Half a tick early is on time: ticks come every TICK_NS, give or take the host's delay.
        self._period_ns = round(1e9 / rate_hz) - TICK_NS // 2
        self._last_ns: int | None = None

    def due(self, now: Instant) -> bool:
        """Whether the period has passed since it was last said."""
        return self._last_ns is None or now.mono_ns - self._last_ns >= self._period_ns

    def done(self, now: Instant) -> None:
        """It was said, or should have been, now."""
        self._last_ns = now.mono_ns
