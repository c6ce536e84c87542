"""`rsu doctor`: whether this machine and this site are fit to work, and what to do where not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rsu.runtime.doctor import Finding

EXIT_UNWELL = 1
MARKS = {True: ("✔", "green"), None: ("!", "yellow"), False: ("✘", "red")}


@click.command(epilog="Example: rsu doctor configs/junction.yaml")
@click.argument("site", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object with all findings.")
def doctor(site: Path | None, as_json: bool) -> int:
    """Check machine and SITE: clock, model, disk, secrets, devices, ports, cameras, broker.

    Nothing is changed, and a unit that runs may go on. ✔ fine, ! not as it should be, ✘ wrong, with
    what to do about it. Exit code 0, or 1 if anything is wrong (✘).
    """
    found = []
    for finding in _findings(site):
        found.append(finding)
        if not as_json:
            _print(finding)
    wrong = sum(one.ok is False for one in found)
    doubtful = sum(one.ok is None for one in found)
    if as_json:
        report = {"ok": wrong == 0, "findings": [asdict(one) for one in found]}
        click.echo(json.dumps(report, ensure_ascii=False))
    else:
        click.echo(f"\n{len(found)} checked, {wrong} wrong, {doubtful} doubtful")
    return EXIT_UNWELL if wrong else 0


def _findings(site: Path | None) -> Iterator[Finding]:
    from rsu.runtime.doctor import Finding, examine_machine, examine_site

    yield from examine_machine()
    if site is None:
        return
    from rsu.runtime.site_check import site_report

    report = site_report(site)
    for problem in report.problems:
        yield Finding(
            "site file", None if problem.warning else False, str(problem), "rsu config check SITE"
        )
    if report.config is None:
        return
    if not report.problems:
        yield Finding("site file", True, f"{site} is valid")
    yield from examine_site(report.config, site.parent)


def _print(finding: Finding) -> None:
    mark, color = MARKS[finding.ok]
    click.echo(f"{click.style(mark, fg=color)} {finding.area:<12} {finding.text}")
    if finding.fix:
        click.echo(f"  {'':<12} → {finding.fix}")
