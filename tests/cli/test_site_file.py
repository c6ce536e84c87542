"""A site whose messages cannot be said is refused by every command that would start it: with the
place in the file, exit code 2, and no traceback."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rsu = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.component


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    """A copy of the example that speaks both message sets, with its map."""
    for name in ("junction-lanes.geojson", "junction-zones.geojson"):
        (tmp_path / name).write_bytes((root / "configs" / name).read_bytes())
    text = (root / "configs" / "junction-both-worlds.yaml").read_text(encoding="utf-8")
    (tmp_path / "site.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "in.mcap").write_bytes(b"never read: the site is refused first")
    return tmp_path


def edit_site(folder: Path, old: str, new: str) -> None:
    path = folder / "site.yaml"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit_lane(folder: Path, name: str, **changes: Any) -> None:
    """Set properties of one lane of the map; None takes one away."""
    path = folder / "junction-lanes.geojson"
    lanes = json.loads(path.read_text(encoding="utf-8"))
    (found,) = (one["properties"] for one in lanes["features"] if one["properties"]["id"] == name)
    found.update(changes)
    for key in [key for key, value in found.items() if value is None]:
        del found[key]
    path.write_text(json.dumps(lanes), encoding="utf-8")


STARTING = [
    ("run", "site.yaml", "--duration", "2"),
    ("replay", "in.mcap", "--site", "site.yaml"),
    ("demo", "--site", "site.yaml", "--duration", "2"),
]


@pytest.mark.parametrize("command", STARTING, ids=lambda command: command[0])
def test_a_map_that_no_message_can_carry_stops_every_command_that_starts_a_unit(
    rsu: Rsu, folder: Path, command: tuple[str, ...]
) -> None:
    edit_lane(folder, "in-n-1", stop_line=None)
    done = rsu(*command, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    lines = (folder / "site.yaml").read_text(encoding="utf-8").splitlines()
    csae, sae = (n for n, line in enumerate(lines, 1) if line == "    map: {enabled: true}")
    missing = "lane in-n-1: stop_line: missing: an entry lane ends at its stop line"
    assert done.stderr.splitlines() == [
        f"rsu: site.yaml:{csae}:5: v2x.csae.map: {missing}",
        f"site.yaml:{sae}:5: v2x.sae.map: {missing}",
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_config_check_finds_it_before_the_start(rsu: Rsu, folder: Path, as_json: bool) -> None:
    edit_lane(folder, "in-n-1", upstream_node=None, downstream_node=None, lane_id=None)
    done = rsu("config", "check", "site.yaml", *(["--json"] if as_json else []), cwd=folder)
    assert (done.returncode, done.stderr) == (2, "")
    keys = ["upstream_node", "downstream_node", "lane_id"]
    expected = [f"lane in-n-1: {key}: missing: entry lanes belong to a link" for key in keys]
    if as_json:
        (report,) = json.loads(done.stdout)
        assert not report["ok"]
        assert [one["message"] for one in report["problems"]] == expected
        assert {one["path"] for one in report["problems"]} == {"v2x.csae.map"}  # SAE needs no link
    else:
        *lines, verdict = done.stdout.splitlines()
        assert [line.split("v2x.csae.map: ")[1] for line in lines] == expected
        assert verdict == "site.yaml: not ok: 3 errors, 0 warnings"


def test_many_findings_of_one_message_are_cut_short(rsu: Rsu, folder: Path) -> None:
    for leg in "nesw":
        for number in (1, 2):
            edit_lane(folder, f"in-{leg}-{number}", stop_line=0.5)
            edit_lane(folder, f"out-{leg}-{number}", lane_id=None)
    done = rsu("config", "check", "site.yaml", cwd=folder)
    assert done.returncode == 2
    told = [line for line in done.stdout.splitlines() if ": v2x.csae.map: " in line]
    assert len(told) == 9
    assert told[-1].endswith(" more: see `rsu map check`")


def test_each_message_that_cannot_be_said_is_named(rsu: Rsu, folder: Path) -> None:
    octets = "00" * 2000
    edit_site(
        folder, "    ssm:\n", f'    test: {{enabled: true, user_data: "{octets}"}}\n    ssm:\n'
    )
    edit_lane(folder, "in-n-1", stop_line=None)
    done = rsu("config", "check", "site.yaml", cwd=folder)
    paths = [line.split(": ")[1] for line in done.stdout.splitlines()[:-1]]
    assert done.returncode == 2
    assert sorted(paths) == ["v2x.csae.map", "v2x.csae.test", "v2x.sae.map"]


def test_a_position_that_no_message_can_say_is_refused(rsu: Rsu, folder: Path) -> None:
    edit_site(folder, "antenna_height: 6.0", "antenna_height: 9000.0")
    done = rsu("config", "check", "site.yaml", cwd=folder)
    assert (done.returncode, done.stderr) == (2, "")
    assert "v2x.csae.rsm: " in done.stdout


def test_errors_elsewhere_do_not_hide_what_the_messages_lack(rsu: Rsu, folder: Path) -> None:
    edit_lane(folder, "in-n-1", stop_line=None)
    edit_site(folder, "heading: 45, tilt: 20", "heading: 45, tilt: -60")
    done = rsu("config", "check", "site.yaml", cwd=folder)
    paths = [line.split(": ")[1] for line in done.stdout.splitlines()[:-1]]
    assert paths == ["cameras[1].calibration.pose", "v2x.csae.map", "v2x.sae.map"]


def test_a_site_that_is_sound_starts(rsu: Rsu, folder: Path) -> None:
    done = rsu("config", "check", "site.yaml", cwd=folder)
    assert (done.returncode, done.stdout) == (0, "site.yaml: ok: 0 errors, 0 warnings\n")


def test_a_lot_that_no_parking_message_can_carry_is_refused(rsu: Rsu, folder: Path) -> None:
    path = folder / "junction-zones.geojson"
    zones = json.loads(path.read_text(encoding="utf-8"))
    ring = [[121.0002, 31.0004], [121.00025, 31.0004], [121.00025, 31.00042], [121.0002, 31.0004]]
    bay = {"id": "bay-1", "kind": "bay", "lot": "corner"}
    zones["features"].append(
        {
            "type": "Feature",
            "properties": bay,
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
    )
    path.write_text(json.dumps(zones), encoding="utf-8")
    edit_site(folder, "    ssm:\n", "    pam: {enabled: true, aid: 3700}\n    ssm:\n")
    done = rsu("config", "check", "site.yaml", cwd=folder)
    assert (done.returncode, done.stderr) == (2, "")
    (line, _) = done.stdout.splitlines()
    assert "v2x.csae.pam: " in line
    assert "bay-1" in line
