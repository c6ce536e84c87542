"""What every camera driver must do, whatever is behind it.

Adding a driver is one row in `ROWS`: how to make a working device, a missing one and a broken one.
A recorded device has `FRAMES` frames; a live one streams until it is cut. `options` are the option
model's arguments; a row without a working device says why and is held to the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rsu.config.cameras import (
    FileSourceOptions,
    ImagesSourceOptions,
    RtspSourceOptions,
    SourceOptions,
    V4l2SourceOptions,
)
from rsu.hal.camera.base import FrameSource, LivePace, RawFrame
from rsu.hal.camera.drivers import DRIVERS, frame_source, source_class
from rsu.hal.errors import DeviceError, EndOfSource
from rsu.schema.units import Instant

FRAMES = 12
BOUND_S = 15.0  # nothing here may take this long; far above what any step needs


@dataclass(frozen=True)
class Row:
    """One driver: devices are made by functions of the `devices` fixture returning options."""

    working: Callable[[Any], SourceOptions] | None
    missing: Callable[[Any], SourceOptions]
    garbage: Callable[[Any], SourceOptions]
    lose: Callable[[Any], None] | None = None  # cuts the working device off; it stays reachable
    why_not_working: str = ""


def options_of(model: type[SourceOptions], driver: str, **fields: Any) -> SourceOptions:
    return model(driver=driver, late_s=0.5, **fields)


def garbage_file(folder: Path) -> Path:
    path = folder / "garbage.mp4"
    path.write_bytes(np.random.default_rng(1).bytes(20_000))
    return path


def garbage_images(folder: Path) -> Path:
    damaged = folder / "damaged"
    damaged.mkdir()
    for index in range(3):
        (damaged / f"173568960000{index}.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    return damaged


def rtsp_working(devices: SimpleNamespace) -> SourceOptions:
    devices.camera = devices.rtsp()
    return rtsp(devices.camera.url)


def rtsp(url: str) -> SourceOptions:
    return options_of(RtspSourceOptions, "rtsp", url=url, open_timeout_s=5.0)


def rtsp_garbage(devices: SimpleNamespace) -> SourceOptions:
    devices.camera = devices.rtsp(talk_nonsense=True)
    return rtsp(devices.camera.url)


ROWS = {
    "file": Row(
        lambda d: options_of(FileSourceOptions, "file", path=d.clip(d.folder / "clip.avi", FRAMES)),
        lambda d: options_of(FileSourceOptions, "file", path="absent.mp4"),
        lambda d: options_of(FileSourceOptions, "file", path=garbage_file(d.folder)),
    ),
    "images": Row(
        lambda d: options_of(
            ImagesSourceOptions, "images", path=d.images(d.folder / "images", FRAMES)
        ),
        lambda d: options_of(ImagesSourceOptions, "images", path="absent"),
        lambda d: options_of(ImagesSourceOptions, "images", path=garbage_images(d.folder)),
    ),
    "rtsp": Row(
        rtsp_working,
        lambda d: rtsp(f"rtsp://127.0.0.1:{d.port}/live"),
        rtsp_garbage,
        lose=lambda d: d.camera.cut(),
    ),
    "v4l2": Row(
        None,
        lambda d: options_of(V4l2SourceOptions, "v4l2", device="/dev/video-absent"),
        lambda d: options_of(V4l2SourceOptions, "v4l2", device="/dev/null"),
        why_not_working="needs a video device, which a test machine cannot make for itself",
    ),
}

WORKING = [name for name, row in ROWS.items() if row.working]
RECORDED = [name for name in WORKING if name in ("file", "images")]
LOSABLE = [name for name, row in ROWS.items() if row.lose]
PACES = [(name, live) for name in WORKING for live in (True, False) if live or name in RECORDED]


class Bench:
    """Makes sources of one row and closes them after the test."""

    def __init__(self, row: Row, devices: SimpleNamespace) -> None:
        self.row, self.devices = row, devices
        self.made: list[FrameSource] = []

    def source(self, options: SourceOptions, live: bool = True) -> FrameSource:
        pace = LivePace(now, threading.Event().wait) if live else None
        self.made.append(frame_source(options, self.devices.folder, pace))
        return self.made[-1]

    def working(self, live: bool = True) -> FrameSource:
        assert self.row.working is not None
        return self.source(self.row.working(self.devices), live)


def now() -> Instant:
    return Instant(time.time_ns(), time.monotonic_ns())


@pytest.fixture
def bench(
    request: pytest.FixtureRequest, devices: SimpleNamespace, free_port: int
) -> Iterator[Bench]:
    driver = request.node.callspec.params["driver"]
    devices.port = free_port
    made = Bench(ROWS[driver], devices)
    yield made
    for source in made.made:
        source.close()


def next_frame(source: FrameSource) -> RawFrame:
    end_s = time.monotonic() + BOUND_S
    while time.monotonic() < end_s:
        frame = source.read(0.5)
        if frame is not None:
            return frame
    raise AssertionError("no frame within the bound")


def read_on(source: FrameSource) -> None:
    """Read until the source raises, whatever it gives, within the bound."""
    end_s = time.monotonic() + BOUND_S
    while time.monotonic() < end_s:
        source.read(0.5)


def open_and_read_on(source: FrameSource) -> None:
    """The same for a source that must not give any frame."""
    source.open()
    end_s = time.monotonic() + BOUND_S
    while time.monotonic() < end_s:
        assert source.read(0.0) is None


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_every_driver_of_ours_has_a_row() -> None:
    assert set(ROWS) == set(DRIVERS) - {"sim"}


@pytest.mark.parametrize("driver", ROWS)
def test_a_missing_device_is_a_device_error_that_says_what_to_do(driver: str, bench: Bench) -> None:
    source = bench.source(bench.row.missing(bench.devices))
    with pytest.raises(DeviceError) as caught:
        source.open()
    assert caught.value.next_step
    assert caught.value.problem in str(caught.value)


@pytest.mark.parametrize("driver", ROWS)
def test_garbage_is_an_error_or_a_counted_drop_never_a_frame(driver: str, bench: Bench) -> None:
    source = bench.source(bench.row.garbage(bench.devices), live=driver not in RECORDED)
    with pytest.raises((DeviceError, EndOfSource)) as caught:
        open_and_read_on(source)
    if isinstance(caught.value, DeviceError):
        assert caught.value.next_step
    else:
        assert sum(source.dropped.values()) == 3


@pytest.mark.parametrize("driver", ROWS)
def test_a_source_that_was_never_opened_can_be_closed_and_does_not_read(
    driver: str, bench: Bench
) -> None:
    source = bench.source(bench.row.missing(bench.devices))
    source.close()
    source.close()
    with pytest.raises(DeviceError, match="not open"):
        source.read(0.0)


@pytest.mark.parametrize(("driver", "live"), PACES)
def test_open_and_close_may_be_repeated_and_frames_come_again(
    driver: str, live: bool, bench: Bench
) -> None:
    source = bench.working(live)
    for _ in range(2):
        source.open()
        source.open()
        assert next_frame(source).image.shape == (48, 64, 3)
        source.close()
        source.close()
        with pytest.raises(DeviceError, match="not open"):
            source.read(0.0)


@pytest.mark.parametrize(("driver", "live"), PACES)
def test_frames_are_bgr_octets_with_strictly_increasing_times(
    driver: str, live: bool, bench: Bench
) -> None:
    source = bench.working(live)
    source.open()
    before = now().utc_ns
    frames = [next_frame(source) for _ in range(6)]
    times = [frame.capture_ns for frame in frames]
    assert times == sorted(set(times))
    for frame in frames:
        assert frame.image.shape == (48, 64, 3)
        assert frame.image.dtype == np.uint8
        # The background is blue 90, green 120, red 60: the channels are in BGR order.
        assert np.abs(frame.image[40, 60].astype(int) - (90, 120, 60)).max() <= 12
    if live:
        assert before - 2_000_000_000 < times[0] <= times[-1] <= now().utc_ns


@pytest.mark.parametrize("driver", RECORDED)
def test_a_recorded_source_gives_every_frame_and_then_ends_for_good(
    driver: str, bench: Bench
) -> None:
    source = bench.working(live=False)
    assert source.recorded
    source.open()
    times = [next_frame(source).capture_ns for _ in range(FRAMES)]
    steps = np.diff(times)
    assert times[0] == 1_735_689_600_000_000_000  # 2025-01-01T00:00:00Z
    assert np.abs(steps - 100_000_000).max() < 1_000_000
    for _ in range(3):
        with pytest.raises(EndOfSource, match="12"):
            source.read(0.0)


@pytest.mark.parametrize("driver", RECORDED)
def test_lock_step_gives_the_same_frames_on_every_run(driver: str, bench: Bench) -> None:
    assert bench.row.working is not None
    options = bench.row.working(bench.devices)
    runs = []
    for _ in range(2):
        source = bench.source(options, live=False)
        source.open()
        frames = [next_frame(source) for _ in range(FRAMES)]
        runs.append([(frame.capture_ns, frame.image.tobytes()) for frame in frames])
    assert runs[0] == runs[1]


@pytest.mark.parametrize("driver", sorted(set(ROWS) - set(RECORDED)))
def test_a_live_device_is_not_for_lock_step(driver: str, bench: Bench) -> None:
    options = bench.row.missing(bench.devices)
    assert not source_class(options).recorded
    with pytest.raises(DeviceError, match="lock-step"):
        bench.source(options, live=False)


@pytest.mark.parametrize("driver", LOSABLE)
def test_a_lost_device_is_a_device_error_and_opens_again(driver: str, bench: Bench) -> None:
    source = bench.working()
    source.open()
    next_frame(source)
    assert bench.row.lose is not None
    bench.row.lose(bench.devices)
    with pytest.raises(DeviceError) as caught:
        read_on(source)
    assert caught.value.next_step
    source.close()
    source.open()
    assert next_frame(source).image.any()


@pytest.mark.parametrize("driver", WORKING)
def test_closing_while_another_thread_reads_ends_the_read_within_a_bound(
    driver: str, bench: Bench
) -> None:
    source = bench.working()
    source.open()
    next_frame(source)
    outcome: list[BaseException] = []
    reading = threading.Event()

    def read_until_closed() -> None:
        reading.set()
        try:
            read_on(source)
        except (DeviceError, EndOfSource) as error:
            outcome.append(error)

    thread = threading.Thread(target=read_until_closed)
    thread.start()
    assert reading.wait(BOUND_S)
    source.close()
    thread.join(BOUND_S)
    assert not thread.is_alive()
    assert isinstance(outcome[0], DeviceError)


@pytest.mark.parametrize("driver", RECORDED)
def test_closing_lets_every_file_go(driver: str, bench: Bench) -> None:
    source = bench.working(live=False)
    before = open_files()
    for _ in range(3):
        source.open()
        next_frame(source)
        source.close()
    assert open_files() <= before
