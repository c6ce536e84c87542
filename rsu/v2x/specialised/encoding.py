"""Writes the encoder of one type: a Python function from its JSON form to bits.

    def encode_Position3D(v, a): …; return a

`v` is the value; `a` holds the bits so far, behind one leading 1 that keeps their count (so an
empty sequence of bits is 1). Consecutive fields of constant width become one check and one shift:

    if not (type(lat_) is type(long_) is int and -900000000 <= lat_ <= 900000001 and …): raise Unfit
    a = a << 63 | ((lat_ + 900000000) << 32 | long_ + 1799999999)

Written code knows good values only. Whatever it meets beyond that raises (Unfit, or what Python
raises by itself: KeyError, TypeError, …), and the plain codec judges the value and names the field.
"""

from __future__ import annotations

from typing import Any

from rsu.v2x.specialised import schema as asn1
from rsu.v2x.specialised.layout import Names, Uncovered, identifier, width

ADDITIONS_MAX = 64
"""Additions whose count fits the short form of a normally small length (X.691 11.9.3.4)."""

Field = tuple[str | int, int]
"""Expression or constant, and its width."""


class EncoderWriter:
    """Code of one function. `constants` and `calls` tell what it needs around it."""

    def __init__(self, schema: asn1.Schema, name: str) -> None:
        self.schema, self.name = schema, name
        self.constants: dict[str, Any] = {}
        self.calls: dict[str, asn1.Type] = {}
        """Types whose encoders are called, by the names that the functions have."""
        self._lines: list[str] = []
        self._depth = 1
        self._names = Names()
        self._fields: list[Field] = []
        self._integers: list[str] = []
        self._checks: list[str] = []

    def source(self, type_: asn1.Type) -> str:
        """The whole function; raises Uncovered."""
        match self.schema.resolve(type_):
            case asn1.Sequence() as sequence if width(self.schema, sequence) is None:
                self._sequence(sequence)
            case asn1.Choice() as choice:
                self._choice(choice)
            case asn1.ListOf() as list_of:
                self._list(list_of)
            case simple:
                self._put(simple, "v", "value")
        self._flush()
        return "\n".join([f"def encode_{self.name}(v, a):", *self._lines, "    return a", ""])

    # ── constructed types ──────────────────────────────────────────────────────────────────────

    def _sequence(self, sequence: asn1.Sequence) -> None:
        optional = [member for member in sequence.members if member.optional]
        additions = sequence.additions or ()
        self._presence("p", optional)
        count = str(len(sequence.members) - len(optional))
        if optional:
            count += " + p.bit_count()"
        if additions:
            self._presence("q", additions)
            count += " + q.bit_count()"
        self._refuse_if(f"type(v) is not dict or len(v) != {count}")
        if sequence.additions is not None:
            self._fields.append(("(q > 0)" if additions else 0, 1))
        if optional:
            self._fields.append(("p", len(optional)))
        bit = 1 << len(optional)
        ids: dict[str, str] = {}
        for member in sequence.members:
            source = f"v[{member.name!r}]"
            if member.optional:
                bit >>= 1
                self._flush()
                self._line(f"if p & {bit}:")
                self._depth += 1
            if member.name == sequence.open_field:
                self._open_field(sequence, member, source, ids)
            else:
                ids[member.name] = self._put(member.type, source, member.name)
            if member.optional:
                self._flush()
                self._depth -= 1
        if additions:
            self._additions(additions)

    def _presence(
        self, variable: str, members: list[asn1.Member] | tuple[asn1.Member, ...]
    ) -> None:
        """A bit per member, the first one highest."""
        bits = [
            f"({member.name!r} in v)" + (f" << {shift}" if shift else "")
            for shift, member in zip(range(len(members) - 1, -1, -1), members, strict=True)
        ]
        if bits:
            # "+ 0" makes an integer of a single bool.
            self._line(f"{variable} = {' | '.join(bits)}" + (" | 0" if len(bits) == 1 else ""))

    def _additions(self, additions: tuple[asn1.Member, ...]) -> None:
        count = len(additions)
        if count > ADDITIONS_MAX:
            raise Uncovered(f"{count} additions")
        self._flush()
        self._line("if q:")
        self._depth += 1
        self._fields += [(count - 1, 7), ("q", count)]
        self._flush()
        for index, member in enumerate(additions):
            function = self._function(member.type, member.name)
            self._line(f"if q & {1 << (count - 1 - index)}:")
            self._line(f"    a = put_open({function}(v[{member.name!r}], 1), a)")
        self._depth -= 1

    def _open_field(
        self, sequence: asn1.Sequence, member: asn1.Member, source: str, ids: dict[str, str]
    ) -> None:
        assert sequence.open_type is not None
        type_ = self.schema.resolve(member.type)
        id_field = sequence.open_type.id_field
        if type_ != asn1.Octets(asn1.Range()) or id_field not in ids:
            raise Uncovered(f"open field {member.name}")
        table = self._constant("ANNOUNCED_TO", dict(sequence.open_type.types))
        self._flush()
        self._line(f"a = put_announced({table}.get({ids[id_field]}), {source}, a, encoder_of)")

    def _choice(self, choice: asn1.Choice) -> None:
        self._refuse_if("type(v) is not dict or len(v) != 1")
        extensible = choice.additions is not None
        bits = (len(choice.alternatives) - 1).bit_length() + extensible
        for index, member in enumerate(choice.alternatives):
            self._line(f"if {member.name!r} in v:")
            self._depth += 1
            self._fields.append((index, bits))
            self._put(member.type, f"v[{member.name!r}]", member.name)
            self._flush()
            self._line("return a")
            self._depth -= 1
        for index, member in enumerate(choice.additions or ()):
            if index >= ADDITIONS_MAX:
                raise Uncovered(f"{index + 1} alternatives after the extension marker")
            function = self._function(member.type, member.name)
            self._line(f"if {member.name!r} in v:")
            self._line(f"    a = a << 8 | {0x80 | index}")
            self._line(f"    return put_open({function}(v[{member.name!r}], 1), a)")
        self._line("raise Unfit")

    def _list(self, list_of: asn1.ListOf) -> None:
        size = list_of.size
        self._refuse_if("type(v) is not list")
        if size.bits is None or size.extensible:
            self._line(f"a = put_count(len(v), {size.low}, {size.high}, {size.extensible}, a)")
        else:
            self._refuse_if(f"not {size.low} <= len(v) <= {size.high}")
            if size.bits:
                self._fields.append((_minus("len(v)", size.low or 0), size.bits))
                self._flush()
        # Shifting cuts its time by the bits so far, so these are set aside now and then.
        self._line("room, a, before = ROOM_BITS, 1, [a]")
        self._line("for x in v:")
        self._depth += 1
        self._put(list_of.element, "x", "element")
        self._flush()
        self._line("if a.bit_length() > SET_ASIDE_BITS:")
        self._line("    room -= a.bit_length() - 1")
        self._line("    if room < 0:")
        self._line("        raise TooLong")
        self._line("    before.append(a)")
        self._line("    a = 1")
        self._depth -= 1
        self._line("a = joined(before, a)")

    # ── a value in place ───────────────────────────────────────────────────────────────────────

    def _put(self, type_: asn1.Type, source: str, name: str) -> str:
        """Code for a value; returns an expression for it."""
        resolved = self.schema.resolve(type_)
        if width(self.schema, resolved) is not None:
            return self._field(resolved, source, name)
        match resolved:
            case asn1.Integer():
                self._call("put_integer", source)
            case asn1.Bits(size, named):
                if named and size.low != size.high:
                    raise Uncovered("named bits of varying count")
                self._call("put_bits", source, size)
            case asn1.Octets(size):
                self._call("put_octets", source, size)
            case asn1.Text(kind, size):
                self._call("put_text", source, size, repr(kind))
            case asn1.ObjectIdentifier(relative):
                self._call("put_identifier", source, None, str(relative))
            case _:
                self._flush()
                self._line(f"a = {self._function(type_, name)}({source}, a)")
        return source

    def _call(self, function: str, source: str, size: asn1.Range | None = None, *more: str) -> None:
        self._flush()
        bounds = [str(size.low), str(size.high), str(size.extensible)] if size else []
        self._line(f"a = {function}({', '.join([source, *bounds, *more])}, a)")

    def _field(self, type_: asn1.Type, source: str, name: str) -> str:
        """Code for a value of constant width; returns an expression for it."""
        match type_:
            case asn1.Integer(bounds):
                variable = self._local(source, name)
                self._integers.append(variable)
                self._checks.append(f"{bounds.low} <= {variable} <= {bounds.high}")
                assert bounds.bits is not None
                if bounds.extensible:
                    self._fields.append((0, 1))
                self._fields.append((_minus(variable, bounds.low or 0), bounds.bits))
                return variable
            case asn1.Enumerated(names):
                indices = self._constant("INDEX", {key: index for index, key in enumerate(names)})
                bits = width(self.schema, type_)
                assert bits is not None
                self._fields.append((f"{indices}[{source}]", bits))
            case asn1.Boolean():
                variable = self._local(source, name)
                self._checks.append(f"type({variable}) is bool")
                self._fields.append((variable, 1))
            case asn1.Null():
                self._checks.append(f"{source} is None")
            case asn1.Bits(size):
                self._fields.append((f"bits_of({source}, {size.low})", size.low or 0))
            case asn1.Octets(size):
                self._fields.append((f"octets_of({source}, {size.low})", 8 * (size.low or 0)))
            case asn1.Sequence(members):
                variable = self._local(source, name)
                self._checks.append(
                    f"type({variable}) is dict and len({variable}) == {len(members)}"
                )
                for member in members:
                    inner = self.schema.resolve(member.type)
                    self._field(inner, f"{variable}[{member.name!r}]", member.name)
            case _:
                raise AssertionError(type_)
        return source

    # ── text ───────────────────────────────────────────────────────────────────────────────────

    def _flush(self) -> None:
        """Check and shift in what has been collected."""
        checks = self._checks
        if self._integers:
            checks = [" is ".join(f"type({name})" for name in self._integers) + " is int", *checks]
        if checks:
            self._refuse_if(f"not ({' and '.join(checks)})")
        total = sum(bits for _, bits in self._fields)
        if total:
            bits = _joined(self._fields)
            self._line(f"a = a << {total}" + (f" | {bits}" if bits != "0" else ""))
        self._fields, self._integers, self._checks = [], [], []

    def _function(self, type_: asn1.Type, name: str) -> str:
        """Name of the encoder of a type, asked for by `calls`."""
        own = type_.name if isinstance(type_, asn1.Reference) else f"{self.name}__{name}"
        function = f"encode_{identifier(own)}"
        self.calls[function] = type_
        return function

    def _local(self, source: str, name: str) -> str:
        if source.isidentifier():
            return source
        variable = self._names.new(name)
        self._line(f"{variable} = {source}")
        return variable

    def _constant(self, prefix: str, value: Any) -> str:
        name = f"{prefix}_{self.name}_{len(self.constants)}"
        self.constants[name] = value
        return name

    def _refuse_if(self, condition: str) -> None:
        self._line(f"if {condition}:")
        self._line("    raise Unfit")

    def _line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)


def _joined(fields: list[Field]) -> str:
    """One expression for fields one after another: `((x << 8 | y) << 13 | z)`."""
    total: str | int = 0
    for value, bits in fields:
        if isinstance(total, int) and isinstance(value, int):
            total = total << bits | value
        elif total == 0:
            total = value
        elif bits:
            shifted = f"{total} << {bits}" if isinstance(total, str) else str(total << bits)
            total = f"({shifted} | {value})" if value != 0 else f"({shifted})"
    return str(total)


def _minus(variable: str, low: int) -> str:
    if low == 0:
        return variable
    return f"({variable} - {low})" if low > 0 else f"({variable} + {-low})"
