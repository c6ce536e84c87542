"""Signal priority: requests heard, what became of them, and what a controller is asked to do.

Requests are heard by `rsu.v2x`; answers and commands come from `rsu.situation.priority` and go to
`rsu.v2x` and to the drivers of signal controllers. Times are UTC ns.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


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
