"""What goes upstream and what the simulator knows to be true."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import Size, Vec2


class Priority(IntEnum):
    """Order in which a backlog is drained; lower goes first."""

    EVENT = 0
    STATE = 1
    TELEMETRY = 2


class UplinkReport(msgspec.Struct, frozen=True, kw_only=True):
    """One report to a platform.

    `subject` is appended to the broker topic prefix; `body` is the JSON document; a report not
    delivered within `ttl_s` seconds is dropped and counted. `id` is unique for ever per unit, so
    that a receiver can drop duplicates.
    """

    id: str
    subject: str
    priority: Priority
    ttl_s: float
    body: bytes


class TruthObject(msgspec.Struct, frozen=True, kw_only=True):
    """One road user as the simulated world knows it (site frame, SI)."""

    id: int
    object_class: ObjectClass
    position: Vec2
    heading: float
    speed: float
    size: Size


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """The simulated world at one moment, for scoring."""

    time_ns: int
    objects: tuple[TruthObject, ...]
