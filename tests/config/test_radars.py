"""Radars in a site file: read by their driver, mistakes placed, ids the unit's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from rsu.config.check import check_site
from rsu.config.radars import Ars408Options

SITE = """site: {id: s, origin: {latitude: 31, longitude: 121}}
radars:
  - {id: a, driver: ars408, mount: {x: 0, y: 0, heading: 90}}
"""


def said(folder: Path, text: str) -> list[str]:
    path = folder / "s.yaml"
    path.write_text(text)
    return [str(problem).partition("s.yaml:")[2] for problem in check_site(path).errors]


def test_a_radar_is_read_with_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SITE)
    report = check_site(path)
    assert not report.errors
    assert report.config is not None
    assert isinstance(report.config.radars[0], Ars408Options)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ars408", "ars409", "3:21: radars[0].driver: 'ars409' is not one of ars408, json_udp, "
         "json_mqtt (did you mean ars408?)"),
        ("heading: 90", "heading: 360", "heading"),
        ("mount: {", "mount: {hight: 2, ", "unknown key"),
        ("driver: ars408,", "driver: ars408, bus: {interfac: can0},", "did you mean interface?"),
        ("driver: ars408,", "driver: ars408, reconnect: {first_s: 20},", "is longer than"),
        ("  - {id: a", "  - {id: a, driver: ars408, mount: {x: 0, y: 0, heading: 0}}\n  - {id: a",
         "'a' is already the id of radars[0]"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_at_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    problems = said(tmp_path, SITE.replace(old, new, 1))
    assert len(problems) == 1
    assert message in problems[0]
