"""From a compiled type to its JSON form, open types included.

asn1tools' compiled types (`rsu.v2x.uper`) in, a `rsu.v2x.value_form.Form` for each out. Contents of
open types are encoded and decoded on the way, over types asked for by name, so that a value nests
and only the messages that really occur are compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from asn1tools.codecs import per, uper

from rsu.v2x import value_form as forms
from rsu.v2x.open_types import OpenType
from rsu.v2x.uper import (
    EXTENDED_SIZE_MAX,
    OctetsError,
    RelativeOid,
    decode_octets,
    encode_octets,
)
from rsu.v2x.value_form import INTEGER_BITS_MAX, Form, FormError, shown

UNBOUNDED_SIZE_MAX = 65_535
"""Largest size of a type without a size constraint: more than any frame holds."""

Resolve = Callable[[str], tuple[Any, Form]]
"""Compiled type and form of a type by name."""


def form_of(compiled: Any, resolve: Resolve) -> Form:
    """The form of a type compiled by `rsu.v2x.uper`; raises TypeError for other kinds."""
    for kind, make in _FORMS:
        if isinstance(compiled, kind):
            return make(compiled, resolve)
    raise TypeError(f"no JSON form for {type(compiled).__name__} {compiled.name!r}")


def _sequence_form(compiled: Any, resolve: Resolve) -> Form:
    members = [(m.name, form_of(m, resolve), bool(m.optional)) for m in compiled.root_members]
    # An addition may always be absent: its sender may follow an earlier version.
    members += [(m.name, form_of(m, resolve), True) for m in compiled.additions or ()]
    for member in compiled.root_members:
        if open_type := getattr(member, "open_type", None):
            return OpenTypeForm(members, member.name, open_type, resolve)
    return forms.SequenceForm(members)


def _choice_form(compiled: Any, resolve: Resolve) -> Form:
    members = [
        *compiled.root_index_to_member.values(),
        *(compiled.additions_index_to_member or {}).values(),
    ]
    return forms.ChoiceForm([(member.name, form_of(member, resolve)) for member in members])


def _list_form(compiled: Any, resolve: Resolve) -> Form:
    return forms.ListForm(form_of(compiled.element_type, resolve), *_sizes(compiled))


def _integer_form(compiled: Any, _: Resolve) -> Form:
    if compiled.has_extension_marker or compiled.number_of_bits is None:
        limit = 1 << (INTEGER_BITS_MAX - 1)
        return forms.IntegerForm(-limit, limit - 1)
    return forms.IntegerForm(compiled.minimum, compiled.maximum)


def _enumerated_form(compiled: Any, _: Resolve) -> Form:
    additions = compiled.additions_data_to_index or {}
    return forms.EnumeratedForm(frozenset((*compiled.root_data_to_index, *additions)))


def _text_form(compiled: Any, _: Resolve) -> Form:
    return forms.TextForm(*_root_sizes(compiled), _ALPHABETS[type(compiled)])


def _sizes(compiled: Any) -> tuple[int, int]:
    """Sizes that a value may have."""
    if compiled.has_extension_marker:
        return 0, max(EXTENDED_SIZE_MAX, compiled.maximum)
    return _root_sizes(compiled)


def _root_sizes(compiled: Any) -> tuple[int, int]:
    if compiled.number_of_bits is None:
        return 0, UNBOUNDED_SIZE_MAX
    return compiled.minimum, compiled.maximum


_ALPHABETS = {
    uper.IA5String: frozenset(map(chr, range(128))),
    uper.VisibleString: frozenset(map(chr, range(32, 127))),
    uper.NumericString: frozenset(" 0123456789"),
}

_FORMS: tuple[tuple[Any, Callable[[Any, Resolve], Form]], ...] = (
    (uper.Sequence, _sequence_form),
    (uper.Choice, _choice_form),
    (uper.SequenceOf, _list_form),
    (uper.Integer, _integer_form),
    (per.Enumerated, _enumerated_form),
    (uper.BitString, lambda compiled, _: forms.BitsForm(*_sizes(compiled))),
    (RelativeOid, lambda *_: forms.RelativeOidForm()),
    (uper.OctetString, lambda compiled, _: forms.OctetsForm(*_sizes(compiled))),
    (tuple(_ALPHABETS), _text_form),
    (per.Boolean, lambda *_: forms.BooleanForm()),
    (per.Null, lambda *_: forms.NullForm()),
    (per.ObjectIdentifier, lambda *_: forms.OidForm()),
)
"""Form of each kind of type; RelativeOid before the OctetString that it derives from."""

_RAW = forms.OctetsForm(0, UNBOUNDED_SIZE_MAX)
"""Contents of an open type that is not known."""


class OpenTypeForm(forms.SequenceForm):
    """A SEQUENCE with an open field, whose contents are of the type that another field announces.

    For asn1tools the field is an OCTET STRING; in the JSON form it is `{type name: value}`, or hex
    where the table has no type for the id.
    """

    def __init__(
        self,
        members: Sequence[tuple[str, Form, bool]],
        field: str,
        open_type: OpenType,
        resolve: Resolve,
    ) -> None:
        super().__init__([(n, _AsItIs() if n == field else f, o) for n, f, o in members])
        self.field, self.open_type, self.resolve = field, open_type, resolve

    def native(self, value: Any) -> dict[str, Any]:
        out = super().native(value)
        return self._with_content(out, value, self._encoded)

    def json(self, native: dict[str, Any]) -> dict[str, Any]:
        return self._with_content(super().json(native), native, self._decoded)

    def _with_content(
        self, out: dict[str, Any], source: dict[str, Any], convert: Any
    ) -> dict[str, Any]:
        if self.field in out:
            type_name = self.open_type.types.get(out[self.open_type.id_field])
            try:
                out[self.field] = convert(type_name, source[self.field])
            except FormError as error:
                error.path.append(self.field)
                raise
        return out

    def _encoded(self, type_name: str | None, content: Any) -> bytes:
        if type_name is None:
            return _RAW.native(content)
        if not isinstance(content, dict) or list(content) != [type_name]:
            raise FormError(f'{{"{type_name}": …}} is wanted here, not {shown(content)}')
        compiled, form = self.resolve(type_name)
        try:
            return encode_octets(compiled, form.native(content[type_name]))
        except FormError as error:
            error.path.append(type_name)
            raise

    def _decoded(self, type_name: str | None, octets: bytes) -> Any:
        if type_name is None:
            return _RAW.json(octets)
        compiled, form = self.resolve(type_name)
        try:
            return {type_name: form.json(decode_octets(compiled, octets))}
        except OctetsError as error:
            raise FormError(f"not a {type_name}: {error}") from error
        except FormError as error:
            error.path.append(type_name)
            raise


class _AsItIs:
    """Leaves an open field to OpenTypeForm."""

    def native(self, value: Any) -> Any:
        return value

    def json(self, native: Any) -> Any:
        return native
