"""Every kind of type: its octets, worked out by hand from X.691, and its JSON form, both ways."""

from __future__ import annotations

from typing import Any

import pytest

from rsu.v2x.errors import CodecError, DecodeError, EncodeError
from rsu.v2x.notation import read_modules
from rsu.v2x.open_types import OpenType
from rsu.v2x.type_form import form_of
from rsu.v2x.uper import Compiler, OctetsError, decode_octets, encode_octets
from rsu.v2x.value_form import decode_form, encode_form

MODULE = """M DEFINITIONS AUTOMATIC TAGS ::= BEGIN
    Flag ::= BOOLEAN
    Nothing ::= NULL
    Empty ::= SEQUENCE {}
    Any-Int ::= INTEGER
    Ext-Int ::= INTEGER (0..127, ...)
    Named ::= INTEGER { low(0), high(7) } (0..7)
    Octets ::= OCTET STRING
    Ext-Octets ::= OCTET STRING (SIZE (1..2, ...))
    Bits ::= BIT STRING (SIZE (1..4))
    Ext-List ::= SEQUENCE (SIZE (1..2, ...)) OF BOOLEAN
    List ::= SEQUENCE OF BOOLEAN
    Text ::= IA5String
    Visible ::= VisibleString (SIZE (2))
    Digits ::= NumericString (SIZE (2))
    Colour ::= ENUMERATED { red(0), green(1), ..., blue(2) }
    Which ::= CHOICE { flag BOOLEAN, ..., number INTEGER (0..255), none NULL }
    Marked ::= SEQUENCE { a BOOLEAN, ... }
    Grown ::= SEQUENCE { a BOOLEAN, ..., b INTEGER (0..255), c Empty OPTIONAL }
    Oid ::= OBJECT IDENTIFIER
    Relative ::= RELATIVE-OID
    Open ::= SEQUENCE { kind INTEGER (0..255), content OCTET STRING }
END"""
COMPILER = Compiler(
    read_modules(MODULE),
    {("Open", "content"): OpenType("kind", {1: "Flag", 2: "Nothing", 3: "Empty"})},
)


def types(name: str) -> tuple[Any, Any]:
    compiled = COMPILER.root(name)
    return compiled, form_of(compiled, types)


def encode(name: str, value: Any) -> bytes:
    compiled, form = types(name)
    return encode_octets(compiled, encode_form(form, value))


def decode(name: str, octets: bytes) -> Any:
    compiled, form = types(name)
    return decode_form(form, decode_octets(compiled, octets))


@pytest.mark.parametrize(
    ("name", "value", "bits"),
    [
        ("Flag", True, "1"),
        ("Nothing", None, ""),
        ("Empty", {}, ""),
        ("Any-Int", 0, "00000001 00000000"),
        ("Any-Int", -129, "00000010 1111111101111111"),
        ("Ext-Int", 127, "0 1111111"),
        ("Ext-Int", 128, "1 00000010 0000000010000000"),
        ("Ext-Int", -1, "1 00000001 11111111"),
        ("Named", 7, "111"),
        ("Octets", "", "00000000"),
        ("Octets", "ab", "00000001 10101011"),
        ("Ext-Octets", "ab", "0 0 10101011"),
        ("Ext-Octets", "", "1 00000000"),
        ("Ext-Octets", "abcdef", "1 00000011 101010111100110111101111"),
        ("Bits", {"bits": "10"}, "01 10"),
        ("Ext-List", [True], "0 0 1"),
        ("Ext-List", [], "1 00000000"),
        ("Ext-List", [True, False, True], "1 00000011 101"),
        ("List", [True, True], "00000010 11"),
        ("Text", "Ab", "00000010 1000001 1100010"),
        ("Visible", "A~", "1000001 1111110"),
        ("Digits", "0 ", "0001 0000"),
        ("Colour", "green", "0 1"),
        ("Colour", "blue", "1 0 000000"),
        ("Which", {"flag": True}, "0 1"),
        ("Which", {"number": 5}, "1 0000000 00000001 00000101"),
        ("Which", {"none": None}, "1 0000001 00000001 00000000"),
        ("Grown", {"a": True}, "0 1"),
        ("Grown", {"a": True, "b": 9}, "1 1 0000001 10 00000001 00001001"),
        ("Grown", {"a": False, "c": {}}, "1 0 0000001 01 00000001 00000000"),
        ("Oid", "2.16.840", "00000011 01100000 10000110 01001000"),
        ("Oid", "2.999", "00000010 10001000 00110111"),  # 2 · 40 + 999 = 1079 in base 128
        ("Relative", "840.5", "00000011 10000110 01001000 00000101"),
        ("Open", {"kind": 1, "content": {"Flag": True}}, "00000001 00000001 10000000"),
        ("Open", {"kind": 2, "content": {"Nothing": None}}, "00000010 00000001 00000000"),
        ("Open", {"kind": 3, "content": {"Empty": {}}}, "00000011 00000001 00000000"),
        ("Open", {"kind": 9, "content": "0102"}, "00001001 00000010 00000001 00000010"),
        ("Open", {"kind": 9, "content": ""}, "00001001 00000000"),
    ],
)
def test_value_has_these_bits_and_comes_back(name: str, value: Any, bits: str) -> None:
    text = bits.replace(" ", "")
    text = text.ljust(max(8, -(-len(text) // 8) * 8), "0")
    octets = int(text, 2).to_bytes(len(text) // 8, "big")
    assert encode(name, value) == octets
    assert decode(name, octets) == value


# Length octets: two; a fragment and an empty rest; a fragment and a rest with a two-octet length.
@pytest.mark.parametrize(("size", "lengths"), [(16_383, 2), (16_384, 2), (40_000, 3), (65_535, 3)])
def test_octets_beyond_one_fragment_come_back(size: int, lengths: int) -> None:
    value = bytes(index % 251 for index in range(size)).hex()
    octets = encode("Octets", value)
    assert len(octets) - size == lengths
    assert decode("Octets", octets) == value


def test_list_beyond_one_fragment_comes_back() -> None:
    value = [index % 3 == 0 for index in range(20_000)]
    assert decode("List", encode("List", value)) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Flag", 1),
        ("Nothing", 0),
        ("Any-Int", 1 << 63),
        ("Ext-Int", -(1 << 63) - 1),
        ("Ext-Octets", "00" * 16_384),
        ("Ext-List", [True] * 16_384),
        ("Bits", {"bits": ""}),
        ("Octets", "00" * 65_536),
        ("Visible", "a\n"),
        ("Digits", "1a"),
        ("Text", "ü"),
        ("Colour", "violet"),
        ("Which", {"sound": 1}),
        ("Grown", {"b": 1}),
        ("Oid", "2"),
        ("Oid", "3.1"),
        ("Oid", "1.40"),
        ("Oid", "1..2"),
        ("Oid", "1.02"),
        ("Oid", 1.2),
        ("Relative", ""),
        ("Relative", "1." + "9" * 30),
        ("Open", {"kind": 1, "content": "80"}),
        ("Open", {"kind": 1}),
    ],
)
def test_value_that_does_not_fit_is_refused(name: str, value: Any) -> None:
    with pytest.raises(EncodeError):
        encode(name, value)


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("Nothing", b"\x01"),
        ("Nothing", b"\x00\x00"),
        ("Any-Int", b"\x00"),
        ("Any-Int", b"\x0c" + b"\x55" * 12),
        ("Colour", b"\x82"),
        ("Which", bytes([0b10000010, 1, 0])),
        ("Ext-List", b"\xe0\x80" + bytes(3000)),
        ("Ext-Octets", b"\xe0\x80" + bytes(17_000)),
        ("Oid", b"\x00"),
        ("Oid", b"\x02\x60\x86"),
        ("Relative", b"\x00"),
        ("Relative", b"\x01\x86"),
        ("Relative", b"\x0b" + b"\xff" * 10 + b"\x01"),
        ("Open", bytes([1, 2, 0x80, 0])),
        ("Open", bytes([1, 1, 0x81])),
        ("Octets", b"\xc1" + bytes(16_384)),
        ("Octets", b"\xc0\x00"),
    ],
)
def test_octets_that_are_no_value_are_refused(name: str, octets: bytes) -> None:
    with pytest.raises((OctetsError, DecodeError)):
        decode(name, octets)


def test_additions_of_a_later_version_are_skipped() -> None:
    # Four presence bits where two additions are known: b and the fourth.
    bits = "1" + "1" + "0000011" + "1001" + "00000001" + "00001001" + "00000010" + "0" * 16
    octets = int(bits.ljust(56, "0"), 2).to_bytes(7, "big")
    assert decode("Grown", octets) == {"a": True, "b": 9}


def test_additions_where_none_are_known_are_skipped_fragments_included() -> None:
    # Extended, a, one presence bit; then a fragment of 16384 octets and a rest of one.
    lengths = f"{0xC1:08b}" + "0" * 8 * 16_384 + f"{1:08b}" + "0" * 8
    bits = "1" + "1" + "0000000" + "1" + lengths
    octets = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    assert decode("Marked", octets) == {"a": True}
    with pytest.raises(OctetsError):
        decode("Marked", octets[:-2])


def test_unknown_type_is_refused() -> None:
    with pytest.raises(CodecError, match="no type 'Other'"):
        types("Other")
