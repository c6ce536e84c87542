"""The JSON form of messages: documented values in, what asn1tools wants out, and back, checked.

| ASN.1            | JSON form                                        |
|------------------|--------------------------------------------------|
| SEQUENCE         | object; absent OPTIONAL members are absent keys  |
| CHOICE           | object with exactly one key                      |
| SEQUENCE OF      | array                                            |
| INTEGER          | integer                                          |
| ENUMERATED       | name                                             |
| BIT STRING       | `{"bits": "0101"}`, bit 0 first                  |
| OCTET STRING     | lower-case hex                                   |
| character string | string                                           |
| BOOLEAN, NULL    | `true` or `false`, `null`                        |
| OBJECT IDENTIFIER, RELATIVE-OID | numbers with dots: `"2.16.840"`   |
| open type        | object with one key, the type its id announces; hex where the id is unknown |

asn1tools ignores unknown keys and checks ranges only on request; here every key, range and size is
checked on both ways, and the error names the path (`rsmFrame.participants[3].speed: …`). A `Form`
is built once per type by `rsu.v2x.type_form`; it holds no state.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

from rsu.v2x.errors import DecodeError, EncodeError

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
_BITS = re.compile(r"[01]*")
_SHOWN = 60
"""Characters of a wrong value that an error repeats."""

_OID = re.compile(r"(?:0|[1-9]\d{0,18})(?:\.(?:0|[1-9]\d{0,18}))*")

INTEGER_BITS_MAX = 64
"""Bits of an INTEGER outside its root range: what readers of JSON can be asked to hold."""


class FormError(Exception):
    """A value that does not fit; `path` grows from the inside out while it is raised."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.path: list[str | int] = []

    def __str__(self) -> str:
        where = ""
        for step in reversed(self.path):
            where += f"[{step}]" if isinstance(step, int) else f".{step}"
        return f"{where.removeprefix('.')}: {self.text}" if where else self.text


class Form(Protocol):
    """Conversion of one type between its JSON form and asn1tools' Python values."""

    def native(self, value: Any) -> Any:
        """JSON form → asn1tools; raises FormError."""
        ...

    def json(self, native: Any) -> Any:
        """asn1tools → JSON form; raises FormError."""
        ...


def encode_form(form: Form, value: Any) -> Any:
    """`form.native` with EncodeError."""
    try:
        return form.native(value)
    except FormError as error:
        raise EncodeError(str(error)) from None


def decode_form(form: Form, native: Any) -> Any:
    """`form.json` with DecodeError."""
    try:
        return form.json(native)
    except FormError as error:
        raise DecodeError(str(error)) from None


class SequenceForm:
    def __init__(self, members: Sequence[tuple[str, Form, bool]]) -> None:
        self.members = tuple(members)
        self.names = frozenset(name for name, _, _ in members)

    def native(self, value: Any) -> dict[str, Any]:
        _expect(value, dict, "an object")
        if not value.keys() <= self.names:
            unknown = next(key for key in value if key not in self.names)
            raise FormError(f"unknown member {shown(unknown)}")
        out = {}
        name = ""
        try:
            for name, form, optional in self.members:
                if name in value:
                    out[name] = form.native(value[name])
                elif not optional:
                    raise FormError("missing")
        except FormError as error:
            error.path.append(name)
            raise
        return out

    def json(self, native: dict[str, Any]) -> dict[str, Any]:
        out = {}
        name = ""
        try:
            for name, form, _ in self.members:
                if name in native:
                    out[name] = form.json(native[name])
        except FormError as error:
            error.path.append(name)
            raise
        return out


class ChoiceForm:
    def __init__(self, alternatives: Sequence[tuple[str, Form]]) -> None:
        self.alternatives = dict(alternatives)

    def native(self, value: Any) -> tuple[str, Any]:
        if not isinstance(value, dict) or len(value) != 1:
            raise FormError(f"an object with one key is wanted, not {shown(value)}")
        ((name, inner),) = value.items()
        form = self.alternatives.get(name)
        if form is None:
            raise FormError(f"{shown(name)} is none of {', '.join(self.alternatives)}")
        try:
            return name, form.native(inner)
        except FormError as error:
            error.path.append(name)
            raise

    def json(self, native: tuple[str | None, Any]) -> dict[str, Any]:
        name, inner = native
        if name is None:
            raise FormError("an alternative that this version of the message set does not have")
        try:
            return {name: self.alternatives[name].json(inner)}
        except FormError as error:
            error.path.append(name)
            raise


class ListForm:
    def __init__(self, element: Form, minimum: int, maximum: int) -> None:
        self.element, self.minimum, self.maximum = element, minimum, maximum

    def native(self, value: Any) -> list[Any]:
        _expect(value, list, "an array")
        return self._each(value, self.element.native)

    def json(self, native: list[Any]) -> list[Any]:
        return self._each(native, self.element.json)

    def _each(self, items: list[Any], convert: Any) -> list[Any]:
        if not self.minimum <= len(items) <= self.maximum:
            raise FormError(f"{len(items)} elements, {self.minimum}..{self.maximum} are allowed")
        out: list[Any] = []
        try:
            for item in items:
                out.append(convert(item))  # noqa: PERF401 (len(out) names the failing element)
        except FormError as error:
            error.path.append(len(out))
            raise
        return out


class IntegerForm:
    def __init__(self, minimum: int, maximum: int) -> None:
        self.minimum, self.maximum = minimum, maximum

    def native(self, value: Any) -> int:
        if type(value) is not int:  # a bool is an int to isinstance
            raise FormError(f"an integer is wanted, not {shown(value)}")
        return self.json(value)

    def json(self, native: int) -> int:
        if not self.minimum <= native <= self.maximum:
            raise FormError(f"{shown(native)} is outside {self.minimum}..{self.maximum}")
        return native


class EnumeratedForm:
    def __init__(self, names: frozenset[str]) -> None:
        self.names = names

    def native(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.names:
            raise FormError(f"{shown(value)} is none of {', '.join(sorted(self.names))}")
        return value

    def json(self, native: str | None) -> str:
        if native is None:  # asn1tools' answer to an index beyond the known additions
            raise FormError("a value that this version of the message set does not have")
        return native


class BitsForm:
    def __init__(self, minimum: int, maximum: int) -> None:
        self.minimum, self.maximum = minimum, maximum

    def native(self, value: Any) -> tuple[bytes, int]:
        bits = value.get("bits") if isinstance(value, dict) and len(value) == 1 else None
        if not isinstance(bits, str) or not _BITS.fullmatch(bits):
            raise FormError(f'{{"bits": "01…"}} is wanted, not {shown(value)}')
        self._check(len(bits))
        octets = (len(bits) + 7) // 8
        return int(bits.ljust(8 * octets, "0") or "0", 2).to_bytes(octets, "big"), len(bits)

    def json(self, native: tuple[bytes, int]) -> dict[str, str]:
        octets, count = native
        self._check(count)
        return {"bits": "".join(f"{octet:08b}" for octet in octets)[:count]}

    def _check(self, count: int) -> None:
        if not self.minimum <= count <= self.maximum:
            raise FormError(f"{count} bits, {self.minimum}..{self.maximum} are allowed")


class OctetsForm:
    def __init__(self, minimum: int, maximum: int) -> None:
        self.minimum, self.maximum = minimum, maximum

    def native(self, value: Any) -> bytes:
        if not isinstance(value, str) or not _HEX.fullmatch(value):
            raise FormError(f"octets in hex are wanted, not {shown(value)}")
        self._check(len(value) // 2)
        return bytes.fromhex(value)

    def json(self, native: bytes) -> str:
        self._check(len(native))
        return native.hex()

    def _check(self, count: int) -> None:
        if not self.minimum <= count <= self.maximum:
            raise FormError(f"{count} octets, {self.minimum}..{self.maximum} are allowed")


class TextForm:
    def __init__(self, minimum: int, maximum: int, alphabet: frozenset[str]) -> None:
        self.minimum, self.maximum, self.alphabet = minimum, maximum, alphabet

    def native(self, value: Any) -> str:
        if not isinstance(value, str) or not self.alphabet.issuperset(value):
            words = "ASCII text" if len(self.alphabet) > 11 else "digits or blanks"
            raise FormError(f"{words} is wanted, not {shown(value)}")
        return self.json(value)

    def json(self, native: str) -> str:
        if not self.minimum <= len(native) <= self.maximum:
            raise FormError(
                f"{len(native)} characters, {self.minimum}..{self.maximum} are allowed"
            )  # fmt: skip
        return native


class BooleanForm:
    def native(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise FormError(f"true or false is wanted, not {shown(value)}")
        return value

    def json(self, native: Any) -> bool:
        return bool(native)


class NullForm:
    def native(self, value: Any) -> None:
        if value is not None:
            raise FormError(f"null is wanted, not {shown(value)}")

    def json(self, _: Any) -> None:
        return None


class RelativeOidForm:
    """Numbers in base 128, highest first, bit 8 set in all octets but the last (X.690 8.20)."""

    def native(self, value: Any) -> bytes:
        octets = bytearray()
        for number in _numbers(value):
            groups = [number & 0x7F]
            while number := number >> 7:
                groups.append(0x80 | number & 0x7F)
            octets += bytes(reversed(groups))
        return bytes(octets)

    def json(self, native: bytes) -> str:
        numbers, number = [], 0
        for octet in native:
            number = number << 7 | octet & 0x7F
            if number.bit_length() > INTEGER_BITS_MAX:
                raise FormError("a number of more than 64 bits in an object identifier")
            if not octet & 0x80:
                numbers.append(number)
                number = 0
        if not native or native[-1] & 0x80:
            raise FormError("an object identifier that ends within a number")
        return ".".join(map(str, numbers))


class OidForm:
    def native(self, value: Any) -> str:
        numbers = _numbers(value)
        if len(numbers) < 2 or numbers[0] > 2 or (numbers[0] < 2 and numbers[1] > 39):
            raise FormError(f"{shown(value)} is no object identifier")
        return str(value)

    def json(self, native: str) -> str:
        # Behind a 2 the second number may exceed 39 (X.690 8.19.4); asn1tools then reads 3 and up.
        first, second, *rest = native.split(".")
        if int(first) > 2:
            native = ".".join(["2", str(int(first) * 40 + int(second) - 80), *rest])
        if not _OID.fullmatch(native):
            raise FormError("an object identifier with a number of more than 64 bits")
        return native


def _numbers(value: Any) -> list[int]:
    if not isinstance(value, str) or not _OID.fullmatch(value):
        raise FormError(f"numbers with dots are wanted, not {shown(value)}")
    return [int(number) for number in value.split(".")]


def _expect(value: Any, kind: type, words: str) -> None:
    if not isinstance(value, kind):
        raise FormError(f"{words} is wanted, not {shown(value)}")


def shown(value: Any) -> str:
    """A wrong value as an error repeats it: whole if short, else its kind and size."""
    # An integer of more than 4300 digits has no decimal text (Python's own limit).
    if isinstance(value, int) and value.bit_length() > 256:
        return f"an integer of {value.bit_length()} bits"
    text = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else None
    if text is None:
        text = f"{type(value).__name__} of {len(value)}" if hasattr(value, "__len__") else "?"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
