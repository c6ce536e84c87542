"""The stage that decides what is reported upstream, and when.

Tracks, traffic, parking, road events and health in; `UplinkReport`s out. Periodic summaries go out
on the tick (tracks every `tracks_s`, traffic every `traffic_s`, health every `health_s` and at
every change of state); parking lots at every change of a bay, and every `parking_s`; road events,
and sensors that begin or cease to contradict each other, at once. Tracks that fusion has not
renewed are not repeated: no news is no report. Ids are `<site>-<boot ns>-<n>`: unique for ever, and
the same again in a replay. What a report says is decided here, once; the profiles
(`rsu.uplink.profiles`) put it into the words of one platform each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from rsu.config.uplink import UplinkOptions
from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.health import LinkHealth, SensorAlarm, SensorHealth, UnitHealth
from rsu.schema.machine import MachineLoad
from rsu.schema.message import Message
from rsu.schema.parking import ParkingState
from rsu.schema.reports import Priority, UplinkReport
from rsu.schema.topics import (
    LINK_HEALTH,
    MACHINE,
    PARKING,
    ROAD_EVENT,
    SENSOR_ALARM,
    SENSOR_HEALTH,
    TRACKS,
    TRAFFIC,
    UNIT_HEALTH,
    UPLINK_REPORT,
    V2X_HEARD,
    V2X_TX,
    Topic,
)
from rsu.schema.tracks import TrackList
from rsu.schema.traffic import TrafficState
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import ReceivedV2x, V2xFrame
from rsu.uplink.documents import (
    Document,
    TrafficSum,
    alarm_document,
    event_document,
    health_document,
    parking_documents,
    track_item,
    utc_text,
)
from rsu.uplink.profiles.base import EVENT_TTL_S, STATE_TTL_S, Due, News, Place, Statement
from rsu.uplink.profiles.table import make_profile

TRACKS_TTL_S = 600.0
"""A summary older than ten minutes helps nobody any more; shorter outages lose none."""
TRACKS_STALE_NS = 2 * NS_PER_S
"""A track list older than this is history, not a summary of the present, and is withheld."""
TRACKS_PER_DOCUMENT = 256
"""With about 400 bytes a track, below the outbox's limit of 131 072 bytes a document."""
EVENT_UPDATE_NS = NS_PER_S  # updates of one event at most this often; onset and end always
MAX_EVENTS = 256  # events remembered for that; forgetting one only lets an update through
MAX_LOTS = 64  # likewise
MAX_ALARMS = 256  # likewise
MAX_SENSORS = 128  # a bound on memory: a site file allows far fewer


class ReportStage:
    """Deterministic maker of upstream reports."""

    name = "reports"
    outputs: tuple[Topic, ...] = (UPLINK_REPORT,)

    def __init__(self, options: UplinkOptions, place: Place, boot: Instant) -> None:
        self._profiles = [make_profile(one, place, boot) for one in options.profiles]
        self.inputs: tuple[Topic, ...] = (
            TRACKS, TRAFFIC, PARKING, ROAD_EVENT, UNIT_HEALTH, SENSOR_HEALTH, SENSOR_ALARM,
            LINK_HEALTH,
            *((V2X_TX,) if any(one.hears_frames for one in self._profiles) else ()),
            *((V2X_HEARD,) if any(one.hears_vehicles for one in self._profiles) else ()),
            *((MACHINE,) if any(one.hears_machine for one in self._profiles) else ()),
        )  # fmt: skip
        periods = (options.tracks_s, options.traffic_s, options.health_s)
        # Ticks of 1 s, finer where a period asks for it, 0.1 s at the finest.
        self.period_ns: int | None = int(max(min(1.0, *periods), 0.1) * NS_PER_S)
        self._site = place.site
        self._frame = place.frame
        self._boot = boot
        self._count = 0
        self._tracks_due = Due(options.tracks_s, boot)
        self._traffic_due = Due(options.traffic_s, boot)
        self._parking_s = options.parking_s
        self._lots: dict[str, tuple[object, int]] = {}  # lot -> what was reported, mono ns
        self._health_due = Due(options.health_s, boot)
        self._tracks: TrackList | None = None
        self._traffic = TrafficSum()
        self._unit: UnitHealth | None = None
        self._sensors: dict[str, SensorHealth] = {}
        self._health_changed = False
        self._link: LinkHealth | None = None
        self._alarms: dict[tuple[str, str, str], SensorAlarm] = {}  # as last reported
        self._updated: dict[int, int] = {}  # event id -> mono ns of its last report

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        """Remember the newest of everything; report road events at once."""
        payload = message.payload
        if isinstance(payload, V2xFrame):
            speaking = (one.frame(payload, now) for one in self._profiles if one.hears_frames)
            return [self._report(each) for said in speaking for each in said]
        if isinstance(payload, ReceivedV2x):
            speaking = (one.heard(payload, now) for one in self._profiles if one.hears_vehicles)
            return [self._report(each) for said in speaking for each in said]
        if isinstance(payload, MachineLoad):
            for profile in self._profiles:
                profile.machine(payload)
            return []
        return self._told(self._take(payload, now), now)

    def _take(self, payload: Any, now: Instant) -> Iterable[News]:
        """Remember it; what is to be told of it at once."""
        news: Iterable[News] = ()
        if isinstance(payload, TrackList):
            self._tracks = payload
        elif isinstance(payload, TrafficState):
            news = self._traffic_report() if self._traffic.precedes(payload) else ()
            self._traffic.add(payload)
        elif isinstance(payload, UnitHealth):
            old = self._unit
            self._unit = payload
            self._health_changed |= old is None or _unit_state(old) != _unit_state(payload)
        elif isinstance(payload, SensorHealth):
            before = self._sensors.get(payload.sensor)
            if before is not None or len(self._sensors) < MAX_SENSORS:
                self._sensors[payload.sensor] = payload
                self._health_changed |= before is None or before.state is not payload.state
        elif isinstance(payload, LinkHealth):
            self._link = payload
        elif isinstance(payload, RoadEvent):
            news = self._event(payload, now)
        elif isinstance(payload, SensorAlarm):
            news = self._alarm(payload)
        elif isinstance(payload, ParkingState):
            news = self._parking(payload, now)
        return news

    def tick(self, now: Instant) -> Iterable[Message]:
        """Emit the summaries that are due."""
        news: list[News] = []
        if self._tracks_due.passed(now):
            news.extend(self._track_summaries(now))
        if self._traffic_due.passed(now):
            news.extend(self._traffic_report())
        if self._health_due.passed(now) or self._health_changed:
            news.extend(self._health(now))
        told = self._told(news, now)
        beats = [self._report(each) for profile in self._profiles for each in profile.tick(now)]
        return [*told, *beats]

    def _told(self, news: Iterable[News], now: Instant) -> list[Message]:
        """News in the words of every profile."""
        return [
            self._report(statement)
            for one in news
            for profile in self._profiles
            for statement in profile.news(one, now)
        ]

    def _track_summaries(self, now: Instant) -> Iterable[News]:
        tracks, self._tracks = self._tracks, None
        if tracks is None or now.utc_ns - tracks.time_ns > TRACKS_STALE_NS:
            return
        everyone = tracks.tracks
        parts = max(1, -(-len(everyone) // TRACKS_PER_DOCUMENT))
        for part in range(parts):
            some = everyone[part * TRACKS_PER_DOCUMENT : (part + 1) * TRACKS_PER_DOCUMENT]
            document = {
                "time_utc": utc_text(tracks.time_ns),
                "age_s": round(max(now.utc_ns - tracks.time_ns, 0) / NS_PER_S, 2),
                "part": part + 1,
                "parts": parts,
                "total": len(everyone),
                "tracks": [track_item(track, self._frame, now.utc_ns) for track in some],
            }
            oldest = min((track.updated_ns for track in some), default=tracks.time_ns)
            yield _news("tracks", Priority.TELEMETRY, TRACKS_TTL_S, oldest, document)

    def _traffic_report(self) -> tuple[News, ...]:
        taken = self._traffic.take()
        if taken is None:
            return ()
        start_ns, document = taken
        return (_news("traffic", Priority.STATE, STATE_TTL_S, start_ns, document),)

    def _parking(self, state: ParkingState, now: Instant) -> Iterable[News]:
        """At once when a bay changes, else every `parking_s`."""
        said = [(bay.bay, bay.status, bay.misuse) for bay in state.bays]
        before, at_ns = self._lots.get(state.lot, (None, 0))
        early = now.mono_ns - at_ns < self._parking_s * NS_PER_S
        if said == before and early and not state.ended:
            return
        if before is None and len(self._lots) >= MAX_LOTS:
            return
        self._lots[state.lot] = (said, now.mono_ns)
        for document in parking_documents(state):
            yield _news("parking", Priority.STATE, STATE_TTL_S, state.time_ns, document)

    def _health(self, now: Instant) -> Iterable[News]:
        self._health_changed = False
        if self._unit is None and not self._sensors:
            return
        sensors = [self._sensors[name] for name in sorted(self._sensors)]
        times = [sensor.time_ns for sensor in sensors]
        if self._unit is not None:
            times.append(self._unit.time_ns)
        document = health_document(self._unit, sensors, now.utc_ns, self._link)
        yield _news("health", Priority.STATE, STATE_TTL_S, min(times), document)

    def _alarm(self, alarm: SensorAlarm) -> Iterable[News]:
        """At its beginning, at its end, and when another sensor is suspected; not when repeated."""
        key = alarm.sensor, alarm.against, alarm.kind.value
        said = self._alarms.pop(key, None)
        if alarm.active:
            self._alarms[key] = alarm
            if said is not None and said.suspect == alarm.suspect:
                return
            if len(self._alarms) > MAX_ALARMS:
                del self._alarms[next(iter(self._alarms))]
        document = alarm_document(alarm)
        yield _news("alarm", Priority.STATE, STATE_TTL_S, alarm.time_ns, document)

    def _event(self, event: RoadEvent, now: Instant) -> Iterable[News]:
        last = self._updated.get(event.id)
        if (
            event.phase is EventPhase.UPDATE
            and last is not None
            and now.mono_ns - last < EVENT_UPDATE_NS
        ):
            return
        self._updated.pop(event.id, None)
        if event.phase is not EventPhase.END:
            self._updated[event.id] = now.mono_ns
            if len(self._updated) > MAX_EVENTS:
                del self._updated[next(iter(self._updated))]
        document = event_document(event, self._frame)
        yield _news("event", Priority.EVENT, EVENT_TTL_S, event.time_ns, document)

    def _report(self, statement: Statement) -> Message:
        """One statement with its id, as the outbox takes it."""
        name = f"{self._site}-{self._boot.utc_ns}-{self._count}"
        self._count += 1
        body = statement.body
        if not isinstance(body, bytes):
            head = {"schema": statement.schema, "id": name, "site": self._site}
            body = msgspec.json.encode(head | body if statement.schema else body)
        report = UplinkReport(
            id=name, subject=statement.topic, priority=statement.priority, ttl_s=statement.ttl_s,
            body=body, content_type=statement.content_type,
        )  # fmt: skip
        return Message.draft(UPLINK_REPORT, self.name, statement.capture_ns, report)


def _news(
    subject: str, priority: Priority, ttl_s: float, capture_ns: int, document: Document
) -> News:
    return News(
        subject=subject, document=document, priority=priority, ttl_s=ttl_s, capture_ns=capture_ns
    )


def _unit_state(unit: UnitHealth) -> tuple[object, ...]:
    """What of the unit's health is worth a report of its own when it changes."""
    processes = tuple((p.name, p.state) for p in unit.processes)
    alarms = tuple((a.kind, a.sensor, a.against, a.suspect) for a in unit.alarms)
    return unit.clock, unit.capability, processes, alarms
