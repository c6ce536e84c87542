"""Bay sensors, GNSS, weather in a site file: examples valid, mistakes placed, names known."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rsu.config.check import check_site
from rsu.config.plugins import own_drivers
from rsu.runtime.graph import devices_of
from rsu.schema.sensing import SensorKind

PLACE = "site: {id: s, origin: {latitude: 31, longitude: 121}, zones: z.geojson}\n"
BAYS = """bay_sensors:
  - id: lot
    driver: bay_mqtt
    host: 127.0.0.1
    topic: p/+
    mapping: {topic_level: 1, occupied: {path: s, table: {1: true}}, time: {format: arrival}}
    bays: {"7": a-01}
"""
GNSS = "gnss: [{id: g, driver: nmea, link: {kind: tcp, host: h}}]\n"
STATION = """environment:
  - id: mast
    driver: mqtt
    host: 127.0.0.1
    topic: w
    mapping: {time: {format: arrival}, quantities: [{kind: rain, value: {path: r}}]}
"""


def write(folder: Path, text: str) -> Path:
    """A site file beside a map with the bays a-01 and a-02."""
    ring = [[121, 31], [121.0001, 31], [121.0001, 31.0001], [121, 31.0001], [121, 31]]
    bays = [
        {"type": "Feature", "properties": {"id": name, "kind": "bay", "lot": "l"},
         "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for name in ("a-01", "a-02")
    ]  # fmt: skip
    (folder / "z.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": bays}))
    path = folder / "s.yaml"
    path.write_text(PLACE + text)
    return path


def said(folder: Path, text: str) -> list[str]:
    return [str(one) for one in check_site(write(folder, text)).errors]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a-01", "a-03", "bay_sensors[0].bays.7: there is no bay 'a-03' on the map"),
        ("bay_mqtt", "bay_mqtx", "bay_sensors[0].driver: "),
        ("topic_level: 1", "topic_levl: 1", "did you mean topic_level?"),
        ("tcp, host: h", "serial", "gnss[0].link.path"),
        ("{kind: tcp", "{kind: tpc", "gnss[0].link.kind: 'tpc' is not one of tcp, serial"),
        ("driver: nmea", "driver: nmae", "did you mean nmea?"),
        ("kind: rain", "kind: rian", "environment[0].mapping.quantities[0].kind: 'rian'"),
        ("{kind: rain", "{kind: rain, lane: in", "there is no lane 'in' on the map"),
        ("id: mast", "id: g", "environment[0].id: 'g' is already the id of gnss[0]"),
    ],
)
def test_a_mistake_is_named_at_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = BAYS + GNSS + STATION
    assert not said(tmp_path, text)
    problems = said(tmp_path, text.replace(old, new, 1))
    assert len(problems) == 1
    assert message in problems[0]


def test_two_gateways_cannot_speak_of_one_bay(tmp_path: Path) -> None:
    second = BAYS.replace("bay_sensors:\n", "").replace("id: lot", "id: other")
    (problem,) = said(tmp_path, BAYS + second)
    assert "already has a sensor of 'lot'" in problem


def test_every_device_is_one_of_the_units_sensors(tmp_path: Path) -> None:
    config = check_site(write(tmp_path, BAYS + GNSS + STATION)).config
    assert config is not None
    assert {name: kind for name, (kind, _) in devices_of(config).items()} == {
        "lot": SensorKind.PARKING, "g": SensorKind.GNSS, "mast": SensorKind.ENVIRONMENT,
    }  # fmt: skip


def test_kinds_with_one_driver_name_it() -> None:
    assert own_drivers("parking") == {"bay_mqtt"}
    assert own_drivers("environment") == {"mqtt"}
    assert own_drivers("gnss") == {"nmea", "gpsd"}


def test_the_examples_of_the_documentation_are_valid(tmp_path: Path, root: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (root / "docs" / "devices.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        assert not said(tmp_path, block)
