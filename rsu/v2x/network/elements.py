"""Header elements: the {identifier, length, value} triples that extend a short message header.

    1 octet      count of elements
    then each    identifier (1 octet), length (1 octet), value

The layout is that of IEEE 1609.3 WSMP, known from a real capture (facts: sae.md 4.5). Lengths of
0x80 and more are refused: none was seen, and how they are written is in none of the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsu.v2x.errors import NetworkError

VALUE_MAX = 0x7F
"""Longest value, octets: what one length octet says without its first bit."""
COUNT_MAX = 0x7F
"""Most elements in one header, by the same rule."""

TRANSMIT_POWER = 4
CHANNEL = 15
DATA_RATE = 16
ELEMENT_NAMES = {TRANSMIT_POWER: "tx_power", CHANNEL: "channel", DATA_RATE: "data_rate"}
"""WSMP elements whose meaning the facts give; others are kept by number."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element as it is on the wire: `identifier` 0..255, `value` not interpreted."""

    identifier: int
    value: bytes

    @property
    def name(self) -> str:
        """What WSMP calls it, `element N` where that is unknown."""
        return ELEMENT_NAMES.get(self.identifier, f"element {self.identifier}")


def build_elements(elements: Sequence[Element]) -> bytes:
    """Count and elements; raises NetworkError for what has no form."""
    if len(elements) > COUNT_MAX:
        raise NetworkError(f"{len(elements)} header elements, at most {COUNT_MAX} fit")
    octets = bytearray([len(elements)])
    for element in elements:
        if not 0 <= element.identifier <= 0xFF:
            raise NetworkError(f"header element identifier {element.identifier} is not an octet")
        if len(element.value) > VALUE_MAX:
            raise NetworkError(
                f"header element of {len(element.value)} octets, at most {VALUE_MAX} fit"
            )
        octets += bytes([element.identifier, len(element.value)]) + element.value
    return bytes(octets)


def read_elements(octets: bytes, start: int) -> tuple[tuple[Element, ...], int]:
    """The elements whose count is at `start`, and where they end; raises NetworkError."""
    if start >= len(octets):
        raise NetworkError("too short for the count of header extensions")
    count, at = octets[start], start + 1
    if count > COUNT_MAX:
        raise NetworkError(f"{count} header extensions, at most {COUNT_MAX} are read")
    found = []
    for _ in range(count):
        head = octets[at : at + 2]
        if len(head) < 2:
            raise NetworkError("the octets end within the header extensions")
        identifier, length = head
        if length > VALUE_MAX:
            raise NetworkError(f"header extension {identifier} with length octet {length:#04x}")
        value = octets[at + 2 : at + 2 + length]
        if len(value) < length:
            raise NetworkError(f"the octets end within header extension {identifier}")
        found.append(Element(identifier, value))
        at += 2 + length
    return tuple(found), at
