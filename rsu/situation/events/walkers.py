"""Pedestrians on the carriageway: on lanes of vehicles, and neither on a crossing nor on a footway.

In: pictures. Out: sightings. Where a walker's place is uncertain the chance of each is that of its
error ellipse: its middle and four points `SURE` deviations out along its axes.
"""

from __future__ import annotations

import math

import numpy as np

from rsu.config.situation import EventOptions
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import LaneKind, SiteMap
from rsu.situation.events import kinds
from rsu.situation.events.book import Sighting
from rsu.situation.events.surroundings import SURE, Floats, Identity
from rsu.situation.picture import WALK_KINDS, Picture

OFF_WALK = 1.0  # m beside a crossing or footway: people cut corners, and it is still theirs
LIKELY = 0.75
"""Confidence from which it is told: what far away may as well be a motorcycle or a car's edge is no
walker yet."""
WALKS, LIKELY_RUNNING = 2.0, 0.9
"""m/s that walkers do not reach (mean 1.34, σ 0.26: Weidmann 1993), and the confidence that one
needs who was surely faster: on a carriageway more motorcycles are taken for people than run."""
DOUBTED, SETTLED_NS = 0.5, NS_PER_S
"""Confidence below which one that was told is not any more: rather none, or not there; and ns of
being likely after which it surely was told."""
NEAR = 8.0
"""m around where one was lost within which the next one found is the same: at 80 m places are known
to 2 to 3 m, and what is heard of either is one warning."""
UNSEEN_NS = NS_PER_S // 2  # since it was measured: who is found besides may be the same
MIDDLE, AROUND = 0.5, 0.125  # weights of the five points


class WalkerDetector:
    """Looks at everybody on foot."""

    kinds: tuple[str, ...] = (kinds.PEDESTRIAN,)

    def __init__(self, site: SiteMap, options: EventOptions) -> None:
        self._site = site
        self._least = options.pedestrian_chance
        self._half = np.array([lane.width / 2 for lane in site.lanes])
        self._identity = Identity(NEAR, 3.0)
        self._runs: set[int] = set()
        """Tracks on foot that surely were faster than one walks."""
        self._likely_ns: dict[int, int] = {}
        """Since when tracks are likely enough."""

    def look(self, picture: Picture) -> list[Sighting]:
        """Who walks on a carriageway now."""
        on_foot = [
            i
            for i in np.flatnonzero(~picture.vehicle & picture.road.inside).tolist()
            if picture.tracks[i].object_class is ObjectClass.PEDESTRIAN
        ]
        self._runs &= {picture.tracks[i].id for i in on_foot}
        if not on_foot:
            self._likely_ns.clear()
            return []
        self._runs |= {
            picture.tracks[i].id
            for i in on_foot
            if picture.speed[i] - SURE * picture.tracks[i].speed_std > WALKS
        }
        points = np.concatenate([_ellipse(picture, i) for i in on_foot])
        road = self._site.match(points, kinds=(LaneKind.VEHICLE,))
        walk = self._site.match(points, kinds=WALK_KINDS)
        clear = np.where(walk.lane >= 0, walk.distance > self._half[walk.lane] + OFF_WALK, True)
        there = (road.inside & clear).reshape(-1, 5)
        chance = MIDDLE * there[:, 0] + AROUND * there[:, 1:].sum(axis=1)
        believed = [picture.tracks[i].existence * picture.tracks[i].class_probability
                    for i in on_foot]  # fmt: skip
        now_ns = picture.time_ns
        likely = [
            (i, j)
            for j, i in enumerate(on_foot)
            if chance[j] >= self._least
            and believed[j] * chance[j] >= self._enough(picture.tracks[i].id, now_ns)
        ]
        numbers = (picture.tracks[i].id for i, _ in likely)
        self._likely_ns = {one: self._likely_ns.get(one, now_ns) for one in numbers}
        rows = [(i, j) for i, j in likely if now_ns - picture.tracks[i].updated_ns <= UNSEEN_NS]
        keys = self._identity.keys((picture.tracks[i] for i, _ in rows), now_ns)
        found = []
        for key, (i, j) in zip(keys, rows, strict=True):
            track = picture.tracks[i]
            found.append(
                Sighting(
                    kinds.PEDESTRIAN, key, Vec2(track.position.x, track.position.y),
                    believed[j] * float(chance[j]), radius=2.0,
                    lanes=(self._site.lanes[int(road.lane[5 * j])].id,),
                    tracks=(track.id,), sources=track.sources,
                )
            )  # fmt: skip
        return found

    def _enough(self, track: int, now_ns: int) -> float:
        """Confidence that it takes to tell a track, or to go on with it."""
        if now_ns - self._likely_ns.get(track, now_ns) >= SETTLED_NS:
            return DOUBTED
        return LIKELY_RUNNING if track in self._runs else LIKELY

    def forget(self) -> None:
        """The clock was set back."""
        self._identity.forget()
        self._runs.clear()
        self._likely_ns.clear()


def _ellipse(picture: Picture, index: int) -> Floats:
    """The middle of a track's error ellipse and the ends of its axes, 5 × 2."""
    cov = picture.tracks[index].position_cov
    values, axes = np.linalg.eigh(np.array([[cov.xx, cov.xy], [cov.xy, cov.yy]]))
    reach = SURE * np.sqrt(np.maximum(values, 0.0)) * axes
    middle = picture.position[index]
    out: Floats = np.array(
        [middle, middle + reach[:, 0], middle - reach[:, 0], middle + reach[:, 1],
         middle - reach[:, 1]]
    )  # fmt: skip
    assert math.isfinite(float(out.sum()))
    return out
