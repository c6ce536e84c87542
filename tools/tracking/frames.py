"""What every tracker here is given and gives: frames of ground-plane detections, and estimates.

A scene (KITTI, TUD, a simulated junction) becomes `Frame`s in order of time; a tracker answers each
with `Estimate`s. Positions are metres on a plane, x and y right-handed; headings rad from x.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import Cov2, Size


@dataclass(frozen=True, slots=True)
class Found:
    """One detection: `score` 0..1; `velocity` (m/s) and its covariance from radars only; `heading`
    (rad) and `bottom` (m above the ground) where the detector gives a box in space."""

    x: float
    y: float
    cov: Cov2
    size: Size
    object_class: ObjectClass
    score: float
    velocity: tuple[float, float] | None = None
    velocity_cov: Cov2 | None = None
    constant_cov: Cov2 | None = None
    heading: float | None = None
    bottom: float = 0.0


@dataclass(frozen=True, slots=True)
class Frame:
    """All that one sensor found at one time. `sensor` tells looks of several sensors apart."""

    time_ns: int
    sensor: str
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One object as a tracker believes it to be at the time of the frame.

    `detection` is the index of the detection in this frame that supports it, None where it goes on
    without one; `velocity` m/s where the tracker knows one.
    """

    id: int
    x: float
    y: float
    detection: int | None
    velocity: tuple[float, float] = (0.0, 0.0)


class GroundTracker(Protocol):
    """A tracker under comparison, fresh for every scene."""

    def step(self, frame: Frame) -> Sequence[Estimate]:
        """The objects at the frame's time, after having taken it."""
