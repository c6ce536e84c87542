"""`rsu audit`, and that nothing is exported without a line in an audit log."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rsu.cli.main import cli, run_command
from rsu.recording.writer import McapFile
from rsu.runtime.audit import AuditLog
from rsu.schema.message import Message
from rsu.schema.topics import V2X_TX
from rsu.schema.v2x import V2xFrame


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [str(one) for one in arguments], standalone_mode=False)
    return (result.return_value or 0) if result.exception is None else -1, result.stdout


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A unit's var folder with a recording of three frames and an audit log of one line."""
    monkeypatch.delenv("RSU_AUDIT", raising=False)
    folder = tmp_path / "var" / "recordings"
    folder.mkdir(parents=True)
    file = McapFile(folder / "site-20250101T000000Z-0000.mcap", {"site": "site"})
    for number in range(3):
        frame = V2xFrame(
            profile="csae53_2020", message="RSM", time_ns=number, payload=bytes([number]),
            network=b"", aid=111, priority=0, value={},
        )  # fmt: skip
        draft = Message.draft(V2X_TX, "core", number, frame)
        file.write(draft.stamped(1, number, 10 + number))
    file.close()
    AuditLog(folder.parent / "audit.jsonl").record("unit_started", "self", {})
    return folder.parent


def lines(unit: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (unit / "audit.jsonl").read_text().splitlines()]


def test_what_goes_to_standard_output_is_audited_with_its_digest(unit: Path) -> None:
    code, out = run("recording", "export", unit / "recordings", "--format", "hex")
    assert (code, out) == (0, "00\n01\n02\n")
    line = lines(unit)[-1]
    assert line["action"] == "recording_export"
    assert str(line["actor"]).startswith("uid:")
    assert line["detail"]["sha256"] == {"-": hashlib.sha256(out.encode()).hexdigest()}


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_files_are_audited_with_theirs(unit: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out"
    code, _ = run("recording", "export", unit / "recordings", "--format", kind, "--out", target)
    assert code == 0
    digests = lines(unit)[-1]["detail"]["sha256"]
    assert digests
    for name, digest in digests.items():
        assert hashlib.sha256(Path(name).read_bytes()).hexdigest() == digest


def test_a_cut_is_audited(unit: Path, tmp_path: Path) -> None:
    target = tmp_path / "cut.mcap"
    assert run("recording", "cut", unit / "recordings", "--out", target)[0] == 0
    line = lines(unit)[-1]
    assert line["action"] == "recording_cut"
    assert line["detail"]["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert line["detail"]["messages"] == 3


def test_without_a_log_nothing_leaves(unit: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("RSU_AUDIT", str(blocked / "audit.jsonl"))
    target = tmp_path / "out"
    for command in (
        ["export", str(unit / "recordings"), "--format", "hex", "--out", str(target)],
        ["cut", str(unit / "recordings"), "--out", str(target)],
    ):
        assert run_command(["recording", *command]) == 3
        assert "RSU_AUDIT" in capsys.readouterr().err
        assert not target.exists()


def test_a_recording_far_from_a_unit_is_audited_with_the_user(unit: Path, monkeypatch) -> None:
    (unit / "audit.jsonl").unlink()
    state = unit / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    assert run("recording", "export", unit / "recordings", "--format", "hex")[0] == 0
    (line,) = AuditLog(state / "rsu" / "audit.jsonl").lines()
    assert line.action == "recording_export"


def test_lines_and_verification(unit: Path) -> None:
    log = unit / "audit.jsonl"
    run("recording", "export", unit / "recordings", "--format", "hex")
    code, out = run("audit", log)
    assert code == 0
    assert "unit_started" in out
    assert "recording_export" in out
    code, out = run("audit", log, "--json", "--last", 1)
    assert json.loads(out)["action"] == "recording_export"
    code, out = run("audit", log, "--verify")
    assert (code, out.splitlines()[0]) == (0, "intact: 2 lines, 0 to 1")
    log.write_text(log.read_text().replace("recording_export", "nothing_at_all__"))
    code, out = run("audit", log, "--verify")
    assert code == 1
    assert "line 1 was altered" in out
    code, out = run("audit", log, "--verify", "--json")
    assert (code, json.loads(out)["intact"]) == (1, False)


def test_a_site_file_names_its_log(unit: Path, root: Path) -> None:
    site = unit.parent / "site.yaml"
    site.write_text((root / "configs" / "junction.yaml").read_text(encoding="utf-8"))
    code, out = run("audit", site, "--verify")
    assert (code, out.splitlines()[0]) == (0, "intact: 1 lines, 0 to 0")
