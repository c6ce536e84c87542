"""What a sensor said, as arrays: checked here, and only what is usable goes on.

In: `Readings`, M rows as stated by a camera, a radar or a voice on the air; out: which of them are
usable, the reasons of the others, and the arrays of a `Scan`. Whatever passes is finite, bounded
and has positive definite covariances, so the filter behind it never has to ask. All rows at once:
one by one, checking cost as much as filtering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.schema.units import Cov2, Size

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MAX_MEASUREMENTS = 512  # per scan: an ARS408 cycle has at most 100 objects, a frame fewer
FARTHEST = 20_000.0  # m from the site's origin; nothing roadside sees farther
FASTEST = 150.0  # m/s
LEAST_STD = 0.05  # m and m/s: no roadside sensor is better, and it keeps the filter well posed
LARGEST_STD = 50.0  # m: a position less certain than this says nothing
LONGEST = 60.0  # m: longer than any road train
LEAST_SCORE, MOST_SCORE = 0.01, 0.99  # no word is worth nothing, and none is beyond doubt
NAN = float("nan")
NO_SIZE = (NAN, NAN, NAN)
NO_COV = (NAN, NAN, NAN)

REASONS = (
    "not_finite", "position_out_of_range", "velocity_out_of_range", "covariance_not_positive",
    "covariance_too_large", "too_many_measurements",
)  # fmt: skip
"""Why a row is refused, in the order in which they are asked for."""


@dataclass(slots=True)
class Readings:
    """M rows, unchecked. Covariances M×3 are (xx, xy, yy); m, m/s and their squares.

    `constant_cov` is the standing part of `position_cov`, NaN where none is stated; `size` M×3 is
    NaN where none was measured; velocities are None for sensors that measure none.
    """

    position: Floats
    position_cov: Floats
    constant_cov: Floats
    score: Floats
    size: Floats
    velocity: Floats | None = None
    velocity_cov: Floats | None = None

    def __len__(self) -> int:
        return len(self.score)


def numbers(rows: Sequence[Sequence[float]], *widths: int) -> list[Floats]:
    """M rows of numbers as one array M×width for each of the widths."""
    whole = np.array(rows, dtype=np.float64).reshape(len(rows), sum(widths))
    return np.split(whole, np.cumsum(widths)[:-1], axis=1)


def of_cov(cov: Cov2 | None) -> tuple[float, float, float]:
    """(xx, xy, yy)."""
    return NO_COV if cov is None else (cov.xx, cov.xy, cov.yy)


def of_size(size: Size | None) -> tuple[float, float, float]:
    """(length, width, height)."""
    return NO_SIZE if size is None else (size.length, size.width, size.height)


def usable(readings: Readings) -> tuple[Bools, dict[str, int]]:
    """M: which rows may be used, and how many of the others were refused for which reason."""
    code = np.full(len(readings), len(REASONS))

    def refuse(reason: str, rows: Bools) -> None:
        code[rows & (code == len(REASONS))] = REASONS.index(reason)

    position, cov = readings.position, readings.position_cov
    with np.errstate(over="ignore", invalid="ignore"):
        finite = np.isfinite(position).all(axis=1) & np.isfinite(cov).all(axis=1)
        finite &= np.isfinite(readings.score)
        velocity, velocity_cov = readings.velocity, readings.velocity_cov
        if velocity is not None and velocity_cov is not None:
            finite &= np.isfinite(velocity).all(axis=1) & np.isfinite(velocity_cov).all(axis=1)
        refuse("not_finite", ~finite)
        refuse("position_out_of_range", np.abs(position).max(axis=1) > FARTHEST)
        if velocity is not None:
            refuse("velocity_out_of_range", np.abs(velocity).max(axis=1) > FASTEST)
        for one in (cov, velocity_cov):
            if one is not None:
                refuse("covariance_not_positive", ~_are_covariances(one))
                refuse("covariance_too_large", np.maximum(one[:, 0], one[:, 2]) > LARGEST_STD**2)
    good = code == len(REASONS)
    refuse("too_many_measurements", good & (good.cumsum() > MAX_MEASUREMENTS))
    counts = np.bincount(code, minlength=len(REASONS) + 1).tolist()
    refused = {reason: n for reason, n in zip(REASONS, counts, strict=False) if n}
    return code == len(REASONS), refused


def matrices(cov: Floats, floor: float | Floats) -> Floats:
    """M×2×2 of M×3; `floor` (M or one) is added to both variances.

    Adding, rather than taking a maximum, keeps any semi-definite matrix definite.
    """
    out = np.empty((len(cov), 2, 2))
    out[:, 0, 0] = cov[:, 0] + floor
    out[:, 1, 1] = cov[:, 2] + floor
    out[:, 0, 1] = out[:, 1, 0] = cov[:, 1]
    return out


def constant_part(part: Floats, whole: Floats, doubt: Floats) -> Floats:
    """The standing part M×2×2 of covariances; none where it is not a part of the whole."""
    with np.errstate(over="ignore", invalid="ignore"):
        proper = np.isfinite(part).all(axis=1) & _are_covariances(part)
        proper &= _are_covariances(whole - part)
    return np.where(proper[:, None, None], matrices(part, doubt), 0.0)


def dimensions(size: Floats) -> Floats:
    """Sizes M×3, NaN in every column where they are no size of a road user."""
    with np.errstate(invalid="ignore"):
        proper = (size.min(axis=1) > 0.0) & (size.max(axis=1) <= LONGEST)  # fails on NaN
    return np.where(proper[:, None], size, NAN)


def _are_covariances(cov: Floats) -> Bools:
    xx, xy, yy = cov.T
    # Rounding in a projection may leave a rank-1 matrix a hair below zero; that is no fault.
    return np.asarray((xx >= 0.0) & (yy >= 0.0) & (xy * xy <= xx * yy * (1.0 + 1e-6) + 1e-12))
