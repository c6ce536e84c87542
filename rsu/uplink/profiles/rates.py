"""How often what is on the air also goes up: a rate for what changes, repetition for what does not.

RSM and SPAT are picked at most `up_limit_hz` times a second, all messages of one moment together.
RSI and MAP go up when they say something new, else every `unchanged_s`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from rsu.config.platforms import LiveOptions
from rsu.schema.reports import Priority
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import V2xFrame
from rsu.uplink.profiles.base import EVENT_TTL_S, LIVE_TTL_S, STATE_TTL_S

COUNTERS = frozenset({"msgCnt", "moy", "timeStamp", "secMark"})
"""What changes in a repetition that says nothing new."""
LIFE = {
    "RSM": (Priority.TELEMETRY, LIVE_TTL_S),
    "SPAT": (Priority.TELEMETRY, LIVE_TTL_S),
    "RSI": (Priority.EVENT, EVENT_TTL_S),
    "MAP": (Priority.STATE, STATE_TTL_S),
}
"""Which messages go up, how urgent they are and for how many seconds they matter."""
MAX_SAID = 64  # contents remembered; forgetting one only repeats it early


class Rates:
    """Which frames of the Chinese message set go up now."""

    def __init__(self, options: LiveOptions) -> None:
        self._least_ns = int(NS_PER_S / options.up_limit_hz)
        self._unchanged_ns = int(options.unchanged_s * NS_PER_S)
        self._last: dict[str, tuple[int, int]] = {}  # message -> mono ns, moment spoken of
        self._said: dict[str, int] = {}

    def pass_on(self, frame: V2xFrame, now: Instant) -> bool:
        """Whether this one goes up."""
        if frame.message in ("RSM", "SPAT"):
            return self._live(frame, now)
        if frame.message in ("RSI", "MAP"):
            return self._standing(frame, now)
        return False

    def _live(self, frame: V2xFrame, now: Instant) -> bool:
        last_ns, moment_ns = self._last.get(frame.message, (-self._least_ns, -1))
        # A hundredth early is on time: messages come at their own beat.
        if frame.time_ns != moment_ns and now.mono_ns - last_ns < 0.99 * self._least_ns:
            return False
        if frame.time_ns != moment_ns:
            self._last[frame.message] = now.mono_ns, frame.time_ns
        return True

    def _standing(self, frame: V2xFrame, now: Instant) -> bool:
        key = frame.message + content_tag(frame)
        if key in self._said and now.mono_ns - self._said[key] < self._unchanged_ns:
            return False
        self._said.pop(key, None)
        self._said[key] = now.mono_ns
        if len(self._said) > MAX_SAID:
            del self._said[next(iter(self._said))]
        return True


def of_china(frame: V2xFrame) -> bool:
    """Whether it is a message of the Chinese set (both worlds have a SPAT and a MAP)."""
    return not frame.profile.startswith("j2735")


def content_tag(frame: V2xFrame) -> str:
    """The same for frames that say the same."""
    content = json.dumps(_without_counters(frame.value), sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _without_counters(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_counters(v) for key, v in value.items() if key not in COUNTERS}
    if isinstance(value, list):
        return [_without_counters(item) for item in value]
    return value
