"""UPER by asn1tools, completed: what its compiler leaves out and real frames carry.

Module dictionaries of `rsu.v2x.notation` in, compiled types out; a compiled type turns asn1tools'
Python values into octets (`encode_octets`) and back (`decode_octets`). Added to asn1tools here:

- BIT STRINGs whose size leaves the root range (asn1tools raises NotImplementedError);
- open types of any length, in fragments from 16384 octets on (X.691 11.9.3.8; asn1tools writes one
  wrong fragment for extension additions), at least one octet long (X.691 11.2.1), and checked on
  reception to hold one value and zero bits of padding, no more and no less;
- extension additions present or absent each by itself (asn1tools stops at the first absent one that
  is not OPTIONAL, though a sender of an earlier version cannot know it);
- RELATIVE-OID.

Known limits: sizes and integers outside an extensible root up to EXTENDED_SIZE_MAX and 64 bits
(`rsu.v2x.value_form`); character strings outside an extensible root not at all.
"""

from __future__ import annotations

from typing import Any

from asn1tools.codecs import uper

from rsu.v2x.errors import CodecError
from rsu.v2x.notation import Descriptor
from rsu.v2x.open_types import OpenTypes

EXTENDED_SIZE_MAX = 16_383
"""Largest size outside an extensible root: a longer one needs fragments (X.691 11.9.3.8)."""


class OctetsError(ValueError):
    """Octets that are no value of the type."""


def encode_octets(compiled: Any, native: Any) -> bytes:
    """One value as a complete encoding of at least one octet (X.691 11.1.3)."""
    encoder = uper.Encoder()
    compiled.encode(native, encoder)
    return bytes(encoder.as_bytearray()) or b"\x00"


def decode_octets(compiled: Any, octets: bytes) -> Any:
    """The value of octets that hold it and nothing else. Raises OctetsError and nothing else."""
    decoder = uper.Decoder(bytearray(octets))
    try:
        native = compiled.decode(decoder)
    except Exception as error:
        # asn1tools signals bad bits by its own errors as well as by NotImplementedError,
        # KeyError, ValueError and others; foreign octets must never take a process down.
        raise OctetsError(str(error)) from error
    left = decoder.number_of_bits
    if left == 8 * len(octets) and left:
        left -= 8  # a value without bits fills one octet
        decoder.number_of_bits -= 8
        if octets[0]:
            raise OctetsError("padding bits that are not zero")
    if left >= 8:
        raise OctetsError(f"{left // 8} octets too many after the message")
    if left and decoder.read_non_negative_binary_integer(left):
        raise OctetsError("padding bits that are not zero")
    return native


class Compiler(uper.Compiler):  # type: ignore[misc]
    """asn1tools' UPER compiler for one type at a time."""

    def __init__(self, modules: dict[str, Descriptor], open_types: OpenTypes) -> None:
        super().__init__(modules)
        self.pre_process()
        self._homes = {name: home for home, module in modules.items() for name in module["types"]}
        for (container, field), open_type in open_types.items():
            members = modules[self._homes[container]]["types"][container]["members"]
            next(member for member in members if member and member["name"] == field)[
                "open-type"
            ] = open_type

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
        if type_descriptor["type"] == "RELATIVE-OID":
            return RelativeOid(name, None, None, None)
        compiled = super().compile_type(name, type_descriptor, module_name)
        kind = type(compiled)
        if kind is uper.BitString and compiled.has_extension_marker:
            compiled.__class__ = ExtensibleBitString
        elif kind is uper.Sequence and compiled.additions is not None:
            compiled.__class__ = ExtendedSequence
        elif kind is uper.Choice and compiled.additions_index_to_member is not None:
            compiled.__class__ = ExtendedChoice
        if "open-type" in type_descriptor:
            compiled.open_type = type_descriptor["open-type"]
        return compiled


class ExtensibleBitString(uper.BitString):  # type: ignore[misc]
    """BIT STRING whose size may leave its root range.

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
        if count > EXTENDED_SIZE_MAX:
            raise OctetsError("fragmented bit string")
        return decoder.read_bits(count), count


class ExtendedSequence(uper.Sequence):  # type: ignore[misc]
    """SEQUENCE with extension additions (X.691 19.7 to 19.9); unknown ones are skipped."""

    def encode(self, data: dict[str, Any], encoder: Any) -> None:
        present = [addition.name in data for addition in self.additions]
        encoder.append_bit(int(any(present)))
        self.encode_root(data, encoder)
        if not any(present):
            return
        encoder.append_normally_small_length(len(present))
        for bit in present:
            encoder.append_bit(int(bit))
        for addition in self.additions:
            if addition.name in data:
                _append_open_type(encode_octets(addition, data[addition.name]), encoder)

    def decode(self, decoder: Any) -> dict[str, Any]:
        extended = decoder.read_bit()
        values: dict[str, Any] = self.decode_root(decoder)
        if extended:
            present = [decoder.read_bit() for _ in range(decoder.read_normally_small_length())]
            for index, bit in enumerate(present):
                octets = _read_open_type(decoder) if bit else b""
                if bit and index < len(self.additions):
                    addition = self.additions[index]
                    values[addition.name] = decode_octets(addition, octets)
        return values


class ExtendedChoice(uper.Choice):  # type: ignore[misc]
    """CHOICE with alternatives after the extension marker (X.691 23.8)."""

    def encode_additions(self, data: tuple[str, Any], encoder: Any) -> None:
        index = self.additions_name_to_index[data[0]]
        encoder.append_normally_small_non_negative_whole_number(index)
        member = self.additions_index_to_member[index]
        _append_open_type(encode_octets(member, data[1]), encoder)

    def decode_additions(self, decoder: Any) -> tuple[str | None, Any]:
        index = decoder.read_normally_small_non_negative_whole_number()
        octets = _read_open_type(decoder)
        member = self.additions_index_to_member.get(index)
        return (member.name, decode_octets(member, octets)) if member else (None, None)


class RelativeOid(uper.OctetString):  # type: ignore[misc]
    """RELATIVE-OID: its contents octets behind their count (X.691 25), like an OCTET STRING."""


def _append_open_type(octets: bytes, encoder: Any) -> None:
    for offset, length in encoder.append_length_determinant_chunks(len(octets)):
        encoder.append_bytes(octets[offset : offset + length])


def _read_open_type(decoder: Any) -> bytes:
    return b"".join(decoder.read_bytes(n) for n in decoder.read_length_determinant_chunks())
