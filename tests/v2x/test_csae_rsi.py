"""RSI of events and signs that can be checked by hand, and its reading by another codec."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.schema.events import EventOrigin, EventPhase, RoadEvent, RoadSign
from rsu.schema.units import NS_PER_S, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, LaneKind, SiteMap
from rsu.v2x.csae.rsi import RsiWriter, ShortIds
from rsu.v2x.csae.units import OutOfRangeError

PROFILES = ("csae53_2020", "csae157_2020")
MINUTE = 60 * NS_PER_S
DAY = 1440 * MINUTE


def utc(*fields: int) -> int:
    return int(datetime(*fields, tzinfo=UTC).timestamp()) * NS_PER_S


NOW = utc(2025, 1, 1, 0, 3, 20)


def lane(name: str, line: Any, **changes: Any) -> Lane:
    return Lane(name, LaneKind.VEHICLE, np.array(line, dtype=float), 3.5, **changes)


def link(number: int, up: int = 13, down: int = 7) -> dict[str, int]:
    return {"upstream_node": up, "downstream_node": down, "lane_id": number}


LANES = (
    lane("in-1", [(2, -60), (2, -30), (2, -10)], **link(1)),
    lane("in-2", [(6, -60), (6, -10)], **link(2)),
    lane("out-1", [(2, 10), (40, 60)], **link(15, 7, 12)),
    lane("out-16", [(9, 10), (49, 60)], **link(16, 7, 12)),
    lane("turn", [(2, -10), (2, 10)]),
    # Bends by 2 m at every vertex: 32 points are not enough even to within 1 m.
    lane("saw", [(y % 2 * 4, y) for y in range(40)]),
    *(lane(f"many-{n}", [(n, 0), (n, 50)], **link(1, 100 + n, 7)) for n in range(17)),
)


@pytest.fixture
def writer(unit, origin) -> RsiWriter:
    frame = LocalFrame(origin.latitude, origin.longitude, origin.altitude)
    return RsiWriter(unit(site=SiteMap(frame, LANES)))


@pytest.fixture
def point(origin, metres_to_steps):
    """PositionOffsetLLV of a point near the origin, in the smallest alternative."""

    def make(x: float, y: float) -> dict[str, Any]:
        lon, lat = metres_to_steps(x, y, origin.latitude, origin.altitude)
        wide = not -2048 <= min(lon, lat) <= max(lon, lat) <= 2047
        return {"offsetLL": {"position-LL2" if wide else "position-LL1": {"lon": lon, "lat": lat}}}

    return make


def event(number: int = 300, **changes: Any) -> RoadEvent:
    values = {
        "kind": "accident",
        "phase": EventPhase.ONSET,
        "code": 101,
        "position": Vec2(2.0, -30.0),
        "radius": 0.0,
        "confidence": 0.75,
        "start_ns": NOW - 30 * NS_PER_S,
        "time_ns": NOW,
        **changes,
    }
    return RoadEvent(id=number, **values)


def sign(name: str = "s1", **changes: Any) -> RoadSign:
    return RoadSign(id=name, **{"code": 15, "position": Vec2(6.0, -40.0), **changes})


def said_event(writer: RsiWriter, one: RoadEvent, time_ns: int | None = NOW) -> dict[str, Any]:
    return writer.content(0, time_ns, [one], [])["rtes"][0]


def test_scene_of_an_accident_and_a_sign(writer: RsiWriter, point, said) -> None:
    accident = event(
        radius=12.34,
        lanes=("in-1", "in-2", "turn", "out-1"),
        severity=5,
        description="交通事故",
        end_ns=NOW + 45 * MINUTE,
    )
    limit = sign(severity=2, description="school zone", lanes=("in-2",))
    value = writer.content(17, NOW, [accident], [limit])

    def path(*points: tuple[float, float]) -> dict[str, Any]:
        return {"activePath": [point(x, y) for x, y in points], "pathRadius": 18}

    def node(number: int) -> dict[str, int]:
        return {"region": 310, "id": number}

    assert value == {
        "msgCnt": 17,
        "moy": 3,
        "id": "00112233aabbccdd",
        "refPos": {"lat": 312_304_000, "long": 1_214_737_000, "elevation": 120},
        "rtes": [
            {
                "rteId": 44,  # 300 - 256
                "eventType": 101,
                "eventSource": "detection",
                "eventPos": point(2.0, -30.0),
                "eventRadius": 123,
                "description": {"textGB2312": "bdbbcda8cac2b9ca"},
                # Began at 00:02:50, is expected to end at 00:48:20.
                "timeDetails": {"startTime": 2, "endTime": 48},
                "priority": "a0",  # 101 00000
                "referencePaths": [
                    path((2, -60), (2, -10)),
                    path((6, -60), (6, -10)),
                    path((2, -10), (2, 10)),
                    path((2, 10), (40, 60)),
                ],
                "referenceLinks": [
                    {
                        "upstreamNodeId": node(13),
                        "downstreamNodeId": node(7),
                        "referenceLanes": {"bits": "0110000000000000"},
                    },
                    {
                        "upstreamNodeId": node(7),
                        "downstreamNodeId": node(12),
                        "referenceLanes": {"bits": "0000000000000001"},
                    },
                ],
                "eventConfidence": 150,
            }
        ],
        "rtss": [
            {
                "rtsId": zlib.crc32(b"s1") % 256,
                "signType": 15,
                "signPos": point(6.0, -40.0),
                "description": {"textString": "school zone"},
                "priority": "40",
                "referencePaths": [path((6, -60), (6, -10))],
                "referenceLinks": [
                    {
                        "upstreamNodeId": node(13),
                        "downstreamNodeId": node(7),
                        "referenceLanes": {"bits": "0010000000000000"},
                    }
                ],
            }
        ],
    }
    for profile in PROFILES:
        said(profile, "RSI", value)


def test_what_is_not_known_is_left_out(writer: RsiWriter, said) -> None:
    value = writer.content(0, None, [event(lanes=("elsewhere",))], [sign(start_ns=NOW)])
    assert set(value) == {"msgCnt", "id", "refPos", "rtes", "rtss"}
    assert set(value["rtes"][0]) == {
        "rteId", "eventType", "eventSource", "eventPos", "priority", "eventConfidence"
    }  # fmt: skip
    assert set(value["rtss"][0]) == {"rtsId", "signType", "signPos", "priority"}
    said("csae53_2020", "RSI", value)


def test_it_speaks_of_what_has_a_code(writer: RsiWriter) -> None:
    assert writer.speaks_of(event())
    assert writer.speaks_of(sign())
    assert writer.speaks_of(event(code=0))
    assert writer.speaks_of(event(code=65_535))
    for code in (None, -1, 65_536):
        assert not writer.speaks_of(event(code=code, itis=513))
        assert not writer.speaks_of(sign(code=code))


@pytest.mark.parametrize("source", EventOrigin)
def test_every_source_can_be_said(writer: RsiWriter, source: EventOrigin, said) -> None:
    value = writer.content(0, NOW, [event(origin=source)], [])
    assert value["rtes"][0]["eventSource"] == source.value
    said("csae53_2020", "RSI", value)


@pytest.mark.parametrize(
    ("changes", "details"),
    [
        # A year ends between start and now.
        ({"start_ns": utc(2024, 12, 31, 23, 59, 59)}, {"startTime": 366 * 1440 - 1}),
        ({"start_ns": NOW, "end_ns": NOW}, {"startTime": 3, "endTime": 3}),
        # A minute of the year would be taken for another year's.
        ({"start_ns": NOW - 183 * DAY}, None),
        ({"start_ns": NOW - 183 * DAY + 1}, {"startTime": (182 + 1) * 1440 + 3}),
        ({"start_ns": NOW, "end_ns": NOW + 183 * DAY}, {"startTime": 3}),
        # Expected to be over, and yet it holds.
        ({"start_ns": NOW, "end_ns": NOW - 1}, {"startTime": 3}),
        ({"start_ns": NOW, "end_ns": NOW + 5, "time_ns": NOW + 6}, {"startTime": 3}),
        # It is over.
        (
            {"start_ns": NOW - 2 * MINUTE, "phase": EventPhase.END, "time_ns": NOW - MINUTE},
            {"startTime": 1, "endTime": 2},
        ),
    ],
)
def test_times(writer: RsiWriter, changes: dict[str, Any], details: dict[str, int] | None) -> None:
    assert said_event(writer, event(**changes)).get("timeDetails") == details


def test_the_end_of_an_event_needs_a_time(writer: RsiWriter) -> None:
    with pytest.raises(OutOfRangeError, match="end of an event"):
        writer.content(0, None, [event(phase=EventPhase.END)], [])


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("", None),
        ("  ", None),
        ("A", {"textString": "A"}),
        ("x" * 513, {"textString": "x" * 512}),
        ("車", None),  # a single question mark says nothing
        ("事車", {"textGB2312": "cac2" + "3f"}),
        ("事" * 256, {"textGB2312": "cac2" * 256}),
        ("事" * 257, {"textGB2312": "cac2" * 256}),
        # 511 octets, and a character of two does not go in half.
        ("a" + "事" * 256, {"textGB2312": "61" + "cac2" * 255}),
    ],
)
def test_description(writer: RsiWriter, text: str, stated: dict[str, str] | None, said) -> None:
    value = writer.content(0, NOW, [event(description=text)], [])
    assert value["rtes"][0].get("description") == stated
    said("csae53_2020", "RSI", value)


def test_a_list_of_roads_that_does_not_fit_is_left_out_whole(writer: RsiWriter, said) -> None:
    names = [f"many-{n}" for n in range(17)]
    eight = said_event(writer, event(lanes=tuple(names[:8])))
    assert len(eight["referencePaths"]) == 8
    nine = said_event(writer, event(lanes=tuple(names[:9])))
    assert "referencePaths" not in nine
    assert len(nine["referenceLinks"]) == 9
    sixteen = writer.content(0, NOW, [event(lanes=tuple(names[:16]))], [])
    assert len(sixteen["rtes"][0]["referenceLinks"]) == 16
    said("csae53_2020", "RSI", sixteen)
    assert "referenceLinks" not in said_event(writer, event(lanes=tuple(names)))


def test_a_lane_without_a_bit_is_in_no_link(writer: RsiWriter) -> None:
    value = said_event(writer, event(lanes=("out-16", "out-1")))
    assert len(value["referencePaths"]) == 2
    (stated,) = value["referenceLinks"]
    assert stated["referenceLanes"] == {"bits": "0000000000000001"}
    assert "referenceLinks" not in said_event(writer, event(lanes=("out-16",)))


def test_a_line_with_too_many_corners_has_no_path(writer: RsiWriter) -> None:
    assert "referencePaths" not in said_event(writer, event(lanes=("saw",)))


def test_events_keep_their_number_and_never_share_one(writer: RsiWriter) -> None:
    def numbers(*ids: int) -> list[int]:
        value = writer.content(0, NOW, [event(one) for one in ids], [])
        return [one["rteId"] for one in value["rtes"]]

    assert numbers(5, 261, 517) == [5, 6, 7]
    assert numbers(6, 517) == [8, 7]
    assert numbers(255 + 256, 255) == [255, 0]
    assert numbers(261, 5) == [6, 5]


def test_signs_have_numbers_of_their_own(writer: RsiWriter) -> None:
    signs = [sign(f"sign-{n}") for n in range(16)]
    first = [one["rtsId"] for one in writer.content(0, NOW, [], signs)["rtss"]]
    assert len(set(first)) == 16
    again = [one["rtsId"] for one in writer.content(0, NOW, [event(0)], signs[::-1])["rtss"]]
    assert again == first[::-1]


@given(st.lists(st.integers(0, 600), max_size=700))
def test_the_last_256_have_different_numbers(said_ids: list[int]) -> None:
    ids = ShortIds()
    held: dict[int, int] = {}
    for one in said_ids:
        number = ids.number(one, one)
        assert 0 <= number <= 255
        if one in held:
            assert held.pop(one) == number
        held = {name: other for name, other in held.items() if other != number}
        held[one] = number
        assert len(held) <= 256
    recent = list(dict.fromkeys(reversed(said_ids)))[:256]
    assert all(one in held for one in recent)


def test_as_much_as_fits_and_no_more(writer: RsiWriter, said) -> None:
    lanes = tuple(f"many-{n}" for n in range(8))
    events = [event(n, lanes=lanes, description="x" * 512) for n in range(9)]
    signs = [sign(f"s{n}", lanes=lanes) for n in range(17)]
    assert (writer.events_max, writer.signs_max) == (8, 16)
    for profile in PROFILES:
        said(profile, "RSI", writer.content(0, NOW, events[:8], signs[:16]))
    with pytest.raises(OutOfRangeError, match="9 events"):
        writer.content(0, NOW, events, [])
    with pytest.raises(OutOfRangeError, match="17 signs"):
        writer.content(0, NOW, [], signs)
    with pytest.raises(OutOfRangeError, match="neither"):
        writer.content(0, NOW, [], [])


@pytest.mark.parametrize(
    "changes",
    [
        {"code": None},
        {"code": 65_536},
        {"severity": 8},
        {"severity": -1},
        {"radius": 6553.6},
        {"radius": -1.0},
        {"confidence": 1.1},
        {"position": Vec2(float("nan"), 0.0)},
    ],
)
def test_event_that_the_message_cannot_carry_is_refused(
    writer: RsiWriter, changes: dict[str, Any]
) -> None:
    with pytest.raises(OutOfRangeError):
        writer.content(0, NOW, [event(**changes)], [])


TIMES = st.integers(NOW - 400 * DAY, NOW + 400 * DAY)
PLACES = st.builds(Vec2, st.floats(-5e3, 5e3), st.floats(-5e3, 5e3))
NAMES = st.lists(st.sampled_from([one.id for one in LANES] + ["elsewhere"]), unique=True).map(tuple)
EVENTS = st.builds(
    RoadEvent,
    id=st.integers(0, 2**63),
    kind=st.just("any"),
    phase=st.sampled_from(EventPhase),
    code=st.integers(0, 65_535),
    position=PLACES,
    radius=st.floats(0, 6553.5),
    confidence=st.floats(0, 1),
    start_ns=TIMES,
    time_ns=TIMES,
    end_ns=st.none() | TIMES,
    lanes=NAMES,
    severity=st.integers(0, 7),
    origin=st.sampled_from(EventOrigin),
    description=st.text(max_size=300),
)
SIGNS = st.builds(
    RoadSign,
    id=st.text(max_size=8),
    code=st.integers(0, 65_535),
    position=PLACES,
    lanes=NAMES,
    description=st.text(max_size=30),
    start_ns=st.none() | TIMES,
    end_ns=st.none() | TIMES,
    severity=st.integers(0, 7),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(EVENTS, min_size=1, max_size=3, unique_by=lambda one: one.id),
    signs=st.lists(SIGNS, max_size=3, unique_by=lambda one: one.id),
)
def test_any_event_and_sign_in_range_can_be_said(
    writer: RsiWriter, events: list[RoadEvent], signs: list[RoadSign], said
) -> None:
    value = writer.content(0, NOW, events, signs)
    said("csae157_2020", "RSI", value)
    numbers = [one["rteId"] for one in value["rtes"]]
    assert len(set(numbers)) == len(numbers)
