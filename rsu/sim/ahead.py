"""Rendered cameras looked through ahead of time, one process each.

A frame is rendered and detected while the world goes on; its result is wanted only when the frame
would have arrived. What comes out is what one process would have made, on as many cores as there
are cameras: a look depends on the scene and on nothing else.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rsu.config.model import SiteConfig
from rsu.perception.detector import load_detector
from rsu.perception.stage import PerceptionStage
from rsu.schema.frame import CameraFrame
from rsu.schema.message import Message
from rsu.schema.preview import CameraPreview
from rsu.schema.sensing import CameraDetections
from rsu.schema.topics import CAMERA_DETECTIONS, CAMERA_FRAME, CAMERA_PREVIEW
from rsu.schema.units import Instant
from rsu.sim.errors import SimulationError
from rsu.sim.render.renderer import Renderer
from rsu.sim.site_map import simulated_map
from rsu.sim.world.scene import Scene

EMPTY = Scene(0, (), (), np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros((0, 3)))


class Seen(NamedTuple):
    """What one look gave."""

    detections: CameraDetections
    preview: CameraPreview | None


class Look:
    """What is seen, on its way. `result` and `preview` wait for it."""

    def __init__(self, future: Future[Seen]) -> None:
        self._future = future

    def result(self) -> CameraDetections:
        """Raises SimulationError when the process that looks has ended."""
        return self._seen().detections

    def preview(self) -> CameraPreview | None:
        """The masked picture, where the eye makes some and one was due."""
        return self._seen().preview

    def _seen(self) -> Seen:
        try:
            return self._future.result()
        except BrokenProcessPool as error:
            raise SimulationError("a process that renders a camera has ended") from error


class RenderedEye:
    """One camera: pixels, through the detector and the projection that a real camera has."""

    def __init__(
        self, config: SiteConfig, base: Path, camera_id: str, seed: int, *, previews: bool = False
    ) -> None:
        """Raises SimulationError or DetectorError where it cannot see or detect."""
        camera = next(one for one in config.cameras if one.id == camera_id)
        load_detector(camera, base)  # found out here and not in another process
        self._pool = ProcessPoolExecutor(
            max_workers=1,
            # Not forked: threads of OpenCV and onnxruntime do not survive that.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
            initargs=(config, base, camera_id, seed, previews),
        )
        # The first picture of a weather takes longest: its background is painted then.
        self._ready = self._pool.submit(_look, EMPTY, 0)

    def ready(self) -> None:
        """Wait until the process has made its first picture."""
        Look(self._ready).result()

    def look(self, scene: Scene, frame: int) -> Look:
        """Begin to look at a scene."""
        return Look(self._pool.submit(_look, scene, frame))

    def close(self) -> None:
        """End the process; looks that were not waited for are lost."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class _Looker:
    """What lives in the other process."""

    def __init__(
        self, config: SiteConfig, base: Path, camera_id: str, seed: int, previews: bool
    ) -> None:
        camera = next(one for one in config.cameras if one.id == camera_id)
        self._id = camera_id
        self._renderer = Renderer(camera, simulated_map(config, base), seed)
        privacy = config.privacy if previews else None
        self._stage = PerceptionStage(camera, load_detector(camera, base), privacy)

    def look(self, scene: Scene, frame: int) -> Seen:
        picture = self._renderer.render(scene, scene.weather)
        shown = CameraFrame(
            sensor=self._id, frame=frame, capture_ns=scene.time_ns, image=picture.image
        )
        draft = Message.draft(CAMERA_FRAME, self._id, scene.time_ns, shown)
        now = Instant(scene.time_ns, scene.time_ns)
        said = {one.topic: one.payload for one in self._stage.handle(draft, now)}
        pictures = {one.topic: one.payload for one in self._stage.tick(now)}
        return Seen(said[CAMERA_DETECTIONS], pictures.get(CAMERA_PREVIEW))


_lookers: list[_Looker] = []
_trouble: list[str] = []


def _begin(config: SiteConfig, base: Path, camera_id: str, seed: int, previews: bool) -> None:
    import signal

    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    cv2.setNumThreads(1)  # a core each
    try:
        _lookers.append(_Looker(config, base, camera_id, seed, previews))
    except Exception as error:
        # Told with the first look: an initializer that raises prints its traceback instead.
        _trouble.append(f"camera {camera_id!r} cannot be rendered: {error}")


def _look(scene: Scene, frame: int) -> Seen:
    if _trouble:
        raise SimulationError(_trouble[0])
    return _lookers[0].look(scene, frame)
