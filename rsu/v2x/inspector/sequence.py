"""Reviews a source as a whole: counters, rates, and whether SPAT and MAP speak of the same signals.

In: decoded frames in their order, each with the moment it was captured where that is known. Out:
findings on the frame just taken (`take`) and on the whole (`finish`). Frames of one message from
one sender over one way make a stream; streams are kept apart and bounded in number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rsu.schema.units import NS_PER_S
from rsu.v2x.inspector.finding import Finding, note, warning

COUNTS = 128
"""msgCnt: 127 is followed by 0."""
SILENCE_MAX_S = {"SPAT": 0.3}
"""Longest gap in a stream that is no fault: SPAT of a deployed hub, CTI 4501 (facts: sae.md 6)."""
RATE_MAX_HZ = {"RSM": 10.0, "SSM": 10.0, "SDSM": 10.0, "SPAT": 10.0, "BSM": 10.0, "MAP": 2.0}
"""Vendors' sending rates (facts: csae.md 5); SDSM and BSM as commonly stated (sae.md 6)."""
RATE_TOLERANCE = 1.25
"""A clock of 80 ms steps gives 12.5 Hz where 10 are meant."""
RATED_FRAMES = 10
"""Frames from which a stream has a rate worth stating."""
STREAMS_MAX = 10_000
"""Streams followed; identities in noise would grow without bound."""


@dataclass(slots=True)
class _Stream:
    frames: int = 0
    count: int | None = None
    octets: bytes = b""
    first_ns: int | None = None
    last_ns: int | None = None
    gap_ns: int = 0
    timed: int = 0


@dataclass(slots=True)
class _Signals:
    """Signal groups by intersection, as MAP and as SPAT name them."""

    mapped: dict[str, set[int]] = field(default_factory=dict)
    phased: dict[str, set[int]] = field(default_factory=dict)


class Sequence:
    """State of one source while its frames are taken one after another."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, str, str, str], _Stream] = {}
        self._signals: dict[str, _Signals] = {}

    def take(
        self,
        profile: str,
        message: str,
        value: Any,
        octets: bytes,
        time_ns: int | None = None,
        way: str = "",
    ) -> list[Finding]:
        """Findings that this frame gives rise to; `way`: topic or endpoint it came by."""
        content = content_of(value)
        self._note_signals(profile, message, content)
        key = (way, profile, message, _sender(content))
        if key not in self._streams and len(self._streams) >= STREAMS_MAX:
            return []
        stream = self._streams.setdefault(key, _Stream())
        findings = list(_counted(stream, content, octets))
        stream.frames += 1
        if time_ns is not None:
            if stream.last_ns is None:
                stream.first_ns = time_ns
            else:
                if time_ns < stream.last_ns:
                    text = f"captured {(stream.last_ns - time_ns) / NS_PER_S:g} s before the last"
                    findings.append(warning("", text, "order of the source"))
                stream.gap_ns = max(stream.gap_ns, time_ns - stream.last_ns)
            stream.last_ns = time_ns
            stream.timed += 1
        return findings

    def finish(self) -> list[Finding]:
        """Findings on the whole source."""
        found: list[Finding] = []
        for (way, _, message, sender), stream in sorted(self._streams.items()):
            who = " ".join(filter(None, (message, f"of {sender}" if sender else "", way)))
            found += _rate(who, message, stream)
        for signals in self._signals.values():
            found += _mismatch(signals)
        return found

    def _note_signals(self, profile: str, message: str, content: Any) -> None:
        signals = self._signals.setdefault(profile, _Signals())
        sae = profile == "j2735_2024"
        if message == "MAP":
            for junction in content.get("intersections", ()) if sae else content["nodes"]:
                groups = _groups_of_lanes(junction) if sae else _groups_of_links(junction)
                signals.mapped.setdefault(_number(junction["id"]), set()).update(groups)
        elif message == "SPAT":
            for junction in content["intersections"]:
                number = _number(junction["id" if sae else "intersectionId"])
                key, states = ("signalGroup", "states") if sae else ("id", "phases")
                found = {state[key] for state in junction[states]}
                signals.phased.setdefault(number, set()).update(found)


def content_of(value: Any) -> Any:
    """The message within a decoded frame of any profile; {} where it stayed octets."""
    frame = value.get("msgFrameExt", value)
    inner = frame["value"] if "messageId" in frame else frame
    return next(iter(inner.values())) if isinstance(inner, dict) and inner else {}


def _sender(content: Any) -> str:
    if not isinstance(content, dict):
        return ""
    core = content.get("coreData", content)
    return str(core.get("id") or core.get("sourceID") or "")


def _counted(stream: _Stream, content: Any, octets: bytes) -> Iterator[Finding]:
    basis = "MsgCount: one more with every message, 127 is followed by 0"
    core = content.get("coreData", content) if isinstance(content, dict) else {}
    count = core.get("msgCnt")
    before, stream.count = stream.count, count
    last, stream.octets = stream.octets, octets
    if count is None or before is None:
        return
    step = (count - before) % COUNTS
    if step == 0 and octets != last:
        yield warning("msgCnt", f"{count} again, with other content", basis)
    elif step == 0:
        yield note("msgCnt", f"{count} again: the same frame repeated", basis)
    elif step > COUNTS // 2:
        yield warning("msgCnt", f"{count} after {before}: out of order, or a restart", basis)
    elif step > 1:
        yield warning("msgCnt", f"{count} after {before}: {step - 1} missing", basis)


def _rate(who: str, message: str, stream: _Stream) -> Iterator[Finding]:
    if stream.timed < RATED_FRAMES or stream.first_ns is None or stream.last_ns is None:
        return
    lasts_ns = stream.last_ns - stream.first_ns
    if lasts_ns <= 0:
        return
    rate, gap = (stream.timed - 1) * NS_PER_S / lasts_ns, stream.gap_ns / NS_PER_S
    said = f"{who}: {stream.timed} frames, {rate:.1f} Hz, longest gap {gap:.2f} s"
    silence, most = SILENCE_MAX_S.get(message), RATE_MAX_HZ.get(message)
    if silence is not None and gap > silence:
        yield warning("", f"{said}: more than {silence:g} s", "sae.md 6: SPaT interval")
    elif most is not None and rate > most * RATE_TOLERANCE:
        yield warning("", f"{said}: more than {most:g} Hz", "csae.md 5: sending rates")
    else:
        yield note("", said, "csae.md 5: sending rates")


def _mismatch(signals: _Signals) -> Iterator[Finding]:
    basis = "every phase or signal group of SPAT has its movement in MAP, and the reverse"
    if not signals.mapped or not signals.phased:
        return
    for junction in sorted(signals.mapped.keys() | signals.phased.keys()):
        if junction not in signals.mapped:
            yield warning("", f"intersection {junction} is in SPAT, not in MAP", basis)
            continue
        mapped, phased = signals.mapped[junction], signals.phased.get(junction)
        if phased is None:
            if mapped:
                yield warning("", f"intersection {junction} is in MAP, not in SPAT", basis)
            continue
        for group in sorted(phased - mapped):
            text = f"intersection {junction}: SPAT phase {group} governs no movement of MAP"
            yield Finding("error", "", text, basis)
        for group in sorted(mapped - phased):
            text = f"intersection {junction}: MAP's phase {group} is missing in SPAT"
            yield Finding("error", "", text, basis)


def _groups_of_links(node: Any) -> set[int]:
    """Phases of a CSAE node's movements; 0 is none."""
    found = set()
    for link in node.get("inLinks", ()):
        turns = [*link.get("movements", ())]
        for lane in link["lanes"]:
            turns += lane.get("connectsTo", ())
        found |= {turn["phaseId"] for turn in turns if turn.get("phaseId")}
    return found


def _groups_of_lanes(junction: Any) -> set[int]:
    """Signal groups of a SAE intersection's connections; 0 is none."""
    return {
        turn["signalGroup"]
        for lane in junction["laneSet"]
        for turn in lane.get("connectsTo", ())
        if turn.get("signalGroup")
    }


def _number(reference: Any) -> str:
    return f"{reference.get('region', 0)}/{reference['id']}"
