"""Recorded cameras in lock-step: every frame, the same on every run, damage reported."""

from __future__ import annotations

import gc
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from rsu.config.cameras import FileSourceOptions, ImagesSourceOptions, V4l2SourceOptions
from rsu.hal.camera.recorded import recorded_frames
from rsu.hal.errors import DeviceError
from rsu.schema.units import NS_PER_S

START_UTC = 1_735_689_600 * NS_PER_S


def video(path: Path, **options: object) -> FileSourceOptions:
    return FileSourceOptions.model_validate({"driver": "file", "path": path, **options})


def clip(path: Path, frames: int = 100) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (160, 120))
    rng = np.random.default_rng(3)
    for _ in range(frames):
        writer.write(rng.integers(0, 255, (120, 160, 3)).astype(np.uint8))
    writer.release()
    return path


def open_on(path: Path) -> int:
    """How many of this process's descriptors are open on the file."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found += link.readlink() == path
        except FileNotFoundError:
            continue
    return found


def test_the_real_clip_comes_whole_with_its_own_times(shared: Path) -> None:
    path = shared / "data" / "video" / "car-detection.mp4"
    frames = recorded_frames("aisle", video(path), shared)
    times = []
    for index, frame in enumerate(frames):
        assert (frame.sensor, frame.frame) == ("aisle", index)
        assert frame.image.shape == (432, 768, 3)
        times.append(frame.capture_ns - START_UTC)
    assert times == [index * 80_000_000 for index in range(377)]
    assert (frames.dropped, frames.remark) == ({}, "")
    assert frames.end.endswith("ended after 377 frames")


def test_an_animated_gif_is_a_video_with_uneven_times(shared: Path) -> None:
    path = shared / "data" / "video" / "person-bicycle-car-detection.gif"
    times = [f.capture_ns - START_UTC for f in recorded_frames("lot", video(path), shared)]
    assert len(times) == 41
    assert times[:4] == [0, 80_000_000, 170_000_000, 250_000_000]
    assert times == sorted(set(times))


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_truncated_video_ends_early_and_says_how_much_is_missing(
    share: float, shared: Path, tmp_path: Path
) -> None:
    whole = (shared / "data" / "video" / "car-detection.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: round(len(whole) * share)])
    frames = recorded_frames("aisle", video(cut), tmp_path)
    count = sum(1 for _ in frames)
    assert 20 < count < 377
    assert f"after {count} frames of 377: {377 - count} are missing" in frames.remark


@pytest.mark.parametrize("octets", [0, 1, 100, 5000])
def test_a_video_cut_in_its_header_is_refused_or_ends(octets: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.avi"
    path.write_bytes(clip(tmp_path / "whole.avi").read_bytes()[:octets])
    frames = recorded_frames("aisle", video(path), tmp_path)
    with pytest.raises((DeviceError, StopIteration)):
        next(frames)
    assert next(frames, None) is None


def test_holes_in_a_video_are_survived(tmp_path: Path) -> None:
    path = clip(tmp_path / "clip.avi")
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(5)
    for at in rng.integers(20_000, len(data) - 20_000, 60):
        data[at : at + 200] = rng.bytes(200)
    path.write_bytes(data)
    frames = recorded_frames("aisle", video(path), tmp_path)
    times = [frame.capture_ns for frame in frames]
    assert times == sorted(set(times))
    assert frames.end or frames.remark


def test_start_utc_places_the_first_frame(tmp_path: Path) -> None:
    options = video(clip(tmp_path / "a.avi", 3), start_utc="2024-02-29T12:00:00.25Z")
    first = next(recorded_frames("a", options, tmp_path))
    assert first.capture_ns == 1_709_208_000 * NS_PER_S + 250_000_000


def test_two_runs_give_the_same_octets_and_times(tmp_path: Path) -> None:
    options = video(clip(tmp_path / "a.avi", 20))
    runs = [
        [
            (frame.frame, frame.capture_ns, hashlib.sha256(frame.image).hexdigest())
            for frame in recorded_frames("a", options, tmp_path)
        ]
        for _ in range(2)
    ]
    assert len(runs[0]) == 20
    assert runs[0] == runs[1]


def test_a_loop_is_not_followed_in_lock_step(tmp_path: Path) -> None:
    options = video(clip(tmp_path / "a.avi", 5), loop=True)
    assert sum(1 for _ in recorded_frames("a", options, tmp_path)) == 5


@pytest.mark.parametrize("how", ["end", "close", "with", "forget", "forget unread"])
def test_the_file_is_let_go_however_the_iteration_ends(how: str, tmp_path: Path) -> None:
    path = clip(tmp_path / "a.avi", 5)
    frames = recorded_frames("a", video(path), tmp_path)
    if how == "forget unread":
        del frames
    elif how == "with":
        with frames:
            next(frames)
            assert open_on(path) == 1
    else:
        next(frames)
        assert open_on(path) == 1
        if how == "end":
            list(frames)
        elif how == "close":
            frames.close()
            assert next(frames, None) is None
        else:
            del frames
    gc.collect()
    assert open_on(path) == 0


def test_a_live_device_cannot_be_iterated(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="lock-step"):
        recorded_frames("a", V4l2SourceOptions(driver="v4l2"), tmp_path)


def folder(path: Path, names: list[str]) -> Path:
    path.mkdir()
    for index, name in enumerate(names):
        assert cv2.imwrite(str(path / name), np.full((48, 64, 3), 40 + index, np.uint8))
    return path


def images(path: Path, **options: object) -> ImagesSourceOptions:
    return ImagesSourceOptions.model_validate({"driver": "images", "path": path, **options})


def test_unreadable_missing_and_doubled_images_are_counted_and_keep_their_numbers(
    tmp_path: Path,
) -> None:
    path = folder(tmp_path / "i", ["a.png", "b.png", "c.png", "d.png"])
    (path / "b.png").write_bytes(b"no image")
    (path / "timestamps.csv").write_text(
        "name,utc_ns\na.png,100\nb.png,200\nabsent.png,300\nc.png,400\nd.png,400\n"
    )
    frames = recorded_frames("i", images(path), tmp_path)
    assert [(f.frame, f.capture_ns, int(f.image[0, 0, 0])) for f in frames] == [
        (0, 100, 40),
        (3, 400, 42),
    ]
    assert frames.dropped == {"unreadable": 2, "duplicate_timestamp": 1}


def test_images_by_rate_begin_at_start_utc(tmp_path: Path) -> None:
    path = folder(tmp_path / "i", ["2.png", "1.png"])
    options = images(path, rate_hz=2, start_utc="2025-01-01T00:00:01Z")
    frames = recorded_frames("i", options, tmp_path)
    assert [f.capture_ns - START_UTC for f in frames] == [NS_PER_S, NS_PER_S + NS_PER_S // 2]


def test_grey_and_transparent_images_become_bgr(tmp_path: Path) -> None:
    path = tmp_path / "i"
    path.mkdir()
    cv2.imwrite(str(path / "a.png"), np.full((8, 8), 9, np.uint8))
    cv2.imwrite(str(path / "b.png"), np.full((8, 8, 4), 9, np.uint8))
    cv2.imwrite(str(path / "c.png"), np.full((8, 8), 9, np.uint16))
    frames = list(recorded_frames("i", images(path, rate_hz=1), tmp_path))
    assert {(f.image.shape, str(f.image.dtype)) for f in frames} == {((8, 8, 3), "uint8")}


def test_an_empty_folder_is_a_device_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="holds no images"):
        next(recorded_frames("i", images(tmp_path), tmp_path))


def test_a_pipe_among_the_images_does_not_hang(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.png")
    frames = recorded_frames("i", images(tmp_path, rate_hz=1), tmp_path)
    assert list(frames) == []
    assert frames.dropped == {"unreadable": 1}
