"""The plain codec: every type, every check, every error, by way of asn1tools.

JSON form → `value_form` → asn1tools over `uper` → octets, and back. It covers all that the message
sets have and names what is wrong with a value; `rsu.v2x.codec` asks it for whatever the faster
written code (`rsu.v2x.specialised`) does not take. Importing asn1tools costs 0.1 s, so this module
is imported when it is first needed.
"""

from __future__ import annotations

from typing import Any

from rsu.v2x.errors import DecodeError
from rsu.v2x.notation import Descriptor
from rsu.v2x.open_types import OpenTypes
from rsu.v2x.type_form import form_of
from rsu.v2x.uper import Compiler, OctetsError, decode_octets, encode_octets
from rsu.v2x.value_form import Form, decode_form, encode_form


class PlainCodec:
    """Types of one message set, compiled when first used."""

    def __init__(self, modules: dict[str, Descriptor], open_types: OpenTypes) -> None:
        self._compiler = Compiler(modules, open_types)
        self._types: dict[str, tuple[Any, Form]] = {}

    def encode(self, value: Any, type_name: str) -> bytes:
        """JSON form → octets of any length. Raises EncodeError."""
        compiled, form = self.type(type_name)
        return encode_octets(compiled, encode_form(form, value))

    def decode(self, octets: bytes, type_name: str) -> Any:
        """Octets → JSON form. Raises DecodeError."""
        compiled, form = self.type(type_name)
        try:
            native = decode_octets(compiled, octets)
        except OctetsError as error:
            raise DecodeError(f"not a {type_name}: {error}") from error
        return decode_form(form, native)

    def type(self, name: str) -> tuple[Any, Form]:
        """Compiled type and form; raises CodecError for an unknown name."""
        if name not in self._types:
            compiled = self._compiler.root(name)
            self._types[name] = compiled, form_of(compiled, self.type)
        return self._types[name]
