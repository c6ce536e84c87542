"""The site file as an operator edits it: checked like on the command line, kept with its past.

In: text. Out: problems, differences, and a file that is replaced at once or not at all. What stood
there before goes to `<name>.versions/` beside it, so that every change can be taken back. A save is
refused while the text has errors, and when the file has been changed by somebody else meanwhile.
The running unit keeps its configuration until it is reloaded or started again.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rsu.config.leaves import ABSENT, differences
from rsu.config.load import examine
from rsu.config.problems import Problem
from rsu.runtime.audit import AuditError, AuditLog
from rsu.runtime.site_check import site_report

VERSIONS_KEPT = 20


class SiteFileError(Exception):
    """The file cannot be read or must not be replaced; the message says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """What is wrong with a text, and what it changes in meaning: (name, old, new)."""

    problems: tuple[Problem, ...]
    changes: tuple[tuple[str, Any, Any], ...]

    @property
    def usable(self) -> bool:
        return all(problem.warning for problem in self.problems)


class SiteFile:
    """One site file and its earlier versions. `may_change` False: it can only be looked at."""

    def __init__(self, path: Path, audit: Callable[[], AuditLog], *, may_change: bool) -> None:
        self.path = path
        self.may_change = may_change
        self._audit = audit
        self._versions = path.with_name(f"{path.name}.versions")

    def text(self) -> str:
        """The file as it is now."""
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SiteFileError(f"{self.path}: {error}") from error

    def check(self, text: str) -> Check:
        """Everything wrong with a text, as `rsu config check` finds it in the file's own folder."""
        candidate = self._beside(text)
        try:
            report = site_report(candidate)
            old = examine(self.path).config
            changes = differences(old, report.config) if old and report.config else []
        finally:
            candidate.unlink()
        return Check(report.problems, tuple(changes))

    def diff(self, text: str) -> str:
        """What a text changes, line by line (unified diff)."""
        old, new = self.text().splitlines(), text.splitlines()
        return "\n".join(difflib.unified_diff(old, new, "now", "new", lineterm="", n=2))

    def save(self, text: str, digest: str, actor: str) -> Check:
        """Replace the file whose text had `digest`; returns the warnings. Raises SiteFileError."""
        if not self.may_change:
            raise SiteFileError("read-only: set web.token_file and log in")
        old = self.text()
        if digest_of(old) != digest:
            raise SiteFileError("the file has been changed by somebody else: load it again")
        check = self.check(text)
        if not check.usable:
            raise SiteFileError("the text has errors: nothing was saved")
        try:
            audit = self._audit()
            audit.check()
            self._keep(old)
            candidate = self._beside(text)
            candidate.chmod(self.path.stat().st_mode & 0o777)
            candidate.replace(self.path)
            audit.record(
                "site_file_saved", actor,
                {"file": self.path.name, "before": digest, "after": digest_of(text),
                 "changed": [name for name, _, _ in check.changes][:100]},
            )  # fmt: skip
        except (OSError, AuditError) as error:
            raise SiteFileError(str(error)) from error
        return check

    def versions(self) -> list[str]:
        """Names of earlier versions, the newest first."""
        return sorted((path.name for path in self._versions.glob("*.yaml")), reverse=True)

    def version(self, name: str) -> str:
        """The text of an earlier version."""
        if name not in self.versions():
            raise SiteFileError(f"there is no version {name}")
        return (self._versions / name).read_text(encoding="utf-8")

    def _keep(self, old: str) -> None:
        self._versions.mkdir(mode=0o750, exist_ok=True)
        now = datetime.now(UTC)
        kept = self._versions / f"{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}Z.yaml"
        kept.write_text(old, encoding="utf-8")
        for name in self.versions()[VERSIONS_KEPT:]:
            with suppress(OSError):
                (self._versions / name).unlink()

    def _beside(self, text: str) -> Path:
        """The text as a file in the same folder, since relative paths start there."""
        try:
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".candidate-", text=True)
        except OSError as error:
            why = f"{self.path.parent} cannot be written: {error.strerror}"
            raise SiteFileError(why) from error
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        return Path(name)


def digest_of(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def spelled(change: tuple[str, Any, Any]) -> str:
    """One change of meaning for people: `cameras[north].max_range: 120.0 → 90.0`."""
    name, old, new = change
    shown = ["–" if value is ABSENT else str(value) for value in (old, new)]
    return f"{name}: {shown[0]} → {shown[1]}"
