"""The message sets ("profiles"): where their ASN.1 text is and which messages their frames hold.

A profile is one or more folders under `asn1/`: a file of a later folder takes the place of the file
of the same name in an earlier one. So a variant of a set has files only for what differs, each a
whole module, and the common groups exist once.

A message is found in a frame either by the alternative of the CHOICE or by the messageId beside an
open type (`rsu.v2x.open_types`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rsu.v2x.errors import CodecError
from rsu.v2x.open_types import OPEN_TYPES

FRAME = "MessageFrame"
"""Outermost type of every profile."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One message set. Message names map to what marks them in a frame."""

    folders: tuple[str, ...]
    alternatives: Mapping[str, str] = field(default_factory=dict)
    """Message → alternative of the frame."""
    ids: Mapping[str, int] = field(default_factory=dict)
    """Message → messageId in the frame with an open type."""
    ids_in: str | None = None
    """Alternative that holds the frame with an open type; None: it is the outermost type."""
    ids_type: str = FRAME
    """SEQUENCE with messageId and value."""

    @property
    def messages(self) -> tuple[str, ...]:
        return (*self.alternatives, *self.ids)


_CSAE = {
    "BSM": "bsmFrame",
    "MAP": "mapFrame",
    "RSM": "rsmFrame",
    "SPAT": "spatFrame",
    "RSI": "rsiFrame",
}

PROFILES: Mapping[str, Profile] = {
    "csae53_2020": Profile(("csae53_2020",), _CSAE),
    "csae157_2020": Profile(
        ("csae53_2020", "csae157_2020"),
        _CSAE,
        ids={
            "TEST": 0,
            "RTCM": 10,
            "RSC": 11,
            "SSM": 12,
            "VIR": 13,
            "PAM": 14,
            "PSM": 15,
            "CLPMM": 16,
            "VPM": 17,
        },
        ids_in="msgFrameExt",
        ids_type="MessageFrameExt",
    ),
    "legacy_20190724": Profile(("csae53_2020", "legacy_20190724"), _CSAE),
    "j2735_2024": Profile(
        ("j2735_2024",),
        ids={
            "MAP": 18,
            "SPAT": 19,
            "BSM": 20,
            "CSR": 21,
            "EVA": 22,
            "ICA": 23,
            "NMEA": 24,
            "PDM": 25,
            "PVD": 26,
            "RSA": 27,
            "RTCM": 28,
            "SRM": 29,
            "SSM": 30,
            "TIM": 31,
            "PSM": 32,
            "RSM": 33,
            "RWM": 34,
            "PDC": 35,
            "PDR": 36,
            "CCM": 40,
            "SDSM": 41,
            "MSCM": 42,
            "RGA": 43,
            "PSM2": 44,
            "TSPAT": 45,
            "SCP-REQ": 46,
            "SCP-STATUS": 47,
            "TLSM": 50,
            **{f"TEST{number:02}": 240 + number for number in range(16)},
        },
    ),
}
"""Message sets with ASN.1 text in this package."""


def frame_of(profile: str, message: str, content: Any) -> dict[str, Any]:
    """The frame, in JSON form, around the bare content of a message. Raises CodecError."""
    found = PROFILES[profile]
    if message in found.alternatives:
        return {found.alternatives[message]: content}
    if message not in found.ids:
        raise CodecError(f"{message!r} is none of {', '.join(found.messages)}")
    number = found.ids[message]
    type_name = OPEN_TYPES[profile][found.ids_type, "value"].types[number]
    frame = {"messageId": number, "value": {type_name: content}}
    return frame if found.ids_in is None else {found.ids_in: frame}


def message_in(profile: str, value: Any) -> str:
    """Name of the message in a frame in JSON form, `id 99` for one without a name.

    Raises CodecError for what is no frame.
    """
    found = PROFILES[profile]
    keys = list(value) if isinstance(value, dict) else []
    for name, alternative in found.alternatives.items():
        if keys == [alternative]:
            return name
    inner = value
    if found.ids_in is not None:
        inner = value[found.ids_in] if keys == [found.ids_in] else None
    number = inner.get("messageId") if found.ids and isinstance(inner, dict) else None
    if not isinstance(number, int):
        wanted = (*found.alternatives.values(), *filter(None, (found.ids_in,)))
        raise CodecError(f"no message frame: the one key must be among {', '.join(wanted)}")
    return next((name for name, known in found.ids.items() if known == number), f"id {number}")
