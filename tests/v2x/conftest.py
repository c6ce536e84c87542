"""What the V2X tests share: tracks to state, messages to hand over, and an independent codec."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rsu.config.place import OriginOptions
from rsu.config.v2x import V2xOptions
from rsu.config.v2x_csae import CsaeOptions
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.topics import TRACKS
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_S, Instant, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap
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
