"""`rsu recording`: look at, repair, convert and shorten recordings.

Thin: everything happens in `rsu.recording`, imported only when a command runs. Exit codes: 0 the
recording is whole, 1 it was usable but not whole (or a comparison differs), 2 it cannot be used.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rsu.recording.info import RecordingInfo
    from rsu.recording.reader import Recording

WHOLE = 0
NOT_WHOLE = 1
UNUSABLE = 2
LISTED_DAMAGES = 10

PATHS = click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH..."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
TOPICS = click.option(
    "--topic", "topics", multiple=True, help="Only this topic, e.g. tracks; may be repeated."
)


@click.group(epilog="Example: rsu recording info var/recordings")
def recording() -> None:
    """Look at, repair, convert and shorten recordings (MCAP).

    PATH is a file or a folder; several files of one run are read as one recording.
    """


@recording.command(
    epilog="Examples: rsu recording info out.mcap | rsu recording info --json var/recordings"
)
@PATHS
@JSON
def info(paths: tuple[Path, ...], as_json: bool) -> int:
    """What a recording holds and whether it is whole.

    Reads everything and checks every checksum. Exit code 1 when something is damaged, cut off or
    known to be missing.
    """
    with _refusals():
        from rsu.recording.info import info as sum_up

        with _progress("Reading") as progress:
            found = sum_up(list(paths), progress=progress)
        if as_json:
            _print_json(found)
        else:
            _print_info(found)
    return WHOLE if found.exact else NOT_WHOLE


@recording.command(epilog="Example: rsu recording recover cut-off.mcap --out whole.mcap")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), help="New file; default PATH with .recovered.mcap."
)
@JSON
def recover(path: Path, out: Path | None, as_json: bool) -> None:
    """Copy everything whole in a damaged recording into a new one.

    PATH itself is never changed. Exit code 0 when something came through (the report says what was
    lost), 2 when nothing did.
    """
    with _refusals():
        from rsu.recording.recover import recover as repair

        with _progress("Recovering") as progress:
            report = repair(path, out, progress=progress)
    if as_json:
        _print_json(report)
        return
    click.echo(f"{report.target}: {report.messages} messages in {report.chunks} chunks recovered")
    if report.damaged_chunks or report.lost_bytes or report.undefined:
        click.echo(
            f"lost: {report.damaged_chunks} damaged chunks, {report.lost_bytes} bytes, "
            f"{report.undefined} messages without definition"
        )
    _print_damages(report.damages)


@recording.command(
    epilog="Examples: rsu recording export out.mcap --format csv --topic tracks --out tables | "
    "rsu recording export out.mcap --format hex | rsu v2x decode -"
)
@PATHS
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl", "hex"]), required=True)
@click.option(
    "--out", type=click.Path(path_type=Path),
    help="Folder (csv; default: beside PATH) or file (jsonl, hex; default: standard output).",
)  # fmt: skip
@TOPICS
@click.option("--received", is_flag=True, help="hex: frames that were heard, not sent.")
@click.option("--network", is_flag=True, help="hex: with the network header.")
@JSON
def export(
    paths: tuple[Path, ...],
    kind: str,
    out: Path | None,
    topics: tuple[str, ...],
    received: bool,
    network: bool,
    as_json: bool,
) -> int:
    """Convert a recording to CSV tables, JSON lines, or hex lines of V2X frames.

    Exit code 1 when the recording was damaged and only its whole parts were exported.
    """
    if received and network:
        raise click.UsageError("received frames are recorded without their network header")
    with _refusals():
        from rsu.cli.audit import export_log
        from rsu.recording import export as formats
        from rsu.runtime.audit import file_digest, local_actor

        wanted = _checked_topics(topics)
        log = export_log(paths)
        with _opened(paths, "Exporting", quiet=out is None and kind != "csv") as source:
            if kind == "csv":
                folder = out or paths[0].with_suffix("").with_name(f"{paths[0].stem}-csv")
                written = formats.export_csv(source, folder, wanted)
                written = {str(folder / name): count for name, count in written.items()}
                digests = {name: file_digest(Path(name)) for name in written}
            else:
                digest = hashlib.sha256()

                with click.open_file(str(out or "-"), "w", encoding="utf-8") as stream:

                    def write(line: str) -> None:
                        stream.write(line)
                        digest.update(line.encode())

                    try:
                        if kind == "jsonl":
                            count = formats.export_jsonl(source, write, wanted)
                        else:
                            count = formats.export_hex(
                                source, write, received=received, network=network
                            )
                    except BrokenPipeError:  # what the reader took before it had enough, has left
                        detail = {"from": paths, "to": "-", "sha256": digest.hexdigest()}
                        log.record("recording_export", local_actor(), detail | {"cut_off": True})
                        raise
                written = {str(out or "-"): count}
                digests = {str(out or "-"): digest.hexdigest()}
            what = {"from": paths, "format": kind, "topics": topics, "sha256": digests}
            log.record("recording_export", local_actor(), what)
            damages = tuple(map(str, source.damages))
    report = {"files": written, "damages": damages}
    # Beside data on standard output, the report would be part of the data.
    on_stdout = out is not None or kind == "csv"
    if as_json:
        _print_json(report, err=not on_stdout)
    elif on_stdout:
        for name, count in written.items():
            click.echo(f"{name}: {count} {'rows' if kind == 'csv' else 'lines'}")
    if damages:
        if not as_json:
            _print_damages(damages)
        return NOT_WHOLE
    return WHOLE


@recording.command(
    epilog="Example: rsu recording cut var/recordings --start 2025-01-01T08:00:00Z "
    "--end 2025-01-01T08:05:00Z --out incident.mcap"
)
@PATHS
@click.option("--out", required=True, type=click.Path(path_type=Path), help="New file.")
@click.option("--start", help="UTC (RFC 3339), or +seconds from the recording's start.")
@click.option("--end", help="UTC (RFC 3339), or +seconds from the recording's start.")
@TOPICS
@JSON
def cut(
    paths: tuple[Path, ...],
    out: Path,
    start: str | None,
    end: str | None,
    topics: tuple[str, ...],
    as_json: bool,
) -> int:
    """Copy a span of time, or some topics, into a new recording.

    Several files become one. Exit code 1 when the recording was damaged.
    """
    with _refusals():
        from rsu.cli.audit import export_log
        from rsu.recording.cut import cut as shorten
        from rsu.runtime.audit import file_digest, local_actor

        wanted = _checked_topics(topics)
        log = export_log(paths)
        with _opened(paths, "Cutting") as source:
            first = min((c.start_ns for f in source.files for c in f.scan.chunks), default=0)
            span = (_instant(start, first, "--start"), _instant(end, first, "--end"))
            count = shorten(source, out, start_ns=span[0], end_ns=span[1], topics=wanted)
            what = {"from": paths, "to": out, "messages": count, "sha256": file_digest(out)}
            log.record("recording_cut", local_actor(), what)
            damages = tuple(map(str, source.damages))
    if as_json:
        _print_json({"file": str(out), "messages": count, "damages": damages})
    else:
        click.echo(f"{out}: {count} messages")
        _print_damages(damages)
    return NOT_WHOLE if damages else WHOLE


class _UnusableError(click.ClickException):
    exit_code = UNUSABLE


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What a recording or the disk refuses becomes one line and exit code 2."""
    from rsu.recording.errors import RecordingError

    try:
        yield
    except RecordingError as error:
        raise _UnusableError(str(error)) from error
    except BrokenPipeError:
        raise  # `| head` has seen enough: main knows
    except OSError as error:
        raise _UnusableError(f"{error.filename or 'output'}: {error.strerror}") from error


@contextlib.contextmanager
def _opened(paths: tuple[Path, ...], label: str, *, quiet: bool = False) -> Iterator[Recording]:
    from rsu.recording.reader import Recording

    with _progress(label, quiet=quiet) as progress:
        yield Recording(list(paths), progress=progress)


@contextlib.contextmanager
def _progress(label: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on standard error, only where a person looks at it."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _checked_topics(names: tuple[str, ...]) -> list[str] | None:
    from difflib import get_close_matches

    from rsu.schema.topics import TOPICS as KNOWN

    for name in names:
        if name not in KNOWN:
            near = get_close_matches(name, KNOWN, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise click.UsageError(f"unknown topic {name!r}{hint}; known: {', '.join(KNOWN)}")
    return list(names) or None


def _instant(text: str | None, first_ns: int, option: str) -> int | None:
    """UTC ns of an option; None when it was not given."""
    if text is None:
        return None
    try:
        if text.startswith("+"):
            return first_ns + round(float(text[1:]) * 1e9)
        when = datetime.fromisoformat(text)
        if when.tzinfo is None:
            raise click.UsageError(f"{option} {text!r}: say the time zone, e.g. {text}Z")
        # Not through a float: microseconds of a date exceed its 53 bits.
        since = when - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    except (ValueError, OverflowError) as error:
        raise click.UsageError(
            f"{option} {text!r} is neither RFC 3339 (2025-01-01T08:00:00Z) nor +seconds"
        ) from error


def _print_json(document: Any, *, err: bool = False) -> None:
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode(), err=err)


def _print_damages(damages: tuple[str, ...]) -> None:
    for damage in damages[:LISTED_DAMAGES]:
        click.echo(f"damage: {damage}", err=True)
    if len(damages) > LISTED_DAMAGES:
        click.echo(f"damage: … and {len(damages) - LISTED_DAMAGES} more", err=True)


def _print_info(found: RecordingInfo) -> None:
    meta = found.metadata
    if meta:
        click.echo(
            f"site {meta.get('site', '?')}, profile {meta.get('profile') or '-'}, "
            f"rsu {meta.get('version', '?')}"
        )
    start = "-" if found.start_ns is None else _utc(found.start_ns)
    click.echo(
        f"{len(found.files)} files, {found.size / 1e6:.1f} MB, from {start}, "
        f"{found.duration_s:.1f} s, {found.messages} messages"
    )
    if found.duration_s > 0:
        click.echo(f"{found.size / 1e6 / found.duration_s * 60:.2f} MB/min")
    for topic in found.topics:
        click.echo(
            f"  {topic.topic:<20} {topic.count:>9}  {topic.rate_hz:>8.2f} Hz  "
            f"{topic.bytes / 1e6:>8.2f} MB JSON  {', '.join(topic.sources)}"
        )
    for stream in found.streams:
        if stream.lost or stream.repeated:
            click.echo(
                f"gap: {stream.topic} of {stream.source}: {stream.lost} lost, "
                f"{stream.repeated} repeated"
            )
    for reason, count in found.dropped.items():
        click.echo(f"dropped by the recorder: {count} ({reason})")
    for name, count in found.foreign.items():
        click.echo(f"foreign: {name} ({count} messages, skipped)")
    for file in found.files[1:]:
        if file.previous_missing:
            click.echo(f"gap: {file.path} follows {file.previous}, which is not here")
    _print_damages(found.damages)
    click.echo("whole: nothing is known to be missing" if found.exact else "NOT whole")


def _utc(ns: int) -> str:
    when = datetime.fromtimestamp(ns // 10**9, tz=UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S}.{ns % 10**9 // 10**6:03d}Z"
