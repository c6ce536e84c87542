"""What the signal messages of both worlds share: whose they are, status bits, marks in the hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rsu.schema.signals import ControllerFlag, LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_S
from rsu.v2x.receive.quantities import Content
from rsu.v2x.unit import Unit

CENTRE = "centre"
"""The controller of states that a centre told; a device of the site file has a name of its own."""
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


_NO_VALID_SPAT = 13
_INVALID_GROUP = 0
"""PhaseID "invalid", SignalGroupID "unknown"."""


def is_ours(where: Content, unit: Unit) -> bool:
    """Whether a reference to an intersection (region optional, id) means that of `unit`."""
    return bool(
        where["id"] == unit.intersection and where.get("region", unit.region) == unit.region
    )


def state_of(
    unit: Unit, moment: int, status_bits: str, groups: Sequence[SignalGroup]
) -> SignalState:
    """What was told of `unit`'s intersection.

    A number without a meaning and one that is told twice name no group. A message that says of
    itself that it is not valid tells no light.
    """
    if status_bits[_NO_VALID_SPAT : _NO_VALID_SPAT + 1] == "1":
        groups = [SignalGroup(group=one.group, light=LightState.UNAVAILABLE) for one in groups]
    times = Counter(one.group for one in groups)
    return SignalState(
        controller=CENTRE,
        intersection=unit.intersection,
        capture_ns=moment,
        groups=tuple(
            one for one in groups if one.group != _INVALID_GROUP and times[one.group] == 1
        ),
        flags=flags(status_bits),
    )


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
