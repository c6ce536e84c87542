"""What the signal messages of both worlds share: status bits, marks within the hour."""

from __future__ import annotations

from rsu.schema.situation import ControllerFlag
from rsu.schema.units import NS_PER_S

TENTH_NS = NS_PER_S // 10
HOUR_NS = 3600 * NS_PER_S
MARK_MAX = 35_999
"""Last mark within the hour; beyond are "more than an hour" and "unknown", in both sets."""

_FLAGS = (
    ControllerFlag.MANUAL, ControllerFlag.STOP_TIME, ControllerFlag.FAILURE_FLASH,
    ControllerFlag.PREEMPT, ControllerFlag.PRIORITY, ControllerFlag.FIXED_TIME,
    ControllerFlag.TRAFFIC_DEPENDENT, ControllerFlag.STANDBY, ControllerFlag.FAILURE,
    ControllerFlag.OFF,
)  # fmt: skip


def flags(bits: str) -> tuple[ControllerFlag, ...]:
    """IntersectionStatusObject, bit 0 first; what is said of the map is left out."""
    return tuple(flag for flag, bit in zip(_FLAGS, bits, strict=False) if bit == "1")


def of_mark(mark: int | None, time_ns: int) -> int | None:
    """A mark within the hour (0.1 s) → the moment nearest to `time_ns`; None where unknown."""
    if mark is None or mark > MARK_MAX:
        return None
    moment = time_ns // HOUR_NS * HOUR_NS + mark * TENTH_NS
    if time_ns - moment > HOUR_NS // 2:
        return moment + HOUR_NS
    return moment - HOUR_NS if moment - time_ns > HOUR_NS // 2 else moment
