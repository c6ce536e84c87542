"""Open types of each profile: which type an id announces inside which field.

A message set leaves some fields open: their type is told by an id beside them. In our ASN.1 text
such a field is an OCTET STRING (the bits are the same: a length and the octets of the inner value,
X.691 11.2), and this table names the type within. The codec resolves it, so that a value nests:
`{"messageId": 12, "value": {"SensorSharingMsg": {…}}}`. Octets behind an id that the table does not
have stay hex and survive decoding and encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OpenType:
    """Where the id is, and the type behind each id."""

    id_field: str
    types: Mapping[int, str]


OpenTypes = Mapping[tuple[str, str], OpenType]
"""(SEQUENCE, its open field) → the open type."""

# T/CSAE 157-2020, class of the second phase's messages (facts: csae.md 2).
_CSAE157_2020: OpenTypes = {
    ("MessageFrameExt", "value"): OpenType(
        "messageId",
        {
            0: "TestMsg",
            10: "RTCMcorrections",
            11: "RoadsideCoordination",
            12: "SensorSharingMsg",
            13: "VehIntentionAndRequest",
            14: "PAMData",
            15: "PersonalSafetyMessage",
            16: "CLPMM",
            17: "VehiclePaymentMessage",
        },
    )
}

OPEN_TYPES: Mapping[str, OpenTypes] = {
    "csae53_2020": {},
    "csae157_2020": _CSAE157_2020,
    "legacy_20190724": {},
}
"""Open types by profile."""
