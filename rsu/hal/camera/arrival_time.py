"""Capture times for streams that carry only relative timestamps, from when their frames arrive.

A frame cannot arrive before it was taken, and the frame that travelled fastest shows the smallest
delay. So capture time is the stream's timestamp plus the smallest (arrival − timestamp) seen, which
takes jitter and bursts out: five frames that a network held back and delivered at once keep their
true distances and their true age. What remains unknown is the delay of the fastest frame itself.
"""

from __future__ import annotations

from rsu.hal.camera.stream_time import MAX_GAP_NS, position_ns
from rsu.schema.units import NS_PER_MS, Instant

DRIFT = 200e-6
"""How fast the smallest delay is allowed to grow again: 100 ppm for the camera's crystal and as
much for ours, twice the usual tolerance of either."""
SHORTEST_PERIOD_NS = 10 * NS_PER_MS
"""Frames that follow each other faster have been waiting: no network camera does 100 frames/s.
Needed because streams begin with repeated timestamps."""
MAX_BACKLOG = 250
"""Frames dropped at most while a stream catches up: ten seconds at 25 frames/s."""


class ArrivalTime:
    """State of one connection."""

    def __init__(self) -> None:
        self._offset_ns = 0.0  # smallest arrival − timestamp, monotonic clock
        self._last: tuple[int, int] | None = None  # arrival (monotonic), timestamp
        self._backlog = 0
        self._caught_up = False

    def capture_ns(self, arrival: Instant, position_ms: float) -> int | None:
        """UTC ns at which the frame was taken, or None while old frames are still draining.

        `position_ms` is the stream's timestamp. The first frames of a connection have waited since
        before it was open; they come faster than their timestamps advance, and none is believed
        until they do not. Where timestamps are missing, repeat or jump, the arrival counts.
        """
        stamp_ns = position_ns(position_ms) or 0  # 0 does not advance: the arrival counts
        last, self._last = self._last, (arrival.mono_ns, stamp_ns)
        newest_ns = arrival.mono_ns - stamp_ns
        if last is None:
            self._offset_ns = newest_ns
            self._backlog += 1
            return None
        arrived_ns, advanced_ns = arrival.mono_ns - last[0], stamp_ns - last[1]
        if not self._caught_up:
            waited = 2 * arrived_ns >= max(advanced_ns, SHORTEST_PERIOD_NS)
            self._caught_up = waited or self._backlog >= MAX_BACKLOG
            self._offset_ns = newest_ns
            if not self._caught_up:
                self._backlog += 1
                return None
        if not 0 < advanced_ns <= MAX_GAP_NS:
            self._offset_ns = newest_ns
            return arrival.utc_ns
        self._offset_ns = min(newest_ns, self._offset_ns + DRIFT * arrived_ns)
        age_ns = newest_ns - round(self._offset_ns)
        return arrival.utc_ns - max(0, age_ns)
