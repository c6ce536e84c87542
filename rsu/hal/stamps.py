"""Times that devices state of themselves: which to believe.

A driver asks `StampGuard` once per fact, by the thing that was measured (a radar, one bay); the
answer is None or the reason code of the drop. Repeated and reordered facts, a queue that broke
loose, and a device whose clock is wrong all show here.
"""

from __future__ import annotations

from rsu.schema.units import NS_PER_S, Instant

SET_CLOCK_NS = 2 * NS_PER_S
"""A step back of more than this is a clock that was set, as with cameras; less is reordering."""
MAX_KEYS = 4096
"""Things whose last time is remembered: a device that invents names must not fill the memory."""

DUPLICATE = "duplicate_timestamp"
NON_MONOTONE = "non_monotone_timestamp"
FUTURE = "future_timestamp"
STALE = "stale_timestamp"


class StampGuard:
    """Remembers the last accepted time of everything that is measured.

    Facts older than `max_age_s` or stamped more than `max_ahead_s` after now are refused.
    """

    def __init__(self, max_age_s: float, max_ahead_s: float) -> None:
        self._max_age_ns = round(max_age_s * NS_PER_S)
        self._max_ahead_ns = round(max_ahead_s * NS_PER_S)
        self._last: dict[str, int] = {}

    def refusal(self, key: str, stamp_ns: int, now: Instant) -> str | None:
        """Why a fact of that time is not to be believed; None: it is, and it is remembered."""
        if stamp_ns > now.utc_ns + self._max_ahead_ns:
            return FUTURE
        if stamp_ns < now.utc_ns - self._max_age_ns:
            return STALE
        last = self._last.get(key)
        if last is not None:
            if stamp_ns == last:
                return DUPLICATE
            if last - SET_CLOCK_NS <= stamp_ns < last:
                return NON_MONOTONE
        elif len(self._last) >= MAX_KEYS:
            del self._last[next(iter(self._last))]
        self._last[key] = stamp_ns
        return None
