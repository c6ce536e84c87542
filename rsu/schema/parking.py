"""A parking lot: its bays, who stands there since when, the lot in numbers, who is guided.

Requests are heard by `rsu.v2x`; the rest comes from `rsu.situation.parking`. Read by `rsu.v2x` and
`rsu.uplink`. Times are UTC ns.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from rsu.schema.units import Vec2


class BayStatus(StrEnum):
    UNKNOWN = "unknown"
    FREE = "free"
    OCCUPIED = "occupied"
    CLOSED = "closed"


class BayMisuse(StrEnum):
    """What is wrong with who stands in a bay."""

    OVERSTAY = "overstay"  # longer than the bay allows
    WRONG_CLASS = "wrong-class"  # a class of vehicle that the bay is not for
    DOUBLE = "double-bay"  # over the line to the next bay


class BayState(msgspec.Struct, frozen=True, kw_only=True):
    """One parking bay: probability of being occupied and since when the status holds.

    `entered_ns`: when its occupant was seen to come; None: nobody saw it, it stands there since
    `since_ns` at least. `sources` is who spoke for this status last: `tracks` or a sensor's id.
    """

    bay: str
    status: BayStatus
    occupied_probability: float
    since_ns: int
    track: int | None = None
    entered_ns: int | None = None
    misuse: tuple[BayMisuse, ...] = ()
    sources: tuple[str, ...] = ()


class BayStay(msgspec.Struct, frozen=True, kw_only=True):
    """A stay that has ended at `left_ns`; `entered_ns` None: it began before anybody looked."""

    bay: str
    left_ns: int
    entered_ns: int | None = None


class LotTotals(msgspec.Struct, frozen=True, kw_only=True):
    """A lot in numbers at one moment.

    `entries` and `exits` are vehicles counted at the lot's gates since `since_ns`, when all bays
    were known for the first time and `occupied_then` of them were occupied; all None before. What
    the gates' balance says beyond the bays and the aisles is `unexplained`: 0 where they agree.
    """

    free: int
    occupied: int
    unknown: int
    closed: int
    on_aisles: int
    since_ns: int | None = None
    occupied_then: int | None = None
    entries: int | None = None
    exits: int | None = None
    unexplained: int | None = None


class ParkingRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle's wish to be guided in a lot, as heard (VIR).

    `vehicle` is its id on the air; `leaving`: to the way out. `position` is where it says it is.
    `cancel`: it does not want it any more.
    """

    vehicle: bytes
    request: int
    time_ns: int
    leaving: bool = False
    cancel: bool = False
    position: Vec2 | None = None


class ParkingGuidance(msgspec.Struct, frozen=True, kw_only=True):
    """The way to a bay for one vehicle: `vehicle` is its id on the air (8 octets), `lanes` the
    aisles to follow in order, `bay` where it ends (None: the way out)."""

    vehicle: bytes
    lanes: tuple[str, ...]
    bay: str | None = None


class ParkingState(msgspec.Struct, frozen=True, kw_only=True):
    """All bays of one lot at one moment, and who is being guided there.

    `ended` are stays that ended since the state before.
    """

    lot: str
    time_ns: int
    bays: tuple[BayState, ...]
    guidance: tuple[ParkingGuidance, ...] = ()
    totals: LotTotals | None = None
    ended: tuple[BayStay, ...] = ()
