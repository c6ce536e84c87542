"""The camera monitor: late, frozen, blind, gone, and frames whose time cannot be right."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.cameras import SourceOptions
from rsu.hal.camera.monitor import CameraMonitor, Drop, frame_facts
from rsu.schema.health import SensorState
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant

START_UTC = 1_735_689_600 * NS_PER_S
OPTIONS = SourceOptions(late_s=1.0, frozen_s=3.0, black_level=6.0)


def at(seconds: float) -> Instant:
    return Instant(START_UTC + round(seconds * NS_PER_S), round(seconds * NS_PER_S))


def scene(seed: int, level: int = 100) -> np.ndarray:
    """A noisy image, as a sensor gives it, of something with an edge."""
    image = np.full((120, 160, 3), float(level))
    image[:, 80:] *= 0.5
    image += np.random.default_rng(seed).integers(-4, 5, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def monitor() -> CameraMonitor:
    made = CameraMonitor("north", OPTIONS, at(0.0))
    made.opened(at(0.0))
    return made


def feed(
    made: CameraMonitor, seconds: float, image: np.ndarray, capture_s: float | None = None
) -> Drop | None:
    capture = at(seconds if capture_s is None else capture_s).utc_ns
    return made.frame(frame_facts(image, capture), at(seconds))


def test_a_camera_starts_and_is_live_with_its_first_frame() -> None:
    made = monitor()
    assert made.health(at(0.5)).state is SensorState.STARTING
    assert feed(made, 0.6, scene(0)) is None
    health = made.health(at(0.7))
    assert (health.state, health.since_ns, health.time_ns) == (
        SensorState.LIVE,
        at(0.6).utc_ns,
        at(0.7).utc_ns,
    )


def test_an_open_device_that_never_gives_a_frame_becomes_late() -> None:
    made = monitor()
    assert made.health(at(1.0)).state is SensorState.STARTING
    assert made.health(at(1.01)).state is SensorState.LATE


def test_silence_is_late_exactly_after_its_limit_and_a_frame_ends_it() -> None:
    made = monitor()
    feed(made, 1.0, scene(0))
    assert made.health(at(2.0)).state is SensorState.LIVE
    assert made.health(at(2.001)).state is SensorState.LATE
    assert feed(made, 2.5, scene(1)) is None
    assert made.health(at(2.5)).state is SensorState.LIVE


def test_the_same_picture_for_three_seconds_is_frozen_and_withheld() -> None:
    made = monitor()
    drops = [feed(made, index * 0.1, scene(7)) for index in range(40)]
    assert drops[:30] == [None] * 30
    assert drops[30:] == [Drop.FROZEN] * 10
    assert made.health(at(3.95)).state is SensorState.FROZEN
    assert feed(made, 4.0, scene(8)) is None
    assert made.health(at(4.0)).state is SensorState.LIVE


def test_a_decoder_that_shimmers_by_two_levels_does_not_hide_a_frozen_picture() -> None:
    made = monitor()
    drops = [feed(made, index * 0.1, scene(7) + np.uint8(2 * (index % 2))) for index in range(35)]
    assert drops[-1] is Drop.FROZEN


def test_a_still_scene_with_sensor_noise_is_not_frozen() -> None:
    made = monitor()
    assert {feed(made, index * 0.1, scene(index)) for index in range(60)} == {None}


def test_two_equal_pictures_with_silence_between_them_prove_only_silence() -> None:
    made = monitor()
    feed(made, 0.0, scene(7))
    assert made.health(at(4.0)).state is SensorState.LATE


def test_one_small_change_anywhere_counts_as_change() -> None:
    made = monitor()
    for index in range(60):
        image = scene(7)
        image[40:50, index : index + 10] = 200
        assert feed(made, index * 0.1, image) is None


def test_a_black_picture_is_blind_at_once_and_withheld_and_stays_blind_when_still() -> None:
    made = monitor()
    black = np.full((120, 160, 3), 2, np.uint8)
    assert {feed(made, index * 0.1, black) for index in range(50)} == {Drop.BLACK}
    assert made.health(at(4.95)).state is SensorState.BLIND
    assert feed(made, 5.0, scene(1)) is None
    assert made.health(at(5.0)).state is SensorState.LIVE


def covered(seed: int) -> np.ndarray:
    """A hand before the lens: light, and noise."""
    noise = np.random.default_rng(seed).integers(-3, 4, (120, 160, 3))
    return (90 + noise).astype(np.uint8)


def blurred(seed: int) -> np.ndarray:
    """Mud or rain on the glass: soft light and dark, no edge, a camera's noise."""
    wave = 100 + 60 * np.sin(np.linspace(0.0, 6.0, 640))[None, :, None]
    noise = np.random.default_rng(seed).normal(0.0, 2.0, (480, 640, 3))
    return np.clip(wave + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("picture", "drop"), [(covered, Drop.UNIFORM), (blurred, Drop.BLURRED)])
def test_a_covered_or_blurred_lens_is_blind_when_it_lasts_and_sees_again_at_once(
    picture: Callable[[int], np.ndarray], drop: Drop
) -> None:
    made = monitor()
    assert feed(made, 0.1, scene(0)) is None
    drops = [feed(made, 1.0 + 0.1 * n, picture(n)) for n in range(40)]
    assert drops[:30] == [None] * 30  # three seconds, as for a frozen picture
    assert set(drops[30:]) == {drop}
    health = made.health(at(5.0))
    assert health.state is SensorState.BLIND
    assert health.detail == f"picture is {drop}"
    assert feed(made, 5.1, scene(1)) is None
    assert made.health(at(5.2)).state is SensorState.LIVE


def test_what_is_sharp_is_never_blurred_however_noisy() -> None:
    made = monitor()
    noisy = np.random.default_rng(3)
    for n in range(60):
        image = np.full((120, 160, 3), 30.0)
        image[:, 80:] = 90.0
        image += noisy.normal(0.0, 6.0, image.shape)
        assert feed(made, 0.1 * n, np.clip(image, 0, 255).astype(np.uint8)) is None


def test_repeated_and_reordered_times_are_dropped() -> None:
    made = monitor()
    assert feed(made, 1.0, scene(0), capture_s=0.9) is None
    assert feed(made, 1.1, scene(1), capture_s=0.9) is Drop.DUPLICATE_TIMESTAMP
    assert feed(made, 1.2, scene(2), capture_s=0.7) is Drop.NON_MONOTONE_TIMESTAMP
    assert feed(made, 1.3, scene(3), capture_s=1.2) is None


def test_a_clock_set_back_by_an_hour_does_not_blind_the_camera() -> None:
    made = monitor()
    assert feed(made, 7200.0, scene(0)) is None
    assert feed(made, 7200.1, scene(1), capture_s=3600.1) is None
    assert feed(made, 7200.2, scene(2), capture_s=3600.2) is None
    assert "clock set back 1 times" in made.health(at(7200.2)).detail


def test_a_lost_device_is_gone_with_its_reason_until_it_is_back() -> None:
    made = monitor()
    feed(made, 0.5, scene(0))
    made.lost("cable; plug it in", at(1.0))
    gone = made.health(at(9.0))
    assert (gone.state, gone.detail, gone.reconnects) == (SensorState.GONE, "cable; plug it in", 0)
    made.opened(at(10.0))
    assert made.health(at(10.5)).state is SensorState.STARTING
    feed(made, 10.6, scene(1))
    live = made.health(at(10.6))
    assert (live.state, live.detail, live.reconnects) == (SensorState.LIVE, "", 1)


def test_a_reconnected_camera_with_the_old_picture_is_given_its_time_again() -> None:
    made = monitor()
    for index in range(40):
        feed(made, index * 0.1, scene(7))
    made.lost("x", at(4.0))
    made.opened(at(5.0))
    assert feed(made, 5.1, scene(7)) is None


def test_an_ended_recording_is_not_late() -> None:
    made = monitor()
    feed(made, 0.5, scene(0))
    made.ended("clip ended", at(0.6))
    assert made.health(at(100.0)).state is SensorState.ENDED


@pytest.mark.parametrize("shape", [(1, 1, 3), (48, 64, 3), (108, 108, 3), (2160, 3840, 3)])
def test_facts_are_cheap_at_any_size(shape: tuple[int, int, int]) -> None:
    facts = frame_facts(np.full(shape, 51, np.uint8), 5)
    assert facts.mean_level == 51.0
    assert facts.sample.nbytes <= 4 * 108 * 192 * 3


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(-3000, 3000), min_size=1, max_size=60))
def test_what_passes_never_runs_back_except_by_a_clock_step(steps_ms: list[int]) -> None:
    made = monitor()
    passed: list[int] = []
    capture = START_UTC
    for index, step in enumerate(steps_ms):
        capture += step * NS_PER_MS
        if made.frame(frame_facts(scene(index), capture), at(index * 0.1)) is None:
            passed.append(capture)
    for before, after in itertools.pairwise(passed):
        assert after > before or before - after > 2 * NS_PER_S
