"""A dashboard server on a free loopback port, fed by hand, and messages to feed it with."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from rsu.config.web import WebOptions
from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.health import (
    Capability,
    ClockQuality,
    SensorHealth,
    SensorState,
    UnitHealth,
)
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.topics import (
    ROAD_EVENT,
    SENSOR_HEALTH,
    SIGNAL_STATE,
    TRACKS,
    UNIT_HEALTH,
    Topic,
)
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import Size, Vec2
from rsu.web.desk import Desk
from rsu.web.server import DashboardServer

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

TOKEN = "correct-horse-battery"
SENSORS = {"north": SensorKind.CAMERA, "west": SensorKind.RADAR}
PLACE = {
    "id": "corner", "title": "Test corner", "lights": [], "sensors": [], "signs": [],
    "lanes": [{"id": "in-1", "kind": "vehicle", "role": "entry", "maneuver": None, "width": 3.5,
               "both": False, "group": None, "line": [[-60.0, 0.0], [60.0, 0.0]], "stop": None}],
    "zones": [], "profiles": [], "uplink": False, "recording": False, "radios": [],
}  # fmt: skip


class Teller:
    """Makes messages as the processes of a unit would."""

    def __init__(self) -> None:
        self._seq: dict[str, int] = {}
        self.boot_ns = 1_000

    def message(
        self, topic: Topic, source: str, time_ns: int, payload: msgspec.Struct
    ) -> Message:  # fmt: skip
        seq = self._seq[topic.name] = self._seq.get(topic.name, -1) + 1
        return Message.draft(topic, source, time_ns, payload).stamped(self.boot_ns, seq, time_ns)

    def tracks(self, time_ns: int, *tracks: Track) -> Message:
        return self.message(TRACKS, "fusion", time_ns, TrackList(time_ns=time_ns, tracks=tracks))

    def event(self, time_ns: int, **change: object) -> Message:
        values = {
            "id": 1, "kind": "stopped-vehicle", "phase": EventPhase.ONSET, "code": 406,
            "position": Vec2(10.0, 0.0), "radius": 3.0, "confidence": 0.9, "start_ns": time_ns,
            "time_ns": time_ns, "lanes": ("in-1",), "tracks": (7,),
        } | change  # fmt: skip
        return self.message(ROAD_EVENT, "situation", time_ns, RoadEvent(**values))

    def signals(self, time_ns: int, light: LightState = LightState.RED) -> Message:
        group = SignalGroup(group=1, light=light, likely_end_ns=time_ns + 7_000_000_000)
        state = SignalState(
            controller="box", intersection=1, capture_ns=time_ns, groups=(group,)
        )  # fmt: skip
        return self.message(SIGNAL_STATE, "box", time_ns, state)

    def well(self, time_ns: int) -> list[Message]:
        unit = UnitHealth(
            time_ns=time_ns, clock=ClockQuality.LOCKED, capability=Capability.FULL
        )  # fmt: skip
        sensors = [
            SensorHealth(
                sensor=name, kind=kind, state=SensorState.LIVE, since_ns=time_ns, time_ns=time_ns
            )
            for name, kind in SENSORS.items()
        ]  # fmt: skip
        return [
            self.message(UNIT_HEALTH, "unit", time_ns, unit),
            *(self.message(SENSOR_HEALTH, one.sensor, time_ns, one) for one in sensors),
        ]


def track(number: int, x: float = 0.0, y: float = 0.0, **change: object) -> Track:
    values = {
        "id": number, "object_class": ObjectClass.CAR, "class_probability": 0.9,
        "position": Vec2(x, y), "heading": 0.0, "speed": 10.0, "turn_rate": 0.0,
        "covariance": (4.0, 0, 0, 0, 0, 1.0, 0, 0, 0, 0.01, 0, 0, 0.25, 0, 0.01),
        "size": Size(4.5, 1.8, 1.5), "existence": 0.99, "status": TrackStatus.CONFIRMED,
        "sources": ("north",), "born_ns": 0, "updated_ns": 0,
    } | change  # fmt: skip
    return Track(**values)


@pytest.fixture
def tell() -> Teller:
    return Teller()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator["Chrome"]:
    """One Chromium for all tests of a process."""
    from tests.web.chromium import started

    with started() as driver:
        yield driver


Serve = Callable[..., DashboardServer]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts dashboard servers; they are stopped after the test."""
    started: list[DashboardServer] = []

    def start(
        options: WebOptions | None = None, *, port: int = 0, **more: object
    ) -> DashboardServer:  # fmt: skip
        server = DashboardServer(options or WebOptions(), tmp_path, Desk(PLACE, SENSORS), **more)
        server.port = port
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()
        assert not server.alive


def until(condition: Callable[[], object], timeout_s: float = 20.0, period_s: float = 0.02) -> None:
    """Wait for a condition; fails when it does not come true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(period_s)
