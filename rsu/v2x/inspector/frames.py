"""From octets off a wire to messages: takes headers off where there are any, then decodes.

In: octets, the profile, and whether to unwrap. Out: one `Frame` per message found, decoded or with
the reason why not. A bare message is read as such; only octets that are none are unwrapped (mode
`auto`), so a stream of bare frames means the same as without this module. Octets that are a message
*and* a sound header around something are read as the message, and say so in `also`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from rsu.v2x.codec import codec_for
from rsu.v2x.errors import CodecError, DecodeError
from rsu.v2x.network.unwrap import OCTETS_MAX, Layer, Reading, unwrap

Mode = Literal["auto", "always", "never"]
MODES: tuple[Mode, ...] = ("auto", "always", "never")


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: `octets` bare; `value` and `message` where they decode, else `error`.

    `layers`: what was around it, outermost first; `index`, `count`: its place among the messages of
    the same octets; `also`: other ways to read the octets, as layer names.
    """

    profile: str
    octets: bytes
    value: Any = None
    message: str | None = None
    error: str | None = None
    layers: tuple[Layer, ...] = ()
    index: int = 0
    count: int = 1
    also: tuple[str, ...] = ()


def frames_of(profile: str, octets: bytes, mode: Mode = "auto") -> list[Frame]:
    """The messages in these octets, at least one `Frame`. Raises CodecError for a profile that is
    not known, nothing else."""
    reader = _Reader(profile)
    if mode == "never" or not 0 < len(octets) <= OCTETS_MAX:
        return [reader.frame(octets)]  # the codec says that there are none or too many
    bare = reader.accepts(octets)
    unwrapped = unwrap(octets, reader.accepts)
    layered = [reading for reading in unwrapped.candidates if reading.layers]
    if mode == "auto" and bare:
        return [reader.frame(octets, also=tuple(map(_named, layered)))]
    if len(layered) == 1:
        return reader.within(octets, layered[0])
    if layered:
        ways = " or ".join(map(_named, layered))
        return [Frame(profile, octets, error=f"ambiguous: can be unwrapped as {ways}")]
    reasons = unwrapped.candidates[0].rejected
    if mode == "always":
        return [Frame(profile, octets, error="; ".join(("no layer around a message", *reasons)))]
    return [reader.frame(octets, rejected=reasons)]


class _Reader:
    """Decodes, each octets once."""

    def __init__(self, profile: str) -> None:
        self.codec = codec_for(profile)
        self._results: dict[bytes, Any] = {}

    def accepts(self, octets: bytes) -> bool:
        return not isinstance(self._result(octets), DecodeError)

    def within(self, octets: bytes, reading: Reading) -> list[Frame]:
        """The messages inside the layers of this reading."""
        if not reading.payloads:
            error = f"{_named(reading)} around nothing"
            return [Frame(self.codec.profile, octets, error=error, layers=reading.layers)]
        count = len(reading.payloads)
        return [
            self.frame(payload, reading.layers, index, count, reading.rejected)
            for index, payload in enumerate(reading.payloads)
        ]

    def frame(
        self,
        octets: bytes,
        layers: tuple[Layer, ...] = (),
        index: int = 0,
        count: int = 1,
        rejected: tuple[str, ...] = (),
        also: tuple[str, ...] = (),
    ) -> Frame:
        value = self._result(octets)
        profile = self.codec.profile
        if isinstance(value, DecodeError):
            error = "; ".join((str(value), *rejected))
            return Frame(profile, octets, None, None, error, layers, index, count, also)
        try:
            message = self.codec.message_name(value)
        except CodecError as none:
            return Frame(profile, octets, None, None, str(none), layers, index, count, also)
        return Frame(profile, octets, value, message, None, layers, index, count, also)

    def _result(self, octets: bytes) -> Any:
        if octets not in self._results:
            try:
                self._results[octets] = self.codec.decode(octets)
            except DecodeError as error:
                self._results[octets] = error
        return self._results[octets]


def _named(reading: Reading) -> str:
    return " > ".join(layer.name for layer in reading.layers)
