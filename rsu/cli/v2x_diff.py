"""`rsu v2x diff`: two messages, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rsu.cli.v2x_frames import (
    EXIT_DIFFERS,
    Told,
    echo_json,
    known_profile,
    position_option,
    read_frames,
    source_options,
    warn,
)
from rsu.cli.v2x_sources import UnreadableSourceError

if TYPE_CHECKING:
    from rsu.v2x.inspector.frames import Mode


@click.command(
    epilog="Examples: rsu v2x diff 2480…00 2481…00    |    "
    "rsu v2x diff --ignore msgCnt --ignore secMark out.mcap#1 out.mcap#2"
)
@click.argument("a")
@click.argument("b")
@source_options
@click.option(
    "--ignore",
    multiple=True,
    metavar="PATH",
    help="Leave out a member (msgCnt) or path (rsmFrame.participants[*].secMark); * is anything "
    "in one step, ** any steps. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="One object per difference.")
def diff(
    a: str,
    b: str,
    profile: str | None,
    as_hex: bool,
    unwrap: Mode,
    near: str | None,
    ignore: tuple[str, ...],
    as_json: bool,
) -> int:
    """Compare the messages A and B field by field.

    Each is a source (as for `decode`) of one frame, or SOURCE#N for its Nth. Exit codes: 0 the
    same, 1 they differ, 2 one cannot be read.
    """
    from rsu.v2x.inspector.difference import differences

    known_profile(profile)
    place = position_option(near)
    sides = []
    for number, source in enumerate((a, b), start=1):
        name, wanted = _numbered(source)
        frames = read_frames(name, profile, as_hex=as_hex, unwrap=unwrap, near=place)
        told = _one(frames, source, wanted)
        warn(told, number, 0)
        sides.append((told.frame.profile, told.frame.value))
    found = differences(sides[0], sides[1], ignore)
    for each in found:
        if as_json:
            echo_json(each.to_json())
            continue
        click.echo(click.style(each.path, fg="cyan"))
        if each.first is not None:
            click.echo(f"  - {each.first}")
        if each.second is not None:
            click.echo(f"  + {each.second}")
    return EXIT_DIFFERS if found else 0


def _numbered(source: str) -> tuple[str, int | None]:
    """`SOURCE#N` in its parts; a file whose name ends so is that file."""
    name, mark, number = source.rpartition("#")
    if not mark or not number.isascii() or not number.isdigit() or len(number) > 12:
        return source, None
    try:
        if Path(source).exists():
            return source, None
    except (OSError, ValueError):
        pass
    return name, int(number)


def _one(frames: Iterator[Told], source: str, wanted: int | None) -> Told:
    shown = source if len(source) <= 60 else source[:60] + "…"
    chosen = None
    for number, told in enumerate(frames, start=1):
        if wanted is None and number > 1:
            raise UnreadableSourceError(f"{shown} holds several frames: choose one by SOURCE#N")
        if number == (wanted or 1):
            chosen = told
            if wanted is not None:
                break
    if chosen is None:
        count = "no frame" if wanted is None else f"no frame {wanted}"
        raise UnreadableSourceError(f"{shown} holds {count}")
    if chosen.frame.error is not None:
        raise UnreadableSourceError(f"{shown}: {chosen.frame.error}")
    return chosen
