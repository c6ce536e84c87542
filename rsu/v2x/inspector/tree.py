"""A decoded message as a tree for the eye: names, raw values, quantities in SI, codes in words.

    rsmFrame
    ├─ msgCnt                    17
    ├─ refPos
    │  ├─ lat             312304000   31.2304 deg
    …

In: profile and value. Out: lines of (text, role) pieces; whoever prints them gives roles colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rsu.v2x.inspector.nodes import Node, walk
from rsu.v2x.inspector.units import Element, element_of
from rsu.v2x.time import MINUTE_OF_YEAR_UNAVAILABLE

LABEL_MAX = 56
"""Columns of branches and names; deeper names push their values to the right."""
RAW_COLUMNS = 12
"""Columns of raw values that are numbers: a longitude with its sign."""
SHOWN = 64
"""Characters of a long value."""

Piece = tuple[str, str]
"""Text and role: branch, name, raw, word, si, missing or plain."""


@dataclass(slots=True)
class _Branch:
    node: Node
    children: list[_Branch] = field(default_factory=list)


def tree_lines(profile: str, value: Any) -> Iterator[list[Piece]]:
    """The lines of one decoded frame."""
    branches: dict[tuple[str | int, ...], _Branch] = {}
    for node in walk(profile, value):
        branch = branches[node.path] = _Branch(node)
        parent = node.path[:-1]
        while node.path and parent not in branches:  # the name of an open type's content
            parent = parent[:-1]
        if node.path:
            branches[parent].children.append(branch)
    rows = list(_rows(profile, branches[()], (), ""))
    width = min(LABEL_MAX, max((len(stem) + len(name) for stem, name, _ in rows), default=0))
    for stem, name, pieces in rows:
        gap = " " * max(2, width - len(stem) - len(name) + 2)
        yield [(stem, "branch"), (name, "name"), *([(gap, "plain"), *pieces] if pieces else [])]


def _rows(
    profile: str, branch: _Branch, above: tuple[str | int, ...], prefix: str
) -> Iterator[tuple[str, str, list[Piece]]]:
    for index, child in enumerate(branch.children):
        last = index == len(branch.children) - 1
        outermost = not above and not prefix and len(branch.children) == 1
        stem = "" if outermost else prefix + ("└─ " if last else "├─ ")
        label, inner = _label(child, len(branch.node.path)), child
        while _lone(inner):  # a CHOICE in line with what it holds
            inner = inner.children[0]
            label += "." + _label(inner, len(inner.node.path) - 1)
        yield stem, label, _value(profile, inner.node)
        below = "" if outermost else prefix + ("   " if last else "│  ")
        yield from _rows(profile, inner, inner.node.path, below)


def _lone(branch: _Branch) -> bool:
    return branch.node.kind == "CHOICE" and len(branch.children) == 1 and bool(branch.node.path)


def _label(branch: _Branch, depth: int) -> str:
    steps = branch.node.path[depth:]
    return ".".join(f"[{step}]" if isinstance(step, int) else step for step in steps)


def _value(profile: str, node: Node) -> list[Piece]:
    if not node.leaf:
        return _size(node)
    match node.kind:
        case "INTEGER":
            if node.type_name == "MinuteOfTheYear" and node.value < MINUTE_OF_YEAR_UNAVAILABLE:
                return [(f"{node.value:<{RAW_COLUMNS}}", "raw"), (_minute(node.value), "si")]
            return _integer(node.value, element_of(profile, node))
        case "BIT STRING":
            names = ", ".join(node.set_bits) or "none set"
            return [(node.value["bits"] or "(no bits)", "raw"), ("  ", "plain"), (names, "si")]
        case "ENUMERATED":
            return [(node.value, "missing" if node.value == "unavailable" else "word")]
        case _:
            text = node.value if isinstance(node.value, str) else str(node.value).lower()
            text = text if text.isprintable() else repr(text)[1:-1]
            return [(text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)})", "raw")]


def _size(node: Node) -> list[Piece]:
    if node.kind == "SEQUENCE OF":
        return [(f"({len(node.value)})", "branch")]
    return [] if node.value else [("empty", "branch")]


def _integer(raw: int, element: Element | None) -> list[Piece]:
    if element is None:
        return [(str(raw), "raw")]
    pieces: list[Piece] = [(f"{raw:<{RAW_COLUMNS}}", "raw")]
    quantity = element.si(raw)
    if raw in element.unavailable:
        return [*pieces, ("unavailable", "missing")]
    if quantity is None:
        return [*pieces, (element.words[raw], "si")]
    text = f"{quantity:.7f}".rstrip("0").removesuffix(".")  # the smallest step is 1e-7 degree
    return [*pieces, (f"{text} {element.unit}", "si")]


def _minute(minute: int) -> str:
    day, within = divmod(minute, 24 * 60)
    return f"day {day + 1}, {within // 60:02}:{within % 60:02} UTC"
