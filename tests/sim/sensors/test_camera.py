"""Modelled cameras: they see what is in view, miss and err as often as said, and state honest
covariances."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rsu.config.cameras import CameraOptions, HomographyCalibration, RotationCalibration
from rsu.config.model import SiteConfig
from rsu.config.simulation import SimulationOptions
from rsu.perception.camera_model import camera_model
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_S, Cov2
from rsu.sim.errors import SimulationError
from rsu.sim.sensors.camera import ModelledCamera
from rsu.sim.world.scene import Light, Scene, Weather, stream
from rsu.sim.world.world import World

PERFECT = SimulationOptions(miss_probability=0.0, clutter_per_frame=0.0)
CAR = (ObjectClass.CAR, 4.5, 1.8, 1.5)
BUS = (ObjectClass.BUS, 11.5, 2.5, 3.1)
WALKER = (ObjectClass.PEDESTRIAN, 0.6, 0.6, 1.7)

Thing = tuple[ObjectClass, float, float, float]


def scene(*things: tuple[Thing, float, float, float]) -> Scene:
    """Things with x, y and heading."""
    return Scene(
        time_ns=0,
        ids=tuple(range(1, len(things) + 1)),
        classes=tuple(thing[0] for thing, *_ in things),
        position=np.array([(x, y) for _, x, y, _ in things]).reshape(-1, 2),
        heading=np.array([heading for *_, heading in things]),
        speed=np.zeros(len(things)),
        size=np.array([thing[1:] for thing, *_ in things]).reshape(-1, 3),
    )


@pytest.fixture(scope="module")
def camera(junction: SiteConfig) -> CameraOptions:
    """On the north-east corner (16, 16), 8 m up, looking south-west."""
    return junction.cameras[0]


def ahead(distance: float, aside: float = 0.0) -> tuple[float, float]:
    """A point on the optical axis of the camera at (16, 16) that looks south-west."""
    unit = math.sqrt(0.5)
    return 16 - unit * distance + unit * aside, 16 - unit * distance - unit * aside


def test_an_object_behind_the_camera_or_out_of_range_is_not_seen(camera: CameraOptions) -> None:
    modelled = ModelledCamera(camera, PERFECT, stream(1, "test"))
    for distance in (-20.0, 125.0):
        view = modelled.view(scene((CAR, *ahead(distance), 0.0)))
        assert not view.seen[0], distance
    assert modelled.view(scene((CAR, *ahead(25.0), 0.0))).seen[0]
    assert modelled.view(scene()).seen.size == 0
    assert modelled.look(scene(), 3).detections == ()


def test_a_bus_hides_the_walker_behind_it(camera: CameraOptions) -> None:
    modelled = ModelledCamera(camera, PERFECT, stream(1, "test"))
    across = math.radians(135.0)  # broadside to the camera
    view = modelled.view(
        scene((BUS, *ahead(20.0), across), (WALKER, *ahead(24.0), 0.0), (WALKER, *ahead(12.0), 0.0))
    )
    assert view.visible[0] > 0.8
    assert view.visible[1] < 0.1
    assert view.visible[2] == 1.0
    seen = [
        d.object_class
        for frame in range(40)
        for d in modelled.look(
            scene((BUS, *ahead(20.0), across), (WALKER, *ahead(24.0), 0.0)), frame
        ).detections
    ]
    assert len(seen) > 35
    assert ObjectClass.PEDESTRIAN not in seen


def test_the_miss_rate_of_a_clear_object_is_the_option(camera: CameraOptions) -> None:
    options = SimulationOptions(miss_probability=0.2, clutter_per_frame=0.0)
    modelled = ModelledCamera(camera, options, stream(2, "test"))
    near, frames = scene((CAR, *ahead(20.0), 0.3)), 400
    found = sum(len(modelled._found(near)) for _ in range(frames))
    # 3 σ of a binomial count
    assert abs(found / frames - 0.8) < 3 * math.sqrt(0.2 * 0.8 / frames)


def test_distant_objects_are_missed_more_often(camera: CameraOptions) -> None:
    modelled = ModelledCamera(camera, PERFECT, stream(3, "test"))
    rates = [
        sum(len(modelled._found(scene((WALKER, *ahead(distance), 0.0)))) for _ in range(150)) / 150
        for distance in (15.0, 60.0, 100.0)
    ]
    assert rates[0] > 0.97
    assert rates[0] > rates[1] + 0.1 > rates[2] + 0.2


def test_classes_are_confused_as_often_as_said(camera: CameraOptions) -> None:
    modelled = ModelledCamera(camera, PERFECT, stream(4, "test"))
    near = scene((CAR, *ahead(20.0), 0.3))
    labels = [d.object_class for _ in range(800) for d in modelled._found(near)]
    wrong = sum(label is not ObjectClass.CAR for label in labels) / len(labels)
    assert abs(wrong - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 800)
    assert set(labels) == {ObjectClass.CAR, ObjectClass.VAN}


def test_clutter_is_as_frequent_as_said(camera: CameraOptions) -> None:
    options = SimulationOptions(miss_probability=0.0, clutter_per_frame=0.5)
    modelled = ModelledCamera(camera, options, stream(5, "test"))
    frames = 600
    count = sum(len(modelled._clutter()) for _ in range(frames))
    # Poisson, 3 σ; a place outside the road is tried again, so almost none is lost.
    assert abs(count / frames - 0.5) < 3 * math.sqrt(0.5 / frames) + 0.02


def test_scores_and_boxes_are_possible(camera: CameraOptions) -> None:
    modelled = ModelledCamera(camera, SimulationOptions(clutter_per_frame=1.0), stream(6, "test"))
    for frame in range(60):
        seen = modelled.look(scene((CAR, *ahead(6.0 + frame), frame / 7)), frame)
        assert seen.frame == frame
        for found in seen.detections:
            assert 0.3 <= found.score <= 0.99
            assert found.box.left >= 0.0
            assert found.box.right <= seen.image_width
            assert found.box.top >= 0.0
            assert found.box.bottom <= seen.image_height


def test_stated_covariance_fits_the_residual(camera: CameraOptions) -> None:
    """Normalised squared errors have mean 2 (χ², 2 dof) where everything is linear."""
    rng = np.random.default_rng(7)
    errors = []
    for draw in range(24):  # 24 cameras that hang differently, 12 objects each
        modelled = ModelledCamera(camera, PERFECT, stream(draw, "test"))
        for _ in range(12):
            x, y = ahead(float(rng.uniform(12.0, 40.0)), float(rng.uniform(-8.0, 8.0)))
            thing = (CAR, WALKER)[int(rng.integers(2))]
            one = scene((thing, x, y, float(rng.uniform(0.0, math.tau))))
            for found in modelled.look(one, 0).detections:
                off = np.array([found.position.x - x, found.position.y - y])
                errors.append(float(off @ np.linalg.solve(matrix(found.position_cov), off)))
    assert len(errors) > 250
    # Mean of ~280 draws: 2 ± 0.36 at 3 σ. Below: sizes are known better here than in the world
    # (stated spread covers vans and children). Above: the tail that a linear covariance leaves out.
    assert 0.8 < float(np.mean(errors)) < 2.6
    assert 0.5 < float(np.median(errors)) < 1.8  # χ²: 1.39
    assert np.mean(np.array(errors) < 9.21) > 0.96  # χ²: 0.99


def test_looking_longer_cures_only_what_is_not_constant(camera: CameraOptions) -> None:
    """Frames of one standing object scatter by `position_cov − constant_cov` around a point that is
    itself off by `constant_cov`: both normalised squares have mean 2 (two coordinates)."""
    rng = np.random.default_rng(3)
    scatter, standing = [], []
    for draw in range(60):
        modelled = ModelledCamera(camera, PERFECT, stream(draw, "test"))
        x, y = ahead(float(rng.uniform(14.0, 40.0)), float(rng.uniform(-5.0, 5.0)))
        thing = (CAR, WALKER)[draw % 2]
        one = scene((thing, x, y, float(rng.uniform(0.0, math.tau))))
        places, fresh, constant = [], [], []
        for frame in range(20):
            for found in modelled.look(one, frame).detections:
                if found.object_class is not thing[0]:
                    continue
                part = found.constant_cov
                assert part is not None
                places.append((found.position.x, found.position.y))
                constant.append(matrix(part))
                fresh.append(matrix(found.position_cov) - matrix(part))
        assert len(places) > 10
        mean = np.mean(places, axis=0)
        spread = np.cov(np.array(places).T)
        scatter.append(float(np.trace(np.linalg.solve(np.mean(fresh, axis=0), spread))))
        # What is left of the fresh noise in the mean counts as well.
        whole = np.mean(constant, axis=0) + spread / len(places)
        off = mean - (x, y)
        standing.append(float(off @ np.linalg.solve(whole, off)))
    # 60 objects: 2 ± 0.8 at 3 σ of a χ² with 2 degrees of freedom; scatter is known much better.
    assert 1.5 < float(np.mean(scatter)) < 2.4
    assert 1.0 < float(np.mean(standing)) < 2.8


def matrix(cov: Cov2) -> np.ndarray:
    return np.array([[cov.xx, cov.xy], [cov.xy, cov.yy]])


def test_it_works_for_every_kind_of_calibration(camera: CameraOptions) -> None:
    pose = camera_model(camera.calibration)
    spots = [ahead(d, a) for d, a in ((10, -4), (10, 4), (30, -12), (30, 12), (18, 0), (45, 5))]
    pixels, _ = pose.project(np.array([(x, y, 0.0) for x, y in spots]))
    surveyed = HomographyCalibration.model_validate(
        {
            "kind": "homography",
            "image_width": 640,
            "image_height": 384,
            "points": [
                {"image": tuple(pixel), "ground": spot}
                for pixel, spot in zip(pixels.tolist(), spots, strict=True)
            ],
            "noise": {"ground": 0.02, "pixel": 0.5},
        }
    )
    assert pose.lens is not None
    outer = np.linalg.inv(pose.lens.matrix) @ pose.projection
    matrix = RotationCalibration.model_validate(
        {
            "kind": "matrix",
            "image_width": 640,
            "image_height": 384,
            "lens": {"fx": 320, "fy": 320, "cx": 320, "cy": 192, "distortion": (-0.05, 0.01)},
            "extrinsic": tuple(tuple(row) for row in outer.tolist()),
        }
    )
    x, y = ahead(22.0)
    for calibration in (surveyed, matrix):
        other = camera.model_copy(update={"calibration": calibration})
        modelled = ModelledCamera(other, PERFECT, stream(8, "test"))
        seen = modelled.look(scene((CAR, x, y, 0.4)), 0)
        assert len(seen.detections) == 1, calibration.kind
        place = seen.detections[0].position
        assert math.dist((place.x, place.y), (x, y)) < 2.5, calibration.kind


def test_a_camera_that_sees_no_road_is_refused(camera: CameraOptions) -> None:
    assert camera.calibration.kind == "pose"
    pose = camera.calibration.pose.model_copy(update={"tilt": -60.0})
    calibration = camera.calibration.model_copy(update={"pose": pose})
    with pytest.raises(SimulationError, match=r"north-east.*sky"):
        ModelledCamera(
            camera.model_copy(update={"calibration": calibration}), PERFECT, stream(1, "test")
        )


def test_fog_and_darkness_hide(make_world: Callable[..., World], junction: SiteConfig) -> None:
    world = make_world()
    world.advance(world.now_ns + 180 * NS_PER_S)
    clear = world.scene(world.now_ns)

    def found(weather: Weather) -> tuple[int, int, float]:
        camera = ModelledCamera(
            junction.cameras[0], SimulationOptions(clutter_per_frame=0.0), stream(3, "weather")
        )
        scene = replace(clear, weather=weather)
        seen = [one for i in range(60) for one in camera.look(scene, i).detections]
        people = sum(one.object_class is ObjectClass.PEDESTRIAN for one in seen)
        pose = junction.cameras[0].calibration.pose  # type: ignore[union-attr]
        far = max(math.hypot(one.position.x - pose.x, one.position.y - pose.y) for one in seen)
        return len(seen), people, far

    day, night, fog = (
        found(weather) for weather in (Weather(), Weather(Light.NIGHT), Weather(visibility=60.0))
    )
    assert night[0] < day[0]
    assert night[1] < 0.85 * day[1]
    # At 60 m of visibility contrast is below a tenth from 46 m on; boxes lie some metres off.
    assert fog[2] < 55.0 < day[2]
