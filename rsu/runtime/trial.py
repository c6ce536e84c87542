"""Would the V2X layer take this site? Tried before a unit starts, so that it says so in one line.

In: a valid `SiteConfig` and the folder its paths are relative to. Out: one note for each thing that
keeps a message from being said, at the message's place in the site file: a map that a MAP cannot
carry, a lot without bays, test octets that no packet holds. `rsu.config.check` finds what can be
found without numpy and a codec; this builds the real thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rsu.config.base import Options
from rsu.config.model import SiteConfig
from rsu.config.problems import Note
from rsu.config.v2x import V2xOptions
from rsu.config.v2x_messages import MessageOptions, messages_of
from rsu.runtime import graph
from rsu.runtime.lockstep import virtual_boot
from rsu.v2x.errors import V2xError
from rsu.v2x.stage import V2xStage

Place = tuple[str, ...]
SECTIONS: tuple[Place, ...] = (("v2x", "csae"), ("v2x", "sae"))
TOLD = 8
"""Findings of one message that are told one by one; `rsu map check` tells all."""


def notes(config: SiteConfig, base: Path) -> list[Note]:
    """What keeps the site's messages from being said; empty for a site that can start.

    The site's map must be readable (`rsu.config.check` has looked); raises SiteMapError else.
    """
    if config.v2x is None:
        return []
    site_map = graph.load_map(config, base)
    unit, signs = graph.unit_of(config, site_map), graph.signs_of(config, site_map)

    def refusal(v2x: V2xOptions) -> V2xError | None:
        try:
            V2xStage(v2x, unit, virtual_boot(0), signs)
        except V2xError as error:
            return error
        return None

    whole = refusal(config.v2x)
    if whole is None:
        return []
    found: list[Note] = []
    for place in _said(config.v2x):
        alone = refusal(_alone(config.v2x, place))
        if alone is not None:
            found += (Note(place, line) for line in _lines(alone))
    return found or [Note(("v2x",), line) for line in _lines(whole)]


def _said(v2x: V2xOptions) -> Iterator[Place]:
    for at in SECTIONS:
        section: Options | None = getattr(v2x, at[-1])
        if section is not None:
            yield from (place for place, one in messages_of(section, at) if one.enabled)


def _alone(v2x: V2xOptions, place: Place) -> V2xOptions:
    """The same unit, saying one message only."""
    sections = {
        at[-1]: section and _only(section, at, place)
        for at in SECTIONS
        for section in [getattr(v2x, at[-1])]
    }
    return v2x.model_copy(update=sections)


def _only(section: Options, at: Place, place: Place) -> Options:
    changes: dict[str, Options] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, MessageOptions):
            on = value.enabled and (*at, name) == place
            changes[name] = value.model_copy(update={"enabled": on})
        elif isinstance(value, Options):
            changes[name] = _only(value, (*at, name), place)
    return section.model_copy(update=changes)


def _lines(error: V2xError) -> list[str]:
    lines = str(error).splitlines()
    more = len(lines) - TOLD
    return lines if more <= 1 else [*lines[:TOLD], f"and {more} more: see `rsu map check`"]
