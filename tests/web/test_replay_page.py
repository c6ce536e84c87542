"""`rsu replay --web`: a recording on the page, for this machine only, and only to look at."""

import json
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from rsu.cli.replay import replay
from rsu.config.load import load_site
from rsu.config.web import WebOptions
from rsu.recording.writer import McapFile
from rsu.schema.sensing import CameraDetections
from rsu.schema.topics import CAMERA_DETECTIONS
from rsu.web.replay import ReplayPage
from tests.web.conftest import Teller, track

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
S = 1_000_000_000
START = 1_750_000_000 * S


@pytest.fixture
def recording(tmp_path: Path, tell: Teller) -> Path:
    """Half an hour and a bit, told once a minute: a car that moves on by 1 m."""
    path = tmp_path / "run.mcap"
    with McapFile(path, {"site": "junction"}) as file:
        for minute in range(40):
            now = START + minute * 60 * S
            file.write(tell.tracks(now, track(7, float(minute), updated_ns=now)))
    return path


def test_a_recording_of_any_length_is_shown_and_nothing_can_be_changed(
    recording: Path, tmp_path: Path, token_file: Path
) -> None:
    config = load_site(CONFIGS / "junction.yaml")
    # What a unit opens to others is for its own dashboard: a replay stays on this machine.
    web = WebOptions.model_construct(
        **(WebOptions().model_dump() | {"host": "0.0.0.0", "token_file": token_file})
    )
    config = config.model_copy(update={"web": web})
    with (
        ReplayPage(config, CONFIGS, recording, "run.mcap") as page,
        ReplayPage(config, CONFIGS, recording, "run.mcap") as other,
    ):
        assert page.address.startswith("http://127.0.0.1:")
        assert other.address != page.address
        with httpx.Client(base_url=page.address, trust_env=False) as client:
            settings = client.get("/api/site").json()["settings"]
            assert settings == {"language": "en", "may_change": False, "replay": "run.mcap"}
            span = client.get("/api/past/range").json()
            assert span == {"start_ms": START // 10**6, "end_ms": START // 10**6 + 39 * 60_000}
            at = {"at_ms": span["start_ms"] + 20 * 60_000}
            (told,) = client.get("/api/past", params=at).json()["snapshots"]
            assert told["tracks"]["list"][0]["x"] == 20.0
            assert told["behind_s"] == 0.0
            assert client.post("/api/past/incident", params=at).status_code == 403
    assert list(tmp_path.glob("**/incident*")) == []


def test_the_command_plays_what_the_pipeline_makes_until_it_is_stopped(
    tmp_path: Path,
    tell: Teller,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recording = tmp_path / "looks.mcap"
    with McapFile(recording, {"site": "junction"}) as file:
        for step in range(20):
            now = START + step * S // 10
            look = CameraDetections(
                sensor="north-east", frame=step, capture_ns=now, image_width=640, image_height=384,
                detections=(),
            )  # fmt: skip
            file.write(tell.message(CAMERA_DETECTIONS, "north-east", now, look))
    out = tmp_path / "out.mcap"
    out.write_bytes(b"an earlier run")
    told = []

    def look() -> None:
        """In place of a person who looks, and then presses Ctrl-C."""
        said = capsys.readouterr()
        told.append(json.loads(said.out))
        assert said.err.startswith(f"replay of {recording} on http://127.0.0.1:")
        address = next(word for word in said.err.split() if word.startswith("http"))
        told.append(httpx.get(f"{address}api/past/range", trust_env=False).json())
        signal.raise_signal(signal.SIGTERM)

    class Stopped(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            look()
            return self.is_set()

    module = sys.modules["rsu.cli.replay"]
    monkeypatch.setattr(module, "threading", SimpleNamespace(Event=Stopped))
    arguments = ("--site", str(CONFIGS / "junction.yaml"), "--web", "--json", "--out", str(out))
    assert replay.main([str(recording), *arguments], standalone_mode=False) == 0
    summary, span = told
    assert summary["camera_frames"] == 20
    assert span["start_ms"] == START // 10**6
    with pytest.raises(KeyboardInterrupt):  # whose it was before
        signal.raise_signal(signal.SIGINT)
