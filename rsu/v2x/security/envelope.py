"""The 1609.2 envelope (SPDU, canonical OER): octets in, what is inside and who says so out.

    03 80 <length> payload                                      unsecured
    03 81 hash, to be signed, signer, signature                 signed
      to be signed:  preamble, inner envelope (03 80 …) or the hash of data elsewhere,
                     then the header: preamble, PSID, generation time, expiry time, …

**Nothing is verified.** `Envelope.verified` is None, always: whoever reads an envelope here knows
what its sender claims, not that it is true. The layout of the fields in the facts (sae.md 4.6) was
checked on a real signed message; header fields that it does not carry (location, learning request,
missing list, encryption key, extensions) follow the public IEEE 1609.2 modules unchecked. The
envelope of YD/T 3957 is the same with SM algorithms (csae.md 6); the older four-cross format is
another one and is not read. Encrypted envelopes and certificate requests are refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rsu.v2x.errors import SecurityError
from rsu.v2x.security.certificate import (
    Certificate,
    read_certificate,
    read_signature,
    skip_public_encryption_key,
)
from rsu.v2x.security.coer import CoerReader

VERSION = 3
CERTIFICATES_MAX = 8
"""Most certificates in one signer; a chain below a root has two or three."""

_UNSECURED, _SIGNED = 0, 1
_CONTENT_NAMES = {2: "encrypted", 3: "a signed certificate request"}
_HASHES = {0: "sha256", 1: "sha384", 2: "sm3"}

_EPOCH_2004_S = int(datetime(2004, 1, 1, tzinfo=UTC).timestamp())
_LEAP_SECONDS = tuple(
    int(datetime(*day, tzinfo=UTC).timestamp())
    for day in ((2006, 1, 1), (2009, 1, 1), (2012, 7, 1), (2015, 7, 1), (2017, 1, 1))
)
"""First moments after the leap seconds since 2004 (IERS Bulletin C); none has been added since."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who claims to have signed: `kind` digest, certificate, self or other; `digest` is the
    HashedId8 in hex, `certificates` the signer's own first."""

    kind: str
    digest: str | None = None
    certificates: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Envelope:
    """One envelope.

    `content`: the bare payload of an unsecured envelope, the whole inner envelope of a signed one,
    None where only the hash of data elsewhere is signed. Times are as in the header (µs since 2004
    in TAI), see `utc_ns`. The fields from `psid` on are None in an unsecured envelope.
    """

    kind: str
    content: bytes | None
    psid: int | None = None
    generation_time64: int | None = None
    expiry_time64: int | None = None
    location: tuple[float, float] | None = None
    """Latitude and longitude of the signer, degrees, where stated."""
    hash_algorithm: str | None = None
    signer: Signer | None = None
    signature: str | None = None
    verified: None = None
    """Always None: no signature is checked."""


def utc_ns(time64: int) -> int:
    """A Time64 (µs since 2004-01-01T00:00 in TAI, so leap seconds count) as UTC ns since 1970."""
    micros = _EPOCH_2004_S * 1_000_000 + time64
    for count, moment in reversed(tuple(enumerate(_LEAP_SECONDS, 1))):
        if micros >= (moment + count) * 1_000_000:
            return (micros - count * 1_000_000) * 1000
    return micros * 1000


def parse_envelope(octets: bytes) -> Envelope:
    """Exactly one envelope, read to its last octet; raises SecurityError."""
    reader = CoerReader(octets)
    found = _read(reader)
    reader.end()
    return found


def build_unsecured(payload: bytes) -> bytes:
    """The unsecured envelope of a payload; raises SecurityError for one no datagram carries."""
    length = len(payload)
    if length > 0xFFFF:
        raise SecurityError(f"{length} octets of payload, at most 65535 fit")
    octets = b"" if length < 0x80 else length.to_bytes(1 if length < 0x100 else 2, "big")
    determinant = bytes([0x80 | len(octets)]) + octets if octets else bytes([length])
    return bytes([VERSION, 0x80 | _UNSECURED]) + determinant + payload


def _read(reader: CoerReader) -> Envelope:
    kind = _content_kind(reader)
    if kind == _UNSECURED:
        return Envelope("unsecured", reader.variable())
    hash_id = reader.unsigned(1)
    content = _signed_payload(reader)
    header = _header(reader)
    signer = _signer(reader)
    return Envelope(
        "signed",
        content,
        psid=header.psid,
        generation_time64=header.generation,
        expiry_time64=header.expiry,
        location=header.location,
        hash_algorithm=_HASHES.get(hash_id, f"hash {hash_id}"),
        signer=signer,
        signature=read_signature(reader),
    )


def _content_kind(reader: CoerReader) -> int:
    if (version := reader.unsigned(1)) != VERSION:
        raise reader.fail(f"envelope version {version}, known is {VERSION}")
    kind = reader.tag()
    if kind not in (_UNSECURED, _SIGNED):
        raise reader.fail(f"the envelope holds {_CONTENT_NAMES.get(kind, f'content {kind}')}")
    return kind


def _signed_payload(reader: CoerReader) -> bytes | None:
    """The inner envelope as it stands; a hash of other data is stepped over."""
    extended, (data, hashed) = reader.preamble(2, extensible=True)
    content = None
    if data:
        # Only an unsecured envelope may stand inside: that is the form in use, and it keeps
        # reading free of recursion.
        start = reader.at
        if _content_kind(reader) != _UNSECURED:
            raise reader.fail("a signed envelope inside a signed envelope")
        reader.variable()
        content = reader.octets[start : reader.at]
    if hashed:
        _, extension = reader.alternative(1)  # SHA-256; later ones are wrapped
        if extension is None:
            reader.take(32)
    if extended:
        reader.extensions()
    elif not (data or hashed):
        raise reader.fail("neither data nor a hash is signed")
    return content


@dataclass(frozen=True, slots=True)
class _Header:
    psid: int
    generation: int | None
    expiry: int | None
    location: tuple[float, float] | None


def _header(reader: CoerReader) -> _Header:
    extended, present = reader.preamble(6, extensible=True)
    generation, expiry, location, learning, missing_list, key = present
    psid = reader.integer()
    found = _Header(
        psid,
        reader.unsigned(8) if generation else None,
        reader.unsigned(8) if expiry else None,
        _location(reader) if location else None,
    )
    if learning:
        reader.take(3)
    if missing_list:
        list_extended, _ = reader.preamble(0, extensible=True)
        reader.take(3 + 2)
        if list_extended:
            reader.extensions()
    if key:
        number, extension = reader.alternative(2)
        if extension is None and number == 0:
            skip_public_encryption_key(reader)
        elif extension is None:
            _, wrapped = reader.alternative(1)  # AES-128; later ones are wrapped
            if wrapped is None:
                reader.take(16)
    if extended:
        reader.extensions()
    return found


def _location(reader: CoerReader) -> tuple[float, float] | None:
    """Latitude and longitude in 1e-7 degrees, two's complement; then two octets of elevation."""
    latitude = int.from_bytes(reader.take(4), "big", signed=True)
    longitude = int.from_bytes(reader.take(4), "big", signed=True)
    reader.take(2)
    if abs(latitude) > 900_000_000 or abs(longitude) > 1_800_000_000:
        return None  # "unknown", one past the range
    return latitude * 1e-7, longitude * 1e-7


def _signer(reader: CoerReader) -> Signer:
    number, extension = reader.alternative(3)
    if extension is not None:
        return Signer("other")
    if number == 0:
        return Signer("digest", reader.take(8).hex())
    if number == 2:
        return Signer("self")
    if not 1 <= (count := reader.count()) <= CERTIFICATES_MAX:
        raise reader.fail(f"{count} certificates of a signer, 1..{CERTIFICATES_MAX} are read")
    return Signer("certificate", None, tuple(read_certificate(reader) for _ in range(count)))
