"""What a radio driver is: something that puts frames on the air and gives back what it heard.

`Radio` is the protocol every driver fulfils and `tests/conformance` checks. `send` never waits: a
frame that cannot go now is too old later, so it is refused and the refusal is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from rsu.hal.errors import DeviceError
from rsu.schema.v2x import V2xFrame

MAX_RECEIVED = 8192
"""Longest datagram accepted from a radio, octets. The largest payload that NTCIP 1218 moves is 2302
octets; as hex text with its headers that is below 5000. Anything longer is nobody's V2X message."""


class Radio(Protocol):
    """One opened or closed radio.

    Attributes: `receives`, whether `receive` can ever give anything; `dropped`, datagrams that came
    in and were thrown away, by reason, since the radio was made.
    """

    receives: bool
    dropped: Mapping[str, int]

    def open(self) -> None:
        """Open it; does nothing when it is open. May wait for name resolution.
        Raises DeviceError."""

    def send(self, frame: V2xFrame) -> None:
        """Hand over one frame without waiting; raises DeviceError when it was not taken."""

    def receive(self, timeout_s: float) -> bytes | None:
        """The next message heard, or None when none came in time (at once if `receives` is False).
        Raises DeviceError when the radio is closed or lost."""

    def close(self) -> None:
        """Let it go; does nothing when it is closed. Any thread may call it."""


def content_of(frame: V2xFrame, content: Literal["payload", "network"]) -> bytes:
    """The octets of the frame that a radio with this `content` option wants."""
    octets = frame.payload if content == "payload" else frame.network
    if not octets:
        raise DeviceError(
            f"{frame.message} frame has no {content} octets",
            "set the radio's `content` to what the V2X profile makes",
        )
    return octets
