"""What road users are warned of: road events through their life, conflicts, and traffic signs.

Events come from `rsu.situation`, signs from the site file. Read by `rsu.v2x` and `rsu.uplink`.
Times are UTC ns, lengths m.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from rsu.schema.units import Vec2


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


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One look of one sensor: `number` is its own count (`CameraDetections.frame`,
    `RadarObjects.cycle`), `capture_ns` when it was taken (UTC ns)."""

    sensor: str
    number: int
    capture_ns: int


class RoadEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One road event through its life; the id stays the same from onset to end.

    `code` is the GB/T 29100-2012 event code where the event has one, `itis` the ITIS code (SAE
    J2540) where it has one. `confidence` is 0..1; `radius` m; `tracks` is the evidence, `snapshots`
    the looks that it began with; `time_ns` when it was last known to hold, `end_ns` when it is
    expected to end. `severity` 0..7 grows with urgency. `origin` is who knows of it: what this unit
    detects is `detection`. `ending` goes with phase `end`, `conflict` with warnings of one.
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
    snapshots: tuple[Snapshot, ...] = ()


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
