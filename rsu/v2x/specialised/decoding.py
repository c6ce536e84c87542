"""Writes the decoder of one type: a Python function from bits to its JSON form.

    def decode_Position3D(d, e): …; return v, e

`d` holds the octets as one integer, `e` how many of its bits are still unread; bits above those may
be cut off. Consecutive fields of constant width are read by one slice and then taken apart:

    e -= 63
    w = d >> e & 0x7fffffffffffffff
    lat_ = w >> 32
    …

Octets that end too early make the shift count negative, which Python refuses with ValueError: a
count that was read never makes memory before its bits are there. What the code does not expect
raises, and the plain codec judges the octets and tells what is wrong with them.
"""

from __future__ import annotations

from typing import Any

from rsu.v2x.specialised import schema as asn1
from rsu.v2x.specialised.layout import Names, Uncovered, identifier, width


class DecoderWriter:
    """Code of one function. `constants` and `calls` tell what it needs around it."""

    def __init__(self, schema: asn1.Schema, name: str) -> None:
        self.schema, self.name = schema, name
        self.constants: dict[str, Any] = {}
        self.calls: dict[str, asn1.Type] = {}
        """Types whose decoders are called, by the names that the functions have."""
        self._lines: list[str] = []
        self._depth = 1
        self._names = Names()
        self._left = 0
        """Bits of the slice `w` that are not taken yet."""
        self._whole = 0
        """Bits of the slice `w`."""

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
                self._slice(width(self.schema, simple) or 0)
                self._line(f"v = {self._value(simple, 'value')}")
        return "\n".join([f"def decode_{self.name}(d, e):", *self._lines, "    return v, e", ""])

    # ── constructed types ──────────────────────────────────────────────────────────────────────

    def _sequence(self, sequence: asn1.Sequence) -> None:  # noqa: PLR0912 (in the order of bits)
        optional = sum(member.optional for member in sequence.members)
        header = optional + (sequence.additions is not None)
        runs = self._runs(sequence.members)
        started = False
        bit = 1 << optional
        ids: dict[str, str] = {}
        for index, run in enumerate(runs or [[]]):
            bits = sum(
                width(self.schema, member.type) or 0 for member in run if self._joins(member)
            )
            if run and run[0].optional:
                if not started:
                    self._header(header, 0)
                    self._line("v = {}")
                    started = True
                bit >>= 1
                self._line(f"if p & {bit}:")
                self._depth += 1
                self._slice(bits)
            elif index == 0:
                self._header(header, bits)
            else:
                self._slice(bits)
            values = []
            for member in run:
                if member.name == sequence.open_field:
                    value = self._open_field(sequence, member, ids)
                else:
                    value = self._value(member.type, member.name)
                if sequence.open_type and member.name == sequence.open_type.id_field:
                    ids[member.name] = self._names.new(member.name)
                    self._line(f"{ids[member.name]} = {value}")
                    value = ids[member.name]
                values.append((member.name, value))
            if not started:
                self._line(f"v = {{{', '.join(f'{name!r}: {value}' for name, value in values)}}}")
                started = True
            else:
                for name, value in values:
                    self._line(f"v[{name!r}] = {value}")
            if run and run[0].optional:
                self._depth -= 1
        if sequence.additions is not None:
            known = [
                f"({member.name!r}, {self._function(member.type, member.name)}), "
                for member in sequence.additions
            ]
            self._line(f"if p & {1 << optional}:")
            self._line(f"    e = take_additions(v, ({''.join(known)}), d, e)")

    def _runs(self, members: tuple[asn1.Member, ...]) -> list[list[asn1.Member]]:
        """Members that are read together: those of constant width, and one other after them."""
        runs: list[list[asn1.Member]] = []
        open_run = False
        for member in members:
            joins = self._joins(member)
            if member.optional or not open_run:
                runs.append([member])
            else:
                runs[-1].append(member)
            open_run = joins and not member.optional
        return runs

    def _joins(self, member: asn1.Member) -> bool:
        return width(self.schema, member.type) is not None

    def _header(self, header: int, bits: int) -> None:
        """Slice of the extension bit and the presence bits (into `p`) with a run after them."""
        self._slice(header + bits)
        if header:
            self._line(f"p = {self._take(header)}")

    def _open_field(self, sequence: asn1.Sequence, member: asn1.Member, ids: dict[str, str]) -> str:
        assert sequence.open_type is not None
        type_ = self.schema.resolve(member.type)
        id_field = sequence.open_type.id_field
        if type_ != asn1.Octets(asn1.Range()) or id_field not in ids:
            raise Uncovered(f"open field {member.name}")
        table = self._constant("ANNOUNCED", dict(sequence.open_type.types))
        variable = self._names.new(member.name)
        self._line(
            f"{variable}, e = take_announced({table}.get({ids[id_field]}), d, e, decoder_of)"
        )
        return variable

    def _choice(self, choice: asn1.Choice) -> None:
        extensible = choice.additions is not None
        bits = (len(choice.alternatives) - 1).bit_length() + extensible
        self._slice(bits)
        self._line(f"i = {self._take(bits)}")
        for index, member in enumerate(choice.alternatives):
            self._line(f"if i == {index}:")
            self._depth += 1
            self._slice(width(self.schema, member.type) or 0)
            self._line(f"return {{{member.name!r}: {self._value(member.type, member.name)}}}, e")
            self._depth -= 1
        if choice.additions:
            known = [
                f"({member.name!r}, {self._function(member.type, member.name)}), "
                for member in choice.additions
            ]
            # The extension bit is on top; the other bits read with it belong to the index.
            self._line(f"if i & {1 << (bits - 1)}:")
            self._line(f"    return take_alternative(({''.join(known)}), d, e + {bits - 1})")
        self._line("raise Unfit")

    def _list(self, list_of: asn1.ListOf) -> None:
        size = list_of.size
        if size.bits is None or size.extensible:
            self._line(f"n, e = take_count({size.low}, {size.high}, {size.extensible}, d, e)")
        else:
            self._slice(size.bits)
            self._line(f"n = {_plus(self._take(size.bits), size.low or 0)}")
            if (size.high or 0) - (size.low or 0) != (1 << size.bits) - 1:
                self._refuse_if(f"n > {size.high}")
        bits = width(self.schema, list_of.element)
        self._line("v = []")
        self._line("for _ in range(n):")
        self._depth += 1
        # A shift takes time by the bits above what it leaves: cut off those read now and then.
        self._line("if d.bit_length() - e > CUT_OFF_BITS:")
        self._line("    d &= (1 << e) - 1")
        self._slice(bits or 0)
        self._line(f"v.append({self._value(list_of.element, 'element')})")
        self._depth -= 1

    # ── a value in place ───────────────────────────────────────────────────────────────────────

    def _value(self, type_: asn1.Type, name: str) -> str:  # noqa: PLR0911 (one per kind)
        """Code that reads a value; returns the expression for it."""
        resolved = self.schema.resolve(type_)
        if width(self.schema, resolved) is not None:
            return self._field(resolved, name)
        match resolved:
            case asn1.Integer():
                return self._call("take_integer", name)
            case asn1.Bits(size, named):
                if named and size.low != size.high:
                    raise Uncovered("named bits of varying count")
                return self._call("take_bits", name, size)
            case asn1.Octets(size):
                return self._call("take_octets", name, size)
            case asn1.Text(kind, size):
                return self._call("take_text", name, size, repr(kind))
            case asn1.ObjectIdentifier(relative):
                return self._call("take_identifier", name, None, str(relative))
        return self._call(self._function(type_, name), name)

    def _call(self, function: str, name: str, size: asn1.Range | None = None, *more: str) -> str:
        variable = self._names.new(name)
        bounds = [str(size.low), str(size.high), str(size.extensible)] if size else []
        self._line(f"{variable}, e = {function}({', '.join([*bounds, *more, 'd', 'e'])})")
        return variable

    def _field(self, type_: asn1.Type, name: str) -> str:  # noqa: PLR0911 (one per kind)
        """Takes a value of constant width out of the slice; returns the expression for it."""
        bits = width(self.schema, type_)
        assert bits is not None
        match type_:
            case asn1.Integer(bounds):
                low, high = bounds.low or 0, bounds.high or 0
                taken = self._take(bits)
                if high - low == (1 << bits) - 1:
                    return _plus(taken, low)
                variable = self._names.new(name)
                # With an extension bit in front, every value outside the root is too high.
                self._line(f"{variable} = {_plus(taken, low)}")
                self._refuse_if(f"{variable} > {high}")
                return variable
            case asn1.Enumerated(names):
                return f"{self._constant('NAMES', names)}[{self._take(bits)}]"
            case asn1.Boolean():
                return f"({self._take(bits)} == 1)"
            case asn1.Null():
                return "None"
            case asn1.Bits(size):
                text = f"f'{{{self._take(bits)}:0{size.low}b}}'" if bits else "''"
                return f"{{'bits': {text}}}"
            case asn1.Octets(size):
                return f"f'{{{self._take(bits)}:0{2 * (size.low or 0)}x}}'" if bits else "''"
            case asn1.Sequence(members):
                items = [
                    f"{member.name!r}: {self._field(self.schema.resolve(member.type), member.name)}"
                    for member in members
                ]
                return f"{{{', '.join(items)}}}"
        raise AssertionError(type_)

    # ── text ───────────────────────────────────────────────────────────────────────────────────

    def _slice(self, bits: int) -> None:
        """The next bits into `w`."""
        self._left = self._whole = bits
        if bits:
            self._line(f"e -= {bits}")
            self._line(f"w = d >> e & {(1 << bits) - 1:#x}")

    def _take(self, bits: int) -> str:
        """An expression for the next bits of `w`."""
        if not bits:
            return "0"
        first = self._left == self._whole
        self._left -= bits
        shifted = f"w >> {self._left}" if self._left else "w"
        return shifted if first else f"{shifted} & {(1 << bits) - 1:#x}"

    def _function(self, type_: asn1.Type, name: str) -> str:
        """Name of the decoder of a type, asked for by `calls`."""
        own = type_.name if isinstance(type_, asn1.Reference) else f"{self.name}__{name}"
        function = f"decode_{identifier(own)}"
        self.calls[function] = type_
        return function

    def _constant(self, prefix: str, value: Any) -> str:
        name = f"{prefix}_{self.name}_{len(self.constants)}"
        self.constants[name] = value
        return name

    def _refuse_if(self, condition: str) -> None:
        self._line(f"if {condition}:")
        self._line("    raise Unfit")

    def _line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)


def _plus(taken: str, low: int) -> str:
    """The taken bits as a number from `low` on; `&` and `>>` bind weaker than `+`."""
    if low == 0:
        return f"({taken})"
    return f"({taken}) + {low}" if low > 0 else f"({taken}) - {-low}"
