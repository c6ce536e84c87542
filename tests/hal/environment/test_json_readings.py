"""Weather and road: units of every kind, what cannot be, what is refused, any document."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rsu.config.environment import MqttEnvironmentOptions
from rsu.hal.environment.json_readings import EnvironmentReadings
from rsu.schema.devices import EnvironmentKind, EnvironmentReading, RoadSurface
from rsu.schema.units import NS_PER_S, Instant, Vec2

NOW_NS = 1_767_225_600_000_000_000
NOW = Instant(NOW_NS, 5)
ARRIVAL = {"format": "arrival"}
DATED = {"format": "epoch_s", "path": "t"}


def reader(
    quantities: list[dict[str, Any]], time: dict[str, Any] = ARRIVAL, **more: Any
) -> tuple[EnvironmentReadings, Counter[str]]:
    dropped: Counter[str] = Counter()
    options = MqttEnvironmentOptions(
        id="mast", driver="mqtt", host="127.0.0.1", topic="w",
        mapping={"quantities": quantities, "time": time, **more},
    )  # fmt: skip
    return EnvironmentReadings(options, dropped), dropped


def read(made: EnvironmentReadings, document: Any, **more: bool) -> list[EnvironmentReading]:
    return made.document(json.dumps(document).encode(), NOW, **more)


@pytest.mark.parametrize(
    ("kind", "unit", "raw", "value"),
    [
        ("visibility", "km", 1.5, 1500.0),
        ("water-depth", "cm", 12, 0.12),
        ("ice-depth", "mm", 0.5, 0.0005),
        ("rain", "mm/min", 0.2, 12.0),
        ("rain", "in/h", 1, 25.4),
        ("air-temperature", "degF", 14, -10.0),
        ("road-temperature", "K", 273.15, 0.0),
        ("friction", "percent", 82, 0.82),
    ],
)
def test_every_kind_comes_in_its_own_unit(kind: str, unit: str, raw: float, value: float) -> None:
    made, dropped = reader([{"kind": kind, "value": {"path": "v", "unit": unit}, "std": 0.5}])
    (found,) = read(made, {"v": raw})
    assert found.kind is EnvironmentKind(kind)
    assert found.value == pytest.approx(value, abs=1e-12)
    assert (found.std, found.capture_ns) == (0.5, NOW_NS - NS_PER_S)
    assert not dropped


def test_a_station_with_places_and_a_surface() -> None:
    made, dropped = reader(
        [
            {"kind": "water-depth", "value": {"path": "levels.0", "unit": "mm"}, "lane": "n-in-1"},
            {"kind": "water-depth", "value": {"path": "levels.1", "unit": "mm"}, "x": 3, "y": -4},
            {"kind": "road-surface", "value": {"path": "state", "table": {3: "ice", "W": "wet"}}},
        ],
        DATED,
        device={"path": "id", "equals": 9},
    )
    second = NOW_NS // NS_PER_S - 20
    first, other, surface = read(made, {"id": 9, "t": second, "levels": [40, 7], "state": 3})
    assert (first.value, first.lane, first.position) == (pytest.approx(0.04), "n-in-1", None)
    assert (other.value, other.position) == (pytest.approx(0.007), Vec2(3.0, -4.0))
    assert (surface.surface, surface.value) == (RoadSurface.ICE, None)
    assert surface.capture_ns == NOW_NS - 20 * NS_PER_S
    assert not dropped
    partly = read(made, {"id": 9, "t": second + 1, "levels": [40], "state": "?"})
    assert [one.kind.value for one in partly] == ["water-depth", "road-surface"]
    assert partly[1].surface is RoadSurface.UNKNOWN
    assert read(made, {"id": 8, "t": second + 2, "levels": [40, 7], "state": 3}) == []
    assert dropped == {"no_reading": 1, "other_device": 1}


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("visibility", -1), ("visibility", 2e5), ("water-depth", 11), ("rain", -0.1),
        ("air-temperature", 85), ("road-temperature", -999), ("friction", 1.2),
    ],
)  # fmt: skip
def test_what_cannot_be_is_no_reading(kind: str, raw: float) -> None:
    made, dropped = reader([{"kind": kind, "value": {"path": "v"}}])
    assert read(made, {"v": raw}) == []
    assert dropped == {"implausible_value": 1}


def test_a_value_that_means_not_known_is_no_reading() -> None:
    made, dropped = reader([{"kind": "rain", "value": {"path": "v", "invalid": [65535]}}])
    assert read(made, {"v": 65535}) == []
    assert dropped == {"no_reading": 1}


def test_repeats_reordering_and_what_the_broker_kept() -> None:
    quantity = {"kind": "rain", "value": {"path": "v"}}
    made, dropped = reader([quantity], DATED)
    second = NOW_NS // NS_PER_S
    for age in (5, 5, 6):
        read(made, {"v": 1, "t": second - age})
    assert read(made, {"v": 1, "t": second - 4}, retained=True)
    undated, refused = reader([quantity])
    assert not read(undated, {"v": 1}, retained=True)
    assert dropped == {"duplicate_timestamp": 1, "non_monotone_timestamp": 1}
    assert refused == {"retained": 1}


@pytest.mark.parametrize(
    ("quantities", "message"),
    [
        ([{"kind": "rain", "value": {"path": "a"}}, {"kind": "rain", "value": {"path": "b"}}],
         "a second rain at the same place"),
        ([{"kind": "rain", "value": {"path": "a"}, "x": 1.0}], "x and y belong together"),
        ([{"kind": "rain", "value": {"path": "a", "unit": "m"}}], "mm/h"),
        ([], "at least 1"),
    ],
)  # fmt: skip
def test_options_that_contradict_themselves(quantities: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        reader(quantities)


documents = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("vts"), inner, max_size=3)
    ),
    max_leaves=10,
)


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.binary(max_size=60), documents.map(lambda d: json.dumps(d).encode())))
def test_no_document_does_harm(octets: bytes) -> None:
    made, dropped = reader([{"kind": "air-temperature", "value": {"path": "v"}}], DATED)
    found = made.document(octets, NOW)
    assert found or dropped
    assert all(one.value is not None and math.isfinite(one.value) for one in found)
