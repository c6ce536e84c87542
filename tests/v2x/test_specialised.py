"""The written code against the plain codec: same octets, values, verdicts and errors."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from rsu.v2x.codec import FRAME, PROFILES, codec_for
from rsu.v2x.errors import CodecError, DecodeError, EncodeError


def frames(shared: Path, profile: str) -> list[bytes]:
    name = "j2735_corpus.jsonl" if profile == "j2735_2024" else "csae_corpus.jsonl"
    cases = map(json.loads, (shared / "vectors" / name).read_text().splitlines())
    return [bytes.fromhex(c["hex"]) for c in cases if c.get("profile", profile) == profile]


@pytest.mark.parametrize("profile", PROFILES)
def test_corpus_is_taken_by_the_written_code_as_by_the_plain_one(shared: Path, profile) -> None:
    codec = codec_for(profile)
    for octets in frames(shared, profile):
        value = codec.plain.decode(octets, FRAME)
        # dumps: the order of members too.
        assert json.dumps(codec.decode(octets)) == json.dumps(value)
        assert codec.encode(value) == octets
        if "axles" not in json.dumps(value).lower():  # INTEGERs outside an extensible root
            assert codec.specialised.decode(octets, FRAME) == value
            assert codec.specialised.encode(value, FRAME) == octets


@pytest.mark.parametrize("examples", [20, pytest.param(500, marks=pytest.mark.long)])
@pytest.mark.parametrize("profile", PROFILES)
def test_any_value_has_the_octets_of_the_plain_codec(
    profile: str, examples: int, any_value: Any
) -> None:
    codec = codec_for(profile)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(any_value(profile, FRAME))
    def check(value: Any) -> None:
        octets = codec.plain.encode(value, FRAME)
        assert codec.encode(value) == octets
        assert codec.decode(octets) == value

    check()


@pytest.mark.parametrize("profile", PROFILES)
def test_damaged_frames_get_the_verdict_of_the_plain_codec(shared: Path, profile: str) -> None:
    codec, choice = codec_for(profile), Random(profile)
    verdicts = set()
    for frame in frames(shared, profile)[::2]:
        for _ in range(3):
            octets = bytearray(frame)
            for _ in range(choice.randint(1, 3)):
                octets[choice.randrange(len(octets))] ^= 1 << choice.randrange(8)
            if choice.random() < 0.3:
                del octets[choice.randint(1, len(octets)) :]
            try:
                expected = codec.plain.decode(bytes(octets), FRAME)
            except DecodeError:
                verdicts.add("refused")
                with pytest.raises(DecodeError):
                    codec.decode(bytes(octets))
            else:
                verdicts.add("read")
                assert codec.decode(bytes(octets)) == expected
    assert verdicts == {"refused", "read"}


def _encoded_or_error(encode: Callable[[], bytes]) -> bytes | str:
    try:
        return encode()
    except EncodeError as error:
        return str(error)


BAD = [True, False, 1.0, None, "x", "", "0_1", " 1", 10**30, -(10**30), [], {}, [1], {"x": 1}]


@pytest.mark.parametrize("profile", PROFILES)
def test_spoilt_values_get_the_error_of_the_plain_codec(shared: Path, profile: str) -> None:
    codec, choice = codec_for(profile), Random(profile)
    refused = 0
    for frame in frames(shared, profile)[::3]:
        value = copy.deepcopy(codec.plain.decode(frame, FRAME))
        node: Any = value
        while True:  # down to some leaf, or a container on the way
            key = choice.choice(list(node) if isinstance(node, dict) else range(len(node)))
            if not isinstance(node[key], (dict, list)) or not node[key] or choice.random() < 0.1:
                break
            node = node[key]
        if isinstance(node, dict) and choice.random() < 0.2:
            node["surplus"] = 1
        else:
            node[key] = choice.choice(BAD)
        expected = _encoded_or_error(partial(codec.plain.encode, value, FRAME))
        refused += isinstance(expected, str)
        assert _encoded_or_error(partial(codec.encode, value)) == expected
    assert refused > 10


@pytest.mark.parametrize("profile", PROFILES)
def test_code_is_written_for_every_type(profile: str) -> None:
    generator = codec_for(profile).specialised
    uncovered = set()
    for name in generator.schema:
        try:
            generator.functions_of(name)
        except CodecError:
            raise
        except Exception:
            uncovered.add(name)
    assert uncovered == set()


@pytest.mark.parametrize("octets", [127, 128, 16_383, 16_384, 40_000])
def test_lengths_of_open_types_at_their_steps(octets: int) -> None:
    codec = codec_for("j2735_2024")
    value = {"messageId": 99, "value": "a5" * octets}
    assert codec.specialised.encode(value, FRAME) == codec.plain.encode(value, FRAME)
    assert codec.specialised.decode(codec.encode(value), FRAME) == value


def test_good_frames_do_not_import_asn1tools() -> None:
    program = (
        "import sys; from rsu.v2x.codec import codec_for; c = codec_for('csae53_2020');"
        "o = c.encode({'spatFrame': {'msgCnt': 1, 'intersections': [{'intersectionId':"
        "{'id': 1}, 'status': {'bits': '0' * 16}, 'phases': [{'id': 1, 'phaseStates':"
        "[{'light': 'dark'}]}]}]}});"
        "c.decode(o); sys.exit('asn1tools' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
