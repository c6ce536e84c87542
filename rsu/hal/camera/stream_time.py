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
MIN_RATE_HZ = NS_PER_S / MAX_GAP_NS
"""A stated rate below this would be nothing but gaps."""
MAX_POSITION_MS = 1e13
"""Three hundred years: a larger timestamp is a broken one (and must not overflow 64 bits in ns)."""


def position_ns(position_ms: float) -> int | None:
    """A container's timestamp in ns, None when it cannot be one."""
    usable = math.isfinite(position_ms) and abs(position_ms) < MAX_POSITION_MS
    return round(position_ms * NS_PER_MS) if usable else None


class StreamTime:
    """State of one pass through a file; `rate_hz` is what the container claims."""

    def __init__(self, rate_hz: float) -> None:
        stated = MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ  # false for NaN, too
        self.period_ns = round(NS_PER_S / (rate_hz if stated else DEFAULT_RATE_HZ))
        self.estimated = 0
        self._offset_ns: int | None = None
        self._last_ns = 0

    def next(self, position_ms: float) -> int:
        """Stream time of the next frame, ns, 0 for the first; `position_ms` is the container's."""
        stamp_ns = position_ns(position_ms)
        if self._offset_ns is None:
            self._offset_ns = -(stamp_ns or 0)
            return 0
        time_ns = self._last_ns if stamp_ns is None else stamp_ns + self._offset_ns
        if not 0 < time_ns - self._last_ns <= MAX_GAP_NS:
            time_ns = self._last_ns + self.period_ns
            if stamp_ns is not None:
                self._offset_ns = time_ns - stamp_ns
            self.estimated += 1
        self._last_ns = time_ns
        return time_ns

    @property
    def length_ns(self) -> int:
        """Stream time at which the frame after the last one would begin."""
        return self._last_ns + self.period_ns
