"""A rendered camera as a process: snapshots of the truth in, detections at its rate out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rsu.config.cameras import CameraOptions, MotionDetectorOptions, Region
from rsu.config.model import SiteConfig
from rsu.perception.detector import Image
from rsu.schema.health import SensorHealth, SensorState
from rsu.schema.message import Message
from rsu.schema.preview import Masking
from rsu.schema.reports import Truth, TruthLight, TruthObject, TruthWeather
from rsu.schema.sensing import CameraDetections, ImageDetection, ObjectClass
from rsu.schema.signals import LightState
from rsu.schema.topics import CAMERA_DETECTIONS, CAMERA_PREVIEW, SENSOR_HEALTH, TRUTH
from rsu.schema.units import NS_PER_MS, NS_PER_S, Box, Instant, Size, Vec2
from rsu.sim.camera_worker import AHEAD_NS, RenderedCameraWorker, scene_of
from rsu.sim.render.backdrop import Backdrop
from rsu.sim.render.renderer import Renderer
from rsu.sim.site_map import simulated_map
from rsu.sim.world.scene import CLEAR_DAY, Light, Weather

START = Instant(1_767_225_600_000_000_000, 1_000 * NS_PER_S)
CAMERA = "north-east"
RATE_HZ = 10


def thing(number: int = 1, x: float = 2.0, y: float = 3.0, **more: object) -> TruthObject:
    said = {
        "object_class": ObjectClass.CAR, "heading": 0.0, "speed": 0.0,
        "size": Size(4.6, 1.8, 1.5), **more,
    }  # fmt: skip
    return TruthObject(id=number, position=Vec2(x, y), **said)  # type: ignore[arg-type]


class Bus:
    """Brings the world's snapshots every 100 ms of the test's own time, while the world stands."""

    def __init__(self) -> None:
        self.now = START
        self.until_ns = 0
        self.waited: list[float] = []
        self._told_ns = 0

    def clock(self) -> Instant:
        return self.now

    def forward(self, ns: int) -> None:
        self.now = Instant(self.now.utc_ns + ns, self.now.mono_ns + ns)

    def receive(self, timeout_s: float) -> list[Message]:
        self.waited.append(timeout_s)
        self.forward(round(timeout_s * NS_PER_S))
        time_ns = self.now.utc_ns - self.now.utc_ns % (100 * NS_PER_MS)
        if time_ns >= self.until_ns or time_ns == self._told_ns:
            return []
        self._told_ns = time_ns
        return [Message.draft(TRUTH, "sim", time_ns, Truth(time_ns=time_ns, objects=(thing(),)))]


class Around:
    """What a process gives its worker."""

    def __init__(self, config: SiteConfig, base: Path) -> None:
        self.config, self.base, self.boot = config, base, START
        self.bus = Bus()
        self.clock = self.bus.clock


class OneCar:
    """A stand-in detector: one car low in the middle of every picture that is not black."""

    stateless = True

    def detect(self, image: Image, regions: Sequence[Region]) -> tuple[ImageDetection, ...]:
        assert image.mean() > 10
        height, width = image.shape[:2]
        box = Box(0.45 * width, 0.6 * height, 0.1 * width, 0.1 * height)
        return (ImageDetection(object_class=ObjectClass.CAR, score=0.9, box=box),)


@pytest.fixture(scope="module")
def renderer(rendered_junction: SiteConfig, root: Path) -> Renderer:
    """The camera's own, made once: it paints the ground first."""
    camera = next(one for one in rendered_junction.cameras if one.id == CAMERA)
    return Renderer(camera, simulated_map(rendered_junction, root / "configs"), 1)


@pytest.fixture
def around(
    rendered_junction: SiteConfig,
    root: Path,
    renderer: Renderer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Around:
    monkeypatch.setattr("rsu.sim.camera_worker.Renderer", lambda camera, site_map, seed: renderer)
    monkeypatch.setattr("rsu.sim.camera_worker.load_detector", lambda camera, base: OneCar())
    # What this renderer paints is not what the site's seed would give: nobody else may find it.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    return Around(rendered_junction, root / "configs")


def turn_for(worker: RenderedCameraWorker, around: Around, seconds: float) -> list[Message]:
    end_ns = around.bus.now.mono_ns + round(seconds * NS_PER_S)
    said = []
    for _ in range(10_000):
        if around.bus.now.mono_ns >= end_ns:
            return said
        said += list(worker.turn(0.1))
        around.bus.forward(NS_PER_MS)  # a turn takes time
    raise AssertionError("time does not pass")


def seen(messages: list[Message]) -> list[CameraDetections]:
    return [m.payload for m in messages if m.topic is CAMERA_DETECTIONS]


def health(messages: list[Message]) -> list[SensorHealth]:
    return [m.payload for m in messages if m.topic is SENSOR_HEALTH]


def test_it_looks_at_the_cameras_rate_and_sees_what_is_there(around: Around) -> None:
    around.bus.until_ns = START.utc_ns + 60 * NS_PER_S
    worker = RenderedCameraWorker(around, CAMERA)
    worker.start()
    said = turn_for(worker, around, 3.0)
    worker.stop()
    looks = seen(said)
    assert abs(len(looks) - 3 * RATE_HZ) <= 1
    assert [look.frame for look in looks] == list(range(len(looks)))
    assert {look.sensor for look in looks} == {CAMERA}
    stamps = [look.capture_ns for look in looks]
    assert stamps == sorted(set(stamps))
    assert [(len(look.detections), look.rejected) for look in looks] == [(1, {})] * len(looks)
    assert [one.state for one in health(said)] == [SensorState.LIVE] * 3
    assert health(said)[-1].received > 2 * RATE_HZ - 2
    pictures = [m.payload for m in said if m.topic is CAMERA_PREVIEW]
    assert 5 <= len(pictures) <= 7
    # This stand-in does not say what it doubts or can name.
    assert {one.masking for one in pictures} == {Masking.WHOLE}


def test_without_a_world_it_waits_and_says_so(around: Around) -> None:
    worker = RenderedCameraWorker(around, CAMERA)
    said = turn_for(worker, around, 3.0)
    assert seen(said) == []
    assert [one.state for one in health(said)] == [SensorState.STARTING] * 3
    assert "no snapshot" in health(said)[0].detail
    # It waits for the bus as long as it may, and does not spin.
    assert set(around.bus.waited) == {0.1}


def test_a_world_that_ends_is_shown_no_longer(around: Around) -> None:
    around.bus.until_ns = START.utc_ns + 2 * NS_PER_S
    worker = RenderedCameraWorker(around, CAMERA)
    said = turn_for(worker, around, 6.0)
    last = around.bus.until_ns - 100 * NS_PER_MS  # the last snapshot
    # Whoever brakes at a red light would be seen to run it if a picture went on for long.
    assert 0 < max(look.capture_ns for look in seen(said)) - last <= AHEAD_NS
    gone = [one for one in health(said) if one.state is SensorState.STARTING]
    # Told at once, and since when.
    assert last + NS_PER_S <= gone[0].time_ns <= last + NS_PER_S + 200 * NS_PER_MS
    assert {one.since_ns for one in gone} == {gone[0].time_ns}
    around.bus.waited.clear()
    turn_for(worker, around, 1.0)
    assert set(around.bus.waited) == {0.1}


def test_a_snapshot_of_the_future_is_none(around: Around) -> None:
    around.bus.until_ns = START.utc_ns + 60 * NS_PER_S
    worker = RenderedCameraWorker(around, CAMERA)
    turn_for(worker, around, 1.0)
    now = around.bus.now
    around.bus.until_ns = 0  # nothing new, and the clock jumps back by a minute
    around.bus.now = Instant(now.utc_ns - 60 * NS_PER_S, now.mono_ns)
    said = turn_for(worker, around, 2.0)
    assert seen(said) == []
    assert {one.state for one in health(said)} == {SensorState.STARTING}


def test_a_frame_that_comes_late_is_not_made_up_for(around: Around) -> None:
    around.bus.until_ns = START.utc_ns + 60 * NS_PER_S
    worker = RenderedCameraWorker(around, CAMERA)
    turn_for(worker, around, 1.0)
    around.bus.forward(2 * NS_PER_S)  # the machine was busy
    assert len(seen(turn_for(worker, around, 1.0))) <= RATE_HZ + 2


def test_real_pixels_go_through_a_real_detector(rendered_junction: SiteConfig, root: Path) -> None:
    """The background detector believes nothing before it has warmed up, then looks."""
    detector = MotionDetectorOptions(driver="motion", warm_up=3)
    cameras = tuple(
        one.model_copy(update={"detector": detector}) for one in rendered_junction.cameras
    )
    around = Around(rendered_junction.model_copy(update={"cameras": cameras}), root / "configs")
    around.bus.until_ns = START.utc_ns + 60 * NS_PER_S
    worker = RenderedCameraWorker(around, CAMERA)
    looks = seen(turn_for(worker, around, 1.0))
    assert len(looks) >= RATE_HZ - 4
    options: CameraOptions = cameras[0]
    assert {(look.image_width, look.image_height) for look in looks} == {
        (options.source.width, options.source.height)  # type: ignore[union-attr]
    }


def test_what_stands_still_is_painted_once_and_found_again(
    around: Around, renderer: Renderer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    painted: list[str] = []
    warm = Renderer.warm

    def counted(self: Renderer) -> Backdrop:
        painted.append(self.id)
        return warm(self)

    monkeypatch.setattr(Renderer, "warm", counted)
    config, base = around.config, around.base
    RenderedCameraWorker(around, CAMERA)
    assert painted == [CAMERA]
    first = warm(renderer)
    RenderedCameraWorker(around, CAMERA)
    assert painted == [CAMERA]
    again = warm(renderer)
    assert again is not first
    for name in ("image", "distance", "albedo", "shaded", "lamps"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    # A camera that looks elsewhere, and a file that is damaged, are painted.
    (file,) = (tmp_path / "rsu").iterdir()
    file.write_bytes(file.read_bytes()[:-1000])
    RenderedCameraWorker(around, CAMERA)
    assert painted == [CAMERA] * 2
    moved = tuple(one.model_copy(update={"max_range": 50.0}) for one in config.cameras)
    RenderedCameraWorker(Around(config.model_copy(update={"cameras": moved}), base), CAMERA)
    assert painted == [CAMERA] * 3


def test_without_a_folder_to_keep_it_in_it_is_painted(
    around: Around, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    around.bus.until_ns = START.utc_ns + 60 * NS_PER_S
    assert seen(turn_for(RenderedCameraWorker(around, CAMERA), around, 0.5))


def test_everybody_goes_on_as_they_went() -> None:
    objects = (
        thing(7, heading=math.radians(30), speed=10.0),
        thing(8, -5.0, 1.0, object_class=ObjectClass.PEDESTRIAN, role="x"),
    )
    lights = (TruthLight(group=2, light=LightState.RED),)
    weather = TruthWeather(light="night", rain=0.5, visibility=900.0)
    truth = Truth(time_ns=START.utc_ns, objects=objects, lights=lights, weather=weather)
    scene = scene_of(truth, START.utc_ns + 400 * NS_PER_MS)
    assert scene.ids == (7, 8)
    assert scene.classes == (ObjectClass.CAR, ObjectClass.PEDESTRIAN)
    # 4 m at 30° from (2, 3); the other one stands
    assert scene.position.tolist() == [
        pytest.approx([2.0 + 2.0 * math.sqrt(3.0), 5.0]), [-5.0, 1.0],
    ]  # fmt: skip
    assert scene.size.tolist() == [[4.6, 1.8, 1.5]] * 2
    assert scene.roles == ("", "x")
    assert scene.lights == {2: LightState.RED}
    assert scene.weather == Weather(Light.NIGHT, 0.5, 900.0)


def test_an_empty_world_is_a_scene_too() -> None:
    scene = scene_of(Truth(time_ns=START.utc_ns, objects=()), START.utc_ns)
    assert scene.ids == ()
    assert scene.position.shape == (0, 2)
    assert scene.size.shape == (0, 3)
    assert scene.weather == CLEAR_DAY
