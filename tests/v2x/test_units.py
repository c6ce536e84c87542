"""Data elements of T/CSAE 53-2020: steps, edges of ranges, and confidence classes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.schema.units import Cov2
from rsu.v2x.csae import units
from rsu.v2x.csae.units import OutOfRangeError


@pytest.mark.parametrize(
    ("element", "value", "stated"),
    [
        (units.speed, 0.0, 0),
        (units.speed, 0.0099, 0),
        (units.speed, 0.01, 1),  # half a step goes up
        (units.speed, 13.89, 695),  # 694.5
        (units.speed, 163.8, 8190),
        (units.heading, 0.0, 0),
        (units.heading, 90.0, 7200),
        (units.heading, 359.99, 28_799),
        (units.heading, 359.994, 0),  # rounds to a full turn
        (units.heading, 360.0, 0),
        (units.latitude, 31.23041234, 312_304_123),
        (units.latitude, -90.0, -900_000_000),
        (units.longitude, 121.47370005, 1_214_737_001),
        (units.longitude, 180.0, 1_800_000_000),
        (units.longitude, -180.0, 1_800_000_000),
        (units.elevation, 12.04, 120),
        (units.elevation, -409.5, -4095),
        (units.elevation, 6143.9, 61_439),
        (units.width, 1.804, 180),
        (units.length, 18.75, 1875),
        (units.height, 1.52, 30),
        (units.size_value, 0.05, 1),
        (units.size_value, 102.3, 1023),
        (units.lane_width, 3.504, 350),
        (units.radius, 1.75, 18),
        (units.radius, 6553.5, 65_535),
        (units.confidence, 0.0025, 1),
        (units.confidence, 1.0, 200),
    ],
)
def test_values_in_their_steps(element, value: float, stated: int) -> None:
    assert element(value) == stated


@pytest.mark.parametrize(
    ("element", "value"),
    [
        (units.speed, 163.82),  # 8191 would say unavailable
        (units.speed, -0.02),
        (units.heading, 361.0),
        (units.latitude, 90.0000001),  # 900000001 would say unavailable
        (units.longitude, 180.0000001),
        (units.elevation, -409.6),  # -4096 would say unknown
        (units.elevation, 6144.0),
        (units.width, 10.24),
        (units.length, 40.96),
        (units.height, 6.4),
        (units.width, -0.01),
        (units.speed, math.nan),
        (units.latitude, math.inf),
        (units.size_value, 102.4),
        (units.lane_width, 327.68),
        (units.radius, 6553.6),
        (units.radius, -0.1),
        (units.confidence, 1.01),
        (units.confidence, -0.01),
    ],
)
def test_values_beyond_the_range_are_never_clamped(element, value: float) -> None:
    with pytest.raises(OutOfRangeError):
        element(value)


@pytest.mark.parametrize(
    ("lon", "lat", "alternative"),
    [
        (0, 0, "position-LL1"),
        (2047, -2048, "position-LL1"),
        (2048, 0, "position-LL2"),
        (0, -2049, "position-LL2"),
        (8191, -8192, "position-LL2"),
        (8192, 0, "position-LL3"),
        (32_768, 0, "position-LL4"),
        (131_072, 0, "position-LL5"),
        (2_097_152, 0, "position-LL6"),
        (8_388_607, -8_388_608, "position-LL6"),
    ],
)
def test_offsets_take_the_smallest_alternative(lon: int, lat: int, alternative: str) -> None:
    found = units.position_offset(
        1_214_737_000 + lon, 312_304_000 + lat, 1_214_737_000, 312_304_000
    )
    assert found == {alternative: {"lon": lon, "lat": lat}}


def test_position_farther_than_any_offset_is_stated_absolutely() -> None:
    found = units.position_offset(1_223_125_608, 312_304_000, 1_214_737_000, 312_304_000)
    assert found == {"position-LatLon": {"lon": 1_223_125_608, "lat": 312_304_000}}


def test_offset_across_the_180th_meridian_is_short() -> None:
    east = units.position_offset(-1_799_999_950, 0, 1_799_999_950, 0)
    assert east == {"position-LL1": {"lon": 100, "lat": 0}}
    west = units.position_offset(1_799_999_950, 0, -1_799_999_950, 0)
    assert west == {"position-LL1": {"lon": -100, "lat": 0}}


@pytest.mark.parametrize(
    ("metres", "stated"),
    [
        (0.0, {"offset1": 0}),
        (5.0, {"offset1": 50}),
        (6.3, {"offset1": 63}),
        (6.4, {"offset2": 64}),
        (-6.4, {"offset1": -64}),
        (-6.5, {"offset2": -65}),
        (204.7, {"offset6": 2047}),
    ],
)
def test_vertical_offsets_take_the_smallest_alternative(metres: float, stated: dict) -> None:
    assert units.vertical_offset(metres) == stated


def test_vertical_offset_beyond_its_range_is_refused() -> None:
    with pytest.raises(OutOfRangeError):
        units.vertical_offset(204.8)


def circle(std: float) -> Cov2:
    return Cov2(std * std, 0.0, std * std)


@pytest.mark.parametrize(
    ("std", "stated"),
    [
        # The 95 % radius of a circular Gaussian is 2.4477 σ.
        (0.004, "a1cm"),
        (0.2, "a50cm"),  # 0.4895 m
        (0.205, "a1m"),  # 0.5018 m
        (0.4, "a1m"),  # 0.979 m
        (0.41, "a2m"),  # 1.0036 m
        (204.0, "a500m"),  # 499.3 m
        (205.0, "unavailable"),  # 501.8 m
        (math.nan, "unavailable"),
    ],
)
def test_position_confidence_bounds_the_95_percent_radius(std: float, stated: str) -> None:
    assert units.position_confidence(circle(std)) == stated


def test_position_confidence_takes_the_long_axis_whatever_its_direction() -> None:
    # Axes 0.4 m and 0.1 m, turned by 30°.
    c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
    along, across = 0.16, 0.01
    turned = Cov2(
        along * c * c + across * s * s,
        (along - across) * c * s,
        along * s * s + across * c * c,
    )
    assert units.position_confidence(turned) == units.position_confidence(circle(0.4)) == "a1m"


@settings(deadline=None)
@given(st.floats(0.001, 300.0), st.floats(0.001, 300.0), st.floats(0.0, math.pi))
def test_stated_position_bound_is_never_below_the_error(a: float, b: float, turn: float) -> None:
    c, s = math.cos(turn), math.sin(turn)
    cov = Cov2(
        a * a * c * c + b * b * s * s, (a * a - b * b) * c * s, a * a * s * s + b * b * c * c
    )
    name = units.position_confidence(cov)
    error = math.sqrt(-2 * math.log(0.05)) * max(a, b)
    if name == "unavailable":
        assert error > 500 * (1 - 1e-9)
    else:
        number, unit = name.strip("acm"), 0.01 if name.endswith("cm") else 1.0
        assert error <= float(number) * unit * (1 + 1e-9)


@pytest.mark.parametrize(
    ("std", "stated"),
    [
        (0.005, "prec0-01ms"),
        (0.05, "prec0-1ms"),  # 1.96 × 0.05 = 0.098
        (0.052, "prec1ms"),
        (0.51, "prec1ms"),
        (2.0, "prec5ms"),
        (51.0, "prec100ms"),
        (52.0, "unavailable"),
    ],
)
def test_speed_confidence(std: float, stated: str) -> None:
    assert units.speed_confidence(std) == stated


@pytest.mark.parametrize(
    ("degrees", "stated"),
    [
        (0.001, "prec0-0125deg"),
        (0.02, "prec0-05deg"),
        (0.5, "prec01deg"),  # 0.98°
        (0.52, "prec05deg"),
        (5.0, "prec10deg"),
        (5.2, "unavailable"),
    ],
)
def test_heading_confidence(degrees: float, stated: str) -> None:
    assert units.heading_confidence(math.radians(degrees)) == stated


def test_heading_says_nothing_when_forth_and_back_are_not_told_apart() -> None:
    assert units.heading_known(math.radians(45))  # 95 % within 88°
    assert not units.heading_known(math.radians(46))
    assert not units.heading_known(math.nan)
