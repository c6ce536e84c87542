"""Recordings in plain formats for other tools.

CSV: one table per topic for spreadsheets and data frames; a list (tracks, detections, lanes …)
gives one row per element, nested structs give dotted columns. JSON lines: one message a line,
nothing lost. Hex: the bare UPER of one V2X frame a line, as other codecs take it.
"""

from __future__ import annotations

import contextlib
import csv
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rsu.recording.errors import RecordingError
from rsu.recording.reader import Recording
from rsu.schema.message import Header, Message
from rsu.schema.topics import V2X_RX, V2X_TX, Topic

HEADER_COLUMNS = ("source", "boot_ns", "seq", "capture_ns", "publish_ns")


class Column(NamedTuple):
    """A CSV column and the attributes that lead to its value."""

    name: str
    path: tuple[str, ...]


class Table(NamedTuple):
    """How a payload type becomes rows: `each` names the list that gives one row per element."""

    shared: tuple[Column, ...]
    each: str | None
    element: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The header line."""
        return (*HEADER_COLUMNS, *(column.name for column in (*self.shared, *self.element)))


def table_of(payload: type[msgspec.Struct]) -> Table:
    """The table of a payload type; it depends on the type alone, never on the data."""
    shared: list[Column] = []
    each: str | None = None
    element: list[Column] = []
    for field in msgspec.structs.fields(payload):
        listed = _listed_struct(field.type)
        if listed is not None and each is None:
            each = field.name
            element = [
                Column(f"{field.name}.{column.name}", column.path)
                for column in _columns(listed, "", ())
            ]
        else:
            shared.extend(_field_columns(field.name, field.type, "", ()))
    return Table(tuple(shared), each, tuple(element))


def rows(table: Table, message: Message) -> Iterator[list[Any]]:
    """The rows of one message; one with empty element columns when its list is empty."""
    header = [getattr(message.header, name) for name in HEADER_COLUMNS]
    shared = [_cell(_value(message.payload, column.path)) for column in table.shared]
    if table.each is None:
        yield header + shared
        return
    elements = getattr(message.payload, table.each)
    for element in elements:
        yield header + shared + [_cell(_value(element, c.path)) for c in table.element]
    if not elements:
        yield header + shared + [""] * len(table.element)


def export_csv(
    recording: Recording, folder: Path, topics: Iterable[Topic | str] | None = None
) -> dict[str, int]:
    """One `<topic>.csv` per topic in `folder`; returns the rows written by file name."""
    written: dict[str, int] = {}
    with contextlib.ExitStack() as opened:
        writers: dict[str, tuple[Table, Any]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for message in recording.messages(topics):
                name = f"{message.topic.name.replace('/', '-')}.csv"
                if name not in writers:
                    payload = message.topic.payload
                    assert payload is not None
                    stream = (folder / name).open("w", newline="", encoding="utf-8")
                    writer = csv.writer(opened.enter_context(stream))
                    writers[name] = table_of(payload), writer
                    writer.writerow(writers[name][0].names)
                    written[name] = 0
                table, writer = writers[name]
                for row in rows(table, message):
                    writer.writerow(row)
                    written[name] += 1
        except OSError as error:
            problem = error.strerror or str(error)
            raise RecordingError(folder, problem, errno=error.errno) from error
    return written


def export_jsonl(
    recording: Recording, write: Callable[[str], object],
    topics: Iterable[Topic | str] | None = None,
) -> int:  # fmt: skip
    """One line per message: its header's fields and `payload`; returns the number of lines."""
    count = 0
    for header, _, data in recording.recorded(topics):
        line = {name: getattr(header, name) for name in Header.__struct_fields__}
        line["payload"] = msgspec.Raw(data)
        write(msgspec.json.encode(line).decode() + "\n")
        count += 1
    return count


def export_hex(
    recording: Recording, write: Callable[[str], object], *,
    received: bool = False, network: bool = False,
) -> int:  # fmt: skip
    """One V2X frame a line: the bare UPER, or with `network` the frame with its network header.

    Transmitted frames, or with `received` those that were heard. Returns the number of lines.
    """
    count = 0
    for message in recording.messages([V2X_RX if received else V2X_TX]):
        octets = message.payload.network if network else message.payload.payload
        write(octets.hex() + "\n")
        count += 1
    return count


def _columns(struct: type[msgspec.Struct], prefix: str, path: tuple[str, ...]) -> list[Column]:
    return [
        column
        for field in msgspec.structs.fields(struct)
        for column in _field_columns(field.name, field.type, prefix, path)
    ]


def _field_columns(name: str, kind: Any, prefix: str, path: tuple[str, ...]) -> list[Column]:
    nested = _struct(kind)
    if nested is not None:
        return _columns(nested, f"{prefix}{name}.", (*path, name))
    return [Column(prefix + name, (*path, name))]


def _struct(kind: Any) -> type[msgspec.Struct] | None:
    """The struct type itself, also where it may be None."""
    if typing.get_origin(kind) in {types.UnionType, typing.Union}:
        alternatives = [k for k in typing.get_args(kind) if k is not type(None)]
        kind = alternatives[0] if len(alternatives) == 1 else None
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _listed_struct(kind: Any) -> type[msgspec.Struct] | None:
    """X of tuple[X, ...] where X is a struct."""
    arguments: Sequence[Any] = typing.get_args(kind)
    if typing.get_origin(kind) is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _struct(arguments[0])
    return None


def _value(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if value is None:
            return None
        value = getattr(value, name)
    return value


def _cell(value: Any) -> Any:
    """Numbers and text as they are, octets as hex, nothing as empty, the rest as JSON."""
    if value is None:
        return ""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return repr(value)  # shortest text that reads back to the same float
    if isinstance(value, (bool, int, str)):
        return value
    return msgspec.json.encode(value).decode()
