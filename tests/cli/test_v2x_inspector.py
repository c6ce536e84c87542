"""`rsu v2x` beyond bare frames: headers, captures, SI, trees, findings, differences, suspicion."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from rsu.cli.v2x_commands import UnreadableSourceError, v2x
from rsu.schema import uplink_frame
from rsu.v2x.codec import codec_for
from rsu.v2x.network import dsmp

NODE = {"region": 1, "id": 9}
PLACE = {"lat": 312304000, "long": 1214737000}
PARTICIPANT = {
    "ptcType": "rsu",
    "ptcId": 0,
    "source": "selfinfo",
    "secMark": 40_000,
    "pos": {"offsetLL": {"position-LL1": {"lon": 0, "lat": 0}}},
    "posConfidence": {"pos": "a1m"},
    "speed": 0,
    "heading": 28800,
    "size": {"width": 0, "length": 0},
}


def rsm(*changes: dict[str, Any], count: int = 1) -> dict[str, Any]:
    participants = [{**PARTICIPANT, **each} for each in changes or ({},)]
    return {
        "rsmFrame": {
            "msgCnt": count, "id": "11" * 8, "refPos": PLACE, "participants": participants,
        }
    }  # fmt: skip


def spat(*phases: int, count: int = 1) -> dict[str, Any]:
    timing = {"counting": {"startTime": 0, "likelyEndTime": 30}}
    return {
        "spatFrame": {
            "msgCnt": count,
            "moy": 5,
            "timeStamp": 0,
            "intersections": [
                {
                    "intersectionId": NODE,
                    "status": {"bits": "0" * 16},
                    "phases": [
                        {"id": each, "phaseStates": [{"light": "red", "timing": timing}]}
                        for each in phases
                    ],
                }
            ],
        }
    }


def map_with(*phases: int) -> dict[str, Any]:
    lane = {"laneID": 1, "laneAttributes": {"laneType": {"vehicle": {"bits": "0" * 8}}}}
    link = {
        "upstreamNodeId": {"region": 1, "id": 8},
        "linkWidth": 350,
        "points": [
            {"posOffset": {"offsetLL": {"position-LL1": {"lon": n, "lat": n}}}} for n in (1, 9)
        ],
        "movements": [{"remoteIntersection": {"id": 7}, "phaseId": each} for each in phases],
        "lanes": [lane],
    }  # fmt: skip
    return {"mapFrame": {"msgCnt": 1, "nodes": [{"id": NODE, "refPos": PLACE, "inLinks": [link]}]}}


def hex_of(value: dict[str, Any], profile: str = "csae53_2020") -> str:
    return codec_for(profile).encode(value).hex()


def run(*arguments: str, given: str | bytes | None = None) -> Result:
    result = CliRunner().invoke(v2x, arguments, input=given, standalone_mode=False)
    if isinstance(result.exception, click.ClickException):
        return result
    assert result.exception is None, result.exception
    return result


def records(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


# --- Headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message", "via"),
    [
        ("pc5_wsmp_bsm.hex", "BSM", ["pc5", "wsmp", "ieee1609dot2"]),
        ("spdu_signed_tim.hex", "TIM", ["ieee1609dot2", "ieee1609dot2"]),
    ],
)
def test_stacks_of_other_parties_unwrap(
    shared: Path, name: str, message: str, via: list[str]
) -> None:
    path = shared / "vectors" / name
    (record,) = records(run("decode", "--profile", "j2735_2024", str(path)))
    assert (record["message"], record["via"]) == (message, via)
    assert record["hex"] in path.read_text()
    assert codec_for("j2735_2024").decode(bytes.fromhex(record["hex"])) == record["value"]


def test_uplink_frames_of_a_deployed_unit_unwrap(shared: Path) -> None:
    vectors = json.loads((shared / "vectors" / "csae_vectors.json").read_text())
    lines = "\n".join(frame["hex"] for frame in vectors["uplink_frames"])
    result = run("decode", given=lines)
    assert result.return_value == 0
    found = records(result)
    assert [(r["line"], r["message"], r["via"]) for r in found] == [
        (1, "SPAT", ["uplink_frame"]),
        (2, "BSM", ["uplink_frame"]),
        (2, "BSM", ["uplink_frame"]),
        (3, "RSM", ["uplink_frame"]),
    ]
    assert [(r.get("part"), r.get("parts")) for r in found] == [
        (None, None), (1, 2), (2, 2), (None, None),
    ]  # fmt: skip


def test_headers_stay_on_when_asked() -> None:
    wrapped = dsmp.build(3623, bytes.fromhex(hex_of(rsm()))).hex()
    (record,) = records(run("decode", wrapped))
    assert (record["hex"], record["via"]) == (hex_of(rsm()), ["dsmp"])
    assert record["layers"][0]["aid"] == 3623
    (record,) = records(run("decode", "--unwrap", "never", wrapped))
    assert record["error"]
    (record,) = records(run("decode", "--unwrap", "always", hex_of(rsm())))
    assert "no layer" in record["error"]


def test_a_header_around_nothing_readable_says_both() -> None:
    frame = uplink_frame.build(b"unit0001", 1_750_000_000_000, [b"\xff\xff"], counted=False)
    result = run("decode", frame.hex())
    (record,) = records(result)
    assert (record["via"], record["hex"]) == (["uplink_frame"], "ffff")
    assert record["error"]
    assert result.return_value == 1


def pcap(*payloads: bytes) -> bytes:
    """Raw IPv4 (link type 101), UDP, one packet per 100 ms from 1 750 000 000 s on."""
    octets = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 101)
    for number, payload in enumerate(payloads):
        udp = struct.pack(">HHHH", 5000, 6000, 8 + len(payload), 0) + payload
        head = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, b"\x0a\0\0\1", b"\x0a\0\0\2"
        )
        packet = head + udp
        octets += struct.pack("<IIII", 1_750_000_000, number * 100_000, len(packet), len(packet))
        octets += packet
    return octets


@pytest.mark.parametrize("by_stdin", [False, True])
def test_capture(tmp_path: Path, by_stdin: bool) -> None:
    path = tmp_path / "air.pcap"
    wrapped = dsmp.build(3623, bytes.fromhex(hex_of(rsm())))
    path.write_bytes(pcap(wrapped, bytes.fromhex(hex_of(spat(1)))))
    result = run("decode", given=path.read_bytes()) if by_stdin else run("decode", str(path))
    first, second = records(result)
    assert first["time"] == 1_750_000_000_000_000_000
    assert (first["source"], first["destination"]) == ("10.0.0.1:5000", "10.0.0.2:6000")
    assert (first["message"], first["via"]) == ("RSM", ["dsmp"])
    assert second["message"] == "SPAT"
    assert second["time"] - first["time"] == 100_000_000


# --- What it means --------------------------------------------------------------------------------


def test_si_values_stand_beside_a_value_that_still_encodes() -> None:
    moving = {"ptcType": "motor", "ptcId": 7, "source": "video", "speed": 1234, "heading": 7200}
    (record,) = records(run("decode", "--si", hex_of(rsm({}, moving))))
    si = record["si"]
    assert si["rsmFrame.participants[1].speed"] == {"value": 24.68, "unit": "m/s"}
    assert si["rsmFrame.participants[1].heading"] == {"value": 90.0, "unit": "deg"}
    assert si["rsmFrame.participants[0].heading"] == {
        "value": None, "unit": "deg", "unavailable": True,
    }  # fmt: skip
    assert si["rsmFrame.refPos.lat"] == {"value": 31.2304, "unit": "deg"}
    assert run("encode", given=json.dumps(record)).stdout.strip() == record["hex"]


def test_tree_is_plain_text_off_a_terminal() -> None:
    text = run("decode", "--tree", hex_of(rsm())).stdout
    assert "\x1b" not in text
    lines = [line.split() for line in text.splitlines()]
    assert ["│", "├─", "lat", "312304000", "31.2304", "deg"] in lines
    assert any(line[-2:] == ["28800", "unavailable"] for line in lines)


def test_encode_takes_the_profile_that_a_line_names() -> None:
    frame = codec_for("csae157_2020").frame("TEST", {"msgCnt": 0, "userData": "00"})
    line = json.dumps({"profile": "csae157_2020", "value": frame})
    assert run("encode", given=line).stdout.strip() == "800700000400000000"
    assert run("encode", "--profile", "csae53_2020", given=line).return_value == 1


# --- Findings -------------------------------------------------------------------------------------


def findings(*values: dict[str, Any], more: tuple[str, ...] = ()) -> tuple[int, list[Any]]:
    result = run("inspect", "--json", *more, given="\n".join(map(hex_of, values)))
    found = [each for record in records(result) for each in record["findings"]]
    return result.return_value, [(each["severity"], each["path"], each["text"]) for each in found]


def test_a_sound_message_has_no_errors() -> None:
    code, found = findings(rsm({}, {"ptcType": "motor", "ptcId": 1, "source": "video"}))
    assert code == 0
    assert {severity for severity, _, _ in found} == {"note"}


@pytest.mark.parametrize(
    ("value", "path", "text"),
    [
        (rsm({"ptcId": 5}), "rsmFrame.participants", "no participant 0"),
        (rsm({}, {"ptcId": 4}, {"ptcId": 4}), "rsmFrame.participants", "2 participants have"),
        (rsm({}, {"ptcId": 300}), "rsmFrame.participants[1].ptcId", "outside 0..255"),
        (rsm({"ptcType": "motor"}), "rsmFrame.participants[0].ptcType", "the unit itself"),
        (rsm({"secMark": 62_000}), "rsmFrame.participants[0].secMark", "no time within a minute"),
        (spat(3, 3), "spatFrame.intersections[0].phases", "2 phases have the id 3"),
    ],
)
def test_broken_rule_is_an_error(value: dict[str, Any], path: str, text: str) -> None:
    code, found = findings(value)
    assert code == 1
    assert any(s == "error" and p == path and text in t for s, p, t in found), found


def test_map_and_spat_that_disagree() -> None:
    code, found = findings(map_with(1, 2), spat(2, 3))
    texts = [text for severity, _, text in found if severity == "error"]
    assert code == 1
    assert any("SPAT phase 3 governs no movement" in text for text in texts)
    assert any("MAP's phase 1 is missing" in text for text in texts)
    assert findings(map_with(2, 3), spat(2, 3))[0] == 0


def test_counters_with_gaps_and_repeats() -> None:
    _, found = findings(
        rsm(count=126), rsm(count=127), rsm(count=0), rsm(count=4), rsm({}, count=4)
    )
    texts = [text for _, path, text in found if path == "msgCnt"]
    assert texts == ["4 after 0: 3 missing", "4 again: the same frame repeated"]


def test_times_are_judged_by_a_given_moment() -> None:
    event = {
        "rteId": 1,
        "eventType": 401,
        "eventSource": "detection",
        "eventRadius": 10,
        "eventPos": {"offsetLL": {"position-LL1": {"lon": 0, "lat": 0}}},
        "timeDetails": {"startTime": 0, "endTime": 60},
    }
    value = {"rsiFrame": {"msgCnt": 0, "id": "11" * 8, "refPos": PLACE, "rtes": [event]}}
    assert findings(value)[0] == 0
    code, found = findings(value, more=("--now", "2026-01-01T02:00:00Z"))
    assert code == 1
    assert ("error", "rsiFrame.rtes[0].timeDetails.endTime", "over since 60 min") in found
    assert findings(value, more=("--now", "2026-01-01T00:30:00Z"))[0] == 0


def test_spat_that_falls_silent(tmp_path: Path) -> None:
    path = tmp_path / "air.pcap"
    frames = [bytes.fromhex(hex_of(spat(1, count=n))) for n in range(30)]
    path.write_bytes(pcap(*frames[:10], *[b"\x16\xfe\xff"] * 9, *frames[10:]))
    last = records(run("inspect", "--json", str(path)))[-1]
    (text,) = (each["text"] for each in last["findings"])
    assert "longest gap 1.00 s: more than 0.3 s" in text


# --- Differences ----------------------------------------------------------------------------------


def test_same_messages_differ_in_nothing() -> None:
    result = run("diff", hex_of(rsm()), hex_of(rsm()))
    assert (result.return_value, result.stdout) == (0, "")


def test_differences_field_by_field() -> None:
    other = rsm({"speed": 50}, {"ptcId": 9}, count=2)
    result = run("diff", "--json", hex_of(rsm()), hex_of(other), "--ignore", "msgCnt")
    found = {each["path"]: each for each in records(result)}
    assert result.return_value == 1
    assert found["rsmFrame.participants[0].speed"] == {
        "path": "rsmFrame.participants[0].speed",
        "a": {"raw": 0, "si": 0.0, "unit": "m/s"},
        "b": {"raw": 50, "si": 1.0, "unit": "m/s"},
    }
    assert found["rsmFrame.participants[1].ptcId"]["a"] is None
    assert "rsmFrame.msgCnt" not in found
    ignored = ["--ignore", "msgCnt", "--ignore", "rsmFrame.participants[*]"]
    assert run("diff", hex_of(rsm()), hex_of(other), *ignored).return_value == 0


def test_nth_frame_of_a_source(tmp_path: Path) -> None:
    path = tmp_path / "frames.txt"
    path.write_text("\n".join(hex_of(rsm(count=n)) for n in (1, 2)))
    assert run("diff", f"{path}#1", f"{path}#2").return_value == 1
    for bad in (str(path), f"{path}#3", "ffff", str(tmp_path / "none")):
        result = run("diff", bad, hex_of(rsm()))
        assert isinstance(result.exception, UnreadableSourceError), bad
        assert result.exception.exit_code == 2


# --- Profiles -------------------------------------------------------------------------------------


def test_a_frame_of_the_draft_is_suspected_under_the_standard(shared: Path) -> None:
    """Of every frame that decodes to another value under the wrong CSAE set, none is silent."""
    silent, wrong = [], 0
    for line in (shared / "vectors" / "csae_corpus.jsonl").read_text().splitlines():
        case = json.loads(line)
        if case["profile"] not in {"legacy_20190724", "csae157_2020"}:
            continue
        (record,) = records(run("decode", case["hex"]))
        if "value" in record and record["value"] != case["value"]:
            wrong += 1
            silent += [case["hex"]] if "suspicion" not in record else []
    assert wrong == 27  # 2 MAP of the draft; 13 MAP and 12 RSI with additions of 157
    assert silent == []


def test_where_the_unit_stands_decides(shared: Path) -> None:
    """A MAP of the draft that both sets read whole, to different places."""
    for line in (shared / "vectors" / "csae_corpus.jsonl").read_text().splitlines():
        case = json.loads(line)
        if case["profile"] != "legacy_20190724" or case["type"] != "MAP":
            continue
        (other,) = records(run("decode", case["hex"]))
        if "value" in other and other["value"] != case["value"]:
            break
    else:
        pytest.fail("no such frame in the corpus")
    reference = case["value"]["mapFrame"]["nodes"][0]["refPos"]
    near = f"--near={reference['lat'] / 1e7},{reference['long'] / 1e7}"
    (right,) = records(run("decode", "--profile", "legacy_20190724", near, case["hex"]))
    assert right["value"] == case["value"]
    assert "suspicion" not in right
    result = run("decode", near, case["hex"])
    (wrong,) = records(result)
    assert wrong["suspicion"]["confidence"] > 0.9
    assert wrong["suspicion"]["likelier"] == "legacy_20190724"
    assert "may be the wrong profile" in result.stderr


def test_a_profile_that_reads_what_this_one_does_not_is_named() -> None:
    frame = codec_for("csae157_2020").frame("TEST", {"msgCnt": 0, "userData": "00"})
    (record,) = records(run("decode", hex_of(frame, "csae157_2020")))
    assert record["readable_as"] == ["csae157_2020"]


# --- Whatever is given ----------------------------------------------------------------------------

GARBAGE = [
    b"\xff\xfe\x00\n" * 3,
    b'{"hex": "\\ud800"}\n',
    b'{"hex": "24", "profile": "nobody"}\n',
    b'{"hex": "24", "time": NaN}\n',
    b'{"hex": "24", "time": ' + b"9" * 4000 + b"}\n",
    b"[" * 100_000 + b"\n",
    b"\n\n\n",
    b"\xd4\xc3\xb2\xa1",
    b"\x0a\x0d\x0d\x0a" + b"\xff" * 40,
    bytes(100_000),
]


@pytest.mark.parametrize("command", ["decode", "decode --tree", "decode --si", "inspect", "encode"])
@pytest.mark.parametrize("given", GARBAGE, ids=range(len(GARBAGE)))
def test_no_input_makes_a_traceback(command: str, given: bytes) -> None:
    result = run(*command.split(), given=given)
    assert result.return_value in {0, 1}


@pytest.mark.parametrize(
    "arguments",
    [
        ["decode", "--near", "91,0"],
        ["decode", "--near", "nan,0"],
        ["decode", "--near", "x"],
        ["inspect", "--now", "yesterday"],
        ["inspect", "--profile", "nobody"],
        ["decode", "--unwrap", "twice"],
        ["diff", "00"],
    ],
)
def test_bad_usage_is_exit_code_2(arguments: list[str]) -> None:
    result = run(*arguments, given="")
    assert isinstance(result.exception, click.ClickException)
    assert result.exception.exit_code == 2


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "frames.txt"
    path.write_text(f"{hex_of(rsm())}\n" * 2000)
    with subprocess.Popen(
        [sys.executable, "-m", "rsu.cli", "v2x", "decode", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) in {0, 1}


@pytest.mark.parametrize("command", ["inspect", "diff"])
def test_help_has_an_example(command: str) -> None:
    assert "Example" in run(command, "--help").output
