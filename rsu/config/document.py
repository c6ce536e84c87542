"""YAML text → plain data in which every key and value knows its line and column.

The parser is ruamel.yaml's event stream; the tree is built here, without recursion, so that size,
depth and aliases are bounded and every refusal has a place. Scalars follow the core schema of YAML
1.2.2 (10.3): `no` and `on` are text, `0o17` is octal. Not accepted, because a site file needs none
of it and each has surprised somebody: duplicate keys, tags, merge keys, several documents, NaN and
infinity.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rsu.config.problems import ConfigError, Location, Problem, printable, spell

MAX_BYTES = 512_000
"""16 cameras with every key written out are about 40 kB; the pure-Python parser reads 80 kB/s."""
MAX_NODES = 50_000
"""Keys and values, aliases expanded: stops alias bombs."""
MAX_DEPTH = 32
"""The deepest place of the models is at 7."""

Mark = tuple[int, int]
"""Line and column, both from 1."""


@dataclass(slots=True, eq=False)
class Node:
    """A value and where it starts. `value` is a scalar, a list of nodes, or a dict of entries.

    `size` counts the nodes from here down, aliases expanded; `text` is a scalar as written.
    """

    mark: Mark
    value: Any
    size: int = 1
    height: int = 0  # levels of collections below this one
    text: str = ""

    def copy(self) -> Node:
        """The same tree once more, so that changing one place of an alias leaves the others."""
        value = self.value
        if isinstance(value, dict):
            value = {key: Entry(entry.mark, entry.node.copy()) for key, entry in value.items()}
        elif isinstance(value, list):
            value = [node.copy() for node in value]
        return Node(self.mark, value, self.size, self.height, self.text)

    def plain(self) -> Any:
        """The value as JSON-like data."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(slots=True, eq=False)
class Entry:
    """A key's place and its value."""

    mark: Mark
    node: Node


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet; `key` waits for its value."""

    node: Node
    location: Location
    key: str | None = None
    key_mark: Mark = (1, 1)
    anchor: str | None = None


@dataclass(slots=True)
class Document:
    """One parsed file."""

    file: Path
    root: Node
    problems: list[Problem] = field(default_factory=list)

    def find(self, location: Location) -> Node | None:
        """The node at a location, None where the file does not have it."""
        node = self.root
        for step in location:
            if isinstance(node.value, dict) and step in node.value:
                node = node.value[step].node
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
            else:
                return None
        return node

    def mark(self, location: Location, *, of_key: bool = False) -> Mark:
        """Where a location stands; for one that the file lacks, where its nearest parent stands.

        A section is pointed at by its key, a scalar by itself.
        """
        key_mark = mark = self.root.mark
        node = self.root
        for step in location:
            if isinstance(node.value, dict) and step in node.value:
                entry = node.value[step]
                key_mark, node = entry.mark, entry.node
                mark = key_mark if isinstance(node.value, (dict, list)) else node.mark
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                key_mark = mark = node.mark
            else:
                return mark
        return key_mark if of_key else mark

    def problem(
        self,
        location: Location,
        message: str,
        suggestion: str | None = None,
        *,
        of_key: bool = False,
        warning: bool = False,
    ) -> Problem:
        """A problem at a place of this document."""
        line, column = self.mark(location, of_key=of_key)
        return Problem(self.file, line, column, spell(location), message, suggestion, warning)


def read_document(path: Path) -> Document:
    """Read one YAML file; ConfigError where no tree can be built at all.

    Problems that leave a tree (duplicate keys, NaN) are in the document's `problems`.
    """
    return parse(_read(path), path)


def parse(text: str, file: Path) -> Document:
    """The tree of a YAML text; ConfigError on a syntax error or an exceeded bound."""
    builder = _Builder(file)
    try:
        for event in _events(text, file):
            builder.take(event)
    except _RefusedError as refused:
        problem = builder.at(refused.mark, refused.location, str(refused))
        raise ConfigError([*builder.problems, problem]) from None
    if builder.root is None or builder.root.value is None:
        raise ConfigError([Problem(file, 1, 1, "", "the file is empty")])
    return Document(file, builder.root, builder.problems)


def _read(path: Path) -> str:
    try:
        if path.is_dir():
            raise ConfigError([Problem(path, 1, 1, "", "is a folder, not a site file")])
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError([Problem(path, 1, 1, "", f"cannot be read: {reason}")]) from None
    if len(raw) > MAX_BYTES:
        message = f"is larger than {MAX_BYTES // 1000} kB: not a site file"
        raise ConfigError([Problem(path, 1, 1, "", message)])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, column = _place(raw[: error.start].decode("utf-8", "replace"))
        message = f"is not UTF-8: byte 0x{raw[error.start]:02x}"
        raise ConfigError([Problem(path, line, column, "", message)]) from None
    return text


def _place(before: str) -> Mark:
    line = before.count("\n") + 1
    return line, len(before) - (before.rfind("\n") + 1) + 1


# What YAML 1.2.2 (5.1) lets into a stream.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _events(text: str, file: Path) -> Iterator[Any]:
    """ruamel's events; every way in which its parser fails becomes a ConfigError with a place."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    bad = _FORBIDDEN.search(text)
    if bad:
        line, column = _place(text[: bad.start()])
        message = f"character {printable(bad.group())} is not allowed in YAML"
        raise ConfigError([Problem(file, line, column, "", message)])
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = Problem(file, line, column, "", f"YAML syntax: {_reason(error)}")
        raise ConfigError([problem]) from None
    except YAMLError as error:
        message = f"YAML syntax: {printable(str(error), 120)}"
        raise ConfigError([Problem(file, 1, 1, "", message)]) from None
    except (ValueError, OverflowError, IndexError, AttributeError, RecursionError) as error:
        # Malformed escapes and directives escape the parser as bare Python errors.
        message = f"YAML syntax: {type(error).__name__}: {printable(str(error), 120)}"
        raise ConfigError([Problem(file, 1, 1, "", message)]) from None


def _reason(error: Any) -> str:
    reason = str(error.problem or error.context or "cannot be parsed")
    if r"'\t'" in reason:
        return "a tab cannot indent YAML, use spaces"
    if reason == "mapping values are not allowed here":
        return "a second `:` here; quote the text, or start a new line"
    context = f" {error.context}" if error.problem and error.context else ""
    return printable(reason + context, 120)


class _RefusedError(Exception):
    """Nothing more can be read from here."""

    def __init__(self, mark: Mark, location: Location, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.location = location


class _Builder:
    """Events in, tree out; a stack of open collections instead of recursion."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._documents = 0
        self._nodes = 0

    def at(self, mark: Mark, location: Location, message: str) -> Problem:
        return Problem(self.file, *mark, spell(location), message)

    def take(self, event: Any) -> None:
        """One event of the parser."""
        kind = type(event).__name__
        mark = (event.start_mark.line + 1, event.start_mark.column + 1)
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                raise _RefusedError(mark, (), "a site file holds one YAML document only")
            if event.version not in (None, (1, 2)):
                raise _RefusedError(mark, (), "site files are YAML 1.2")
        elif kind == "ScalarEvent":
            self._scalar(event, mark)
        elif kind == "AliasEvent":
            self._alias(event, mark)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._start(event, mark, {} if kind == "MappingStartEvent" else [])
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._end()

    def _scalar(self, event: Any, mark: Mark) -> None:
        frame = self._open[-1] if self._open else None
        if frame and isinstance(frame.node.value, dict) and frame.key is None:
            self._key(frame, event, mark)
            return
        location = self._location()
        self._refuse_tag(event, mark, location, ("tag:yaml.org,2002:str",))
        value: Any = event.value
        if event.style is None and event.tag is None:
            value = _resolve(event.value)
        if isinstance(value, float) and not math.isfinite(value):
            self.problems.append(
                self.at(mark, location, f"{printable(event.value)} is not a finite number")
            )
            value = None
        if frame and frame.key is not None and not event.value and event.style is None:
            mark = frame.key_mark  # a key without a value: the parser places it at what follows
        node = Node(mark, value, text=event.value)
        self._anchor(event, node)
        self._put(node, mark)

    def _key(self, frame: _Open, event: Any, mark: Mark) -> None:
        key = str(event.value)
        location = (*frame.location, key)
        self._refuse_tag(event, mark, location, ("tag:yaml.org,2002:str",))
        if key == "<<" and event.style is None:
            raise _RefusedError(mark, location, "merge keys are not part of YAML 1.2")
        frame.key, frame.key_mark = key, mark
        self._anchor(event, Node(mark, key))
        if key in frame.node.value:
            line, column = frame.node.value[key].mark
            self.problems.append(
                self.at(mark, location, f"duplicate key, first at {line}:{column}")
            )

    def _start(self, event: Any, mark: Mark, value: Any) -> None:
        location = self._location()
        frame = self._open[-1] if self._open else None
        if frame and isinstance(frame.node.value, dict) and frame.key is None:
            raise _RefusedError(mark, location, "a key must be text")
        self._refuse_tag(event, mark, location, ())
        if len(self._open) >= MAX_DEPTH:
            raise _RefusedError(mark, location, f"nested deeper than {MAX_DEPTH} levels")
        self._open.append(_Open(Node(mark, value), location, anchor=event.anchor))
        self._count(1, mark)

    def _end(self) -> None:
        frame = self._open.pop()
        # An anchor counts from the end of its node: an alias inside it would be endless.
        if frame.anchor is not None:
            self._anchors[frame.anchor] = frame.node
        self._put(frame.node, frame.node.mark, counted=True)

    def _alias(self, event: Any, mark: Mark) -> None:
        location = self._location()
        frame = self._open[-1] if self._open else None
        if frame and isinstance(frame.node.value, dict) and frame.key is None:
            raise _RefusedError(mark, location, "a key must be text")
        node = self._anchors.get(event.anchor)
        if node is None:
            name = printable(event.anchor)
            raise _RefusedError(mark, location, f"nothing before here is anchored as &{name}")
        if len(self._open) + node.height >= MAX_DEPTH:  # chained aliases nest without brackets
            raise _RefusedError(mark, location, f"nested deeper than {MAX_DEPTH} levels")
        self._count(node.size, mark)  # before a copy is made of it
        self._put(node.copy(), mark, counted=True)

    def _anchor(self, event: Any, node: Node) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _put(self, node: Node, mark: Mark, *, counted: bool = False) -> None:
        if not counted:
            self._count(node.size, mark)
        if not self._open:
            self.root = node
            return
        frame = self._open[-1]
        frame.node.size += node.size
        if isinstance(node.value, (dict, list)):
            frame.node.height = max(frame.node.height, node.height + 1)
        if isinstance(frame.node.value, list):
            frame.node.value.append(node)
        else:
            assert frame.key is not None
            # Of duplicates the first stays: the error is reported at the second.
            frame.node.value.setdefault(frame.key, Entry(frame.key_mark, node))
            frame.key = None

    def _count(self, size: int, mark: Mark) -> None:
        self._nodes += size
        if self._nodes > MAX_NODES:
            raise _RefusedError(mark, self._location(), f"more than {MAX_NODES} keys and values")

    def _location(self) -> Location:
        if not self._open:
            return ()
        frame = self._open[-1]
        if isinstance(frame.node.value, list):
            return (*frame.location, len(frame.node.value))
        return (*frame.location, frame.key) if frame.key is not None else frame.location

    def _refuse_tag(
        self, event: Any, mark: Mark, location: Location, known: tuple[str, ...]
    ) -> None:
        if event.tag is not None and event.tag not in known:
            tag = printable(str(event.tag))
            raise _RefusedError(mark, location, f"YAML tags are not used here: {tag}")


# Core schema of YAML 1.2.2, 10.3.2.
_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _resolve(text: str) -> bool | int | float | str | None:
    """The value of a plain scalar."""
    for pattern, value in ((_NULL, None), (_TRUE, True), (_FALSE, False), (_NOT_FINITE, math.nan)):
        if pattern.fullmatch(text):
            return value
    if _INTEGER.fullmatch(text):
        return _integer(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _integer(text: str) -> int | float:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    # Numbers of hundreds of digits are nobody's integer: as infinity they are refused with a place.
    return int(text, base) if len(text) <= 40 else math.inf
