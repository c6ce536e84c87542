"""Which measurements of two sensors are of one object: what `consistency` compares.

In: the newest looks of two sensors, measurements with the tracks they were taken for. Out: indices
of measurements that belong together, each object at most every half second.

Mostly they are those of one track. But a sensor that is off by more than the gate makes tracks of
its own beside those of others, and would never be compared. So two measurements of tracks that the
other sensor does not share are also taken for one object, where each is the other's nearest by far
and both move alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rsu.schema.units import NS_PER_S

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ids = npt.NDArray[np.int64]
Pick = npt.NDArray[np.intp]

APART_NS = NS_PER_S // 2  # ns between samples of one track: errors last for some looks
FORGET_NS = 2 * NS_PER_S  # ns: tracks that both sensors measured this recently are shared
REACH = 8.0  # m: farther apart they are two objects
ALONE = 2.0  # every other must be this many times farther
ALIKE = 2.0  # m/s between the velocities of two tracks of one object
STRANGER_STD = 0.5  # m: that two tracks are one object is a guess


@dataclass(frozen=True, slots=True)
class Looks:
    """The M measurements of one scan that were taken for tracks: ids M, position M×2 (m), its
    covariance and the standing part M×2×2, velocity of the tracks M×2 (m/s)."""

    time_ns: int
    ids: Ids
    position: Floats
    cov: Floats
    constant: Floats
    velocity: Floats


@dataclass(slots=True)
class Pairing:
    """What was lately compared of one pair of sensors."""

    shared: dict[int, int] = field(default_factory=dict)
    strange: dict[int, int] = field(default_factory=dict)
    swept_ns: int = 0

    def same(self, one: Looks, two: Looks) -> tuple[Pick, Pick, Floats]:
        """N measurements of `one`, the N of `two` that are of the same objects, and the variance N
        (m²) that doubt about this adds."""
        now_ns = max(one.time_ns, two.time_ns)
        if abs(now_ns - self.swept_ns) > FORGET_NS:
            self.swept_ns = now_ns
            self.shared = {n: at for n, at in self.shared.items() if now_ns - at < FORGET_NS}
            self.strange = {n: at for n, at in self.strange.items() if now_ns - at < FORGET_NS}
        ids, first, second = np.intersect1d(one.ids, two.ids, return_indices=True)
        due = _due(self.shared, ids, now_ns)
        self.shared.update(dict.fromkeys(ids[due].tolist(), now_ns))
        alone_first, alone_second = self._strangers(one, two, now_ns)
        return (
            np.concatenate((first[due], alone_first)),
            np.concatenate((second[due], alone_second)),
            np.repeat((0.0, STRANGER_STD**2), (int(due.sum()), len(alone_first))),
        )

    def _strangers(self, one: Looks, two: Looks, now_ns: int) -> tuple[Pick, Pick]:
        known = np.fromiter(self.shared, np.int64, len(self.shared))
        free_one, free_two = ~np.isin(one.ids, known), ~np.isin(two.ids, known)
        if not free_one.any() or not free_two.any():
            nobody = np.zeros(0, np.intp)
            return nobody, nobody
        dt = (one.time_ns - two.time_ns) / NS_PER_S
        apart = one.position[:, None] - two.position[None] - dt * one.velocity[:, None]
        gap = np.hypot(apart[..., 0], apart[..., 1])
        rows, pick = np.arange(len(gap)), gap.argmin(axis=1)
        nearest = gap[rows, pick]
        rivals = gap.copy()
        rivals[rows, pick] = np.inf
        # Whose nearest is somebody else's too has that one as a rival in its column.
        rival = np.minimum(rivals.min(axis=1), rivals.min(axis=0)[pick])
        pace = one.velocity - two.velocity[pick]
        chosen = free_one & free_two[pick] & (nearest < REACH) & (rival > ALONE * nearest)
        chosen &= np.hypot(pace[:, 0], pace[:, 1]) < ALIKE
        chosen &= _due(self.strange, one.ids, now_ns)
        first = np.flatnonzero(chosen)
        self.strange.update(dict.fromkeys(one.ids[first].tolist(), now_ns))
        return first, pick[first]


def _due(seen: dict[int, int], ids: Ids, now_ns: int) -> Bools:
    """Which of these tracks gave no sample for a while."""
    return np.array(
        [now_ns - seen.get(number, now_ns - APART_NS) >= APART_NS for number in ids.tolist()],
        np.bool_,
    )
