"""The bays of one lot as rectangles, and how likely it is that somebody stands in one of them.

In: the site map. Out: a `BayGrid`: every bay's middle, axes, mouth and access aisle as arrays, and
the chance that a footprint known with a covariance has its middle inside a bay.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from rsu.site.lanes import SiteMap, Zone

Floats = npt.NDArray[np.float64]

OVERHANG = 0.4
"""m that the middle of a vehicle may lie beyond a bay's ends: a long one in a short bay, or one
that does not drive up to the kerb."""
BEFORE_MOUTH = 1.5  # m from the open end into the aisle: whoever leaves passes over it


class BayGrid:
    """All B bays of a lot, in the order of the zone file.

    `centre` (B, 2) m; `along` (B, 2) unit vector out of the bay towards its aisle, `across` to the
    left of that; `length`, `width` (B,) m; `mouth` (B, 2) a point on the aisle just before the bay.
    """

    def __init__(self, lot: str, site: SiteMap) -> None:
        self.lot = lot
        self.zones: tuple[Zone, ...] = tuple(zone for zone in site.bays if zone.lot == lot)
        self.names = tuple(zone.id for zone in self.zones)
        self.index = {name: row for row, name in enumerate(self.names)}
        shapes = [_rectangle(zone, site) for zone in self.zones]
        self.centre: Floats = np.array([shape[0] for shape in shapes])
        self.along: Floats = np.array([shape[1] for shape in shapes])
        self.across: Floats = np.stack((-self.along[:, 1], self.along[:, 0]), axis=1)
        self.length: Floats = np.array([shape[2] for shape in shapes])
        self.width: Floats = np.array([shape[3] for shape in shapes])
        self.mouth: Floats = self.centre + self.along * (self.length / 2 + BEFORE_MOUTH)[:, None]

    def __len__(self) -> int:
        return len(self.zones)

    def offsets(self, position: Floats) -> tuple[Floats, Floats]:
        """Of N points (N, 2) from B bays' middles along and across the bays, m, each (N, B)."""
        apart = position[:, None, :] - self.centre[None, :, :]
        return np.einsum("nbk,bk->nb", apart, self.along), np.einsum(
            "nbk,bk->nb", apart, self.across
        )

    def chances(self, position: Floats, covariance: Floats) -> Floats:
        """Probability (N, B) that the middle of N footprints lies in B bays.

        `covariance` (N, 3): xx, xy, yy in m². Errors along and across a bay are taken as
        independent. Over the bays side by side they add up to at most 1.
        """
        if not len(position):
            return np.zeros((0, len(self)))
        along, across = self.offsets(position)
        s_along, s_across = (self._sigma(axis, covariance) for axis in (self.along, self.across))
        half_length = self.length / 2 + OVERHANG
        half_width = self.width / 2
        inside: Floats = _between(along, half_length, s_along) * _between(
            across, half_width, s_across
        )
        return inside

    def _sigma(self, axis: Floats, covariance: Floats) -> Floats:
        xx, xy, yy = (covariance[:, column, None] for column in range(3))
        variance = xx * axis[:, 0] ** 2 + 2 * xy * axis[:, 0] * axis[:, 1] + yy * axis[:, 1] ** 2
        return np.asarray(np.sqrt(np.maximum(variance, 1e-4)))  # 1 cm: no division by zero


def lots_of(site: SiteMap) -> list[str]:
    """The lots on the map, in file order."""
    return list(dict.fromkeys(zone.lot for zone in site.bays if zone.lot is not None))


def _between(offset: Floats, half: Floats, sigma: Floats) -> Floats:
    between: Floats = ndtr((half - offset) / sigma) - ndtr((-half - offset) / sigma)
    return np.asarray(np.clip(between, 0.0, 1.0))


def _rectangle(zone: Zone, site: SiteMap) -> tuple[Floats, Floats, float, float]:
    """Middle, axis towards the aisle, length and width of the least rectangle around a bay."""
    corners = np.array(zone.polygon.minimum_rotated_rectangle.exterior.coords)[:4]
    first, second = corners[1] - corners[0], corners[2] - corners[1]
    centre = corners.mean(axis=0)
    sides = sorted((first, second), key=lambda side: float(np.hypot(*side)))
    width, length = (float(np.hypot(*side)) for side in sides)
    # Vehicles stand along the longer side; a bay beside its aisle is entered over its long side,
    # but whoever leaves it drives on along the aisle: either end is then as good.
    along = sides[1] / length
    if zone.lane is not None:
        aisle = site.lane(zone.lane).centreline
        if float((_foot(aisle, centre) - centre) @ along) < 0.0:
            along = -along
    return centre, along, length, width


def _foot(line: Floats, point: Floats) -> Floats:
    """The point of a polyline nearest to a point."""
    start, step = line[:-1], np.diff(line, axis=0)
    share = np.einsum("sk,sk->s", point - start, step) / np.einsum("sk,sk->s", step, step)
    feet = start + np.clip(share, 0.0, 1.0)[:, None] * step
    foot: Floats = feet[int(np.argmin(np.hypot(*(feet - point).T)))]
    return foot
