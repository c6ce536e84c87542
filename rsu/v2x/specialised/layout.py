"""Which types have a constant width, so that their bits join those of their neighbours.

A run of fields of constant width is written and read as one integer. Values outside an extensible
root are left to the plain codec here (`Unfit`), so the root of an extensible INTEGER or ENUMERATED
counts as constant, with its extension bit in front.
"""

from __future__ import annotations

from collections.abc import Iterator

from rsu.v2x.specialised import schema as asn1

OCTETS_MAX = 64
"""Largest fixed OCTET STRING, and BIT STRING in octets, that joins a run; longer ones are read by
a call, so that no run grows beyond what integers of a few words carry fast."""


class Uncovered(Exception):  # noqa: N818 (a limit, not an error)
    """A construct that no code is written for: the plain codec has the type."""


def width(schema: asn1.Schema, type_: asn1.Type) -> int | None:  # noqa: PLR0911 (one per kind)
    """Bits of every value of the type, None if they vary."""
    match type_:
        case asn1.Reference():
            return width(schema, schema.resolve(type_))
        case asn1.Integer(bounds):
            return None if bounds.bits is None else bounds.bits + bounds.extensible
        case asn1.Enumerated(_, additions):
            return type_.bits + (additions is not None)
        case asn1.Boolean():
            return 1
        case asn1.Null():
            return 0
        case asn1.Bits(size) if not size.extensible:
            return _fixed(size, 1)
        case asn1.Octets(size) if not size.extensible:
            return _fixed(size, 8)
        case asn1.Sequence(members, None, None):
            return _sum(schema, members)
    return None


def _fixed(size: asn1.Range, unit: int) -> int | None:
    if size.low is None or size.low != size.high or size.low * unit > 8 * OCTETS_MAX:
        return None
    return size.low * unit


def _sum(schema: asn1.Schema, members: tuple[asn1.Member, ...]) -> int | None:
    total = 0
    for member in members:
        bits = None if member.optional else width(schema, member.type)
        if bits is None:
            return None
        total += bits
    return total


class Names:
    """Python names for the locals of one function: the field's name, told apart by a number."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def new(self, name: str) -> str:
        for candidate in self._candidates(identifier(name)):
            if candidate not in self._used:
                break
        self._used.add(candidate)
        return candidate

    def _candidates(self, name: str) -> Iterator[str]:
        # The underscore keeps clear of keywords, builtins and the functions' own names.
        yield f"{name}_"
        number = 2
        while True:
            yield f"{name}_{number}"
            number += 1


def identifier(name: str) -> str:
    """An ASN.1 name as part of a Python name."""
    return name.replace("-", "_")
