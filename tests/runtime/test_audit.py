"""The audit log: a chain that shows every change, safe among processes, kept a week at least."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rsu.config.load import load_site
from rsu.config.model import SiteConfig
from rsu.config.running import AuditOptions
from rsu.runtime.audit import (
    LEAST_FILES,
    MAX_DETAIL_BYTES,
    START,
    AuditError,
    AuditLog,
    accounted_privacy,
    file_digest,
    local_actor,
    site_audit,
)

DAY_NS = 86_400 * 10**9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "audit.jsonl"


def fill(log: AuditLog, count: int) -> None:
    for number in range(count):
        log.record("recording_export", "uid:0", {"file": f"{number}.mcap"})


def test_a_line_says_who_what_and_when_and_names_the_line_before(path: Path) -> None:
    log = AuditLog(path, clock=lambda: 1_700_000_000 * 10**9)
    first = log.record("recording_export", "uid:7", {"file": Path("a.mcap"), "rows": 3})
    second = log.record("config_applied", "session:ab", {})
    assert (first.seq, first.previous) == (0, START)
    assert (second.seq, second.previous) == (1, first.digest)
    said = [json.loads(line) for line in path.read_text().splitlines()]
    assert said[0]["time"] == "2023-11-14T22:13:20.000+00:00"
    assert said[0]["detail"] == {"file": "a.mcap", "rows": 3}
    assert [line.action for line in log.lines()] == ["recording_export", "config_applied"]
    found = log.verify()
    assert found.intact
    assert (found.lines, found.first, found.last, found.digest) == (2, 0, 1, second.digest)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_log_yet_is_an_intact_log_of_nothing(path: Path) -> None:
    found = AuditLog(path).verify()
    assert (found.intact, found.lines, found.first, found.digest) == (True, 0, None, START)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0], lines[1].replace(b"1.mcap", b"9.mcap"), *lines[2:]],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[0], lines[2], lines[1], *lines[3:]],
        lambda lines: [lines[0], lines[0], *lines[1:]],
        lambda lines: [lines[0], lines[1].replace(b'"actor"', b' "actor"'), *lines[2:]],
        lambda lines: [lines[0].replace(START.encode(), b"1" * 64), *lines[1:]],
    ],
    ids=["altered", "left out", "swapped", "doubled", "respaced", "cut at the front"],
)
def test_tampering_shows(path: Path, change) -> None:
    log = AuditLog(path)
    fill(log, 5)
    assert log.verify().intact
    path.write_bytes(b"\n".join(change(path.read_bytes().splitlines())) + b"\n")
    assert not log.verify().intact


def test_a_line_with_its_own_digest_made_anew_breaks_the_next(path: Path) -> None:
    import hashlib

    log = AuditLog(path)
    fill(log, 3)
    lines = path.read_bytes().splitlines()
    forged = json.loads(lines[1])
    forged["actor"], forged["digest"] = "uid:99", ""
    text = json.dumps(forged, separators=(",", ":"))
    forged["digest"] = hashlib.sha256(text.encode()).hexdigest()
    lines[1] = json.dumps(forged, separators=(",", ":")).encode()
    path.write_bytes(b"\n".join(lines) + b"\n")
    (problem,) = log.verify().problems
    assert "line 2 does not follow line 1" in problem


def test_what_a_power_loss_cut_off_is_told_and_the_chain_goes_on(path: Path) -> None:
    log = AuditLog(path)
    fill(log, 2)
    with path.open("ab") as file:
        file.write(b'{"seq":2,"time_ns":17')
    assert AuditLog(path).record("later", "uid:0", {}).seq == 2
    found = log.verify()
    assert (found.intact, found.torn, found.lines) == (True, 1, 3)


def test_a_detail_that_is_too_long_is_replaced_by_its_digest(path: Path) -> None:
    line = AuditLog(path).record("log_export", "uid:0", {"text": "x" * MAX_DETAIL_BYTES})
    assert set(line.detail) == {"too_long", "sha256"}
    assert AuditLog(path).verify().intact


def _write(path: Path, who: str) -> None:
    log = AuditLog(path, rotate_bytes=4000)
    for number in range(30):
        log.record("command", who, {"number": number})


def test_several_processes_write_one_chain_across_rotations(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, f"platform:{n}")) for n in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
        assert writer.exitcode == 0
    log = AuditLog(path)
    found = log.verify()
    assert found.intact, found.problems
    commands = [line for line in log.lines() if line.action == "command"]
    assert len(commands) == 60
    assert len(list(path.parent.glob("audit.*.jsonl"))) > 1


def test_old_files_go_but_never_within_a_week(path: Path) -> None:
    now = [1_700_000_000 * 10**9]
    log = AuditLog(path, keep_days=30, keep_bytes=1, rotate_bytes=1000, clock=lambda: now[0])
    fill(log, 40)  # much more than keep_bytes, all of today
    assert log.verify().first == 0
    now[0] += 8 * DAY_NS  # crowded, and old enough
    fill(log, 40)
    found = log.verify()
    assert found.intact
    assert found.first is not None
    assert found.first > 0
    gone = [name for line in log.lines() for name in line.detail.get("deleted", ())]
    assert gone
    assert not any((path.parent / name).exists() for name in gone)


def test_a_clock_that_jumps_ahead_does_not_clear_the_log(path: Path) -> None:
    now = [1_700_000_000 * 10**9]
    log = AuditLog(path, rotate_bytes=1000, clock=lambda: now[0])
    fill(log, 9)
    now[0] += 4000 * DAY_NS
    fill(log, 1)
    assert log.verify().first == 0
    assert len(list(path.parent.glob("audit.*.jsonl"))) <= LEAST_FILES


def test_a_refused_write_is_an_error_of_its_own(path: Path, monkeypatch) -> None:
    log = AuditLog(path)
    fill(log, 1)

    def full(_file: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(AuditError, match="No space left"):
        log.record("recording_export", "uid:0", {})


def test_check_says_beforehand_that_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AuditError):
        AuditLog(tmp_path / "file" / "audit.jsonl").check()
    AuditLog(tmp_path / "audit.jsonl").check()


def test_a_link_in_the_log_s_place_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    target = tmp_path / "elsewhere"
    target.write_text("")
    path.symlink_to(target)
    with pytest.raises(AuditError):
        AuditLog(path).record("x", "y", {})
    assert target.read_text() == ""


def test_where_a_unit_s_log_lies(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("RSU_AUDIT", raising=False)
    assert site_audit(AuditOptions(), tmp_path).path == tmp_path / "var" / "audit.jsonl"
    monkeypatch.setenv("RSU_AUDIT", str(tmp_path / "other.jsonl"))
    assert site_audit(AuditOptions(), tmp_path).path == tmp_path / "other.jsonl"


@pytest.fixture
def site(root: Path) -> dict[str, Any]:
    config = load_site(root / "configs" / "lab-two-cameras.yaml")
    return config.model_dump(mode="json", exclude_unset=True)


def test_unmasked_pictures_are_accounted_for_before_the_first(
    site: dict[str, Any], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.delenv("RSU_AUDIT", raising=False)
    masked = SiteConfig.model_validate(site)
    camera = masked.cameras[0].id
    assert accounted_privacy(masked, tmp_path, camera).mask
    assert not (tmp_path / "var").exists()
    site["privacy"] = {"mask": False, "reason": "a closed test track, nobody is here"}
    config = SiteConfig.model_validate(site)
    assert not accounted_privacy(config, tmp_path, camera).mask
    (line,) = AuditLog(tmp_path / "var" / "audit.jsonl").lines()
    assert (line.action, line.actor) == ("preview_unmasked", f"process:camera:{camera}")
    assert line.detail == {"camera": camera, "reason": "a closed test track, nobody is here"}


def test_without_an_audit_log_pictures_are_masked_after_all(
    site: dict[str, Any], tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RSU_AUDIT", str(tmp_path / "file" / "audit.jsonl"))
    site["privacy"] = {"mask": False, "reason": "a closed test track, nobody is here"}
    config = SiteConfig.model_validate(site)
    assert accounted_privacy(config, tmp_path, config.cameras[0].id).mask


@pytest.mark.parametrize("reason", ["", "because"])
def test_unmasked_pictures_need_a_reason(site: dict[str, Any], reason: str) -> None:
    site["privacy"] = {"mask": False, "reason": reason}
    with pytest.raises(ValidationError, match="reason"):
        SiteConfig.model_validate(site)


def test_digest_and_actor(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_digest(tmp_path / "a") == known
    assert local_actor().startswith(f"uid:{os.getuid()}")
