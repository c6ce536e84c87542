"""Who is wrong where sensors contradict each other, and what is then believed of its looks.

In: which pairs contradict each other. Out: the one sensor that explains all of it; and scans whose
covariances say what is doubted. With two sensors that contradict each other either may be wrong,
and both are doubted; who contradicts two others is wrong. That a sensor agrees with a third clears
nobody: where their views meet, near the camera perhaps, the same fault may hardly show. Nothing is
corrected by what was found: a doubted look stays where its sensor put it and is only believed less,
by as much as it may be off.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from rsu.fusion.measurements import Scan
from rsu.schema.health import SensorAlarm, SensorAlarmKind

Pair = tuple[str, str]
SPEED = 14.0  # m/s: 50 km/h, what an offset in time is worth in metres


def suspect(contradict: Iterable[Pair]) -> str | None:
    """The only sensor that is in every pair that contradicts, two at least; None where there is
    none, or more than one."""
    pairs = [set(pair) for pair in contradict]
    could = set.intersection(*pairs) if pairs else set()
    return could.pop() if len(could) == 1 else None


def concerned(alarm: SensorAlarm) -> tuple[str, ...]:
    """The sensors that an alarm speaks of: the suspect, or both where there is none."""
    return (alarm.sensor, alarm.against) if alarm.suspect is None else (alarm.suspect,)


def in_words(alarm: SensorAlarm) -> str:
    """What was found, for the decision log."""
    if alarm.kind is SensorAlarmKind.CLOCK:
        found = f"{1e3 * alarm.offset:.0f} ± {1e3 * alarm.offset_std:.0f} ms earlier"
    else:
        found = f"{math.hypot(alarm.shift.x, alarm.shift.y):.1f} ± {alarm.shift_std:.1f} m apart"
    return f"{alarm.sensor} against {alarm.against}: {found}"


def doubts(alarms: Iterable[SensorAlarm]) -> dict[str, float]:
    """Variance (m²) by which each doubted sensor's positions may be off: the shift found, or how
    far traffic moves in the offset found; the largest of a kind, and both kinds together."""
    largest: dict[tuple[str, SensorAlarmKind], float] = {}
    for alarm in alarms:
        size = math.hypot(alarm.shift.x, alarm.shift.y)
        if alarm.kind is SensorAlarmKind.CLOCK:
            size = SPEED * abs(alarm.offset)
        for name in concerned(alarm):
            key = name, alarm.kind
            largest[key] = max(largest.get(key, 0.0), size**2)
    found: dict[str, float] = {}
    for (name, _), variance in largest.items():
        found[name] = found.get(name, 0.0) + variance
    return found


def doubted(scan: Scan, variances: Mapping[str, float]) -> Scan:
    """The scan as far as its sensor is believed. What is doubted counts as standing error: looking
    longer does not cure it."""
    variance = variances.get(scan.sensor)
    if not variance:
        return scan
    more = variance * np.eye(2)
    return replace(
        scan, position_cov=scan.position_cov + more, constant_cov=scan.constant_cov + more
    )
