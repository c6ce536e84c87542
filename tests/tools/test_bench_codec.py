"""The codec's benchmark: its codecs agree, and what it hands to asn1c is a module of its own."""

from __future__ import annotations

import asn1tools
import pytest

from rsu.v2x.codec import FRAME, codec_for
from tools import bench_codec


@pytest.mark.parametrize(("title", "profile", "make"), bench_codec.CASES)
def test_asn1tools_agrees_on_what_is_measured(title, profile, make) -> None:
    value = make()
    octets = codec_for(profile).encode(value)
    theirs = bench_codec._asn1tools(profile, value, bench_codec._specification(profile))
    assert theirs.ways["encode"]() == octets


@pytest.mark.parametrize(
    ("profile", "name"), [("csae53_2020", FRAME), ("j2735_2024", "BasicSafetyMessage")]
)
def test_text_of_one_type_compiles_alone(profile: str, name: str) -> None:
    text = bench_codec.closure(profile, name)
    (module,) = asn1tools.parse_string(text).values()
    assert name in module["types"]
    assert "WorkZone" not in module["types"]
    asn1tools.compile_string(text, "uper")
