"""Live messages: sent at once or not at all.

What is only worth something now (a V2X frame for vehicles on the mobile network, say) goes in by
`put` from any thread and out by `take` on the session's thread, oldest first. It never touches the
disk and is never repeated (QoS 0): without a connection, older than it may be, or with the socket
full, it is dropped and counted. Invariant: offered = sent + waiting + dropped{reason}.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

WAITING = 64
"""Messages that may wait for the session's thread: a second of five message types at 10 Hz."""
WAITING_BYTES = 65_536
"""… and their size: the window of the reports, so that neither fills the link for long."""
NS_PER_S = 1_000_000_000


class LiveDrop(StrEnum):
    """Why a live message was not sent."""

    OFFLINE = "offline"  # no connection when it was given, or gone before its turn
    STALE = "stale"  # older than it may be at its turn
    FULL = "full"  # the network takes less than is offered
    INVALID = "invalid"  # no topic to publish to, or larger than we or the broker accept


@dataclass(frozen=True, slots=True)
class LiveMessage:
    """One message with its full topic; `deadline_ns` is on the monotonic clock."""

    topic: str
    payload: bytes
    deadline_ns: int
    max_age_s: float

    @property
    def size(self) -> int:
        """Bytes that count against the bound."""
        return len(self.topic) + len(self.payload)


@dataclass(frozen=True, slots=True)
class LiveStats:
    """One look at the numbers since the start."""

    offered: int
    sent: int
    waiting: int
    dropped: dict[str, int]


class LiveQueue:
    """What waits for the session's thread."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[LiveMessage] = deque()
        self._bytes = 0
        self._open = False
        self._offered = self._sent = 0
        self._dropped: dict[str, int] = {}

    def put(self, topic: str, payload: bytes, max_age_s: float) -> bool:
        """Queue a message; False (and counted) where it cannot be sent. Never waits or raises."""
        now = self._clock()
        with self._lock:
            self._offered += 1
            if not valid_topic(topic) or not 0 < max_age_s < 3600 or len(payload) > WAITING_BYTES:
                self._drop(LiveDrop.INVALID)
                return False
            if not self._open:
                self._drop(LiveDrop.OFFLINE)
                return False
            message = LiveMessage(topic, payload, now + int(max_age_s * NS_PER_S), max_age_s)
            self._waiting.append(message)
            self._bytes += message.size
            while len(self._waiting) > WAITING or self._bytes > WAITING_BYTES + len(topic):
                # The oldest goes: the newest is what the receiver wants.
                self._bytes -= self._waiting.popleft().size
                self._drop(LiveDrop.FULL)
        return True

    def take(self) -> LiveMessage | None:
        """The oldest that may still be sent, counted as sent; None when nothing waits."""
        now = self._clock()
        with self._lock:
            while self._waiting:
                message = self._waiting.popleft()
                self._bytes -= message.size
                if message.deadline_ns >= now:
                    self._sent += 1
                    return message
                self._drop(LiveDrop.STALE)
        return None

    def unsent(self, reason: LiveDrop) -> None:
        """The message last taken did not go out after all."""
        with self._lock:
            self._sent -= 1
            self._drop(reason)

    def open(self) -> None:
        """There is a connection."""
        with self._lock:
            self._open = True

    def close(self) -> None:
        """The connection is gone, and with it what waits."""
        with self._lock:
            self._open = False
            for _ in self._waiting:
                self._drop(LiveDrop.OFFLINE)
            self._waiting.clear()
            self._bytes = 0

    def stats(self) -> LiveStats:
        """The numbers now."""
        with self._lock:
            return LiveStats(self._offered, self._sent, len(self._waiting), dict(self._dropped))

    def _drop(self, reason: LiveDrop) -> None:
        self._dropped[reason.value] = self._dropped.get(reason.value, 0) + 1


def valid_topic(topic: str) -> bool:
    """Whether one can publish to it: no wildcards, no NUL, UTF-8 of 1 to 1024 octets."""
    try:
        size = len(topic.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= 1024 and not any(c in topic for c in "+#\0") and topic[0] != "$"
