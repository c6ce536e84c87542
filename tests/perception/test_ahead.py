"""Looking ahead changes the waiting and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from rsu.perception.ahead import detect_ahead
from rsu.schema.frame import CameraFrame
from rsu.schema.sensing import ImageDetection, ObjectClass
from rsu.schema.units import Box


def frames(count: int, taken: list[int] | None = None) -> Iterator[CameraFrame]:
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield CameraFrame("cam", number, number * 40, np.full((2, 2, 3), number % 256, np.uint8))


class Brightness:
    """Reports the first pixel as a score; waits for the others where `together` is set."""

    def __init__(self, stateless: bool = True, together: int = 0) -> None:
        self.stateless = stateless
        self.threads: set[int] = set()
        self.barrier = threading.Barrier(together) if together else None

    def detect(self, image, regions) -> tuple[ImageDetection, ...]:
        self.threads.add(threading.get_ident())
        if self.barrier is not None:
            self.barrier.wait(timeout=20)
        if image[0, 0, 0] == 13:
            raise ZeroDivisionError("thirteen")
        score = float(image[0, 0, 0]) / 255
        box = Box(float(len(regions)), 0.0, 1.0, 1.0)
        return (ImageDetection(object_class=ObjectClass.CAR, score=score, box=box),)


def test_order_and_results_are_those_of_the_plain_loop() -> None:
    plain = list(detect_ahead(frames(12), Brightness(), 1))
    ahead = list(detect_ahead(frames(12), Brightness(), 3))
    assert [f.frame for f in ahead] == list(range(12))
    assert [f.detected for f in ahead] == [f.detected for f in plain]
    assert ahead[5].detected is not None
    assert ahead[5].detected[0].score == pytest.approx(5 / 255)


def test_frames_are_looked_at_at_the_same_time() -> None:
    # The barrier opens only when three threads are inside `detect` together.
    assert len(list(detect_ahead(frames(9), Brightness(together=3), 3))) == 9


def test_reading_ahead_is_bounded() -> None:
    taken: list[int] = []
    stream = detect_ahead(frames(100, taken), Brightness(), 2)
    for _ in range(10):
        next(stream)
    assert len(taken) <= 10 + 4
    stream.close()
    assert len(taken) <= 10 + 4


def test_a_detector_with_memory_stays_in_the_callers_thread() -> None:
    detector = Brightness(stateless=False)
    assert len(list(detect_ahead(frames(8), detector, 4))) == 8
    assert detector.threads == {threading.get_ident()}


def test_frames_that_were_looked_at_already_pass_through() -> None:
    done = [CameraFrame(f.sensor, f.frame, f.capture_ns, f.image, ()) for f in frames(6)]
    detector = Brightness()
    assert list(detect_ahead(iter(done), detector, 2)) == done
    assert not detector.threads


@pytest.mark.parametrize("workers", [1, 3])
def test_the_detectors_exception_comes_after_all_earlier_frames(workers: int) -> None:
    stream = detect_ahead(frames(30), Brightness(), workers)
    assert [next(stream).frame for _ in range(13)] == list(range(13))
    with pytest.raises(ZeroDivisionError, match="thirteen"):
        next(stream)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_sources_exception_comes_after_all_earlier_frames(workers: int) -> None:
    def broken() -> Iterator[CameraFrame]:
        yield from frames(5)
        raise OSError("the film tore")

    stream = detect_ahead(broken(), Brightness(), workers)
    assert [next(stream).frame for _ in range(5)] == list(range(5))
    with pytest.raises(OSError, match="the film tore"):
        next(stream)


def test_closing_early_ends_the_threads() -> None:
    before = threading.active_count()
    stream = detect_ahead(frames(50), Brightness(), 3)
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_regions_reach_the_detector() -> None:
    (frame,) = detect_ahead(frames(1), Brightness(), 2, regions=("a", "b"))  # type: ignore[arg-type]
    assert frame.detected is not None
    assert frame.detected[0].box.left == 2.0
