"""Numbers by the million in bounded memory: their mean exactly, their quantiles to half a percent.

Values go in one after another, in any order; mean, quantiles and histograms come out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

SMALLEST = 1e-4
"""Values nearer to nought are nought: a tenth of a millimetre, or of a microsecond in ms."""
WIDTH = 1.01
"""Each bin ends 1 % above its beginning, so that its middle is off by half a percent at most; from
SMALLEST to a million that makes 2300 bins."""
_LOG_WIDTH = math.log(WIDTH)


class Distribution:
    """Values, kept as counts in geometric bins (both signs)."""

    __slots__ = ("_bins", "_sum", "count", "largest", "smallest")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self.count = 0
        self.smallest, self.largest = math.inf, -math.inf
        self._sum = 0.0
        self._bins: Counter[int] = Counter()
        for value in values:
            self.add(value)

    def add(self, value: float) -> None:
        """Take one finite value."""
        self.count += 1
        self._sum += value
        self.smallest = min(self.smallest, value)
        self.largest = max(self.largest, value)
        self._bins[_bin(value)] += 1

    @property
    def mean(self) -> float | None:
        """Arithmetic mean; None without values."""
        return self._sum / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """The smallest value that at least `share` (0..1) of all do not exceed (nearest rank)."""
        if not self.count:
            return None
        wanted, seen = max(math.ceil(share * self.count - 1e-9), 1), 0
        for value, number in self._by_size():
            seen += number
            if seen >= wanted:
                return min(max(value, self.smallest), self.largest)
        return self.largest

    def histogram(self, edges: Sequence[float]) -> list[int]:
        """Counts between neighbouring `edges` (ascending); outer ones take what lies beyond."""
        counts = [0] * (len(edges) - 1)
        index = 0
        for value, number in self._by_size():
            while index < len(counts) - 1 and value >= edges[index + 1]:
                index += 1
            counts[index] += number
        return counts

    def _by_size(self) -> Iterator[tuple[float, int]]:
        for index in sorted(self._bins):
            yield _middle(index), self._bins[index]


def _bin(value: float) -> int:
    size = abs(value)
    if size < SMALLEST:
        return 0
    index = 1 + int(math.log(size / SMALLEST) / _LOG_WIDTH)
    return index if value > 0 else -index


def _middle(index: int) -> float:
    if not index:
        return 0.0
    return math.copysign(SMALLEST * math.exp((abs(index) - 0.5) * _LOG_WIDTH), index)
