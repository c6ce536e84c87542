"""What the V2X tests share: tracks to state, messages to hand over, and an independent codec."""

from __future__ import annotations

import importlib.util
import math
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from rsu.config.place import OriginOptions
from rsu.config.v2x import V2xOptions
from rsu.config.v2x_csae import CsaeOptions
from rsu.schema.health import Decision
from rsu.schema.message import Header, Message
from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.topics import DECISION, TRACKS, Topic
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant, Size, Vec2
from rsu.schema.v2x import V2xFrame
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap
from rsu.v2x.codec import codec_for
from rsu.v2x.stage import V2xStage
from rsu.v2x.unit import Unit

ORIGIN = OriginOptions(latitude=31.2304, longitude=121.4737, altitude=12.0)
SENSORS = {"north": SensorKind.CAMERA, "south": SensorKind.CAMERA, "mast": SensorKind.RADAR}
FRAME = LocalFrame(ORIGIN.latitude, ORIGIN.longitude, ORIGIN.altitude)
START_NS = 1_750_000_000 * NS_PER_S  # 2025-06-15T15:06:40Z


@pytest.fixture(scope="session")
def start_ns() -> int:
    """A UTC moment, 40 s into its minute, at which scenes begin."""
    return START_NS


@pytest.fixture(scope="session")
def origin() -> OriginOptions:
    return ORIGIN


@pytest.fixture
def unit() -> Callable[..., Unit]:
    """Makes a unit at `ORIGIN`, on a map without lanes unless told otherwise (`site=`)."""

    def make(**changes: Any) -> Unit:
        frame = LocalFrame(ORIGIN.latitude, ORIGIN.longitude, ORIGIN.altitude)
        values = {
            "rsu_id": "00112233aabbccdd",
            "site": SiteMap(frame),
            "antenna_height": 5.0,
            "region": 310,
            "intersection": 7,
            "name": "Example",
            "sensors": SENSORS,
        }
        return Unit(**{**values, **changes})

    return make


@pytest.fixture
def track() -> Callable[..., Track]:
    """Makes a confirmed car at (20, 10), 5 m/s to the north, seen by one camera just now."""

    def make(number: int = 1, **changes: Any) -> Track:
        # Standard deviations of x, y, heading, speed, turn rate.
        stds = changes.pop("stds", (0.3, 0.3, math.radians(2), 0.2, 0.05))
        cov = [0.0] * 15
        for index, std in zip((0, 5, 9, 12, 14), stds, strict=True):
            cov[index] = std * std
        values: dict[str, Any] = {
            "object_class": ObjectClass.CAR,
            "class_probability": 0.9,
            "position": Vec2(20.0, 10.0),
            "heading": math.pi / 2,
            "speed": 5.0,
            "turn_rate": 0.0,
            "covariance": tuple(cov),
            "size": Size(4.5, 1.8, 1.5),
            "existence": 0.99,
            "status": TrackStatus.CONFIRMED,
            "sources": ("north",),
            "born_ns": START_NS - NS_PER_S,
            "updated_ns": START_NS,
        }
        return Track(id=number, **{**values, **changes})

    return make


@pytest.fixture
def tracks_message() -> Callable[..., Message]:
    """Wraps tracks of one moment as fusion publishes them."""

    def make(*tracks: Track, time_ns: int = START_NS) -> Message:
        return Message.draft(TRACKS, "fusion", time_ns, TrackList(time_ns=time_ns, tracks=tracks))

    return make


@pytest.fixture
def options() -> Callable[..., V2xOptions]:
    """V2X options of a unit that trusts its clock unless told otherwise."""

    def make(
        rsm: dict[str, Any] | None = None, csae: dict[str, Any] | None = None, **changes: Any
    ) -> V2xOptions:
        values = {"rsu_id": "00112233AABBCCDD", "trust_clock": True, **changes}
        return V2xOptions(csae=CsaeOptions(**{"rsm": rsm or {}, **(csae or {})}), **values)

    return make


@pytest.fixture
def stage(options: Callable[..., V2xOptions], unit: Callable[..., Unit]) -> Callable[..., V2xStage]:
    """A stage that boots at `start_ns` with monotonic time 0."""

    def make(boot: Instant | None = None, signs: Any = (), **changes: Any) -> V2xStage:
        speaker = unit(**changes.pop("speaker", {}))
        return V2xStage(options(**changes), speaker, boot or Instant(START_NS, 0), signs)

    return make


class Driver:
    """Runs one stage in time from its boot; `said` keeps each frame with its moment in ms."""

    def __init__(self, stage: V2xStage) -> None:
        self.stage = stage
        self.said: list[tuple[int, V2xFrame]] = []
        self.headers: list[Header] = []
        self.decisions: list[Decision] = []
        self._next_tick = 0

    def now(self, ms: int) -> Instant:
        return Instant(START_NS + ms * NS_PER_MS, ms * NS_PER_MS)

    def give(self, topic: Topic, payload: Any, ms: int) -> list[V2xFrame]:
        """What is said to a fact at `ms`, after every tick that was due before it."""
        self.run(ms)
        time_ns = START_NS + ms * NS_PER_MS
        return self._keep(self.stage.handle(Message.draft(topic, "test", time_ns, payload),
                                            self.now(ms)), ms)  # fmt: skip

    def run(self, until_ms: int) -> list[V2xFrame]:
        """Ticks every 100 ms before `until_ms`."""
        frames: list[V2xFrame] = []
        while self._next_tick < until_ms:
            ms, self._next_tick = self._next_tick, self._next_tick + 100
            frames += self._keep(self.stage.tick(self.now(ms)), ms)
        return frames

    def frames(self, message: str, profile: str = "") -> list[V2xFrame]:
        return [
            frame
            for _, frame in self.said
            if frame.message == message and profile in ("", frame.profile)
        ]

    def times(self, message: str) -> list[int]:
        return [ms for ms, frame in self.said if frame.message == message]

    @property
    def reasons(self) -> Counter[tuple[str, str]]:
        """How often each (subject, reason) was noted; merged ones count once they are told."""
        counts: Counter[tuple[str, str]] = Counter()
        for decision in self.decisions:
            counts[decision.subject, decision.reason] += decision.count
        return counts

    def _keep(self, drafts: Iterable[Message], ms: int) -> list[V2xFrame]:
        frames = []
        for draft in drafts:
            assert draft.topic in self.stage.outputs
            if draft.topic == DECISION:
                self.decisions.append(draft.payload)
                continue
            frame = draft.payload
            # Whatever is said can be read, and is what it says it is.
            assert codec_for(frame.profile).decode(frame.payload) == frame.value
            frames.append(frame)
            self.said.append((ms, frame))
            self.headers.append(draft.header)
        return frames


@pytest.fixture
def drive(stage: Callable[..., V2xStage]) -> Callable[..., Driver]:
    """Makes a `Driver` of a stage that `stage` makes of the same arguments."""
    return lambda **changes: Driver(stage(**changes))


@pytest.fixture(scope="session")
def content() -> Callable[[V2xFrame], dict[str, Any]]:
    """The bare content of the message in a frame, of either world."""

    def of(frame: V2xFrame) -> dict[str, Any]:
        # {"rsiFrame": …}, {"messageId": …, "value": {"TravelerInformation": …}}, or the second
        # phase's {"msgFrameExt": {"messageId": …, "value": {"PAMData": …}}}.
        holder = frame.value.get("msgFrameExt", frame.value)
        ((_, value),) = holder.get("value", holder).items()
        assert isinstance(value, dict)
        return value

    return of


@pytest.fixture(scope="session")
def any_value() -> Callable[[str, str], Any]:
    """`any_value(profile, type_name)`: a hypothesis strategy for every value of the type."""
    spec = importlib.util.spec_from_file_location(
        "any_value_of_a_schema", Path(__file__).with_name("any_value.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.any_value
