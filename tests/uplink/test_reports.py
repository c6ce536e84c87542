"""What is reported upstream, when, and that no number claims more than is known."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.uplink import UplinkOptions
from rsu.schema.events import EventPhase, RoadEvent, Snapshot
from rsu.schema.health import (
    Capability,
    ClockQuality,
    ProcessHealth,
    SensorAlarm,
    SensorAlarmKind,
    SensorHealth,
    SensorState,
    UnitHealth,
)
from rsu.schema.message import Message
from rsu.schema.parking import BayMisuse, BayState, BayStatus, BayStay, LotTotals, ParkingState
from rsu.schema.reports import Priority
from rsu.schema.sensing import ObjectClass, SensorKind
from rsu.schema.topics import (
    PARKING,
    ROAD_EVENT,
    SENSOR_ALARM,
    SENSOR_HEALTH,
    TRACKS,
    TRAFFIC,
    UNIT_HEALTH,
    Topic,
)
from rsu.schema.tracks import Track, TrackList, TrackStatus
from rsu.schema.traffic import LaneTraffic, MovementTraffic, TrafficState
from rsu.schema.units import NS_PER_S, Cov2, Instant, Size, Vec2
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap
from rsu.uplink.documents import largest_sigma, rounded, utc_text
from rsu.uplink.lanes import MAX_BODY_BYTES
from rsu.uplink.profiles.base import Place
from rsu.uplink.reports import ReportStage

BOOT = Instant(1_750_000_000 * NS_PER_S, 7 * NS_PER_S)
FRAME = LocalFrame(31.2, 121.5, 12.0)
PLACE = Place(site="corner", frame=FRAME, site_map=SiteMap(FRAME))


def at(seconds: float) -> Instant:
    return Instant(BOOT.utc_ns + int(seconds * NS_PER_S), BOOT.mono_ns + int(seconds * NS_PER_S))


def stage(**more: Any) -> ReportStage:
    return ReportStage(UplinkOptions(host="localhost", **more), PLACE, BOOT)


def message(topic: Topic, payload: Any) -> Message:
    return Message.draft(topic, "test", 0, payload)


def track(
    number: int = 1, *, x: float = 0.0, y: float = 0.0, var: float = 0.04, **more: Any
) -> Track:
    values: dict[str, Any] = {
        "id": number, "object_class": ObjectClass.CAR, "class_probability": 0.912,
        "position": Vec2(x, y), "heading": 0.0, "speed": 8.33333, "turn_rate": 0.0,
        "covariance": (var, 0.0, 0, 0, 0, var, 0, 0, 0, 0.0004, 0, 0, 0.09, 0, 0.01),
        "size": Size(4.5, 1.8, 1.5), "existence": 0.987, "status": TrackStatus.CONFIRMED,
        "sources": ("north",), "born_ns": BOOT.utc_ns, "updated_ns": at(0.9).utc_ns,
    }  # fmt: skip
    return Track(**(values | more))


def documents(messages: Any) -> list[dict[str, Any]]:
    return [json.loads(m.payload.body) for m in messages]


def test_a_tracks_summary_says_where_what_how_fast_and_how_old() -> None:
    reports = stage()
    everyone = (track(17, x=100.0, y=50.0, heading=math.pi / 2), track(18, heading=math.pi))
    reports.handle(message(TRACKS, TrackList(time_ns=at(0.95).utc_ns, tracks=everyone)), at(0.97))
    (out,) = reports.tick(at(1.0))
    assert (out.topic.name, out.header.capture_ns) == ("uplink/report", at(0.9).utc_ns)
    report = out.payload
    assert (report.subject, report.priority) == ("tracks", Priority.TELEMETRY)
    document = json.loads(report.body)
    assert document["id"] == report.id == f"corner-{BOOT.utc_ns}-0"
    assert document["schema"] == "rsu.tracks/1"
    assert document["time_utc"] == "2025-06-15T15:06:40.950Z"
    assert (document["age_s"], document["total"], document["parts"]) == (0.05, 2, 1)
    first, second = document["tracks"]
    # 100 m east and 50 m north of 31.2° N on WGS-84: meridian radius 6 352 562 m, prime vertical
    # 6 383 886 m with the altitude, σ 0.2 m: six decimals (0.11 m).
    assert first["latitude_deg"] == pytest.approx(31.2 + math.degrees(50 / 6_352_562), abs=1.1e-6)
    east = math.degrees(100 / (6_383_886 * math.cos(math.radians(31.2))))
    assert first["longitude_deg"] == pytest.approx(121.5 + east, abs=1.1e-6)
    assert first["latitude_deg"] == round(first["latitude_deg"], 6)
    assert first["position_sigma_m"] == 0.2
    assert (first["speed_mps"], first["speed_sigma_mps"]) == (8.3, 0.3)
    assert (first["heading_deg"], second["heading_deg"]) == (0.0, 270.0)  # north, west
    assert (first["track"], first["class"], first["age_s"]) == (17, "car", 0.1)
    assert (first["class_probability"], first["existence_probability"]) == (0.91, 0.99)
    assert not {"plate", "image"} & set(first)


def test_no_news_is_no_report_and_an_empty_road_is_news() -> None:
    reports = stage()
    assert list(reports.tick(at(1.0))) == []
    reports.handle(message(TRACKS, TrackList(time_ns=at(1.9).utc_ns, tracks=())), at(1.9))
    (document,) = documents(reports.tick(at(2.0)))
    assert (document["total"], document["tracks"]) == (0, [])
    assert list(reports.tick(at(3.0))) == []
    reports.handle(message(TRACKS, TrackList(time_ns=at(3.1).utc_ns, tracks=())), at(3.1))
    assert list(reports.tick(at(9.0))) == []  # stale by now


def test_a_heading_that_is_a_guess_is_left_out() -> None:
    covariance = (0.04, 0, 0, 0, 0, 0.04, 0, 0, 0, 3.0, 0, 0, 0.09, 0, 0.01)
    reports = stage()
    one = track(covariance=covariance)
    reports.handle(message(TRACKS, TrackList(time_ns=at(0.9).utc_ns, tracks=(one,))), at(1.0))
    ((item,),) = (d["tracks"] for d in documents(reports.tick(at(1.0))))
    assert item["heading_deg"] is None
    assert item["heading_sigma_deg"] == 99.2


def test_a_crowd_is_split_into_documents_that_fit_the_outbox() -> None:
    reports = stage()
    crowd = tuple(
        track(10**6 + n, x=-123.456 + n, y=98.765, sources=("camera-north-east", "radar-south"))
        for n in range(600)
    )
    reports.handle(message(TRACKS, TrackList(time_ns=at(0.9).utc_ns, tracks=crowd)), at(1.0))
    made = list(reports.tick(at(1.0)))
    assert max(len(m.payload.body) for m in made) < MAX_BODY_BYTES
    parts = documents(made)
    assert [(d["part"], d["parts"], d["total"]) for d in parts] == [(n, 3, 600) for n in (1, 2, 3)]
    assert [t["track"] for d in parts for t in d["tracks"]] == [t.id for t in crowd]
    assert len({d["id"] for d in parts}) == 3


def traffic(start: float, end: float, *lanes: LaneTraffic, coverage: float = 1.0) -> TrafficState:
    return TrafficState(
        start_ns=at(start).utc_ns, end_ns=at(end).utc_ns, coverage=coverage, lanes=lanes,
        movements=(
            MovementTraffic(
                connection="way", entry="in-1", exit="out-2", maneuver="straight", count=2,
                space_mean_speed=None,
            ),
        ),
    )  # fmt: skip


def lane(count: int, speed: float | None, present: float = 0.0) -> LaneTraffic:
    return LaneTraffic(
        lane="in-1", count=count, counts_by_class={"car": count} if count else {},
        mean_speed=speed, present=present, density=present / 100.0,
    )  # fmt: skip


def test_traffic_periods_add_up() -> None:
    reports = stage(traffic_s=10.0)
    for state in (
        traffic(0, 4, lane(3, 10.0, 2.0)),
        traffic(2, 5, lane(9, 1.0)),  # overlaps: its vehicles are counted already
        traffic(4, 6, lane(1, 14.0, 5.0), coverage=0.5),
        traffic(8, 10, lane(0, None, 2.0)),  # 6..8 is missing
    ):
        reports.handle(message(TRAFFIC, state), at(10.0))
    assert list(reports.tick(at(9.0))) == []
    (out,) = reports.tick(at(10.0))
    assert (out.payload.subject, out.payload.priority) == ("traffic", Priority.STATE)
    document = json.loads(out.payload.body)
    assert (document["start_utc"], document["period_s"]) == (utc_text(at(0).utc_ns), 10.0)
    assert document["coverage"] == 0.7  # (4 + 1 + 2) / 10
    (one,) = document["lanes"]
    assert (one["count"], one["counts_by_class"]) == (4, {"car": 4})
    assert one["mean_speed_mps"] == 11.0  # (3·10 + 1·14) / 4
    assert one["mean_present"] == 2.75  # (4·2 + 2·5 + 2·2) / 8
    assert one["density_per_km"] == 27.5
    assert document["turns"] == [{"from": "in-1", "to": "out-2", "count": 6}]
    assert list(reports.tick(at(20.0))) == []


def test_traffic_counting_survives_a_clock_that_goes_back() -> None:
    reports = stage(traffic_s=10.0)
    list(reports.handle(message(TRAFFIC, traffic(0, 5, lane(2, 5.0))), at(5.0)))
    (early,) = documents(
        reports.handle(message(TRAFFIC, traffic(-3600, -3595, lane(1, 5.0))), at(6.0))
    )
    assert early["lanes"][0]["count"] == 2
    (later,) = documents(reports.tick(at(10.0)))
    assert (later["start_utc"], later["lanes"][0]["count"]) == (utc_text(at(-3600).utc_ns), 1)


def event(phase: EventPhase, number: int = 5) -> RoadEvent:
    return RoadEvent(
        id=number, kind="stopped_vehicle", phase=phase, code=406, position=Vec2(10.0, 0.0),
        radius=3.0, confidence=0.875, start_ns=at(1.0).utc_ns, time_ns=at(2.0).utc_ns,
        lanes=("in-1",), tracks=(17,),
        snapshots=(Snapshot(sensor="north", number=41, capture_ns=at(0.9).utc_ns),),
    )  # fmt: skip


def test_an_event_is_reported_at_once_and_its_updates_at_most_once_a_second() -> None:
    reports = stage()

    def phases(phase: EventPhase, seconds: float) -> list[str]:
        made = list(reports.handle(message(ROAD_EVENT, event(phase)), at(seconds)))
        assert all(m.payload.priority is Priority.EVENT for m in made)
        return [d["phase"] for d in documents(made)]

    assert phases(EventPhase.ONSET, 2.0) == ["onset"]
    assert phases(EventPhase.UPDATE, 2.5) == []
    assert phases(EventPhase.UPDATE, 3.0) == ["update"]
    assert phases(EventPhase.UPDATE, 3.9) == []
    assert phases(EventPhase.END, 3.95) == ["end"]
    assert reports._updated == {}
    (document,) = documents(reports.handle(message(ROAD_EVENT, event(EventPhase.ONSET)), at(9.0)))
    assert (document["event"], document["gbt29100_code"], document["radius_m"]) == (5, 406, 3.0)


def test_memory_of_events_is_bounded() -> None:
    reports = stage()
    for number in range(1000):
        list(reports.handle(message(ROAD_EVENT, event(EventPhase.ONSET, number)), at(2.0)))
    assert len(reports._updated) <= 256


def unit(capability: Capability, seconds: float) -> UnitHealth:
    one = ProcessHealth(name="core", state="running", pid=1, restarts=0, heartbeat_ns=None)
    return UnitHealth(
        time_ns=at(seconds).utc_ns, clock=ClockQuality.LOCKED, capability=capability,
        processes=(one,),
    )  # fmt: skip


def test_health_goes_out_at_every_change_and_else_every_period() -> None:
    reports = stage(health_s=10.0)
    told: list[tuple[float, str, str]] = []
    for second in range(1, 41):
        capability = Capability.FULL if second < 15 else Capability.RADAR_ONLY
        state = SensorState.LIVE if second < 14 else SensorState.GONE
        reports.handle(message(UNIT_HEALTH, unit(capability, second)), at(second))
        sensor = SensorHealth(
            sensor="north", kind=SensorKind.CAMERA, state=state, since_ns=at(0).utc_ns,
            time_ns=at(second - 0.5).utc_ns, detail="x" * 999, received=second,
        )  # fmt: skip
        reports.handle(message(SENSOR_HEALTH, sensor), at(second))
        for document in documents(reports.tick(at(second))):
            assert document["sensors"][0]["age_s"] == 0.5
            assert len(document["sensors"][0]["detail"]) == 200
            told.append((second, document["capability"], document["sensors"][0]["state"]))
    assert told == [
        (1, "full", "live"), (10, "full", "live"), (14, "full", "gone"), (15, "radar-only", "gone"),
        (20, "radar-only", "gone"), (30, "radar-only", "gone"), (40, "radar-only", "gone"),
    ]  # fmt: skip


def alarm(suspect: str | None, *, active: bool = True, seconds: float = 1.0) -> SensorAlarm:
    return SensorAlarm(
        kind=SensorAlarmKind.CALIBRATION, sensor="north", against="west", active=active,
        since_ns=at(0.5).utc_ns, time_ns=at(seconds).utc_ns, shift=Vec2(-0.123, 2.5678),
        shift_std=0.4, offset=0.0123, offset_std=0.05, suspect=suspect,
    )  # fmt: skip


def test_an_alarm_is_reported_at_its_beginning_its_end_and_when_another_is_suspected() -> None:
    reports = stage()
    told = []
    for seconds, suspect, active in (
        (1, None, True), (11, None, True), (15, "north", True), (25, "north", True),
        (40, "north", False),
    ):  # fmt: skip
        one = alarm(suspect, active=active, seconds=seconds)
        for document in documents(reports.handle(message(SENSOR_ALARM, one), at(seconds))):
            told.append((seconds, document["suspect"], document["active"]))
            assert document["schema"] == "rsu.alarm/1"
            assert (document["shift_east_m"], document["shift_north_m"]) == (-0.1, 2.6)
    assert told == [(1, None, True), (15, "north", True), (40, "north", False)]


def test_a_suspect_is_shifted_in_the_health_report() -> None:
    reports = stage(health_s=10.0)
    whole = msgspec.structs.replace(unit(Capability.FULL, 1), alarms=(alarm("north"),))
    reports.handle(message(UNIT_HEALTH, whole), at(1))
    for name in ("north", "west"):
        sensor = SensorHealth(
            sensor=name, kind=SensorKind.CAMERA, state=SensorState.LIVE, since_ns=at(0).utc_ns,
            time_ns=at(1).utc_ns,
        )  # fmt: skip
        reports.handle(message(SENSOR_HEALTH, sensor), at(1))
    (document,) = documents(reports.tick(at(1.5)))
    assert [one["state"] for one in document["sensors"]] == ["shifted", "live"]
    assert [one["suspect"] for one in document["alarms"]] == ["north"]


def test_the_same_input_gives_the_same_bytes_and_another_boot_other_ids() -> None:
    def run(boot: Instant) -> list[tuple[str, bytes]]:
        one = ReportStage(UplinkOptions(host="localhost"), PLACE, boot)
        one.handle(message(UNIT_HEALTH, unit(Capability.FULL, 0.5)), at(0.5))
        one.handle(message(TRACKS, TrackList(time_ns=at(0.9).utc_ns, tracks=(track(),))), at(0.95))
        return [(m.payload.id, m.payload.body) for m in one.tick(at(10.0 - 8.5))]

    first, second = run(BOOT), run(BOOT)
    assert first == second
    assert len(first) == 2
    other = run(Instant(BOOT.utc_ns + 1, BOOT.mono_ns))
    assert not {name for name, _ in first} & {name for name, _ in other}


@settings(deadline=None, max_examples=300)
@given(value=st.floats(-1e6, 1e6), sigma=st.floats(1e-6, 1e3))
def test_rounding_costs_less_than_the_uncertainty_and_hides_no_more_digits(
    value: float, sigma: float
) -> None:
    result = rounded(value, sigma, finest=9, coarsest=-3)
    assert abs(result - value) <= 0.5 * sigma * 1.000001 + 1e-9
    digits = max(math.ceil(-math.log10(sigma)), -3)
    assert result == round(result, min(digits, 9))


def test_the_largest_axis_of_a_turned_ellipse() -> None:
    # Axes 3 m and 1 m, turned by 45°: [[5, 4], [4, 5]].
    assert largest_sigma(Cov2(5.0, 4.0, 5.0)) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_735_689_599_999_999_999, "2024-12-31T23:59:59.999Z"),
        (-1_000_000, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_utc_text(time_ns: int, text: str) -> None:
    assert utc_text(time_ns) == text


def keys(value: Any) -> Any:
    """The shape of a document: its keys, nested; lists by their first item."""
    if isinstance(value, dict):
        return {k: keys(v) for k, v in value.items()}
    return [keys(value[0])] if isinstance(value, list) and value else None


def lot(status: BayStatus = BayStatus.FREE, count: int = 1, **more: Any) -> ParkingState:
    values: dict[str, Any] = {
        "totals": LotTotals(free=1, occupied=0, unknown=0, closed=0, on_aisles=0, unexplained=None),
        "ended": (BayStay(bay="bay-0", left_ns=at(9.0).utc_ns),),
    }
    bays = tuple(
        BayState(bay=f"bay-{n}", status=status, occupied_probability=0.0123, since_ns=BOOT.utc_ns,
                 track=77, misuse=(BayMisuse.OVERSTAY,), sources=("tracks",))
        for n in range(count)
    )  # fmt: skip
    return ParkingState(lot="west", time_ns=at(9.9).utc_ns, bays=bays, **(values | more))


def test_a_lot_is_reported_when_a_bay_changes_and_now_and_then() -> None:
    reports = stage(parking_s=60.0)

    def told(state: ParkingState, seconds: float) -> list[Any]:
        return documents(reports.handle(message(PARKING, state), at(seconds)))

    quiet = {"ended": ()}
    first = told(lot(**quiet), 1.0)
    assert [d["bays"][0]["status"] for d in first] == ["free"]
    assert "77" not in json.dumps(first)  # a track would let a vehicle be followed
    assert not told(lot(**quiet), 2.0)
    assert told(lot(BayStatus.OCCUPIED, **quiet), 3.0)
    assert told(lot(BayStatus.OCCUPIED), 4.0)[0]["ended_stays"][0]["entered_utc"] is None
    assert not told(lot(BayStatus.OCCUPIED, **quiet), 63.9)
    assert told(lot(BayStatus.OCCUPIED, **quiet), 64.1)


def test_a_large_lot_is_reported_in_parts() -> None:
    found = documents(stage().handle(message(PARKING, lot(count=600)), at(1.0)))
    assert [(d["part"], d["parts"], len(d["bays"])) for d in found] == [
        (1, 3, 256), (2, 3, 256), (3, 3, 88),
    ]  # fmt: skip
    assert [len(d["ended_stays"]) for d in found] == [1, 0, 0]


def test_the_documents_look_as_they_are_described(root: Path) -> None:
    reports = stage()
    list(reports.handle(message(TRAFFIC, traffic(0, 4, lane(3, 10.0))), at(9.0)))
    whole = msgspec.structs.replace(unit(Capability.FULL, 9.5), alarms=(alarm("north"),))
    reports.handle(message(UNIT_HEALTH, whole), at(9.5))
    reports.handle(message(TRACKS, TrackList(time_ns=at(9.9).utc_ns, tracks=(track(),))), at(9.9))
    sensor = SensorHealth(
        sensor="north", kind=SensorKind.CAMERA, state=SensorState.LIVE, since_ns=0, time_ns=0
    )
    reports.handle(message(SENSOR_HEALTH, sensor), at(9.9))
    made = documents(reports.tick(at(10.0)))
    made += documents(reports.handle(message(ROAD_EVENT, event(EventPhase.ONSET)), at(10.0)))
    made += documents(reports.handle(message(PARKING, lot()), at(10.0)))
    made += documents(reports.handle(message(SENSOR_ALARM, alarm("north")), at(10.0)))
    page = (root / "docs" / "uplink.md").read_text("utf-8")
    shown = {d["schema"]: d for d in map(json.loads, re.findall(r"```json\n(.*?)```", page, re.S))}
    for of_the_session in ("rsu.status/1", "rsu.birth/1"):
        assert shown.pop(of_the_session)
    for document in made:
        example = shown.pop(document["schema"])
        assert keys(document) == keys(example)
    assert not shown
