"""PSID ↔ its p-encoding (IEEE 1609.12): the two are mixed up everywhere, so they meet only here.

The runtime carries the *value* (SPaT: 0x82). Wires and many configuration files carry the
*p-encoding* (SPaT: octets 80 02, often written "0x8002"). Facts: sae.md 4.1.
"""

from __future__ import annotations

# First octet's leading bits, octets, first value of each length.
_RANGES = (
    (0x00, 1, 0x00),
    (0x80, 2, 0x80),
    (0xC0, 3, 0x4080),
    (0xE0, 4, 0x204080),
)
MAX_PSID = 0x1020407F
"""Last value with four octets: 0xEFFFFFFF − 0xE0000000 + 0x204080."""


def p_encode(psid: int) -> bytes:
    """One to four octets for a PSID value; raises ValueError outside 0..`MAX_PSID`."""
    if not 0 <= psid <= MAX_PSID:
        raise ValueError(f"PSID {psid} is not in 0..{MAX_PSID:#x}")
    lead, length, first = next(entry for entry in reversed(_RANGES) if psid >= entry[2])
    return ((lead << 8 * (length - 1)) + psid - first).to_bytes(length, "big")


def p_decode(octets: bytes) -> int:
    """The PSID value of exactly these octets; raises ValueError where they are no p-encoding."""
    psid, length = read_p_encoded(octets)
    if length != len(octets):
        raise ValueError(f"{octets.hex().upper()!r} is not the p-encoding of a PSID")
    return psid


def read_p_encoded(octets: bytes) -> tuple[int, int]:
    """The PSID value that these octets begin with and how many of them it took.

    Raises ValueError where they begin with none. Every value has one form only: the ranges of the
    four lengths do not overlap, so what is read is always canonical.
    """
    lead = octets[0] if octets else 0xF0
    length = 1 if lead < 0x80 else 2 if lead < 0xC0 else 3 if lead < 0xE0 else 4
    if lead >= 0xF0 or len(octets) < length:
        raise ValueError(f"{octets[:4].hex().upper()!r} is not the p-encoding of a PSID")
    mark, _, first = _RANGES[length - 1]
    return int.from_bytes(octets[:length], "big") - (mark << 8 * (length - 1)) + first, length
