"""Time of the live hosts: both clocks read together, and how far the wall clock can be trusted.

In: the kernel's clocks and its NTP state (`adjtimex`, which answers whatever disciplines the clock:
chrony, ntpd, PTP). Out: `Instant`s and a `ClockQuality`. Stages never come here; they get `now`.
"""

from __future__ import annotations

import ctypes
import time

from rsu.schema.health import ClockQuality
from rsu.schema.units import NS_PER_S, Instant

TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
HOLDOVER_NS = 600 * NS_PER_S
"""How long an undisciplined clock is still believed. A 50 ppm crystal drifts 30 ms in ten minutes,
well inside the 100 ms budget of a safety message (T/CSAE 53-2020 application table)."""


def system_now() -> Instant:
    """Both clocks, read back to back."""
    return Instant(time.time_ns(), time.monotonic_ns())


class _Timex(ctypes.Structure):
    """`struct timex` is 208 octets on 64-bit Linux; only its size and the return value matter."""

    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_char * 204))


def kernel_clock_synchronised() -> bool:
    """Whether the kernel says something keeps its clock right; False when it cannot be asked."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        state = libc.adjtimex(ctypes.byref(_Timex()))
    except (OSError, AttributeError):
        return False
    return state not in (-1, TIME_ERROR)


class ClockMonitor:
    """Clock quality as a state: locked, holdover for a while after losing lock, unsynchronised.

    A wall clock that moved against the monotonic clock by more than `step_ns` between two looks
    was stepped: unsynchronised until the kernel says otherwise again at the next look.
    """

    def __init__(self, *, step_ns: int = 50_000_000) -> None:
        # 50 ms: half the 100 ms period of safety messages.
        self._step_ns = step_ns
        self._last_locked_mono: int | None = None
        self._previous: Instant | None = None
        self.steps = 0

    def update(self, now: Instant, *, synchronised: bool) -> ClockQuality:
        """The quality at `now`, given what the kernel says."""
        previous, self._previous = self._previous, now
        if previous is not None:
            moved = (now.utc_ns - previous.utc_ns) - (now.mono_ns - previous.mono_ns)
            if abs(moved) > self._step_ns:
                self.steps += 1
                self._last_locked_mono = None
                return ClockQuality.UNSYNCHRONISED
        if synchronised:
            self._last_locked_mono = now.mono_ns
            return ClockQuality.LOCKED
        if (
            self._last_locked_mono is not None
            and now.mono_ns - self._last_locked_mono <= HOLDOVER_NS
        ):
            return ClockQuality.HOLDOVER
        return ClockQuality.UNSYNCHRONISED
