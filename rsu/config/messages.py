"""pydantic's complaints → problems that a person can act on.

A complaint's location contains the tag of every discriminated union it went through; those are
taken out again, so that paths read as the file does. Unknown keys and values get the nearest known
one as a suggestion. Values are quoted, except that credentials inside URLs are blanked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from rsu.config.base import MISFIT
from rsu.config.document import Document
from rsu.config.problems import Location, Problem, printable, spell

DISCRIMINATORS = ("driver", "do", "expect", "kind")
"""Keys that choose an option model, the telling ones first (scenarios: `do`, `expect`)."""

# What the patterns of our fields mean in words.
_PATTERNS = {
    r"^[a-z][a-z0-9_-]{0,31}$": "must be a name: lower-case letters, digits, - and _, a letter "
    "first, at most 32",
    r"^[0-9a-fA-F]{16}$": "must be 16 hex digits in quotes",
    r"^rtsps?://[^@\s]+$": "must be an rtsp:// or rtsps:// URL without user and password "
    "(those go into credentials_file)",
    r"^(/dev/\S+|\d+)$": "must be a path under /dev or a device index",
    r"^[!-~]{1,8}$": "must be 1 to 8 visible ASCII characters",
    r"^[A-Za-z0-9_]{1,64}$": "must be 1 to 64 letters, digits or _",
    r"^[A-Za-z0-9_-]{1,64}$": "must be 1 to 64 letters, digits, _ or -",
    r"^[A-Z0-9]{4}$": "must be four capital letters or digits",
    r"^[^#+\s]+$": "must not contain #, + or blanks",
    r"^([0-9a-fA-F]{2}){1,2048}$": "must be 1 to 2048 octets as hex digits in quotes",
    r"^$|^[0-9]+(\.[0-9]+)+$": "must be an object identifier such as 1.3.6.1.4.1.99999",
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$": "must be a UTC time such as "
    "2025-06-01T12:00:00Z in quotes",
}


def problem(error: ErrorDetails, document: Document, model: type[BaseModel]) -> Problem:
    """One complaint, placed in the document and said in our words."""
    location = true_location(error["loc"], document, model)
    kind, context, value = error["type"], error.get("ctx", {}), error.get("input")
    suggestion = None
    if kind == "extra_forbidden":
        now = moved_to(model, location, document)
        if now is not None:
            message = f"is {now} now"
        else:
            message = "unknown key"
            known = list(known_keys(model, location[:-1], document))
            suggestion = nearest(str(location[-1]), known)
    elif kind == "union_tag_invalid":
        location = (*location, str(context["discriminator"]).strip("'"))
        known = re.findall(r"'([^']*)'", str(context["expected_tags"]))
        message = f"{quote(context['tag'])} is not one of {', '.join(known)}"
        suggestion = nearest(str(context["tag"]), known)
    elif kind == "union_tag_not_found":
        known = [tag for _, tag in _members(_annotation_at(model, location, document))]
        location = (*location, str(context["discriminator"]).strip("'"))
        message = f"is missing; one of {', '.join(known)}"
    elif kind == "literal_error":
        known = re.findall(r"'([^']*)'", str(context["expected"]))
        message = f"{quote(value)} is not {context['expected']}"
        suggestion = nearest(value, known) if isinstance(value, str) else None
    elif kind == MISFIT:
        location = (*location, *context["at"])
        message = str(context["reason"])
    else:
        node = document.find(location)
        message = _say(kind, error["msg"], context, value, node.text if node else "")
    return document.problem(location, message, suggestion, of_key=kind == "extra_forbidden")


def true_location(
    loc: tuple[int | str, ...], document: Document, model: type[BaseModel]
) -> Location:
    """The location without the union tags that pydantic puts into it."""
    location: Location = ()
    arrived = True  # a tag can only follow directly on reaching its mapping
    for step in loc:
        members = list(_members(_annotation_at(model, location, document)))
        if arrived and len(members) > 1 and step in [tag for _, tag in members]:
            arrived = False
            continue
        location, arrived = (*location, step), True
    return location


def known_keys(model: type[BaseModel], location: Location, document: Document) -> Iterator[str]:
    """The keys that the model allows at a location."""
    for member, _ in _members(_annotation_at(model, location, document)):
        yield from member.model_fields


def moved_to(model: type[BaseModel], location: Location, document: Document) -> str | None:
    """Where a key of an earlier version is now; None where no version had it."""
    for member, _ in _members(_annotation_at(model, location[:-1], document)):
        now = getattr(member, "MOVED", {}).get(location[-1])
        if now is not None:
            return spell((*location[:-1], now))
    return None


def nearest(text: str, known: list[str]) -> str | None:
    """The known word that was probably meant."""
    close = get_close_matches(text.lower(), known, 1)
    return close[0] if close else None


def quote(value: Any) -> str:
    """A value out of the file, fit to be shown: short, and without the password of a URL."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{printable(re.sub('//[^/]*@', '//…@', value))}'"
    return printable(repr(value))


_KINDS = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "dict_type": "must be a section with keys",
    "model_type": "must be a section with keys",
    "model_attributes_type": "must be a section with keys",
    "tuple_type": "must be a list",
    "finite_number": "must be a finite number",
}


def _say(kind: str, message: str, context: dict[str, Any], value: Any, text: str) -> str:
    """A complaint about a value; `text` is how the file writes it."""
    if kind == "missing":
        return "is missing"
    if kind in ("too_short", "too_long"):
        bound = context.get("min_length", context.get("max_length"))
        side = "at least" if kind == "too_short" else "at most"
        return f"must have {side} {bound} items, not {context['actual_length']}"
    if kind == "value_error":
        return printable(message.removeprefix("Value error, "), 200)
    if kind == "string_type" and isinstance(value, (int, float)):
        said = f"must be text: put {printable(text)} in quotes"
    elif kind == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        said = f"{_PATTERNS.get(pattern, f'must match {pattern}')}, not {quote(value)}"
    elif kind in _KINDS:
        said = f"{_KINDS[kind]}, not {quote(value)}"
    elif message.startswith("Input should be "):
        said = f"must be {message.removeprefix('Input should be ')}, not {quote(value)}"
    else:
        said = printable(message[:1].lower() + message[1:], 200)
    return said


def _annotation_at(model: type[BaseModel], location: Location, document: Document) -> Any:
    """The annotation of the field at a location, as far as the file tells which it is."""
    annotation: Any = model
    for depth, step in enumerate(location):
        if isinstance(step, int):
            annotation = _item(annotation)
            continue
        node = document.find(location[:depth])
        values = node.value if node is not None and isinstance(node.value, dict) else {}
        for member, tag in _members(annotation):
            said = [values[name].node.value for name in DISCRIMINATORS if name in values]
            if step in member.model_fields and (not tag or tag in said):
                annotation = member.model_fields[step].annotation
                break
        else:
            return None
    return annotation


def _item(annotation: Any) -> Any:
    """The item type of a tuple annotation."""
    arguments = get_args(annotation)
    return arguments[0] if get_origin(annotation) is tuple and arguments else None


def _members(annotation: Any) -> Iterator[tuple[type[BaseModel], str]]:
    """The models that an annotation allows, each with its tag ('' outside unions)."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        for argument in get_args(annotation):
            yield from _members(argument)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, _tag(annotation)


def _tag(model: type[BaseModel]) -> str:
    for name in DISCRIMINATORS:
        field = model.model_fields.get(name)
        if field is not None and get_origin(field.annotation) is Literal:
            return str(get_args(field.annotation)[0])
    return ""
