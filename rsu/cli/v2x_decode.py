"""`rsu v2x decode`: every frame of a source as one JSON object per line, or as a tree to read."""

from __future__ import annotations

from datetime import UTC, datetime
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
    where,
)

if TYPE_CHECKING:
    from rsu.v2x.inspector.frames import Mode

NS_PER_S = 1_000_000_000
STYLES = {
    "branch": {"dim": True},
    "name": {"fg": "cyan"},
    "raw": {},
    "word": {"fg": "green"},
    "si": {"fg": "blue"},
    "missing": {"fg": "yellow"},
    "plain": {},
}
"""Colours by role of a piece; a terminal only."""


@click.command(
    epilog="Examples: rsu v2x decode out.mcap    |    rsu v2x decode --tree 2480…00    |    "
    "nc -lu 5000 | rsu v2x decode --si"
)
@click.argument("source", default="-")
@source_options
@click.option("--si", is_flag=True, help="Add `si`: path to value and unit of every quantity.")
@click.option("--tree", is_flag=True, help="Print a tree for the eye instead of JSON.")
def decode(
    source: str,
    profile: str | None,
    as_hex: bool,
    unwrap: Mode,
    near: str | None,
    si: bool,
    tree: bool,
) -> int:
    """Print every frame of SOURCE as one JSON object per line.

    SOURCE is a recording (.mcap or a folder of them), a capture (pcap, pcapng), a file with one
    frame per line (hex, or a JSON object with "hex"), a file that holds one binary frame, a frame
    in hex, or - for lines or a capture on standard input. Headers around messages (UDP text,
    DSMP, WSMP, 1609.2, uplink frames) are taken off and told as `via` and `layers`.

    Objects have `profile`, `message`, `hex` and `value`, those of recordings also `time` (ns, UTC)
    and `topic`; a frame that cannot be decoded has `error` in place of `value`, and the exit code
    is then 1. A frame that another message set explains better has `suspicion`.
    """
    from rsu.v2x.inspector.units import si_values

    known_profile(profile)
    place = position_option(near)
    failed, warned = False, 0
    frames = read_frames(source, profile, as_hex=as_hex, unwrap=unwrap, near=place)
    for number, told in enumerate(frames, start=1):
        failed |= told.frame.error is not None
        warned = warn(told, number, warned)
        if tree:
            _print_tree(told, number)
            continue
        record = told.record()
        if si and told.frame.error is None:
            record["si"] = si_values(told.frame.profile, told.frame.value)
        echo_json(record)
    return EXIT_DIFFERS if failed else 0


def _print_tree(told: Told, number: int) -> None:
    from rsu.v2x.inspector.tree import tree_lines

    frame = told.frame
    if number > 1:
        click.echo()
    facts = [frame.profile, f"{len(frame.octets)} octets", where(told, number)]
    if "time" in told.about:
        facts.append(utc_text(told.about["time"]))
    facts += [str(told.about[key]) for key in ("topic", "source") if key in told.about]
    if frame.layers:
        facts.append("via " + " > ".join(layer.name for layer in frame.layers))
    title = click.style(frame.message or "?", bold=True)
    click.echo(f"{title}  {click.style(' · '.join(facts), dim=True)}")
    if frame.error is not None:
        click.echo(click.style(f"  {frame.error}", fg="red"))
        return
    if told.suspicion is not None and told.suspicion.suspected:
        for each in told.suspicion.evidence:
            click.echo(click.style(f"  wrong profile? {each}", fg="red"))
    for line in tree_lines(frame.profile, frame.value):
        click.echo("".join(click.style(text, **STYLES[role]) for text, role in line))  # type: ignore[arg-type]  # one style, several keywords


def utc_text(time_ns: int) -> str:
    """A moment for people, to the millisecond; the number where no calendar reaches it."""
    try:
        moment = datetime.fromtimestamp(time_ns // NS_PER_S, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time_ns} ns"
    return f"{moment:%Y-%m-%d %H:%M:%S}.{time_ns % NS_PER_S // 1_000_000:03} UTC"
