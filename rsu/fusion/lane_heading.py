"""Which way does a vehicle face that hardly moves? The lane it stands on knows, mostly.

In: published states of tracks and the map; out: the same with better headings where a vehicle's own
is unknown or doubtful. Heading comes from motion; in a queue nothing moves. A vehicle between the
edges of an entry or exit lane faces along it, but for one in twenty (turning round, backing out,
parked across), and that share stays in what is told of the doubt. The filter never hears of this:
it is added to what is said, so a wrong-way driver's own motion is not argued with.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from rsu.fusion.motion import wrap
from rsu.site.lanes import Direction, LaneKind, LaneRole, SiteMap

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DOUBTFUL = math.radians(10.0)  # 1 σ: below it motion says more than the lane could
ALIGNED = 0.95  # share of vehicles between a lane's edges that face along it (assumed)
LANE_STD = math.radians(8.0)  # how exactly they do: lane changes and drawn lines (assumed)
UNKNOWN_STD = 1.5  # rad: above it nothing is known of the own heading (uniform: π/√3 = 1.8)
SLOW = 3.0  # m/s: faster ones show their heading themselves within a second
UNIFORM_VARIANCE = math.pi**2 / 3.0


class LaneHeadings:
    """The entry and exit lanes of a site. In the junction lanes cross, so none there tells."""

    def __init__(self, site: SiteMap) -> None:
        told = (LaneRole.ENTRY, LaneRole.EXIT)
        self._site = SiteMap(
            site.frame,
            tuple(
                lane
                for lane in site.lanes
                if lane.kind is LaneKind.VEHICLE
                and lane.role in told
                and lane.direction is Direction.FORWARD
            ),
        )
        # Who is farther from a lane's middle is outside it.
        self._reach = max((lane.width / 2.0 for lane in self._site.lanes), default=0.0)

    def inform(self, state: Floats, cov: Floats, vehicle: Bools) -> None:
        """Improve the headings of N×5 states with N×5×5 covariances, in place."""
        if not self._site.lanes:
            return
        doubtful = vehicle & (cov[:, 2, 2] > DOUBTFUL**2) & (state[:, 3] < SLOW)
        index = doubtful.nonzero()[0]
        if not len(index):
            return
        match = self._site.match(state[index, :2], max_distance=self._reach)
        index, lane = index[match.inside], match.heading[match.inside]
        heading, variance = _mixed(state[index, 2], cov[index, 2, 2], lane)
        better = variance < cov[index, 2, 2]
        index = index[better]
        state[index, 2] = heading[better]
        cov[index, 2, :] = cov[index, :, 2] = 0.0
        cov[index, 2, 2] = variance[better]


def _mixed(own: Floats, variance: Floats, lane: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of: along the lane (the own heading agrees), or as the own heading says."""
    known = variance < UNKNOWN_STD**2
    weight = np.where(known, 1.0 / variance, 0.0)
    apart = wrap(own - lane)
    along_variance = 1.0 / (weight + LANE_STD**-2)
    along = lane + along_variance * weight * apart
    # How likely the two headings are if it faces along the lane, against any direction at all.
    spread = variance + LANE_STD**2
    density = np.exp(-0.5 * apart**2 / spread) / np.sqrt(2.0 * np.pi * spread)
    agree = ALIGNED * np.where(known, density, 1.0 / (2.0 * np.pi))
    share = agree / (agree + (1.0 - ALIGNED) / (2.0 * np.pi))
    off = np.where(known, wrap(own - along), 0.0)
    otherwise = np.where(known, variance, UNIFORM_VARIANCE)
    heading = wrap(along + (1.0 - share) * off)
    total = share * along_variance + (1.0 - share) * otherwise + share * (1.0 - share) * off**2
    return heading, total
