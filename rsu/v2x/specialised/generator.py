"""Puts written code together and runs it: the codec of one message set without asn1tools.

    specialised = Generator(schema)
    octets = specialised.encode(value, "MessageFrame")     # raises Unfit and others
    value = specialised.decode(octets, "MessageFrame")

A function is written when it is first called: until then its name holds a stand-in that writes it.
So the first message of a process costs only the types that occur in it, a few milliseconds, and no
cache on disk is needed. `source_of` shows the code.

Values and octets that are refused here say nothing about why: `rsu.v2x.codec` asks the plain codec.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rsu.v2x.specialised import runtime
from rsu.v2x.specialised.decoding import DecoderWriter
from rsu.v2x.specialised.encoding import EncoderWriter
from rsu.v2x.specialised.layout import Uncovered, identifier
from rsu.v2x.specialised.runtime import Decoder, Encoder, Unfit
from rsu.v2x.specialised.schema import Reference, Schema, Type

_RUNTIME = (
    "CUT_OFF_BITS",
    "ROOM_BITS",
    "SET_ASIDE_BITS",
    "TooLong",
    "Unfit",
    "bits_of",
    "joined",
    "octets_of",
    "put_announced",
    "put_bits",
    "put_count",
    "put_identifier",
    "put_integer",
    "put_octets",
    "put_open",
    "put_text",
    "take_additions",
    "take_alternative",
    "take_announced",
    "take_bits",
    "take_count",
    "take_identifier",
    "take_integer",
    "take_octets",
    "take_text",
)
"""Names of `runtime` that written code uses."""


class Generator:
    """Encoders and decoders of one schema, written on demand.

    Writing the same function in two threads at once is harmless: both write the same.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._names: dict[str, Any] = {name: getattr(runtime, name) for name in _RUNTIME}
        self._names |= {"encoder_of": self.encoder_of, "decoder_of": self.decoder_of}
        self._types: dict[str, Type] = {}
        self._sources: dict[str, str] = {}
        self._calls: dict[str, list[str]] = {}

    def encode(self, value: Any, type_name: str) -> bytes:
        """JSON form → octets. Raises TooLong if no frame holds the value, and
        whatever it likes if the value is not for this code."""
        return runtime.finished(self.encoder_of(type_name)(value, 1))

    def decode(self, octets: bytes, type_name: str) -> Any:
        """Octets → JSON form. Raises whatever it likes if the octets are not for this code."""
        d = int.from_bytes(octets, "big")
        return runtime.whole(self.decoder_of(type_name), d, 8 * len(octets))

    def encoder_of(self, type_name: str) -> Encoder:
        """The encoder of a named type; raises CodecError for an unknown one."""
        encoder: Encoder = self._function("encode_", type_name)
        return encoder

    def decoder_of(self, type_name: str) -> Decoder:
        """The decoder of a named type; raises CodecError for an unknown one."""
        decoder: Decoder = self._function("decode_", type_name)
        return decoder

    def source_of(self, function: str) -> str:
        """Python of a function, e.g. `encode_RoadsideSafetyMessage`; raises Uncovered."""
        if function not in self._sources:
            self._write(function)
        return self._sources[function]

    def functions_of(self, type_name: str) -> dict[str, str]:
        """Source of all functions that a type needs, by name, but for contents of open types;
        raises Uncovered."""
        found: dict[str, str] = {}
        self.encoder_of(type_name)
        self.decoder_of(type_name)
        wanted = [kind + identifier(type_name) for kind in ("encode_", "decode_")]
        while wanted:
            function = wanted.pop()
            if function not in found:
                found[function] = self.source_of(function)
                wanted += self._calls[function]
        return found

    def _function(self, kind: str, type_name: str) -> Any:
        function = kind + identifier(type_name)
        found = self._names.get(function)
        if found is None:
            self.schema.named(type_name)
            found = self._stand_in(function, Reference(type_name))
        return found

    def _stand_in(self, function: str, type_: Type) -> Callable[..., Any]:
        """A function that writes the real one when it is first called."""

        def first_call(*arguments: Any) -> Any:
            if self._names[function] is first_call:
                try:
                    self._write(function)
                except Uncovered:
                    self._names[function] = _refuse
            return self._names[function](*arguments)

        self._types[function] = type_
        self._names[function] = first_call
        return first_call

    def _write(self, function: str) -> None:
        kind, _, name = function.partition("_")
        make = EncoderWriter if kind == "encode" else DecoderWriter
        writer = make(self.schema, name)
        source = writer.source(self._types[function])
        for called, type_ in writer.calls.items():
            if called not in self._names:
                self._stand_in(called, type_)
        self._names |= writer.constants
        self._calls[function] = list(writer.calls)
        self._sources[function] = source
        # Text written above from our own ASN.1 files, never from input.
        exec(compile(source, f"<{function}>", "exec"), self._names)  # noqa: S102


def _refuse(*_: Any) -> Any:
    raise Unfit
