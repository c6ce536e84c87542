"""Which people may be in a vehicle's way.

In: a picture and how people walk. Out: who is, or is about to be, on the road, and who is on a
crossing. Beside the road people are placed to half a metre or worse, and most of them stay on the
footway: who goes along the road, or stands, is on it only where that is sure.
"""

from __future__ import annotations

import math

import numpy as np

from rsu.schema.tracks import Track
from rsu.schema.units import NS_PER_MS
from rsu.site.lanes import LaneKind
from rsu.situation.conflicts.history import Bools
from rsu.situation.conflicts.ways import Floats
from rsu.situation.events.surroundings import std_along
from rsu.situation.picture import ROAD_KINDS, Picture

WALKS = 0.5  # m/s: slower walkers stand
FOOTSTEP_S = 0.5
"""s of one step (Weidmann 1993: 2 steps/s): whoever takes the next one off the footways onto the
road does not stop at its edge any more."""
ACROSS = 0.7  # of a walk's speed (45°): more of it is across the road than along
SURELY = 2.0  # σ inside the road's edges where who does not cross it is taken to be on it
YOUNG_NS, FRESH_NS = 300 * NS_PER_MS, 500 * NS_PER_MS
"""Three looks of a camera confirm a track, and half a second is one step; what else is in doubt
about a walker, existence and covariance say."""


def is_somebody(track: Track, time_ns: int) -> bool:
    """Whether the track of somebody on foot is evidence."""
    return track.born_ns <= time_ns - YOUNG_NS and track.updated_ns >= time_ns - FRESH_NS


def in_the_way(
    picture: Picture, some: Bools, velocity: Floats, whereto: Bools
) -> tuple[Bools, Bools]:
    """Who of `some` (N) on foot or two wheels may be in a vehicle's way (N): who is on the road, or
    crosses to it with the next step where it is known `whereto` (N); and who is on a crossing.
    Others, beside the road or on a footway, are taken to wait. `velocity` N×2, m/s."""
    steps, crosses = np.zeros(len(some), np.bool_), np.zeros(len(some), np.bool_)
    people = np.flatnonzero(some)
    if not len(people):
        return steps, crosses
    site, place, walk = picture.site, picture.position[people], velocity[people]
    pace = np.hypot(*walk.T)
    inside, paved = picture.road.inside[people], picture.walk.inside[people]
    course = picture.road.heading[people]
    left = np.stack((-np.sin(course), np.cos(course)), axis=1)
    comes = (pace >= WALKS) & (np.abs((walk * left).sum(axis=1)) > ACROSS * pace)
    tracks = (picture.tracks[one] for one in people.tolist())
    across = (course + math.pi / 2).tolist()
    doubt = np.array([std_along(*one) for one in zip(tracks, across, strict=True)])
    aside = SURELY * doubt[:, None] * left
    there = np.concatenate((place + walk * FOOTSTEP_S, place - aside, place + aside))
    ahead, right_of, left_of = site.match(there, kinds=ROAD_KINDS).inside.reshape(3, -1)
    on_road = np.where(comes, inside | (ahead & whereto[people]), inside & right_of & left_of)
    kinds = [site.lanes[lane].kind for lane in picture.walk.lane[people].tolist()]
    moves = pace >= WALKS
    crosses[people] = moves & paved & np.array([kind is LaneKind.CROSSWALK for kind in kinds])
    steps[people] = on_road & ~(moves & paved)
    return steps, crosses
