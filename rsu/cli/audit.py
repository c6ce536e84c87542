"""`rsu audit`: who took or changed what, and whether the log is as it was written.

Also names the log of commands that let data out: without a line in it nothing leaves.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rsu.runtime.audit import AuditLine, AuditLog, Verification

INTACT, ALTERED = 0, 1


@click.command(
    epilog="Examples: rsu audit configs/junction.yaml --verify    |    rsu audit var/audit.jsonl"
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--verify", is_flag=True, help="Check the chain; exit code 1 when it is broken.")
@click.option("--last", default=50, show_default=True, help="Show at most this many lines.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def audit(source: Path, verify: bool, last: int, as_json: bool) -> int:
    """Who exported, changed or commanded what.

    SOURCE is a site file or the audit log itself. With --verify the chain of digests is followed
    from the oldest line that is kept. Compare the newest digest with a copy kept elsewhere (the
    journal has them): the log alone cannot show that its end was cut off.
    """
    log = _log_of(source)
    if verify:
        found = log.verify()
        _print_verification(found, as_json=as_json)
        return INTACT if found.intact else ALTERED
    lines = list(log.lines())
    if not lines:
        click.echo(f"{log.path}: nothing has been audited", err=True)
    for line in lines[-last:] if last > 0 else []:
        click.echo(_json(line) if as_json else _text(line))
    return INTACT


def export_log(recordings: Iterable[Path]) -> AuditLog:
    """The log for what leaves by hand: $RSU_AUDIT, else the unit's own log near the recordings
    (`var/audit.jsonl` beside `var/recordings`), else this user's. Raises AuditError where it cannot
    be written."""
    from rsu.runtime.audit import AuditError, AuditLog

    given = os.environ.get("RSU_AUDIT")
    near = [
        folder / "audit.jsonl"
        for path in recordings
        for folder in list(path.absolute().parents)[:2]
    ]
    state = os.environ.get("XDG_STATE_HOME")
    own = (Path(state) if state else Path("~/.local/state").expanduser()) / "rsu" / "audit.jsonl"
    path = Path(given) if given else next((one for one in near if one.is_file()), own)
    log = AuditLog(path)
    try:
        log.check()
    except AuditError as error:
        raise AuditError(
            f"{error}; nothing leaves without a line in an audit log: point RSU_AUDIT to a file "
            "that can be written"
        ) from error
    return log


def _log_of(source: Path) -> AuditLog:
    from rsu.runtime.audit import AuditLog, site_audit

    if source.suffix == ".jsonl":
        if not source.is_file():
            raise click.UsageError(f"there is no audit log {source}")
        return AuditLog(source)
    from rsu.config.load import load_site

    return site_audit(load_site(source).audit, source.parent)


def _print_verification(found: Verification, *, as_json: bool) -> None:
    if as_json:
        import json

        click.echo(
            json.dumps(
                {
                    "intact": found.intact,
                    "lines": found.lines,
                    "first": found.first,
                    "last": found.last,
                    "digest": found.digest,
                    "torn": found.torn,
                    "problems": found.problems,
                }
            )
        )
        return
    for problem in found.problems:
        click.echo(problem)
    span = "" if found.first is None else f", {found.first} to {found.last}"
    torn = f", {found.torn} cut off by a power loss" if found.torn else ""
    click.echo(f"{'intact' if found.intact else 'ALTERED'}: {found.lines} lines{span}{torn}")
    if found.lines:
        click.echo(f"newest digest: {found.digest}")


def _json(line: AuditLine) -> str:
    import msgspec

    return msgspec.json.encode(line).decode()


def _text(line: AuditLine) -> str:
    detail = "  ".join(f"{key}={value}" for key, value in line.detail.items())
    return f"{line.seq:>6}  {line.time}  {line.actor:<24}  {line.action:<20}  {detail}"
