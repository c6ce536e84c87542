"""What several detectors ask of a picture: chances of being on a lane, who is ahead, who is who.

In: pictures. Out: plain numbers. Chances follow from the tracks' own covariances, so that what is
seen from far away has to show itself longer or more clearly.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.schema.tracks import Track
from rsu.schema.units import NS_PER_S
from rsu.site.lanes import Lane, LaneKind, LaneRole, SiteMap
from rsu.situation.picture import CITY_LIMIT

Floats = npt.NDArray[np.float64]
SURE = 1.64
"""Standard deviations that 95 % of a normal distribution lie above or below."""


def normal_share(value: float) -> float:
    """Share of a standard normal distribution below a value."""
    return 0.5 * (1.0 + math.erf(value / math.sqrt(2.0)))


def std_along(track: Track, heading: float) -> float:
    """1 σ of a track's position in a direction, m."""
    cos, sin = math.cos(heading), math.sin(heading)
    cov = track.position_cov
    return math.sqrt(max(cov.xx * cos * cos + 2.0 * cov.xy * cos * sin + cov.yy * sin * sin, 1e-6))


def chance_between_edges(track: Track, lane: Lane, lateral: float, heading: float) -> float:
    """Probability that a track's centre is on a lane, given where it is across it."""
    std = std_along(track, heading + math.pi / 2)
    half = lane.width / 2
    return normal_share((half - lateral) / std) - normal_share((-half - lateral) / std)


GHOST_NS = 6 * NS_PER_S
"""ns that what stood and is not found any more is taken to be there: trackers lose what is beside
larger things, or behind a passing bus, for some seconds, and what drives off is seen to."""
JUMP_NS = 2 * NS_PER_S
"""ns that a key waits where its track left it; another vehicle takes longer to come and stop."""


@dataclass(slots=True)
class _Known:
    key: int
    x: float
    y: float
    vx: float
    vy: float
    seen_ns: int


class Identity:
    """Keeps one key for one thing although its track is lost and found again as another.

    A new track takes over the key of one that was not seen any more if it is within `gate` m of
    where that one should be now, `memory_s` at most after it was last seen.
    """

    def __init__(self, gate: float, memory_s: float) -> None:
        self._gate = gate
        self._memory_ns = round(memory_s * NS_PER_S)
        self._known: dict[int, _Known] = {}

    def keys(self, tracks: Iterable[Track], time_ns: int) -> list[int]:
        """The key of each track, in order; a track that is nobody's successor has its own id."""
        tracks = list(tracks)
        self._known = {
            number: one
            for number, one in self._known.items()
            if time_ns - one.seen_ns <= self._memory_ns
        }
        present = {track.id for track in tracks}
        keys = []
        for track in tracks:
            one = self._known.get(track.id)
            if one is None:
                one = self._inherited(track, present, time_ns)
            one.x, one.y, one.seen_ns = track.position.x, track.position.y, time_ns
            one.vx = track.speed * math.cos(track.heading)
            one.vy = track.speed * math.sin(track.heading)
            self._known[track.id] = one
            keys.append(one.key)
        return keys

    def drop_who_left(self, tracks: Iterable[Track], least: float, time_ns: int) -> None:
        """Part tracks from their keys that are more than `least` m from where they were last.

        For a moment the key waits there: a track that jumps to somebody who drives by leaves
        behind what it stood for.
        """
        for track in tracks:
            one = self._known.get(track.id)
            if one is None:
                continue
            away = math.hypot(track.position.x - one.x, track.position.y - one.y)
            if away > least:
                del self._known[track.id]
                one.vx = one.vy = 0.0
                one.seen_ns = time_ns - self._memory_ns + min(JUMP_NS, self._memory_ns)
                self._known[-track.id] = one

    def all_keys(self) -> set[int]:
        """Keys that are in use, or may be taken over."""
        return {one.key for one in self._known.values()}

    def forget(self) -> None:
        """Nothing from before can be joined on."""
        self._known.clear()

    def _inherited(self, track: Track, present: set[int], time_ns: int) -> _Known:
        best, number = self._gate, None
        for other, one in self._known.items():
            if other in present:
                continue
            gone_s = (time_ns - one.seen_ns) / NS_PER_S
            away = math.hypot(
                track.position.x - one.x - one.vx * gone_s,
                track.position.y - one.y - one.vy * gone_s,
            )
            if away <= best:
                best, number = away, other
        if number is None:
            return _Known(track.id, 0.0, 0.0, 0.0, 0.0, time_ns)
        return self._known.pop(number)


@dataclass(frozen=True, eq=False)
class Link:
    """Parallel lanes of one direction: an approach or an exit; `lanes` index the map's."""

    lanes: tuple[int, ...]
    names: tuple[str, ...]
    length: float
    """Of all lanes together, m."""
    limit: float


def links_of(site: SiteMap) -> list[Link]:
    """Approaches and exits of a map; a lane without nodes is a link of its own."""
    groups: dict[object, list[int]] = {}
    for index, lane in enumerate(site.lanes):
        if lane.kind is LaneKind.VEHICLE and lane.role is not LaneRole.CONNECTION:
            nodes = (lane.upstream_node, lane.downstream_node)
            groups.setdefault(lane.id if None in nodes else nodes, []).append(index)
    return [
        Link(
            tuple(members),
            tuple(site.lanes[i].id for i in members),
            sum(site.lanes[i].length for i in members),
            max(site.lanes[i].speed_limit or CITY_LIMIT for i in members),
        )
        for members in groups.values()
    ]


def link_by_lane(site: SiteMap) -> npt.NDArray[np.intp]:
    """Which link each lane (N) belongs to, named by its first lane."""
    out = np.arange(len(site.lanes))
    for link in links_of(site):
        out[list(link.lanes)] = link.lanes[0]
    return out
