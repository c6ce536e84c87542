"""Who stands in which bay, who comes and who goes, as tracks show it.

In: pictures and a `BayGrid`. Out: a `Look` per picture: the chance that somebody stands in each
bay, who it is, and the moves that were seen: who came in from the aisle, and who drove out. Ids
change while a parked car is hidden, so who appears before a bay's mouth and drives off is taken for
the one that stood there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rsu.schema.sensing import ObjectClass
from rsu.situation.parking.bays import BayGrid
from rsu.situation.picture import MEMORY_NS, MOVES_ABOVE, Picture

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PARKS = frozenset({
    ObjectClass.UNKNOWN, ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE, ObjectClass.CAR,
    ObjectClass.VAN, ObjectClass.TRUCK, ObjectClass.BUS,
})  # fmt: skip
SLOW = 1.0
"""m/s: slower than this it may be parking. Fusion calls a vehicle resting 2 to 3 s after it came to
rest; backing into a bay is done at about 1.2 m/s."""
FRESH_NS = 700 * 1_000_000
"""A track that was not measured for longer says where somebody was: three looks at 5 Hz."""
HOME = 0.5  # chance of standing in a bay from which on it is its bay
OUT = 0.1  # … below which it has left it
AWAY = 3.0
"""m from where it stood: on the aisle a car's middle is 4 to 5 m from its bay's, and a resting
track that takes a neighbour's measurement jumps 2.5 m at most (the width of a bay)."""
NEAR_MOUTH = 2.0
"""m, 1 σ: how far from a bay's mouth its car is first tracked when it backs out."""
FROM_ELSEWHERE = 0.2  # weight of having come from none of these bays: it was not seen before
OVER_LINE = 0.25
"""m beyond the line: with less a neighbour can still park (a car is 0.6 m narrower than a bay)."""
OVER_SIGMAS = 2.0  # by so much a vehicle must be over the line


@dataclass(frozen=True, eq=False)
class Look:
    """What one picture shows of the bays.

    `stands` (B,) is the chance that a vehicle at rest has its middle in a bay, `track` (B,) the row
    of the likeliest one in `Picture.tracks`, -1 for none. `beside` (B,) is the row of one that
    stands over the line from the next bay. `bay` (N,) is the bay's row for every track, -1 for
    none. `came` are bays that a vehicle was seen to drive into, `went` those that one was seen to
    leave, with the chance that it was that bay; `aisle` are rows of vehicles on aisles.
    """

    stands: Floats
    track: Ints
    beside: Ints
    bay: Ints
    came: tuple[int, ...]
    went: tuple[tuple[int, float], ...]
    aisle: tuple[int, ...]


@dataclass(slots=True)
class _Known:
    """One track: the bay where it stands (-1: none) and whether it was seen on an aisle before."""

    told_ns: int
    born: tuple[float, float]
    home: int = -1
    rested: tuple[float, float] = (0.0, 0.0)
    drove: bool = False
    explained: bool = False  # where it came from is known
    origin: dict[int, float] = field(default_factory=dict)


class Occupants:
    """Follows tracks between aisle and bays."""

    def __init__(self, grid: BayGrid, aisles: frozenset[int]) -> None:
        """`aisles` are indices of `SiteMap.lanes`."""
        self._grid = grid
        self._aisles = aisles
        self._known: dict[int, _Known] = {}

    def look(self, picture: Picture, occupied: Floats) -> Look:
        """Everybody's place; pictures come in order of time. `occupied` (B,) is what was believed
        before."""
        grid, tracks = self._grid, picture.tracks
        covariance = np.array(
            [(t.covariance[0], t.covariance[1], t.covariance[5]) for t in tracks]
        ).reshape(-1, 3)
        chance = grid.chances(picture.position, covariance)
        parks = np.array([t.object_class in PARKS for t in tracks], dtype=np.bool_)
        fresh = np.array([picture.time_ns - t.updated_ns <= FRESH_NS for t in tracks], np.bool_)
        rests = parks & (picture.speed < SLOW)
        inside = chance * (rests & fresh)[:, None]
        stands = 1.0 - np.prod(1.0 - inside, axis=0)
        best = chance.argmax(axis=1) if len(tracks) else np.zeros(0, np.int64)
        home = np.where(rests & (chance.max(axis=1, initial=0.0) >= HOME), best, -1)
        track = np.full(len(grid), -1, dtype=np.int64)
        for row in np.flatnonzero(home >= 0).tolist():
            bay = int(home[row])
            if track[bay] < 0 or chance[row, bay] > chance[track[bay], bay]:
                track[bay] = row
        beside = self._beside(picture, covariance, track)
        came, went = self._moves(picture, chance, home, parks, occupied)
        on_aisle = tuple(
            row
            for row in np.flatnonzero(parks & (home < 0) & picture.road.inside).tolist()
            if int(picture.road.lane[row]) in self._aisles
        )
        return Look(stands, track, beside, home, tuple(came), tuple(went), on_aisle)

    def forget(self) -> None:
        """Begin anew."""
        self._known.clear()

    def _moves(
        self,
        picture: Picture,
        chance: Floats,
        home: Ints,
        parks: npt.NDArray[np.bool_],
        occupied: Floats,
    ) -> tuple[list[int], list[tuple[int, float]]]:
        came: list[int] = []
        went: list[tuple[int, float]] = []
        taken = set(home[home >= 0].tolist())
        for row, track in enumerate(picture.tracks):
            if not parks[row]:
                continue
            x, y = track.position.x, track.position.y
            known = self._known.get(track.id)
            if known is None:
                known = self._known[track.id] = _Known(picture.time_ns, (x, y))
                known.origin = self._from_mouths(picture.position[row], chance[row])
            known.told_ns = picture.time_ns
            bay = int(home[row])
            if bay >= 0:
                if known.home != bay:
                    if known.drove:
                        came.append(bay)
                    known.home, known.rested, known.drove = bay, (x, y), False
                known.explained = True
                continue
            on_aisle = (
                bool(picture.road.inside[row]) and int(picture.road.lane[row]) in self._aisles
            )
            moves = track.speed > MOVES_ABOVE
            known.drove = known.drove or (on_aisle and moves)
            if known.home >= 0:
                left = chance[row, known.home] < OUT and math.dist(known.rested, (x, y)) > AWAY
                if left and (on_aisle or moves):
                    went.append((known.home, 1.0))
                    known.home = -1
            elif not known.explained and moves and math.dist(known.born, (x, y)) > AWAY:
                known.explained = True
                weight = {b: w * occupied[b] for b, w in known.origin.items() if b not in taken}
                total = sum(weight.values()) + FROM_ELSEWHERE
                went += [(b, float(w / total)) for b, w in weight.items()]
        self._forget_old(picture.time_ns)
        return came, went

    def _from_mouths(self, position: Floats, chance: Floats) -> dict[int, float]:
        """The bays that somebody first seen here may just have left, and how near each is."""
        apart = np.hypot(*(self._grid.mouth - position).T)
        weight = np.maximum(np.exp(-0.5 * (apart / NEAR_MOUTH) ** 2), chance)
        return {int(b): float(weight[b]) for b in np.flatnonzero(weight > OUT)}

    def _beside(self, picture: Picture, covariance: Floats, track: Ints) -> Ints:
        """For each bay the row of a vehicle in the next one that stands over the line between."""
        beside = np.full(len(self._grid), -1, dtype=np.int64)
        grid = self._grid
        for bay in np.flatnonzero(track >= 0).tolist():
            row = int(track[bay])
            offset = picture.position[row] - grid.centre[bay]
            side = grid.across[bay]
            aside = float(offset @ side)
            width = picture.tracks[row].size.width
            xx, xy, yy = covariance[row].tolist()
            sigma = math.sqrt(max(
                xx * side[0] ** 2 + 2 * xy * side[0] * side[1] + yy * side[1] ** 2, 0.0
            ))  # fmt: skip
            over = abs(aside) + width / 2 - grid.width[bay] / 2 - OVER_LINE
            if over < OVER_SIGMAS * sigma:
                continue
            probe = grid.centre[bay] + math.copysign(grid.width[bay], aside) * side
            apart = np.hypot(*(grid.centre - probe).T)
            nearest = int(apart.argmin())
            if apart[nearest] < grid.width[bay] / 2 and nearest != bay:
                beside[nearest] = row
        return beside

    def _forget_old(self, time_ns: int) -> None:
        oldest = time_ns - MEMORY_NS
        if any(one.told_ns < oldest for one in self._known.values()):
            self._known = {k: one for k, one in self._known.items() if one.told_ns >= oldest}
