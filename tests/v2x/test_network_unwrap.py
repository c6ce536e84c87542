"""Unwrapping: third-party stacks whole, own stacks by property, doubt reported and never hidden."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema import uplink_frame
from rsu.schema.immediate_forward import ImmediateForward, format_immediate_forward
from rsu.schema.psid import MAX_PSID
from rsu.v2x.codec import codec_for
from rsu.v2x.errors import CodecError, NetworkError
from rsu.v2x.network import dsmp, wsmp
from rsu.v2x.network.elements import Element
from rsu.v2x.network.unwrap import unwrap
from rsu.v2x.security.envelope import build_unsecured

FRAME = bytes.fromhex("2480deadbeef")
"""Octets that begin like no layer."""


def layer_names(octets: bytes) -> list[str]:
    return [layer.name for layer in unwrap(octets).layers]


def test_a_pc5_capture_unwraps_to_its_bsm(shared: Path) -> None:
    octets = bytes.fromhex((shared / "vectors" / "pc5_wsmp_bsm.hex").read_text())
    found = unwrap(octets)
    assert not found.ambiguous
    assert [layer.name for layer in found.layers] == ["pc5", "wsmp", "ieee1609dot2"]
    assert found.layers[1].fields == {
        "psid": 0x20,
        "extensions": [
            {"id": 15, "value": "ac", "name": "channel"},
            {"id": 16, "value": "0c", "name": "data_rate"},
            {"id": 4, "value": "94", "name": "tx_power"},
            {"id": 25, "value": "07", "name": "element 25"},
        ],
    }
    # The BSM (id 20 = 0x14) says its own length: 2 octets of id, 2 of length 0x00c9, 201 … of it.
    (payload,) = found.payloads
    assert payload[:2] == b"\x00\x14"
    assert payload == octets[-len(payload) :]
    assert len(payload) == 4 + 0x00C9


def test_a_signed_tim_unwraps_and_says_who_and_when(shared: Path) -> None:
    octets = bytes.fromhex((shared / "vectors" / "spdu_signed_tim.hex").read_text())
    found = unwrap(octets)
    outer, inner = found.layers
    assert inner.fields == {"kind": "unsecured"}
    assert outer.fields["psid"] == 131
    assert outer.fields["verified"] is None
    assert outer.fields["signer"]["certificates"][0]["issuer"] == "c620fb90caad3b9c"
    (payload,) = found.payloads
    assert payload[:3] == b"\x00\x1f\x79"  # TIM, 121 octets
    assert len(payload) == 3 + 0x79
    assert json.loads(json.dumps(outer.fields)) == outer.fields


def test_every_uplink_frame_unwraps_to_messages_that_decode(shared: Path) -> None:
    vectors = json.loads((shared / "vectors" / "csae_vectors.json").read_text(encoding="utf-8"))
    codec = codec_for("csae53_2020")
    messages = []
    for frame in vectors["uplink_frames"]:
        found = unwrap(bytes.fromhex(frame["hex"]))
        assert [layer.name for layer in found.layers] == ["uplink_frame"]
        assert found.layers[0].fields["unit_text"] == "u_id_123"
        for payload in found.payloads:
            value = codec.decode(payload)
            assert codec.encode(value) == payload
            messages += value
    assert messages == ["spatFrame", "bsmFrame", "bsmFrame", "rsmFrame"]


def test_layers_of_every_kind_around_one_frame() -> None:
    spdu = build_unsecured(FRAME)
    text = format_immediate_forward(ImmediateForward(message_type="SPAT", psid=0x82, payload=spdu))
    assert layer_names(text) == ["rsu41", "ieee1609dot2"]
    assert layer_names(dsmp.build(3623, FRAME)) == ["dsmp"]
    assert layer_names(dsmp.build(3623, spdu)) == ["dsmp", "ieee1609dot2"]
    assert layer_names(wsmp.build(0x82, FRAME)) == ["wsmp"]
    assert layer_names(wsmp.build(0x82, spdu, pc5=True)) == ["pc5", "wsmp", "ieee1609dot2"]
    assert layer_names(FRAME) == []
    for octets in (text, dsmp.build(3623, spdu), wsmp.build(0x82, FRAME), spdu, FRAME):
        assert unwrap(octets).payloads == (FRAME,)


def test_what_only_looks_like_a_layer_is_bare_and_says_so() -> None:
    cut = dsmp.build(3623, FRAME)[:-1]
    found = unwrap(cut)
    assert (found.layers, found.payloads) == ((), (cut,))
    assert found.rejected == ("dsmp: 5 octets of payload, header says 6",)


def test_a_broken_envelope_within_a_header_is_reported() -> None:
    found = unwrap(wsmp.build(0x83, bytes.fromhex("038100")))
    assert [layer.name for layer in found.layers] == ["wsmp"]
    assert found.payloads == (bytes.fromhex("038100"),)
    assert found.rejected == ("ieee1609dot2: octet 3: 1 octets wanted, 0 left",)


def test_the_pc5_octet_needs_wsmp_behind_it() -> None:
    octets = b"\1" + FRAME
    found = unwrap(octets)
    assert (found.layers, found.payloads) == ((), (octets,))


def uplink_of_two_readings() -> bytes:
    # As one message of 0x0102 octets; or, with a count of 2, as one of 1 (01 00) and one of 254.
    message = bytes.fromhex("00aafe00") + bytes(range(254))
    return uplink_frame.build(b"unit0001", 1_700_000_000_000, [message], counted=False)


def test_octets_with_two_readings_are_ambiguous_and_none_is_chosen() -> None:
    found = unwrap(uplink_of_two_readings())
    assert found.ambiguous
    assert (found.layers, found.payloads) == ((), ())
    assert [[len(each) for each in reading.payloads] for reading in found.candidates] == [
        [258],
        [1, 254],
    ]


def test_a_codec_settles_what_is_ambiguous() -> None:
    found = unwrap(uplink_of_two_readings(), accepts=lambda octets: len(octets) == 258)
    assert not found.ambiguous
    assert [len(each) for each in found.payloads] == [258]


def test_a_message_that_looks_like_a_header_is_ambiguous_for_a_codec() -> None:
    octets = dsmp.build(3623, FRAME)
    assert unwrap(octets, accepts={octets}.__contains__).payloads == (octets,)
    both = unwrap(octets, accepts={octets, FRAME}.__contains__)
    assert both.ambiguous
    assert [reading.payloads for reading in both.candidates] == [(FRAME,), (octets,)]
    neither = unwrap(octets, accepts=lambda _: False)
    assert neither.payloads == (FRAME,)


def test_a_header_around_nothing_leaves_no_payloads() -> None:
    found = unwrap(dsmp.build(3623, b""))
    assert ([layer.name for layer in found.layers], found.payloads) == (["dsmp"], ())


def test_dsmp_extensions_are_shown_and_called_assumed() -> None:
    found = unwrap(dsmp.build(111, FRAME, [Element(7, b"\xab")]))
    assert found.layers[0].fields == {
        "aid": 111,
        "extensions": [{"id": 7, "value": "ab"}],
        "extension_layout": "assumed to be that of WSMP",
    }


@pytest.mark.parametrize("octets", [b"", bytes(65_536)])
def test_nothing_and_too_much_are_refused(octets: bytes) -> None:
    with pytest.raises(NetworkError):
        unwrap(octets)


@settings(max_examples=200)
@given(
    payload=st.binary(max_size=300).map(lambda rest: b"\x24" + rest),
    psid=st.integers(0, MAX_PSID),
    secured=st.booleans(),
    carrier=st.sampled_from(["pc5", "wsmp", "dsmp", "rsu41", "none"]),
)
def test_what_is_wrapped_is_unwrapped(
    payload: bytes, psid: int, secured: bool, carrier: str
) -> None:
    octets = build_unsecured(payload) if secured else payload
    if carrier in ("pc5", "wsmp"):
        octets = wsmp.build(psid, octets, pc5=carrier == "pc5")
    elif carrier == "dsmp":
        octets = dsmp.build(psid % dsmp.AID_MAX, octets)
    elif carrier == "rsu41":
        octets = format_immediate_forward(
            ImmediateForward(message_type="BSM", psid=psid, payload=octets)
        )
    found = unwrap(octets)
    readings = [reading.payloads for reading in found.candidates]
    assert (payload,) in readings
    assert found.ambiguous == (len(readings) > 1)


PREFIXES = [
    b"",
    b"\1\3\0\x20",
    b"\4\0\x6f",
    b"\4\x10\1",
    b"\3\x81\0\x40\3\x80",
    b"\3\x80",
    b"\x0b\2",
]


@settings(max_examples=600)
@given(st.sampled_from(PREFIXES), st.binary(max_size=120))
def test_any_octets_give_a_reading_or_the_typed_error(prefix: bytes, rest: bytes) -> None:
    try:
        found = unwrap(prefix + rest)
    except NetworkError:
        assert not prefix + rest
        return
    assert found.candidates
    assert sum(len(each) for each in found.payloads) <= len(prefix + rest)


@settings(max_examples=400)
@given(data=st.data())
def test_a_damaged_stack_never_breaks_it(shared: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["pc5_wsmp_bsm.hex", "spdu_signed_tim.hex"]))
    octets = bytearray(bytes.fromhex((shared / "vectors" / name).read_text()))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(octets)))
    assert unwrap(bytes(octets[:cut])).candidates


def test_the_codec_of_a_profile_fits_as_judge() -> None:
    codec = codec_for("csae53_2020")

    def is_message(octets: bytes) -> bool:
        try:
            codec.decode(octets)
        except CodecError:
            return False
        return True

    assert unwrap(dsmp.build(3623, FRAME), is_message).payloads == (FRAME,)
