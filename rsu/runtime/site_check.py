"""The whole check of a site file, as `rsu config check`, `rsu run` and a platform's changes get it.

`rsu.config.check` looks at text, values and how they fit together; then the messages are built for
a trial (`rsu.runtime.trial`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rsu.config.check import Report

TRIED_SECTIONS = ("site", "v2x")
"""Without errors here the messages can be built, whatever else may be wrong."""


def site_report(path: Path) -> Report:
    """All that is wrong with a site file; never raises for what it holds."""
    from rsu.config.check import check_site

    report = check_site(path)
    config, document = report.config, report.document
    if config is None or document is None or config.v2x is None:
        return report
    if any(problem.path.startswith(TRIED_SECTIONS) for problem in report.errors):
        return report
    from rsu.runtime import trial

    found = [document.problem(note.at, note.message) for note in trial.notes(config, path.parent)]
    problems = sorted(
        (*report.problems, *found), key=lambda p: (p.line, p.column, p.path)
    )  # findings of one place stay in their order
    return replace(report, problems=tuple(problems))
