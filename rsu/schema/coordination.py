"""What vehicles are advised to do, to one of them or to all on a lane.

From `rsu.situation`. Read by `rsu.v2x`. Times are UTC ns, speeds m/s.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Behaviour(StrEnum):
    """What a vehicle is advised to do (T/CSAE 157-2020 `DriveBehavior`)."""

    STRAIGHT = "straight"
    CHANGE_LEFT = "change-left"
    CHANGE_RIGHT = "change-right"
    RAMP_IN = "ramp-in"
    RAMP_OUT = "ramp-out"
    CROSS = "cross"
    TURN_LEFT = "turn-left"
    TURN_RIGHT = "turn-right"
    U_TURN = "u-turn"
    STOP_AND_GO = "stop-and-go"
    STOP = "stop"
    SLOW_DOWN = "slow-down"
    SPEED_UP = "speed-up"
    PARK = "park"


class AdviceReason(StrEnum):
    """Why (T/CSAE 157-2020 `CoordinationInfo`)."""

    LANE_CHANGE = "lane-change"
    MERGE = "merge"
    LANE_CHANGE_AT_INTERSECTION = "lane-change-at-intersection"
    UNSIGNALLED_INTERSECTION = "unsignalled-intersection"
    DYNAMIC_LANES = "dynamic-lanes"
    LANE_RESERVATION = "lane-reservation"
    LANE_RESTRICTION = "lane-restriction"
    SIGNAL_PRIORITY = "signal-priority"


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """Advice to one vehicle (`vehicle`, its id on the air, 8 octets) or to all on `lane`.

    Exactly one of both is set. It holds from `start_ns` to `end_ns`; `speed` m/s.
    """

    start_ns: int
    end_ns: int
    vehicle: bytes | None = None
    lane: str | None = None
    speed: float | None = None
    behaviours: tuple[Behaviour, ...] = ()
    reasons: tuple[AdviceReason, ...] = ()
    description: str = ""


class Coordination(msgspec.Struct, frozen=True, kw_only=True):
    """All advice that holds at `time_ns`, the time of the evidence it rests on."""

    time_ns: int
    advice: tuple[Advice, ...]
