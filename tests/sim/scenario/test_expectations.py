"""What must be reported, held against small recordings made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.health import (
    Capability,
    ClockQuality,
    Decision,
    SensorHealth,
    SensorState,
    UnitHealth,
    Verdict,
)
from rsu.schema.message import Message
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import DECISION, ROAD_EVENT, SENSOR_HEALTH, UNIT_HEALTH, V2X_TX
from rsu.schema.units import NS_PER_S, Vec2
from rsu.schema.v2x import V2xFrame
from rsu.sim.scenario.expectations import Finding, findings
from rsu.sim.scenario.model import Scenario

START_NS = 1_750_000_000 * NS_PER_S


def at(second: float) -> int:
    return START_NS + round(second * NS_PER_S)


def message(second: float, topic: Any, payload: Any) -> Message:
    return Message.draft(topic, "test", at(second), payload).stamped(START_NS, 0, at(second))


def told(
    second: float, kind: str, phase: EventPhase = EventPhase.ONSET, number: int = 1
) -> Message:
    event = RoadEvent(
        id=number, kind=kind, phase=phase, code=None, position=Vec2(0.0, 0.0), radius=1.0,
        confidence=1.0, start_ns=at(second), time_ns=at(second), lanes=("a",),
    )  # fmt: skip
    return message(second, ROAD_EVENT, event)


def said(second: float, name: str = "RSM") -> Message:
    frame = V2xFrame(
        profile="csae53_2020", message=name, payload=b"\x00", network=b"", aid=1, priority=1,
        value={}, time_ns=at(second), subjects=(),
    )  # fmt: skip
    return message(second, V2X_TX, frame)


def decided(second: float, subject: str, reason: str) -> Message:
    decision = Decision(
        stage="v2x", subject=subject, verdict=Verdict.WITHHELD, reason=reason, time_ns=at(second)
    )
    return message(second, DECISION, decision)


def healthy(second: float, state: SensorState) -> Message:
    health = SensorHealth(
        sensor="north", kind=SensorKind.CAMERA, state=state, since_ns=0, time_ns=at(second)
    )
    return message(second, SENSOR_HEALTH, health)


def unit(second: float, capability: Capability) -> Message:
    health = UnitHealth(time_ns=at(second), clock=ClockQuality.LOCKED, capability=capability)
    return message(second, UNIT_HEALTH, health)


def check(expectation: dict[str, Any], *messages: Message, score: Any = None) -> Finding:
    scenario = Scenario.model_validate(
        {"title": "t", "site": Path("s.yaml"), "expect": [expectation]}
    )
    (found,) = findings(scenario, START_NS, messages, lambda: score or {})
    return found


EVENT = {"expect": "event", "kind": "stopped-vehicle", "begins_s": (10, 20), "lanes": ("a",)}
CASES: list[tuple[dict[str, Any], list[Message], bool]] = [
    (EVENT, [told(12, "stopped-vehicle")], True),
    (EVENT, [told(9, "stopped-vehicle")], False),
    (EVENT, [told(12, "wrong-way")], False),
    ({**EVENT, "lanes": ("b",)}, [told(12, "stopped-vehicle")], False),
    (EVENT, [told(12, "stopped-vehicle"), told(13, "stopped-vehicle", number=2)], False),
    ({**EVENT, "ends_s": (20, 30)}, [told(12, "stopped-vehicle")], False),
    (
        {**EVENT, "ends_s": (20, 30)},
        [told(12, "stopped-vehicle"), told(25, "stopped-vehicle", EventPhase.END)], True,
    ),
    ({**EVENT, "count": 0}, [], True),
    ({**EVENT, "count": 0}, [told(12, "stopped-vehicle")], False),
    (
        {"expect": "message", "message": "RSM", "during_s": (0, 10), "rate_hz": (0.9, 1.1)},
        [said(i + 0.5) for i in range(10)], True,
    ),
    (
        {"expect": "message", "message": "RSM", "during_s": (0, 10), "rate_hz": (0.9, 1.1)},
        [said(i + 0.5, "SPAT") for i in range(10)], False,
    ),
    (
        {"expect": "message", "message": "RSM", "profile": "j2735_2024", "during_s": (0, 1),
         "rate_hz": (1, 9)}, [said(0.5)], False,
    ),
    (
        {"expect": "decision", "subject": "message:SPAT", "reason": "x", "during_s": (1, 2)},
        [decided(1.5, "message:SPAT", "x")], True,
    ),
    (
        {"expect": "decision", "subject": "message:*", "reason": "x", "during_s": (1, 2)},
        [decided(1.5, "message:SPAT", "y")], False,
    ),
    (
        {"expect": "health", "sensor": "north", "state": "gone", "during_s": (1, 2)},
        [healthy(1.5, SensorState.GONE)], True,
    ),
    (
        {"expect": "health", "capability": "blind", "during_s": (1, 2)},
        [unit(1.5, Capability.FULL), unit(2.5, Capability.BLIND)], False,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("expectation", "messages", "fulfilled"), CASES)
def test_expectations(
    expectation: dict[str, Any], messages: list[Message], fulfilled: bool
) -> None:
    found = check(expectation, *messages)
    assert found.fulfilled is fulfilled
    assert found.ok is fulfilled
    assert str(found).startswith("ok" if fulfilled else "FAIL")


@pytest.mark.parametrize(
    ("value", "fulfilled"), [(0.95, True), (0.5, False), (None, False), (1.5, False)]
)
def test_scores(value: float | None, fulfilled: bool) -> None:
    expectation = {"expect": "score", "name": "mota", "at_least": 0.9, "at_most": 1.0}
    assert check(expectation, score={"mota": value}).fulfilled is fulfilled


def test_what_is_expected_later_may_fail_and_must_not_succeed() -> None:
    later = {**EVENT, "later": "events come later"}
    missing = check(later)
    assert missing.ok
    assert str(missing).startswith("later")
    there = check(later, told(12, "stopped-vehicle"))
    assert not there.ok
    assert "though expected later" in str(there)
