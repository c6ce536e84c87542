"""Roadway geometry in XML: lanes where the steps lead, turns that their geometry confirms."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from rsu.cli.main import run_command
from rsu.site.features import Maneuver
from rsu.v2x.map.findings import MapImportError
from rsu.v2x.map.read_roadway import roadway

DOCUMENT = """<J2735.GID.blob><IntersectionID>9</IntersectionID>
<Resolution>{unit}</Resolution><Geometry>
<ReferencePoint><Latitude>31.0</Latitude><Longitude>121.0</Longitude></ReferencePoint>
<Approach><Lane Number="1"><Type>Vehicle</Type><Width>325</Width><Nodes>
<Node><Eastern>0</Eastern><Northern>1000</Northern></Node>
<Node><Eastern>0</Eastern><Northern>5000</Northern></Node></Nodes>
<Connections><Connection><LaneNumber>2</LaneNumber><Maneuver>{maneuver}</Maneuver>
<SignalGroup>4</SignalGroup></Connection></Connections></Lane></Approach>
<Egress><Lane Number="2"><Type>Vehicle</Type><Width>325</Width><Nodes>
<Node><Eastern>1000</Eastern><Northern>0</Northern></Node>
<Node><Eastern>2000</Eastern><Northern>0</Northern></Node></Nodes></Lane>
<Lane Number="3"><Type>Special</Type></Lane></Egress></Geometry></J2735.GID.blob>"""


def document(unit: str = "centimeter", maneuver: Any = 2) -> str:
    return DOCUMENT.format(unit=unit, maneuver=maneuver)


@pytest.mark.parametrize(("unit", "metres"), [("centimeter", 60.0), ("decimeter", 600.0)])
def test_steps_add_up_and_approaches_run_towards_the_stop_line(unit: str, metres: float) -> None:
    found = roadway(document(unit))
    entry, leave = found.lanes
    # 1° of latitude at 31° is 110 869 m on WGS-84.
    far, near = entry.points
    assert (far[1] - 31.0e7) / 1e7 * 110_869 == pytest.approx(metres, rel=1e-4)
    assert far[1] > near[1]
    assert entry.width == leave.width == 3.25
    assert leave.points[0][0] < leave.points[1][0]
    assert [(turn.lane, turn.maneuvers, turn.group) for turn in entry.turns] == [
        (2, (Maneuver.LEFT,), 4)
    ]
    assert found.notes == ["lane 3: left out, 'Special' is not read"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<x", "not XML"),
        ("<x/>", "not <J2735.GID.blob>"),
        (document(maneuver="x"), "Maneuver: a number is wanted"),
        (document(maneuver="nan"), "outside"),
        (document("mile"), "none of centimeter"),
        (document().replace(">5000<", ">90000<"), r"lane 1, node .*outside"),
        (document().replace('Number="1"', ""), "lane None"),
        (document().replace("Geometry", "Geo"), "no Geometry"),
        ("<!DOCTYPE x []>" + document(), "document type"),
    ],
)
def test_what_is_wrong_is_named(text: str, told: str) -> None:
    with pytest.raises(MapImportError, match=told):
        roadway(text)


def test_the_sample_gives_lanes_whose_turns_turn_as_they_say(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lanes.geojson"
    source = shared / "data" / "map" / "stol_map.xml"
    assert run_command(["map", "import", str(source), "--out", str(out)]) == 0
    assert "intersection: 1001" in capsys.readouterr().out
    features = {
        one["properties"]["id"]: one for one in json.loads(out.read_text("utf-8"))["features"]
    }
    lanes = [name for name in features if name.startswith("lane-")]
    turns = [name for name in features if name.startswith("c-")]
    assert (len(lanes), len(turns)) == (9, 12)
    for name in turns:
        _, entry, leave = name.split("-")
        into = heading(features[f"lane-{entry}"], at_end=True)
        out_of = heading(features[f"lane-{leave}"], at_end=False)
        turned = math.degrees(math.remainder(out_of - into, math.tau))
        said = features[name]["properties"]["maneuver"]
        actual = "left" if turned > 45 else "right" if turned < -45 else "straight"
        assert said == actual, (name, turned)


def heading(feature: dict[str, Any], *, at_end: bool) -> float:
    points = feature["geometry"]["coordinates"]
    (x0, y0), (x1, y1) = points[-2:] if at_end else points[:2]
    return math.atan2(y1 - y0, (x1 - x0) * math.cos(math.radians(y0)))
