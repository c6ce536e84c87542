"""WSMP, the SAE world's short message header (IEEE 1609.3 version 3): payload in, octets out.

    0 or 1 octet   0x01, the protocol family, on PC5 only (Ethernet says the same by type 0x88DC)
    1 octet        subtype (4 bits, 0), extension indicator (1 bit), version (3 bits, 3)
    0 or more      count and elements, where the indicator is set (see `elements`)
    1 octet        transport: 0 = a PSID follows and nothing else
    1–4 octets     PSID, p-encoded
    1–2 octets     payload length: up to 0x7F in one octet, else two with first bits `10`
    then           payload

Layout: facts sae.md 4.5, checked on a real PC5 capture. Subtypes and transports other than 0 lay
out the rest differently; the facts do not say how, so they are refused. A short length written in
two octets is read (the field stays unambiguous) and never written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsu.schema.psid import p_encode, read_p_encoded
from rsu.v2x.errors import NetworkError
from rsu.v2x.network.elements import Element, build_elements, read_elements

PC5_FAMILY_WSMP = 0x01
VERSION = 3
TRANSPORT_PSID = 0
PAYLOAD_MAX = 0x3FFF
"""What the 14 bits of the length field can say."""

_EXTENSION_INDICATOR = 0x08


@dataclass(frozen=True, slots=True)
class Wsm:
    """One parsed message: `psid` is the value; `extensions` None: the indicator is not set."""

    psid: int
    payload: bytes
    extensions: tuple[Element, ...] | None = None


def build(
    psid: int, payload: bytes, extensions: Sequence[Element] | None = None, *, pc5: bool = False
) -> bytes:
    """The octets for a payload, with the PC5 family octet in front if `pc5`.

    Raises NetworkError for a field or length out of range.
    """
    if len(payload) > PAYLOAD_MAX:
        raise NetworkError(f"{len(payload)} octets of payload, at most {PAYLOAD_MAX} fit")
    try:
        identifier = p_encode(psid)
    except ValueError as error:
        raise NetworkError(str(error)) from error
    length = len(payload)
    head = bytes([VERSION if extensions is None else VERSION | _EXTENSION_INDICATOR])
    if extensions is not None:
        head += build_elements(extensions)
    head += bytes([TRANSPORT_PSID]) + identifier
    head += bytes([length]) if length < 0x80 else (0x8000 | length).to_bytes(2, "big")
    return (bytes([PC5_FAMILY_WSMP]) if pc5 else b"") + head + payload


def parse(octets: bytes) -> Wsm:
    """Inverse of `build` without the family octet; raises NetworkError for anything else."""
    message, end = read(octets)
    if end != len(octets):
        raise NetworkError(f"{len(octets) - end} octets follow the payload that the header states")
    return message


def parse_pc5(octets: bytes) -> Wsm:
    """Inverse of `build` with the family octet; raises NetworkError for anything else."""
    if not octets or octets[0] != PC5_FAMILY_WSMP:
        raise NetworkError("the PC5 family octet of WSMP, 0x01, is not there")
    return parse(octets[1:])


def read(octets: bytes) -> tuple[Wsm, int]:
    """The message that these octets begin with and where it ends; raises NetworkError.

    For carriers that pad: everything else wants `parse`.
    """
    if not octets:
        raise NetworkError("too short for a WSMP header")
    if octets[0] & 0x07 != VERSION:
        raise NetworkError(f"WSMP version {octets[0] & 0x07}, known is {VERSION}")
    if octets[0] >> 4:
        raise NetworkError(f"WSMP subtype {octets[0] >> 4}, known is 0")
    extensions, at = None, 1
    if octets[0] & _EXTENSION_INDICATOR:
        extensions, at = read_elements(octets, at)
    if len(octets) <= at:
        raise NetworkError("too short for a WSMP header")
    if octets[at] != TRANSPORT_PSID:
        raise NetworkError(f"WSMP transport {octets[at]}, known is {TRANSPORT_PSID}")
    try:
        psid, taken = read_p_encoded(octets[at + 1 : at + 5])
    except ValueError as error:
        raise NetworkError(str(error)) from error
    length, start = _length(octets, at + 1 + taken)
    if len(octets) - start < length:
        raise NetworkError(f"{len(octets) - start} octets of payload, header says {length}")
    return Wsm(psid, octets[start : start + length], extensions), start + length


def _length(octets: bytes, at: int) -> tuple[int, int]:
    lead = octets[at] if at < len(octets) else None
    if lead is None or (lead >= 0x80 and at + 1 >= len(octets)):
        raise NetworkError("too short for a WSMP header")
    if lead < 0x80:
        return lead, at + 1
    if lead >= 0xC0:
        raise NetworkError(f"payload length beginning with {lead:#04x}")
    return (lead & 0x3F) << 8 | octets[at + 1], at + 2
