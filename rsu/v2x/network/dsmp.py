"""DSMP, the Chinese network layer's short message header (YD/T 3707): payload in, datagram out.

    octet 0      adaptation layer: 4 = DSMP
    octet 1      version (3 bits, 0), extension indicator (1 bit), reserved (4 bits)
    0 or more    extensions, where the indicator is set
    1–2 octets   application identifier
    2 octets     payload length
    then         payload

Everything is big endian. Identifiers up to 0x7F take one octet, others two, with the value raised
by 0x7F80 so that the first bits are `10` (facts: csae.md 5.1, checked against vendor code).

What the facts do not say: how extensions are laid out, only that they stand before the identifier.
They are read and written in the form of the sister protocol WSMP (see `elements`), uninterpreted;
the exact fit of the payload length then guards against another form, which is refused. No sample
with extensions was available, and the runtime sends none on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsu.v2x.errors import NetworkError
from rsu.v2x.network.elements import Element, build_elements, read_elements

ADAPTATION_DSMP = 0x04
VERSION = 0
AID_MAX = 0x407F
"""Largest identifier of the two-octet form: 0x407F + 0x7F80 = 0xBFFF, the last that begins `10`."""
PAYLOAD_MAX = 0xFFFF
"""What the length field can say."""

_ONE_OCTET_MAX = 0x7F
_TWO_OCTET_BASE = 0x7F80
_EXTENSION_INDICATOR = 0x10


@dataclass(frozen=True, slots=True)
class Dsmp:
    """One parsed datagram; `extensions` None: the indicator is not set."""

    aid: int
    payload: bytes
    extensions: tuple[Element, ...] | None = None


def build(aid: int, payload: bytes, extensions: Sequence[Element] | None = None) -> bytes:
    """The datagram for a payload; raises NetworkError for a field or length out of range.

    `extensions` other than None sets the indicator, also for an empty list.
    """
    if not 0 <= aid <= AID_MAX:
        raise NetworkError(f"application identifier {aid} is outside 0..{AID_MAX}")
    if len(payload) > PAYLOAD_MAX:
        raise NetworkError(f"{len(payload)} octets of payload, at most {PAYLOAD_MAX} fit")
    if aid <= _ONE_OCTET_MAX:
        identifier = bytes([aid])
    else:
        identifier = (aid + _TWO_OCTET_BASE).to_bytes(2, "big")
    indicator = 0 if extensions is None else _EXTENSION_INDICATOR
    head = bytes([ADAPTATION_DSMP, VERSION << 5 | indicator])
    if extensions is not None:
        head += build_elements(extensions)
    return head + identifier + len(payload).to_bytes(2, "big") + payload


def parse(datagram: bytes) -> Dsmp:
    """Inverse of `build`; raises NetworkError for anything else. Reserved bits are ignored."""
    if len(datagram) < 2:
        raise NetworkError("too short for a DSMP header")
    if datagram[0] != ADAPTATION_DSMP:
        raise NetworkError(f"adaptation octet {datagram[0]:#04x}, DSMP is {ADAPTATION_DSMP:#04x}")
    if datagram[1] >> 5 != VERSION:
        raise NetworkError(f"DSMP version {datagram[1] >> 5}, known is {VERSION}")
    extensions, at = None, 2
    if datagram[1] & _EXTENSION_INDICATOR:
        extensions, at = read_elements(datagram, at)
    if len(datagram) <= at:
        raise NetworkError("too short for a DSMP header")
    octets = 1 if datagram[at] <= _ONE_OCTET_MAX else 2
    if datagram[at] >= 0xC0:
        raise NetworkError("application identifier of more than two octets")
    start = at + octets + 2
    if len(datagram) < start:
        raise NetworkError("too short for a DSMP header")
    aid = int.from_bytes(datagram[at : at + octets], "big")
    length = int.from_bytes(datagram[start - 2 : start], "big")
    if len(datagram) - start != length:
        raise NetworkError(f"{len(datagram) - start} octets of payload, header says {length}")
    return Dsmp(aid if octets == 1 else aid - _TWO_OCTET_BASE, datagram[start:], extensions)
