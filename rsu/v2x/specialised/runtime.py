"""What written encoders and decoders call: strings, counts, open types, extension additions.

The conventions are theirs (`encoding`, `decoding`): bits so far as an integer `a` behind a leading
1; octets as an integer `d` of which the lowest `e` bits are unread. Every function refuses what it
does not expect with `Unfit`, also where the plain codec would still accept it: the plain codec is
asked then, so a refusal here is never an answer. Clauses are those of X.691.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

Encoder = Callable[[Any, int], int]
"""`a = encode(value, a)`."""
Decoder = Callable[[int, int], tuple[Any, int]]
"""`value, e = decode(d, e)`."""

SET_ASIDE_BITS = 1024
"""Bits that a list's encoder gathers before it sets them aside: small enough for fast shifts, large
enough that joining costs nothing. Measured; any value gives the same octets."""
ROOM_BITS = 8 * 65_535
"""Bits of the longest frame (`rsu.v2x.codec.MAX_FRAME_OCTETS`): a list that needs more is given up
at once, so that no value, however large, takes more work than some frames do."""
CUT_OFF_BITS = 1024
"""Bits read that a list's decoder lets stand above the unread ones; as above."""
FRAGMENT = 16_384
"""Octets from which on a length is sent in fragments (11.9.3.8)."""
RAW_OCTETS_MAX = 65_535
"""Octets of an unknown open type, as in the plain codec (`type_form.UNBOUNDED_SIZE_MAX`)."""
INTEGER_OCTETS_MAX = 8
"""Octets of an unconstrained INTEGER: 64 bits, as in the plain codec."""
ARC_DIGITS_MAX = 19
"""Decimal digits of a number in an object identifier, as in the plain codec."""

_CHARACTERS: dict[str, tuple[int, list[str | None]]] = {
    # Bits of a character, and the characters by their codes (30.5): NumericString is renumbered.
    "IA5String": (7, [chr(code) for code in range(128)]),
    "VisibleString": (7, [chr(code) if 32 <= code < 127 else None for code in range(128)]),
    "NumericString": (4, [*" 0123456789"]),
}
_CODES = {
    kind: {character: code for code, character in enumerate(characters) if character is not None}
    for kind, (_, characters) in _CHARACTERS.items()
}


class Unfit(Exception):  # noqa: N818 (a verdict on who is to judge, not an error)
    """Not for this code: wrong, or outside of what it covers."""


class TooLong(Exception):  # noqa: N818 (told as an error by the codec)
    """More bits than any frame has. No later step takes bits away, so this is an answer: the plain
    codec need not be asked."""


def finished(a: int) -> bytes:
    """A complete encoding: at least one octet, zero bits of padding (11.1)."""
    if a == 1:
        return b"\x00"
    padding = 1 - a.bit_length() & 7
    return (a << padding).to_bytes((a.bit_length() + padding + 7) // 8, "big")[1:]


def whole(decoder: Decoder, d: int, bits: int) -> Any:
    """The value that fills a complete encoding of so many bits."""
    value, e = decoder(d, bits)
    # A value without bits fills one octet.
    if (e > 7 and not e == bits == 8) or d & (1 << e) - 1:
        raise Unfit
    return value


def joined(before: list[int], a: int) -> int:
    """All bits set aside, one after another, and those of `a`."""
    total, *rest = *before, a
    for more in rest:
        # The leading 1 of `more` goes into the sum: taken off beforehand.
        total = (total - 1 << more.bit_length() - 1) + more
    return total


# ── counts and strings ──────────────────────────────────────────────────────────────────────────


def put_length(length: int, a: int) -> int:
    """11.9.3.6 and 11.9.3.7."""
    if length < 128:
        return a << 8 | length
    if length < FRAGMENT:
        return a << 16 | 0x8000 | length
    raise Unfit


def take_length(d: int, e: int) -> tuple[int, int]:
    e -= 8
    length = d >> e & 0xFF
    if length < 0x80:
        return length, e
    if length < 0xC0:
        e -= 8
        return (length & 0x3F) << 8 | d >> e & 0xFF, e
    raise Unfit


def put_count(count: int, low: int | None, high: int | None, extensible: bool, a: int) -> int:
    """The size of a string or list, in all its forms (11.9, and the clause of its type)."""
    if low is None or high is None:
        if extensible:
            raise Unfit
        return put_length(count, a)
    if low <= count <= high:
        return a << (high - low).bit_length() + extensible | count - low
    if not extensible:
        raise Unfit
    return put_length(count, a << 1 | 1)


def take_count(
    low: int | None, high: int | None, extensible: bool, d: int, e: int
) -> tuple[int, int]:
    if extensible:
        e -= 1
        if low is None or high is None:
            raise Unfit
        if d >> e & 1:
            return take_length(d, e)
    if low is None or high is None:
        return take_length(d, e)
    bits = (high - low).bit_length()
    e -= bits
    count = (d >> e & (1 << bits) - 1) + low
    if count > high:
        raise Unfit
    return count, e


def octets_of(text: Any, count: int) -> int:
    """Hex of so many octets as a number."""
    octets = bytes.fromhex(text)
    # fromhex skips blanks, and takes bytes from Python 3.14 on.
    if type(text) is not str or len(text) != 2 * count or len(octets) != count:
        raise Unfit
    return int.from_bytes(octets, "big")


def bits_of(value: Any, count: int) -> int:
    """`{"bits": "01…"}` of so many bits as a number."""
    text = value["bits"]
    if type(value) is not dict or len(value) != 1 or type(text) is not str or text.strip("01"):
        raise Unfit
    if len(text) != count:
        raise Unfit
    return int(text, 2) if count else 0


def put_octets(text: Any, low: int | None, high: int | None, extensible: bool, a: int) -> int:
    count = len(text) // 2
    a = put_count(count, low, high, extensible, a)
    return a << 8 * count | octets_of(text, count)


def take_octets(
    low: int | None, high: int | None, extensible: bool, d: int, e: int
) -> tuple[str, int]:
    count, e = take_count(low, high, extensible, d, e)
    e -= 8 * count
    return (d >> e & (1 << 8 * count) - 1).to_bytes(count, "big").hex(), e


def put_bits(value: Any, low: int | None, high: int | None, extensible: bool, a: int) -> int:
    count = len(value["bits"])
    return put_count(count, low, high, extensible, a) << count | bits_of(value, count)


def take_bits(
    low: int | None, high: int | None, extensible: bool, d: int, e: int
) -> tuple[dict[str, str], int]:
    count, e = take_count(low, high, extensible, d, e)
    e -= count
    return {"bits": f"{d >> e & (1 << count) - 1:0{count}b}" if count else ""}, e


def put_text(
    text: Any, low: int | None, high: int | None, extensible: bool, kind: str, a: int
) -> int:
    """Characters outside an extensible root size are not covered."""
    if type(text) is not str or (low is not None and not low <= len(text) <= (high or 0)):
        raise Unfit
    a = put_count(len(text), low, high, extensible, a)
    bits, codes, characters = _CHARACTERS[kind][0], _CODES[kind], 0
    for character in text:
        characters = characters << bits | codes[character]
    return a << bits * len(text) | characters


def take_text(
    low: int | None, high: int | None, extensible: bool, kind: str, d: int, e: int
) -> tuple[str, int]:
    count, e = take_count(low, high, extensible, d, e)
    if low is not None and not low <= count <= (high or 0):
        raise Unfit
    bits, characters = _CHARACTERS[kind]
    e -= bits * count
    word, mask = d >> e & (1 << bits * count) - 1, (1 << bits) - 1
    text = [characters[word >> shift & mask] for shift in range(bits * (count - 1), -1, -bits)]
    # A code without a character is None, which join refuses with TypeError.
    return "".join(text), e  # type: ignore[arg-type]


def put_integer(value: Any, a: int) -> int:
    """An INTEGER without bounds (11.8): the fewest octets of its two's complement."""
    if type(value) is not int:
        raise Unfit
    count = ((value if value >= 0 else ~value).bit_length() + 8) // 8
    if count > INTEGER_OCTETS_MAX:
        raise Unfit
    return (a << 8 | count) << 8 * count | value & (1 << 8 * count) - 1


def take_integer(d: int, e: int) -> tuple[int, int]:
    count, e = take_length(d, e)
    if not 0 < count <= INTEGER_OCTETS_MAX:
        raise Unfit
    e -= 8 * count
    value = d >> e & (1 << 8 * count) - 1
    return value - (value >> 8 * count - 1 << 8 * count), e


def put_identifier(text: Any, relative: bool, a: int) -> int:
    """OBJECT IDENTIFIER and RELATIVE-OID: the contents octets of X.690 8.19, 8.20 (24, 25)."""
    arcs = text.split(".")
    if type(text) is not str or not text.isascii():
        raise Unfit
    for arc in arcs:
        if not arc.isdigit() or len(arc) > ARC_DIGITS_MAX or (arc[0] == "0" and arc != "0"):
            raise Unfit
    numbers = [int(arc) for arc in arcs]
    if not relative:
        first, second, *numbers = numbers
        if first > 2 or (first < 2 and second > 39):
            raise Unfit
        numbers.insert(0, 40 * first + second)
    octets = bytearray()
    for number in numbers:
        for shift in range((number.bit_length() + 6) // 7 * 7 - 7, 0, -7):
            octets.append(0x80 | number >> shift & 0x7F)
        octets.append(number & 0x7F)
    return put_length(len(octets), a) << 8 * len(octets) | int.from_bytes(octets, "big")


def take_identifier(relative: bool, d: int, e: int) -> tuple[str, int]:
    count, e = take_length(d, e)
    e -= 8 * count
    octets = (d >> e & (1 << 8 * count) - 1).to_bytes(count, "big")
    if not octets or octets[-1] & 0x80:
        raise Unfit
    numbers, number = [], 0
    for octet in octets:
        number = number << 7 | octet & 0x7F
        if number.bit_length() > 8 * INTEGER_OCTETS_MAX:
            raise Unfit
        if not octet & 0x80:
            numbers.append(number)
            number = 0
    if not relative:
        first = min(numbers[0] // 40, 2)
        numbers[:1] = [first, numbers[0] - 40 * first]
    arcs = [str(number) for number in numbers]
    if max(map(len, arcs)) > ARC_DIGITS_MAX:
        raise Unfit
    return ".".join(arcs), e


# ── open types and additions ────────────────────────────────────────────────────────────────────


def _put_fragments(octets: bytes, a: int) -> int:
    """A length and so many octets, in fragments where there are many (11.9.3.8)."""
    while len(octets) >= FRAGMENT:
        units = min(len(octets) // FRAGMENT, 4)
        part, octets = octets[: units * FRAGMENT], octets[units * FRAGMENT :]
        a = (a << 8 | 0xC0 | units) << 8 * len(part) | int.from_bytes(part, "big")
    return put_length(len(octets), a) << 8 * len(octets) | int.from_bytes(octets, "big")


def _take_fragments(d: int, e: int) -> tuple[int, int, int]:
    """Octets behind their length: as a number, how many bits, and what is unread after them."""
    content, bits = 0, 0
    while True:
        first = d >> e - 8 & 0xFF
        if first < 0xC0:
            length, e = take_length(d, e)
        else:
            length, e = (first & 0x3F) * FRAGMENT, e - 8
            if not FRAGMENT <= length <= 4 * FRAGMENT:
                raise Unfit
        e -= 8 * length
        content = content << 8 * length | d >> e & (1 << 8 * length) - 1
        bits += 8 * length
        if first < 0xC0:
            return content, bits, e


def put_open(inner: int, a: int) -> int:
    """Bits of a value as an open type (11.2)."""
    bits = inner.bit_length() - 1
    if not 0 < bits <= 8 * 127:  # one octet of length
        return _put_fragments(finished(inner), a)
    octets = bits + 7 >> 3
    return (a << 8 | octets) << 8 * octets | (inner ^ 1 << bits) << 8 * octets - bits


def take_open(decoder: Decoder, d: int, e: int) -> tuple[Any, int]:
    """The value in an open type."""
    content, bits, e = _take_fragments(d, e)
    return whole(decoder, content, bits), e


def put_announced(
    name: str | None, content: Any, a: int, encoder_of: Callable[[str], Encoder]
) -> int:
    """An open field: `{type name: value}` of the announced type, or hex if nothing is announced."""
    if name is None:
        octets = bytes.fromhex(content)
        if type(content) is not str or 2 * len(octets) != len(content):
            raise Unfit
        if len(octets) > RAW_OCTETS_MAX:
            raise Unfit
        return _put_fragments(octets, a)
    if type(content) is not dict or len(content) != 1:
        raise Unfit
    return put_open(encoder_of(name)(content[name], 1), a)


def take_announced(
    name: str | None, d: int, e: int, decoder_of: Callable[[str], Decoder]
) -> tuple[Any, int]:
    content, bits, e = _take_fragments(d, e)
    if name is None:
        if bits > 8 * RAW_OCTETS_MAX:
            raise Unfit
        return content.to_bytes(bits // 8, "big").hex(), e
    return {name: whole(decoder_of(name), content, bits)}, e


def take_additions(
    value: dict[str, Any], known: Iterable[tuple[str, Decoder]], d: int, e: int
) -> int:
    """Extension additions of a SEQUENCE into its value; unknown ones are skipped (19.7 to 19.9)."""
    e -= 7
    count = (d >> e & 0x7F) + 1
    if count > 64:
        raise Unfit
    e -= count
    present = d >> e & (1 << count) - 1
    for name, decoder in known:
        count -= 1
        if count < 0:
            return e
        if present >> count & 1:
            value[name], e = take_open(decoder, d, e)
    for _ in range((present & (1 << count) - 1).bit_count()):
        _, _, e = _take_fragments(d, e)
    return e


def take_alternative(
    known: tuple[tuple[str, Decoder], ...], d: int, e: int
) -> tuple[dict[str, Any], int]:
    """A CHOICE's alternative after the extension marker (23.8)."""
    e -= 7
    # An index from 64 on, or of a later version, is beyond the end of `known`: IndexError.
    name, decoder = known[d >> e & 0x7F]
    value, e = take_open(decoder, d, e)
    return {name: value}, e
