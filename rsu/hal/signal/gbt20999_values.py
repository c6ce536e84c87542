"""Which values of GB/T 20999-2017 are used, and what they mean.

Numbers of classes and lamp states: CSAE facts §7; those of objects, attributes, sizes and modes:
the public header that the facts name as the full list. Stage masks are read with the first phase in
the lowest bit of the last octet, as that header's counting of bits from 0 and big endian together
say; lists of one octet per phase begin with phase 1.
"""

from __future__ import annotations

from typing import Final

from rsu.schema.signals import ControllerFlag, LightState

Key = tuple[int, int, int]
"""Class, object, attribute."""

LAMP_COUNT: Final[Key] = (3, 1, 0)
LAMP_STATE_OBJECT: Final = (3, 3)
PHASE_COUNT: Final[Key] = (4, 1, 0)
PHASE_LAMP: Final[Key] = (4, 2, 2)
STAGE_COUNT: Final[Key] = (6, 1, 0)
STAGE_PHASES: Final[Key] = (6, 2, 2)
STAGE_EARLY_ENDS: Final[Key] = (6, 2, 4)
STAGE_REMAINING: Final[Key] = (6, 3, 4)
STAGE_DEMAND: Final[Key] = (6, 4, 2)
"""Software demand of a stage, read and write: 1 or 0."""
MODE: Final[Key] = (13, 2, 2)
CURRENT_STAGE: Final[Key] = (13, 2, 4)

SIZES: Final[dict[Key, int]] = {
    LAMP_COUNT: 1, PHASE_COUNT: 1, PHASE_LAMP: 1, STAGE_COUNT: 1, STAGE_PHASES: 8,
    STAGE_EARLY_ENDS: 64, STAGE_REMAINING: 4, MODE: 1, CURRENT_STAGE: 1,
}  # fmt: skip
"""Octets of one element; a lamp's state has one."""

LAMPS_MAX: Final = 64
PHASES_MAX: Final = 64
STAGES_MAX: Final = 64
"""Masks and lists of the standard have 64 places."""

LIGHTS: Final = {
    0x01: LightState.DARK,
    0x10: LightState.RED,
    0x11: LightState.FLASHING_RED,
    0x12: LightState.FLASHING_RED,  # fast
    0x20: LightState.PERMISSIVE_GREEN,
    0x21: LightState.FLASHING_GREEN,
    0x22: LightState.FLASHING_GREEN,
    0x30: LightState.YELLOW,
    0x31: LightState.FLASHING_YELLOW,
    0x32: LightState.FLASHING_YELLOW,
    0x40: LightState.RED,  # with yellow: nobody may go yet
}
GREEN: Final = 0x20

FLAGS: Final = {
    0x11: ControllerFlag.FIXED_TIME,  # the centre's timetable
    0x14: ControllerFlag.TRAFFIC_DEPENDENT,  # the centre, adaptive
    0x15: ControllerFlag.MANUAL,
    0x21: ControllerFlag.FIXED_TIME,
    0x22: ControllerFlag.TRAFFIC_DEPENDENT,
    0x24: ControllerFlag.TRAFFIC_DEPENDENT,
    0x25: ControllerFlag.MANUAL,
    0x33: ControllerFlag.OFF,
}
"""By running mode. Nothing is said of coordination, optimisation (either kind is possible) and of
flashing and all-red (by plan or by a failure: the mode does not tell)."""
