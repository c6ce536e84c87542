"""The live camera: newest frame wins, nothing is lost uncounted, it comes back, it stops."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from rsu.config.cameras import FileSourceOptions, ReconnectOptions, SourceOptions
from rsu.hal.camera.base import LivePace, RawFrame
from rsu.hal.camera.live import Backoff, LiveCamera
from rsu.hal.errors import DeviceError, EndOfSource
from rsu.schema.health import SensorState
from rsu.schema.units import NS_PER_S, Instant

BOUND_S = 15.0
START_UTC = 1_735_689_600 * NS_PER_S


class FakeClock:
    """Time that moves only when someone waits for it or a test pushes it."""

    def __init__(self) -> None:
        self.mono_ns = 0
        self.waits: list[float] = []

    def __call__(self) -> Instant:
        return Instant(START_UTC + self.mono_ns, self.mono_ns)

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.mono_ns += round(seconds * NS_PER_S)
        return False


class ScriptedSource:
    """A driver that does what the test puts into `script`: a frame, an exception, or None."""

    recorded = False

    def __init__(self) -> None:
        self.dropped: dict[str, int] = {}
        self.remark = ""
        self.script: queue.Queue[RawFrame | BaseException | None] = queue.Queue()
        self.opened = self.closed = 0
        self.refuse_opening: DeviceError | None = None
        self.idle = threading.Semaphore(0)  # released whenever all of the script has been read

    def open(self) -> None:
        self.opened += 1
        if self.refuse_opening is not None:
            raise self.refuse_opening

    def read(self, timeout_s: float) -> RawFrame | None:
        try:
            step = self.script.get_nowait()
        except queue.Empty:
            self.idle.release()
            try:
                step = self.script.get(timeout=timeout_s)
            except queue.Empty:
                return None
        if isinstance(step, BaseException):
            raise step
        return step

    def close(self) -> None:
        self.closed += 1


class Rig:
    """A live camera over a scripted source."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.source = ScriptedSource()
        self.clock = FakeClock()
        self.pauses: list[float] = []
        self.go_on = threading.Semaphore(0)  # lets one back-off pass
        monkeypatch.setattr("rsu.hal.camera.live.frame_source", lambda *_: self.source)
        self.camera = LiveCamera("north", SourceOptions(), Path(), self.clock, self._pause)
        self.made = 0

    def _pause(self, seconds: float) -> bool:
        self.pauses.append(seconds)
        return not self.go_on.acquire(timeout=BOUND_S)

    def frame(self, capture_s: float | None = None, level: int = 100) -> None:
        """Let the device give one noisy frame."""
        self.made += 1
        noise = np.random.default_rng(self.made).integers(0, 9, (48, 64, 3))
        capture = self.made * 0.1 if capture_s is None else capture_s
        self.source.script.put(
            RawFrame((noise + level).astype(np.uint8), START_UTC + round(capture * NS_PER_S))
        )

    def settle(self) -> None:
        """Wait until the camera has read everything that the script held."""
        while self.source.idle.acquire(blocking=False):
            pass
        assert self.source.idle.acquire(timeout=BOUND_S)

    def state(self) -> SensorState:
        return self.camera.health(self.clock()).state


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    made = Rig(monkeypatch)
    yield made
    made.go_on.release()
    assert made.camera.stop()


def eventually(condition: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + BOUND_S
    while not condition():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.01)
    return True


def test_the_newest_frame_wins_and_the_others_are_counted(rig: Rig) -> None:
    for _ in range(5):
        rig.frame()
    rig.camera.start()
    rig.settle()
    taken = rig.camera.take(BOUND_S)
    assert taken is not None
    assert (taken.sensor, taken.frame) == ("north", 4)
    assert taken.capture_ns == START_UTC + NS_PER_S // 2
    assert rig.camera.take(0.0) is None
    health = rig.camera.health(rig.clock())
    assert (health.received, health.dropped) == (5, {"superseded": 4})
    assert health.state is SensorState.LIVE


def test_received_is_handed_out_plus_slot_plus_dropped(rig: Rig) -> None:
    rig.source.dropped["behind"] = 2
    for capture in (0.1, 0.2, 0.2, 0.15, 0.3, 0.4):
        rig.frame(capture)
    rig.frame(0.5, level=0)
    rig.camera.start()
    rig.settle()
    taken = rig.camera.take(BOUND_S)
    health = rig.camera.health(rig.clock())
    assert health.dropped == {
        "behind": 2,
        "black": 1,
        "duplicate_timestamp": 1,
        "non_monotone_timestamp": 1,
        "superseded": 3,
    }
    assert health.received == 9 == 1 + sum(health.dropped.values())
    assert taken is not None
    assert taken.frame == 7  # counts those that were dropped on the way, too
    assert health.state is SensorState.BLIND


def test_a_lost_device_is_reopened_with_growing_pauses_that_start_anew_after_a_frame(
    rig: Rig,
) -> None:
    rig.source.refuse_opening = DeviceError("no cable", "plug it in")
    rig.camera.start()
    for count in range(1, 7):
        assert eventually(lambda count=count: len(rig.pauses) == count)
        assert rig.state() is SensorState.GONE
        if count == 6:
            rig.source.refuse_opening = None
        rig.go_on.release()
    assert rig.pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0]
    rig.frame()
    assert rig.camera.take(BOUND_S) is not None
    assert rig.camera.health(rig.clock()).reconnects == 0
    rig.source.script.put(DeviceError("cable", "plug it in"))
    assert eventually(lambda: len(rig.pauses) == 7)
    health = rig.camera.health(rig.clock())
    assert (health.state, health.detail) == (SensorState.GONE, "cable; plug it in")
    assert rig.pauses[-1] == 0.5
    rig.go_on.release()
    rig.frame()
    assert rig.camera.take(BOUND_S) is not None
    assert rig.camera.health(rig.clock()).reconnects == 1


def test_a_driver_that_breaks_its_contract_is_reported_and_opened_again(rig: Rig) -> None:
    rig.camera.start()
    rig.source.script.put(ZeroDivisionError("oops"))
    assert eventually(lambda: rig.state() is SensorState.GONE)
    assert "ZeroDivisionError: oops" in rig.camera.health(rig.clock()).detail
    assert rig.source.closed == 1
    rig.go_on.release()
    rig.frame()
    assert rig.camera.take(BOUND_S) is not None


def test_an_ended_source_is_ended_only_when_its_last_frame_was_taken(rig: Rig) -> None:
    rig.frame()
    rig.source.script.put(EndOfSource("clip ended after 1 frames"))
    rig.camera.start()
    assert eventually(lambda: rig.state() is SensorState.ENDED)
    assert not rig.camera.ended
    assert rig.camera.take(0.0) is not None
    assert rig.camera.ended
    assert rig.camera.take(BOUND_S) is None  # at once: nothing can come any more
    assert rig.source.closed == 1
    assert rig.pauses == []


def test_silence_shows_as_late_without_any_frame_arriving(rig: Rig) -> None:
    rig.frame()
    rig.camera.start()
    rig.settle()
    assert rig.state() is SensorState.LIVE
    rig.clock.mono_ns += round(1.5 * NS_PER_S)
    assert rig.state() is SensorState.LATE


def test_stopping_wakes_a_waiting_consumer_and_closes_the_device(rig: Rig) -> None:
    rig.camera.start()
    rig.settle()
    taken: list[object] = []
    thread = threading.Thread(target=lambda: taken.append(rig.camera.take(BOUND_S * 2)))
    thread.start()
    assert rig.camera.stop()
    thread.join(BOUND_S)
    assert taken == [None]
    assert rig.source.closed >= 1
    assert rig.camera.stop()


def test_a_camera_that_was_never_started_stops(rig: Rig) -> None:
    assert rig.camera.stop()


def test_back_off_doubles_up_to_its_longest() -> None:
    pauses = Backoff(ReconnectOptions(first_s=1.0, longest_s=3.0))
    assert [pauses.next_s() for _ in range(4)] == [1.0, 2.0, 3.0, 3.0]
    pauses.reset()
    assert pauses.next_s() == 1.0
    assert Backoff(ReconnectOptions(first_s=5.0, longest_s=3.0)).next_s() == 3.0


def clip(path: Path, frames: int = 10) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 48))
    for index in range(frames):
        image = np.full((48, 64, 3), 100, np.uint8)
        image[:, 4 * index : 4 * index + 8] = 200
        writer.write(image)
    writer.release()
    return path


def file_source(path: Path, clock: FakeClock, **options: object) -> object:
    from rsu.hal.camera.drivers import frame_source

    fields = FileSourceOptions.model_validate({"driver": "file", "path": path, **options})
    return frame_source(fields, path.parent, LivePace(clock, clock.wait))


def test_a_live_file_is_played_at_the_pace_of_its_timestamps(tmp_path: Path) -> None:
    clock = FakeClock()
    source = file_source(clip(tmp_path / "clip.avi"), clock, start_utc="1999-01-01T00:00:00Z")
    clock.mono_ns = 5 * NS_PER_S
    source.open()
    for index in range(10):
        frame = source.read(1.0)
        assert frame.capture_ns == START_UTC + 5 * NS_PER_S + index * NS_PER_S // 10
        assert clock().utc_ns == frame.capture_ns
    with pytest.raises(EndOfSource):
        source.read(1.0)
    assert source.dropped == {}


def test_a_live_file_gives_none_while_the_next_frame_is_not_due(tmp_path: Path) -> None:
    clock = FakeClock()
    source = file_source(clip(tmp_path / "clip.avi"), clock)
    source.open()
    assert source.read(0.04) is not None
    assert source.read(0.04) is None
    assert source.read(0.04) is None
    assert source.read(0.04).capture_ns == START_UTC + NS_PER_S // 10
    source.close()


def test_a_live_file_that_fell_behind_skips_to_the_present_and_counts(tmp_path: Path) -> None:
    clock = FakeClock()
    source = file_source(clip(tmp_path / "clip.avi"), clock)
    source.open()
    source.read(1.0)
    clock.mono_ns = 650_000_000
    frame = source.read(1.0)
    assert frame.capture_ns == START_UTC + 600_000_000  # 0.1 s … 0.5 s are over 0.1 s old
    assert source.dropped == {"behind": 5}
    source.close()


def test_a_looping_file_goes_on_for_ever_with_growing_times(tmp_path: Path) -> None:
    clock = FakeClock()
    source = file_source(clip(tmp_path / "clip.avi"), clock, loop=True)
    source.open()
    times = [source.read(1.0).capture_ns - START_UTC for _ in range(35)]
    assert times == [index * NS_PER_S // 10 for index in range(35)]
    source.close()


def test_a_live_camera_plays_a_real_file_to_its_end(tmp_path: Path) -> None:
    options = FileSourceOptions(driver="file", path=clip(tmp_path / "clip.avi"))
    camera = LiveCamera(
        "north", options, tmp_path, lambda: Instant(time.time_ns(), time.monotonic_ns())
    )
    camera.start()
    frames = []
    while not camera.ended:
        frame = camera.take(BOUND_S)
        if frame is not None:
            frames.append(frame)
    health = camera.health(Instant(time.time_ns(), time.monotonic_ns()))
    assert health.state is SensorState.ENDED
    assert health.received == 10 == len(frames) + sum(health.dropped.values())
    assert camera.stop()
