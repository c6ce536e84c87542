"""Pixels meet the road where geometry by hand says, with the covariance that sampling shows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.cameras import (
    HomographyCalibration,
    PoseCalibration,
    PoseOptions,
    RotationCalibration,
)
from rsu.perception.camera_model import CameraModel, camera_model, rotation_of
from rsu.perception.errors import CalibrationError


def pose_calibration(
    lens: dict[str, Any] | None = None, noise: dict[str, float] | None = None, **pose: float
) -> PoseCalibration:
    """10 m high, looking north and 45° down; f = 1000 px, 1000 × 800 px, centre (500, 400)."""
    return PoseCalibration.model_validate(
        {
            "kind": "pose",
            "image_width": 1000,
            "image_height": 800,
            "lens": {"fx": 1000, "fy": 1000, "cx": 500, "cy": 400, **(lens or {})},
            "pose": {"x": 0, "y": 0, "z": 10, "heading": 0, "tilt": 45, **pose},
            "noise": noise or {},
        }
    )


def ground(model: CameraModel, *pixel: float) -> tuple[float, float]:
    points, seen = model.ground(np.array([pixel]))
    assert seen.all()
    return float(points[0, 0]), float(points[0, 1])


def test_the_optical_axis_meets_the_road_at_height_over_tangent() -> None:
    assert ground(camera_model(pose_calibration()), 500, 400) == pytest.approx((0, 10))
    assert ground(camera_model(pose_calibration(tilt=30)), 500, 400) == pytest.approx(
        (0, 10 * math.sqrt(3))
    )


def test_a_pixel_below_the_centre_looks_down_by_its_own_angle() -> None:
    # 15° below the axis is 1000 tan 15° px lower; 60° below the horizon is 10/tan 60° m away.
    model = camera_model(pose_calibration())
    v = 400 + 1000 * math.tan(math.radians(15))
    assert ground(model, 500, v) == pytest.approx((0, 10 / math.tan(math.radians(60))))


def test_a_pixel_to_the_right_lies_to_the_right() -> None:
    # 100 px at the axis' slant distance of 10 √2 m: 0.1 × 14.142 m.
    assert ground(camera_model(pose_calibration()), 600, 400) == pytest.approx((math.sqrt(2), 10))


@pytest.mark.parametrize(
    ("heading", "where"), [(0, (0, 10)), (90, (10, 0)), (180, (0, -10)), (270, (-10, 0))]
)
def test_heading_turns_clockwise_from_north(heading: float, where: tuple[float, float]) -> None:
    model = camera_model(pose_calibration(heading=heading))
    assert ground(model, 500, 400) == pytest.approx(where, abs=1e-9)


def test_roll_is_clockwise_from_behind() -> None:
    # A quarter turn: the image's right is down, its top is right.
    model = camera_model(pose_calibration(roll=90))
    steeper = math.radians(45) + math.atan(0.1)
    assert ground(model, 600, 400) == pytest.approx((0, 10 / math.tan(steeper)), abs=1e-9)
    assert ground(model, 500, 300) == pytest.approx((math.sqrt(2), 10))


def test_the_camera_stands_where_it_says() -> None:
    model = camera_model(pose_calibration(x=100, y=-50, z=5))
    assert ground(model, 500, 400) == pytest.approx((100, -45))


def test_the_horizon_is_a_line_and_nothing_above_it_is_road() -> None:
    # 10° of tilt: the horizon lies 1000 tan 10° = 176.3 px above the centre.
    model = camera_model(pose_calibration(tilt=10))
    horizon = 400 - 1000 * math.tan(math.radians(10))
    pixels = np.array([[500, horizon + 0.01], [500, horizon - 0.01], [500, 0], [20, horizon - 1]])
    points, seen = model.ground(pixels)
    assert seen.tolist() == [True, False, False, False]
    assert points[0, 1] > 100_000
    assert np.isfinite(points).all()


def test_behind_the_camera_has_no_positive_weight() -> None:
    model = camera_model(pose_calibration())
    pixels, weight = model.project(np.array([[0.0, 20.0, 0.0], [0.0, -20.0, 0.0]]))
    assert weight[0] > 0 > weight[1]
    assert np.isfinite(pixels).all()


def test_a_matrix_calibration_is_the_same_camera_as_its_pose() -> None:
    calibration = pose_calibration(x=3, y=-2, heading=33, tilt=28, roll=4)
    rotation = rotation_of(calibration.pose)
    extrinsic = np.column_stack((rotation, -rotation @ [3, -2, 10]))
    other = RotationCalibration(
        kind="matrix", image_width=1000, image_height=800, lens=calibration.lens,
        extrinsic=extrinsic.tolist(),
    )  # fmt: skip
    one, two = camera_model(calibration), camera_model(other)
    np.testing.assert_allclose(one.projection, two.projection, atol=1e-9)
    np.testing.assert_allclose(one.position, two.position)
    np.testing.assert_allclose(
        one.calibration_cov(np.array([[5.0, 20.0]])), two.calibration_cov(np.array([[5.0, 20.0]]))
    )


@pytest.mark.parametrize(
    ("extrinsic", "match"),
    [
        ([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0]], "no rotation"),
        ([[1, 0, 0, 0], [0, 0, -1, 5], [0, -1, 0, 0]], "no rotation"),  # mirrored
        ([[1, 0, 0, 0], [0, 0, -1, -5], [0, 1, 0, 0]], "below the road"),
    ],
)
def test_a_matrix_that_is_no_pose_is_refused(extrinsic: Any, match: str) -> None:
    calibration = RotationCalibration(
        kind="matrix", image_width=10, image_height=10, extrinsic=extrinsic,
        lens={"fx": 10, "fy": 10, "cx": 5, "cy": 5},
    )  # fmt: skip
    with pytest.raises(CalibrationError, match=match):
        camera_model(calibration)


poses = st.fixed_dictionaries(
    {
        "x": st.floats(-100, 100),
        "y": st.floats(-100, 100),
        "z": st.floats(3, 30),
        "heading": st.floats(0, 359.9),
        "tilt": st.floats(5, 85),
        "roll": st.floats(-20, 20),
    }
)
lenses = st.sampled_from([(), (-0.3, 0.1), (-0.25, 0.08, 0.001, -0.0005, 0.01)])


@settings(deadline=None, max_examples=100)
@given(pose=poses, lens=lenses, u=st.floats(0, 999), v=st.floats(0, 799))
def test_pixel_to_ground_to_pixel_is_the_same_pixel(pose, lens, u: float, v: float) -> None:
    model = camera_model(pose_calibration({"distortion": lens}, **pose))
    ideal, covered = model.ideal(np.array([[u, v]]))
    points, seen = model.ground(ideal)
    far = float(np.linalg.norm(points - model.position[:2], axis=1)[0])
    if not (covered.all() and seen.all()) or far > 2000:
        return
    back, weight = model.project(np.append(points[0], 0.0))
    assert weight > 0
    assert model.lens is not None
    measured = model.lens.measured(back[np.newaxis])
    assert measured[0] == pytest.approx((u, v), abs=0.05)


def test_a_pixel_outside_the_lens_model_is_not_covered() -> None:
    # With k1 = −0.5 the radius r(1 − 0.5 r²) never exceeds 0.544 focal lengths.
    model = camera_model(pose_calibration({"fx": 500, "fy": 500, "distortion": (-0.5, 0.0)}))
    _, covered = model.ideal(np.array([[500.0, 400.0], [600.0, 450.0], [990.0, 790.0]]))
    assert covered.tolist() == [True, True, False]


# --- covariance against sampling ---

SAMPLES = 4000
# Relative standard error of a variance from n samples is √(2/n) = 2.2 %; 4 σ.
TOLERANCE = 4 * math.sqrt(2 / SAMPLES)


def assert_agrees(claimed: np.ndarray, samples: np.ndarray) -> None:
    sampled = np.cov(samples.T)
    np.testing.assert_allclose(np.diag(claimed), np.diag(sampled), rtol=TOLERANCE)
    scale = math.sqrt(sampled[0, 0] * sampled[1, 1])
    assert claimed[0, 1] == pytest.approx(sampled[0, 1], abs=TOLERANCE * scale)


@pytest.mark.parametrize("roll", [0.0, 25.0])
@pytest.mark.parametrize("pixel", [(500.0, 400.0), (850.0, 300.0), (80.0, 700.0)])
def test_the_covariance_of_a_pose_is_what_sampling_shows(
    pixel: tuple[float, float], roll: float
) -> None:
    noise = {"pixel": 3.0, "angle": 0.2, "position": 0.06, "ground": 0.08}
    calibration = pose_calibration(heading=40, tilt=30, roll=roll, noise=noise)
    _, claimed = camera_model(calibration).ground_cov(np.array([pixel]), 3.0)

    random = np.random.default_rng(7)
    pose = calibration.pose
    samples = []
    for _ in range(SAMPLES):
        angles = random.normal(0, 0.2, 3)
        turned = rotation_of(
            PoseOptions(
                x=0, y=0, z=10, heading=pose.heading + angles[0], tilt=pose.tilt + angles[1],
                roll=pose.roll + angles[2],
            )
        )  # fmt: skip
        centre = np.array([0, 0, 10]) + random.normal(0, 0.06, 3)
        u, v = np.array(pixel) + random.normal(0, 3.0, 2)
        ray = turned.T @ [(u - 500) / 1000, (v - 400) / 1000, 1.0]
        road = random.normal(0, 0.08)
        samples.append((centre + ray * (road - centre[2]) / ray[2])[:2])
    assert_agrees(claimed[0], np.array(samples))


def test_the_lens_takes_part_in_the_covariance() -> None:
    lens = {"fx": 600, "fy": 600, "distortion": (-0.28, 0.07)}
    noise = {"pixel": 2.0, "angle": 0.0, "position": 0.0, "ground": 0.0}
    model = camera_model(pose_calibration(lens, noise, tilt=40))
    pixel = np.array([900.0, 700.0])
    _, claimed = model.ground_cov(pixel[np.newaxis], 2.0)
    random = np.random.default_rng(8)
    ideal, covered = model.ideal(pixel + random.normal(0, 2.0, (SAMPLES, 2)))
    assert covered.all()
    assert_agrees(claimed[0], model.ground(ideal)[0])


# --- homography ---

REFERENCE = pose_calibration(x=4, y=-6, z=12, heading=20, tilt=35)
SURVEYED = [(100, 300), (900, 320), (850, 760), (150, 740), (500, 500), (300, 620)]


def homography(
    noise: dict[str, float] | None = None, pairs: list[tuple[Any, Any]] | None = None
) -> HomographyCalibration:
    if pairs is None:
        model = camera_model(REFERENCE)
        pairs = [(pixel, ground(model, *pixel)) for pixel in SURVEYED]
    return HomographyCalibration.model_validate(
        {
            "kind": "homography",
            "image_width": 1000,
            "image_height": 800,
            "points": [{"image": image, "ground": place} for image, place in pairs],
            "noise": noise or {},
        }
    )


def test_surveyed_points_give_the_same_ground_as_the_pose() -> None:
    one, two = camera_model(REFERENCE), camera_model(homography())
    pixels = np.array([[500.0, 400.0], [10.0, 790.0], [990.0, 250.0]])
    np.testing.assert_allclose(one.ground(pixels)[0], two.ground(pixels)[0], atol=1e-6)


def test_surveyed_points_give_the_cameras_place_and_heights_too() -> None:
    one, two = camera_model(REFERENCE), camera_model(homography())
    np.testing.assert_allclose(two.position, [4, -6, 12], atol=1e-6)
    points = np.array([[8.0, 6.0, 1.5], [6.0, 10.0, 3.0]])
    np.testing.assert_allclose(one.project(points)[0], two.project(points)[0], atol=1e-5)


def test_a_view_straight_down_has_no_heights_but_still_a_ground() -> None:
    pairs = [((0, 0), (-5, 4)), ((1000, 0), (5, 4)), ((1000, 800), (5, -4)), ((0, 800), (-5, -4))]
    model = camera_model(homography(pairs=pairs))
    assert ground(model, 500, 400) == pytest.approx((0, 0), abs=1e-9)
    assert ground(model, 750, 200) == pytest.approx((2.5, 2.0))
    low, _ = model.project(np.array([2.5, 2.0, 0.0]))
    high, _ = model.project(np.array([2.5, 2.0, 3.0]))
    np.testing.assert_allclose(low, high)


@pytest.mark.parametrize("pixel", [(500.0, 450.0), (900.0, 780.0)])
def test_the_covariance_of_a_homography_is_what_sampling_shows(pixel: tuple[float, float]) -> None:
    noise = {"pixel": 1.5, "ground": 0.04, "angle": 0.0, "position": 0.0}
    exact = homography(noise)
    model = camera_model(exact)
    claimed = model.ground_cov(np.array([pixel]), 1.5)[1][0]
    # What the fit cannot know, the unevenness between the points, comes on top: 0.04² m².
    claimed = claimed - 0.04**2 * np.eye(2)
    random = np.random.default_rng(9)
    samples = []
    for _ in range(SAMPLES):
        pairs = [
            (
                (np.array(p.image) + random.normal(0, 1.5, 2)).tolist(),
                (np.array(p.ground) + random.normal(0, 0.04, 2)).tolist(),
            )
            for p in exact.points
        ]
        image = np.array([a for a, _ in pairs])
        place = np.array([b for _, b in pairs])
        rows = np.zeros((12, 8))
        rows[0::2, 0:2], rows[0::2, 2] = image, 1
        rows[1::2, 3:5], rows[1::2, 5] = image, 1
        rows[0::2, 6:] = -place[:, :1] * image
        rows[1::2, 6:] = -place[:, 1:] * image
        h = np.append(np.linalg.lstsq(rows, place.reshape(-1), rcond=None)[0], 1).reshape(3, 3)
        x, y, w = h @ np.append(np.array(pixel) + random.normal(0, 1.5, 2), 1)
        samples.append((x / w, y / w))
    # Another least-squares weighting than the fit's own: agreement within a tenth.
    sampled = np.cov(np.array(samples).T)
    np.testing.assert_allclose(np.diag(claimed), np.diag(sampled), rtol=0.10 + TOLERANCE)


def test_points_that_fix_no_plane_are_refused() -> None:
    line = [((100 * i, 100 * i), (i, i)) for i in range(1, 6)]
    with pytest.raises(CalibrationError, match="do not fix the plane"):
        camera_model(homography(pairs=line))
    with pytest.raises(CalibrationError, match="all points are the same"):
        camera_model(homography(pairs=[((5, 5), (1, 1))] * 4))


def test_swapped_points_are_refused() -> None:
    good = [(tuple(p.image), tuple(p.ground)) for p in homography().points]
    swapped = [(good[0][0], good[2][1]), good[1], (good[2][0], good[0][1]), *good[3:]]
    with pytest.raises(CalibrationError, match=r"calibration\.points"):
        camera_model(homography(pairs=swapped))
    mirrored = [(image, (-x, y)) for image, (x, y) in good]
    with pytest.raises(CalibrationError, match="mirrored"):
        camera_model(homography(pairs=mirrored))


def test_points_on_both_sides_of_the_horizon_are_refused() -> None:
    model = camera_model(REFERENCE)
    horizon = np.linalg.inv(model.projection[:, [0, 1, 3]])

    def through(u: float, v: float) -> tuple[float, float]:
        x, y, w = horizon @ [u, v, 1]
        return x / w, y / w

    # One point is taken in the sky: the plane continued through infinity.
    pixels = [(100, 500), (900, 520), (850, 760), (500, -2000)]
    with pytest.raises(CalibrationError, match="maps the road to the sky"):
        camera_model(homography(pairs=[(p, through(*p)) for p in pixels]))


def test_a_mistyped_point_is_named() -> None:
    good = [(tuple(p.image), tuple(p.ground)) for p in homography().points]
    x, y = good[4][1]
    with pytest.raises(CalibrationError, match=r"calibration\.points\[\d\]: lies"):
        camera_model(homography(pairs=[*good[:4], (good[4][0], (x + 10, y)), good[5]]))
