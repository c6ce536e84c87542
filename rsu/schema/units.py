"""Small value types that every other struct is made of: instants, planar vectors, covariances.

Frames: the *site frame* is local east-north-up (ENU), metres, origin at the site's surveyed point
(`rsu.site.geodesy`). Headings inside the runtime are radians, counter-clockwise from east.
Times: integers, nanoseconds; instants are UTC since the Unix epoch.
"""

from __future__ import annotations

import msgspec

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Instant(msgspec.Struct, frozen=True, array_like=True):
    """One reading of both clocks, taken together.

    `utc_ns` names the moment (Unix epoch, UTC); `mono_ns` measures intervals and never steps.
    In virtual time `mono_ns` runs with `utc_ns`.
    """

    utc_ns: int
    mono_ns: int


# What holds numbers and names alone can be part of no cycle: the garbage collector need not look
# at it (`gc=False`), of which there are hundreds in a frame.
class Vec2(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Planar vector in the site frame: `x` east, `y` north (m or m/s)."""

    x: float
    y: float


class Cov2(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Symmetric 2×2 covariance in the site frame (m² or m²/s²), variances, not deviations."""

    xx: float
    xy: float
    yy: float


class Size(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Outer dimensions of an object, m."""

    length: float
    width: float
    height: float


class Box(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Axis-aligned box in the full camera image, pixels, origin top-left."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.left + self.width

    @property
    def bottom(self) -> float:
        return self.top + self.height
