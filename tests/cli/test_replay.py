"""The real clip through the whole chain: what is found, that it repeats, that another codec agrees.

And the mistakes a newcomer makes: each gives one clear line and its exit code.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rsu.recording.reader import read_messages
from rsu.runtime.explain import REASONS
from rsu.schema.topics import DECISION, TRACKS, V2X_TX

Rsu = Callable[..., subprocess.CompletedProcess[str]]

CARS_BY_EYE = {
    "white, away": (4.4, 8.6),
    "silver, towards": (14.5, 18.2),
    "red, away": (15.0, 19.0),
    "white, towards": (25.2, 27.8),
}
"""The four cars that cross the aisle, with the seconds in which a person sees them in the clip
(docs/perception.md); nothing else moves: asphalt, and one parked car at the upper edge."""


@dataclass
class Clip:
    """The clip replayed once with the public detector."""

    video: Path
    site: Path
    folder: Path
    out: Path
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def clip(
    rsu: Rsu, shared: Path, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Clip]:
    folder = tmp_path_factory.mktemp("clip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RSU_MODELS", str(folder / "models"))
        model = shared / "data" / "models" / "yolox_nano.onnx"
        added = rsu("models", "add", model, "--head", "yolox", "--licence", "Apache-2.0")
        assert added.returncode == 0, added.stderr
        video = shared / "data" / "video" / "car-detection.mp4"
        site, out = root / "configs" / "parking-aisle.yaml", folder / "out.mcap"
        done = rsu("replay", video, "--site", site, "--out", out, "--json")
        assert done.returncode == 0, done.stderr
        yield Clip(video, site, folder, out, json.loads(done.stdout))


@pytest.mark.component
def test_every_car_that_crosses_is_one_track_and_nothing_else_is(clip: Clip) -> None:
    assert clip.summary["camera_frames"] == 377
    lists = [message.payload for message in read_messages(clip.out, [TRACKS])]
    start_ns = lists[0].time_ns
    seen: dict[int, list[float]] = {}
    for tracks in lists:
        for track in tracks.tracks:
            seen.setdefault(track.id, []).append((tracks.time_ns - start_ns) / 1e9)
    assert len(seen) == len(CARS_BY_EYE)
    spans = sorted((times[0], times[-1]) for times in seen.values())
    for (begin, end), (enters, leaves) in zip(spans, sorted(CARS_BY_EYE.values()), strict=True):
        # Confirmed within a second of entering, kept past three quarters of the way, and gone
        # within the coasting time after leaving.
        assert enters - 0.1 <= begin <= enters + 1.0
        assert enters + 0.75 * (leaves - enters) <= end <= leaves + 1.5


@pytest.mark.component
def test_another_process_replays_a_clip_to_the_same_bytes(
    rsu: Rsu, clip: Clip, tmp_path: Path
) -> None:
    part, out = tmp_path / "part.avi", tmp_path / "out.mcap"
    whole = cv2.VideoCapture(str(clip.video))
    size = int(whole.get(cv2.CAP_PROP_FRAME_WIDTH)), int(whole.get(cv2.CAP_PROP_FRAME_HEIGHT))
    rate = whole.get(cv2.CAP_PROP_FPS)
    writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*"MJPG"), rate, size)
    enters, leaves = CARS_BY_EYE["white, away"]
    for index in range(round(leaves * rate)):
        _, image = whole.read()
        if index >= (enters - 0.5) * rate:
            writer.write(image)
    writer.release()
    whole.release()
    once = rsu("replay", part, "--site", clip.site, "--out", out, "--json")
    assert once.returncode == 0, once.stderr
    summary = json.loads(once.stdout)
    assert summary["v2x_frames"]["RSM"] > 10, "hardly anything to compare"
    again = subprocess.run(
        [sys.executable, "-m", "rsu.cli", "replay", part, "--site", clip.site, "--golden", out,
         "--json"],
        capture_output=True, text=True, timeout=110, check=False,
        env={**os.environ, "PYTHONHASHSEED": "4242"},
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["v2x_sha256"] == summary["v2x_sha256"]
    assert "all the same" in again.stderr


@pytest.mark.component
def test_a_replay_of_the_recording_gives_the_same_bytes(rsu: Rsu, clip: Clip) -> None:
    again = rsu("replay", clip.out, "--site", clip.site, "--golden", clip.out, "--json")
    assert again.returncode == 0, again.stderr
    summary = json.loads(again.stdout)
    assert summary["replay"].startswith("exact")
    assert summary["v2x_sha256"] == clip.summary["v2x_sha256"]


@pytest.mark.component
def test_a_changed_site_is_noticed_by_golden(rsu: Rsu, clip: Clip, tmp_path: Path) -> None:
    text = clip.site.read_text(encoding="utf-8").replace("0000000000000001", "0000000000000002")
    (tmp_path / "changed.yaml").write_text(text, encoding="utf-8")
    again = rsu("replay", clip.out, "--site", tmp_path / "changed.yaml", "--golden", clip.out)
    assert again.returncode == 1
    assert "0000000000000002" in again.stdout
    assert not list(clip.folder.glob("*replayed*")), "the scratch file stayed behind"


@pytest.mark.component
def test_every_frame_decodes_to_the_same_values_in_an_independent_codec(
    rsu: Rsu, clip: Clip, pycrate_decode: Callable[[bytes], Any]
) -> None:
    decoded = rsu("v2x", "decode", clip.out)
    assert decoded.returncode == 0, decoded.stderr
    lines = [json.loads(line) for line in decoded.stdout.splitlines()]
    assert len(lines) == clip.summary["v2x_frames"]["RSM"] > 50
    road_users = 0
    for line in lines:
        assert set(line) >= {"time", "profile", "message", "hex", "value"}
        assert pycrate_decode(bytes.fromhex(line["hex"])) == line["value"]
        road_users += len(line["value"]["rsmFrame"]["participants"]) - 1
    assert road_users > 50, "hardly any frame held anybody but the unit"


@pytest.mark.component
def test_every_reason_that_was_given_is_explained(rsu: Rsu, clip: Clip) -> None:
    reasons = {message.payload.reason for message in read_messages(clip.out, [DECISION])}
    assert reasons
    assert reasons <= set(REASONS)
    frames = list(read_messages(clip.out, [V2X_TX]))
    track = next(frame.payload.subjects[0] for frame in frames if frame.payload.subjects)
    told = rsu("explain", clip.out, f"track:{track}")
    assert told.returncode == 0
    assert "in_frame" in told.stdout
    assert REASONS["existence_doubtful"] in told.stdout


def test_the_page_of_reasons_is_the_list_of_reasons(root: Path) -> None:
    page = (root / "docs" / "decisions.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    assert {row[1].strip(" `"): row[3].strip() for row in rows} == REASONS


# ── a newcomer's mistakes ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def motion_site(tmp_path: Path) -> Path:
    """A site that needs no model."""
    (tmp_path / "site.yaml").write_text(
        """
site: {id: t, origin: {latitude: 31.2, longitude: 121.5}}
cameras:
  - id: cam
    source: {driver: file, path: absent.avi}
    calibration:
      kind: homography
      image_width: 320
      image_height: 240
      points:
        - {image: [0, 239], ground: [0, 10]}
        - {image: [319, 239], ground: [30, 10]}
        - {image: [319, 60], ground: [30, 30]}
        - {image: [0, 60], ground: [0, 30]}
    detector: {driver: motion}
v2x: {rsu_id: "00000000000000a1"}
""",
        encoding="utf-8",
    )
    return tmp_path / "site.yaml"


@pytest.fixture
def small_clip(tmp_path: Path) -> Path:
    path = tmp_path / "small.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    noise = np.random.default_rng(3)
    for _ in range(40):
        writer.write(noise.integers(60, 90, (240, 320, 3), dtype=np.uint8))
    writer.release()
    return path


def test_a_truncated_video_is_replayed_as_far_as_it_goes_and_says_what_is_missing(
    rsu: Rsu, motion_site: Path, small_clip: Path
) -> None:
    whole = small_clip.read_bytes()
    small_clip.write_bytes(whole[: len(whole) // 2])
    done = rsu("replay", small_clip, "--site", motion_site, "--json")
    assert "Traceback" not in done.stderr
    if done.returncode == 0:
        summary = json.loads(done.stdout)
        assert 0 < summary["camera_frames"] < 40
        assert "missing" in summary["replay"]
    else:
        assert done.returncode == 3
        assert "small.avi" in done.stderr


def test_a_video_without_its_index_is_refused_in_one_line(
    rsu: Rsu, motion_site: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(5000))
    done = rsu("replay", broken, "--site", motion_site)
    assert done.returncode == 3, done.stderr
    assert "broken.mp4" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_image_folder_is_replayed(rsu: Rsu, motion_site: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(5):
        image = np.full((240, 320, 3), 80, dtype=np.uint8)
        cv2.imwrite(str(folder / f"{1_735_689_600_000 + 100 * index}.png"), image)
    done = rsu("replay", folder, "--site", motion_site, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["camera_frames"] == 5


def test_overwriting_the_source_is_refused(rsu: Rsu, motion_site: Path, small_clip: Path) -> None:
    before = small_clip.read_bytes()
    done = rsu("replay", small_clip, "--site", motion_site, "--out", small_clip)
    assert done.returncode == 2
    assert small_clip.read_bytes() == before


def test_a_site_with_several_cameras_wants_to_know_which(
    rsu: Rsu, root: Path, small_clip: Path, tmp_path: Path
) -> None:
    site = root / "configs" / "lab-two-cameras.yaml"
    done = rsu("replay", small_clip, "--site", site)
    assert done.returncode == 2
    assert "--camera east|west" in done.stderr
    done = rsu("replay", small_clip, "--site", site, "--camera", "north")
    assert done.returncode == 2
    assert "north" in done.stderr


def test_a_model_that_is_not_there_says_how_to_add_it(
    rsu: Rsu, root: Path, small_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSU_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    done = rsu("replay", small_clip, "--site", root / "configs" / "parking-aisle.yaml")
    assert done.returncode == 2
    assert "rsu models add" in done.stderr


@pytest.mark.component
def test_a_model_whose_output_does_not_fit_its_card_is_refused(
    rsu: Rsu,
    clip: Clip,
    shared: Path,
    small_clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RSU_MODELS", str(tmp_path / "models"))
    shutil.copytree(clip.folder / "models", tmp_path / "models")
    card = tmp_path / "models" / "yolox_nano.yaml"
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace("head: yolox", "head: yolov8"), encoding="utf-8")
    assert text != card.read_text(encoding="utf-8")
    done = rsu("replay", small_clip, "--site", clip.site)
    assert done.returncode == 2, done.stderr
    assert "yolox_nano" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_camera_that_looks_at_the_sky_and_a_misspelt_key_are_told_at_once(
    rsu: Rsu,
    motion_site: Path,
) -> None:
    text = motion_site.read_text(encoding="utf-8")
    text = text[: text.index("    calibration:")] + (
        "    calibration:\n"
        "      kind: pose\n"
        "      image_width: 320\n"
        "      image_height: 240\n"
        "      lens: {fx: 300, fy: 300, cx: 160, cy: 120}\n"
        "      pose: {x: 0, y: 0, z: 8, heading: 0, tilt: -60}\n"
        "    detector: {driver: motion}\n"
        "    max_rnge: 50\n"
    )
    motion_site.write_text(text, encoding="utf-8")
    done = rsu("config", "check", motion_site)
    assert done.returncode == 2
    lines = (done.stdout + done.stderr).splitlines()
    assert any("max_rnge" in line and "did you mean max_range?" in line for line in lines)
    assert any("calibration" in line and ("sky" in line or "horizon" in line) for line in lines)
    assert all(line.startswith(str(motion_site)) for line in lines if "cameras[0]" in line)


@pytest.mark.component
def test_a_damaged_recording_is_replayed_as_far_as_it_is_whole_and_says_so(
    rsu: Rsu, clip: Clip, tmp_path: Path
) -> None:
    octets = bytearray(clip.out.read_bytes())
    octets[len(octets) // 2] ^= 0xFF
    damaged = tmp_path / "damaged.mcap"
    damaged.write_bytes(octets)
    done = rsu("replay", damaged, "--site", clip.site, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["replay"].startswith("NOT exact")
    assert "rsu recording recover" in summary["replay"]
    assert summary["camera_frames"] > 300
