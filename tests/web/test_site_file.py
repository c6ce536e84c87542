"""The site file is changed at once or not at all, after the same check as on the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from rsu.config.running import AuditOptions
from rsu.runtime.audit import AuditLog, site_audit
from rsu.web.site_file import VERSIONS_KEPT, SiteFile, SiteFileError, digest_of, spelled

TEXT = "site: {id: here, origin: {latitude: 31, longitude: 121}}\nruntime: {stop_s: 4}\n"
BETTER = TEXT.replace("stop_s: 4", "stop_s: 6")


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditLog:
    monkeypatch.delenv("RSU_AUDIT", raising=False)
    return site_audit(AuditOptions(), tmp_path)


@pytest.fixture
def site_file(tmp_path: Path, audit: AuditLog) -> SiteFile:
    path = tmp_path / "site.yaml"
    path.write_text(TEXT, encoding="utf-8")
    path.chmod(0o640)
    return SiteFile(path, lambda: audit, may_change=True)


def test_a_change_is_saved_audited_and_can_be_taken_back(
    site_file: SiteFile, audit: AuditLog
) -> None:
    site_file.save(BETTER, digest_of(TEXT), "dashboard:127.0.0.1")
    assert site_file.text() == BETTER
    assert site_file.path.stat().st_mode & 0o777 == 0o640
    (name,) = site_file.versions()
    assert site_file.version(name) == TEXT
    site_file.save(site_file.version(name), digest_of(BETTER), "dashboard:127.0.0.1")
    assert site_file.text() == TEXT
    assert [line.detail["changed"] for line in audit.lines()] == [["runtime.stop_s"]] * 2
    assert sorted(path.name for path in site_file.path.parent.glob(".candidate*")) == []


def test_a_text_with_errors_is_never_saved(site_file: SiteFile) -> None:
    wrong = TEXT.replace("stop_s", "stpo_s")
    (problem,) = site_file.check(wrong).problems
    assert (problem.line, problem.suggestion) == (2, "stop_s")
    with pytest.raises(SiteFileError, match="errors"):
        site_file.save(wrong, digest_of(TEXT), "x")
    assert site_file.text() == TEXT


def test_the_editor_finds_what_the_command_line_finds(site_file: SiteFile, root: Path) -> None:
    # An error that only building the messages finds: a CSAE MAP without lanes.
    wrong = TEXT + 'v2x: {rsu_id: "5253550000000001", csae: {map: {enabled: true}}}\n'
    found = [problem.message for problem in site_file.check(wrong).problems]
    site_file.path.write_text(wrong, encoding="utf-8")
    told = subprocess.run(
        [sys.executable, "-m", "rsu.cli", "config", "check", str(site_file.path)],
        capture_output=True, text=True, cwd=root, check=False,
    )  # fmt: skip
    assert found
    assert all(message in told.stdout for message in found)


def test_changes_are_told_by_line_and_by_meaning(site_file: SiteFile) -> None:
    assert "-runtime: {stop_s: 4}" in site_file.diff(BETTER).splitlines()
    (change,) = site_file.check(BETTER).changes
    assert spelled(change) == "runtime.stop_s: 4.0 → 6.0"
    assert site_file.check("# a comment\n" + TEXT).changes == ()


def test_somebody_elses_change_is_not_written_over(site_file: SiteFile) -> None:
    site_file.path.write_text(BETTER, encoding="utf-8")
    with pytest.raises(SiteFileError, match="somebody else"):
        site_file.save(TEXT, digest_of(TEXT), "x")
    assert site_file.text() == BETTER


def test_without_a_token_nothing_is_changed(site_file: SiteFile) -> None:
    fixed = SiteFile(site_file.path, site_file._audit, may_change=False)
    with pytest.raises(SiteFileError, match="read-only"):
        fixed.save(BETTER, digest_of(TEXT), "x")


def test_the_oldest_versions_go(site_file: SiteFile) -> None:
    texts = [TEXT, BETTER]
    for number in range(VERSIONS_KEPT + 3):
        site_file.save(texts[(number + 1) % 2], digest_of(texts[number % 2]), "x")
    assert len(site_file.versions()) == VERSIONS_KEPT


@pytest.mark.parametrize("name", ["../site.yaml", "/etc/passwd", "", "nothing.yaml"])
def test_only_versions_are_versions(site_file: SiteFile, name: str) -> None:
    with pytest.raises(SiteFileError):
        site_file.version(name)
