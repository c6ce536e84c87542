"""Traffic in numbers: by lane, approach, movement and signal cycle, over a period or a second.

From `rsu.situation.traffic`. Read by `rsu.v2x` and `rsu.uplink`. Times are UTC ns, speeds m/s,
lengths m.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from rsu.schema.units import Vec2


class ServiceLevel(StrEnum):
    """How traffic is served, from free (A) to breaking down (F): HCM 2010, chapter 5."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"


class QueueTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """Queues on a lane or an approach over a period: vehicles and m, means over the time that was
    watched and maxima; `spilled` is the share of that time in which one reached the beginning."""

    vehicles: float
    most_vehicles: int
    length: float
    longest: float
    spilled: float


class LaneTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic on one lane over `TrafficState`'s period.

    `count`: vehicles whose reference point crossed the lane's counting line (flow is
    count / period; Lighthill-Whitham's q). `mean_speed`: arithmetic mean of their speeds at that
    line (time-mean speed), None when none crossed. `present` and `density` (1/m) are the mean
    number of vehicles on the lane and that number over its length. `counts_by_class` splits count.

    The rest is None where there is nothing to tell it from: `space_mean_speed` way covered / time
    spent on the lane (Edie); `occupancy` share of the time in which a vehicle covers the line;
    `headway` and `gap` mean times from front to front and from rear to front at it, s; `stops`
    how often somebody came to rest; `delay` control delay per vehicle that left, s; `saturation`
    flow / capacity; `coverage` the share 0..1 of what should have been seen here that was.
    """

    lane: str
    count: int
    counts_by_class: dict[str, int]
    mean_speed: float | None
    present: float
    density: float
    space_mean_speed: float | None = None
    occupancy: float | None = None
    headway: float | None = None
    gap: float | None = None
    stops: int | None = None
    delay: float | None = None
    queue: QueueTraffic | None = None
    saturation: float | None = None
    service: ServiceLevel | None = None
    coverage: float | None = None


class ApproachTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic on all entry lanes of one link, `upstream_node` → `downstream_node`.

    Counts, stops and queues add up (the longest is that of one lane); speeds and delay weigh by
    vehicles; `density` is per lane, 1/m; `saturation` that of the fullest lane, `coverage` that of
    the least seen one.
    """

    lanes: tuple[str, ...]
    upstream_node: int | None
    downstream_node: int | None
    count: int
    mean_speed: float | None
    space_mean_speed: float | None
    density: float
    stops: int
    delay: float | None
    queue: QueueTraffic | None
    saturation: float | None
    service: ServiceLevel | None
    coverage: float | None


class MovementTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """One way through a junction: `count` of those seen to enter by `entry` and to leave on
    `exit`'s link (turning count). `connection` is the lane between; `space_mean_speed` on it."""

    connection: str
    entry: str
    exit: str
    maneuver: str
    count: int
    space_mean_speed: float | None


class TrafficState(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic of all lanes over one period [start_ns, end_ns).

    `coverage` is the share of the period, 0..1, in which at least one sensor was live: a count
    with coverage below 1 is a lower bound. `unassigned` vehicles left the junction without having
    been seen to enter: they are in no movement.
    """

    start_ns: int
    end_ns: int
    coverage: float
    lanes: tuple[LaneTraffic, ...]
    approaches: tuple[ApproachTraffic, ...] = ()
    movements: tuple[MovementTraffic, ...] = ()
    unassigned: int = 0


class CycleTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic of the lanes that a signal group governs over one cycle, from one start of green to
    the next; `green_s` is how long it was green."""

    group: int
    start_ns: int
    end_ns: int
    green_s: float
    lanes: tuple[LaneTraffic, ...]


class LaneQueue(msgspec.Struct, frozen=True, kw_only=True):
    """Who waits on a lane now: `vehicles` of whom `seen` have a track (the others are concluded
    from who waits behind them); `length` m from the first's front to the last's rear, which is at
    `back`; `open_end`: sensors see no farther, so it is at least this long. `spill_back`: it
    reaches the lane's beginning, so that nobody can enter."""

    vehicles: int
    seen: int
    length: float
    back: Vec2
    since_ns: int
    spill_back: bool
    open_end: bool


class LaneState(msgspec.Struct, frozen=True, kw_only=True):
    """One lane over one second; values as in `LaneTraffic`."""

    lane: str
    count: int
    present: float
    density: float
    space_mean_speed: float | None
    occupancy: float
    coverage: float
    queue: LaneQueue | None = None


class LaneStates(msgspec.Struct, frozen=True, kw_only=True):
    """All lanes that vehicles use over the second that ended at `time_ns`."""

    time_ns: int
    lanes: tuple[LaneState, ...]
