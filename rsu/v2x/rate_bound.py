"""Bound on the average rate of statements that come when their evidence does: a token bucket."""

from __future__ import annotations

from rsu.schema.units import NS_PER_S

_DEPTH = 2
"""Credit in periods. With one, a stream a little faster than the bound would lose every other
statement (12.5 Hz → 6.25 Hz); with two the average itself reaches the bound."""


class RateBound:
    """At most `rate_hz` on average: in any t seconds no more than t·rate_hz + 2."""

    def __init__(self, rate_hz: float, start_ns: int) -> None:
        self._period_ns = round(NS_PER_S / rate_hz)
        self._credit_ns = _DEPTH * self._period_ns
        self._last_ns = start_ns

    def allows(self, now_ns: int) -> bool:
        """Whether one more statement may be made at this monotonic time; if so, it counts."""
        self._credit_ns = self._credit(now_ns)
        self._last_ns = max(now_ns, self._last_ns)
        if self._credit_ns < self._period_ns:
            return False
        self._credit_ns -= self._period_ns
        return True

    def rested(self, now_ns: int) -> bool:
        """Whether its credit is full again: from here on it does as a new one would."""
        return self._credit(now_ns) == _DEPTH * self._period_ns

    def _credit(self, now_ns: int) -> int:
        earned = max(now_ns - self._last_ns, 0)
        return min(self._credit_ns + earned, _DEPTH * self._period_ns)
