"""The signed octets follow RFC 8785; what is no strict JSON is refused with a reason."""

from __future__ import annotations

import contextlib
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.uplink.commands.envelope import (
    MAX_BYTES,
    MAX_DEPTH,
    Refused,
    canonical,
    parse,
    signed_octets,
)

# RFC 8785 appendix B: IEEE 754 octets and how ECMAScript writes the number.
NUMBERS = [
    ("0000000000000000", "0"), ("8000000000000000", "0"), ("0000000000000001", "5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"), ("4340000000000000", "9007199254740992"),
    ("4430000000000000", "295147905179352830000"), ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"), ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef50", "1e+21"), ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"), ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555557", "333333333.33333343"), ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]  # fmt: skip


@pytest.mark.parametrize(("octets", "text"), NUMBERS)
def test_numbers_are_written_as_in_rfc_8785(octets: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(octets))
    assert canonical(value).decode() == text


def test_the_example_of_rfc_8785_comes_out_octet_by_octet() -> None:
    value = json.loads(
        '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        '"string": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/",'
        '"literals": [null, true, false]}'
    )
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(value).decode() == expected


def test_keys_are_sorted_by_utf_16_units() -> None:
    value = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\u00f6": 7}
    order = list(json.loads(canonical(value)))
    assert order == ["\r", "1", "\x80", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_the_signature_is_not_part_of_what_is_signed() -> None:
    assert signed_octets({"b": 1, "a": 2, "signature": "x"}) == b'rsu.command/1\n{"a":2,"b":1}'


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_json"), (b"[]", "not_json"), (b"nul", "not_json"), (b"\xff{}", "not_json"),
        (b'{"a":1,"a":2}', "not_json"), (b'{"a":NaN}', "not_json"), (b'{"a":1e999}', "not_json"),
        (b'{"a":9007199254740992}', "not_json"), (b'{"a":"\\ud800"}', "not_json"),
        (b'{"a":' + b"9" * 5000 + b"}", "not_json"),
        (b"[" * 100_000, "too_large"), (b" " * (MAX_BYTES + 1), "too_large"),
        (b"[" * 60_000, "too_deep"), (b'{"a":' * (MAX_DEPTH + 1), "too_deep"),
        (bytes(10_000_000), "too_large"),
    ],
)  # fmt: skip
def test_bad_payloads_are_refused_with_their_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse(payload)
    assert refusal.value.reason == reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(json_values)
def test_canonical_octets_say_the_same_and_are_stable(value: object) -> None:
    octets = canonical(value)
    # Beyond 2^53 a reader of JSON makes a double of digits, as the writer did.
    again = json.loads(octets, parse_int=lambda d: int(d) if abs(int(d)) < 2**53 else float(d))
    assert again == value
    assert canonical(again) == octets


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda t: t.encode(errors="replace")))
def test_no_payload_raises_anything_but_a_refusal(payload: bytes) -> None:
    with contextlib.suppress(Refused):
        assert isinstance(parse(payload), dict)
