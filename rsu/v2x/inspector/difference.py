"""Compares two decoded messages field by field.

In: two values with the profiles they were decoded by, and patterns of paths to leave out. Out: one
`Difference` per field that is not the same; a field that only one side has is a difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rsu.v2x.inspector.nodes import path_text, walk
from rsu.v2x.inspector.units import element_of


@dataclass(frozen=True, slots=True)
class Side:
    """A field of one message: raw value, and its quantity where the element has one."""

    raw: Any
    quantity: float | None = None
    unit: str = ""

    def __str__(self) -> str:
        text = self.raw if isinstance(self.raw, str) else _text(self.raw)
        return text if self.quantity is None else f"{text} ({self.quantity:.10g} {self.unit})"


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that differs; None on the side that lacks it."""

    path: str
    first: Side | None
    second: Side | None

    def to_json(self) -> dict[str, Any]:
        return {"path": self.path, "a": _side(self.first), "b": _side(self.second)}


def differences(
    first: tuple[str, Any], second: tuple[str, Any], ignore: Iterable[str] = ()
) -> list[Difference]:
    """What differs between two (profile, value), in the order of the fields.

    A pattern of `ignore` names a member (`msgCnt`) wherever it stands, or a path
    (`rsmFrame.participants[*].secMark`); `*` stands for anything within one step, `**` for any
    number of steps. What is inside an ignored field is ignored with it.
    """
    patterns = [_pattern(each) for each in ignore]
    ones, others = _fields(*first), _fields(*second)
    return [
        Difference(path, ones.get(path), others.get(path))
        for path in _merged(list(ones), list(others))
        if ones.get(path) != others.get(path) and not any(p.search(path) for p in patterns)
    ]


def _fields(profile: str, value: Any) -> dict[str, Side]:
    found = {}
    for node in walk(profile, value):
        if node.leaf or not node.value:
            element = element_of(profile, node)
            quantity = element.si(node.value) if element else None
            side = Side(node.value, quantity, element.unit if element else "")
            found[path_text(node.path)] = side
    return found


def _merged(ones: list[str], others: list[str]) -> list[str]:
    """Both orders in one: what only the second has follows its neighbour in the second."""
    known, merged = set(ones), []
    waiting: dict[str | None, list[str]] = {}
    before: str | None = None
    for path in others:
        if path in known:
            before = path
        else:
            waiting.setdefault(before, []).append(path)
    merged += waiting.get(None, [])
    for path in ones:
        merged += [path, *waiting.get(path, [])]
    return merged


def _pattern(text: str) -> re.Pattern[str]:
    """A glob of paths as a pattern; a name alone matches at any depth."""
    inner = ""
    for piece in re.split(r"(\*\*|\*)", text):
        inner += {"**": ".*", "*": r"[^.\[\]]*"}.get(piece, re.escape(piece))
    lead = "^" if "." in text or "[" in text else r"(?:^|\.)"
    return re.compile(lead + inner + r"(?=$|[.\[])")


def _text(raw: Any) -> str:
    if isinstance(raw, dict) and "bits" in raw:
        return str(raw["bits"])
    if raw is None or isinstance(raw, bool):
        return {True: "true", False: "false", None: "null"}[raw]
    return str(raw)


def _side(side: Side | None) -> dict[str, Any] | None:
    if side is None:
        return None
    found: dict[str, Any] = {"raw": side.raw}
    if side.quantity is not None:
        found |= {"si": side.quantity, "unit": side.unit}
    return found
