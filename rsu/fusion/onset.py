"""Who sets off: when somebody on foot who stood has begun to walk, and how fast.

In: the last looks at those who rest, and where they stood at each. Out: who has set off, with
position and velocity since. A walk begins within a step, at a moment and with a velocity that
nobody knows. For each of the last looks as that moment the likelihoods of "walks since then" and
"stands" are compared by the looks after it, the velocity averaged over N(0, `START_STD`²): a
generalised likelihood ratio over a window of moments (Basseville and Nikiforov, "Detection of
Abrupt Changes", 1993, ch. 2 and 7). A moving filter that has rested for long is too sure of its
rest to tell.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rsu.fusion.motion import Floats, flat2, inverse2, matrix2
from rsu.schema.units import NS_PER_S

LOOKS = 8
"""Looks that are kept: 0.8 s of one camera. Slower walks show by how the place drifts."""
WIDTH = 11
START_STD = 0.8
"""m/s in each direction, 1.13 together: people walk at 1.34 ± 0.26 m/s (Weidmann 1993). Wider, and
those who are found to set off, by noise that helps, are told too fast."""
SURE = 5.0
"""Nats for a walk. Who stands, seen with just the stated noise, is taken to set off at one look in
800 to 1200 (`tests/fusion/test_onset.py`); 4 would be three times as often and no faster, 6 half as
often and up to a look later."""
GAP_S = 2.0  # s without a look: where somebody stood before says nothing of a step now
_TIME, _PLACE, _NOISE, _STOOD, _SPREAD = 0, slice(1, 3), slice(3, 6), slice(6, 8), slice(8, 11)


def no_looks(count: int) -> Floats:
    """Memory of `count` tracks (N×LOOKS×WIDTH), empty: s UTC (-inf: none), place and its noise
    (xx, xy, yy; m²), where it stood before the look and how well that was known."""
    looks = np.zeros((count, LOOKS, WIDTH))
    looks[:, :, _TIME] = -np.inf
    return looks


def with_look(
    looks: Floats, time_ns: int, place: Floats, noise: Floats, stood: Floats, spread: Floats
) -> Floats:
    """The memory M×LOOKS×WIDTH with one more look at each: `place` M×2 with covariance `noise`
    M×2×2, predicted at `stood` M×2 with covariance `spread` M×2×2."""
    seconds = time_ns / NS_PER_S
    lost = looks[:, -1, _TIME] < seconds - GAP_S
    out = np.concatenate((looks[:, 1:], np.empty((len(looks), 1, WIDTH))), axis=1)
    out[lost, :, _TIME] = -np.inf
    newest = out[:, -1]
    newest[:, _TIME] = seconds
    newest[:, _PLACE], newest[:, _STOOD] = place, stood
    newest[:, _NOISE] = flat2(noise)
    newest[:, _SPREAD] = flat2(spread)
    return out


def set_off(looks: Floats) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Who of M has set off, by M×LOOKS×WIDTH: (M; state M×4 as x, y, vx, vy in m and m/s; its
    covariance M×4×4)."""
    time = looks[:, :, _TIME]
    known = np.isfinite(time[:, :-1])
    # J moments, each in the middle between two looks; K looks after it.
    begun = np.where(known, 0.5 * (time[:, :-1] + time[:, 1:]), 0.0)
    after = np.tri(LOOKS, dtype=np.bool_).T[1:] & known[:, :, None]
    since = np.where(after, time[:, None] - begun[:, :, None], 0.0)
    off = looks[:, None, :, _PLACE] - looks[:, 1:, None, _STOOD]
    xx, xy, yy = np.moveaxis(looks[:, None, :, _NOISE] + looks[:, 1:, None, _SPREAD], -1, 0)
    weight = np.divide(since, xx * yy - xy * xy, out=np.zeros_like(since), where=after)
    # Normal equations of the velocity: (Σ s²·S⁻¹ + 1/σ²)·v = Σ s·S⁻¹·offset.
    by_x, by_y = off[..., 0], off[..., 1]
    right = (weight * (yy * by_x - xy * by_y)).sum(axis=2)
    up = (weight * (xx * by_y - xy * by_x)).sum(axis=2)
    weight *= since
    rest = START_STD**-2
    a, b, d = (
        (weight * yy).sum(axis=2) + rest,
        -(weight * xy).sum(axis=2),
        (weight * xx).sum(axis=2),
    )
    d += rest
    area = a * d - b * b
    vx, vy = (d * right - b * up) / area, (a * up - b * right) / area
    ratio = 0.5 * (right * vx + up * vy - np.log(area / rest**2))
    best = ratio.argmax(axis=1)
    row = np.arange(len(looks))
    velocity = np.stack((vx, vy), axis=-1)[row, best]
    cov = inverse2(np.stack((a, b, b, d), axis=-1)[row, best].reshape(-1, 2, 2))
    from_place = looks[row, best + 1]
    passed = since[row, best, -1][:, None]
    state = np.concatenate((from_place[:, _STOOD] + passed * velocity, velocity), axis=1)
    whole = np.empty((len(looks), 4, 4))
    lag = passed[..., None] * cov
    whole[:, :2, :2] = matrix2(from_place[:, _SPREAD])
    whole[:, :2, :2] += passed[..., None] * lag
    whole[:, :2, 2:] = whole[:, 2:, :2] = lag
    whole[:, 2:, 2:] = cov
    # With the moment a look earlier or later, another pace leads to the same place.
    look_s = 2.0 * np.where(known[row, best], time[row, best + 1] - begun[row, best], 0.0)
    doubt = velocity * (look_s / np.maximum(passed[:, 0], 1e-3))[:, None]
    whole[:, 2:, 2:] += doubt[:, :, None] * doubt[:, None, :]
    return ratio[row, best] > SURE, state, whole
