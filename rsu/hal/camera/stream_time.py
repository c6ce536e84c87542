"""Turns the timestamps a video container gives into strictly increasing stream time.

Some containers carry no times (all zero), start again in the middle (joined recordings), jump, or
repeat themselves. Whatever comes in, `StreamTime` gives nanoseconds since the first frame that grow
with every frame; where it had to fall back to the nominal frame period it counts that.
"""

from __future__ import annotations

import math

from rsu.schema.units import NS_PER_MS, NS_PER_S

MAX_GAP_NS = 60 * NS_PER_S
"""A longer pause inside one file is taken for a broken timestamp: nobody watches a road through
gaps of a minute, and a player that believed it would seem to hang."""
DEFAULT_RATE_HZ = 25.0
"""Frame rate of a container that states none: the one of PAL, most common in road surveillance."""
MAX_RATE_HZ = 1000.0
"""A stated rate above this is a container's time base, not a frame rate."""


class StreamTime:
    """State of one pass through a file; `rate_hz` is what the container claims."""

    def __init__(self, rate_hz: float) -> None:
        stated = math.isfinite(rate_hz) and 0.0 < rate_hz <= MAX_RATE_HZ
        self.period_ns = round(NS_PER_S / (rate_hz if stated else DEFAULT_RATE_HZ))
        self.estimated = 0
        self._offset_ns: int | None = None
        self._last_ns = 0

    def next(self, position_ms: float) -> int:
        """Stream time of the next frame, ns, 0 for the first; `position_ms` is the container's."""
        usable = math.isfinite(position_ms)
        position_ns = round(position_ms * NS_PER_MS) if usable else 0
        if self._offset_ns is None:
            self._offset_ns = -position_ns
            return 0
        time_ns = position_ns + self._offset_ns
        if not usable or not 0 < time_ns - self._last_ns <= MAX_GAP_NS:
            time_ns = self._last_ns + self.period_ns
            self._offset_ns = time_ns - position_ns
            self.estimated += 1
        self._last_ns = time_ns
        return time_ns

    @property
    def length_ns(self) -> int:
        """Stream time at which the frame after the last one would begin."""
        return self._last_ns + self.period_ns
