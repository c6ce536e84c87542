"""How the unit is: clock, capability, sensors, processes, uplink, alarms, and what it held back.

In: `UnitHealth`, `SensorHealth`, `SensorAlarm`, `Metrics`, `Decision`, `EnvironmentReading`. Out:
plain data. Sensors that stopped reporting are gone, whatever they said last (`state_of`).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from rsu.runtime.capability import Alarms, state_of
from rsu.schema.devices import EnvironmentReading
from rsu.schema.health import (
    Decision,
    Metric,
    Metrics,
    SensorAlarm,
    SensorHealth,
    UnitHealth,
    Verdict,
)
from rsu.schema.sensing import SensorKind
from rsu.schema.units import NS_PER_S

WITHHELD_NS = 60 * NS_PER_S
DECISIONS_KEPT = 400
"""A merged trace has one or two lines a second."""
UNIT_STALE_NS = 3 * NS_PER_S
"""The unit tells of itself once a second."""


class Condition:
    """The newest word about the unit itself."""

    def __init__(self, configured: Mapping[str, SensorKind]) -> None:
        self._configured = dict(configured)
        self._unit: UnitHealth | None = None
        self._sensors: dict[str, SensorHealth] = {}
        self._alarms = Alarms()
        self._metrics: dict[str, Metrics] = {}
        self._decisions: deque[Decision] = deque(maxlen=DECISIONS_KEPT)
        self._readings: dict[tuple[str, str, str], EnvironmentReading] = {}

    def take_unit(self, unit: UnitHealth) -> None:
        self._unit = unit

    def take_sensor(self, health: SensorHealth) -> None:
        self._sensors[health.sensor] = health

    def take_alarm(self, alarm: SensorAlarm) -> None:
        self._alarms.take(alarm)

    def take_metrics(self, metrics: Metrics) -> None:
        self._metrics[metrics.process] = metrics

    def take_decision(self, decision: Decision) -> None:
        if decision.verdict is not Verdict.SENT:
            self._decisions.append(decision)

    def take_reading(self, reading: EnvironmentReading) -> None:
        self._readings[(reading.sensor, str(reading.kind), reading.lane or "")] = reading

    def at(self, now_ns: int) -> dict[str, Any]:
        """Everything, as plain data. `capability` and `clock` are None when the unit has not said
        so of late."""
        unit = self._unit
        fresh = unit is not None and now_ns - unit.time_ns <= UNIT_STALE_NS
        alarms = self._alarms.standing(now_ns)
        return {
            "capability": str(unit.capability) if unit is not None and fresh else None,
            "clock": str(unit.clock) if unit is not None and fresh else None,
            "unit_age_s": None if unit is None else _seconds(now_ns - unit.time_ns),
            "sensors": self._sensors_at(now_ns, alarms),
            "processes": []
            if unit is None
            else [
                {"name": one.name, "state": one.state, "restarts": one.restarts,
                 "memory_mb": self._memory(one.name)}
                for one in unit.processes
            ],
            "alarms": [
                {
                    "kind": str(alarm.kind),
                    "sensor": alarm.sensor,
                    "against": alarm.against,
                    "suspect": alarm.suspect,
                    "shift_m": round((alarm.shift.x**2 + alarm.shift.y**2) ** 0.5, 1),
                    "offset_s": round(alarm.offset, 2),
                    "since_s": _seconds(now_ns - alarm.since_ns),
                }
                for alarm in alarms
            ],
            "uplink": self._uplink(now_ns),
            "withheld": self._withheld(now_ns),
            "environment": [
                {
                    "sensor": one.sensor,
                    "kind": str(one.kind),
                    "lane": one.lane,
                    "value": one.value if one.surface is None else str(one.surface),
                    "age_s": _seconds(now_ns - one.capture_ns),
                }
                for _, one in sorted(self._readings.items())
            ],
        }  # fmt: skip

    def _sensors_at(
        self, now_ns: int, alarms: tuple[SensorAlarm, ...]
    ) -> list[dict[str, Any]]:  # fmt: skip
        rows = []
        for name in self._configured.keys() | self._sensors.keys():
            health = self._sensors.get(name)
            kind = self._configured.get(name) or (health.kind if health else None)
            rows.append(
                {
                    "sensor": name,
                    "kind": str(kind),
                    "state": str(state_of(health, now_ns, alarms)),
                    "since_s": None if health is None else _seconds(now_ns - health.since_ns),
                    "told_s": None if health is None else _seconds(now_ns - health.time_ns),
                    "detail": "" if health is None else health.detail,
                    "received": 0 if health is None else health.received,
                    "dropped": {} if health is None else dict(health.dropped),
                    "reconnects": 0 if health is None else health.reconnects,
                }
            )
        return sorted(rows, key=lambda row: (row["kind"], row["sensor"]))

    def _uplink(self, now_ns: int) -> dict[str, Any] | None:
        """The outbox and its links; None where no uplink process speaks."""
        metrics = self._metrics.get("uplink")
        if metrics is None:
            return None
        samples = metrics.samples
        links = [one for one in samples if one.name == "uplink_connected"]
        dropped: Counter[str] = Counter()
        for one in samples:
            if one.name == "uplink_dropped_total":
                dropped[one.labels.get("reason", "?")] += int(one.value)
        return {
            "age_s": _seconds(now_ns - metrics.time_ns),
            "connected": sum(1 for one in links if one.value),
            "links": len(links),
            "queued": _total(samples, "uplink_queued"),
            "delivered": _total(samples, "uplink_delivered_total"),
            "dropped": dict(dropped),
        }

    def _withheld(self, now_ns: int) -> list[dict[str, Any]]:
        """What was not said within the last minute, by reason, the most frequent first."""
        counts: Counter[tuple[str, str, str]] = Counter()
        newest: dict[tuple[str, str, str], Decision] = {}
        for one in self._decisions:
            if now_ns - one.time_ns <= WITHHELD_NS:
                key = (one.stage, str(one.verdict), one.reason)
                counts[key] += one.count
                newest[key] = one
        return [
            {"stage": key[0], "verdict": key[1], "reason": key[2], "count": count,
             "subject": newest[key].subject, "detail": newest[key].detail}
            for key, count in counts.most_common(20)
        ]  # fmt: skip

    def _memory(self, process: str) -> float | None:
        metrics = self._metrics.get(process)
        if metrics is None:
            return None
        return round(_total(metrics.samples, "resident_bytes") / 1e6, 1)


def _total(samples: tuple[Metric, ...], name: str) -> int:
    return int(sum(one.value for one in samples if one.name == name))


def _seconds(ns: int) -> float:
    return round(ns / NS_PER_S, 2)
