"""Suspected crashes: a road user stops harder than tyres can brake, touching another.

In: pictures. Out: sightings. A vehicle braking with all its tyres loses some 8 m/s each second
(Treiber and Kesting 2013, ch. 11: dry asphalt); who loses more, stands afterwards, and has another
road user's body against its own, has probably hit it. It is a suspicion: nobody saw the damage.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rsu.config.situation import EventOptions
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import SiteMap
from rsu.situation.events import kinds
from rsu.situation.events.book import Sighting
from rsu.situation.events.surroundings import Floats, Identity, normal_share
from rsu.situation.picture import STANDS_BELOW, Picture

HARDEST = 9.8  # m/s² of speed lost: more than tyres hold on dry asphalt
LEAST_LOSS = 10.0  # m/s: smaller ones drown in the noise of speeds
KNOWN_NS = 3 * NS_PER_S  # both have been tracked so long: of a double track one is young
WITHIN_NS = 700_000_000  # ns in which it is lost; longer is braking
TOUCH = 0.7  # m between two outlines that touch, as well as their sizes are known
STANDS_NS = 1_500_000_000  # ns after it that both still stand
MEMORY_NS = 20 * NS_PER_S


@dataclass(slots=True)
class _Stop:
    """A stop that was too hard."""

    at_ns: int
    sure: float


class CrashDetector:
    """Watches for stops that no brakes explain."""

    kinds: tuple[str, ...] = (kinds.CRASH,)

    def __init__(
        self, _site: SiteMap, _options: EventOptions, dense: Callable[[int], bool]
    ) -> None:
        self._dense = dense
        self._speeds: dict[int, deque[tuple[int, float, float]]] = {}
        self._stops: dict[int, _Stop] = {}
        self._identity = Identity(4.0, 10.0)
        self._tidied_ns = 0

    def look(self, picture: Picture) -> list[Sighting]:
        """Who has stopped too hard against another."""
        now_ns = picture.time_ns
        # Only who was fast may have stopped too hard: few are looked at.
        fast = picture.speed >= LEAST_LOSS
        slow = picture.speed < STANDS_BELOW
        for i in np.flatnonzero(fast | slow).tolist():
            track = picture.tracks[i]
            past = self._speeds.get(track.id)
            if not fast[i]:
                known = past is not None and now_ns - track.born_ns >= KNOWN_NS
                # Where many stand, a track that halts at once rather went over to one of them.
                crowd = self._dense(int(picture.road.lane[i]))
                if past is not None and known and not crowd and track.id not in self._stops:
                    stop = _too_hard(past, now_ns)
                    if stop is not None:
                        self._stops[track.id] = stop
                continue
            if past is None:
                past = self._speeds[track.id] = deque(maxlen=12)
            past.append((now_ns, track.speed, track.speed_std))
        if self._speeds and now_ns - self._tidied_ns > NS_PER_S:
            self._tidied_ns = now_ns
            oldest = now_ns - WITHIN_NS
            self._speeds = {n: past for n, past in self._speeds.items() if past[-1][0] >= oldest}
        self._stops = {n: one for n, one in self._stops.items() if now_ns - one.at_ns < MEMORY_NS}
        if not self._stops:
            return []
        found = []
        for i, track in enumerate(picture.tracks):
            one = self._stops.get(track.id)
            if one is None:
                continue
            if track.speed >= STANDS_BELOW:
                del self._stops[track.id]
            elif now_ns - one.at_ns >= STANDS_NS:
                found += self._against(picture, i, one)
        return found

    def forget(self) -> None:
        """The clock was set back."""
        self._speeds.clear()
        self._stops.clear()
        self._identity.forget()
        self._tidied_ns = 0

    def _against(self, picture: Picture, index: int, stop: _Stop) -> list[Sighting]:
        track = picture.tracks[index]
        away = np.hypot(*(picture.position - picture.position[index]).T)
        for j in np.flatnonzero((away < 12.0) & (picture.speed < STANDS_BELOW)).tolist():
            other = picture.tracks[j]
            young = picture.time_ns - other.born_ns < KNOWN_NS
            if j == index or young or _gap(picture, index, j) > TOUCH:
                continue
            stop.at_ns = picture.time_ns - STANDS_NS  # it goes on as long as both stand there
            (key,) = self._identity.keys([track], picture.time_ns)
            lane = int(picture.road.lane[index])
            named = bool(picture.road.inside[index])
            return [
                Sighting(
                    kinds.CRASH, key, Vec2(track.position.x, track.position.y),
                    track.existence * other.existence * stop.sure, radius=8.0,
                    lanes=(picture.site.lanes[lane].id,) if named else (),
                    tracks=tuple(sorted((track.id, other.id))),
                    sources=tuple(sorted({*track.sources, *other.sources})),
                )
            ]  # fmt: skip
        return []


def _too_hard(past: deque[tuple[int, float, float]], now_ns: int) -> _Stop | None:
    for at_ns, speed, std in past:
        passed_ns = now_ns - at_ns
        if not 0 < passed_ns <= WITHIN_NS or speed < LEAST_LOSS:
            continue
        braked = HARDEST * passed_ns / NS_PER_S
        sure = normal_share((speed - braked) / max(std, 0.1))
        if speed - braked > 2.0 * std:
            return _Stop(now_ns, sure)
    return None


def _gap(picture: Picture, i: int, j: int) -> float:
    """m between the outlines of two rectangles; 0 where they overlap."""
    a, b = _corners(picture, i), _corners(picture, j)
    return max(min(_apart(a, b), _apart(b, a)), 0.0) if not _overlap(a, b) else 0.0


def _corners(picture: Picture, index: int) -> Floats:
    track = picture.tracks[index]
    cos, sin = math.cos(track.heading), math.sin(track.heading)
    x, y = track.size.length / 2, track.size.width / 2
    box = np.array([(x, y), (-x, y), (-x, -y), (x, -y)])
    out: Floats = box @ np.array([(cos, sin), (-sin, cos)]) + picture.position[index]
    return out


def _apart(points: Floats, box: Floats) -> float:
    """Least distance of points to the sides of a box."""
    start, side = box, np.roll(box, -1, axis=0) - box
    offset = points[:, None, :] - start
    along = np.clip((offset * side).sum(axis=2) / np.maximum((side**2).sum(axis=1), 1e-9), 0.0, 1.0)
    return float(np.hypot(*np.moveaxis(offset - along[..., None] * side, 2, 0)).min())


def _overlap(a: Floats, b: Floats) -> bool:
    """Separating axes of two rectangles."""
    for box in (a, b):
        for side in (box[1] - box[0], box[2] - box[1]):
            p, q = a @ side, b @ side
            if p.max() < q.min() or q.max() < p.min():
                return False
    return True
