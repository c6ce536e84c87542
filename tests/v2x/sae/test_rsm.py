"""Road safety messages of events that can be checked by hand, on the air and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.config.place import OriginOptions
from rsu.schema.events import EventPhase, RoadEvent, RoadSign
from rsu.schema.units import NS_PER_MS, NS_PER_S, Vec2
from rsu.v2x.sae.rsm import RsmWriter
from rsu.v2x.steps import OutOfRangeError

NEW_YEAR_NS = 1_767_225_600 * NS_PER_S  # 2026-01-01T00:00:00Z
OPERATOR = "1.0.15628.4.1.17.1"


@pytest.fixture
def writer(unit) -> RsmWriter:
    return RsmWriter(unit(), OPERATOR)


def event(**changes: Any) -> RoadEvent:
    values: dict[str, Any] = {
        "id": 0x1_8000_0A0B,
        "kind": "wrong-way",
        "phase": EventPhase.ONSET,
        "code": None,
        "position": Vec2(20.0, -40.0),
        "radius": 30.0,
        "confidence": 0.9,
        "start_ns": NEW_YEAR_NS - 5 * NS_PER_MS,
        "time_ns": NEW_YEAR_NS,
        "itis": 1793,
    }
    return RoadEvent(**{**values, **changes})


@pytest.mark.parametrize("operator", ["", "2", "3.1", "1.40", "1.0.", "2.16.x", " 1.0"])
def test_an_operator_must_be_an_object_identifier(unit, operator: str) -> None:
    with pytest.raises(OutOfRangeError, match="operator"):
        RsmWriter(unit(), operator)


def said(writer: RsmWriter, one: RoadEvent, time_ns: int | None = NEW_YEAR_NS) -> dict[str, Any]:
    return writer.content(0, time_ns, [one], [])


def test_a_wrong_way_driver(writer: RsmWriter, origin: OriginOptions, degrees, on_air) -> None:
    value = said(writer, event(end_ns=NEW_YEAR_NS + 61 * NS_PER_S))
    place = {"referencePoint": degrees(origin, 20.0, -40.0)}
    last = {"year": 2025, "month": 12, "day": 31, "hour": 23, "minute": 59, "second": 59_995}
    assert value == {
        "commonContainer": {
            "eventInfo": {
                "eventID": {"operatorID": {"fullRdAuthID": OPERATOR}, "uniqueID": "80000a0b"},
                "eventUpdate": 0,
                "eventCancellation": False,
                "startDateTime": last,
                "endDateTime": {
                    "year": 2026,
                    "month": 1,
                    "day": 1,
                    "hour": 0,
                    "minute": 1,
                    "second": 1000,
                },
                "causeCode": 7,  # 1793 = 7 · 256 + 1
                "subCauseCode": 1793,
            },
            "regionInfo": [
                {
                    **place,
                    "referencePointType": "arbitrary",
                    "approachRegion": {
                        "broadRegion": {
                            "applicableHeading": {"heading": 0, "tolerance": 180},
                            "broadArea": {
                                "circle": {
                                    "center": place["referencePoint"],
                                    "radius": 300,
                                    "units": "decimeter",
                                }
                            },
                        }
                    },
                }
            ],
        },
        "content": [{"situationalContainer": {"applicableRegion": place}}],
    }
    on_air("RSM", value)


def test_containers(writer: RsmWriter, origin: OriginOptions, degrees, on_air) -> None:
    point = degrees(origin, 20.0, -40.0)
    crash, wreck = said(writer, event(itis=513)), said(writer, event(itis=523))
    assert crash["content"] == [
        {"incidentsContainer": {"incidentLocation": {"referencePoint": point}}}
    ]
    assert wreck["content"] == [
        {
            "situationalContainer": {
                "obstructions": {"location": point, "description": 523},
                "applicableRegion": {"referencePoint": point},
            }
        }
    ]
    on_air("RSM", crash)
    on_air("RSM", wreck)


def test_without_a_clock_no_time_is_stated(writer: RsmWriter, on_air) -> None:
    value = said(writer, event(end_ns=NEW_YEAR_NS), None)
    info = value["commonContainer"]["eventInfo"]
    assert info["startDateTime"] == {}
    assert "endDateTime" not in info
    on_air("RSM", value)


def test_updates_count_changes_of_one_event(writer: RsmWriter) -> None:
    first, moved, other = event(), event(position=Vec2(21.0, -40.0)), event(id=4)
    seen_again = event(time_ns=NEW_YEAR_NS + NS_PER_S)
    updates = [
        said(writer, one)["commonContainer"]["eventInfo"]["eventUpdate"]
        for one in (first, first, seen_again, other, moved, moved, first)
    ]
    assert updates == [0, 0, 0, 0, 1, 1, 2]


def test_an_event_that_ended_is_cancelled(writer: RsmWriter) -> None:
    info = said(writer, event(phase=EventPhase.END))["commonContainer"]["eventInfo"]
    assert info["eventCancellation"] is True


def test_an_event_without_extent_has_no_region_around_it(writer: RsmWriter) -> None:
    (region,) = said(writer, event(radius=0.0))["commonContainer"]["regionInfo"]
    assert set(region) == {"referencePoint", "referencePointType"}


# 7937: a place; 9217, 9729, 9985: vehicles and those who respond.
@pytest.mark.parametrize("itis", [None, 0, 5, 512, 7937, 9217, 9729, 9985, 65_536])
def test_codes_that_name_no_cause_are_not_said(writer: RsmWriter, itis: int | None) -> None:
    assert not writer.speaks_of(event(itis=itis))
    with pytest.raises(OutOfRangeError):
        said(writer, event(itis=itis))


def test_one_event_and_no_sign(writer: RsmWriter) -> None:
    sign = RoadSign(id="s", code=None, position=Vec2(0.0, 0.0), itis=513)
    assert not writer.speaks_of(sign)
    assert (writer.events_max, writer.signs_max) == (1, 0)
    for events, signs in ([], []), ([event(), event()], []), ([event()], [sign]):
        with pytest.raises(OutOfRangeError):
            writer.content(0, NEW_YEAR_NS, events, signs)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    time_ns=st.none() | st.just(NEW_YEAR_NS),
    one=st.builds(
        event,
        id=st.integers(0, 1 << 62),
        phase=st.sampled_from(EventPhase),
        position=st.builds(Vec2, st.floats(-5000, 5000), st.floats(-5000, 5000)),
        radius=st.floats(0, 4095),
        start_ns=st.integers(0, 4_000_000_000 * NS_PER_S),
        end_ns=st.none() | st.integers(0, 4_000_000_000 * NS_PER_S),
        itis=st.integers(257, 65_535),
    ),
)
def test_any_event_it_speaks_of_can_be_said(unit, encode, time_ns, one) -> None:
    writer = RsmWriter(unit(), OPERATOR)
    if writer.speaks_of(one):
        encode("RSM", said(writer, one, time_ns))
