"""Who goes with whom, at least total cost: the assignment problem where few pairs are possible.

In: possible pairs (row, column) with their costs, and what a row costs that gets no column. Out:
which pairs to take. Exact: shortest augmenting paths, one row after the other, with a potential for
every column (Jonker and Volgenant, "A shortest augmenting path algorithm for dense and sparse
linear assignment problems", 1987). A gate leaves each track a few measurements, so plain lists and
a heap are as fast as a library's dense solver, which would take half a second to load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

ALONE = -1  # in place of a column: a row that stays without
Edge = tuple[int, float, int]  # column, cost, index of the pair


def cheapest(
    row: Sequence[int], column: Sequence[int], cost: Sequence[float], none: float
) -> list[int]:
    """Indices, in order, of the pairs that make up the assignment of least total cost.

    Each row and column is used once at most; a row without a column costs `none`. Rows and columns
    are numbers from 0 on; the same pair must not come twice.
    """
    edges: dict[int, list[Edge]] = {}
    for index, (r, c, price) in enumerate(zip(row, column, cost, strict=True)):
        edges.setdefault(r, []).append((c, price, index))
    state = _State(edges, dict.fromkeys(column, 0.0), none)
    for one, choice in edges.items():
        away, edge = min((edge[1] - state.potential[edge[0]], edge) for edge in choice)
        if edge[0] not in state.owner and away < none:
            state.taken[one], state.owner[edge[0]] = edge, one  # mostly nobody is in the way
        else:
            state.place(one)
    return sorted(edge[2] for edge in state.taken.values())


@dataclass(slots=True)
class _State:
    """The best assignment of the rows placed so far: edges `taken` by row, `owner` by column."""

    edges: dict[int, list[Edge]]
    potential: dict[int, float]
    none: float
    owner: dict[int, int] = field(default_factory=dict)
    taken: dict[int, Edge] = field(default_factory=dict)

    def place(self, first: int) -> None:
        """The cheapest way for row `first`: to a free column, to one whose owner finds another, or
        to leave itself or such an owner alone."""
        done, end, length = self._search(first)
        for reached, (away, _, _) in done.items():
            self.potential[reached] -= max(length - away, 0.0)
        while end != ALONE:
            _, source, edge = done[end]
            before = self.taken[source][0] if source in self.taken else ALONE
            self.taken[source], self.owner[end] = edge, source
            end = before

    def _search(self, first: int) -> tuple[dict[int, tuple[float, int, Edge]], int, float]:
        """Columns reached (how far, from which row, by which edge), the last one, and how far."""
        heap: list[tuple[float, int, int, Edge]] = []
        done: dict[int, tuple[float, int, Edge]] = {}
        searching, spent = first, 0.0
        loser, length = first, self.none
        while True:
            for edge in self.edges[searching]:
                away = spent + edge[1] - self.potential[edge[0]]
                if edge[0] not in done and away < length:
                    heappush(heap, (away, edge[0], searching, edge))
            while heap and heap[0][1] in done:
                heappop(heap)
            if not heap or heap[0][0] >= length:
                # Whoever stays alone gives its column up to the row that came for it.
                return done, self.taken.pop(loser)[0] if loser in self.taken else ALONE, length
            away, reached, source, edge = heappop(heap)
            done[reached] = away, source, edge
            if reached not in self.owner:
                return done, reached, away
            searching = self.owner[reached]
            spent = away - self.taken[searching][1] + self.potential[reached]
            if spent + self.none < length:
                loser, length = searching, spent + self.none
