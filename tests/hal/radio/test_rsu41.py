"""RSU 4.1 immediate forward: the exact text, the PSID trap, a tolerant reader that never breaks."""

from __future__ import annotations

import dataclasses
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.radios import Rsu41RadioOptions
from rsu.hal.errors import DeviceError
from rsu.hal.radio.drivers import open_radio
from rsu.hal.radio.rsu41 import wsmp_priority
from rsu.schema.immediate_forward import (
    ForwardTextError,
    ImmediateForward,
    format_immediate_forward,
    parse_immediate_forward,
)
from rsu.schema.psid import MAX_PSID, p_decode, p_encode
from rsu.schema.v2x import V2xFrame

SPAT = ImmediateForward(message_type="SPAT", psid=0x82, payload=bytes.fromhex("0013ab"))
SPAT_TEXT = (
    b"Version=0.7\nType=SPAT\nPSID=0x8002\nPriority=7\nTxMode=CONT\nTxChannel=183\n"
    b"TxInterval=0\nDeliveryStart=\nDeliveryStop=\nSignature=False\nEncryption=False\n"
    b"Payload=0013AB\n"
)


def test_the_text_is_exactly_the_one_of_the_interface() -> None:
    assert format_immediate_forward(SPAT) == SPAT_TEXT
    assert parse_immediate_forward(SPAT_TEXT) == SPAT


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0x20, "20"),  # BSM
        (0x27, "27"),  # PSM
        (0x7F, "7F"),
        (0x80, "8000"),  # RTCM
        (0x82, "8002"),  # SPaT
        (0x83, "8003"),  # TIM
        (0x87, "8007"),  # WSA
        (0x90, "8010"),  # SDSM
        (0x406E, "BFEE"),  # CARMA mobility
        (0x407F, "BFFF"),
        (0x4080, "C00000"),
        (0x20407F, "DFFFFF"),
        (0x204080, "E0000000"),
        (0x204097, "E0000017"),  # MAP by the connected-intersections guide
        (MAX_PSID, "EFFFFFFF"),
    ],
)
def test_psid_values_and_their_p_encoding(value: int, encoded: str) -> None:
    assert p_encode(value).hex().upper() == encoded
    assert p_decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize("value", [-1, MAX_PSID + 1])
def test_a_psid_beyond_four_octets_is_refused(value: int) -> None:
    with pytest.raises(ValueError, match="not in 0"):
        p_encode(value)


@pytest.mark.parametrize(
    "encoded", ["", "80", "82", "8002FF", "2000", "F0000000", "C000", "E00000"]
)
def test_octets_that_are_no_p_encoding_are_refused(encoded: str) -> None:
    with pytest.raises(ValueError, match="p-encoding"):
        p_decode(bytes.fromhex(encoded))


@settings(deadline=None, max_examples=200)
@given(st.integers(0, MAX_PSID))
def test_p_encoding_is_reversible(value: int) -> None:
    assert p_decode(p_encode(value)) == value


def test_a_controllers_own_way_of_writing_is_understood() -> None:
    text = (
        b"\r\n   Version=0.7\r\n  type = SPAT\r\n  PSID=8002\r\n  TxChannel=172\r\n  Vendor=x=y\r\n"
        b"  Signature=true\r\n  TxMode=alt\r\n  Payload = 00 13\r\n   aB \r\n\r\n"
    )
    assert parse_immediate_forward(text) == dataclasses.replace(
        SPAT, channel=172, signature=True, tx_mode="ALT"
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b"Payload=0013AB", b""), "no Payload"),
        ((b"0013AB", b""), "Payload is not"),
        ((b"0013AB", b"0013A"), "Payload is not"),
        ((b"0013AB", b"0013AG"), "Payload is not"),
        ((b"0x8002", b"0x82"), "p-encoding"),
        ((b"0x8002", b""), "PSID is not"),
        ((b"0x8002", b"0xZZ"), "PSID is not"),
        ((b"PSID=0x8002\n", b""), "PSID is not"),
        ((b"Type=SPAT", b"Type="), "Type"),
        ((b"Type=SPAT", b"Type=SPAT\nType=MAP"), "twice"),
        ((b"Type=SPAT", b"SPAT"), "Key=Value"),
        ((b"Priority=7", b"Priority=8"), "priority"),
        ((b"Priority=7", b"Priority=-1"), "priority"),
        ((b"TxChannel=183", b"TxChannel=" + b"9" * 5000), "txchannel"),
        ((b"TxMode=CONT", b"TxMode=OFF"), "txmode"),
        ((b"Signature=False", b"Signature=maybe"), "signature"),
        ((b"SPAT", b"SP\xc3\x84T"), "ASCII"),
        ((b"0013AB", b"00" * 10_000), "too long"),
    ],
)
def test_a_wrong_text_is_refused_with_its_reason(change: tuple[bytes, bytes], reason: str) -> None:
    with pytest.raises(ForwardTextError, match=reason):
        parse_immediate_forward(SPAT_TEXT.replace(*change))


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300))
def test_random_octets_never_raise_anything_else(data: bytes) -> None:
    with pytest.raises(ForwardTextError):
        parse_immediate_forward(data)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damaged_texts_are_read_or_refused(data: st.DataObject) -> None:
    text = bytearray(SPAT_TEXT)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        text = text or bytearray(b"\n")
    try:
        found = parse_immediate_forward(bytes(text))
    except ForwardTextError as error:
        assert str(error)  # noqa: PT017  either outcome is right
    else:
        assert found.payload
        assert 0 <= found.psid <= MAX_PSID


@settings(deadline=None, max_examples=100)
@given(
    st.builds(
        ImmediateForward,
        message_type=st.from_regex(r"[A-Za-z0-9_-]{1,32}", fullmatch=True),
        psid=st.integers(0, MAX_PSID),
        payload=st.binary(min_size=1, max_size=2302),
        priority=st.integers(0, 7),
        tx_mode=st.sampled_from(["CONT", "ALT"]),
        channel=st.integers(0, 255),
        signature=st.booleans(),
        encryption=st.booleans(),
    )
)
def test_what_is_written_is_read_back(forward: ImmediateForward) -> None:
    assert parse_immediate_forward(format_immediate_forward(forward)) == forward


def test_priorities_keep_their_order() -> None:
    assert [wsmp_priority(p) for p in (-5, 0, 31, 32, 208, 255, 300)] == [0, 0, 0, 1, 6, 7, 7]


def frame(**fields: object) -> V2xFrame:
    known = {
        "profile": "csae53_2020", "message": "RSM", "payload": b"\x01", "network": b"\x02",
        "aid": 3623, "priority": 208, "value": {}, "time_ns": 0,
    }  # fmt: skip
    return V2xFrame(**(known | fields))  # type: ignore[arg-type]


def test_the_radio_sends_the_configured_instructions_and_the_p_encoded_aid() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unit:
        unit.bind(("127.0.0.1", 0))
        unit.settimeout(10)
        options = Rsu41RadioOptions(
            id="r", driver="rsu41", host="127.0.0.1", port=unit.getsockname()[1], channel=172,
            tx_mode="ALT", signature=True, content="network",
        )  # fmt: skip
        radio = open_radio(options, Path())
        radio.send(frame())
        assert unit.recv(65_535) == (
            b"Version=0.7\nType=RSM\nPSID=0x8DA7\nPriority=6\nTxMode=ALT\nTxChannel=172\n"
            b"TxInterval=0\nDeliveryStart=\nDeliveryStop=\nSignature=True\nEncryption=False\n"
            b"Payload=02\n"
        )
        for wrong in ({"aid": -1}, {"aid": 1 << 40}, {"message": "RSM\nPayload=00"}):
            with pytest.raises(DeviceError, match=r"no RSU 4\.1 form"):
                radio.send(frame(**wrong))
        radio.close()
