"""Detection ahead of the replay clock: frames in, the same frames with their detections out.

Lock-step replay handles one frame after another, but a stateless detector's answer does not depend
on order, so the next frames can be looked at meanwhile on other threads (onnxruntime and OpenCV
release the interpreter). Order, results and errors are those of the plain loop; only the waiting
is shorter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from rsu.config.cameras import Region
from rsu.perception.detector import Detector
from rsu.schema.frame import CameraFrame

# Frames in work or waiting per worker: one in work, one next, so that no worker idles while the
# consumer is busy. Each holds a whole image, hence no more.
_PER_WORKER = 2


def detect_ahead(
    frames: Iterator[CameraFrame],
    detector: Detector,
    workers: int,
    regions: Sequence[Region] = (),
) -> Generator[CameraFrame]:
    """Yield `frames` in order, each with `detected` filled.

    At most 2 × `workers` frames are read ahead. An exception of the source or of the detector is
    raised where the plain loop would raise it: after all earlier frames. A detector with memory,
    or `workers` < 2, runs in the caller's thread. Closing the generator ends the threads.
    """
    if workers < 2 or not detector.stateless:
        for frame in frames:
            yield _detect(frame, detector, regions)
        return
    waiting: deque[Future[CameraFrame]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="detect") as pool:
        try:
            for frame in _with_errors_last(frames, waiting):
                waiting.append(pool.submit(_detect, frame, detector, regions))
                if len(waiting) >= _PER_WORKER * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _with_errors_last(
    frames: Iterator[CameraFrame], waiting: deque[Future[CameraFrame]]
) -> Iterator[CameraFrame]:
    """The source's frames; its exception becomes one more thing to wait for, in its turn."""
    try:
        yield from frames
    except Exception as error:  # whatever the source raises is the caller's to judge
        failed: Future[CameraFrame] = Future()
        failed.set_exception(error)
        waiting.append(failed)


def _detect(frame: CameraFrame, detector: Detector, regions: Sequence[Region]) -> CameraFrame:
    if frame.detected is not None:
        return frame
    return replace(frame, detected=detector.detect(frame.image, regions))
