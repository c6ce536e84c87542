"""`rsu uplink sample` shows an integrator what a platform would be sent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rsu.cli.main import run_command


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_lot_is_shown_in_the_words_of_fiware(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = str(root / "configs/parking-lot.yaml")
    arguments = ["uplink", "sample", site, "--profile", "fiware", "--duration", "1", "--json"]
    assert run_command(arguments) == 0
    told = lines(capsys)
    topics = [str(one["topic"]) for one in told]
    assert len(set(topics)) == len(topics)  # one of each
    spots = [one["body"] for one in told if "ParkingSpot" in str(one["topic"])]
    assert len(spots) == 24
    assert all(isinstance(spot, dict) and spot["type"] == "ParkingSpot" for spot in spots)
    assert any("/OffStreetParking/west" in topic for topic in topics)


def test_frames_are_shown_as_octets(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["uplink", "sample", "--profile", "hisense_binary", "--duration", "2"]
    assert run_command(arguments) == 0
    out = capsys.readouterr().out
    assert "V2X.RSU.RSM.UP   application/octet-stream" in out
    assert b"example\0".hex() in out


def test_a_site_without_a_simulation_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = (root / "configs/junction.yaml").read_text("utf-8")
    site = tmp_path / "s.yaml"
    site.write_text("site: {id: s, origin: {latitude: 31, longitude: 121}}\n")
    assert "simulation:" in text
    assert run_command(["uplink", "sample", str(site)]) == 2
    assert "has no `simulation` section" in capsys.readouterr().err
