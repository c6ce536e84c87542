"""PSID values of SAE messages (never their p-encoding; `rsu.v2x.network.elements` does that).

From facts: sae.md 4.1, which has them from V2X-Hub's immediate forward plugin and the SPDU of a
real signer. MAP is 0x204097 in the connected intersections guide; V2X-Hub sends it with the PSID of
SPaT. The PSIDs of SRM and RSM could not be verified in any public source, so they have none here: a
unit that sends RSM must be configured with one.
"""

from __future__ import annotations

from types import MappingProxyType

PSIDS = MappingProxyType(
    {
        "BSM": 0x20,
        "PSM": 0x27,
        "RTCM": 0x80,
        "SPAT": 0x82,
        "SSM": 0x82,
        "TIM": 0x83,
        "SDSM": 0x90,
        "MAP": 0x204097,
    }
)
