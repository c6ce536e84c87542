"""Tables of fields: how one document becomes another, and what its JSON Schema is.

A table says for every field of a platform's document where it comes from, in which unit it is
wanted there and by which factor ours is multiplied. `mapped` writes a document by a table,
`json_schema` derives the schema from the same table, so that neither can say what the other does
not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a platform's document.

    `source` is a dotted path into what is mapped (empty: all of it). `kind` is the JSON type of
    the value or, with `each`, of every item of a list. Numbers are multiplied by `scale` and
    rounded to `decimals`; outside `low` … `high` they are nothing. `words` translates values.
    `fields` is the table of an object. Where there is nothing, the field is left out, or is
    `otherwise`, the platform's own word for it.
    """

    name: str
    source: str = ""
    kind: str = "string"
    unit: str = ""
    scale: float = 1.0
    decimals: int = 0
    low: float | None = None
    high: float | None = None
    words: Mapping[Any, Any] | None = None
    fields: Table = ()
    each: bool = False
    most: int | None = None
    optional: bool = False
    otherwise: Any = None
    constant: Any = None
    note: str = ""


Table = tuple[Field, ...]


def text(name: str, source: str = "", **more: Any) -> Field:
    """A string."""
    return Field(name=name, source=source or name, **more)


def number(name: str, source: str, unit: str = "", **more: Any) -> Field:
    """A number with `decimals`."""
    return Field(name=name, source=source, kind="number", unit=unit, **more)


def whole(name: str, source: str, unit: str = "", **more: Any) -> Field:
    """A whole number."""
    return Field(name=name, source=source, kind="integer", unit=unit, **more)


def group(name: str, source: str, *fields: Field, **more: Any) -> Field:
    """An object with fields of its own."""
    return Field(name=name, source=source, kind="object", fields=fields, **more)


def rows(name: str, source: str, *fields: Field, **more: Any) -> Field:
    """A list of such objects."""
    return Field(name=name, source=source, kind="object", fields=fields, each=True, **more)


def mapped(table: Table, source: Any) -> Document:
    """The document that the table makes of `source` (mappings and sequences of plain values)."""
    document: Document = {}
    for field in table:
        found = field.constant if field.constant is not None else _at(source, field.source)
        value = _value(field, found)
        if value is None:
            value = field.otherwise
        if value is not None or not field.optional:
            document[field.name] = value
    return document


def _at(source: Any, path: str) -> Any:
    for name in path.split(".") if path else ():
        if not isinstance(source, Mapping):
            return None
        source = source.get(name)
    return source


def _value(field: Field, found: Any) -> Any:
    if found is None:
        return None
    if field.each:
        return [_one(field, item) for item in found]
    return _one(field, found)


def _one(field: Field, found: Any) -> Any:
    if field.fields:
        return mapped(field.fields, found)
    if field.words is not None:
        return field.words.get(found)
    if field.kind in ("number", "integer"):
        value = found * field.scale
        beyond = (field.low is not None and value < field.low) or (
            field.high is not None and value > field.high
        )
        if beyond or not math.isfinite(value):
            return None
        if field.kind == "integer":
            return math.floor(value + 0.5)
        return round(value, field.decimals)
    return found


def json_schema(table: Table, **more: Any) -> Document:
    """JSON Schema (draft 2020-12) of what `mapped` makes; `more` are further keywords."""
    return {
        "type": "object",
        "properties": {field.name: field_schema(field) for field in table},
        "required": [field.name for field in table if not field.optional],
        "additionalProperties": False,
        **more,
    }


def field_schema(field: Field) -> Document:
    """JSON Schema of one field's value."""
    schema = json_schema(field.fields) if field.fields else _plain_schema(field)
    if field.each:
        schema = {"type": "array", "items": schema}
        if field.most is not None:
            schema["maxItems"] = field.most
    about = "; ".join(filter(None, (field.unit, field.note)))
    if about:
        schema["description"] = about
    return schema


def _plain_schema(field: Field) -> Document:
    if field.constant is not None:
        return {"const": field.constant}
    if field.words is not None:
        values = list(dict.fromkeys(field.words.values()))
        if field.otherwise is not None and field.otherwise not in values:
            values.append(field.otherwise)
        return {"enum": values}
    schema: Document = {"type": field.kind}
    for keyword, bound in (("minimum", field.low), ("maximum", field.high)):
        if bound is not None:
            schema[keyword] = int(bound) if field.kind == "integer" else bound
    if field.otherwise is not None:  # may lie outside the bounds: "unavailable"
        schema = {"anyOf": [schema, {"const": field.otherwise}]}
    return schema
