"""Red-light running: a vehicle's front passes a stop line while all its ways are red.

In: pictures and the lights. Out: sightings for `SHOWN_S` after the passage. The moment of the
passage is worked back from when the front is `BEYOND` past the line, so that who waits at it with
a noisy position passes nothing; the light must have been red for some time around it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rsu.config.situation import EventOptions
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.lanes import LaneRole, SiteMap
from rsu.situation.events import kinds
from rsu.situation.events.book import Sighting
from rsu.situation.events.lights import Lights
from rsu.situation.events.surroundings import normal_share, std_along
from rsu.situation.picture import STANDS_BELOW, Picture

BEYOND = 3.0  # m: a car that stops too late stands with its front up to half its length beyond
MOVING = 2.5  # m/s: whoever is slower there has not shown that it goes on
FAR_BEYOND = 5.0  # m: from a slow start, farther than who stops too late
ASIDE = 1.0  # m beyond a lane's edge within a car's length of the line: still on its way
SHOWN_S = 3.0  # about as long as crossing takes
NEAR = 60.0  # m before the line from which a vehicle counts as coming
MEMORY_NS = 5 * NS_PER_S
LEAST = 0.75  # confidence from which it is told, as of every event that accuses somebody


@dataclass(frozen=True, eq=False)
class _Line:
    lane: str
    x: float
    y: float
    cos: float
    sin: float
    half: float
    groups: frozenset[int]


@dataclass(slots=True)
class _Coming:
    line: _Line
    seen_ns: int
    speed: float
    passed_ns: int = -1


class RedLightDetector:
    """Follows vehicles over the stop lines that have lights."""

    kinds: tuple[str, ...] = (kinds.RED_LIGHT,)

    def __init__(self, site: SiteMap, options: EventOptions, lights: Lights) -> None:
        self._lights = lights
        self._margin_ns = round(options.red_margin_s * NS_PER_S)
        self._lines: dict[int, _Line] = {}
        for index, lane in enumerate(site.lanes):
            ways = [site.lane(name) for name in lane.successors]
            groups = frozenset(way.signal_group for way in ways if way.signal_group is not None)
            if lane.stop_line is None or lane.role is not LaneRole.ENTRY or not groups:
                continue
            x, y, heading = lane.at(lane.stop_line)
            self._lines[index] = _Line(
                lane.id, x, y, math.cos(heading), math.sin(heading), lane.width / 2, groups
            )
        self._lined = np.zeros(len(site.lanes) + 1, np.bool_)
        self._lined[list(self._lines)] = True
        self._coming: dict[int, _Coming] = {}
        self._shown: dict[int, tuple[int, Sighting]] = {}

    def look(self, picture: Picture) -> list[Sighting]:
        """Who has run a red light within the last seconds."""
        if not self._lines:
            return []
        now_ns = picture.time_ns
        lanes = picture.road.lane.tolist()
        inside = picture.road.inside.tolist()
        watched = self._lined[picture.road.lane] & picture.road.inside
        if self._coming:
            watched |= np.array([track.id in self._coming for track in picture.tracks], np.bool_)
        for i in np.flatnonzero(picture.vehicle & watched).tolist():
            track = picture.tracks[i]
            coming = self._coming.get(track.id)
            line = self._lines.get(lanes[i]) if inside[i] else None
            if line is None and coming is None:
                continue
            line = line if line is not None and coming is None else coming.line  # type: ignore[union-attr]
            dx, dy = track.position.x - line.x, track.position.y - line.y
            past = dx * line.cos + dy * line.sin + track.size.length / 2
            if past < 0.0:
                if past > -NEAR and abs(dx * line.sin - dy * line.cos) < line.half:
                    self._coming[track.id] = _Coming(line, now_ns, track.speed)
                continue
            if coming is None:
                continue
            coming.seen_ns = now_ns
            aside = abs(dx * line.sin - dy * line.cos)
            if coming.passed_ns < 0:
                coming.passed_ns = now_ns
            if track.speed < STANDS_BELOW or aside > line.half + ASIDE:
                # It stands at the line, or is somebody else by now.
                del self._coming[track.id]
                continue
            hesitated = coming.speed < MOVING
            if past < (FAR_BEYOND if hesitated else BEYOND) or track.speed < MOVING:
                continue
            del self._coming[track.id]
            self._judge(picture, i, coming, past, hesitated=hesitated)
        self._coming = {
            number: one for number, one in self._coming.items() if now_ns - one.seen_ns <= MEMORY_NS
        }
        self._shown = {number: one for number, one in self._shown.items() if now_ns <= one[0]}
        return [sighting for _, sighting in self._shown.values()]

    def forget(self) -> None:
        """The clock was set back."""
        self._coming.clear()
        self._shown.clear()

    def _judge(
        self, picture: Picture, index: int, coming: _Coming, past: float, *, hesitated: bool
    ) -> None:
        track, line = picture.tracks[index], coming.line
        if hesitated:  # when it began to go is uncertain: red all the time leaves no doubt
            passed_ns, until_ns = coming.passed_ns, picture.time_ns
        else:
            until_ns = passed_ns = picture.time_ns - round(past / track.speed * NS_PER_S)
        std = std_along(track, math.atan2(line.sin, line.cos))
        doubt_ns = self._margin_ns + round(std / track.speed * NS_PER_S)
        if not all(
            self._lights.red_throughout(
                group, passed_ns - doubt_ns, until_ns + self._margin_ns // 2
            )
            for group in line.groups
        ):
            return
        confidence = track.existence * normal_share(past / std)
        if confidence < LEAST:
            return
        self._shown[track.id] = (
            picture.time_ns + round(SHOWN_S * NS_PER_S),
            Sighting(
                kinds.RED_LIGHT, track.id, Vec2(track.position.x, track.position.y),
                confidence=confidence,
                lanes=(line.lane,), tracks=(track.id,), sources=track.sources, since_ns=passed_ns,
            ),
        )  # fmt: skip
