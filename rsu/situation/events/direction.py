"""Wrong-way driving: a motor vehicle moves against the direction of the lane that it is on.

In: pictures. Out: sightings. Matching by heading would take a wrong-way driver for one on the
opposite lane beside it; so whoever does not fit the lane it was matched with is looked up again
by position alone, and has to cover some way against that lane: a heading may be mistaken, a way is
not. Far away a track goes over to somebody else now and then, and seems to go back then: who drove
along a lane just now, and who would have had to come through somebody that stands or drives there,
goes against none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.config.situation import EventOptions
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import Direction, LaneKind, LaneRole, SiteMap
from rsu.situation.events import kinds
from rsu.situation.events.book import Sighting
from rsu.situation.events.surroundings import (
    GHOST_NS,
    Identity,
    chance_between_edges,
    normal_share,
    std_along,
)
from rsu.situation.picture import Picture

AGAINST = math.radians(120.0)  # to the lane's direction: crossing and turning vehicles stay below
FITS = math.radians(60.0)
SLOWEST = 2.5  # m/s: slower, it may be rolling back, or far away and standing
GAP_NS = 2 * NS_PER_S
"""ns without a sign of it; a new track whose speed was guessed wrongly takes so long."""
OWN_HEADING = 0.35
"""rad, 1 σ: fusion's own word on where it heads; what it takes from the lane is told with 0.42."""
FITTED_NS = 3 * NS_PER_S
"""ns since it drove along a lane: lost behind others, tracks last 1.5 s, and as long until a wrong
one has settled."""
BEFORE = 60.0
"""m: who stands so near in front of it, as the lane goes, was in its way: a queue's tail is seen no
farther (`rsu.situation.queues.LONGEST_FILL`)."""
LEAST = 0.75
"""Confidence from which on it is told: in tuning true ones began with 0.83 and more, false ones far
away with 0.72 and less."""
CAME_FOR = 1.0
"""s that it drove before it was found, at least: nobody begins in the middle of a lane. A track
that goes over from one car of a queue to the next seems to come from where the first is."""
THERE = 0.8  # probability of being between the lane's edges: not just beside them
MOVED_BACK, SURE_BACK, FOR_NS = 2.0, 3.0, NS_PER_S // 2
"""Or its velocity along the lane is this many σ below zero for some pictures, and it has been seen
to cover some metres, and 1 σ of them: a filter's velocity weighs all places, not only the first and
the last."""
SPEED_KNOWN = 3.0  # m/s, 1 σ: who has just come into view far away is told with 5, and turns round
VERY_SURE = 2.33  # standard deviations: 99 %; there are many vehicles, and few wrong-way drivers


@dataclass(slots=True)
class _Way:
    """Where a vehicle began to go against a lane; since when (-1: not), and by how many σ at most
    from then on, its velocity was backwards."""

    lane: int
    x: float
    y: float
    std: float
    begun_ns: int
    seen_ns: int
    backwards_ns: int = -1
    surest: float = 0.0


class WrongWayDetector:
    """Follows vehicles that go against their lane."""

    kinds: tuple[str, ...] = (kinds.WRONG_WAY,)

    def __init__(
        self, site: SiteMap, options: EventOptions, unclear: Callable[[int], bool]
    ) -> None:
        self._site = site
        self._unclear = unclear
        self._least = options.wrong_way_distance
        self._one_way = np.array(
            [
                lane.kind is LaneKind.VEHICLE
                and lane.direction is Direction.FORWARD
                and lane.role is not LaneRole.CONNECTION
                for lane in site.lanes
            ]
        )
        self._ways: dict[int, _Way] = {}
        self._fitted: dict[int, int] = {}
        self._stood: dict[int, tuple[int, float, int]] = {}  # lane, m along it, when; by track
        self._identity = Identity(8.0, 2.0)

    def look(self, picture: Picture) -> list[Sighting]:
        """Who goes against a lane now."""
        road, now_ns = picture.road, picture.time_ns
        turn = np.abs((picture.heading - road.heading + math.pi) % math.tau - math.pi)
        fits = road.inside & (turn < FITS)
        self._remember_who_fits(picture, fits)
        self._remember_who_stood(picture)
        self._ways = {k: way for k, way in self._ways.items() if now_ns - way.seen_ns <= GAP_NS}
        rows = np.flatnonzero(picture.vehicle & (picture.speed > SLOWEST) & ~fits)
        if not len(rows):
            return []
        match = self._site.match(picture.position[rows], kinds=(LaneKind.VEHICLE,))
        turn = np.abs((picture.heading[rows] - match.heading + math.pi) % math.tau - math.pi)
        # Whose heading is not known yet may be seen to go back all the same.
        against = match.inside & self._one_way[match.lane] & ~(turn <= AGAINST)
        found = []
        for j in np.flatnonzero(against).tolist():
            track = picture.tracks[int(rows[j])]
            lane = int(match.lane[j])
            station = float(match.station[j])
            if self._mistaken(picture, int(rows[j]), lane, station):
                continue
            x, y = track.position.x, track.position.y
            heading = float(match.heading[j])
            std = std_along(track, heading)
            way = self._ways.get(track.id)
            if way is None or way.lane != lane:
                way = self._ways[track.id] = _Way(lane, x, y, std, now_ns, now_ns)
            way.seen_ns = now_ns
            back = -((x - way.x) * math.cos(heading) + (y - way.y) * math.sin(heading))
            came = back + track.speed * CAME_FOR
            if self._taken(picture, way, station, came, fits):
                continue
            doubt = math.hypot(way.std, std)
            shown = back >= max(self._least, VERY_SURE * doubt)
            # Metres count where places are known to metres.
            moved_back = back >= max(MOVED_BACK, doubt)
            turned = self._backwards(picture, int(rows[j]), heading, way)
            if not (shown or (turned and moved_back)):
                continue
            (key,) = self._identity.keys([track], now_ns)
            one = self._site.lanes[lane]
            moved = normal_share(max(back / doubt, way.surest))
            there = chance_between_edges(track, one, float(match.lateral[j]), heading)
            if there < THERE or track.existence * moved * there < LEAST:
                continue
            found.append(
                Sighting(
                    kinds.WRONG_WAY, key, Vec2(x, y), track.existence * moved * there,
                    lanes=(one.id,), tracks=(track.id,), sources=track.sources,
                    since_ns=way.begun_ns,
                )
            )  # fmt: skip
        return found

    def _backwards(self, picture: Picture, index: int, heading: float, way: _Way) -> bool:
        """Whether its velocity has said so for long enough."""
        track = picture.tracks[index]
        along = track.speed * math.cos(track.heading - heading)
        sigmas = -along / max(track.speed_std, 0.3)
        unknown = math.isnan(picture.heading[index]) or track.speed_std > SPEED_KNOWN
        if unknown or sigmas < SURE_BACK:
            way.backwards_ns, way.surest = -1, 0.0
            return False
        if way.backwards_ns < 0:
            way.backwards_ns = picture.time_ns
        way.surest = max(way.surest, sigmas)
        return picture.time_ns - way.backwards_ns >= FOR_NS

    @staticmethod
    def _taken(
        picture: Picture, way: _Way, station: float, came: float, fits: npt.NDArray[np.bool_]
    ) -> bool:
        """Whether others on the lane, not against it, were in the `came` m that it came along."""
        road = picture.road
        others = picture.vehicle & (fits | (road.inside & np.isnan(picture.heading)))
        ahead = road.station - station
        before = ahead - picture.speed * (picture.time_ns - way.begun_ns) / NS_PER_S
        return bool((others & (road.lane == way.lane) & (ahead > 0.0) & (before < came)).any())

    def _remember_who_fits(self, picture: Picture, fits: npt.NDArray[np.bool_]) -> None:
        now_ns = picture.time_ns
        self._fitted = {k: at for k, at in self._fitted.items() if now_ns - at <= FITTED_NS}
        moving = fits & picture.vehicle & (picture.speed > SLOWEST)
        for i in np.flatnonzero(moving).tolist():
            if picture.tracks[i].heading_std < OWN_HEADING:
                self._fitted[picture.tracks[i].id] = now_ns

    def _mistaken(self, picture: Picture, index: int, lane: int, station: float) -> bool:
        """Whether its track rather went over to somebody else than it went back, or it rides: along
        the edge cyclists go both ways, and where they are across the road is known to a metre."""
        if picture.tracks[index].object_class is ObjectClass.BICYCLE:
            return True
        if self._unclear(lane) or picture.tracks[index].id in self._fitted:
            return True  # nobody drives against a queue; in one, tracks are easily mistaken
        return any(
            its_lane == lane and 0.0 < along - station < BEFORE
            for its_lane, along, _ in self._stood.values()
        )

    def _remember_who_stood(self, picture: Picture) -> None:
        """Who stands on lanes, and who stood there and is not found any more."""
        now_ns, road = picture.time_ns, picture.road
        here = {track.id for track in picture.tracks}
        self._stood = {
            number: one
            for number, one in self._stood.items()
            if number not in here and now_ns - one[2] <= GHOST_NS
        }
        stands = (picture.standing_since_ns >= 0) & picture.vehicle & road.inside
        for i in np.flatnonzero(stands).tolist():
            place = int(road.lane[i]), float(road.station[i]), now_ns
            self._stood[picture.tracks[i].id] = place

    def forget(self) -> None:
        """The clock was set back."""
        self._ways.clear()
        self._fitted.clear()
        self._stood.clear()
        self._identity.forget()
