"""Frames of GB/T 20999-2017: octets ⇄ `Frame`. Pure.

Layout (CSAE facts §7): 7E, length, version, centre, controller, intersection, sequence, type,
number of items, items, CRC-16, 7D; big endian. An item is index, length (4 + octets of data),
class, object, attribute, element, data.

Assumptions where the facts are silent:

- Length and CRC are those of the frame without escape octets (the facts: escapes are not in the
  CRC), also where a dialect escapes within datagrams.
- A datagram holds one frame; what is split over two datagrams is not put together.
- Every version 1.x has this layout; items count from 1 in order, but a reply's indices are not
  checked, since what they answer is in the item itself.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

BEGIN, END, ESCAPE = 0x7E, 0x7D, 0x5C
VERSION: Final = 0x0102
POLYNOMIAL: Final = 0x1005
"""x16 + x12 + x2 + 1, from 0, not reflected."""
ITEMS_MAX: Final = 255

_HEAD = struct.Struct(">HHBIBBBB")  # length … number of items, after the begin octet
_ITEM = struct.Struct(">6B")
_OVERHEAD = 1 + _HEAD.size + 2 + 1
_BEYOND_LENGTH = 4
"""Begin, end and the length itself are not counted in the length."""
LONGEST: Final = 65_507
"""Octets of a UDP datagram."""


class FrameType(IntEnum):
    QUERY = 0x10
    REPLY = 0x20
    QUERY_ERROR = 0x21
    SET = 0x30
    SET_REPLY = 0x40
    SET_ERROR = 0x41
    BROADCAST = 0x50
    REPORT = 0x60
    HEARTBEAT = 0x70
    HEARTBEAT_REPLY = 0x80


class FrameError(ValueError):
    """What is no frame; the text is the reason code."""


@dataclass(frozen=True, slots=True)
class Item:
    """One value, or in a query the question for it. Attribute or element 0: all of them."""

    class_: int
    object: int
    attribute: int
    element: int = 0
    data: bytes = b""

    @property
    def key(self) -> tuple[int, int, int]:
        return self.class_, self.object, self.attribute


@dataclass(frozen=True, slots=True)
class Frame:
    type: int
    sequence: int
    items: tuple[Item, ...] = ()
    centre: int = 1
    controller: int = 1
    road: int = 1
    version: int = VERSION


def crc16(octets: bytes) -> int:
    """CRC-16 of the standard."""
    crc = 0
    for octet in octets:
        crc = (crc << 8 & 0xFFFF) ^ _TABLE[crc >> 8 ^ octet]
    return crc


def write_frame(frame: Frame, *, escaped: bool = False) -> bytes:
    """The frame's octets; ValueError for more than 255 items or more than 251 octets in one."""
    if len(frame.items) > ITEMS_MAX:
        raise ValueError(f"{len(frame.items)} items, at most {ITEMS_MAX}")
    body = b"".join(
        _ITEM.pack(
            index, 4 + len(item.data), item.class_, item.object, item.attribute, item.element
        ) + item.data
        if len(item.data) <= 251 else _too_long(item)
        for index, item in enumerate(frame.items, 1)
    )  # fmt: skip
    head = _HEAD.pack(
        _OVERHEAD + len(body) - _BEYOND_LENGTH, frame.version, frame.centre, frame.controller,
        frame.road, frame.sequence, frame.type, len(frame.items),
    )  # fmt: skip
    inner = head + body
    inner += crc16(inner).to_bytes(2, "big")
    return bytes([BEGIN]) + (_escape(inner) if escaped else inner) + bytes([END])


def read_frame(octets: bytes, *, escaped: bool = False) -> Frame:
    """The one frame of a datagram; FrameError with bad_delimiter, bad_escape, bad_length, bad_crc,
    unknown_version or bad_item."""
    if len(octets) < 2 or octets[0] != BEGIN or octets[-1] != END:
        raise FrameError("bad_delimiter")
    inner = _unescape(octets[1:-1]) if escaped else octets[1:-1]
    if len(inner) < _HEAD.size + 2:
        raise FrameError("bad_length")
    length, version, centre, controller, road, sequence, type_, count = _HEAD.unpack_from(inner)
    if length != len(inner) + 2 - _BEYOND_LENGTH:
        raise FrameError("bad_length")
    if crc16(inner[:-2]) != int.from_bytes(inner[-2:], "big"):
        raise FrameError("bad_crc")
    if version >> 8 != VERSION >> 8:
        raise FrameError("unknown_version")
    items = _items(inner[_HEAD.size : -2], count)
    return Frame(type_, sequence, items, centre, controller, road, version)


def _items(body: bytes, count: int) -> tuple[Item, ...]:
    items = []
    at = 0
    while at < len(body):
        if len(body) - at < _ITEM.size:
            raise FrameError("bad_item")
        _, length, class_, object_, attribute, element = _ITEM.unpack_from(body, at)
        end = at + 2 + length
        if length < 4 or end > len(body):
            raise FrameError("bad_item")
        items.append(Item(class_, object_, attribute, element, body[at + _ITEM.size : end]))
        at = end
    if len(items) != count:
        raise FrameError("bad_item")
    return tuple(items)


def _escape(octets: bytes) -> bytes:
    escaped = bytearray()
    for octet in octets:
        if octet in (BEGIN, END, ESCAPE):
            escaped.append(ESCAPE)
        escaped.append(octet)
    return bytes(escaped)


def _unescape(octets: bytes) -> bytes:
    plain = bytearray()
    following = False
    for octet in octets:
        if not following and octet == ESCAPE:
            following = True
            continue
        if following != (octet in (BEGIN, END, ESCAPE)):
            raise FrameError("bad_escape")
        plain.append(octet)
        following = False
    if following:
        raise FrameError("bad_escape")
    return bytes(plain)


def _too_long(item: Item) -> bytes:
    raise ValueError(f"item {item.key} has {len(item.data)} octets, at most 251")


def _table() -> tuple[int, ...]:
    table = []
    for octet in range(256):
        crc = octet << 8
        for _ in range(8):
            crc = (crc << 1 ^ POLYNOMIAL) & 0xFFFF if crc & 0x8000 else crc << 1
        table.append(crc)
    return tuple(table)


_TABLE = _table()
