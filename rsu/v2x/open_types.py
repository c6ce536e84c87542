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

# SAE J2735/J3224 2024. Messages whose id is not here stay octets (facts: sae.md 2). Regional
# extensions depend on where they stand; each place has a SEQUENCE of its own in our text.
_J2735_2024: OpenTypes = {
    ("MessageFrame", "value"): OpenType(
        "messageId",
        {
            18: "MapData",
            19: "SPAT",
            20: "BasicSafetyMessage",
            21: "CommonSafetyRequest",
            22: "EmergencyVehicleAlert",
            23: "IntersectionCollision",
            24: "NMEAcorrections",
            25: "ProbeDataManagement",
            26: "ProbeVehicleData",
            27: "RoadSideAlert",
            28: "RTCMcorrections",
            29: "SignalRequestMessage",
            30: "SignalStatusMessage",
            31: "TravelerInformation",
            32: "PersonalSafetyMessage",
            33: "RoadSafetyMessage",
            34: "RoadWeatherMessage",
            35: "ProbeDataConfigMessage",
            36: "ProbeDataReportMessage",
            40: "CooperativeControlMessage",
            41: "SensorDataSharingMessage",
            42: "ManeuverSharingAndCoordinatingMessage",
            43: "RoadGeometryAndAttributes",
            44: "PersonalSafetyMessage2",
            45: "TrafficSignalPhaseAndTiming",
            46: "SignalControlAndPrioritizationRequest",
            47: "SignalControlAndPrioritizationStatus",
            50: "TrafficLightStatusMessage",
            **{240 + number: f"TestMessage{number:02}" for number in range(16)},
        },
    ),
    ("PartIIcontent", "partII-Value"): OpenType(
        "partII-Id",
        {
            0: "VehicleSafetyExtensions",
            1: "SpecialVehicleExtensions",
            2: "SupplementalVehicleExtensions",
        },
    ),
    ("CCMPartIIcontent", "partII-Value"): OpenType(
        "partII-Id",
        {
            0: "VehicleSafetyExtensions",
            1: "LightVehicleCCMExtensions",
            2: "HeavyTruckCCMExtensions",
        },
    ),
    ("RegionalExtension", "regExtValue"): OpenType("regionId", {}),
    **{
        (f"RegionalExtension-{place}", "regExtValue"): OpenType(
            "regionId", {region: f"{place}-addGrp{'ABC'[region - 1]}" for region in regions}
        )
        for place, regions in {
            "ConnectionManeuverAssist": (3,),
            "IntersectionState": (3,),
            "LaneDataAttribute": (2,),
            "MapData": (3,),
            "MovementEvent": (2,),
            "NodeOffsetPointXY": (2,),
            "Position3D": (2, 3),
            "RestrictionUserType": (3,),
        }.items()
    },
}

OPEN_TYPES: Mapping[str, OpenTypes] = {
    "csae53_2020": {},
    "csae157_2020": _CSAE157_2020,
    "legacy_20190724": {},
    "j2735_2024": _J2735_2024,
}
"""Open types by profile."""
