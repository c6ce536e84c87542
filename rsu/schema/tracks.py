"""Tracks: what fusion believes is on the road, with how sure it is and since when.

Filled by `rsu.fusion`; read by `rsu.situation`, `rsu.v2x`, `rsu.uplink` and the recording.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import Cov2, Size, Vec2

STATE_ORDER = ("x", "y", "heading", "speed", "turn_rate")
"""Order of the motion state whose covariance a track carries."""


class TrackStatus(StrEnum):
    """Life cycle of a track. Only confirmed and coasting tracks leave fusion."""

    CONFIRMED = "confirmed"
    COASTING = "coasting"


class Track(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One road user at `TrackList.time_ns`.

    `covariance` holds the upper triangle, row by row, of the 5×5 covariance of
    (x, y, heading, speed, turn_rate): m, m, rad, m/s, rad/s. `heading` is rad counter-clockwise
    from east. `existence` and `class_probability` are probabilities 0..1. `updated_ns` is the
    capture time of the newest measurement used, `born_ns` that of the first.
    """

    id: int
    object_class: ObjectClass
    class_probability: float
    position: Vec2
    heading: float
    speed: float
    turn_rate: float
    covariance: tuple[
        float, float, float, float, float,
        float, float, float, float,
        float, float, float,
        float, float,
        float,
    ]  # fmt: skip
    size: Size
    existence: float
    status: TrackStatus
    sources: tuple[str, ...]
    born_ns: int
    updated_ns: int
    acceleration: float | None = None

    @property
    def position_cov(self) -> Cov2:
        """Covariance of the position, m²."""
        return Cov2(self.covariance[0], self.covariance[1], self.covariance[5])

    @property
    def heading_std(self) -> float:
        """Standard deviation of the heading, rad."""
        return float(max(self.covariance[9], 0.0) ** 0.5)

    @property
    def speed_std(self) -> float:
        """Standard deviation of the speed, m/s."""
        return float(max(self.covariance[12], 0.0) ** 0.5)

    @property
    def turn_rate_std(self) -> float:
        """Standard deviation of the turn rate, rad/s."""
        return float(max(self.covariance[14], 0.0) ** 0.5)


class TrackList(msgspec.Struct, frozen=True, kw_only=True):
    """All live tracks at one common time.

    `time_ns` (UTC) is the time of every state in `tracks`; it is the capture time of the newest
    measurement used, so nothing here is extrapolated beyond what a sensor saw.
    """

    time_ns: int
    tracks: tuple[Track, ...]
