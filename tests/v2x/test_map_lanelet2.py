"""Lanelets become centred lanes in driving direction, joined where their bounds join."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import LaneKind, load_site_map
from rsu.v2x.map.findings import MapImportError
from rsu.v2x.map.imported import Lanes
from rsu.v2x.map.read_lanelet2 import lanelets

FRAME = LocalFrame(31.0, 121.0)


def osm(points: dict[int, tuple[float, float]], *lanes: tuple[int, str, str, str]) -> str:
    """OSM XML with points in m; a lane is id, left and right bound (point ids), and extra tags."""
    rows = []
    for number, (x, y) in points.items():
        latitude, longitude, _ = FRAME.to_geodetic(x, y)
        rows.append(f'<node id="{number}" lat="{latitude:.10f}" lon="{longitude:.10f}"/>')
    for number, left, right, tags in lanes:
        for side, line in enumerate((left, right)):
            steps = "".join(f'<nd ref="{point}"/>' for point in line.split())
            rows.append(f'<way id="{number}{side}">{steps}</way>')
        rows.append(
            f'<relation id="{number}"><member type="way" ref="{number}0" role="left"/>'
            f'<member type="way" ref="{number}1" role="right"/><tag k="type" v="lanelet"/>'
            f"{tags}</relation>"
        )
    return f"<osm>{''.join(rows)}</osm>"


ROAD = '<tag k="subtype" v="road"/><tag k="speed_limit" v="36 km/h"/>'
POINTS = {1: (0.0, 2.0), 2: (50.0, 2.0), 3: (100.0, 2.0),
          4: (0.0, -2.0), 5: (50.0, -2.0), 6: (100.0, -2.0)}  # fmt: skip


def drawn(lanes: Lanes, folder: Path) -> dict[str, object]:
    path = folder / "lanes.geojson"
    path.write_text(json.dumps(lanes.document), "utf-8")
    longitude, latitude = (value / 1e7 for value in lanes.node.position)
    site = load_site_map(LocalFrame(latitude, longitude), path, None)
    return {lane.id: lane for lane in site.lanes}


def test_two_lanelets_eastwards(tmp_path: Path) -> None:
    # The bounds of the second are drawn against its direction; left is left all the same.
    text = osm(POINTS, (7, "1 2", "4 5", ROAD), (8, "3 2", "6 5", ROAD))
    site = drawn(lanelets(text), tmp_path)
    first, second = site["lanelet-7"], site["lanelet-8"]
    assert first.successors == ("lanelet-8",)
    assert second.successors == ()
    assert first.kind is LaneKind.VEHICLE
    assert first.width == pytest.approx(4.0, abs=0.01)
    assert first.speed_limit == pytest.approx(10.0)
    # The origin is the middle of the points, x = 50.
    assert first.centreline[0] == pytest.approx((-50.0, 0.0), abs=0.02)
    assert second.centreline[-1] == pytest.approx((50.0, 0.0), abs=0.02)


def test_swapped_bounds_are_the_other_direction(tmp_path: Path) -> None:
    text = osm(POINTS, (7, "4 5", "1 2", ROAD), (8, "5 6", "2 3", ROAD))
    site = drawn(lanelets(text), tmp_path)
    assert site["lanelet-8"].successors == ("lanelet-7",)


def test_unusable_lanelets_are_listed() -> None:
    other = '<tag k="subtype" v="rail"/>'
    found = lanelets(osm(POINTS, (7, "1 2", "4 5", ROAD), (8, "2 3", "5 6", other),
                         (9, "2", "5", ROAD)))  # fmt: skip
    assert "lanelet-8: left out, subtype rail" in found.notes
    assert "lanelet-9: left out, a bound is missing" in found.notes


@pytest.mark.parametrize(
    "text",
    ["", "<osm", "<osm/>", "<map/>", "<!DOCTYPE a><osm/>", '<osm><node id="1"/></osm>',
     '<osm><node id="1" lat="x" lon="2"/></osm>'],
)  # fmt: skip
def test_what_is_no_lanelet_map_is_refused(text: str) -> None:
    with pytest.raises(MapImportError):
        lanelets(text)


def test_the_sample_town_becomes_lanes(shared: Path, tmp_path: Path) -> None:
    text = (shared / "data" / "map" / "town01_lanelet2.osm").read_text("utf-8")
    assert len(drawn(lanelets(text), tmp_path)) == 72
