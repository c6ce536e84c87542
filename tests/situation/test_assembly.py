"""All parts together: whatever the road and whoever is on it, nothing breaks and nothing is odd."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.situation import SituationOptions
from rsu.schema.message import Message
from rsu.schema.sensing import ObjectClass
from rsu.schema.topics import TRACKS
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.units import NS_PER_S, Instant, Size, Vec2
from rsu.site.features import LaneKind, LaneRole, ZoneKind
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, SiteMap, Zone
from rsu.situation.assembly import situation_stage

START_NS = 1_767_225_600 * NS_PER_S
FRAME = LocalFrame(31.0, 121.0)
KINDS = ["vru-warning", "collision-warning", "rear-end-warning", "red-light-warning"]
OPTIONS = SituationOptions.model_validate({"warnings": {"enabled": True, "kinds": KINDS}})


def lane(
    name: str, *points: tuple[float, float], kind: LaneKind = LaneKind.VEHICLE, **more
) -> Lane:  # type: ignore[no-untyped-def]
    return Lane(name, kind, np.array(points), 3.5, speed_limit=13.9, **more)


def square(name: str, kind: ZoneKind, x: float, **more: str) -> Zone:
    ring = np.array([(x, 5.0), (x + 2.5, 5.0), (x + 2.5, 10.0), (x, 10.0)])
    return Zone(name, kind, ring, **more)


MAPS = {
    "nothing": SiteMap(FRAME),
    "footway": SiteMap(FRAME, (lane("walk", (0, 0), (50, 0), kind=LaneKind.SIDEWALK),)),
    "junction": SiteMap(
        FRAME,
        (
            lane("in", (-60, 0), (-5, 0), role=LaneRole.ENTRY, successors=("over",),
                 stop_line=54.0),
            lane("over", (-5, 0), (5, 0), role=LaneRole.CONNECTION, signal_group=1,
                 successors=("out",)),
            lane("out", (5, 0), (60, 0), role=LaneRole.EXIT),
            lane("cross", (0, -8), (0, 8), kind=LaneKind.CROSSWALK),
        ),
    ),
    "lot": SiteMap(
        FRAME,
        (lane("aisle", (-20, 2), (20, 2), kind=LaneKind.PARKING_AISLE),),
        (
            square("b1", ZoneKind.BAY, 0.0, lot="l", lane="aisle"),
            square("b2", ZoneKind.BAY, 2.5, lot="l", lane="aisle"),
            square("fire", ZoneKind.FIRE_LANE, 9.0),
        ),
    ),
}  # fmt: skip

places = st.floats(-70.0, 70.0)
road_users = st.builds(
    lambda x, y, heading, speed, sure, kind: (x, y, heading, speed, sure, kind),
    places, st.floats(-12.0, 12.0), st.floats(-math.pi, math.pi), st.floats(0.0, 30.0),
    st.sampled_from((0.05, 1.8)), st.sampled_from(list(ObjectClass)),
)  # fmt: skip


def track(number: int, user: tuple, second: float) -> Track:  # type: ignore[type-arg]
    x, y, heading, speed, sure, kind = user
    way = speed * second
    cov = np.diag([0.2, 0.2, sure**2, 0.1, 0.01])
    return Track(
        id=number, object_class=kind, class_probability=0.9,
        position=Vec2(x + way * math.cos(heading), y + way * math.sin(heading)), heading=heading,
        speed=speed, turn_rate=0.0, covariance=tuple(cov[np.triu_indices(5)].tolist()),
        size=Size(4.5, 1.8, 1.5), existence=0.99, status=TrackStatus.CONFIRMED,
        sources=("north",), born_ns=START_NS, updated_ns=START_NS + round(second * NS_PER_S),
    )  # fmt: skip


def play(site: SiteMap, users: list, steps: int, step_s: float) -> list[Message]:  # type: ignore[type-arg]
    stage = situation_stage(OPTIONS, site, Instant(START_NS, NS_PER_S))
    out: list[Message] = []
    for number in range(steps):
        second = number * step_s
        ns = round(second * NS_PER_S)
        now = Instant(START_NS + ns, NS_PER_S + ns)
        tracks = tuple(track(i + 1, user, second) for i, user in enumerate(users))
        payload = TrackList(time_ns=now.utc_ns, tracks=tracks)
        out += stage.handle(Message.draft(TRACKS, "fusion", now.utc_ns, payload), now)
        out += stage.tick(now)
    return out


@pytest.mark.parametrize("name", MAPS)
@settings(max_examples=5)
@given(users=st.lists(road_users, max_size=6), step_s=st.sampled_from((0.1, 0.5, 3.0)))
def test_no_road_user_breaks_it(name: str, users: list, step_s: float) -> None:  # type: ignore[type-arg]
    for message in play(MAPS[name], users, 16, step_s):
        # JSON knows no NaN: what encodes and comes back the same is finite throughout.
        told = msgspec.json.encode(message.payload)
        assert msgspec.json.decode(told, type=type(message.payload)) == message.payload
        assert message.topic.payload is type(message.payload)


def test_an_empty_road_is_told_as_empty() -> None:
    kinds = {type(message.payload).__name__ for message in play(MAPS["junction"], [], 30, 0.5)}
    assert "TrafficState" in kinds
    assert "RoadEvent" not in kinds
