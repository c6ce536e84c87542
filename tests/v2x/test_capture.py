"""Captures: every form of file and link by hand, what is passed over counted, damage stated."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.v2x.capture import BLOCK_MAX, Capture, Datagram, is_capture
from rsu.v2x.errors import CaptureError
from rsu.v2x.network import wsmp
from rsu.v2x.network.unwrap import unwrap

PAYLOAD = b"\x24\x80\xaa"
SECONDS, NANOS = 1_750_000_000, 123_456_789
TIME_NS = SECONDS * 1_000_000_000 + NANOS
MACS = bytes.fromhex("ffffffffffff020000000001")


def udp(payload: bytes = PAYLOAD) -> bytes:
    return struct.pack(">4H", 40000, 1516, 8 + len(payload), 0) + payload


def ipv4(segment: bytes, *, protocol: int = 17, flags: int = 0, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    length = words * 4 + len(segment)
    head = struct.pack(">2B3H2BH", 0x40 | words, 0, length, 1, flags, 64, protocol, 0)
    return head + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + options + segment


def ipv6(segment: bytes, *, following: int = 17) -> bytes:
    addresses = bytes(15) + b"\1" + bytes.fromhex("fe80") + bytes(13) + b"\2"
    return struct.pack(">IH2B", 6 << 28, len(segment), following, 64) + addresses + segment


def ethernet(kind: int, body: bytes, tags: bytes = b"") -> bytes:
    return MACS + tags + struct.pack(">H", kind) + body


def pcap(*packets: bytes, link: int = 1, order: str = "<", nanos: bool = True) -> bytes:
    magic = 0xA1B23C4D if nanos else 0xA1B2C3D4
    fraction = NANOS if nanos else NANOS // 1000
    octets = struct.pack(order + "I2Hi3I", magic, 2, 4, 0, 0, 65535, link)
    for packet in packets:
        octets += struct.pack(order + "4I", SECONDS, fraction, len(packet), len(packet)) + packet
    return octets


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "I2Hq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int = 1, options: bytes = b"", order: str = "<") -> bytes:
    return block(1, struct.pack(order + "2HI", link, 0, 0) + options, order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "2H", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(packet: bytes, ticks: int, order: str = "<", number: int = 0) -> bytes:
    fields = (number, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(6, struct.pack(order + "5I", *fields) + packet, order)


FOUND = Datagram(TIME_NS, "udp", "10.0.0.1:40000", "10.0.0.2:1516", PAYLOAD)
UDP_FRAME = ethernet(0x0800, ipv4(udp()))


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcap_in_both_octet_orders_and_resolutions(order: str) -> None:
    assert list(Capture(pcap(UDP_FRAME, order=order))) == [FOUND]
    (found,) = Capture(pcap(UDP_FRAME, order=order, nanos=False))
    assert found.time_ns == TIME_NS // 1000 * 1000


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_in_both_octet_orders(order: str) -> None:
    head = section(order) + interface(order=order)
    (found,) = Capture(head + enhanced(UDP_FRAME, TIME_NS // 1000, order))
    assert found.time_ns == TIME_NS // 1000 * 1000
    assert found.payload == PAYLOAD


def test_pcapng_time_resolution_and_offset_of_each_interface() -> None:
    capture = Capture(
        section()
        + interface(options=option(9, b"\x09") + option(0, b""))
        + interface(options=option(9, b"\x8a") + option(14, struct.pack("<q", SECONDS)))
        + enhanced(UDP_FRAME, TIME_NS)
        + enhanced(UDP_FRAME, 512, number=1)  # 512 of 1024 ticks a second
    )
    assert [found.time_ns for found in capture] == [
        TIME_NS,
        SECONDS * 1_000_000_000 + 500_000_000,
    ]
    assert capture.damage is None


def test_pcapng_sections_of_different_order_and_blocks_of_no_interest() -> None:
    capture = Capture(
        section("<")
        + block(4, b"names...")
        + interface()
        + enhanced(UDP_FRAME, TIME_NS // 1000)
        + section(">")
        + interface(101, order=">")
        + enhanced(ipv4(udp(b"second")), TIME_NS // 1000, ">")
    )
    assert [found.payload for found in capture] == [PAYLOAD, b"second"]
    assert (capture.packets, capture.damage) == (2, None)


def test_pcapng_simple_packets_have_no_time_and_old_ones_have() -> None:
    simple = block(3, struct.pack("<I", len(UDP_FRAME)) + UDP_FRAME)
    ticks = TIME_NS // 1000
    kept = len(UDP_FRAME)
    old = struct.pack("<2H4I", 0, 7, ticks >> 32, ticks & 0xFFFFFFFF, kept, kept) + UDP_FRAME
    found = list(Capture(section() + interface() + simple + block(2, old)))
    assert [each.time_ns for each in found] == [None, ticks * 1000]
    assert [each.payload for each in found] == [PAYLOAD, PAYLOAD]


VLAN = struct.pack(">2H", 0x8100, 5)
LINKS = [
    (1, UDP_FRAME),
    (1, ethernet(0x0800, ipv4(udp()), VLAN)),
    (1, ethernet(0x0800, ipv4(udp()), struct.pack(">2H", 0x88A8, 9) + VLAN)),
    (1, ethernet(0x0800, ipv4(udp(), options=bytes(8)))),
    (1, ethernet(0x0800, ipv4(udp()) + bytes(20))),  # padded
    (113, struct.pack(">3H8sH", 0, 1, 6, bytes(8), 0x0800) + ipv4(udp())),
    (276, struct.pack(">2HIH2B8s", 0x0800, 0, 2, 1, 0, 6, bytes(8)) + ipv4(udp())),
    (101, ipv4(udp())),
    (228, ipv4(udp())),
    (0, struct.pack("<I", 2) + ipv4(udp())),
    (0, struct.pack(">I", 2) + ipv4(udp())),
    (108, struct.pack(">I", 2) + ipv4(udp())),
]


@pytest.mark.parametrize(("link", "packet"), LINKS)
def test_every_link_gives_the_datagram(link: int, packet: bytes) -> None:
    assert list(Capture(pcap(packet, link=link))) == [FOUND]


@pytest.mark.parametrize(
    "packet",
    [
        ipv6(udp()),
        ipv6(b"\x11\0" + bytes(6) + udp(), following=0),
        ipv6(b"\x3c\0" + bytes(6) + b"\x11\1" + bytes(14) + udp(), following=0),
    ],
)
def test_ipv6_with_and_without_extension_headers(packet: bytes) -> None:
    (found,) = Capture(pcap(ethernet(0x86DD, packet)))
    assert (found.source, found.destination) == ("[::1]:40000", "[fe80::2]:1516")
    assert found.payload == PAYLOAD


def test_wsmp_on_ethernet_without_its_padding() -> None:
    message = wsmp.build(0x82, PAYLOAD)
    padded = ethernet(0x88DC, message).ljust(60, b"\0")
    tagged = ethernet(0x88DC, message, VLAN).ljust(64, b"\0")
    long = ethernet(0x88DC, wsmp.build(0x82, bytes(100)))
    found = list(Capture(pcap(padded, tagged, long)))
    assert [each.payload for each in found] == [message, message, long[14:]]
    assert (found[0].carrier, found[0].source, found[0].destination) == (
        "wsmp",
        "02:00:00:00:00:01",
        "ff:ff:ff:ff:ff:ff",
    )


def test_wsmp_that_is_broken_or_followed_by_something_keeps_every_octet() -> None:
    broken = ethernet(0x88DC, b"\xff").ljust(60, b"\0")
    followed = ethernet(0x88DC, wsmp.build(0x82, PAYLOAD) + b"\1").ljust(60, b"\0")
    assert [len(each.payload) for each in Capture(pcap(broken, followed))] == [46, 46]


@pytest.mark.parametrize(
    ("link", "packet", "reason"),
    [
        (1, ethernet(0x0806, bytes(28)), "neither IP nor WSMP"),
        (1, ethernet(0x0800, b""), "neither IP nor WSMP"),
        (1, b"\0" * 13, "packet too short"),
        (1, ethernet(0x0800, ipv4(udp(), protocol=6)), "not UDP"),
        (1, ethernet(0x0800, ipv4(udp(), flags=0x2000)), "IP fragment"),
        (1, ethernet(0x0800, ipv4(udp(), flags=0x0001)), "IP fragment"),
        (1, ethernet(0x0800, ipv4(udp())[:-1]), "broken IP header"),
        (1, ethernet(0x0800, ipv4(udp()[:7])), "broken UDP header"),
        (1, ethernet(0x0800, ipv4(udp()[:-1])), "broken UDP header"),
        (1, ethernet(0x86DD, ipv6(bytes(8) + udp(), following=44)), "IP fragment"),
        (1, ethernet(0x86DD, ipv6(b"\x11", following=0)), "broken IP header"),
        (1, ethernet(0x86DD, ipv6(bytes(20), following=6)), "not UDP"),
        (101, b"\x55" * 40, "neither IP nor WSMP"),
        (147, b"\x55" * 40, "link type 147"),
    ],
)
def test_what_holds_no_datagram_is_counted_by_reason(link: int, packet: bytes, reason: str) -> None:
    capture = Capture(pcap(packet, link=link))
    assert list(capture) == []
    assert dict(capture.skipped) == {reason: 1}
    assert (capture.packets, capture.damage) == (1, None)


def test_a_do_not_fragment_flag_is_no_fragment() -> None:
    assert list(Capture(pcap(ethernet(0x0800, ipv4(udp(), flags=0x4000))))) == [FOUND]


def test_a_packet_cut_by_the_snapshot_length_is_counted() -> None:
    octets = pcap(UDP_FRAME)
    cut = octets[:36] + struct.pack("<I", len(UDP_FRAME) + 1) + octets[40:]
    capture = Capture(cut)
    assert list(capture) == []
    assert dict(capture.skipped) == {"cut short when captured": 1}


@pytest.mark.parametrize(
    "whole", [pcap(UDP_FRAME), section() + interface() + enhanced(UDP_FRAME, TIME_NS // 1000)]
)
def test_a_truncated_file_gives_what_is_whole_and_says_so(whole: bytes) -> None:
    start = whole[: whole.index(MACS)]
    second = start[-16:] + UDP_FRAME if whole[0] != 0x0A else enhanced(UDP_FRAME, TIME_NS // 1000)
    octets = whole + second
    for end in range(len(whole) + 1, len(octets)):
        capture = Capture(octets[:end])
        assert len(list(capture)) == 1
        assert "ends within" in str(capture.damage)
    capture = Capture(octets)
    assert len(list(capture)) == 2
    assert capture.damage is None


@pytest.mark.parametrize(
    ("octets", "damage"),
    [
        (pcap()[:23], "ends within its header"),
        (pcap() + struct.pack("<4I", 0, 0, 262_145, 262_145), "262145 octets"),
        (section() + struct.pack("<2I", 6, 0), "a block of 0 octets"),
        (section() + struct.pack("<2I", 6, 13), "a block of 13 octets"),
        (section() + struct.pack("<2I", 6, BLOCK_MAX + 4), "a block of"),
        (section()[:8] + bytes(20), "without octet order"),
        (section() + interface()[:-4] + bytes(4), "lengths differ"),
        (section() + enhanced(UDP_FRAME, 0), "a packet that cannot be read"),
        (section() + block(1, bytes(4)), "an interface that cannot be read"),
        (section() + interface() + block(6, bytes(16)), "a packet that cannot be read"),
        (section() + interface() + block(3, b""), "a packet that cannot be read"),
    ],
)
def test_damage_stops_reading_and_is_stated(octets: bytes, damage: str) -> None:
    capture = Capture(octets)
    assert list(capture) == []
    assert damage in str(capture.damage)


@pytest.mark.parametrize("octets", [b"", b"\xd4\xc3", b"hello world, this is text"])
def test_a_file_of_another_kind_is_refused(octets: bytes) -> None:
    assert not is_capture(octets)
    with pytest.raises(CaptureError, match="not a pcap"):
        Capture(octets)


def test_a_captured_stack_unwraps_to_its_message(shared: Path) -> None:
    octets = bytes.fromhex((shared / "vectors" / "pc5_wsmp_bsm.hex").read_text())
    (found,) = Capture(pcap(ethernet(0x88DC, octets[1:])))
    assert unwrap(found.payload).payloads == unwrap(octets).payloads
    (found,) = Capture(pcap(ethernet(0x0800, ipv4(udp(octets)))))
    assert unwrap(found.payload).payloads == unwrap(octets).payloads


FILES: list[Callable[[], bytes]] = [
    lambda: pcap(UDP_FRAME, ethernet(0x86DD, ipv6(udp()))),
    lambda: pcap(*(packet for _, packet in LINKS[:3]), order=">"),
    lambda: section() + interface(options=option(9, b"\x09")) + enhanced(UDP_FRAME, TIME_NS) * 2,
]


@settings(max_examples=500)
@given(data=st.data())
def test_a_damaged_file_never_breaks_it(data: st.DataObject) -> None:
    octets = bytearray(data.draw(st.sampled_from(FILES))())
    for _ in range(data.draw(st.integers(1, 6))):
        octets[data.draw(st.integers(4, len(octets) - 1))] = data.draw(st.integers(0, 255))
    capture = Capture(bytes(octets))
    found = list(capture)
    assert capture.packets == len(found) + capture.skipped.total()


@settings(max_examples=300)
@given(
    st.sampled_from([b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\x3c\x4d", b"\x0a\x0d\x0d\x0a", b""]),
    st.binary(max_size=200),
)
def test_random_octets_give_datagrams_or_the_typed_error(head: bytes, rest: bytes) -> None:
    try:
        capture = Capture(head + rest)
    except CaptureError:
        return
    found = list(capture)
    assert capture.packets == len(found) + capture.skipped.total()
