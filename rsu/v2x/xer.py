"""XML of other tools → JSON form: basic XER (X.693 clause 8) of any type of a message set.

In: the text of a document whose root element names a type (`MessageFrame`, or the bare content of a
message, e.g. `MapData`). Out: the type's name and the value in JSON form (docs/v2x-json.md), every
range checked by the codec. XER is read, never written: on the air there is only UPER.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from rsu.v2x import value_form as forms
from rsu.v2x.codec import Codec
from rsu.v2x.errors import CodecError, DecodeError
from rsu.v2x.type_form import OpenTypeForm
from rsu.v2x.value_form import Form, FormError, shown

DEPTH_MAX = 64
"""Elements inside one another: the deepest member of a message lies 24 levels down, and XER wraps
list elements once more."""


def read_xer(text: str, codec: Codec) -> tuple[str, Any]:
    """(type name, value in JSON form) of a document. Raises DecodeError."""
    try:
        # Without a DTD expat expands nothing, and a DTD has no place in a message.
        if "<!DOCTYPE" in text:
            raise DecodeError("a document type has no place in XER")
        root = ElementTree.fromstring(text)  # noqa: S314  (no entities: see above)
    except ElementTree.ParseError as error:
        raise DecodeError(f"not XML: {error}") from error
    try:
        _, form = codec.plain.type(root.tag)
    except CodecError as error:
        raise DecodeError(f"<{root.tag}> is no type of {codec.profile}") from error
    try:
        value = _value(form, root, codec, 0)
    except FormError as error:
        raise DecodeError(str(error)) from error
    codec.encode(value, root.tag)  # ranges
    return root.tag, value


def _value(form: Form, element: Element, codec: Codec, depth: int) -> Any:
    if depth > DEPTH_MAX:
        raise FormError("nested too deeply")
    if isinstance(form, OpenTypeForm):
        return _open(form, element, codec, depth)
    if isinstance(form, forms.SequenceForm):
        return _sequence(form, element, codec, depth)
    if isinstance(form, forms.ChoiceForm):
        name, inner = _choice(form, element, codec, depth)
        return {name: inner}
    if isinstance(form, forms.ListForm):
        return _list(form, element, codec, depth)
    return _leaf(form, element)


def _sequence(
    form: forms.SequenceForm, element: Element, codec: Codec, depth: int
) -> dict[str, Any]:
    known = {name: member for name, member, _ in form.members}
    out: dict[str, Any] = {}
    for child in element:
        if child.tag not in known:
            raise FormError(f"unknown member {shown(child.tag)}")
        if child.tag in out:
            raise FormError(f"{child.tag} stands there twice")
        try:
            out[child.tag] = _value(known[child.tag], child, codec, depth + 1)
        except FormError as error:
            error.path.append(child.tag)
            raise
    return out


def _open(form: OpenTypeForm, element: Element, codec: Codec, depth: int) -> dict[str, Any]:
    """A SEQUENCE with an open field: its contents are wrapped in the name of their type."""
    fields = element.findall(form.field)
    if len(fields) != 1:
        raise FormError(f"{form.field} stands there {len(fields)} times, not once")
    (field,) = fields
    rest = Element(element.tag)
    rest.extend(child for child in element if child.tag != form.field)
    out = _sequence(form, rest, codec, depth)
    number = out.get(form.open_type.id_field)
    name = form.open_type.types.get(number) if isinstance(number, int) else None
    if name is None:
        out[form.field] = _text(field).lower()
        return out
    try:
        if len(field) != 1 or field[0].tag != name:
            raise FormError(f"<{name}> is wanted here")
        _, inner = codec.plain.type(name)
        out[form.field] = {name: _value(inner, field[0], codec, depth + 1)}
    except FormError as error:
        error.path.append(form.field)
        raise
    return out


def _choice(form: forms.ChoiceForm, element: Element, codec: Codec, depth: int) -> tuple[str, Any]:
    if len(element) != 1:
        raise FormError(f"one alternative is wanted, there are {len(element)}")
    return _alternative(form, element[0], codec, depth)


def _alternative(
    form: forms.ChoiceForm, child: Element, codec: Codec, depth: int
) -> tuple[str, Any]:
    if child.tag not in form.alternatives:
        raise FormError(f"{shown(child.tag)} is none of {', '.join(form.alternatives)}")
    try:
        return child.tag, _value(form.alternatives[child.tag], child, codec, depth + 1)
    except FormError as error:
        error.path.append(child.tag)
        raise


def _list(form: forms.ListForm, element: Element, codec: Codec, depth: int) -> list[Any]:
    out: list[Any] = []
    try:
        for child in element:
            out.append(_element(form.element, child, codec, depth + 1))  # noqa: PERF401  (index)
    except FormError as error:
        error.path.append(len(out))
        raise
    return out


def _element(form: Form, child: Element, codec: Codec, depth: int) -> Any:
    """One element of a list: named by its type; alternatives, names and truth values stand there
    themselves (X.693 8.3.7), or inside the type's name, as some tools write them."""
    if isinstance(form, forms.ChoiceForm) and child.tag in form.alternatives:
        name, inner = _alternative(form, child, codec, depth)
        return {name: inner}
    bare = not len(child) and not _text(child)
    if bare and isinstance(form, forms.EnumeratedForm | forms.BooleanForm):
        wrapper = Element("element")
        wrapper.append(child)
        return _leaf(form, wrapper)
    return _value(form, child, codec, depth)


def _leaf(form: Form, element: Element) -> Any:
    text = _text(element)
    if isinstance(form, forms.NullForm):
        return None
    if isinstance(form, forms.EnumeratedForm | forms.BooleanForm):
        name = element[0].tag if len(element) == 1 else text
        return name == "true" if isinstance(form, forms.BooleanForm) else name
    if len(element):
        raise FormError(f"unknown member {shown(element[0].tag)}")
    if isinstance(form, forms.IntegerForm):
        try:
            return int(text)
        except ValueError:
            raise FormError(f"an integer is wanted, not {shown(text)}") from None
    if isinstance(form, forms.BitsForm):
        return {"bits": "".join(text.split())}
    if isinstance(form, forms.OctetsForm):
        return "".join(text.split()).lower()
    return element.text or "" if isinstance(form, forms.TextForm) else text


def _text(element: Element) -> str:
    return (element.text or "").strip()
