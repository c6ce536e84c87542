"""What stands and moves on the map: tracks with trails and error ellipses, lights, events.

In: `TrackList`, `SignalState`, `RoadEvent`. Out: plain data of the present, in the site frame (m;
headings rad counter-clockwise from east), each with its age at the time that is asked for.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.message import Message
from rsu.schema.signals import SignalState
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_MS, NS_PER_S, Cov2

TRAIL_NS = 8 * NS_PER_S
TRAIL_STEP_NS = 400_000_000
"""A point of the trail this often: 3.5 m apart at 30 km/h, 20 points a track."""
GONE_NS = 10 * NS_PER_S
"""Tracks and lights older than this are not shown at all; the page greys them after a second."""
ENDED_SHOWN_NS = 600 * NS_PER_S
EVENTS_KEPT = 100
CHI2_95 = 5.991
"""95 % quantile of χ² with two degrees of freedom: scales a covariance to its 95 % ellipse."""


class Scene:
    """The newest word about everything that has a place."""

    def __init__(self) -> None:
        self._tracks: TrackList | None = None
        self._trails: dict[int, deque[tuple[int, float, float]]] = {}
        self._signals: dict[str, SignalState] = {}
        self._events: dict[tuple[int, int], RoadEvent] = {}
        self._boot: dict[str, int] = {}

    def take_tracks(self, tracks: TrackList) -> None:
        if self._tracks is not None and tracks.time_ns < self._tracks.time_ns:
            self._trails.clear()  # the clock was stepped back, or the unit began anew
        self._tracks = tracks
        trails = self._trails
        for track in tracks.tracks:
            trail = trails.setdefault(track.id, deque(maxlen=TRAIL_NS // TRAIL_STEP_NS))
            if not trail or tracks.time_ns - trail[-1][0] >= TRAIL_STEP_NS:
                trail.append((tracks.time_ns, track.position.x, track.position.y))
        for gone in trails.keys() - {track.id for track in tracks.tracks}:
            del trails[gone]

    def take_signal(self, state: SignalState) -> None:
        self._signals[state.controller] = state

    def take_event(self, message: Message) -> None:
        event: RoadEvent = message.payload
        header = message.header
        if self._boot.get(header.source, header.boot_ns) != header.boot_ns:
            # Who told of them has begun anew and will never tell how they end.
            self._events = {k: v for k, v in self._events.items() if k[0] == header.boot_ns}
        self._boot[header.source] = header.boot_ns
        self._events.pop((header.boot_ns, event.id), None)
        self._events[(header.boot_ns, event.id)] = event
        while len(self._events) > EVENTS_KEPT:
            ended = (k for k, v in self._events.items() if v.phase is EventPhase.END)
            del self._events[next(ended, next(iter(self._events)))]

    @property
    def tracks(self) -> TrackList | None:
        """The newest list, however old."""
        return self._tracks

    def tracks_at(self, now_ns: int) -> dict[str, Any]:
        """All tracks as plain data; `age_s` is that of the newest measurement, None: none yet."""
        found = self._tracks
        if found is None or now_ns - found.time_ns > GONE_NS:
            return {"age_s": None, "list": []}
        return {
            "age_s": _seconds(now_ns - found.time_ns),
            "time_ms": found.time_ns // NS_PER_MS,
            "list": [self._track(track, found.time_ns) for track in found.tracks],
        }

    def signals_at(self, now_ns: int) -> list[dict[str, Any]]:
        """Every controller's groups; `ends_s` is the time until the likely end, None: unknown."""
        return [
            {
                "controller": state.controller,
                "age_s": _seconds(now_ns - state.capture_ns),
                "flags": [str(flag) for flag in state.flags],
                "groups": [
                    {
                        "group": group.group,
                        "light": str(group.light),
                        "ends_s": None
                        if group.likely_end_ns is None
                        else _seconds(max(0, group.likely_end_ns - now_ns)),
                    }
                    for group in state.groups
                ],
            }
            for _, state in sorted(self._signals.items())
            if now_ns - state.capture_ns <= GONE_NS
        ]

    def events_at(
        self, now_ns: int, looks: Callable[[tuple[int, int]], list[dict[str, Any]]]
    ) -> list[dict[str, Any]]:
        """Events, the newest first; ended ones stay for ten minutes. `looks` tells what one (boot,
        id) began with."""
        shown = [
            _event(event, now_ns) | {"snapshots": looks(key)}
            for key, event in self._events.items()
            if event.phase is not EventPhase.END or now_ns - event.time_ns <= ENDED_SHOWN_NS
        ]
        return sorted(shown, key=lambda one: (one["ended"], -one["start_ms"], -one["id"]))

    def _track(self, track: Track, time_ns: int) -> dict[str, Any]:
        x, y = track.position.x, track.position.y
        trail = [[round(px, 1), round(py, 1)] for _, px, py in self._trails.get(track.id, ())]
        return {
            "id": track.id,
            "class": str(track.object_class),
            "p": round(track.class_probability, 2),
            "x": round(x, 2),
            "y": round(y, 2),
            "heading": round(track.heading, 3),
            "heading_std": round(track.heading_std, 3),
            "speed": round(track.speed, 2),
            "speed_std": round(track.speed_std, 2),
            "ellipse": ellipse(track.position_cov),
            "length": round(track.size.length, 1),
            "width": round(track.size.width, 1),
            "existence": round(track.existence, 2),
            "status": str(track.status),
            "sources": list(track.sources),
            "since_s": _seconds(time_ns - track.born_ns),
            "seen_s": _seconds(time_ns - track.updated_ns),
            "trail": trail,
        }


def ellipse(cov: Cov2) -> list[float]:
    """[semi-major m, semi-minor m, angle of the major axis rad] of the 95 % ellipse."""
    middle = (cov.xx + cov.yy) / 2
    spread = math.hypot((cov.xx - cov.yy) / 2, cov.xy)
    angle = 0.5 * math.atan2(2 * cov.xy, cov.xx - cov.yy)
    major, minor = (math.sqrt(CHI2_95 * max(v, 0.0)) for v in (middle + spread, middle - spread))
    return [round(major, 2), round(minor, 2), round(angle, 3)]


def _event(event: RoadEvent, now_ns: int) -> dict[str, Any]:
    ended = event.phase is EventPhase.END
    told: dict[str, Any] = {
        "id": event.id,
        "kind": event.kind,
        "phase": str(event.phase),
        "ended": ended,
        "ending": None if event.ending is None else str(event.ending),
        "x": round(event.position.x, 1),
        "y": round(event.position.y, 1),
        "radius": round(event.radius, 1),
        "confidence": round(event.confidence, 2),
        "severity": event.severity,
        "code": event.code,
        "start_ms": event.start_ns // NS_PER_MS,
        "lasts_s": _seconds((event.time_ns if ended else max(now_ns, event.time_ns))
                            - event.start_ns),
        "told_s": _seconds(now_ns - event.time_ns),
        "lanes": list(event.lanes),
        "tracks": list(event.tracks),
        "description": event.description,
        "conflict": None,
    }  # fmt: skip
    if event.conflict is not None:
        conflict = event.conflict
        told["conflict"] = {
            "tracks": list(conflict.tracks),
            "in_s": round(conflict.time_to_conflict_s, 1),
            "probability": round(conflict.probability, 2),
            "deceleration": round(conflict.required_deceleration, 1),
            "x": round(conflict.point.x, 1),
            "y": round(conflict.point.y, 1),
        }
    return told


def _seconds(ns: int) -> float:
    return round(ns / NS_PER_S, 2)
