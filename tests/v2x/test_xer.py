"""XER: another codec's XML reads to the value it was written from; a foreign sample encodes."""

from __future__ import annotations

import json
from pathlib import Path

import asn1tools
import pytest

from rsu.v2x.codec import FRAME, codec_for, schema_text
from rsu.v2x.errors import CodecError, DecodeError
from rsu.v2x.xer import read_xer


@pytest.fixture(scope="module")
def xer_writer() -> asn1tools.compiler.Specification:
    return asn1tools.compile_string(schema_text("csae53_2020"), "xer")


def test_xml_written_by_another_codec_reads_to_its_value(
    shared: Path, xer_writer: asn1tools.compiler.Specification
) -> None:
    codec = codec_for("csae53_2020")
    _, form = codec.plain.type(FRAME)
    lines = (shared / "vectors" / "csae_corpus.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    frames = [bytes.fromhex(one["hex"]) for one in records if one["profile"] == "csae53_2020"]
    assert len(frames) > 100
    for frame in frames[::5]:
        value = codec.decode(frame)
        text = xer_writer.encode(FRAME, form.native(value)).decode("utf-8")
        assert read_xer(text, codec) == (FRAME, value)


def test_a_foreign_tim_in_xml_encodes(shared: Path) -> None:
    codec = codec_for("j2735_2024")
    text = (shared / "data" / "map" / "tim_2024.xml").read_text(encoding="utf-8")
    name, tim = read_xer(text, codec)
    assert name == "TravelerInformation"
    (part,) = tim["dataFrames"]
    assert part["msgId"]["roadSignID"]["position"] == {
        "lat": 281185423, "long": -818311882, "elevation": 220,
    }  # fmt: skip
    assert part["regions"][0]["closedPath"] is True
    assert part["regions"][0]["direction"] == {"bits": "1100000000000001"}
    assert part["content"] == {"workZone": [{"item": {"itis": 769}}]}
    octets = codec.encode(codec.frame("TIM", tim))
    assert codec.decode(octets)["value"] == {"TravelerInformation": tim}


def test_contents_of_an_open_type_stand_inside_their_name() -> None:
    codec = codec_for("j2735_2024")
    text = """<MessageFrame><messageId>18</messageId><value><MapData>
        <msgIssueRevision>3</msgIssueRevision></MapData></value></MessageFrame>"""
    wanted = {"messageId": 18, "value": {"MapData": {"msgIssueRevision": 3}}}
    assert read_xer(text, codec) == (FRAME, wanted)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<MapData><msgIssueRevision>3</msgIssueRevision>", "not XML"),
        ("<Nonsense/>", "no type of j2735_2024"),
        ("<MapData><msgIssueRevision>x</msgIssueRevision></MapData>", "msgIssueRevision: an int"),
        ("<MapData><msgIssueRevision>128</msgIssueRevision></MapData>", "outside 0..127"),
        ("<MapData><wrong/></MapData>", "unknown member 'wrong'"),
        ("<MapData/>", "msgIssueRevision: missing"),
        (
            "<MapData><msgIssueRevision>1</msgIssueRevision><msgIssueRevision>1</msgIssueRevision>"
            "</MapData>",
            "twice",
        ),
        ("<MessageFrame><messageId>18</messageId></MessageFrame>", "0 times"),
        (
            "<MessageFrame><messageId>18</messageId><value><SPAT/></value></MessageFrame>",
            "<MapData> is wanted",
        ),
        ('<!DOCTYPE a [<!ENTITY b "c">]><MapData>&b;</MapData>', "document type"),
        ("<MapData>" * 5000 + "</MapData>" * 5000, "unknown member"),
    ],
)
def test_what_is_wrong_is_named(text: str, told: str) -> None:
    with pytest.raises(CodecError, match=told):
        read_xer(text, codec_for("j2735_2024"))


def test_nesting_has_an_end() -> None:
    """ItemChoice of nested regional content is not endless, but text may pretend to be."""
    with pytest.raises(DecodeError):
        read_xer("<a>" * 100_000 + "</a>" * 100_000, codec_for("j2735_2024"))
