"""Boxes become objects where they stand, as sure as they are, or are refused with a reason."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.cameras import CameraOptions
from rsu.perception.errors import CalibrationError
from rsu.perception.projection import GroundProjector
from rsu.schema.sensing import ImageDetection, ObjectClass
from rsu.schema.units import Box

C = ObjectClass
EXACT = {"pixel": 1.0, "angle": 0.0, "position": 0.0, "ground": 0.0}


def pinhole(points: np.ndarray, *, z: float = 10.0, tilt: float = 45.0, f: float = 1000.0):
    """Pixels of site points for a camera at (0, 0, z) that looks north: geometry by hand."""
    t = math.radians(tilt)
    x, y, h = points[:, 0], points[:, 1], points[:, 2] - z
    depth = y * math.cos(t) - h * math.sin(t)
    return np.stack(
        (500 + f * x / depth, 400 + f * (-y * math.sin(t) - h * math.cos(t)) / depth), axis=1
    )


def block(
    x: float, y: float, heading: float, size: tuple[float, float, float], **camera: float
) -> Box:
    """Image box of a cuboid whose foot is centred at (x, y)."""
    corners = np.array(list(product((-0.5, 0.5), (-0.5, 0.5), (0, 1)))) * size
    c, s = math.cos(heading), math.sin(heading)
    points = np.column_stack(
        (
            x + corners[:, 0] * c - corners[:, 1] * s,
            y + corners[:, 0] * s + corners[:, 1] * c,
            corners[:, 2],
        )
    )
    pixels = pinhole(points, **camera)
    (left, top), (right, bottom) = pixels.min(axis=0), pixels.max(axis=0)
    return Box(float(left), float(top), float(right - left), float(bottom - top))


def seen(object_class: C, box: Box, score: float = 0.9) -> ImageDetection:
    return ImageDetection(object_class=object_class, score=score, box=box)


def place(camera: CameraOptions, *boxes: ImageDetection):
    return GroundProjector(camera).place(boxes, 1000, 800)


PERSON = (0.75, 0.67, 1.77)
VAN = (5.1, 1.95, 2.2)
BUS = (11.5, 2.6, 3.3)
FAR_LOOK = {"tilt": 20.0, "z": 8.0}


@pytest.fixture
def far_camera(make_camera) -> CameraOptions:
    return make_camera(pose=FAR_LOOK)


def test_a_person_stands_where_they_stand(far_camera) -> None:
    placed = place(far_camera, seen(C.PEDESTRIAN, block(3, 25, 0, PERSON, **FAR_LOOK)))
    (found,) = placed.detections
    assert placed.rejected == {}
    assert (found.position.x, found.position.y) == pytest.approx((3, 25), abs=0.15)
    assert found.object_class is C.PEDESTRIAN
    assert found.size.height == pytest.approx(1.77)


def test_the_centre_lies_behind_the_near_side(make_camera) -> None:
    """A van seen from behind: its box ends 2.55 m before its centre."""
    camera = make_camera(pose={"tilt": 35})
    box = block(0, 16, math.pi / 2, VAN, tilt=35)
    # The lower edge's own ground point, by hand: at the rear bumper.
    below = math.radians(35) + math.atan((box.bottom - 400) / 1000)
    assert 10 / math.tan(below) == pytest.approx(16 - 2.55, abs=0.01)
    (found,) = place(camera, seen(C.VAN, box)).detections
    assert found.position.y == pytest.approx(16, abs=0.4)
    assert found.position.x == pytest.approx(0, abs=0.1)


def test_a_van_seen_from_the_side_is_told_by_its_box(make_camera) -> None:
    """The box's shape tells the heading: the centre is half the width behind, not the length.

    Half the length would put it 1.6 m too far.
    """
    camera = make_camera(pose={"tilt": 35})
    (found,) = place(camera, seen(C.VAN, block(0, 16, 0, VAN, tilt=35))).detections
    assert found.position.y == pytest.approx(16, abs=0.7)


@settings(deadline=None, max_examples=60)
@given(
    x=st.floats(-4, 4), y=st.floats(14, 40), heading=st.floats(0, math.pi),
    kind=st.sampled_from([(C.PEDESTRIAN, PERSON), (C.VAN, VAN), (C.BUS, BUS)]),
)  # fmt: skip
def test_wherever_it_stands_the_covariance_covers_the_error(
    make_camera, x, y, heading, kind
) -> None:
    object_class, size = kind
    camera = make_camera(pose=FAR_LOOK)
    box = block(x, y, heading, size, **FAR_LOOK)
    if box.left < 20 or box.top < 20 or box.right > 980 or box.bottom > 780:
        return
    (found,) = place(camera, seen(object_class, box)).detections
    error = np.array([found.position.x - x, found.position.y - y])
    cov = np.array(
        [
            [found.position_cov.xx, found.position_cov.xy],
            [found.position_cov.xy, found.position_cov.yy],
        ]
    )
    assert np.linalg.eigvalsh(cov)[0] > 0
    # No noise was added, so what remains is the unknown heading: within 3 σ always.
    assert error @ np.linalg.solve(cov, error) < 9


def test_uncertainty_grows_with_distance_and_lies_along_the_view(far_camera) -> None:
    boxes = [seen(C.PEDESTRIAN, block(0, y, 0, PERSON, **FAR_LOOK)) for y in (15, 30, 60)]
    near, middle, far = place(far_camera, *boxes).detections
    assert near.position_cov.yy < middle.position_cov.yy < far.position_cov.yy
    assert far.position_cov.yy > 4 * far.position_cov.xx


def test_two_boxes_keep_their_order_and_their_score(far_camera) -> None:
    boxes = [
        seen(C.PEDESTRIAN, block(x, 25, 0, PERSON, **FAR_LOOK), score)
        for x, score in ((-3, 0.4), (3, 0.8))
    ]
    left, right = place(far_camera, *boxes).detections
    assert (left.score, right.score) == (0.4, 0.8)
    assert left.position.x < 0 < right.position.x


def test_known_boxes_come_out_where_they_always_did(make_camera) -> None:
    """Recorded: whole, cut, mislabelled, unknown; through lens and roll. What they are worth other
    tests tell; these notice a change that nobody meant."""
    camera = make_camera(
        pose={"x": 5, "y": -3, "z": 8, "heading": 30, "tilt": 20, "roll": 2},
        lens={"distortion": (-0.1, 0.02)},
    )
    known = (
        (C.CAR, Box(300, 420, 110, 70), C.CAR, 11.961001, 15.036952),
        (C.BUS, Box(560, 180, 160, 150), C.BUS, 24.878525, 22.344826),
        (C.PEDESTRIAN, Box(120, 300, 28, 66), C.PEDESTRIAN, 9.469545, 24.635341),
        (C.UNKNOWN, Box(700, 400, 150, 90), C.CAR, 18.846179, 10.164115),
        (C.VAN, Box(0, 380, 120, 130), C.VAN, 5.328916, 18.238176),
        (C.CAR, Box(420, 730, 160, 70), C.CAR, 8.263523, 2.995830),
        (C.OBSTACLE, Box(480, 300, 40, 30), C.OBSTACLE, 19.305440, 21.633246),
    )
    placed = place(camera, *(seen(label, box) for label, box, *_ in known))
    assert placed.rejected == {}
    for found, (_, _, object_class, x, y) in zip(placed.detections, known, strict=True):
        assert found.object_class is object_class
        assert (found.position.x, found.position.y) == pytest.approx((x, y), abs=2e-6)


def test_what_repeats_from_frame_to_frame_is_stated_apart(make_camera) -> None:
    """Only the box's edges are read afresh in every frame; the rest no averaging reduces."""
    calibration = make_camera(pose=FAR_LOOK).calibration
    box = block(0, 30, 0.6, VAN, **FAR_LOOK)

    def found(**noise: float):
        stated = calibration.model_copy(
            update={"noise": calibration.noise.model_copy(update=noise)}
        )
        camera = make_camera(pose=FAR_LOOK).model_copy(update={"calibration": stated})
        (detection,) = place(camera, seen(C.VAN, box)).detections
        constant = detection.constant_cov
        return detection.position_cov.yy, constant.yy

    whole, constant = found(pixel=2.0)
    # 2 px at 30 m from 8 m: 2 · (8² + 30²) / (1000 · 8) · (the view's slant) ≈ 0.24 m along it.
    assert whole - constant == pytest.approx(0.24**2, rel=0.15)
    assert found(pixel=0.0)[0] == pytest.approx(found(pixel=0.0)[1])
    assert found(pixel=2.0, angle=0.5)[1] > constant + 0.5


def test_beyond_the_linear_the_covariance_grows_as_sampling_says(make_camera) -> None:
    """30 px of noise on a foot 200 px below the horizon: short is nearer than far is far."""
    sigma, noise = 30.0, {"pixel": 30.0, "angle": 0.0, "position": 0.0, "ground": 0.0}
    camera = make_camera(pose=FAR_LOOK)
    calibration = camera.calibration
    calibration = calibration.model_copy(
        update={"noise": calibration.noise.model_copy(update=noise)}
    )
    camera = camera.model_copy(update={"calibration": calibration})
    box = block(0, 40, 0, PERSON, **FAR_LOOK)
    projector = GroundProjector(camera)
    (found,) = projector.place((seen(C.PEDESTRIAN, box),), 1000, 800).detections
    foot = np.array([(box.left + box.right) / 2, box.bottom])
    moved = foot + sigma * np.random.default_rng(1).standard_normal((20_000, 2))
    ground, on_road = projector.camera.ground(moved)
    assert on_road.all()
    centre, _ = projector.camera.ground(foot[np.newaxis])
    square = float(((ground - centre)[:, 1] ** 2).mean())
    jacobian = projector.camera.road_jacobian(centre)[0]
    linear = float(sigma**2 * (jacobian @ jacobian.T)[1, 1])
    assert linear < 0.87 * square
    assert found.position_cov.yy == pytest.approx(square, rel=0.1)


# --- class and size ---


@pytest.mark.parametrize(
    ("size", "expected"),
    [(PERSON, {C.PEDESTRIAN}), ((4.4, 1.83, 1.0), {C.CAR}), (BUS, {C.BUS, C.TRUCK})],
)
def test_an_unknown_object_is_named_by_its_size(make_camera, size, expected) -> None:
    camera = make_camera(pose={"z": 20, "tilt": 50})
    box = block(0, 17, math.pi / 2, size, z=20, tilt=50)
    (found,) = place(camera, seen(C.UNKNOWN, box)).detections
    assert found.object_class in expected


def test_an_unknown_object_of_no_known_size_stays_unknown(make_camera) -> None:
    camera = make_camera(pose={"z": 20, "tilt": 50}, classes=["car", "unknown"])
    box = block(0, 17, 0, (0.5, 0.5, 0.1), z=20, tilt=50)
    (found,) = place(camera, seen(C.UNKNOWN, box)).detections
    assert found.object_class is C.UNKNOWN
    assert found.size.width == pytest.approx(0.5, abs=0.1)
    assert (found.position.x, found.position.y) == pytest.approx((0, 17), abs=0.3)


def test_a_label_that_the_size_contradicts_gives_way(make_camera) -> None:
    """A car-sized box is not a bus, whatever the model says."""
    camera = make_camera(pose={"z": 20, "tilt": 50})
    box = block(0, 17, math.pi / 2, (4.4, 1.83, 1.0), z=20, tilt=50)
    (found,) = place(camera, seen(C.BUS, box)).detections
    assert found.object_class is C.CAR


def test_a_label_survives_a_half_hidden_object(far_camera) -> None:
    box = block(0, 25, 0, PERSON, **FAR_LOOK)
    upper = Box(box.left, box.top + box.height / 3, box.width, box.height * 2 / 3)
    (found,) = place(far_camera, seen(C.PEDESTRIAN, upper)).detections
    assert found.object_class is C.PEDESTRIAN


def test_an_obstacle_stays_one(far_camera) -> None:
    (found,) = place(far_camera, seen(C.OBSTACLE, block(0, 25, 0, PERSON, **FAR_LOOK))).detections
    assert found.object_class is C.OBSTACLE


def test_only_wanted_classes_come_out(make_camera) -> None:
    camera = make_camera(pose=FAR_LOOK, classes=["car"])
    placed = place(camera, seen(C.PEDESTRIAN, block(0, 25, 0, PERSON, **FAR_LOOK)))
    assert placed == ((), {"class_not_wanted": 1})
    with pytest.raises(CalibrationError, match="lorry"):
        GroundProjector(make_camera(classes=["lorry"]))


# --- cut boxes ---


def cut(box: Box, left=0.0, top=0.0, right=1000.0, bottom=800.0) -> Box:
    """What remains of a box inside a window."""
    x, y = max(box.left, left), max(box.top, top)
    return Box(x, y, min(box.right, right) - x, min(box.bottom, bottom) - y)


@pytest.fixture
def steep(make_camera) -> CameraOptions:
    return make_camera(pose={"z": 20, "tilt": 50})


def steep_van(x: float, y: float) -> Box:
    return block(x, y, math.pi / 2, VAN, z=20, tilt=50)


@pytest.mark.parametrize(("x", "y"), [(0, 8.5), (0, 33), (-11.4, 17), (11.4, 17)])
def test_a_cut_van_is_placed_by_what_is_seen_and_less_surely(steep, x: float, y: float) -> None:
    whole = steep_van(x, y)
    visible = cut(whole)
    assert visible.width * visible.height < 0.95 * whole.width * whole.height
    (found,) = place(steep, seen(C.VAN, visible)).detections
    error = math.hypot(found.position.x - x, found.position.y - y)
    sigma = math.sqrt(found.position_cov.xx + found.position_cov.yy)
    assert error < 1.0
    assert error < 2.5 * sigma


def test_a_cut_box_is_less_sure_than_a_whole_one(steep) -> None:
    whole = place(steep, seen(C.VAN, steep_van(0, 14))).detections[0]
    part = place(steep, seen(C.VAN, cut(steep_van(0, 8.5)))).detections[0]
    assert part.position_cov.yy > whole.position_cov.yy


def test_a_box_from_edge_to_edge_is_refused(steep) -> None:
    placed = place(steep, seen(C.CAR, Box(0, 300, 1000, 200)), seen(C.CAR, Box(400, 0, 200, 800)))
    assert placed == ((), {"cut_by_border": 2})


def test_nothing_is_named_by_a_corner(steep) -> None:
    """With a side and the lower edge hidden no size was measured."""
    placed = place(steep, seen(C.UNKNOWN, Box(960, 740, 40, 60)))
    assert [d.object_class for d in placed.detections] == [C.UNKNOWN]


def test_a_crops_border_cuts_as_the_images_does(make_camera) -> None:
    region = {"left": 0, "top": 0, "width": 1000, "height": 500}
    camera = make_camera(pose={"z": 20, "tilt": 50}, regions=[region])
    whole = steep_van(0, 14.5)
    assert whole.bottom > 520
    (found,) = place(camera, seen(C.VAN, cut(whole, bottom=500))).detections
    assert found.position.y == pytest.approx(14.5, abs=1.0)
    # The same box in the whole image would end there by itself: a lower edge, so farther away.
    plain = make_camera(pose={"z": 20, "tilt": 50})
    (other,) = place(plain, seen(C.VAN, cut(whole, bottom=500))).detections
    assert other.position.y > found.position.y + 0.5


# --- refusals ---


def test_above_the_horizon_is_refused(make_camera) -> None:
    # 5° of tilt: the horizon lies 87.5 px above the centre, at 312.5.
    camera = make_camera(pose={"tilt": 5})
    placed = place(camera, seen(C.CAR, Box(400, 250, 100, 50)))
    assert placed == ((), {"above_horizon": 1})


def test_beyond_the_range_is_refused(make_camera) -> None:
    camera = make_camera(pose={"tilt": 5}, max_range=60)
    # 0.5° below the horizon: 10 m / tan 0.5° > 1 km.
    v = 400 - 1000 * math.tan(math.radians(4.5))
    placed = place(camera, seen(C.CAR, Box(450, v - 30, 60, 30)))
    assert placed == ((), {"beyond_range": 1})


def test_a_position_that_says_nothing_is_refused(make_camera) -> None:
    calibration = {
        "kind": "pose", "image_width": 1000, "image_height": 800,
        "lens": {"fx": 1000, "fy": 1000, "cx": 500, "cy": 400},
        "pose": {"x": 0, "y": 0, "z": 5, "heading": 0, "tilt": 10},
        "noise": {"pixel": 2, "angle": 3.0},
    }  # fmt: skip
    camera = make_camera(calibration=calibration, max_range=200)
    box = block(0, 60, 0, PERSON, z=5, tilt=10)
    assert place(camera, seen(C.PEDESTRIAN, box)) == ((), {"position_uncertain": 1})


def test_outside_the_lens_model_is_refused(make_camera) -> None:
    camera = make_camera(lens={"distortion": (-0.5, 0.0)})
    placed = place(camera, seen(C.CAR, Box(900, 700, 90, 90)))
    assert placed == ((), {"outside_lens_model": 1})


def test_another_shape_of_image_is_refused_another_resolution_is_not(far_camera) -> None:
    box = block(3, 25, 0, PERSON, **FAR_LOOK)
    half = Box(box.left / 2, box.top / 2, box.width / 2, box.height / 2)
    projector = GroundProjector(far_camera)
    person = seen(C.PEDESTRIAN, half)
    (found,) = projector.place((person,), 500, 400).detections
    assert found.position.y == pytest.approx(25, abs=0.15)
    assert found.box == half
    assert projector.place((person,), 640, 480) == ((), {"image_size": 1})


def test_nothing_in_is_nothing_out(far_camera) -> None:
    assert place(far_camera) == ((), {})


@settings(deadline=None, max_examples=150)
@given(
    left=st.floats(-50, 1050), top=st.floats(-50, 850), width=st.floats(0, 1100),
    height=st.floats(0, 900), kind=st.sampled_from(list(C)), tilt=st.floats(1, 80),
)  # fmt: skip
def test_any_box_is_placed_or_refused_and_always_finite(
    make_camera, left, top, width, height, kind, tilt
) -> None:
    camera = make_camera(pose={"tilt": tilt})
    placed = place(camera, seen(kind, Box(left, top, width, height)))
    assert len(placed.detections) + sum(placed.rejected.values()) == 1
    for found in placed.detections:
        numbers = (
            found.position.x, found.position.y, found.position_cov.xx, found.position_cov.xy,
            found.position_cov.yy, found.size.length, found.size.width, found.size.height,
        )  # fmt: skip
        assert all(math.isfinite(n) for n in numbers)
        assert found.position_cov.xx > 0
        assert found.position_cov.yy > 0


# --- calibrations that cannot be right ---


def test_a_calibration_that_maps_the_road_to_the_sky_is_refused(make_camera) -> None:
    with pytest.raises(CalibrationError, match=r"camera 'north'.*road to the sky.*tilt"):
        GroundProjector(make_camera(pose={"tilt": -45}))
    with pytest.raises(CalibrationError, match="road to the sky"):
        GroundProjector(make_camera(pose={"z": 1000}, max_range=50))


def test_a_camera_that_hardly_sees_the_road_is_refused(make_camera) -> None:
    with pytest.raises(CalibrationError, match="less than"):
        GroundProjector(make_camera(pose={"tilt": -21}, max_range=2000))


def test_a_region_in_the_sky_is_refused(make_camera) -> None:
    region = {"left": 0, "top": 0, "width": 500, "height": 200}
    with pytest.raises(CalibrationError, match=r"regions\[0\]"):
        GroundProjector(make_camera(pose={"tilt": 5}, regions=[region]))
