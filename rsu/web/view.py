"""The reducer of the dashboard: bus messages in, one snapshot of plain JSON data out.

It holds the newest word of everyone and knows no network, no clock and no browser. The same class
shows the present, a replay and the recorded past. `now_ns` of a snapshot is the time that its ages
are counted from; whoever feeds the view says what that is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rsu.schema.message import Message
from rsu.schema.preview import CameraPreview
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import (
    CAMERA_DETECTIONS,
    CAMERA_PREVIEW,
    DECISION,
    ENVIRONMENT,
    LANES,
    METRICS,
    PARKING,
    RADIO_REPORT,
    ROAD_EVENT,
    SENSOR_ALARM,
    SENSOR_HEALTH,
    SIGNAL_STATE,
    TOPICS,
    TRACKS,
    TRAFFIC,
    UNIT_HEALTH,
    V2X_HEARD,
    V2X_TX,
    Topic,
)
from rsu.schema.units import NS_PER_MS
from rsu.web.air import EDGES_MS, Air
from rsu.web.cameras import Cameras
from rsu.web.condition import Condition
from rsu.web.roads import Roads
from rsu.web.scene import Scene
from rsu.web.snapshots import Snapshots


class View:
    """What the dashboard knows."""

    def __init__(self, sensors: Mapping[str, SensorKind] | None = None) -> None:
        sensors = sensors or {}
        self.scene = Scene()
        self.air = Air()
        self.roads = Roads()
        self.condition = Condition(sensors)
        self.cameras = Cameras(
            tuple(name for name, kind in sensors.items() if kind is SensorKind.CAMERA)
        )
        self.snapshots = Snapshots(self.cameras)
        self._takers: dict[str, Callable[[Message], None]] = {
            TRACKS.name: lambda m: self.scene.take_tracks(m.payload),
            SIGNAL_STATE.name: lambda m: self.scene.take_signal(m.payload),
            ROAD_EVENT.name: self._take_event,
            V2X_TX.name: self.air.take_frame,
            V2X_HEARD.name: lambda m: self.air.take_heard(m.payload),
            RADIO_REPORT.name: lambda m: self.air.take_report(m.payload),
            LANES.name: lambda m: self.roads.take_lanes(m.payload),
            TRAFFIC.name: lambda m: self.roads.take_traffic(m.payload),
            PARKING.name: lambda m: self.roads.take_parking(m.payload),
            UNIT_HEALTH.name: lambda m: self.condition.take_unit(m.payload),
            SENSOR_HEALTH.name: lambda m: self.condition.take_sensor(m.payload),
            SENSOR_ALARM.name: lambda m: self.condition.take_alarm(m.payload),
            METRICS.name: lambda m: self.condition.take_metrics(m.payload),
            DECISION.name: lambda m: self.condition.take_decision(m.payload),
            ENVIRONMENT.name: lambda m: self.condition.take_reading(m.payload),
            CAMERA_DETECTIONS.name: lambda m: self.cameras.take_detections(m.payload),
            CAMERA_PREVIEW.name: lambda m: self._take_preview(m.payload),
        }
        self.taken = 0

    @property
    def topics(self) -> frozenset[Topic]:
        """What the view wants to hear."""
        return frozenset(TOPICS[name] for name in self._takers)

    def take(self, message: Message) -> None:
        """Take one message; others than those of `topics` are passed over."""
        taker = self._takers.get(message.topic.name)
        if taker is not None:
            self.taken += 1
            taker(message)

    def preview(self, sensor: str, name: str | None = None) -> CameraPreview | None:
        """The newest picture of a camera, or the one of that name; None: there is none."""
        found = self.cameras.preview(sensor, name)
        return found if found or name is None else self.snapshots.picture(sensor, name)

    def _take_event(self, message: Message) -> None:
        self.scene.take_event(message)
        self.snapshots.take_event(message.header.boot_ns, message.payload)

    def _take_preview(self, preview: CameraPreview) -> None:
        self.cameras.take_preview(preview)
        self.snapshots.take_preview(preview)

    def snapshot(self, now_ns: int) -> dict[str, Any]:
        """Everything there is to show at `now_ns` (UTC), but for what never or seldom changes."""
        return {
            "now_ms": now_ns // NS_PER_MS,
            "tracks": self.scene.tracks_at(now_ns),
            "signals": self.scene.signals_at(now_ns),
            "events": self.scene.events_at(now_ns, self.snapshots.of),
            "messages": self.air.said_at(now_ns),
            "heard": self.air.heard_at(now_ns),
            "edges_ms": EDGES_MS,
            "lanes": self.roads.lanes_at(now_ns),
            "parking": self.roads.lots_at(now_ns),
            "traffic_version": self.roads.version,
            "cameras": self.cameras.at(now_ns, self.scene.tracks),
            "health": self.condition.at(now_ns),
        }
