"""Was this frame read by the right message set? Evidence for and against, as a number and a list.

The sets share most bits, so a wrong one often decodes without an error (facts: csae.md 1.1). The
profile stays what was configured; this module only says when something else explains the octets
better. Evidence: does the value re-encode to the octets, which other profiles read the same octets
exactly and to another value, how plausible is each reading (`rsu.v2x.inspector.plausibility`).

    logit(confidence) = PRIOR + oddities(asked) - oddities(best other reading) + evidence
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rsu.v2x.codec import PROFILES, codec_for
from rsu.v2x.errors import DecodeError, EncodeError
from rsu.v2x.inspector.plausibility import UNKNOWN_MESSAGE, Oddity, Position, oddities
from rsu.v2x.open_types import OPEN_TYPES

SUSPECTED = 0.5
"""Confidence from which a suspicion is told."""
PRIOR = -4.0
"""One frame in fifty meets a wrong profile: a configured profile is rarely wrong."""
READ_OTHERWISE = 4.5
"""Another set reads the octets whole, to another value: one of the two is wrong. Chosen on the
shared corpus, so its rates there are no prediction (docs/v2x-inspector.md has drawn frames)."""
UNDECIDED = SUSPECTED
"""Least confidence with such a rival where no position is known: frames drawn from the schema
showed that oddities alone leave one wrong reading in ten unsaid."""
NOT_REENCODED = 5.0
"""The value does not give the octets back: something in them was not understood."""
ODDITIES_MAX = 8.0
"""Cap on what oddities can say: they depend on each other."""
ODD = 2.0
"""Oddness from which other sets are asked even where they should read the frame alike."""
IMPLAUSIBLE_ONLY = 0.49
"""Highest confidence without a rival: values may be odd and true, or of a set not known here."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """How sure it is that `profile` is the wrong one, why, and what reads the octets instead."""

    profile: str
    confidence: float
    evidence: tuple[str, ...]
    likelier: str | None

    @property
    def suspected(self) -> bool:
        return self.confidence >= SUSPECTED

    def to_json(self) -> dict[str, Any]:
        return {
            "confidence": self.confidence,
            "likelier": self.likelier,
            "evidence": list(self.evidence),
        }


@dataclass(frozen=True, slots=True)
class _Reading:
    profile: str
    value: Any
    odd: list[Oddity]
    exact: bool

    @property
    def oddness(self) -> float:
        return min(ODDITIES_MAX, sum(each.weight for each in self.odd))


def suspicion_of(
    profile: str, octets: bytes, value: Any, near: Position | None = None
) -> Suspicion:
    """How likely a value, decoded from octets by `profile`, is a wrong reading of them.

    `near`: where the sender must be (latitude and longitude in degrees), if that is known; the
    strongest evidence there is.
    """
    asked = _reading(profile, octets, value, near)
    evidence = [str(each) for each in asked.odd]
    logit = PRIOR + asked.oddness
    if not asked.exact:
        logit += NOT_REENCODED
        evidence.append("the value does not re-encode to the same octets")
    rivals = []
    if asked.oddness >= ODD or not asked.exact or _differs_by_set(profile, value):
        rivals = [r for r in _readings(profile, octets, near) if r.exact and r.value != value]
    if not rivals:
        confidence = _confidence(logit)
        if asked.exact and not any(each.weight >= UNKNOWN_MESSAGE for each in asked.odd):
            confidence = min(IMPLAUSIBLE_ONLY, confidence)
        return Suspicion(profile, round(confidence, 3), tuple(evidence), None)
    best = min(rivals, key=lambda rival: rival.oddness)
    logit += READ_OTHERWISE - best.oddness
    confidence = _confidence(logit)
    if near is None and all(each.weight < UNKNOWN_MESSAGE for each in best.odd):
        confidence = max(UNDECIDED, confidence)
    evidence.append(f"{best.profile} reads the same octets exactly, to another value")
    evidence += [f"but by {best.profile}, {each}" for each in best.odd]
    return Suspicion(profile, round(confidence, 3), tuple(evidence), best.profile)


def readable_by(octets: bytes, except_for: str) -> list[str]:
    """Profiles that read octets which `except_for` does not: a hint beside its error."""
    return [
        reading.profile
        for reading in _readings(except_for, octets, None)
        if reading.exact and reading.oddness < ODDITIES_MAX / 2
    ]


def _readings(asked: str, octets: bytes, near: Position | None) -> Iterator[_Reading]:
    for profile in PROFILES:
        if profile == asked or not _begins_like(profile, octets):
            continue
        try:
            value = codec_for(profile).decode(octets)
        except DecodeError:
            continue
        yield _reading(profile, octets, value, near)


def _reading(profile: str, octets: bytes, value: Any, near: Position | None) -> _Reading:
    try:
        exact = codec_for(profile).encode(value) == octets
    except EncodeError:
        exact = False
    return _Reading(profile, value, oddities(profile, value, near), exact)


def _differs_by_set(profile: str, value: Any) -> bool:
    """Whether sister sets may read such a frame otherwise: MAP, RSI, and BSM whose path history
    has an initial position; all others are alike in all CSAE sets (facts: csae.md 1.1)."""
    if profile == "j2735_2024":
        return False
    if "bsmFrame" in value:
        history = value["bsmFrame"].get("safetyExt", {}).get("pathHistory", {})
        return "initialPosition" in history
    return bool({"mapFrame", "rsiFrame"} & value.keys())


def _begins_like(profile: str, octets: bytes) -> bool:
    """Whether the first octets can begin a frame of this set; spares compiling it otherwise."""
    if profile == "j2735_2024":
        number = int.from_bytes(octets[:2], "big")
        return number in OPEN_TYPES[profile]["MessageFrame", "value"].types
    # Alternatives 0..4 of the CHOICE, or its extension (facts: csae.md 2).
    return octets[0] >> 4 <= 4 or (octets[0] >> 4 == 8 and profile == "csae157_2020")


def _confidence(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, logit))))
