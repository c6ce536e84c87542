"""What may be said now: clock, degraded mode, age of the evidence and rate, for every message.

In: the unit's health as it is reported, the options of a message (`rsu.config.v2x_messages`), and
`now`. Out: a refusal with its reason code (docs/decisions.md), or None. The table of messages with
their numbers is in docs/v2x.md; who finds a place in a message is decided in `selection`.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from rsu.config.v2x_messages import MessageOptions
from rsu.schema.health import Capability, ClockQuality, UnitHealth
from rsu.schema.units import NS_PER_S, Instant
from rsu.v2x.rate_bound import RateBound

HEALTH_WORD_NS = 5 * NS_PER_S
"""How long a word about the unit's health holds: five of the reports that come every second."""

KEYS_MAX = 256
"""Things whose rates are bounded one by one: eight times the intersections of one SPAT."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something must not be said now."""

    reason: str
    detail: str = ""


class UnitState:
    """Clock and capability of the unit as last reported. All intervals in monotonic time."""

    def __init__(self, boot: Instant, *, trust_clock: bool) -> None:
        self._trust_clock = trust_clock
        self._health: UnitHealth | None = None
        self._heard_ns = boot.mono_ns

    def update(self, health: UnitHealth, now: Instant) -> None:
        """Take one report."""
        self._health, self._heard_ns = health, now.mono_ns

    def clock_refusal(self, now: Instant) -> Refusal | None:
        """Why no claim of time may be made; None where the clock is locked or in holdover."""
        if self._trust_clock:
            return None
        reason = "clock_unsynchronised"
        if self._health is None:
            return Refusal(reason, "no health report yet")
        if now.mono_ns - self._heard_ns > HEALTH_WORD_NS:
            return Refusal(reason, "the last health report is too old")
        if self._health.clock is ClockQuality.UNSYNCHRONISED:
            return Refusal(reason)
        return None

    def capability(self, now: Instant) -> Capability | None:
        """What the unit can perceive; None where no report of late says."""
        if self._health is None or now.mono_ns - self._heard_ns > HEALTH_WORD_NS:
            return None
        return self._health.capability


class Gate:
    """What one message must pass. `timeless`: it can be said without any claim of time."""

    def __init__(
        self, options: MessageOptions, state: UnitState, boot: Instant, *, timeless: bool = False
    ) -> None:
        self._options = options
        self._state = state
        self._timeless = timeless
        self._boot_ns = boot.mono_ns
        self._max_age_ns = round(options.max_evidence_age_s * NS_PER_S)
        self._rates: dict[Hashable, RateBound] = {}

    def refusal(self, now: Instant) -> Refusal | None:
        """Whether the state of the unit forbids the message."""
        capability = self._state.capability(now)
        if capability is not None and capability in self._options.withhold_when:
            return Refusal("degraded", f"the unit is {capability}")
        return None if self._timeless else self._state.clock_refusal(now)

    def time_ns(self, now: Instant) -> int | None:
        """The present as a message may state it; None: it may not."""
        return now.utc_ns if self._state.clock_refusal(now) is None else None

    def age_refusal(self, evidence_ns: int, now: Instant) -> Refusal | None:
        """Whether evidence of this UTC time is too old, or later than now by as much: evidence
        from the future is as doubtful as old evidence, a clock has been stepped."""
        age_ns = now.utc_ns - evidence_ns
        if abs(age_ns) <= self._max_age_ns:
            return None
        reason = "evidence_stale" if age_ns > 0 else "evidence_from_future"
        return Refusal(reason, f"{age_ns / NS_PER_S:.3f} s old")

    def rate_refusal(self, now: Instant, key: Hashable = None) -> Refusal | None:
        """Whether it would be said too often; if not, this time counts. Each key has a rate."""
        bound = self._rates.get(key)
        if bound is None:
            if len(self._rates) >= KEYS_MAX:
                # Whatever has not been said for two periods needs no memory of its rate.
                self._rates = {
                    old: one for old, one in self._rates.items() if not one.rested(now.mono_ns)
                }
            if len(self._rates) >= KEYS_MAX:
                return Refusal("rate_bound", f"more than {KEYS_MAX} things to speak of")
            # Credit since the boot, not since the first call: the first word is never held up.
            bound = self._rates[key] = RateBound(self._options.rate_hz, self._boot_ns)
        return None if bound.allows(now.mono_ns) else Refusal("rate_bound")
