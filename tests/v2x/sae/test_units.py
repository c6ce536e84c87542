"""Data elements at the ends of their ranges, PSIDs, and numbers that count changes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from rsu.config.v2x_sae import SaeOptions
from rsu.v2x.codec import codec_for
from rsu.v2x.sae import units
from rsu.v2x.sae.psids import PSIDS
from rsu.v2x.sae.revision import KEYS_MAX, Revisions
from rsu.v2x.steps import OutOfRangeError

CODEC = codec_for("j2735_2024")


@pytest.mark.parametrize(
    ("element", "type_name", "lowest", "highest", "ends"),
    [
        (units.latitude, "Latitude", -90.0, 90.0, (-900_000_000, 900_000_000)),
        (units.longitude, "Longitude", -179.9999999, 180.0, (-1_799_999_999, 1_800_000_000)),
        (units.elevation, "Elevation", -409.5, 6143.9, (-4095, 61_439)),
        (units.object_distance, "ObjectDistance", -3276.7, 3276.7, (-32_767, 32_767)),
        (units.speed, "Speed", 0.0, 163.8, (0, 8190)),
        (units.vehicle_width, "VehicleWidth", 0.01, 10.23, (1, 1023)),
        (units.vehicle_length, "VehicleLength", 0.01, 40.95, (1, 4095)),
        (units.vehicle_height, "VehicleHeight", 0.05, 6.35, (1, 127)),
        (units.size_value, "SizeValue", 0.0, 102.3, (0, 1023)),
        (units.lane_width, "LaneWidth", 0.0, 327.67, (0, 32_767)),
        (units.percent, "ClassificationConfidence", 0.0, 1.0, (0, 100)),
        (units.milliseconds, "DSecond", 0.0, 65.534, (0, 65_534)),
    ],
)
def test_ends_of_the_ranges(
    element: Callable[[float], int],
    type_name: str,
    lowest: float,
    highest: float,
    ends: tuple[int, int],
) -> None:
    assert (element(lowest), element(highest)) == ends
    for value in ends:
        assert CODEC.decode(CODEC.encode(value, type_name), type_name) == value
    beyond = (highest - lowest) * 0.01
    for wrong in (lowest - beyond - 0.1, highest + beyond, math.nan, math.inf):
        with pytest.raises(OutOfRangeError):
            element(wrong)


def test_the_180th_meridian_is_stated_from_the_east() -> None:
    assert units.longitude(-180.0) == 1_800_000_000


def test_headings_go_round() -> None:
    assert [units.heading(degrees) for degrees in (0.0, 359.99, 359.995, 360.0)] == [
        0, 28_799, 0, 0,
    ]  # fmt: skip


def test_text() -> None:
    assert units.text(" North ", 5) == "North"
    assert [units.text(words, 5) for words in ("", "Norths", "Nö", "a\tb")] == [None] * 4


def test_configured_psids_are_those_of_the_table() -> None:
    options = SaeOptions()
    for message, psid in PSIDS.items():
        if message != "BSM":  # heard, never sent
            assert getattr(options, message.lower()).aid == psid


def test_revisions_count_changes_and_forget_the_longest_unspoken() -> None:
    revisions = Revisions()
    assert [revisions.of("a", said) for said in (1, 1, 2, 1)] == [0, 0, 1, 2]
    for number in range(KEYS_MAX):
        revisions.of(number, 0)
    assert revisions.of("a", 3) == 0
    assert [revisions.of("b", said) for said in range(130)][-3:] == [127, 0, 1]
