"""Map files become lanes and zones; every mistake in them is named; queries answer correctly."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.site.features import read_map
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import (
    Direction,
    LaneKind,
    LaneRole,
    Maneuver,
    SiteMap,
    SiteMapError,
    ZoneKind,
    load_site_map,
)

FRAME = LocalFrame(31.0, 121.0, 10.0)
ORIGIN = (31.0, 121.0)


def wgs84(points):
    return [
        [lon, lat] for lat, lon, _ in (FRAME.to_geodetic(float(x), float(y)) for x, y in points)
    ]


def lane(name, points, **properties):
    return {
        "type": "Feature",
        "properties": {"id": name, "kind": "vehicle", "width": 3.5, **properties},
        "geometry": {"type": "LineString", "coordinates": wgs84(points)},
    }


def zone(name, points, **properties):
    ring = wgs84([*points, points[0]])
    return {
        "type": "Feature",
        "properties": {"id": name, "kind": "watch", **properties},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def write(path: Path, features) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def problems(tmp_path, lanes=None, zones=None) -> list[str]:
    """What reading says, each problem without the file's name."""
    found = read_map(
        None if lanes is None else write(tmp_path / "lanes.geojson", lanes),
        None if zones is None else write(tmp_path / "zones.geojson", zones),
        ORIGIN,
    )
    return [("warning: " if p.warning else "") + p.text for p in found.problems]


@pytest.fixture(scope="module")
def junction(root) -> SiteMap:
    folder = root / "configs"
    return load_site_map(
        FRAME, folder / "junction-lanes.geojson", folder / "junction-zones.geojson"
    )


# --- the example junction -------------------------------------------------------------------------


def test_the_junction_has_four_complete_legs(junction):
    assert len(junction.lanes_of(role=LaneRole.ENTRY)) == 8
    assert len(junction.lanes_of(role=LaneRole.EXIT)) == 8
    assert len(junction.lanes_of(role=LaneRole.CONNECTION)) == 12
    assert len(junction.lanes_of(kind=LaneKind.CROSSWALK)) == 4
    assert len(junction.lanes_of(kind=LaneKind.SIDEWALK)) == 12
    assert junction.warnings == ()
    groups = {one.signal_group for one in junction.lanes if one.signal_group is not None}
    assert groups == set(range(1, 9))


def test_every_connection_continues_smoothly_into_its_exit(junction):
    for one in junction.lanes_of(role=LaneRole.CONNECTION):
        (before,), (after,) = junction.predecessors[one.id], one.successors
        for a, b in ((junction.lane(before), one), (one, junction.lane(after))):
            x, y, heading = a.at(a.length)
            x2, y2, heading2 = b.at(0.0)
            assert math.dist((x, y), (x2, y2)) < 0.01
            # The arcs' first chord differs from the tangent by half a step's angle, under 3°.
            assert abs(math.remainder(heading - heading2, math.tau)) < math.radians(3)


def test_maneuvers_turn_the_way_their_name_says(junction):
    wanted = {Maneuver.LEFT: math.pi / 2, Maneuver.RIGHT: -math.pi / 2, Maneuver.STRAIGHT: 0.0}
    for one in junction.lanes_of(role=LaneRole.CONNECTION):
        turn = math.remainder(one.at(one.length)[2] - one.at(0.0)[2], math.tau)
        assert turn == pytest.approx(wanted[one.maneuver], abs=0.1)


def test_traffic_keeps_to_the_right(junction):
    for leg, (dx, dy) in {"n": (0, 1), "e": (1, 0), "s": (0, -1), "w": (-1, 0)}.items():
        x, y, _ = junction.lane(f"in-{leg}-1").at(50.0)
        # Coming in, right of the direction of travel (-dx, -dy) is (-dy, dx).
        assert -x * dy + y * dx == pytest.approx(1.75, abs=0.01)


def test_stop_lines_are_where_the_entries_end(junction):
    for one in junction.lanes_of(role=LaneRole.ENTRY):
        assert one.stop_line == pytest.approx(one.length, abs=0.01)
        assert one.length == pytest.approx(120.0, abs=0.01)


def test_the_committed_files_are_what_the_script_draws(root, tmp_path, monkeypatch):
    import importlib.util

    spec = importlib.util.spec_from_file_location("draw", root / "tools" / "make_junction_map.py")
    assert spec is not None
    assert spec.loader is not None
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    monkeypatch.setattr("sys.argv", ["draw", "--out", str(tmp_path)])
    draw.main()
    for name in ("junction-lanes.geojson", "junction-zones.geojson"):
        assert json.loads((tmp_path / name).read_text()) == json.loads(
            (root / "configs" / name).read_text()
        )


# --- queries --------------------------------------------------------------------------------------


def test_a_point_beside_a_lane_gets_station_and_signed_offset(junction):
    # in-n-1 runs south along x = -1.75 from y = 137.5; its left-hand side is east.
    match = junction.match([[-1.25, 100.0], [-2.25, 100.0]])
    assert [junction.lanes[i].id for i in match.lane] == ["in-n-1", "in-n-1"]
    assert match.station == pytest.approx([37.5, 37.5], abs=0.01)
    assert match.lateral == pytest.approx([0.5, -0.5], abs=0.01)
    assert match.heading == pytest.approx([-math.pi / 2] * 2, abs=1e-3)
    assert match.inside.tolist() == [True, True]


def test_headings_decide_between_lanes_that_cross(junction):
    names = [
        junction.lanes[i].id
        for i in junction.match([[-5.25, 5.2], [-5.25, 5.2]], headings=[-math.pi / 2, math.pi]).lane
    ]
    assert names == ["n-through", "e-through"]


def test_two_way_lanes_accept_both_directions_and_answer_with_the_given_one(junction):
    match = junction.match(
        [[0.0, 14.0], [0.0, 14.0]], headings=[0.0, math.pi], kinds=[LaneKind.CROSSWALK]
    )
    assert [junction.lanes[i].id for i in match.lane] == ["cross-n", "cross-n"]
    assert np.cos(match.heading) == pytest.approx([1.0, -1.0], abs=1e-6)


def test_far_points_and_absent_kinds_match_nothing(junction):
    far = junction.match([[500.0, 500.0]])
    assert far.lane.tolist() == [-1]
    assert np.isnan(far.station[0])
    assert not far.inside[0]
    assert junction.match([[0.0, 0.0]], kinds=[LaneKind.BIKE]).lane.tolist() == [-1]
    assert junction.match([]).lane.shape == (0,)
    assert SiteMap(FRAME).match([[0.0, 0.0]]).lane.tolist() == [-1]


def test_an_unknown_heading_is_left_out_of_the_decision(junction):
    points = [[-1.75, 60.0]]
    blind = junction.match(points, headings=[math.nan])
    assert blind.lane.tolist() == junction.match(points).lane.tolist()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(-150, 150), st.floats(-150, 150)), min_size=1, max_size=5))
def test_the_match_is_the_nearest_lane_by_brute_force(junction, points):
    from shapely import LineString, Point

    lines = [LineString(one.centreline) for one in junction.lanes]
    match = junction.match(points, max_distance=1000.0)
    for row, point in enumerate(points):
        gaps = [line.distance(Point(point)) for line in lines]
        assert match.distance[row] == pytest.approx(min(gaps), abs=1e-9)
        along = lines[match.lane[row]].project(Point(point))
        assert match.station[row] == pytest.approx(along, abs=1e-6)


def test_zones_at_says_which_areas_hold_a_point(junction):
    inside = junction.zones_at([[0.0, 0.0], [12.0, 0.0], [100.0, 0.0]])
    names = [[z.id for z, hit in zip(junction.zones, row, strict=True) if hit] for row in inside]
    assert names == [["junction", "box"], ["junction"], []]
    assert junction.zone("box").area == pytest.approx(14.0**2, rel=1e-3)
    assert junction.zone("box").centre == pytest.approx((0, 0), abs=1e-3)
    assert SiteMap(FRAME).zones_at([[0.0, 0.0]]).shape == (1, 0)


def test_a_bay_with_a_hole_is_read_whole(tmp_path):
    feature = zone("p1", [(0, 0), (6, 0), (6, 3), (0, 3)], kind="bay", lot="north", lane="aisle")
    hole = [(2, 1), (2, 2), (4, 2), (4, 1), (2, 1)]
    feature["geometry"]["coordinates"].append(wgs84(hole))
    lanes = [lane("aisle", [(0, -3), (10, -3)], kind="parking-aisle")]
    loaded = load_site_map(
        FRAME,
        write(tmp_path / "l.geojson", lanes),
        write(tmp_path / "z.geojson", [feature]),
    )
    (bay,) = loaded.bays
    assert bay.kind is ZoneKind.BAY
    assert (bay.lot, bay.lane) == ("north", "aisle")
    assert bay.area == pytest.approx(18 - 2, abs=1e-3)
    assert bay.contains([(1, 1), (3, 1.5)]).tolist() == [True, False]


def test_at_follows_the_line_and_goes_straight_on_beyond_it(tmp_path):
    path = write(tmp_path / "l.geojson", [lane("bend", [(0, 0), (10, 0), (10, 10)])])
    bend = load_site_map(FRAME, path, None).lane("bend")
    assert bend.length == pytest.approx(20, abs=1e-3)
    assert bend.at(5.0) == pytest.approx((5, 0, 0), abs=1e-3)
    assert bend.at(15.0) == pytest.approx((10, 5, math.pi / 2), abs=1e-3)
    assert bend.at(25.0) == pytest.approx((10, 15, math.pi / 2), abs=1e-3)
    assert bend.at(-5.0) == pytest.approx((-5, 0, 0), abs=1e-3)
    assert not bend.centreline.flags.writeable


def test_footways_are_two_way_unless_they_say_otherwise(tmp_path):
    path = write(
        tmp_path / "l.geojson",
        [
            lane("a", [(0, 0), (9, 0)], kind="sidewalk"),
            lane("b", [(0, 5), (9, 5)], kind="sidewalk", direction="forward"),
            lane("c", [(0, 9), (9, 9)]),
        ],
    )
    found = load_site_map(FRAME, path, None)
    assert [one.direction for one in found.lanes] == [
        Direction.BOTH, Direction.FORWARD, Direction.FORWARD,
    ]  # fmt: skip


# --- mistakes -------------------------------------------------------------------------------------

LINE = [(0, 0), (50, 0)]


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"kind": "vehical"}, "feature 0 (a): kind: 'vehical' is not one of vehicle, bike, "
         "crosswalk, sidewalk, parking-aisle, tracked (did you mean vehicle?)"),
        ({"kind": None}, "feature 0 (a): kind: is null"),
        ({"width": "3.5"}, "feature 0 (a): width: expected a number of m, not '3.5'"),
        ({"width": 0}, "feature 0 (a): width: 0 is outside 0.3..30 m"),
        ({"width": True}, "feature 0 (a): width: expected a number of m, not True"),
        ({"lane_id": 255}, "feature 0 (a): lane_id: 255 is outside 1..254"),
        ({"lane_id": 1.5}, "feature 0 (a): lane_id: expected a whole number, not 1.5"),
        ({"signal_group": 0}, "feature 0 (a): signal_group: 0 is outside 1..255"),
        ({"signal_groop": 1}, "feature 0 (a): signal_groop: unknown property "
         "(did you mean signal_group?)"),
        ({"successors": "b"}, "feature 0 (a): successors: expected a list of names, not 'b'"),
        ({"successors": ["b"]}, "feature 0 (a): successors: there is no lane 'b'"),
        ({"successors": ["a"]}, "feature 0 (a): successors: names the lane itself"),
        ({"yields_to": ["z", "z"]}, "feature 0 (a): yields_to: names a lane twice"),
        ({"upstream_node": 5}, "feature 0 (a): downstream_node: a link has both an upstream and a "
         "downstream node"),
        ({"role": "connection"}, "feature 0 (a): maneuver: a connection says which way it turns"),
        ({"stop_line": 60}, "feature 0 (a): stop_line: 60 m lies beyond the lane's 50.0 m"),
        ({"speed_limit": -1}, "feature 0 (a): speed_limit: -1 is outside 0..100 m/s"),
        ({"id": "A b"}, "feature 0 (A b): id: 'A b' is not a name: lower-case letters, digits, - "
         "and _, letter first, at most 32"),
    ],
)  # fmt: skip
def test_a_wrong_lane_property_is_named(tmp_path, properties, expected):
    assert expected in problems(tmp_path, [lane("a", LINE, **properties)])


def test_a_bay_says_for_whom_and_how_long(tmp_path):
    ring = [(0, 0), (6, 0), (6, 3), (0, 3)]
    feature = zone("p1", ring, kind="bay", lot="n", permitted=["car", "van"], max_stay_s=3600)
    plain = zone("p2", ring, kind="bay", lot="n")
    first, second = load_site_map(FRAME, None, write(tmp_path / "z.geojson", [feature, plain])).bays
    assert (first.permitted, first.max_stay_s) == (("car", "van"), 3600.0)
    assert (second.permitted, second.max_stay_s) == ((), None)
    wrong = [
        zone("a", ring, kind="bay", lot="n", permitted=["cat"]),
        zone("b", ring, kind="fire-lane", max_stay_s=5),
        zone("c", ring, kind="bay", lot="n", permitted=[]),
    ]
    found = " ".join(problems(tmp_path, [lane("l", LINE)], wrong))
    assert "permitted: 'cat' is not one of" in found
    assert "max_stay_s: only a bay has it" in found
    assert "permitted: expected a list of vehicle classes" in found


def test_all_problems_of_both_files_come_at_once(tmp_path):
    lanes = [lane("a", LINE, width=-1), lane("b", LINE, kind="x"), {"type": "Feature"}]
    zones = [zone("p", [(0, 0), (5, 0), (5, 5)], kind="bay"), zone("q", [(0, 0), (5, 0), (5, 5)],
             lane="nope")]  # fmt: skip
    found = problems(tmp_path, lanes, zones)
    assert len(found) == 5
    assert "feature 2: properties: expected an object" in found
    assert "feature 0 (p): lot: a bay needs the lot it is reported in" in found
    assert "feature 1 (q): lane: there is no lane 'nope'" in found


def test_exchanged_coordinates_are_recognised(tmp_path):
    feature = lane("a", LINE)
    feature["geometry"]["coordinates"] = [[31.0, 121.0], [31.0, 121.001]]
    (found,) = problems(tmp_path, [feature])
    assert found.startswith("feature 0 (a): geometry: position 0: [31, 121] is ")
    assert found.endswith("(did you mean [121, 31], longitude first?)")


@pytest.mark.parametrize(
    ("coordinates", "expected"),
    [
        ([[121.0, 31.0]], "expected a list of 2..2000 positions"),
        ([[121.0, 31.0], [121.0, 31.0]], "fewer than 2 different positions"),
        ([[121.0, "x"], [121.0, 31.0]], "position 0: expected [longitude, latitude]"),
        ([[121.0], [121.0, 31.0]], "position 0: expected [longitude, latitude]"),
        (None, "expected a list of 2..2000 positions"),
    ],
)
def test_a_broken_line_is_named(tmp_path, coordinates, expected):
    feature = lane("a", LINE)
    feature["geometry"]["coordinates"] = coordinates
    (found,) = problems(tmp_path, [feature])
    assert expected in found


def test_a_ring_must_close_and_not_cross_itself(tmp_path):
    open_ring = zone("a", [(0, 0), (5, 0), (5, 5), (0, 5)])
    open_ring["geometry"]["coordinates"][0].pop()
    bow_tie = zone("b", [(0, 0), (5, 5), (5, 0), (0, 5)])
    assert problems(tmp_path, zones=[open_ring, bow_tie]) == [
        "feature 0 (a): geometry: a ring must end where it starts",
        "feature 1 (b): geometry: the ring crosses itself",
    ]


def test_ids_and_lane_numbers_must_be_unique(tmp_path):
    link = {"upstream_node": 1, "downstream_node": 2, "lane_id": 1}
    lanes = [lane("a", LINE, **link), lane("b", LINE, **link), lane("a", LINE)]
    assert problems(tmp_path, lanes, [zone("b", [(0, 0), (5, 0), (5, 5)])]) == [
        "feature 2 (a): id: already used by feature 0 of lanes.geojson",
        "feature 0 (b): id: already used by feature 1 of lanes.geojson",
        "feature 1 (b): lane_id: 1 is already lane a of the same link",
    ]


def test_a_gap_to_a_successor_is_a_warning_and_does_not_stop_the_load(tmp_path):
    lanes = [lane("a", LINE, successors=["b"]), lane("b", [(57, 0), (90, 0)])]
    assert problems(tmp_path, lanes) == [
        "warning: feature 0 (a): successors: b starts 7.0 m from this lane's end"
    ]
    assert len(load_site_map(FRAME, tmp_path / "lanes.geojson", None).warnings) == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "x.geojson:1:1: is not JSON"),
        (b'{"type": "FeatureCollection",\n "features": [}', "x.geojson:2:15: is not JSON"),
        (b"\xff\xfe", "x.geojson: is not UTF-8"),
        (b"[]", "x.geojson: is not a GeoJSON FeatureCollection"),
        (b'{"type": "FeatureCollection"}', "x.geojson: is not a GeoJSON FeatureCollection"),
        (b'{"a": NaN}', "x.geojson: NaN is no JSON number"),
        (b'{"a": 1, "a": 2}', "x.geojson: the key 'a' stands twice in one object"),
        (b"[" * 200_000, "x.geojson: is nested too deeply"),
        (b'{"type": "FeatureCollection", "features": [], "crs": {"name": "EPSG:3857"}}',
         "x.geojson: names another coordinate system"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_map_is_refused_with_the_reason(tmp_path, content, expected):
    path = tmp_path / "x.geojson"
    path.write_bytes(content)
    with pytest.raises(SiteMapError) as error:
        load_site_map(FRAME, path, None)
    assert expected in str(error.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(SiteMapError, match="no such file"):
        load_site_map(FRAME, tmp_path / "nope.geojson", None)
    with pytest.raises(SiteMapError, match="is not a file"):
        load_site_map(FRAME, None, tmp_path)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "geometry", "coordinates", "id", "kind", "width"]
            )
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=150)
@given(st.lists(json_values, max_size=3), st.sampled_from(["LineString", "Polygon"]))
def test_no_json_whatever_makes_the_reader_fail(tmp_path_factory, features, geometry):
    path = tmp_path_factory.mktemp("fuzz") / "x.geojson"
    shaped = [
        {"type": "Feature", "properties": f, "geometry": {"type": geometry, "coordinates": f}}
        for f in features
    ]
    write(path, [*features, *shaped])
    for problem in (*read_map(path, None, ORIGIN).problems, *read_map(None, path, ORIGIN).problems):
        str(problem).encode()


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_no_bytes_whatever_make_the_reader_fail(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "x.geojson"
    path.write_bytes(content)
    assert read_map(path, path, ORIGIN).errors
