"""The pieces of all centrelines, and a grid that tells which of them are near a point.

In: lanes as flat arrays of straight segments; points. Out: pairs (point, segment) worth measuring.
A site has hundreds of segments and a point some twenty within reach: measuring only those is what
makes matching a hundred tracks a matter of a tenth of a millisecond.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

FEW = 8  # segments: up to this many measuring all of them costs no more than asking the grid
FINEST = 4.0  # m: about a lane's width; finer cells hardly exclude more
CELLS_PER_REACH = 2.5  # cells along the distance within which segments count
MOST_CELLS = 1 << 14  # 500 m × 500 m at the finest; wider maps get coarser cells
_A_LITTLE = 1e-6  # m: rounding


@dataclass(frozen=True, eq=False)
class Segments:
    """All centreline segments of all lanes, flat, for vectorised projection; shapes (S, …).

    `lane` indexes the map's lanes; `start` and `along` (unit vector) are S × 2 in the site frame;
    `station` is where on its lane a segment begins (m); `both`: traffic runs either way.
    """

    lane: Indices
    start: Floats
    along: Floats
    length: Floats
    station: Floats
    heading: Floats
    both: Flags
    _grids: dict[float, _Grid] = field(default_factory=dict, init=False, repr=False)

    def some(self, rows: Indices) -> Segments:
        """A part of them; pairs of coordinates laid out one coordinate after the other."""
        return Segments(
            lane=self.lane[rows],
            start=np.asfortranarray(self.start[rows]),
            along=np.asfortranarray(self.along[rows]),
            length=self.length[rows],
            station=self.station[rows],
            heading=self.heading[rows],
            both=self.both[rows],
        )

    def near(self, xy: Floats, distance: float) -> tuple[Indices, Indices]:
        """Pairs (point, segment), in order, with all that lie within `distance` m of each other.

        Some of them lie farther apart.
        """
        count = len(self.lane)
        if count <= FEW or not math.isfinite(distance):
            every = np.arange(count)
            return np.arange(len(xy)).repeat(count), np.tile(every, len(xy))
        grid = self._grids.get(distance)
        if grid is None:
            grid = self._grids[distance] = _grid(self, distance)
        return grid.near(xy)


@dataclass(frozen=True, eq=False)
class _Grid:
    """Cells of `size` m from `corner` on, `shape` of them, row by row; the segments near cell c are
    `segment[begin[c]:begin[c + 1]]`, in order."""

    corner: Floats
    size: float
    shape: tuple[int, int]
    begin: Indices
    segment: Indices

    def near(self, xy: Floats) -> tuple[Indices, Indices]:
        """Pairs (point, segment) of each point's cell; points beyond all cells have none."""
        column, line = ((xy - self.corner) / self.size).T
        columns, lines = self.shape
        # Written so that NaN lies outside.
        inside = (column >= 0.0) & (column < columns) & (line >= 0.0) & (line < lines)
        row = inside.nonzero()[0]
        cell = column[row].astype(np.intp) * lines + line[row].astype(np.intp)
        begin = self.begin[cell]
        one, place = runs(begin, self.begin[cell + 1] - begin)
        return row[one], self.segment[place]


def runs(begin: Indices, count: Indices) -> tuple[Indices, Indices]:
    """For each of N runs, one behind the other, which one it is and its indices: `count` of them
    from `begin` on."""
    ends = count.cumsum()
    which = np.arange(len(count)).repeat(count)
    return which, np.arange(len(which)) + (begin - ends + count)[which]


def _grid(segments: Segments, distance: float) -> _Grid:
    """Which segments lie within `distance` m of any point of each cell."""
    ends = segments.start + segments.length[:, None] * segments.along
    corner = np.minimum(segments.start, ends).min(axis=0) - distance
    extent = np.maximum(segments.start, ends).max(axis=0) + distance - corner
    size = max(
        FINEST, distance / CELLS_PER_REACH, math.sqrt(float(extent[0] * extent[1]) / MOST_CELLS)
    )
    columns, lines = (int(cells) + 1 for cells in (extent / size).tolist())
    middle_x = corner[0] + size * (np.arange(columns) + 0.5)
    middle_y = corner[1] + size * (np.arange(lines) + 0.5)
    reach = distance + size * math.sqrt(0.5) + _A_LITTLE  # from a cell's middle
    cells = []
    for start, along, length in zip(
        segments.start.tolist(), segments.along.tolist(), segments.length.tolist(), strict=True
    ):
        from_x, from_y = (middle_x - start[0])[:, None], (middle_y - start[1])[None, :]
        onward = np.minimum(np.maximum(from_x * along[0] + from_y * along[1], 0.0), length)
        away = np.hypot(from_x - onward * along[0], from_y - onward * along[1])
        cells.append(np.flatnonzero(away <= reach))
    cell = np.concatenate(cells)
    segment = np.arange(len(cells)).repeat([len(one) for one in cells])
    order = np.lexsort((segment, cell))
    begin = np.searchsorted(cell[order], np.arange(columns * lines + 1))
    return _Grid(corner, size, (columns, lines), begin, segment[order])
