"""What the page is told follows from what was on the bus, with honest ages."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.events import Conflict, EventEnding, EventPhase
from rsu.schema.health import Decision, Metric, MetricKind, Metrics, SensorState, Verdict
from rsu.schema.parking import BayState, BayStatus, ParkingState
from rsu.schema.preview import CameraPreview, Masking
from rsu.schema.sensing import CameraDetection, CameraDetections, ImageDetection, ObjectClass
from rsu.schema.topics import (
    CAMERA_DETECTIONS,
    DECISION,
    JOURNAL,
    METRICS,
    PARKING,
    RADIO_REPORT,
    TOPICS,
    TRAFFIC,
    V2X_TX,
)
from rsu.schema.traffic import LaneTraffic, TrafficState
from rsu.schema.units import Box, Cov2, Size, Vec2
from rsu.schema.v2x import RadioReport, V2xFrame
from rsu.web.scene import ellipse
from rsu.web.view import View
from tests.web.conftest import SENSORS, Teller, track

S = 1_000_000_000
NOW = 1_000 * S


@pytest.fixture
def view() -> View:
    return View(SENSORS)


def test_a_track_is_told_with_its_ellipse_and_age(view: View, tell: Teller) -> None:
    view.take(
        tell.tracks(NOW - S // 2, track(7, 3.0, 4.0, updated_ns=NOW - S, born_ns=NOW - 9 * S))
    )
    told = view.snapshot(NOW)["tracks"]
    assert told["age_s"] == 0.5
    (one,) = told["list"]
    assert (one["id"], one["class"], one["x"], one["y"]) == (7, "car", 3.0, 4.0)
    # 95 % of a plane normal distribution lie within √5.991 = 2.4477 standard deviations.
    assert one["ellipse"] == [4.9, 2.45, 0.0]
    assert one["seen_s"] == 0.5
    assert one["since_s"] == 8.5


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0.01, 30), st.floats(0.01, 30), st.floats(-math.pi / 2 + 0.01, math.pi / 2 - 0.01)
)  # fmt: skip
def test_an_ellipse_has_the_axes_of_its_covariance(a: float, b: float, angle: float) -> None:
    a, b = max(a, b), min(a, b)
    c, s = math.cos(angle), math.sin(angle)
    cov = Cov2(a * c * c + b * s * s, (a - b) * c * s, a * s * s + b * c * c)
    major, minor, turned = ellipse(cov)
    assert major == pytest.approx(2.4477 * math.sqrt(a), abs=0.01)
    assert minor == pytest.approx(2.4477 * math.sqrt(b), abs=0.02)
    if a > 1.05 * b:
        assert math.cos(2 * (turned - angle)) == pytest.approx(1.0, abs=1e-3)


def test_trails_follow_tracks_and_end_with_them(view: View, tell: Teller) -> None:
    for step in range(40):
        view.take(tell.tracks(NOW + step * S // 10, track(7, step * 1.0), track(8)))
    trail = view.snapshot(NOW + 4 * S)["tracks"]["list"][0]["trail"]
    assert trail[0] == [0.0, 0.0]
    assert [point[0] for point in trail] == [4.0 * n for n in range(10)]
    view.take(tell.tracks(NOW + 5 * S, track(8)))
    view.take(tell.tracks(NOW + 6 * S, track(7, 50.0), track(8)))
    assert view.snapshot(NOW + 6 * S)["tracks"]["list"][0]["trail"] == [[50.0, 0.0]]


def test_old_tracks_and_lights_are_not_shown(view: View, tell: Teller) -> None:
    view.take(tell.tracks(NOW, track(7)))
    view.take(tell.signals(NOW))
    late = view.snapshot(NOW + 11 * S)
    assert late["tracks"] == {"age_s": None, "list": []}
    assert late["signals"] == []


def test_lights_count_down(view: View, tell: Teller) -> None:
    view.take(tell.signals(NOW))
    (state,) = view.snapshot(NOW + 2 * S)["signals"]
    assert state["age_s"] == 2.0
    assert state["groups"] == [{"group": 1, "light": "red", "ends_s": 5.0}]


def test_an_event_lives_from_onset_to_end(view: View, tell: Teller) -> None:
    view.take(tell.event(NOW))
    (going,) = view.snapshot(NOW + 3 * S)["events"]
    assert not going["ended"]
    assert going["lasts_s"] == 3.0
    end = {"phase": EventPhase.END, "ending": EventEnding.CLEARED, "start_ns": NOW}
    view.take(tell.event(NOW + 5 * S, **end))
    (over,) = view.snapshot(NOW + 60 * S)["events"]
    assert over["ended"]
    assert (over["lasts_s"], over["ending"]) == (5.0, "cleared")
    assert view.snapshot(NOW + 700 * S)["events"] == []


def test_events_of_a_core_that_began_anew_are_gone(view: View, tell: Teller) -> None:
    view.take(tell.event(NOW))
    tell.boot_ns += 1
    view.take(tell.event(NOW + S, id=9))
    assert [event["id"] for event in view.snapshot(NOW + S)["events"]] == [9]


def test_a_conflict_names_who_where_and_when(view: View, tell: Teller) -> None:
    conflict = Conflict(
        tracks=(7, 8), time_to_conflict_s=1.8, probability=0.7, required_deceleration=3.2,
        point=Vec2(5.0, 6.0),
    )  # fmt: skip
    view.take(tell.event(NOW, conflict=conflict))
    told = view.snapshot(NOW)["events"][0]["conflict"]
    assert told == {
        "tracks": [7, 8], "in_s": 1.8, "probability": 0.7, "deceleration": 3.2, "x": 5.0, "y": 6.0,
    }  # fmt: skip


def frame(time_ns: int) -> V2xFrame:
    return V2xFrame(
        profile="csae53_2020", message="RSM", payload=b"\x24\x65", network=b"", aid=3623,
        priority=208, value={"rsmFrame": {"msgCnt": 5}}, time_ns=time_ns,
    )  # fmt: skip


def test_messages_have_rates_and_ages_at_the_radio(view: View, tell: Teller) -> None:
    for step in range(60):
        when = NOW + step * S // 10
        message = tell.message(V2X_TX, "v2x", when, frame(when - 40_000_000))
        view.take(message)
        report = RadioReport(
            radio="air", frame_source="v2x", frame_boot_ns=tell.boot_ns,
            frame_seq=message.header.seq, message="RSM", sent_ns=when + S // 100,
            age_ns=50_000_000, evidence_age_ns=60_000_000,
            error="radio_error" if step == 0 else None,
        )  # fmt: skip
        view.take(tell.message(RADIO_REPORT, "air", when, report))
    (row,) = view.snapshot(NOW + 59 * S // 10)["messages"]
    assert (row["name"], row["count"], row["rate"], row["octets"]) == ("RSM", 60, 10.2, 2)
    assert (row["at"], row["age_p50_ms"], row["refused"]) == ("radio", 50.0, {"radio_error": 1})
    edges = view.snapshot(NOW)["edges_ms"]
    assert row["bins"][edges.index(50)] == sum(row["bins"]) == 59
    newest = view.air.newest("RSM")
    assert newest is not None
    assert newest["hex"] == "2465"
    assert newest["value"] == {"rsmFrame": {"msgCnt": 5}}


def test_without_a_radio_ages_are_those_of_publishing(view: View, tell: Teller) -> None:
    view.take(tell.message(V2X_TX, "v2x", NOW, frame(NOW - 30_000_000)))
    (row,) = view.snapshot(NOW)["messages"]
    assert (row["at"], row["age_p50_ms"]) == ("message", 30.0)


def test_a_sensor_that_stops_reporting_is_gone(view: View, tell: Teller) -> None:
    for message in tell.well(NOW):
        view.take(message)
    states = {s["sensor"]: s["state"] for s in view.snapshot(NOW + S)["health"]["sensors"]}
    assert states == {"north": SensorState.LIVE, "west": SensorState.LIVE}
    late = view.snapshot(NOW + 5 * S)["health"]
    assert {s["state"] for s in late["sensors"]} == {"gone"}
    assert late["capability"] is None
    assert late["clock"] is None


def test_reasons_for_silence_are_counted_for_a_minute(view: View, tell: Teller) -> None:
    for step in range(3):
        held = Decision(
            stage="v2x", subject="message:SPAT", verdict=Verdict.WITHHELD, reason="no_evidence",
            time_ns=NOW + step * S, count=10,
        )  # fmt: skip
        view.take(tell.message(DECISION, "v2x", NOW, held))
    sent = Decision(
        stage="v2x", subject="a", verdict=Verdict.SENT, reason="signal_state", time_ns=NOW
    )  # fmt: skip
    view.take(tell.message(DECISION, "v2x", NOW, sent))
    (row,) = view.snapshot(NOW + 60 * S + S // 2)["health"]["withheld"]
    assert (row["reason"], row["count"]) == ("no_evidence", 20)


def test_the_outbox_is_shown(view: View, tell: Teller) -> None:
    assert view.snapshot(NOW)["health"]["uplink"] is None
    samples = tuple(
        Metric(name=name, kind=MetricKind.GAUGE, value=value, labels=labels)
        for name, value, labels in (
            ("uplink_connected", 0.0, {}),
            ("uplink_queued", 12.0, {}),
            ("uplink_dropped_total", 3.0, {"reason": "expired"}),
        )
    )
    metrics = Metrics(process="uplink", time_ns=NOW, samples=samples)
    view.take(tell.message(METRICS, "uplink", NOW, metrics))
    told = view.snapshot(NOW + S)["health"]["uplink"]
    assert (told["connected"], told["links"], told["queued"]) == (0, 1, 12)
    assert told["dropped"] == {"expired": 3}


def test_lots_are_told_bay_by_bay(view: View, tell: Teller) -> None:
    bays = tuple(
        BayState(bay=name, status=status, occupied_probability=0.5, since_ns=NOW - 60 * S)
        for name, status in (("b1", BayStatus.FREE), ("b2", BayStatus.OCCUPIED))
    )
    state = ParkingState(lot="west", time_ns=NOW, bays=bays)
    view.take(tell.message(PARKING, "situation", NOW, state))
    (lot,) = view.snapshot(NOW)["parking"]
    assert lot["counts"] == {"free": 1, "occupied": 1}
    assert lot["bays"][0]["since_s"] == 60


def test_traffic_history_is_kept_for_a_quarter_of_an_hour(view: View, tell: Teller) -> None:
    for period in range(100):
        lane = LaneTraffic(
            lane="in-1", count=period, counts_by_class={}, mean_speed=None, present=0.0,
            density=0.0,
        )  # fmt: skip
        end = NOW + period * 10 * S
        state = TrafficState(start_ns=end - 10 * S, end_ns=end, coverage=1.0, lanes=(lane,))
        view.take(tell.message(TRAFFIC, "situation", end, state))
    history = view.roads.history()
    assert history["lanes"][0]["count"] == list(range(10, 100))
    assert history["lanes"][0]["speed"] == [None] * 90
    assert view.snapshot(NOW)["traffic_version"] == history["version"]


def seen(frame_number: int, capture_ns: int) -> CameraDetections:
    one = CameraDetection(
        object_class=ObjectClass.CAR, score=0.8, box=Box(64, 36, 128, 72),
        position=Vec2(10.0, 0.0), position_cov=Cov2(1, 0, 1), size=Size(4.5, 1.8, 1.5),
    )  # fmt: skip
    return CameraDetections(
        sensor="north", frame=frame_number, capture_ns=capture_ns, image_width=640,
        image_height=360, detections=(one,),
    )  # fmt: skip


def test_boxes_name_the_tracks_that_the_camera_speaks_for(view: View, tell: Teller) -> None:
    # In the 0.1 s between, a car at 10 m/s has moved one metre.
    view.take(tell.tracks(NOW, track(7, 9.0), track(8, 10.0, sources=("west",))))
    view.take(tell.message(CAMERA_DETECTIONS, "north", NOW, seen(3, NOW + S // 10)))
    (camera,) = view.snapshot(NOW + S // 10)["cameras"]
    assert camera["frame"] is None
    (box,) = camera["boxes"]
    assert (box["track"], box["box"]) == (7, [0.1, 0.1, 0.2, 0.2])


def test_a_picture_has_the_boxes_of_its_own_frame(view: View, tell: Teller) -> None:
    view.take(tell.tracks(NOW, track(7, 10.0)))
    view.take(tell.message(CAMERA_DETECTIONS, "north", NOW, seen(3, NOW)))
    other = seen(4, NOW + S // 10)
    view.take(
        tell.message(
            CAMERA_DETECTIONS, "north", NOW, CameraDetections(
                sensor="north", frame=4, capture_ns=other.capture_ns, image_width=640,
                image_height=360, detections=(),
            ),
        )
    )  # fmt: skip
    preview = CameraPreview(
        sensor="north", frame=3, capture_ns=NOW, width=320, height=180, scale=2.0, jpeg=b"j",
        masked=True, masking=Masking.REGIONS,
        boxes=(ImageDetection(object_class=ObjectClass.BUS, score=0.5, box=Box(0, 0, 64, 36)),),
    )  # fmt: skip
    view.cameras.take_preview(preview)
    (camera,) = view.snapshot(NOW + S // 10)["cameras"]
    assert (camera["frame"], camera["masked"]) == (f"3-{NOW}", True)
    assert [box["track"] for box in camera["boxes"]] == [7]
    assert view.cameras.preview("north", f"3-{NOW}") is preview
    # A camera's process that was started anew counts its frames from 0 again.
    view.cameras.take_preview(msgspec.structs.replace(preview, capture_ns=NOW + 1))
    (camera,) = view.snapshot(NOW + S // 10)["cameras"]
    assert camera["frame"] == f"3-{NOW + 1}"
    assert view.cameras.preview("north", f"3-{NOW}") is preview  # who was told of it still gets it
    assert view.cameras.preview("north", "3-0") is None
    assert camera["boxes"] == [
        {"class": "bus", "score": 0.5, "box": [0, 0, 0.1, 0.1], "track": None}
    ]


def test_the_view_wants_no_journal_and_no_frames(view: View) -> None:
    assert JOURNAL not in view.topics
    assert all(topic.payload is not None for topic in view.topics)
    assert view.topics <= frozenset(TOPICS.values())
