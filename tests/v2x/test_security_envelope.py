"""1609.2 envelopes and certificates: real ones, headers made by hand, damage."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.v2x.errors import SecurityError
from rsu.v2x.security.certificate import parse_certificate
from rsu.v2x.security.coer import CoerReader
from rsu.v2x.security.envelope import Envelope, build_unsecured, parse_envelope, utc_ns


@pytest.fixture(scope="session")
def spdu(shared: Path) -> bytes:
    return bytes.fromhex((shared / "vectors" / "spdu_signed_tim.hex").read_text())


def ns(year: int, month: int, day: int, second: int = 0) -> int:
    moment = datetime(year, month, day, tzinfo=UTC)
    return (int(moment.timestamp()) + second) * 1_000_000_000


INNER = "038003abcdef"
DIGEST = "800102030405060708"
SIGNATURE = "8080" + "11" * 32 + "22" * 32


def signed(
    payload: str = "40" + INNER,
    header: str = "000120",
    signer: str = DIGEST,
    signature: str = SIGNATURE,
) -> bytes:
    return bytes.fromhex("038100" + payload + header + signer + signature)


def test_a_real_signed_message_says_who_what_and_when(spdu: bytes) -> None:
    found = parse_envelope(spdu)
    assert found.kind == "signed"
    assert (found.psid, found.hash_algorithm, found.signature) == (131, "sha256", "ecdsaNistP256")
    assert found.generation_time64 == 631_410_232_735_000
    assert found.expiry_time64 == 631_410_232_735_000 + 4 * 3600 * 1_000_000
    assert found.verified is None
    assert found.content is not None
    assert parse_envelope(found.content).kind == "unsecured"
    assert found.signer is not None
    (certificate,) = found.signer.certificates
    assert (certificate.kind, certificate.signature) == ("implicit", None)
    assert certificate.issuer == "c620fb90caad3b9c"
    # 0x1020407E is the certificate's own; the others are those that the facts list.
    assert sorted(certificate.psids) == sorted(
        [38, 128, 130, 131, 135, 2113685, 2113687, 2113689, 0x1020407E]
    )
    assert parse_certificate(certificate.octets) == certificate


def test_real_ca_certificates_of_the_chinese_system_are_read_to_the_end(shared: Path) -> None:
    vectors = json.loads((shared / "vectors" / "sm2_certificates.json").read_text())
    named = {name: entry for name, entry in vectors.items() if "hex" in entry}
    assert len(named) == 5
    for entry in named.values():
        found = parse_certificate(bytes.fromhex(entry["hex"]))
        stated = entry["decoded"]
        body = stated["toBeSigned"]
        assert found.kind == stated["type"]
        assert found.issuer == stated["issuer"].get("sm3AndDigest", "self")
        assert found.subject == body["id"]["name"]
        assert found.start_time32 == body["validityPeriod"]["start"]
        assert found.psids == tuple(each["psid"] for each in body["appPermissions"])
        assert found.signature == "sm2"


@pytest.mark.parametrize(
    ("time64", "expected"),
    [
        (0, ns(2004, 1, 1)),
        # The second before 2006 ends twice: 23:59:60 has no Unix name, so :00 is said again.
        ((ns(2006, 1, 1) - ns(2004, 1, 1)) // 1000 - 1_000_000, ns(2006, 1, 1, -1)),
        ((ns(2006, 1, 1) - ns(2004, 1, 1)) // 1000, ns(2006, 1, 1)),
        ((ns(2006, 1, 1) - ns(2004, 1, 1)) // 1000 + 1_000_000, ns(2006, 1, 1)),
        # Five leap seconds from 2017 on.
        ((ns(2024, 1, 4) - ns(2004, 1, 1)) // 1000 + 5_000_000, ns(2024, 1, 4)),
    ],
)
def test_time64_counts_leap_seconds(time64: int, expected: int) -> None:
    assert utc_ns(time64) == expected


def test_unsecured_octets() -> None:
    assert build_unsecured(b"\xab").hex() == "038001ab"
    assert build_unsecured(bytes(128))[:4].hex() == "03808180"
    assert build_unsecured(bytes(256))[:5].hex() == "0380820100"


@settings(max_examples=100)
@given(st.binary(max_size=700))
def test_what_is_built_is_parsed_again(payload: bytes) -> None:
    assert parse_envelope(build_unsecured(payload)) == Envelope("unsecured", payload)


def test_a_payload_that_no_datagram_carries_is_refused() -> None:
    with pytest.raises(SecurityError, match="65536 octets"):
        build_unsecured(bytes(65_536))


def test_a_digest_signer_and_the_least_header() -> None:
    found = parse_envelope(signed())
    assert found.signer is not None
    assert (found.signer.kind, found.signer.digest) == ("digest", "0102030405060708")
    assert (found.psid, found.generation_time64, found.location) == (0x20, None, None)
    assert found.content == bytes.fromhex(INNER)


FULL_HEADER = (
    "7e" "0120"
    "0000000000000001" "0000000000000002"  # generation, expiry
    "129d9880" "48670d80" "0fff"  # 31.23 degrees north, 121.4713216 east
    "aabbcc"  # learning request
    "00" "aabbcc" "0001"  # missing list
    "80" "00" "80" "82" + "33" * 32  # encryption key
)  # fmt: skip


def test_every_field_of_the_header_is_stepped_over() -> None:
    found = parse_envelope(signed(header=FULL_HEADER))
    assert (found.generation_time64, found.expiry_time64) == (1, 2)
    assert found.location == pytest.approx((0x129D9880 * 1e-7, 0x48670D80 * 1e-7))
    assert found.signature == "ecdsaNistP256"


@pytest.mark.parametrize(
    "header",
    [
        "0201208180" + "44" * 16,  # symmetric encryption key, AES-128
        "020120818110" + "44" * 16,  # one of later versions, wrapped
        "80012002078003010203",  # one extension addition
        "8001200206c00001ff",  # two
        "10012035a4e9016b49d2010000",  # location unknown
    ],
)
def test_rarer_headers_are_read_to_the_end(header: str) -> None:
    found = parse_envelope(signed(header=header))
    assert found.location is None
    assert found.signature == "ecdsaNistP256"


@pytest.mark.parametrize(
    ("parts", "kind", "signature"),
    [
        ({"signer": "82"}, "self", "ecdsaNistP256"),
        ({"signer": "8302abcd"}, "other", "ecdsaNistP256"),
        ({"signature": "8440" + "55" * 64}, "digest", "sm2"),
        ({"signature": "8184" + "55" * 64 + "22" * 32}, "digest", "ecdsaBrainpoolP256r1"),
        ({"signature": "8500"}, "digest", "signature 5"),
    ],
)
def test_kinds_of_signer_and_signature(parts: dict[str, str], kind: str, signature: str) -> None:
    found = parse_envelope(signed(**parts))
    assert found.signer is not None
    assert (found.signer.kind, found.signature) == (kind, signature)


def test_a_signature_over_data_elsewhere_has_no_content() -> None:
    assert parse_envelope(signed(payload="2080" + "66" * 32)).content is None
    assert parse_envelope(signed(payload="208220" + "66" * 32)).content is None


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("", "1 octets wanted, 0 left"),
        ("02", "envelope version 2"),
        ("0382", "holds encrypted"),
        ("0383", "holds a signed certificate request"),
        ("0385", "holds content 5"),
        ("0300", "no alternative of a choice"),
        ("038005ab", "5 octets wanted, 1 left"),
        ("03800100ff", "1 octets follow the end"),
        ("03808101ab", "not in its shortest form"),
        ("0380820080" + "00" * 128, "not in its shortest form"),
        ("038085", "length in 5 octets"),
        ("038080", "length in 0 octets"),
        ("0380847fffffff", "octets wanted"),
    ],
)
def test_octets_that_are_no_envelope_are_refused(octets: str, text: str) -> None:
    with pytest.raises(SecurityError, match=text):
        parse_envelope(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"payload": "00"}, "neither data nor a hash"),
        ({"payload": "41" + INNER}, "unused preamble bits"),
        ({"payload": "400381"}, "signed envelope inside"),
        ({"header": "00020020"}, "not in its shortest form"),
        ({"header": "010120"}, "unused preamble bits"),
        ({"header": "800120020700"}, "not canonical"),
        ({"header": "80012002078100"}, "not canonical"),
        ({"header": "8001200100"}, "extension bitmap that is none"),
        ({"signer": "810100"}, "0 certificates"),
        ({"signer": "810109"}, "9 certificates"),
        ({"signer": "81047fffffff"}, "2147483647 elements"),
        ({"signer": "8101010004"}, "certificate version 4"),
        ({"signer": "810101000302"}, "certificate type 2"),
        ({"signature": "8085" + "11" * 64}, "form 5 of a curve point"),
        ({"signature": SIGNATURE + "00"}, "1 octets follow"),
        ({"signature": SIGNATURE[:-2]}, "32 octets wanted, 31 left"),
    ],
)
def test_parts_that_break_the_rules_are_refused(parts: dict[str, str], text: str) -> None:
    with pytest.raises(SecurityError, match=text):
        parse_envelope(signed(**parts))


def test_every_truncation_is_refused(spdu: bytes) -> None:
    for end in range(len(spdu)):
        with pytest.raises(SecurityError):
            parse_envelope(spdu[:end])


@settings(max_examples=800)
@given(data=st.data())
def test_a_damaged_envelope_gives_an_envelope_or_the_typed_error(
    spdu: bytes, data: st.DataObject
) -> None:
    octets = bytearray(data.draw(st.sampled_from([spdu, signed(header=FULL_HEADER)])))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = parse_envelope(bytes(octets))
    except SecurityError:
        return
    assert found.verified is None
    assert dataclasses.is_dataclass(found)


@settings(max_examples=800)
@given(
    # A certificate with every field present and one with none, then anything.
    st.sampled_from(["80030080" + "01" * 8 + "7f", "00030181007f", "000300838080", "8003"]),
    st.binary(max_size=150),
)
def test_random_certificates_raise_only_the_typed_error(head: str, rest: bytes) -> None:
    try:
        parse_certificate(bytes.fromhex(head) + rest)
    except SecurityError:
        return


CERTIFICATE_HEAD = "0003018100"  # no signature, implicit, self-signed with SHA-256
CERTIFICATE_TAIL = "aabbcc000100000001840001"  # list, series, start, one hour


@pytest.mark.parametrize(
    ("preamble", "identity", "rest", "subject"),
    [
        ("00", "83", "", None),
        ("00", "80" "00" "0001" + "77" * 9, "", None),
        ("00", "80" "80" "0001" + "77" * 22, "", None),
        ("00", "81" "03" "727375", "", "rsu"),
        ("40", "83", "80" + "00" * 10, None),  # a circle
        ("40", "83", "81" "0102" + "00" * 32, None),  # two rectangles
        ("40", "83", "82" "0103" + "00" * 24, None),  # a triangle
        ("40", "83", "83" "0101" "81" "0348" "0102" "0102", None),  # a country's two regions
        ("40", "83", "83" "0101" "82" "0348" "0101" "01" "0102" "00010002", None),
        ("40", "83", "84" "00", None),  # a region of later versions
        ("20", "83", "c0", None),  # assurance
        ("08", "83", "0101" "00" "81", None),  # may issue everything
        # May issue one PSID with two permissions given; chain lengths and type of the end stated.
        ("08", "83", "0101e0" "80010180012080" "0102" "0101" "0102" "0101" "01ff" "c0", None),
        ("02", "83", "", None),  # may request rollover
    ],
)  # fmt: skip
def test_optional_parts_of_a_certificate(
    preamble: str, identity: str, rest: str, subject: str | None
) -> None:
    key = "8182" + "88" * 32
    octets = CERTIFICATE_HEAD + preamble + identity + CERTIFICATE_TAIL + rest + key
    found = parse_certificate(bytes.fromhex(octets))
    assert (found.subject, found.issuer, found.start_time32) == (subject, "self", 1)


def test_the_reader_never_takes_more_than_there_is() -> None:
    reader = CoerReader(b"\x04\xff\xff\xff\xff")
    with pytest.raises(SecurityError, match="4294967295 elements in 0 octets"):
        reader.count()
