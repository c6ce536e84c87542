"""The binary frame in which a deployed roadside unit passes messages to its centre.

    8 octets       unit identifier, text padded as the sender likes
    8 octets       time, ms since 1970, little endian
    0 or 1 octet   count of messages, in frames of BSM only
    then each      length (2 octets, little endian), message frame

Layout and samples: `uplink_frames` of the shared CSAE vectors. Whether the count is there depends
on the topic, which the octets do not carry; both forms are tried by whoever has no topic. Written
by `rsu.uplink`, read by `rsu.v2x`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEAD = 16
UNIT_OCTETS = 8
MESSAGE_MAX = 0xFFFF
COUNT_MAX = 0xFF
EARLIEST_MS = 1_262_304_000_000
LATEST_MS = 4_102_444_800_000
"""2010 and 2100: the format has no mark of its own, so a time outside says it is something else."""


class UplinkFrameError(ValueError):
    """The octets, or the values, are no uplink frame."""


@dataclass(frozen=True, slots=True)
class UplinkFrame:
    """One parsed frame; `counted`: with the count octet."""

    unit: bytes
    time_ms: int
    messages: tuple[bytes, ...]
    counted: bool


def build(unit: bytes, time_ms: int, messages: Sequence[bytes], *, counted: bool) -> bytes:
    """The frame; raises UplinkFrameError where a field does not fit or `parse` would refuse it."""
    if len(unit) != UNIT_OCTETS:
        raise UplinkFrameError(f"unit identifier of {len(unit)} octets, it has {UNIT_OCTETS}")
    if not EARLIEST_MS <= time_ms < LATEST_MS:
        raise UplinkFrameError(f"time {time_ms} ms is not between 2010 and 2100")
    if not 1 <= len(messages) <= (COUNT_MAX if counted else 1):
        raise UplinkFrameError(f"{len(messages)} messages do not fit the frame")
    octets = bytearray(unit + time_ms.to_bytes(8, "little"))
    if counted:
        octets.append(len(messages))
    for message in messages:
        if not 1 <= len(message) <= MESSAGE_MAX:
            raise UplinkFrameError(f"message of {len(message)} octets, 1..{MESSAGE_MAX} fit")
        octets += len(message).to_bytes(2, "little") + message
    return bytes(octets)


def parse(octets: bytes, *, counted: bool) -> UplinkFrame:
    """Inverse of `build`; raises UplinkFrameError where any length does not fit exactly."""
    time_ms = int.from_bytes(octets[UNIT_OCTETS:HEAD], "little")
    if len(octets) <= HEAD or not EARLIEST_MS <= time_ms < LATEST_MS:
        raise UplinkFrameError("no unit identifier and time of an uplink frame")
    count, at = (octets[HEAD], HEAD + 1) if counted else (1, HEAD)
    if count == 0:
        raise UplinkFrameError("uplink frame without messages")
    messages = []
    for _ in range(count):
        length = int.from_bytes(octets[at : at + 2], "little")
        message = octets[at + 2 : at + 2 + length]
        if length == 0 or len(message) < length:
            raise UplinkFrameError("an uplink frame's message is empty or not all there")
        messages.append(message)
        at += 2 + length
    if at != len(octets):
        raise UplinkFrameError(f"{len(octets) - at} octets follow the uplink frame's last message")
    return UplinkFrame(octets[:UNIT_OCTETS], time_ms, tuple(messages), counted)
