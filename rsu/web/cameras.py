"""What cameras see: the newest masked preview of each, with boxes and the tracks they belong to.

In: `CameraPreview`, `CameraDetections`. Out: plain data with boxes as shares of the image, and the
JPEG as it came. A box gets the id of the nearest track that this camera speaks for; nothing on the
bus says so, so it is looked up here and told as `track`, None where no track is near.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Any

from rsu.schema.preview import CameraPreview
from rsu.schema.sensing import CameraDetection, CameraDetections, ObjectClass
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import NS_PER_S, Box

GATE_M = 4.0
"""Farthest that a detection and its track may be apart: a car's length, at the 13.9 m/s of a street
about 0.3 s of way."""
SHOWN_NS = 10 * NS_PER_S
PICTURES_KEPT = 4
"""Of each camera, 20 kB each: a page that was told of one some 2 s ago still gets it."""
FRAMES_KEPT = 40
"""Detections kept a camera, so that a preview (at most twice a second) finds those of its frame."""


class Cameras:
    """The newest preview and the newest detections of every camera."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._previews: dict[str, deque[CameraPreview]] = {}
        self._detections: dict[str, deque[CameraDetections]] = {}
        self._boxes: dict[str, tuple[CameraPreview, list[dict[str, Any]]]] = {}

    def take_preview(self, preview: CameraPreview) -> None:
        self._previews.setdefault(preview.sensor, deque(maxlen=PICTURES_KEPT)).append(preview)

    def take_detections(self, detections: CameraDetections) -> None:
        kept = self._detections.setdefault(detections.sensor, deque(maxlen=FRAMES_KEPT))
        kept.append(detections)

    def previews(self, sensor: str) -> tuple[CameraPreview, ...]:
        """Those of a camera that are kept, in order."""
        return tuple(self._previews.get(sensor, ()))

    def preview(self, sensor: str, name: str | None = None) -> CameraPreview | None:
        """The newest preview of a camera, or the one of that name; None: there is none."""
        kept = self._previews.get(sensor, ())
        found = (one for one in reversed(kept) if name in (None, picture_name(one)))
        return next(found, None)

    def at(self, now_ns: int, tracks: TrackList | None) -> list[dict[str, Any]]:
        """Every camera; `frame` names its preview, None: there is none to show."""
        names = dict.fromkeys((*self._names, *self._previews, *self._detections))
        return [self._camera(name, now_ns, tracks) for name in names]

    def _camera(self, name: str, now_ns: int, tracks: TrackList | None) -> dict[str, Any]:
        preview, kept = self.preview(name), self._detections.get(name)
        newest = kept[-1] if kept else None
        if preview is not None and now_ns - preview.capture_ns > SHOWN_NS:
            preview = None
        told: dict[str, Any] = {
            "sensor": name,
            "frame": None if preview is None else picture_name(preview),
            "age_s": None if newest is None else _seconds(now_ns - newest.capture_ns),
            "preview_age_s": None if preview is None else _seconds(now_ns - preview.capture_ns),
            "masked": None if preview is None else preview.masked,
            "masking": None if preview is None else str(preview.masking),
            "aspect": round(16 / 9, 3),
            "boxes": [],
        }
        if preview is not None:
            told["aspect"] = round(preview.width / preview.height, 3)
            told["boxes"] = self._boxes_of(preview, tracks)
        elif newest is not None:
            told["aspect"] = round(newest.image_width / newest.image_height, 3)
            if now_ns - newest.capture_ns <= SHOWN_NS:
                told["boxes"] = _boxes(newest, tracks)
        return told

    def _boxes_of(self, preview: CameraPreview, tracks: TrackList | None) -> list[dict[str, Any]]:
        """The boxes of the very picture. Looked up once, while its tracks are still about."""
        known = self._boxes.get(preview.sensor)
        if known is not None and known[0] is preview:
            return known[1]
        kept = self._detections.get(preview.sensor, ())
        seen = next((d for d in kept if d.capture_ns == preview.capture_ns), None)
        if seen is not None:
            boxes = _boxes(seen, tracks)
        else:
            width, height = preview.width * preview.scale, preview.height * preview.scale
            boxes = [
                _box(one.object_class, one.score, _share(one.box, width, height), None)
                for one in preview.boxes
            ]
        self._boxes[preview.sensor] = (preview, boxes)
        return boxes


def picture_name(preview: CameraPreview) -> str:
    """What names a picture among those of its camera: frames count from 0 in every process."""
    return f"{preview.frame}-{preview.capture_ns}"


def _boxes(seen: CameraDetections, tracks: TrackList | None) -> list[dict[str, Any]]:
    found = _tracks_of(seen, tracks)
    return [
        _box(one.object_class, one.score, _share(one.box, seen.image_width, seen.image_height), t)
        for one, t in zip(seen.detections, found, strict=True)
    ]


def _box(kind: ObjectClass, score: float, share: list[float], track: int | None) -> dict[str, Any]:
    return {"class": str(kind), "score": round(score, 2), "box": share, "track": track}


def _tracks_of(seen: CameraDetections, tracks: TrackList | None) -> list[int | None]:
    """For each detection the nearest track of this camera; each track once, the nearest pair
    first."""
    found: list[int | None] = [None] * len(seen.detections)
    if tracks is None:
        return found
    late_s = (seen.capture_ns - tracks.time_ns) / NS_PER_S
    pairs = sorted(
        (distance, index, track.id)
        for index, one in enumerate(seen.detections)
        for track in tracks.tracks
        if seen.sensor in track.sources and (distance := _apart(one, track, late_s)) <= GATE_M
    )
    taken: set[int] = set()
    for _, index, track_id in pairs:
        if found[index] is None and track_id not in taken:
            found[index] = track_id
            taken.add(track_id)
    return found


def _apart(one: CameraDetection, track: Track, late_s: float) -> float:
    x = track.position.x + track.speed * math.cos(track.heading) * late_s
    y = track.position.y + track.speed * math.sin(track.heading) * late_s
    return math.hypot(one.position.x - x, one.position.y - y)


def _share(box: Box, width: float, height: float) -> list[float]:
    """[left, top, width, height] as shares of the image."""
    values = (box.left / width, box.top / height, box.width / width, box.height / height)
    return [round(value, 4) for value in values]


def _seconds(ns: int) -> float:
    return round(ns / NS_PER_S, 2)
