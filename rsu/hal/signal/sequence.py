"""Repeats and reordering seen by a counter of eight bits, for senders whose own time is not used.

A sequence number says nothing after a longer silence (it has run around, the sender has started
anew), so the first one after `RESTART_NS` without any is always taken.
"""

from __future__ import annotations

from rsu.hal.stamps import DUPLICATE, NON_MONOTONE
from rsu.schema.units import NS_PER_S, Instant

MODULUS = 256
REORDERED = 32
"""A number up to this much behind the last one came late; more is a sender that started anew. At
10 Hz this is 3.2 s, far longer than a network keeps a datagram."""
RESTART_NS = 2 * NS_PER_S


class SequenceGuard:
    """Remembers the last accepted number and what came with it."""

    def __init__(self) -> None:
        self._last: tuple[int, bytes, int] | None = None

    def refusal(self, sequence: int, octets: bytes, now: Instant) -> str | None:
        """Why a datagram is a repeat or too late; None: it is neither, and it is remembered.

        Two different datagrams may carry one number (two within a tick of the sender's counter).
        """
        # Either way round: arrivals are reconstructed from waits, a little inexactly.
        if self._last is not None and abs(now.mono_ns - self._last[2]) < RESTART_NS:
            last, same, _ = self._last
            behind = (last - sequence) % MODULUS
            if behind == 0 and octets == same:
                return DUPLICATE
            if 0 < behind <= REORDERED:
                return NON_MONOTONE
        self._last = (sequence, octets, now.mono_ns)
        return None
