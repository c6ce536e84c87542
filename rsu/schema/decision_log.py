"""Decisions merged for the trace: every "said" or "not said" in, at most one line a second out.

Every stage keeps one. A subject and reason is told at once the first time; repeats are counted and
told together, at most once every MERGE_NS. Nothing is lost: the counts add up to the number of
notes.
"""

from __future__ import annotations

from dataclasses import dataclass

from rsu.schema.health import Decision, Verdict
from rsu.schema.message import Message
from rsu.schema.topics import DECISION
from rsu.schema.units import NS_PER_S, Instant

MERGE_NS = NS_PER_S
"""Bound on the trace: one line per subject and reason a second."""


@dataclass(slots=True)
class _Entry:
    told_ns: int
    pending: int
    detail: str


class DecisionLog:
    """Decisions of one stage. Intervals are measured in monotonic time."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._entries: dict[tuple[str, Verdict, str], _Entry] = {}
        self._told: list[Decision] = []

    def note(
        self,
        now: Instant,
        subject: str,
        verdict: Verdict,
        reason: str,
        detail: str = "",
        count: int = 1,
    ) -> None:
        """Take one decision (or `count` equal ones)."""
        key = (subject, verdict, reason)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(now.mono_ns, 0, detail)
            self._tell(key, now, count, detail)
            return
        entry.pending += count
        entry.detail = detail
        if now.mono_ns - entry.told_ns >= MERGE_NS:
            self._tell_pending(key, entry, now)

    def take(self, now: Instant) -> list[Decision]:
        """What is to be told now. Call it after notes and at every tick."""
        for key, entry in list(self._entries.items()):
            if now.mono_ns - entry.told_ns >= MERGE_NS:
                if entry.pending:
                    self._tell_pending(key, entry, now)
                else:
                    del self._entries[key]
        told, self._told = self._told, []
        return told

    def drafts(self, now: Instant) -> list[Message]:
        """What is to be told now, as messages of the stage."""
        return [Message.draft(DECISION, self._stage, now.utc_ns, told) for told in self.take(now)]

    def _tell_pending(self, key: tuple[str, Verdict, str], entry: _Entry, now: Instant) -> None:
        self._tell(key, now, entry.pending, entry.detail)
        entry.told_ns, entry.pending = now.mono_ns, 0

    def _tell(self, key: tuple[str, Verdict, str], now: Instant, count: int, detail: str) -> None:
        subject, verdict, reason = key
        self._told.append(
            Decision(
                stage=self._stage,
                subject=subject,
                verdict=verdict,
                reason=reason,
                time_ns=now.utc_ns,
                count=count,
                detail=detail,
            )
        )
