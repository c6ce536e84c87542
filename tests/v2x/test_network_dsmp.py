"""DSMP headers: octets worked out by hand, round trips, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.v2x.csae.aids import AIDS, DEFAULT_AID, aid_name
from rsu.v2x.errors import NetworkError
from rsu.v2x.network import dsmp
from rsu.v2x.network.elements import Element


@pytest.mark.parametrize(
    ("aid", "identifier"),
    [
        (0, "00"),
        (111, "6f"),
        (127, "7f"),
        (128, "8000"),  # 128 + 0x7f80
        (3623, "8da7"),  # 3623 = 0x0e27
        (0x407F, "bfff"),
    ],
)
def test_header_octets(aid: int, identifier: str) -> None:
    assert dsmp.build(aid, b"\xab\xcd\xef").hex() == f"0400{identifier}0003abcdef"


elements = st.lists(
    st.builds(Element, st.integers(0, 255), st.binary(max_size=127)), max_size=5
).map(tuple)


@settings(deadline=None)
@given(st.integers(0, dsmp.AID_MAX), st.binary(max_size=2000), st.one_of(st.none(), elements))
def test_what_is_built_is_parsed_again(
    aid: int, payload: bytes, extensions: tuple[Element, ...] | None
) -> None:
    built = dsmp.build(aid, payload, extensions)
    assert dsmp.parse(built) == dsmp.Dsmp(aid, payload, extensions)


def test_extensions_set_the_indicator_and_stand_before_the_identifier() -> None:
    octets = dsmp.build(3623, b"\xee", [Element(7, b"\xab\xcd")])
    assert octets.hex() == "0410010702abcd8da70001ee"
    assert dsmp.build(3623, b"\xee", []).hex() == "0410008da70001ee"


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.binary(max_size=20), st.binary(max_size=20).map(lambda rest: b"\4\0" + rest)))
def test_foreign_octets_are_parsed_or_refused(datagram: bytes) -> None:
    try:
        found = dsmp.parse(datagram)
    except NetworkError:
        return
    assert len(datagram) >= len(found.payload) + 5


@pytest.mark.parametrize(
    ("datagram", "text"),
    [
        ("", "too short"),
        ("04", "too short"),
        ("0400", "too short"),
        ("04006f00", "too short"),
        ("04008da700", "too short"),
        ("05006f0000", "adaptation octet 0x05"),
        ("04206f0000", "version 1"),
        ("0410", "count of header extensions"),
        ("04106f0000", "within the header extensions"),
        ("04100107", "within the header extensions"),
        ("0410010701", "within header extension 7"),
        ("0410010701ab", "too short"),
        ("0400c000000000", "more than two octets"),
        ("04006f0002ab", "1 octets of payload, header says 2"),
        ("04006f0000ab", "1 octets of payload, header says 0"),
    ],
)
def test_header_that_cannot_be_read_is_refused(datagram: str, text: str) -> None:
    with pytest.raises(NetworkError, match=text):
        dsmp.parse(bytes.fromhex(datagram))


def test_reserved_bits_are_ignored() -> None:
    assert dsmp.parse(bytes.fromhex("040f6f0001ab")) == dsmp.Dsmp(111, b"\xab")


@pytest.mark.parametrize("aid", [-1, 0x4080])
def test_identifier_that_has_no_form_is_refused(aid: int) -> None:
    with pytest.raises(NetworkError, match="application identifier"):
        dsmp.build(aid, b"")


def test_payload_longer_than_the_length_field_is_refused() -> None:
    with pytest.raises(NetworkError, match="65536 octets"):
        dsmp.build(3623, bytes(65_536))


def test_identifiers_have_names_and_every_message_a_default() -> None:
    assert aid_name(3623) == "RSM"
    assert aid_name(1) == "unknown"
    assert set(DEFAULT_AID) == {"BSM", "MAP", "SPAT", "RSI", "RSM"}
    assert set(DEFAULT_AID.values()) <= set(AIDS)
