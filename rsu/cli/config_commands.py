"""`rsu config`: check, show, describe and compare site files.

`check` is what people run after every edit, and what `rsu run` does before it starts. This module
imports click alone; the rest comes inside the commands.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rsu.config.check import Report
    from rsu.config.document import Document
    from rsu.config.leaves import Leaf
    from rsu.config.problems import Problem

BAD_CONFIG = 2
DIFFERENT = 1

SITE_FILE = click.Path(path_type=Path)


@click.group()
def config() -> None:
    """Check, show and compare site files.

    \b
    Example:
      rsu config check configs/junction.yaml
    """


@config.command()
@click.argument("files", metavar="FILE...", type=SITE_FILE, nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print problems as one JSON document.")
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
def check(files: tuple[Path, ...], as_json: bool, strict: bool) -> None:
    """Report every problem of site files at once, with line and column.

    Exit code 0: all can be used; 2: at least one cannot.

    \b
    Example:
      rsu config check configs/*.yaml
      rsu config check --strict --json /etc/rsu/site.yaml
    """
    from rsu.runtime.site_check import site_report

    reports = [site_report(path) for path in files]
    if as_json:
        click.echo(json.dumps([_report_json(report, strict) for report in reports], indent=2))
    else:
        for report in reports:
            for problem in report.problems:
                click.echo(str(problem))
            click.echo(_verdict(report, strict))
    if not all(_passes(report, strict) for report in reports):
        sys.exit(BAD_CONFIG)


@config.command()
@click.argument("file", type=SITE_FILE)
@click.option("--resolved", is_flag=True, help="Make relative paths absolute.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(file: Path, resolved: bool, as_json: bool) -> None:
    """Print every value of a site file and where it comes from: the file or a default.

    Secrets are files, so only their paths appear.

    \b
    Example:
      rsu config show configs/junction.yaml
      rsu config show --json configs/junction.yaml | jq '.[] | select(.origin == "file")'
    """
    from rsu.config.leaves import leaves
    from rsu.config.load import examine

    examined = examine(file)
    if examined.problems or examined.config is None or examined.document is None:
        _refuse(examined.problems)
        return
    found = list(leaves(examined.config, file.parent if resolved else None))
    if as_json:
        click.echo(json.dumps([_leaf_json(leaf, examined.document) for leaf in found], indent=2))
        return
    width = max(len(leaf.path) for leaf in found)
    for leaf in found:
        click.echo(
            f"{leaf.path:<{width}}  {_shown(leaf.value)}  # {_place(leaf, examined.document)}"
        )


@config.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file.")
@click.option("--json", "_json", is_flag=True, help="Accepted everywhere; a schema is JSON anyway.")
def schema(out: Path | None, _json: bool) -> None:
    """Print the JSON Schema of site files, with the drivers of installed packages.

    \b
    Example:
      rsu config schema --out site.schema.json
    """
    from rsu.config.plugins import KINDS, PluginError, installed, site_model

    try:
        foreign = {kind: tuple(installed(kind).values()) for kind in KINDS}
    except PluginError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(BAD_CONFIG)
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **site_model(foreign).model_json_schema(),
        "title": "Site file of a roadside unit",
    }
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if out is None:
        click.echo(text)
        return
    try:
        out.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        click.echo(f"error: {out}: {error.strerror}", err=True)
        sys.exit(BAD_CONFIG)


@config.command()
@click.argument("a", type=SITE_FILE)
@click.argument("b", type=SITE_FILE)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def diff(a: Path, b: Path, as_json: bool) -> None:
    """Compare what two site files mean: defaults filled in, order and notation left aside.

    Exit code 0: the same; 1: different; 2: one of them cannot be read.

    \b
    Example:
      rsu config diff /etc/rsu/site.yaml new-site.yaml
    """
    from rsu.config.leaves import ABSENT, differences
    from rsu.config.load import examine

    examined = [examine(path) for path in (a, b)]
    _refuse([problem for one in examined for problem in one.problems])
    first, second = (one.config for one in examined)
    assert first is not None
    assert second is not None
    changes = differences(first, second)
    if as_json:
        rows: list[dict[str, Any]] = []
        for name, old, new in changes:
            row: dict[str, Any] = {"path": name}
            row |= {
                key: value for key, value in (("old", old), ("new", new)) if value is not ABSENT
            }
            rows.append(row)
        click.echo(json.dumps(rows, indent=2))
    else:
        for name, old, new in changes:
            sides = ["absent" if value is ABSENT else _shown(value) for value in (old, new)]
            click.echo(f"{name}: {sides[0]} → {sides[1]}")
    if changes:
        sys.exit(DIFFERENT)


def _refuse(problems: list[Problem]) -> None:
    """Print problems and leave with the exit code for bad configs; nothing when there are none."""
    if problems:
        for problem in problems:
            click.echo(str(problem), err=True)
        sys.exit(BAD_CONFIG)


def _passes(report: Report, strict: bool) -> bool:
    return not report.errors and not (strict and report.warnings)


def _verdict(report: Report, strict: bool) -> str:
    errors, warnings = len(report.errors), len(report.warnings)
    counts = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
    return f"{report.file}: {'ok' if _passes(report, strict) else 'not ok'}: {counts}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _report_json(report: Report, strict: bool) -> dict[str, Any]:
    return {
        "file": str(report.file),
        "ok": _passes(report, strict),
        "problems": [
            {
                "line": problem.line,
                "column": problem.column,
                "path": problem.path,
                "severity": "warning" if problem.warning else "error",
                "message": problem.message,
                "suggestion": problem.suggestion,
            }
            for problem in report.problems
        ],
    }


def _leaf_json(leaf: Leaf, document: Document) -> dict[str, Any]:
    from rsu.config.leaves import origin

    place = origin(leaf, document)
    return {
        "path": leaf.path,
        "value": leaf.value,
        "origin": "file" if place else "default",
        "line": place[0] if place else None,
        "column": place[1] if place else None,
        "description": leaf.title,
    }


def _place(leaf: Leaf, document: Document) -> str:
    from rsu.config.leaves import origin

    place = origin(leaf, document)
    return f"{document.file}:{place[0]}:{place[1]}" if place else "default"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
