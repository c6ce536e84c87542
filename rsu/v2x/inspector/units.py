"""Data elements with a physical meaning: what one step of each integer is worth, and its codes.

One table per world, by type name: unit, size of a step, what stands for "unavailable", and codes
with words of their own. SI units throughout, but degrees for angles and % for shares.
Facts: csae.md 2 (cheat sheet), csae53-2020-fields.md, csae157-2020-fields.md, j2735-2024-fields.md;
an element whose unit those tables do not state is left out rather than guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from rsu.v2x.inspector.nodes import Node, path_text, walk

STANDARD_GRAVITY = "9.80665"
"""m/s², CGPM 1901."""


@dataclass(frozen=True, slots=True)
class Element:
    """`value = raw * step + zero` in `unit`; codes in `words` are no quantities."""

    unit: str
    step: Fraction
    zero: Fraction = Fraction(0)
    unavailable: frozenset[int] = frozenset()
    words: Mapping[int, str] = field(default_factory=dict)

    def si(self, raw: int) -> float | None:
        """The quantity; None for a code."""
        if raw in self.unavailable or raw in self.words:
            return None
        return float(raw * self.step + self.zero)


def _in(
    unit: str,
    step: str | Fraction,
    *unavailable: int,
    zero: int = 0,
    words: Mapping[int, str] | None = None,
) -> Element:
    return Element(unit, Fraction(step), Fraction(zero), frozenset(unavailable), words or {})


_DEGREES_1E7 = _in("deg", "1e-7")
_TURN_AXIS = _in("deg", Fraction(360, 65535), 65535)
_ACCURACY = _in("m", "0.05", 255, words={254: "12.7 m or more"})
_VERTICAL_G = _in("m/s2", Fraction("0.02") * Fraction(STANDARD_GRAVITY), -127)
_LEAP = dict.fromkeys(range(60000, 61000), "in a leap second")

_BOTH: dict[str, Element] = {
    "Acceleration": _in("m/s2", "0.01", 2001),
    "CoarseHeading": _in("deg", "1.5", 240),
    "Confidence": _in("%", "0.5"),
    "Elevation": _in("m", "0.1", -4096),
    "Heading": _in("deg", "0.0125", 28800),
    "LaneWidth": _in("m", "0.01"),
    "Latitude": _in("deg", "1e-7", 900_000_001),
    "Longitude": _in("deg", "1e-7", 1_800_000_001),
    "MinuteOfTheYear": _in("s", "60", 527_040),
    "PitchRate": _in("deg/s", "0.01"),
    "RadiusOfCurvature": _in("m", "0.1", words={32767: "straight"}),
    "RollRate": _in("deg/s", "0.01"),
    "SemiMajorAxisAccuracy": _ACCURACY,
    "SemiMajorAxisOrientation": _TURN_AXIS,
    "SemiMinorAxisAccuracy": _ACCURACY,
    "SizeValue": _in("m", "0.1"),
    "Speed": _in("m/s", "0.02", 8191),
    "SteeringWheelAngle": _in("deg", "1.5", 127),
    "VerticalAcceleration": _VERTICAL_G,
    "YawRate": _in("deg/s", "0.01"),
    "DSecond": _in("s", "0.001", 65535, words=_LEAP),
    **{f"OffsetLL-B{bits}": _DEGREES_1E7 for bits in (12, 14, 16, 18, 22, 24)},
}

_CSAE = _BOTH | {
    "DTimeOffset": _in("s", "60"),
    "Pitch": _in("deg", "0.0125"),
    "PlanningDuration": _in("s", "0.1"),
    "Radius": _in("m", "0.1"),
    "Roll": _in("deg", "0.0125"),
    "TimeMark": _in("s", "0.1", 36001, words={36000: "more than an hour"}),
    "TimeOffset": _in("s", "0.01"),
    # No code of the set means an unknown size; deployed units and ours say 0.
    "VehicleHeight": _in("m", "0.05", 0),
    "VehicleLength": _in("m", "0.01", 0),
    "VehicleWidth": _in("m", "0.01", 0),
    "Yaw": _in("deg", "0.0125"),
    **{f"VertOffset-B{bits:02}": _in("m", "0.1") for bits in range(7, 13)},
    # Members without a type of their own: SEQUENCE.member.
    "PersonalSafetyMessage.overallRadius": _in("m", "0.1"),
    "Non-motorDataExtension.overallRadius": _in("m", "0.1"),
    "DetectedPTCData.tracking": _in("s", "1"),
    "DetectedObstacleData.tracking": _in("s", "1"),
}

_SAE = _BOTH | {
    "AltitudeValue": _in("m", "0.01", 800_001),
    "AmbientAirPressure": _in("Pa", "200", 0, zero=58_000),
    "AmbientAirTemperature": _in("degC", "1", 191, zero=-40),
    "Angle": _in("deg", "0.0125", 28800),
    "AttachmentRadius": _in("m", "0.1"),
    "BumperHeight": _in("m", "0.01"),
    "ClassificationConfidence": _in("%", "1", 101),
    "DeltaAngle": _in("deg", "1.5", -150),
    "DeltaTime": _in("s", "10", -122),
    "DHour": _in("s", "3600", 31),
    "DMinute": _in("s", "60", 60),
    "DOffset": _in("s", "60", -840),
    "DrivenLineOffsetLg": _in("m", "0.01"),
    "DrivenLineOffsetSm": _in("m", "0.01"),
    "GrossSpeed": _in("m/s", "1", 31),
    "HeadingDeg": _in("deg", "1"),
    "MeasurementTimeOffset": _in("s", "0.001"),
    "MergeDivergeNodeAngle": _in("deg", "1.5", -180),
    "MinutesDuration": _in("s", "60", words={32000: "for ever"}),
    "MinTimetoChange": _in("s", "0.1"),
    "MaxTimetoChange": _in("s", "0.1"),
    "NTCIPEssVisibility": _in("m", "0.1", 1_000_001),
    "ObjectDistance": _in("m", "0.1"),
    "ObstacleDistance": _in("m", "1", 32767),
    "PersonalClusterRadius": _in("m", "1"),
    "PitchDetected": _in("deg", "0.0125"),
    "RoadwayCrownAngle": _in("deg", "0.3", -128),
    "RollDetected": _in("deg", "0.0125"),
    "SpeedAdvice": _in("m/s", "0.1", 500),
    "TimeInSecond-B16": _in("s", "1"),
    "TimeInSecond-B8": _in("s", "1"),
    # 36000 by an independent dissector's label, 36111 from memory (facts: j2735-2024-fields.md).
    "TimeMark": _in("s", "0.1", 36111, words={36000: "more than an hour"}),
    "TimeOffset": _in("s", "0.01", 65535, words={65534: "655.34 s or more"}),
    "TimeRemaining": _in("s", "0.1"),
    "Tolerance": _in("deg", "1"),
    "VehicleHeight": _in("m", "0.05", 0),
    "VehicleLength": _in("m", "0.01", 0),
    "VehicleWidth": _in("m", "0.01", 0),
    "Velocity": _in("m/s", "0.02", 8191),
    "VertOffset-B07": _in("m", "0.1"),
    "VertOffset-B12": _in("m", "0.1", -2048),
    "YawDetected": _in("deg", "0.0125"),
    "ZoneLength": _in("m", "1", 10000),
    **{f"Offset-B{bits:02}": _in("m", "0.01") for bits in (9, 10, 11, 12, 13, 14, 16)},
}

ELEMENTS: Mapping[str, Mapping[str, Element]] = {
    "csae53_2020": _CSAE,
    "csae157_2020": _CSAE,
    "legacy_20190724": _CSAE,
    "j2735_2024": _SAE,
}
"""Data elements by profile, then by type name or `SEQUENCE.member`."""


def element_of(profile: str, node: Node) -> Element | None:
    """What the integer in this node counts, where the facts say it."""
    if node.kind != "INTEGER":
        return None
    table = ELEMENTS[profile]
    return table.get(node.type_name or f"{node.container}.{node.name}")


def si_values(profile: str, value: Any) -> dict[str, dict[str, Any]]:
    """Path → `{"value", "unit"}` for every integer with a unit in a decoded frame.

    `value` is null for a code, with `unavailable: true` or the code's `meaning` beside it.
    """
    found: dict[str, dict[str, Any]] = {}
    for node in walk(profile, value):
        element = element_of(profile, node)
        if element is None:
            continue
        entry: dict[str, Any] = {"value": element.si(node.value), "unit": element.unit}
        if node.value in element.unavailable:
            entry["unavailable"] = True
        elif node.value in element.words:
            entry["meaning"] = element.words[node.value]
        found[path_text(node.path)] = entry
    return found
