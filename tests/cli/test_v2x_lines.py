"""`rsu v2x decode` and `encode` for scripts: every source, every failure, there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from rsu.cli.v2x_commands import UnreadableSourceError, v2x
from rsu.recording.writer import McapFile
from rsu.schema.message import Message
from rsu.schema.topics import V2X_RX, V2X_TX
from rsu.schema.v2x import ReceivedV2x, V2xFrame
from rsu.v2x.codec import codec_for

POSITION = {"lat": 0, "long": 0}
VALUE = {"rsiFrame": {"msgCnt": 3, "id": "0011223344556677", "refPos": POSITION}}
OCTETS = codec_for("csae53_2020").encode(VALUE)
DECODED = {"profile": "csae53_2020", "message": "RSI", "hex": OCTETS.hex(), "value": VALUE}


def run(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(v2x, arguments, input=given, standalone_mode=False)


def records(result: Result) -> list[dict[str, Any]]:
    assert result.exception is None, result.exception
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    "text",
    [OCTETS.hex(), OCTETS.hex().upper(), "0x" + OCTETS.hex(), OCTETS.hex(" ")],
    ids=["lower", "upper", "0x", "blanks"],
)
@pytest.mark.parametrize("flags", [[], ["--hex"]])
def test_frame_in_hex_on_the_command_line(text: str, flags: list[str]) -> None:
    result = run("decode", *flags, text)
    assert records(result) == [DECODED]
    assert result.return_value == 0


@pytest.mark.parametrize("profile", ["csae53_2020", "csae157_2020", "legacy_20190724"])
def test_corpus_of_every_profile_there_and_back(shared: Path, tmp_path: Path, profile: str) -> None:
    corpus = (shared / "vectors" / "csae_corpus.jsonl").read_text().splitlines()
    cases = [case for case in map(json.loads, corpus) if case["profile"] == profile][::7]
    lines = tmp_path / "frames.txt"
    lines.write_text("\n".join(case["hex"] for case in cases))
    decoded = run("decode", "--profile", profile, str(lines))
    assert [(r["message"], r["value"]) for r in records(decoded)] == [
        (case["type"], case["value"]) for case in cases
    ]
    encoded = run("encode", "--profile", profile, given=decoded.stdout)
    assert encoded.stdout.split() == [case["hex"] for case in cases]


def test_bare_content_of_a_second_phase_message_gets_its_frame() -> None:
    content = json.dumps({"msgCnt": 0, "userData": "00"})
    result = run("encode", "--profile", "csae157_2020", "--message", "TEST", given=content)
    assert result.stdout.strip() == "800700000400000000"


def test_lines_on_standard_input_each_answered(shared: Path) -> None:
    lines = ["", OCTETS.hex(), "zz", json.dumps({"hex": OCTETS.hex(), "time": 7}), "{", "00", "{}"]
    result = run("decode", given="\n".join(lines))
    found = records(result)
    assert result.return_value == 1
    assert [record.get("line") for record in found] == [2, 3, 4, 5, 6, 7]
    assert [record.get("message") for record in found] == ["RSI", None, "RSI", None, None, None]
    assert found[2]["time"] == 7
    for record in (found[1], *found[3:]):
        assert record["error"]
        assert "value" not in record


@pytest.mark.parametrize(
    "given",
    [
        b"\xff\xfe\x00\n",
        b'{"hex": 5}\n',
        b'{"hex": "20"}\n',
        b"[" * 100_000 + b"\n",
        b'{"a":' * 100_000 + b"\n",
        b"00" * 6_000_000 + b"\n",
    ],
    ids=["no text", "number", "short", "brackets", "nested", "6 MB"],
)
def test_bad_line_is_an_error_object_and_no_traceback(given: bytes) -> None:
    result = run("decode", given=given)
    (record,) = records(result)
    assert record["error"]
    assert len(result.stdout) < 300
    assert result.return_value == 1


def test_file_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "frames.txt"
    path.write_text(f"{OCTETS.hex()}\n{OCTETS.hex()}\n")
    assert records(run("decode", str(path))) == [{"line": 1, **DECODED}, {"line": 2, **DECODED}]


def test_binary_file_is_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "frame.uper"
    path.write_bytes(OCTETS)
    assert records(run("decode", str(path))) == [DECODED]


def test_binary_file_that_is_no_frame_is_an_error_object(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(bytes(100_000))
    result = run("decode", str(path))
    assert "65536 octets" in records(result)[0]["error"]
    assert result.return_value == 1


@pytest.mark.parametrize("name", ["missing.txt", "missing.mcap", "abc"])
def test_missing_source_is_bad_usage(tmp_path: Path, name: str) -> None:
    result = run("decode", str(tmp_path / name))
    assert isinstance(result.exception, UnreadableSourceError)
    assert result.exception.exit_code == 2


def test_file_that_only_claims_to_be_a_recording_is_bad_usage(tmp_path: Path) -> None:
    path = tmp_path / "out.mcap"
    path.write_bytes(b"not a recording")
    assert isinstance(run("decode", str(path)).exception, UnreadableSourceError)


START_NS = 1_750_000_000 * 10**9  # 2025-06-15T15:06:40Z


def test_every_v2x_frame_of_a_recording(tmp_path: Path) -> None:
    path, start_ns = tmp_path / "out.mcap", START_NS
    frame = V2xFrame(
        profile="csae53_2020",
        message="RSI",
        payload=OCTETS,
        network=b"",
        aid=3620,
        priority=0,
        value={"not": "what the octets say"},
        time_ns=start_ns,
    )
    sent = [Message.draft(V2X_TX, "v2x", start_ns, frame).stamped(start_ns, 0, start_ns + 42)]
    heard = ReceivedV2x(radio="pc5", capture_ns=start_ns + 50, payload=OCTETS)
    broken = ReceivedV2x(radio="pc5", capture_ns=start_ns + 60, payload=b"\x00")
    for seq, payload in enumerate((heard, broken)):
        draft = Message.draft(V2X_RX, "pc5", payload.capture_ns, payload)
        sent.append(draft.stamped(start_ns, seq, payload.capture_ns))
    with McapFile(path, {}) as recording:
        for message in sent:
            recording.write(message)

    result = run("decode", str(path))
    first, second, third = records(result)
    assert first == {"time": start_ns + 42, "topic": "v2x/tx", **DECODED}
    assert second == {"time": start_ns + 50, "topic": "v2x/rx", **DECODED}
    assert third["hex"] == "00"
    assert third["error"]
    assert result.return_value == 1
    assert records(run("decode", str(tmp_path))) == [first, second, third]


@pytest.mark.parametrize("command", ["decode", "encode"])
def test_unknown_profile_is_bad_usage(command: str) -> None:
    result = run(command, "--profile", "csae53_2017", given="")
    assert isinstance(result.exception, click.BadParameter)
    assert result.exception.exit_code == 2


def test_what_is_decoded_encodes_to_the_same_octets(shared: Path) -> None:
    lines = (shared / "vectors" / "csae_corpus.jsonl").read_text().splitlines()
    frames = [case["hex"] for case in map(json.loads, lines) if case["profile"] == "csae53_2020"]
    decoded = run("decode", given="\n".join(frames))
    assert len(records(decoded)) == 120
    encoded = run("encode", given=decoded.stdout)
    assert encoded.stdout.split() == frames
    assert encoded.return_value == 0


@pytest.mark.parametrize(
    ("arguments", "line"),
    [([], VALUE), ([], {"value": VALUE}), (["--message", "RSI"], VALUE["rsiFrame"])],
)
def test_values_encode_with_and_without_their_frame(arguments: list[str], line: Any) -> None:
    result = run("encode", *arguments, given=json.dumps(line) + "\n\n")
    assert result.stdout.split() == [OCTETS.hex()]


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "NaN", '{"rsiFrame": {}}', '{"rsmFrame": {"msgCnt": 1e999}}', "[" * 100_000],
    ids=["cut", "array", "NaN", "missing", "infinite", "brackets"],
)
def test_value_that_does_not_fit_is_told_with_its_line(line: str) -> None:
    result = run("encode", given=f"{json.dumps(VALUE)}\n{line}\n")
    assert result.exception is None
    assert result.stdout.split() == [OCTETS.hex()]
    assert result.stderr.startswith("line 2: ")
    assert result.return_value == 1


def test_unknown_message_is_bad_usage() -> None:
    result = run("encode", "--message", "CAM", given="{}")
    assert isinstance(result.exception, click.BadParameter)


@pytest.mark.parametrize("arguments", [["--help"], ["decode", "--help"], ["encode", "--help"]])
def test_help_has_an_example(arguments: list[str]) -> None:
    assert "Example" in run(*arguments).output


def test_a_frame_longer_than_a_file_name_may_be_is_read_from_the_command_line() -> None:
    codec = codec_for("csae157_2020")
    frame = codec.frame("TEST", {"msgCnt": 1, "userData": "ab" * 1500})
    octets = codec.encode(frame).hex()
    result = CliRunner().invoke(v2x, ["decode", "--profile", "csae157_2020", octets])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["value"] == frame
