"""Does another unit of the same id take our session at the broker, again and again?

In: how the connection is, every turn. Out: whether to suspect that. A broker of MQTT 5 may say so;
those that do not just end the session as soon as the other one connects, so that none lasts. A line
that is cut all the time looks the same: therefore it is a suspicion, for a person to look at.
"""

from __future__ import annotations

from collections import deque

from rsu.schema.units import NS_PER_S, Instant

TAKEN_OVER = "session_taken_over"
SHORT_NS = 30 * NS_PER_S
"""Two keepalives of 15 s: a line that only stopped answering would have lasted that long."""
MANY, WITHIN_NS = 4, 600 * NS_PER_S
"""Two units of one id, with back-off of at most a minute, reach that in five minutes."""


class SessionWatch:
    """One per connection."""

    def __init__(self) -> None:
        self.suspected = False
        self._connections = 0
        self._began_ns: int | None = None
        self._short: deque[int] = deque(maxlen=MANY)

    def take(self, now: Instant, *, connected: bool, connections: int, failure: str | None) -> bool:
        """Whether the suspicion is new, or over."""
        before = self.suspected
        opened, self._connections = connections - self._connections, connections
        if self._began_ns is not None and (opened or not connected):
            self._ended(now.mono_ns - self._began_ns, now.mono_ns)
            self._began_ns = None
        for _ in range(opened - connected):  # began and ended between two looks
            self._ended(0, now.mono_ns)
        if opened and connected:
            self._began_ns = now.mono_ns
        recent = [at_ns for at_ns in self._short if now.mono_ns - at_ns < WITHIN_NS]
        if self._began_ns is not None and now.mono_ns - self._began_ns >= SHORT_NS:
            self._short.clear()
            self.suspected = False
        elif len(recent) >= MANY or (failure == TAKEN_OVER and not connected):
            self.suspected = True
        return self.suspected is not before

    def _ended(self, lasted_ns: int, now_ns: int) -> None:
        if lasted_ns < SHORT_NS:
            self._short.append(now_ns)
