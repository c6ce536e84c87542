"""A hand-drawn junction as MAP of T/CSAE 53: every field from the scene, and back to the lanes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsu.site.features import LaneKind, LaneRole, Maneuver
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import Lane, SiteMap, load_site_map
from rsu.v2x.codec import codec_for
from rsu.v2x.map.csae import MapPlace, map_data
from rsu.v2x.map.findings import MapExportError, MapImportError
from rsu.v2x.map.imported import lane_features
from rsu.v2x.map.read_csae import from_openv2x, source_map

FRAME = LocalFrame(31.0, 121.0, 10.0)
PLACE = MapPlace("crossing", region=7, intersection=1, altitude=10.0)


def line(*points: tuple[int, int]) -> Any:
    """Site frame (m) of positions given as offsets from the origin in 1e-7 degree."""
    array = np.array(points, dtype=float) / 1e7
    x, y, _ = FRAME.to_enu(31.0 + array[:, 1], 121.0 + array[:, 0])
    return np.stack((x, y), axis=1)


# From the south (node 13) straight on to the north (node 11) and right to the east (node 12).
IN = Lane(
    "in-s", LaneKind.VEHICLE, line((200, -9000), (200, -5000), (200, -1500)), 3.5, LaneRole.ENTRY,
    speed_limit=13.9, upstream_node=13, downstream_node=1, lane_id=1,
    successors=("through", "right"), stop_line=1000.0,
)  # fmt: skip
THROUGH = Lane(
    "through", LaneKind.VEHICLE, line((200, -1500), (200, 1500)), 3.5, LaneRole.CONNECTION,
    Maneuver.STRAIGHT, successors=("out-n",), signal_group=4,
)  # fmt: skip
RIGHT = Lane(
    "right", LaneKind.VEHICLE, line((200, -1500), (1500, -200)), 3.5, LaneRole.CONNECTION,
    Maneuver.RIGHT, successors=("out-e",),
)  # fmt: skip
OUT_N = Lane(
    "out-n", LaneKind.VEHICLE, line((200, 1500), (200, 9000)), 3.25, LaneRole.EXIT,
    upstream_node=1, downstream_node=11, lane_id=2,
)  # fmt: skip
OUT_E = Lane(
    "out-e", LaneKind.VEHICLE, line((1500, -200), (20000, -200)), 3.25, LaneRole.EXIT,
    upstream_node=1, downstream_node=12, lane_id=1,
)  # fmt: skip
WALK = Lane(
    "walk-s", LaneKind.CROSSWALK, line((-1000, -1400), (1000, -1400)), 4.0, signal_group=9,
    upstream_node=13, downstream_node=1, lane_id=3,
)  # fmt: skip
LANES = (IN, THROUGH, RIGHT, OUT_N, OUT_E, WALK)


def site(*changed: Lane) -> SiteMap:
    table = {lane.id: lane for lane in (*LANES, *changed)}
    return SiteMap(FRAME, tuple(table.values()))


def node(number: int) -> dict[str, int]:
    return {"region": 7, "id": number}


def point(alternative: str, lon: int, lat: int) -> dict[str, Any]:
    return {"posOffset": {"offsetLL": {alternative: {"lon": lon, "lat": lat}}}}


VEHICLE = {"laneType": {"vehicle": {"bits": "00000000"}}}


def test_every_field_follows_from_the_scene() -> None:
    value, findings = map_data(site(), PLACE)
    assert findings == []
    lane_in = {
        "laneID": 1,
        "laneWidth": 350,
        "laneAttributes": VEHICLE,
        "maneuvers": {"bits": "101000000000"},
        "connectsTo": [
            {
                "remoteIntersection": node(11),
                "connectingLane": {"lane": 2, "maneuver": {"bits": "100000000000"}},
                "phaseId": 4,
            },
            {
                "remoteIntersection": node(12),
                "connectingLane": {"lane": 1, "maneuver": {"bits": "001000000000"}},
            },
        ],
        "speedLimits": [{"type": "vehicleMaxSpeed", "speed": 695}],
        # The vertex in the middle of the straight line is gone; 9000 needs 15 bits.
        "points": [point("position-LL3", 200, -9000), point("position-LL1", 200, -1500)],
    }
    walk = {
        "laneID": 3,
        "laneWidth": 400,
        "laneAttributes": {"laneType": {"crosswalk": {"bits": "0" * 16}}},
        "connectsTo": [{"remoteIntersection": node(1), "phaseId": 9}],
        "points": [point("position-LL1", -1000, -1400), point("position-LL1", 1000, -1400)],
    }
    link_in = {
        "upstreamNodeId": node(13),
        "linkWidth": 350,
        "movements": [
            {"remoteIntersection": node(1), "phaseId": 9},
            {"remoteIntersection": node(11), "phaseId": 4},
            {"remoteIntersection": node(12)},
        ],
        "lanes": [lane_in, walk],
    }
    out_n = {
        "laneID": 2,
        "laneWidth": 325,
        "laneAttributes": VEHICLE,
        "points": [point("position-LL2", 0, -7500), point("position-LL1", 0, 0)],
    }
    out_e = {
        "laneID": 1,
        "laneWidth": 325,
        "laneAttributes": VEHICLE,
        "points": [point("position-LL3", -18500, 0), point("position-LL1", 0, 0)],
    }
    here = {"lat": 310_000_000, "long": 1_210_000_000, "elevation": 100}
    assert value == {
        "msgCnt": 0,
        "nodes": [
            {"id": node(1), "refPos": here, "name": "crossing", "inLinks": [link_in]},
            {
                "id": node(11),
                "refPos": {"lat": 310_009_000, "long": 1_210_000_200},
                "inLinks": [{"upstreamNodeId": node(1), "linkWidth": 325, "lanes": [out_n]}],
            },
            {
                "id": node(12),
                "refPos": {"lat": 309_999_800, "long": 1_210_020_000},
                "inLinks": [{"upstreamNodeId": node(1), "linkWidth": 325, "lanes": [out_e]}],
            },
            {"id": node(13), "refPos": {"lat": 309_991_000, "long": 1_210_000_200}},
        ],
    }


def test_the_message_is_one_of_the_profile_to_an_independent_codec(
    pycrate_decode: Callable[[bytes], Any],
) -> None:
    value, _ = map_data(site(), PLACE)
    octets = codec_for("csae53_2020").encode({"mapFrame": value})
    assert codec_for("csae53_2020").decode(octets) == {"mapFrame": value}
    assert pycrate_decode(octets) == {"mapFrame": value}


def test_a_lane_ends_at_its_stop_line() -> None:
    short = replace(IN, stop_line=40.0)
    value, _ = map_data(site(short), PLACE)
    last = value["nodes"][0]["inLinks"][0]["lanes"][0]["points"][-1]
    # 40 m north of -9000 steps; a step of 1e-7 degree is 0.011085 m there (M = 6 353 000 m).
    ((_, offset),) = last["posOffset"]["offsetLL"].items()
    assert offset["lon"] == 200
    assert offset["lat"] == pytest.approx(-9000 + 40.0 / 0.0110866, abs=3)


@pytest.mark.parametrize(
    ("lane", "change", "key"),
    [
        (IN, {"lane_id": None}, "lane_id"),
        (IN, {"upstream_node": None, "downstream_node": None}, "upstream_node"),
        (IN, {"stop_line": None}, "stop_line"),
        (IN, {"downstream_node": 2}, "downstream_node"),
        (OUT_E, {"lane_id": None}, "lane_id"),
        (OUT_E, {"upstream_node": None, "downstream_node": None}, "downstream_node"),
        (THROUGH, {"successors": ()}, "successors"),
        (THROUGH, {"successors": ("right",)}, "successors"),
        (WALK, {"lane_id": None}, "lane_id"),
    ],
)
def test_what_is_missing_is_named_by_lane_and_property(
    lane: Lane, change: dict[str, Any], key: str
) -> None:
    with pytest.raises(MapExportError) as caught:
        map_data(site(replace(lane, **change)), PLACE)
    assert (lane.id, key) in {(finding.lane, finding.key) for finding in caught.value.findings}
    assert f"lane {lane.id}: {key}: " in str(caught.value)


def test_more_points_than_the_standard_allows_are_refused_with_an_error_that_fits() -> None:
    zigzag = line(*[(200 + 100 * (i % 2), -9000 + 100 * i) for i in range(60)], (200, -1500))
    with pytest.raises(MapExportError, match=r"in-s: geometry: .* at most 31 are allowed; 0\.9"):
        map_data(site(replace(IN, centreline=zigzag)), PLACE)


def test_more_turns_than_the_standard_allows_are_refused() -> None:
    outs = [replace(OUT_N, id=f"out-{i}", lane_id=10 + i) for i in range(9)]
    fan = replace(THROUGH, successors=tuple(lane.id for lane in outs))
    with pytest.raises(MapExportError, match="10, at most 8 are allowed"):
        map_data(site(fan, *outs), PLACE)


def reimported(value: dict[str, Any], folder: Path) -> SiteMap:
    lanes = lane_features(source_map(value))
    path = folder / "lanes.geojson"
    path.write_text(json.dumps(lanes.document), "utf-8")
    assert lanes.node.number == 1
    return load_site_map(FRAME, path, None)


def test_what_went_over_the_air_exports_as_it_was(tmp_path: Path) -> None:
    value, _ = map_data(site(), PLACE)
    back = reimported(value, tmp_path)
    again, findings = map_data(back, PLACE)
    assert again == value
    assert findings == []
    entry = back.lane("lane-13-1-1")
    assert entry.role is LaneRole.ENTRY
    assert entry.speed_limit == pytest.approx(13.9)
    assert {back.lane(name).maneuver for name in entry.successors} == {
        Maneuver.STRAIGHT, Maneuver.RIGHT,
    }  # fmt: skip
    assert back.lane("lane-13-1-3").signal_group == 9


@pytest.mark.parametrize("error", [0.05, 0.1, 0.7])
def test_curved_lanes_come_back_within_the_chord_error(error: float, tmp_path: Path) -> None:
    angles = np.linspace(0, 1.2, 60)
    curve = 80 * np.stack((np.sin(angles), 1 - np.cos(angles)), axis=1)[::-1] + (2, -92)
    bent = replace(IN, centreline=curve)
    value, _ = map_data(site(bent), PLACE, chord_error=error)
    back = reimported(value, tmp_path)
    assert map_data(back, PLACE, chord_error=error)[0] == value
    thin = back.lane("lane-13-1-1")
    only = SiteMap(FRAME, (thin,))
    # Positions are rounded to 1e-7 degree: 8 mm at the farthest.
    assert float(np.nanmax(only.match(curve).distance)) <= error + 0.008
    assert len(thin.centreline) < len(curve)


def test_what_a_source_does_not_say_is_left_out_and_listed() -> None:
    value, _ = map_data(site(), PLACE)
    changed = copy.deepcopy(value)
    lanes = changed["nodes"][0]["inLinks"][0]["lanes"]
    del lanes[0]["laneWidth"]
    del changed["nodes"][2]["inLinks"][0]["lanes"][0]["points"]
    lanes[1]["laneAttributes"]["shareWith"] = {"bits": "0000000100"}
    found = lane_features(source_map(changed))
    notes = "\n".join(found.notes)
    assert "link 13 to 1, lane 1: left out, it has no width" in notes
    assert "link 1 to 12, lane 1: left out, it has no points" in notes
    assert "link 13 to 1, lane 3: shareWith 0000000100 left out" in notes
    names = {feature["properties"]["id"] for feature in found.document["features"]}
    assert names == {"lane-1-11-2", "lane-13-1-3"}

    wide = lane_features(source_map(changed), lane_width=3.0)
    assert "turn to node 12: left out, the source has no usable lane 1" in "\n".join(wide.notes)
    (entry,) = [f for f in wide.document["features"] if f["properties"].get("role") == "entry"]
    assert entry["properties"]["width"] == 3.0


@pytest.mark.parametrize(
    "value", [None, {}, {"nodes": []}, {"msgCnt": 0, "nodes": [{}]}, [], "text", 3]
)
def test_what_is_no_map_is_refused(value: Any) -> None:
    with pytest.raises(MapImportError):
        source_map(value)


@pytest.mark.parametrize(
    "document", [{"nodes": []}, {"nodes": {"Node": {"id": {"id": "seven"}}}}, 5, None]
)
def test_what_is_not_openv2x_is_refused(document: Any) -> None:
    with pytest.raises(MapImportError):
        source_map(from_openv2x(document))


def test_the_openv2x_sample_becomes_lanes(shared: Path, tmp_path: Path) -> None:
    document = json.loads((shared / "data" / "map" / "openv2x_map.json").read_text("utf-8"))
    source = source_map(from_openv2x(document))
    assert [node.number for node in source.nodes] == [17, 18, 19, 20, 21]
    found = lane_features(source)
    assert found.node.number == 19
    path = tmp_path / "lanes.geojson"
    path.write_text(json.dumps(found.document), "utf-8")
    longitude, latitude = found.node.position
    site_map = load_site_map(LocalFrame(latitude / 1e7, longitude / 1e7), path, None)
    assert len(site_map.lanes_of(role=LaneRole.ENTRY)) == 14
    assert len(site_map.lanes_of(role=LaneRole.EXIT)) == 10
    lane = site_map.lane("lane-21-19-23")
    assert lane.width == 2.0
    assert len(lane.successors) == 2


def test_every_map_of_the_corpus_is_read_or_refused_by_our_error(shared: Path) -> None:
    outcomes = set()
    for text in (shared / "vectors" / "csae_corpus.jsonl").read_text("utf-8").splitlines():
        record = json.loads(text)
        if record["profile"] != "csae53_2020" or "mapFrame" not in record["value"]:
            continue
        frame = codec_for("csae53_2020").decode(bytes.fromhex(record["hex"]))
        try:
            lane_features(source_map(frame["mapFrame"]), lane_width=3.0)
            outcomes.add("read")
        except MapImportError:
            outcomes.add("refused")
    assert outcomes
