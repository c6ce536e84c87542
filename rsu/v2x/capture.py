"""Packet captures (pcap, pcapng): a file's octets in, the datagrams that could hold messages out.

What comes out: payloads of UDP over IPv4 and IPv6, and WSMP from Ethernet (type 0x88DC). What is
passed over is counted by reason in `skipped`; nothing is put together from fragments. A file that
ends or breaks in the middle gives what is whole, and `damage` says where it stopped.

Forms: pcap with µs or ns, pcapng with any time resolution, both octet orders; links Ethernet (with
VLAN tags), Linux cooked 1 and 2, raw IP, BSD loopback. Numbers are those of the public pcap and
pcapng specifications and the link-type registry of tcpdump.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from rsu.v2x.errors import CaptureError, NetworkError
from rsu.v2x.network import wsmp

PACKET_MAX = 262_144
"""Longest packet a capture may claim, octets: the largest that the usual tools write."""
BLOCK_MAX = 16_777_216
"""Longest pcapng block, octets, by the specification's advice to readers."""
VLAN_TAGS_MAX = 2
IPV6_HEADERS_MAX = 8
"""Most extension headers that are stepped over before UDP."""

_NS_PER_S = 1_000_000_000
_PCAP_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""First octets to octet order and ns in one unit of the fraction."""
_SECTION = b"\x0a\x0d\x0d\x0a"
_SECTION_TYPE, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_OPTION_RESOLUTION, _OPTION_OFFSET = 9, 14

_IPV4, _IPV6, _WSMP = 0x0800, 0x86DD, 0x88DC
_VLAN_TAGS = (0x8100, 0x88A8)
_ETHERNET_LEAST = 60
"""Shorter frames are padded to this, octets without the checksum."""
_UDP, _FRAGMENT = 17, 44
_IPV6_EXTENSIONS = (0, 43, 60)  # hop-by-hop, routing, destination options


class _Skip(Exception):  # noqa: N818  a decision, not an error
    """This packet holds no datagram of interest; the text is the reason that is counted."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """One datagram: `time_ns` UTC since 1970, None where the file states none; `carrier` udp or
    wsmp; `source` and `destination` as `address:port`, `[address]:port` or a hardware address,
    empty where the link has none."""

    time_ns: int | None
    carrier: str
    source: str
    destination: str
    payload: bytes


@dataclass(slots=True)
class _Interface:
    """A pcapng interface: link type, ticks per second, offset in s."""

    link: int
    ticks: int
    offset_s: int


class Capture:
    """The datagrams of one capture file, read once by iterating.

    `packets`: packets seen so far; `skipped`: those without a datagram, by reason; `damage`: why
    reading stopped before the end, None while all is well. packets = datagrams + skipped.
    """

    def __init__(self, octets: bytes) -> None:
        """Raises CaptureError where the octets are no capture file."""
        self.packets = 0
        self.skipped: Counter[str] = Counter()
        self.damage: str | None = None
        self._octets = octets
        if not is_capture(octets):
            raise CaptureError("not a pcap or pcapng file")

    def __iter__(self) -> Iterator[Datagram]:
        records = self._pcapng() if self._octets.startswith(_SECTION) else self._pcap()
        for time_ns, link, packet, whole in records:
            self.packets += 1
            try:
                if not whole:
                    raise _Skip("cut short when captured")
                carrier, source, destination, payload = _datagram(link, packet)
            except _Skip as reason:
                self.skipped[str(reason)] += 1
            else:
                yield Datagram(time_ns, carrier, source, destination, payload)

    def _pcap(self) -> Iterator[_Record]:
        order, unit_ns = _PCAP_MAGIC[self._octets[:4]]
        if len(self._octets) < 24:
            self.damage = "the file ends within its header"
            return
        link = struct.unpack_from(order + "I", self._octets, 20)[0] & 0xFFFF
        at = 24
        while at < len(self._octets):
            head = self._octets[at : at + 16]
            if len(head) < 16:
                self.damage = f"the file ends within a packet header at octet {at}"
                return
            seconds, fraction, kept, length = struct.unpack(order + "4I", head)
            if kept > PACKET_MAX:
                self.damage = f"a packet of {kept} octets at octet {at}"
                return
            packet = self._octets[at + 16 : at + 16 + kept]
            if len(packet) < kept:
                self.damage = f"the file ends within the packet at octet {at}"
                return
            yield seconds * _NS_PER_S + fraction * unit_ns, link, packet, kept >= length
            at += 16 + kept

    def _pcapng(self) -> Iterator[_Record]:
        order = "<"
        interfaces: list[_Interface] = []
        at = 0
        while at < len(self._octets):
            if self._octets[at : at + 4] == _SECTION:
                found = _section_order(self._octets[at + 8 : at + 12])
                if found is None:
                    self.damage = f"a section without octet order at octet {at}"
                    return
                order, interfaces = found, []
            body = self._block(at, order)
            if body is None:
                return
            kind = struct.unpack_from(order + "I", self._octets, at)[0]
            if kind == _INTERFACE:
                interface = _interface(body, order)
                if interface is None:
                    self.damage = f"an interface that cannot be read at octet {at}"
                    return
                interfaces.append(interface)
            elif kind in (_PACKET, _OLD_PACKET, _SIMPLE_PACKET):
                record = _packet(kind, body, order, interfaces)
                if record is None:
                    self.damage = f"a packet that cannot be read at octet {at}"
                    return
                yield record
            at += len(body) + 12

    def _block(self, at: int, order: str) -> bytes | None:
        """The body of the pcapng block there; None, with `damage` set, where it is not whole."""
        head = self._octets[at : at + 8]
        if len(head) < 8:
            self.damage = f"the file ends within a block at octet {at}"
            return None
        length = struct.unpack(order + "I", head[4:])[0]
        if length < 12 or length % 4 or length > BLOCK_MAX:
            self.damage = f"a block of {length} octets at octet {at}"
            return None
        block = self._octets[at : at + length]
        if len(block) < length:
            self.damage = f"the file ends within the block at octet {at}"
            return None
        if block[4:8] != block[-4:]:
            self.damage = f"a block whose two lengths differ at octet {at}"
            return None
        return block[8:-4]


_Record = tuple[int | None, int, bytes, bool]
"""Time in ns, link type, octets, whether all of the packet was kept."""


def is_capture(octets: bytes) -> bool:
    """Whether these octets begin like a pcap or pcapng file."""
    return octets[:4] in _PCAP_MAGIC or octets[:4] == _SECTION


def _section_order(magic: bytes) -> str | None:
    return {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}.get(magic)


def _interface(body: bytes, order: str) -> _Interface | None:
    if len(body) < 8:
        return None
    found = _Interface(struct.unpack_from(order + "H", body)[0], 1_000_000, 0)
    at = 8
    while at + 4 <= len(body):
        code, length = struct.unpack_from(order + "2H", body, at)
        value = body[at + 4 : at + 4 + length]
        if code == 0 or len(value) < length:
            break
        if code == _OPTION_RESOLUTION and length == 1:
            power = value[0] & 0x7F
            found.ticks = 2**power if value[0] & 0x80 else 10**power
        elif code == _OPTION_OFFSET and length == 8:
            found.offset_s = struct.unpack(order + "q", value)[0]
        at += 4 + (length + 3) // 4 * 4
    return found


def _packet(kind: int, body: bytes, order: str, interfaces: list[_Interface]) -> _Record | None:
    if kind == _SIMPLE_PACKET:
        if len(body) < 4 or not interfaces:
            return None
        length = struct.unpack_from(order + "I", body)[0]
        # How much was kept is not stated: the rest of the block holds that and up to 3 of padding.
        return None, interfaces[0].link, body[4 : 4 + length], length <= len(body) - 4
    if len(body) < 20:
        return None
    number, high, low, kept, length = struct.unpack_from(order + "5I", body)
    if kind == _OLD_PACKET:  # two octets of interface, two of drops
        number = struct.unpack_from(order + "H", body)[0]
    packet = body[20 : 20 + kept]
    if number >= len(interfaces) or len(packet) < kept or kept > PACKET_MAX:
        return None
    interface = interfaces[number]
    time_ns = (high << 32 | low) * _NS_PER_S // interface.ticks + interface.offset_s * _NS_PER_S
    return time_ns, interface.link, packet, kept >= length


_Found = tuple[str, str, str, bytes]
"""Carrier, source, destination, payload."""


def _datagram(link: int, packet: bytes) -> _Found:
    if link == 1:
        return _ethernet(packet)
    if link == 113:  # Linux cooked 1: the protocol after 14 octets
        return _network(_u16(packet, 14), packet[16:])
    if link == 276:  # Linux cooked 2: the protocol first, the packet after 20 octets
        return _network(_u16(packet, 0), packet[20:])
    if link in (12, 14, 101, 228, 229):  # raw IP under its several numbers
        return _ip(packet)
    if link in (0, 108):  # loopback: the family in somebody's octet order; the packet says it too
        return _ip(packet[4:])
    raise _Skip(f"link type {link}")


def _ethernet(packet: bytes) -> _Found:
    at = 12
    kind = _u16(packet, at)
    for _ in range(VLAN_TAGS_MAX):
        if kind not in _VLAN_TAGS:
            break
        at += 4
        kind = _u16(packet, at)
    body = packet[at + 2 :]
    if kind == _WSMP:
        if len(packet) <= _ETHERNET_LEAST + at - 12:
            body = _without_padding(body)
        return "wsmp", packet[6:12].hex(":"), packet[:6].hex(":"), body
    return _network(kind, body)


def _without_padding(body: bytes) -> bytes:
    """WSMP from a frame of the least length: what follows its payload, if zero, is padding."""
    try:
        _, end = wsmp.read(body)
    except NetworkError:
        return body
    return body if any(body[end:]) else body[:end]


def _network(kind: int, body: bytes) -> _Found:
    if kind == _WSMP:
        return "wsmp", "", "", body
    if kind not in (_IPV4, _IPV6):
        raise _Skip("neither IP nor WSMP")
    return _ip(body)


def _ip(packet: bytes) -> _Found:
    version = packet[0] >> 4 if packet else 0
    if version == 4:
        return _ipv4(packet)
    if version == 6:
        return _ipv6(packet)
    raise _Skip("neither IP nor WSMP")


def _ipv4(packet: bytes) -> _Found:
    header = (packet[0] & 0x0F) * 4
    length = _u16(packet, 2)
    if header < 20 or not header <= length <= len(packet):
        raise _Skip("broken IP header")
    if _u16(packet, 6) & 0x3FFF:  # more fragments, or not the first
        raise _Skip("IP fragment")
    if packet[9] != _UDP:
        raise _Skip("not UDP")
    return _udp(packet[header:length], packet[12:16], packet[16:20])


def _ipv6(packet: bytes) -> _Found:
    end = 40 + _u16(packet, 4)
    if not 40 <= end <= len(packet):
        raise _Skip("broken IP header")
    following, at = packet[6], 40
    for _ in range(IPV6_HEADERS_MAX):
        if following not in _IPV6_EXTENSIONS:
            break
        if at + 8 > end:
            raise _Skip("broken IP header")
        following, at = packet[at], at + (packet[at + 1] + 1) * 8
    if following == _FRAGMENT:
        raise _Skip("IP fragment")
    if following != _UDP:
        raise _Skip("not UDP")
    return _udp(packet[at:end], packet[8:24], packet[24:40])


def _udp(segment: bytes, source: bytes, destination: bytes) -> _Found:
    length = _u16(segment, 4)
    if len(segment) < 8 or not 8 <= length <= len(segment):
        raise _Skip("broken UDP header")
    return (
        "udp",
        _endpoint(source, _u16(segment, 0)),
        _endpoint(destination, _u16(segment, 2)),
        segment[8:length],
    )


def _endpoint(address: bytes, port: int) -> str:
    host = ip_address(address)
    return f"{host}:{port}" if host.version == 4 else f"[{host}]:{port}"


def _u16(octets: bytes, at: int) -> int:
    if len(octets) < at + 2:
        raise _Skip("packet too short")
    return int.from_bytes(octets[at : at + 2], "big")
