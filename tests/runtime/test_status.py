"""Metrics add up, Prometheus text parses, capability is derived, the status socket answers."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from rsu.runtime.capability import ALARM_STALE_NS, STALE_NS, Alarms, capability_of, state_of
from rsu.runtime.metrics import Meter, prometheus_text, quantile_of
from rsu.runtime.status import Overview, Request, StatusServer, ask_unit, serve_metrics
from rsu.schema.health import (
    Capability,
    ClockQuality,
    Decision,
    ProcessHealth,
    SensorAlarm,
    SensorAlarmKind,
    SensorHealth,
    SensorState,
    UnitHealth,
    Verdict,
)
from rsu.schema.message import Message
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import DECISION, METRICS, SENSOR_HEALTH
from rsu.schema.units import NS_PER_S, Instant, Vec2

CAMERAS = {"north": SensorKind.CAMERA, "south": SensorKind.CAMERA}


def health(sensor: str, state: SensorState, time_ns: int = 0) -> SensorHealth:
    return SensorHealth(
        sensor=sensor, kind=SensorKind.CAMERA, state=state, since_ns=0, time_ns=time_ns
    )


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
@settings(deadline=None)
def test_a_quantile_is_a_member_with_enough_values_below(
    values: list[float], quantile: float
) -> None:
    found = quantile_of(values, quantile)
    assert found in values
    assert sum(v <= found for v in values) >= quantile * len(values) - 1e-9
    assert sum(v < found for v in values) < quantile * len(values)


def test_prometheus_text_says_what_was_counted() -> None:
    core, camera = Meter("core"), Meter("camera:north")
    core.count("frames_total", 2, message="RSM")
    core.count("frames_total", 3, message="RSM")
    camera.gauge("resident_bytes", 5)
    camera.observe("detect_seconds", 0.04, camera="north")
    text = prometheus_text([core.snapshot(0), camera.snapshot(0)]).decode()
    samples = {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert samples["rsu_frames_total", (("message", "RSM"), ("process", "core"))] == 5
    assert samples["rsu_resident_bytes", (("process", "camera:north"),)] == 5
    p99 = (("camera", "north"), ("process", "camera:north"), ("quantile", "0.99"))
    assert samples["rsu_detect_seconds", p99] == 0.04


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"north": SensorState.LIVE, "south": SensorState.LIVE}, Capability.FULL),
        ({"north": SensorState.LIVE, "south": SensorState.GONE}, Capability.FULL),
        ({"north": SensorState.BLIND, "south": SensorState.FROZEN}, Capability.BLIND),
        ({}, Capability.BLIND),
    ],
)
def test_capability_follows_the_sensors(
    states: dict[str, SensorState], expected: Capability
) -> None:
    reports = {name: health(name, state) for name, state in states.items()}
    assert capability_of(CAMERAS, reports, 0) is expected


def test_losing_a_kind_of_sensor_is_a_named_capability() -> None:
    sensors = {"north": SensorKind.CAMERA, "mast": SensorKind.RADAR}
    both = {name: health(name, SensorState.LIVE) for name in sensors}
    assert capability_of(sensors, both, 0) is Capability.FULL
    assert capability_of(sensors, {"north": both["north"]}, 0) is Capability.CAMERA_ONLY
    assert capability_of(sensors, {"mast": both["mast"]}, 0) is Capability.RADAR_ONLY


def contradiction(suspect: str | None, *, active: bool = True, second: int = 0) -> SensorAlarm:
    return SensorAlarm(
        kind=SensorAlarmKind.CALIBRATION, sensor="mast", against="north", active=active,
        since_ns=0, time_ns=second * NS_PER_S, shift=Vec2(2.0, 0.0), shift_std=0.5, offset=0.0,
        offset_std=0.1, suspect=suspect,
    )  # fmt: skip


def test_a_suspect_is_shifted_and_carries_no_capability() -> None:
    sensors = {"north": SensorKind.CAMERA, "mast": SensorKind.RADAR}
    both = {name: health(name, SensorState.LIVE) for name in sensors}
    blamed = (contradiction("north"),)
    assert state_of(both["north"], 0, blamed) is SensorState.SHIFTED
    assert state_of(both["mast"], 0, blamed) is SensorState.LIVE
    assert capability_of(sensors, both, 0, blamed) is Capability.RADAR_ONLY
    # What is worse than shifted stays what it is.
    assert state_of(health("north", SensorState.FROZEN), 0, blamed) is SensorState.FROZEN
    # Either may be wrong: none is called so.
    either = (contradiction(None),)
    assert state_of(both["north"], 0, either) is SensorState.LIVE
    assert capability_of(sensors, both, 0, either) is Capability.FULL


def test_an_alarm_stands_until_it_ends_or_nobody_speaks_of_it_any_more() -> None:
    alarms = Alarms()
    alarms.take(contradiction(None))
    alarms.take(contradiction("north", second=10))
    assert [one.suspect for one in alarms.standing(20 * NS_PER_S)] == ["north"]
    assert alarms.standing(10 * NS_PER_S + ALARM_STALE_NS) == ()
    alarms.take(contradiction("north", active=False, second=30))
    assert alarms.standing(31 * NS_PER_S) == ()


def test_a_sensor_that_stopped_reporting_is_gone_but_an_ended_recording_is_not() -> None:
    assert state_of(health("north", SensorState.LIVE), STALE_NS) is SensorState.LIVE
    assert state_of(health("north", SensorState.LIVE), STALE_NS + 1) is SensorState.GONE
    assert state_of(health("north", SensorState.ENDED), STALE_NS + 1) is SensorState.ENDED
    assert state_of(None, 0) is SensorState.STARTING


@pytest.fixture
def overview() -> Overview:
    overview = Overview("aisle", CAMERAS, Instant(0, 0))
    overview.take(Message.draft(SENSOR_HEALTH, "north", 0, health("north", SensorState.LIVE)))
    for subject in ("track:1", "track:2"):
        decision = Decision(
            stage="v2x", subject=subject, verdict=Verdict.WITHHELD, reason="evidence_stale",
            time_ns=0,
        )  # fmt: skip
        overview.take(Message.draft(DECISION, "v2x", 0, decision))
    meter = Meter("core")
    meter.count("frames_total")
    overview.take(Message.draft(METRICS, "core", 0, meter.snapshot(0)))
    return overview


@pytest.fixture
def served(tmp_path: Path, overview: Overview) -> Iterator[Path]:
    """A status server that answers from a thread of its own until the test ends."""
    server = StatusServer(tmp_path, None)
    done = threading.Event()

    def answer() -> None:
        while not done.wait(0.01):
            server.answer(overview)

    thread = threading.Thread(target=answer)
    thread.start()
    yield tmp_path
    done.set()
    thread.join()
    server.close()


def test_the_status_socket_tells_sensors_and_metrics(served: Path) -> None:
    answer = ask_unit(served, Request("status"))
    assert answer["sensors"]["north"]["state"] == "live"
    assert answer["sensors"]["south"]["state"] == "starting"
    assert answer["metrics"]["core"][0]["value"] == 1


def test_decisions_can_be_asked_for_by_subject(served: Path) -> None:
    answer = ask_unit(served, Request("decisions", "track:2"))
    assert [d["subject"] for d in answer["decisions"]] == ["track:2"]


def test_nonsense_on_the_socket_is_answered_with_an_error_and_hurts_nobody(served: Path) -> None:
    context = zmq.Context()
    for raw in (b"\xff", b"[]", b'{"ask": "coffee"}'):
        socket = context.socket(zmq.REQ)
        socket.setsockopt(zmq.LINGER, 0)
        socket.connect(f"ipc://{served}/status")
        socket.send(raw)
        assert socket.poll(5000)
        assert "error" in json.loads(socket.recv())
        socket.close()
    context.term()
    assert ask_unit(served, Request("status"))["site"] == "aisle"


def test_nobody_there_is_a_connection_error(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="is `rsu run` running"):
        ask_unit(tmp_path, Request("status"), timeout_s=0.1)


def test_prometheus_is_served_on_loopback(overview: Overview, free_port: int) -> None:
    server = serve_metrics(free_port, overview)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics", timeout=5) as reply:
            assert b"rsu_frames_total" in reply.read()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{free_port}/secrets", timeout=5)
        refused.value.close()
        assert refused.value.code == 404
    finally:
        server.shutdown()
        server.server_close()


def test_health_is_ready_when_all_run_and_says_what_is_degraded(
    overview: Overview, free_port: int
) -> None:
    def ask() -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/healthz", timeout=5) as ok:
                return ok.status, json.loads(ok.read())
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.loads(refused.read())

    def process(state: str) -> ProcessHealth:
        return ProcessHealth(name="core", state=state, pid=1, restarts=0, heartbeat_ns=None)

    server = serve_metrics(free_port, overview)
    try:
        assert ask() == (503, {"ready": False, "reasons": ["starting"], "degraded": []})
        overview.unit = UnitHealth(
            time_ns=0, clock=ClockQuality.HOLDOVER, capability=Capability.CAMERA_ONLY,
            shed_level=2, shed_reason="age 700 ms",
        )  # fmt: skip
        overview.processes = (process("starting"),)
        code, said = ask()
        assert (code, said["reasons"]) == (503, ["core is starting"])
        overview.processes = (process("running"),)
        code, said = ask()
        assert (code, said["ready"], said["reasons"]) == (200, True, [])
        assert said["degraded"] == [
            "capability camera-only", "clock holdover", "shedding load, level 2: age 700 ms",
        ]  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
