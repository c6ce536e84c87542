"""The codec of one message set: JSON-form values in, UPER octets out, and back.

    codec = codec_for("csae53_2020")
    octets = codec.encode({"rsmFrame": {...}})
    value = codec.decode(octets)

The JSON form is described in `rsu.v2x.value_form` and docs/v2x-json.md, the types in our own ASN.1
text (`asn1/<profile>/`). Code written from that text (`rsu.v2x.specialised`) takes what is right;
the plain codec (`rsu.v2x.plain`) has the last word on everything else, so that the written code
never decides what is refused. See docs/v2x-codec.md.

The profile is configured and never guessed: the same octets decode under a wrong profile to a
silently wrong value often enough to matter (facts: csae.md 1.1).

Known limits
- Extensions that a later version of the set has added to a SEQUENCE are skipped, so such a frame
  does not re-encode to the same octets: forward received octets, never re-encoded values.
- An ENUMERATED value or CHOICE alternative of a later version makes the frame undecodable.
- Sizes and integers beyond an extensible root have the bounds of `rsu.v2x.value_form`.
- Frames longer than MAX_FRAME_OCTETS are refused on both ways, and values with more than PARTS_MAX
  parts: no frame holds them.
"""

from __future__ import annotations

from functools import cache, cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Any

from rsu.v2x.errors import CodecError, DecodeError, EncodeError
from rsu.v2x.notation import Descriptor, read_modules
from rsu.v2x.open_types import OPEN_TYPES
from rsu.v2x.profiles import FRAME, PROFILES, frame_of, message_in
from rsu.v2x.specialised.generator import Generator
from rsu.v2x.specialised.runtime import TooLong
from rsu.v2x.specialised.schema import Schema

if TYPE_CHECKING:
    from rsu.v2x.plain import PlainCodec
    from rsu.v2x.value_form import Form

__all__ = [
    "FRAME",
    "MAX_FRAME_OCTETS",
    "PARTS_MAX",
    "PROFILES",
    "Codec",
    "codec_for",
    "schema_text",
]

MAX_FRAME_OCTETS = 65_535
"""Bound on a frame: what the length field of a DSMP header can say (facts: csae.md 5.1). A sensor
sharing message may hold 512 objects, more than 16 KiB; radios stop far earlier, centres do not."""

PARTS_MAX = 6 * MAX_FRAME_OCTETS
"""Bound on the parts (objects, arrays and leaves) of a value that the plain codec is asked about.
By their schemas, the sets have fewer than 6 parts for each octet of the longest frame (J2735: lists
of one-bit elements); the test of hostile values works that out."""


@cache
def codec_for(profile: str) -> Codec:
    """The codec of a profile, compiled once per process; raises CodecError for an unknown one."""
    return Codec(profile)


class Codec:
    """Encoder and decoder of one profile. Raises CodecError for an unknown profile.

    Code for a type is written when the type first occurs: some milliseconds for a message.
    """

    def __init__(self, profile: str) -> None:
        if profile not in PROFILES:
            raise CodecError(f"unknown profile {profile!r}; known: {', '.join(PROFILES)}")
        self.profile = profile
        self.messages = PROFILES[profile].messages
        """Names of the messages that a frame can hold."""
        self.specialised = Generator(Schema(self._modules(), OPEN_TYPES[profile]))

    def encode(self, value: Any, type_name: str = FRAME) -> bytes:
        """JSON form → UPER octets. Raises EncodeError, with the path of what does not fit."""
        try:
            octets = self.specialised.encode(value, type_name)
        except TooLong:
            raise EncodeError(f"too long: at most {MAX_FRAME_OCTETS} octets are allowed") from None
        except Exception:  # whatever a wrong value makes Python raise
            _refuse_beyond_frames(value)
            octets = self.plain.encode(value, type_name)
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
        try:
            return self.specialised.decode(octets, type_name)
        except Exception:  # whatever wrong octets make Python raise
            return self.plain.decode(octets, type_name)

    @cached_property
    def plain(self) -> PlainCodec:
        """The codec over asn1tools, which is imported here."""
        from rsu.v2x.plain import PlainCodec

        return PlainCodec(self._modules(), OPEN_TYPES[self.profile])

    def frame(self, message: str, content: Any) -> dict[str, Any]:
        """The frame that holds the bare content of a message; raises CodecError for a name that
        is none of `messages`."""
        return frame_of(self.profile, message, content)

    def message_name(self, value: dict[str, Any]) -> str:
        """Name of the message in a decoded frame, e.g. `RSM`; raises CodecError."""
        return message_in(self.profile, value)

    def _modules(self) -> dict[str, Descriptor]:
        return read_modules(schema_text(self.profile))

    def _type(self, name: str) -> tuple[Any, Form]:
        return self.plain.type(name)


def _refuse_beyond_frames(value: Any) -> None:
    """Raises EncodeError for more than PARTS_MAX parts; ends for values that hold themselves."""
    left, count = [value], 1
    while left:
        node = left.pop()
        if isinstance(node, (dict, list)):
            count += len(node)
            if count > PARTS_MAX:
                raise EncodeError(f"more than {PARTS_MAX} parts: no frame holds that")
            left.extend(node.values() if isinstance(node, dict) else node)


def schema_text(profile: str) -> str:
    """Our ASN.1 text of a profile, all modules one after another."""
    files: dict[str, Traversable] = {}
    for name in PROFILES[profile].folders:
        folder = resources.files("rsu.v2x") / "asn1" / name
        files |= {file.name: file for file in folder.iterdir() if file.name.endswith(".asn")}
    return "\n".join(files[name].read_text(encoding="utf-8") for name in sorted(files))
