"""Walks a decoded value together with its schema: every node with the type its set gives it.

In: a value in JSON form and the profile it was decoded by. Out: `Node`s, parents before their
children, each with its path, the name of its type and the bounds of that type. Units, findings and
comparisons are made from these, so no rule guesses a type from a member's name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from rsu.v2x.codec import schema_text
from rsu.v2x.notation import Descriptor, read_modules
from rsu.v2x.open_types import OPEN_TYPES
from rsu.v2x.profiles import FRAME

Path = tuple[str | int, ...]
"""Steps from the frame to a node: member names and indices."""

REFERENCES_MAX = 8
"""Names that may stand for one another before a type: the sets use two at most."""


@dataclass(frozen=True, slots=True)
class Node:
    """One value in a message.

    `type_name`: the innermost name of its type (`Speed`), empty where the type has none;
    `container`: the named SEQUENCE or CHOICE it is a member of; `kind`: its ASN.1 kind;
    `leaf`: nothing is inside it.
    """

    path: Path
    value: Any
    type_name: str
    container: str
    kind: str
    descriptor: Descriptor
    leaf: bool

    @property
    def name(self) -> str:
        """The member name; of an element of a list, that of the list."""
        return next((step for step in reversed(self.path) if isinstance(step, str)), "")

    @property
    def bounds(self) -> tuple[int, int] | None:
        """Root range of an INTEGER that has one."""
        found = self.descriptor.get("restricted-to")
        if self.kind != "INTEGER" or not found or not isinstance(found[0], tuple):
            return None
        low, high = found[0]
        return low, high

    @property
    def set_bits(self) -> list[str]:
        """Names (else numbers) of the bits that are set in a BIT STRING."""
        bits = self.value["bits"] if self.kind == "BIT STRING" else ""
        named = {int(item[1]): item[0] for item in self.descriptor.get("named-bits", ()) if item}
        return [named.get(at, f"bit {at}") for at, bit in enumerate(bits) if bit == "1"]


def path_text(path: Path) -> str:
    """A path as errors and reports write it: `rsmFrame.participants[3].speed`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def walk(profile: str, value: Any, type_name: str = FRAME) -> Iterator[Node]:
    """Every node of a value that this profile's codec has decoded."""
    yield from _Walk(profile).nodes((), value, {"type": type_name}, "")


@cache
def _types(profile: str) -> dict[str, Descriptor]:
    modules = read_modules(schema_text(profile))
    return {name: found for module in modules.values() for name, found in module["types"].items()}


class _Walk:
    def __init__(self, profile: str) -> None:
        self.types = _types(profile)
        self.open_types = OPEN_TYPES[profile]

    def nodes(
        self, path: Path, value: Any, described: Descriptor, container: str
    ) -> Iterator[Node]:
        type_name = ""
        for _ in range(REFERENCES_MAX):
            if described["type"] not in self.types:
                break
            type_name = described["type"]
            described = self.types[type_name]
        kind = described["type"]
        inside = kind in {"SEQUENCE", "CHOICE", "SEQUENCE OF"}
        yield Node(path, value, type_name, container, kind, described, not inside)
        match kind:
            case "SEQUENCE" | "CHOICE":
                yield from self._members(path, value, described, type_name or container)
            case "SEQUENCE OF":
                for index, item in enumerate(value):
                    yield from self.nodes((*path, index), item, described["element"], container)

    def _members(self, path: Path, value: Any, described: Descriptor, owner: str) -> Iterator[Node]:
        for member in described["members"]:
            if member is None or member["name"] not in value:
                continue
            name = member["name"]
            inner, here = value[name], (*path, name)
            if (owner, name) in self.open_types and isinstance(inner, dict):
                ((type_name, content),) = inner.items()
                yield from self.nodes((*here, type_name), content, {"type": type_name}, owner)
            else:
                yield from self.nodes(here, inner, member, owner)
