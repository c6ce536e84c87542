"""What signal controllers show: indications, their expected ends, the controller's own condition.

From drivers in `rsu.hal`, and from messages heard. Read by `rsu.situation`, `rsu.v2x` and
`rsu.uplink`. Times are UTC ns.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class LightState(StrEnum):
    """Signal indications as T/CSAE 53-2020 `LightState` names them."""

    UNAVAILABLE = "unavailable"
    DARK = "dark"
    FLASHING_RED = "flashing-red"
    RED = "red"
    FLASHING_GREEN = "flashing-green"
    PERMISSIVE_GREEN = "permissive-green"
    PROTECTED_GREEN = "protected-green"
    YELLOW = "yellow"
    FLASHING_YELLOW = "flashing-yellow"


class SignalGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One signal group (phase). End times are None when the controller does not know them."""

    group: int
    light: LightState
    start_ns: int | None = None
    min_end_ns: int | None = None
    max_end_ns: int | None = None
    likely_end_ns: int | None = None


class ControllerFlag(StrEnum):
    """What a controller says of its own operation (T/CSAE 53-2020 `IntersectionStatusObject`,
    SAE J2735 the same bits)."""

    MANUAL = "manual"
    STOP_TIME = "stop-time"
    FAILURE_FLASH = "failure-flash"
    PREEMPT = "preempt"
    PRIORITY = "priority"
    FIXED_TIME = "fixed-time"
    TRAFFIC_DEPENDENT = "traffic-dependent"
    STANDBY = "standby"
    FAILURE = "failure"
    OFF = "off"


class SignalState(msgspec.Struct, frozen=True, kw_only=True):
    """All groups of one intersection at `capture_ns`, when the controller said so."""

    controller: str
    intersection: int
    capture_ns: int
    groups: tuple[SignalGroup, ...]
    flags: tuple[ControllerFlag, ...] = ()
