"""The codec of one message set: JSON-form values in, UPER octets out, and back.

    codec = codec_for("csae53_2020")
    octets = codec.encode({"rsmFrame": {...}})
    value = codec.decode(octets)

The JSON form is described in `rsu.v2x.value_form` and docs/v2x-json.md. asn1tools does the packed
encoding over our own ASN.1 text (`asn1/<profile>/`); this module compiles only what is asked for,
checks values on both ways, and turns every way in which octets can be wrong into DecodeError.

The profile is configured and never guessed: the same octets decode under a wrong profile to a
silently wrong value often enough to matter (facts: csae.md 1.1).

Known limits
- Extensions that a later version of the set has added to a SEQUENCE are skipped, so such a frame
  does not re-encode to the same octets: forward received octets, never re-encoded values.
- An ENUMERATED value or CHOICE alternative of a later version makes the frame undecodable.
- BIT STRINGs beyond their root size are carried up to 16383 bits; asn1tools itself has none.
- Frames longer than MAX_FRAME_OCTETS are refused on both ways.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from asn1tools.codecs import per, uper

from rsu.v2x.errors import CodecError, DecodeError, EncodeError
from rsu.v2x.notation import Descriptor, read_modules
from rsu.v2x.value_form import EXTENDED_BITS_MAX, Form, decode_form, encode_form, form_of

PROFILES = ("csae53_2020",)
"""Message sets with ASN.1 text in this package."""

MAX_FRAME_OCTETS = 8192
"""Bound on a frame. A deployed vendor stack holds 5000 octets (facts: csae.md 5), the largest frame
of the independent corpus is 1047; beyond that lies only what no radio would carry."""

FRAME = "MessageFrame"
"""Outermost type of every profile."""

MESSAGES = {
    "BSM": "bsmFrame",
    "MAP": "mapFrame",
    "RSM": "rsmFrame",
    "SPAT": "spatFrame",
    "RSI": "rsiFrame",
}
"""Message name → alternative of the frame."""

_NAMES = {alternative: name for name, alternative in MESSAGES.items()}


def message_name(value: dict[str, Any]) -> str:
    """Name of the message in a decoded frame, e.g. `RSM`; raises CodecError."""
    for alternative in value:
        if len(value) == 1 and alternative in _NAMES:
            return _NAMES[alternative]
    raise CodecError(f"no message frame: the one key must be among {', '.join(_NAMES)}")


@cache
def codec_for(profile: str) -> Codec:
    """The codec of a profile, compiled once per process; raises CodecError for an unknown one."""
    return Codec(profile)


class Codec:
    """Encoder and decoder of one profile. Raises CodecError for an unknown profile.

    Types compile when first used: the frame takes about 30 ms, others less.
    """

    def __init__(self, profile: str) -> None:
        if profile not in PROFILES:
            raise CodecError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}")
        self.profile = profile
        self._compiler = _Compiler(read_modules(schema_text(profile)))
        self._types: dict[str, tuple[Any, Form]] = {}

    def encode(self, value: Any, type_name: str = FRAME) -> bytes:
        """JSON form → UPER octets. Raises EncodeError, with the path of what does not fit."""
        compiled, form = self._type(type_name)
        encoder = per.Encoder()
        compiled.encode(encode_form(form, value), encoder)
        octets = bytes(encoder.as_bytearray())
        if len(octets) > MAX_FRAME_OCTETS:
            raise EncodeError(f"{len(octets)} octets, at most {MAX_FRAME_OCTETS} are allowed")
        return octets

    def decode(self, octets: bytes, type_name: str = FRAME) -> Any:
        """UPER octets → JSON form. Raises DecodeError and nothing else, whatever the octets.

        The octets must be one whole value: octets after it are refused, and so are padding bits
        that are not zero.
        """
        if not 0 < len(octets) <= MAX_FRAME_OCTETS:
            raise DecodeError(f"{len(octets)} octets, 1..{MAX_FRAME_OCTETS} are allowed")
        compiled, form = self._type(type_name)
        decoder = per.Decoder(bytearray(octets))
        try:
            native = compiled.decode(decoder)
        except Exception as error:
            # asn1tools signals bad bits by its own errors as well as by NotImplementedError,
            # KeyError, ValueError and others; foreign octets must never take a process down.
            raise DecodeError(f"not a {type_name} of {self.profile}: {error}") from error
        _expect_padding(decoder)
        return decode_form(form, native)

    def _type(self, name: str) -> tuple[Any, Form]:
        if name not in self._types:
            compiled = self._compiler.root(name)
            self._types[name] = compiled, form_of(compiled)
        return self._types[name]


def schema_text(profile: str) -> str:
    """Our ASN.1 text of a profile, all modules one after another."""
    folder = resources.files("rsu.v2x") / "asn1" / profile
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".asn")), key=lambda f: f.name)
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def _expect_padding(decoder: Any) -> None:
    left = decoder.number_of_bits
    if left >= 8:
        raise DecodeError(f"{left // 8} octets too many after the message")
    if left and decoder.read_non_negative_binary_integer(left):
        raise DecodeError("padding bits that are not zero")


class _Compiler(uper.Compiler):  # type: ignore[misc]
    """asn1tools' UPER compiler for one type at a time, with extensible BIT STRINGs."""

    def __init__(self, modules: dict[str, Descriptor]) -> None:
        super().__init__(modules)
        self.pre_process()
        self._homes = {name: home for home, module in modules.items() for name in module["types"]}

    def root(self, name: str) -> Any:
        """The compiled type of that name; raises CodecError for an unknown one."""
        home = self._homes.get(name)
        if home is None:
            raise CodecError(f"no type {name!r} in this message set")
        self.types_backtrace_push(name)
        try:
            return self.compile_type(name, self._specification[home]["types"][name], home)
        finally:
            self.types_backtrace_pop()

    def compile_type(self, name: str, type_descriptor: Descriptor, module_name: str) -> Any:
        compiled = super().compile_type(name, type_descriptor, module_name)
        if type(compiled) is uper.BitString and compiled.has_extension_marker:
            compiled.__class__ = ExtensibleBitString
        return compiled


class ExtensibleBitString(uper.BitString):  # type: ignore[misc]
    """BIT STRING whose size may leave its root range; asn1tools raises NotImplementedError there.

    X.691 16.6, 16.11: one bit says whether the size is outside the root; if so, a length
    determinant and the bits follow. Real traffic has it: lane attributes sent as an empty string.
    Bits are carried as given, trailing zeros included, so that a frame re-encodes as it was.
    """

    def encode(self, data: tuple[bytes, int], encoder: Any) -> None:
        octets, count = data
        if self.minimum <= count <= self.maximum:
            super().encode(data, encoder)
            return
        encoder.append_bit(1)
        encoder.append_length_determinant(count)  # below 16384: checked by the form
        encoder.append_bits(octets, count)

    def decode(self, decoder: Any) -> tuple[bytes, int]:
        if not decoder.read_bit():
            decoder.number_of_bits += 1  # the parent reads the extension bit itself
            native: tuple[bytes, int] = super().decode(decoder)
            return native
        count = decoder.read_length_determinant()
        if count > EXTENDED_BITS_MAX:
            raise ValueError("fragmented bit string")
        return decoder.read_bits(count), count
