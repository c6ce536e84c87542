"""WSMP: octets worked out by hand, round trips, refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.psid import MAX_PSID, p_decode, p_encode, read_p_encoded
from rsu.v2x.errors import NetworkError
from rsu.v2x.network import wsmp
from rsu.v2x.network.elements import Element

elements = st.lists(
    st.builds(Element, st.integers(0, 255), st.binary(max_size=127)), max_size=5
).map(tuple)


def test_octets_of_a_spat() -> None:
    # Version 3; transport 0; 0x82 p-encoded 80 02; three octets.
    assert wsmp.build(0x82, b"\xab\xcd\xef").hex() == "0300800203abcdef"
    assert wsmp.build(0x82, b"\xab\xcd\xef", pc5=True).hex() == "010300800203abcdef"


def test_lengths_of_128_and_more_take_two_octets() -> None:
    assert wsmp.build(0x20, bytes(127))[:4].hex() == "0300207f"
    assert wsmp.build(0x20, bytes(128))[:5].hex() == "0300208080"
    assert wsmp.build(0x20, bytes(0x3FFF))[:5].hex() == "030020bfff"


def test_extensions_stand_between_version_and_transport() -> None:
    octets = wsmp.build(0x20, b"\xee", [Element(wsmp_id, b"\x01") for wsmp_id in (4, 15)])
    assert octets.hex() == "0b020401010f0101002001ee"


def test_a_real_capture_is_rebuilt_octet_for_octet(shared: Path) -> None:
    octets = bytes.fromhex((shared / "vectors" / "pc5_wsmp_bsm.hex").read_text())
    found = wsmp.parse_pc5(octets)
    assert wsmp.build(found.psid, found.payload, found.extensions, pc5=True) == octets


@settings(max_examples=200)
@given(
    st.integers(0, MAX_PSID),
    st.binary(max_size=600),
    st.one_of(st.none(), elements),
)
def test_what_is_built_is_parsed_again(
    psid: int, payload: bytes, extensions: tuple[Element, ...] | None
) -> None:
    expected = wsmp.Wsm(psid, payload, extensions)
    assert wsmp.parse(wsmp.build(psid, payload, extensions)) == expected
    assert wsmp.parse_pc5(wsmp.build(psid, payload, extensions, pc5=True)) == expected


@settings(max_examples=500)
@given(st.sampled_from([b"", b"\3", b"\3\0", b"\x0b\1"]), st.binary(max_size=30))
def test_foreign_octets_are_parsed_or_refused(head: bytes, rest: bytes) -> None:
    try:
        found = wsmp.parse(head + rest)
    except NetworkError:
        return
    again = wsmp.build(found.psid, found.payload, found.extensions)
    assert wsmp.parse(again) == found


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("", "too short"),
        ("03", "too short"),
        ("0300", "not the p-encoding"),
        ("030020", "too short"),
        ("02002000", "version 2"),
        ("13002000", "subtype 1"),
        ("03012000", "transport 1"),
        ("0300f000000000", "not the p-encoding"),
        ("03002002ab", "1 octets of payload, header says 2"),
        ("03002001abcd", "1 octets follow"),
        ("030020c001ab", "length beginning with 0xc0"),
        ("03002080", "too short"),
        ("0b", "count of header extensions"),
        ("0bff", "255 header extensions"),
        ("0b010401", "end within header extension 4"),
        ("0b0104", "end within the header extensions"),
        ("0b010480", "length octet 0x80"),
    ],
)
def test_header_that_cannot_be_read_is_refused(octets: str, text: str) -> None:
    with pytest.raises(NetworkError, match=text):
        wsmp.parse(bytes.fromhex(octets))


def test_a_short_length_in_two_octets_is_read() -> None:
    assert wsmp.parse(bytes.fromhex("0300208001ab")) == wsmp.Wsm(0x20, b"\xab")


@pytest.mark.parametrize(
    ("psid", "payload", "extensions", "text"),
    [
        (-1, b"", None, "PSID -1"),
        (MAX_PSID + 1, b"", None, "PSID"),
        (0x20, bytes(0x4000), None, "16384 octets"),
        (0x20, b"", [Element(256, b"")], "identifier 256"),
        (0x20, b"", [Element(4, bytes(128))], "128 octets"),
        (0x20, b"", [Element(4, b"")] * 128, "128 header elements"),
    ],
)
def test_what_has_no_form_is_not_built(
    psid: int, payload: bytes, extensions: list[Element] | None, text: str
) -> None:
    with pytest.raises(NetworkError, match=text):
        wsmp.build(psid, payload, extensions)


def test_the_family_octet_is_demanded_on_pc5() -> None:
    with pytest.raises(NetworkError, match="family octet"):
        wsmp.parse_pc5(bytes.fromhex("03002000"))


@settings(max_examples=300)
@given(st.integers(0, MAX_PSID), st.binary(max_size=4))
def test_a_psid_is_read_from_the_front_of_octets(psid: int, rest: bytes) -> None:
    encoded = p_encode(psid)
    assert read_p_encoded(encoded + rest) == (psid, len(encoded))


@settings(max_examples=500)
@given(st.binary(min_size=1, max_size=5))
def test_every_readable_psid_is_canonical(octets: bytes) -> None:
    try:
        psid = p_decode(octets)
    except ValueError:
        return
    assert p_encode(psid) == octets
