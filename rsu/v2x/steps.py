"""SI values → steps of a data element, and the class that states how sure a value is.

Shared by the messages of both worlds (`rsu.v2x.csae.units`, `rsu.v2x.sae.units`), whose data
elements have the same roots. A value beyond the range is never clamped: it raises OutOfRangeError
and the caller withholds the statement.

Confidence classes state a bound that holds with 95 % probability (facts: csae53-2020-fields.md,
units: DefPosition, DefMotion; sae.md 2 for SDSM). The class chosen is the tightest whose bound is
not below the 95 % error from the filter's covariance; where even the widest is too tight,
`unavailable`.
"""

from __future__ import annotations

import math

from rsu.schema.units import Cov2
from rsu.v2x.errors import V2xError

_CHI2_95_2D = 5.991464547107979
"""95 % quantile of χ² with 2 degrees of freedom, -2 ln 0.05."""
_NORMAL_95 = 1.959963984540054
"""Half width of the central 95 % of a standard normal."""
_HEADING_KNOWN = math.pi / 2
"""With a 95 % error beyond a quarter turn a heading cannot tell forth from back."""

_POSITION_CLASSES = (
    ("a1cm", 0.01), ("a2cm", 0.02), ("a5cm", 0.05), ("a10cm", 0.1), ("a20cm", 0.2),
    ("a50cm", 0.5), ("a1m", 1.0), ("a2m", 2.0), ("a5m", 5.0), ("a10m", 10.0), ("a20m", 20.0),
    ("a50m", 50.0), ("a100m", 100.0), ("a200m", 200.0), ("a500m", 500.0),
)  # fmt: skip
_SPEED_CLASSES = (
    ("prec0-01ms", 0.01), ("prec0-05ms", 0.05), ("prec0-1ms", 0.1), ("prec1ms", 1.0),
    ("prec5ms", 5.0), ("prec10ms", 10.0), ("prec100ms", 100.0),
)  # fmt: skip
# prec0-01deg is left out: a heading rounded to steps of 0.0125° cannot be surer than that.
_HEADING_CLASSES = (
    ("prec0-0125deg", 0.0125), ("prec0-05deg", 0.05), ("prec0-1deg", 0.1), ("prec01deg", 1.0),
    ("prec05deg", 5.0), ("prec10deg", 10.0),
)  # fmt: skip


class OutOfRangeError(V2xError):
    """A value that the data element cannot carry; the text names the element."""


def steps(name: str, value: float, low: int, high: int) -> int:
    """`value` rounded to the nearest step (halves upwards), where that lies in low..high."""
    if not math.isfinite(value):
        raise OutOfRangeError(f"{name} is not a finite number")
    rounded = math.floor(value + 0.5)
    if not low <= rounded <= high:
        raise OutOfRangeError(f"{name} {rounded} is outside {low}..{high}")
    return rounded


def class_of(classes: tuple[tuple[str, float], ...], error: float) -> str:
    """The first class, from tight to wide, whose bound is not below `error`."""
    for name, bound in classes:
        if error <= bound:
            return name
    return "unavailable"


def position_confidence(cov: Cov2) -> str:
    """PositionConfidence from the semi-major axis of the 95 % ellipse of a covariance, m²."""
    mean = (cov.xx + cov.yy) / 2
    largest = mean + math.hypot((cov.xx - cov.yy) / 2, cov.xy)
    return class_of(_POSITION_CLASSES, math.sqrt(max(largest, 0.0) * _CHI2_95_2D))


def speed_confidence(std: float) -> str:
    """SpeedConfidence from a standard deviation, m/s."""
    return class_of(_SPEED_CLASSES, std * _NORMAL_95)


def heading_confidence(std: float) -> str:
    """HeadingConfidence from a standard deviation, rad."""
    return class_of(_HEADING_CLASSES, math.degrees(std * _NORMAL_95))


def heading_known(std: float) -> bool:
    """Whether a heading of this standard deviation (rad) says anything at all."""
    return std * _NORMAL_95 <= _HEADING_KNOWN
