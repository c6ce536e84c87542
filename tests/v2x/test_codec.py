"""The codec against frames of other parties, an independent codec, and hostile octets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rsu.v2x import value_form as forms
from rsu.v2x.codec import FRAME, MAX_FRAME_OCTETS, Codec, codec_for
from rsu.v2x.errors import CodecError, DecodeError, EncodeError
from rsu.v2x.type_form import OpenTypeForm

PROFILE = "csae53_2020"
PROFILES = [PROFILE, "csae157_2020", "legacy_20190724"]
CODEC = codec_for(PROFILE)
# The vectors name the type: a frame's alternative, or a message without its frame.
BARE_TYPES = {"BSM": "BasicSafetyMessage", "SPAT": "SPAT"}


def corpus(shared: Path, profile: str = PROFILE) -> list[dict[str, Any]]:
    lines = (shared / "vectors" / "csae_corpus.jsonl").read_text().splitlines()
    return [case for case in map(json.loads, lines) if case["profile"] == profile]


@pytest.fixture(scope="module")
def rsm(shared: Path) -> bytes:
    """The largest RSM of the corpus."""
    found = [bytes.fromhex(case["hex"]) for case in corpus(shared) if case["type"] == "RSM"]
    return max(found, key=len)


# 24 frames of each message.
@pytest.mark.parametrize(("profile", "count"), list(zip(PROFILES, [120, 336, 120], strict=True)))
def test_corpus_decodes_to_the_stated_value_and_back_byte_for_byte(
    shared: Path, profile: str, count: int
) -> None:
    codec = codec_for(profile)
    cases = corpus(shared, profile)
    assert len(cases) == count
    for case in cases:
        octets = bytes.fromhex(case["hex"])
        value = codec.decode(octets)
        assert value == case["value"]
        assert codec.message_name(value) == case["type"]
        assert codec.encode(value) == octets


@pytest.mark.parametrize(("profile", "count"), list(zip(PROFILES, [9, 9, 10], strict=True)))
def test_frames_of_other_parties_decode_and_reencode_byte_for_byte(
    shared: Path, profile: str, count: int
) -> None:
    codec = codec_for(profile)
    vectors = json.loads((shared / "vectors" / "csae_vectors.json").read_text())["messages"]
    ours = [vector for vector in vectors if profile in vector["profiles"]]
    assert len(ours) == count
    for vector in ours:
        name = BARE_TYPES.get(vector["message"], FRAME)
        octets = bytes.fromhex(vector["hex"])
        assert codec.decode(octets, name) == vector["decoded"]
        assert codec.encode(vector["decoded"], name) == octets


def values(form: forms.Form) -> st.SearchStrategy[Any]:
    """Every value of a type, short lists preferred."""
    match form:
        case OpenTypeForm():
            id_field = form.open_type.id_field
            known = [
                values(form.resolve(name)[1]).map(
                    lambda value, number=number, name=name: {
                        id_field: number,
                        form.field: {name: value},
                    }
                )
                for number, name in form.open_type.types.items()
            ]
            ids = next(inner for name, inner, _ in form.members if name == id_field)
            unknown = st.fixed_dictionaries(
                {
                    id_field: values(ids).filter(lambda i: i not in form.open_type.types),
                    form.field: st.binary(max_size=200).map(bytes.hex),
                }
            )
            return st.one_of(unknown, *known)
        case forms.SequenceForm():
            return st.fixed_dictionaries(
                {name: values(inner) for name, inner, optional in form.members if not optional},
                optional={
                    name: values(inner) for name, inner, optional in form.members if optional
                },
            )
        case forms.ChoiceForm():
            return st.one_of(
                *(
                    values(inner).map(lambda value, name=name: {name: value})
                    for name, inner in form.alternatives.items()
                )
            )
        case forms.ListForm():
            most = min(form.maximum, form.minimum + 2)
            return st.lists(values(form.element), min_size=form.minimum, max_size=most)
        case forms.IntegerForm():
            return st.integers(form.minimum, form.maximum)
        case forms.EnumeratedForm():
            return st.sampled_from(sorted(form.names))
        case forms.BitsForm():
            high = min(form.maximum, 24)
            return st.text("01", min_size=form.minimum, max_size=high).map(
                lambda bits: {"bits": bits}
            )
        case forms.OctetsForm():
            most = min(form.maximum, form.minimum + 8)
            return st.binary(min_size=form.minimum, max_size=most).map(bytes.hex)
        case forms.TextForm():
            most = min(form.maximum, form.minimum + 8)
            ascii_text = st.characters(max_codepoint=127)
            return st.text(ascii_text, min_size=form.minimum, max_size=most)
        case forms.BooleanForm():
            return st.booleans()
    raise AssertionError(form)


FRAMES = values(CODEC._type(FRAME)[1])


@pytest.mark.parametrize("profile", PROFILES)
def test_every_value_survives_encoding_and_decoding(profile: str) -> None:
    codec = codec_for(profile)

    @settings(deadline=None, max_examples=150, database=None)
    @given(values(codec._type(FRAME)[1]))
    def check(value: dict[str, Any]) -> None:
        assert codec.decode(codec.encode(value)) == value

    check()


def with_bits_of_root_size(value: Any) -> bool:
    """Whether no BIT STRING lies outside its root size.

    pycrate trims zeros of named BIT STRINGs beyond it, so there it is no byte-exact oracle.
    """
    if isinstance(value, dict):
        if set(value) == {"bits"}:
            return len(value["bits"]) in {5, 8, 9, 10, 12, 13, 16}
        return all(with_bits_of_root_size(inner) for inner in value.values())
    return not isinstance(value, list) or all(map(with_bits_of_root_size, value))


def test_values_agree_with_an_independent_codec(pycrate_decode) -> None:
    compared = 0

    @settings(deadline=None, max_examples=100, database=None)
    @given(FRAMES.filter(with_bits_of_root_size))
    def check(value: dict[str, Any]) -> None:
        nonlocal compared
        assert pycrate_decode(CODEC.encode(value)) == value
        compared += 1

    check()
    assert compared >= 50


# ── BIT STRINGs beyond their root size ────────────────────────────────────────────────────────────

# LaneAttributes: shareWith absent (0), laneType root (0), alternative 0 of 8 (000), the string.
LANE = "LaneAttributes"


def lane(bits: str) -> dict[str, Any]:
    return {"laneType": {"vehicle": {"bits": bits}}}


@pytest.mark.parametrize(
    ("bits", "encoded"),
    [
        ("10000001", "0" + "0000" + "0" + "10000001"),
        ("", "0" + "0000" + "1" + "00000000"),
        ("101", "0" + "0000" + "1" + "00000011" + "101"),
        ("1000000000", "0" + "0000" + "1" + "00001010" + "1000000000"),
        ("01" * 100, "0" + "0000" + "1" + "1000000011001000" + "01" * 100),
    ],
)
def test_bit_string_outside_its_root_size_carries_its_own_length(bits: str, encoded: str) -> None:
    padded = encoded.ljust(-(-len(encoded) // 8) * 8, "0")
    octets = int(padded, 2).to_bytes(len(padded) // 8, "big")
    assert CODEC.encode(lane(bits), LANE) == octets
    assert CODEC.decode(octets, LANE) == lane(bits)


def test_bit_string_too_long_to_handle_is_refused() -> None:
    with pytest.raises(EncodeError, match="16384 bits"):
        CODEC.encode(lane("0" * 16_384), LANE)


def test_fragmented_bit_string_is_refused() -> None:
    octets = int("0000" + "01" + "11000001" + "00" * 5, 2).to_bytes(3, "big")
    with pytest.raises(DecodeError):
        CODEC.decode(octets + bytes(4000), LANE)


# ── what does not fit ─────────────────────────────────────────────────────────────────────────────


def spoilt(shared: Path, change: Any) -> dict[str, Any]:
    value = next(case["value"] for case in corpus(shared) if case["type"] == "RSM")
    change(value["rsmFrame"])
    return value


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m: m.update(msgCnt=128), r"rsmFrame\.msgCnt: 128 is outside 0\.\.127"),
        (lambda m: m.update(msgCnt=True), r"rsmFrame\.msgCnt: an integer is wanted"),
        (lambda m: m.update(msgCnt=1.0), r"rsmFrame\.msgCnt: an integer is wanted"),
        (lambda m: m.update(msgCnt=10**5000), r"integer of 16610 bits"),
        (lambda m: m.update(id="00"), r"rsmFrame\.id: 1 octets, 8\.\.8"),
        (lambda m: m.update(id="xx" * 8), r"rsmFrame\.id: octets in hex"),
        (lambda m: m.update(id=bytes(8)), r"rsmFrame\.id: octets in hex"),
        (lambda m: m.update(participants=[]), r"participants: 0 elements, 1\.\.16"),
        (lambda m: m.update(participants={}), r"participants: an array is wanted"),
        (lambda m: m.update(participants=m["participants"] * 17), r"17 elements"),
        (lambda m: m.update(unheard=1), r"rsmFrame: unknown member 'unheard'"),
        (lambda m: m.pop("id"), r"rsmFrame\.id: missing"),
        (
            lambda m: m["participants"][0].update(ptcType="tram"),
            r"rsmFrame\.participants\[0\]\.ptcType: 'tram' is none of",
        ),
        (
            lambda m: m["participants"][0]["pos"].update(offsetLL={"a": 1, "b": 2}),
            r"pos\.offsetLL: an object with one key",
        ),
        (
            lambda m: m["participants"][0]["pos"].update(offsetLL={"position-LL9": 1}),
            r"'position-LL9' is none of",
        ),
        (
            lambda m: m["participants"][0]["pos"].update(
                offsetLL={"position-LL1": {"lon": 2048, "lat": 0}}
            ),
            r"offsetLL\.position-LL1\.lon: 2048 is outside -2048\.\.2047",
        ),
    ],
)
def test_value_that_does_not_fit_is_refused_with_its_path(
    shared: Path, change: Any, text: str
) -> None:
    with pytest.raises(EncodeError, match=text):
        CODEC.encode(spoilt(shared, change))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LaneSharing", {"bits": "01"}),
        ("LaneSharing", {"bits": "012345678901"}),
        ("LaneSharing", "0000000000"),
        ("DescriptiveName", ""),
        ("DescriptiveName", "Kreuzung Süd"),
        ("DescriptiveName", "x" * 64),
        ("DescriptiveName", 7),
        (FRAME, None),
        (FRAME, [{}]),
        (FRAME, {"rsmFrame": 1}),
        (FRAME, {7: {}}),
        (FRAME, {}),
    ],
)
def test_other_values_that_do_not_fit_are_refused(name: str, value: Any) -> None:
    with pytest.raises(EncodeError):
        CODEC.encode(value, name)


def test_decoded_numbers_and_sizes_are_checked_too() -> None:
    # MinuteOfTheYear has 20 bits for 0..527040; TimeMark 16 bits for 0..36001.
    with pytest.raises(DecodeError, match=r"527041 is outside 0\.\.527040"):
        CODEC.decode((527_041 << 4).to_bytes(3, "big"), "MinuteOfTheYear")
    with pytest.raises(DecodeError, match="36002 is outside"):
        CODEC.decode((36_002).to_bytes(2, "big"), "TimeMark")
    # DescriptiveName: 6 bits for 1..63, so 63 means 64 characters.
    with pytest.raises(DecodeError, match="64 characters"):
        CODEC.decode(b"\xff" * 56 + b"\xfc", "DescriptiveName")


def test_unknown_profile_and_unknown_type_are_refused() -> None:
    with pytest.raises(CodecError, match="csae53_2099"):
        Codec("csae53_2099")
    with pytest.raises(CodecError, match="NoSuchType"):
        CODEC.decode(b"\x00", "NoSuchType")


def test_codec_of_a_profile_is_built_once() -> None:
    assert codec_for(PROFILE) is CODEC


@pytest.mark.parametrize("value", [{}, {"tramFrame": {}}, {"rsmFrame": {}, "bsmFrame": {}}])
def test_name_of_what_is_no_frame_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(CodecError):
        CODEC.message_name(value)


# ── foreign octets ────────────────────────────────────────────────────────────────────────────────


def test_octets_after_the_message_are_refused(rsm: bytes) -> None:
    with pytest.raises(DecodeError, match="2 octets too many"):
        CODEC.decode(rsm + b"\x00\x00")


def test_padding_bits_must_be_zero() -> None:
    assert CODEC.decode(b"\x28", "MsgCount") == 20
    with pytest.raises(DecodeError, match="padding"):
        CODEC.decode(b"\x29", "MsgCount")


@pytest.mark.parametrize("octets", [b"", bytes(MAX_FRAME_OCTETS + 1), bytes(10_000_000)])
def test_frames_of_impossible_length_are_refused_at_once(octets: bytes) -> None:
    with pytest.raises(DecodeError, match="octets, 1"):
        CODEC.decode(octets)


def test_frame_too_long_to_send_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sign = {"rtsId": 0, "signType": 0, "description": {"textGB2312": "ff" * 512}}
    position = {"lat": 0, "long": 0}
    frame = {"rsiFrame": {"msgCnt": 0, "id": "00" * 8, "refPos": position, "rtss": [sign] * 15}}
    monkeypatch.setattr("rsu.v2x.codec.MAX_FRAME_OCTETS", 8192)
    assert len(CODEC.encode(frame)) <= 8192
    frame["rsiFrame"]["rtss"] = [sign] * 16
    with pytest.raises(EncodeError, match="at most 8192"):
        CODEC.encode(frame)


def test_phase_two_frame_is_refused_as_unknown(shared: Path) -> None:
    lines = (shared / "vectors" / "csae_corpus.jsonl").read_text().splitlines()
    later = [case for case in map(json.loads, lines) if case["type"] == "SSM"]
    assert later
    for case in later:
        with pytest.raises(DecodeError):
            CODEC.decode(bytes.fromhex(case["hex"]))


def test_enumeration_value_of_a_later_version_is_refused() -> None:
    # ParticipantType with its extension bit set and index 0 of the additions.
    with pytest.raises(DecodeError, match="does not have"):
        CODEC.decode(b"\x80", "ParticipantType")


def decode_or_refuse(codec: Codec, octets: bytes) -> None:
    try:
        value = codec.decode(octets)
    except DecodeError:
        return
    json.dumps(value, allow_nan=False)
    codec.message_name(value)
    codec.encode(value)


@pytest.mark.parametrize("profile", PROFILES)
def test_random_octets_are_decoded_or_refused(profile: str) -> None:
    @settings(deadline=None, max_examples=400, database=None)
    @given(st.one_of(st.binary(max_size=400), st.binary(max_size=100).map(b"\x80".__add__)))
    @example(b"\x80" + b"\xff" * 40)
    @example(b"\x10" + b"\xff" * 8192)
    @example(b"\xff" * MAX_FRAME_OCTETS)
    @example(b"\x00" * MAX_FRAME_OCTETS)
    def check(octets: bytes) -> None:
        decode_or_refuse(codec_for(profile), octets)

    check()


@pytest.mark.parametrize("profile", PROFILES)
def test_damaged_frames_are_decoded_or_refused(shared: Path, profile: str) -> None:
    frames = [bytes.fromhex(case["hex"]) for case in corpus(shared, profile)]

    @settings(deadline=None, max_examples=300, database=None)
    @given(st.sampled_from(frames), st.data())
    def check(frame: bytes, data: st.DataObject) -> None:
        damaged = bytearray(frame)
        for _ in range(data.draw(st.integers(1, 4))):
            bit = data.draw(st.integers(0, 8 * len(damaged) - 1))
            damaged[bit // 8] ^= 0x80 >> bit % 8
        cut = data.draw(st.integers(1, len(damaged)))
        decode_or_refuse(codec_for(profile), bytes(damaged))
        decode_or_refuse(codec_for(profile), bytes(damaged[:cut]))

    check()
