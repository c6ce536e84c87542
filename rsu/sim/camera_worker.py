"""A rendered camera as a process of a live unit: `rsu run` on a site whose cameras are simulated.

In: snapshots of the truth on the bus (the simulation's process publishes them). Out: detections and
health, from pixels that are rendered here and looked at by the configured detector. Between
snapshots everybody is taken to go on as they went, but not for long: a picture of somebody driving
on who has stopped meanwhile would be a false witness. The process host loads this class by name.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import numpy as np

from rsu.config.cameras import CameraOptions, SimSourceOptions
from rsu.config.model import SiteConfig
from rsu.perception.detector import load_detector
from rsu.perception.stage import PerceptionStage
from rsu.schema.frame import CameraFrame
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.reports import Truth
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import CAMERA_FRAME, SENSOR_HEALTH, TRUTH, Topic
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.sim.render import kept
from rsu.sim.render.renderer import Renderer
from rsu.sim.site_map import simulated_map
from rsu.sim.world.scene import CLEAR_DAY, Light, Scene, Weather

STALE_NS = NS_PER_S
"""Without a snapshot for this long the world is gone: what would be shown is not so."""
AHEAD_NS = 150 * NS_PER_MS
"""How far a picture may be ahead of its snapshot: one and a half periods of the truth. Where the
simulation falls behind, pictures do too and say so by their time; at 0.5 s ahead cars that stop at
a red light are seen to run it."""


class Bus(Protocol):
    """What brings the truth."""

    def receive(self, timeout_s: float) -> list[Message]: ...


class Surroundings(Protocol):
    """What a worker is given (`rsu.runtime.worker.Surroundings`)."""

    config: SiteConfig
    base: Path
    boot: Instant
    clock: Callable[[], Instant]

    @property
    def bus(self) -> Bus: ...


class RenderedCameraWorker:
    """Renders, detects and places, at the camera's own rate."""

    topics: frozenset[Topic] = frozenset((TRUTH,))

    def __init__(self, around: Surroundings, camera_id: str) -> None:
        config = around.config
        camera: CameraOptions = next(one for one in config.cameras if one.id == camera_id)
        source = camera.source
        assert isinstance(source, SimSourceOptions)
        self._around, self._id = around, camera_id
        recipes = _recipes(config, around.base)
        made = _PREPARED.get(camera_id)
        if made is None or _PREPARED_FROM.get(camera_id) != recipes[camera_id]:
            renderers = _renderers(config, around.base, (camera_id,))
            _hang(renderers, recipes)
            made = renderers[camera_id]
        _PREPARED.clear()
        self._renderer = made
        self._stage = PerceptionStage(camera, load_detector(camera, around.base), config.privacy)
        self._period_ns = round(NS_PER_S / source.rate_hz)
        self._truth: Truth | None = None
        self._frame = 0
        self._shown_ns = 0  # the moment of the last picture
        self._due_ns = 0
        self._health_due_ns = 0
        self._live, self._since_ns = False, around.boot.utc_ns

    @staticmethod
    def prepare(config: SiteConfig, base: Path, _camera_id: str) -> None:
        """What takes seconds (painting the surroundings) for all cameras, for processes to be split
        off this; again after a change of what they show."""
        recipes = _recipes(config, base)
        if recipes == _PREPARED_FROM:
            return
        _PREPARED.clear()
        _PREPARED.update(_renderers(config, base, recipes))
        _hang(_PREPARED, recipes)
        _PREPARED_FROM.clear()
        _PREPARED_FROM.update(recipes)

    def start(self) -> None:
        """Nothing: the world comes over the bus."""

    def turn(self, timeout_s: float) -> Iterable[Message]:
        """Take the newest snapshot; if a frame is due, look."""
        now = self._around.clock()
        due_s = (self._due_ns - now.mono_ns) / NS_PER_S
        # Without news of the world no frame is due: a snapshot is what there is to wait for.
        wait_s = min(max(due_s, 0.0), timeout_s) if self._moves(now) else timeout_s
        for message in self._around.bus.receive(wait_s):
            self._truth = message.payload
        now = self._around.clock()
        live = self._world_stands(now)
        if now.mono_ns >= self._due_ns and self._moves(now):
            # Frames that cannot be kept up with are not looked at: the newest counts.
            self._due_ns = max(self._due_ns + self._period_ns, now.mono_ns)
            yield from self._look(now)
        if live is not self._live:
            self._live, self._since_ns, self._health_due_ns = live, now.utc_ns, 0
        if now.mono_ns >= self._health_due_ns:
            self._health_due_ns = now.mono_ns + NS_PER_S
            yield self._health(now)
        yield from self._stage.tick(now)

    def stop(self) -> None:
        """Nothing is open."""

    def _world_stands(self, now: Instant) -> bool:
        """Whether there is a snapshot of about now; one from after a clock jumped back is none."""
        return self._truth is not None and abs(now.utc_ns - self._truth.time_ns) < STALE_NS

    def _moment(self, now: Instant) -> int:
        """The moment of which a picture can be made now, ns UTC; 0 without a world."""
        if self._truth is None or not self._world_stands(now):
            return 0
        return min(now.utc_ns, self._truth.time_ns + AHEAD_NS)

    def _moves(self, now: Instant) -> bool:
        """Whether there is anything that has not been shown."""
        return self._moment(now) > self._shown_ns

    def _look(self, now: Instant) -> Iterable[Message]:
        assert self._truth is not None
        self._shown_ns = time_ns = self._moment(now)
        scene = scene_of(self._truth, time_ns)
        picture = self._renderer.render(scene, scene.weather)
        frame = CameraFrame(
            sensor=self._id, frame=self._frame, capture_ns=time_ns, image=picture.image
        )
        self._frame += 1
        draft = Message.draft(CAMERA_FRAME, self._id, time_ns, frame)
        return self._stage.handle(draft, now)

    def _health(self, now: Instant) -> Message:
        health = SensorHealth(
            sensor=self._id,
            kind=SensorKind.CAMERA,
            state=SensorState.LIVE if self._live else SensorState.STARTING,
            since_ns=self._since_ns,
            time_ns=now.utc_ns,
            detail="" if self._live else "no snapshot of the simulated world",
            received=self._frame,
        )
        return Message.draft(SENSOR_HEALTH, self._id, now.utc_ns, health)


_PREPARED: dict[str, Renderer] = {}
"""Not yet used renderers by camera; one is taken by the one worker of its process."""
_PREPARED_FROM: dict[str, str] = {}
"""Their recipes: a process of a changed site does not look through an old one."""


def _renderers(config: SiteConfig, base: Path, cameras: Iterable[str]) -> dict[str, Renderer]:
    seed = config.simulation.seed if config.simulation else 0
    site_map = simulated_map(config, base)
    options = {one.id: one for one in config.cameras}
    return {name: Renderer(options[name], site_map, seed) for name in cameras}


def _recipes(config: SiteConfig, base: Path) -> dict[str, str]:
    """What the backdrop of each simulated camera follows from."""
    site, seed = config.site, config.simulation.seed if config.simulation else 0
    maps = [base / path for path in (site.lanes, site.zones) if path is not None]
    drawn = [hashlib.sha256(path.read_bytes()).hexdigest() for path in maps if path.is_file()]
    place = f"{site.origin.model_dump_json()} {drawn} {seed} {CLEAR_DAY}"
    return {
        one.id: f"{place} {one.model_dump_json()}"
        for one in config.cameras
        if isinstance(one.source, SimSourceOptions)
    }


def _hang(renderers: dict[str, Renderer], recipes: dict[str, str]) -> None:
    """Give every renderer its backdrop: the one kept from before, else painted and kept now."""
    folder = kept.cache_folder()
    for name, renderer in renderers.items():
        backdrop = kept.load(folder, recipes[name])
        if backdrop is not None:
            renderer.hang(backdrop)
        else:
            kept.keep(folder, recipes[name], renderer.warm())
    for renderer in renderers.values():
        renderer.strike()


def scene_of(truth: Truth, time_ns: int) -> Scene:
    """The world at a time shortly after a snapshot: everybody goes on as they went."""
    tau = (time_ns - truth.time_ns) / NS_PER_S
    rows = [
        (
            one.position.x + tau * one.speed * math.cos(one.heading),
            one.position.y + tau * one.speed * math.sin(one.heading),
            one.heading, one.speed, one.size.length, one.size.width, one.size.height,
        )
        for one in truth.objects
    ]  # fmt: skip
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    said = truth.weather
    weather = CLEAR_DAY if said is None else Weather(Light(said.light), said.rain, said.visibility)
    return Scene(
        time_ns=time_ns,
        ids=tuple(one.id for one in truth.objects),
        classes=tuple(one.object_class for one in truth.objects),
        position=table[:, 0:2],
        heading=table[:, 2],
        speed=table[:, 3],
        size=table[:, 4:7],
        roles=tuple(one.role for one in truth.objects),
        weather=weather,
        lights={light.group: light.light for light in truth.lights},
    )
