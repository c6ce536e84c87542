"""What a message writer is: facts in, the bare content of one message in JSON form out.

A writer knows one message of one set: units, fields, bounds, what is left out. It does not know
when its message is said, what number it has next, or how it is encoded and framed: that is for
the voices (`rsu.v2x.voices`). There is one protocol for each kind of fact that messages rest on.

All writers: `count` is msgCnt 0..127. `time_ns` is UTC, the moment the message speaks of; None
where the clock cannot be trusted and the message is to make no claim of time. A fact that the
message cannot carry raises OutOfRangeError, so that the caller withholds it; nothing is clamped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from rsu.schema.coordination import Coordination
from rsu.schema.events import RoadEvent, RoadSign
from rsu.schema.parking import ParkingState
from rsu.schema.priority import SignalPriority
from rsu.schema.signals import SignalState
from rsu.schema.tracks import Track
from rsu.schema.v2x import Corrections

Content = dict[str, Any]
"""The bare content of a message, in JSON form (docs/v2x-json.md)."""


class TrackWriter(Protocol):
    """RSM and SSM of T/CSAE, SDSM and PSM of SAE."""

    objects_max: int
    """Road users in one message."""
    numbers_max: int
    """Road users are numbered 1..this."""
    alone: bool
    """Whether the message can say that nobody is there."""

    def speaks_of(self, track: Track) -> bool:
        """Whether the message is about road users like this one."""

    def road_user(
        self, track: Track, number: int, time_ns: int, position: tuple[float, float]
    ) -> Content:
        """One road user whose state is that of `time_ns`; `position` is (longitude, latitude)."""

    def content(self, count: int, time_ns: int, road_users: Sequence[Content]) -> Content:
        """The message around what `road_user` gave, at most `objects_max` of them."""


class SignalWriter(Protocol):
    """SPAT of both worlds."""

    def content(self, count: int, state: SignalState) -> Content:
        """The state of one intersection, at `state.capture_ns`."""


class EventWriter(Protocol):
    """RSI of T/CSAE, TIM and RSM of SAE."""

    events_max: int
    signs_max: int
    """Events and signs in one message; 0: the message has no place for such."""

    def speaks_of(self, fact: RoadEvent | RoadSign) -> bool:
        """Whether the message can name such a fact (it has a code for it, a place for it)."""

    def content(
        self,
        count: int,
        time_ns: int | None,
        events: Sequence[RoadEvent],
        signs: Sequence[RoadSign],
    ) -> Content:
        """These events and signs, at least one of both; with no `time_ns`, no times at all."""


class ParkingWriter(Protocol):
    """PAM of T/CSAE."""

    def content(self, count: int, state: ParkingState) -> Content:
        """One lot, as of `state.time_ns`."""


class CoordinationWriter(Protocol):
    """RSC of T/CSAE."""

    def content(self, count: int, coordination: Coordination) -> Content:
        """Advice, as of `coordination.time_ns`."""


class PriorityWriter(Protocol):
    """SSM (signal status) of SAE."""

    def content(self, count: int, priority: SignalPriority) -> Content:
        """The open requests of one intersection, as of `priority.time_ns`."""


class CorrectionWriter(Protocol):
    """RTCM of both worlds."""

    def contents(self, count: int, corrections: Corrections) -> list[Content]:
        """The corrections in as few messages as hold them, counted from `count` on."""


class StandingWriter(Protocol):
    """MAP of both worlds, TEST of T/CSAE: what does not change while the unit runs."""

    def content(self, count: int, time_ns: int | None) -> Content:
        """The message as said now."""
