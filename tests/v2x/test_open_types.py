"""Open types nest, unknown ids survive, and every table names types that exist."""

from __future__ import annotations

from typing import Any

import pytest

from rsu.v2x.codec import PROFILES, Codec, codec_for
from rsu.v2x.errors import CodecError, DecodeError, EncodeError
from rsu.v2x.open_types import OPEN_TYPES

CODEC = codec_for("csae157_2020")
TEST = {"TestMsg": {"msgCnt": 3, "userData": "ab"}}


def frame(number: int, content: Any) -> dict[str, Any]:
    return {"msgFrameExt": {"messageId": number, "value": content}}


def test_message_of_the_second_phase_is_number_length_and_content() -> None:
    # Extension bit, alternative 0 of the additions (0 + 6 bits), length of the open type; extension
    # bit and 15 bits of id; length; msgCnt 3 (7 bits), 11 bits for length 1..2048 as 0, the octet.
    content = (3 << 19 | 0 << 8 | 0xAB) << 6
    inner = bytes([0, 0, 4]) + content.to_bytes(4, "big")
    assert CODEC.encode(frame(0, TEST)) == bytes([0x80, len(inner)]) + inner
    assert CODEC.decode(bytes([0x80, len(inner)]) + inner) == frame(0, TEST)


@pytest.mark.parametrize("profile", PROFILES)
def test_tables_name_types_of_the_message_set(profile: str) -> None:
    codec = codec_for(profile)
    for (container, field), open_type in OPEN_TYPES[profile].items():
        form = codec._type(container)[1]
        assert {field, open_type.id_field} <= {name for name, _, _ in form.members}  # type: ignore[attr-defined]
        for name in open_type.types.values():
            codec._type(name)


def test_content_of_an_unknown_number_stays_hex() -> None:
    octets = bytes([0x80, 6, 0, 99, 3, 0xDE, 0xAD, 0x01])
    value = CODEC.decode(octets)
    assert value == frame(99, "dead01")
    assert CODEC.encode(value) == octets
    assert CODEC.message_name(value) == "id 99"


@pytest.mark.parametrize("content", ["dead", TEST | {"PAMData": {}}, {"PAMData": {}}, 7, {}, None])
def test_content_must_be_of_the_type_its_number_announces(content: Any) -> None:
    with pytest.raises(EncodeError, match=r"msgFrameExt\.value: \{\"TestMsg\": …\} is wanted"):
        CODEC.encode(frame(0, content))


@pytest.mark.parametrize("content", [TEST, "xy", 7])
def test_content_of_an_unknown_number_must_be_hex(content: Any) -> None:
    with pytest.raises(EncodeError, match=r"msgFrameExt\.value: octets in hex"):
        CODEC.encode(frame(99, content))


def test_errors_within_name_the_whole_path() -> None:
    with pytest.raises(EncodeError, match=r"msgFrameExt\.value\.TestMsg\.msgCnt: 128 is outside"):
        CODEC.encode(frame(0, {"TestMsg": {"msgCnt": 128, "userData": "00"}}))
    # An SSM of two octets.
    with pytest.raises(DecodeError, match=r"msgFrameExt\.value: not a SensorSharingMsg: "):
        CODEC.decode(bytes([0x80, 5, 0, 12, 2, 0, 0]))
    # TestMsg followed by an octet that does not belong to it.
    with pytest.raises(DecodeError, match="1 octets too many"):
        CODEC.decode(bytes([0x80, 8, 0, 0, 5, 0, 0, 0, 0, 0]))


@pytest.mark.parametrize("objects", [200, 512])
def test_open_types_from_16_kib_on_are_sent_in_fragments(unwrapped_ssm: Any, objects: int) -> None:
    state = {
        "ptcType": "motor",
        "ptcId": 7,
        "source": "video",
        "id": "0102030405060708",
        "secMark": 1,
        "pos": {"offsetLL": {"position-LatLon": {"lon": 1214737000, "lat": 312304000}}},
        "posConfidence": {"pos": "a1m"},
        "speed": 500,
        "heading": 0,
        "size": {"width": 180, "length": 450},
    }
    content = {
        "msgCnt": 0,
        "id": "00" * 8,
        "equipmentType": "rsu",
        "secMark": 1,
        "sensorPos": {"lat": 312304000, "long": 1214737000},
        "participants": [{"ptc": state, "tracking": 9}] * objects,
    }
    value = CODEC.frame("SSM", content)
    octets = CODEC.encode(value)
    assert (len(octets) > 16_384) == (objects == 512)
    assert CODEC.decode(octets) == value
    assert unwrapped_ssm(octets) == content


@pytest.fixture(scope="module")
def unwrapped_ssm() -> Any:
    """Takes the two open types of a frame apart by X.691 11.9, without the codec under test."""

    def unwrap(octets: bytes) -> tuple[bytes, bytes]:
        content = b""
        while True:
            first = octets[0]
            if first < 0x80:
                size, rest = first, octets[1:]
            elif first < 0xC0:
                size, rest = (first & 0x3F) << 8 | octets[1], octets[2:]
            else:
                size, rest = (first & 0x3F) * 16_384, octets[1:]
            content, octets = content + rest[:size], rest[size:]
            if first < 0xC0:
                return content, octets

    def decode(octets: bytes) -> Any:
        assert octets[0] == 0x80
        ext, rest = unwrap(octets[1:])
        assert not rest
        assert ext[:2] == bytes([0, 12])
        body, rest = unwrap(ext[2:])
        assert not rest
        return CODEC.decode(body, "SensorSharingMsg")

    return decode


def test_fragment_of_a_frame_cut_short_is_refused() -> None:
    with pytest.raises(DecodeError):
        CODEC.decode(b"\x80\xc1" + bytes(1000))
    with pytest.raises(DecodeError, match="fragmentation"):
        CODEC.decode(b"\x80\xc7" + bytes(1000))


# ── additions behind the extension marker ─────────────────────────────────────────────────────────

SIGN = {"rtsId": 1, "signType": 2}


def test_additions_of_the_second_phase_are_skipped_by_the_first() -> None:
    extended = SIGN | {"auxiliarySign": {"signDirection": "left"}}
    octets = CODEC.encode(extended, "RTSData")
    assert CODEC.decode(octets, "RTSData") == extended
    assert codec_for("csae53_2020").decode(octets, "RTSData") == SIGN
    assert len(octets) > len(CODEC.encode(SIGN, "RTSData"))
    assert CODEC.encode(SIGN, "RTSData") == codec_for("csae53_2020").encode(SIGN, "RTSData")


def test_second_of_two_additions_may_come_alone() -> None:
    node = {"id": {"id": 1}, "refPos": {"lat": 0, "long": 0}, "prohibitedzone": {}}
    octets = CODEC.encode(node, "Node")
    assert CODEC.decode(octets, "Node") == node
    assert codec_for("csae53_2020").decode(octets, "Node") == {
        "id": {"id": 1},
        "refPos": {"lat": 0, "long": 0},
    }


def test_addition_with_octets_to_spare_is_refused() -> None:
    octets = bytearray(CODEC.encode(SIGN | {"auxiliarySign": {}}, "RTSData"))
    # ext 1, 6 absent members, rtsId 8, signType 16, count 7, presence 1, length 8, content.
    bits = f"{int.from_bytes(octets, 'big'):0{8 * len(octets)}b}"
    assert bits[38:47] == "1" + "00000001"
    longer = bits[:39] + "00000010" + bits[47:55] + "00000000" + "0"
    broken = int(longer.ljust(-(-len(longer) // 8) * 8, "0"), 2)
    with pytest.raises(DecodeError, match="1 octets too many"):
        CODEC.decode(broken.to_bytes(-(-len(longer) // 8), "big"), "RTSData")


# ── messages by name ──────────────────────────────────────────────────────────────────────────────


def test_every_message_has_a_frame_and_the_frame_its_name() -> None:
    for profile in PROFILES:
        codec: Codec = codec_for(profile)
        assert len(set(codec.messages)) == len(codec.messages) >= 5
        for message in codec.messages:
            assert codec.message_name(codec.frame(message, {})) == message


def test_unknown_message_and_what_is_no_frame_are_refused() -> None:
    with pytest.raises(CodecError, match="'SDSM' is none of BSM, MAP"):
        CODEC.frame("SDSM", {})
    for value in ({"msgFrameExt": {}}, {"msgFrameExt": 1}, {"tram": 1}, {}, None, 7):
        with pytest.raises(CodecError, match="no message frame"):
            CODEC.message_name(value)  # type: ignore[arg-type]
    with pytest.raises(CodecError):
        codec_for("csae53_2020").message_name(frame(0, TEST))
