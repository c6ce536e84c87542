"""`rsu map` end to end: the example junction out to the air form and back; faults as told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rsu.cli.main import run_command
from rsu.v2x.codec import codec_for


@pytest.fixture
def site(root: Path, tmp_path: Path) -> Path:
    """A copy of the example site that a test may change."""
    for name in ("junction.yaml", "junction-lanes.geojson", "junction-zones.geojson"):
        shutil.copy(root / "configs" / name, tmp_path)
    return tmp_path / "junction.yaml"


def edit(site: Path, lane: str, **changes: Any) -> None:
    path = site.with_name("junction-lanes.geojson")
    document = json.loads(path.read_text("utf-8"))
    for feature in document["features"]:
        if feature["properties"]["id"] == lane:
            feature["properties"] |= changes
    path.write_text(json.dumps(document), "utf-8")


def test_out_and_back_is_the_same_map(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["map", "export", str(site), "--hex"]) == 0
    first = capsys.readouterr().out
    frame = tmp_path / "map.hex"
    frame.write_text(first, "utf-8")
    back = tmp_path / "back"
    back.mkdir()
    lanes = back / "junction-lanes.geojson"
    assert run_command(["map", "import", str(frame), "--out", str(lanes)]) == 0
    told = capsys.readouterr()
    assert "intersection: 1" in told.out
    assert "latitude: 31.0, longitude: 121.0, altitude: 10.0" in told.out
    assert "12 connections" in told.err
    text = site.read_text("utf-8").replace("  zones: junction-zones.geojson\n", "")
    (back / "junction.yaml").write_text(text, "utf-8")
    assert run_command(["map", "export", str(back / "junction.yaml"), "--hex"]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.parametrize("form", ["--hex", "--json"])
def test_out_and_back_in_the_sae_world(
    form: str, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = ["--profile", "j2735_2024"]
    assert run_command(["map", "export", str(site), form, *profile]) == 0
    first = capsys.readouterr().out
    frame = tmp_path / "map.txt"
    frame.write_text(first, "utf-8")
    lanes = tmp_path / "junction-lanes.geojson"
    assert run_command(["map", "import", str(frame), "--out", str(lanes), *profile]) == 0
    assert "intersection: 1" in capsys.readouterr().out
    text = site.read_text("utf-8").replace("  zones: junction-zones.geojson\n", "")
    site.write_text(text, "utf-8")
    assert run_command(["map", "export", str(site), form, *profile]) == 0
    assert capsys.readouterr().out == first
    # Without links, as such a map comes, it is sound in its own world and not in the other.
    assert run_command(["map", "check", str(site), *profile]) == 0
    with pytest.raises(SystemExit):
        run_command(["map", "check", str(site)])
    assert "lane lane-1: upstream_node: missing" in capsys.readouterr().out


def test_check_in_the_sae_world(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["map", "check", str(site), "--profile", "j2735_2024", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["octets"] < 1400


def test_hex_and_json_are_the_same_message(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command(["map", "export", str(site), "--hex"])
    octets = capsys.readouterr().out.strip()
    assert run_command(["map", "export", str(site), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert codec_for("csae53_2020").decode(bytes.fromhex(octets)) == value


def test_a_missing_property_is_named_and_ends_with_2(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(site, "in-n-2", lane_id=None)
    assert run_command(["map", "export", str(site)]) == 2
    assert "lane in-n-2: lane_id: missing" in capsys.readouterr().err


def test_check_passes_the_example_and_names_faults(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["map", "check", str(site), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert 500 < report["octets"] < 1400

    edit(site, "in-e-1", stop_line=None)
    with pytest.raises(SystemExit) as left:
        run_command(["map", "check", str(site), "--json"])
    assert left.value.code == 1
    report = json.loads(capsys.readouterr().out)
    errors = [f for f in report["findings"] if f["severity"] == "error"]
    assert [(f["lane"], f["property"]) for f in errors] == [("in-e-1", "stop_line")]


def test_check_compares_with_a_spat(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phases = [
        {"id": number, "phaseStates": [{"light": "protected-green"}]} for number in (1, 2, 40)
    ]
    state = {"intersectionId": {"region": 0, "id": 1}, "status": {"bits": "0" * 16},
             "phases": phases}  # fmt: skip
    spat = tmp_path / "spat.json"
    spat.write_text(json.dumps({"spatFrame": {"msgCnt": 0, "intersections": [state]}}), "utf-8")
    with pytest.raises(SystemExit):
        run_command(["map", "check", str(site), "--spat", str(spat)])
    told = capsys.readouterr().out
    assert "SPAT phase 40 governs no movement of the map" in told
    assert "signal group 3 of the map has no phase in the SPAT" in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "octets"),
        ("zz", "neither a frame in hex nor JSON"),
        ("{", "not JSON"),
        ("[1]", "neither"),
        ('{"nodes": {}}', "expected an object with the one key Node"),
        ('{"mapFrame": {}}', "msgCnt"),
        ("<a/>", "no type of j2735_2024"),
        ("<a", "not XML"),
    ],
)
def test_sources_that_are_no_map_end_with_2_and_write_nothing(
    content: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "source", tmp_path / "lanes.geojson"
    source.write_text(content, "utf-8")
    assert run_command(["map", "import", str(source), "--out", str(out)]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [source]
