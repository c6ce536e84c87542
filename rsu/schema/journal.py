"""The order in which one process group took its inputs, so that replay can repeat it exactly.

Written by the hosts in `rsu.runtime`, kept by the recording, followed again by lock-step replay.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from rsu.schema.units import Instant


class StepKind(StrEnum):
    START = "start"  # stages were built anew; `now` is the seed of everything they randomise
    MESSAGE = "message"
    TICK = "tick"


class Step(msgspec.Struct, frozen=True, array_like=True):
    """One call into a stage group.

    For MESSAGE, (topic, source, boot_ns, seq) names the message; for TICK, `stage` is the index
    of the ticked stage within its group.
    """

    kind: StepKind
    now: Instant
    topic: str = ""
    source: str = ""
    boot_ns: int = 0
    seq: int = 0
    stage: int = 0


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """A run of consecutive steps of one group; `first` numbers the first of them since START."""

    group: str
    boot_ns: int
    first: int
    steps: tuple[Step, ...]
