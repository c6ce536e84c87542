"""A warning of a conflict on the air: an event like others where it has a code, and its road users
first everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from rsu.config.v2x_sae import SaeOptions
from rsu.schema.events import Conflict, EventPhase, RoadEvent
from rsu.schema.sensing import ObjectClass
from rsu.schema.topics import ROAD_EVENT, TRACKS
from rsu.schema.tracks import Track, TrackList
from rsu.schema.units import Vec2

PERSON, CAR = 500, 501


def warning(start_ns: int, code: int | None = None, itis: int | None = None) -> RoadEvent:
    place = Vec2(10.0, 5.0)
    return RoadEvent(
        id=1, kind="vru-warning", phase=EventPhase.ONSET, code=code, itis=itis, position=place,
        radius=5.0, confidence=0.8, start_ns=start_ns, time_ns=start_ns, tracks=(CAR, PERSON),
        conflict=Conflict(
            tracks=(CAR, PERSON), time_to_conflict_s=1.9, probability=0.8,
            required_deceleration=3.0, point=place,
        ),
    )  # fmt: skip


def test_with_codes_by_agreement_it_is_told_in_both_worlds_else_withheld(
    drive: Callable[..., Any], start_ns: int
) -> None:
    told = drive(sae={}).give(ROAD_EVENT, warning(start_ns, code=65000, itis=2049), 0)
    assert {frame.message for frame in told} == {"RSI", "TIM"}
    silent = drive(sae={})
    assert silent.give(ROAD_EVENT, warning(start_ns), 0) == []
    assert silent.reasons["event:1", "no_code"] == 1  # both say so of one event


def test_who_is_warned_of_comes_first_in_every_message(
    drive: Callable[..., Any], track: Callable[..., Track], start_ns: int
) -> None:
    some = {"max_frames": 1}
    unit = drive(
        rsm=some,
        csae={"profile": "csae157_2020", "ssm": {"enabled": True, "aid": 3626, **some}},
        sae=SaeOptions(sdsm=some, psm={"enabled": True, "rate_hz": 10.0, **some}),
    )
    near = [track(i, position=Vec2(2.0 * i, 0.0)) for i in range(1, 60)]
    person = track(PERSON, position=Vec2(120.0, 80.0), object_class=ObjectClass.PEDESTRIAN)
    car = track(CAR, position=Vec2(150.0, 90.0))
    unit.give(ROAD_EVENT, warning(start_ns), 0)
    tracks = tuple(
        msgspec.structs.replace(one, updated_ns=start_ns) for one in (*near, person, car)
    )
    frames = unit.give(TRACKS, TrackList(time_ns=start_ns, tracks=tracks), 0)
    first = {frame.message: set(frame.subjects[:2]) for frame in reversed(frames)}
    assert first["RSM"] == first["SSM"] == first["SDSM"] == {CAR, PERSON}
    assert first["PSM"] == {PERSON}
