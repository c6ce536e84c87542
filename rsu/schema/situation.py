"""What the scene means: signals, parking bays, traffic state, road events.

Signal states come from drivers in `rsu.hal`; the rest from `rsu.situation`. Read by `rsu.v2x` and
`rsu.uplink`. Times are UTC ns, speeds m/s, lengths m.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from rsu.schema.units import Vec2


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


class SignalState(msgspec.Struct, frozen=True, kw_only=True):
    """All groups of one intersection at one moment."""

    controller: str
    intersection: int
    capture_ns: int
    groups: tuple[SignalGroup, ...]
    fixed_time: bool = True


class BayStatus(StrEnum):
    UNKNOWN = "unknown"
    FREE = "free"
    OCCUPIED = "occupied"
    CLOSED = "closed"


class BayState(msgspec.Struct, frozen=True, kw_only=True):
    """One parking bay: probability of being occupied and since when the status holds."""

    bay: str
    status: BayStatus
    occupied_probability: float
    since_ns: int
    track: int | None = None


class ParkingState(msgspec.Struct, frozen=True, kw_only=True):
    """All bays of one lot at one moment."""

    lot: str
    time_ns: int
    bays: tuple[BayState, ...]


class LaneTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic on one lane over `TrafficState`'s period.

    `count`: vehicles whose reference point crossed the lane's counting line (flow is
    count / period; Lighthill-Whitham's q). `mean_speed`: arithmetic mean of their speeds at that
    line (time-mean speed), None when none crossed. `present` and `density` (1/m) are the mean
    number of vehicles on the lane and that number over its length. `counts_by_class` splits count.
    """

    lane: str
    count: int
    counts_by_class: dict[str, int]
    mean_speed: float | None
    present: float
    density: float


class TrafficState(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic of all lanes over one period [start_ns, end_ns).

    `coverage` is the share of the period, 0..1, in which at least one sensor was live: a count
    with coverage below 1 is a lower bound.
    """

    start_ns: int
    end_ns: int
    coverage: float
    lanes: tuple[LaneTraffic, ...]


class EventPhase(StrEnum):
    ONSET = "onset"
    UPDATE = "update"
    END = "end"


class RoadEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One road event through its life; the id stays the same from onset to end.

    `code` is the GB/T 29100-2012 event code where the event has one. `confidence` is 0..1;
    `radius` m; `tracks` is the evidence.
    """

    id: int
    kind: str
    phase: EventPhase
    code: int | None
    position: Vec2
    radius: float
    confidence: float
    start_ns: int
    time_ns: int
    lanes: tuple[str, ...] = ()
    tracks: tuple[int, ...] = ()
