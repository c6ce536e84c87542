"""V2X frames on their way in and out.

Filled by `rsu.v2x` (out) and radio drivers (in); `payload` is the UPER message frame and is the
truth, `value` the same content in the documented JSON form (octets as hex, BIT STRING as
`{"bits": "0101"}`, CHOICE as a one-key object), kept beside it so that recordings can be read
without an ASN.1 codec.
"""

from __future__ import annotations

from typing import Any

import msgspec


class V2xFrame(msgspec.Struct, frozen=True, kw_only=True):
    """One message to transmit.

    `aid` is the CSAE application identifier or the PSID *value* (never its p-encoding);
    `priority` is the network layer's 0..255 scale (T/CSAE 159-2020); `network` is the frame as it
    goes to a radio that wants the network header (DSMP), `payload` the bare UPER.
    `time_ns` is the moment it speaks of (its secMark): the capture time of the newest measurement
    behind it, so that now − `time_ns` is the age of the statement; its header carries the oldest
    evidence used. `subjects` names the evidence, e.g. track ids.
    """

    profile: str
    message: str
    payload: bytes
    network: bytes
    aid: int
    priority: int
    value: dict[str, Any]
    time_ns: int
    subjects: tuple[int, ...] = ()
    channel: int | None = None

    @property
    def name(self) -> str:
        """The message for people, as decisions name it: `RSM`, `sae/SDSM`. Both worlds have a SPAT,
        and their SSM are two different things."""
        return f"sae/{self.message}" if self.profile.startswith("j2735") else self.message


class PushedV2x(msgspec.Struct, frozen=True, kw_only=True):
    """A whole message that a centre wants on the air: `payload` is sent as it came, bit for bit.

    It is repeated every `period_s` (0: once) until `until_ns`; `key` names it, so that a newer one
    takes its place, and one with no octets ends it.
    """

    key: str
    profile: str
    message: str
    payload: bytes
    received_ns: int
    until_ns: int
    period_s: float = 0.0


class Corrections(msgspec.Struct, frozen=True, kw_only=True):
    """GNSS corrections: whole RTCM 10403 messages as the reference station made them."""

    station: str
    time_ns: int
    messages: tuple[bytes, ...]


class ReceivedV2x(msgspec.Struct, frozen=True, kw_only=True):
    """One message heard by a radio.

    As it comes from the driver, `payload` is the datagram and `profile` to `value` are None. Once
    read, `payload` is the message frame inside, `value` its content in the JSON form, and `layers`
    what it was wrapped in, the outermost first. No signature is checked anywhere yet.
    """

    radio: str
    capture_ns: int
    payload: bytes
    profile: str | None = None
    message: str | None = None
    aid: int | None = None
    value: dict[str, Any] | None = None
    rssi: float | None = None
    layers: tuple[str, ...] = ()


class RadioReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one `V2xFrame` at one radio: named by its source, boot and seq.

    `age_ns` is the age of the statement when it was handed to the radio, `evidence_age_ns` that of
    the oldest evidence in it. `error` is None when the radio took it, else a reason code.
    """

    radio: str
    frame_source: str
    frame_boot_ns: int
    frame_seq: int
    message: str
    sent_ns: int
    age_ns: int
    evidence_age_ns: int
    error: str | None = None
