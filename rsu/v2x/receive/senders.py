"""Who has been heard lately: bounds on how often each is listened to, own words known again.

Everything here is bounded: a flood costs a look-up, never memory.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

from rsu.schema.units import NS_PER_S

QUIET_NS = 10 * NS_PER_S
"""A sender silent for so long makes room for another; vehicles speak every 100 ms to 1 s."""
OWN_FRAMES = 4096
"""Own frames remembered: 10 s at 400 frames a second, more than a radio channel carries."""


class Bucket:
    """Tokens that come at `rate_hz`, at most one second's worth (at least one)."""

    __slots__ = ("_depth", "_filled_ns", "_rate", "_tokens")

    def __init__(self, rate_hz: float, start_ns: int) -> None:
        self._rate, self._depth = rate_hz, max(rate_hz, 1.0)
        self._tokens, self._filled_ns = self._depth, start_ns

    def takes(self, cost: float, now_ns: int) -> bool:
        """Whether `cost` tokens are there; if so, they are gone. Monotonic time."""
        earned = max(now_ns - self._filled_ns, 0) / NS_PER_S * self._rate
        self._tokens = min(self._tokens + earned, self._depth)
        self._filled_ns = max(now_ns, self._filled_ns)
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True


class Senders:
    """A bucket for each (sender, message), the longest silent first in line to go."""

    def __init__(self, rate_hz: float, most: int) -> None:
        self._rate, self._most = rate_hz, most
        self._known: OrderedDict[tuple[str, str], tuple[Bucket, int]] = OrderedDict()

    def refusal(self, sender: str, message: str, cost: float, now_ns: int) -> str | None:
        """Reason not to listen to one more message, None to listen; it counts."""
        key = (sender, message)
        entry = self._known.get(key)
        if entry is None:
            if len(self._known) >= self._most:
                oldest, (_, heard_ns) = next(iter(self._known.items()))
                if now_ns - heard_ns < QUIET_NS:
                    return "too_many_senders"
                del self._known[oldest]
            entry = (Bucket(self._rate, now_ns), now_ns)
        self._known[key] = (entry[0], now_ns)
        self._known.move_to_end(key)
        return None if entry[0].takes(cost, now_ns) else "rate_exceeded"

    def __len__(self) -> int:
        return len(self._known)


class OwnWords:
    """Digests of the frames this unit sent lately."""

    def __init__(self, keep_ns: int) -> None:
        self._keep_ns = keep_ns
        self._sent: OrderedDict[bytes, int] = OrderedDict()

    def remember(self, payload: bytes, now_ns: int) -> None:
        """Note a frame that goes out now (monotonic)."""
        digest = _digest(payload)
        self._sent[digest] = now_ns
        self._sent.move_to_end(digest)
        while self._sent:
            first = next(iter(self._sent))
            if len(self._sent) <= OWN_FRAMES and now_ns - self._sent[first] <= self._keep_ns:
                break
            del self._sent[first]

    def include(self, payload: bytes, now_ns: int) -> bool:
        """Whether exactly this frame was sent lately."""
        sent_ns = self._sent.get(_digest(payload))
        return sent_ns is not None and now_ns - sent_ns <= self._keep_ns


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=16).digest()
