"""`rsu v2x`, the message inspector: frames from anywhere → JSON, a tree, findings, differences."""

from __future__ import annotations

import click

from rsu.cli.v2x_decode import decode
from rsu.cli.v2x_diff import diff
from rsu.cli.v2x_encode import encode
from rsu.cli.v2x_inspect import inspect
from rsu.cli.v2x_sources import UnreadableSourceError

__all__ = ["UnreadableSourceError", "v2x"]


@click.group(
    epilog="Example: rsu v2x decode out.mcap",
    commands={each.name or "": each for each in (decode, encode, inspect, diff)},
)
def v2x() -> None:
    """Decode, encode, inspect and compare V2X messages (docs/v2x-inspector.md)."""
