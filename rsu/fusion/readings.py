"""What a sensor said, as arrays: checked here, and only what is usable goes on.

In: `Readings`, M rows as stated by a camera, a radar or a voice on the air; out: which of them are
usable, the reasons of the others, and the arrays of a `Scan`. Whatever passes is finite, bounded
and has positive definite covariances, so the filter behind it never has to ask. All rows at once:
one by one, checking cost as much as filtering. Who calls is `unsuspecting`: what is stated may
overflow and be no number, which is found out here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import numpy as np
import numpy.typing as npt

from rsu.fusion.motion import matrix2
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

unsuspecting = np.errstate(over="ignore", invalid="ignore")
"""Around whoever reads what a sensor says: numpy does not warn of what is checked here."""

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

    def take(self, kept: Bools) -> Readings:
        """The rows `kept`."""
        velocity, velocity_cov = self.velocity, self.velocity_cov
        return Readings(
            self.position[kept], self.position_cov[kept], self.constant_cov[kept],
            self.score[kept], self.size[kept],
            None if velocity is None else velocity[kept],
            None if velocity_cov is None else velocity_cov[kept],
        )  # fmt: skip


def numbers(rows: Sequence[Sequence[float]], *widths: int) -> list[Floats]:
    """M rows of numbers as one array M×width for each of the widths."""
    total = sum(widths)
    whole = np.fromiter(chain.from_iterable(rows), np.float64, total * len(rows))
    whole = whole.reshape(len(rows), total)
    ends = accumulate(widths)
    return [whole[:, end - width : end] for width, end in zip(widths, ends, strict=True)]


def of_cov(cov: Cov2 | None) -> tuple[float, float, float]:
    """(xx, xy, yy)."""
    return NO_COV if cov is None else (cov.xx, cov.xy, cov.yy)


def of_size(size: Size | None) -> tuple[float, float, float]:
    """(length, width, height)."""
    return NO_SIZE if size is None else (size.length, size.width, size.height)


def usable(readings: Readings) -> tuple[Bools, dict[str, int]]:
    """M: which rows may be used, and how many of the others were refused for which reason."""
    count = len(readings)
    if count <= MAX_MEASUREMENTS and _all_sound(readings):
        return np.ones(count, dtype=np.bool_), {}
    code = np.full(count, len(REASONS))
    for reason, rows in _faults(readings):
        np.minimum(code, np.where(rows, REASONS.index(reason), len(REASONS)), out=code)
    good = code == len(REASONS)
    code[good & (good.cumsum() > MAX_MEASUREMENTS)] = REASONS.index("too_many_measurements")
    counts = np.bincount(code, minlength=len(REASONS) + 1).tolist()
    refused = {reason: n for reason, n in zip(REASONS, counts, strict=False) if n}
    return code == len(REASONS), refused


def _all_sound(readings: Readings) -> bool:
    """Whether nothing is wrong with any row, as is usual: a few looks at all numbers at once."""
    sound = math.isfinite(readings.score.sum())
    for values, cov, most in _vectors(readings):
        # Written so that NaN is not sound. The largest entry of a covariance is a variance.
        sound = sound and bool(
            np.abs(values).max(initial=0.0) <= most
            and cov.max(initial=0.0) <= LARGEST_STD**2
            and _are_covariances(cov).all()
        )
    return sound


def _faults(readings: Readings) -> list[tuple[str, Bools]]:
    """Reasons and the rows that they hold for, M each."""
    faults: list[tuple[str, Bools]] = [("not_finite", ~np.isfinite(readings.score))]
    for what, (values, cov, most) in zip(
        ("position", "velocity"), _vectors(readings), strict=False
    ):
        faults += [
            ("not_finite", np.asarray(~np.isfinite(values).all(axis=1))),
            ("not_finite", np.asarray(~np.isfinite(cov).all(axis=1))),
            (f"{what}_out_of_range", np.abs(values).max(axis=1) > most),
            ("covariance_not_positive", ~_are_covariances(cov)),
            ("covariance_too_large", np.maximum(cov[:, 0], cov[:, 2]) > LARGEST_STD**2),
        ]
    return faults


def _vectors(readings: Readings) -> Iterator[tuple[Floats, Floats, float]]:
    """What has two components: values M×2, covariances M×3, and the largest value."""
    yield readings.position, readings.position_cov, FARTHEST
    if readings.velocity is not None and readings.velocity_cov is not None:
        yield readings.velocity, readings.velocity_cov, FASTEST


def floored(cov: Floats, floor: float | Floats) -> Floats:
    """M×2×2 of M×3; `floor` (M×1 or one) is added to both variances.

    Adding, rather than taking a maximum, keeps any semi-definite matrix definite.
    """
    out = matrix2(cov)
    out.reshape(-1, 4)[:, ::3] += floor
    return out


def constant_part(part: Floats, whole: Floats, doubt: Floats) -> Floats:
    """The standing part M×2×2 of covariances; none where it is not a part of the whole, which is
    finite: so is its part, then."""
    if np.count_nonzero(np.isnan(part[:, 0])) == len(part):
        return np.zeros((len(part), 2, 2))
    of_part, of_rest = _are_covariances(np.array((part, whole - part)))
    return np.where((of_part & of_rest)[:, None, None], floored(part, doubt), 0.0)


def dimensions(size: Floats) -> Floats:
    """Sizes M×3, NaN in every column where they are no size of a road user."""
    proper = (size > 0.0) & (size <= LONGEST)  # fails on NaN
    if np.count_nonzero(proper) == size.size:
        return size.copy()
    return np.where(proper.all(axis=1, keepdims=True), size, NAN)


def _are_covariances(cov: Floats) -> Bools:
    """Which of (xx, xy, yy) …×3 are."""
    xx, xy, yy = cov[..., 0], cov[..., 1], cov[..., 2]
    # Rounding in a projection may leave a rank-1 matrix a hair below zero; that is no fault.
    square = xx * yy * (1.0 + 1e-6) + 1e-12
    return np.asarray((np.minimum(xx, yy) >= 0.0) & (xy * xy <= square))
