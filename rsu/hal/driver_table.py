"""Finds a driver's class by its name: our own table first, then installed entry points.

A table maps driver name → "module:Class" and imports nothing until the driver is asked for, so that
a site without a video device never loads that code. Third-party packages add drivers through an
entry-point group; they cannot replace one of ours, because a site file must mean the same
everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from rsu.hal.errors import UnknownDriver


def driver_names(table: Mapping[str, str], group: str) -> tuple[str, ...]:
    """Every driver that could be loaded, sorted."""
    return tuple(sorted({*table, *entry_points(group=group).names}))


def driver_class(name: str, table: Mapping[str, str], group: str) -> Any:
    """The class behind a driver name; raises UnknownDriver with the reason and a next step."""
    target = table.get(name)
    if target is None:
        found = tuple(entry_points(group=group).select(name=name))
        if not found:
            known = ", ".join(driver_names(table, group))
            raise UnknownDriver(
                f"no driver {name!r} in {group}",
                f"use one of {known}, or install the package that brings it",
            )
        target = found[0].value
    # EntryPoint.load does exactly "module:Class"; using it keeps both ways one way.
    entry = EntryPoint(name, target, group)
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        raise UnknownDriver(
            f"driver {name!r} ({target}) cannot be loaded: {error}",
            "install what it needs, or choose another driver",
        ) from error
