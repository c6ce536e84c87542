"""Evidence by name: the looks that a road event began with."""

from __future__ import annotations

from collections.abc import Iterable

from rsu.schema.events import EventPhase, RoadEvent, Snapshot
from rsu.schema.message import Message
from rsu.schema.sensing import CameraDetections, ObjectClass, RadarObjects
from rsu.schema.topics import CAMERA_DETECTIONS, RADAR_OBJECTS, ROAD_EVENT, TRACKS, Topic
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap
from rsu.situation.picture import Picture
from rsu.situation.snapshots import LOOKED_NS, LOOKS_KEPT, MOST_SENSORS, Snapshots
from rsu.situation.stage import SituationStage

START_NS = 1_735_689_600 * NS_PER_S
EMPTY = SiteMap(LocalFrame(31.0, 121.0, 0.0))


def at(ms: float) -> int:
    return START_NS + round(ms * NS_PER_MS)


def now(ms: float) -> Instant:
    return Instant(at(ms), round(ms * NS_PER_MS))


def frame(sensor: str, number: int, ms: float) -> CameraDetections:
    return CameraDetections(
        sensor=sensor, frame=number, capture_ns=at(ms), image_width=640, image_height=384,
        detections=(),
    )  # fmt: skip


def track(number: int, *sources: str) -> Track:
    return Track(
        id=number, object_class=ObjectClass.CAR, class_probability=1.0, position=Vec2(0.0, 0.0),
        heading=0.0, speed=0.0, turn_rate=0.0, covariance=(0.1,) * 15, size=Size(4.0, 2.0, 1.5),
        existence=1.0, status=TrackStatus.CONFIRMED, sources=sources, born_ns=at(0),
        updated_ns=at(0),
    )  # fmt: skip


def event(phase: EventPhase, *tracks: int, number: int = 1) -> RoadEvent:
    return RoadEvent(
        id=number, kind="stopped-vehicle", phase=phase, code=None, position=Vec2(0.0, 0.0),
        radius=5.0, confidence=0.9, start_ns=at(0), time_ns=at(1000), tracks=tracks,
    )  # fmt: skip


class Teller:
    """A part that says at each list what it was given to say."""

    topics: tuple[Topic, ...] = ()
    outputs: tuple[Topic, ...] = (ROAD_EVENT,)

    def __init__(self) -> None:
        self.next: list[RoadEvent] = []

    def follow(self, picture: Picture, now: Instant) -> Iterable[Message]:
        said, self.next = self.next, []
        return [Message.draft(ROAD_EVENT, "situation", one.time_ns, one) for one in said]

    def hear(self, message: Message, now: Instant) -> Iterable[Message]:
        return []

    def tick(self, now: Instant) -> Iterable[Message]:
        return []

    def begin_anew(self, now: Instant) -> Iterable[Message]:
        return []


class Unit:
    """The stage with one part."""

    def __init__(self) -> None:
        self.teller = Teller()
        self.stage = SituationStage([self.teller], EMPTY)

    def sees(self, payload: CameraDetections | RadarObjects) -> None:
        topic = CAMERA_DETECTIONS if isinstance(payload, CameraDetections) else RADAR_OBJECTS
        message = Message.draft(topic, payload.sensor, payload.capture_ns, payload)
        assert list(self.stage.handle(message, now(0))) == []

    def tells(self, ms: float, tracks: tuple[Track, ...], *said: RoadEvent) -> list[RoadEvent]:
        self.teller.next = list(said)
        message = Message.draft(TRACKS, "fusion", at(ms), TrackList(time_ns=at(ms), tracks=tracks))
        return [one.payload for one in self.stage.handle(message, now(ms))]


def test_an_event_names_the_newest_look_of_each_sensor_behind_it_for_its_life() -> None:
    unit = Unit()
    for number in range(3):
        unit.sees(frame("north", 7 + number, 800 + 100 * number))
    unit.sees(frame("south", 70, 940))
    unit.sees(RadarObjects(sensor="west", cycle=5, capture_ns=at(950), objects=()))
    seen = (track(1, "north", "west"), track(2, "south"))
    (told,) = unit.tells(950, seen, event(EventPhase.ONSET, 1))
    assert told.snapshots == (
        Snapshot(sensor="north", number=8, capture_ns=at(900)),  # 9 is later than the list
        Snapshot(sensor="west", number=5, capture_ns=at(950)),
    )
    unit.sees(frame("north", 20, 2000))
    (update,) = unit.tells(2000, seen, event(EventPhase.UPDATE, 1, 2))
    (end,) = unit.tells(3000, seen, event(EventPhase.END, 1, 2))
    assert update.snapshots == end.snapshots == told.snapshots
    # The number may be another event's by now: nothing is left of the first.
    (again,) = unit.tells(9000, seen, event(EventPhase.UPDATE, 1))
    assert again.snapshots == ()


def test_what_was_seen_long_ago_or_by_nobody_known_is_no_evidence() -> None:
    unit = Unit()
    unit.sees(frame("north", 1, 0))
    late = (LOOKED_NS + NS_PER_MS) / NS_PER_MS
    (told,) = unit.tells(late, (track(1, "north", "v2x"),), event(EventPhase.ONSET, 1))
    assert told.snapshots == ()
    unit.sees(frame("north", 2, late))
    (told,) = unit.tells(2 * late, (), event(EventPhase.ONSET, 1, number=2))
    assert told.snapshots == ()


def test_after_the_clock_was_set_back_looks_from_before_do_not_count() -> None:
    unit = Unit()
    unit.tells(60_000, ())
    unit.sees(frame("north", 600, 59_990))
    unit.sees(frame("north", 601, 1_000))
    (told,) = unit.tells(1_000, (track(1, "north"),), event(EventPhase.ONSET, 1))
    assert told.snapshots == ()
    unit.sees(frame("north", 602, 1_100))
    (told,) = unit.tells(1_100, (track(1, "north"),), event(EventPhase.ONSET, 1, number=2))
    assert [one.number for one in told.snapshots] == [602]


def test_what_is_kept_is_bounded() -> None:
    snapshots = Snapshots()
    for number in range(2 * MOST_SENSORS):
        for count in range(2 * LOOKS_KEPT):
            snapshots.hear(frame(f"camera-{number}", count, count))
    assert len(snapshots._looks) == MOST_SENSORS
    assert max(len(looks) for looks in snapshots._looks.values()) == LOOKS_KEPT
