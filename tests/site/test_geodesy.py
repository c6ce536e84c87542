"""The site frame agrees with first principles and loses nothing on the way there and back."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.site.geodesy import LocalFrame, compass_degrees, enu_heading, wrap_angle

latitudes = st.floats(-85, 85)
longitudes = st.floats(-180, 180)
offsets = st.floats(-10_000, 10_000)


def ecef(latitude: float, longitude: float, height: float) -> np.ndarray:
    """Textbook ellipsoid formula, written without pymap3d."""
    a, f = 6378137.0, 1 / 298.257223563
    e2 = f * (2 - f)
    phi, lam = math.radians(latitude), math.radians(longitude)
    n = a / math.sqrt(1 - e2 * math.sin(phi) ** 2)
    return np.array(
        [
            (n + height) * math.cos(phi) * math.cos(lam),
            (n + height) * math.cos(phi) * math.sin(lam),
            (n * (1 - e2) + height) * math.sin(phi),
        ]
    )


def enu(origin: LocalFrame, latitude: float, longitude: float, height: float) -> np.ndarray:
    phi, lam = math.radians(origin.latitude), math.radians(origin.longitude)
    east = [-math.sin(lam), math.cos(lam), 0]
    north = [-math.sin(phi) * math.cos(lam), -math.sin(phi) * math.sin(lam), math.cos(phi)]
    up = [math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)]
    difference = ecef(latitude, longitude, height) - ecef(
        origin.latitude, origin.longitude, origin.altitude
    )
    return np.array([east, north, up]) @ difference


@settings(deadline=None, max_examples=60)
@given(latitudes, longitudes, st.floats(-400, 6000), offsets, offsets, st.floats(-100, 100))
def test_round_trip_within_ten_kilometres_is_closer_than_a_millimetre(
    latitude, longitude, altitude, x, y, z
):
    frame = LocalFrame(latitude, longitude, altitude)
    assert math.dist(frame.to_enu(*frame.to_geodetic(x, y, z)), (x, y, z)) < 1e-3


@settings(deadline=None, max_examples=60)
@given(latitudes, longitudes, st.floats(-0.08, 0.08), st.floats(-0.08, 0.08))
def test_to_enu_agrees_with_the_ellipsoid_formula(latitude, longitude, north, east):
    frame = LocalFrame(latitude, longitude, 12.0)
    there = (latitude + north, longitude + east, 40.0)
    assert np.allclose(frame.to_enu(*there), enu(frame, *there), atol=1e-5)


def test_one_arc_second_north_and_east_at_31_degrees():
    # Radii of curvature at 31°: meridian 6 352 368 m, prime vertical 6 383 809 m; an arc second is
    # 4.848 137e-6 rad.
    frame = LocalFrame(31.0, 121.0)
    second = 1 / 3600
    _, y, _ = frame.to_enu(31.0 + second, 121.0)
    x, _, _ = frame.to_enu(31.0, 121.0 + second)
    assert y == pytest.approx(30.7972, abs=5e-4)
    assert x == pytest.approx(26.5290, abs=5e-4)


def test_scalars_give_floats_and_arrays_give_arrays_with_the_same_values():
    frame = LocalFrame(31.0, 121.0, 10.0)
    one = frame.to_enu(31.001, 121.002)
    many = frame.to_enu(np.array([31.001, 31.0]), np.array([121.002, 121.0]))
    assert all(type(value) is float for value in one)
    assert [float(axis[0]) for axis in many] == pytest.approx(one, abs=1e-9)
    back = frame.to_geodetic(np.array([0.0, 5.0]), np.array([0.0, 5.0]))
    assert back[0].shape == (2,)
    assert all(type(value) is float for value in frame.to_geodetic(1.0, 2.0))


def test_height_defaults_to_that_of_the_origin():
    frame = LocalFrame(31.0, 121.0, 4000.0)
    assert frame.to_enu(31.0, 121.0) == pytest.approx((0, 0, 0), abs=1e-6)


@pytest.mark.parametrize("bad", [(91, 0, 0), (0, 181, 0), (0, 0, math.inf), (math.nan, 0, 0)])
def test_an_origin_off_the_globe_is_refused(bad):
    with pytest.raises(ValueError, match=r"outside|finite"):
        LocalFrame(*bad)


@pytest.mark.parametrize(
    ("radians", "degrees"),
    [(0.0, 90.0), (math.pi / 2, 0.0), (math.pi, 270.0), (-math.pi / 2, 180.0), (math.pi / 4, 45.0)],
)
def test_headings_convert_between_compass_and_enu(radians, degrees):
    assert compass_degrees(radians) == pytest.approx(degrees)
    assert math.remainder(enu_heading(degrees) - radians, math.tau) == pytest.approx(0, abs=1e-12)


@settings(deadline=None)
@given(st.floats(-1e6, 1e6))
def test_headings_stay_in_their_ranges_and_come_back(angle):
    degrees = compass_degrees(angle)
    assert 0.0 <= degrees < 360.0
    assert -math.pi <= enu_heading(degrees) < math.pi
    assert -math.pi <= wrap_angle(angle) < math.pi
    assert math.remainder(enu_heading(degrees) - angle, math.tau) == pytest.approx(0, abs=1e-8)


def test_a_tiny_negative_compass_angle_does_not_become_360():
    assert compass_degrees(math.pi / 2 + 1e-18) == 0.0
    assert compass_degrees(math.nextafter(math.pi / 2, 2)) < 360.0
