"""A hand-drawn junction as MAP of J2735: every field from the scene, and back to the lanes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsu.site.features import Direction, LaneKind, LaneRole, Maneuver
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, SiteMap, load_site_map
from rsu.v2x.codec import codec_for
from rsu.v2x.map.csae import MapPlace
from rsu.v2x.map.findings import MapExportError, MapImportError
from rsu.v2x.map.imported import lane_features
from rsu.v2x.map.read_j2735 import from_hex_bits, source_map
from rsu.v2x.map.sae import map_data

FRAME = LocalFrame(38.95, -77.15, 60.0)
PLACE = MapPlace("crossing", region=7, intersection=1001, altitude=60.0)


def line(*points: tuple[float, float]) -> Any:
    return np.array(points, dtype=float)


IN = Lane(
    "in-s", LaneKind.VEHICLE, line((2, -100), (2, -60), (2, -10)), 3.5, LaneRole.ENTRY,
    speed_limit=13.9, successors=("through",), stop_line=85.0,
)  # fmt: skip
THROUGH = Lane(
    "through", LaneKind.VEHICLE, line((2, -15), (2, 15)), 3.5, LaneRole.CONNECTION,
    Maneuver.STRAIGHT, successors=("out-n",), signal_group=4,
)  # fmt: skip
OUT = Lane("out-n", LaneKind.VEHICLE, line((2, 15), (2, 20.11)), 3.5, LaneRole.EXIT)
WALK = Lane(
    "walk", LaneKind.CROSSWALK, line((-8, -13), (8, -13)), 4.0, direction=Direction.BOTH,
    signal_group=9,
)  # fmt: skip
SIDEWALK = Lane("side", LaneKind.SIDEWALK, line((9, -13), (9, -40)), 2.0)


def delta(name: str, x: int, y: int) -> dict[str, Any]:
    return {"delta": {name: {"x": x, "y": y}}}


def test_every_field_follows_from_the_scene() -> None:
    value, findings = map_data(SiteMap(FRAME, (IN, THROUGH, OUT, WALK, SIDEWALK)), PLACE)
    assert [(finding.lane, finding.warning) for finding in findings] == [("side", True)]
    vehicle = {"vehicle": {"bits": "00000000"}}
    sharing = {"bits": "0000000000"}
    limit = {"speedLimits": [{"type": "vehicleMaxSpeed", "speed": 695}]}
    assert value == {
        "msgIssueRevision": 0,
        "layerType": "intersectionData",
        "intersections": [
            {
                "name": "crossing",
                "id": {"region": 7, "id": 1001},
                "revision": 0,
                "refPoint": {"lat": 389_500_000, "long": -771_500_000, "elevation": 600},
                "laneWidth": 350,
                "laneSet": [
                    {
                        "laneID": 1,
                        "laneAttributes": {
                            "directionalUse": {"bits": "10"},
                            "sharedWith": sharing,
                            "laneType": vehicle,
                        },
                        "maneuvers": {"bits": "100000000000"},
                        # From the stop line (85 m along: y = -15) outwards; 8500 needs 15 bits.
                        "nodeList": {
                            "nodes": [
                                {**delta("node-XY3", 200, -1500), "attributes": {"data": [limit]}},
                                delta("node-XY6", 0, -8500),
                            ]
                        },
                        "connectsTo": [
                            {
                                "connectingLane": {
                                    "lane": 2,
                                    "maneuver": {"bits": "100000000000"},
                                },
                                "signalGroup": 4,
                            }
                        ],
                    },
                    {
                        "laneID": 2,
                        "laneAttributes": {
                            "directionalUse": {"bits": "01"},
                            "sharedWith": sharing,
                            "laneType": vehicle,
                        },
                        "nodeList": {
                            "nodes": [delta("node-XY3", 200, 1500), delta("node-XY1", 0, 511)]
                        },
                    },
                    {
                        "laneID": 3,
                        "laneAttributes": {
                            "directionalUse": {"bits": "11"},
                            "sharedWith": sharing,
                            "laneType": {"crosswalk": {"bits": "0" * 16}},
                        },
                        "nodeList": {
                            "nodes": [
                                {
                                    **delta("node-XY3", -800, -1300),
                                    "attributes": {"dWidth": 50},
                                },
                                delta("node-XY3", 1600, 0),
                            ]
                        },
                        "connectsTo": [{"connectingLane": {"lane": 3}, "signalGroup": 9}],
                    },
                ],
            }
        ],
    }
    frame = {"messageId": 18, "value": {"MapData": value}}
    codec = codec_for("j2735_2024")
    assert codec.decode(codec.encode(frame)) == frame


def test_what_went_over_the_air_exports_as_it_was(tmp_path: Path) -> None:
    value, _ = map_data(SiteMap(FRAME, (IN, THROUGH, OUT, WALK)), PLACE)
    lanes = lane_features(source_map(value))
    path = tmp_path / "lanes.geojson"
    path.write_text(json.dumps(lanes.document), "utf-8")
    back = load_site_map(FRAME, path, None)
    assert map_data(back, PLACE) == (value, [])
    entry = back.lane("lane-1")
    assert entry.role is LaneRole.ENTRY
    assert entry.centreline == pytest.approx(line((2, -100), (2, -15)), abs=1e-3)
    assert back.lane("lane-3").signal_group == 9
    assert back.lane("lane-3").width == pytest.approx(4.0)


UNSTOPPED = replace(IN, id="in-u", stop_line=None)
FAR = replace(OUT, centreline=line((2, 15), (2, 500)))
BROAD = replace(WALK, width=9.0)


@pytest.mark.parametrize(
    ("lanes", "told"),
    [
        ((THROUGH, OUT), "no lane has the role entry"),
        ((IN, THROUGH), "lane through: successors: leads to out-n"),
        ((UNSTOPPED, THROUGH, OUT), "lane in-u: stop_line: missing"),
        ((IN, THROUGH, FAR), "lane out-n: geometry: a step of more than 327 m"),
        ((IN, THROUGH, OUT, BROAD), "lane walk: width: differs by 550 cm"),
    ],
)
def test_what_is_missing_or_too_large_is_named(lanes: tuple[Lane, ...], told: str) -> None:
    with pytest.raises(MapExportError, match=told):
        map_data(SiteMap(FRAME, lanes), PLACE)


@pytest.mark.parametrize("value", [None, {}, {"msgIssueRevision": 0}, [], 3])
def test_what_is_no_map_is_refused(value: Any) -> None:
    with pytest.raises(MapImportError):
        source_map(value)


def test_the_sample_intersection_becomes_lanes(shared: Path, tmp_path: Path) -> None:
    document = json.loads((shared / "data" / "map" / "sampleMAP.json").read_text("utf-8"))
    given = document["value"]["intersections"][0]
    source = source_map(from_hex_bits(document["value"]))
    found = lane_features(source)
    assert found.node.number == 156
    path = tmp_path / "lanes.geojson"
    path.write_text(json.dumps(found.document), "utf-8")
    frame = LocalFrame(given["refPoint"]["lat"] / 1e7, given["refPoint"]["long"] / 1e7)
    site = load_site_map(frame, path, None)
    inward = [lane for lane in given["laneSet"]
              if lane["laneAttributes"]["directionalUse"] == "80"]  # fmt: skip
    assert len(site.lanes_of(role=LaneRole.ENTRY)) == len(inward)
    first = site.lane("lane-1")
    # The first step leads to the stop line: the end of the lane as driven.
    assert first.centreline[-1] == pytest.approx((-40.12, 3.65), abs=1e-3)
    assert first.centreline[-2] == pytest.approx((-95.53, 76.14), abs=1e-2)
    assert {site.lane(name).signal_group for name in first.successors} == {2}


def test_every_map_of_the_corpus_is_read_or_refused_by_our_error(shared: Path) -> None:
    outcomes = set()
    for text in (shared / "vectors" / "j2735_corpus.jsonl").read_text("utf-8").splitlines():
        record = json.loads(text)
        if record["type"] != "MAP":
            continue
        frame = codec_for("j2735_2024").decode(bytes.fromhex(record["hex"]))
        try:
            lane_features(source_map(frame["value"]["MapData"]), lane_width=3.0)
            outcomes.add("read")
        except MapImportError:
            outcomes.add("refused")
    assert outcomes <= {"read", "refused"}
    assert outcomes
