"""What goes upstream and what the simulator knows to be true."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import LightState
from rsu.schema.units import Size, Vec2

JSON = "application/json"
BINARY = "application/octet-stream"


class Priority(IntEnum):
    """Order in which a backlog is drained; lower goes first."""

    EVENT = 0
    STATE = 1
    TELEMETRY = 2


class UplinkReport(msgspec.Struct, frozen=True, kw_only=True):
    """One report to a platform.

    `subject` is appended to the broker topic prefix, or is a whole topic after a leading `/`;
    `body` is what is sent, of `content_type`; a report not delivered within `ttl_s` seconds is
    dropped and counted. `id` is unique for ever per unit, so that a receiver can drop duplicates.
    """

    id: str
    subject: str
    priority: Priority
    ttl_s: float
    body: bytes
    content_type: str = JSON

    def topic(self, prefix: str) -> str:
        """Where it goes, for a session of that topic prefix."""
        return topic_of(self.subject, prefix)


def topic_of(subject: str, prefix: str) -> str:
    """The topic of a report's `subject`."""
    return subject[1:] if subject.startswith("/") else f"{prefix}/{subject}"


class LivePublication(msgspec.Struct, frozen=True, kw_only=True):
    """Octets that are worth sending now or never: to each of `topics`, unless they are older than
    `max_age_s` seconds, counted from `time_ns`, when the link takes them. Never queued on disk."""

    topics: tuple[str, ...]
    payload: bytes
    time_ns: int
    max_age_s: float


class TruthObject(msgspec.Struct, frozen=True, kw_only=True):
    """One road user or thing on the road as the simulated world knows it (site frame, SI).

    `role` tells special vehicles: `emergency`, `bus-line`.
    """

    id: int
    object_class: ObjectClass
    position: Vec2
    heading: float
    speed: float
    size: Size
    role: str = ""


class TruthEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happens in the simulated world and that a unit should report.

    `kind` is that of `RoadEvent`; it holds from `start_ns` on, at least until the `Truth` it stands
    in; the id is the same for its life. `objects` are ids of `TruthObject`s.
    """

    id: int
    kind: str
    start_ns: int
    position: Vec2
    lanes: tuple[str, ...] = ()
    objects: tuple[int, ...] = ()


class TruthBay(msgspec.Struct, frozen=True, kw_only=True):
    """One parking bay: who stands in it (None: free)."""

    bay: str
    object: int | None


class TruthLight(msgspec.Struct, frozen=True, kw_only=True):
    """What one signal group shows."""

    group: int
    light: LightState


class TruthWeather(msgspec.Struct, frozen=True, kw_only=True):
    """Light (`day`, `dusk`, `night`), rain 0..1, meteorological optical range (m)."""

    light: str
    rain: float
    visibility: float


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """The simulated world at one moment, for scoring and for rendering.

    `lights` is what each signal group shows; `events` what is going on.
    """

    time_ns: int
    objects: tuple[TruthObject, ...]
    events: tuple[TruthEvent, ...] = ()
    bays: tuple[TruthBay, ...] = ()
    lights: tuple[TruthLight, ...] = ()
    weather: TruthWeather | None = None
