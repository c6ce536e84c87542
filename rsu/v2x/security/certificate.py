"""One 1609.2 certificate, read far enough to say whose it is, what it permits and where it ends.

Octets in (a reader positioned at the certificate), `Certificate` out. The structure is that of the
public IEEE 1609.2 modules with the SM alternatives of YD/T 3957 (facts: csae.md 6), which are
ordinary extension alternatives and so need no code of their own except their names. Checked on the
implicit certificate inside a real signed message and on five real CA certificates of the Chinese
system. Nothing is verified here.
"""

from __future__ import annotations

from dataclasses import dataclass

from rsu.v2x.errors import SecurityError
from rsu.v2x.security.coer import CoerReader

VERSION = 3

# Numbers of the alternatives before the extension marker.
_ISSUER_ROOT = 2  # sha256AndDigest, self; later: sha384AndDigest 2, sm3AndDigest 3
_ID_ROOT = 4  # linkageData, name, binaryId, none
_REGION_ROOT = 4  # circular, rectangular, polygonal, identified
_IDENTIFIED_ROOT = 3  # country only, country and regions, country and subregions
_SSP_ROOT = 1  # opaque; later: bitmap 1
_SSP_RANGE_ROOT = 2  # opaque, all; later: bitmap range 2
_VERIFY_KEY_ROOT = 2  # verificationKey, reconstructionValue
_PUBLIC_KEY_ROOT = 2  # NIST P-256, Brainpool P-256; later: 2 P-384, 3 P-384, 4 SM2
_ENCRYPTION_KEY_ROOT = 2  # ECIES NIST P-256, Brainpool; later: 2 SM2
_SIGNATURE_ROOT = 2  # ECDSA NIST P-256, Brainpool; later: 2, 3 P-384, 4 SM2

SIGNATURE_KINDS = {
    0: "ecdsaNistP256",
    1: "ecdsaBrainpoolP256r1",
    2: "ecdsaBrainpoolP384r1",
    3: "ecdsaNistP384",
    4: "sm2",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """`kind` explicit or implicit; `issuer` the digest (HashedId8, hex) or `self`; `subject` the
    name, or hex, or None; `start_time32` s since 2004 (TAI); `psids` application permissions;
    `signature` its kind, None in an implicit certificate; `octets` all of it."""

    kind: str
    issuer: str
    subject: str | None
    start_time32: int
    psids: tuple[int, ...]
    signature: str | None
    octets: bytes


def parse_certificate(octets: bytes) -> Certificate:
    """Exactly one certificate; raises SecurityError."""
    reader = CoerReader(octets)
    found = read_certificate(reader)
    reader.end()
    return found


def read_certificate(reader: CoerReader) -> Certificate:
    """The certificate at the reader's position; raises SecurityError."""
    start = reader.at
    _, (signed,) = reader.preamble(1, extensible=False)
    if (version := reader.unsigned(1)) != VERSION:
        raise reader.fail(f"certificate version {version}, known is {VERSION}")
    kind = reader.unsigned(1)
    if kind not in (0, 1):
        raise reader.fail(f"certificate type {kind}, known are explicit 0 and implicit 1")
    issuer = _issuer(reader)
    extended, present = reader.preamble(7, extensible=True)
    region, assurance, app, issue, request, _rollover, encryption = present
    subject = _subject(reader)
    reader.take(3 + 2)  # cracaId, crlSeries
    start_time32 = reader.unsigned(4)
    if (unit := reader.tag()) > 6:  # microseconds … years
        raise reader.fail(f"duration unit {unit}")
    reader.take(2)
    if region:
        _region(reader)
    if assurance:
        reader.take(1)
    psids = tuple(_psid_ssp(reader) for _ in range(reader.count())) if app else ()
    for permissions in (issue, request):
        for _ in range(reader.count() if permissions else 0):
            _group_permissions(reader)
    if encryption:
        skip_public_encryption_key(reader)
    number, extension = reader.alternative(_VERIFY_KEY_ROOT)
    if extension is None and number == 0:
        _, extension = reader.alternative(_PUBLIC_KEY_ROOT)
        if extension is None:
            skip_point(reader)
    elif extension is None:
        skip_point(reader)
    if extended:
        reader.extensions()
    return Certificate(
        kind=("explicit", "implicit")[kind],
        issuer=issuer,
        subject=subject,
        start_time32=start_time32,
        psids=psids,
        signature=read_signature(reader) if signed else None,
        octets=reader.octets[start : reader.at],
    )


def read_signature(reader: CoerReader) -> str:
    """Steps over a signature and names its kind."""
    number, extension = reader.alternative(_SIGNATURE_ROOT)
    if extension is None:
        skip_point(reader)
        reader.take(32)
    return SIGNATURE_KINDS.get(number, f"signature {number}")


def skip_point(reader: CoerReader) -> None:
    """A point of a 256-bit curve: x only, filler, compressed y-0 or y-1, or both coordinates."""
    number = reader.tag()
    if number > 4:
        raise reader.fail(f"form {number} of a curve point")
    reader.take({1: 0, 4: 64}.get(number, 32))


def skip_public_encryption_key(reader: CoerReader) -> None:
    """Algorithm of the symmetric key and the public key."""
    reader.take(1)
    _, extension = reader.alternative(_ENCRYPTION_KEY_ROOT)
    if extension is None:
        skip_point(reader)


def _issuer(reader: CoerReader) -> str:
    number, extension = reader.alternative(_ISSUER_ROOT)
    if extension is not None:
        if len(extension) != 8:
            raise reader.fail(f"issuer digest of {len(extension)} octets")
        return extension.hex()
    if number == 0:
        return reader.take(8).hex()
    reader.take(1)  # the hash algorithm of a self-signed certificate
    return "self"


def _subject(reader: CoerReader) -> str | None:
    number, extension = reader.alternative(_ID_ROOT)
    if extension is not None:
        return extension.hex()
    if number == 0:  # linkageData: iCert, linkage value, optional group value
        _, (group,) = reader.preamble(1, extensible=False)
        reader.take(2 + 9 + (4 + 9 if group else 0))
        return None
    if number == 1:
        try:
            return reader.variable().decode("utf-8")
        except UnicodeDecodeError as error:
            raise reader.fail("certificate name that is no UTF-8") from error
    return reader.variable().hex() if number == 2 else None


def _region(reader: CoerReader) -> None:
    number, extension = reader.alternative(_REGION_ROOT)
    if extension is not None:
        return
    if number == 0:
        reader.take(8 + 2)  # centre, radius
    elif number in (1, 2):
        each = 16 if number == 1 else 8  # two corners, or one corner of a polygon
        reader.take(each * reader.count())
    else:
        for _ in range(reader.count()):
            _identified_region(reader)


def _identified_region(reader: CoerReader) -> None:
    number, extension = reader.alternative(_IDENTIFIED_ROOT)
    if extension is not None:
        return
    reader.take(2)  # country
    if number == 1:
        reader.take(reader.count())  # regions of one octet
    elif number == 2:
        for _ in range(reader.count()):
            reader.take(1)
            reader.take(2 * reader.count())


def _psid_ssp(reader: CoerReader) -> int:
    _, (ssp,) = reader.preamble(1, extensible=False)
    psid = reader.integer()
    if ssp:
        _, extension = reader.alternative(_SSP_ROOT)
        if extension is None:
            reader.variable()
    return psid


def _group_permissions(reader: CoerReader) -> None:
    """PsidGroupPermissions: subjects; then, where not the default, chain lengths and end-entity
    type."""
    _, (minimum, spread, end_entity) = reader.preamble(3, extensible=False)
    number, extension = reader.alternative(2)  # explicit list, all
    if extension is None and number == 0:
        for _ in range(reader.count()):
            _psid_range(reader)
    if minimum:
        _signed_integer(reader)
    if spread:
        _signed_integer(reader)
    if end_entity:
        reader.take(1)


def _psid_range(reader: CoerReader) -> None:
    _, (ssp_range,) = reader.preamble(1, extensible=False)
    reader.integer()
    if ssp_range:
        number, extension = reader.alternative(_SSP_RANGE_ROOT)
        if extension is None and number == 0:
            for _ in range(reader.count()):
                reader.variable()


def _signed_integer(reader: CoerReader) -> None:
    if not reader.variable():
        raise SecurityError(f"octet {reader.at}: integer without octets")
