"""Application identifiers of the Chinese message sets (facts: csae.md 5.1, peers.md).

They name the application in the DSMP header and in certificates, and choose the layer-2 address on
PC5. A deployment may assign others, so message options carry their own; these are the defaults and
the names for what is heard.
"""

from __future__ import annotations

from types import MappingProxyType

AIDS = MappingProxyType(
    {
        111: "BSM, ordinary vehicle, periodic",
        112: "BSM, ordinary vehicle, event",
        113: "BSM, special vehicle, periodic",
        114: "BSM, special vehicle, event",
        3616: "service advertisement",
        3617: "BSM, after-market unit",
        3618: "MAP",
        3619: "SPAT",
        3620: "RSI, static",
        3621: "RSI, semi-static",
        3622: "RSI, dynamic",
        3623: "RSM",
        3624: "test, vehicle",
        3625: "test, roadside",
        3626: "test, roadside",
        3627: "certificate management",
        3628: "certificate management",
        3629: "certificate management",
    }
)
"""What each identifier stands for."""

DEFAULT_AID = MappingProxyType({"BSM": 111, "MAP": 3618, "SPAT": 3619, "RSI": 3622, "RSM": 3623})
"""Identifier of a message class where the configuration names none (RSI: dynamic)."""


def aid_name(aid: int) -> str:
    """What an identifier stands for, `unknown` where the table has none."""
    return AIDS.get(aid, "unknown")
