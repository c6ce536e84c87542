"""The site file as commands want it: checked in every way there is, wrong things in one list.

`rsu.config.check` looks at text, values and how they fit together; then the messages are built for
a trial (`rsu.runtime.trial`). `rsu config check` prints the list, the commands that start a unit
refuse to with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rsu.config.check import Report
    from rsu.config.model import SiteConfig
    from rsu.config.problems import Problem

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


def usable_site(
    path: Path, *, tolerated: Callable[[Problem], bool] = lambda _problem: False
) -> SiteConfig:
    """The config of a file that a unit can start with; warnings go to standard error.

    Raises ConfigError with everything wrong that is not `tolerated`.
    """
    from rsu.config.problems import ConfigError

    report = site_report(path)
    errors = [problem for problem in report.errors if not tolerated(problem)]
    if errors or report.config is None:
        raise ConfigError(errors or report.errors)
    for warning in report.warnings:
        click.echo(str(warning), err=True)
    return report.config
