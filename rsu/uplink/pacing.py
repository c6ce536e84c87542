"""How fast a backlog is drained: so many reports a second, and never more than half of the window.

The other half stays free for what happens now, so a slow link delays live reports by half a window
at most, and a fast one is not filled with history.
"""

from __future__ import annotations

import time
from collections.abc import Callable

BURST_S = 0.5
"""What can be saved up, in seconds of the rate: a pause is not answered by a flood."""


class Pacer:
    """A token bucket: `rate` a second on the long run, at once `burst` (none: half a second's)."""

    def __init__(
        self,
        rate: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        burst: float | None = None,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._most = max(1.0, rate * BURST_S if burst is None else burst)
        self._tokens = self._most
        self._at = clock()

    def allowance(self) -> int:
        """How many may go now."""
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return int(self._tokens)

    def spend(self, count: int) -> None:
        """That many went."""
        self._tokens -= count

    def wait_s(self) -> float:
        """Seconds until the next may go."""
        return max(0.0, (1.0 - self._tokens) / self._rate)
