"""`rsu v2x encode`: JSON lines back to frames in hex, one line each."""

from __future__ import annotations

import json
from typing import Any

import click

from rsu.cli.v2x_frames import DEFAULT_PROFILE, EXIT_DIFFERS, known_profile
from rsu.cli.v2x_sources import lines_of

SHOWN = 300
"""Characters of an error that are told."""


@click.command(epilog="Example: rsu v2x decode out.mcap | rsu v2x encode")
@click.argument("source", default="-")
@click.option(
    "--profile",
    help=f"Message set of all lines; else what each says of itself, else {DEFAULT_PROFILE}.",
)
@click.option(
    "--message", help="Lines hold the bare content of this message, e.g. RSM, without its frame."
)
def encode(source: str, profile: str | None, message: str | None) -> int:
    """Print every JSON line of SOURCE (a file, or - for standard input) as a frame in hex.

    A line is a frame (`{"rsmFrame": {…}}`), an object as `decode` prints it, or with --message
    the message without its frame. A line that does not fit is told on standard error, and the
    exit code is then 1.
    """
    from rsu.v2x.codec import codec_for
    from rsu.v2x.errors import CodecError

    known_profile(profile)
    messages = codec_for(profile or DEFAULT_PROFILE).messages
    if message is not None and message not in messages:
        raise click.BadParameter(
            f"{message!r} is none of {', '.join(messages)}", param_hint="--message"
        )
    failed = False
    for number, line in lines_of(source):
        try:
            named, value = _frame(json.loads(line), bare=message is not None)
            codec = codec_for(profile or named or DEFAULT_PROFILE)
            if message is not None:
                value = codec.frame(message, value)
            click.echo(codec.encode(value).hex())
        except (CodecError, ValueError, RecursionError) as error:
            text = str(error).encode("utf-8", "backslashreplace").decode()
            text = text if len(text) <= SHOWN else text[:SHOWN] + "…"
            click.echo(f"line {number}: {text}", err=True)
            failed = True
    return EXIT_DIFFERS if failed else 0


def _frame(line: Any, *, bare: bool) -> tuple[str | None, Any]:
    """The profile that a line names, and the value in it."""
    if bare or not isinstance(line, dict) or "messageId" in line:
        return None, line
    profile = line.get("profile")
    if profile is not None and not isinstance(profile, str):
        raise ValueError("profile is no text")
    if "value" in line:
        return profile, line["value"]
    if "error" in line:
        raise ValueError(f"not decoded, so there is nothing to encode: {line['error']}")
    return profile, line
