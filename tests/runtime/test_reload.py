"""Which processes a changed configuration concerns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from rsu.config.model import SiteConfig
from rsu.runtime.graph import process_plans
from rsu.runtime.reload import parts_of


@pytest.fixture
def said(root: Path, tmp_path: Path) -> dict[str, Any]:
    """The example junction with everything that a unit may have."""
    site: dict[str, Any] = yaml.safe_load((root / "configs/junction.yaml").read_text("utf-8"))
    for name in ("lanes", "zones"):
        source = root / "configs" / site["site"][name]
        (tmp_path / site["site"][name]).write_bytes(source.read_bytes())
    (tmp_path / "password").write_text("one")
    site["uplink"] = {"host": "127.0.0.1", "username": "u", "password_file": "password"}
    site["recording"] = {"folder": "recordings"}
    site["web"] = {"enabled": True}
    return site


def restarts(said: dict[str, Any], base: Path, **change: Any) -> set[str]:
    old = parts_of(SiteConfig.model_validate(said), base)
    new = parts_of(SiteConfig.model_validate({**said, **change}), base)
    assert old.whole_unit(new) == []
    return set(old.changed(new))


def test_only_who_has_a_part_in_a_change_starts_anew(said: dict[str, Any], tmp_path: Path) -> None:
    seeing = {"core", "camera:north-east", "camera:south-west", "simulation", "web"}
    assert restarts(said, tmp_path) == set()
    assert restarts(said, tmp_path, runtime={"heartbeat_s": 9, "shed": {"age_ms": 300}}) == set()
    uplink = {**said["uplink"], "tracks_s": 2.0}
    assert restarts(said, tmp_path, uplink=uplink) == {"uplink"}
    radio = [{**said["radios"][0], "max_age_s": 0.7}]
    assert restarts(said, tmp_path, radios=radio) == {"radio:frames", "web"}
    assert restarts(said, tmp_path, fusion={"coast_s": 2.25}) == {"core", "web"}
    assert restarts(said, tmp_path, recording={"folder": "x"}) == {"recorder", "web"}
    one, two = said["cameras"]
    moved = [{**one, "max_range": 90}, two]
    assert restarts(said, tmp_path, cameras=moved) == seeing - {"camera:south-west"}
    place = {**said["site"], "title": "Another"}
    assert restarts(said, tmp_path, site=place) == seeing | {"uplink"}


def test_a_file_that_a_process_reads_is_part_of_it(said: dict[str, Any], tmp_path: Path) -> None:
    config = SiteConfig.model_validate(said)
    before = parts_of(config, tmp_path)
    (tmp_path / "password").write_text("another")
    assert before.changed(parts_of(config, tmp_path)) == {"uplink"}
    before = parts_of(config, tmp_path)
    os.utime(tmp_path / said["site"]["lanes"], ns=(1, 1))
    assert before.changed(parts_of(config, tmp_path)) >= {"core", "simulation", "uplink"}


def test_sockets_and_ports_of_the_supervisor_need_the_whole_unit(
    said: dict[str, Any], tmp_path: Path
) -> None:
    old = parts_of(SiteConfig.model_validate(said), tmp_path)
    new = SiteConfig.model_validate({**said, "runtime": {"metrics_port": 9100, "stop_s": 2}})
    assert old.whole_unit(parts_of(new, tmp_path)) == ["runtime.metrics_port"]


def test_every_process_has_a_part(said: dict[str, Any], tmp_path: Path) -> None:
    config = SiteConfig.model_validate(said)
    parts = parts_of(config, tmp_path).of
    assert set(parts) == {plan.name for plan in process_plans(config)}
    assert all(len(part) > len("[{},{}]") for part in parts.values())
