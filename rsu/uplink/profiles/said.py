"""What a frame on the air says, made easy to map: positions absolute, bits as numbers.

In: the decoded value beside a frame of the Chinese set (`V2xFrame.value`, T/CSAE 53-2020), where
positions are offsets from a reference. Out: the same content with `lat`, `lon` (1e-7 degrees) and,
where known, `ele` (0.1 m) in their place, BIT STRINGs as whole numbers with the first bit highest,
texts and one-octet priorities as plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsu.schema.v2x import V2xFrame
from rsu.uplink.profiles.mapping import Document

UNAVAILABLE_ELEVATION = -4096  # DE_Elevation
LIGHTS = {
    "unavailable": "0", "dark": "1", "flashing-red": "2", "red": "3", "flashing-green": "4",
    "permissive-green": "5", "protected-green": "6", "yellow": "7", "flashing-yellow": "8",
}  # fmt: skip
"""DE_LightState by number, as both platforms write it, in text."""


def content_of(frame: V2xFrame) -> Document | None:
    """The message in a first-phase frame; None for one of another shape."""
    inner = frame.value.get(f"{frame.message.lower()}Frame")
    return _eased(inner, _reference(inner)) if isinstance(inner, dict) else None


def _reference(value: Mapping[str, Any]) -> Document | None:
    reference = value.get("refPos")
    return reference if isinstance(reference, dict) else None


def _eased(value: Any, reference: Document | None) -> Any:
    if isinstance(value, list):
        return [_eased(item, reference) for item in value]
    return _eased_object(value, reference) if isinstance(value, dict) else value


def _eased_object(value: Document, reference: Document | None) -> Any:
    if "offsetLL" in value and reference is not None:
        return _absolute(value, reference)
    if value.keys() == {"bits"}:
        return int(value["bits"] or "0", 2)
    if value.keys() == {"textString"}:
        return value["textString"]
    if {"lat", "long"} <= value.keys():
        return _position(value["lat"], value["long"], value.get("elevation"))
    nearer = _reference(value) or reference
    eased = {key: _eased(inner, nearer) for key, inner in value.items()}
    if "priority" in eased:  # the upper three bits of an octet (DE_Priority)
        eased["priority"] = int(str(eased["priority"]), 16) >> 5
    return eased


def _absolute(offset: Document, reference: Document) -> Document:
    """Where an offset leads (DF_PositionOffsetLLV)."""
    ((name, plane),) = offset["offsetLL"].items()
    if name == "position-LatLon":
        latitude, longitude = plane["lat"], plane["lon"]
    else:
        latitude, longitude = reference["lat"] + plane["lat"], reference["long"] + plane["lon"]
    height = None
    for name, step in offset.get("offsetV", {}).items():
        known = reference.get("elevation", UNAVAILABLE_ELEVATION)
        if name == "elevation":
            height = step
        elif known != UNAVAILABLE_ELEVATION:
            height = known + step
    return _position(latitude, longitude, height)


def _position(latitude: int, longitude: int, elevation: int | None) -> Document:
    position = {"lat": latitude, "lon": longitude}
    if elevation is not None and elevation != UNAVAILABLE_ELEVATION:
        position["ele"] = elevation
    return position
