"""A calibration that does not map the image to the road is found out before anything starts."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.config.cameras import HomographyCalibration, PoseCalibration, RotationCalibration
from rsu.config.ground import axes_of, findings, fit_homography, project

LENS = {"fx": 600, "fy": 600, "cx": 320, "cy": 192}


def pose(**changes):
    placed = {"x": 0, "y": 0, "z": 6, "heading": 30, "tilt": 25, **changes}
    return PoseCalibration(kind="pose", image_width=640, image_height=384, lens=LENS, pose=placed)


def camera_matrix(heading=30.0, tilt=25.0, centre=(3.0, -2.0, 6.0)):
    """3 × 4 extrinsic of a pose, from the axes' definition."""
    axes = axes_of(heading, tilt, 0.0)
    return tuple((*axis, -sum(a * c for a, c in zip(axis, centre, strict=True))) for axis in axes)


def matrix(rows):
    return RotationCalibration(
        kind="matrix", image_width=640, image_height=384, lens=LENS, extrinsic=rows
    )


def image_of(ground, rows):
    """Pixel at which the camera sees a point of the road."""
    x, y, z = (row[0] * ground[0] + row[1] * ground[1] + row[3] for row in rows)
    return (600 * x / z + 320, 600 * y / z + 192)


GROUND = [(4, 8), (10, 9), (12, 18), (5, 20), (8, 13), (7, 10), (10, 16), (11, 12)]


def homography(points=None, **changes):
    rows = camera_matrix()
    if points is None:
        points = [(image_of(ground, rows), ground) for ground in GROUND]
    pairs = [{"image": image, "ground": ground} for image, ground in points]
    return HomographyCalibration(
        kind="homography", image_width=640, image_height=384, points=pairs, **changes
    )


def said(calibration, max_range=120.0):
    return [(("warning " if f.warning else "") + f.message, f.at) for f in findings(
        calibration, max_range)]  # fmt: skip


def test_axes_are_those_of_the_compass():
    right, down, forward = axes_of(90.0, 0.0, 0.0)  # looking east, level
    assert forward == pytest.approx((1, 0, 0))
    assert right == pytest.approx((0, -1, 0))  # south
    assert down == pytest.approx((0, 0, -1))
    right, down, forward = axes_of(0.0, 90.0 - 1e-9, 0.0)  # looking straight down, top is north
    assert forward == pytest.approx((0, 0, -1), abs=1e-9)
    assert down == pytest.approx((0, -1, 0), abs=1e-9)
    right, _, _ = axes_of(0.0, 0.0, 90.0)  # rolled clockwise: the right-hand side is below
    assert right == pytest.approx((0, 0, -1))


@settings(deadline=None)
@given(st.floats(0, 359), st.floats(-89, 89), st.floats(-180, 180))
def test_axes_are_always_a_rotation(heading, tilt, roll):
    right, down, forward = axes_of(heading, tilt, roll)
    cross = (
        right[1] * down[2] - right[2] * down[1],
        right[2] * down[0] - right[0] * down[2],
        right[0] * down[1] - right[1] * down[0],
    )
    assert cross == pytest.approx(forward, abs=1e-9)


def test_an_ordinary_pose_is_accepted():
    assert said(pose()) == []
    assert said(pose(roll=180)) == []  # hung upside down


def test_a_pose_that_looks_at_the_sky_is_refused():
    ((message, at),) = said(pose(tilt=-30))
    assert message == "maps the road to the sky: the whole image is above the horizon"
    assert at == ("pose",)


def test_a_pose_that_sees_only_far_road_is_refused():
    ((message, _),) = said(pose(z=80), max_range=20.0)
    assert message == "no pixel shows ground within max_range (20 m)"


def test_a_pose_that_sees_little_road_is_warned_about():
    # Vertical field ±17.7°: the lowest row looks 1.7° down, 200 m away.
    ((message, _),) = said(pose(tilt=-16), max_range=300.0)
    assert message.startswith("warning only 8 % of the image show ground")


def test_a_lens_that_opencv_does_not_know_is_refused():
    lens = {**LENS, "distortion": (0.1, 0.2)}
    calibration = pose().model_copy(update={"lens": type(pose().lens)(**lens)})
    assert said(calibration) == [
        ("OpenCV's model has 4, 5 or 8 coefficients, not 2", ("lens", "distortion"))
    ]


def test_a_matrix_of_a_real_camera_is_accepted():
    assert said(matrix(camera_matrix())) == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: [[v * 1.1 for v in row] for row in r],
         "is no rotation: rows 0 and 0 are not of length 1"),
        (lambda r: [r[0], r[0], r[2]], "is no rotation: rows 0 and 1 are not at right angles"),
        (lambda r: [[-v for v in r[0]], r[1], r[2]], "mirrors the world: its determinant is -1"),
        (lambda r: [[*row[:3], -row[3]] for row in r],
         "puts the camera 6.00 m below the road (is it camera → site?)"),
    ],
)  # fmt: skip
def test_a_matrix_that_is_no_camera_is_refused(spoil, message):
    rows = tuple(tuple(row) for row in spoil([list(row) for row in camera_matrix()]))
    assert said(matrix(rows)) == [(message, ("extrinsic",))]


def test_exact_points_are_accepted_and_give_the_mapping():
    assert said(homography()) == []
    rows = camera_matrix()
    fitted = fit_homography([image_of(g, rows) for g in GROUND], GROUND)
    assert project(fitted, image_of((9, 15), rows)) == pytest.approx((9, 15), abs=1e-6)


def test_four_points_are_enough():
    rows = camera_matrix()
    assert said(homography([(image_of(g, rows), g) for g in GROUND[:4]])) == []


def test_points_that_miss_by_more_than_their_noise_are_refused_with_numbers():
    rows = camera_matrix()
    points = [(image_of(ground, rows), ground) for ground in GROUND]
    points[5] = ((points[5][0][0] + 60, points[5][0][1]), points[5][1])
    ((message, at),) = said(homography(points))
    assert at == ("points",)
    assert message.startswith("re-project with ")
    assert " px (" in message
    assert " times the declared noise; worst is points[5] with " in message
    relaxed = {"noise": {"pixel": 60.0, "ground": 1.0}}
    assert said(homography(points, **relaxed)) == []


def test_points_on_a_line_are_refused():
    line = [((100.0 + 50 * i, 100.0 + 20 * i), (float(i), 2.0 * i)) for i in range(5)]
    assert said(homography(line)) == [("the image points lie on one line", ("points",))]


def test_three_of_four_points_on_a_line_are_refused():
    points = [
        ((100, 100), (0, 0)),
        ((200, 100), (1, 0)),
        ((300, 100), (2, 0)),
        ((200, 300), (1, 5)),
    ]
    ((message, _),) = said(homography(points))
    assert message in (
        "do not determine a mapping (three of four on one line?)",
    )  # fmt: skip


def test_a_mirrored_ground_is_recognised():
    rows = camera_matrix()
    swapped = [(image_of(g, rows), (g[1], g[0])) for g in GROUND]
    ((message, _),) = said(homography(swapped))
    assert message.startswith("maps the road to the sky: it is seen from below")


def test_points_across_the_horizon_are_refused():
    # A square seen the right way, but one corner surveyed behind the camera.
    points = [
        ((100, 300), (-5, 5)),
        ((500, 300), (5, 5)),
        ((420, 200), (8, 20)),
        ((350, 20), (-40, -60)),
    ]
    messages = [message for message, _ in said(homography(points))]
    assert any("maps the road to the sky" in message for message in messages)


def test_a_point_outside_the_image_is_named():
    rows = camera_matrix()
    points = [(image_of(ground, rows), ground) for ground in GROUND]
    points[2] = ((700.0, 20.0), points[2][1])
    assert said(homography(points)) == [("lies outside the image", ("points", 2, "image"))]


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.tuples(st.floats(0, 640), st.floats(0, 384)),
            st.tuples(
                st.floats(allow_nan=False, allow_infinity=False),
                st.floats(allow_nan=False, allow_infinity=False),
            ),
        ),
        min_size=4,
        max_size=8,
    )
)
def test_no_points_whatever_make_the_check_fail(points):
    for finding in findings(homography(points), 100.0):
        assert finding.message


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-1e300, 1e300), min_size=12, max_size=12))
def test_no_matrix_whatever_makes_the_check_fail(values):
    rows = tuple(tuple(values[4 * i : 4 * i + 4]) for i in range(3))
    assert isinstance(findings(matrix(rows), 100.0), list)


def test_the_pixel_a_pose_sees_is_the_one_its_matrix_sees():
    rows = camera_matrix()
    # Straight ahead at tilt 25° from 6 m: 6 / tan 25° = 12.867 m out along the heading of 30°.
    reach = 6 / math.tan(math.radians(25))
    ahead = (3 + reach * math.sin(math.radians(30)), -2 + reach * math.cos(math.radians(30)))
    assert image_of(ahead, rows) == pytest.approx((320, 192), abs=1e-6)
