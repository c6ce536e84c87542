"""The one table of topics: every stream in the runtime, its type, its rate, whether it is kept.

A topic's name is also its ZeroMQ subscription prefix and its MCAP channel. Adding a stream is one
line here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rsu.schema.coordination import Coordination
from rsu.schema.devices import BayReading, EnvironmentReading, GnssFix
from rsu.schema.events import RoadEvent
from rsu.schema.health import Decision, LinkHealth, Metrics, SensorAlarm, SensorHealth, UnitHealth
from rsu.schema.journal import Journal
from rsu.schema.machine import MachineLoad
from rsu.schema.orders import UnitAnswer, UnitOrder
from rsu.schema.parking import ParkingRequest, ParkingState
from rsu.schema.preview import CameraPreview
from rsu.schema.priority import SignalCommand, SignalPriority, SignalRequest
from rsu.schema.reports import LivePublication, Truth, UplinkReport
from rsu.schema.sensing import CameraDetections, RadarObjects, V2xObjects
from rsu.schema.signals import SignalState
from rsu.schema.tracks import TrackList
from rsu.schema.traffic import CycleTraffic, LaneStates, TrafficState
from rsu.schema.v2x import Corrections, PushedV2x, RadioReport, ReceivedV2x, V2xFrame


class Topic(msgspec.Struct, frozen=True, kw_only=True):
    """One stream.

    `payload` is its struct type (None: lives only inside one process and is never serialised);
    `rate_hz` its nominal rate per source (0: event-driven), used by tests and `rsu doctor`;
    `recorded` whether the recorder keeps it.
    """

    name: str
    payload: type[msgspec.Struct] | None
    rate_hz: float
    recorded: bool

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Topic) and other.name == self.name


def _topic(
    name: str, payload: type[msgspec.Struct] | None, rate_hz: float, *, recorded: bool = True
) -> Topic:
    return Topic(name=name, payload=payload, rate_hz=rate_hz, recorded=recorded)


CAMERA_FRAME = _topic("camera/frame", None, 25, recorded=False)
CAMERA_DETECTIONS = _topic("detections/camera", CameraDetections, 25)
CAMERA_PREVIEW = _topic("camera/preview", CameraPreview, 2, recorded=False)
RADAR_OBJECTS = _topic("detections/radar", RadarObjects, 14)
V2X_OBJECTS = _topic("detections/v2x", V2xObjects, 0)
SIGNAL_STATE = _topic("signal/state", SignalState, 10)
BAY_READING = _topic("parking/readings", BayReading, 0)
GNSS_FIX = _topic("gnss/fix", GnssFix, 1)
ENVIRONMENT = _topic("environment", EnvironmentReading, 0)
TRACKS = _topic("tracks", TrackList, 10)
PARKING = _topic("situation/parking", ParkingState, 1)
TRAFFIC = _topic("situation/traffic", TrafficState, 0.1)
TRAFFIC_SUMMARY = _topic("situation/summary", TrafficState, 0)
TRAFFIC_CYCLE = _topic("situation/cycle", CycleTraffic, 0)
LANES = _topic("situation/lanes", LaneStates, 1)
ROAD_EVENT = _topic("situation/event", RoadEvent, 0)
COORDINATION = _topic("situation/coordination", Coordination, 0)
SIGNAL_PUSHED = _topic("signal/pushed", SignalState, 0)
SIGNAL_REQUEST = _topic("signal/request", SignalRequest, 0)
PARKING_REQUEST = _topic("parking/request", ParkingRequest, 0)
SIGNAL_PRIORITY = _topic("signal/priority", SignalPriority, 0)
SIGNAL_COMMAND = _topic("signal/command", SignalCommand, 0)
CORRECTIONS = _topic("gnss/corrections", Corrections, 1)
V2X_RX = _topic("v2x/rx", ReceivedV2x, 0)
V2X_HEARD = _topic("v2x/heard", ReceivedV2x, 0)
V2X_PUSHED = _topic("v2x/pushed", PushedV2x, 0)
V2X_TX = _topic("v2x/tx", V2xFrame, 10)
RADIO_REPORT = _topic("v2x/report", RadioReport, 10)
UPLINK_REPORT = _topic("uplink/report", UplinkReport, 0)
UPLINK_LIVE = _topic("uplink/live", LivePublication, 0, recorded=False)
TRUTH = _topic("sim/truth", Truth, 10)
SENSOR_HEALTH = _topic("health/sensor", SensorHealth, 1)
SENSOR_ALARM = _topic("health/alarm", SensorAlarm, 0)
UNIT_HEALTH = _topic("health/unit", UnitHealth, 1)
LINK_HEALTH = _topic("health/link", LinkHealth, 0.2)
UNIT_ORDER = _topic("unit/order", UnitOrder, 0, recorded=False)
UNIT_ANSWER = _topic("unit/answer", UnitAnswer, 0, recorded=False)
DECISION = _topic("decision", Decision, 0)
MACHINE = _topic("health/machine", MachineLoad, 0.1)
METRICS = _topic("metrics", Metrics, 1)
JOURNAL = _topic("journal", Journal, 10)

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        CAMERA_FRAME, CAMERA_DETECTIONS, CAMERA_PREVIEW, RADAR_OBJECTS, V2X_OBJECTS, SIGNAL_STATE,
        BAY_READING, GNSS_FIX, ENVIRONMENT, SIGNAL_PUSHED,
        SIGNAL_REQUEST, PARKING_REQUEST, SIGNAL_PRIORITY, SIGNAL_COMMAND, TRACKS, PARKING, TRAFFIC,
        TRAFFIC_SUMMARY, TRAFFIC_CYCLE, LANES, ROAD_EVENT, COORDINATION,
        CORRECTIONS, V2X_RX, V2X_HEARD, V2X_PUSHED, V2X_TX, RADIO_REPORT, UPLINK_REPORT,
        UPLINK_LIVE, TRUTH, SENSOR_HEALTH, SENSOR_ALARM, UNIT_HEALTH, LINK_HEALTH, UNIT_ORDER,
        UNIT_ANSWER, MACHINE, DECISION, METRICS, JOURNAL,
    )
}  # fmt: skip
"""Every topic by name."""

FACT_TOPICS: dict[type[msgspec.Struct], Topic] = {
    topic.payload: topic
    for topic in (RADAR_OBJECTS, SIGNAL_STATE, BAY_READING, GNSS_FIX, ENVIRONMENT)
    if topic.payload is not None
}
"""Where each kind of fact of a self-sending device goes (`rsu.hal.device`)."""
