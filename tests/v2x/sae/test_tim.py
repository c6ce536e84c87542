"""TIM values of events and signs that can be checked by hand, on the air and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.config.place import OriginOptions
from rsu.schema.events import EventPhase, RoadEvent, RoadSign
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.features import Direction, LaneKind
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, SiteMap
from rsu.v2x.sae.tim import FRAMES, TimWriter
from rsu.v2x.steps import OutOfRangeError

MINUTE_NS = 60 * NS_PER_S
NEW_YEAR_NS = 1_767_225_600 * NS_PER_S  # 2026-01-01T00:00:00Z
DAYS = 31 + 28 + 31 + 30 + 31 + 15 - 1  # before 15 June 2025
START_MINUTE = DAYS * 1440 + 15 * 60 + 6  # of 2025-06-15T15:06:40Z
ALL = {"bits": "1" * 16}


def line(*points: tuple[float, float]) -> Any:
    return np.array(points)


SITE = SiteMap(
    LocalFrame(31.2304, 121.4737, 12.0),
    (
        Lane("north", LaneKind.VEHICLE, line((2, -80), (2, -20), (5, -10)), 3.5),
        Lane("path", LaneKind.BIKE, line((-30, 0), (-20, 0)), 2.0, direction=Direction.BOTH),
        Lane("long", LaneKind.VEHICLE, line((0, 0), (1000, 0)), 3.5),
        *(Lane(f"l{i}", LaneKind.VEHICLE, line((i, 0), (i, 9)), 3.0) for i in range(17)),
    ),
)


@pytest.fixture
def writer(unit) -> TimWriter:
    return TimWriter(unit(site=SITE))


def event(**changes: Any) -> RoadEvent:
    values: dict[str, Any] = {
        "id": 1,
        "kind": "accident",
        "phase": EventPhase.ONSET,
        "code": None,
        "position": Vec2(20.0, -40.0),
        "radius": 12.32,
        "confidence": 0.9,
        "start_ns": 1_750_000_000 * NS_PER_S,
        "time_ns": 1_750_000_000 * NS_PER_S,
        "itis": 513,
        "severity": 5,
    }
    return RoadEvent(**{**values, **changes})


def sign(**changes: Any) -> RoadSign:
    values: dict[str, Any] = {"id": "s", "code": None, "position": Vec2(-8.0, 15.0), "itis": 7186}
    return RoadSign(**{**values, **changes})


def frame(writer: TimWriter, fact: RoadEvent | RoadSign, time_ns: int | None) -> dict[str, Any]:
    events, signs = ([fact], []) if isinstance(fact, RoadEvent) else ([], [fact])
    (value,) = writer.content(0, time_ns, events, signs)["dataFrames"]
    assert isinstance(value, dict)
    return value


def test_an_event_on_a_lane_one_beside_it_and_a_sign(
    writer: TimWriter, origin: OriginOptions, start_ns: int, degrees, on_air
) -> None:
    time_ns = start_ns + 90 * NS_PER_S  # 15:08:10
    value = writer.content(
        82,
        time_ns,
        [
            event(lanes=("north", "elsewhere"), description="Crash", end_ns=start_ns + MINUTE_NS),
            event(id=2, itis=4868, severity=0),
        ],
        [sign(lanes=("path",), description="Curve ahead", severity=2)],
    )
    at_event, at_sign = degrees(origin, 20.0, -40.0), degrees(origin, -8.0, 15.0)
    zeros = {f"doNotUse{index}": 0 for index in range(1, 5)}
    assert value == {
        "msgCnt": 82,
        "timeStamp": START_MINUTE + 2,
        "dataFrames": [
            {
                **zeros,
                "frameType": "advisory",
                "msgId": {
                    "roadSignID": {
                        "position": at_event,
                        "viewAngle": ALL,
                        "mutcdCode": "warning",
                    }
                },
                "startYear": 2025,
                "startTime": START_MINUTE,
                "durationTime": 2,  # from 15:06 until 15:07:40, up to 15:08
                "priority": 5,
                "regions": [
                    {
                        "anchor": degrees(origin, 2.0, -80.0),
                        "laneWidth": 350,
                        "directionality": "forward",
                        "closedPath": False,
                        # Due north, then 3 m east on 10 m north: 16.7°, the same slice.
                        "direction": {"bits": "1" + "0" * 15},
                        "description": {
                            "path": {
                                "offset": {
                                    "xy": {
                                        "nodes": [
                                            {"delta": {"node-XY1": {"x": 0, "y": 0}}},
                                            {"delta": {"node-XY5": {"x": 0, "y": 6000}}},
                                            {"delta": {"node-XY2": {"x": 300, "y": 1000}}},
                                        ]
                                    }
                                }
                            }
                        },
                    }
                ],
                "content": {"advisory": [{"item": {"itis": 513}}, {"item": {"text": "Crash"}}]},
            },
            {
                **zeros,
                "frameType": "advisory",
                "msgId": {
                    "roadSignID": {
                        "position": at_event,
                        "viewAngle": ALL,
                        "mutcdCode": "warning",
                    }
                },
                "startYear": 2025,
                "startTime": START_MINUTE,
                "durationTime": 4,  # no end is known: from 15:06 until 15:09:10, up to 15:10
                "priority": 0,
                "regions": [
                    {
                        "anchor": at_event,
                        "directionality": "both",
                        "closedPath": True,
                        "description": {
                            "geometry": {
                                "direction": ALL,
                                "circle": {
                                    "center": at_event,
                                    "radius": 124,  # 12.32 m, nothing falls out
                                    "units": "decimeter",
                                },
                            }
                        },
                    }
                ],
                "content": {"advisory": [{"item": {"itis": 4868}}]},
            },
            {
                **zeros,
                "frameType": "roadSignage",
                # Read by those who drive east (slice 4: 90.0 to 112.5°) and west (slice 12).
                "msgId": {
                    "roadSignID": {
                        "position": at_sign,
                        "viewAngle": {"bits": "0000100000001000"},
                    }
                },
                "startYear": 2025,
                "startTime": 0,
                "durationTime": 32_000,
                "priority": 2,
                "regions": [
                    {
                        "anchor": degrees(origin, -30.0, 0.0),
                        "laneWidth": 200,
                        "directionality": "both",
                        "closedPath": False,
                        "direction": {"bits": "0000100000001000"},
                        "description": {
                            "path": {
                                "offset": {
                                    "xy": {
                                        "nodes": [
                                            {"delta": {"node-XY1": {"x": 0, "y": 0}}},
                                            {"delta": {"node-XY2": {"x": 1000, "y": 0}}},
                                        ]
                                    }
                                }
                            }
                        },
                    }
                ],
                "content": {
                    "genericSign": [{"item": {"itis": 7186}}, {"item": {"text": "Curve ahead"}}]
                },
            },
        ],
    }
    on_air("TIM", value)


def test_without_a_clock_no_time_is_stated(writer: TimWriter, on_air) -> None:
    value = writer.content(0, None, [event()], [sign()])
    on_air("TIM", value)
    assert "timeStamp" not in value
    for one, duration in zip(value["dataFrames"], (1, 32_000), strict=True):
        assert "startYear" not in one
        assert (one["startTime"], one["durationTime"]) == (527_040, duration)


@pytest.mark.parametrize(
    ("times", "said"),
    [
        # Across the year end the window belongs to the year it begins in.
        ({"start_ns": NEW_YEAR_NS - 1, "end_ns": NEW_YEAR_NS + 1}, (2025, 525_599, 2)),
        ({"start_ns": NEW_YEAR_NS, "end_ns": NEW_YEAR_NS + MINUTE_NS}, (2026, 0, 1)),
        ({"start_ns": None, "end_ns": None}, (2026, 0, 32_000)),
        # 22 days and more: the window begins now, and is 31999 min at most.
        (
            {"start_ns": NEW_YEAR_NS, "end_ns": NEW_YEAR_NS + 40_000 * MINUTE_NS},
            (2026, 10_000, 30_000),
        ),
        (
            {"start_ns": NEW_YEAR_NS, "end_ns": NEW_YEAR_NS + 32_000 * MINUTE_NS},
            (2026, 10_000, 22_000),
        ),
        (
            {"start_ns": NEW_YEAR_NS, "end_ns": NEW_YEAR_NS + 60_000 * MINUTE_NS},
            (2026, 10_000, 31_999),
        ),
    ],
)
def test_times_of_a_sign(writer: TimWriter, times: Any, said: tuple[int, int, int]) -> None:
    value = frame(writer, sign(**times), NEW_YEAR_NS + 10_000 * MINUTE_NS)
    assert (value["startYear"], value["startTime"], value["durationTime"]) == said


def test_an_event_of_weeks_without_an_end_goes_on_from_now(writer: TimWriter) -> None:
    value = frame(writer, event(start_ns=NEW_YEAR_NS), NEW_YEAR_NS + 50_000 * MINUTE_NS)
    assert (value["startTime"], value["durationTime"]) == (50_000, 1)


def test_parts_of_the_road_that_do_not_fit(writer: TimWriter, start_ns: int, on_air) -> None:
    many = frame(writer, event(lanes=tuple(f"l{i}" for i in range(17))), start_ns)
    assert "geometry" in many["regions"][0]["description"]  # 17 paths: the circle says all
    nowhere = frame(writer, event(radius=0.0), start_ns)
    assert set(nowhere["regions"][0]) == {"anchor"}
    far = frame(writer, event(lanes=("long",)), start_ns)
    nodes = far["regions"][0]["description"]["path"]["offset"]["xy"]["nodes"]
    steps = [next(iter(node["delta"].values()))["x"] for node in nodes]
    assert steps == [0, 25_000, 25_000, 25_000, 25_000]  # 1000 m in offsets of at most 320 m
    on_air("TIM", writer.content(0, start_ns, [event(lanes=("long",)), event(radius=0.0)], []))


@pytest.mark.parametrize(
    ("radius", "said"),
    [
        (409.5, (4095, "decimeter")),
        (409.51, (410, "meter")),
        (4095.0, (4095, "meter")),
    ],
)
def test_radius(writer: TimWriter, start_ns: int, radius: float, said: tuple[int, str]) -> None:
    region = frame(writer, event(radius=radius), start_ns)["regions"][0]
    circle = region["description"]["geometry"]["circle"]
    assert (circle["radius"], circle["units"]) == said


@pytest.mark.parametrize("words", ["", "Straßensperre", "  ", "x" * 501])
def test_text_that_is_none_or_cannot_be_carried_is_left_out(
    writer: TimWriter, start_ns: int, words: str
) -> None:
    said = frame(writer, event(description=words), start_ns)["content"]
    assert said == {"advisory": [{"item": {"itis": 513}}]}


def test_what_it_speaks_of(writer: TimWriter) -> None:
    assert writer.speaks_of(event())
    assert writer.speaks_of(sign(itis=65_535))
    for itis in (None, 0, 65_536):
        assert not writer.speaks_of(event(itis=itis))
        assert not writer.speaks_of(sign(itis=itis))


@pytest.mark.parametrize(
    "change",
    [{"itis": None}, {"severity": 8}, {"radius": 4096.0}, {"radius": float("nan"), "severity": 9}],
)
def test_what_it_cannot_carry_is_refused(writer: TimWriter, start_ns: int, change: Any) -> None:
    with pytest.raises(OutOfRangeError):
        frame(writer, event(**change), start_ns)


def test_list_sizes(writer: TimWriter, start_ns: int, on_air) -> None:
    on_air("TIM", writer.content(127, start_ns, [event()] * 4, [sign()] * (FRAMES - 4)))
    for events, signs in ([], []), ([event()] * 5, [sign()] * 4):
        with pytest.raises(OutOfRangeError):
            writer.content(0, start_ns, events, signs)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, 50_000_000),
    lasts=st.integers(0, 1_900_000),
    after=st.integers(-1_000_000, 1_900_000),
)
def test_the_window_covers_the_event(unit, start: int, lasts: int, after: int) -> None:
    start_ns = NEW_YEAR_NS + start * NS_PER_S
    end_ns = start_ns + lasts * NS_PER_S
    one = event(start_ns=start_ns, end_ns=end_ns)
    value = frame(TimWriter(unit(site=SITE)), one, start_ns + after * NS_PER_S)
    years = {2026: NEW_YEAR_NS, 2027: NEW_YEAR_NS + 365 * 1440 * MINUTE_NS}
    first = years[value["startYear"]] + value["startTime"] * MINUTE_NS
    last = first + value["durationTime"] * MINUTE_NS
    assert 0 <= start_ns - first < MINUTE_NS
    assert 0 <= last - end_ns < MINUTE_NS


moments = st.integers(0, 4_000_000_000 * NS_PER_S)
coordinates = st.builds(Vec2, st.floats(-5000, 5000), st.floats(-5000, 5000))
lanes = st.lists(st.sampled_from(["north", "path", "long", "l0", "gone"]), max_size=4).map(tuple)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    time_ns=st.none() | moments,
    told=st.builds(
        event,
        position=coordinates,
        radius=st.floats(0, 4095),
        start_ns=moments,
        end_ns=st.none() | st.integers(4_000_000_000, 4_100_000_000).map(lambda s: s * NS_PER_S),
        itis=st.integers(1, 65_535),
        severity=st.integers(0, 7),
        lanes=lanes,
        description=st.text(),
    ),
    stands=st.builds(
        sign,
        position=coordinates,
        start_ns=st.none() | moments,
        itis=st.integers(1, 65_535),
        lanes=lanes,
        description=st.text(),
    ),
)
def test_any_facts_in_range_can_be_said(unit, encode, time_ns, told, stands) -> None:
    encode("TIM", TimWriter(unit(site=SITE)).content(1, time_ns, [told], [stands]))
