"""The types of a message set as small records: what code can be written from.

Module dictionaries of `rsu.v2x.notation` in, one record per type out, with the bounds that UPER and
the JSON form give it. References stay references (`Schema.resolve` follows them), so a record is
made in microseconds and only for types that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rsu.v2x.errors import CodecError
from rsu.v2x.notation import Descriptor
from rsu.v2x.open_types import OpenType, OpenTypes

UNBOUNDED_FROM = 65_536
"""Upper bounds from here on count as none (X.691 11.9.4.2)."""


@dataclass(frozen=True, slots=True)
class Range:
    """Values of an INTEGER or sizes of anything else. `low` and `high` are None without bounds that
    UPER uses; `extensible` allows values outside them, marked by a bit."""

    low: int | None = None
    high: int | None = None
    extensible: bool = False

    @property
    def bits(self) -> int | None:
        """Width of a value in the range, None without bounds."""
        if self.low is None or self.high is None:
            return None
        return (self.high - self.low).bit_length()


@dataclass(frozen=True, slots=True)
class Reference:
    name: str


@dataclass(frozen=True, slots=True)
class Integer:
    range: Range


@dataclass(frozen=True, slots=True)
class Enumerated:
    """Names in the order of their indices; `additions` is None without an extension marker."""

    names: tuple[str, ...]
    additions: tuple[str, ...] | None

    @property
    def bits(self) -> int:
        return (len(self.names) - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Boolean:
    pass


@dataclass(frozen=True, slots=True)
class Null:
    pass


@dataclass(frozen=True, slots=True)
class Bits:
    """BIT STRING. With `named` bits, trailing zeros carry no meaning (X.691 16.2)."""

    size: Range
    named: bool


@dataclass(frozen=True, slots=True)
class Octets:
    size: Range


@dataclass(frozen=True, slots=True)
class Text:
    """A character string of one of `notation.CHARACTER_STRINGS`."""

    kind: str
    size: Range


@dataclass(frozen=True, slots=True)
class ObjectIdentifier:
    relative: bool


@dataclass(frozen=True, slots=True)
class ListOf:
    element: Type
    size: Range


@dataclass(frozen=True, slots=True)
class Member:
    """Member of a SEQUENCE or alternative of a CHOICE."""

    name: str
    type: Type
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """`additions` is None without an extension marker. `open_field` names the member whose octets
    are of the type that `open_type` tells."""

    members: tuple[Member, ...]
    additions: tuple[Member, ...] | None
    open_field: str | None = None
    open_type: OpenType | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """`additions` is None without an extension marker."""

    alternatives: tuple[Member, ...]
    additions: tuple[Member, ...] | None


Type = (
    Reference
    | Integer
    | Enumerated
    | Boolean
    | Null
    | Bits
    | Octets
    | Text
    | ObjectIdentifier
    | ListOf
    | Sequence
    | Choice
)


class Schema:
    """All types of a message set by name. A name is stated once in a set, so modules and their
    imports do not matter here."""

    def __init__(self, modules: Mapping[str, Descriptor], open_types: OpenTypes) -> None:
        self._described: dict[str, Descriptor] = {}
        for module in modules.values():
            self._described |= module["types"]
        self._open = {
            container: (name, open_type) for (container, name), open_type in open_types.items()
        }
        self._types: dict[str, Type] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._described)

    def named(self, name: str) -> Type:
        """The type of that name; raises CodecError for an unknown one."""
        found = self._types.get(name)
        if found is None:
            if name not in self._described:
                raise CodecError(f"no type {name!r} in this message set")
            found = self._types[name] = self._type(self._described[name], name)
        return found

    def resolve(self, type_: Type) -> Type:
        """What a chain of references ends in."""
        while isinstance(type_, Reference):
            type_ = self.named(type_.name)
        return type_

    def _type(self, described: Descriptor, name: str = "") -> Type:
        made: Type
        match described["type"]:
            case "INTEGER":
                made = Integer(_range(described.get("restricted-to")))
            case "ENUMERATED":
                root, additions = _parts(described["values"])
                root = sorted(root, key=lambda item: item[1])
                made = Enumerated(_names(root), None if additions is None else _names(additions))
            case "BOOLEAN":
                made = Boolean()
            case "NULL":
                made = Null()
            case "BIT STRING":
                made = Bits(_size(described), "named-bits" in described)
            case "OCTET STRING":
                made = Octets(_size(described))
            case "IA5String" | "VisibleString" | "NumericString" as kind:
                made = Text(kind, _size(described))
            case "OBJECT IDENTIFIER" | "RELATIVE-OID" as kind:
                made = ObjectIdentifier(relative=kind == "RELATIVE-OID")
            case "SEQUENCE OF":
                made = ListOf(self._type(described["element"]), _size(described))
            case "SEQUENCE":
                made = Sequence(*self._members(described), *self._open.get(name, (None, None)))
            case "CHOICE":
                made = Choice(*self._members(described))
            case reference:
                made = Reference(reference)
        return made

    def _members(
        self, described: Descriptor
    ) -> tuple[tuple[Member, ...], tuple[Member, ...] | None]:
        root, additions = _parts(described["members"])
        return self._each(root), None if additions is None else self._each(additions)

    def _each(self, described: list[Descriptor]) -> tuple[Member, ...]:
        return tuple(
            Member(member["name"], self._type(member), member.get("optional", False))
            for member in described
        )


def _parts(items: list[Any]) -> tuple[list[Any], list[Any] | None]:
    """What stands before the extension marker (None in the list) and after it."""
    if None not in items:
        return items, None
    marker = items.index(None)
    return items[:marker], items[marker + 1 :]


def _names(items: list[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(name for name, _ in items)


def _range(bounds: list[Any] | None) -> Range:
    if bounds is None:
        return Range()
    low, high = bounds[0] if isinstance(bounds[0], tuple) else (bounds[0], bounds[0])
    return Range(low, high, extensible=None in bounds)


def _size(described: Descriptor) -> Range:
    size = _range(described.get("size"))
    if size.high is not None and size.high >= UNBOUNDED_FROM:
        return Range(extensible=size.extensible)
    return size
