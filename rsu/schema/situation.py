"""What the scene means: signals, parking bays, traffic state, road events.

Signal states come from drivers in `rsu.hal`, traffic signs from the site file, the rest from
`rsu.situation`. Read by `rsu.v2x` and `rsu.uplink`. Times are UTC ns, speeds m/s, lengths m.
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


class EventPhase(StrEnum):
    ONSET = "onset"
    UPDATE = "update"
    END = "end"


class EventEnding(StrEnum):
    """Why an event is not told any more."""

    CLEARED = "cleared"  # it was seen to be over
    UNOBSERVED = "unobserved"  # nobody could look any more: whether it still holds is unknown


class EventOrigin(StrEnum):
    """Who knows of an event (T/CSAE 53-2020 `EventSource`)."""

    UNKNOWN = "unknown"
    POLICE = "police"
    GOVERNMENT = "government"
    METEOROLOGICAL = "meteorological"
    INTERNET = "internet"
    DETECTION = "detection"


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """Who may meet whom: `tracks` (the vehicle that is about to run into somebody first), the time
    until then from the event's `time_ns`, the probability 0..1 if nobody does anything, the
    deceleration (m/s²) that it takes from now on to prevent it, and where."""

    tracks: tuple[int, ...]
    time_to_conflict_s: float
    probability: float
    required_deceleration: float
    point: Vec2


class RoadEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One road event through its life; the id stays the same from onset to end.

    `code` is the GB/T 29100-2012 event code where the event has one, `itis` the ITIS code (SAE
    J2540) where it has one. `confidence` is 0..1; `radius` m; `tracks` is the evidence; `time_ns`
    when it was last known to hold, `end_ns` when it is expected to end. `severity` 0..7 grows with
    urgency. `origin` is who knows of it: what this unit detects is `detection`. `ending` goes with
    phase `end`, `conflict` with warnings of one.
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
    end_ns: int | None = None
    itis: int | None = None
    severity: int = 0
    origin: EventOrigin = EventOrigin.DETECTION
    description: str = ""
    ending: EventEnding | None = None
    conflict: Conflict | None = None


class RoadSign(msgspec.Struct, frozen=True, kw_only=True):
    """One traffic sign that stands at the road, or is said on the air in place of one.

    `code` is the GB 5768.2 sign code (with `RTSData.signType`), `itis` the ITIS code that says the
    same in the SAE world; `lanes` are those it holds for; None times: always.
    """

    id: str
    code: int | None
    position: Vec2
    itis: int | None = None
    lanes: tuple[str, ...] = ()
    description: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    severity: int = 0


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


class RequestState(StrEnum):
    """What became of a request for signal priority (SAE J2735 `PrioritizationResponseStatus`)."""

    UNKNOWN = "unknown"
    REQUESTED = "requested"
    PROCESSING = "processing"
    WATCH_OTHER_TRAFFIC = "watch-other-traffic"
    GRANTED = "granted"
    REJECTED = "rejected"
    MAX_PRESENCE = "max-presence"
    RESERVICE_LOCKED = "reservice-locked"


class SignalRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle's request to pass an intersection, as heard (SRM, VIR).

    `vehicle` is its id on the air, with `station` the four octets of a number that fixed equipment
    keeps (J2735 StationID); `request` and `sequence` are its own numbers, which the answer repeats.
    `inbound` and `outbound` name lanes of this site where the message's lane or approach is on its
    map. `role` is the requester's own word (J2735 BasicVehicleRole; nothing is verified).
    """

    vehicle: bytes
    request: int
    sequence: int
    time_ns: int
    intersection: int
    role: str
    cancel: bool = False
    inbound: str | None = None
    outbound: str | None = None
    inbound_lane_id: int | None = None
    outbound_lane_id: int | None = None
    arrival_ns: int | None = None
    duration_s: float | None = None
    station: bool = False


class SignalAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A request and what became of it."""

    request: SignalRequest
    state: RequestState


class SignalPriority(msgspec.Struct, frozen=True, kw_only=True):
    """All requests that an intersection has open at `time_ns`."""

    intersection: int
    time_ns: int
    answers: tuple[SignalAnswer, ...]


class PriorityLevel(StrEnum):
    """How much a vehicle may be favoured; the higher one always comes first."""

    EMERGENCY = "emergency"
    TRANSIT = "transit"


class SignalAction(StrEnum):
    """What a signal controller is asked to do."""

    EXTEND = "extend"  # hold a green that shows
    CALL = "call"  # bring a green soon, by the controller's own way through its stages
    CANCEL = "cancel"  # go on as without us


class SignalCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A wish to one controller; what comes of it is its own to decide, within its own limits.

    It holds until `until_ns` and is repeated while it is meant: who stops hearing us goes back to
    normal. There is at most one wish per controller; a newer one takes its place.
    """

    controller: str
    intersection: int
    group: int
    action: SignalAction
    level: PriorityLevel
    time_ns: int
    until_ns: int
    reason: str = ""
