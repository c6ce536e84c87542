"""`rsu recording` as a user calls it: text, JSON, exit codes, no tracebacks."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rsu.cli.main import run_command
from rsu.recording.reader import read_messages
from rsu.schema.message import Message
from rsu.schema.topics import V2X_RX
from rsu.schema.v2x import ReceivedV2x

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = run_command(["recording", *map(str, arguments)])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


@pytest.fixture
def whole(record, frame, track_list) -> Path:
    return record([m for seq in range(30) for m in (track_list(seq, count=2), frame(seq))])


@pytest.fixture
def broken(whole: Path) -> Path:
    path = whole.with_name("broken.mcap")
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    return path


def test_info_of_a_whole_recording(run: Run, whole: Path) -> None:
    code, out, err = run("info", whole)
    assert (code, err) == (0, "")
    assert "site demo" in out
    assert "2.9 s, 60 messages" in out
    assert "whole: nothing is known to be missing" in out
    code, out, _ = run("info", "--json", whole)
    found = json.loads(out)
    assert code == 0
    assert found["messages"] == 60
    assert [t["topic"] for t in found["topics"]] == ["tracks", "v2x/tx"]
    assert found["topics"][0]["sources"] == ["fusion"]
    assert found["duration_s"] == pytest.approx(2.9)
    assert found["topics"][0]["rate_hz"] == pytest.approx(30 / 2.9)
    assert found["streams"][1]["last"] == 29


def test_info_of_a_damaged_one_says_so_with_exit_code_1(run: Run, broken: Path) -> None:
    code, out, err = run("info", broken)
    assert code == 1
    assert "NOT whole" in out
    assert "beyond the end" in err
    assert json.loads(run("info", "--json", broken)[1])["truncated"] is True


@pytest.mark.parametrize(
    "command",
    [["info"], ["recover"], ["export", "--format", "hex"], ["cut", "--out", "x.mcap"]],
    ids=lambda command: command[0],
)
def test_unusable_input_is_one_line_and_exit_code_2(
    run: Run, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mcap").write_text("just text")
    for name in ("missing.mcap", "text.mcap"):
        code, _, err = run(*command, name)
        assert code == 2
        assert len(err.strip().splitlines()) == 1
        assert name in err
    assert not (tmp_path / "x.mcap").exists()


def test_recover(run: Run, broken: Path) -> None:
    code, out, _ = run("recover", broken, "--json")
    report = json.loads(out)
    assert code == 0
    assert report["messages"] == len(list(read_messages(report["target"]))) > 0
    code, _, err = run("recover", broken)
    assert code == 2
    assert "exists" in err


def test_export_hex_is_what_went_on_the_air(run: Run, whole: Path, frame) -> None:
    code, out, err = run("export", "--format", "hex", whole)
    assert (code, err) == (0, "")
    assert out.split() == [frame(seq).payload.payload.hex() for seq in range(30)]
    code, out, _ = run("export", "--format", "hex", "--network", whole)
    assert out.split()[3] == frame(3).payload.network.hex()


def test_export_hex_of_received_frames(run: Run, record) -> None:
    payload = ReceivedV2x(radio="r", capture_ns=1, payload=b"\x12\x34")
    path = record([Message.draft(V2X_RX, "r", 1, payload).stamped(1, 0, 2)])
    assert run("export", "--format", "hex", "--received", path)[1] == "1234\n"
    assert run("export", "--format", "hex", "--received", "--network", path)[0] == 2


def test_export_jsonl(run: Run, whole: Path, tmp_path: Path, track_list) -> None:
    out = tmp_path / "out.jsonl"
    code, text, _ = run("export", "--format", "jsonl", "--topic", "tracks", "--out", out, whole)
    assert code == 0
    assert "30 lines" in text
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(30))
    wanted = track_list(4, count=2)
    position = wanted.payload.tracks[1].position
    assert lines[4]["capture_ns"] == wanted.header.capture_ns
    assert lines[4]["payload"]["tracks"][1]["position"] == [position.x, position.y]


def test_export_csv_gives_a_row_per_track(run: Run, record, track_list, tmp_path: Path) -> None:
    path = record([track_list(0, count=2), track_list(1, count=0), track_list(2, count=1)])
    code, out, _ = run("export", "--format", "csv", "--out", tmp_path / "tables", path, "--json")
    assert code == 0
    table = tmp_path / "tables" / "tracks.csv"
    assert json.loads(out)["files"] == {str(table): 4}
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    track = track_list(0, count=2).payload.tracks[1]
    assert [row["tracks.id"] for row in rows] == ["0", "1", "", "0"]
    assert float(rows[1]["tracks.position.y"]) == track.position.y
    assert rows[1]["tracks.object_class"] == "car"
    assert json.loads(rows[1]["tracks.covariance"]) == list(track.covariance)
    assert rows[1]["tracks.acceleration"] == ""
    assert rows[2]["time_ns"] == str(track_list(1).payload.time_ns)
    assert rows[0]["source"] == "fusion"


def test_export_csv_columns_depend_on_the_type_only(run: Run, whole: Path) -> None:
    run("export", "--format", "csv", whole)
    with (whole.parent / "a-csv" / "v2x-tx.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 30
    assert bytes.fromhex(rows[0]["payload"])
    assert json.loads(rows[2]["value"])["rsm"]["msgCnt"] == 2


def test_export_of_a_damaged_recording_exports_the_whole_parts(run: Run, broken: Path) -> None:
    code, out, err = run("export", "--format", "hex", broken)
    assert code == 1
    assert out.split()
    assert "damage:" in err


def test_an_unknown_topic_is_suggested(run: Run, whole: Path) -> None:
    code, _, err = run("export", "--format", "jsonl", "--topic", "track", whole)
    assert code == 2
    assert "did you mean tracks?" in err


@pytest.mark.parametrize(
    ("start", "end", "numbers"),
    [
        ("+1", "+2", range(10, 20)),
        ("2025-01-01T00:00:02Z", None, range(20, 30)),
        (None, "2025-01-01T08:00:00.5+08:00", range(5)),
        (None, None, range(30)),
    ],
)
def test_cut(
    run: Run, whole: Path, tmp_path: Path, start: str | None, end: str | None, numbers: range
) -> None:
    out = tmp_path / "part.mcap"
    options = [*(["--start", start] if start else []), *(["--end", end] if end else [])]
    code, _, _ = run("cut", whole, "--out", out, *options)
    assert code == 0
    wanted = [m for m in read_messages(whole) if m.header.seq in numbers]
    found = list(read_messages(out))
    assert [(m.header, m.payload) for m in found] == [(m.header, m.payload) for m in wanted]
    assert run("export", "--format", "hex", out)[1].split() == [
        m.payload.payload.hex() for m in wanted if m.topic.name == "v2x/tx"
    ]


@pytest.mark.parametrize("when", ["yesterday", "2025-01-01T00:00:00", "+x", "+inf"])
def test_cut_refuses_a_time_it_does_not_understand(run: Run, whole: Path, when: str) -> None:
    code, _, err = run("cut", whole, "--out", whole.with_name("y.mcap"), "--start", when)
    assert code == 2
    assert "--start" in err
    assert not whole.with_name("y.mcap").exists()


@pytest.mark.parametrize("command", [[], ["info"], ["recover"], ["export"], ["cut"]])
def test_help_has_an_example(run: Run, command: list[str]) -> None:
    code, out, _ = run(*command, "--help")
    assert code == 0
    assert "Example" in out
