"""The recorded past is shown by the same view as the present, and incidents are kept for good."""

import json
from pathlib import Path

import httpx
import pytest

from rsu.config.running import AuditOptions, RecordingOptions
from rsu.config.web import WebOptions
from rsu.recording.reader import read_messages
from rsu.recording.recorder import Recorder
from rsu.runtime.audit import AuditLog, site_audit
from rsu.schema.topics import TRACKS
from rsu.schema.units import NS_PER_MS, Instant
from rsu.web.guard import COOKIE, Sessions
from rsu.web.past import Keeping, Past, PastError
from tests.web.conftest import SENSORS, TOKEN, Serve, Teller, track

S = 1_000_000_000
START = 1_750_000_000 * S


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditLog:
    monkeypatch.delenv("RSU_AUDIT", raising=False)
    return site_audit(AuditOptions(), tmp_path)


@pytest.fixture
def past(tmp_path: Path, tell: Teller, audit: AuditLog) -> Past:
    """Two minutes: a car that drives 10 m/s, lights, and an event from 30 s to the end."""
    now = [START]
    recorder = Recorder(
        RecordingOptions(folder=Path("rec"), split_s=50), tmp_path, {"site": "corner"},
        clock=lambda: Instant(now[0], now[0]), sync=False,
    )  # fmt: skip
    for step in range(240):
        now[0] = time_ns = START + step * S // 2
        recorder.write(tell.tracks(time_ns, track(7, step * 5.0)))
        recorder.write(tell.signals(time_ns))
        for message in tell.well(time_ns):
            recorder.write(message)
        if step >= 60 and step % 20 == 0:
            recorder.write(tell.event(time_ns, start_ns=START + 30 * S))
    recorder.close()
    return Past(tmp_path / "rec", SENSORS, Keeping(tmp_path / "incidents", lambda: audit))


def test_the_range_is_what_is_recorded(past: Past, tmp_path: Path) -> None:
    assert len(list((tmp_path / "rec").glob("*.mcap"))) == 3
    found = past.range()
    assert found is not None
    assert found["start_ms"] == START // NS_PER_MS
    assert found["end_ms"] == (START + 119 * S + S // 2) // NS_PER_MS
    empty = Past(tmp_path / "nowhere", SENSORS)
    assert empty.range() is None
    with pytest.raises(PastError, match="nothing"):
        empty.snapshots(START, 1, S)


def test_any_moment_is_shown_as_it_was(past: Past) -> None:
    at = START + 70 * S + S // 4
    (told,) = past.snapshots(at, 1, S)
    assert told["now_ms"] == at // NS_PER_MS
    (one,) = told["tracks"]["list"]
    assert one["x"] == 700.0
    assert told["tracks"]["age_s"] == 0.25
    assert len(one["trail"]) > 10
    assert told["health"]["clock"] == "locked"
    assert [event["id"] for event in told["events"]] == [1]
    assert past.snapshots(START + 20 * S, 1, S)[0]["events"] == []


def test_playing_gives_one_moment_after_the_other(past: Past) -> None:
    told = past.snapshots(START + 45 * S, 12, S)  # across two files
    assert [one["tracks"]["list"][0]["x"] for one in told] == [450.0 + 10 * n for n in range(12)]
    late = past.snapshots(START + 119 * S, 3, 20 * S)
    assert [len(one["tracks"]["list"]) for one in late] == [1, 0, 0]
    assert len(past.snapshots(START, 10_000, S)) == 50


def test_an_incident_is_a_recording_of_its_own(past: Past, tmp_path: Path, audit: AuditLog) -> None:
    name = past.save(START + 70 * S, "dashboard:127.0.0.1")
    kept = list(read_messages(tmp_path / "incidents" / name, [TRACKS]))
    times = [message.header.publish_ns for message in kept]
    assert (times[0], times[-1]) == (START + 10 * S, START + 89 * S + S // 2)
    (line,) = audit.lines()
    assert (line.action, line.detail["file"]) == ("incident_saved", name)
    with pytest.raises(PastError):  # never written over
        past.save(START + 70 * S, "dashboard:127.0.0.1")


def test_nothing_is_kept_that_cannot_be_audited(
    past: Past, tmp_path: Path, audit: AuditLog
) -> None:
    audit.path.mkdir(parents=True)
    with pytest.raises(PastError, match="audit"):
        past.save(START + 70 * S, "dashboard:127.0.0.1")
    assert not list(tmp_path.glob("incidents/*"))


def test_the_page_asks_and_keeps_over_http(past: Past, serve: Serve, token_file: Path) -> None:
    server = serve(WebOptions(token_file=token_file), past=past)
    session = Sessions(TOKEN).login(TOKEN)
    at = (START + 70 * S) // NS_PER_MS
    headers = {"Cookie": f"{COOKIE}={session}"}
    with httpx.Client(base_url=server.address, headers=headers, trust_env=False) as client:
        assert client.get("/api/past/range").json()["start_ms"] == START // NS_PER_MS
        answer = client.get(f"/api/past?at_ms={at}&count=3&step_ms=500")
        assert [one["now_ms"] - at for one in answer.json()["snapshots"]] == [0, 500, 1000]
        assert client.get("/api/past?at_ms=never").status_code == 400
        assert client.get("/api/past?at_ms=5").status_code == 404
        kept = client.post(f"/api/past/incident?at_ms={at}")
        assert kept.status_code == 200
        assert client.post(f"/api/past/incident?at_ms={at}").status_code == 409
    assert json.loads(kept.content)["name"].endswith(".mcap")
