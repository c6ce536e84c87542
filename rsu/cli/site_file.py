"""The site file as commands want it: checked in every way there is, wrong things in one list.

`rsu config check` prints the list (`rsu.runtime.site_check`), the commands that start a unit refuse
to with it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rsu.config.model import SiteConfig
    from rsu.config.problems import Problem


def usable_site(
    path: Path, *, tolerated: Callable[[Problem], bool] = lambda _problem: False
) -> SiteConfig:
    """The config of a file that a unit can start with; warnings go to standard error.

    Raises ConfigError with everything wrong that is not `tolerated`.
    """
    from rsu.config.problems import ConfigError
    from rsu.runtime.site_check import site_report

    report = site_report(path)
    errors = [problem for problem in report.errors if not tolerated(problem)]
    if errors or report.config is None:
        raise ConfigError(errors or report.errors)
    for warning in report.warnings:
        click.echo(str(warning), err=True)
    return report.config
