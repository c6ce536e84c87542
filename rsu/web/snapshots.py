"""Masked pictures of what events began with, kept while the page shows the event.

In: road events, which name the looks of cameras that they rest on, and previews. Out: for each such
look the preview taken nearest to it, if there is one within a second: cameras look ten times a
second and give a preview twice. Nothing is written; ten minutes after an event is over its pictures
are gone, as it is from the page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rsu.schema.events import EventPhase, RoadEvent, Snapshot
from rsu.schema.preview import CameraPreview
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.web.cameras import Cameras, picture_name
from rsu.web.scene import ENDED_SHOWN_NS, EVENTS_KEPT

NEAR_NS = NS_PER_S
"""A picture farther from the look than this may show another scene: 8 m of way at 30 km/h."""

Key = tuple[int, int]  # boot and id, as ids are used again after a boot


@dataclass(slots=True)
class _Kept:
    looks: tuple[Snapshot, ...]
    ended_ns: int | None = None
    pictures: dict[str, CameraPreview] = field(default_factory=dict)  # by sensor

    def offer(self, preview: CameraPreview) -> None:
        """Keep it where it is the nearest to its camera's look."""
        look = next((one for one in self.looks if one.sensor == preview.sensor), None)
        if look is None or abs(preview.capture_ns - look.capture_ns) > NEAR_NS:
            return
        known = self.pictures.get(preview.sensor)
        off_ns = abs(preview.capture_ns - look.capture_ns)
        if known is None or off_ns < abs(known.capture_ns - look.capture_ns):
            self.pictures[preview.sensor] = preview


class Snapshots:
    """Pictures by event: of `EVENTS_KEPT` events at most, some 20 kB each."""

    def __init__(self, cameras: Cameras) -> None:
        self._cameras = cameras
        self._events: dict[Key, _Kept] = {}

    def take_event(self, boot_ns: int, event: RoadEvent) -> None:
        """An event has begun, or ended."""
        self._forget(event.time_ns, boot_ns)
        if not event.snapshots:
            return
        key = (boot_ns, event.id)
        kept = self._events.get(key)
        if kept is None:
            kept = self._events[key] = _Kept(event.snapshots)
            for look in event.snapshots:
                for preview in self._cameras.previews(look.sensor):
                    kept.offer(preview)
            if len(self._events) > EVENTS_KEPT:
                del self._events[next(iter(self._events))]
        if event.phase is EventPhase.END:
            kept.ended_ns = event.time_ns

    def take_preview(self, preview: CameraPreview) -> None:
        """A picture, which may be of a look that was told before it."""
        self._forget(preview.capture_ns)
        for kept in self._events.values():
            kept.offer(preview)

    def picture(self, sensor: str, name: str) -> CameraPreview | None:
        """The kept picture of that name."""
        for kept in self._events.values():
            preview = kept.pictures.get(sensor)
            if preview is not None and picture_name(preview) == name:
                return preview
        return None

    def _forget(self, now_ns: int, boot_ns: int | None = None) -> None:
        """Drop the pictures of events that are not shown any more, whether anybody looks or not:
        long over, or of a unit that has begun anew."""
        for key, kept in list(self._events.items()):
            over = kept.ended_ns is not None and now_ns - kept.ended_ns > ENDED_SHOWN_NS
            if over or boot_ns not in (None, key[0]):
                del self._events[key]

    def of(self, key: Key) -> list[dict[str, Any]]:
        """The looks of an event; `picture` names the preview nearest to each, None: there is none,
        and `off_s` is how much later than the look it was taken."""
        kept = self._events.get(key)
        if kept is None:
            return []
        return [_look(one, kept.pictures.get(one.sensor)) for one in kept.looks]


def _look(look: Snapshot, preview: CameraPreview | None) -> dict[str, Any]:
    return {
        "sensor": look.sensor,
        "number": look.number,
        "time_ms": look.capture_ns // NS_PER_MS,
        "picture": None if preview is None else picture_name(preview),
        "masked": None if preview is None else preview.masked,
        "off_s": None
        if preview is None
        else round((preview.capture_ns - look.capture_ns) / NS_PER_S, 1),
    }
