"""A site config as a flat list of values, each with its place and where it came from.

`rsu config show` and `diff` read it. A leaf is a value that is no section; sections that are absent
are leaves too (None). List elements that have an `id` are named by it, so that adding a camera at
the front changes one camera and not all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from pydantic import BaseModel

from rsu.config.document import Document
from rsu.config.model import SiteConfig
from rsu.config.problems import Location, spell


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value. `name` is its path with ids in place of list indices; `title` describes it."""

    location: Location
    name: str
    value: Any
    title: str = ""

    @property
    def path(self) -> str:
        return spell(self.location)


def leaves(config: SiteConfig, base: Path | None = None) -> Iterator[Leaf]:
    """All values in the order of the models; with `base`, paths are made absolute."""
    yield from _walk(config, (), "", base, "")


def origin(leaf: Leaf, document: Document) -> tuple[int, int] | None:
    """Line and column of a value that the file states; None where it is a default."""
    return document.mark(leaf.location) if document.find(leaf.location) is not None else None


def differences(old: SiteConfig, new: SiteConfig) -> list[tuple[str, Any, Any]]:
    """(name, old value, new value) of everything that differs; ABSENT where one has no such value.

    Order and notation of the files do not count: only what they mean does.
    """
    before = {leaf.name: leaf.value for leaf in leaves(old)}
    after = {leaf.name: leaf.value for leaf in leaves(new)}
    names = list(dict.fromkeys([*before, *after]))
    pairs = [(name, before.get(name, ABSENT), after.get(name, ABSENT)) for name in names]
    return [
        (name, a, b) for name, a, b in pairs if a is not b and (a != b or type(a) is not type(b))
    ]


class _Absent:
    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()
"""Stands for a value that one of two configs does not have."""


def _walk(
    value: Any, location: Location, name: str, base: Path | None, title: str
) -> Iterator[Leaf]:
    if isinstance(value, BaseModel):
        for key, field in type(value).model_fields.items():
            inner = f"{name}.{key}" if name else key
            yield from _walk(
                getattr(value, key), (*location, key), inner, base, field.description or ""
            )
    elif isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value):
        for index, item in enumerate(value):
            label = getattr(item, "id", index)
            yield from _walk(item, (*location, index), f"{name}[{label}]", base, title)
    else:
        yield Leaf(location, name, _plain(value, base), title)


def _plain(value: Any, base: Path | None) -> Any:
    if isinstance(value, PurePath):
        return str((base / value).absolute()) if base is not None else str(value)
    if isinstance(value, tuple):
        return [_plain(item, base) for item in value]
    return value
