"""A weather station on the wire: `EnvironmentReading`s of one moment in, its JSON document out.

The document is ours: quantities of the site at the top, those of a lane under `lanes`. `mapping`
writes what a site file says to have it read (`environment[].mapping`); the topic is `weather`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from rsu.schema.devices import EnvironmentKind, EnvironmentReading, RoadSurface
from rsu.schema.units import NS_PER_MS

TOPIC = "weather"
_NAMES = {
    EnvironmentKind.VISIBILITY: "visibility",
    EnvironmentKind.RAIN: "rain",
    EnvironmentKind.ROAD_TEMPERATURE: "road_temperature",
    EnvironmentKind.WATER_DEPTH: "water",
    EnvironmentKind.ROAD_SURFACE: "surface",
}
"""Key of each quantity; units are those of the kinds, depth of water in mm."""
_DECIMALS = 3


def write_environment(readings: Iterable[EnvironmentReading]) -> bytes:
    """The document of all readings of one moment; time to the ms."""
    document: dict[str, Any] = {}
    lanes: dict[str, dict[str, Any]] = {}
    for one in readings:
        name = _NAMES.get(one.kind)
        if name is None:
            continue
        value: Any = str(one.surface) if one.value is None else round(one.value, _DECIMALS)
        if one.kind is EnvironmentKind.WATER_DEPTH and one.value is not None:
            value = round(1000.0 * one.value)
        place = document if one.lane is None else lanes.setdefault(one.lane, {})
        place[name] = value
        document["time"] = one.capture_ns // NS_PER_MS
    if lanes:
        document["lanes"] = lanes
    return msgspec.json.encode(document)


def mapping(lanes: Sequence[str] = ()) -> dict[str, Any]:
    """`environment[].mapping` for this station; `lanes` have a water gauge each."""
    quantities: list[dict[str, Any]] = [
        {"kind": "visibility", "value": {"path": "visibility", "unit": "m"}},
        {"kind": "rain", "value": {"path": "rain"}},
        {"kind": "road-temperature", "value": {"path": "road_temperature"}},
    ]
    table = {str(surface): str(surface) for surface in RoadSurface}
    for lane in lanes:
        quantities += [
            {"kind": "water-depth", "lane": lane, "std": 0.005,
             "value": {"path": f"lanes.{lane}.water", "unit": "mm"}},
            {"kind": "road-surface", "lane": lane,
             "value": {"path": f"lanes.{lane}.surface", "table": table}},
        ]  # fmt: skip
    return {"quantities": quantities, "time": {"format": "epoch_ms", "path": "time"}}
