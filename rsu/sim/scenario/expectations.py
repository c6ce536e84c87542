"""Holds a recording of a scenario against what the scenario says must be reported.

In: the scenario, when it started, and the messages of the recording. Out: one `Finding` for each
expectation: fulfilled or not, and what was found instead. Expectations with `later` are expected to
fail; one that is fulfilled all the same is told, so that the scenario can be put right.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.health import SensorState
from rsu.schema.message import Message
from rsu.schema.topics import DECISION, ROAD_EVENT, SENSOR_HEALTH, UNIT_HEALTH, V2X_TX
from rsu.schema.units import NS_PER_S
from rsu.sim.scenario.model import (
    AnyExpectation,
    ExpectDecision,
    ExpectEvent,
    ExpectHealth,
    ExpectMessage,
    ExpectScore,
    Scenario,
    Window,
)

SHOWN = 5
"""Things found that are named in a finding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One expectation and what became of it. `wanted` and `found` are for people."""

    wanted: str
    found: str
    fulfilled: bool
    later: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it is as the scenario says: fulfilled, or expected to fail and failing."""
        return self.fulfilled != (self.later is not None)

    def __str__(self) -> str:
        if self.later is None:
            return f"{'ok  ' if self.fulfilled else 'FAIL'} {self.wanted}: {self.found}"
        if self.fulfilled:
            return f"FAIL {self.wanted}: fulfilled, though expected later ({self.later})"
        return f"later {self.wanted}: {self.found} ({self.later})"


class Evidence:
    """What a recording says that expectations ask for. Times in s after the start."""

    def __init__(self, start_ns: int) -> None:
        self._start_ns = start_ns
        self.events: dict[int, list[tuple[float, RoadEvent]]] = {}
        self.messages: list[tuple[float, str, str]] = []
        self.decisions: list[tuple[float, str, str]] = []
        self.sensors: list[tuple[float, str, str]] = []
        self.capabilities: list[tuple[float, str]] = []

    def take(self, message: Message) -> None:
        """Take one message of the recording."""
        payload, second = message.payload, self._second(message.header.publish_ns)
        if message.topic == ROAD_EVENT:
            self.events.setdefault(payload.id, []).append((second, payload))
        elif message.topic == V2X_TX:
            self.messages.append((second, payload.profile, payload.message))
        elif message.topic == DECISION:
            self.decisions.append((self._second(payload.time_ns), payload.subject, payload.reason))
        elif message.topic == SENSOR_HEALTH:
            self.sensors.append((second, payload.sensor, str(payload.state)))
        elif message.topic == UNIT_HEALTH:
            self.capabilities.append((second, str(payload.capability)))
            for suspect in sorted({one.suspect for one in payload.alarms if one.suspect}):
                self.sensors.append((second, suspect, str(SensorState.SHIFTED)))

    def _second(self, time_ns: int) -> float:
        return (time_ns - self._start_ns) / NS_PER_S


def findings(
    scenario: Scenario,
    start_ns: int,
    messages: Iterable[Message],
    score: Callable[[], Mapping[str, Any]],
) -> list[Finding]:
    """One finding per expectation, in the scenario's order. `score` gives the numbers of
    `rsu score` by dotted name; it is asked only where an expectation needs them."""
    evidence = Evidence(start_ns)
    for message in messages:
        evidence.take(message)
    return [_finding(one, evidence, score) for one in scenario.expect]


def _finding(
    one: AnyExpectation, evidence: Evidence, score: Callable[[], Mapping[str, Any]]
) -> Finding:
    match one:
        case ExpectEvent():
            return _event(one, evidence)
        case ExpectMessage():
            return _message(one, evidence)
        case ExpectDecision():
            return _decision(one, evidence)
        case ExpectHealth():
            return _health(one, evidence)
        case ExpectScore():
            return _score(one, score())


def _event(one: ExpectEvent, evidence: Evidence) -> Finding:
    begun = []
    for told in evidence.events.values():
        began, first = told[0]
        if first.kind != one.kind or not _within(began, one.begins_s):
            continue
        if one.lanes and not set(one.lanes) & {lane for _, event in told for lane in event.lanes}:
            continue
        ended = next((at for at, event in told if event.phase is EventPhase.END), None)
        if one.ends_s is None or (ended is not None and _within(ended, one.ends_s)):
            begun.append(began)
    where = f" on {', '.join(one.lanes)}" if one.lanes else ""
    wanted = f"{one.count or 'no'} {one.kind}{where} beginning in {_window(one.begins_s)}"
    if one.ends_s is not None:
        wanted += f", ending in {_window(one.ends_s)}"
    others = Counter(told[0][1].kind for told in evidence.events.values())
    found = _list(f"{began:.1f} s" for began in begun) if begun else f"none (told: {_told(others)})"
    return Finding(wanted, found, len(begun) == one.count, one.later)


def _message(one: ExpectMessage, evidence: Evidence) -> Finding:
    said = sum(
        name == one.message and one.profile in (None, profile) and _within(second, one.during_s)
        for second, profile, name in evidence.messages
    )
    rate = said / (one.during_s[1] - one.during_s[0])
    low, high = one.rate_hz
    wanted = f"{one.message} at {low:g}..{high:g} Hz in {_window(one.during_s)}"
    return Finding(wanted, f"{rate:.2f} Hz", low <= rate <= high, one.later)


def _decision(one: ExpectDecision, evidence: Evidence) -> Finding:
    def about(subject: str) -> bool:
        if one.subject.endswith("*"):
            return subject.startswith(one.subject[:-1])
        return subject == one.subject

    there = [
        (second, reason)
        for second, subject, reason in evidence.decisions
        if about(subject) and _within(second, one.during_s)
    ]
    hits = [second for second, reason in there if reason == one.reason]
    wanted = f"decision {one.reason} about {one.subject} in {_window(one.during_s)}"
    found = f"{len(hits)} times" if hits else f"not (given: {_told(Counter(r for _, r in there))})"
    return Finding(wanted, found, bool(hits), one.later)


def _health(one: ExpectHealth, evidence: Evidence) -> Finding:
    if one.sensor is not None:
        seen = [
            state
            for second, sensor, state in evidence.sensors
            if sensor == one.sensor and _within(second, one.during_s)
        ]
        wanted = f"{one.sensor} {one.state} in {_window(one.during_s)}"
        fulfilled = one.state in seen
    else:
        seen = [
            capability
            for second, capability in evidence.capabilities
            if _within(second, one.during_s)
        ]
        wanted = f"unit {one.capability} in {_window(one.during_s)}"
        fulfilled = one.capability in seen
    return Finding(wanted, f"was {_told(Counter(seen))}", fulfilled, one.later)


def _score(one: ExpectScore, numbers: Mapping[str, Any]) -> Finding:
    value = numbers.get(one.name)
    bounds = [f"≥ {one.at_least:g}"] if one.at_least is not None else []
    bounds += [f"≤ {one.at_most:g}"] if one.at_most is not None else []
    wanted = f"{one.name} {' and '.join(bounds)}"
    if not isinstance(value, int | float):
        return Finding(wanted, "there is no such number", False, one.later)
    fulfilled = (one.at_least is None or value >= one.at_least) and (
        one.at_most is None or value <= one.at_most
    )
    return Finding(wanted, f"{value:.3f}", fulfilled, one.later)


def _within(second: float, window: Window) -> bool:
    return window[0] <= second <= window[1]


def _window(window: Window) -> str:
    return f"{window[0]:g}..{window[1]:g} s"


def _told(counts: Counter[str]) -> str:
    return _list(f"{name} {count}" for name, count in counts.most_common()) or "nothing"


def _list(items: Iterable[str]) -> str:
    kept = list(items)
    more = f", … {len(kept) - SHOWN} more" if len(kept) > SHOWN else ""
    return ", ".join(kept[:SHOWN]) + more
