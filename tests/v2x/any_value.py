"""Hypothesis strategies for any value that a type of a message set allows, in JSON form.

Written from the schema alone. Extremes are as likely as everything between them; optional members
and additions come and go each by itself; every alternative, every announced type of an open field
and unknown ids occur; sizes beyond an extensible root too. Lists and strings are short, but for now
and then, so that a value stays drawable.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st

from rsu.v2x.codec import schema_text
from rsu.v2x.notation import read_modules
from rsu.v2x.open_types import OPEN_TYPES
from rsu.v2x.specialised import schema as asn1

INTEGER_LIMIT = 1 << 63
"""Integers outside a root range have 64 bits (docs/v2x-json.md)."""
SIZE_LIMIT = 16_383
"""Largest size outside an extensible root (docs/v2x-json.md)."""
MORE = 3
"""Elements above the smallest count, but for rare long ones."""
ALPHABETS = {
    "IA5String": st.characters(max_codepoint=127),
    "VisibleString": st.characters(min_codepoint=32, max_codepoint=126),
    "NumericString": st.sampled_from(" 0123456789"),
}


@cache
def schema_of(profile: str) -> asn1.Schema:
    return asn1.Schema(read_modules(schema_text(profile)), OPEN_TYPES[profile])


@cache
def any_value(profile: str, type_name: str) -> st.SearchStrategy[Any]:
    """Any value of a named type in JSON form."""
    return _Strategies(schema_of(profile), profile).of(asn1.Reference(type_name))


class _Strategies:
    def __init__(self, schema: asn1.Schema, profile: str) -> None:
        self.schema, self.profile = schema, profile

    def of(self, type_: asn1.Type) -> st.SearchStrategy[Any]:
        match type_:
            case asn1.Reference(name):
                return _named(self.profile, name)
            case asn1.Integer(asn1.Range(low, high, extensible)):
                if low is None or high is None:
                    return _integers(-INTEGER_LIMIT, INTEGER_LIMIT - 1)
                if extensible:
                    beyond = _integers(-INTEGER_LIMIT, INTEGER_LIMIT - 1)
                    return st.one_of(_integers(low, high), beyond)
                return _integers(low, high)
            case asn1.Enumerated(names, additions):
                return st.sampled_from([*names, *(additions or ())])
            case asn1.Boolean():
                return st.booleans()
            case asn1.Null():
                return st.none()
            case asn1.Bits(size, named):
                texts = _sized(size, lambda a, b: st.text("01", min_size=a, max_size=b))
                if named and size.low != size.high:
                    # Trailing zeros of named bits are not sent within the root (X.691 16.2).
                    least = size.low or 0
                    texts = texts.map(lambda bits: bits.rstrip("0").ljust(least, "0"))
                return texts.map(lambda bits: {"bits": bits})
            case asn1.Octets(size):
                octets = _sized(size, lambda a, b: st.binary(min_size=a, max_size=b))
                return octets.map(bytes.hex)
            case asn1.Text(kind, size):
                root = asn1.Range(size.low, size.high)
                return _sized(root, lambda a, b: st.text(ALPHABETS[kind], min_size=a, max_size=b))
            case asn1.ObjectIdentifier(relative):
                return _identifiers(relative)
            case asn1.ListOf(element, size):
                item = self.of(element)
                return _sized(size, lambda a, b: st.lists(item, min_size=a, max_size=b))
            case asn1.Choice(alternatives, additions):
                return st.one_of(
                    *(
                        self.of(member.type).map(lambda inner, name=member.name: {name: inner})
                        for member in (*alternatives, *(additions or ()))
                    )
                )
            case asn1.Sequence(members, additions, open_field):
                if open_field is not None:
                    return self.with_open_field(type_)
                return st.fixed_dictionaries(
                    {m.name: self.of(m.type) for m in members if not m.optional},
                    optional={m.name: self.of(m.type) for m in members if m.optional}
                    | {m.name: self.of(m.type) for m in additions or ()},
                )
        raise AssertionError(type_)

    def with_open_field(self, sequence: asn1.Sequence) -> st.SearchStrategy[Any]:
        """A SEQUENCE of an id and what it announces, or an unknown id and octets."""
        open_type, field = sequence.open_type, sequence.open_field
        assert open_type is not None
        types = {member.name: member.type for member in sequence.members}
        assert set(types) == {open_type.id_field, field}
        ids = self.of(types[open_type.id_field]).filter(
            lambda number: number not in open_type.types
        )
        unknown = st.fixed_dictionaries(
            {open_type.id_field: ids, field: st.binary(max_size=200).map(bytes.hex)}
        )
        known = [
            _named(self.profile, name).map(
                lambda inner, number=number, name=name: {
                    open_type.id_field: number,
                    field: {name: inner},
                }
            )
            for number, name in open_type.types.items()
        ]
        return st.one_of(*known, unknown)


@cache
def _named(profile: str, name: str) -> st.SearchStrategy[Any]:
    # Deferred: open types may hold each other.
    strategies = _Strategies(schema_of(profile), profile)
    return st.deferred(lambda: strategies.of(strategies.schema.named(name)))


def _integers(low: int, high: int) -> st.SearchStrategy[int]:
    return st.one_of(st.integers(low, high), st.sampled_from([low, high]))


def _sized(size: asn1.Range, make: Any) -> st.SearchStrategy[Any]:
    """`make(least, most)` for small sizes mostly, the extremes, and some outside the root."""
    low = size.low or 0
    high = SIZE_LIMIT if size.high is None else size.high
    kinds = [make(low, min(high, low + MORE))]
    if high <= low + 40:
        kinds.append(make(high, high))
    if size.extensible:
        kinds.append(make(0, low))
        kinds.append(make(high, min(SIZE_LIMIT, high + MORE)))
    return st.one_of(*kinds)


def _identifiers(relative: bool) -> st.SearchStrategy[str]:
    number = _integers(0, 10**19 - 1)  # 19 digits (docs/v2x-json.md)
    rest = st.lists(number, max_size=4)
    if relative:
        return st.tuples(number, rest).map(lambda parts: ".".join(map(str, [parts[0], *parts[1]])))
    start = st.one_of(
        st.tuples(st.integers(0, 1), st.integers(0, 39)),
        st.tuples(st.just(2), st.integers(0, 1 << 40)),
    )
    return st.tuples(start, rest).map(lambda parts: ".".join(map(str, [*parts[0], *parts[1]])))
