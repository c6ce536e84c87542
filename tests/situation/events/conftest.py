"""A road with a signalised junction, and somebody who plays tracks on it to the events part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from rsu.config.situation import EventOptions
from rsu.schema.events import RoadEvent
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.topics import SENSOR_HEALTH, SIGNAL_STATE, TRACKS
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_S, Instant, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, LaneRole, Maneuver, SiteMap, Zone, ZoneKind
from rsu.situation.events.part import Events
from rsu.situation.stage import SituationStage

START_NS = 1_767_225_600 * NS_PER_S
LIMIT = 13.89


def _line(*points: tuple[float, float]) -> Any:
    return np.array(points)


# Eastwards: 120 m to a stop line, 30 m of junction, 150 m away from it; north of it one lane back.
SITE = SiteMap(
    LocalFrame(31.0, 121.0),
    (
        Lane("in", LaneKind.VEHICLE, _line((-120, 0), (0, 0)), 3.5, LaneRole.ENTRY,
             speed_limit=LIMIT, successors=("through",), stop_line=120.0),
        Lane("through", LaneKind.VEHICLE, _line((0, 0), (30, 0)), 3.5, LaneRole.CONNECTION,
             Maneuver.STRAIGHT, speed_limit=LIMIT, successors=("out",), signal_group=1),
        Lane("out", LaneKind.VEHICLE, _line((30, 0), (180, 0)), 3.5, LaneRole.EXIT,
             speed_limit=LIMIT),
        Lane("back", LaneKind.VEHICLE, _line((0, 4), (-120, 4)), 3.5, LaneRole.EXIT,
             speed_limit=LIMIT),
        Lane("crossing", LaneKind.CROSSWALK, _line((3, -10), (3, 10)), 4.0),
        Lane("walk", LaneKind.SIDEWALK, _line((-120, -6), (0, -6)), 3.0),
    ),
    (Zone("fire", ZoneKind.FIRE_LANE, _line((-100, -20), (-80, -20), (-80, -10), (-100, -10))),),
)  # fmt: skip


def track(number: int, x: float, y: float, speed: float = 0.0, **more: Any) -> Track:
    """A car seen well (0.3 m, 0.3 m/s) by camera `a`, heading east; `Player` plays it as seen just
    now unless `updated_ns` is given."""
    std, turned = more.pop("std", 0.3), more.pop("heading_std", 0.05)
    east = more.pop("east_std", std)
    cov = np.diag([east**2, std**2, turned**2, more.pop("speed_std", 0.3) ** 2, 0.01])
    values: dict[str, Any] = {
        "object_class": ObjectClass.CAR, "heading": 0.0, "sources": ("a",),
        "size": Size(4.5, 1.8, 1.5), "born_ns": START_NS - 10 * NS_PER_S,
        "class_probability": 0.9, "existence": 0.98, "updated_ns": START_NS, **more,
    }  # fmt: skip
    return Track(
        id=number, position=Vec2(x, y), speed=speed, turn_rate=0.0,
        covariance=tuple(cov[np.triu_indices(5)].tolist()),
        status=TrackStatus.CONFIRMED, **values,
    )  # fmt: skip


class Player:
    """Plays scenes at ten lists a second and keeps the events with the second they were told at.

    Before second 0 the road was empty for `watched_s`.
    """

    track = staticmethod(track)

    def __init__(self, watched_s: float = 21.0, **options: Any) -> None:
        part = Events(EventOptions(**options), SITE, Instant(START_NS, 0))
        self.stage = SituationStage([part], SITE)
        self.events: list[tuple[float, RoadEvent]] = []
        self.light: LightState | None = None
        self.second = -watched_s
        while self.second < 0.0:
            self.tell(())

    def play(self, seconds: float, scene: Callable[[float], Sequence[Track]]) -> Player:
        """Go on for some seconds; `scene` gives the tracks at a second after the start."""
        for _ in range(round(seconds * 10)):
            self.tell(scene(self.second))
        return self

    def tell(self, tracks: Sequence[Track] | None) -> None:
        """One tenth of a second; None: no track list comes."""
        now = self.now
        if self.light is not None:
            state = SignalState(
                controller="c", intersection=1, capture_ns=now.utc_ns,
                groups=(SignalGroup(group=1, light=self.light),),
            )  # fmt: skip
            self.hear(Message.draft(SIGNAL_STATE, "c", now.utc_ns, state))
        if tracks is not None:
            seen = (
                one if one.updated_ns > START_NS else replace(one, updated_ns=now.utc_ns)
                for one in tracks
            )
            listed = TrackList(time_ns=now.utc_ns, tracks=tuple(seen))
            self.hear(Message.draft(TRACKS, "fusion", now.utc_ns, listed))
        self._keep(self.stage.tick(now))
        self.second = round(self.second + 0.1, 3)

    def hear(self, message: Message) -> None:
        """Any other message, now."""
        self._keep(self.stage.handle(message, self.now))

    def health(self, sensor: str, state: SensorState) -> None:
        """A sensor's state."""
        now_ns = self.now.utc_ns
        health = SensorHealth(
            sensor=sensor, kind=SensorKind.CAMERA, state=state, since_ns=now_ns, time_ns=now_ns,
            received=0,
        )  # fmt: skip
        self.hear(Message.draft(SENSOR_HEALTH, sensor, now_ns, health))

    @property
    def now(self) -> Instant:
        """The present."""
        ns = round(self.second * NS_PER_S)
        return Instant(START_NS + ns, 60 * NS_PER_S + ns)

    def told(self, kind: str | None = None) -> list[tuple[float, str]]:
        """(second, phase) of onsets and ends."""
        return [
            (second, str(event.phase))
            for second, event in self.events
            if event.phase != "update" and kind in (None, event.kind)
        ]

    @property
    def kinds(self) -> list[str]:
        """Kinds of all that began, in order."""
        return [event.kind for _, event in self.events if event.phase == "onset"]

    @property
    def last(self) -> RoadEvent:
        """The newest word."""
        return self.events[-1][1]

    def _keep(self, messages: Any) -> None:
        self.events += [(self.second, message.payload) for message in messages]


@pytest.fixture
def player() -> Player:
    return Player()


@pytest.fixture
def make_player() -> type[Player]:
    return Player
