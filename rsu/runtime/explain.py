"""Why something was (not) said, from a recording: decisions, and the frames that did mention it.

In: a recording and a subject such as `track:17`, `message:RSM` or `sensor:north`. Out: decisions in
time order; a V2X frame that carried the track counts as a SENT decision of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rsu.schema.health import Decision, Verdict
from rsu.schema.message import Message
from rsu.schema.topics import DECISION, V2X_TX

REASONS: dict[str, str] = {}
"""Meaning of every reason code, one sentence each; filled below, listed in docs/decisions.md."""


def decisions_about(recording: Path, subject: str) -> Iterator[Decision]:
    """Decisions about `subject` ("" for all) in a recording, consecutive repeats merged."""
    from rsu.recording.reader import read_messages

    pending: Decision | None = None
    for message in read_messages(recording, (DECISION, V2X_TX), allow_unfinished=True):
        for decision in _decisions_in(message, subject):
            if pending is not None and _same(pending, decision):
                pending = _merged(pending, decision)
                continue
            if pending is not None:
                yield pending
            pending = decision
    if pending is not None:
        yield pending


def _decisions_in(message: Message, subject: str) -> Iterator[Decision]:
    if message.topic == DECISION:
        if subject in ("", message.payload.subject):
            yield message.payload
        return
    if message.topic != V2X_TX:
        return
    frame = message.payload
    if subject in {f"track:{track}" for track in frame.subjects}:
        yield Decision(
            stage=message.header.source,
            subject=subject,
            verdict=Verdict.SENT,
            reason="in_frame",
            time_ns=message.header.publish_ns,
            detail=f"{frame.message}, evidence "
            f"{(message.header.publish_ns - message.header.capture_ns) / 1e6:.0f} ms old at most",
        )


def _same(one: Decision, other: Decision) -> bool:
    return (one.subject, one.verdict, one.reason) == (other.subject, other.verdict, other.reason)


def _merged(one: Decision, other: Decision) -> Decision:
    return Decision(
        stage=one.stage,
        subject=one.subject,
        verdict=one.verdict,
        reason=one.reason,
        time_ns=one.time_ns,
        count=one.count + other.count,
        detail=other.detail or one.detail,
    )
