"""Replay: the same pipeline over what was recorded, in lock-step.

In: a site and either the messages of a recording (MCAP) or the site's recorded cameras (videos,
image folders). Out: every message of the run to `sink`. A recording with a journal is repeated step
by step; without one (made by other tools) its inputs are taken in publishing order.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from rsu.config.model import SiteConfig
from rsu.runtime import graph
from rsu.runtime.journal_replay import JournalReplay, ReplayResult
from rsu.runtime.lockstep import LockStepHost, Sink, TimedMessage, virtual_boot, wanted_topics
from rsu.runtime.stage import StageGroup
from rsu.schema.frame import CameraFrame
from rsu.schema.message import Message
from rsu.schema.topics import CAMERA_FRAME

if TYPE_CHECKING:
    from rsu.hal.camera.recorded import RecordedFrames

RECORDED_DRIVERS = frozenset({"file", "images"})


class ReplayError(Exception):
    """The source cannot be replayed with this site."""

    exit_code = 2


def replay_recording(
    config: SiteConfig, base: Path, recording: Iterable[Message], sink: Sink
) -> ReplayResult:
    """Repeat a journaled recording step by step."""
    return JournalReplay(graph.replayable_builders(config, base), sink).run(recording)


def replay_inputs(
    config: SiteConfig, base: Path, recording: Iterable[Message], sink: Sink, *, rate: float = 0.0
) -> int:
    """Run the core over a recording without a journal; returns the virtual time reached, UTC ns."""
    messages = iter(recording)
    first = next(messages, None)
    if first is None:
        raise ReplayError("the recording holds no message of this runtime")
    boot = virtual_boot(first.header.publish_ns)
    groups = [build(boot) for build in graph.replayable_builders(config, base).values()]
    wanted = wanted_topics(groups)

    def inputs() -> Iterator[TimedMessage]:
        for message in (first, *messages):
            if message.topic in wanted:
                yield message.header.publish_ns, message

    return LockStepHost(groups, sink, boot).run(inputs(), rate=rate)


def replay_cameras(
    config: SiteConfig,
    base: Path,
    sink: Sink,
    *,
    rate: float = 0.0,
    stop: Callable[[], bool] = lambda: False,
    on_frame: Callable[[CameraFrame], None] = lambda _frame: None,
) -> dict[str, str]:
    """Run the whole pipeline over the site's recorded cameras; returns how each source ended.

    Every frame is used. Detectors without memory look ahead on as many threads as there are
    cores, which changes the speed and nothing else.
    """
    from rsu.hal.camera.recorded import recorded_frames
    from rsu.perception.detector import load_detector

    cameras = [camera for camera in config.cameras if camera.source.driver in RECORDED_DRIVERS]
    if not cameras:
        raise ReplayError(
            "no camera of this site has a recorded source (driver file or images); "
            "name a video, an image folder or an .mcap as SOURCE"
        )
    workers = max(1, len(os.sched_getaffinity(0)) // len(cameras))
    detectors = [load_detector(camera, base) for camera in cameras]
    with ExitStack() as stack:
        streams: list[Iterator[CameraFrame]] = []
        sources: list[RecordedFrames] = []
        for camera, detector in zip(cameras, detectors, strict=True):
            frames = recorded_frames(camera.id, camera.source, base)
            stream: Iterator[CameraFrame] = stack.enter_context(frames)
            sources.append(frames)
            if detector.stateless:
                from rsu.perception.ahead import detect_ahead

                stream = stack.enter_context(
                    closing(detect_ahead(stream, detector, workers, regions=camera.regions))
                )
            streams.append(stream)
        merged = heapq.merge(*streams, key=lambda frame: (frame.capture_ns, frame.sensor))
        first = next(merged, None)
        if first is None:
            raise ReplayError("the recorded cameras hold no frame")
        boot = virtual_boot(first.capture_ns)
        groups: list[StageGroup] = [
            graph.camera_group(camera, detector, boot)
            for camera, detector in zip(cameras, detectors, strict=True)
        ]
        groups += [build(boot) for build in graph.replayable_builders(config, base).values()]

        def source() -> Iterator[TimedMessage]:
            for frame in (first, *merged):
                on_frame(frame)
                draft = Message.draft(CAMERA_FRAME, frame.sensor, frame.capture_ns, frame)
                yield frame.capture_ns, draft.stamped(boot.utc_ns, frame.frame, frame.capture_ns)

        host = LockStepHost(
            groups, _without_frames(sink), boot, journaled=(graph.CORE, graph.REPORTS)
        )
        host.run(source(), rate=rate, stop=stop)
        return {camera.id: ended.remark for camera, ended in zip(cameras, sources, strict=True)}


def _without_frames(sink: Sink) -> Sink:
    def keep(message: Message) -> None:
        if message.topic is not CAMERA_FRAME:
            sink(message)

    return keep
