"""Vendors' JSON by mappings, the examples of docs/radar.md among them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML

from rsu.config.place import OriginOptions, PlaceOptions
from rsu.config.radars import JsonUdpRadarOptions, Radar
from rsu.hal.radar.json_lists import JsonLists
from rsu.schema.sensing import ObjectClass
from rsu.schema.units import Instant, Size

NOW_NS = 1_767_225_600_000_000_000
NOW = Instant(NOW_NS, 0)
PLACE = PlaceOptions(id="p", origin=OriginOptions(latitude=31.0, longitude=121.0))
ACCURACY = {
    "range_std": 0.5, "azimuth_std": 1.0, "radial_speed_std": 0.2, "tangential_speed_std": 2.0,
}  # fmt: skip
PLAIN: dict[str, Any] = {
    "objects": "o",
    "time": {"format": "epoch_ns", "path": "t"},
    "id": "id",
    "position": {"frame": "enu", "east": {"path": "x"}, "north": {"path": "y"}},
    "velocity": {"frame": "enu", "east": {"path": "vx"}, "north": {"path": "vy"}},
    "accuracy": ACCURACY,
}


def options(heading: float = 0.0, **mapping: Any) -> JsonUdpRadarOptions:
    return JsonUdpRadarOptions.model_validate({
        "id": "r", "driver": "json_udp", "listen_port": 1, "mapping": {**PLAIN, **mapping},
        "mount": {"x": 0, "y": 0, "heading": heading, "position_std": 0, "heading_std": 0},
        "reference_std": 0,
    })  # fmt: skip


def read(made: Any, document: Any) -> tuple[Any, Counter[str]]:
    dropped: Counter[str] = Counter()
    octets = document if isinstance(document, bytes) else json.dumps(document).encode()
    return JsonLists(made, PLACE, dropped).document(octets, NOW), dropped


def documented(root: Path, name: str) -> Any:
    text = (root / "docs" / "radar.md").read_text()
    found = re.search(rf"<!-- mapping: {name} -->\n```yaml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    plain = YAML(typ="safe").load(found[1])
    return TypeAdapter(Radar).validate_json(json.dumps(plain), strict=True)


def test_the_polar_example_of_the_page_says_what_the_page_says(root: Path) -> None:
    text = (root / "docs" / "radar.md").read_text()
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example is not None
    found, dropped = read(documented(root, "polar"), example[1].encode())
    (item,) = found.objects
    assert (item.position.x, item.position.y) == pytest.approx((50.0, 0.0), abs=1e-9)
    assert (item.velocity.x, item.velocity.y) == pytest.approx((10.0, 0.0), abs=1e-9)
    assert (item.object_id, item.object_class) == (7, ObjectClass.CAR)
    assert item.existence == pytest.approx(0.9)
    assert found.capture_ns == NOW_NS
    assert not dropped
    other = example[1].replace("R-0017", "R-0018").encode()
    assert read(documented(root, "polar"), other) == (None, {"other_device": 1})


def test_the_geodetic_example_of_the_page(root: Path) -> None:
    target = {
        "targetId": "A7", "latitude": 31.001, "longitude": 121.0, "speed": "12.5",
        "headingAngle": 90.0, "targetLength": 4.5, "targetWidth": 1.8, "targetHeight": 1.5,
    }  # fmt: skip
    report = {"report_time": "2026-01-01 08:00:00.000", "targets": [target]}
    found, _ = read(documented(root, "geodetic"), report)
    (item,) = found.objects
    # A thousandth of a degree of latitude at 31° is 110.86 m (radius of the meridian 6352 km).
    assert item.position.y == pytest.approx(110.86, abs=0.02)
    assert (item.velocity.x, item.velocity.y) == pytest.approx((12.5, 0.0), abs=1e-9)
    assert item.size == Size(4.5, 1.8, 1.5)
    assert found.capture_ns == NOW_NS
    unknown = {**report, "targets": [{**target, "speed": -1}]}
    assert read(documented(root, "geodetic"), unknown)[1]["bad_object"] == 1


@pytest.mark.parametrize(
    ("time", "raw"),
    [
        ({"format": "epoch_s"}, 1_767_225_600),
        ({"format": "epoch_s"}, 1_767_225_600.0),
        ({"format": "epoch_ms"}, "1767225600000"),
        ({"format": "epoch_us"}, 1_767_225_600_000_000),
        ({"format": "epoch_ns"}, str(NOW_NS)),
        ({"format": "iso8601"}, "2026-01-01T00:00:00Z"),
        ({"format": "iso8601"}, "2026-01-01T08:00:00+08:00"),
        ({"format": "compact", "utc_offset_h": 8}, "20260101080000"),
        ({"format": "compact", "utc_offset_h": 8}, "20260101080000000"),
    ],
)
def test_every_time_format_names_the_same_moment(time: dict[str, Any], raw: object) -> None:
    found, _ = read(options(time={**time, "path": "t"}), {"t": raw, "o": []})
    assert found.capture_ns == NOW_NS


def test_a_radar_without_a_clock_is_stamped_on_arrival() -> None:
    found, _ = read(options(time={"format": "arrival"}), {"o": []})
    assert found.capture_ns == NOW_NS - 50_000_000


def test_covariance_lies_along_the_line_of_sight() -> None:
    target = {"id": 1, "x": 0.0, "y": 100.0, "vx": 0.0, "vy": 0.0}
    found, _ = read(options(), {"t": NOW_NS, "o": [target]})
    cov = found.objects[0].position_cov
    assert (cov.yy, cov.xx) == pytest.approx((0.25, math.radians(100.0) ** 2))
    assert found.objects[0].velocity_cov.yy == pytest.approx(0.04)
    assert found.objects[0].velocity_cov.xx == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"t": NOW_NS + 200_000_000, "o": []}, "future_timestamp"),
        ({"t": NOW_NS - 2_100_000_000, "o": []}, "stale_timestamp"),
        ({"t": NOW_NS}, "no_list"),
        ({"t": None, "o": []}, "bad_time"),
        ({"t": NOW_NS, "o": [{}] * 257}, "list_too_long"),
        ({"t": NOW_NS, "o": [{"id": 1}]}, "no_readable_object"),
        (b"{]", "not_json"),
    ],
)
def test_what_is_not_as_described_is_refused(document: Any, reason: str) -> None:
    found, dropped = read(options(), document)
    assert found is None
    assert dropped[reason] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"time": {"format": "arrival", "path": "t"}}, "contradicts"),
        ({"time": {"format": "epoch_s"}}, "is missing"),
        ({"time": {"format": "epoch_s", "path": "t", "utc_offset_h": 8}}, "does not apply"),
        ({"time": {"format": "compact", "path": "t"}}, "names no zone"),
        ({"position": {"frame": "enu", "east": {"path": "x"}, "north": {"path": "x"}}},
         "same field"),
        ({"position": {"frame": "enu", "east": {"path": "x", "unit": "deg"},
                       "north": {"path": "y"}}}, "unit"),
        ({"velocity": {"frame": "radial", "speed": {"path": "v"}}}, "too sure"),
        ({"velocity": {"frame": "enu", "east": {"path": "v", "factor": 0},
                       "north": {"path": "w"}}}, "every value the same"),
        ({"object_class": {"path": "k", "table": {"1": "tank"}}}, "tank"),
    ],
)  # fmt: skip
def test_contradictions_are_errors_of_the_file(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        options(**change)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["o", "t", "id", "x", "y", "vx", "vy"]), inner, max_size=7
        )
    ),
    max_leaves=20,
)


@settings(max_examples=200)
@given(st.lists(values, max_size=3), values)
def test_no_document_can_make_it_raise_or_let_out_what_json_cannot_say(
    items: Any, time: Any
) -> None:
    for document in ({"t": NOW_NS, "o": items}, {"t": time, "o": items}, items):
        found, _ = read(options(), json.dumps(document).encode())
        for item in found.objects if found is not None else ():
            assert math.isfinite(item.position.x + item.position.y + item.velocity.x)
