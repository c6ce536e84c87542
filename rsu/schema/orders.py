"""What the uplink asks of the unit itself on a platform's behalf, and the unit's answer.

Only what concerns the unit as a whole goes this way: how much it logs, its configuration, its
restart. An order is carried out by the supervisor (`rsu.runtime.orders`).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class OrderKind(StrEnum):
    LOG_LEVEL = "log_level"  # `text`: the level
    APPLY_CONFIG = "apply_config"  # `text`: path of the checked new site file
    CONFIRM_CONFIG = "confirm_config"  # `text`: id of the order that applied it
    RESTART = "restart"


class UnitOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order; `id` is that of the command that led to it."""

    id: str
    kind: OrderKind
    text: str = ""
    confirm_s: float = 0.0


class UnitAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order. One that takes time is answered again when it is over.

    `outcome` is `done`, `accepted`, `failed` or `rolled_back`; `reason` a stable code
    (docs/commands.md).
    """

    order: str
    kind: OrderKind
    outcome: str
    reason: str = ""
    detail: str = ""
